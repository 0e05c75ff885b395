"""What each file is that may hold captions, told from what stands in it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from scripts.data import parquet_files
from scripts.data.columns import split_of_name
from scripts.data.files import MAX_BYTES
from scripts.data.json_records import table_of_json
from scripts.data.names import SUFFIX
from scripts.data.place import Place, folder_of
from scripts.data.records import OWN_SPLIT
from scripts.data.tables import LINES, Table, is_lines, table_of
from scripts.data.told import split_lists
from scripts.job import BadInput

# what a file of such a name is meant to be; whatever else may be called .txt
TABLES = (*LINES, ".csv", ".tsv", ".tab")
PARQUET = ".parquet"
MAY_HOLD = (*TABLES, PARQUET, ".json", ".txt", ".token")
METADATA = re.compile(r"(.*/)?metadata\.(csv|tsv|jsonl|parquet)", re.IGNORECASE)
TOKEN_LINE = re.compile(r"[^\t\r\n]+#[0-9]{1,9}\t|[^\s#]+#[^\s#]*#[0-9]{1,9}\s")
IN_TAR = re.compile(r"(.*?\.(?:tar\.gz|tgz|tar))/", re.IGNORECASE)
# what may stand beside a picture and belong to it, in a shard or out of it
BESIDE = (".txt", ".json", ".caption", ".text")
# more files that may hold captions are of something else
MANY = 200
# of these, many files make up one dataset
OF_MANY_FILES = ("imagefolder", "parquet")
CHOOSE = "say which in the dataset's entry of the config, as captions: {}"


@dataclass
class Kinds:
    """Files by what they are.

    Attributes
    ----------
    of : file -> "karpathy", "coco", "folder" (records in JSON), "table", "imagefolder", "tokens",
        or "parquet" (with pictures in it)
    doubts : why others are none of these, though they may have been meant so
    """

    of: dict[str, str] = field(default_factory=dict)
    doubts: list[BadInput] = field(default_factory=list)


def files_of(place: Place, kind: str) -> list[str]:
    """The files of one kind that no other source claimed, in the order of their names.

    Of several, each must tell another split by its name: ``BadInput`` where they do not.
    """
    found = place.once(kinds).of.items()
    files = [name for name, own in found if own == kind and not place.is_claimed(name)]
    splits = {split for name in files if (split := split_of_name(name.split("/")[-1]))}
    if len(files) > 1 and kind not in OF_MANY_FILES and len(splits) < len(files):
        raise BadInput(
            place.root.absolute(),
            f"{' and '.join(files[:5])}, each of which may hold the captions",
            "one file of captions, or one for each split, called so",
            CHOOSE.format(files[0]),
        )
    return files


def kinds(place: Place) -> Kinds:
    """What each file is; only those that the config names, where it names any."""
    found = Kinds()
    said = place.entry.get("captions")
    names = _said(place, [said] if isinstance(said, str) else said) if said else _possible(place)
    for name in names:
        try:
            kind = _kind(place, name, bool(said))
        except BadInput as error:
            if said:
                raise
            found.doubts.append(error)
            continue
        if kind:
            found.of[name] = kind
    return found


def _said(place: Place, said: list[str]) -> list[str]:
    names: list[str] = []
    for one in (name.removeprefix("./") for name in said):
        here = [name for name in place.files if name == one or name.endswith(f"/{one}")]
        if not here:
            raise BadInput(
                place.root / one,
                "no such file",
                "the file of captions that the config names",
                "correct captions in the dataset's entry of the config",
            )
        names += [one] if one in here else here
    return names


def _possible(place: Place) -> list[str]:
    """Files whose names do not say that they hold something else."""
    pictures = {SUFFIX.sub("", name) for name in place.files if SUFFIX.search(name)}
    packed = place.once(shards)
    # what a downloader notes of each shard stands beside it
    stems = {re.sub(r"\.(tar|tgz).*", "", name) for name in packed}
    lists = place.once(split_lists)
    found = []
    for name in place.files:
        stem = re.sub(r"\.[^./]*$", "", name)
        of_shard = stem in stems or stem.removesuffix("_stats") in stems or in_tar(name) in packed
        of_picture = stem in pictures and name.lower().endswith(BESIDE)
        of_split = name in lists or name.split("/")[-1] == OWN_SPLIT
        if name.lower().endswith(MAY_HOLD) and not (of_shard or of_picture or of_split):
            found.append(name)
    # so many in one folder are of a picture each
    texts = Counter(folder_of(name) for name in found if name.lower().endswith(BESIDE))
    found = [
        name
        for name in found
        if texts[folder_of(name)] <= MANY or not name.lower().endswith(BESIDE)
    ]
    if len(found) > MANY:
        raise BadInput(
            place.root.absolute(),
            f"{len(found):,} files that may hold captions, as {found[0]}",
            f"{MANY} at most",
            CHOOSE.format("path/of/the/file"),
        )
    return found


def in_tar(name: str) -> str | None:
    """The tar archive that a file is a member of."""
    match = IN_TAR.match(name)
    return match[1] if match else None


def shards(place: Place) -> set[str]:
    """Tar archives in which a picture and something of its name stand side by side."""
    pictures = {SUFFIX.sub("", name) for name in place.files if SUFFIX.search(name)}
    beside = (name for name in place.files if name.lower().endswith(BESIDE))
    own = (name for name in beside if re.sub(r"\.[^./]*$", "", name) in pictures)
    return {tar for name in own if (tar := in_tar(name))}


def _kind(place: Place, name: str, said: bool) -> str | None:
    """What a file is; None for what holds no captions, ``BadInput`` for what may, and does not."""
    metadata = METADATA.fullmatch(name) is not None
    if name.lower().endswith(PARQUET):
        columns = parquet_files.columns_in(place, name)
        pictures = parquet_files.has_pictures(place, name, columns)
        return "parquet" if pictures else "imagefolder" if metadata else "table"
    if name.lower().endswith(".json"):
        return _kind_of_json(place, name)
    if TOKEN_LINE.match(place.text(name).lstrip()):
        return "tokens"
    try:
        table_in(place, name)
    except BadInput:
        if said or metadata or name.lower().endswith(TABLES):
            raise
        return None
    return "imagefolder" if metadata else "table"


def _kind_of_json(place: Place, name: str) -> str | None:
    try:
        value = place.json(name)
    except BadInput:
        text = place.text(name, most=MAX_BYTES)
        if not is_lines(text) or "\n" not in text.strip():
            raise
        return "table"
    if isinstance(value, dict):
        images, annotations = value.get("images"), value.get("annotations")
        if _have(images, "sentences"):
            return "karpathy"
        if isinstance(images, list) and isinstance(annotations, list | None):
            named = any(_have(images, key) for key in ("file_name", "coco_url", "flickr_url"))
            if named and _have(annotations, "caption"):
                return "coco"
            raise BadInput(
                place.where(name),
                "JSON of COCO's kind, without names of images or without captions",
                "images with file_name, and annotations with caption",
                "take the file of the captions, as captions_val2017.json",
            )
    table_of_json(value, place.where(name), place.options, place.files)
    return "folder"


def _have(values: Any, key: str) -> bool:
    """Whether this is a list of objects, the first of which has the key."""
    return (
        isinstance(values, list)
        and bool(values)
        and isinstance(values[0], dict)
        and (key in values[0])
    )


def table_in(place: Place, name: str) -> Table:
    """The table in a file of a kind that has no pictures in it; ``BadInput`` where it is none."""
    options = place.options
    if name.lower().endswith(".json") and place.once(kinds).of.get(name) == "folder":
        return table_of_json(place.json(name), place.where(name), options, place.files)
    if name.lower().endswith(PARQUET):
        return parquet_files.table_in(place, name)
    return table_of(place.text(name, most=MAX_BYTES), place.where(name), options)
