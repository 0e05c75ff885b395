"""Kendall's rank correlation in resamples of images, from counts that are made once.

Concordant minus discordant pairs are a sum over pairs of rows, and so, gathered by the images that
the rows belong to, a quadratic form: with c_a copies of image a in a resample, it is the sum over
images a and b of c_a c_b K[a, b] / 2. Pairs with equal scores, and pairs with equal ratings, are
such forms as well. Ten thousand resamples are then a product of matrices. All entries are whole
numbers below 2^53, so no order of summation changes a digit.

Kendall (1945), "The treatment of ties in ranking problems", Biometrika 33, for tau-b; Stuart
(1953), "The estimation and comparison of strengths of association in contingency tables",
Biometrika 40, for tau-c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from scripts.evaluate.intervals import Resampling, percentile_interval, resample_counts

# rows compared with each other one by one; all before them are counted together
AT_ONCE = 256

Variant = Literal["b", "c"]


@dataclass(frozen=True)
class PairCounts:
    """What Kendall's tau needs to know of n images' rows.

    Attributes
    ----------
    agreement : (n, n) concordant minus discordant pairs of a row of one and a row of the other;
        pairs within an image are in it twice
    equal_scores : (n, n) pairs of rows of the same score, each row with itself included
    ratings : (n, l) rows of each rating
    score_of_row : (n, g) sparse, rows of each distinct score
    """

    agreement: np.ndarray
    equal_scores: np.ndarray
    ratings: np.ndarray
    score_of_row: sparse.csr_array


def pair_counts(scores: np.ndarray, ratings: np.ndarray, image: np.ndarray) -> PairCounts:
    """Count pairs of rows by their images.

    Parameters
    ----------
    scores, ratings : (p,); scores have many values, ratings few
    image : (p,) whole numbers from 0, none left out
    """
    n = int(image.max()) + 1
    score = np.unique(scores, return_inverse=True)[1]
    level = np.unique(ratings, return_inverse=True)[1]
    order = np.argsort(score, kind="stable")
    of_scores = _table(image, score)
    return PairCounts(
        agreement=_agreement(score[order], level[order], image[order], n),
        equal_scores=(of_scores @ of_scores.T).toarray(),
        ratings=_table(image, level).toarray(),
        score_of_row=of_scores,
    )


def taus(counts: PairCounts, copies: np.ndarray, variant: Variant) -> np.ndarray:
    """Kendall's tau of each resample.

    Parameters
    ----------
    counts : from ``pair_counts``, of n images
    copies : (b, n) how often each image is drawn
    variant : "b" or "c", as in ``scipy.stats.kendalltau``

    Returns
    -------
    (b,) float64, nan where all scores or all ratings of a resample are equal
    """
    of_rating = copies @ counts.ratings
    rows = of_rating.sum(axis=1)
    balance = _form(copies, counts.agreement) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        if variant == "b":
            pairs = rows**2 / 2  # of a row with itself, too, here and in what ties: they cancel
            scores_tied = _form(copies, counts.equal_scores) / 2
            ratings_tied = (of_rating**2).sum(axis=1) / 2
            found = balance / np.sqrt((pairs - scores_tied) * (pairs - ratings_tied))
        else:
            classes = _classes(counts, copies, (of_rating > 0).sum(axis=1))
            found = 2 * balance / (rows**2 * (classes - 1) / classes)
    return np.where(np.isfinite(found), found, np.nan)


def interval_of_tau(
    scores: np.ndarray,
    ratings: np.ndarray,
    image: np.ndarray,
    variant: Variant,
    resampling: Resampling,
) -> np.ndarray:
    """(2,) bootstrap percentile interval over images; nan where some resample has no tau.

    Parameters
    ----------
    scores, ratings : (p,)
    image : (p,) the image of each row; those without a row play no part
    variant : see ``taus``
    resampling : of the images
    """
    image = np.unique(image, return_inverse=True)[1]
    counts = pair_counts(scores, ratings, image)
    samples = [
        taus(counts, copies, variant)
        for copies in resample_counts(int(image.max()) + 1, resampling)
    ]
    return percentile_interval(np.concatenate(samples)[:, None])[0]


def _table(image: np.ndarray, column: np.ndarray) -> sparse.csr_array:
    """How many rows each image has in each column."""
    return sparse.coo_array((np.ones(len(image)), (image, column))).tocsr()


def _form(copies: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(b,) the quadratic form of ``matrix`` for each row of ``copies``."""
    return np.einsum("bi,bi->b", copies @ matrix, copies)


def _agreement(score: np.ndarray, level: np.ndarray, image: np.ndarray, n: int) -> np.ndarray:
    """``PairCounts.agreement`` of rows in the order of their scores."""
    levels = int(level.max()) + 1
    sign = np.sign(np.subtract.outer(np.arange(levels), np.arange(levels))).astype(np.float64)
    begins, ends = np.searchsorted(score, score), np.searchsorted(score, score, side="right")
    before = np.zeros((n, levels))  # rows of smaller scores
    found = np.zeros((n, n))
    start = 0
    while start < len(score):
        # rows of one score stay together; those that are too many stand alone
        stop = begins[start + AT_ONCE] if start + AT_ONCE < len(score) else len(score)
        stop = stop if stop > start else ends[start]
        part = slice(start, stop)
        images, own = np.unique(image[part], return_inverse=True)
        k = len(images)
        here = np.bincount(own * levels + level[part], minlength=k * levels)
        here = here.reshape(k, levels).astype(np.float64)
        found[images] += here @ sign @ before.T
        if score[start] < score[stop - 1]:
            higher = np.greater.outer(score[part], score[part])
            agree = higher * sign[np.ix_(level[part], level[part])]
            pair = np.add.outer(own * k, own)
            inside = np.bincount(pair.ravel(), agree.ravel(), minlength=k * k).reshape(k, k)
            found[np.ix_(images, images)] += inside
        before[images] += here
        start = stop
    return found + found.T


def _classes(counts: PairCounts, copies: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """(b,) distinct scores or distinct ratings of each resample, whichever are fewer."""
    # one image with many scores tells that they are not fewer; few resamples have to be looked at
    scores_of_image = np.diff(counts.score_of_row.indptr)
    least = ((copies > 0) * scores_of_image).max(axis=1)
    unsure = np.flatnonzero(least < ratings)
    classes = ratings.astype(np.float64)
    if len(unsure):
        drawn = counts.score_of_row.T @ copies[unsure].T > 0
        classes[unsure] = np.minimum(drawn.sum(axis=0), ratings[unsure])
    return classes
