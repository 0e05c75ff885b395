"""Exact ranks and top-K lists, without ever holding the score matrix.

Scores come block by block from BLAS in float32. Their last bits depend on the block, the BLAS and
the number of threads, so no decision rests on them: the few scores that lie within ``DOUBT`` of a
decision are computed again in float64, one by one. Ranks and lists are therefore functions of the
features alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

# Items closer than this count as tied: float32 features, and products of them, are good to about
# 1e-7, so what lies closer is told apart by rounding alone.
TIE = 1e-6

# Bound on the error of a float32 score of unit vectors. Up to 1,024 dimensions we measured 3e-7 for
# features as models give them and 9e-7 for features that all point one way.
DOUBT = 1e-6

# What a block holds for each of its scores: four bytes for the score, the rest for comparisons.
BYTES_PER_SCORE = 6


@dataclass(frozen=True)
class Ranking:
    """What is kept of the scores of n queries against a gallery.

    Attributes
    ----------
    rank : (r,) int64, from 1, one for each entry of ``relevant`` in its stored order
    score : (r,) float32, the score of that entry
    tied : (r,) int64, items that are not relevant and score within ``TIE`` of that entry
    top : (n, k) int64, gallery rows, best first
    top_score : (n, k) float32
    """

    rank: np.ndarray
    score: np.ndarray
    tied: np.ndarray
    top: np.ndarray
    top_score: np.ndarray


def rank(
    queries: np.ndarray,
    gallery: np.ndarray,
    relevant: sparse.csr_array,
    k: int,
    block_mb: float = 256,
) -> Ranking:
    """Rank of every relevant item, and the top K, for each query.

    The rank of a relevant item is one plus the number of items that are not relevant to the query
    and score at least its own score - ``TIE``: ties count against the model, so a model that scores
    everything alike earns no recall; other right answers do not count.

    Parameters
    ----------
    queries : (n, d) float32
    gallery : (m, d) float32; scores are inner products, of the order of one
    relevant : (n, m), an entry stored for each right answer, any number of them per query
    k : length of the lists; shorter where the gallery is smaller
    block_mb : memory for scores in MB (2**20 bytes), but never less than one query's scores
    """
    starts, items = relevant.indptr, relevant.indices
    own = dots(queries, gallery, np.repeat(np.arange(len(queries)), np.diff(starts)), items)
    ranks = np.empty(len(items), dtype=np.int64)
    tied = np.empty(len(items), dtype=np.int64)
    k = min(k, len(gallery))
    top, top_score = _empty_lists(len(queries), k)
    for start, scores in _blocks(queries, gallery, block_mb):
        stop = start + len(scores)
        block = queries[start:stop]
        top[start:stop], top_score[start:stop] = _best(scores, block, gallery, k)
        # right answers drop out of the count, so one answer does not push down another
        scores[
            np.repeat(np.arange(len(scores)), np.diff(starts[start : stop + 1])),
            items[starts[start] : starts[stop]],
        ] = -np.inf
        for query in range(start, stop):
            for entry in range(starts[query], starts[query + 1]):
                ahead, tied[entry] = _count_ahead(
                    scores[query - start], own[entry], queries[query], gallery
                )
                ranks[entry] = 1 + ahead
    return Ranking(ranks, own.astype(np.float32), tied, top, top_score)


def top_k(
    queries: np.ndarray, gallery: np.ndarray, k: int, block_mb: float = 256
) -> tuple[np.ndarray, np.ndarray]:
    """The k best gallery rows for each query, and their scores.

    Parameters
    ----------
    queries : (n, d) float32
    gallery : (m, d) float32
    k : length of the lists; shorter where the gallery is smaller
    block_mb : memory for scores in MB (2**20 bytes), but never less than one query's scores

    Returns
    -------
    (n, k) int64 rows and (n, k) float32 scores; best first, equal scores by row
    """
    k = min(k, len(gallery))
    top, top_score = _empty_lists(len(queries), k)
    for start, scores in _blocks(queries, gallery, block_mb):
        stop = start + len(scores)
        top[start:stop], top_score[start:stop] = _best(scores, queries[start:stop], gallery, k)
    return top, top_score


def dots(
    queries: np.ndarray, gallery: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Scores of single pairs in float64, each summed alike whatever else is asked for.

    Parameters
    ----------
    queries : (n, d) float32
    gallery : (m, d) float32
    rows, columns : (p,) integers, the pairs

    Returns
    -------
    (p,) float64
    """
    scores = np.empty(len(rows), dtype=np.float64)
    step = max(1, 2**18 // queries.shape[1])  # 2 MB of float64 at a time stays in the cache
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        left = queries[rows[part]].astype(np.float64)
        left *= gallery[columns[part]]
        scores[part] = left.sum(axis=1)
    return scores


def _empty_lists(queries: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.empty((queries, k), dtype=np.int64), np.empty((queries, k), dtype=np.float32)


def _blocks(
    queries: np.ndarray, gallery: np.ndarray, block_mb: float
) -> Iterator[tuple[int, np.ndarray]]:
    """First query and (b, m) float32 scores of each block; one buffer serves them all."""
    step = max(1, int(block_mb * 2**20) // (BYTES_PER_SCORE * len(gallery)))
    buffer = np.empty((min(step, len(queries)), len(gallery)), dtype=np.float32)
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        yield start, np.matmul(block, gallery.T, out=buffer[: len(block)])


def _count_ahead(
    scores: np.ndarray, own: float, query: np.ndarray, gallery: np.ndarray
) -> tuple[int, int]:
    """How many of one query's (m,) scores reach own - TIE, and how many are within TIE of own."""
    high, low = np.float32(own + TIE + DOUBT), np.float32(own - TIE - DOUBT)
    certain = np.count_nonzero(scores > high)
    if np.count_nonzero(scores >= low) == certain:
        return certain, 0
    doubtful = np.flatnonzero((scores >= low) & (scores <= high))
    exact = dots(query[None], gallery, np.zeros_like(doubtful), doubtful)
    reached = np.count_nonzero(exact >= own - TIE)
    beyond = np.count_nonzero(exact > own + TIE)
    return certain + reached, reached - beyond


def _best(
    scores: np.ndarray, queries: np.ndarray, gallery: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best columns of (b, m) scores, and their exact scores rounded to float32."""
    bound = _bound_of_kth(scores, k) - np.float32(2 * DOUBT)
    rows, columns = np.nonzero(scores >= bound[:, None])
    exact = dots(queries, gallery, rows, columns).astype(np.float32)
    order = np.lexsort((columns, -exact, rows))
    first = np.searchsorted(rows, np.arange(len(scores)))
    chosen = order[first[:, None] + np.arange(k)]
    return columns[chosen], exact[chosen]


def _bound_of_kth(scores: np.ndarray, k: int) -> np.ndarray:
    """For each row, a value that at least k scores reach, close below the k-th best.

    The k-th best of the maxima of disjoint groups is such a value, and it costs one pass over the
    scores where selecting among all of them costs many.
    """
    groups = min(scores.shape[1], max(16 * k, scores.shape[1] // 64))
    depth = scores.shape[1] // groups
    maxima = scores[:, : groups * depth].reshape(len(scores), depth, groups).max(axis=1)
    return np.partition(maxima, groups - k, axis=1)[:, groups - k]
