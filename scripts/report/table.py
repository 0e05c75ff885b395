"""A table: cells under the keys of their headings, and the block that it becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from scripts.report import blocks
from scripts.report.blocks import Block, Spans, plain
from scripts.report.spans import text_of
from scripts.words import formats

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Table:
    """Cells ready to print, under the keys of their headings.

    Attributes
    ----------
    columns : keys in ``columns`` of the words; a key that is not there stands as it is
    rows : cells, text or spans; those of one row stand side by side
    numeric : the columns to align at the right
    grouped : whether the first column becomes a heading over the rows that share it
    left_out : rows that are not here, but in ``file``
    only : the model that the rows are of, where those of others are left out
    chosen : whether the rows are the best, and those next to what they are held against
    sides : headings over columns with how many each covers, of all that are shown; "" for none
    holds : what a study's table holds, by name
    """

    columns: list[str]
    rows: list[list[Any]]
    numeric: set[str] = field(default_factory=set)
    grouped: bool = False
    left_out: int = 0
    file: str = ""
    only: str = ""
    chosen: bool = False
    sides: tuple[tuple[str, int], ...] = ()
    holds: tuple[str, ...] = ()

    @property
    def has_intervals(self) -> bool:
        """Whether any cell has one."""
        spans = (span for row in self.rows for cell in row for span in spans_of_cell(cell))
        return any(span["kind"] == "interval" for span in spans)

    @property
    def starts(self) -> set[int]:
        """Columns before which a heading over several begins or ends."""
        ends = accumulate((span for _, span in self.sides), initial=int(self.grouped))
        return set(ends) - {int(self.grouped), len(self.columns)}

    @property
    def numbers(self) -> set[str]:
        """Every number in its cells, as it is printed but for its sign."""
        texts = (text_of(spans_of_cell(cell)) for row in self.rows for cell in row)
        return {number for text in texts for number in NUMBER.findall(text)}

    def lean(self) -> Table:
        """The same without columns in which nothing stands."""
        empty = [
            place
            for place in range(len(self.columns))
            if self.rows and all(row[place] in ("", formats.NOTHING) for row in self.rows)
        ]
        if not empty:
            return self
        sides, place = [], int(self.grouped)
        for heading, span in self.sides:
            kept = span - sum(place <= one < place + span for one in empty)
            sides += [(heading, kept)] if kept else []
            place += span
        return replace(
            self,
            columns=_without(self.columns, empty),
            rows=[_without(row, empty) for row in self.rows],
            sides=tuple(sides),
        )

    def block(self, id_: str, caption: Spans, names: dict[str, str], note: Spans) -> Block:
        """The table as a block; ``names`` are what the keys of its columns are called."""
        first = int(self.grouped)
        columns = [
            blocks.column(
                spans_of_cell(names.get(key, key)), key in self.numeric, place in self.starts
            )
            for place, key in enumerate(self.columns)
        ][first:]
        groups: list[dict[str, Any]] = []
        for row in self.rows:
            over = spans_of_cell(row[0]) if self.grouped else []
            if not groups or groups[-1]["heading"] != over:
                groups.append({"heading": over, "rows": []})
            groups[-1]["rows"].append([spans_of_cell(cell) for cell in row[first:]])
        return blocks.table(id_, caption, columns, groups, self.sides, note)


def spans_of_cell(cell: Any) -> Spans:
    """A cell as spans: its own, or its text."""
    return cell if isinstance(cell, list) else [plain(str(cell))]


def _without(cells: list[Any], places: list[int]) -> list[Any]:
    return [cell for place, cell in enumerate(cells) if place not in places]


def with_interval(value: str, interval: str, strong: bool = False) -> Spans:
    """A value and its interval, which a face may set small below it."""
    told: Spans = [{"kind": "strong" if strong else "plain", "text": value}]
    return [*told, {"kind": "interval", "text": interval}] if interval else told


def in_points(pair: dict[str, Any], measure: str) -> Spans:
    """A difference of pairs.csv in some measure, in points."""
    bounds = pair[f"{measure}_low"], pair[f"{measure}_high"]
    return with_interval(formats.points(pair[measure]), formats.bracket(*bounds, formats.points))
