"""Karpathy's JSON, in which COCO, Flickr30k, Flickr8k, RSICD and RSITMD are handed round.

A. Karpathy and L. Fei-Fei, "Deep visual-semantic alignments for generating image descriptions",
CVPR 2015.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scripts.data.audit import Findings
from scripts.data.columns import texts_of
from scripts.data.kinds import files_of
from scripts.data.place import Place
from scripts.data.records import OWN_SPLIT, Record
from scripts.data.sources.archives import LISTS
from scripts.data.sources.face import Source
from scripts.data.sources.table import find_tables
from scripts.data.told import Told, pictures_of, records_of
from scripts.job import BadInput


def find(place: Place) -> list[str] | None:
    return find_tables(place, "karpathy")


def read(place: Place, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """``images`` with ``filename``, ``sentences`` and ``split``, in which ``restval`` is train."""
    told, files = Told(findings), files_of(place, "karpathy")
    for name in files:
        for number, image in enumerate(place.json(name)["images"], start=1):
            where = f"{place.where(name)}, image {number}"
            told.add(*_image(image, where), where, image.get("split"))
    return records_of(place, told, pictures_of(place, files), files)


def _image(image: Any, where: str) -> tuple[str, list[str]]:
    """Path and captions of an image."""
    file = image.get("filename") if isinstance(image, dict) else None
    if not isinstance(file, str) or not file.strip():
        raise BadInput(where, f"filename: {file!r:.80}", "a file name", "correct the record")
    sentences, folder = image.get("sentences"), image.get("filepath") or ""
    if not isinstance(sentences, list) or not isinstance(folder, str):
        todo = "correct the record"
        raise BadInput(where, f"sentences: {sentences!r:.80}", "a list of sentences", todo)
    return f"{folder.rstrip('/')}/{file}".lstrip("/"), texts_of(sentences, where)


SOURCE = Source(
    called="Karpathy's JSON",
    expected="pictures and Karpathy's JSON (dataset_coco.json, dataset_flickr30k.json, ...)",
    split="the key split of each image, or splits.json or lists where there is no such key",
    find=find,
    read=read,
    split_files=(OWN_SPLIT, *LISTS.values()),
)
