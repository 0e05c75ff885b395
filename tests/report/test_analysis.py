"""The tables behind the discussion, against loops and cases checked by eye."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from scripts.data.rows import rows_of
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import Run, chance
from scripts.report import analysis

RESAMPLING = Resampling(3000, 0)


def run_of(text_ranks, image_ranks=None, top_score=None, right=None, tied=None) -> Run:
    """A run with these ranks; scores where a test needs them."""
    text = np.array(text_ranks)
    image = text if image_ranks is None else np.array(image_ranks)
    tops = np.zeros((len(text), 2)) if top_score is None else np.array(top_score)
    ties = np.zeros(len(text), dtype=int) if tied is None else np.array(tied)
    return Run(
        *("m", "p", "s"),
        ranks={"text_to_image": text, "image_to_text": image},
        tops={},
        scores={"text_to_image": tops, "image_to_text": tops},
        right_score=np.zeros(len(text)) if right is None else np.array(right),
        caption_ranks=text,
        tied={"text_to_image": ties, "image_to_text": ties},
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


def sides_by_images(images: int, per_image: int, gap: float, lot) -> tuple:
    """Values whose second half is lower by ``gap``, captions of an image varying together."""
    groups = np.repeat(np.arange(images), per_image)
    values = np.repeat(lot.normal(size=images), per_image) + lot.normal(size=len(groups)) / 4
    second = groups >= images // 2
    return values - gap * second, ~second, second, groups


def test_a_contrast_has_the_means_of_its_sides_and_an_interval_around_their_difference():
    values, first, second, groups = sides_by_images(60, 3, 0.5, np.random.default_rng(3))
    found = analysis.contrasts({"a": values}, first, second, groups, RESAMPLING)["a"]
    assert found["first"] == pytest.approx(values[first].mean())
    assert found["second"] == pytest.approx(values[second].mean())
    assert (found["first_n"], found["second_n"]) == (90, 90)
    assert found["difference"] == pytest.approx(values[first].mean() - values[second].mean())
    assert found["low"] < found["difference"] < found["high"]


def test_the_interval_of_a_contrast_is_that_of_drawing_images_one_by_one():
    values, first, second, groups = sides_by_images(24, 2, 0.0, np.random.default_rng(4))
    found = analysis.contrasts({"a": values}, first, second, groups, RESAMPLING)["a"]
    lot, drawn = np.random.default_rng(5), []
    for _ in range(3000):
        rows = np.concatenate(
            [np.flatnonzero(groups == image) for image in lot.integers(0, 24, size=24)]
        )
        if first[rows].any() and second[rows].any():
            drawn.append(values[rows][first[rows]].mean() - values[rows][second[rows]].mean())
    expected = np.quantile(drawn, (0.025, 0.975))
    assert (found["low"], found["high"]) == pytest.approx(expected, abs=0.05)


def test_copies_of_a_caption_do_not_make_a_contrast_more_certain():
    values, first, second, groups = sides_by_images(40, 1, 0.3, np.random.default_rng(6))
    once = analysis.contrasts({"a": values}, first, second, groups, RESAMPLING)["a"]
    five = (np.repeat(one, 5) for one in (values, first, second, groups))
    again = analysis.contrasts({"a": next(five)}, *five, RESAMPLING)["a"]
    assert (again["low"], again["high"]) == pytest.approx((once["low"], once["high"]))


def test_opposite_contrasts_get_opposite_verdicts_and_noise_gets_none():
    verdicts = {}
    for gap in (2.0, 0.0, -2.0):
        lot = np.random.default_rng(8)
        values, first, second, groups = sides_by_images(60, 2, gap, lot)
        found = analysis.contrasts({"a": values}, first, second, groups, RESAMPLING)
        verdicts[gap] = found["a"]["verdict"]
    assert verdicts == {2.0: "better", 0.0: "alike", -2.0: "worse"}


def test_nothing_is_said_where_one_side_has_few_images():
    groups = np.repeat(np.arange(40), 5)
    first = groups < analysis.FEW - 1  # many captions, of few images
    found = analysis.contrasts({"a": first * 1.0}, first, ~first, groups, RESAMPLING)["a"]
    assert found["verdict"] == "unknown"
    nobody = np.zeros(len(groups), dtype=bool)
    found = analysis.contrasts({"a": first * 1.0}, nobody, ~nobody, groups, RESAMPLING)["a"]
    assert found["verdict"] == "unknown" and np.isnan(found["first"])


def test_the_easier_direction_is_told_image_by_image():
    rows = rows_with([1, 3] * 20)
    easy, hard = np.ones(80, dtype=int), np.full(80, 50)
    found = analysis.direction_gap(run_of(hard, easy[:40]), rows, RESAMPLING)
    assert (found["verdict"], found["difference"]) == ("better", pytest.approx(1))
    assert analysis.direction_gap(run_of(easy, hard[:40]), rows, RESAMPLING)["verdict"] == "worse"
    assert analysis.direction_gap(run_of(easy, easy[:40]), rows, RESAMPLING)["verdict"] == "alike"


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


def test_captions_that_equal_one_before_them_are_counted():
    rows = rows_of(["a", "b"], [["same", "twice", "twice"], ["same", "other"]])
    assert analysis.repeated_captions(rows) == 2


def test_a_tie_is_counted_only_where_it_alone_costs_first_place():
    # first; level with one; level with one, behind another; behind one
    run = run_of([1, 2, 3, 2], tied=[0, 1, 1, 0])
    assert analysis.ties_with_right(run) == 1


def test_length_score_and_margin_of_failures_are_told_from_those_of_successes():
    rows = rows_of(
        [str(n) for n in range(40)],
        [["short one"] if n < 20 else ["a rather long caption of many words"] for n in range(40)],
    )
    jitter = np.linspace(0, 0.01, 40)
    right = np.r_[np.full(20, 0.5), np.full(20, 0.1)] + jitter
    tops = np.c_[np.r_[right[:20], np.full(20, 0.6)], np.full(40, 0.2)]
    run = run_of([1] * 20 + [30] * 20, top_score=tops, right=right)
    found = analysis.caption_contrasts(run, rows, RESAMPLING)
    assert found["length"]["verdict"] == "worse"
    assert found["score"]["verdict"] == "better"
    assert found["margin"]["second"] == pytest.approx(0.5 - jitter[20:].mean())
