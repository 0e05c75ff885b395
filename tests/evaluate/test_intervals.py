"""Intervals and tests of significance, against loops, scipy, and what they promise."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from scripts.evaluate.intervals import (
    Resampling,
    bootstrap_means,
    bootstrap_medians,
    holm,
    interval_of_means,
    paired_differences,
    percentile_interval,
    randomisation_p,
    resample_counts,
)


def uneven(seed: int, images: int = 12):
    """Values of queries that belong to images, one to six each."""
    lot = np.random.default_rng(seed)
    image_of_query = np.repeat(np.arange(images), lot.integers(1, 7, images))
    return lot.integers(0, 2, (len(image_of_query), 3)).astype(float), image_of_query


def test_every_resample_draws_as_many_images_as_there_are():
    blocks = list(resample_counts(7, Resampling(50, 1)))
    counts = np.concatenate(blocks)
    assert counts.shape == (50, 7) and (counts.sum(axis=1) == 7).all()
    assert len(np.unique(counts, axis=0)) > 40


@pytest.mark.parametrize("at_once", [1, 7, 100, 2**20])
def test_resamples_are_the_same_however_many_are_drawn_at_a_time(at_once, monkeypatch):
    expected = np.concatenate(list(resample_counts(7, Resampling(50, 1))))
    monkeypatch.setattr("scripts.evaluate.intervals.AT_ONCE", at_once)
    # none of those that were drawn before, which are the same, too
    assert (np.concatenate(list(resample_counts(7, Resampling(50, 1)))) == expected).all()
    monkeypatch.setattr("scripts.evaluate.intervals.KEPT", 0)
    assert (np.concatenate(list(resample_counts(7, Resampling(50, 1)))) == expected).all()


def test_each_image_is_drawn_alike_often():
    counts = np.concatenate(list(resample_counts(5, Resampling(20_000, 0))))
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.03)
    assert counts.var(axis=0) == pytest.approx(1 - 1 / 5, abs=0.05)


def test_means_of_resamples_equal_a_loop_that_copies_queries():
    values, image_of_query = uneven(0)
    counts = np.concatenate(list(resample_counts(12, Resampling(40, 3))))
    found = bootstrap_means(values, image_of_query, Resampling(40, 3))
    for drawn, means in zip(counts.astype(int), found, strict=True):
        queries = [
            query
            for image, times in enumerate(drawn)
            for query in list(np.flatnonzero(image_of_query == image)) * times
        ]
        assert means == pytest.approx(values[queries].mean(axis=0))


def test_medians_of_resamples_equal_numpy_on_copied_queries():
    lot = np.random.default_rng(2)
    _, image_of_query = uneven(2)
    ranks = lot.integers(1, 9, len(image_of_query))
    counts = np.concatenate(list(resample_counts(12, Resampling(60, 4))))
    found = bootstrap_medians(ranks, image_of_query, Resampling(60, 4))
    for drawn, median in zip(counts.astype(int), found, strict=True):
        assert median == np.median(np.repeat(ranks, drawn[image_of_query]))


@pytest.mark.parametrize("near", [0.01, 0.3, 2.5, 100.0])
def test_medians_are_the_same_wherever_they_are_looked_for_first(near, monkeypatch):
    lot = np.random.default_rng(3)
    # one image has as many queries as all others, so that its being drawn moves the median far
    image_of_query = np.repeat(np.arange(40), [200, *[5] * 39])
    ranks = np.concatenate([lot.integers(1, 9, 200), lot.integers(5, 300, 195)])
    counts = np.concatenate(list(resample_counts(40, Resampling(80, 5))))
    monkeypatch.setattr("scripts.evaluate.intervals.NEAR", near)
    found = bootstrap_medians(ranks, image_of_query, Resampling(80, 5))
    expected = [np.median(np.repeat(ranks, drawn[image_of_query])) for drawn in counts.astype(int)]
    assert found.tolist() == expected


def test_images_without_a_query_play_no_part():
    values, image_of_query = uneven(1)
    kept = image_of_query % 3 > 0
    relabelled = np.unique(image_of_query[kept], return_inverse=True)[1]
    found = bootstrap_means(values[kept], image_of_query[kept], Resampling(30, 0))
    assert np.array_equal(found, bootstrap_means(values[kept], relabelled, Resampling(30, 0)))


def test_blocks_change_nothing(monkeypatch):
    from scripts.evaluate import intervals

    values, image_of_query = uneven(5)
    ranks = (1 + values[:, 0] * 3 + values[:, 1]).astype(int)
    whole = bootstrap_means(values, image_of_query, Resampling(100, 0))
    medians = bootstrap_medians(ranks, image_of_query, Resampling(100, 0))
    p = randomisation_p(values - 0.4, image_of_query, 500, seed=0)
    monkeypatch.setattr(intervals, "AT_ONCE", 50)
    monkeypatch.setattr(intervals, "KEPT", 0)
    assert np.array_equal(bootstrap_means(values, image_of_query, Resampling(100, 0)), whole)
    assert np.array_equal(bootstrap_medians(ranks, image_of_query, Resampling(100, 0)), medians)
    assert np.array_equal(randomisation_p(values - 0.4, image_of_query, 500, seed=0), p)


def test_intervals_equal_scipys_percentile_bootstrap():
    stats = pytest.importorskip("scipy.stats")
    lot = np.random.default_rng(0)
    values = lot.normal(size=200)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=lot
    ).confidence_interval
    mine = interval_of_means(values[:, None], np.arange(200), Resampling(20_000, 0))[0]
    assert mine == pytest.approx([theirs.low, theirs.high], abs=0.01)


@pytest.mark.parametrize(("captions", "spread"), [(1, 0.0), (5, 0.35)])
def test_the_interval_covers_the_truth_as_often_as_it_says(captions, spread):
    """Images differ in how easy they are, so captions of one succeed and fail together."""
    lot = np.random.default_rng(captions)
    images, trials, truth = 120, 300, 0.5
    image_of_query = np.repeat(np.arange(images), captions)
    covered = 0
    for trial in range(trials):
        ease = truth + lot.choice([-spread, spread], images)
        hits = (lot.random(images * captions) < ease[image_of_query]).astype(float)
        low, high = interval_of_means(hits[:, None], image_of_query, Resampling(400, trial))[0]
        covered += low <= truth <= high
    # 95% less what 400 resamples and 120 images cost; three standard errors of 300 trials
    assert covered / trials == pytest.approx(0.945, abs=0.04)


def test_captions_taken_as_independent_would_be_too_sure():
    lot = np.random.default_rng(0)
    image_of_query = np.repeat(np.arange(200), 5)
    hits = np.repeat(lot.random(200) < 0.5, 5).astype(float)[:, None]
    own = np.ptp(interval_of_means(hits, image_of_query, Resampling(2000, 0)))
    naive = np.ptp(interval_of_means(hits, np.arange(1000), Resampling(2000, 0)))
    assert own / naive == pytest.approx(np.sqrt(5), rel=0.1)


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("images", [1, 2, 40, 1000])
def test_a_share_that_no_query_changes_has_scipys_exact_interval_by_images(images, end):
    """Five captions of an image are no five draws: the images are what is counted."""
    stats = pytest.importorskip("scipy.stats")
    values = np.full((5 * images, 1), float(end))
    image_of_query = np.repeat(np.arange(images), 5)
    found = interval_of_means(values, image_of_query, Resampling(100, 0), shares=True)[0]
    exact = stats.binomtest(end * images, images).proportion_ci(0.95, method="exact")
    assert found == pytest.approx([exact.low, exact.high], abs=1e-9)
    assert found[end] == end and np.ptp(found) > 0


def test_only_shares_at_an_end_get_exact_intervals():
    """Not what lies between, nor a rank of 1 or a paired difference of 0 all through."""
    lot = np.random.default_rng(0)
    some = (lot.random((60, 1)) < 0.9).astype(float)
    values = np.hstack([np.ones((60, 1)), np.zeros((60, 1)), np.full((60, 1), 0.5), some])
    images, resampling = np.repeat(np.arange(12), 5), Resampling(200, 0)
    plain = interval_of_means(values, images, resampling)
    assert plain[:3].tolist() == [[1, 1], [0, 0], [0.5, 0.5]]
    marked = np.array([False, True, True, True])
    found = interval_of_means(values, images, resampling, marked)
    assert found[1].tolist() == [0, pytest.approx(1 - 0.025 ** (1 / 12))]
    assert np.array_equal(found[[0, 2, 3]], plain[[0, 2, 3]])


def test_the_exact_interval_covers_the_truth_where_captions_go_together_or_do_not():
    """The chance of seeing n of n, while the bound would leave the truth out, is at most 2.5%."""
    lot = np.random.default_rng(0)
    images = np.repeat(np.arange(12), 5)
    least = interval_of_means(np.ones((60, 1)), images, Resampling(100, 0), shares=True)[0, 0]
    for together in (True, False):
        # the largest share that the interval leaves out
        draws = lot.random((40_000, 12, 1 if together else 5)) < least - 1e-6
        assert draws.all(axis=(1, 2)).mean() <= 0.0275


def test_the_interval_is_the_middle_of_the_samples():
    samples = np.stack([np.arange(1001.0), np.full(1001, 0.25)], axis=1)
    assert percentile_interval(samples).tolist() == [[25, 975], [0.25, 0.25]]
    assert percentile_interval(samples, level=0.5)[0].tolist() == [250, 750]


def all_signs(differences: np.ndarray, image_of_query: np.ndarray) -> float:
    """The exact p-value: every assignment of signs to images."""
    sums = np.array([differences[image_of_query == i].sum() for i in np.unique(image_of_query)])
    totals = [abs(np.dot(signs, sums)) for signs in product([-1, 1], repeat=len(sums))]
    return np.mean(np.array(totals) >= abs(sums.sum()) - 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_p_values_agree_with_trying_every_sign(seed):
    lot = np.random.default_rng(seed)
    image_of_query = np.repeat(np.arange(10), lot.integers(1, 4, 10))
    differences = lot.integers(-1, 2, (len(image_of_query), 4)) + 0.25 * (seed - 1)
    found = randomisation_p(differences, image_of_query, 20_000, seed=1)
    exact = [all_signs(column, image_of_query) for column in differences.T]
    assert found == pytest.approx(exact, abs=0.012)


def test_p_values_agree_with_scipys_permutation_test():
    stats = pytest.importorskip("scipy.stats")
    lot = np.random.default_rng(4)
    one, other = lot.random(60), lot.random(60) + 0.05
    theirs = stats.permutation_test(
        (one, other), lambda a, b, axis: (a - b).mean(axis=axis), vectorized=True,
        permutation_type="samples", n_resamples=20_000, rng=lot,
    )  # fmt: skip
    mine = randomisation_p((one - other)[:, None], np.arange(60), 20_000, seed=0)[0]
    assert mine == pytest.approx(theirs.pvalue, abs=0.012)


def test_equal_runs_have_a_p_value_of_one_and_a_clear_difference_the_smallest():
    differences = np.stack([np.zeros(50), np.ones(50)], axis=1)
    assert randomisation_p(differences, np.arange(50), 999, seed=0).tolist() == [1.0, 0.001]


def test_p_values_of_equal_runs_are_spread_evenly():
    lot = np.random.default_rng(0)
    differences = lot.normal(size=(80, 600))
    p = randomisation_p(differences, np.arange(80), 2000, seed=0)
    assert pytest.importorskip("scipy.stats").kstest(p, "uniform").pvalue > 0.001
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.03)


def test_holm_adjusts_as_the_paper_does():
    # 0.01*4, then 0.02*3, then 0.03*2 kept at 0.06, then 0.2
    assert holm(np.array([0.2, 0.02, 0.01, 0.03])) == pytest.approx([0.2, 0.06, 0.04, 0.06])
    assert holm(np.array([0.5, 0.6])).tolist() == [1, 1]
    assert holm(np.array([])).tolist() == []


@pytest.mark.parametrize("seed", range(5))
def test_holm_rejects_what_stepping_down_rejects(seed):
    lot = np.random.default_rng(seed)
    p = lot.random(12) ** 4
    rejected = np.zeros(12, dtype=bool)
    for step, place in enumerate(np.argsort(p)):
        if p[place] > 0.05 / (12 - step):
            break
        rejected[place] = True
    assert np.array_equal(holm(p) <= 0.05, rejected)


def test_a_paired_difference_of_the_same_queries_is_that_of_their_differences():
    values, image_of_query = uneven(5)
    other = uneven(6)[0][: len(values)]
    other = np.resize(other, values.shape)
    found, bounds = paired_differences(
        values, other, image_of_query, image_of_query, Resampling(200, 2)
    )
    assert found == pytest.approx((values - other).mean(axis=0))
    expected = bootstrap_means(values - other, image_of_query, Resampling(200, 2))
    assert bounds == pytest.approx(percentile_interval(expected), abs=1e-8)


def test_a_part_against_all_is_drawn_with_all_and_draws_without_it_tell_nothing():
    values, image_of_query = uneven(7, images=6)
    part = image_of_query < 2
    found, bounds = paired_differences(
        values[part], values, image_of_query[part], image_of_query, Resampling(80, 3)
    )
    assert found == pytest.approx(values[part].mean(axis=0) - values.mean(axis=0))
    drawn = []
    for times in np.concatenate(list(resample_counts(6, Resampling(80, 3)))).astype(int):
        queries = np.repeat(np.arange(len(values)), times[image_of_query])
        if part[queries].any():
            drawn.append(values[queries[part[queries]]].mean(axis=0) - values[queries].mean(axis=0))
    assert len(drawn) < 80
    assert bounds == pytest.approx(percentile_interval(np.array(drawn)), abs=1e-8)


def test_where_no_query_differs_so_many_images_at_most_are_likely_to():
    # 0.025 is the chance that none of n images differs where 1 - 0.025^(1/n) of all do
    from scipy.stats import binom

    values = uneven(8, images=9)
    _, ((low, high), *_) = paired_differences(
        values[0], values[0], values[1], values[1], Resampling(100, 0)
    )
    assert low == -high and binom.cdf(0, 9, high) == pytest.approx(0.025, abs=1e-6)


def test_paired_intervals_hold_a_small_difference_that_two_separate_ones_hide():
    # ten of a hundred images are better under one run, and none is worse
    before = np.random.default_rng(0).integers(0, 2, (100, 1)).astype(float)
    after = before.copy()
    after[np.flatnonzero(before[:, 0] == 0)[:10]] = 1
    of = np.arange(100)
    _, ((low, high),) = paired_differences(after, before, of, of, Resampling(500, 0))
    assert 0 < low < 0.1 < high
    apart = [interval_of_means(one, of, Resampling(500, 0))[0] for one in (before, after)]
    assert apart[0][1] > apart[1][0]
