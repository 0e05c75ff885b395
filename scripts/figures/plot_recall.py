"""Recall@1, @5 and @10 by model and prompt, both directions side by side."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scripts.evaluate.runs import chance, right_answers
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
    width_of,
    wrap,
)
from scripts.jobs import Snakemake, run
from scripts.protocol import DEPTHS, DIRECTIONS
from scripts.words import read_words

MARKERS = dict(zip(DEPTHS, "osD", strict=True))
# inches: above and below the lines, and between the directions
TOP, BOTTOM, GAP = 0.84, 0.5, 0.3
CHANCE = 0.16  # the height of what marks an order by lot, above the axis

RunKey = tuple[str, str, str]


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
    language, style : of the figure
    """
    words, colours = read_words("figures", language)["recall"], palette_of(style)
    table = with_chance(metrics)
    at = _laid_out(table)
    height = TOP + at.body + BOTTOM
    limit = _limit(table)
    with sheet():
        figure = Figure(figsize=(WIDTH, height))
        for number, direction in enumerate(DIRECTIONS):
            axes = figure.add_axes(
                (
                    (at.left + number * (at.panel + GAP)) / WIDTH,
                    BOTTOM / height,
                    at.panel / WIDTH,
                    at.body / height,
                )
            )
            axes.set(xlim=(0, limit), ylim=(at.body, 0), yticks=[])
            axes.spines["left"].set_visible(False)
            axes.grid(axis="x")
            axes.tick_params(axis="x", length=0)
            part = table[table.direction == direction]
            axes.text(0, -0.32, words["directions"][direction], weight="bold", va="baseline")
            if len(part):
                _draw_chance(axes, part.iloc[0], words["notes"][direction], colours)
            for row in part.itertuples(index=False):
                line = at.heights[row.model, row.prompt, row.scorer]
                values = _draw_run(axes, row, part.columns, line, colours)
                if at.labelled:
                    _values(axes, values, line, limit / at.panel)
            if number == 0:
                _draw_names(axes, at, limit)
        figure.text(
            (at.left + (WIDTH - 0.2 - at.left) / 2) / WIDTH,
            0.08 / height,
            words["axis"],
            ha="center",
            va="bottom",
            size=SMALL + 0.5,
            color=MUTED,
        )
        figure.legend(
            handles=_handles(words, read_words("measures", language), colours),
            loc="upper left",
            ncols=5,
            bbox_to_anchor=(at.left / WIDTH, 1),
            borderaxespad=0.6,
            handletextpad=0.6,
            columnspacing=1.6,
            borderpad=0,
            handlelength=1.6,
        )
    return figure


@dataclass(frozen=True)
class _Layout:
    """Where things stand, in inches.

    Attributes
    ----------
    heights, names : of each run's line, and what stands before it
    heads : height of each model's name
    body, left, panel : height of all these, width of the names and of a direction
    labelled : whether there is room for numbers
    """

    heights: dict[RunKey, float]
    names: dict[RunKey, str]
    heads: dict[str, float]
    body: float
    left: float
    panel: float
    labelled: bool


def _laid_out(table: pd.DataFrame) -> _Layout:
    keys = list(dict.fromkeys(zip(table.model, table.prompt, table.scorer, strict=True)))
    labelled = len(keys) <= 12
    pitch = 0.42 if labelled else 0.21
    heights: dict[RunKey, float] = {}
    heads: dict[str, float] = {}
    y = 0.0
    for key in keys:
        if key[0] not in heads:
            y += 0.08 if heads else 0.16
            heads[key[0]] = y
            y += 0.25
        heights[key] = y
        y += pitch
    many_scorers = table.scorer.nunique() > 1
    names = {key: drawable(f"{key[1]} · {key[2]}" if many_scorers else key[1]) for key in heights}
    widths = [
        *(width_of(name, SMALL + 0.5) for name in names.values()),
        *(width_of(drawable(model), SMALL + 0.5, "bold") for model in heads),
    ]
    left = min(max(0.9, max(widths) + 0.22), 2.3)
    panel = (WIDTH - left - GAP - 0.2) / 2
    # below the last line, room for numbers and for what marks an order by lot
    body = y - pitch + (0.24 if labelled else 0.1) + CHANCE
    return _Layout(heights, names, heads, body, left, panel, labelled)


def _draw_chance(axes: Any, sizes: pd.Series, note: str, colours: tuple[str, ...]) -> None:
    """How large the task is, and what an order by lot would find."""
    told = note.format(queries=int(sizes.queries), gallery=int(sizes.gallery))
    axes.text(0, -0.11, told, size=SMALL, color=MUTED, va="baseline")
    for k, colour in zip(DEPTHS, colours, strict=False):
        bottom, place = axes.get_ylim()[0], 100 * sizes[f"chance@{k}"]
        axes.plot(
            [place, place], [bottom - CHANCE, bottom], color=colour, lw=1.6, ls=(0, (1, 0.8)),
            clip_on=False, zorder=1,
        )  # fmt: skip


def _draw_run(
    axes: Any, row: Any, columns: pd.Index, line: float, colours: tuple[str, ...]
) -> list[float]:
    """A run's recalls, each with its interval; the recalls in percent."""
    values = [100 * value for value in _recalls(row, columns)]
    axes.plot([min(values), max(values)], [line, line], color=LINE, lw=1.2, zorder=1.5)
    for k, value, colour in zip(DEPTHS, values, colours, strict=False):
        axes.plot(
            [100 * bound for bound in _bounds(row, columns, k)],
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
    return values


def _draw_names(axes: Any, at: _Layout, limit: float) -> None:
    """Prompts and scorers before their lines, models over theirs."""
    for key, line in at.heights.items():
        axes.annotate(
            wrap(at.names[key], at.left - 0.12, SMALL + 0.5, lines=1)[0],
            (0, line),
            xytext=(-8, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            size=SMALL + 0.5,
            color=INK,
        )
    for model, line in at.heads.items():
        axes.annotate(
            wrap(model, at.left - 0.16, SMALL + 0.5, 1, "bold")[0],
            ((0.1 - at.left) * limit / at.panel, line),
            va="center",
            size=SMALL + 0.5,
            weight="bold",
            annotation_clip=False,
        )


def _handles(
    words: dict[str, Any], measures: dict[str, Any], colours: tuple[str, ...]
) -> list[Line2D]:
    """What the legend explains."""
    marks = [
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
    interval = Line2D([], [], color=MUTED, lw=3.4, alpha=0.45, label=words["interval"])
    chance = Line2D([], [], color=MUTED, lw=1.2, ls=(0, (1, 1.6)), label=words["chance"])
    return [*marks, interval, chance]


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
    """Numbers at the marks: above them, and below where there is no room beside another."""
    sides: tuple[list[float], list[float]] = ([], [])
    for place in (0, 2, 1):
        value = values[place]
        for below, taken in enumerate(sides):
            if all(abs(value - other) > 0.34 * unit for other in taken):
                taken.append(value)
                axes.annotate(
                    f"{value:.1f}",
                    (value, line),
                    xytext=(0, -4.6 if below else 4.6),
                    textcoords="offset points",
                    ha="center",
                    va="top" if below else "bottom",
                    size=SMALL,
                    color=MUTED,
                )
                break


def main(snakemake: Snakemake) -> None:
    """Read the metrics table, draw it."""
    metrics = pd.read_csv(snakemake.input.metrics, dtype={"model": str, "prompt": str})
    style = dict(snakemake.params.get("style") or {})
    draw(snakemake, lambda language: plot_recall(metrics, language, style))


if __name__ == "__main__":
    run(main, snakemake)
