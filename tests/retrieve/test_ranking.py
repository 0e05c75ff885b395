"""Ranks and top-K lists against loops over the whole score matrix, and against other libraries."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from scripts.protocol import TIE
from scripts.retrieve import ranking
from scripts.retrieve.ranking import Blocks, dots, merged, rank, rank_part, top_k


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_unit(rng: np.random.Generator, n: int, d: int = 16) -> np.ndarray:
    return unit(rng.normal(size=(n, d)))


def relevance(answers: list[list[int]], gallery: int) -> sparse.csr_array:
    """Right answers of each query, stored in the order given."""
    items = np.array([item for some in answers for item in some], dtype=np.int64)
    starts = np.cumsum([0, *(len(some) for some in answers)])
    return sparse.csr_array(
        (np.ones(len(items), dtype=bool), items, starts), shape=(len(answers), gallery)
    )


def random_relevance(
    rng: np.random.Generator, queries: int, gallery: int, most: int
) -> list[list[int]]:
    """From one to ``most`` right answers per query."""
    return [
        rng.choice(gallery, size=rng.integers(1, most + 1), replace=False).tolist()
        for _ in range(queries)
    ]


def brute_force_ranks(queries, gallery, answers: list[list[int]]) -> list[int]:
    """The definition, item by item, in float64."""
    ranks = []
    for query, right in zip(queries.astype(float), answers, strict=True):
        scores = [float(np.sum(query * item)) for item in gallery.astype(float)]
        for answer in right:
            ahead = 0
            for item, score in enumerate(scores):
                if item not in right and score >= scores[answer] - TIE:
                    ahead += 1
            ranks.append(1 + ahead)
    return ranks


def brute_force_tied(queries, gallery, answers: list[list[int]]) -> list[int]:
    """Wrong items within the tolerance of each right answer, item by item, in float64."""
    tied = []
    for query, right in zip(queries.astype(float), answers, strict=True):
        scores = [float(np.sum(query * item)) for item in gallery.astype(float)]
        for answer in right:
            near = [abs(score - scores[answer]) <= TIE for score in scores]
            tied.append(sum(near[item] for item in range(len(scores)) if item not in right))
    return tied


def brute_force_top(queries, gallery, k: int) -> list[list[int]]:
    """A full sort by score descending, equal scores by row."""
    lists = []
    for query in queries.astype(float):
        scores = [np.float32(np.sum(query * item)) for item in gallery.astype(float)]
        lists.append(sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k])
    return lists


def gallery_with_ties(rng: np.random.Generator) -> np.ndarray:
    """Sixty rows: twenty different ones, each of them once, twice or up to seven times."""
    rows = random_unit(rng, 20)
    return rows[np.concatenate([np.arange(20), rng.integers(0, 20, 20), rng.integers(0, 4, 20)])]


# one dimension of scores that a reader can check: items score 1.0, 0.8, 0.8, 0.6, 0.0
TOY_QUERY = np.array([[1.0, 0.0]], dtype=np.float32)
TOY_GALLERY = np.array([[0.0, 1.0], [0.8, 0.6], [1.0, 0.0], [0.8, 0.6], [0.6, 0.8]], np.float32)


@pytest.mark.parametrize(
    ("right", "ranks", "tied"),
    [
        ([2], [1], [0]),  # alone at the top
        ([1], [3], [1]),  # behind row 2, and tied with row 3, which counts against it
        ([4], [4], [0]),
        ([0], [5], [0]),
        ([2, 4], [1, 3], [0, 0]),  # row 2 is right too, and does not push row 4 down
        ([1, 3], [2, 2], [0, 0]),  # tied with each other, both right, behind row 2 only
    ],
)
def test_a_toy_has_the_ranks_and_ties_that_a_reader_counts(right, ranks, tied):
    found = rank(TOY_QUERY, TOY_GALLERY, relevance([right], 5), k=3)
    assert found.rank.tolist() == ranks
    assert found.tied.tolist() == tied
    assert found.top.tolist() == [[2, 1, 3]]
    assert np.allclose(found.top_score, [[1.0, 0.8, 0.8]])
    assert np.allclose(found.score, (TOY_GALLERY @ TOY_QUERY[0])[right])


@pytest.mark.parametrize(
    ("behind", "rank_of_it", "tied"),
    [(0.0, 2, 1), (5e-7, 2, 1), (-5e-7, 2, 1), (3e-6, 1, 0), (-3e-6, 2, 0)],
)
def test_a_millionth_is_a_tie_and_three_are_none(behind, rank_of_it, tied):
    # the other item scores 0.5 - behind, the right one 0.5
    gallery = np.array([[0.5, 0.0], [0.5 - behind, 0.0]], dtype=np.float32)
    found = rank(TOY_QUERY, gallery, relevance([[0]], 2), k=1)
    assert found.rank.tolist() == [rank_of_it]
    assert found.tied.tolist() == [tied]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("most", [1, 6])
def test_ranks_and_lists_equal_a_loop_over_the_whole_matrix(seed, most):
    rng = np.random.default_rng(seed)
    queries, gallery = random_unit(rng, 30), random_unit(rng, 47)
    answers = random_relevance(rng, 30, 47, most)
    found = rank(queries, gallery, relevance(answers, 47), k=10)
    assert found.rank.tolist() == brute_force_ranks(queries, gallery, answers)
    assert found.tied.tolist() == brute_force_tied(queries, gallery, answers)
    assert found.top.tolist() == brute_force_top(queries, gallery, 10)


@pytest.mark.parametrize("seed", range(5))
def test_ties_and_duplicates_equal_a_loop_over_the_whole_matrix(seed):
    rng = np.random.default_rng(seed)
    gallery = gallery_with_ties(rng)
    queries = np.concatenate([gallery[:10], random_unit(rng, 20)])
    answers = random_relevance(rng, 30, 60, 6)
    found = rank(queries, gallery, relevance(answers, 60), k=12)
    assert found.rank.tolist() == brute_force_ranks(queries, gallery, answers)
    assert found.tied.tolist() == brute_force_tied(queries, gallery, answers)
    assert found.top.tolist() == brute_force_top(queries, gallery, 12)


@pytest.mark.parametrize("seed", range(3))
def test_near_ties_on_both_sides_of_the_tolerance_equal_a_loop(seed):
    rng = np.random.default_rng(seed)
    # gaps of a few 1e-7 to 1e-5: float32 scores alone would decide these by their rounding
    base = random_unit(rng, 1, d=512)
    gallery = unit(
        base + rng.choice([1e-8, 1e-7, 1e-6], size=(300, 1)) * rng.normal(size=(300, 512))
    )
    queries = unit(base + 0.05 * rng.normal(size=(40, 512)))
    answers = random_relevance(rng, 40, 300, 3)
    found = rank(queries, gallery, relevance(answers, 300), k=10)
    assert found.rank.tolist() == brute_force_ranks(queries, gallery, answers)
    assert found.tied.tolist() == brute_force_tied(queries, gallery, answers)
    assert found.top.tolist() == brute_force_top(queries, gallery, 10)


@pytest.mark.parametrize("rows_per_block", [1, 3, 7, 40, 1000])
@pytest.mark.parametrize("d", [16, 512])
def test_results_do_not_depend_on_the_block_size(rows_per_block, d):
    rng = np.random.default_rng(0)
    gallery = np.concatenate([random_unit(rng, 150, d), random_unit(rng, 10, d).repeat(5, axis=0)])
    queries = np.concatenate([gallery[140:170], random_unit(rng, 10, d)])
    relevant = relevance(random_relevance(rng, 40, 200, 5), 200)
    whole = rank(queries, gallery, relevant, k=10)
    parts = rank(queries, gallery, relevant, k=10, blocks=Blocks(rows_per_block * 6 * 200 / 2**20))
    for name in ("rank", "score", "tied", "top", "top_score"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name)), name


RANK_IN_ANOTHER_PROCESS = """
import hashlib, numpy as np
from scipy import sparse
from scripts.retrieve.ranking import Blocks, rank
rng = np.random.default_rng(0)
near = rng.normal(size=512) + 1e-6 * rng.normal(size=(700, 512))
queries, gallery = rng.normal(size=(200, 512)), np.concatenate([near, near[:50], -near[:50]])
queries, gallery = (
    (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for x in (queries, gallery)
)
right = sparse.csr_array((np.ones(200), np.arange(200), np.arange(201)), shape=(200, 800))
found = rank(queries, gallery, right, k=10, blocks=Blocks(0.5))
print(hashlib.sha256(b"".join(vars(found)[name].tobytes() for name in vars(found))).hexdigest())
print(hashlib.sha256((queries @ gallery.T).tobytes()).hexdigest())
"""


def test_results_depend_neither_on_the_number_of_threads_nor_on_the_kernels_of_the_blas():
    def digests(**environment: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", RANK_IN_ANOTHER_PROCESS],
            cwd=Path(__file__).parents[2],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    settings = [
        {"OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "2"},
        {"OPENBLAS_CORETYPE": "Prescott"},
    ]
    found = [digests(**setting) for setting in settings]
    assert len({results for results, _ in found}) == 1
    if len({scores for _, scores in found}) == 1:
        pytest.skip("this BLAS knows no other kernels, so there was nothing to differ")


@pytest.mark.parametrize("depth", [1, 5, 10])
def test_recall_from_ranks_equals_torchmetrics_hit_rate(depth, retrieval):
    torch = pytest.importorskip("torch")

    rng = np.random.default_rng(depth)
    queries, gallery = random_unit(rng, 40), random_unit(rng, 60)
    answers = random_relevance(rng, 40, 60, 5)
    relevant = relevance(answers, 60)
    found = rank(queries, gallery, relevant, k=10)
    best = np.minimum.reduceat(found.rank, relevant.indptr[:-1])
    # above zero: torchmetrics counts no item with a negative score as found
    scores = torch.from_numpy(queries @ gallery.T) + 2
    right = torch.from_numpy(relevant.toarray())
    for query in range(40):
        hit = retrieval.retrieval_hit_rate(scores[query], right[query], top_k=depth)
        assert (best[query] <= depth) == bool(hit)
        reciprocal = retrieval.retrieval_reciprocal_rank(scores[query], right[query])
        assert 1 / best[query] == pytest.approx(float(reciprocal), rel=1e-6)


@pytest.mark.parametrize("depth", [1, 5, 10])
def test_one_right_answer_equals_scikit_learn_top_k_accuracy(depth):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(depth)
    queries, gallery = random_unit(rng, 80), random_unit(rng, 25)
    right = rng.integers(0, 25, 80)
    found = rank(queries, gallery, relevance([[item] for item in right], 25), k=10)
    accuracy = metrics.top_k_accuracy_score(
        right, queries @ gallery.T, k=depth, labels=np.arange(25)
    )
    assert np.mean(found.rank <= depth) == pytest.approx(accuracy)


def test_ranks_equal_scikit_learn_coverage_error():
    """Coverage: how far down a list one goes to have seen every right answer."""
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    queries, gallery = random_unit(rng, 50), random_unit(rng, 30)
    answers = random_relevance(rng, 50, 30, 5)
    relevant = relevance(answers, 30)
    found = rank(queries, gallery, relevant, k=5)
    # the last right answer stands behind its rank - 1 wrong ones and all right ones
    last = np.maximum.reduceat(found.rank, relevant.indptr[:-1]) - 1 + np.diff(relevant.indptr)
    coverage = metrics.coverage_error(relevant.toarray(), queries @ gallery.T)
    assert np.mean(last) == pytest.approx(coverage)


def test_scores_are_those_of_the_right_answers():
    rng = np.random.default_rng(0)
    queries, gallery = random_unit(rng, 10), random_unit(rng, 12)
    answers = random_relevance(rng, 10, 12, 4)
    found = rank(queries, gallery, relevance(answers, 12), k=3)
    full = queries @ gallery.T
    expected = [full[query, item] for query, some in enumerate(answers) for item in some]
    assert np.allclose(found.score, expected, atol=1e-6)
    assert found.score.dtype == found.top_score.dtype == np.float32
    assert found.rank.dtype == found.tied.dtype == found.top.dtype == np.int64


def test_a_model_that_scores_everything_alike_earns_no_recall():
    same = np.tile(random_unit(np.random.default_rng(0), 1, 512), (50, 1))
    found = rank(same, same, relevance([[item] for item in range(50)], 50), k=10)
    assert (found.rank == 50).all()
    assert found.top.tolist() == [list(range(10))] * 50


def test_a_copy_of_the_right_answer_never_improves_its_rank():
    rng = np.random.default_rng(0)
    queries, gallery = random_unit(rng, 40), random_unit(rng, 30)
    right = rng.integers(0, 30, 40)
    before = rank(queries, gallery, relevance([[item] for item in right], 30), k=5)
    for query in range(40):
        longer = np.concatenate([gallery, gallery[right[query : query + 1]]])
        after = rank(queries[query : query + 1], longer, relevance([[right[query]]], 31), k=5)
        assert after.rank[0] == before.rank[query] + 1


def test_adding_a_right_answer_never_worsens_the_rank_of_another():
    rng = np.random.default_rng(1)
    queries, gallery = random_unit(rng, 40), random_unit(rng, 30)
    pairs = [rng.choice(30, 2, replace=False).tolist() for _ in range(40)]
    alone = rank(queries, gallery, relevance([pair[:1] for pair in pairs], 30), k=5)
    both = rank(queries, gallery, relevance(pairs, 30), k=5)
    assert (both.rank[::2] <= alone.rank).all()


def test_a_query_without_a_right_answer_has_a_list_and_no_rank():
    found = rank(np.repeat(TOY_QUERY, 3, axis=0), TOY_GALLERY, relevance([[2], [], [4]], 5), k=2)
    assert found.rank.tolist() == [1, 4]
    assert found.top.tolist() == [[2, 1]] * 3


@pytest.mark.parametrize("gallery", [1, 4])
def test_a_gallery_smaller_than_k_is_listed_whole(gallery):
    rng = np.random.default_rng(0)
    queries, items = random_unit(rng, 6), random_unit(rng, gallery)
    found = rank(queries, items, relevance([[0]] * 6, gallery), k=10)
    assert found.top.shape == found.top_score.shape == (6, gallery)
    assert found.top.tolist() == brute_force_top(queries, items, 10)
    assert found.rank.tolist() == brute_force_ranks(queries, items, [[0]] * 6)


@pytest.mark.parametrize("k", [1, 7, 500])
def test_top_k_alone_gives_the_same_lists(k):
    rng = np.random.default_rng(0)
    queries, gallery = random_unit(rng, 20), gallery_with_ties(rng)
    rows, scores = top_k(queries, gallery, k, blocks=Blocks(0.001))
    together = rank(queries, gallery, relevance([[0]] * 20, 60), k)
    assert np.array_equal(rows, together.top)
    assert np.array_equal(scores, together.top_score)
    assert rows.tolist() == brute_force_top(queries, gallery, k)


def test_a_large_gallery_takes_the_shortcut_through_group_maxima_and_equals_a_full_sort():
    rng = np.random.default_rng(0)
    queries, gallery = random_unit(rng, 8), random_unit(rng, 3001)
    rows, scores = top_k(queries, gallery, 5)
    expected = np.argsort(-(queries.astype(float) @ gallery.T.astype(float)), axis=1)[:, :5]
    assert np.array_equal(rows, expected)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_a_dimension_for_a_bias_shifts_the_scores_of_gallery_items():
    rng = np.random.default_rng(0)
    queries, gallery, bias = random_unit(rng, 9), random_unit(rng, 11), rng.normal(size=11) / 10
    wider = np.column_stack([gallery, bias]).astype(np.float32)
    ones = np.column_stack([queries, np.ones(9)]).astype(np.float32)
    rows, _ = top_k(ones, wider, 4)
    assert np.array_equal(rows, np.argsort(-(queries @ gallery.T + bias), axis=1)[:, :4])


def test_memory_is_set_by_the_block_and_not_by_the_matrix():
    rng = np.random.default_rng(0)
    queries, gallery = random_unit(rng, 4000, 32), random_unit(rng, 4000, 32)
    relevant = relevance([[item] for item in range(4000)], 4000)
    tracemalloc.start()
    rank(queries, gallery, relevant, k=10, blocks=Blocks(2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # two MB of block, a few of single pairs, and the results; the matrix would take 61 MB
    assert peak < 12 * 2**20


def test_a_pair_has_the_same_score_in_any_company():
    rng = np.random.default_rng(0)
    queries, gallery = random_unit(rng, 50, 300), random_unit(rng, 70, 300)
    rows, columns = rng.integers(0, 50, 5000), rng.integers(0, 70, 5000)
    together = dots(queries, gallery, rows, columns)
    for pair in range(0, 5000, 97):
        one = slice(pair, pair + 1)
        assert dots(queries, gallery, rows[one], columns[one])[0] == together[pair]
    full = queries.astype(float) @ gallery.T.astype(float)
    assert np.allclose(together, full[rows, columns], atol=1e-12)


RESULTS = ("rank", "score", "tied", "top", "top_score")


def a_hard_case(rng: np.random.Generator, queries: int = 37, gallery: int = 203, d: int = 24):
    """Copies, near-ties of both sides of the tolerance, a bias for each item, and from no right
    answers to many."""
    items = random_unit(rng, gallery, d)
    items[rng.integers(0, gallery, gallery // 3)] = items[rng.integers(0, gallery, gallery // 3)]
    items += rng.choice([0, 3e-8, 1e-6], size=(gallery, 1)) * rng.normal(size=items.shape)
    bias = rng.choice([0, 0.1], size=gallery) * rng.normal(size=gallery)
    asked = np.concatenate([items[: queries // 2], random_unit(rng, queries - queries // 2, d)])
    answers = random_relevance(rng, queries, gallery, 9)
    answers[3], answers[5] = [], rng.permutation(gallery)[: gallery // 2].tolist()
    items = np.column_stack([items, bias]).astype(np.float32)
    asked = np.column_stack([asked, np.full(queries, -1)]).astype(np.float32)
    return asked, items, answers


@pytest.mark.parametrize("strip", [1, 70, 10_000])
@pytest.mark.parametrize("tile", [(1, 1), (5, 64), (37, 63), (8, 65), (3, 202), (37, 203)])
def test_results_depend_neither_on_tiles_nor_on_strips_nor_on_pairs(monkeypatch, tile, strip):
    queries, gallery, answers = a_hard_case(np.random.default_rng(7))
    relevant = relevance(answers, 203)
    expected = rank(queries, gallery, relevant, k=10)
    assert expected.rank.tolist() == brute_force_ranks(queries, gallery, answers)
    assert expected.tied.tolist() == brute_force_tied(queries, gallery, answers)
    assert expected.top.tolist() == brute_force_top(queries, gallery, 10)
    monkeypatch.setattr(ranking, "TILE_QUERIES", tile[0])
    monkeypatch.setattr(ranking, "TILE_ITEMS", tile[1])
    monkeypatch.setattr(ranking, "STRIP", strip)
    monkeypatch.setattr(ranking, "PAIRS", 16)
    found = rank(queries, gallery, relevant, k=10)
    for name in RESULTS:
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.parametrize("k", [1, 10, 150, 300])
@pytest.mark.parametrize("cuts", [[], [1], [100], [7, 8, 150], list(range(20, 203, 20))])
def test_parts_of_a_gallery_add_up_to_the_whole_to_the_byte(cuts, k):
    queries, gallery, answers = a_hard_case(np.random.default_rng(len(cuts)))
    relevant = relevance(answers, 203)
    whole = rank(queries, gallery, relevant, k)
    bounds = [0, *cuts, 203]
    parts = [
        rank_part(queries, gallery, relevant, k, range(start, stop))
        for start, stop in itertools.pairwise(bounds)
    ]
    for some in (parts, parts[::-1]):
        found = merged(some, k)
        for name in RESULTS:
            ours, theirs = getattr(found, name), getattr(whole, name)
            assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes(), name


def test_a_part_without_items_adds_nothing():
    queries, gallery, answers = a_hard_case(np.random.default_rng(0))
    relevant = relevance(answers, 203)
    none = rank_part(queries, gallery, relevant, 10, range(203, 203))
    assert not none.ahead.any() and not none.tied.any() and none.top.shape == (37, 0)
    whole = rank_part(queries, gallery, relevant, 10, range(203))
    assert np.array_equal(merged([none, whole], 10).top, whole.top)


def test_memory_does_not_grow_with_the_gallery():
    rng = np.random.default_rng(0)

    def peak(items: int) -> int:
        queries, gallery = random_unit(rng, 80, 8), random_unit(rng, items, 8)
        relevant = relevance([[item] for item in range(80)], items)
        tracemalloc.start()
        rank(queries, gallery, relevant, k=10, blocks=Blocks(1))
        top_k(queries, gallery, 10, blocks=Blocks(1))
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return memory

    # one query's scores with the larger gallery are three times the block
    assert peak(800_000) < 1.3 * peak(20_000) < 2 * 2**20


def test_a_gallery_of_copies_is_ranked_in_the_memory_of_the_block():
    item = random_unit(np.random.default_rng(0), 1, 8)
    queries, gallery = np.tile(item, (40, 1)), np.tile(item, (20_000, 1))
    relevant = relevance([[item] for item in range(40)], 20_000)
    tracemalloc.start()
    found = rank(queries, gallery, relevant, k=10, blocks=Blocks(2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # every score is in doubt: all pairs at once would take some 40 MB
    assert peak < 20 * 2**20
    assert (found.rank == 20_000).all() and (found.tied == 19_999).all()
    assert found.top.tolist() == [list(range(10))] * 40


def test_features_mapped_from_a_file_rank_like_those_in_memory(tmp_path):
    queries, gallery, answers = a_hard_case(np.random.default_rng(1))
    np.save(tmp_path / "gallery.npy", gallery)
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    relevant = relevance(answers, 203)
    ours, theirs = (rank(queries, items, relevant, k=10) for items in (mapped, gallery))
    for name in RESULTS:
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


def test_products_by_torch_decide_nothing_either():
    pytest.importorskip("torch")
    queries, gallery, answers = a_hard_case(np.random.default_rng(2))
    relevant = relevance(answers, 203)
    expected = rank(queries, gallery, relevant, k=10)
    for device in ("auto", "cpu:0"):  # another name than "cpu", which is BLAS
        found = rank(queries, gallery, relevant, k=10, blocks=Blocks(0.01, device))
        for name in RESULTS:
            assert np.array_equal(getattr(found, name), getattr(expected, name)), name
