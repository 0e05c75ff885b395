"""A split that stands beside a dataset is the one that is read, or it is told: never another."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator
from pathlib import Path

from scripts.data.audit import Unusable
from scripts.data.files import Read, is_archive, is_litter, open_tree
from scripts.data.place import Place
from scripts.data.records import OWN_SPLIT
from scripts.data.sources import SOURCES
from scripts.data.sources.archives import TEXTS, texts_at
from scripts.data.sources.face import Source
from scripts.data.told import own_split_file
from scripts.job import BadInput


def check_splits(source: Source, place: Place, paths: list[str]) -> None:
    """``BadInput`` where a split stands at a place that the source does not read from ``paths``.

    It may stand there twice if both say the same.
    """
    root = place.root
    of_folder = place.entry.get("source") == "folder"
    own = own_split_file(place.within(paths)) if of_folder else OWN_SPLIT
    # whatever has such a name, in any case, tells a split
    names = {"split.json"}
    names |= {name.casefold() for one in SOURCES.values() for name in one.split_files}
    read: dict[str, tuple[str, object]] = {}
    # what is read comes first: the others are held against it
    for path in dict.fromkeys([*paths, *texts_at(root), *_named_so(root, names)]):
        for name, content in _files_at(place, path).items():
            base = name.split("/")[-1]
            if base.casefold() not in names:
                continue
            where = name.replace(f"{path}/", f"{path}, ", 1) if is_archive(path) else name
            said = _said(content)
            in_place = path in paths and (base != OWN_SPLIT or name == own)
            if in_place and base in source.split_files:
                first, same = read.setdefault(base.casefold(), (where, said))
            elif base.casefold() in read:
                first, same = read[base.casefold()]
            else:
                raise BadInput(
                    root.absolute() / where,
                    "a split that is not read there",
                    source.split,
                    "write it so, and there, if it is meant; or else take it away",
                )
            if said != same:
                raise BadInput(
                    root.absolute() / where,
                    f"another split than in {first}",
                    "one split",
                    "take away the one that is not meant",
                )


def _files_at(place: Place, path: str) -> dict[str, Read]:
    """Files that are, or lie in, a path of the place."""
    if place.entry.get("source") != "folder":
        return open_tree(place.root, [path])[0]
    # all is open already, and to open it again may be to unfold it again
    inside = () if path == "." else (f"{path}/",)
    return {
        name: read
        for name, read in place.files.items()
        if path == "." or name == path or name.startswith(inside)
    }


def _named_so(root: Path, names: set[str]) -> Iterator[str]:
    """Files of these names, and archives like those of the texts, here and a folder below."""
    for path in sorted(root.iterdir()):
        # what may not be entered is no part of the dataset, or told where that is read
        inner = path.iterdir() if path.is_dir() and os.access(path, os.R_OK | os.X_OK) else ()
        for one in (path, *sorted(inner)):
            name = one.relative_to(root).as_posix()
            of_splits = one.name.casefold() in (*names, TEXTS[0].casefold())
            if of_splits and not is_litter(name) and not one.is_dir():
                yield name


def _said(read: Read) -> object:
    """What a split's file says, in whatever order and layout; None where it cannot be read."""
    try:
        content = read()
    except Unusable:
        return None
    try:
        return {split: set(images) for split, images in json.loads(content).items() if images}
    except (ValueError, AttributeError, TypeError, RecursionError):
        # a list of names, or what its own reader will refuse
        lines = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
        return set(map(bytes.strip, lines)) - {b""}
