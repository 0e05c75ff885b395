"""The layout for one's own images: ``images/``, ``captions.json`` and, perhaps, a split."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from scripts.data.audit import Findings
from scripts.data.caption_files import usable
from scripts.data.files import images_folder, in_folder, is_file, open_files
from scripts.data.records import OWN_SPLIT, Record, own_split, paired
from scripts.data.rows import read_captions
from scripts.data.sources.face import Source
from scripts.job import BadInput

CAPTIONS = "captions.json"


def find(root: Path) -> list[str] | None:
    names = [name for name in (CAPTIONS, OWN_SPLIT) if os.path.lexists(root / name)]
    images = images_folder(root)
    if images is None or CAPTIONS not in names:
        return None
    for name in names:
        if not is_file(root / name):
            raise BadInput(
                root / name,
                "a folder, a pipe, or a link that leads nowhere or to the system's own",
                "a JSON file",
                "put the file there, or take away what has its name",
            )
    return [*names, images]


def read(root: Path, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """``images/``, ``captions.json`` and, where ``paths`` has it, ``splits.json``."""
    folder = next(path for path in paths if path not in (CAPTIONS, OWN_SPLIT))
    files, litter = open_files(root, [folder])
    findings.note("left by an operating system, not read", litter)
    captions = {
        image: usable(image, texts, findings)
        for image, texts in read_captions(root / CAPTIONS, may_be_empty=True).items()
    }
    split_of = own_split(root) if OWN_SPLIT in paths else None
    return paired(in_folder(files, "images"), captions, split_of, findings)


SOURCE = Source(
    expected="images/, captions.json and, if you like, splits.json",
    split="splits.json beside captions.json",
    find=find,
    read=read,
    split_files=(OWN_SPLIT,),
)
