"""Kendall's tau of resamples, against scipy and against pairs counted one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import kendalltau

from scripts.evaluate.intervals import Resampling, resample_counts
from scripts.studies import kendall
from scripts.studies.kendall import interval_of_tau, pair_counts, taus


def rated(seed: int, images: int = 9, rows: int = 80, scores: int = 30, levels: int = 4):
    """Scores with ties, ratings that follow them loosely, images with uneven numbers of rows."""
    lot = np.random.default_rng(seed)
    score = lot.integers(0, scores, rows) / 8.0
    rating = np.clip(score * 8 / scores * levels + lot.normal(0, 1, rows), 0, levels - 1).round()
    image = lot.integers(0, images, rows) ** 2 // images
    return score, rating, np.unique(image, return_inverse=True)[1]


def by_pairs(score, rating, variant: str) -> float:
    """Kendall (1945) and Stuart (1953), pair by pair."""
    concordant = discordant = scores_tied = ratings_tied = 0
    for one, other in itertools.combinations(range(len(score)), 2):
        ahead = (score[one] > score[other]) - (score[one] < score[other])
        better = (rating[one] > rating[other]) - (rating[one] < rating[other])
        concordant += ahead * better > 0
        discordant += ahead * better < 0
        scores_tied += ahead == 0
        ratings_tied += better == 0
    n = len(score)
    pairs = n * (n - 1) / 2
    if variant == "b":
        below = (pairs - scores_tied) * (pairs - ratings_tied)
        return (concordant - discordant) / math.sqrt(below)
    classes = min(len(set(score)), len(set(rating)))
    return 2 * (concordant - discordant) / (n**2 * (classes - 1) / classes)


@pytest.mark.parametrize("variant", ["b", "c"])
@pytest.mark.parametrize("seed", range(5))
def test_each_image_once_gives_the_plain_tau(seed, variant):
    score, rating, image = rated(seed)
    counts = pair_counts(score, rating, image)
    (found,) = taus(counts, np.ones((1, image.max() + 1)), variant)
    assert found == pytest.approx(by_pairs(score.tolist(), rating.tolist(), variant), abs=1e-12)
    assert found == pytest.approx(kendalltau(score, rating, variant=variant).statistic, abs=1e-12)


@pytest.mark.parametrize("at_once", [1, 7, 1000])
@pytest.mark.parametrize("variant", ["b", "c"])
@pytest.mark.parametrize("scores", [3, 30, 10_000])
def test_a_resample_has_the_tau_of_its_rows_written_out(monkeypatch, scores, variant, at_once):
    """With few scores, whole blocks tie; rows that are drawn twice tie with themselves."""
    monkeypatch.setattr(kendall, "AT_ONCE", at_once)
    score, rating, image = rated(11, scores=scores)
    counts = pair_counts(score, rating, image)
    for copies in next(resample_counts(image.max() + 1, Resampling(40, 5))):
        rows = np.repeat(np.arange(len(score)), copies[image].astype(int))
        expected = kendalltau(score[rows], rating[rows], variant=variant).statistic
        (found,) = taus(counts, copies[None], variant)
        assert found == pytest.approx(expected, abs=1e-12)


def test_the_classes_of_tau_c_are_counted_in_each_resample():
    """Fewer distinct scores than ratings in some resamples, fewer ratings in others."""
    lot = np.random.default_rng(3)
    image = np.repeat(np.arange(6), 3)
    score = np.repeat([0.1, 0.2, 0.1, 0.2, 0.3, 0.9], 3)
    score[-1] = 0.5
    rating = lot.integers(0, 5, 18).astype(float)
    rating[:6] = 2.0
    counts = pair_counts(score, rating, image)
    seen = set()
    copies = next(resample_counts(6, Resampling(300, 0)))
    found = taus(counts, copies, "c")
    for drawn, tau in zip(copies.astype(int), found, strict=True):
        rows = np.repeat(np.arange(18), drawn[image])
        distinct = len(set(score[rows])), len(set(rating[rows]))
        seen.add(np.sign(distinct[0] - distinct[1]))
        if min(distinct) > 1:
            expected = kendalltau(score[rows], rating[rows], variant="c").statistic
            assert tau == pytest.approx(expected, abs=1e-12)
        else:
            assert np.isnan(tau)
    assert seen == {-1, 0, 1}


def test_without_different_ratings_there_is_no_tau():
    score, _, image = rated(0)
    counts = pair_counts(score, np.ones(len(score)), image)
    for variant in ("b", "c"):
        assert np.isnan(taus(counts, np.ones((2, image.max() + 1)), variant)).all()


@pytest.mark.parametrize("variant", ["b", "c"])
def test_the_interval_is_that_of_resamples_written_out(variant):
    score, rating, image = rated(2, rows=200)
    image = image * 10 + 3  # only some images have rows
    drawn = np.unique(image, return_inverse=True)[1]
    samples = []
    for copies in next(resample_counts(drawn.max() + 1, Resampling(200, 9))):
        rows = np.repeat(np.arange(len(score)), copies[drawn].astype(int))
        samples.append(kendalltau(score[rows], rating[rows], variant=variant).statistic)
    found = interval_of_tau(score, rating, image, variant, Resampling(200, 9))
    assert found == pytest.approx(np.quantile(samples, (0.025, 0.975)), abs=1e-9)
    whole = kendalltau(score, rating, variant=variant).statistic
    assert found[0] < whole < found[1]


def test_the_order_of_rows_changes_nothing_at_all():
    score, rating, image = rated(4, rows=500, scores=50)
    order = np.random.default_rng(0).permutation(500)
    for variant in ("b", "c"):
        one = interval_of_tau(score, rating, image, variant, Resampling(500, 0))
        other = interval_of_tau(
            score[order], rating[order], image[order], variant, Resampling(500, 0)
        )
        assert one.tolist() == other.tolist()
