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


def run_of(text_ranks, image_ranks=None, tied=None) -> Run:
    """A run with these ranks."""
    text = np.array(text_ranks)
    image = text if image_ranks is None else np.array(image_ranks)
    ties = np.zeros(len(text), dtype=int) if tied is None else np.array(tied)
    return Run(
        *("m", "p", "s"),
        ranks={"text_to_image": text, "image_to_text": image},
        tops={},
        scores={},
        right_score=np.zeros(len(text)),
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


def test_the_easier_direction_is_told_image_by_image():
    rows = rows_with([1, 3] * 20)
    easy, hard = np.ones(80, dtype=int), np.full(80, 50)
    found = analysis.direction_gap(run_of(hard, easy[:40]), rows, RESAMPLING)
    assert (found["verdict"], found["difference"]) == ("better", pytest.approx(1))
    assert analysis.direction_gap(run_of(easy, hard[:40]), rows, RESAMPLING)["verdict"] == "worse"
    assert analysis.direction_gap(run_of(easy, easy[:40]), rows, RESAMPLING)["verdict"] == "alike"


@pytest.mark.parametrize(
    ("ranks", "verdict"), [([1, 10], "none"), ([1, 20, 25], "near"), ([1, 80, 26], "far")]
)
def test_failures_are_near_where_their_median_is_in_the_first_quarter(ranks, verdict):
    table = analysis.failure_table(run_of(ranks), {"text_to_image": 100, "image_to_text": 100})
    assert table.verdict.tolist() == [verdict, verdict]
