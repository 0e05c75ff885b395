"""How runs stand on each dataset and way: their measures, how sure, and who is behind the best.

A column is a dataset and a direction. Which run leads it is seen after looking, and the best of
many is ahead by chance alone. So each run is asked whether it may be the best, were all equal: how
often, in resamples of the images, the largest of all runs' chance gains is as far ahead of its own
as the leader is of it (multiple comparisons with the best: Hsu 1984, "Constrained simultaneous
confidence intervals for multiple comparisons with the best", Annals of Statistics 12). Adjusted by
Holm for their number, 0.05 bounds the chance that any run that is the best is called behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.evaluate.intervals import (
    DIGITS,
    Resampling,
    bootstrap_means,
    exact_at_ends,
    holm,
    percentile_interval,
)
from scripts.evaluate.pairs import SIGNIFICANT
from scripts.measures import MEASURES, RECALLS

# in which runs are told, the first of them unless a reader asks for another; of all, more is better
MEASURED = ("mean", *RECALLS, "mrr")
LEADS, LEVEL, BEHIND = "leads", "level", "behind"


@dataclass(frozen=True)
class Standing:
    """A run in one column.

    Attributes
    ----------
    values, lows, highs : of each of ``MEASURED``, with its 95% interval
    gap : how far its mean recall is from the best, never above zero
    p_holm : that a run which is the best would fall so far behind; 1 for the one that leads
    verdict : "leads", maybe with its equals, is "level" with that, or "behind"
    place : 1 for the best mean recall; equal runs share the mean of their places
    """

    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    gap: float
    p_holm: float
    verdict: str
    place: float


def standings(
    values: Sequence[Mapping[str, np.ndarray]],
    image_of_query: np.ndarray,
    resampling: Resampling,
) -> list[Standing]:
    """How runs stand in one column.

    Parameters
    ----------
    values : of each run, each of ``MEASURED`` for all queries (q,), which are the same for all
    image_of_query : (q,) the image that each query belongs to
    resampling : of intervals and comparisons
    """
    means, bounds, samples = [], [], np.empty(0)
    for name in MEASURED:
        of_runs = np.stack([one[name] for one in values], axis=1)
        means.append(np.round(of_runs.mean(axis=0), DIGITS))
        drawn = bootstrap_means(of_runs, image_of_query, resampling)
        found = percentile_interval(drawn)
        bounds.append(exact_at_ends(found, image_of_query, MEASURES[name].unit == "share"))
        samples = drawn if name == MEASURED[0] else samples
    headline = means[0]
    best = headline.max()
    p = holm(may_be_best(headline, samples))
    better = (headline > headline[:, None]).sum(axis=1)
    places = better + ((headline == headline[:, None]).sum(axis=1) + 1) / 2
    return [
        Standing(
            values=tuple(float(of_measure[run]) for of_measure in means),
            lows=tuple(float(of_measure[run, 0]) for of_measure in bounds),
            highs=tuple(float(of_measure[run, 1]) for of_measure in bounds),
            gap=round(float(headline[run] - best), DIGITS),
            p_holm=round(float(p[run]), DIGITS),
            verdict=LEADS if headline[run] == best else BEHIND if p[run] < SIGNIFICANT else LEVEL,
            place=float(places[run]),
        )
        for run in range(len(values))
    ]


def may_be_best(means: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """p-values (r,) that runs of these ``means`` (r,) are the best; 1 for the one that leads.

    ``samples`` (b, r) are their means in resamples, the same for all.
    """
    chance = samples - means
    # were all equal, the largest chance gain of any, less the run's own
    ahead = chance.max(axis=1, keepdims=True) - chance
    behind = means.max() - means
    return (1 + (ahead >= behind - 10.0**-DIGITS).sum(axis=0)) / (1 + len(samples))


def mean_places(columns: Sequence[Mapping[Any, Standing]]) -> dict[Any, float]:
    """Mean place of each run that stands in every column; of no other, which had fewer rivals."""
    everywhere = set.intersection(*(set(column) for column in columns)) if columns else set()
    return {
        run: float(np.mean([column[run].place for column in columns]))
        for run in (columns[0] if columns else ())
        if run in everywhere
    }
