"""What figures of studies share: which rows can share an axis, its ends, labels and legends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from scripts.figures.style import MUTED, SMALL, WIDTH, width_of
from scripts.measures import SUMS
from scripts.protocol import DIRECTIONS
from scripts.studies.shown import is_difference, unique
from scripts.studies.table import is_fraction
from scripts.words.labels import Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "osD^vPX"


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

    def axis(self, labels: Labels) -> str:
        """What the axis of values counts."""
        measures = unique(self.table.measure)
        kind = ("points" if self.difference else "percent") if self.scale == 100 else ""
        if len(measures) == 1:
            name = labels.measure(measures[0])
            return labels.text(kind, measure=name) if kind else name
        return labels.text(f"some_{kind}")


def facets_of(table: pd.DataFrame, study: str) -> list[Facet]:
    """Rows by what they can share an axis with, in the order in which they come up.

    Shares are of one unit, any other measure is of its own; groups that are told from zero are kept
    apart from values.
    """
    units = [100.0 if is_fraction(measure) else measure for measure in table.measure]
    signs = table.groupby("group").value.transform(lambda values: is_difference(study, values))
    keys = list(zip(units, signs, strict=True))
    return [
        Facet(
            table[[one == (unit, sign) for one in keys]].reset_index(drop=True),
            unit if unit == 100.0 else 1.0,
            bool(sign),
        )
        for unit, sign in dict.fromkeys(keys)
    ]


def directions_of(table: pd.DataFrame) -> list[str]:
    """Directions that are there, text to image first; what has no direction comes last."""
    there = unique(table.direction)
    return sorted(there, key=lambda way: [*DIRECTIONS, *there].index(way))


def limits_of(facet: Facet) -> tuple[float, float]:
    """Ends of the axis of values: from zero unless that wastes most of it."""
    table = facet.table
    ends = np.concatenate([table.value, table.low.dropna(), table.high.dropna()]) * facet.scale
    low, high = float(ends.min()), float(ends.max())
    if facet.difference or low < 0.45 * high:
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    bottom = low if low == 0 and not facet.difference else low - room
    top = high if high == 0 and not facet.difference else high + room
    if facet.scale == 100 and not facet.difference and not table.measure.isin(SUMS).any():
        top, bottom = min(top, 100.0), max(bottom, 0.0)
        if top - bottom < 1e-9:
            bottom = top - 1.0
    return bottom, top


def mark_cut(axes: Any, name: str) -> None:
    """Two strokes through the near end of an axis of values that does not hold zero."""
    low, high = axes.get_xlim() if name == "x" else axes.get_ylim()
    if low <= 0 <= high:
        return
    box = axes.get_position()
    wide, tall = box.width * WIDTH, box.height * axes.figure.get_figheight()
    for along in (0.07, 0.11):
        ends = np.array([[along - 0.02, -0.05], [along + 0.02, 0.05]])
        ends = (ends if name == "x" else ends[:, ::-1]) / (wide, tall)
        axes.figure.add_artist(Line2D(*ends.T, color=MUTED, lw=0.9, transform=axes.transAxes))


def count_of(queries: pd.Series) -> str:
    """How many queries are behind some rows."""
    low, high = int(queries.min()), int(queries.max())
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def signed(value: float, _: Any) -> str:
    """A tick's number."""
    return f"{value:,g}".replace("-", "−")


def legend_columns(handles: list[Any]) -> int:
    """As many columns as fit across the figure."""
    widest = max(width_of(handle.get_label(), SMALL) for handle in handles) + 0.5
    return max(1, min(len(handles), int((WIDTH - 0.2) / widest)))


def legend_lines(handles: list[Any]) -> int:
    """Lines that a legend takes."""
    return -(-len(handles) // legend_columns(handles)) if handles else 0


def legend_below(figure: Figure, handles: list[Any], above: float = 0.06) -> None:
    """A legend across the figure, so many inches ``above`` its lower edge; none for nothing."""
    if handles:
        figure.legend(
            handles=handles,
            loc="lower left",
            ncols=legend_columns(handles),
            bbox_to_anchor=(0.1 / WIDTH, above / figure.get_figheight()),
            borderaxespad=0,
            borderpad=0,
            handlelength=2.6,
            columnspacing=1.6,
        )
