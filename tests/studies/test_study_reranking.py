"""What a second look gains is told against the first ranks and against a perfect look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_run import COUNTS, collection

from scripts.evaluate.intervals import Resampling
from scripts.protocol import DIRECTIONS
from scripts.retrieve.reranking import Looked, first_look, relevant_of
from scripts.retrieve.scorers import fit, transform
from scripts.studies.study_reranking import best_of, pairs_read, rows_at
from scripts.studies.table import About

ROWS, IMAGES, TEXTS = collection(COUNTS)
KEY = ("tiny", "plain", "cosine")
RESAMPLING = Resampling(200, 0)


def look(way: str, depth: int, right: float) -> Looked:
    """A second look that gives every right answer ``right`` and every wrong one 0."""
    sides = transform(fit("cosine", {}, {}), IMAGES, TEXTS, way)
    looked = first_look(*sides, relevant_of(ROWS, way), depth)
    return replace(looked, second=np.full_like(looked.second, right))


def told(way: str, depth: int, right: float, at: int | None = None) -> dict[str, dict]:
    about = About(KEY, way, "cosine+perfect", at or depth)
    found = rows_at(about, look(way, depth, right), ROWS, 0.0, 0.5, RESAMPLING)
    return {row["measure"]: row for row in found}


@pytest.mark.parametrize("way", DIRECTIONS)
@pytest.mark.parametrize("at", [2, 4, 9])
def test_a_perfect_look_finds_all_that_there_is_to_gain(way, at):
    own = told(way, 9, 1.0, at)
    assert own["recall@1"]["value"] == own["bound"]["value"] > 0
    assert own["gain_found"]["value"] == own["gain_found"]["low"] == 1
    first = best_of(look(way, 9, 0).rank, way, ROWS)
    assert own["bound"]["value"] == pytest.approx((first <= at).mean())
    assert own["gain@1"]["value"] == pytest.approx((first <= at).mean() - (first == 1).mean())
    assert own["gain@1"]["low"] <= own["gain@1"]["value"] <= own["gain@1"]["high"]


@pytest.mark.parametrize("way", DIRECTIONS)
def test_a_constant_look_gains_nothing_and_the_worst_one_loses(way):
    same, worse = told(way, 9, 0.0), told(way, 9, -1.0)
    for depth in (1, 5, 10):
        gain = same[f"gain@{depth}"]
        assert (gain["value"], gain["low"], gain["high"]) == (0, 0, 0)
    assert worse["gain@1"]["high"] < 0 and worse["gain_found"]["value"] < 0


@pytest.mark.parametrize("way", DIRECTIONS)
def test_where_nothing_is_left_to_gain_there_is_no_share_of_it(way):
    # of the first one item alone, the order is given
    own = told(way, 3, 1.0, at=1)
    assert "gain_found" not in own and own["gain@1"]["value"] == 0


def test_pairs_are_those_of_the_first_items_and_of_further_right_answers_within_them():
    for way in DIRECTIONS:
        looked, relevant = look(way, 4, 0), relevant_of(ROWS, way)
        pairs = pairs_read(looked, way, ROWS, 3)
        starts = relevant.indptr
        for query in range(len(pairs)):
            within = int((looked.rank[starts[query] : starts[query + 1]] <= 3).sum())
            # two wrong items beside those that are right, or three wrong ones
            assert pairs[query] == (2 + within if within else 3)
    seconds = told("text_to_image", 4, 0.0)["seconds"]
    assert seconds["value"] == pytest.approx(0.5 * told("text_to_image", 4, 0.0)["pairs"]["value"])
