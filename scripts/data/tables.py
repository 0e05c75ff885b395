"""Tables of captions as people have them, whatever is between columns, and JSON line by line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from scripts.data.columns import Columns, columns_of
from scripts.data.names import SUFFIX
from scripts.job import BadInput, json_of

SEPARATORS = (",", "\t", "|", ";")
# those between which people write quotes as they are
UNQUOTED = ("\t", "|")
LINES = (".jsonl", ".ndjson")
# records by which the keys of a file of records are told
LOOKED_AT = 100
TODO = "correct the line; a quote that is opened there may not be closed"


class Row(NamedTuple):
    """A row, and how to call it in a message; ``short`` where it ended before its last column."""

    values: Mapping[str, Any]
    where: str
    short: bool = False


class Table(NamedTuple):
    """The columns of a table, and its rows."""

    columns: Columns
    rows: Callable[[], Iterator[Row]]


def table_of(text: str, where: str, options: Mapping[str, Any]) -> Table:
    """The table that a text is; ``BadInput`` where it is none, or leaves a doubt of its columns."""
    if is_lines(text):
        return lines_of(text, where, options)
    separator, columns = _head(text, where, options)
    names, head = _first(text, separator), columns is not None
    if columns is None:
        columns = _without_head(text, separator, where, options)
        names = [str(number) for number in range(len(names))]
        if separator == " ":  # a caption has some, too: the last column that is read has it all
            names = names[: max(map(names.index, (columns.image, *columns.captions))) + 1]
    return Table(columns, partial(_rows, text, where, separator, names, columns, head))


def is_lines(text: str) -> bool:
    """Whether the first line of a text is a JSON object, whole."""
    first = _first_line(text)
    if not first.startswith("{"):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def lines_of(text: str, where: str, options: Mapping[str, Any]) -> Table:
    """A record in each line."""

    def records() -> Iterator[Row]:
        for number, line in enumerate(io.StringIO(text, newline=None), start=1):
            if line.strip():
                place = f"{where}, line {number}"
                record = json_of(line.encode("utf-8", "surrogatepass"), where, line=number)
                if not isinstance(record, dict):
                    todo = "correct the line"
                    raise BadInput(place, f"{record!r:.80}", "a JSON object", todo)
                yield Row(record, place)

    return Table(columns_of(keys_of(records()), options, where), records)


def keys_of(records: Iterator[Row]) -> list[str]:
    """Keys of the first records, in their order."""
    names: dict[str, None] = {}
    for record, _ in zip(records, range(LOOKED_AT), strict=False):
        names |= dict.fromkeys(record.values)
    return list(names)


def _first_line(text: str) -> str:
    return next((line.rstrip("\n") for line in io.StringIO(text, newline=None) if line.strip()), "")


def _first(text: str, separator: str) -> list[str]:
    """Cells of the first line that has any."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    line = _first_line(text)
    try:
        cells = next(
            csv.reader(
                [line],
                delimiter=separator,
                quoting=csv.QUOTE_NONE if separator == "|" else csv.QUOTE_MINIMAL,
            ),
            [],
        )
    except csv.Error:
        return []
    return [cell.strip().strip('"') for cell in cells]


def _head(text: str, where: str, options: Mapping[str, Any]) -> tuple[str, Columns | None]:
    """What stands between the columns, and the columns; None for a table without names of them."""
    said = options.get("separator")
    separators = [said] if said else [one for one in SEPARATORS if one in _first_line(text)]
    named = (options.get("columns") or {}).get("image", "")
    if named.isdecimal():
        return (separators or [","])[0], None
    refused: BadInput | None = None
    for separator in separators:
        names = _first(text, separator)
        if len(names) < 2:
            continue
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            refused = BadInput(
                where, f"the column {twice:.60} twice", "each once", "rename one of the two"
            )
            continue
        try:
            return separator, columns_of(names, options, where)
        except BadInput as error:
            if any(SUFFIX.search(name) for name in names) and not options.get("columns"):
                return separator, None
            refused = refused or error
    raise refused or BadInput(
        where,
        f"{_first_line(text)[:80]!r}",
        "a table of images and captions, its first line with the names of its columns",
        "write such a line, or say what stands between the columns with separator: in the config",
    )


def _without_head(text: str, separator: str, where: str, options: Mapping[str, Any]) -> Columns:
    """Of a table that begins with its first row: the column of file names, and the other."""
    cells = _first(text, separator)
    said = options.get("columns") or {}
    names = [str(number) for number in range(len(cells))]
    if said:
        return columns_of(names, options, where)
    images = [name for name, cell in zip(names, cells, strict=True) if SUFFIX.search(cell)]
    others = [name for name in names if name not in images]
    if len(images) != 1 or len(others) != 1:
        raise BadInput(
            where,
            f"{cells!r:.80} in the first line, and no names of columns",
            "two columns, of images and of captions, or names of the columns",
            "say which are which in the dataset's entry of the config, by their numbers from 0, as "
            'columns: {image: "0", caption: "2"}; or write their names into a first line',
        )
    return Columns(images[0], others, None, None, [])


def _rows(
    text: str, where: str, separator: str, names: list[str], columns: Columns, head: bool
) -> Iterator[Row]:
    quotes = _is_quoted(text, separator) if separator in UNQUOTED else separator != " "
    cells = _cells(text, where, separator, quotes)
    # what was not quoted splits the last column, and no other
    joined = names[-1] in columns.captions and len(columns.captions) == 1
    # where cells begin with blanks that are not theirs, a caption's own could not be told from them
    joined = joined and not (quotes and _has_blanks(text, separator))
    if head:
        next(cells, None)
    for number, row in cells:
        place = f"{where}, line {number}"
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(names) and joined:
            row[len(names) - 1 :] = [separator.join(row[len(names) - 1 :])]
        if len(row) > len(names) and any(cell.strip() for cell in row[len(names) :]):
            found = f"{separator.join(row)!r:.80}, {len(row)} columns"
            raise BadInput(place, found, f"{len(names)} columns", TODO)
        values = {name: cell.strip() for name, cell in zip(names, row, strict=False)}
        yield Row(values, place, short=len(row) < len(names))


def _has_blanks(text: str, separator: str) -> bool:
    """Whether blanks stand before quotes; before anything else one may be a caption's own."""
    return separator != "|" and f'{separator} "' in text


def _is_quoted(text: str, separator: str) -> bool:
    """Whether quotes in a text stand around what they belong to, as a program writes them."""
    if f'{separator}"' not in text and '\n"' not in text and not text.startswith('"'):
        return False
    try:
        for _ in _cells(text, "", separator, quotes=True):
            pass
    except BadInput:
        return False
    return True


def _cells(text: str, where: str, separator: str, quotes: bool) -> Iterator[tuple[int, list[str]]]:
    """Cells of each line that has any, with the number of the line on which they begin."""
    # a caption that is too long is set aside like any other, not refused with the table
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    rows = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        skipinitialspace=quotes and _has_blanks(text, separator),
        strict=True,
    )
    last = 0
    try:
        for row in rows:
            first, last = last + 1, rows.line_num
            if row:
                yield first, row
    except csv.Error as error:
        open_quote = "unexpected end" in str(error)
        found = "a quote that is not closed before the end" if open_quote else str(error)
        raise BadInput(f"{where}, line {last + 1}", found, "a row of the table", TODO) from None
