"""What indexes find of the exact top ten, against what they cost: time for a query, and memory.

A line joins the galleries of one index from the smallest to the largest; the run's own gallery is a
filled mark, those filled up with simulated distractors are open ones, the larger the more items.
"""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from scripts.figures.panels import MARKERS, head, height_of, legend, numbers, panels
from scripts.figures.style import MUTED, PAPER, draw, drawable
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.studies.shown import unique
from scripts.words import formats
from scripts.words.labels import Labels, read_labels

COSTS = ("latency_ms", "memory_mb")
FOUND = "found@10"
STUDY = "indexes"
SMALLEST_MARK = 4.0  # points


def plot_index_tradeoff(table: pd.DataFrame, labels: Labels) -> Figure:
    """Draw the table of costs, a row of panels for each direction.

    Parameters
    ----------
    table : columns of ``index_costs.csv``
    labels : of the figure
    """
    ways = [way for way in DIRECTIONS if (table.direction == way).any()]
    looks = {
        name: {"color": f"C{place}", "marker": MARKERS[place % len(MARKERS)]}
        for place, name in enumerate(unique(table["index"]))
    }
    handles = [
        Line2D([], [], lw=1.4, ms=5, label=drawable(labels.group(STUDY, name)), **look)
        for name, look in looks.items()
    ]
    handles += [
        Line2D([], [], ls="", marker="o", ms=5, mfc=face, mec=MUTED, label=labels.text(key))
        for key, face in (("own_gallery", MUTED), ("simulated", PAPER))
    ]
    figure, rows = panels(2.8 * len(ways) + height_of(handles), len(ways), sharey="row")
    for row, way in zip(rows, ways, strict=True):
        own = table[table.direction == way]
        sizes = labels.text("and").join(map(formats.count, unique(own["items"])))
        head(row[0], labels.direction(way), labels.text("sizes", sizes=sizes))
        row[0].set_ylabel(labels.text("percent", measure=labels.measure(FOUND)))
        for axes, cost in zip(row, COSTS, strict=True):
            _panel(axes, own, cost, looks)
            axes.set_xlabel(labels.text(cost))
    legend(figure, handles)
    return figure


def _panel(axes: Any, own: pd.DataFrame, cost: str, looks: dict[str, dict[str, Any]]) -> None:
    """Each index as a line over its galleries."""
    for name, part in own.groupby("index", sort=False):
        colour, marker = looks[name].values()
        part = part.sort_values("items")
        axes.plot(part[cost], 100 * part[FOUND], lw=1.4, color=colour, zorder=2)
        for step, place in enumerate(part.to_dict("records")):
            axes.plot(
                place[cost], 100 * place[FOUND], marker, ms=SMALLEST_MARK + 1.4 * step, mec=colour,
                mfc=PAPER if place["simulated"] else colour, clip_on=False, zorder=3,
            )  # fmt: skip
    lowest, low, high = 100 * own[FOUND].min(), own[cost].min(), own[cost].max()
    axes.set(ylim=(max(0.0, lowest - 0.06 * (100 - lowest) - 1), 100.0), xscale="log")
    axes.set_xlim(low / 1.5, high * 1.5)
    numbers(axes.yaxis)
    few = high / low < 60
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5) if few else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.quantity(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="both")


def main(snakemake: Snakemake) -> None:
    """Read the table, draw it."""
    table = pd.read_csv(snakemake.input.table, keep_default_na=False)
    draw(snakemake, lambda language: plot_index_tradeoff(table, read_labels(language)))


if __name__ == "__main__":
    run(main, snakemake)
