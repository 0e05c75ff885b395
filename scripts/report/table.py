"""A table as the page and the PDF show it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from markupsafe import Markup

from scripts.words import formats


@dataclass(frozen=True)
class Table:
    """Cells ready to print, under the keys of their headings.

    Attributes
    ----------
    columns : keys in ``columns`` of the words; a key that is not there stands as it is
    rows : cells; those of one row stand side by side
    numeric : the columns to align at the right
    grouped : whether the first column becomes a heading over the rows that share it
    left_out : rows that are not here, but in ``file``
    only : the model that the rows are of, where those of others are left out
    flat : whether intervals stand beside their values, and not below
    sides : headings over columns with how many each covers, of all that are shown; "" for none
    """

    columns: list[str]
    rows: list[list[Any]]
    numeric: set[str] = field(default_factory=set)
    grouped: bool = False
    left_out: int = 0
    file: str = ""
    only: str = ""
    flat: bool = False
    sides: tuple[tuple[str, int], ...] = ()

    @property
    def starts(self) -> set[int]:
        """Columns before which a heading over several begins or ends."""
        ends = accumulate((span for _, span in self.sides), initial=int(self.grouped))
        return set(ends) - {int(self.grouped), len(self.columns)}

    @property
    def dense(self) -> bool:
        """Whether there are many columns of numbers."""
        return sum(column in self.numeric for column in self.columns) > 4

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


def _without(cells: list[Any], places: list[int]) -> list[Any]:
    return [cell for place, cell in enumerate(cells) if place not in places]


def with_interval(value: Any, interval: str) -> Markup:
    """A value and, small below it, its interval."""
    mark = Markup('{}<span class="ci">{}</span>') if interval else Markup("{}")
    return mark.format(value, interval)
