"""Recall@1, @5 and @10 by model and prompt, both directions side by side."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scripts.evaluate.few import few
from scripts.evaluate.runs import chance, right_answers
from scripts.figures.panels import DOTTED, dots, head, height_of, keys_of, legend, name_rows, panels
from scripts.figures.style import LINE, MUTED, PAPER, SMALL, WIDTH, draw, width_of, wrap
from scripts.jobs import Snakemake, run
from scripts.protocol import DEPTHS, DIRECTIONS
from scripts.words import read_words

KEYS = ["model", "prompt", "scorer"]
MARKERS = dict(zip(DEPTHS, "osD", strict=True))
COLOURS = dict(zip(DEPTHS, ("C0", "C1", "C2"), strict=True))
# inches: the height of what marks an order by lot, and the widest name of a run
CHANCE, WIDEST = 0.16, 2.1
# inches of lines that a sheet has room for
TALL = 8.5


def with_chance(metrics: pd.DataFrame) -> pd.DataFrame:
    """The metrics table with a column ``chance@K`` for each K."""
    table = metrics.copy()
    for k in DEPTHS:
        table[f"chance@{k}"] = [
            chance(int(row.gallery), right_answers(row.direction, row.queries, row.gallery), k)
            for row in metrics.itertuples()
        ]
    return table


def plot_recall(metrics: pd.DataFrame, language: str) -> Figure:
    """Draw one line per run: its three recalls, joined; of many, of the few that are chosen.

    Parameters
    ----------
    metrics : one row per model, prompt, scorer and direction; fractions, each with its interval
    language : of the figure
    """
    words, measures = read_words("figures", language)["recall"], read_words("measures", language)
    table = with_chance(metrics)
    runs, told = keys_of(table, KEYS), []
    pitch = 0.42 if len(runs) <= 12 else 0.21
    if _heights(runs, pitch)[1] > TALL:
        told = wrap(words["few"].format(runs=len(runs)), WIDTH - 0.3, SMALL, 2)
        table = _chosen(table, runs)
        runs, pitch = keys_of(table, KEYS), 0.42
    numbered = pitch > 0.21  # where there is room for numbers
    heights, bottom = _heights(runs, pitch)
    names = _names(runs)
    handles = _handles(words, measures)
    height = bottom + 1.1 + height_of(handles) + 0.15 * len(told)
    figure, (row,) = panels(height, sharex=True, sharey=True)
    panel = (WIDTH - 0.6 - max(width_of(name, SMALL + 0.5) for name in names.values())) / 2
    limit = _limit(table)
    for axes, direction in zip(row, DIRECTIONS, strict=True):
        part = table[table.direction == direction]
        first = part.iloc[0]
        note = words["notes"][direction].format(queries=first.queries, gallery=first.gallery)
        head(axes, words["directions"][direction], note)
        axes.set(xlim=(0, limit), ylim=(bottom, 0))
        name_rows(axes, list(heights.values()), list(names.values()))
        lines = [heights[one] for one in keys_of(part, KEYS)]
        values = 100 * part[[f"recall@{k}" for k in DEPTHS]].to_numpy()
        axes.hlines(lines, values.min(axis=1), values.max(axis=1), color=LINE, lw=1.2, zorder=1.5)
        for own, (k, colour) in zip(values.T, COLOURS.items(), strict=True):
            low, high = (100 * part[f"recall@{k}_{end}"] for end in ("low", "high"))
            axes.hlines(lines, low, high, color=colour, lw=3.4, alpha=0.45, zorder=2)
            dots(axes, own, lines, MARKERS[k], color=colour)
            place = 100 * first[f"chance@{k}"]
            axes.plot([place, place], [bottom - CHANCE, bottom], color=colour, ls=DOTTED)
        for line, own in zip(lines, values, strict=True):
            if numbered:
                _numbers(axes, line, own, limit / panel)
    for label, one in zip(row[0].get_yticklabels(), names, strict=True):
        label.set_weight("bold" if len(one) == 1 else "normal")
    figure.supxlabel(words["axis"], size=SMALL + 0.5, color=MUTED)
    legend(figure, handles, "upper", told)
    return figure


def _chosen(table: pd.DataFrame, runs: list[tuple[str, ...]]) -> pd.DataFrame:
    """The rows of a few runs, by the mean of their recalls."""
    means = table[[f"recall@{k}" for k in DEPTHS]].mean(axis=1)
    means = means.groupby([table[key] for key in KEYS]).mean()
    chosen = few({one: means[one] for one in runs}, runs[0])
    return table[[key in chosen for key in zip(*(table[key] for key in KEYS), strict=True)]]


def _heights(
    runs: list[tuple[str, ...]], pitch: float
) -> tuple[dict[tuple[str, ...], float], float]:
    """Where models (of one name) and their runs stand, and where all ends, in inches."""
    heights: dict[tuple[str, ...], float] = {}
    y = 0.16
    for run_ in runs:
        if run_[:1] not in heights:
            heights[run_[:1]] = y
            y += 0.25
        heights[run_] = y
        y += pitch
    # below the last line, room for its numbers and for what marks an order by lot
    return heights, y - pitch / 2 + CHANCE


def _names(runs: list[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """What stands before each line: the model's name over those of its runs."""
    many_scorers = len({scorer for _, _, scorer in runs}) > 1
    names: dict[tuple[str, ...], str] = {}
    for model, prompt, scorer in runs:
        names[(model,)] = wrap(model, WIDEST, SMALL + 0.5, 1, "bold")[0]
        name = f"{prompt} · {scorer}" if many_scorers else prompt
        names[model, prompt, scorer] = wrap(name, WIDEST, SMALL + 0.5, 1)[0]
    return names


def _numbers(axes: Any, line: float, values: np.ndarray, inch: float) -> None:
    """Numbers at the marks: above them, and below where there is no room beside another."""
    sides: tuple[list[float], list[float]] = ([], [])
    for value in (values[0], values[2], values[1]):
        for taken, up, where in zip(sides, (4.6, -4.6), ("bottom", "top"), strict=True):
            if all(abs(value - other) > 0.34 * inch for other in taken):
                taken.append(value)
                axes.annotate(
                    f"{value:.1f}", (value, line), xytext=(0, up), textcoords="offset points",
                    ha="center", va=where, size=SMALL, color=MUTED,
                )  # fmt: skip
                break


def _handles(words: dict[str, Any], measures: dict[str, Any]) -> list[Line2D]:
    """What the legend explains."""
    recalls = [
        Line2D([], [], marker=MARKERS[k], ls="", color=colour, mec=PAPER, ms=5,
               label=measures[f"recall@{k}"]["name"])
        for k, colour in COLOURS.items()
    ]  # fmt: skip
    interval = Line2D([], [], color=MUTED, lw=3.4, alpha=0.45, label=words["interval"])
    return [*recalls, interval, Line2D([], [], color=MUTED, ls=DOTTED, label=words["chance"])]


def _limit(table: pd.DataFrame) -> float:
    """Right end of the axes in percent: full scale unless the recalls are far below it."""
    highest = 100 * table[[f"recall@{k}" for k in DEPTHS]].to_numpy().max()
    return next((end for end in (10, 20, 40, 60, 80) if highest <= 0.9 * end), 100)


def main(snakemake: Snakemake) -> None:
    """Read the metrics table, draw it."""
    metrics = pd.read_csv(snakemake.input.metrics, dtype={"model": str, "prompt": str})
    draw(snakemake, lambda language: plot_recall(metrics, language))


if __name__ == "__main__":
    run(main, snakemake)
