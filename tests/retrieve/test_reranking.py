"""The second look equals an order that is worked out pair by pair, and moves what it may."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.data.rows import Rows, rows_of
from scripts.evaluate.runs import first_captions
from scripts.job import BadInput
from scripts.measures import best_ranks
from scripts.protocol import DIRECTIONS, TIE
from scripts.retrieve.reranking import (
    NONE,
    Looked,
    choose_weights,
    first_look,
    queries_of,
    rankings_after,
    ranks_after,
    read_looked,
    relevant_of,
    write_looked,
)
from scripts.retrieve.scorers import fit, transform
from scripts.retrieve.similarity import KEYS, rankings_of

COSINE = fit("cosine", {}, {})


def collection(counts: list[int], seed: int, values: int) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Rows, images and texts whose coordinates are few whole numbers, so that many scores tie."""
    rng = np.random.default_rng(seed)
    rows = rows_of(
        [f"{image}.jpg" for image in range(len(counts))],
        [[f"{image} said {place}" for place in range(k)] for image, k in enumerate(counts)],
    )
    images = rng.integers(-values, values + 1, (len(counts), 3)).astype(np.float32) / 8
    texts = images[rows.image_of_caption] + rng.integers(-1, 2, (sum(counts), 3)) / np.float32(8)
    return rows, images, texts.astype(np.float32)


def looked_at(
    rows: Rows, images: np.ndarray, texts: np.ndarray, second: np.ndarray, depth: int
) -> dict[str, Looked]:
    """What both directions look at, with ``second`` (n, m) as the scores of the second look."""
    found = {}
    for way in DIRECTIONS:
        relevant = relevant_of(rows, way)
        table = second.T if way == "text_to_image" else second
        own = first_look(*transform(COSINE, images, texts, way), relevant, depth)
        some = np.where(own.wrong == NONE, 0, own.wrong)
        wrong = np.take_along_axis(table, some, axis=1).astype(np.float32)
        wrong[own.wrong == NONE] = -np.inf
        right = table[queries_of(relevant), relevant.indices].astype(np.float32)
        found[way] = Looked(own.rank, own.tied, own.first, right, own.wrong, own.wrong_first, wrong)
    return found


def oracle(first: list, second: list, right: list[set], depth: int, weight: float) -> list[int]:
    """Ranks of right answers, worked out one by one from all scores; nothing of ours in it."""
    ranks = []
    for query, answers in enumerate(right):
        for answer in sorted(answers):
            # a gallery in which it is the only right answer
            wrong = [item for item in range(len(first[query])) if item not in answers]
            own = first[query][answer]
            before = 1 + sum(first[query][item] >= own - TIE for item in wrong)
            if before > depth:
                ranks.append(before)
                continue
            wrong = sorted(wrong, key=lambda item: -first[query][item])[: depth - 1]
            ahead = 0
            for item in wrong:
                difference = first[query][item] - own
                if abs(difference) <= TIE:
                    difference = 0.0
                total = second[query][item] - second[query][answer] + weight * difference
                ahead += total > TIE or (abs(total) <= TIE and difference >= 0)
            ranks.append(1 + ahead)
    return ranks


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 4), min_size=2, max_size=9),
    seed=st.integers(0, 10**6),
    values=st.sampled_from([1, 3, 40]),
    levels=st.sampled_from([1, 2, 5, 1000]),
    depth=st.integers(1, 40),
    weight=st.sampled_from([0.0, 0.5, 3.0]),
)
def test_ranks_equal_those_worked_out_pair_by_pair(counts, seed, values, levels, depth, weight):
    rows, images, texts = collection(counts, seed, values)
    second = np.random.default_rng(seed).integers(0, levels, (len(images), len(texts))) / 4
    looked = looked_at(rows, images, texts, second, depth)
    scores = images.astype(np.float64) @ texts.astype(np.float64).T
    right_of_image = [
        set(np.flatnonzero(rows.image_of_caption == image)) for image in range(len(images))
    ]
    right_of_text = [{int(image)} for image in rows.image_of_caption]
    for way, table, again, right in (
        ("text_to_image", scores.T, second.T, right_of_text),
        ("image_to_text", scores, second, right_of_image),
    ):
        expected = oracle(table.tolist(), again.tolist(), right, depth, weight)
        found, _ = ranks_after(looked[way], relevant_of(rows, way), depth, weight)
        assert found.tolist() == expected
        # a look at more serves every smaller depth
        fewer = max(1, depth // 2)
        expected = oracle(table.tolist(), again.tolist(), right, fewer, weight)
        assert ranks_after(looked[way], relevant_of(rows, way), fewer, weight)[0].tolist() == (
            expected
        )


CASES = [([1] * 12, 1), ([5, 1, 3, 4, 2, 5, 5], 2), ([3] * 20, 40)]


@pytest.mark.parametrize(("counts", "values"), CASES)
@pytest.mark.parametrize("depth", [1, 4, 10, 400])
def test_a_constant_second_look_moves_nothing(counts, values, depth):
    rows, images, texts = collection(counts, 3, values)
    second = np.full((len(images), len(texts)), 0.25)
    before = rankings_of(images, texts, rows, COSINE, k=min(depth, 10))
    looked = looked_at(rows, images, texts, second, depth)
    for weight in (0.0, 0.01, 100.0):
        after = rankings_after(looked, rows, np.array([weight] * 2), depth, k=min(depth, 10))
        assert set(after) == set(KEYS)
        for way in DIRECTIONS:
            for name in ("rank", "tied"):
                assert after[f"{way}_{name}"].tolist() == before[f"{way}_{name}"].tolist()
            # of equal scores, a right one may stand behind a wrong one where it stood in front
            assert _first_scores(after, way, images, texts) == pytest.approx(
                before[f"{way}_top_score"]
            )


def _first_scores(after, way: str, images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    table = texts @ images.T if way == "text_to_image" else images @ texts.T
    return np.take_along_axis(table, after[f"{way}_top"], axis=1)


@pytest.mark.parametrize(("counts", "values"), CASES)
@pytest.mark.parametrize("depth", [1, 4, 10, 400])
def test_a_perfect_second_look_makes_recall_at_1_what_recall_at_k_was(counts, values, depth):
    rows, images, texts = collection(counts, 5, values)
    fits = np.arange(len(images))[:, None] == rows.image_of_caption
    before = rankings_of(images, texts, rows, COSINE, k=1)
    for second, reached in ((fits, 1), (~fits, depth)):
        looked = looked_at(rows, images, texts, second * 1.0, depth)
        after = rankings_after(looked, rows, np.zeros(2), depth, k=1)
        for way in DIRECTIONS:
            was, now = before[f"{way}_rank"], after[f"{way}_rank"]
            within = was <= depth
            assert (now[~within] == was[~within]).all()
            # with a perfect one all within are first; with the worst none is beyond
            assert (now[within] == 1).all() if reached == 1 else (now[within] <= depth).all()
    queries = (
        before["text_to_image_rank"],
        best_ranks(before["image_to_text_rank"], first_captions(rows)),
    )
    assert any(((was > 1) & (was <= max(depth, 2))).any() for was in queries)


@pytest.mark.parametrize(("counts", "values"), CASES)
def test_lists_are_those_of_the_ranks_and_sorted(counts, values):
    rows, images, texts = collection(counts, 7, values)
    depth, k = 6, 5
    second = np.random.default_rng(1).integers(0, 4, (len(images), len(texts))) / 4
    looked = looked_at(rows, images, texts, second, depth)
    after = rankings_after(looked, rows, np.array([0.0, 2.0]), depth, k)
    for way in DIRECTIONS:
        top, scores = after[f"{way}_top"], after[f"{way}_top_score"]
        relevant = relevant_of(rows, way)
        assert top.shape == (relevant.shape[0], min(k, relevant.shape[1]))
        assert np.isfinite(scores).all() and (np.diff(scores, axis=1) <= 0).all()
        assert all(len(set(row)) == len(row) for row in top.tolist())
        for query, row in enumerate(top.tolist()):
            entries = range(*relevant.indptr[query : query + 2])
            answers = {int(relevant.indices[entry]): entry for entry in entries}
            wrong = 0
            for item in row:
                if item in answers:
                    # as many wrong items in front of it as its rank says
                    assert after[f"{way}_rank"][answers[item]] == 1 + wrong
                wrong += item not in answers


def test_of_weights_that_do_equally_well_the_smallest_is_taken():
    rows, images, texts = collection([2] * 15, 2, 40)
    fits = (np.arange(len(images))[:, None] == rows.image_of_caption) * 1.0
    perfect = looked_at(rows, images, texts, fits * 100, 10)
    assert choose_weights(perfect, rows, [3, 0, 1], 10)[0].tolist() == [0, 0]
    # where the second look knows nothing and errs a little, the first must outweigh it
    noise = np.random.default_rng(0).normal(size=fits.shape) / 100
    weights, recall = choose_weights(looked_at(rows, images, texts, noise, 10), rows, [0, 100], 10)
    assert weights.tolist() == [100, 100] and (recall > 0.5).all()


def test_scores_of_other_rows_are_refused(tmp_path):
    rows, images, texts = collection([2, 3], 0, 40)
    looked = looked_at(rows, images, texts, np.zeros((2, 5)), 2)
    write_looked(tmp_path / "cross.npz", looked, rows)
    read = read_looked(tmp_path / "cross.npz", rows)
    assert vars(read["image_to_text"]).keys() == vars(looked["image_to_text"]).keys()
    others = rows_of(["a.jpg"], [["b"]])
    with pytest.raises(BadInput, match="another list of images"):
        read_looked(tmp_path / "cross.npz", others)
