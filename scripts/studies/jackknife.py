"""The jackknife over images: a statistic without each of them in turn, and its interval."""

from __future__ import annotations

import numpy as np

from scripts.protocol import NORMAL_95


def jackknife_interval(value: float, without: np.ndarray) -> tuple[float, float]:
    """95% interval of a statistic of images, from its values (n,) without each of them in turn.

    The bootstrap would not do for hubs and for lengths of means: images drawn twice make N_k more
    uneven than it is, and means lie further apart in every resample (Efron and Tibshirani 1993, "An
    introduction to the bootstrap", chapter 11). A difference between two runs is such a statistic,
    too: each image is left out of both at once, so that the interval is paired.
    """
    n = len(without)
    if n < 2 or not np.isfinite(without).all():
        return float("nan"), float("nan")
    error = np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    return value - NORMAL_95 * error, value + NORMAL_95 * error


def means_without(rows: np.ndarray, image_of_row: np.ndarray) -> np.ndarray:
    """(n, d) means of ``rows`` (m, d) without those of each image; none where there is one image.

    Parameters
    ----------
    rows : (m, d) float64
    image_of_row : (m,) non-decreasing, the image that each row belongs to; n occur
    """
    starts, counts = np.unique(image_of_row, return_index=True, return_counts=True)[1:]
    if len(starts) < 2:
        return np.empty((0, rows.shape[1]))
    left = rows.sum(axis=0) - np.add.reduceat(rows, starts)
    return left / (len(rows) - counts)[:, None]
