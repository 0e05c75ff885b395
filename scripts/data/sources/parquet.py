"""Tables as a hub has them: bytes of images, captions in columns, a file or more a split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.data import hub
from scripts.data.audit import MISSING, NO_CAPTION, OVERSIZED, Findings
from scripts.data.caption_files import usable
from scripts.data.files import MAX_BYTES, MAX_TEXT_BYTES, MAX_TOTAL_BYTES, is_litter
from scripts.data.records import Record
from scripts.data.rows import SPLITS
from scripts.data.sources.face import Home, Source
from scripts.job import BadInput

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

SUFFIX = ".parquet"
OTHER_NAMES_OF_SPLITS = {"validation": "val", "valid": "val", "dev": "val"}
LONGEST_COLUMN = len("caption_999999999")
# parts of a split that are told as missing
SHOWN = 5
# by the bytes that a file of this kind begins with; parquet keeps no file names
SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}


def find(root: Path) -> list[str] | None:
    below = [*root.iterdir(), *(root.glob("data/*"))]
    tables = [one for one in below if one.suffix.lower() == SUFFIX and not is_litter(one.name)]
    return sorted(path.relative_to(root).as_posix() for path in tables) or None


def read(root: Path, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
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
    return total, _records(root, paths, tables, findings)


def fetch(home: dict[str, Any], raw: Path) -> list[str]:
    """Download the tables of a dataset repository."""
    return hub.fetch(home, raw, SUFFIX)


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
        lost = islice((n for n in range(int(of or 0)) if n not in there), SHOWN)
        missing = [f"{split}-{n:0{len(of)}d}-of-{of}.parquet" for n in lost]
        beyond = of and max(there) >= int(of)
        if missing or beyond:
            found = f"{', '.join(paths[:SHOWN])}, and not {', '.join(missing)}"
            found = found if missing else f"part {max(there)} of {of}"
            raise BadInput(root, found, expected, todo)


def _caption_number(column: str) -> str:
    match = re.fullmatch(r"caption_(\d+)", column)
    return match[1] if match else ""


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


def _records(
    root: Path, paths: list[str], tables: list[tuple[str, ParquetFile]], findings: Findings
) -> Iterator[Record]:
    import pyarrow

    counts = dict.fromkeys(SPLITS, 0)
    for path, (split, table) in zip(paths, tables, strict=True):
        captions = filter(_caption_number, table.schema_arrow.names)
        columns = sorted(captions, key=lambda column: int(_caption_number(column)))
        try:
            # row by row: an image that stands in many, once in the file, unfolds in each
            for batch in table.iter_batches(batch_size=1, columns=["image", *columns]):
                for row in batch.to_pylist():
                    stem = f"{split}-{counts[split]:05d}"
                    counts[split] += 1
                    texts = [row[column] or "" for column in columns]
                    record = _record(stem, split, row["image"], texts, findings)
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


def _record(
    stem: str,
    split: str,
    image: dict[str, Any] | bytes | None,
    captions: list[str],
    findings: Findings,
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


SOURCE = Source(
    kind="flickr8k",
    expected="train-*.parquet, validation-*.parquet and test-*.parquet, here or in data/",
    split="the names of the parquet files",
    find=find,
    read=read,
    has_official_split=lambda root, paths: True,
    home=Home("huggingface", hub.present, fetch, checked=True),
)
