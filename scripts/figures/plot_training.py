"""How training went: loss and recall on val by epoch, and the epoch that was kept."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scripts.figures.panels import DASHES, head, panels
from scripts.figures.style import MUTED, PAPER, draw
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


def plot_training(log: pd.DataFrame, best_epoch: int | None, language: str) -> Figure:
    """Draw loss and val recall side by side.

    Parameters
    ----------
    log : columns epoch, train_loss, val_loss, val_recall@1, val_recall@10 (fractions), any of the
        last four missing where it was not measured; epoch 0 is the model before training
    best_epoch : the epoch whose weights were kept; not marked where it is not known
    language : of the figure
    """
    words, measures = read_words("figures", language)["training"], read_words("measures", language)
    shown = {
        "loss": {f"{split}_loss": words["splits"][split] for split in ("train", "val")},
        "recall": {f"val_{name}": measures[name]["name"] for name in RECALLS},
    }
    figure, (row,) = panels(2.6)
    for axes, (name, columns) in zip(row, shown.items(), strict=True):
        head(axes, words[name], words[f"{name}_unit"])
        axes.set_xlabel(words["from_base" if log.epoch.min() == 0 else "x"])
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        # the margin is a share of all that is drawn, from zero on
        axes.update_datalim([(log.epoch.min(), 0)])
        for place, column in enumerate(columns):
            if column in log and log[column].notna().any():
                drawn = log[["epoch", column]].dropna()
                values = drawn[column] * (100 if name == "recall" else 1)
                axes.plot(
                    drawn.epoch, values, ls=DASHES[place], label=columns[column], clip_on=False,
                    marker="o" if len(drawn) < 12 else "", ms=4.5, mec=PAPER, mew=0.5,
                )  # fmt: skip
        axes.set_ylim(0, min(axes.get_ylim()[1], 100 if name == "recall" else np.inf))
        if best_epoch is not None:
            kept = words["kept"].format(epoch=best_epoch)
            axes.axvline(best_epoch, color=MUTED, lw=1, ls=DASHES[1], zorder=0.5, label=kept)
        axes.legend()
    return figure


def best_epoch_of(model: dict[str, Any]) -> int | None:
    """The epoch that was kept, from a model's provenance."""
    return (model.get("training") or {}).get("best_epoch")


def main(snakemake: Snakemake) -> None:
    """Read the log of a training, draw it."""
    log = by_epoch(pd.read_csv(snakemake.input.log), str(snakemake.input.log))
    best = best_epoch_of(read_json(snakemake.input.model))
    draw(snakemake, lambda language: plot_training(log, best, language))


if __name__ == "__main__":
    run(main, snakemake)
