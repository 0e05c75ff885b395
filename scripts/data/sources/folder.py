"""The layout for one's own images: JSON with a record an image, and perhaps a split beside it.

``[{"image": "0001.jpg", "captions": ["...", ...]}, ...]`` beside ``images/`` is the plainest; names
of images with their captions, records by split, and a caption a record are read, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from scripts.data.audit import Findings
from scripts.data.files import is_file
from scripts.data.place import Place
from scripts.data.records import OWN_SPLIT, Record
from scripts.data.sources.face import Source
from scripts.data.sources.table import find_tables, read_tables
from scripts.job import BadInput

CAPTIONS = "captions.json"


def find(place: Place) -> list[str] | None:
    for name in (CAPTIONS, OWN_SPLIT):
        path = place.root / name
        if os.path.lexists(path) and not is_file(path):
            raise BadInput(
                path,
                "a folder, a pipe, or a link that leads nowhere or to the system's own",
                "a JSON file",
                "put the file there, or take away what has its name",
            )
    return find_tables(place, "folder")


def read(place: Place, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Records or a mapping in JSON."""
    return read_tables(place, "folder", findings)


SOURCE = Source(
    called="captions in JSON",
    expected="images/ and captions.json or another list of captions in JSON",
    split="splits.json beside captions.json, or the key split",
    find=find,
    read=read,
    split_files=(OWN_SPLIT,),
)
