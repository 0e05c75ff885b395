"""A second look at the first K of each list: what is looked at, and what order comes of it.

Each right answer competes as if it were the only one: of its query it has the first K - 1 wrong
items against it, and is looked at where its rank is K or less. So another right answer pushes none
down; with a perfect second look every right answer within K is first, and none ever falls behind K.
For a query with one right answer, this is the plain list of the first K.

A wrong item is ahead of a right answer where its score is higher, or the same (within ``TIE``) and
it was ahead before: equal scores keep the first order, in which ties count against the answer. The
score is the second one plus ``weight`` times the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from scripts.data.rows import Rows
from scripts.job import BadInput
from scripts.protocol import DEPTHS, DIRECTIONS, TIE
from scripts.retrieve.arrays import Arrays, made_anew, read_arrays, write_arrays
from scripts.retrieve.choose import best_options, hits_of
from scripts.retrieve.kinds import of_direction
from scripts.retrieve.ranking import Relevant, dots, rank
from scripts.retrieve.similarity import right_captions, right_images

# differences of scores at a time
AT_ONCE = 2**21
# the place of an item where a query has fewer wrong ones than others
NONE = -1


@dataclass(frozen=True)
class Looked:
    """One direction: the items that are looked at again, of q queries with r right answers in all.

    Right answers are in the order of ``right_images`` or ``right_captions``.

    Attributes
    ----------
    rank : (r,) int64 from 1, of each right answer under the first scorer
    tied : (r,) int64, wrong items that tie with it there
    first : (r,) float64, its first score
    second : (r,) float32, its second one, also where it lies beyond K
    wrong : (q, K) int64, the first K wrong items of each query, best first, or K - 1 and ``NONE``
        where a right answer has the place
    wrong_first : (q, K) float64, their first scores; -inf for ``NONE``
    wrong_second : (q, K) float32, their second ones; -inf for ``NONE``
    """

    rank: np.ndarray
    tied: np.ndarray
    first: np.ndarray
    second: np.ndarray
    wrong: np.ndarray
    wrong_first: np.ndarray
    wrong_second: np.ndarray


def relevant_of(rows: Rows, direction: str) -> Relevant:
    """Right answers of each query of a direction."""
    return right_images(rows) if direction == "text_to_image" else right_captions(rows)


def queries_of(relevant: Relevant) -> np.ndarray:
    """(r,) the query of each right answer."""
    return np.repeat(np.arange(relevant.shape[0]), np.diff(relevant.indptr))


def first_look(
    queries: np.ndarray,
    gallery: np.ndarray,
    relevant: Relevant,
    depth: int,
) -> Looked:
    """What the first scorer puts before the second look, whose scores are still 0.

    Parameters
    ----------
    queries : (q, d) float32, mapped
    gallery : (m, d) float32, mapped
    relevant : (q, m), an entry stored for each right answer
    depth : K
    """
    of_query, items = queries_of(relevant), relevant.indices.astype(np.int64)
    answers = np.diff(relevant.indptr)
    # so long that K wrong items are among them
    found = rank(queries, gallery, relevant, depth + int(answers.max()))
    rows, top = np.arange(len(queries))[:, None], found.top
    scores = dots(queries, gallery, np.repeat(rows, top.shape[1]), top.ravel()).reshape(top.shape)
    right = np.isin(rows * len(gallery) + top, of_query * len(gallery) + items)
    # wrong ones in front, each kind by its exact score
    order = np.lexsort((top, -scores, right), axis=1)[:, :depth]
    wrong, scores, right = (np.take_along_axis(one, order, axis=1) for one in (top, scores, right))
    looked_at = np.bincount(of_query[found.rank <= depth], minlength=len(queries))
    if wrong.shape[1] == depth:
        right[looked_at > 0, -1] = True
    return Looked(
        rank=found.rank,
        tied=found.tied,
        first=dots(queries, gallery, of_query, items),
        second=np.zeros(len(items), dtype=np.float32),
        wrong=np.where(right, NONE, wrong),
        wrong_first=np.where(right, -np.inf, scores),
        wrong_second=np.where(right, -np.inf, 0).astype(np.float32),
    )


def ranks_after(
    looked: Looked, relevant: Relevant, depth: int, weight: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rank of every right answer after the second look, and how many wrong items tie with it.

    Parameters
    ----------
    looked : at the first K or more
    relevant : right answers of each query
    depth : K, at most that of ``looked``
    weight : of the first score
    """
    ranks, tied = looked.rank.copy(), looked.tied.copy()
    of_query = queries_of(relevant)
    for some in _blocks(np.flatnonzero(ranks <= depth), looked.wrong.shape[1]):
        others = of_query[some], slice(depth - 1)
        first = looked.wrong_first[others] - looked.first[some, None]
        # what the first scorer ties is not parted by a large weight
        first[np.abs(first) <= TIE] = 0
        apart = looked.wrong_second[others].astype(np.float64) - looked.second[some, None]
        if weight:
            apart += weight * first
        same = np.abs(apart) <= TIE
        ranks[some] = 1 + np.count_nonzero((apart > TIE) | (same & (first >= 0)), axis=1)
        tied[some] = np.count_nonzero(same & (first == 0), axis=1)
    return ranks, tied


def lists_after(
    looked: Looked, relevant: Relevant, weight: float, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k first items of each query after the second look, and their scores.

    Parameters
    ----------
    looked : at the first K, no fewer than k, or at all items
    relevant : right answers of each query
    weight : of the first score
    k : length of the lists; shorter where the gallery is smaller

    Returns
    -------
    (q, k) int64 and (q, k) float32, best first; equal scores in the order that they had before
    """
    q, depth = looked.wrong.shape
    answers = np.diff(relevant.indptr)
    k = min(k, relevant.shape[1])
    # right answers beside the wrong items, in as many columns as a query has at most
    of_query = queries_of(relevant)
    column = np.arange(len(of_query)) - relevant.indptr[of_query]
    shape = (q, int(answers.max()))
    within = looked.rank <= depth
    items, first, second = np.full(shape, NONE), np.full(shape, -np.inf), np.full(shape, -np.inf)
    place = of_query[within], column[within]
    items[place] = relevant.indices[within]
    first[place], second[place] = looked.first[within], looked.second[within]
    top, scores = np.empty((q, k), dtype=np.int64), np.empty((q, k), dtype=np.float32)
    for some in _blocks(np.arange(q), depth + shape[1]):
        rows = np.concatenate([looked.wrong[some], items[some]], axis=1)
        before = np.concatenate([looked.wrong_first[some], first[some]], axis=1)
        after = np.concatenate([looked.wrong_second[some], second[some]], axis=1, dtype=np.float64)
        if weight:
            after += weight * before
        # a wrong item in front of a right one of equal scores, as in ranks
        right = np.broadcast_to(np.arange(rows.shape[1]) >= depth, rows.shape)
        order = np.lexsort((rows, right, -before, -after), axis=1)[:, :k]
        top[some] = np.take_along_axis(rows, order, axis=1)
        scores[some] = np.take_along_axis(after, order, axis=1)
    return top, scores


def rankings_after(
    looked: dict[str, Looked], rows: Rows, weights: np.ndarray, depth: int, k: int
) -> Arrays:
    """Ranks and lists of both directions, under the names that they have in rankings.npz.

    Scores in them are those after the second look; of a caption's own image also where that lies
    beyond K, and so its rank is the first scorer's.

    Parameters
    ----------
    looked : by direction
    rows : which captions belong to which image
    weights : (2,) of the first score, by direction
    depth : K
    k : length of the lists
    """
    arrays: Arrays = {"rows": np.array(rows.digest)}
    for way in DIRECTIONS:
        relevant, own = relevant_of(rows, way), looked[way]
        weight = float(of_direction(weights, way))
        ranks, tied = ranks_after(own, relevant, depth, weight)
        top, scores = lists_after(own, relevant, weight, k)
        arrays |= {f"{way}_rank": ranks, f"{way}_tied": tied}
        arrays |= {f"{way}_top": top, f"{way}_top_score": scores}
        if way == "text_to_image":
            arrays[f"{way}_score"] = (own.second + weight * own.first).astype(np.float32)
    return arrays


def choose_weights(
    looked: dict[str, Looked], rows: Rows, weights: list[float], depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """The weight of the first score that does best on val, by direction; of equals, the smallest.

    Parameters
    ----------
    looked : val, by direction
    rows : of val
    weights : to choose from
    depth : K

    Returns
    -------
    (2,) float64 weights and (2,) float64 mean of Recall@1, @5 and @10, by direction
    """
    options = sorted(weights)
    recalls: dict[str, list[float]] = {}
    for way in DIRECTIONS:
        relevant = relevant_of(rows, way)
        found = []
        for weight in options:
            ranks, _ = ranks_after(looked[way], relevant, depth, weight)
            best = np.minimum.reduceat(ranks, relevant.indptr[:-1])
            found.append(hits_of(best) / (len(best) * len(DEPTHS)))
        recalls[way] = found
    best_places, val_recall = best_options(recalls)
    return np.array([float(options[place]) for place in best_places]), val_recall


def write_looked(path: str | Path, looked: dict[str, Looked], rows: Rows) -> None:
    """Write what was looked at in both directions; equal arrays give equal bytes."""
    arrays = {
        f"{way}_{field.name}": getattr(looked[way], field.name)
        for way in DIRECTIONS
        for field in fields(Looked)
    }
    write_arrays(path, {"rows": np.array(rows.digest), **arrays})


def read_looked(path: str | Path, rows: Rows) -> dict[str, Looked]:
    """What ``write_looked`` wrote; ``BadInput`` where it is damaged or of other rows."""
    arrays = read_arrays(path, "scores of pairs")
    names = [f"{way}_{field.name}" for way in DIRECTIONS for field in fields(Looked)]
    if missing := {"rows", *names} - set(arrays):
        raise BadInput(path, f"no array {min(missing)}", "scores of pairs", made_anew(path))
    if str(arrays["rows"]) != rows.digest:
        found = "scores of another list of images and captions"
        raise BadInput(path, found, "this dataset's", made_anew(path))
    return {
        way: Looked(*(arrays[f"{way}_{field.name}"] for field in fields(Looked)))
        for way in DIRECTIONS
    }


def _blocks(rows: np.ndarray, width: int) -> Iterator[np.ndarray]:
    step = max(1, AT_ONCE // width)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
