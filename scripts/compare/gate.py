"""How much better one run is than another, and how sure that is: one set of draws tells it all.

For each image, a coin decides whether it counts; the mean difference over those that count is drawn
again and again. This is the paired randomisation test with the image as coin, seen from its other
side: draws of signs take the observed difference, less a margin, as far as it is, exactly where the
images whose signs they change are, by themselves, not beyond the margin. So the share of draws that
are not beyond a margin is the p-value at that margin, whatever it is, and the draw at the end of 5%
is the bound up to which p is below 5%: bounds, p-values and a gate's answer cannot disagree.

Where few images differ, the coins know nothing of what was not seen: of runs that differ in one
image of a hundred they would be sure. There a second test has to agree, that images as far apart as
the farthest, and as many as would make up for what was seen, could not all have been missed. Where
no image differs, it gives the exact bound of a share of 0 (see ``intervals.exact_at_ends``).

Hartigan (1969), "Using subsample values as typical values", Journal of the American Statistical
Association 64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from scripts.data.rows import Rows
from scripts.evaluate.intervals import AT_ONCE, DIGITS, sums_by_image
from scripts.evaluate.runs import images_of_queries
from scripts.measures import MEASURES, SUMS
from scripts.protocol import DIRECTIONS

# of the draws
FLIPS, SEED = 9999, 0
# of each one-sided question, and of the bound that answers it
ALPHA = 0.05
# with which a size of data is told to do
POWER = 0.8
# of both directions together, before each of them
BOTH = "both"

# direction -> measure -> (q,), as ``measures_of`` gives them
Values = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Gain:
    """How much better B is than A, by one measure; below zero where it is worse.

    Attributes
    ----------
    mean : over all queries
    drawn : (f,) means over the images that coins chose, NaN where they chose none
    spread : standard deviation of what one image adds
    images : how many there are
    most : the largest gain that a query can have
    largest : of any image's queries, up or down; ``most`` where no image differs
    """

    mean: float
    drawn: np.ndarray
    spread: float
    images: int
    most: float
    largest: float

    def p_below(self, at: float) -> float:
        """p-value of the one-sided test that the gain is ``at`` or more."""
        return self._p(self.drawn < at, at - self.mean)

    def p_above(self, at: float) -> float:
        """p-value of the one-sided test that the gain is ``at`` or less."""
        return self._p(self.drawn > at, self.mean - at)

    @property
    def low(self) -> float:
        """One-sided 95% bound: ``p_above`` is below 5% for all that is below it, and no more."""
        return -self._bound(-self.drawn, -self.mean)

    @property
    def high(self) -> float:
        """The same from above, for ``p_below``."""
        return self._bound(self.drawn, self.mean)

    def _p(self, beyond: np.ndarray, apart: float) -> float:
        """Of the draws that are not beyond; of what is not seen, where these would be sure."""
        p = (1 + int((~beyond).sum())) / (1 + len(beyond))
        # the chance to see none of the images, each ``largest``, that ``apart`` is the mean of
        unseen: float = (1 - min(max(apart, 0) / self.largest, 1)) ** self.images
        return p if p >= ALPHA else max(p, unseen)

    def _bound(self, drawn: np.ndarray, mean: float) -> float:
        last = math.ceil(ALPHA * (1 + len(drawn))) - 1
        ordered = np.sort(np.where(np.isnan(drawn), np.inf, drawn))
        unseen = self.largest * (1 - ALPHA ** (1 / self.images))
        return min(max(float(ordered[-last]), mean + unseen), self.most)

    def images_needed(self, margin: float, power: float | None = None) -> int:
        """Images at which a true gain of zero would be shown to be above ``-margin``.

        By the normal approximation, with the spread that is seen here: where the gain that is
        observed is zero, too; or, whatever is observed, with the chance ``power``. No fewer than
        what is not seen can hide among.
        """
        normal = NormalDist()
        sure = normal.inv_cdf(1 - ALPHA) + (normal.inv_cdf(power) if power else 0)
        share = min(margin / self.largest, 0.5)
        unseen = math.log(ALPHA) / math.log1p(-share)
        return math.ceil(max((sure * self.spread / margin) ** 2, unseen))


class _Column(NamedTuple):
    """What each image adds to a gain (n,), its share of the queries (n,), and ``Gain.most``."""

    gains: np.ndarray
    weights: np.ndarray
    most: float


def coin_means(
    gains: np.ndarray, weights: np.ndarray, flips: int = FLIPS, seed: int = SEED
) -> np.ndarray:
    """Means over the images that coins choose, the same ones for all columns.

    Parameters
    ----------
    gains : (n, c) what each image adds to the mean of each column
    weights : (n, c) its share of the queries
    flips, seed : draws

    Returns
    -------
    (flips, c) float64, rounded so that no sum's order decides; NaN where no image is chosen
    """
    rng = np.random.default_rng(seed)
    step = max(1, AT_ONCE // len(gains))
    found = []
    for start in range(0, flips, step):
        size = (min(step, flips - start), len(gains))
        chosen = rng.integers(0, 2, size=size, dtype=np.int8).astype(np.float64)
        with np.errstate(invalid="ignore"):
            found.append(chosen @ gains / (chosen @ weights))
    return np.round(np.concatenate(found), DIGITS)


def gains_of(
    a: Values, b: Values, names: list[str], rows: Rows, flips: int = FLIPS
) -> dict[str, dict[str, Gain]]:
    """The gains of B over A, by measure, and of both directions together before each of them.

    Both together are the mean of the two; a sum adds them up, and has no other.

    Parameters
    ----------
    a, b : measures of every query, see ``scripts.evaluate.runs.measures_of``
    names : of measures, none a median: that has no difference of each query that a coin could take
    rows : of both runs
    flips : draws
    """
    columns: dict[tuple[str, str], _Column] = {}
    for name in names:
        text, image = (_by_image(a, b, name, way, rows) for way in DIRECTIONS)
        # a sum adds up what others are the mean of
        parts = 1 if name in SUMS else 2
        columns[name, BOTH] = _Column(
            (text.gains + image.gains) / parts,
            (text.weights + image.weights) / 2,
            (text.most + image.most) / parts,
        )
        if name not in SUMS:
            columns |= {
                (name, way): one for way, one in zip(DIRECTIONS, (text, image), strict=True)
            }
    gains = np.stack([one.gains for one in columns.values()], axis=1)
    weights = np.stack([one.weights for one in columns.values()], axis=1)
    drawn = coin_means(gains, weights, flips)
    means = np.round(gains.sum(axis=0), DIGITS)
    images = len(gains)
    apart = gains - means * weights
    spread = images * np.sqrt((apart**2).sum(axis=0) / max(images - 1, 1))
    largest = np.abs(gains / weights).max(axis=0)
    found: dict[str, dict[str, Gain]] = {}
    for place, ((name, way), own) in enumerate(columns.items()):
        found.setdefault(name, {})[way] = Gain(
            mean=float(means[place]),
            drawn=drawn[:, place],
            spread=float(spread[place]),
            images=images,
            most=own.most,
            largest=float(largest[place]) or own.most,
        )
    return found


def values_of(values: Values, name: str, way: str) -> np.ndarray:
    """(q,) one measure of each query in one direction; of a sum, the sum of its parts."""
    parts = MEASURES[name].sum_of or (name,)
    found: np.ndarray = np.sum([values[way][part] for part in parts], axis=0)
    return found


def mean_of(values: Values, name: str, way: str) -> float:
    """One measure of a run, in one direction or in ``BOTH`` as ``gains_of`` takes them together."""
    if way != BOTH:
        return float(values_of(values, name, way).mean())
    means = [mean_of(values, name, one) for one in DIRECTIONS]
    return sum(means) if name in SUMS else sum(means) / len(means)


def _by_image(a: Values, b: Values, name: str, way: str, rows: Rows) -> _Column:
    """One direction of a gain."""
    one = MEASURES[name]
    difference = values_of(b, name, way) - values_of(a, name, way)
    if one.better == "lower":
        difference = -difference
    sums, queries = sums_by_image(difference[:, None], images_of_queries(way, rows))
    gallery = len(rows.images) if way == "text_to_image" else len(rows.captions)
    # of a gallery of one, every rank is 1
    most = float(max(gallery - 1, 1) if one.unit == "rank" else len(one.sum_of) or 1)
    return _Column(sums[:, 0] / len(difference), queries / len(difference), most)
