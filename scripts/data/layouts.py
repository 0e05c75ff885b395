"""The layouts that a dataset may have on disk, each with how to find it and how to read it.

``find`` looks at a folder and tells which of its files make up the layout; ``read`` gives the
images of these files one by one, each with its captions and its split, and unpacks nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.data.audit import (
    MISSING,
    NO_CAPTION,
    NO_CAPTION_IN_SPLIT,
    NO_IMAGE,
    OVERSIZED,
    UNSAFE,
    Findings,
    Unusable,
)
from scripts.data.caption_files import table_captions, token_captions, usable
from scripts.data.files import (
    MAX_BYTES,
    MAX_TEXT_BYTES,
    MAX_TOTAL_BYTES,
    Read,
    is_file,
    is_litter,
    open_files,
    why_unsafe,
)
from scripts.data.names import matched, nearest, same_text
from scripts.data.rows import SPLITS, read_captions, read_splits
from scripts.job import BadInput

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

PHOTOS = ("Flickr8k_Dataset.zip", "Flicker8k_Dataset", "Flickr8k_Dataset")
TEXTS = ("Flickr8k_text.zip", "Flickr8k_text", "Flickr_TextData")
TOKENS = "Flickr8k.token.txt"
LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
KAGGLE_CAPTIONS = "captions.txt"
OWN_SPLIT = "splits.json"
# whatever has such a name, in any case, tells a split
OF_SPLITS = {name.casefold() for name in (OWN_SPLIT, "split.json", *LISTS.values())}
# folders in which a widely copied layout has Kaggle's photos and the text files
COPIES = ("", "Flickr_Data/", "Flickr_Data/Flickr_Data/")
OTHER_NAMES_OF_SPLITS = {"validation": "val", "valid": "val", "dev": "val"}
LONGEST_COLUMN = len("caption_999999999")
# names without an image that are told with what is most like them
SHOWN = 5
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
    split : where its split stands, in words
    read : root, paths, findings -> number of records, and the records. The findings are complete
        when all records have been taken.
    """

    expected: str
    split: str
    find: Callable[[Path], list[str] | None]
    read: Callable[[Path, list[str], Findings], tuple[int, Iterable[Record]]]


def find_archives(root: Path) -> list[str] | None:
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


def read_archives(root: Path, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Flickr8k as its authors published it: photos, ``name#0..4<TAB>caption`` and three lists."""
    files, litter = open_files(root, paths)
    findings.note("left by an operating system, not read", litter)
    folders = ("Flicker8k_Dataset", "Flickr8k_Dataset", "images")
    images = next(filter(None, (_below(files, folder) for folder in folders)), {})
    captions = token_captions(*text_of(files, TOKENS, root), findings)
    return _paired(images, captions, _official_split(files, root), findings, named_in="lists")


def _official_split(files: dict[str, Read], root: Path) -> dict[str, str]:
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


def find_kaggle(root: Path) -> list[str] | None:
    images = images_folder(root)
    loose = [[images, KAGGLE_CAPTIONS]] if images and (root / KAGGLE_CAPTIONS).is_file() else []
    packed = [
        [path.name]
        for path in sorted(root.iterdir())
        if path.suffix.lower() == ".zip"
        and path.name not in (PHOTOS[0], TEXTS[0])
        and not is_litter(path.name)
        and is_kaggle_archive(path)
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
    return [*datasets[0], *_splits_beside(root)] if datasets else None


def _contents(root: Path, paths: list[str]) -> tuple[str, frozenset[str]]:
    """Captions, and names of images, of Kaggle's files."""
    files, _ = open_files(root, paths)
    captions, _ = text_of(files, KAGGLE_CAPTIONS, root)
    return captions, frozenset(_below(files, "images"))


def images_folder(root: Path) -> str | None:
    """Name of the folder "images" in ``root``, which may be written in another case."""
    if not root.is_dir():
        return None
    named_so = sorted(path for path in root.iterdir() if path.name.casefold() == "images")
    # where names may differ in case alone, links may lead from one to the other
    folders = {os.path.realpath(path): path.name for path in named_so if path.is_dir()}
    full = [name for name in folders.values() if any(open_files(root, [name])[0])]
    if len(full) > 1:
        raise BadInput(
            root.absolute(),
            f"the folders {' and '.join(full)}, both with files",
            "one folder of images",
            "put all images into one of them, or take away the one that is not meant",
        )
    return next(iter(full or folders.values()), None)


def _splits_beside(root: Path) -> list[str]:
    """What tells a split beside Kaggle's files, which have none."""
    loose = [name for name in LISTS.values() if (root / name).is_file()]
    packed = [f"{copy}{name}" for copy in COPIES for name in TEXTS if (root / copy / name).exists()]
    lists = loose if len(loose) == len(LISTS) else packed[:1] or loose
    return [*lists, *([OWN_SPLIT] if (root / OWN_SPLIT).is_file() else [])]


def is_kaggle_archive(path: Path) -> bool:
    """Whether a zip archive holds what Kaggle has; ``BadInput`` where it is broken."""
    files, _ = open_files(path.parent, [path.name])
    return bool(named(files, KAGGLE_CAPTIONS) and _below(files, "Images"))


def has_official_split(layout: str, root: Path, paths: list[str]) -> bool:
    """Whether files of Flickr8k come with the split of its authors."""
    if layout == "kaggle":
        files, _ = open_files(root, paths)
        return any(named(files, name) for name in LISTS.values())
    return layout != "folder"


def read_kaggle(root: Path, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """``Images/`` and ``captions.txt``, a table of image and caption.

    They have no split. It is taken from the lists of Flickr8k or a ``splits.json`` among ``paths``.
    """
    files, litter = open_files(root, paths)
    findings.note("left by an operating system, not read", litter)
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
        split_of = _own_split(root)
    elif lists:
        split_of = _official_split(files, root)
        findings.note("lists of the official split, taken", lists)
    return _paired(_below(files, "images"), captions, split_of, findings)


def find_folder(root: Path) -> list[str] | None:
    names = [name for name in ("captions.json", OWN_SPLIT) if os.path.lexists(root / name)]
    images = images_folder(root)
    if images is None or "captions.json" not in names:
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


def read_folder(root: Path, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """``images/``, ``captions.json`` and, where ``paths`` has it, ``splits.json``."""
    folder = next(path for path in paths if path not in ("captions.json", OWN_SPLIT))
    files, litter = open_files(root, [folder])
    findings.note("left by an operating system, not read", litter)
    captions = {
        image: usable(image, texts, findings)
        for image, texts in read_captions(root / "captions.json", may_be_empty=True).items()
    }
    split_of = _own_split(root) if OWN_SPLIT in paths else None
    return _paired(_below(files, "images"), captions, split_of, findings)


def _own_split(root: Path) -> dict[str, str]:
    splits = read_splits(root / OWN_SPLIT)
    return {image: split for split, images in splits.items() for image in images}


def find_parquet(root: Path) -> list[str] | None:
    below = [*root.iterdir(), *(root.glob("data/*"))]
    tables = [one for one in below if one.suffix.lower() == ".parquet" and not is_litter(one.name)]
    return sorted(path.relative_to(root).as_posix() for path in tables) or None


def read_parquet(root: Path, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Tables of ``image`` (bytes), ``caption_0``, ``caption_1``, ...; file names tell the split."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    tables: list[tuple[str, ParquetFile]] = []
    split_of = {path: _split_of_table(root, path) for path in paths}
    for split in SPLITS:
        _check_parts(root, split, [path for path in paths if split_of[path] == split])
    for path in paths:
        try:
            table = ParquetFile(root / path)
        except (pyarrow.ArrowException, OSError) as error:
            raise _bad_parquet(root / path, error) from None
        _check_sizes(root / path, table)
        if not _has_images_and_captions(table.schema_arrow):
            columns = "; ".join(f"{column.name} ({column.type})" for column in table.schema_arrow)
            raise BadInput(
                root / path,
                f"the columns {columns:.400}",
                "image (bytes, or a struct with bytes), caption_0, caption_1, ... (texts)",
                "take the files of the configured dataset repository",
            )
        tables.append((split_of[path], table))
    total = sum(table.metadata.num_rows for _, table in tables)
    return total, _parquet_records(root, paths, tables, findings)


LAYOUTS = {
    "archives": Layout(
        f"{' and '.join((PHOTOS[0], TEXTS[0]))}, or both unpacked",
        f"the three lists of {TEXTS[0]}",
        find_archives,
        read_archives,
    ),
    "parquet": Layout(
        "train-*.parquet, validation-*.parquet and test-*.parquet, here or in data/",
        "the names of the parquet files",
        find_parquet,
        read_parquet,
    ),
    "kaggle": Layout(
        f"Images/ and {KAGGLE_CAPTIONS}, or a zip archive of both; for the official split with the "
        f"lists of {TEXTS[0]} beside it",
        f"{OWN_SPLIT} beside Images/ or the archive; or {', '.join(LISTS.values())}, beside them "
        f"too or in {', '.join(TEXTS)}",
        find_kaggle,
        read_kaggle,
    ),
    "folder": Layout(
        "images/, captions.json and, if you like, splits.json",
        "splits.json beside captions.json",
        find_folder,
        read_folder,
    ),
}


def check_splits(layout: str, root: Path, paths: list[str]) -> None:
    """``BadInput`` where a split stands at ``root`` that the layout does not read from ``paths``.

    It may stand there twice if both say the same.
    """
    packed = [f"{copy}{name}" for copy in COPIES for name in TEXTS if (root / copy / name).exists()]
    # what is read comes first: the others are held against it
    places = dict.fromkeys([*paths, *packed, *_named_like_splits(root)])
    read: dict[str, tuple[str, list[bytes] | None]] = {}
    for place in places:
        for name, content in open_files(root, [place])[0].items():
            base = name.split("/")[-1]
            if base.casefold() not in OF_SPLITS:
                continue
            where = f"{place}, {name}" if place.lower().endswith(".zip") else name
            told = _lines(content)
            if place in paths and _is_read(layout, place, base):
                first, same = read.setdefault(base.casefold(), (where, told))
            elif base.casefold() in read:
                first, same = read[base.casefold()]
            else:
                raise BadInput(
                    root.absolute() / where,
                    "a split that is not read there",
                    LAYOUTS[layout].split,
                    "write it so, and there, if it is meant; or else take it away",
                )
            if told != same:
                raise BadInput(
                    root.absolute() / where,
                    f"another split than in {first}",
                    "one split",
                    "take away the one that is not meant",
                )


def _is_read(layout: str, place: str, base: str) -> bool:
    if base == OWN_SPLIT:
        return place == OWN_SPLIT and layout in ("kaggle", "folder")
    return base in LISTS.values() and layout in ("archives", "kaggle")


def _named_like_splits(root: Path) -> Iterator[str]:
    """Files called like a split, and archives like those of the texts, here and a folder below."""
    for path in sorted(root.iterdir()):
        # what may not be entered is no part of the dataset, or told where that is read
        inner = path.iterdir() if path.is_dir() and os.access(path, os.R_OK | os.X_OK) else ()
        for one in (path, *sorted(inner)):
            name = one.relative_to(root).as_posix()
            of_splits = one.name.casefold() in (*OF_SPLITS, TEXTS[0].casefold())
            if of_splits and not is_litter(name) and not one.is_dir():
                yield name


def _lines(read: Read) -> list[bytes] | None:
    """Lines of a text in an order that does not tell; None where it cannot be read."""
    try:
        return sorted(filter(None, map(bytes.strip, read().split(b"\n"))))
    except Unusable:
        return None


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
    named_in: str = "captions",
) -> tuple[int, list[Record]]:
    """Records of the images that have captions, sorted by name; findings of everything else.

    Parameters
    ----------
    images : path below the images folder -> its bytes
    captions, split_of : what they hold by the name of the image, which may be written otherwise
    named_in : which tells what images the dataset has, "captions" or the "lists" of its split
    """
    findings.images_found += len(images)
    found, doubts = _as_there(captions, images)
    note = "names in captions that are written otherwise than the file's, taken as it"
    findings.note(note, _otherwise(found))
    # an image has the name of its file or, where only the accents differ, the one that was typed:
    # systems store these in their own way, and a split is drawn by name
    typed = {file: name for name, file in found.items() if same_text(name, file)}
    images = {typed.get(file, file): read for file, read in images.items()}
    captions_of, detail = {}, {}
    for name, texts in captions.items():
        file = found.get(name, name)
        image = typed.get(file, file)
        captions_of[image] = texts
        detail[image] = f"{len(texts)} captions{doubts.get(name, '')}"
    split_of_image: dict[str, str] = {}
    if split_of is not None:
        captioned = [image for image in images if captions_of.get(image)]
        found, doubts = _as_there(split_of, images.keys() | captions_of.keys(), captioned)
        note = "names in lists that are written otherwise than the image's, taken as it"
        findings.note(note, _otherwise(found))
        for name, split in split_of.items():
            if name in found:
                split_of_image[found[name]] = split
            else:
                told = f"in the list of {split}, but not there{doubts.get(name, '')}"
                findings.set_aside(name, MISSING, told, split)
        strangers = (name for name in split_of if found.get(name) not in images)
        findings.note("in a list of the split, but not there", strangers)
    records = []
    for image in sorted(images.keys() | captions_of.keys()):
        texts, split = captions_of.get(image, []), split_of_image.get(image, "")
        if not texts and split:
            findings.set_aside(image, NO_CAPTION_IN_SPLIT, f"in the list of {split}", split)
        elif not texts:
            findings.set_aside(image, NO_CAPTION, "an image without a caption")
        elif unsafe := why_unsafe(image):
            findings.set_aside(image, UNSAFE, unsafe, split)
        elif image not in images:
            reason = MISSING if split or named_in == "captions" else NO_IMAGE
            findings.set_aside(image, reason, detail[image], split)
        else:
            none = "" if split_of is None else "none"
            records.append(Record(image, texts, split or none, images[image]))
    return len(records), records


def _otherwise(found: dict[str, str]) -> list[str]:
    return [f"{name} is {file}" for name, file in found.items() if not same_text(name, file)]


def _as_there(
    names: Iterable[str], there: Iterable[str], preferred: Iterable[str] = ()
) -> tuple[dict[str, str], dict[str, str]]:
    """Name -> the image that it means; and for the others what is like them, in words."""
    names, there = list(names), sorted(there)
    found, doubts = matched(names, there, preferred)
    lost = sorted(set(names) - found.keys() - doubts.keys())[:SHOWN]
    alike = {name: like for name in lost if (like := nearest(name, there))}
    return found, {name: f"; {why}" for name, why in doubts.items()} | {
        name: f"; most like it is {like}" for name, like in alike.items()
    }


def _split_of_table(root: Path, path: str) -> str:
    split = re.match(r"(train|validation|valid|val|dev|test)(?=[-_.])", Path(path).name)
    if split is None:
        raise BadInput(
            root / path,
            "a name that tells no split",
            "train-*.parquet, validation-*.parquet and test-*.parquet",
            "rename it",
        )
    return OTHER_NAMES_OF_SPLITS.get(split[0], split[0])


def _check_parts(root: Path, split: str, paths: list[str]) -> None:
    """``BadInput`` unless the tables of a split are, by their names, each there and there once."""
    expected = f"the tables of {split}, each once; of those in parts, all parts of one set"
    todo = "get the parts that are missing, and take away what is of another set"
    names: dict[str, str] = {}
    parts: dict[str, set[int]] = {}
    for path in paths:
        name = Path(path).name
        numbers = re.search(r"-([0-9]+)-of-([0-9]+)(?=[-._])", name)
        part, of = numbers.groups() if numbers else (name, "")
        # an export has a sum of its own after the number of the part
        called = f"part {part} of {of}" if of else name
        if called in names:
            raise BadInput(root / path, f"{called}, as {names[called]} is", expected, todo)
        names[called] = path
        parts.setdefault(of, set()).add(int(part) if of else 0)
    if len(parts) > 1:
        raise BadInput(root, " and ".join(path for path in paths[:5]), expected, todo)
    for of, there in parts.items():
        missing = islice((n for n in range(int(of or 0)) if n not in there), SHOWN)
        missing = [f"{split}-{n:0{len(of)}d}-of-{of}.parquet" for n in missing]
        beyond = of and max(there) >= int(of)
        if missing or beyond:
            found = f"{', '.join(paths[:SHOWN])}, and not {', '.join(missing)}"
            found = found if missing else f"part {max(there)} of {of}"
            raise BadInput(root, found, expected, todo)


def _caption_number(column: str) -> str | None:
    match = re.fullmatch(r"caption_(\d+)", column)
    return match and match[1]


def _check_sizes(path: Path, table: ParquetFile) -> None:
    """``BadInput`` where a table says of itself that it unfolds to what no dataset has."""
    groups = [table.metadata.row_group(n) for n in range(table.metadata.num_row_groups)]
    limits = [(sum(group.total_byte_size for group in groups), MAX_TOTAL_BYTES, "")]
    for group in groups:
        for column in map(group.column, range(group.num_columns)):
            name = column.path_in_schema.split(".")[0]
            limit = max(group.num_rows, 1) * MAX_BYTES if name == "image" else MAX_TEXT_BYTES
            if name == "image" or _caption_number(name):
                limits.append((column.total_uncompressed_size, limit, f" in a part of {name:.80}"))
    for size, limit, where in limits:
        if size > limit:
            raise BadInput(
                path,
                f"{size:,} bytes unpacked{where}, more than {limit:,}",
                "a table of photos and captions",
                "take the files of the configured dataset repository",
            )


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
    # a number of thousands of digits is none that a table would have, nor one that Python reads
    if any(len(column.name) > LONGEST_COLUMN for column in captions):
        return False
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
    texts = usable(stem, captions, findings)
    if not content:
        findings.set_aside(stem, MISSING, "a row without an image", split)
        return None
    findings.images_found += 1
    if len(content) > MAX_BYTES:
        too_large = f"{len(content):,} bytes, more than {MAX_BYTES:,}"
        findings.set_aside(stem, OVERSIZED, too_large, split)
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
