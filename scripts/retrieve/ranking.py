"""Exact ranks and top-K lists, without ever holding the score matrix.

Scores come tile by tile, some queries against some of the gallery, as float32 from BLAS or a GPU.
Their last bits depend on the tile, the BLAS and the number of threads, so no decision rests on
them: the few scores that lie within ``DOUBT`` of a decision are computed again in float64, one by
one. Ranks and lists are therefore functions of the features alone. Counts add up and lists merge,
so a gallery may be ranked in parts, wherever each is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scripts.protocol import TIE, reaches
from scripts.retrieve.products import products_on

# Bound on the error of a float32 score of unit vectors. Up to 1,024 dimensions we measured 3e-7 for
# features as models give them and 9e-7 for features that all point one way.
DOUBT = 1e-6

# What a block holds for each of its scores: four bytes for the score, the rest for comparisons.
BYTES_PER_SCORE = 6

# products reach their full speed at this size, and larger tiles gain nothing
TILE_QUERIES, TILE_ITEMS = 1024, 8192
# scores that are compared at once, so that they stay in the cache
STRIP = 2**19

LOWEST = np.finfo(np.float32).min

# pairs that are looked at singly at a time, however many are in doubt
PAIRS = 2**17


@dataclass(frozen=True)
class Blocks:
    """How many scores are made at a time, and where; nothing of it shows in a result.

    Attributes
    ----------
    mb : memory for scores in MB (2**20 bytes), beside a few of single pairs
    device : where products are made, see ``products.products_on``
    """

    mb: float = 256
    device: str = "cpu"


BLOCKS = Blocks()


class Relevant(NamedTuple):
    """Right answers of n queries in a gallery of m, as scipy's CSR arrays name them.

    These do as well, but to import them takes as long as to rank a thousand queries.

    Attributes
    ----------
    indptr : (n + 1,) where each query's entries begin, and the last one's end
    indices : (r,) gallery rows, an entry for each right answer
    shape : (n, m)
    """

    indptr: np.ndarray
    indices: np.ndarray
    shape: tuple[int, int]


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


@dataclass(frozen=True)
class Part:
    """What some rows of a gallery add to a ranking; see ``merged``.

    Attributes
    ----------
    own : (r,) float64, scores of the entries of ``relevant``, which others are held against
    ahead : (r,) int64, items of these rows that push an entry of ``relevant`` down
    tied : (r,) int64, those of them that score within ``TIE`` of it
    top : (n, k) int64, rows of the whole gallery, best first; k is smaller where there are fewer
    top_score : (n, k) float32
    """

    own: np.ndarray
    ahead: np.ndarray
    tied: np.ndarray
    top: np.ndarray
    top_score: np.ndarray


def rank(
    queries: np.ndarray,
    gallery: np.ndarray,
    relevant: Relevant,
    k: int,
    blocks: Blocks = BLOCKS,
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
    blocks : of scores
    """
    whole = range(len(gallery))
    return merged([rank_part(queries, gallery, relevant, k, whole, blocks)], k)


def rank_part(
    queries: np.ndarray,
    gallery: np.ndarray,
    relevant: Relevant,
    k: int,
    rows: range,
    blocks: Blocks = BLOCKS,
) -> Part:
    """What some rows of the gallery, all of a range, add to the ranking.

    Of each right answer they count the items that are not relevant to the query and score at least
    its own score - ``TIE``, and merge the best of all items into each query's list.

    Parameters
    ----------
    queries, gallery, relevant, k, blocks : as in ``rank``; the whole gallery
    rows : of the gallery
    """
    starts, items = relevant.indptr, relevant.indices
    own = dots(queries, gallery, _queries_of(starts), items)
    ahead = np.zeros(len(items), dtype=np.int64)
    tied = np.zeros(len(items), dtype=np.int64)
    lists = _Lists(queries, gallery, min(k, len(rows)))
    for strip in _strips(queries, gallery[rows.start : rows.stop], rows.start, blocks):
        lists.take(strip)
        entries = slice(starts[strip.query], starts[strip.query + len(strip.scores)])
        of_query = _queries_of(starts[strip.query : strip.query + len(strip.scores) + 1])
        # right answers drop out of the count, so one answer does not push down another
        within = items[entries] - strip.item
        inside = (within >= 0) & (within < strip.width)
        strip.scores[of_query[inside], within[inside]] = -np.inf
        more, near = _count_ahead(strip, of_query, own[entries], queries, gallery)
        ahead[entries] += more
        tied[entries] += near
    return Part(own, ahead, tied, lists.rows, lists.scores)


def merged(parts: Sequence[Part], k: int) -> Ranking:
    """The ranking of a gallery whose rows are in ``parts``, each row in one; equal to ``rank``'s.

    Parameters
    ----------
    parts : what ``rank_part`` gave, in any order
    k : length of the lists; shorter where the gallery is smaller
    """
    top = np.concatenate([part.top for part in parts], axis=1)
    top_score = np.concatenate([part.top_score for part in parts], axis=1)
    order = np.lexsort((top, -top_score), axis=1)[:, :k]
    return Ranking(
        1 + np.sum([part.ahead for part in parts], axis=0),
        parts[0].own.astype(np.float32),
        np.sum([part.tied for part in parts], axis=0),
        np.take_along_axis(top, order, axis=1),
        np.take_along_axis(top_score, order, axis=1),
    )


def top_k(
    queries: np.ndarray, gallery: np.ndarray, k: int, blocks: Blocks = BLOCKS
) -> tuple[np.ndarray, np.ndarray]:
    """The k best gallery rows for each query, and their scores.

    Parameters
    ----------
    queries : (n, d) float32
    gallery : (m, d) float32
    k : length of the lists; shorter where the gallery is smaller
    blocks : of scores

    Returns
    -------
    (n, k) int64 rows and (n, k) float32 scores; best first, equal scores by row
    """
    lists = _Lists(queries, gallery, min(k, len(gallery)))
    for strip in _strips(queries, gallery, 0, blocks):
        lists.take(strip)
    return lists.rows, lists.scores


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


@dataclass(frozen=True)
class _Strip:
    """Scores of some queries from ``query`` on against ``width`` items from ``item`` on.

    ``scores`` is wider, by up to 63 columns of -inf, and ``masks`` are two of its shape for
    comparisons; both serve later strips, too.
    """

    query: int
    item: int
    width: int
    scores: np.ndarray
    masks: np.ndarray


def _strips(
    queries: np.ndarray, gallery: np.ndarray, first: int, blocks: Blocks
) -> Iterator[_Strip]:
    """Each query against each row of ``gallery``, whose rows are numbered from ``first`` on."""
    if not len(queries) or not len(gallery):
        return
    held = max(1, int(blocks.mb * 2**20) // BYTES_PER_SCORE)
    width = _even(len(gallery), min(TILE_ITEMS, held))
    height = _even(len(queries), min(TILE_QUERIES, max(1, held // width)))
    low = _even(height, max(1, STRIP // width))
    padded = -(-width // 64) * 64
    tile = np.full((height, padded), -np.inf, dtype=np.float32)
    masks = np.empty((2, low, padded), dtype=bool)
    products = products_on(blocks.device)
    for item in range(0, len(gallery), width):
        items = gallery[item : item + width]
        score = products(items)
        tile[:, len(items) :] = -np.inf
        for query in range(0, len(queries), height):
            block = queries[query : query + height]
            score(block, tile[: len(block), : len(items)])
            for row in range(0, len(block), low):
                scores = tile[row : min(row + low, len(block))]
                yield _Strip(query + row, first + item, len(items), scores, masks[:, : len(scores)])


def _even(length: int, most: int) -> int:
    """The size of pieces of a length, all alike but for the last, and none above ``most``."""
    return -(-length // -(-length // most))


def _queries_of(starts: np.ndarray) -> np.ndarray:
    """Query of each entry, counted from that of the first of ``starts``."""
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def _count_ahead(
    strip: _Strip, of_query: np.ndarray, own: np.ndarray, queries: np.ndarray, gallery: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each entry, how many of its query's scores reach own - TIE, and are within TIE of own.

    Parameters
    ----------
    strip : of scores of ``queries`` and ``gallery``
    of_query : (e,) row of the strip that each entry belongs to, ascending
    own : (e,) float64
    queries, gallery : as in ``rank``
    """
    high = (own + TIE + DOUBT).astype(np.float32)
    low = (own - TIE - DOUBT).astype(np.float32)
    ahead = np.zeros(len(own), dtype=np.int64)
    near = np.zeros(len(own), dtype=np.int64)
    first = np.searchsorted(of_query, of_query)
    turn = np.arange(len(own)) - first
    for number in range(turn.max(initial=-1) + 1):
        # the first entry of each query, then the second of those that have one, ...
        chosen = np.flatnonzero(turn == number)
        rows = of_query[chosen]
        scores = strip.scores if len(rows) == len(strip.scores) else strip.scores[rows]
        above, reaching = strip.masks[:, : len(rows)]
        np.greater(scores, high[chosen, None], out=above)
        np.greater_equal(scores, low[chosen, None], out=reaching)
        certain = above.view(np.uint64)
        ahead[chosen] += np.bitwise_count(certain).sum(axis=1, dtype=np.int64)
        doubtful = reaching.view(np.uint64)
        np.bitwise_xor(doubtful, certain, out=doubtful)
        for entry, item in _set_pairs(reaching):
            pair = chosen[entry]
            exact = dots(queries, gallery, strip.query + rows[entry], strip.item + item)
            reached = reaches(exact, own[pair])
            ahead += np.bincount(pair[reached], minlength=len(own))
            reached &= exact <= own[pair] + TIE
            near += np.bincount(pair[reached], minlength=len(own))
    return ahead, near


def _set_pairs(mask: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and columns at which a (b, w) mask is set, up to ``PAIRS`` at a time; w % 8 == 0."""
    # what is asked for is rare: eight columns are passed over at once
    words = np.flatnonzero(mask.view(np.uint64))
    for start in range(0, len(words), PAIRS // 8):
        some = words[start : start + PAIRS // 8]
        word, byte = np.nonzero(mask.reshape(-1, 8)[some])
        yield np.divmod(8 * some[word] + byte, mask.shape[1])


class _Lists:
    """The k best rows so far of each query, and their exact scores rounded to float32."""

    def __init__(self, queries: np.ndarray, gallery: np.ndarray, k: int) -> None:
        self.queries, self.gallery = queries, gallery
        # beyond any row, and below any score
        self.rows = np.full((len(queries), k), np.iinfo(np.int64).max)
        self.scores = np.full((len(queries), k), -np.inf, dtype=np.float32)

    def take(self, strip: _Strip) -> None:
        """Put in what belongs in, of a strip whose padding is -inf."""
        k = self.rows.shape[1]
        if not k:
            return
        of_strip = slice(strip.query, strip.query + len(strip.scores))
        bound = _bound_of_kth(strip.scores, self.scores[of_strip, -1], k) - np.float32(2 * DOUBT)
        candidates = strip.masks[0]
        # padding stays out also where nothing is bound yet
        np.greater_equal(strip.scores, np.maximum(bound, LOWEST)[:, None], out=candidates)
        for row, item in _set_pairs(candidates):
            query, item = strip.query + row, strip.item + item
            exact = dots(self.queries, self.gallery, query, item).astype(np.float32)
            self._put(query, item, exact)

    def _put(self, queries: np.ndarray, rows: np.ndarray, scores: np.ndarray) -> None:
        """Merge pairs, ascending by query, into the lists of their queries."""
        k = self.rows.shape[1]
        some, place = np.unique(queries, return_inverse=True)
        place = np.concatenate([np.repeat(np.arange(len(some)), k), place])
        rows = np.concatenate([self.rows[some].ravel(), rows])
        scores = np.concatenate([self.scores[some].ravel(), scores])
        order = np.lexsort((rows, -scores, place))
        first = np.searchsorted(place[order], np.arange(len(some)))
        best = order[first[:, None] + np.arange(k)]
        self.rows[some], self.scores[some] = rows[best], scores[best]


def _bound_of_kth(scores: np.ndarray, known: np.ndarray, k: int) -> np.ndarray:
    """For each row, a value that k scores reach, close below the k-th best; no less than ``known``.

    The k-th best of the maxima of disjoint groups is such a value, and it costs one pass over the
    scores where selecting among all of them costs many.
    """
    height, width = scores.shape
    groups = min(width, max(16 * k, 512))
    if groups < k:
        return known
    depth = width // groups
    maxima = scores[:, : groups * depth].reshape(height, depth, groups).max(axis=1)
    bound = known.copy()
    rising = np.flatnonzero(np.count_nonzero(maxima > bound[:, None], axis=1) >= k)
    bound[rising] = np.partition(maxima[rising], groups - k, axis=1)[:, groups - k]
    return bound
