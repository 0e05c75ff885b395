"""Bounds, p-values and the answer are of one set of draws; their level and power are simulated."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from scripts.compare.gate import ALPHA, BOTH, Gain, coin_means, gains_of, mean_of
from scripts.evaluate.intervals import randomisation_p
from scripts.evaluate.runs import measures_of
from scripts.measures import HEADLINE, headline
from scripts.protocol import DIRECTIONS

N = 120
ROWS = SimpleNamespace(
    images=[str(one) for one in range(N)],
    captions=["x"] * (5 * N),
    image_of_caption=np.repeat(np.arange(N), 5),
)
FLIPS = 399


def gain_of(values: np.ndarray, flips: int = FLIPS, most: float = 1.0) -> Gain:
    """Of images of one query each that gain so much."""
    own = values[:, None] / len(values)
    drawn = coin_means(own, np.full_like(own, 1 / len(values)), flips)[:, 0]
    largest = float(np.abs(values).max()) or most
    return Gain(values.mean(), drawn, values.std(ddof=1), len(values), most, largest)


def test_a_bound_is_where_the_p_value_crosses_five_percent():
    lot = np.random.default_rng(3)
    for trial in range(60):
        kinds = (lot.normal(0.05, 0.2, 40), lot.choice([-1, 0, 0, 0, 1], 12), np.zeros(30))
        gain = gain_of(np.asarray(kinds[trial % 3], float), flips=99 + trial)
        for at in (*lot.normal(0, 0.1, 5), 0.0):
            assert (gain.p_above(at) < ALPHA) == (gain.low > at)
            assert (gain.p_below(at) < ALPHA) == (gain.high < at)
        for bound, step in ((gain.low, -1e-6), (gain.high, 1e-6)):
            p = gain.p_above if bound == gain.low else gain.p_below
            assert p(bound + step) < ALPHA <= p(bound - step)


def test_without_a_margin_it_is_the_randomisation_test_whose_coin_is_the_image():
    values = np.random.default_rng(1).normal(0.05, 0.3, 80)
    gain = gain_of(values, flips=9999)
    two_sided = randomisation_p(values[:, None], np.arange(80), 9999, seed=0)[0]
    assert 2 * gain.p_above(0) == pytest.approx(two_sided, abs=0.015)


def test_with_a_margin_it_is_the_same_test_of_differences_that_the_margin_was_added_to():
    values = np.random.default_rng(2).normal(-0.01, 0.3, 80)
    shifted = gain_of(values + 0.05, flips=9999)
    assert gain_of(values, flips=9999).p_above(-0.05) == pytest.approx(shifted.p_above(0), abs=1e-9)


def test_both_together_are_the_mean_of_the_directions_and_lower_ranks_are_a_gain():
    lot = np.random.default_rng(0)
    a, b = (measures_of(*lot.integers(1, 30, (2, 5 * N)), ROWS) for _ in "ab")
    found = gains_of(a, b, ["mean_rank", "mean", "rsum"], ROWS, FLIPS)
    for name, sign in (("mean_rank", -1), ("mean", 1)):
        for way in (BOTH, *DIRECTIONS):
            expected = sign * (mean_of(b, name, way) - mean_of(a, name, way))
            assert found[name][way].mean == pytest.approx(expected)
        each = [found[name][way].mean for way in DIRECTIONS]
        assert found[name][BOTH].mean == pytest.approx(np.mean(each))
        assert list(found[name]) == [BOTH, *DIRECTIONS]
    # three recalls of two directions
    assert list(found["rsum"]) == [BOTH]
    assert found["rsum"][BOTH].mean == pytest.approx(6 * found["mean"][BOTH].mean)
    assert found["rsum"][BOTH].low == pytest.approx(6 * found["mean"][BOTH].low)
    assert found["rsum"][BOTH].most == 6 * found["mean"][BOTH].most == 6


def test_images_with_more_captions_weigh_as_much_as_their_queries():
    uneven = SimpleNamespace(
        images=["a", "b"], captions=["x"] * 4, image_of_caption=np.array([0, 0, 0, 1])
    )
    best, worst = np.array([1, 1, 1, 20]), np.array([20, 20, 20, 20])
    a, b = (measures_of(ranks, ranks, uneven) for ranks in (worst, best))
    found = gains_of(a, b, ["recall@1"], uneven, FLIPS)["recall@1"]
    assert found["text_to_image"].mean == 0.75 and found["image_to_text"].mean == 0.5
    assert found[BOTH].mean == pytest.approx(0.625)
    # one image alone, both, or none
    for way, mean in (("text_to_image", 0.75), ("image_to_text", 0.5), (BOTH, 0.625)):
        drawn = found[way].drawn
        assert {*drawn[np.isfinite(drawn)]} == {0, mean, 1} and np.isnan(drawn).any()


@pytest.mark.parametrize("name", ["mean", "mean_rank", "rsum"])
def test_of_one_image_nothing_is_shown(name):
    one = SimpleNamespace(images=["a"], captions=["x"] * 2, image_of_caption=np.array([0, 0]))
    ones, twos = np.ones(2, int), np.array([1, 2])
    a, b = (measures_of(ones, ranks, one) for ranks in (twos, ones))
    for gain in gains_of(a, b, [name], one, FLIPS)[name].values():
        assert (gain.low, gain.high) == (-gain.most, gain.most)
        assert gain.p_above(0) == gain.p_below(0) == 1 and gain.p_above(-0.9) > 0.4


def test_of_runs_without_a_difference_the_bound_is_the_exact_one_of_none_in_n():
    gain = gain_of(np.zeros(50))
    assert gain.low == -gain.high == pytest.approx(0.05 ** (1 / 50) - 1)
    assert gain.p_below(0) == gain.p_above(0) == 1
    assert gain.images_needed(0.01) == gain.images_needed(0.01, 0.8) == 299


def test_two_images_show_nothing_however_far_apart_the_runs_are():
    gain = gain_of(np.array([-1.0, -1.0]))
    assert gain.high == 1 and gain.p_below(0) >= 0.25


def test_the_size_of_data_that_is_named_is_one_that_does():
    """With as many images of that spread, the bound clears at no difference, and in 80 % at any."""
    lot = np.random.default_rng(7)
    pilot = gain_of(lot.choice([-1, 0, 1], 300, p=[0.1, 0.8, 0.1]).astype(float))
    margin = 0.05
    for power, low, high in ((None, 0.4, 0.6), (0.8, 0.7, 0.9)):
        n = pilot.images_needed(margin, power)
        share = pilot.spread**2
        values = lot.choice([-1, 0, 1], (n, 300), p=[share / 2, 1 - share, share / 2]) / n
        drawn = coin_means(values, np.full_like(values, 1 / n), FLIPS)
        passed = np.quantile(drawn, ALPHA, axis=0) > -margin
        assert low < passed.mean() < high


def simulated(lot: np.random.Generator, gain: float, pairs: int = 400) -> np.ndarray:
    """(N, pairs) of each image, mean recall of both directions in B less that in A.

    Captions of one image are as hard as it is, and two runs find the same ones hard.
    """
    hard = lot.normal(1.5, 1.2, (N, pairs))
    found = []
    for shift in (0.0, gain):
        own = hard + lot.normal(0, 0.5, (N, pairs)) - shift
        level = np.exp(np.repeat(own, 5, axis=0))
        ranks = lot.geometric(1 / (1 + level))
        texts = headline(ranks.ravel())[:, -1].reshape(N, 5, pairs).mean(axis=1)
        images = headline(ranks.reshape(N, 5, pairs).min(axis=1).ravel())[:, -1].reshape(N, pairs)
        found.append((texts + images) / 2)
    return found[1] - found[0]


def gates(values: np.ndarray) -> list[Gain]:
    own = values / len(values)
    drawn = coin_means(own, np.full_like(own, 1 / len(values)), FLIPS)
    return [
        Gain(mean, column, 0.0, len(values), 1.0, np.abs(one).max())
        for mean, column, one in zip(own.sum(axis=0), drawn.T, values.T, strict=True)
    ]


@pytest.fixture(scope="module")
def alike() -> np.ndarray:
    return simulated(np.random.default_rng(11), 0.0)


@pytest.fixture(scope="module")
def worse() -> np.ndarray:
    return simulated(np.random.default_rng(12), -0.4)


def test_of_like_runs_the_gate_fails_one_in_twenty_and_of_a_worse_one_most(alike, worse):
    assert 0.02 <= np.mean([one.high < 0 for one in gates(alike)]) <= 0.08
    assert np.mean([one.high < 0 for one in gates(worse)]) > 0.8
    better = -worse
    assert not any(one.high < 0 for one in gates(better))


def test_of_a_run_that_is_worse_by_the_margin_the_gates_answer_wrongly_one_in_twenty(worse):
    # what the mean of all pairs says is the truth of each
    margin = -worse.mean()
    assert margin > 0.05
    assert 0.02 <= np.mean([one.high < -margin for one in gates(worse)]) <= 0.08
    assert 0.02 <= np.mean([one.low > -margin for one in gates(worse)]) <= 0.08


def test_a_like_run_is_shown_to_be_no_worse_where_the_margin_is_wide(alike):
    found = gates(alike)
    assert np.mean([one.low > -0.08 for one in found]) > 0.8
    assert np.mean([one.low > -0.005 for one in found]) < 0.2


def test_where_few_images_differ_unseen_ones_are_counted_with():
    """One of a hundred captions lost: samples that happen to show none, or one, prove nothing."""
    lot = np.random.default_rng(5)
    lost = (lot.random((100, 400)) < 0.03) / -3
    assert np.mean([one.low > -0.01 for one in gates(lost)]) <= 0.08


def test_headline_measures_have_gains_of_their_own():
    lot = np.random.default_rng(6)
    a, b = (measures_of(*lot.integers(1, 30, (2, 5 * N)), ROWS) for _ in "ab")
    found = gains_of(a, b, list(HEADLINE), ROWS, FLIPS)
    mean = np.mean([found[name][BOTH].mean for name in HEADLINE[:-1]])
    assert found["mean"][BOTH].mean == pytest.approx(mean)
