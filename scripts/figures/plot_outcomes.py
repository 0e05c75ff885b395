"""Where right answers come: the share of queries by rank, in steps that widen, for one run."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import DIGITS, Resampling, interval_of_means
from scripts.evaluate.runs import Run, images_of_queries, read_run
from scripts.figures.panels import head, height_of, legend, numbers, panels
from scripts.figures.style import INK, PALETTE, RIGHT, SMALL, draw, write_table
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.words import formats, read_words

# last ranks of the steps; those of examples and of failures are among them
ENDS = (1, 5, 10, 50, 100, 500, 1000, 5000, 10_000, 100_000)


def outcomes_of(run_: Run, rows: Rows, resampling: Resampling) -> pd.DataFrame:
    """Shares of queries by rank of their best right answer, with 95% intervals over images.

    Columns model, prompt, scorer, direction, queries, first and last (ranks), outcome ("success",
    "near_miss", "between", "failure"), share, low, high (fractions).
    """
    parts = []
    for way in DIRECTIONS:
        ranks = run_.ranks[way]
        gallery = len(rows.images if way == "text_to_image" else rows.captions)
        # what lies beyond the worst rank is one step
        shown = ENDS[: 1 + np.searchsorted(ENDS, ranks.max())]
        last = np.unique([*(end for end in shown if end < gallery), gallery])
        first = np.r_[1, last[:-1] + 1]
        there = ((ranks[:, None] >= first) & (ranks[:, None] <= last)).astype(np.float64)
        bounds = interval_of_means(there, images_of_queries(way, rows), resampling, shares=True)
        parts.append(
            pd.DataFrame(
                {
                    **dict(zip(("model", "prompt", "scorer"), run_.key, strict=True)),
                    "direction": way,
                    "queries": len(ranks),
                    "first": first,
                    "last": last,
                    "outcome": [_outcome(int(rank)) for rank in first],
                    "share": np.round(there.mean(axis=0), DIGITS),
                    "low": bounds[:, 0],
                    "high": bounds[:, 1],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _outcome(rank: int) -> str:
    if rank == 1:
        return "success"
    return "near_miss" if rank <= 5 else "between" if rank <= 10 else "failure"


def plot_outcomes(table: pd.DataFrame, language: str) -> Figure:
    """Draw what ``outcomes_of`` gives: a panel for each direction, a bar for each step."""
    words = read_words("figures", language)["outcomes"]
    colours = {"success": RIGHT, "near_miss": "C3", "between": PALETTE[6], "failure": "C1"}
    handles = [
        Patch(color=colour, label=words["outcomes"][outcome])
        for outcome, colour in colours.items()
        if (table.outcome == outcome).any()
    ]
    steps = table.groupby("direction").size().max()
    figure, (row,) = panels(0.2 * steps + 1.1 + height_of(handles), sharex=True)
    for axes, way in zip(row, DIRECTIONS, strict=True):
        part = table[table.direction == way]
        told = words["note"].format(queries=int(part.queries.iloc[0]))
        head(axes, words["directions"][way], f"{told} · {words['x']}")
        axes.barh(range(len(part)), 100 * part.share, 0.7, color=part.outcome.map(colours))
        axes.hlines(range(len(part)), 100 * part.low, 100 * part.high, color=INK, lw=0.9)
        for place, one in enumerate(part.itertuples()):
            axes.annotate(
                formats.share(one.share), (100 * one.high, place), xytext=(4, 0),
                textcoords="offset points", va="center", size=SMALL,
            )  # fmt: skip
        axes.set_yticks(range(len(part)), [_step(one) for one in part.itertuples()])
        axes.set_xlabel(words["y"])
        # as wide a row in both panels, and room for a number behind the longest bar
        axes.set(xlim=(0, 118 * table.high.max()), ylim=(steps - 0.5, -0.5))
        numbers(axes.xaxis)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
    legend(figure, handles)
    return figure


def _step(one: Any) -> str:
    """Ranks of a step: "1", "2–5", "1,001–5,000"."""
    ends = dict.fromkeys(map(formats.count, (one.first, one.last)))
    return "–".join(ends)


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    (rankings,) = files.rankings
    resampling = Resampling(params.resamples, params.seed)
    table = outcomes_of(read_run(rankings, rows), rows, resampling)
    draw(snakemake, lambda language: plot_outcomes(table, language))
    write_table(table, snakemake.output.table)


if __name__ == "__main__":
    run(main, snakemake)
