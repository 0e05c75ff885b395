"""How sure a number is: bootstrap over images, paired randomisation, and Holm's correction.

The unit that is drawn is the image, and a caption's fate goes with its image: captions of one
image succeed and fail together, and counting them as independent would make intervals too narrow.
What is resampled are the queries; the gallery stays the one that it is.

Where every query of a sample succeeds, or none does, resamples hold nothing else, and the bootstrap
would be sure of what even two images show. There a share has an exact interval, by images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LEVEL = 0.95
# numbers at a time: 2 MB of float64, which stay near the core; blocks of 64 MB, in pages that are
# touched once, take three times as long
AT_ONCE = 2**18
# bytes of counts that are kept for who asks for the same again; 1,000 images 10,000 times are 10 MB
KEPT = 2**26
# in what share of the queries to either side of the median those of resamples are looked for first,
# times the root of the number of images: five times what they stray by where captions go together
NEAR = 2.5
# digits that no sum's order can change, so that tables have the same bytes with any number of cores
DIGITS = 9


@dataclass(frozen=True)
class Resampling:
    """How many resamples are drawn, and from which seed."""

    resamples: int
    seed: int


def resample_counts(images: int, resampling: Resampling) -> Iterator[np.ndarray]:
    """How often each image is drawn, in blocks of (b, n) float64, ``resamples`` rows in all.

    The same counts each time for the same n and seed, so that runs on the same images are resampled
    alike and their differences stay paired. To draw them mostly takes longer than what is made of
    them, so where they are not too many they are drawn once for all that a job asks.
    """
    few = images * resampling.resamples <= KEPT
    for counts in (_kept if few else _drawn)(images, resampling):
        yield counts.astype(np.float64)


@lru_cache(maxsize=1)
def _kept(images: int, resampling: Resampling) -> list[np.ndarray]:
    # of n draws among n images, one is not drawn 256 times in the age of the world
    return [counts.astype(np.uint8) for counts in _drawn(images, resampling)]


def _drawn(images: int, resampling: Resampling) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(resampling.seed)
    step = max(1, AT_ONCE // images)
    for start in range(0, resampling.resamples, step):
        size = min(step, resampling.resamples - start)
        drawn = rng.integers(0, images, size=(size, images))
        drawn += np.arange(size)[:, None] * images
        counts = np.bincount(drawn.ravel(), minlength=size * images)
        yield counts.reshape(size, images)


def sums_by_image(values: np.ndarray, image_of_query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the values of each image's queries.

    Parameters
    ----------
    values : (q, c)
    image_of_query : (q,) whole numbers; those that do not occur are left out

    Returns
    -------
    (n, c) sums and (n,) numbers of queries, of the images that have any
    """
    image_of_query = np.unique(image_of_query, return_inverse=True)[1]
    queries = np.bincount(image_of_query)
    sums = [np.bincount(image_of_query, weights=column) for column in values.T]
    return np.stack(sums, axis=1), queries.astype(np.float64)


def bootstrap_means(
    values: np.ndarray, image_of_query: np.ndarray, resampling: Resampling
) -> np.ndarray:
    """Means of ``values`` in resamples of the images.

    Parameters
    ----------
    values : (q, c) float64, a column for each measure
    image_of_query : (q,) the image that each query belongs to; images without a query play no part
    resampling : how many, and the seed

    Returns
    -------
    (resamples, c) float64

    Efron and Tibshirani (1993), "An introduction to the bootstrap", chapters 6 and 13.
    """
    return resampled_means(*sums_by_image(values, image_of_query), resampling)


def resampled_means(sums: np.ndarray, queries: np.ndarray, resampling: Resampling) -> np.ndarray:
    """As ``bootstrap_means``, from the (n, c) sums and (n,) queries of each image."""
    return np.concatenate(
        [
            counts @ sums / (counts @ queries)[:, None]
            for counts in resample_counts(len(sums), resampling)
        ]
    )


def bootstrap_medians(
    ranks: np.ndarray, image_of_query: np.ndarray, resampling: Resampling
) -> np.ndarray:
    """Medians of ``ranks`` (q,) in resamples of the images, (resamples,) float64.

    As numpy's median, the mean of the two in the middle where the number is even.
    """
    image_of_query = np.unique(image_of_query, return_inverse=True)[1]
    values, value_of_query = np.unique(ranks, return_inverse=True)
    band = NEAR / np.sqrt(image_of_query.max() + 1)
    while True:
        found = _medians_within(band, values, value_of_query, image_of_query, resampling)
        if found is not None:
            return found
        band *= 2


def _medians_within(
    band: float,
    values: np.ndarray,
    value_of_query: np.ndarray,
    image_of_query: np.ndarray,
    resampling: Resampling,
) -> np.ndarray | None:
    """Medians of resamples, all of them among the values that a middle ``band`` of queries have.

    Parameters
    ----------
    band : a share of the queries, to either side of the median; of values outside of it only the
        numbers matter. None where a resample has its median there
    values, value_of_query, image_of_query : sorted values, and the place of each query's
    resampling : of the images
    """
    ends = np.quantile(value_of_query, [max(0, 0.5 - band), min(1, 0.5 + band)], method="nearest")
    first, last = ends.astype(int).tolist()
    inside = values[first : last + 1]
    # 0 is below the band
    near = np.clip(value_of_query - first + 1, 0, len(inside) + 1)
    shape = int(image_of_query.max()) + 1, len(inside) + 2
    counted = np.bincount(image_of_query * shape[1] + near, minlength=shape[0] * shape[1])
    # of each image, its queries up to each value, and all
    upto = counted.reshape(shape).cumsum(axis=1).astype(np.float64)
    found = []
    for counts in resample_counts(len(upto), resampling):
        drawn = counts @ upto
        middle = (drawn[:, -1:] + 1) / 2
        low, high = ((drawn < half(middle)).sum(axis=1) - 1 for half in (np.floor, np.ceil))
        if low.min() < 0 or high.max() >= len(inside):
            return None
        found.append((inside[low] + inside[high]) / 2)
    return np.concatenate(found)


def percentile_interval(samples: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """(c, 2) bounds that hold the middle ``level`` of (b, c) samples, rounded to ``DIGITS``."""
    tail = (1 - level) / 2
    bounds = np.quantile(samples, (tail, 1 - tail), axis=0).T
    return np.round(bounds, DIGITS)


def exact_at_ends(
    bounds: np.ndarray,
    image_of_query: np.ndarray,
    shares: np.ndarray | bool = True,
    level: float = LEVEL,
) -> np.ndarray:
    """``bounds`` (c, 2) with exact ones for shares whose interval is [0, 0] or [1, 1].

    Parameters
    ----------
    bounds : from ``percentile_interval``
    image_of_query : (q,) the image that each query belongs to; n of them occur
    shares : (c,) bool, or one for all: which are means of values from 0 to 1
    level : of ``bounds``

    The bounds are those of Clopper and Pearson for n images of n: with a = (1 - level) / 2, from
    a^(1/n) to 1, and from 0 to 1 - a^(1/n). Were an image right, with all of its captions, less
    often than a^(1/n), then n of n would be seen with a probability below a; and the mean share is
    no lower than the share of images that are right all through. So nothing is assumed of how
    captions of one image go together, which cannot be seen here; where they count for more than
    one image, the interval is too wide rather than too narrow. Wilson's, which is right on average
    over shares alone, is too narrow near 0 and 1 (Brown, Cai and DasGupta 2001).

    Clopper and Pearson (1934), "The use of confidence or fiducial limits illustrated in the case of
    the binomial", Biometrika 26; by clusters, Korn and Graubard (1998), "Confidence intervals for
    proportions with small expected number of positive counts estimated from survey data", Survey
    Methodology 24.
    """
    least = round(((1 - level) / 2) ** (1 / len(np.unique(image_of_query))), DIGITS)
    exact = {0: (0.0, round(1 - least, DIGITS)), 1: (least, 1.0)}
    bounds = bounds.copy()
    for end, own in exact.items():
        bounds[(bounds == end).all(axis=1) & shares] = own
    return bounds


def interval_of_means(
    values: np.ndarray,
    image_of_query: np.ndarray,
    resampling: Resampling,
    shares: np.ndarray | bool = False,
) -> np.ndarray:
    """(c, 2) 95% intervals of the means of ``values`` (q, c): bootstrap percentiles.

    Those of ``shares``, (c,) bool or one for all, are exact at 0 and at 1: see ``exact_at_ends``.
    """
    bounds = percentile_interval(bootstrap_means(values, image_of_query, resampling))
    return exact_at_ends(bounds, image_of_query, shares)


def paired_differences(
    mine: np.ndarray,
    other: np.ndarray,
    image_of_mine: np.ndarray,
    image_of_other: np.ndarray,
    resampling: Resampling,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of some queries less the mean of others, and its interval in the same resamples.

    The images are drawn once for both, so that what both have in common, as two runs on the same
    queries have all of it, is no part of the interval. One set may be a part of the other.

    Parameters
    ----------
    mine, other : (q, c) and (p, c) from 0 to 1, a column for each measure
    image_of_mine, image_of_other : (q,) and (p,) the image that each query belongs to
    resampling : how many, and the seed; draws that leave one of the two empty tell nothing

    Returns
    -------
    (c,) differences and (c, 2) 95% intervals; where no resample differs, the interval is exact: of
    n images, 1 - a^(1/n) at most differ (see ``exact_at_ends``), and by 1 at most

    Efron and Tibshirani (1993), "An introduction to the bootstrap", chapters 6 and 13.
    """
    images = np.unique(np.concatenate([image_of_mine, image_of_other]))
    sides = []
    for values, image_of_query in ((mine, image_of_mine), (other, image_of_other)):
        place = np.searchsorted(images, image_of_query)
        sums = [np.bincount(place, column, len(images)) for column in values.T]
        sides.append((np.stack(sums, axis=1), np.bincount(place, minlength=len(images))))
    samples = []
    for counts in resample_counts(len(images), resampling):
        with np.errstate(invalid="ignore"):
            means = [counts @ sums / (counts @ queries)[:, None] for sums, queries in sides]
        samples.append(means[0] - means[1])
    drawn = np.concatenate(samples)
    bounds = percentile_interval(drawn[np.isfinite(drawn).all(axis=1)])
    most = 1 - round(((1 - LEVEL) / 2) ** (1 / len(images)), DIGITS)
    bounds[(bounds == 0).all(axis=1)] = (-most, most)
    return mine.mean(axis=0) - other.mean(axis=0), bounds


def randomisation_p(
    differences: np.ndarray, image_of_query: np.ndarray, flips: int, seed: int
) -> np.ndarray:
    """Two-sided p-values of paired randomisation tests that a mean difference is zero.

    If two runs were exchangeable, the sign of each image's difference would be a coin's; p is the
    share of ``flips`` draws of signs with a sum at least as far from zero, the run itself counted
    among them, so that p is never zero.

    Parameters
    ----------
    differences : (q, c), a column for each comparison, the same queries in the same order
    image_of_query : (q,) the image that each query belongs to: its captions change sign together
    flips : draws
    seed : of the draws; the same for all columns

    Returns
    -------
    (c,) float64 from 1 / (flips + 1) to 1

    Fisher (1935), "The design of experiments"; Smucker, Allan and Carterette (2007), "A comparison
    of statistical significance tests for information retrieval evaluation", CIKM.
    """
    sums, queries = sums_by_image(differences, image_of_query)
    images = len(queries)
    observed = np.abs(sums.sum(axis=0))
    # sums that differ by rounding alone are equal: a share of the largest sum that there can be
    slack = 1e-9 * np.maximum(np.abs(sums).sum(axis=0), 1e-300)
    as_far = np.zeros(sums.shape[1])
    rng = np.random.default_rng(seed)
    step = max(1, AT_ONCE // max(images, sums.shape[1]))
    for start in range(0, flips, step):
        size = min(step, flips - start)
        signs = rng.integers(0, 2, size=(size, images), dtype=np.int8).astype(np.float64) * 2 - 1
        as_far += (np.abs(signs @ sums) >= observed - slack).sum(axis=0)
    return (as_far + 1) / (flips + 1)


def holm(p: np.ndarray) -> np.ndarray:
    """p-values adjusted for their number, so that 0.05 bounds the chance of any false finding.

    Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6.

    Parameters
    ----------
    p : (c,)

    Returns
    -------
    (c,) from 0 to 1
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = (len(p) - np.arange(len(p))) * p[order]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
