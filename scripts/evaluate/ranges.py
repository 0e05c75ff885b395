"""Whether parts of the queries, or runs on the same queries, are more apart than chance has them.

Of many, the best and the worst are always apart, and whoever looks for them first finds them more
apart than any two that were named before. So what is tested is their distance itself, the range of
the means, against that of parts, or runs, that were dealt anew at random.

Fisher (1935), "The design of experiments"; Good (2005), "Permutation, parametric, and bootstrap
tests of hypotheses", Springer, chapters 3 and 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scripts.evaluate.intervals import AT_ONCE, Resampling, sums_by_image

# ranges that differ by rounding alone are equal
SLACK = 1e-9


def range_of_parts(
    values: np.ndarray, belongs: np.ndarray, image_of_query: np.ndarray, drawing: Resampling
) -> tuple[float, float]:
    """The range of the means of parts, and its p-value if parts had nothing to do with the values.

    Images swap the parts that their queries are in, those of all of its queries as a whole, and an
    image's queries swap among each other. So captions of one image succeed and fail together as
    they did, parts that overlap go on to overlap, and every part keeps its size, since images swap
    with those of as many queries; one that is alone with its number swaps within itself.

    Parameters
    ----------
    values : (q,) of all queries, those in no part, too
    belongs : (q, c) bool, whether a query is in a part; each part has a query
    image_of_query : (q,) the image that each query belongs to
    drawing : how many draws, and the seed

    Returns
    -------
    the largest mean less the smallest, and (1 + draws whose range is no smaller) / (1 + draws)
    """
    return ranges_of_parts(values, [belongs], image_of_query, drawing)[0]


def ranges_of_parts(
    values: np.ndarray,
    divisions: Sequence[np.ndarray],
    image_of_query: np.ndarray,
    drawing: Resampling,
) -> list[tuple[float, float]]:
    """``range_of_parts`` of several divisions of the same queries, by the same draws."""
    if not divisions:
        return []
    ends = np.cumsum([belongs.shape[1] for belongs in divisions])[:-1]
    belongs = np.hstack(divisions)
    image = np.unique(image_of_query, return_inverse=True)[1]
    counts = np.bincount(image)
    by_image = np.split(np.argsort(image, kind="stable"), np.cumsum(counts)[:-1])
    alike = [
        np.stack([by_image[one] for one in np.flatnonzero(counts == count)])
        for count in np.unique(counts)
    ]
    sizes = belongs.sum(axis=0)
    observed = [float(np.ptp(one)) for one in np.split(values @ belongs / sizes, ends)]
    rng = np.random.default_rng(drawing.seed)
    as_far = np.zeros(len(divisions), dtype=np.int64)
    for draws in _blocks(drawing.resamples, len(values)):
        sums = np.zeros((draws, belongs.shape[1]))
        for queries in alike:
            order = rng.permuted(np.tile(np.arange(len(queries)), (draws, 1)), axis=1)
            dealt = rng.permuted(values[queries][order], axis=2).reshape(draws, -1)
            sums += dealt @ belongs[queries.ravel()].astype(np.float64)
        ranges = [np.ptp(one, axis=1) for one in np.split(sums / sizes, ends, axis=1)]
        as_far += [(own >= one - SLACK).sum() for own, one in zip(ranges, observed, strict=True)]
    return [
        (one, (1 + int(count)) / (1 + drawing.resamples))
        for one, count in zip(observed, as_far, strict=True)
    ]


def paired_range(
    values: np.ndarray, image_of_query: np.ndarray, drawing: Resampling
) -> tuple[float, float]:
    """The range of the means of runs on the same queries, and its p-value if runs were alike.

    For each image, with all of its queries, which run is which is drawn anew.

    Parameters
    ----------
    values : (q, c) of each query in each of c runs
    image_of_query : (q,) the image that each query belongs to
    drawing : how many draws, and the seed

    Returns
    -------
    the largest mean less the smallest, and (1 + draws whose range is no smaller) / (1 + draws)
    """
    sums = sums_by_image(values, image_of_query)[0]
    observed = float(np.ptp(sums.sum(axis=0)))
    rng = np.random.default_rng(drawing.seed)
    as_far = 0
    for draws in _blocks(drawing.resamples, sums.size):
        dealt = rng.permuted(np.broadcast_to(sums, (draws, *sums.shape)), axis=2).sum(axis=1)
        as_far += int((np.ptp(dealt, axis=1) >= observed - SLACK * len(values)).sum())
    return observed / len(values), (1 + as_far) / (1 + drawing.resamples)


def _blocks(draws: int, numbers: int) -> Iterator[int]:
    """How many draws at a time, each of so many numbers."""
    step = max(1, AT_ONCE // numbers)
    for start in range(0, draws, step):
        yield min(step, draws - start)
