"""Recall@K over all K: how soon the right answer comes, both directions.

The first run has its curve; the curves of others would lie upon it, so that they are drawn as their
difference from it, on the same queries.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import DIGITS, Resampling, interval_of_means
from scripts.evaluate.runs import (
    Run,
    chance,
    images_of_queries,
    read_run,
    right_answers,
)
from scripts.figures.axes import legend_below, legend_lines, signed
from scripts.figures.style import (
    LINE,
    MUTED,
    PAPER,
    SMALL,
    WIDTH,
    axes_at,
    draw,
    drawable,
    palette_of,
    sheet,
    write_table,
)
from scripts.jobs import Snakemake, run
from scripts.protocol import DEPTHS, DIRECTIONS
from scripts.words import read_words

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (2.5, 1)), (0, (8, 2)))
KEYS = ["model", "prompt", "scorer"]
NAMED = 6  # runs beside the first that colours can still tell apart
# inches: left of a panel, a panel, between panels, and above and below those of a row
LEFT, PANEL, GAP, HEAD, FOOT = 0.55, 2.75, 0.4, 0.46, 0.48
CURVE, CHANGE = 1.6, 1.2  # heights
DODGE = 0.045  # between the intervals of runs at the same K


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
            ranks = run_.ranks[way]
            right = right_answers(way, len(ranks), gallery[way])
            found = (ranks[:, None] <= ks).astype(np.float64)
            bounds = interval_of_means(found, images, resampling, shares=True)
            moved = found - first
            ends = interval_of_means(moved, images, resampling)
            parts.append(
                pd.DataFrame(
                    {
                        "model": run_.model,
                        "prompt": run_.prompt,
                        "scorer": run_.scorer,
                        "direction": way,
                        "queries": len(ranks),
                        "gallery": gallery[way],
                        "k": ks,
                        "recall": np.round(found.mean(axis=0), DIGITS),
                        "low": bounds[:, 0],
                        "high": bounds[:, 1],
                        "chance": [chance(gallery[way], right, int(k)) for k in ks],
                        "difference": np.round(moved.mean(axis=0), DIGITS),
                        "difference_low": ends[:, 0],
                        "difference_high": ends[:, 1],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def plot_ranks(table: pd.DataFrame, language: str, style: dict[str, Any]) -> Figure:
    """Draw the first run's curve, and below it what the others change.

    Of many others, those that are furthest from the first at the usual K are named.
    """
    words, colours = read_words("figures", language)["ranks"], palette_of(style)
    first, *others = dict.fromkeys(map(tuple, table[KEYS].to_numpy()))
    named = _furthest(table, others)
    looks = {
        run_: {"color": colours[place % len(colours)], "ls": DASHES[place % len(DASHES)]}
        for place, run_ in enumerate((first, *named))
    }
    handles = [
        Line2D([], [], lw=1.8, label=" · ".join(map(drawable, first)), **looks[first]),
        Line2D([], [], color=MUTED, lw=1.1, ls=(0, (1, 1.6)), label=words["chance"]),
        *(Line2D([], [], lw=1.6, label=_name(run_, first), **looks[run_]) for run_ in named),
    ]
    if len(named) < len(others):
        handles.append(Line2D([], [], lw=0.8, color=LINE, label=words["others"]))
    below = HEAD - 0.3 + CHANGE + FOOT if others else 0.0
    legend = 0.19 * legend_lines(handles) + 0.08
    with sheet():
        figure = Figure(figsize=(WIDTH, HEAD + CURVE + FOOT + below + legend))
        for number, way in enumerate(DIRECTIONS):
            part = table[table.direction == way]
            left = LEFT + number * (PANEL + GAP)
            axes = axes_at(figure, left, HEAD, PANEL, CURVE)
            _curve(axes, part[(part[KEYS] == list(first)).all(axis=1)], way, words, looks[first])
            panels = [(axes, words["y"])]
            if others:
                axes = axes_at(figure, left, HEAD + CURVE + FOOT + HEAD - 0.3, PANEL, CHANGE)
                _changes(axes, part, others, looks)
                panels.append((axes, words["change"]))
            for axes, label in panels:
                _depths(axes, int(part.gallery.iloc[0]))
                axes.set_xlabel(words["x"], labelpad=3)
                if number == 0:
                    axes.set_ylabel(label)
        legend_below(figure, handles)
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


def _curve(
    axes: Any, own: pd.DataFrame, way: str, words: dict[str, Any], look: dict[str, Any]
) -> None:
    """The curve of one run with its interval, and what an order by lot would find."""
    axes.set(ylim=(0, 100))
    axes.grid(axis="y")
    told = words["note"].format(queries=own.queries.iloc[0], gallery=own.gallery.iloc[0])
    for text, up, shown in (
        (words["directions"][way], 0.25, {"weight": "bold"}),
        (told, 0.09, {"size": SMALL, "color": MUTED}),
    ):
        axes.text(0, 1 + up / CURVE, text, transform=axes.transAxes, **shown)
    axes.plot(own.k, 100 * own.chance, color=MUTED, lw=1.1, ls=(0, (1, 1.6)))
    axes.plot(own.k, 100 * own.recall, lw=1.8, clip_on=False, **look)
    axes.fill_between(own.k, 100 * own.low, 100 * own.high, color=look["color"], alpha=0.18, lw=0)
    at = own[own.k.isin(DEPTHS)]
    axes.plot(
        at.k, 100 * at.recall, "o", ms=3.6, color=look["color"], mec=PAPER, mew=0.6, clip_on=False
    )


def _changes(
    axes: Any,
    part: pd.DataFrame,
    others: list[tuple[str, ...]],
    looks: dict[tuple[str, ...], dict[str, Any]],
) -> None:
    """What other runs change, with intervals of the named at the usual K, side by side."""
    axes.grid(axis="y")
    axes.axhline(0, color=MUTED, lw=0.9, zorder=1)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(signed))
    named = [run_ for run_ in others if run_ in looks]
    step = DODGE * np.log(max(part.gallery.iloc[0], 2)) / PANEL
    for run_ in sorted(others, key=lambda run_: run_ in looks):
        own = part[(part[KEYS] == list(run_)).all(axis=1)]
        if run_ not in looks:
            axes.plot(own.k, 100 * own.difference, color=LINE, lw=0.8, zorder=1.5)
            continue
        axes.plot(own.k, 100 * own.difference, lw=1.6, zorder=2, **looks[run_])
        at = own[own.k.isin(DEPTHS)]
        beside = np.exp(step * (named.index(run_) - (len(named) - 1) / 2))
        colour = looks[run_]["color"]
        axes.vlines(
            at.k * beside, 100 * at.difference_low, 100 * at.difference_high,
            color=colour, lw=1.1, zorder=3,
        )  # fmt: skip
        axes.plot(
            at.k * beside, 100 * at.difference, "o", ms=3.2, color=colour, mec=PAPER, mew=0.5,
            zorder=4,
        )  # fmt: skip


def _depths(axes: Any, gallery: int) -> None:
    """The axis of K, with room for what stands beside its first value."""
    length = np.log(max(gallery, 2))
    axes.set(xscale="log", xlim=(np.exp(-0.17 * length / PANEL), max(gallery, 2)))
    ticks = [k for k in (1, 5, 10, 100, 1000, 10**4, 10**5, 10**6) if k < gallery]
    # the last one gives way where its number would touch the gallery's
    while ticks and np.log(gallery / ticks[-1]) / length * PANEL < 0.45:
        ticks.pop()
    axes.xaxis.set_major_locator(FixedLocator([*ticks, gallery]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    for k in DEPTHS:
        axes.axvline(k, color=LINE, lw=0.6, zorder=0)


def main(snakemake: Snakemake) -> None:
    """Read all rankings, draw their curves."""
    rows = read_rows(snakemake.input.captions, snakemake.input.splits, snakemake.params.split)
    runs = [read_run(Path(path), rows) for path in snakemake.input.rankings]
    params = snakemake.params
    table = curves(
        runs,
        {"text_to_image": len(rows.images), "image_to_text": len(rows.captions)},
        rows,
        Resampling(params.resamples, params.seed),
    )
    style = dict(snakemake.params.get("style") or {})
    draw(snakemake, lambda language: plot_ranks(table, language, style))
    write_table(table, snakemake.output.table)


if __name__ == "__main__":
    run(main, snakemake)
