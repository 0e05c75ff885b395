"""Recall@K over all K: how soon the right answer comes, both directions.

The first run has its curve; the curves of others would lie upon it, so that of them the usual K are
drawn, as their difference from it on the same queries.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import DIGITS, Resampling, interval_of_means
from scripts.evaluate.runs import (
    Run,
    chance,
    images_of_queries,
    read_run,
    right_answers,
)
from scripts.figures.panels import (
    DOTTED,
    HALF,
    MARKERS,
    dots,
    head,
    height_of,
    keys_of,
    legend,
    numbers,
    panels,
    ticks_at,
)
from scripts.figures.style import LINE, MUTED, draw, drawable, write_table
from scripts.jobs import Snakemake, run
from scripts.protocol import DEPTHS, DIRECTIONS
from scripts.words import read_words

KEYS = ["model", "prompt", "scorer"]
NAMED = 6  # runs beside the first that colours can still tell apart
APART = 0.7  # how much of the way from one K to the next the runs at it take
TICKS = (1, 5, 10, 100, 1000, 10**4, 10**5, 10**6)


def steps_of(gallery: int, count: int = 60) -> np.ndarray:
    """Whole numbers from 1 to ``gallery``, evenly spaced on a log scale, with the usual K."""
    spaced = np.unique(np.geomspace(1, gallery, count).round().astype(np.int64))
    return np.union1d(spaced, [k for k in DEPTHS if k <= gallery])


def curves(
    runs: list[Run], gallery: dict[str, int], rows: Rows, resampling: Resampling
) -> pd.DataFrame:
    """Recall@K of each run for many K, with 95% intervals by bootstrap over images.

    Columns model, prompt, scorer, direction, queries, gallery, k, recall, low, high, chance, and
    difference, difference_low, difference_high, the paired change from the first run (fractions).
    """
    parts = []
    for way in DIRECTIONS:
        ks, images = steps_of(gallery[way]), images_of_queries(way, rows)
        first = (runs[0].ranks[way][:, None] <= ks).astype(np.float64)
        for run_ in runs:
            ranks, size = run_.ranks[way], gallery[way]
            right = right_answers(way, len(ranks), size)
            found = (ranks[:, None] <= ks).astype(np.float64)
            bounds = interval_of_means(found, images, resampling, shares=True)
            ends = interval_of_means(found - first, images, resampling)
            columns = {
                **dict(zip(KEYS, run_.key, strict=True)),
                "direction": way,
                "queries": len(ranks),
                "gallery": size,
                "k": ks,
                "recall": np.round(found.mean(axis=0), DIGITS),
                "low": bounds[:, 0],
                "high": bounds[:, 1],
                "chance": [chance(size, right, int(k)) for k in ks],
                "difference": np.round((found - first).mean(axis=0), DIGITS),
                "difference_low": ends[:, 0],
                "difference_high": ends[:, 1],
            }
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def plot_ranks(table: pd.DataFrame, language: str) -> Figure:
    """Draw the first run's curve, and below it what the others change.

    Of many others, those that are furthest from the first at the usual K are named.
    """
    words = read_words("figures", language)["ranks"]
    first, *others = keys_of(table, KEYS)
    named = _furthest(table, others)
    looks = {
        run_: {"color": f"C{place}", "marker": MARKERS[place % len(MARKERS)]}
        for place, run_ in enumerate((first, *named))
    }
    handles = [
        Line2D([], [], lw=1.8, ms=3.6, label=" · ".join(map(drawable, first)), **looks[first]),
        Line2D([], [], color=MUTED, lw=1.1, ls=DOTTED, label=words["chance"]),
        *(Line2D([], [], ls="", label=_name(run_, first), **looks[run_]) for run_ in named),
    ]
    if len(named) < len(others):
        handles.append(Line2D([], [], lw=0.8, color=LINE, label=words["others"]))
    # what changes is small, and asks for more room than the curve
    heights = [1.6, 2.0] if others else [2.2]
    figure, rows = panels(
        sum(heights) + height_of(handles), len(heights), sharey="row", height_ratios=heights
    )
    for column, way in zip(rows.T, DIRECTIONS, strict=True):
        part = table[table.direction == way]
        own = part[(part[KEYS] == list(first)).all(axis=1)]
        queries, gallery = part.queries.iloc[0], int(part.gallery.iloc[0])
        told = words["note"].format(queries=queries, gallery=gallery)
        head(column[0], words["directions"][way], told)
        _curve(column[0], own, looks[first])
        if others:
            _changes(column[1], part, others, looks)
            column[1].set_xlabel("K")
        _depths(column[0], gallery)
        column[0].set_xlabel(words["x"])
    for row, label in zip(rows, (words["y"], words["change"]), strict=False):
        row[0].set_ylabel(label)
    legend(figure, handles)
    return figure


def _furthest(table: pd.DataFrame, others: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """As many runs as can be named, in their order."""
    usual = table[table.k.isin(DEPTHS)]
    moved = usual.difference.abs().groupby([usual[key] for key in KEYS]).mean()
    chosen = sorted(others, key=lambda run_: -moved[run_])[:NAMED]
    return [run_ for run_ in others if run_ in chosen]


def _name(run_: tuple[str, ...], first: tuple[str, ...]) -> str:
    """In what a run differs from the first."""
    return " · ".join(drawable(a) for a, b in zip(run_, first, strict=True) if a != b)


def _curve(axes: Any, own: pd.DataFrame, look: dict[str, Any]) -> None:
    """The curve of one run with its interval, and what an order by lot would find."""
    axes.set(ylim=(0, 100))
    axes.grid(axis="y")
    axes.plot(own.k, 100 * own.chance, color=MUTED, lw=1.1, ls=DOTTED)
    axes.plot(own.k, 100 * own.recall, lw=1.8, clip_on=False, color=look["color"])
    axes.fill_between(own.k, 100 * own.low, 100 * own.high, color=look["color"], alpha=0.18, lw=0)
    at = own[own.k.isin(DEPTHS)]
    dots(axes, at.k, 100 * at.recall, ms=3.6, **look)


def _changes(
    axes: Any,
    part: pd.DataFrame,
    others: list[tuple[str, ...]],
    looks: dict[tuple[str, ...], dict[str, Any]],
) -> None:
    """What other runs change at the usual K, side by side, the named with their intervals."""
    axes.grid(axis="y")
    axes.axhline(0, color=MUTED, lw=0.9, zorder=1)
    numbers(axes.yaxis)
    depths = [k for k in DEPTHS if k <= part.gallery.iloc[0]]
    named = [run_ for run_ in others if run_ in looks]
    places = dict(zip(named, APART * (np.linspace(0, 1, len(named) + 2)[1:-1] - 0.5), strict=True))
    for run_ in others:
        own = part[(part[KEYS] == list(run_)).all(axis=1)].set_index("k").loc[depths]
        x = np.arange(len(depths)) + places.get(run_, 0)
        if run_ not in looks:
            axes.plot(x, 100 * own.difference, "_", color=LINE, ms=14, zorder=1.5)
            continue
        low, high = 100 * own.difference_low, 100 * own.difference_high
        axes.vlines(x, low, high, zorder=3, color=looks[run_]["color"], lw=1.4)
        dots(axes, x, 100 * own.difference, **looks[run_])
    axes.set_xlim(-0.5, len(depths) - 0.5)
    axes.set_xticks(range(len(depths)), [str(k) for k in depths])
    for place in range(1, len(depths)):
        axes.axvline(place - 0.5, color=LINE, lw=0.6, zorder=0)


def _depths(axes: Any, gallery: int) -> None:
    """The axis of K, with room for what stands beside its first value."""
    end = max(gallery, 2)
    axes.set(xscale="log", xlim=(np.exp(-0.17 * np.log(end) / HALF), end))
    ticks_at(axes, [*(k for k in TICKS if k < gallery), gallery], HALF)
    for k in DEPTHS:
        axes.axvline(k, color=LINE, lw=0.6, zorder=0)


def main(snakemake: Snakemake) -> None:
    """Read all rankings, draw their curves."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    runs = [read_run(Path(path), rows) for path in files.rankings]
    gallery = {"text_to_image": len(rows.images), "image_to_text": len(rows.captions)}
    table = curves(runs, gallery, rows, Resampling(params.resamples, params.seed))
    draw(snakemake, lambda language: plot_ranks(table, language))
    write_table(table, snakemake.output.table)


if __name__ == "__main__":
    run(main, snakemake)
