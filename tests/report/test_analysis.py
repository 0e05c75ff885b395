"""The tables behind the discussion, against loops and cases checked by eye."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from scripts.data.rows import rows_of
from scripts.report import analysis
from scripts.evaluate.runs import Run, chance


def run_of(text_ranks, image_ranks=None, key=("m", "p", "s"), top_score=None, right=None) -> Run:
    """A run with these ranks; scores where a test needs them."""
    text = np.array(text_ranks)
    image = text if image_ranks is None else np.array(image_ranks)
    tops = np.zeros((len(text), 2)) if top_score is None else np.array(top_score)
    return Run(
        *key,
        ranks={"text_to_image": text, "image_to_text": image},
        tops={},
        scores={"text_to_image": tops, "image_to_text": tops},
        right_score=np.zeros(len(text)) if right is None else np.array(right),
        caption_ranks=text,
    )


def rows_with(counts: list[int]):
    """Images with so many captions each, all different."""
    return rows_of(
        [f"{number}.jpg" for number in range(len(counts))],
        [[f"caption {number} {c}" for c in range(count)] for number, count in enumerate(counts)],
    )


@pytest.mark.parametrize(("gallery", "right", "k"), [(7, 1, 3), (7, 3, 2), (5, 5, 1), (4, 2, 10)])
def test_chance_is_the_recall_of_all_orders(gallery, right, k):
    orders = list(itertools.permutations(range(gallery)))
    hit = sum(any(item < right for item in order[:k]) for order in orders) / len(orders)
    assert chance(gallery, right, k) == pytest.approx(hit)


def test_clustered_error_is_the_usual_one_where_every_group_has_one_value():
    values = np.random.default_rng(0).normal(size=50)
    mean, error = analysis.clustered_mean(values, np.arange(50))
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(50))


def test_copies_of_a_caption_do_not_make_a_mean_more_certain():
    values = np.random.default_rng(0).normal(size=50)
    once = analysis.clustered_mean(values, np.arange(50))
    five = analysis.clustered_mean(np.repeat(values, 5), np.repeat(np.arange(50), 5))
    assert five == pytest.approx(once)


def test_clustered_error_covers_the_truth_nineteen_times_in_twenty():
    lot = np.random.default_rng(1)
    groups = np.repeat(np.arange(80), 4)
    covered = 0
    for _ in range(400):
        values = np.repeat(lot.normal(size=80), 4) + lot.normal(size=320)
        mean, error = analysis.clustered_mean(values, groups)
        covered += abs(mean) <= 2 * error
    assert 0.92 < covered / 400 < 0.98


def test_one_image_allows_no_verdict():
    mean, error = analysis.clustered_mean(np.ones(3), np.zeros(3, dtype=int))
    assert mean == 1.0
    assert analysis.verdict_of(mean, error) == "alike"


def test_opposite_runs_get_opposite_verdicts():
    rows = rows_with([2] * 30)
    good, bad = run_of([1] * 60, [1] * 30), run_of([40] * 60, [40] * 30)
    assert analysis.compare(good, bad, rows, "text_to_image")["verdict"] == "better"
    assert analysis.compare(bad, good, rows, "text_to_image")["verdict"] == "worse"
    assert analysis.compare(good, good, rows, "image_to_text")["verdict"] == "alike"


def test_a_difference_within_two_standard_errors_is_no_clear_difference():
    rows = rows_with([1] * 40)
    ranks = np.full(40, 20)
    slightly = ranks.copy()
    slightly[0] = 1
    compared = analysis.compare(run_of(slightly), run_of(ranks), rows, "text_to_image")
    assert compared["mean"] > 0
    assert compared["verdict"] == "alike"


def test_prompts_are_compared_with_the_first_one_of_the_same_model():
    runs = [
        run_of([1], key=(model, prompt, "cosine"))
        for model in ("a", "b")
        for prompt in ("plain", "x")
    ]
    pairs = [(one.key, other.key) for one, other in analysis.prompt_pairs(runs)]
    assert pairs == [
        (("a", "x", "cosine"), ("a", "plain", "cosine")),
        (("b", "x", "cosine"), ("b", "plain", "cosine")),
    ]
    assert [(one.model, other.model) for one, other in analysis.model_pairs(runs)] == [("b", "a")]
    assert analysis.scorer_pairs(runs) == []


def test_every_query_falls_into_one_class_of_rank():
    ranks = [1, 2, 5, 6, 10, 11, 100, 101, 5000]
    table = analysis.outcome_table(run_of(ranks))
    first = table[table.direction == "text_to_image"]
    assert first.queries.tolist() == [1, 2, 2, 2, 2]
    assert first.share.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("ranks", "verdict"), [([1, 10], "none"), ([1, 20, 25], "near"), ([1, 80, 26], "far")]
)
def test_failures_are_near_where_their_median_is_in_the_first_quarter(ranks, verdict):
    table = analysis.failure_table(run_of(ranks), {"text_to_image": 100, "image_to_text": 100})
    assert table.verdict.tolist() == [verdict, verdict]


@pytest.mark.parametrize(
    ("text", "words"),
    [("a dog, running!", 3), ("一只狗", 3), ("一只 dog", 3), ("the dog's ball", 3), ("...", 0)],
)
def test_length_counts_words_and_chinese_characters(text, words):
    assert analysis.words_in(text) == words


def test_captions_that_stand_on_several_images_are_told_from_repeats_on_one():
    rows = rows_of(["a", "b"], [["same", "twice", "twice"], ["same", "other"]])
    assert analysis.shared_captions(rows).tolist() == [True, False, False, True, False]
    assert analysis.repeated_captions(rows) == 2


def test_a_tie_with_the_first_item_is_counted_only_where_it_costs_first_place():
    run = run_of([1, 2, 2], top_score=[[0.5, 0.5], [0.5, 0.5], [0.5, 0.4]], right=[0.5, 0.5, 0.4])
    assert analysis.ties_with_right(run) == 1


def test_thirds_of_length_hold_every_caption_once():
    rows = rows_of([str(n) for n in range(30)], [["word " * (n % 7 + 1)] for n in range(30)])
    table = analysis.length_table(run_of(np.arange(1, 31)), rows)
    assert table.captions.sum() == 30
    assert (table.longest.iloc[:-1].to_numpy() < table.shortest.iloc[1:].to_numpy()).all()


def test_recall_in_smaller_galleries_agrees_with_drawing_them():
    lot = np.random.default_rng(2)
    ranks = lot.integers(1, 61, size=40)
    table = analysis.scale_table(ranks, 60).set_index("gallery")
    assert table.index.tolist() == [10, 20, 50, 60]
    for size in (10, 50):
        drawn = []
        for _ in range(3000):
            others = lot.permuted(np.tile(np.arange(1, 60), (40, 1)), axis=1)[:, : size - 1]
            # the others keep their order: those ahead are numbered below the right one's rank
            drawn.append(np.mean((others < ranks[:, None]).sum(axis=1) < 5))
        assert table.loc[size, "recall@5"] == pytest.approx(np.mean(drawn), abs=0.005)
    assert table.loc[60, "recall@1"] == pytest.approx((ranks == 1).mean())
    assert table.loc[10, "recall@10"] == pytest.approx(1)


@pytest.mark.parametrize("gallery", [1, 5, 10, 11, 1000, 25000])
def test_sizes_of_smaller_galleries_rise_to_the_whole_one(gallery):
    sizes = analysis.scale_table(np.array([1]), gallery).gallery.tolist()
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == gallery


def test_length_score_and_margin_of_failures_are_told_from_those_of_successes():
    rows = rows_of(
        [str(n) for n in range(40)],
        [["short one"] if n < 20 else ["a rather long caption of many words"] for n in range(40)],
    )
    jitter = np.linspace(0, 0.01, 40)
    right = np.r_[np.full(20, 0.5), np.full(20, 0.1)] + jitter
    tops = np.c_[np.r_[right[:20], np.full(20, 0.6)], np.full(40, 0.2)]
    run = run_of([1] * 20 + [30] * 20, top_score=tops, right=right)
    found = analysis.caption_contrasts(run, rows)
    assert found["length"]["verdict"] == "worse"
    assert found["score"]["verdict"] == "better"
    assert found["margin"]["second"] == pytest.approx(0.5 - jitter[20:].mean())
    assert found["duplicates"]["verdict"] == "unknown" or found["duplicates"]["second_n"] == 40
