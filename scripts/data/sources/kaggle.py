"""Flickr8k as Kaggle has it: ``Images/`` and ``captions.txt``, packed or not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scripts.data import web
from scripts.data.audit import Findings, Note
from scripts.data.caption_files import table_captions
from scripts.data.files import (
    check_archive,
    images_folder,
    in_folder,
    is_litter,
    named,
    open_files,
    text_of,
)
from scripts.data.place import Place
from scripts.data.records import OWN_SPLIT, Record, own_split, paired
from scripts.data.sources.archives import (
    KAGGLE_CAPTIONS,
    LISTS,
    PHOTOS,
    TEXTS,
    official_split,
    texts_at,
)
from scripts.data.sources.face import Home, Source
from scripts.job import BadInput

ARCHIVE = "kaggle.zip"
SPLIT_FILES = (*LISTS.values(), OWN_SPLIT)


def find(place: Place) -> list[str] | None:
    root = place.root
    images = images_folder(root)
    loose = [[images, KAGGLE_CAPTIONS]] if images and (root / KAGGLE_CAPTIONS).is_file() else []
    packed = [
        [path.name]
        for path in sorted(root.iterdir())
        if path.suffix.lower() == ".zip"
        and path.name not in (PHOTOS[0], TEXTS[0])
        and not is_litter(path.name)
        and _is_archive(path)
    ]
    datasets = [*loose, *packed]
    # an archive may stand beside what was unpacked of it
    if len(datasets) > 1 and len({_contents(root, paths) for paths in datasets}) > 1:
        raise BadInput(
            root.absolute(),
            f"{' and '.join(paths[0] for paths in datasets[:5])}, with other images or captions",
            "one dataset",
            "take away what is not meant",
        )
    if not datasets:
        return None
    beside = _splits_beside(root)
    if len(datasets) > 1 and not beside:
        # and hold a split that was not unpacked
        datasets.sort(key=lambda paths: not _holds(root, paths, SPLIT_FILES))
    return [*datasets[0], *beside]


def read(place: Place, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """``Images/`` and ``captions.txt``, a table of image and caption.

    They have no split. It is taken from the lists of Flickr8k or a ``splits.json`` among ``paths``.
    """
    root = place.root
    files, litter = open_files(root, paths)
    findings.note(Note.LITTER, litter)
    captions = table_captions(*text_of(files, KAGGLE_CAPTIONS, root), findings)
    lists = [name for name in LISTS.values() if named(files, name)]
    own = OWN_SPLIT in paths
    if len(lists) not in (0, len(LISTS)) or (lists and own):
        raise BadInput(
            root,
            " and ".join([*lists, *([OWN_SPLIT] if own else [])]),
            f"{', '.join(LISTS.values())}, all three; or {OWN_SPLIT}; or none, for a drawn split",
            "add what is missing, or take away what is not meant",
        )
    split_of = None
    if own:
        split_of = own_split(root)
    elif lists:
        split_of = official_split(files, root)
        findings.note(Note.OFFICIAL_LISTS, lists)
    return paired(in_folder(files, "images"), captions, split_of, findings)


def has_official_split(place: Place, paths: list[str]) -> bool:
    return _holds(place.root, paths, LISTS.values())


def _holds(root: Path, paths: list[str], names: Iterable[str]) -> bool:
    files, _ = open_files(root, paths)
    return any(named(files, name) for name in names)


def _contents(root: Path, paths: list[str]) -> tuple[str, frozenset[str]]:
    """Captions, and names of images, of Kaggle's files."""
    files, _ = open_files(root, paths)
    captions, _ = text_of(files, KAGGLE_CAPTIONS, root)
    return captions, frozenset(in_folder(files, "images"))


def _splits_beside(root: Path) -> list[str]:
    """What tells a split beside Kaggle's files, which have none."""
    loose = [name for name in LISTS.values() if (root / name).is_file()]
    lists = loose if len(loose) == len(LISTS) else texts_at(root)[:1] or loose
    return [*lists, *([OWN_SPLIT] if (root / OWN_SPLIT).is_file() else [])]


def _is_archive(path: Path) -> bool:
    """Whether a zip archive holds what Kaggle has; ``BadInput`` where it is broken."""
    files, _ = open_files(path.parent, [path.name])
    return bool(named(files, KAGGLE_CAPTIONS) and in_folder(files, "Images"))


def present(home: dict[str, Any], raw: Path) -> list[str] | None:
    # it gets this name only when it has been read whole
    return [ARCHIVE] if (raw / ARCHIVE).is_file() else None


def fetch(home: dict[str, Any], raw: Path) -> list[str]:
    """Download Kaggle's archive, as the user that KAGGLE_USERNAME and KAGGLE_KEY name, if any."""
    user, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    unchecked = raw / f"unchecked-{ARCHIVE}"
    web.fetch(home["url"], unchecked, auth=(user, key) if user and key else None)
    try:
        # Kaggle tells no checksum of the archive, but the archive has one for each of its members
        check_archive(unchecked)
        if not _is_archive(unchecked):
            raise web.Unavailable(f"{home['url']}: an archive without Images/ and captions.txt")
        unchecked.replace(raw / ARCHIVE)
    finally:
        unchecked.unlink(missing_ok=True)
    return [ARCHIVE]


SOURCE = Source(
    kinds=("flickr8k",),
    called="Kaggle's Flickr8k",
    expected=f"Images/ and {KAGGLE_CAPTIONS}, or a zip archive of both; for the official split "
    f"with the lists of {TEXTS[0]} beside it",
    split=f"{OWN_SPLIT} beside Images/ or the archive; or {', '.join(LISTS.values())}, beside them "
    f"too or in {', '.join(TEXTS)}",
    find=find,
    read=read,
    split_files=SPLIT_FILES,
    has_official_split=has_official_split,
    home=Home("kaggle", present, fetch),
)
