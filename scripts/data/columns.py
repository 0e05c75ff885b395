"""Which column of a table, or key of a record, holds the image, its captions, split and language.

All usual names stand here and nowhere else. Where they leave a doubt, ``columns:`` in the config
decides, and a message says so.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.job import BadInput

# without what is between words; the first of these groups that a table has is taken
IMAGES: tuple[tuple[str, ...], ...] = (
    (
        *("image", "images", "img", "imagename", "imgname", "imagefile", "imagefilename"),
        *("imgfile", "imagepath", "imgpath", "file", "filename", "filepath", "path"),
        *("relativepath", "photo", "photoname", "picture", "picturename"),
    ),
    ("imageid", "imgid", "imagekey", "photoid", "pictureid"),
    ("url", "imageurl", "imgurl", "cocourl", "flickrurl"),
    ("id", "key", "name"),
)
# as Hugging Face calls it
FILE_NAME = "file_name"
CAPTIONS = (
    *("caption", "captions", "text", "texts", "title", "comment", "comments", "sentence"),
    *("sentences", "raw", "description", "descriptions", "alttext", "txt", "captiontext"),
)
SPLIT = ("split", "subset", "partition", "set", "datasetsplit")
LANGUAGE = ("language", "lang", "locale")
NUMBERED = re.compile(rf"({'|'.join(CAPTIONS)})([0-9]+)")
# a number of thousands of digits is none that a table would have, nor one that Python reads
MOST_DIGITS = 9
# of an object in a list of captions
IN_OBJECTS = ("raw", "caption", "text", "sentence")
NAMES_OF_SPLITS = {
    **{name: "train" for name in ("train", "training", "restval", "trn")},
    **{name: "val" for name in ("val", "valid", "validation", "dev", "devel", "development")},
    **{name: "test" for name in ("test", "testing", "tst")},
}
SPLIT_IN_NAME = re.compile(
    r"(?<![a-z])(train|training|val|valid|validation|dev|test|testing)(?:20\d\d)?(?![a-z0-9])"
)
# a list written in one cell has so many characters at most
LONGEST_LIST = 100_000

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Columns:
    """The columns that are read, and the names of the others."""

    image: str
    captions: Sequence[str]
    split: str | None
    language: str | None
    others: Sequence[str]


def plain(name: str) -> str:
    """A column's name without case and without what is between its words."""
    return re.sub(r"[\W_]+", "", name.casefold())


def columns_of(
    names: Sequence[str], options: Mapping[str, Any], where: str, image: str | None = None
) -> Columns:
    """Which of a table's columns are read.

    Parameters
    ----------
    names : of the columns, as they are written
    options : of the dataset's entry in the config; ``columns`` and ``language`` are looked at
    where : how to call the table in a message
    image : the column of images, where it is known

    Raises ``BadInput`` where there is none for the image or the caption, or more than one.
    """
    said = options.get("columns") or {}
    for column in _said_columns(said):
        if column not in names:
            raise BadInput(
                where,
                f"the columns {_listed(names)}",
                f"{column!r}, as the config's columns say",
                "correct columns in the dataset's entry of the config",
            )
    forms = {name: plain(name) for name in names}
    image = said.get("image") or image or _image_of(forms, where)
    rest = {name: form for name, form in forms.items() if name != image}
    language = said.get("language") or _only(rest, LANGUAGE, "language", where)
    split = said.get("split") or _only(rest, SPLIT, "split", where)
    captions = said.get("caption")
    if captions is None:
        left = {name: form for name, form in rest.items() if name not in (language, split)}
        captions = _captions_of(left, names, options.get("language"), where)
    elif isinstance(captions, str):
        captions = [captions]
    read = {image, *captions, split, language}
    return Columns(image, captions, split, language, [n for n in names if n not in read])


def _said_columns(said: Mapping[str, Any]) -> list[str]:
    values = ([value] if isinstance(value, str) else value for value in said.values())
    return [column for columns in values for column in columns]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{name:.60}" for name in list(names)[:20]) or "(none)"


def _image_of(forms: dict[str, str], where: str) -> str:
    for group in IMAGES:
        found = [name for name, form in forms.items() if form in group]
        # whatever else is called an image may be the picture itself, where a table was read from
        found = [name for name in found if name == FILE_NAME] or found
        if len(found) > 1:
            raise _doubt(found, "image", where)
        if found:
            return found[0]
    raise _none(forms, "image", where)


def _only(forms: dict[str, str], usual: tuple[str, ...], what: str, where: str) -> str | None:
    found = [name for name, form in forms.items() if form in usual]
    if len(found) > 1:
        raise _doubt(found, what, where)
    return found[0] if found else None


def _captions_of(
    forms: dict[str, str], names: Sequence[str], language: str | None, where: str
) -> list[str]:
    """The column of captions, the numbered ones, or those that a language is said of."""
    if language:
        of_language = [n for n, form in forms.items() if form in with_language(language)]
        if len(of_language) > 1:
            raise _doubt(of_language, "caption", where)
        if of_language:
            return of_language
    found = [name for name, form in forms.items() if form in CAPTIONS]
    numbered: dict[str, dict[int, str]] = {}
    for name, form in forms.items():
        if match := NUMBERED.fullmatch(form):
            if len(match[2]) > MOST_DIGITS:
                todo = "rename the column"
                raise BadInput(where, f"the columns {_listed(names)}", "caption_0, ...", todo)
            same = numbered.setdefault(match[1], {})
            if int(match[2]) in same:
                raise _doubt([same[int(match[2])], name], "caption", where)
            same[int(match[2])] = name
    sets = [[name] for name in found] + [
        [same[number] for number in sorted(same)] for same in numbered.values()
    ]
    if len(sets) > 1:
        raise _doubt([one[0] for one in sets], "caption", where)
    if not sets:
        told = [name for name, form in forms.items() if any(map(form.startswith, CAPTIONS))]
        raise _none(
            forms, "caption", where, f" or language, if {told[0]} is of one" if told else ""
        )
    return sets[0]


def with_language(language: str) -> set[str]:
    """What a column of captions of one language may be called, in plain form."""
    own = plain(language)
    return {own, *(f"{one}{own}" for one in CAPTIONS), *(f"{own}{one}" for one in CAPTIONS)}


def _doubt(names: Sequence[str], what: str, where: str) -> BadInput:
    return BadInput(
        where,
        f"the columns {' and '.join(f'{name:.60}' for name in names[:5])}, each of which may be "
        f"the {what}",
        f"one column for the {what}",
        f"say which in the dataset's entry of the config, as columns: {{{what}: {names[0]:.60}}}",
    )


def _none(names: Iterable[str], what: str, where: str, more: str = "") -> BadInput:
    return BadInput(
        where,
        f"the columns {_listed(names)}, none of which is known to be the {what}",
        f"a column for the {what}",
        f"say which in the dataset's entry of the config, as columns: {{{what}: ...}}{more}",
    )


def split_named(value: object) -> str | None:
    """The split that a cell names; None for what is none."""
    return NAMES_OF_SPLITS.get(str(value).strip().casefold())


def split_of_name(path: str) -> str | None:
    """The split that a path tells, by the last of its parts that tells just one."""
    for part in reversed(path.casefold().split("/")):
        found = {NAMES_OF_SPLITS[one] for one in SPLIT_IN_NAME.findall(part)}
        if len(found) == 1:
            return found.pop()
    return None


def texts_of(value: object, where: str) -> list[str]:
    """The captions that a cell or a value holds: one, or a list of them.

    ``BadInput`` for what is no text.
    """
    if isinstance(value, str):
        value = _as_list(value)
    if value is None:
        return [""]
    values = value if isinstance(value, list | tuple) else [value]
    texts = [_text_in(one) for one in values]
    if None in texts:
        raise BadInput(where, f"captions: {value!r:.80}", "a list of strings", "correct the record")
    # JSON can write half of a character, as \ud83d, which no UTF-8 file can hold
    broken = [text for text in texts if text and re.search("[\ud800-\udfff]", text)]
    if broken:
        raise BadInput(
            where,
            f"half of a character in {broken[0]!r:.80}",
            "whole characters",
            "write the character itself",
        )
    return [text for text in texts if text is not None]


def _text_in(value: object) -> str | None:
    if isinstance(value, dict):
        found = [value[key] for key in IN_OBJECTS if isinstance(value.get(key), str)]
        return found[0] if found else None
    return "" if value is None else value if isinstance(value, str) else None


def _as_list(cell: str) -> str | list[str]:
    """A list that was written in a cell, as JSON or as Python writes it; or the cell."""
    text = cell.strip()
    if not (text.startswith("[") and text.endswith("]")) or len(text) > LONGEST_LIST:
        return cell
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list) and all(isinstance(one, str) for one in found):
            return found
    return cell
