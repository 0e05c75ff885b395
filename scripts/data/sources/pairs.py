"""Pairs of files: ``x.jpg`` and ``x.txt`` with a caption a line, in one folder or in two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scripts.data.audit import NO_IMAGE, Findings
from scripts.data.columns import columns_of, texts_of
from scripts.data.kinds import BESIDE, in_tar, kinds, shards
from scripts.data.names import SUFFIX
from scripts.data.place import Place
from scripts.data.records import OWN_SPLIT, Record
from scripts.data.sources.archives import LISTS
from scripts.data.sources.face import Source
from scripts.data.told import (
    Told,
    common_folder,
    in_language,
    paths_of,
    pictures_of,
    records_of,
    split_lists,
)
from scripts.job import BadInput

# a caption of one picture, and no book
MOST = 2**20
EXPECTED = "captions, one a line in .txt, or as caption, captions or text in .json"


def find(place: Place) -> list[str] | None:
    texts, pictures = _texts(place), {SUFFIX.sub("", name) for name in place.files}
    both = sum(stem in pictures for stem in texts)
    if not both:
        both = len(_in_two_folders(place, texts))
    if not both or 2 * both < len(texts):
        return None
    files = [name for own in texts.values() for name in own.values()]
    return paths_of(place, files, pictures_of(place, files))


def _texts(place: Place) -> dict[str, dict[str, str]]:
    """Path without suffix -> the suffix and the file of what may hold the captions of a picture."""
    others = {*place.once(kinds).of, *place.once(split_lists), OWN_SPLIT}
    packed = place.once(shards)
    found: dict[str, dict[str, str]] = {}
    for name in place.files:
        free = name not in others and in_tar(name) not in packed and not place.is_claimed(name)
        if free and name.lower().endswith(BESIDE):
            stem, _, suffix = name.rpartition(".")
            found.setdefault(stem, {})[suffix.lower()] = name
    return found


def _in_two_folders(
    place: Place, texts: Mapping[str, Mapping[str, str]]
) -> dict[str, Mapping[str, str]]:
    """Picture -> its texts, where they are called the same below a folder of their own."""
    files = [name for own in texts.values() for name in own.values()]
    pictures = pictures_of(place, files)
    base = len(common_folder(files))
    below = {stem[base:]: own for stem, own in texts.items()}
    names = {name: below.get(SUFFIX.sub("", name)) for name in pictures.files}
    return {name: own for name, own in names.items() if own}


def read(place: Place, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """A picture has the captions of the text of its name; folders tell the split."""
    texts, told = _texts(place), Told(findings)
    files = [name for own in texts.values() for name in own.values()]
    pictures = pictures_of(place, files)
    stems: dict[str, str] = {}
    for name in pictures.files:
        stem = SUFFIX.sub("", f"{pictures.base}{name}")
        first = stems.setdefault(stem, name)
        if first != name and stem in texts:
            raise BadInput(
                place.where(stem),
                f"{first} and {name}, which one text may be of",
                "one picture for each text",
                "take away the one that is not meant, or say the folder of the pictures in the "
                "dataset's entry of the config, as images: ...",
            )
    called = {id(own): stems.get(stem, stem) for stem, own in texts.items()}
    if not stems.keys() & texts.keys():
        called |= {id(own): name for name, own in _in_two_folders(place, texts).items()}
    for own in texts.values():
        name = called[id(own)]
        if name in pictures.files:
            told.add(name, *captions_beside(place, own))
        # JSON without a picture may be of anything
        elif texts_alone := [file for end, file in own.items() if not end.endswith("json")]:
            findings.set_aside(name, NO_IMAGE, f"of {' and '.join(texts_alone)}")
    return records_of(place, told, pictures, by_folders=True)


def captions_beside(place: Place, files: Mapping[str, str]) -> tuple[list[str], str]:
    """Captions of one picture from the files of its name, by their suffixes; and where they stand.

    A text holds one a line; where there is none, JSON has them under one of the usual keys.
    """
    texts = [name for suffix, name in files.items() if not suffix.endswith("json")]
    if len(texts) > 1:
        raise BadInput(
            place.where(texts[0]),
            f"{' and '.join(texts)}, each of which may hold the captions",
            "one text for each picture",
            "take away the one that is not meant",
        )
    if texts:
        lines = place.text(texts[0], MOST).split("\n")
        return [line for line in map(str.strip, lines) if line] or [""], place.where(texts[0])
    (name,) = files.values()
    value, where = place.json(name), place.where(name)
    if isinstance(value, dict):
        options = place.options
        # the picture is the one of this name
        columns = columns_of([*value, IMAGE], options, where, image=IMAGE)
        values = [in_language(value[one], options.get("language")) for one in columns.captions]
        return [text for one in values for text in texts_of(one, where)], where
    if isinstance(value, list):
        return texts_of(value, where), where
    raise BadInput(where, f"{value!r:.80}", EXPECTED, "correct the file")


IMAGE = "\0image"
SOURCE = Source(
    called="pictures with texts of their names",
    expected="pictures, each with a text of its name (x.jpg and x.txt, a caption a line)",
    split="folders called train, val and test, or splits.json or lists",
    find=find,
    read=read,
    split_files=(OWN_SPLIT, *LISTS.values()),
)
