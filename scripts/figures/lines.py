"""A study's table as lines over x, with their intervals as bands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from scripts.figures.axes import (
    MARKERS,
    Facet,
    count_of,
    directions_of,
    facets_of,
    legend_below,
    legend_lines,
    limits_of,
    mark_cut,
    signed,
)
from scripts.figures.style import (
    MUTED,
    PAPER,
    SMALL,
    WIDTH,
    axes_at,
    drawable,
    palette_of,
    width_of,
)
from scripts.studies.shown import unique
from scripts.words import formats
from scripts.words.labels import Labels

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (2.5, 1)), (0, (8, 2)))
PANELS_ACROSS = 2
PANEL_WIDTH, PANEL_HEIGHT, PANELS_APART = 2.65, 1.9, 0.55  # inches
# x values that overlap at least so far, as a share of the fewer, are of one axis
SAME_AXIS = 0.5
# lines that are nowhere further apart, as a share of the axis, are one to the eye
TOGETHER = 0.01


def panels_of(table: pd.DataFrame, study: str) -> list[tuple[Facet, str]]:
    """The panels of a figure of lines: what shares both axes, and a direction."""
    found = []
    for facet in facets_of(table, study):
        for groups in groups_by_axis(facet.table):
            own = facet.table[facet.table.group.isin(groups)].reset_index(drop=True)
            part = Facet(own, facet.scale, facet.difference)
            found += [(part, way) for way in directions_of(own)]
    return found


def panels_against_first(table: pd.DataFrame, study: str) -> list[tuple[Facet, str]]:
    """For each direction the curves of the first group, and beside them the others less these."""
    of_first = table.group == table.group.iloc[0]
    keys = ["model", "direction", "measure", "x"]
    others = table[~of_first].merge(
        table[of_first][[*keys, "value"]], on=keys, suffixes=("", "_first")
    )
    # two intervals make none of a difference
    others = others.assign(value=others.value - others.value_first, low=np.nan, high=np.nan)
    found = []
    for facet in facets_of(table[of_first].reset_index(drop=True), study):
        rest = others[others.measure.isin(facet.table.measure)].reset_index(drop=True)
        for way in directions_of(facet.table):
            found.append((facet, way))
            if (rest.direction == way).any():
                found.append((Facet(rest, facet.scale, True), way))
    return found


def once(table: pd.DataFrame) -> pd.DataFrame:
    """Rows, with what a measure has alike in all groups told once, of no group."""
    keys = ["model", "direction", "measure"]
    alike = table.groupby([*keys, "x"]).value.transform("nunique") == 1
    alike &= table.groupby([*keys, "x"]).group.transform("nunique") == table.group.nunique()
    alike = alike.groupby([table[key] for key in keys]).transform("all")
    if table.group.nunique() < 2 or not alike.any():
        return table
    shared = table[alike].drop_duplicates([*keys, "x"]).assign(group="")
    return pd.concat([table[~alike], shared], ignore_index=True)


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


def covers(lines: Sequence[pd.DataFrame], apart: float) -> list[int]:
    """How many later ones lie upon each of some lines: nowhere further from it than ``apart``."""

    def together(one: pd.DataFrame, other: pd.DataFrame) -> bool:
        if not np.array_equal(one.x, other.x):
            return False
        return bool(np.abs(one.value.to_numpy() - other.value.to_numpy()).max() <= apart)

    return [
        sum(together(one, other) for other in lines[place + 1 :]) for place, one in enumerate(lines)
    ]


def draw_lines(
    table: pd.DataFrame,
    study: str,
    settings: Mapping[str, Any],
    labels: Labels,
    style: dict[str, Any],
) -> Figure:
    """Draw a study's table; what there is most of is told by colour, the rest by dashes.

    Parameters
    ----------
    table, study, labels, style : see ``plot_study``
    settings : form ("lines" or "differences"), log
    """
    colours, log, first = palette_of(style), bool(settings.get("log")), ""
    if settings["form"] == "differences":
        panels, first = panels_against_first(table, study), table.group.iloc[0]
    else:
        table = once(table)
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
        return drawable(" · ".join(filter(None, (told[part](own[part]) for part in varied))))

    handles = [
        Line2D([], [], lw=1.6, ms=4, mec=PAPER, mew=0.5, label=name(own), **look(own))
        for own in (dict(zip(varied, one, strict=True)) for one in series if varied)
    ]

    def above_of(own: pd.DataFrame, less: bool) -> str:
        group = labels.group(study, own.group.iloc[0]) if alone else ""
        told = [group, labels.text("n", n=count_of(own.queries))]
        if less:
            told.append(labels.text("less", first=labels.group(study, first)))
        return drawable(labels.text("and").join(filter(None, told)))

    rows = -(-len(panels) // PANELS_ACROSS)
    head, foot, left = 0.46, 0.48, 0.55
    single = len(panels) == 1
    width = WIDTH - left - 0.2 if single else PANEL_WIDTH
    # a quarter that no panel needs has the legend, where it fits
    spare = not single and len(panels) % 2 == 1 and 0.19 * len(handles) <= PANEL_HEIGHT
    legend = 0.0 if spare or not handles else 0.19 * legend_lines(handles) + 0.06
    height = rows * (head + PANEL_HEIGHT + foot) + legend + 0.04
    figure = Figure(figsize=(WIDTH, height))
    for number, (facet, way) in enumerate(panels):
        row, column = divmod(number, PANELS_ACROSS)
        start = row * (head + PANEL_HEIGHT + foot) + head
        at = left + column * (PANEL_WIDTH + PANELS_APART)
        axes = axes_at(figure, at, start, width, PANEL_HEIGHT)
        own = facet.table[facet.table.direction == way]
        axes.set_ylim(limits_of(facet))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(signed))
        _x_axis(axes, own.x, log, width)
        axes.set_ylabel(facet.axis(labels))
        axes.set_xlabel(labels.x(study, unique(own.group)), labelpad=3)
        axes.grid(axis="y")
        mark_cut(axes, "y")
        if facet.difference:
            axes.axhline(0, color=MUTED, lw=0.9, zorder=1)
        axes.text(
            0,
            1 + 0.25 / PANEL_HEIGHT,
            labels.direction(way),
            weight="bold",
            transform=axes.transAxes,
        )
        axes.text(
            0,
            1 + 0.1 / PANEL_HEIGHT,
            above_of(own, bool(first) and facet.difference),
            size=SMALL,
            color=MUTED,
            transform=axes.transAxes,
        )
        _curves(axes, own, facet.scale, look)
    _legend(figure, axes, handles, spare)
    return figure


def _curves(
    axes: Any, own: pd.DataFrame, scale: float, look: Callable[[Mapping[str, str]], dict[str, Any]]
) -> None:
    """The lines of a panel, with their bands."""
    lines = [
        (key, part.sort_values("x"))
        for key, part in own.groupby(["model", "group", "measure"], sort=False)
    ]
    upon = covers([part for _, part in lines], TOGETHER * np.ptp(axes.get_ylim()) / scale)
    for (key, part), covered in zip(lines, upon, strict=True):
        drawn = look(dict(zip(("model", "group", "measure"), key, strict=True)))
        axes.plot(
            part.x,
            scale * part.value,
            # so that it shows on both sides of those that lie upon it
            lw=1.6 + 2 * covered,
            ms=4 + 2 * covered,
            mec=PAPER,
            mew=0.5,
            clip_on=False,
            zorder=3,
            **drawn,
        )
        if part.low.notna().any():
            axes.fill_between(
                part.x,
                scale * part.low,
                scale * part.high,
                color=drawn["color"],
                alpha=0.16,
                lw=0,
                zorder=2,
            )


def _legend(figure: Figure, axes: Any, handles: list[Line2D], beside: bool) -> None:
    """What is told apart: below all panels, or ``beside`` the last one."""
    if not handles or not beside:
        legend_below(figure, handles)
        return
    place = axes.get_position()
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(place.x1 + PANELS_APART / WIDTH, place.y1),
        borderaxespad=0,
        borderpad=0,
        handlelength=2.6,
    )


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

    # means of something measured, such as 6.71 words, make no ticks
    if not all(float(value).is_integer() or float(f"{value:.2g}") == value for value in values):
        round_ = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high).tolist()
        values = [value for value in round_ if low <= value <= high] or values
    half = {value: width_of(formats.quantity(value), SMALL) / 2 + 0.04 for value in values}
    ticks: list[float] = []
    # the ends first, then what still has room
    for value in dict.fromkeys((values[-1], *values)):
        if all(abs(place(value) - place(one)) >= half[value] + half[one] for one in ticks):
            ticks.append(value)
    axes.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.quantity(value)))
