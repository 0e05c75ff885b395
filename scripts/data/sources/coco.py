"""COCO's own JSON: ``images`` and ``annotations``, as in captions_val2017.json and NoCaps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scripts.data.audit import Findings, Note
from scripts.data.columns import split_of_name, texts_of
from scripts.data.kinds import files_of
from scripts.data.place import Place
from scripts.data.records import OWN_SPLIT, Record
from scripts.data.sources.archives import LISTS
from scripts.data.sources.face import Source
from scripts.data.sources.table import find_tables
from scripts.data.told import Told, pictures_of, records_of
from scripts.job import BadInput

# the first that an image has; of an address, the last part
NAMES = ("file_name", "coco_url", "flickr_url")


def find(place: Place) -> list[str] | None:
    return find_tables(place, "coco")


def read(place: Place, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Captions of each image in the order of the file; of several files, each is of a split."""
    files = files_of(place, "coco")
    told = Told(findings, by_files=len(files) > 1)
    for name in files:
        split = split_of_name(name.split("/")[-1]) if told.by_files else None
        value, where = place.json(name), place.where(name)
        image_of: dict[Any, str] = {}
        for number, image in enumerate(value["images"], start=1):
            image_of[_id(image, "id", f"{where}, image {number}")] = file = _name(
                image, f"{where}, image {number}"
            )
            told.add(file, [], where, split)
        for number, annotation in enumerate(value["annotations"], start=1):
            place_there = f"{where}, annotation {number}"
            image_id = _id(annotation, "image_id", place_there)
            if image_id not in image_of:
                told.pass_over(Note.UNLISTED_IMAGES, str(image_id))
                continue
            captions = texts_of(annotation.get("caption"), place_there)
            told.add(image_of[image_id], captions, place_there)
    return records_of(place, told, pictures_of(place, files), files)


def _id(value: Any, key: str, where: str) -> int | str:
    found = value.get(key) if isinstance(value, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | str):
        raise BadInput(where, f"{key}: {found!r:.80}", "a number", "correct the record")
    return found


def _name(image: dict[str, Any], where: str) -> str:
    names = [image[key] for key in NAMES if isinstance(image.get(key), str) and image[key].strip()]
    if not names:
        raise BadInput(where, f"{image!r:.80}", "file_name", "correct the record")
    return str(names[0]) if image.get("file_name") else str(names[0]).rsplit("/", 1)[-1]


SOURCE = Source(
    called="COCO's JSON",
    expected="pictures and COCO's JSON of captions (captions_val2017.json, ...)",
    split="files of captions called train, val and test, or splits.json or lists beside",
    find=find,
    read=read,
    split_files=(OWN_SPLIT, *LISTS.values()),
)
