"""Prepared images, each checked against images.csv as it is read."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.job import BadInput

if TYPE_CHECKING:
    from PIL import Image


def read_image(path: Path, sha256: str) -> Image.Image:
    """Decode the image in ``path``; ``BadInput`` unless it is the one with this sha256."""
    from PIL import Image  # a study that only reads checksums runs where no pillow is

    todo = "delete the images folder of the dataset and run again: it is then prepared anew"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(path, "no such file", "a prepared image", todo) from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BadInput(path, f"sha256 {found}", f"sha256 {sha256}, as in images.csv", todo)
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(path, f"not decodable: {error}", "a prepared image", todo) from None
    return image


def read_checksums(table: str | Path, images: list[str]) -> list[str]:
    """sha256 of each of ``images`` from images.csv."""
    with Path(table).open(encoding="utf-8", newline="") as stream:
        sha256_of = {row["image"]: row["sha256"] for row in csv.DictReader(stream)}
    missing = [image for image in images if image not in sha256_of]
    if missing:
        raise BadInput(
            table,
            f"no row for {missing[0]}",
            "a row for each image of the split",
            f"delete {table} and run again: it is then made anew",
        )
    return [sha256_of[image] for image in images]
