"""Which rows of a study's table can share an axis, and where that ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scripts.figures.style import SMALL, WIDTH, wrap
from scripts.measures import SUMS
from scripts.protocol import DIRECTIONS
from scripts.studies.families import table_behind
from scripts.studies.shown import is_difference, unique
from scripts.studies.table import is_fraction

if TYPE_CHECKING:
    import pandas as pd

    from scripts.words.labels import Labels


@dataclass(frozen=True)
class Facet:
    """Rows that can share an axis: one unit, of values or of differences.

    Attributes
    ----------
    scale : what values are multiplied with to be printed: 100 for shares
    difference : whether zero means "the same"
    """

    table: pd.DataFrame
    scale: float
    difference: bool

    @property
    def ways(self) -> list[str]:
        """Directions that are there, text to image first; what has no direction comes last."""
        there = unique(self.table.direction)
        return sorted(there, key=lambda way: [*DIRECTIONS, *there].index(way))

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the axis of values: from zero unless that wastes most of it."""
        ends = self.scale * self.table[["value", "low", "high"]].to_numpy(dtype=np.float64)
        low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
        if self.difference or low < 0.45 * high:
            low, high = min(low, 0.0), max(high, 0.0)
        room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        bottom = low - room if low or self.difference else low
        top = high + room if high or not low or self.difference else high
        if self.scale == 100 and not self.difference and not self.table.measure.isin(SUMS).any():
            bottom, top = max(bottom, 0.0), min(top, 100.0)
        return bottom, top

    def axis(self, labels: Labels) -> str:
        """What the axis of values counts."""
        measures = unique(self.table.measure)
        kind = ("points" if self.difference else "percent") if self.scale == 100 else ""
        if len(measures) == 1:
            name = labels.measure(measures[0])
            return labels.text(kind, measure=name) if kind else name
        return labels.text(f"some_{kind}")


def distinct(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Rows of the first model, where there are more than ``most`` to tell apart; else all."""
    if table.model.nunique() <= most:
        return table
    return table[table.model == table.model.iloc[0]].reset_index(drop=True)


def note_of(
    drawn: pd.DataFrame, every: pd.DataFrame, most: int, study: str, labels: Labels
) -> list[str]:
    """Lines that say where the other models of ``every`` are, where one alone is drawn."""
    if drawn.model.nunique() == every.model.nunique():
        return []
    many = every.model.nunique() > most
    told = labels.text(
        "first_of_many" if many else "first_model",
        model=drawn.model.iloc[0],
        table=table_behind(study),
    )
    return wrap(told, WIDTH - 0.3, SMALL, 2)


def facets_of(table: pd.DataFrame, study: str) -> list[Facet]:
    """Rows by what they can share an axis with, in the order in which they come up.

    Shares are of one unit, any other measure is of its own; groups that are told from zero are kept
    apart from values.
    """
    units = table.measure.where(~table.measure.map(is_fraction), "share")
    signs = table.groupby("group").value.transform(lambda values: is_difference(study, values))
    return [
        Facet(part.reset_index(drop=True), 100.0 if unit == "share" else 1.0, bool(sign))
        for (unit, sign), part in table.groupby([units, signs], sort=False)
    ]


def count_of(queries: pd.Series) -> str:
    """How many queries are behind some rows, each number once; of more than two, the ends."""
    counts = [int(count) for count in dict.fromkeys(queries)]
    if len(counts) > 2:
        return f"{min(counts):,}–{max(counts):,}"
    return " / ".join(f"{count:,}" for count in counts)
