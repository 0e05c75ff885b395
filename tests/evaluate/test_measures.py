"""Measures from ranks, against toys counted by eye, torchmetrics, scikit-learn and plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.evaluate.measures import best_ranks, mean_hits, per_query, places

# three queries with right answers at places 1; 2 and 3; 1, 4 and 12 of their lists
RANKS = np.array([1, 2, 2, 10, 1, 3])
STARTS = np.array([0, 1, 3, 6])


def test_a_toy_has_the_values_that_a_reader_counts():
    found = per_query(RANKS, STARTS)
    assert found["recall@1"].tolist() == [1, 0, 1]
    assert found["recall@5"].tolist() == [1, 1, 1]
    assert found["mean_rank"].tolist() == [1, 2, 1]
    assert found["mrr"].tolist() == [1, 1 / 2, 1]
    # top 1 of 1; place 2 of the top 2; place 1 of the top 3
    assert found["r_precision"].tolist() == [1, 1 / 2, 1 / 3]
    # half of the top 2 is right at place 2; all of the top 1 at place 1
    assert found["map@r"] == pytest.approx([1, (1 / 2) / 2, 1 / 3])
    gain = {place: 1 / np.log2(place + 1) for place in range(1, 13)}
    assert found["ndcg@10"] == pytest.approx(
        [
            1,
            (gain[2] + gain[3]) / (gain[1] + gain[2]),
            (gain[1] + gain[4]) / sum(list(gain.values())[:3]),
        ]
    )


def test_places_count_the_right_answers_before():
    assert places(RANKS, STARTS).tolist() == [1, 2, 3, 1, 4, 12]
    assert best_ranks(RANKS, STARTS).tolist() == [1, 2, 1]


def test_the_mean_recall_is_the_mean_of_three():
    assert mean_hits(np.array([1, 3, 10, 11])) == pytest.approx([1, 2 / 3, 1 / 3, 0])


def collection(seed: int, queries: int, gallery: int, levels: int):
    """Scores in steps, so that many tie, and one right answer or more for each query."""
    lot = np.random.default_rng(seed)
    scores = lot.integers(0, levels, (queries, gallery)) / levels + 0.5
    right = lot.random((queries, gallery)) < 0.15
    right[np.arange(queries), lot.integers(0, gallery, queries)] = True
    return scores, right


def ranked(scores: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks as rankings.npz has them, by counting: ties ahead, other right answers not."""
    ranks = [
        1 + int((scores[q][~right[q]] >= scores[q, item]).sum())
        for q in range(len(scores))
        for item in np.flatnonzero(right[q])
    ]
    return np.array(ranks), np.concatenate([[0], np.cumsum(right.sum(axis=1))])


def worst_order(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Items best first, wrong ones first where scores tie."""
    return np.lexsort((right, -scores))


@pytest.mark.parametrize("levels", [4, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_every_measure_equals_a_loop_over_the_sorted_list(seed, levels):
    scores, right = collection(seed, 30, 40, levels)
    found = per_query(*ranked(scores, right))
    for query in range(len(scores)):
        listed = right[query][worst_order(scores[query], right[query])]
        total = int(listed.sum())
        at = np.flatnonzero(listed) + 1
        for depth in (1, 5, 10):
            assert found[f"recall@{depth}"][query] == listed[:depth].any()
        assert found["mean_rank"][query] == at[0]
        assert found["r_precision"][query] == pytest.approx(listed[:total].sum() / total)
        precision = [listed[: i + 1].mean() if listed[i] else 0 for i in range(total)]
        assert found["map@r"][query] == pytest.approx(sum(precision) / total)
        dcg = sum(1 / np.log2(place + 1) for place in at if place <= 10)
        ideal = sum(1 / np.log2(place + 1) for place in range(1, min(total, 10) + 1))
        assert found["ndcg@10"][query] == pytest.approx(dcg / ideal)


@pytest.mark.parametrize("seed", range(3))
def test_measures_equal_torchmetrics_where_nothing_ties(seed):
    torch = pytest.importorskip("torch")
    from torchmetrics.functional import retrieval

    scores, right = collection(seed, 20, 50, 10**9)
    found = per_query(*ranked(scores, right))
    pairs = [(torch.from_numpy(s), torch.from_numpy(r)) for s, r in zip(scores, right, strict=True)]
    for name, oracle in {
        "r_precision": retrieval.retrieval_r_precision,
        "mrr": retrieval.retrieval_reciprocal_rank,
        "ndcg@10": lambda s, r: retrieval.retrieval_normalized_dcg(s, r, top_k=10),
        "recall@5": lambda s, r: retrieval.retrieval_hit_rate(s, r, top_k=5),
        # the mean of precisions over the top R, where divided by R
        "map@r": lambda s, r: (
            retrieval.retrieval_average_precision(s, r, top_k=int(r.sum()))
            * r[s.argsort(descending=True)[: int(r.sum())]].sum()
            / r.sum()
        ),
    }.items():
        assert found[name] == pytest.approx([float(oracle(*pair)) for pair in pairs]), name


def test_ndcg_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    scores, right = collection(1, 25, 30, 10**9)
    found = per_query(*ranked(scores, right))["ndcg@10"]
    assert found.mean() == pytest.approx(metrics.ndcg_score(right, scores, k=10))
