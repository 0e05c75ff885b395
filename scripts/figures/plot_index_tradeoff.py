"""What indexes find of the exact top ten, against what they cost: time for a query, and memory.

A line joins the galleries of one index from the smallest to the largest; the run's own gallery is a
filled mark, those filled up with simulated distractors are open ones, the larger the more items.
"""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from scripts.figures.axes import MARKERS, legend_below, legend_lines, signed
from scripts.figures.style import (
    INK,
    MUTED,
    PAPER,
    SMALL,
    WIDTH,
    draw,
    drawable,
    palette_of,
    sheet,
)
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.studies.shown import unique
from scripts.words import formats
from scripts.words.labels import Labels, read_labels

COSTS = ("latency_ms", "memory_mb")
FOUND = "found@10"
STUDY = "indexes"
SMALLEST_MARK = 4.0  # points
PANEL_WIDTH, PANEL_HEIGHT = 2.7, 2.0  # inches
HEAD, FOOT, LEFT, GAP = 0.46, 0.5, 0.6, 0.45


def plot_index_tradeoff(table: pd.DataFrame, labels: Labels, style: dict[str, Any]) -> Figure:
    """Draw the table of costs, a row of panels for each direction.

    Parameters
    ----------
    table : columns of ``index_costs.csv``
    labels, style : of the figure
    """
    ways = [way for way in DIRECTIONS if (table.direction == way).any()]
    colours = palette_of(style)
    names = unique(table["index"])
    looks = {
        name: {"color": colours[place % len(colours)], "marker": MARKERS[place % len(MARKERS)]}
        for place, name in enumerate(names)
    }
    with sheet():
        handles = [
            Line2D([], [], lw=1.4, ms=5, mec=looks[name]["color"],
                   label=drawable(labels.group(STUDY, name)), **looks[name])
            for name in names
        ]  # fmt: skip
        marks = [
            Line2D([], [], ls="", marker="o", ms=5, mfc=face, mec=MUTED, label=labels.text(key))
            for key, face in (("own_gallery", MUTED), ("simulated", PAPER))
        ]
        # indexes first, and below them what a filled and an open mark mean
        under = 0.19 * legend_lines(marks) + 0.06
        legend = 0.19 * legend_lines(handles) + under
        height = len(ways) * (HEAD + PANEL_HEIGHT + FOOT) + legend + 0.04
        figure = Figure(figsize=(WIDTH, height))
        for row, way in enumerate(ways):
            top = row * (HEAD + PANEL_HEIGHT + FOOT) + HEAD
            own = table[table.direction == way]
            for column, cost in enumerate(COSTS):
                axes = figure.add_axes(
                    (
                        (LEFT + column * (PANEL_WIDTH + GAP)) / WIDTH,
                        1 - (top + PANEL_HEIGHT) / height,
                        PANEL_WIDTH / WIDTH,
                        PANEL_HEIGHT / height,
                    )
                )
                _panel(axes, own, cost, looks, labels)
                axes.set_xlabel(labels.text(cost), labelpad=3)
                if column:
                    axes.tick_params(labelleft=False)
                    continue
                axes.set_ylabel(labels.text("percent", measure=labels.measure(FOUND)))
                for place, (text, shown) in enumerate(_above(own, way, labels)):
                    y = 1 + (0.25 - 0.15 * place) / PANEL_HEIGHT
                    axes.text(0, y, text, transform=axes.transAxes, **shown)
        for told, above in ((handles, under), (marks, 0.06)):
            legend_below(figure, told, above)
    return figure


def _above(own: pd.DataFrame, way: str, labels: Labels) -> list[tuple[str, dict[str, Any]]]:
    """What stands above a row of panels: the direction, and the sizes that its lines go through."""
    sizes = labels.text("and").join(formats.count(size) for size in unique(own["items"]))
    return [
        (labels.direction(way), {"weight": "bold"}),
        (drawable(labels.text("sizes", sizes=sizes)), {"size": SMALL, "color": MUTED}),
    ]


def _panel(
    axes: Any, own: pd.DataFrame, cost: str, looks: dict[str, dict[str, Any]], labels: Labels
) -> None:
    """Each index as a line over its galleries."""
    axes.set_xscale("log")
    lowest = 100 * own[FOUND].min()
    axes.set_ylim(max(0.0, lowest - 0.06 * (100 - lowest) - 1), 100.0)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(signed))
    axes.grid(axis="both")
    for name, part in own.groupby("index", sort=False):
        part = part.sort_values("items").reset_index(drop=True)
        look = looks[name]
        axes.plot(part[cost], 100 * part[FOUND], lw=1.4, color=look["color"], zorder=2)
        for step, place in enumerate(part.to_dict("records")):
            axes.plot(
                place[cost],
                100 * place[FOUND],
                ls="",
                ms=SMALLEST_MARK + 1.4 * step,
                marker=look["marker"],
                mfc=PAPER if place["simulated"] else look["color"],
                mec=look["color"],
                clip_on=False,
                zorder=3,
            )
    low, high = own[cost].min(), own[cost].max()
    axes.set_xlim(low / 1.5, high * 1.5)
    few = high / low < 60
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5) if few else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", colors=INK)


def main(snakemake: Snakemake) -> None:
    """Read the table, draw it."""
    table = pd.read_csv(snakemake.input.table, keep_default_na=False)
    style = dict(snakemake.params.get("style") or {})
    draw(snakemake, lambda language: plot_index_tradeoff(table, read_labels(language), style))


if __name__ == "__main__":
    run(main, snakemake)
