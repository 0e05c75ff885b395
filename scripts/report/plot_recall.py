"""Recall@1, @5 and @10 by model and prompt, both directions side by side."""

from typing import Any

import pandas as pd
from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scripts.evaluate.runs import chance, right_answers
from scripts.protocol import DEPTHS, DIRECTIONS
from scripts.report.style import (
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
    width_of,
    wrap,
)
from scripts.words import read_words

MARKERS = dict(zip(DEPTHS, "osD", strict=True))


def with_chance(metrics: pd.DataFrame) -> pd.DataFrame:
    """The metrics table with a column ``chance@K`` for each K."""
    table = metrics.copy()
    for k in DEPTHS:
        table[f"chance@{k}"] = [
            chance(int(row.gallery), right_answers(row.direction, row.queries, row.gallery), k)
            for row in metrics.itertuples()
        ]
    return table


def plot_recall(metrics: pd.DataFrame, language: str, style: dict[str, Any]) -> Figure:
    """Draw one line per run: its three recalls, joined.

    Parameters
    ----------
    metrics : one row per model, prompt, scorer and direction; fractions, each with its interval
    """
    words, colours = read_words("figures", language)["recall"], palette_of(style)
    measures = read_words("measures", language)
    table = with_chance(metrics)
    runs = list(dict.fromkeys(zip(table.model, table.prompt, table.scorer, strict=True)))
    many_scorers = table.scorer.nunique() > 1
    labelled = len(runs) <= 12
    pitch = 0.34 if labelled else 0.21

    heights: dict[tuple[str, str, str], float] = {}
    heads: dict[str, float] = {}
    y = 0.0
    for run in runs:
        if run[0] not in heads:
            y += 0.08 if heads else 0.16
            heads[run[0]] = y
            y += 0.25
        heights[run] = y
        y += pitch
    body = y - pitch + 0.26

    def name(run: tuple[str, str, str]) -> str:
        return drawable(f"{run[1]} · {run[2]}" if many_scorers else run[1])

    texts = [width_of(name(run), SMALL + 0.5) for run in runs]
    left = min(max([0.9, *(width + 0.22 for width in texts)]), 2.3)
    top, bottom, gap = 0.84, 0.5, 0.3
    panel = (WIDTH - left - gap - 0.2) / 2
    height = top + body + bottom
    limit = _limit(table)

    with sheet():
        figure = Figure(figsize=(WIDTH, height))
        for number, direction in enumerate(DIRECTIONS):
            axes = figure.add_axes(
                (
                    (left + number * (panel + gap)) / WIDTH,
                    bottom / height,
                    panel / WIDTH,
                    body / height,
                )
            )
            axes.set(xlim=(0, limit), ylim=(body, 0), yticks=[])
            axes.spines["left"].set_visible(False)
            axes.grid(axis="x")
            axes.tick_params(axis="x", length=0)
            part = table[table.direction == direction]
            sizes = part.iloc[0] if len(part) else None
            axes.text(0, -0.32, words["directions"][direction], weight="bold", va="baseline")
            if sizes is not None:
                note = words["notes"][direction].format(
                    queries=int(sizes.queries), gallery=int(sizes.gallery)
                )
                axes.text(0, -0.11, note, size=SMALL, color=MUTED, va="baseline")
                for k, colour in zip(DEPTHS, colours, strict=False):
                    axes.axvline(
                        100 * sizes[f"chance@{k}"], color=colour, lw=1, ls=(0, (1, 1.6)), zorder=1
                    )
            for row in part.itertuples(index=False):
                line = heights[row.model, row.prompt, row.scorer]
                values = [100 * part_value for part_value in _recalls(row, part.columns)]
                axes.plot(
                    [min(values), max(values)],
                    [line, line],
                    color=LINE,
                    lw=1.2,
                    zorder=1.5,
                )
                for k, value, colour in zip(DEPTHS, values, colours, strict=False):
                    bounds = [100 * bound for bound in _bounds(row, part.columns, k)]
                    axes.plot(
                        bounds,
                        [line, line],
                        color=colour,
                        lw=3.4,
                        alpha=0.45,
                        zorder=2,
                        solid_capstyle="butt",
                        clip_on=False,
                    )
                    axes.plot(
                        value,
                        line,
                        MARKERS[k],
                        color=colour,
                        mec=PAPER,
                        mew=0.6,
                        clip_on=False,
                        ms={"o": 5, "s": 4.5, "D": 4.3}[MARKERS[k]],
                        zorder=3,
                    )
                if labelled:
                    _values(axes, values, line, limit / panel)
            if number == 0:
                for run, line in heights.items():
                    axes.annotate(
                        wrap(name(run), left - 0.12, SMALL + 0.5, lines=1)[0],
                        (0, line),
                        xytext=(-8, 0),
                        textcoords="offset points",
                        ha="right",
                        va="center",
                        size=SMALL + 0.5,
                        color=INK,
                    )
            for model, line in heads.items():
                if number == 0:
                    axes.annotate(
                        drawable(model),
                        ((0.1 - left) * limit / panel, line),
                        va="center",
                        size=SMALL + 0.5,
                        weight="bold",
                        annotation_clip=False,
                    )
        figure.text(
            (left + (WIDTH - 0.2 - left) / 2) / WIDTH,
            0.08 / height,
            words["axis"],
            ha="center",
            va="bottom",
            size=SMALL + 0.5,
            color=MUTED,
        )
        handles = [
            Line2D(
                [],
                [],
                marker=MARKERS[k],
                ls="",
                color=colour,
                mec=PAPER,
                ms=5,
                label=measures[f"recall@{k}"]["name"],
            )
            for k, colour in zip(DEPTHS, colours, strict=False)
        ]
        handles.append(Line2D([], [], color=MUTED, lw=3.4, alpha=0.45, label=words["interval"]))
        handles.append(Line2D([], [], color=MUTED, lw=1.2, ls=(0, (1, 1.6)), label=words["chance"]))
        figure.legend(
            handles=handles,
            loc="upper left",
            ncols=5,
            bbox_to_anchor=(left / WIDTH, 1),
            borderaxespad=0.6,
            handletextpad=0.4,
            columnspacing=1.6,
            borderpad=0,
            handlelength=1.6,
        )
    return figure


def _recalls(row: Any, columns: pd.Index) -> list[float]:
    # itertuples renames columns that are no identifiers, such as recall@1
    return [row[columns.get_loc(f"recall@{k}")] for k in DEPTHS]


def _bounds(row: Any, columns: pd.Index, k: int) -> list[float]:
    return [row[columns.get_loc(f"recall@{k}_{end}")] for end in ("low", "high")]


def _limit(table: pd.DataFrame) -> float:
    """Right end of the axes in percent: full scale unless the recalls are far below it."""
    highest = 100 * table[[f"recall@{k}" for k in DEPTHS]].to_numpy().max()
    return next((end for end in (10, 20, 40, 60, 80) if highest <= 0.9 * end), 100)


def _values(axes: Any, values: list[float], line: float, unit: float) -> None:
    """Numbers above the marks, those that fit: the outer two before the middle one."""
    taken: list[float] = []
    for place in (0, 2, 1):
        value = values[place]
        if all(abs(value - other) > 0.3 * unit for other in taken):
            taken.append(value)
            axes.annotate(
                f"{value:.1f}",
                (value, line),
                xytext=(0, 5.2),
                textcoords="offset points",
                ha="center",
                va="bottom",
                size=SMALL - 1,
                color=MUTED,
                # lines of chance run below small numbers
                path_effects=[patheffects.withStroke(linewidth=1.8, foreground=PAPER)],
            )


def main(snakemake: Any) -> None:
    """Read the metrics table, draw it."""
    metrics = pd.read_csv(snakemake.input.metrics, dtype={"model": str, "prompt": str})
    style = dict(snakemake.params.get("style") or {})
    draw(snakemake, lambda language: plot_recall(metrics, language, style))


if __name__ == "__main__":
    from scripts.job import run

    run(main, snakemake)
