"""Retrieval measures, each a value per query that follows from ranks.

A rank counts from 1, over wrong items: one plus the wrong items that score at least as high as the
right answer. Ties count against the model, and other right answers do not count. A query with R
right answers has R ranks; sorted, the j-th of them stands at place r_j + j - 1 of the full list,
so every measure below follows from ranks and none needs the score matrix.

"Recall@K" is what papers on image-text retrieval report under that name since Hodosh, Young and
Hockenmaier (2013), "Framing image description as a ranking task", JAIR 47: the share of queries
with at least one right answer in the top K. Elsewhere that is called hit rate or success@K; the
recall of information retrieval would divide by the number of right answers.
"""

from __future__ import annotations

import numpy as np

DEPTHS = (1, 5, 10)
DCG_DEPTH = 10
RECALLS = tuple(f"recall@{depth}" for depth in DEPTHS)
HEADLINE = (*RECALLS, "mean")
# of each query's best rank; the mean over queries is the measure
FROM_BEST = (*RECALLS, "mean_rank", "mrr")
# of all right answers of a query
FROM_ALL = ("r_precision", "map@r", f"ndcg@{DCG_DEPTH}")
MEANS = (*FROM_BEST, *FROM_ALL)


def hits(ranks: np.ndarray, depth: int) -> np.ndarray:
    """(q,) 1.0 where a right answer is in the top ``depth``; its mean is "Recall@K"."""
    return (ranks <= depth).astype(np.float64)


def mean_hits(ranks: np.ndarray) -> np.ndarray:
    """(q,) mean of the hits at 1, 5 and 10, whose mean over queries is the "mean recall"."""
    return np.mean([hits(ranks, depth) for depth in DEPTHS], axis=0)


def headline(ranks: np.ndarray) -> np.ndarray:
    """(q, len(HEADLINE)) hits at each depth, and their mean, of each query."""
    return np.stack([*(hits(ranks, depth) for depth in DEPTHS), mean_hits(ranks)], axis=1)


def best_ranks(ranks: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Smallest rank of each query.

    Parameters
    ----------
    ranks : (r,) integers from 1, right answers of the first query first
    starts : (q + 1,) where each query's answers begin, and r

    Returns
    -------
    (q,) integers
    """
    return np.minimum.reduceat(ranks, starts[:-1])


def places(ranks: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Place of each right answer in the full list, right ones counted, sorted for each query.

    Parameters
    ----------
    ranks, starts : see ``best_ranks``

    Returns
    -------
    (r,) integers from 1, ascending for each query
    """
    counts = np.diff(starts)
    order = np.lexsort((ranks, np.repeat(np.arange(len(counts)), counts)))
    return ranks[order] + np.arange(len(ranks)) - np.repeat(starts[:-1], counts)


def r_precision(ranks: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(q,) share of right answers among the top R, R being the query's number of right answers.

    Buckley and Voorhees (2005), "Retrieval system evaluation", in TREC, MIT Press.
    """
    counts = np.diff(starts)
    inside = places(ranks, starts) <= np.repeat(counts, counts)
    return np.add.reduceat(inside.astype(np.float64), starts[:-1]) / counts


def map_at_r(ranks: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(q,) mean over the top R places of the precision there, counted where the item is right.

    Musgrave, Belongie and Lim (2020), "A metric learning reality check", ECCV, section 3.2.
    """
    counts = np.diff(starts)
    at = places(ranks, starts)
    found = np.arange(1, len(ranks) + 1) - np.repeat(starts[:-1], counts)
    precision = np.where(at <= np.repeat(counts, counts), found / at, 0.0)
    return np.add.reduceat(precision, starts[:-1]) / counts


def ndcg(ranks: np.ndarray, starts: np.ndarray, depth: int = DCG_DEPTH) -> np.ndarray:
    """(q,) discounted gain of the top ``depth``, right answers gaining one, over the best possible.

    Järvelin and Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20,
    with the discount 1 / log2(place + 1).
    """
    counts = np.diff(starts)
    at = places(ranks, starts)
    gains = np.where(at <= depth, 1 / np.log2(at + 1.0), 0.0)
    ideal = np.cumsum(1 / np.log2(np.arange(2.0, depth + 2)))
    return np.add.reduceat(gains, starts[:-1]) / ideal[np.minimum(counts, depth) - 1]


def per_query(ranks: np.ndarray, starts: np.ndarray) -> dict[str, np.ndarray]:
    """Every measure of ``MEANS`` as (q,) float64, one value for each query.

    Parameters
    ----------
    ranks : (r,) integers from 1, right answers of the first query first
    starts : (q + 1,) where each query's answers begin, and r; each query has one at least
    """
    best = best_ranks(ranks, starts)
    return {
        **{f"recall@{depth}": hits(best, depth) for depth in DEPTHS},
        "mean_rank": best.astype(np.float64),
        # Voorhees (1999), "The TREC-8 question answering track report"
        "mrr": 1.0 / best,
        "r_precision": r_precision(ranks, starts),
        "map@r": map_at_r(ranks, starts),
        f"ndcg@{DCG_DEPTH}": ndcg(ranks, starts),
    }
