"""Which items score at least as high as a bar, exactly, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scripts.protocol import TIE, reaches
from scripts.retrieve.ranking import DOUBT, dots

# four bytes for a score, four for its copy, the rest for comparisons
BYTES_PER_SCORE = 12


def ahead_of(
    queries: np.ndarray,
    gallery: np.ndarray,
    bars: np.ndarray,
    query_of_bar: np.ndarray,
    block_mb: float = 64,
) -> Iterator[tuple[int, np.ndarray]]:
    """For blocks of bars: the first bar, and (b, m) whether an item reaches each bar - ``TIE``.

    So ranks count, too (``ranking.rank``): ties count against the model, and what float32 leaves in
    doubt is computed again in float64.

    Parameters
    ----------
    queries : (n, d) float32
    gallery : (m, d) float32
    bars : (p,) float64, scores as ``ranking.dots`` gives them
    query_of_bar : (p,) non-decreasing, the query whose scores are held against each bar
    block_mb : memory for scores in MB (2**20 bytes), but never less than one bar's scores
    """
    step = max(1, int(block_mb * 2**20) // (BYTES_PER_SCORE * len(gallery)))
    for start in range(0, len(bars), step):
        bar, query = bars[start : start + step], query_of_bar[start : start + step]
        scores = (queries[query[0] : query[-1] + 1] @ gallery.T)[query - query[0]]
        ahead = scores > (bar - TIE + DOUBT).astype(np.float32)[:, None]
        doubtful = (scores >= (bar - TIE - DOUBT).astype(np.float32)[:, None]) & ~ahead
        rows, columns = np.nonzero(doubtful)
        ahead[rows, columns] = reaches(dots(queries, gallery, query[rows], columns), bar[rows])
        yield start, ahead


def ranks_of_one(queries: np.ndarray, gallery: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(q,) int64 ranks, from 1, of the one right item ``right`` (q,) of each query."""
    own = dots(queries, gallery, np.arange(len(queries)), right)
    blocks = ahead_of(queries, gallery, own, np.arange(len(queries)))
    # the right item is level with itself, so that counting it gives the one that ranks start from
    return np.concatenate([np.count_nonzero(ahead, axis=1) for _, ahead in blocks])
