"""Captions in JSON as people write it: records, by split or not, or names with captions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scripts.data.columns import Columns, columns_of, split_named
from scripts.data.names import SUFFIX, stem_of
from scripts.data.tables import Row, Table, keys_of
from scripts.job import BadInput

RECORDS = '[{"image": "0001.jpg", "captions": ["...", ...]}, ...]'
# names by which a mapping is told to be one of images
LOOKED_AT = 20
EXPECTED = "a JSON list of records, or names of images with their captions"


def table_of_json(
    value: Any, where: str, options: Mapping[str, Any], images: Iterable[str] = ()
) -> Table:
    """The table that a JSON value is: records, records by split, or captions by image.

    Parameters
    ----------
    value : what stands in the file
    where : how to call the file in a message
    options : of the dataset's entry in the config
    images : that are there; without one of them, names in a mapping need the suffix of one
    """
    if isinstance(value, dict):
        lists = {key: one for key, one in value.items() if _are_records(one)}
        if lists and all(map(split_named, lists)):
            return _by_split(lists, where, options)
        if len(lists) == 1:
            (value,) = lists.values()
        elif _are_images(value, images):
            columns = Columns("image", ["captions"], None, None, [])
            return Table(columns, lambda: _of_mapping(value, where))
    if value == []:
        return Table(Columns("image", ["captions"], None, None, []), lambda: iter(()))
    if not isinstance(value, list):
        kind = type(value).__name__
        keys = f" of {', '.join(map(str, value))[:80]}" if isinstance(value, dict) else ""
        raise BadInput(where, f"a JSON {kind}{keys}", EXPECTED, f"write {RECORDS}")
    columns = columns_of(keys_of(_of_list(value, where)), options, where)
    return Table(columns, lambda: _of_list(value, where))


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _are_images(value: Mapping[str, Any], images: Iterable[str]) -> bool:
    """Whether the first keys are names of images, each with a text or texts."""
    first = [*value][:LOOKED_AT]
    stems = {stem_of(image) for image in images}
    texts = all(isinstance(value[name], str | list) for name in first)
    named = all(SUFFIX.search(name) or stem_of(name) in stems for name in first)
    return bool(first) and texts and named


def _of_list(records: list[Any], where: str) -> Iterator[Row]:
    for number, record in enumerate(records, start=1):
        place = f"{where}, record {number}"
        if not isinstance(record, dict):
            kind = type(record).__name__
            raise BadInput(place, kind, "an object with image and captions", f"write {RECORDS}")
        yield Row(record, place)


def _of_mapping(value: Mapping[str, Any], where: str) -> Iterator[Row]:
    for image, captions in value.items():
        yield Row({"image": image, "captions": captions}, f"{where}, {image:.80}")


def _by_split(lists: Mapping[str, list[Any]], where: str, options: Mapping[str, Any]) -> Table:
    def rows() -> Iterator[Row]:
        for split, records in lists.items():
            for row in _of_list(records, f"{where}, {split}"):
                yield Row({**row.values, "split": split}, row.where)

    return Table(columns_of(keys_of(rows()), options, where), rows)
