"""Tables as a hub has them: bytes of images, captions in columns, a file or more a split."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import Any

from scripts.data import hub
from scripts.data.audit import MISSING, NO_CAPTION, OVERSIZED, Findings, Note
from scripts.data.caption_files import usable
from scripts.data.columns import IMAGES, NUMBERED, Columns, plain, split_of_name
from scripts.data.files import MAX_BYTES, is_litter, why_unsafe
from scripts.data.kinds import files_of
from scripts.data.names import SUFFIX, matched
from scripts.data.parquet_files import (
    check_sizes,
    columns_in,
    has_pictures,
    is_text,
    open_table,
    other_columns,
    rows_in,
)
from scripts.data.place import Place
from scripts.data.records import OWN_SPLIT, Record
from scripts.data.sources.face import Home, Source
from scripts.data.tables import Row
from scripts.data.told import (
    OFFICIAL_LISTS,
    Told,
    paths_of,
    split_beside,
    split_by_names,
    two_splits,
)
from scripts.job import BadInput

ENDING = ".parquet"
PATTERNS, LISTING = [f"*{ENDING}"], "huggingface.json"
# what stands for the image and the split of a row, whatever its columns are called
IMAGE, SPLIT = "\0image", "\0split"
# parts of a split that are told as missing
SHOWN = 5
# by the bytes that a file of this kind begins with; parquet keeps no file names
SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}


def find(place: Place) -> list[str] | None:
    if place.entry.get("source") != "flickr8k":
        files = files_of(place, "parquet")
        return paths_of(place, files) if files else None
    below = [*place.root.iterdir(), *(place.root.glob("data/*"))]
    tables = [one for one in below if one.suffix.lower() == ENDING and not is_litter(one.name)]
    return sorted(path.relative_to(place.root).as_posix() for path in tables) or None


@dataclass(frozen=True)
class _Shard:
    """One file.

    Attributes
    ----------
    name, columns : of it
    names : the column of file names, or the part of the images that has them; None for none
    split : that its name tells
    first : number of its first row among those of its split
    """

    name: str
    columns: Columns
    names: str | None
    split: str | None
    first: int


def read(place: Place, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Pictures as bytes, captions in columns or lists; a column or file names tell the split."""
    alone = all(path.lower().endswith(ENDING) for path in paths)
    shards = _shards(place, paths if alone else files_of(place, "parquet"), findings)
    total = sum(open_table(place, shard.name).metadata.num_rows for shard in shards)
    return total, _records(place, shards, findings)


def present(home: dict[str, Any], raw: Path) -> list[str] | None:
    return hub.present({**home, "files": PATTERNS}, raw, raw / LISTING)


def fetch(home: dict[str, Any], raw: Path) -> list[str]:
    """Download the tables of a dataset repository."""
    return hub.fetch({**home, "files": PATTERNS}, raw, raw / LISTING)


def _shards(place: Place, files: list[str], findings: Findings) -> list[_Shard]:
    of_language = [name for name in files if _is_of_language(place, name)]
    if of_language:
        others = [name for name in files if name not in of_language]
        findings.note(Note.OTHER_LANGUAGES_FILES, others)
        files = of_language
    columns = {name: columns_in(place, name) for name in files}
    for name in files:
        if not has_pictures(place, name, columns[name]):
            raise other_columns(place, name)
        check_sizes(place, name, columns[name], pictures=True)
    told: dict[str, str] = {}
    if not any(own.split for own in columns.values()):
        told = {name: split for name in files if (split := split_of_name(name))}
    for split in dict.fromkeys(["", *told.values()]):
        _check_parts(place, split, [name for name in files if told.get(name, "") == split])
    split_of = split_by_names(told, findings) or {}
    for name in files:
        if split_of and name not in split_of:
            raise BadInput(
                place.where(name),
                "a name that tells no split",
                "train-*.parquet, validation-*.parquet and test-*.parquet",
                "rename it",
            )
    counts: Counter[str | None] = Counter()
    shards = []
    for name, own in columns.items():
        split = split_of.get(name)
        shards.append(_Shard(name, own, _names_in(place, name, own), split, counts[split]))
        counts[split] += open_table(place, name).metadata.num_rows
    return shards


def _is_of_language(place: Place, name: str) -> bool:
    """Whether a file is called by the language that the config says."""
    language = place.options.get("language")
    start = rf"{re.escape(language or '')}(?![a-z0-9])"
    return bool(language and re.match(start, name.split("/")[-1], re.IGNORECASE))


def _names_in(place: Place, name: str, columns: Columns) -> str | None:
    """The column that has the names of the images' files."""
    kind = open_table(place, name).schema_arrow.field(columns.image).type
    parts = getattr(kind, "names", None) or [
        kind.field(at).name for at in range(getattr(kind, "num_fields", 0))
    ]
    if "path" in parts:
        return f"{columns.image}.path"
    for group in IMAGES:
        found = [other for other in columns.others if plain(other) in group]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _check_parts(place: Place, split: str, paths: list[str]) -> None:
    """``BadInput`` unless the tables of a split are, by their names, each there and there once."""
    of_split = f" of {split}" if split else ""
    expected = f"the tables{of_split}, each once; of those in parts, all parts of one set"
    todo = "get the parts that are missing, and take away what is of another set"
    names: dict[str, str] = {}
    parts: dict[tuple[str, str], set[int]] = {}
    for path in paths:
        name = path.split("/")[-1]
        numbers = re.search(r"(.*)-([0-9]+)-of-([0-9]+)(?=[-._])", name)
        stem, part, of = numbers.groups() if numbers else ("", name, "")
        stem = "" if split else stem
        # an export has a sum of its own after the number of the part
        called = f"{stem}part {part} of {of}" if of else name
        if called in names:
            raise BadInput(place.where(path), f"{called}, as {names[called]} is", expected, todo)
        names[called] = path
        parts.setdefault((stem, of), set()).add(int(part) if of else 0)
    if split and len(parts) > 1:
        raise BadInput(place.root, " and ".join(path for path in paths[:5]), expected, todo)
    for (stem, of), there in parts.items():
        lost = islice((n for n in range(int(of or 0)) if n not in there), SHOWN)
        missing = [f"{split or stem}-{n:0{len(of)}d}-of-{of}.parquet" for n in lost]
        beyond = of and max(there) >= int(of)
        if missing or beyond:
            found = f"{', '.join(paths[:SHOWN])}, and not {', '.join(missing)}"
            found = found if missing else f"part {max(there)} of {of}"
            raise BadInput(place.root, found, expected, todo)


def _keys(place: Place, shards: list[_Shard], findings: Findings) -> list[str]:
    """A name for the image of each row, in the order of the files: its file's, or a number."""
    names = [name for shard in shards for name in _names_of(place, shard)]
    unsafe = [name for name in names if name and why_unsafe(name)]
    findings.note(Note.NUMBERED, unsafe)
    alone = all(_is_alone(place, shard) for shard in shards)
    if not all(names) or unsafe:
        return [key for shard in shards for key in _numbers(place, shard, alone)]
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None and not alone:
        raise BadInput(
            place.root.absolute(),
            f"{twice:.80} in two rows that have all captions of an image",
            "an image in one row, or in one for each of its captions",
            "where files are of several languages, say which in the dataset's entry of the config, "
            "as language: ...; or take one of the rows out",
        )
    return names


def _names_of(place: Place, shard: _Shard) -> Iterator[str]:
    """What each row says of its image's file; "" for nothing."""
    if shard.names is None:
        yield from repeat("", open_table(place, shard.name).metadata.num_rows)
        return
    image = shard.columns.image
    for row in rows_in(place, shard.name, [shard.names]):
        value = (row[image] or {}).get("path") if image in row else row[shard.names]
        yield str(value or "").strip().replace("\\", "/").lstrip("/")


def _is_alone(place: Place, shard: _Shard) -> bool:
    """Whether each row has one caption, so that an image may stand in several."""
    first, *others = shard.columns.captions
    kind = open_table(place, shard.name).schema_arrow.field(first).type
    return not others and not NUMBERED.fullmatch(plain(first)) and is_text(kind)


def _numbers(place: Place, shard: _Shard, alone: bool) -> Iterator[str]:
    """A number for each row; where it has one caption, for each image by its bytes."""
    called: dict[bytes, str] = {}
    rows: Iterable[dict[str, Any]] = repeat({}, open_table(place, shard.name).metadata.num_rows)
    if alone:
        rows = rows_in(place, shard.name, [shard.columns.image], at_once=1)
    for number, row in enumerate(rows, start=shard.first):
        name = f"{shard.split or 'row'}-{number:05d}"
        content = _bytes(row.get(shard.columns.image))
        yield called.setdefault(hashlib.sha256(content).digest(), name) if content else name


def _bytes(image: dict[str, Any] | bytes | None) -> bytes | None:
    return image.get("bytes") if isinstance(image, dict) else image


def _records(place: Place, shards: list[_Shard], findings: Findings) -> Iterator[Record]:
    keys = _keys(place, shards, findings)
    told = Told(findings)
    left = iter(keys)
    for shard in shards:
        own = replace(shard.columns, image=IMAGE, split=shard.columns.split or SPLIT)
        language = place.options.get("language")
        language = None if _is_of_language(place, shard.name) else language
        told.add_rows(_rows(place, shard, left), own, language)
    told.note_beside()
    split_of = told.split_of or None
    beside = split_beside(place)
    if beside is not None:
        if split_of:
            raise two_splits(place)
        found, _ = matched(beside, told.captions)
        split_of = {found[name]: split for name, split in beside.items() if name in found}
        for name in beside.keys() - found.keys():
            lost = f"in the list of {beside[name]}, but not there"
            findings.set_aside(name, MISSING, lost, beside[name])
    shown = _shown(list(told.captions))
    done: set[str] = set()
    rows = (row for shard in shards for row in _images(place, shard))
    for key, image in zip(keys, rows, strict=True):
        if key in done or key not in told.captions:
            continue
        done.add(key)
        split = "" if split_of is None else split_of.get(key, "none")
        record = _record(shown[key], split, image, told.captions[key], findings)
        if record is not None:
            yield record


def _rows(place: Place, shard: _Shard, keys: Iterator[str]) -> Iterator[Row]:
    columns = shard.columns
    read = [*columns.captions, *filter(None, [columns.split, columns.language])]
    for number, row in enumerate(rows_in(place, shard.name, read)):
        split = {} if columns.split else {SPLIT: shard.split}
        yield Row({**row, **split, IMAGE: next(keys)}, f"{place.where(shard.name)}, row {number}")


def _images(place: Place, shard: _Shard) -> Iterator[dict[str, Any] | bytes | None]:
    # row by row: an image that stands in many, once in the file, unfolds in each
    for row in rows_in(place, shard.name, [shard.columns.image], at_once=1):
        yield row[shard.columns.image]


def _shown(keys: list[str]) -> dict[str, str]:
    """Key -> the name that its image gets: that of a file without its folders, where it can be."""
    times = Counter(key.split("/")[-1] for key in keys)
    return {key: last if times[last := key.split("/")[-1]] == 1 else key for key in keys}


def _record(
    name: str,
    split: str,
    image: dict[str, Any] | bytes | None,
    captions: list[str],
    findings: Findings,
) -> Record | None:
    content = _bytes(image)
    texts = usable(name, captions, findings)
    if not content:
        findings.set_aside(name, MISSING, "a row without an image", split)
        return None
    findings.images_found += 1
    if len(content) > MAX_BYTES:
        too_large = f"{len(content):,} bytes, more than {MAX_BYTES:,}"
        findings.set_aside(name, OVERSIZED, too_large, split)
        return None
    if not texts:
        findings.set_aside(name, NO_CAPTION, "an image without a caption")
        return None
    suffix = next((s for magic, s in SUFFIXES.items() if content.startswith(magic)), "")
    suffix = "" if SUFFIX.search(name) else suffix
    return Record(f"{name}{suffix}", texts, split, partial(bytes, content))


SOURCE = Source(
    kinds=("flickr8k", "folder"),
    called="parquet files",
    expected="parquet files of pictures and captions (train-*.parquet, validation-*.parquet and "
    "test-*.parquet), here or in data/",
    split="the names of the parquet files, a column split, or splits.json or lists",
    split_files=(OWN_SPLIT, *OFFICIAL_LISTS),
    find=find,
    read=read,
    has_official_split=lambda place, paths: place.entry.get("source") == "flickr8k",
    home=Home("huggingface", present, fetch, checked=True),
)
