"""A study's table as lines over x, with their intervals as bands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from scripts.figures.facets import Facet, count_of, distinct, facets_of, note_of
from scripts.figures.panels import (
    DASHES,
    FULL,
    HALF,
    MARKERS,
    head,
    height_of,
    keys_of,
    legend,
    mark_cut,
    numbers,
    panels,
    ticks_at,
)
from scripts.figures.style import MUTED, PALETTE, PAPER, drawable
from scripts.studies.shown import unique

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scripts.words.labels import Labels

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
            found += [(part, way) for way in part.ways]
    return found


def panels_against_first(table: pd.DataFrame, study: str) -> list[tuple[Facet, str]]:
    """For each direction the curves of the first group, and beside them the others less these."""
    of_first = table.group == table.group.iloc[0]
    keys = ["model", "direction", "measure", "x"]
    first = table[of_first].reset_index(drop=True)
    others = table[~of_first].merge(first[[*keys, "value"]], on=keys, suffixes=("", "_first"))
    # two intervals make none of a difference
    others = others.assign(value=others.value - others.value_first, low=np.nan, high=np.nan)
    found = []
    for facet in facets_of(first, study):
        rest = others[others.measure.isin(facet.table.measure)].reset_index(drop=True)
        for way in facet.ways:
            found.append((facet, way))
            if (rest.direction == way).any():
                found.append((Facet(rest, facet.scale, True), way))
    return found


def once(table: pd.DataFrame) -> pd.DataFrame:
    """Rows, with what a measure has alike in all groups told once, of no group."""
    keys = ["model", "direction", "measure"]
    places = table.groupby([*keys, "x"])
    alike = places.value.transform("nunique") == 1
    alike &= places.group.transform("nunique") == table.group.nunique()
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
    table: pd.DataFrame, study: str, settings: Mapping[str, Any], labels: Labels
) -> Figure:
    """Draw a study's table; what there is most of is told by colour, the rest by dashes.

    Parameters
    ----------
    table, study, labels : see ``plot_study``
    settings : form ("lines" or "differences"), log
    """
    every, table, first = table, distinct(table, len(PALETTE)), ""
    note = note_of(table, every, len(PALETTE), study, labels)
    if settings["form"] == "differences":
        shown, first = panels_against_first(table, study), labels.group(study, table.group.iloc[0])
    else:
        table = once(table)
        shown = panels_of(table, study)
    parts = [facet.table[facet.table.direction == way] for facet, way in shown]
    varied = [name for name in ("model", "group", "measure") if table[name].nunique() > 1]
    # a group with a panel of its own is told above it
    alone = "group" in varied and all(own.group.nunique() == 1 for own in parts)
    if alone:
        varied.remove("group")
    coloured = max(varied, key=lambda name: table[name].nunique(), default="model")
    dashed = [name for name in varied if name != coloured]
    hues, kinds = unique(table[coloured]), keys_of(table, dashed) or [()]

    def look(own: Mapping[str, str]) -> dict[str, Any]:
        kind = kinds.index(tuple(own[name] for name in dashed))
        return {
            "color": f"C{hues.index(own[coloured])}",
            "ls": DASHES[kind % len(DASHES)],
            "marker": MARKERS[kind % len(MARKERS)],
        }

    def name(own: Mapping[str, str]) -> str:
        names = {
            "model": own["model"],
            "group": labels.group(study, own["group"]),
            "measure": labels.measure(own["measure"]),
        }
        return drawable(" · ".join(names[part] for part in varied if names[part]))

    series = table.drop_duplicates(varied).to_dict("records") if varied else []
    handles = [
        Line2D([], [], lw=1.6, ms=4, mec=PAPER, mew=0.5, label=name(own), **look(own))
        for own in series
    ]
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    # a quarter that no panel needs has the legend, where it fits
    spare = len(shown) < rows * columns and len(handles) <= 10 and not note
    height = 2.75 * rows + (0 if spare else height_of(handles) + 0.15 * len(note))
    figure, grid = panels(height, rows, columns)
    for axes, (facet, way), own in zip(grid.flat, shown, parts, strict=False):
        told = [
            labels.group(study, own.group.iloc[0]) if alone else "",
            labels.text("n", n=count_of(own.queries)),
            labels.text("less", first=first) if first and facet.difference else "",
        ]
        head(axes, labels.direction(way), drawable(labels.text("and").join(filter(None, told))))
        _x_axis(axes, own.x, bool(settings.get("log")), HALF if columns == 2 else FULL)
        axes.set(ylim=facet.limits, ylabel=facet.axis(labels))
        axes.set_xlabel(labels.x(study, unique(own.group)))
        numbers(axes.yaxis)
        axes.grid(axis="y")
        mark_cut(axes, "y")
        if facet.difference:
            axes.axhline(0, color=MUTED, lw=0.9, zorder=1)
        _curves(axes, own, facet.scale, look)
    for axes in grid.flat[len(shown) :]:
        axes.axis("off")
        if spare:
            axes.legend(handles=handles, loc="upper left", handlelength=2.6)
    if not spare:
        legend(figure, handles, note=note)
    return figure


def _curves(
    axes: Any, own: pd.DataFrame, scale: float, look: Callable[[Mapping[str, str]], dict[str, Any]]
) -> None:
    """The lines of a panel, with their bands."""
    lines = [
        part.sort_values("x") for _, part in own.groupby(["model", "group", "measure"], sort=False)
    ]
    upon = covers(lines, TOGETHER * np.ptp(axes.get_ylim()) / scale)
    for part, covered in zip(lines, upon, strict=True):
        drawn = look(part.iloc[0])
        axes.plot(
            part.x, scale * part.value, mec=PAPER, mew=0.5, clip_on=False, zorder=3,
            # so that it shows on both sides of those that lie upon it
            lw=1.6 + 2 * covered, ms=4 + 2 * covered, **drawn,
        )  # fmt: skip
        if part.low.notna().any():
            low, high = scale * part.low, scale * part.high
            axes.fill_between(part.x, low, high, color=drawn["color"], alpha=0.16, lw=0, zorder=2)


def _x_axis(axes: Any, x: pd.Series, log: bool, width: float) -> None:
    """Ticks where something was measured, as far as their numbers have room."""
    values = sorted(set(x))
    low, high = values[0], values[-1]
    if log and low > 0:
        axes.set_xscale("log")
    if low < high:
        axes.set_xlim(low, high)
    # means of something measured, such as 6.71 words, make no ticks
    if all(float(f"{value:.2g}") == value or float(value).is_integer() for value in values):
        ticks_at(axes, values, width)
    else:
        numbers(axes.xaxis)
