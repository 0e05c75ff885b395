"""The figure of any study: its table's values with their intervals, as points or as lines.

Points stand in a row for each group, lines run over x; each direction has a panel of its own. What
is measured in other units, or over another x, has panels of its own, too. Nothing here knows a
study by name but its labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from scripts.job import run
from scripts.report.labels import Labels, read_labels
from scripts.report.study_table import is_difference, is_share, read_study, selected, unique
from scripts.report.style import (
    INK,
    LINE,
    MUTED,
    PAPER,
    SIZE,
    SMALL,
    WIDTH,
    draw,
    inches,
    palette_of,
    printable,
    sheet,
    width_of,
    wrap,
    write_table,
)

MARKERS = "osD^vPX"
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (2.5, 1)), (0, (8, 2)))
LABEL = SMALL + 0.5  # points
WIDEST_LABEL, LABEL_LINES = 2.3, 3
PITCH, GAP = 0.115, 0.26  # of points, in inches
PANELS_ACROSS, PANEL_WIDTH, PANEL_HEIGHT = 2, 2.95, 1.9  # of lines, in inches
# x values that overlap at least so far, as a share of the fewer, are of one axis
SAME_AXIS = 0.5


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
    units = [100.0 if is_share(measure) else measure for measure in table.measure]
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


def plot_study(
    table: pd.DataFrame,
    study: str,
    settings: Mapping[str, Any],
    labels: Labels,
    style: dict[str, Any],
) -> Figure:
    """Draw a study's table.

    Parameters
    ----------
    table : columns of ``scripts.studies.table``, as ``read_study`` gives them
    study : the study's name, for its labels
    settings : form ("points" or "lines"), measures, log
    """
    table = selected(table, settings)
    lines = settings.get("form") == "lines"
    if lines:
        table = table[table.x.notna()].reset_index(drop=True)
    with sheet():
        if table.empty:
            return _nothing(labels)
        if lines:
            return _lines(table, study, bool(settings.get("log")), labels, style)
        return _points(table, study, labels, style)


def _nothing(labels: Labels) -> Figure:
    told = wrap(labels.text("nothing"), WIDTH - 0.4, SIZE)
    figure, axes = inches(WIDTH, 0.35 + 0.16 * len(told))
    axes.text(0.2, 0.3, "\n".join(told), color=MUTED, va="center")
    return figure


def _directions(table: pd.DataFrame) -> list[str]:
    """Directions that are there, text to image first."""
    order = ("text_to_image", "image_to_text")
    there = unique(table.direction)
    return [*(way for way in order if way in there), *(way for way in there if way not in order)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def _count(queries: pd.Series) -> str:
    low, high = int(queries.min()), int(queries.max())
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


# --- points


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
            row: _count(table.queries[mine & (self.row_of == row)])
            for row in sorted(set(self.row_of[mine]))
        }


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
        parts = [_number(one[key]) if key == "x" else one[key] for key in keys]
        told = [printable(part) for part in (labels.group(study, one["group"]), *parts) if part]
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


def _points(table: pd.DataFrame, study: str, labels: Labels, style: dict[str, Any]) -> Figure:
    blocks, width = _blocks(table, study, labels)
    models, measures = unique(table.model), unique(table.measure)
    if all(block.named for block in blocks):
        models = []
    colours = palette_of(style)
    look = _Look(models if len(models) > 1 else [], measures, colours)
    legend = look.legend(labels)

    top = 0.1 + (0.06 + 0.19 * _legend_lines(legend) if legend else 0)
    titles, foot, left = 0.27, 0.46, width + 0.22
    bodies = [block.heights.sum() + 0.1 for block in blocks]
    height = top + sum(titles + body + foot for body in bodies) + 0.04
    figure = Figure(figsize=(WIDTH, height))
    above = top
    for block, body in zip(blocks, bodies, strict=True):
        ways = _directions(block.facet.table)
        counts = {way: block.counts(way) for way in ways}
        uneven = any(len(set(own.values())) > 1 for own in counts.values())
        # a column of counts where they differ, one count above the panel where they do not
        numbers = [width_of(one, SMALL - 0.5) for own in counts.values() for one in own.values()]
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
    if legend:
        figure.legend(
            handles=legend,
            loc="upper left",
            ncols=_legend_columns(legend),
            bbox_to_anchor=(0.1 / WIDTH, 1),
            borderaxespad=0.5,
            borderpad=0,
            handletextpad=0.4,
            columnspacing=1.4,
            handlelength=1.4,
        )
    return figure


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
            ("s", self.of(model, self.measures[0])[0], printable(model)) for model in self.models
        ]
        if len(self.measures) > 1:
            for measure in self.measures:
                colour, marker = self.of(self.models[0] if self.models else "", measure)
                name = printable(labels.measure(measure))
                told.append((marker, MUTED if self.models else colour, name))
        return [
            Line2D([], [], marker=marker, ls="", ms=5.5, color=colour, mec=PAPER, label=name)
            for marker, colour, name in told
        ]


def _point_axes(axes: Any, block: Block, body: float, panel: float, labels: Labels) -> None:
    axes.set(xlim=_limits(block.facet), ylim=(body, 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.tick_params(axis="x", length=0)
    ticks = MaxNLocator(max(2, int(panel / 0.42)), steps=[1, 2, 5, 10])
    axes.xaxis.set_major_locator(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(_signed))
    axes.set_xlabel(block.facet.axis(labels), labelpad=3)
    for edge in _edges(block)[1:-1]:
        axes.axhline(edge, color=LINE, lw=0.4, zorder=0)
    if block.facet.difference:
        axes.axvline(0, color=MUTED, lw=0.9, zorder=1)


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
            size=SMALL - 0.5,
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


def _legend_columns(handles: list[Any]) -> int:
    """As many columns as fit across the figure."""
    widest = max(width_of(handle.get_label(), SMALL) for handle in handles) + 0.5
    return max(1, min(len(handles), int((WIDTH - 0.2) / widest)))


def _legend_lines(handles: list[Any]) -> int:
    return -(-len(handles) // _legend_columns(handles)) if handles else 0


def _limits(facet: Facet) -> tuple[float, float]:
    """Ends of the axis of values: from zero unless that wastes most of it."""
    table = facet.table
    ends = np.concatenate([table.value, table.low.dropna(), table.high.dropna()]) * facet.scale
    low, high = float(ends.min()), float(ends.max())
    if facet.difference or low < 0.45 * high:
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    bottom = low if low == 0 and not facet.difference else low - room
    top = high if high == 0 and not facet.difference else high + room
    if facet.scale == 100 and not facet.difference and table.measure.ne("rsum").all():
        top, bottom = min(top, 100.0), max(bottom, 0.0)
        if top - bottom < 1e-9:
            bottom = top - 1.0
    return bottom, top


def _signed(value: float, _: Any) -> str:
    return f"{value:,g}".replace("-", "−")


# --- lines


def panels_of(table: pd.DataFrame, study: str) -> list[tuple[Facet, str]]:
    """The panels of a figure of lines: what shares both axes, and a direction."""
    found = []
    for facet in facets_of(table, study):
        for groups in groups_by_axis(facet.table):
            own = facet.table[facet.table.group.isin(groups)].reset_index(drop=True)
            part = Facet(own, facet.scale, facet.difference)
            found += [(part, way) for way in _directions(own)]
    return found


def groups_by_axis(table: pd.DataFrame) -> list[list[str]]:
    """Groups that can share an axis of x, since they were measured at much the same places."""
    places = {group: set(part.x) for group, part in table.groupby("group", sort=False)}
    axes: list[list[str]] = []
    for group, xs in places.items():
        for axis in axes:
            others = set().union(*(places[one] for one in axis))
            if len(xs & others) >= SAME_AXIS * min(len(xs), len(others)):
                axis.append(group)
                break
        else:
            axes.append([group])
    return axes


def _lines(
    table: pd.DataFrame, study: str, log: bool, labels: Labels, style: dict[str, Any]
) -> Figure:
    colours = palette_of(style)
    panels = panels_of(table, study)
    varied = [name for name in ("model", "group", "measure") if table[name].nunique() > 1]
    # a group with a panel of its own is told above it
    alone = "group" in varied and all(
        facet.table.group.nunique() == 1
        or facet.table[facet.table.direction == way].group.nunique() == 1
        for facet, way in panels
    )
    if alone:
        varied.remove("group")
    # what there is most of is told by colour, the rest by dashes
    coloured = max(varied, key=lambda name: table[name].nunique(), default="model")
    dashed = [name for name in varied if name != coloured]
    hues = unique(table[coloured])
    kinds = list(dict.fromkeys(map(tuple, table[dashed].to_numpy()))) or [()]
    series = list(dict.fromkeys(map(tuple, table[varied].to_numpy())))

    def look(own: Mapping[str, str]) -> dict[str, Any]:
        kind = kinds.index(tuple(own[name] for name in dashed))
        return {
            "color": colours[hues.index(own[coloured]) % len(colours)],
            "ls": DASHES[kind % len(DASHES)],
            "marker": MARKERS[kind % len(MARKERS)],
        }

    def name(own: Mapping[str, str]) -> str:
        told = {
            "model": lambda model: model,
            "group": lambda group: labels.group(study, group),
            "measure": labels.measure,
        }
        return printable(" · ".join(filter(None, (told[part](own[part]) for part in varied))))

    handles = [
        Line2D([], [], lw=1.6, ms=4, mec=PAPER, mew=0.5, label=name(own), **look(own))
        for own in (dict(zip(varied, one, strict=True)) for one in series if varied)
    ]

    def above_of(own: pd.DataFrame) -> str:
        group = labels.group(study, own.group.iloc[0]) if alone else ""
        told = [group, labels.text("n", n=_count(own.queries))]
        return printable(labels.text("and").join(filter(None, told)))

    columns = _legend_columns(handles) if handles else 1
    rows = -(-len(panels) // PANELS_ACROSS)
    head, foot, left, gap = 0.46, 0.48, 0.55, 0.55
    single = len(panels) == 1
    width = WIDTH - left - 0.2 if single else PANEL_WIDTH
    legend = 0.19 * _legend_lines(handles) + (0.06 if handles else 0)
    height = rows * (head + PANEL_HEIGHT + foot) + legend + 0.04
    figure = Figure(figsize=(WIDTH, height))
    for number, (facet, way) in enumerate(panels):
        row, column = divmod(number, PANELS_ACROSS)
        start = row * (head + PANEL_HEIGHT + foot) + head
        axes = figure.add_axes(
            (
                (left + column * (PANEL_WIDTH + gap)) / WIDTH,
                1 - (start + PANEL_HEIGHT) / height,
                width / WIDTH,
                PANEL_HEIGHT / height,
            )
        )
        own = facet.table[facet.table.direction == way]
        axes.set_ylim(_limits(facet))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(_signed))
        _x_axis(axes, own.x, log, width)
        axes.set_ylabel(facet.axis(labels))
        axes.set_xlabel(labels.x(study, unique(own.group)), labelpad=3)
        axes.grid(axis="y")
        if facet.difference:
            axes.axhline(0, color=MUTED, lw=0.9, zorder=1)
        axes.text(
            0,
            1 + 0.22 / PANEL_HEIGHT,
            labels.direction(way),
            weight="bold",
            transform=axes.transAxes,
        )
        axes.text(
            0,
            1 + 0.06 / PANEL_HEIGHT,
            above_of(own),
            size=SMALL,
            color=MUTED,
            transform=axes.transAxes,
        )
        for key, part in own.groupby(["model", "group", "measure"], sort=False):
            part = part.sort_values("x")
            drawn = look(dict(zip(("model", "group", "measure"), key, strict=True)))
            axes.plot(
                part.x,
                facet.scale * part.value,
                lw=1.6,
                ms=4,
                mec=PAPER,
                mew=0.5,
                clip_on=False,
                zorder=3,
                **drawn,
            )
            if part.low.notna().any():
                axes.fill_between(
                    part.x,
                    facet.scale * part.low,
                    facet.scale * part.high,
                    color=drawn["color"],
                    alpha=0.16,
                    lw=0,
                    zorder=2,
                )
    if handles:
        figure.legend(
            handles=handles,
            loc="lower left",
            ncols=columns,
            bbox_to_anchor=(0.1 / WIDTH, 0.06 / height),
            borderaxespad=0,
            borderpad=0,
            handlelength=2.8,
            columnspacing=1.6,
        )
    return figure


def _x_axis(axes: Any, x: pd.Series, log: bool, width: float) -> None:
    """Ticks where something was measured, as far as their numbers have room."""
    values = sorted(set(x))
    low, high = values[0], values[-1]
    log = log and low > 0
    if log:
        axes.set_xscale("log")
        ends = (low / 1.1, high * 1.1) if low == high else (low, high)
    else:
        ends = (low - 0.5, high + 0.5) if low == high else (low, high)
    axes.set_xlim(*ends)

    def place(value: float) -> float:
        ends_, at = (np.log(ends), np.log(value)) if log else (np.array(ends), value)
        return float((at - ends_[0]) / (ends_[1] - ends_[0])) * width

    ticks: list[float] = []
    # the ends first, then what still has room
    for value in (high, low, *values[1:-1]):
        room = [
            width_of(_number(one), SMALL) / 2 + width_of(_number(value), SMALL) / 2 + 0.08
            for one in ticks
        ]
        if all(abs(place(value) - place(one)) >= own for one, own in zip(ticks, room, strict=True)):
            ticks.append(value)
    axes.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))


def main(snakemake) -> None:
    """Read a study's table, draw it."""
    params, study = snakemake.params, snakemake.wildcards.study
    settings = dict(params.settings)
    table = read_study(snakemake.input.table)
    style = dict(params.get("style") or {})
    draw(
        snakemake,
        lambda language: plot_study(table, study, settings, read_labels(language), style),
    )
    write_table(selected(table, settings), snakemake.output.table)


if __name__ == "__main__":
    run(main, snakemake)
