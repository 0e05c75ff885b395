"""What other prompts, scorers and models change at once: what is found, and hubs.

A dot is a run against the first one, on the same queries: across, the change of the hubs' skewness;
upwards, that of mean recall.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scripts.evaluate.few import FEW, few
from scripts.figures.panels import MARKERS, dots, head, height_of, legend, numbers, panels
from scripts.figures.style import LINE, MUTED, draw, drawable
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.studies.shown import read_study
from scripts.words import read_words

# runs that are named, where there are no more
MANY = 20
KEYS = ["model", "prompt", "scorer"]
COLUMNS = [*KEYS, "direction", "name"]
COLUMNS += [f"{what}{end}" for what in ("recall", "hubs") for end in ("", "_low", "_high")]


def changes_of(pairs: pd.DataFrame, geometry: pd.DataFrame) -> pd.DataFrame:
    """Changes of each run against the first, where both tables tell of it.

    Parameters
    ----------
    pairs : pairs.csv, differences of recall
    geometry : geometry.csv, as ``read_study`` gives it; skewness of each run, and its paired change
        against the reference run of its model, ``skewness_change``, where that was measured

    Returns
    -------
    columns model, prompt, scorer, direction, name (in what it differs from the first), recall and
    hubs (the changes), each with low and high; NaN where there is no interval
    """
    measured = {
        measure: geometry[geometry.measure == measure].set_index([*KEYS, "direction"])
        for measure in ("skewness", "skewness_change")
    }
    hubs, changed = measured["skewness"], measured["skewness_change"]
    if hubs.empty:
        return pd.DataFrame(columns=COLUMNS)
    first = hubs.index[0][:3]
    others = (pairs[[f"other_{key}" for key in KEYS]] == list(first)).all(axis=1)
    found = []
    for one in pairs[others].to_dict("records"):
        key = (*(one[name] for name in KEYS), one["direction"])
        if key not in hubs.index:
            continue
        moved = hubs.value[key] - hubs.value[(*first, one["direction"])]
        low = high = np.nan
        if key in changed.index and key[0] == first[0]:
            moved, low, high = changed.loc[key, ["value", "low", "high"]]
        # where every item is found as often as any other, there is no skewness
        if not np.isfinite(moved):
            continue
        found.append(
            {
                **dict(zip((*KEYS, "direction"), key, strict=True)),
                "name": " · ".join(a for a, b in zip(key, first, strict=False) if a != b),
                "recall": one["mean"], "recall_low": one["mean_low"],
                "recall_high": one["mean_high"],
                "hubs": moved, "hubs_low": low, "hubs_high": high,
            }
        )  # fmt: skip
    return pd.DataFrame(found, columns=COLUMNS)


def plot_hub_tradeoff(table: pd.DataFrame, language: str) -> Figure:
    """Draw what ``changes_of`` gives, a panel for each direction; of many runs, a few are named."""
    words = read_words("figures", language)["hub_tradeoff"]
    # colours come round again before shapes do, and in other pairs
    looks = {
        name: {"color": f"C{place}", "marker": MARKERS[(place + place // 7) % len(MARKERS)]}
        for place, name in enumerate(_named(table))
    }
    handles = [Line2D([], [], ls="", label=drawable(name), **look) for name, look in looks.items()]
    other = {"color": LINE, "marker": "o"}
    if len(looks) < table.name.nunique():
        handles.append(Line2D([], [], ls="", label=words["others"], **other))
    figure, (row,) = panels(3.2 + height_of(handles), sharex=True, sharey=True)
    for axes, way in zip(row, DIRECTIONS, strict=True):
        head(axes, words["directions"][way])
        axes.axhline(0, color=MUTED, lw=0.9, zorder=1)
        axes.axvline(0, color=MUTED, lw=0.9, zorder=1)
        for one in table[table.direction == way].itertuples():
            recall, low, high = (100 * x for x in (one.recall, one.recall_low, one.recall_high))
            if one.name not in looks:
                dots(axes, one.hubs, recall, ms=4, zorder=1.5, **other)
                continue
            line = {"color": looks[one.name]["color"], "lw": 1, "alpha": 0.6}
            axes.plot([one.hubs, one.hubs], [low, high], **line)
            axes.plot([one.hubs_low, one.hubs_high], [recall, recall], **line)
            dots(axes, one.hubs, recall, ms=6, **looks[one.name])
        axes.margins(0.1)
        axes.grid(axis="both")
        numbers(axes.xaxis)
        numbers(axes.yaxis)
        axes.set(xlabel=words["x"], ylabel=words["y"])
        axes.label_outer()
    legend(figure, handles)
    return figure


def _named(table: pd.DataFrame) -> list[str]:
    """The runs that are named: of many, the best and those next to the first."""
    leads = table.groupby("name", sort=False).recall.mean().to_dict()
    # the first one, of no name, has no lead over itself
    named = few({"": 0.0} | leads, "", FEW + 1) if len(leads) > MANY else list(leads)
    return [name for name in named if name]


def read_differences(path: str) -> pd.DataFrame:
    """Read pairs.csv; a run may be called NA or 007."""
    names = [*KEYS, *(f"other_{key}" for key in KEYS)]
    return pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys(names, str))


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files = snakemake.input
    geometry = read_study(files.geometry, "geometry")
    table = changes_of(read_differences(files.pairs), geometry)
    draw(snakemake, lambda language: plot_hub_tradeoff(table, language))


if __name__ == "__main__":
    run(main, snakemake)
