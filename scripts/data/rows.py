"""The order of images and captions, in one place.

Everything downstream that holds rows (features, rankings) is in this order and carries its digest,
so that a row can never be paired with another row's caption.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.job import BadInput, read_json

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Rows:
    """Images of one split in the order of ``splits.json``, with their captions in file order.

    Attributes
    ----------
    images : n image file names
    captions : m captions, those of the first image first
    image_of_caption : (m,) int64, non-decreasing; row of the image that each caption describes
    digest : sha256 of images and captions in this order
    """

    images: list[str]
    captions: list[str]
    image_of_caption: np.ndarray
    digest: str

    def captions_of(self, image: int) -> list[str]:
        """Captions of the image in row ``image``."""
        start, stop = np.searchsorted(self.image_of_caption, [image, image + 1])
        return self.captions[start:stop]

    def shard(self, number: int, size: int) -> Rows:
        """Images ``number * size`` to ``(number + 1) * size`` of these, with their captions."""
        images = range(len(self.images))[number * size : (number + 1) * size]
        return rows_of([self.images[row] for row in images], list(map(self.captions_of, images)))


def read_captions(path: str | Path) -> dict[str, list[str]]:
    """Read ``[{"image": "0001.jpg", "captions": ["...", ...]}, ...]`` into image -> captions.

    Raises ``BadInput`` naming the record for anything else: not a list, a missing or misspelt key,
    a wrong type, an image listed twice, no caption or an empty one.
    """
    records = read_json(path)
    if not isinstance(records, list):
        raise BadInput(
            path,
            f"a JSON {type(records).__name__}",
            "a JSON list of records",
            'write [{"image": "0001.jpg", "captions": ["...", ...]}, ...]',
        )
    captions_of: dict[str, list[str]] = {}
    for number, record in enumerate(records, start=1):
        where = f"{path}, record {number}"
        if not isinstance(record, dict) or set(record) != {"image", "captions"}:
            found = sorted(map(str, record)) if isinstance(record, dict) else type(record).__name__
            raise BadInput(
                where, f"{found}", 'exactly the keys "image" and "captions"', "correct the record"
            )
        image, captions = record["image"], record["captions"]
        if not isinstance(image, str) or not image.strip():
            raise BadInput(where, f"image: {image!r}", "a file name", "correct the record")
        where = f"{where} ({image:.80})"
        if image in captions_of:
            raise BadInput(
                where,
                "an image that stands in the file before",
                "each image once",
                "put all captions of the image into one record",
            )
        if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
            raise BadInput(
                where, f"captions: {captions!r:.80}", "a list of strings", "correct the record"
            )
        # JSON can write half of a character, as \ud83d, which no UTF-8 file can hold
        broken = [text for text in captions if re.search("[\ud800-\udfff]", text)]
        if broken:
            raise BadInput(
                where,
                f"half of a character in {broken[0]!r:.80}",
                "whole characters",
                "write the character itself",
            )
        empty = [place for place, text in enumerate(captions, start=1) if not text.strip()]
        if empty or not captions:
            found = f"caption {empty[0]} is empty" if empty else "no caption"
            raise BadInput(
                where,
                found,
                "one caption or more, none empty",
                "write the caption, or take the record out",
            )
        captions_of[image] = captions
    return captions_of


def read_splits(path: str | Path) -> dict[str, list[str]]:
    """Read ``{"train": [...], "val": [...], "test": [...]}``, each image in one split at most."""
    return splits_of(read_json(path), path)


def splits_of(splits: Any, path: str | Path) -> dict[str, list[str]]:
    """As ``read_splits``, of what was read from ``path``."""
    if not isinstance(splits, dict) or not set(splits) <= set(SPLITS):
        found = sorted(splits) if isinstance(splits, dict) else type(splits).__name__
        raise BadInput(path, f"{found}", f"an object with the keys {SPLITS}", "correct the file")
    seen: dict[str, str] = {}
    for split, images in splits.items():
        if not isinstance(images, list) or not all(isinstance(name, str) for name in images):
            raise BadInput(
                f"{path}, {split}", f"{images!r:.80}", "a list of file names", "correct the file"
            )
        for name in images:
            if name in seen:
                raise BadInput(
                    f"{path}, {split}",
                    f"{name:.80}, which stands in {seen[name]} before",
                    "each image in one split, once",
                    "take it out of one of them",
                )
            seen[name] = split
    return {split: splits.get(split, []) for split in SPLITS}


def read_rows(captions: str | Path, splits: str | Path, split: str) -> Rows:
    """The rows of one split.

    Raises ``BadInput`` where the split names an image without captions, or is empty.
    """
    captions_of = read_captions(captions)
    images = read_splits(splits)[split]
    missing = [image for image in images if image not in captions_of]
    if missing:
        raise BadInput(
            f"{splits}, {split}",
            f"{missing[0]} and {len(missing) - 1} more without captions",
            f"images of {captions}",
            "let the workflow make both files again: delete them and rerun",
        )
    if not images:
        raise BadInput(
            f"{splits}, {split}",
            "no image",
            "at least one",
            "name images of it beside the captions, or leave out what needs it, as ./run evaluate "
            "does with a folder or a configuration; in one, run: {scorers: [cosine]} learns "
            "nothing, and leakage among run.studies compares splits"
            if split != "test"
            else "name images of it beside the captions: it is what is measured",
        )
    return rows_of(images, [captions_of[image] for image in images])


def rows_of(images: list[str], captions: list[list[str]]) -> Rows:
    """Rows from images and, for each, its captions."""
    listing = json.dumps(list(zip(images, captions, strict=True)), ensure_ascii=False)
    counts = [len(texts) for texts in captions]
    return Rows(
        images=images,
        captions=[text for texts in captions for text in texts],
        image_of_caption=np.repeat(np.arange(len(images)), counts),
        digest=hashlib.sha256(listing.encode("utf-8", "surrogatepass")).hexdigest(),
    )
