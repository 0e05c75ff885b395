"""Every measure of retrieval: what it makes of ranks, and how its numbers are read.

To add one is an entry of ``MEASURES``, and its words in ``scripts/words/measures.<language>.yaml``.
All that reports measures reads this table.

A rank counts from 1, over wrong items: one plus the wrong items that score at least as high as the
right answer. Ties count against the model, and other right answers do not count. A query with R
right answers has R ranks; sorted, the j-th of them stands at place r_j + j - 1 of the full list,
so every measure below follows from ranks and none needs the score matrix.

"Recall@K" is what papers on image-text retrieval report under that name: the share of queries with
at least one right answer in the top K. Elsewhere that is called hit rate or success@K; the recall
of information retrieval would divide by the number of right answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scripts.protocol import DEPTHS


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes
    ----------
    of_query : its value for each query, (q,) float64, from the best ranks (q,) of queries; where
        ``of_all``, from ``ranks`` and ``starts`` of all right answers as ``best_ranks`` takes them;
        and, where there is a ``depth``, from that as well. None for a sum of others
    source : where it is defined
    depth : places that it looks at; None where it looks at all of them
    better : "higher" or "lower"
    unit : what its numbers count: "share" (fractions, printed in percent), "rank", or nothing
    of_all : whether it takes all right answers of a query, and not its best one alone
    median : whether it is the median over queries, and not the mean
    sum_of : the measures that it adds up, over both directions
    in_metrics : whether it stands in each run's metrics, and in the tables made of them
    printed : whether the tables in Markdown and LaTeX have room for it
    """

    of_query: Callable[..., np.ndarray] | None
    source: str
    depth: int | None = None
    better: str = "higher"
    unit: str = ""
    of_all: bool = False
    median: bool = False
    sum_of: tuple[str, ...] = ()
    in_metrics: bool = True
    printed: bool = True


def hits(ranks: np.ndarray, depth: int) -> np.ndarray:
    """(q,) 1.0 where a right answer is in the top ``depth``; its mean is "Recall@K"."""
    return (ranks <= depth).astype(np.float64)


def mean_hits(ranks: np.ndarray) -> np.ndarray:
    """(q,) mean of the hits at 1, 5 and 10, whose mean over queries is the "mean recall"."""
    return np.mean([hits(ranks, depth) for depth in DEPTHS], axis=0)


def as_they_are(ranks: np.ndarray) -> np.ndarray:
    """(q,) the ranks themselves."""
    return ranks.astype(np.float64)


def reciprocal(ranks: np.ndarray) -> np.ndarray:
    """(q,) one over the rank."""
    return 1.0 / ranks


def headline(ranks: np.ndarray) -> np.ndarray:
    """(q, len(HEADLINE)) hits at each depth, and their mean, of each query's best rank."""
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
    """(q,) share of right answers among the top R, R being the query's number of right answers."""
    counts = np.diff(starts)
    inside = places(ranks, starts) <= np.repeat(counts, counts)
    return np.add.reduceat(inside.astype(np.float64), starts[:-1]) / counts


def map_at_r(ranks: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(q,) mean over the top R places of the precision there, counted where the item is right."""
    counts = np.diff(starts)
    at = places(ranks, starts)
    found = np.arange(1, len(ranks) + 1) - np.repeat(starts[:-1], counts)
    precision = np.where(at <= np.repeat(counts, counts), found / at, 0.0)
    return np.add.reduceat(precision, starts[:-1]) / counts


def ndcg(ranks: np.ndarray, starts: np.ndarray, depth: int) -> np.ndarray:
    """(q,) discounted gain of the top ``depth``, right answers gaining one, over the best possible.

    The discount is 1 / log2(place + 1).
    """
    counts = np.diff(starts)
    at = places(ranks, starts)
    gains = np.where(at <= depth, 1 / np.log2(at + 1.0), 0.0)
    ideal = np.cumsum(1 / np.log2(np.arange(2.0, depth + 2)))
    return np.add.reduceat(gains, starts[:-1]) / ideal[np.minimum(counts, depth) - 1]


RECALLS = tuple(f"recall@{depth}" for depth in DEPTHS)
HITS = (
    'Hodosh, Young and Hockenmaier (2013), "Framing image description as a ranking task", JAIR 47'
)
# in the order in which tables have them
MEASURES = {
    **{
        name: Measure(hits, source=HITS, depth=depth, unit="share")
        for name, depth in zip(RECALLS, DEPTHS, strict=True)
    },
    "mean": Measure(
        mean_hits,
        source="rsum of one direction, over the number of its depths",
        unit="share",
        in_metrics=False,  # but in comparisons, where one number has to decide
    ),
    "median_rank": Measure(as_they_are, source=HITS, better="lower", unit="rank", median=True),
    "mean_rank": Measure(
        as_they_are,
        source="the mean of what the median rank is the median of",
        better="lower",
        unit="rank",
        printed=False,
    ),
    "mrr": Measure(
        reciprocal, source='Voorhees (1999), "The TREC-8 question answering track report"'
    ),
    "r_precision": Measure(
        r_precision,
        source='Buckley and Voorhees (2005), "Retrieval system evaluation", in TREC, MIT Press',
        unit="share",
        of_all=True,
    ),
    "map@r": Measure(
        map_at_r,
        source='Musgrave, Belongie and Lim (2020), "A metric learning reality check", ECCV, '
        "section 3.2",
        unit="share",
        of_all=True,
    ),
    "ndcg@10": Measure(
        ndcg,
        source='Järvelin and Kekäläinen (2002), "Cumulated gain-based evaluation of IR '
        'techniques", ACM TOIS 20',
        depth=10,
        of_all=True,
    ),
    "rsum": Measure(
        None,
        source='Faghri et al. (2018), "VSE++", BMVC',
        unit="share",
        sum_of=RECALLS,
    ),
}

# what runs are compared by
HEADLINE = (*RECALLS, "mean")
# by how values of queries become one number
SUMS = tuple(name for name, one in MEASURES.items() if one.sum_of)
MEDIANS = tuple(name for name, one in MEASURES.items() if one.median)
MEANS = tuple(name for name in MEASURES if name not in (*SUMS, *MEDIANS))
# what stands in metrics.json and in the tables made of it
METRICS = tuple(name for name, one in MEASURES.items() if one.in_metrics)


def per_query(ranks: np.ndarray, starts: np.ndarray) -> dict[str, np.ndarray]:
    """Every measure but sums as (q,) float64, one value for each query.

    Parameters
    ----------
    ranks : (r,) integers from 1, right answers of the first query first
    starts : (q + 1,) where each query's answers begin, and r; each query has one at least
    """
    best = best_ranks(ranks, starts)
    found = {}
    for name, one in MEASURES.items():
        if one.of_query is not None:
            answers = (ranks, starts) if one.of_all else (best,)
            depth = () if one.depth is None else (one.depth,)
            found[name] = one.of_query(*answers, *depth)
    return found
