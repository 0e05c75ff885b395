"""Parquet files: their columns, checked, and their rows one by one; pictures of one row at most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from scripts.data.columns import IMAGES, Columns, columns_of, plain
from scripts.data.files import MAX_BYTES, MAX_TEXT_BYTES, MAX_TOTAL_BYTES
from scripts.data.place import Place
from scripts.data.tables import Row, Table
from scripts.job import BadInput

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

TODO = "get the files again, or take others"
# a column's name: a number of thousands of digits is none that a table would have
LONGEST_COLUMN = len("caption_999999999")
ROWS = 1000
BYTES = ("binary", "large_binary")


def open_table(place: Place, name: str) -> ParquetFile:
    """A parquet file, its sizes checked; ``BadInput`` where it is none."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    path = place.root / name
    # on a disk it is read piece by piece; in an archive it has what a member may have
    try:
        return ParquetFile(
            path if path.exists() else pyarrow.BufferReader(place.bytes(name, MAX_BYTES))
        )
    except (pyarrow.ArrowException, OSError) as error:
        raise not_whole(place, name, error) from None


def not_whole(place: Place, name: str, error: Exception) -> BadInput:
    """What to say of a file that the library does not read."""
    return BadInput(
        place.where(name),
        f"not a whole parquet file ({str(error).splitlines()[0]})",
        "a parquet file",
        "delete it, so that it is downloaded again; or get it again yourself",
    )


def columns_in(place: Place, name: str) -> Columns:
    """The columns that are read of a file; ``BadInput`` where they are of other types."""
    schema = open_table(place, name).schema_arrow
    image = _image_column(schema, (place.options.get("columns") or {}).get("image"))
    try:
        columns = columns_of(schema.names, place.options, place.where(name), image)
    except BadInput:
        # with their types, which may be what is wrong
        if not any(map(_holds_texts, schema.types)) or image is None:
            raise other_columns(place, name) from None
        raise
    texts = [schema.field(caption).type for caption in columns.captions]
    names = [columns.image, *columns.captions]
    if (
        any(schema.names.count(one) > 1 for one in names)
        or any(len(one) > LONGEST_COLUMN and one[-1].isdigit() for one in columns.captions)
        or not all(map(_holds_texts, texts))
        or (image is None and not _is_name(schema.field(columns.image).type))
    ):
        raise other_columns(place, name)
    return columns


def has_pictures(place: Place, name: str, columns: Columns) -> bool:
    """Whether the column of images has their bytes."""
    kind = open_table(place, name).schema_arrow.field(columns.image).type
    return _holds_bytes(kind) or _is(kind, "null")


def other_columns(place: Place, name: str) -> BadInput:
    """What to say of a file whose columns, or their types, are others than those that are read."""
    schema = open_table(place, name).schema_arrow
    told = "; ".join(f"{column.name} ({column.type})" for column in schema)
    return BadInput(
        place.where(name),
        f"the columns {told:.400}",
        "image (bytes, a struct with bytes, or a file name) and captions (texts, or lists of "
        "them), as caption, or caption_0, caption_1, ...",
        "say which are which in the dataset's entry of the config, as columns: {image: ..., "
        "caption: ...}, or take other files",
    )


def _image_column(schema: pyarrow.Schema, said: str | None) -> str | None:
    """The column with bytes of pictures; of several, the one that is called so."""
    found = [column.name for column in schema if _holds_bytes(column.type)]
    # a column of nothing is of no type
    found += [one.name for one in schema if plain(one.name) == "image" and _is(one.type, "null")]
    if said:
        return said if said in found else None
    usual = [name for name in found if plain(name) in IMAGES[0]]
    if len(usual) == 1 or len(found) == 1:
        return (usual or found)[0]
    return None


def _is(kind: pyarrow.DataType, *names: str) -> bool:
    from pyarrow import types

    return any(getattr(types, f"is_{name}")(kind) for name in names)


def _holds_bytes(kind: pyarrow.DataType) -> bool:
    if _is(kind, "struct"):
        names = [kind.field(place).name for place in range(kind.num_fields)]
        return names.count("bytes") == 1 and _is(kind.field("bytes").type, *BYTES, "null")
    return _is(kind, *BYTES)


def _holds_texts(kind: pyarrow.DataType) -> bool:
    if _is(kind, "list", "large_list"):
        return _holds_texts(kind.value_type) and not _is(kind.value_type, "list", "large_list")
    # a column without any value is of the type null
    return _is(kind, "string", "large_string", "null", "struct") and not _holds_bytes(kind)


def is_text(kind: pyarrow.DataType) -> bool:
    """Whether a column holds a text in each row."""
    return _is(kind, "string", "large_string")


def _is_name(kind: pyarrow.DataType) -> bool:
    return _is(kind, "string", "large_string", "integer")


def check_sizes(place: Place, name: str, columns: Columns, pictures: bool) -> None:
    """``BadInput`` where a file says of itself that it unfolds to what no dataset has."""
    table = open_table(place, name)
    read = {columns.image, *columns.captions, columns.split, columns.language}
    groups = [table.metadata.row_group(n) for n in range(table.metadata.num_row_groups)]
    limits = [(sum(group.total_byte_size for group in groups), MAX_TOTAL_BYTES, "")]
    for group in groups:
        for column in map(group.column, range(group.num_columns)):
            own = column.path_in_schema.split(".")[0]
            of_pictures = pictures and own == columns.image
            limit = max(group.num_rows, 1) * MAX_BYTES if of_pictures else MAX_TEXT_BYTES
            if own in read:
                limits.append((column.total_uncompressed_size, limit, f" in a part of {own:.80}"))
    for size, limit, where in limits:
        if size > limit:
            raise BadInput(
                place.where(name),
                f"{size:,} bytes unpacked{where}, more than {limit:,}",
                "a table of photos and captions",
                TODO,
            )


def rows_in(
    place: Place, name: str, columns: Sequence[str], at_once: int = ROWS
) -> Iterator[dict[str, Any]]:
    """The rows of a file, of these columns alone; "image.path" is a part of one."""
    import pyarrow

    table = open_table(place, name)
    try:
        for batch in table.iter_batches(batch_size=at_once, columns=list(columns)):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise not_whole(place, name, error) from None


def table_in(place: Place, name: str) -> Table:
    """The table in a file that has no pictures in it."""
    columns = columns_in(place, name)
    check_sizes(place, name, columns, pictures=False)
    read = [columns.image, *columns.captions, columns.split, columns.language]

    def rows() -> Iterator[Row]:
        own = [column for column in read if column]
        for number, row in enumerate(rows_in(place, name, own)):
            yield Row(row, f"{place.where(name)}, row {number}")

    return Table(columns, rows)
