"""Who leads, who is level with the best, and how often that is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.evaluate.intervals import Resampling
from scripts.leaderboard.standings import BEHIND, LEADS, LEVEL, MEASURED, mean_places, standings

IMAGES, CAPTIONS = 120, 5
IMAGE_OF_QUERY = np.repeat(np.arange(IMAGES), CAPTIONS)
RESAMPLING = Resampling(400, 0)


def drawn(shares: list[float], seed: int) -> list[dict[str, np.ndarray]]:
    """Hits of runs that are right in so many of the queries; those of an image go together."""
    lot = np.random.default_rng(seed)
    hard = np.repeat(lot.normal(0, 0.15, IMAGES), CAPTIONS)
    hits = [(lot.random(len(hard)) + hard < share).astype(float) for share in shares]
    return [dict.fromkeys(MEASURED, one) for one in hits]


def test_values_are_means_with_intervals_and_places_are_shared_by_equals():
    runs = drawn([0.2, 0.5, 0.8], seed=1)
    first, second, third, fourth = standings([*runs, runs[1]], IMAGE_OF_QUERY, RESAMPLING)
    assert [one.place for one in (first, second, third, fourth)] == [4, 2.5, 1, 2.5]
    assert [one.verdict for one in (first, second, third)] == [BEHIND, BEHIND, LEADS]
    assert third.p_holm == 1 and third.gap == 0
    assert second.values[0] == pytest.approx(runs[1]["mean"].mean())
    assert second.lows[0] < second.values[0] < second.highs[0]
    assert second.gap == pytest.approx(runs[1]["mean"].mean() - runs[2]["mean"].mean())


def test_one_run_alone_leads():
    (only,) = standings(drawn([0.5], seed=2), IMAGE_OF_QUERY, RESAMPLING)
    assert (only.verdict, only.place) == (LEADS, 1)


def test_of_equal_runs_one_is_called_behind_in_no_more_than_a_twentieth_of_trials():
    trials = 100
    wrong = [
        any(
            one.verdict == BEHIND
            for one in standings(drawn([0.5] * 6, seed), IMAGE_OF_QUERY, Resampling(200, seed))
        )
        for seed in range(trials)
    ]
    # with three standard errors of so many trials
    assert np.mean(wrong) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_a_run_that_is_far_behind_is_called_so():
    trials = 20
    right = [
        [one.verdict for one in standings(drawn([0.6, 0.6, 0.4], seed), IMAGE_OF_QUERY, RESAMPLING)]
        for seed in range(trials)
    ]
    assert np.mean([of[2] == BEHIND for of in right]) > 0.9
    assert all({LEADS} <= set(of[:2]) <= {LEADS, LEVEL, BEHIND} for of in right)


def test_the_mean_place_is_of_runs_that_stand_in_every_column():
    one, other = standings(drawn([0.3, 0.6], seed=3), IMAGE_OF_QUERY, RESAMPLING)
    columns = [{"a": one, "b": other}, {"a": other, "b": one}, {"a": one, "b": other, "c": one}]
    assert mean_places(columns) == pytest.approx({"a": 5 / 3, "b": 4 / 3})
    assert mean_places([]) == {}
