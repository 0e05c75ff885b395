"""What other prompts, scorers and models change at once: what is found, and hubs.

A dot is a run against the first one, on the same queries: across, the change of the hubs' skewness;
upwards, that of mean recall.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from scripts.figures.axes import MARKERS, signed
from scripts.figures.style import (
    INK,
    MUTED,
    PAPER,
    SMALL,
    WIDTH,
    axes_at,
    draw,
    drawable,
    palette_of,
    sheet,
    width_of,
)
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.studies.shown import read_study
from scripts.words import read_words

KEYS = ["model", "prompt", "scorer"]
COLUMNS = [*KEYS, "direction", "name"]
COLUMNS += [f"{what}{end}" for what in ("recall", "hubs") for end in ("", "_low", "_high")]
LEFT, PANEL, GAP, HEAD, HEIGHT, FOOT = 0.6, 2.75, 0.4, 0.3, 2.5, 0.5  # inches
# of a label's box, and around a dot, in inches
LINE, AROUND = 0.13, 0.06


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


def plot_hub_tradeoff(table: pd.DataFrame, language: str, style: dict[str, Any]) -> Figure:
    """Draw what ``changes_of`` gives, a panel for each direction."""
    words, colours = read_words("figures", language)["hub_tradeoff"], palette_of(style)
    names = list(dict.fromkeys(table.name))
    with sheet():
        figure = Figure(figsize=(WIDTH, HEAD + HEIGHT + FOOT))
        limits = [_limits(table, "hubs", 1), _limits(table, "recall", 100)]
        for number, way in enumerate(DIRECTIONS):
            part = table[table.direction == way]
            axes = axes_at(figure, LEFT + number * (PANEL + GAP), HEAD, PANEL, HEIGHT)
            axes.set(xlim=limits[0], ylim=limits[1])
            axes.axhline(0, color=MUTED, lw=0.9, zorder=1)
            axes.axvline(0, color=MUTED, lw=0.9, zorder=1)
            axes.grid(axis="both")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
                axis.set_major_formatter(FuncFormatter(signed))
            axes.set_xlabel(words["x"], labelpad=3)
            if number == 0:
                axes.set_ylabel(words["y"])
            told = words["directions"][way]
            axes.text(0, 1 + 0.1 / HEIGHT, told, weight="bold", transform=axes.transAxes)
            for one in part.itertuples():
                place = names.index(one.name)
                colour = colours[place % len(colours)]
                marker = MARKERS[(place + place // len(colours)) % len(MARKERS)]
                y = 100 * one.recall
                axes.plot(
                    [one.hubs] * 2, [100 * one.recall_low, 100 * one.recall_high],
                    color=colour, lw=1, alpha=0.6,
                )  # fmt: skip
                axes.plot([one.hubs_low, one.hubs_high], [y, y], color=colour, lw=1, alpha=0.6)
                axes.plot(
                    one.hubs, y, marker, ms=5.5, color=colour, mec=PAPER,
                    mew=0.6, zorder=4,
                )  # fmt: skip
            _name_dots(axes, part)
    return figure


def _limits(table: pd.DataFrame, name: str, scale: float) -> tuple[float, float]:
    """Ends of an axis that holds zero, all dots and their intervals."""
    ends = scale * table[[name, f"{name}_low", f"{name}_high"]].to_numpy(dtype=np.float64)
    low, high = min(0.0, np.nanmin(ends)), max(0.0, np.nanmax(ends))
    room = 0.1 * (high - low) or 1.0
    return low - room, high + room


def _name_dots(axes: Any, part: pd.DataFrame) -> None:
    """A name beside each dot, where it lies over no dot or other name, and if it can, no interval.

    Where a panel is full, dots go without.
    """
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()

    def inches_of(x: Any, y: Any) -> np.ndarray:
        across = (np.asarray(x, float) - left) / (right - left) * PANEL
        return np.stack([across, (np.asarray(y, float) - low) / (high - low) * HEIGHT], axis=-1)

    dots = inches_of(part.hubs, 100 * part.recall)
    taken = [(*(dot - AROUND), *(dot + AROUND)) for dot in dots]
    # the lines of no change, and the intervals
    nothing = inches_of([0.0], [0.0])[0]
    crossed = [(0.0, nothing[1] - 0.01, PANEL, nothing[1] + 0.01)]
    crossed += [(nothing[0] - 0.01, 0.0, nothing[0] + 0.01, HEIGHT)]
    for dot, one in zip(dots, part.itertuples(), strict=True):
        ends = inches_of(
            [one.hubs_low, one.hubs_high], [100 * one.recall_low, 100 * one.recall_high]
        )
        crossed.append((dot[0] - 0.01, ends[0, 1], dot[0] + 0.01, ends[1, 1]))
        if np.isfinite(ends[:, 0]).all():
            crossed.append((ends[0, 0], dot[1] - 0.01, ends[1, 0], dot[1] + 0.01))
    grid = np.stack(
        np.meshgrid(np.arange(0.02, PANEL, 0.05), np.arange(0.02, HEIGHT, 0.05)), axis=-1
    ).reshape(-1, 2)
    for dot, one in zip(dots, part.itertuples(), strict=True):
        name = drawable(one.name)
        size = np.array([width_of(name, SMALL), LINE])
        corners = np.concatenate([dot + _beside(size), grid])
        # the nearest place of all that are free, by where the label's middle is
        away = np.linalg.norm((corners + size / 2 - dot) / (1 + size), axis=1)
        away[: len(_beside(size))] /= 4
        free = _free(corners, size, taken)
        if not free.any():
            continue
        # a longer way is worth it for no line through the name, and for no other dot nearer to it
        away += 0.2 * ~_free(corners, size, [*taken, *crossed])
        away += 0.2 * ~_nearest_to(dot, dots, corners, size)
        corner = corners[free][away[free].argmin()]
        taken.append((*corner, *(corner + size)))
        nearest = np.clip(dot, corner, corner + size)
        if np.linalg.norm(nearest - dot) > 0.15:
            ends = np.array([dot, nearest]) / (PANEL, HEIGHT)
            axes.plot(*ends.T, color=MUTED, lw=0.6, transform=axes.transAxes, zorder=1.5)
        axes.text(
            corner[0] / PANEL, (corner[1] + LINE / 2) / HEIGHT, name, size=SMALL, color=INK,
            va="center_baseline", transform=axes.transAxes,
        )  # fmt: skip


def _beside(size: np.ndarray) -> np.ndarray:
    """Lower left corners of a label right, left, above and below of a dot, as seen from it."""
    width, height = size
    near = AROUND + 0.02
    return np.array(
        [
            [near, -height / 2], [-near - width, -height / 2],
            [-width / 2, near], [-width / 2, -near - height],
            [near, near], [near, -near - height],
            [-near - width, near], [-near - width, -near - height],
        ]
    )  # fmt: skip


def _nearest_to(
    dot: np.ndarray, dots: np.ndarray, corners: np.ndarray, size: np.ndarray
) -> np.ndarray:
    """(c,) where a label with this lower left corner is nearer to its dot than to any other."""
    away = np.linalg.norm(np.clip(dots, corners[:, None], corners[:, None] + size) - dots, axis=-1)
    own = np.linalg.norm(np.clip(dot, corners, corners + size) - dot, axis=-1)
    return own <= away.min(axis=1)


def _free(corners: np.ndarray, size: np.ndarray, taken: list[tuple[float, ...]]) -> np.ndarray:
    """(c,) where a label with this lower left corner lies in the panel and over no box."""
    ends, boxes = corners + size, np.array(taken)
    inside = (corners >= 0).all(axis=1) & (ends <= (PANEL, HEIGHT)).all(axis=1)
    over = (corners[:, None] < boxes[:, 2:]) & (boxes[:, :2] < ends[:, None])
    return inside & ~over.all(axis=2).any(axis=1)


def read_differences(path: str) -> pd.DataFrame:
    """Read pairs.csv; a run may be called NA or 007."""
    names = [*KEYS, *(f"other_{key}" for key in KEYS)]
    return pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys(names, str))


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, style = snakemake.input, dict(snakemake.params.get("style") or {})
    geometry = read_study(files.geometry, "geometry")
    table = changes_of(read_differences(files.pairs), geometry)
    draw(snakemake, lambda language: plot_hub_tradeoff(table, language, style))


if __name__ == "__main__":
    run(main, snakemake)
