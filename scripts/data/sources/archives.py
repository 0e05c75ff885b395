"""Flickr8k as its authors published it, in two zip archives or unpacked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scripts.data import web
from scripts.data.audit import Findings, Note
from scripts.data.caption_files import token_captions
from scripts.data.files import Read, images_folder, in_folder, open_files, text_of
from scripts.data.place import Place
from scripts.data.records import Record, paired
from scripts.data.sources.face import Home, Source
from scripts.data.told import OFFICIAL_LISTS
from scripts.job import BadInput, digest_of_file

PHOTOS = ("Flickr8k_Dataset.zip", "Flicker8k_Dataset", "Flickr8k_Dataset")
TEXTS = ("Flickr8k_text.zip", "Flickr8k_text", "Flickr_TextData")
TOKENS = "Flickr8k.token.txt"
LISTS = {split: name for name, split in OFFICIAL_LISTS.items()}
# Kaggle's table: where it stands beside photos, they are Kaggle's
KAGGLE_CAPTIONS = "captions.txt"
# folders in which a widely copied layout has Kaggle's photos and the text files
COPIES = ("", "Flickr_Data/", "Flickr_Data/Flickr_Data/")


def find(place: Place) -> list[str] | None:
    root = place.root
    for copy in COPIES:
        photos = [name for name in PHOTOS if (root / copy / name).exists()]
        images = images_folder(root / copy)
        if images and not (root / copy / KAGGLE_CAPTIONS).is_file():
            photos.append(images)
        texts = [[name] for name in TEXTS if (root / copy / name).exists()]
        loose = [TOKENS, *LISTS.values()]
        if all((root / copy / name).is_file() for name in loose):
            texts.append(loose)
        if photos and texts:
            return [f"{copy}{name}" for name in (photos[0], *texts[0])]
    return None


def read(place: Place, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Flickr8k as its authors published it: photos, ``name#0..4<TAB>caption`` and three lists."""
    root = place.root
    files, litter = open_files(root, paths)
    findings.note(Note.LITTER, litter)
    folders = ("Flicker8k_Dataset", "Flickr8k_Dataset", "images")
    images = next(filter(None, (in_folder(files, folder) for folder in folders)), {})
    captions = token_captions(*text_of(files, TOKENS, root), findings)
    return paired(images, captions, official_split(files, root), findings, named_in="lists")


def texts_at(root: Path) -> list[str]:
    """Where the text files lie below ``root``, packed or not."""
    return [f"{copy}{name}" for copy in COPIES for name in TEXTS if (root / copy / name).exists()]


def official_split(files: dict[str, Read], root: Path) -> dict[str, str]:
    """Image -> split from Flickr8k's three lists."""
    split_of: dict[str, str] = {}
    for split, name in LISTS.items():
        text, where = text_of(files, name, root)
        for image in filter(None, map(str.strip, text.split("\n"))):
            if split_of.setdefault(image, split) != split:
                raise BadInput(
                    where,
                    f"{image:.80}, which is in {split_of[image]}, too",
                    "each image in one split",
                    "take it out of one of the lists",
                )
    return split_of


def present(home: dict[str, Any], raw: Path) -> list[str] | None:
    whole = (_is_archive(raw / name, md5) for name, md5 in home["md5"].items())
    return list(home["md5"]) if all(whole) else None


def fetch(home: dict[str, Any], raw: Path) -> list[str]:
    """Download the release archives that are not in ``raw`` yet."""
    for name, md5 in home["md5"].items():
        if not _is_archive(raw / name, md5):
            web.fetch(f"{home['url'].rstrip('/')}/{name}", raw / name, md5)
    return list(home["md5"])


def _is_archive(path: Path, md5: str) -> bool:
    return path.is_file() and digest_of_file(path, "md5") == md5


SOURCE = Source(
    kinds=("flickr8k", "folder"),
    called="Flickr8k's archives",
    expected=f"{' and '.join((PHOTOS[0], TEXTS[0]))}, or both unpacked",
    split=f"the three lists of {TEXTS[0]}",
    find=find,
    read=read,
    split_files=tuple(LISTS.values()),
    has_official_split=lambda place, paths: True,
    claims=True,
    home=Home("github", present, fetch),
)
