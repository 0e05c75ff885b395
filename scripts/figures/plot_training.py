"""How training went: loss and recall on val by epoch, and the epoch that was kept."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scripts.figures.style import (
    MUTED,
    PAPER,
    SMALL,
    WIDTH,
    draw,
    palette_of,
    sheet,
)
from scripts.job import BadInput, read_json
from scripts.jobs import Snakemake, run
from scripts.measures import RECALLS
from scripts.words import read_words


def by_epoch(log: pd.DataFrame, where: str = "training.csv") -> pd.DataFrame:
    """The last row of each epoch.

    Raises ``BadInput`` for a log without epochs.
    """
    if log.empty or "epoch" not in log:
        raise BadInput(where, "no epoch", "a row for each epoch", "train the model again")
    return log.groupby("epoch", sort=True).last().reset_index()


def plot_training(
    log: pd.DataFrame, best_epoch: int | None, language: str, style: dict[str, Any]
) -> Figure:
    """Draw loss and val recall side by side.

    Parameters
    ----------
    log : columns epoch, train_loss, val_loss, val_recall@1, val_recall@10 (fractions), any of the
        last four missing where it was not measured; epoch 0 is the model before training
    best_epoch : the epoch whose weights were kept; not marked where it is not known
    language, style : of the figure
    """
    words, colours = read_words("figures", language)["training"], palette_of(style)
    measures = read_words("measures", language)
    panels = {
        "loss": {f"{split}_loss": words["splits"][split] for split in ("train", "val")},
        "recall": {f"val_{name}": measures[name]["name"] for name in RECALLS},
    }
    height, panel, bottom = 3.1, 1.85, 0.55
    with sheet():
        figure = Figure(figsize=(WIDTH, height))
        for number, (name, columns) in enumerate(panels.items()):
            axes = figure.add_axes(
                ((0.5 + number * 3.3) / WIDTH, bottom / height, 2.2 / WIDTH, panel / height)
            )
            axes.text(0, 1.26, words[name], transform=axes.transAxes, weight="bold")
            axes.text(
                0, 1.155, words[f"{name}_unit"], transform=axes.transAxes, size=SMALL, color=MUTED
            )
            axes.set_xlabel(words["from_base" if log.epoch.min() == 0 else "x"])
            axes.grid(axis="y")
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
            scale = 100 if name == "recall" else 1
            ends: list[tuple[float, str, str]] = []
            for place, (column, label) in enumerate(columns.items()):
                if column not in log or log[column].isna().all():
                    continue
                drawn = log[["epoch", column]].dropna()
                alone = {"marker": "o", "ms": 4.5} if len(drawn) < 12 else {}
                axes.plot(
                    drawn.epoch,
                    scale * drawn[column],
                    color=colours[place],
                    mec=PAPER,
                    mew=0.5,
                    ls=("-", (0, (4, 1.4)), (0, (1, 1.1)))[place],
                    clip_on=False,
                    **alone,
                )
                ends.append((scale * drawn[column].iloc[-1], label, colours[place]))
            low, high = log.epoch.min(), log.epoch.max()
            room = 0.04 * (high - low) or 0.5
            axes.set_xlim(low - room, high + room)
            ceiling = axes.get_ylim()[1]
            axes.set_ylim(0, min(100, 1.05 * ceiling) if name == "recall" else 1.05 * ceiling)
            _name_lines(axes, ends, panel)
            if best_epoch is not None:
                axes.axvline(best_epoch, color=MUTED, lw=1, ls=(0, (3, 2)), zorder=0.5)
                left = best_epoch < (low + high) / 2
                axes.annotate(
                    words["kept"].format(epoch=best_epoch),
                    (best_epoch, 1.02),
                    xycoords=axes.get_xaxis_transform(),
                    ha="left" if left else "right",
                    va="bottom",
                    size=SMALL,
                    color=MUTED,
                )
    return figure


def _name_lines(axes: Any, ends: list[tuple[float, str, str]], panel: float) -> None:
    """Names at the right ends of the lines, moved apart where lines end close together."""
    if not ends:
        return
    span = axes.get_ylim()[1] - axes.get_ylim()[0]
    apart = 0.15 / panel * span
    ends = sorted(ends)
    heights = np.array([end[0] for end in ends])
    for place in range(1, len(ends)):
        heights[place] = max(heights[place], heights[place - 1] + apart)
    heights -= max(0.0, heights[-1] - axes.get_ylim()[1])
    for height, (_, label, colour) in zip(heights, ends, strict=True):
        axes.annotate(
            label,
            (1, height),
            xycoords=axes.get_yaxis_transform(),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            size=SMALL,
            color=colour,
            weight="bold",
        )


def best_epoch_of(model: dict[str, Any]) -> int | None:
    """The epoch that was kept, from a model's provenance."""
    return (model.get("training") or {}).get("best_epoch")


def main(snakemake: Snakemake) -> None:
    """Read the log of a training, draw it."""
    log = by_epoch(pd.read_csv(snakemake.input.log), str(snakemake.input.log))
    best = best_epoch_of(read_json(snakemake.input.model))
    style = dict(snakemake.params.get("style") or {})
    draw(snakemake, lambda language: plot_training(log, best, language, style))


if __name__ == "__main__":
    run(main, snakemake)
