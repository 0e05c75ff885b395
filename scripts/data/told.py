"""What files of captions say, brought together with the pictures that stand there."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple

from scripts.data.audit import NO_IMAGE, Findings, Note
from scripts.data.caption_files import usable
from scripts.data.columns import (
    Columns,
    plain,
    split_named,
    split_of_name,
    texts_of,
    with_language,
)
from scripts.data.files import Read, is_archive
from scripts.data.names import SUFFIX, matched, stem_of
from scripts.data.place import Place, folder_of
from scripts.data.records import OWN_SPLIT, Record, paired
from scripts.data.rows import splits_of
from scripts.data.tables import Row
from scripts.job import BadInput

TWO_SPLITS = "take it out of one of them"
# Flickr8k's
OFFICIAL_LISTS = {
    "Flickr_8k.trainImages.txt": "train",
    "Flickr_8k.devImages.txt": "val",
    "Flickr_8k.testImages.txt": "test",
}
SUFFIX_OF_TEXT = re.compile(r"\.[a-z]+$", re.IGNORECASE)
# lines of a list of names by which it is told
LOOKED_AT = 20


@dataclass
class Told:
    """Captions and splits by the image's name, as they are written; and what was left out.

    Attributes
    ----------
    captions : image -> captions; images are in the order in which they were told
    split_of : image -> split, "none" where its own is no split; of those of which one is told
    parts : image -> its split as it is written: of COCO, restval lies elsewhere than train
    by_files : whether the names of the files that tell the captions tell the splits
    beside : what was not read -> how often
    """

    findings: Findings
    captions: dict[str, list[str]] = field(default_factory=dict)
    split_of: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    by_files: bool = False
    beside: dict[Note, Counter[str]] = field(default_factory=dict)

    def add(self, image: str, captions: Iterable[str], where: str, split: object = None) -> None:
        """Take captions of an image, beside those that it has already."""
        self.captions.setdefault(image, []).extend(captions)
        # an empty cell names none
        if split is not None and str(split).strip():
            known = split_named(split)
            if known is None:
                self.pass_over(Note.OTHER_SPLITS, f"{split!s:.80}")
            before = self.split_of.setdefault(image, known or "none")
            self.parts.setdefault(image, str(split))
            if before != (known or "none"):
                raise BadInput(
                    where,
                    f"{image:.80} in {known or split}, which is in {before}, too",
                    "each image in one split",
                    TWO_SPLITS,
                )

    def pass_over(self, what: Note, item: str, times: int = 1) -> None:
        """Count what is not read."""
        self.beside.setdefault(what, Counter())[item] += times

    def add_rows(self, rows: Iterable[Row], columns: Columns, language: str | None) -> None:
        """Take the rows of a table, those of one language alone where it is said."""
        self._note_others(columns)
        languages: set[str] = set()
        # a column of the language, or in each row
        told_of = bool(language and set(map(plain, columns.captions)) & with_language(language))
        for row in rows:
            if columns.language is not None:
                own = str(row.values.get(columns.language) or "").strip()
                if language and own.casefold() != language.casefold():
                    self.pass_over(Note.OTHER_LANGUAGES, own or "of none")
                    continue
                languages.add(own)
                if len(languages) > 1:
                    told = " and ".join(sorted(languages))
                    raise BadInput(
                        row.where,
                        f"captions of the languages {told}",
                        "captions of one language",
                        f"say which in the config, as language: {own or min(languages - {''})}",
                    )
            image = image_named(row.values.get(columns.image), row.where)
            if not image:
                self.findings.captions_found += 1
                self.findings.set_aside(row.where, NO_IMAGE, "a row that names no image")
                continue
            split = row.values.get(columns.split) if columns.split else None
            if row.short:
                self.pass_over(Note.SHORT_ROWS, row.where)
            told_of |= columns.language is not None
            values = [row.values.get(name) for name in columns.captions]
            told_of |= any(is_by_language(value, language) for value in values)
            values = [in_language(value, language) for value in values]
            whole = len(values) > 1 or isinstance(values[0], list)
            if whole and image in self.captions:
                raise BadInput(
                    f"{row.where} ({image:.80})",
                    "an image that stands in the file before",
                    "each image once, or once for each of its captions",
                    "put all captions of the image into one record",
                )
            texts = [text for value in values for text in texts_of(value, row.where)]
            self.add(image, texts, row.where, split)
        if language and not told_of:
            others = sorted(self.beside.get(Note.OTHER_LANGUAGES, {}))
            raise _no_language(language, ", ".join(others) or "no language that is told")

    def _note_others(self, columns: Columns) -> None:
        for name in columns.others:
            items = self.beside.setdefault(Note.OTHER_COLUMNS, Counter())
            items[name or "(without a name)"] = 1

    def note_beside(self) -> None:
        """Tell what was not read."""
        for what, items in self.beside.items():
            told = (f"{item} ({count:,})" if count > 1 else item for item, count in items.items())
            self.findings.note(what, told)


def _no_language(language: str, there: str) -> BadInput:
    return BadInput(
        f"language: {language}",
        f"captions of {there}",
        f"captions of {language}",
        "write the language in the config as it is written there, or take it out",
    )


def image_named(value: object, where: str) -> str:
    """The name of an image that a cell holds; "" for none."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadInput(where, f"image: {value!r:.80}", "a file name", "correct the record")
    # a name may begin with a space, and is none where there is nothing else
    return str(value) if str(value).strip() else ""


def is_by_language(value: Any, language: str | None) -> bool:
    """Whether a value holds captions by their languages, this one among them."""
    return isinstance(value, dict) and language in value


def in_language(value: Any, language: str | None) -> Any:
    """Of captions by language, those of one; anything else as it is.

    As XM3600 has them: ``{"caption": [...], "caption/tokenized": [...]}`` below each language.
    """
    if is_by_language(value, language):
        value = value[language]
    if isinstance(value, dict) and isinstance(value.get("caption"), list):
        return value["caption"]
    return value


def two_splits(place: Place) -> BadInput:
    """What to say where captions have a split, and another stands beside them."""
    return BadInput(
        place.root,
        "a split beside the captions, and one within them",
        "one split",
        "take away the file, or the column, that is not meant",
    )


class Pictures(NamedTuple):
    """The pictures of a dataset.

    Attributes
    ----------
    files : name -> bytes
    base : the folder that the names begin in, with a slash behind it; "" for the root
    named : whether they keep these names, as someone chose the folder for them
    """

    files: Mapping[str, Read]
    base: str = ""
    named: bool = False


def records_of(
    place: Place,
    told: Told,
    pictures: Pictures,
    captions_in: Iterable[str] = (),
    by_folders: bool = False,
) -> tuple[int, list[Record]]:
    """Records of what was told; findings of everything else.

    Parameters
    ----------
    place : where the pictures are
    told : captions, and perhaps splits
    pictures : all that may have captions
    captions_in : files that tell the captions; names are looked for beside them
    by_folders : whether the pictures' folders tell the split where nothing else does
    """
    findings = told.findings
    findings.note(Note.LITTER, place.litter)
    captions, names = _resolved(told.captions, pictures, captions_in)
    _leave_out_absent(
        captions, {names[n]: part for n, part in told.parts.items()}, pictures, findings
    )
    captions = {name: usable(name, texts, findings) for name, texts in captions.items()}
    split_of = {names[name]: split for name, split in told.split_of.items()} or None
    split_of = split_of and {name: split for name, split in split_of.items() if name in captions}
    if split_of and told.by_files:
        split_of = split_by_names(split_of, findings)
    beside = split_beside(place)
    if split_of and beside is not None:
        raise two_splits(place)
    split_of = split_of or beside
    if split_of is None and by_folders:
        folders = {name: folder_of(f"{pictures.base}{name}")[:-1] for name in pictures.files}
        of_names = {name: split_of_name(folder) for name, folder in folders.items()}
        split_of = split_by_names({n: split for n, split in of_names.items() if split}, findings)
    told.note_beside()
    twice = (f"{name}: {text}" for name, own in captions.items() for text in _twice(own))
    findings.note(Note.TWICE, twice)
    total, records = paired(dict(pictures.files), captions, split_of, findings)
    return total, records if pictures.named else called(records)


def paths_of(
    place: Place, captions_in: Iterable[str], pictures: Pictures | None = None
) -> list[str]:
    """Paths below the root of all that makes up a dataset."""
    images = (f"{pictures.base}{name}" for name in pictures.files) if pictures else ()
    tops = place.tops([*captions_in, *place.once(split_lists), *images])
    # it is read there and nowhere else
    return [*([OWN_SPLIT] if OWN_SPLIT in place.files and OWN_SPLIT not in tops else []), *tops]


def _twice(texts: list[str]) -> list[str]:
    return [text for text, times in Counter(texts).items() if times > 1]


def pictures_of(place: Place, captions_in: Iterable[str]) -> Pictures:
    """All pictures that captions may name.

    They are the files of the folder that the config says; else of the folder "images", where there
    is one alone that lies least deep; else whatever has the suffix of a picture.
    """
    taken = set(captions_in)
    files = {name: read for name, read in place.files.items() if name not in taken}
    said = place.entry.get("images")
    if said:
        folder = "" if said in (".", "./") else f"{said.removeprefix('./').rstrip('/')}/"
        below = _below(files, folder)
        if not below:
            raise BadInput(
                place.root / said,
                "no picture there",
                "a folder or an archive with pictures",
                "correct images in the dataset's entry of the config",
            )
        # in a folder that one says, all are pictures, whatever they are called
        return Pictures(_with_suffix(below) or below, folder, named=True)
    folders = {folder for name in files if (folder := _images_folder(name))}
    least = min((folder.count("/") for folder in folders), default=0)
    first, *others = [folder for folder in folders if folder.count("/") == least] or [""]
    if first and not others:
        return Pictures(_below(files, first), first, named=True)
    pictures = _with_suffix(files)
    folder = common_folder(pictures)
    return Pictures(_below(pictures, folder), folder)


def _with_suffix(files: Mapping[str, Read]) -> dict[str, Read]:
    return {name: read for name, read in files.items() if SUFFIX.search(name)}


def _images_folder(name: str) -> str:
    """The path down to the first folder "images", in whatever case; "" where there is none."""
    parts = name.split("/")[:-1]
    depth = next((at for at, part in enumerate(parts, 1) if part.casefold() == "images"), 0)
    return "".join(f"{part}/" for part in parts[:depth])


def _below(files: Mapping[str, Read], folder: str) -> dict[str, Read]:
    start = len(folder)
    return {name[start:]: read for name, read in files.items() if name.startswith(folder)}


def common_folder(names: Iterable[str]) -> str:
    """The deepest folder in which all of ``names`` lie, with a slash behind it."""
    folders = {folder_of(name) for name in names}
    return folder_of(posixpath.commonprefix([*folders])) if folders else ""


def _resolved(
    captions: dict[str, list[str]], pictures: Pictures, captions_in: Iterable[str]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Captions by the picture, where the name is its path from a folder that is meant.

    That are the folders of the files of captions, and the root. Also name -> the picture.
    """
    folders = dict.fromkeys([*map(folder_of, captions_in), ""])
    found: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for name, texts in captions.items():
        ways = (posixpath.normpath(f"{folder}{name}") for folder in folders if name)
        below = (way.removeprefix(pictures.base) for way in ways if way.startswith(pictures.base))
        image = name
        if name not in pictures.files:
            image = next((way for way in below if way in pictures.files), name)
        # two names of one picture: the second is left to whoever tells that
        image = name if image in found else image
        found[image], names[name] = texts, image
    return found, names


def _leave_out_absent(
    captions: dict[str, list[str]], parts: dict[str, str], pictures: Pictures, findings: Findings
) -> None:
    """Take away what is told of parts of which no picture is there, and note them.

    Who looks at a benchmark's test images need not have those of train.
    """
    found, _ = matched(captions, pictures.files)
    there = {parts.get(name) for name in found}
    absent = Counter(part for part in parts.values() if part not in there)
    if not any(map(split_named, there)):
        return
    note = Note.SPLIT_WITHOUT_IMAGES
    findings.note(note, (f"{part} ({count:,} images)" for part, count in absent.items()))
    for name in [name for name in captions if parts.get(name) in absent]:
        del captions[name]


def split_beside(place: Place) -> dict[str, str] | None:
    """Picture -> split from the ``splits.json``, or from the lists, that stand beside them."""
    own, lists = own_split_file(place), place.once(split_lists)
    if own and lists:
        raise BadInput(
            place.root,
            f"{own} and {' and '.join(lists)}",
            "one split",
            "take away what is not meant",
        )
    if own:
        splits = splits_of(place.json(own), place.where(own))
        return {image: split for split, images in splits.items() for image in images}
    if not lists:
        return None
    split_of: dict[str, str] = {}
    for name, split in lists.items():
        for image in filter(None, map(str.strip, place.text(name).split("\n"))):
            if split_of.setdefault(image, split) != split:
                raise BadInput(
                    place.where(name),
                    f"{image:.80}, which is in {split_of[image]}, too",
                    "each image in one split",
                    "take it out of one of the lists",
                )
    return split_of


def own_split_file(place: Place) -> str | None:
    """The ``splits.json`` of the folder in which all lies, or of one that this lies in."""
    parts = common_folder(place.files).split("/")
    folders = ("/".join([*parts[:depth], ""]) for depth in reversed(range(len(parts))))
    return next((own for folder in folders if (own := f"{folder}{OWN_SPLIT}") in place.files), None)


def split_lists(place: Place) -> dict[str, str]:
    """Files that list the images of a split, a name a line -> the split that they are called by."""
    pictures = {SUFFIX.sub("", name) for name in place.files if SUFFIX.search(name)}
    stems: set[str] = set()
    found: dict[str, str] = {}
    for name in place.files:
        *_, file = name.split("/")
        stem = SUFFIX_OF_TEXT.sub("", file)
        split = OFFICIAL_LISTS.get(file) or split_of_name(stem)
        of_picture = f"{folder_of(name)}{stem}" in pictures
        if split is None or of_picture or not file.lower().endswith(".txt"):
            continue
        stems = stems or set(map(stem_of, pictures))
        lines = filter(None, map(str.strip, place.text(name).split("\n")))
        first = [stem_of(line) for line in islice(lines, LOOKED_AT)]
        if first and all(stem in stems for stem in first):
            found[name] = split
    return found


def split_by_names(told: Mapping[str, str], findings: Findings) -> dict[str, str] | None:
    """The splits that names tell, of those of which any does; None where they tell none.

    A train or val alone is none: there is nothing beside it that it could be told from.
    """
    if len(set(told.values())) == 1 and "test" not in told.values():
        findings.note(Note.ONE_SPLIT, set(told.values()))
        return None
    return dict(told) or None


def called(records: list[Record]) -> list[Record]:
    """The same, with names that do not depend on where a layout puts its pictures.

    A name begins below the folder that all are in; folders that tell a split, and archives, are no
    part of it, unless two pictures would then be called the same.
    """
    base = len(common_folder(record.image for record in records))
    names = [record.image[base:] for record in records]
    short = ["/".join(_parts(name)) for name in names]
    times = Counter(short)
    return sorted(
        (
            replace(record, image=new if times[new] == 1 else name)
            for record, name, new in zip(records, names, short, strict=True)
        ),
        key=lambda record: record.image,
    )


def _parts(name: str) -> Iterator[str]:
    *folders, file = name.split("/")
    yield from (part for part in folders if split_of_name(part) is None and not is_archive(part))
    yield file
