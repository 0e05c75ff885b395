"""Tests of ranges, against every way to deal, and what they promise: a false alarm in twenty."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from scripts.evaluate.intervals import Resampling
from scripts.evaluate.ranges import paired_range, range_of_parts, ranges_of_parts


def range_of(values, belongs) -> float:
    """The largest mean less the smallest, part by part."""
    means = [np.mean([v for v, own in zip(values, part, strict=True) if own]) for part in belongs.T]
    return max(means) - min(means)


def test_parts_are_dealt_over_images_of_as_many_queries_and_within_each():
    # images of two, one, two and one queries; the parts overlap, and one query is in none
    image_of_query = np.array([0, 0, 1, 2, 2, 3])
    values = np.array([1.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    belongs = np.array([[1, 0], [1, 1], [1, 0], [0, 1], [0, 1], [0, 0]], dtype=bool)
    own = range_of(values, belongs)
    every = []
    for pairs, singles in product(permutations([[0, 1], [3, 4]]), permutations([2, 5])):
        for orders in product([1, -1], repeat=2):
            first, second = (pair[::step] for pair, step in zip(pairs, orders, strict=True))
            dealt = values[[*first, singles[0], *second, singles[1]]]
            every.append(range_of(dealt, belongs) >= own - 1e-9)
    draws = 20_000
    found, p = range_of_parts(values, belongs, image_of_query, Resampling(draws, 0))
    assert found == pytest.approx(own)
    assert 0.1 < np.mean(every) < 0.9
    assert p == pytest.approx(np.mean(every), abs=4 * np.sqrt(0.25 / draws))


def test_runs_are_dealt_within_each_image_with_all_of_its_queries():
    image_of_query = np.repeat(np.arange(4), [2, 1, 3, 1])
    found_by_run = ["1101011", "0100010", "0001000"]
    values = np.array([[float(hit) for hit in run] for run in found_by_run]).T
    own = np.ptp(values.mean(axis=0))
    every = []
    for dealt in product(permutations(range(3)), repeat=4):
        columns = np.array([dealt[image] for image in image_of_query])
        swapped = np.take_along_axis(values, columns, axis=1)
        every.append(np.ptp(swapped.mean(axis=0)) >= own - 1e-9)
    draws = 20_000
    found, p = paired_range(values, image_of_query, Resampling(draws, 0))
    assert found == pytest.approx(own)
    assert 0.1 < np.mean(every) < 0.9
    assert p == pytest.approx(np.mean(every), abs=4 * np.sqrt(0.25 / draws))


def test_parts_by_lot_are_called_different_once_in_twenty_trials_though_captions_go_together():
    # the best and the worst of eight are apart each time; captions of an image all but repeat it
    lot, trials, images = np.random.default_rng(0), 400, 60
    image_of_query = np.repeat(np.arange(images), 5)
    called = 0
    for trial in range(trials):
        likely = lot.beta(0.5, 0.5, images)[image_of_query]
        values = (lot.random(len(likely)) < likely).astype(float)
        belongs = (lot.random((images, 8)) < lot.uniform(0.15, 0.4, 8))[image_of_query]
        belongs[:5] = True
        called += range_of_parts(values, belongs, image_of_query, Resampling(99, trial))[1] < 0.05
    # four of every hundred p-values that 99 draws give, give or take three standard errors
    assert called / trials == pytest.approx(0.04, abs=3 * np.sqrt(0.04 * 0.96 / trials))


def test_parts_that_differ_are_told_by_whole_images_and_within_each():
    lot = np.random.default_rng(1)
    image_of_query = np.repeat(np.arange(60), 4)
    by_image = image_of_query < 20
    by_place = np.tile([True, False, False, False], 60)
    for better in (by_image, by_place):
        values = (lot.random(240) < np.where(better, 0.7, 0.3)).astype(float)
        belongs = np.stack([better, ~better, np.ones(240, dtype=bool)], axis=1)
        assert range_of_parts(values, belongs, image_of_query, Resampling(199, 0))[1] < 0.02


def test_the_same_seed_gives_the_same_p_and_many_draws_are_made_in_blocks(monkeypatch):
    lot = np.random.default_rng(2)
    values, belongs = lot.integers(0, 2, 60).astype(float), lot.random((60, 3)) < 0.5
    of = np.repeat(np.arange(20), 3)
    whole = range_of_parts(values, belongs, of, Resampling(500, 1))
    assert whole == range_of_parts(values, belongs, of, Resampling(500, 1))
    monkeypatch.setattr("scripts.evaluate.ranges.AT_ONCE", 600)
    in_blocks = range_of_parts(values, belongs, of, Resampling(500, 1))
    assert in_blocks[0] == whole[0] and in_blocks[1] == pytest.approx(whole[1], abs=0.1)


def test_several_divisions_of_the_same_queries_are_tested_as_each_alone():
    random = np.random.default_rng(3)
    of = np.repeat(np.arange(30), random.integers(1, 4, 30))
    values = random.integers(0, 2, len(of)).astype(np.float64)
    part_of = [random.integers(-1, parts, len(of)) for parts in (2, 5)]
    divisions = [own[:, None] == np.arange(own.max() + 1) for own in part_of]
    drawing = Resampling(300, 2)
    alone = [range_of_parts(values, belongs, of, drawing) for belongs in divisions]
    assert ranges_of_parts(values, divisions, of, drawing) == alone
    assert alone[0] != alone[1] and ranges_of_parts(values, [], of, drawing) == []
