"""Recall@K over all K: how soon the right answer comes, for each run, both directions."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import DIGITS, Resampling, interval_of_means
from scripts.evaluate.runs import (
    Run,
    chance,
    images_of_queries,
    read_run,
    right_answers,
)
from scripts.figures.style import (
    INK,
    LINE,
    MUTED,
    PAPER,
    SMALL,
    WIDTH,
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
LEGEND = 6  # runs that a legend of one line each can still name


def steps_of(gallery: int, count: int = 60) -> np.ndarray:
    """Whole numbers from 1 to ``gallery``, evenly spaced on a log scale, with the usual K."""
    spaced = np.unique(np.geomspace(1, gallery, count).round().astype(np.int64))
    return np.union1d(spaced, [k for k in DEPTHS if k <= gallery])


def curves(
    runs: list[Run], gallery: dict[str, int], rows: Rows, resampling: Resampling
) -> pd.DataFrame:
    """Recall@K of each run for many K, with 95% intervals by bootstrap over images.

    Columns model, prompt, scorer, direction, queries, gallery, k, recall, low, high, chance
    (fractions).
    """
    parts = []
    for way in DIRECTIONS:
        ks, images = steps_of(gallery[way]), images_of_queries(way, rows)
        for run_ in runs:
            ranks = run_.ranks[way]
            right = right_answers(way, len(ranks), gallery[way])
            found = (ranks[:, None] <= ks).astype(np.float64)
            bounds = interval_of_means(found, images, resampling, shares=True)
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
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def plot_ranks(table: pd.DataFrame, language: str, style: dict[str, Any]) -> Figure:
    """Draw the curves; with many runs the best of each model stands out and is named."""
    words, colours = read_words("figures", language)["ranks"], palette_of(style)
    keys = ["model", "prompt", "scorer"]
    runs = list(dict.fromkeys(map(tuple, table[keys].to_numpy())))
    models = list(dict.fromkeys(run[0] for run in runs))
    few = len(runs) <= LEGEND
    area = table[table.k.isin(DEPTHS)].groupby(keys, sort=False).recall.mean()
    best = {
        model: max((r for r in runs if r[0] == model), key=lambda r: area[r]) for model in models
    }
    shown = runs if few else list(best.values())
    rows = len(shown) + 1
    top, panel = 0.6, 2.4
    bottom = 0.86 + 0.185 * ((rows + 1) // 2)
    height = top + panel + bottom

    with sheet():
        figure = Figure(figsize=(WIDTH, height))
        handles: dict[str, Any] = {}
        for number, way in enumerate(DIRECTIONS):
            axes = figure.add_axes(
                ((0.55 + number * 3.42) / WIDTH, bottom / height, 3.05 / WIDTH, panel / height)
            )
            part = table[table.direction == way]
            gallery, queries = int(part.gallery.iloc[0]), int(part.queries.iloc[0])
            axes.set(xscale="log", xlim=(1, max(gallery, 2)), ylim=(0, 100))
            axes.set_xlabel(words["x"], labelpad=3)
            if number == 0:
                axes.set_ylabel(words["y"])
            else:
                axes.set_yticklabels([])
            axes.grid(axis="y")
            ticks = [k for k in (1, 5, 10, 100, 1000, 10**4, 10**5, 10**6) if k < gallery]
            # the last one gives way where its number would touch the gallery's
            while ticks and np.log(gallery / ticks[-1]) / np.log(gallery) * 3.05 < 0.45:
                ticks.pop()
            axes.xaxis.set_major_locator(FixedLocator([*ticks, gallery]))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.xaxis.set_minor_locator(NullLocator())
            for k in DEPTHS:
                axes.axvline(k, color=LINE, lw=0.6, zorder=0)
            axes.text(0, 1.115, words["directions"][way], transform=axes.transAxes, weight="bold")
            axes.text(
                0,
                1.03,
                words["note"].format(queries=queries, gallery=gallery),
                size=SMALL,
                transform=axes.transAxes,
                color=MUTED,
            )
            guess = part.drop_duplicates("k")
            (line,) = axes.plot(guess.k, 100 * guess.chance, color=MUTED, lw=1.1, ls=(0, (1, 1.6)))
            last = line
            ordered = sorted(runs, key=lambda run: run in shown)
            for run in ordered:
                own = part[(part[keys] == list(run)).all(axis=1)]
                place = runs.index(run) if few else models.index(run[0])
                colour = colours[place % len(colours)]
                if run not in shown:
                    axes.plot(own.k, 100 * own.recall, color=colour, lw=0.6, alpha=0.45)
                    continue
                (line,) = axes.plot(
                    own.k,
                    100 * own.recall,
                    color=colour,
                    lw=1.8,
                    clip_on=False,
                    ls=DASHES[place % len(DASHES)],
                )
                axes.fill_between(
                    own.k, 100 * own.low, 100 * own.high, color=colour, alpha=0.18, lw=0
                )
                at = own[own.k.isin(DEPTHS)]
                axes.plot(
                    at.k,
                    100 * at.recall,
                    "o",
                    ms=3.6,
                    color=colour,
                    mec=PAPER,
                    mew=0.6,
                    clip_on=False,
                )
                handles[" · ".join(map(drawable, run))] = line
            handles.setdefault(words["chance"], last)
        chance_line = handles.pop(words["chance"])
        handles[words["chance"]] = chance_line
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="upper left",
            ncols=2,
            labelcolor=INK,
            bbox_to_anchor=(0.55 / WIDTH, (bottom - 0.55) / height),
            borderaxespad=0,
            borderpad=0,
            handlelength=2.6,
            columnspacing=2.4,
        )
        note = words["band" if few else "thin"]
        figure.text(0.55 / WIDTH, 0.1 / height, note, size=SMALL, color=MUTED)
    return figure


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
