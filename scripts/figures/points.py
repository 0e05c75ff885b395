"""A study's table as points: a row for each group, a panel for each direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from scripts.figures.axes import (
    MARKERS,
    Facet,
    count_of,
    directions_of,
    facets_of,
    legend_columns,
    legend_lines,
    limits_of,
    mark_cut,
    signed,
)
from scripts.figures.pictures import leading_of
from scripts.figures.style import (
    INK,
    LINE,
    MUTED,
    PAPER,
    SMALL,
    WIDTH,
    drawable,
    palette_of,
    width_of,
    wrap,
)
from scripts.studies.families import table_behind
from scripts.studies.shown import unique
from scripts.words import formats
from scripts.words.labels import Labels

LABEL = SMALL + 0.5  # points
WIDEST_LABEL, LABEL_LINES = 2.3, 3
# a list longer than this, with more marks than that, has those of the first model alone
LONG, CROWDED = 6, 24
# between marks of a row, and between panels, in inches
PITCH, GAP = 0.092, 0.26


@dataclass(frozen=True)
class Block:
    """Panels that share their rows.

    Attributes
    ----------
    facet : what is drawn
    names : the rows' labels, broken into lines
    row_of : (r,) which row each row of the table is in
    named : whether the labels tell the model, too
    """

    facet: Facet
    names: list[list[str]]
    row_of: np.ndarray
    named: bool

    @property
    def marks(self) -> list[list[tuple[str, str]]]:
        """Model and measure of what stands in each row, one below the other."""
        table = self.facet.table
        keys = list(zip(table.model, table.measure, strict=True))
        return [
            list(dict.fromkeys(key for key, at in zip(keys, self.row_of, strict=True) if at == row))
            for row in range(len(self.names))
        ]

    @property
    def heights(self) -> np.ndarray:
        """(rows,) inches."""
        return np.array(
            [
                max(0.25, PITCH * len(marks) + 0.1, 0.14 * len(lines) + 0.07)
                for marks, lines in zip(self.marks, self.names, strict=True)
            ]
        )

    def counts(self, direction: str) -> dict[int, str]:
        """How many queries are behind each row."""
        table = self.facet.table
        mine = (table.direction == direction).to_numpy()
        return {
            row: count_of(table.queries[mine & (self.row_of == row)])
            for row in sorted(set(self.row_of[mine]))
        }


@dataclass(frozen=True)
class _Look:
    """Models by colour, measures by shape and, where no model is told apart, by colour, too."""

    models: list[str]
    measures: list[str]
    colours: tuple[str, ...]

    def of(self, model: str, measure: str) -> tuple[str, str]:
        """Colour and marker."""
        place = self.measures.index(measure)
        hue = self.models.index(model) if self.models else place
        return self.colours[hue % len(self.colours)], MARKERS[place % len(MARKERS)]

    def legend(self, labels: Labels) -> list[Line2D]:
        """What there is more than one of."""
        told = [
            ("s", self.of(model, self.measures[0])[0], drawable(model)) for model in self.models
        ]
        if len(self.measures) > 1:
            for measure in self.measures:
                colour, marker = self.of(self.models[0] if self.models else "", measure)
                name = drawable(labels.measure(measure))
                told.append((marker, MUTED if self.models else colour, name))
        return [
            Line2D([], [], marker=marker, ls="", ms=5.5, color=colour, mec=PAPER, label=name)
            for marker, colour, name in told
        ]


def row_labels(table: pd.DataFrame, study: str, labels: Labels) -> tuple[list[str], bool]:
    """The label of each row of a table, and whether it tells the model.

    A label is that of the group; where a group holds several prompts, scorers or x, or where there
    is one group only and several models, these follow.
    """
    same = ["model", "direction", "group", "measure"]
    keys = [
        column
        for column in ("prompt", "scorer", "x")
        if table.groupby(same, dropna=False)[column].nunique().max() > 1
    ]
    named = not keys and table.group.nunique() == 1 and table.model.nunique() > 1
    keys = ["model"] if named else keys
    names = []
    for one in table.to_dict("records"):
        parts = [formats.quantity(one[key]) if key == "x" else one[key] for key in keys]
        told = [drawable(part) for part in (labels.group(study, one["group"]), *parts) if part]
        names.append(" · ".join(told) or one["model"])
    return names, named


def _blocks(table: pd.DataFrame, study: str, labels: Labels) -> tuple[list[Block], float]:
    """The blocks of a figure, and the width of their labels."""
    told = [(facet, *row_labels(facet.table, study, labels)) for facet in facets_of(table, study)]
    widths = [width_of(name, LABEL) for _, names, _ in told for name in names]
    width = min(max(widths), WIDEST_LABEL)
    blocks = []
    for facet, names, named in told:
        rows = list(dict.fromkeys(names))
        lines = [wrap(row, width, LABEL, LABEL_LINES) for row in rows]
        places = np.array([rows.index(name) for name in names])
        blocks.append(Block(facet, lines, places, named))
    return blocks, width


def drawn_points(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a study's table that are drawn: of a long list, those of the first model."""
    names = ["group", "prompt", "scorer", "x"]
    for _, part in table.groupby("direction"):
        rows = len(part[names].drop_duplicates())
        if rows > LONG and len(part) > CROWDED:
            return table[table.model == table.model.iloc[0]].reset_index(drop=True)
    return table


def draw_points(table: pd.DataFrame, study: str, labels: Labels, style: dict[str, Any]) -> Figure:
    """Draw a study's table; models are told by colour, measures by shape."""
    every = table.model.nunique()
    table = drawn_points(table)
    note = ""
    if table.model.nunique() < every:
        note = labels.text("first_model", model=table.model.iloc[0], table=table_behind(study))
    blocks, width = _blocks(table, study, labels)
    models, measures = unique(table.model), unique(table.measure)
    if all(block.named for block in blocks):
        models = []
    colours = palette_of(style)
    look = _Look(models if len(models) > 1 else [], measures, colours)
    legend = look.legend(labels)

    told = wrap(note, WIDTH - 0.2, SMALL, 2) if note else []
    under = 0.1 + (0.06 + 0.19 * legend_lines(legend) if legend else 0)
    top = under + (0.05 + leading_of(SMALL) * len(told) if told else 0)
    titles, foot, left = 0.27, 0.46, width + 0.22
    bodies = [block.heights.sum() + 0.1 for block in blocks]
    height = top + sum(titles + body + foot for body in bodies) + 0.04
    figure = Figure(figsize=(WIDTH, height))
    above = top
    for block, body in zip(blocks, bodies, strict=True):
        ways = directions_of(block.facet.table)
        counts = {way: block.counts(way) for way in ways}
        uneven = any(len(set(own.values())) > 1 for own in counts.values())
        # a column of counts where they differ, one count above the panel where they do not
        numbers = [width_of(one, SMALL) for own in counts.values() for one in own.values()]
        column = max(numbers) + 0.12 if uneven else 0.0
        panel = (WIDTH - left - 0.16 - (len(ways) - 1) * GAP) / len(ways) - column
        for number, way in enumerate(ways):
            at = left + number * (panel + column + GAP)
            axes = figure.add_axes(
                (
                    at / WIDTH,
                    1 - (above + titles + body) / height,
                    panel / WIDTH,
                    body / height,
                )
            )
            _point_axes(axes, block, body, panel, labels)
            axes.text(
                0, -0.09, labels.direction(way), weight="bold", transform=axes.get_yaxis_transform()
            )
            if number == 0:
                _row_names(axes, block)
            _row_counts(axes, block, counts[way], uneven, 1 + column / panel, labels)
            _row_points(axes, block, way, look)
        above += titles + body + foot
    for number, line in enumerate(told):
        y = 1 - (under + (number + 0.76) * leading_of(SMALL)) / height
        figure.text(0.1 / WIDTH, y, line, size=SMALL, color=MUTED)
    if legend:
        figure.legend(
            handles=legend,
            loc="upper left",
            ncols=legend_columns(legend),
            bbox_to_anchor=(0.1 / WIDTH, 1),
            borderaxespad=0.5,
            borderpad=0,
            handletextpad=0.4,
            columnspacing=1.4,
            handlelength=1.4,
        )
    return figure


def _point_axes(axes: Any, block: Block, body: float, panel: float, labels: Labels) -> None:
    axes.set(xlim=limits_of(block.facet), ylim=(body, 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.tick_params(axis="x", length=0)
    axes.xaxis.set_major_locator(_ticks(axes.get_xlim(), panel))
    axes.xaxis.set_major_formatter(FuncFormatter(signed))
    axes.set_xlabel(block.facet.axis(labels), labelpad=3)
    mark_cut(axes, "x")
    for edge in _edges(block)[1:-1]:
        axes.axhline(edge, color=LINE, lw=0.4, zorder=0)
    if block.facet.difference:
        axes.axvline(0, color=MUTED, lw=0.9, zorder=1)


def _ticks(limits: tuple[float, float], panel: float) -> MaxNLocator:
    """As many ticks as have room for their numbers on an axis of so many inches."""
    for count in range(max(2, int(panel / 0.36)), 2, -1):
        ticks = MaxNLocator(count, steps=[1, 2, 5, 10])
        shown = [one for one in ticks.tick_values(*limits) if limits[0] <= one <= limits[1]]
        numbers = [signed(tick, None) for tick in shown]
        if sum(width_of(number, SMALL) + 0.18 for number in numbers) <= panel:
            return ticks
    return MaxNLocator(2, steps=[1, 2, 5, 10])


def _edges(block: Block) -> np.ndarray:
    """(rows + 1,) upper ends of the rows, and the lower end of the last, in inches."""
    return np.concatenate([[0.0], np.cumsum(block.heights)]) + 0.05


def _centres(block: Block) -> np.ndarray:
    edges = _edges(block)
    return (edges[1:] + edges[:-1]) / 2


def _row_names(axes: Any, block: Block) -> None:
    for lines, centre in zip(block.names, _centres(block), strict=True):
        axes.annotate(
            "\n".join(lines),
            (0, centre),
            xycoords=axes.get_yaxis_transform(),
            xytext=(-7, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            size=LABEL,
            color=INK,
            linespacing=1.15,
        )


def _row_counts(
    axes: Any, block: Block, counts: dict[int, str], uneven: bool, right: float, labels: Labels
) -> None:
    centres = _centres(block)
    told = [(-0.09, "n" if uneven else labels.text("n", n=next(iter(counts.values()))), "baseline")]
    if uneven:
        told += [(centres[row], count, "center") for row, count in counts.items()]
    for y, text, where in told:
        axes.text(
            right,
            y,
            text,
            ha="right",
            va=where,
            size=SMALL,
            color=MUTED,
            transform=axes.get_yaxis_transform(),
        )


def _row_points(axes: Any, block: Block, direction: str, look: _Look) -> None:
    table, marks, centres = block.facet.table, block.marks, _centres(block)
    for row, place in zip(table.itertuples(), block.row_of, strict=True):
        if row.direction != direction:
            continue
        mark = (row.model, row.measure)
        y = centres[place] + PITCH * (marks[place].index(mark) - (len(marks[place]) - 1) / 2)
        colour, marker = look.of(*mark)
        scale = block.facet.scale
        if not np.isnan(row.low):
            axes.plot([scale * row.low, scale * row.high], [y, y], color=colour, lw=1.3, zorder=2)
        size = {"D": 3.9, "P": 5.4, "X": 5.4}.get(marker, 4.6)
        axes.plot(
            scale * row.value,
            y,
            marker,
            color=colour,
            mec=PAPER,
            mew=0.5,
            ms=size,
            zorder=3,
            clip_on=False,
        )
