"""The layouts that a dataset may have on disk, each with how to find it and how to read it.

``find`` looks at a folder and tells which of its files make up the layout; ``read`` gives the
images of these files one by one, each with its captions and its split, and unpacks nothing.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scripts.data.audit import (
    MISSING,
    NO_CAPTION,
    NO_IMAGE,
    OVERSIZED,
    UNSAFE,
    Findings,
    Unusable,
)
from scripts.data.caption_files import not_empty, table_captions, token_captions
from scripts.data.files import (
    MAX_BYTES,
    MAX_TEXT_BYTES,
    MAX_TOTAL_BYTES,
    Read,
    open_files,
    why_unsafe,
)
from scripts.data.rows import SPLITS, read_captions, read_splits
from scripts.job import BadInput

if TYPE_CHECKING:
    import pyarrow

PHOTOS = ("Flickr8k_Dataset.zip", "Flicker8k_Dataset", "Flickr8k_Dataset")
TEXTS = ("Flickr8k_text.zip", "Flickr8k_text")
TOKENS = "Flickr8k.token.txt"
LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
KAGGLE_CAPTIONS = "captions.txt"
OTHER_NAMES_OF_SPLITS = {"validation": "val", "valid": "val", "dev": "val"}
Value = TypeVar("Value")
# by the bytes that a file of this kind begins with; parquet keeps no file names
SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}


@dataclass(frozen=True)
class Record:
    """An image that has captions.

    Attributes
    ----------
    image : name, safe as a path below a folder
    captions : one or more, none empty
    split : train, val or test; "none" where the dataset has a split but names the image in no
        part of it; "" where it has none
    read : gives the image's bytes, or raises ``Unusable``
    """

    image: str
    captions: list[str]
    split: str
    read: Read


@dataclass(frozen=True)
class Layout:
    """How one layout is told from others, and read.

    Attributes
    ----------
    expected : the layout in words
    find : folder -> paths of the files below it that make up the layout, or None
    read : root, paths, findings -> number of records, and the records. The findings are complete
        when all records have been taken.
    """

    expected: str
    find: Callable[[Path], list[str] | None]
    read: Callable[[Path, list[str], Findings], tuple[int, Iterable[Record]]]


def find_archives(root: Path) -> list[str] | None:
    photos = [name for name in PHOTOS if (root / name).exists()]
    texts = [name for name in TEXTS if (root / name).exists()]
    loose = [TOKENS, *LISTS.values()]
    if not texts and all((root / name).is_file() for name in loose):
        texts = loose
    if not photos or not texts:
        return None
    return [photos[0], *(texts if texts == loose else texts[:1])]


def read_archives(root: Path, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Flickr8k as its authors published it: photos, ``name#0..4<TAB>caption`` and three lists."""
    files, litter = open_files(root, paths)
    findings.note("left by an operating system, not read", litter)
    images = _below(files, "Flicker8k_Dataset") or _below(files, "Flickr8k_Dataset")
    captions = token_captions(*text_of(files, TOKENS, root), findings)
    split_of: dict[str, str] = {}
    for split, name in LISTS.items():
        text, where = text_of(files, name, root)
        for image in filter(None, map(str.strip, text.split("\n"))):
            if split_of.setdefault(image, split) != split:
                raise BadInput(
                    where,
                    f"{image}, which is in {split_of[image]}, too",
                    "each image in one split",
                    "take it out of one of the lists",
                )
    return _paired(images, captions, split_of, findings, listed=split_of.keys())


def find_kaggle(root: Path) -> list[str] | None:
    folders = {path.name.casefold(): path.name for path in root.iterdir() if path.is_dir()}
    if "images" in folders and (root / KAGGLE_CAPTIONS).is_file():
        return [folders["images"], KAGGLE_CAPTIONS]
    for path in sorted(root.glob("*.zip")):
        if path.name not in (PHOTOS[0], TEXTS[0]) and is_kaggle_archive(path):
            return [path.name]
    return None


def is_kaggle_archive(path: Path) -> bool:
    """Whether a zip archive holds what Kaggle has; ``BadInput`` where it is broken."""
    files, _ = open_files(path.parent, [path.name])
    return bool(named(files, KAGGLE_CAPTIONS) and _below(files, "Images"))


def read_kaggle(root: Path, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """``Images/`` and ``captions.txt``, a table of image and caption; without a split."""
    files, litter = open_files(root, paths)
    findings.note("left by an operating system, not read", litter)
    captions = table_captions(*text_of(files, KAGGLE_CAPTIONS, root), findings)
    return _paired(_below(files, "Images"), captions, None, findings, listed=captions.keys())


def find_folder(root: Path) -> list[str] | None:
    names = [name for name in ("captions.json", "splits.json") if os.path.lexists(root / name)]
    if not (root / "images").is_dir() or "captions.json" not in names:
        return None
    for name in names:
        if not (root / name).is_file():
            raise BadInput(
                root / name,
                "a folder, a pipe, or a link that leads nowhere",
                "a JSON file",
                "put the file there, or take away what has its name",
            )
    return [*names, "images"]


def read_folder(root: Path, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """``images/``, ``captions.json`` and, where ``paths`` has it, ``splits.json``."""
    files, litter = open_files(root, ["images"])
    findings.note("left by an operating system, not read", litter)
    captions = read_captions(root / "captions.json")
    findings.captions_found = sum(map(len, captions.values()))
    split_of = None
    if "splits.json" in paths:
        splits = read_splits(root / "splits.json")
        split_of = {image: split for split, images in splits.items() for image in images}
    return _paired(_below(files, "images"), captions, split_of, findings, listed=captions.keys())


def find_parquet(root: Path) -> list[str] | None:
    tables = [*root.glob("*.parquet"), *root.glob("data/*.parquet")]
    return sorted(path.relative_to(root).as_posix() for path in tables) or None


def read_parquet(root: Path, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Tables of ``image`` (bytes), ``caption_0``, ``caption_1``, ...; file names tell the split."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    tables: list[tuple[str, ParquetFile]] = []
    for path in paths:
        split = re.match(r"(train|validation|valid|val|dev|test)(?=[-_.])", Path(path).name)
        if split is None:
            raise BadInput(
                root / path,
                "a name that tells no split",
                "train-*.parquet, validation-*.parquet and test-*.parquet",
                "rename it",
            )
        try:
            table = ParquetFile(root / path)
        except (pyarrow.ArrowException, OSError) as error:
            raise _bad_parquet(root / path, error) from None
        groups = (table.metadata.row_group(n) for n in range(table.metadata.num_row_groups))
        if (size := sum(group.total_byte_size for group in groups)) > MAX_TOTAL_BYTES:
            raise BadInput(
                root / path,
                f"{size:,} bytes unpacked, more than {MAX_TOTAL_BYTES:,}",
                "a table of photos",
                "take the files of the configured dataset repository",
            )
        if not _has_images_and_captions(table.schema_arrow):
            columns = "; ".join(f"{column.name} ({column.type})" for column in table.schema_arrow)
            raise BadInput(
                root / path,
                f"the columns {columns:.400}",
                "image (bytes, or a struct with bytes), caption_0, caption_1, ... (texts)",
                "take the files of the configured dataset repository",
            )
        tables.append((OTHER_NAMES_OF_SPLITS.get(split[0], split[0]), table))
    total = sum(table.metadata.num_rows for _, table in tables)
    return total, _parquet_records(root, paths, tables, findings)


LAYOUTS = {
    "archives": Layout(
        f"{' and '.join((PHOTOS[0], TEXTS[0]))}, or both unpacked", find_archives, read_archives
    ),
    "parquet": Layout(
        "train-*.parquet, validation-*.parquet and test-*.parquet, here or in data/",
        find_parquet,
        read_parquet,
    ),
    "kaggle": Layout(
        f"Images/ and {KAGGLE_CAPTIONS}, or a zip archive of both", find_kaggle, read_kaggle
    ),
    "folder": Layout(
        "images/, captions.json and, if you like, splits.json", find_folder, read_folder
    ),
}


def _below(files: dict[str, Read], folder: str) -> dict[str, Read]:
    """Files below a folder of this name, whatever its case, by their path in it."""
    found, full_name = {}, {}
    for name, read in files.items():
        parts = name.split("/")
        folders = [part.casefold() for part in parts[:-1]]
        if folder.casefold() in folders:
            short = "/".join(parts[folders.index(folder.casefold()) + 1 :])
            if short in found:
                raise BadInput(
                    name,
                    f"the same name in {folder} as {full_name[short]}",
                    "each image once",
                    "take one of the two out",
                )
            found[short], full_name[short] = read, name
    return found


def named(files: dict[str, Read], name: str) -> str | None:
    """The file of this name that lies least deep."""
    found = [path for path in files if path.split("/")[-1] == name]
    return min(found, key=lambda path: (path.count("/"), path), default=None)


def text_of(files: dict[str, Read], name: str, root: Path) -> tuple[str, str]:
    """Contents of the text file ``name``, and how to call it in a message."""
    where = f"{root}, {name}"
    path = named(files, name)
    if path is None:
        raise BadInput(where, "no such file", "one of the dataset's files", "get the whole dataset")
    try:
        content = files[path]()
        if len(content) > MAX_TEXT_BYTES:
            size = f"{len(content):,} bytes, more than {MAX_TEXT_BYTES:,}"
            raise Unusable(OVERSIZED, size)
        return content.decode("utf-8-sig"), where
    except Unusable as error:
        raise BadInput(where, str(error), "a text file", "get the archive again") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadInput(
            f"{where}, line {line}",
            f"byte {content[error.start]:#04x}",
            "UTF-8 text",
            "get the file again, or save it as UTF-8",
        ) from None


def _paired(
    images: dict[str, Read],
    captions: dict[str, list[str]],
    split_of: dict[str, str] | None,
    findings: Findings,
    listed: Iterable[str],
) -> tuple[int, list[Record]]:
    """Records of the images that have captions, sorted by name; findings of everything else.

    ``listed`` are the images that the dataset says it has.
    """
    images = _as_written(images, captions)
    findings.images_found += len(images)
    if split_of is not None:
        split_of = _as_written(split_of, captions)
        findings.note("in a list of the split, but not there", split_of.keys() - images.keys())
    listed = set(listed)
    records = []
    for image in sorted(images.keys() | captions.keys()):
        texts = captions.get(image, [])
        if not texts:
            findings.set_aside(image, NO_CAPTION, "an image without a caption")
        elif unsafe := why_unsafe(image):
            findings.set_aside(image, UNSAFE, unsafe)
        elif image not in images:
            reason = MISSING if image in listed else NO_IMAGE
            findings.set_aside(image, reason, f"{len(texts)} captions")
        else:
            split = "" if split_of is None else split_of.get(image, "none")
            records.append(Record(image, texts, split, images[image]))
    return len(records), records


def _as_written(images: dict[str, Value], captions: dict[str, list[str]]) -> dict[str, Value]:
    """``images`` under the names that the captions use, where only the Unicode form differs.

    Some systems store é as one character and some as two; both look the same to whoever types it.
    """
    written = {unicodedata.normalize("NFC", name): name for name in captions if name not in images}
    taken = images.keys()
    renamed = {}
    for name, read in images.items():
        other = written.get(unicodedata.normalize("NFC", name))
        renamed[other if name not in captions and other and other not in taken else name] = read
    return renamed


def _caption_number(column: str) -> str | None:
    match = re.fullmatch(r"caption_(\d+)", column)
    return match and match[1]


def _parquet_records(root, paths, tables, findings: Findings) -> Iterator[Record]:
    import pyarrow

    counts = dict.fromkeys(SPLITS, 0)
    for path, (split, table) in zip(paths, tables, strict=True):
        columns = sorted(filter(_caption_number, table.schema_arrow.names), key=_caption_order)
        try:
            # row by row: an image that stands in many, once in the file, unfolds in each
            for batch in table.iter_batches(batch_size=1, columns=["image", *columns]):
                for row in batch.to_pylist():
                    stem = f"{split}-{counts[split]:05d}"
                    counts[split] += 1
                    captions = [row[column] or "" for column in columns]
                    record = _parquet_record(stem, split, row["image"], captions, findings)
                    if record is not None:
                        yield record
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _bad_parquet(root / path, error) from None


def _has_images_and_captions(schema: pyarrow.Schema) -> bool:
    """Whether the columns of a table are of the kinds that are read: bytes, and texts."""
    from pyarrow import types

    if schema.names.count("image") != 1:
        return False
    image = schema.field("image").type
    if types.is_struct(image):
        names = [image.field(place).name for place in range(image.num_fields)]
        if names.count("bytes") != 1:
            return False
        image = image.field("bytes").type
    captions = [column for column in schema if _caption_number(column.name)]
    numbers = {int(_caption_number(column.name)) for column in captions}
    # a column without any value is of the type null
    are_bytes = types.is_binary, types.is_large_binary, types.is_null
    are_text = types.is_string, types.is_large_string, types.is_null
    return (
        any(is_kind(image) for is_kind in are_bytes)
        and 0 < len(captions) == len(numbers)
        and all(any(is_kind(column.type) for is_kind in are_text) for column in captions)
    )


def _caption_order(column: str) -> int:
    return int(_caption_number(column) or 0)


def _parquet_record(
    stem: str, split: str, image: dict | bytes | None, captions: list[str], findings: Findings
) -> Record | None:
    content = image.get("bytes") if isinstance(image, dict) else image
    texts = not_empty(stem, captions, findings)
    if not content:
        findings.set_aside(stem, MISSING, "a row without an image")
        return None
    findings.images_found += 1
    if len(content) > MAX_BYTES:
        findings.set_aside(stem, OVERSIZED, f"{len(content):,} bytes, more than {MAX_BYTES:,}")
        return None
    if not texts:
        findings.set_aside(stem, NO_CAPTION, "an image without a caption")
        return None
    suffix = next((s for magic, s in SUFFIXES.items() if content.startswith(magic)), "")
    return Record(f"{stem}{suffix}", texts, split, partial(bytes, content))


def _bad_parquet(path: Path, error: Exception) -> BadInput:
    return BadInput(
        path,
        f"not a whole parquet file ({str(error).splitlines()[0]})",
        "a parquet file",
        "delete it, so that it is downloaded again; or get it again yourself",
    )
