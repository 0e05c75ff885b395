"""Gap, cosines and hubs, against loops over all pairs and all lists, and against scipy."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import skew
from small_run import COUNTS, collection, job_of, read_table, reference_of, unit

from scripts.evaluate.intervals import Resampling
from scripts.job import BadInput
from scripts.retrieve.similarity import read_rankings, write_rankings
from scripts.studies import study_geometry
from scripts.studies.jackknife import jackknife_interval
from scripts.studies.study_geometry import (
    all_hubness,
    all_hubs,
    gap_rows,
    gaps_without,
    hub_rows,
    hubness_of,
    hubness_rows,
    skewness,
    skewness_without,
)

RESAMPLING = Resampling(300, 0)
DIRECTIONS = ("text_to_image", "image_to_text")


@pytest.fixture
def reference():
    return reference_of(*collection(COUNTS, seed=4, dim=3, noise=2, twins=True))


def occurrences(reference, direction: str, k: int) -> tuple[Counter, Counter, int]:
    """In how many lists each item stands, in how many rightly, and how many lists there are."""
    rows, own = reference.rows, reference.rows.image_of_caption
    in_lists, rightly = Counter(), Counter()
    tops = reference.run.tops[direction]
    for query, top in enumerate(tops):
        for item in top[:k]:
            in_lists[int(item)] += 1
            pair = (query, item) if direction == "text_to_image" else (item, query)
            rightly[int(item)] += own[pair[0]] == pair[1]
    assert len(tops) == len(rows.captions if direction == "text_to_image" else rows.images)
    return in_lists, rightly, len(tops)


def test_gap_and_cosines_are_those_of_loops_over_all_pairs(reference):
    images, texts = reference.images.astype(float), reference.texts.astype(float)
    right, wrong = [], []
    for caption, text in enumerate(texts):
        for image, features in enumerate(images):
            pair = right if reference.rows.image_of_caption[caption] == image else wrong
            pair.append(float(text @ features))
    # a caption is held against the mean of its own wrong images
    lone = np.mean(np.reshape(wrong, (len(texts), -1)).mean(axis=1))
    middle = [sum(column) / len(column) for column in images.T]
    other = [sum(column) / len(column) for column in texts.T]
    expected = {
        "gap": sum((a - b) ** 2 for a, b in zip(middle, other, strict=True)) ** 0.5,
        "cosine_right": np.mean(right),
        "cosine_wrong": np.mean(wrong),
        "cosine_lead": np.mean(right) - lone,
    }
    table = gap_rows(reference, RESAMPLING)
    assert {row["measure"]: row["value"] for row in table} == pytest.approx(expected)
    for row in table:
        assert row["low"] < row["value"] < row["high"]
        assert row["direction"] == ""


def test_clouds_that_lie_on_each_other_have_no_gap():
    rows, images, _ = collection([1] * 8)
    gap, right, wrong, _ = gap_rows(reference_of(rows, images, images), RESAMPLING)
    assert gap["value"] == 0
    assert right["value"] == pytest.approx(1)
    assert wrong["value"] < right["value"]


def test_a_single_image_has_a_gap_without_an_interval_and_no_wrong_pair():
    gap, right = gap_rows(reference_of(*collection([3])), RESAMPLING)
    assert gap["value"] > 0
    assert (gap["low"], gap["high"]) == (None, None)
    assert right["measure"] == "cosine_right"


def test_leaving_out_an_image_is_leaving_out_its_captions_too():
    rows, images, texts = collection(COUNTS, seed=1)
    own = rows.image_of_caption
    found = gaps_without(images.astype(float), texts.astype(float), own)
    for image in range(len(images)):
        kept = np.arange(len(images)) != image
        centroids = images[kept].mean(axis=0), texts[own != image].mean(axis=0)
        assert found[image] == pytest.approx(np.linalg.norm(centroids[0] - centroids[1]), rel=1e-5)


def hubness_of_run(reference, direction: str, k: int):
    """The rows of a run that is its own reference."""
    own = hubness_of(reference.run, reference.rows, direction, k)
    return hubness_rows(reference.run, direction, own, own)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("k", [1, 3, 10])
def test_hubness_is_that_of_a_count_over_all_lists(reference, direction, k):
    counts, _, lists = occurrences(reference, direction, k)
    gallery = len(reference.images if direction == "text_to_image" else reference.texts)
    each = [counts[item] for item in range(gallery)]
    table = hubness_of_run(reference, direction, k)
    assert {row["measure"]: row["value"] for row in table} == pytest.approx(
        {
            "skewness": skew(each),
            "antihubs": sum(count == 0 for count in each) / gallery,
            "largest": max(each),
        }
    )
    assert {(row["queries"], row["x"]) for row in table} == {(lists, k)}


def test_skewness_is_scipys_and_that_of_equal_counts_is_none():
    lot = np.random.default_rng(0)
    for _ in range(20):
        counts = lot.poisson(3, 50)
        assert skewness(counts) == pytest.approx(skew(counts))
    assert np.isnan(skewness(np.full(5, 2)))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_skewness_without_an_image_is_that_of_the_lists_that_are_left(reference, direction):
    lists = reference.run.tops[direction][:, :4]
    gallery = len(reference.images if direction == "text_to_image" else reference.texts)
    image_of_query = (
        reference.rows.image_of_caption
        if direction == "text_to_image"
        else np.arange(len(reference.images))
    )
    found = skewness_without(lists, image_of_query, gallery)
    for place, image in enumerate(np.unique(image_of_query)):
        left = Counter(int(item) for item in lists[image_of_query != image].ravel())
        assert found[place] == pytest.approx(skew([left[item] for item in range(gallery)]))


def test_the_interval_holds_the_skewness_as_often_as_it_says():
    # queries by lot from a fixed gallery with hubs; the truth is the mean over very many samples
    lot = np.random.default_rng(1)
    gallery, queries, k = 60, 300, 5
    weights = lot.gamma(0.7, size=gallery) + 0.05

    def sample() -> np.ndarray:
        keys = lot.exponential(size=(queries, gallery)) / weights
        return np.argpartition(keys, k, axis=1)[:, :k]

    def value(lists: np.ndarray) -> float:
        return skewness(np.bincount(lists.ravel(), minlength=gallery))

    truth = np.mean([value(sample()) for _ in range(600)])
    inside = 0
    for _ in range(200):
        lists = sample()
        low, high = jackknife_interval(
            value(lists), skewness_without(lists, np.arange(queries), gallery)
        )
        inside += low <= truth <= high
    # 95% of 200, less four standard errors
    assert inside / 200 > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 200)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_worst_hubs_are_those_in_most_lists(reference, direction):
    counts, rightly, lists = occurrences(reference, direction, 3)
    gallery = reference.rows.images if direction == "text_to_image" else reference.rows.captions
    table = hub_rows(reference.run, reference.rows, direction, neighbours=3, hubs=4)
    expected = sorted(range(len(gallery)), key=lambda item: (-counts[item], item))[:4]
    assert [row["item"] for row in table] == expected
    for place, row in enumerate(table, start=1):
        item = row["item"]
        assert (row["place"], row["reference_place"]) == (place, place)
        assert row["occurrences"] == counts[item]
        assert row["right"] == rightly[item]
        assert row["expected"] == pytest.approx(3 * lists / len(gallery), abs=1e-4)
        named = row["image"] if direction == "text_to_image" else row["caption"]
        assert named == gallery[item]
        if direction == "image_to_text":
            own = reference.rows.image_of_caption[item]
            assert row["image"] == reference.rows.images[own]
        else:
            assert row["caption"] == ""


def test_other_scorers_tell_their_own_worst_hubs_and_what_became_of_the_references():
    rows, images, texts = collection(COUNTS, seed=4, dim=3, noise=2)
    reference = reference_of(rows, images, texts)
    other = reference_of(rows, unit(images + 0.7), texts).run
    runs = [
        reference.run,
        replace(other, scorer="centred"),
        replace(other, prompt="photo"),
        replace(other, model="big", scorer="centred"),
    ]
    table = all_hubs([reference], runs, neighbours=3, hubs=2)
    assert {(row["model"], row["prompt"], row["scorer"]) for row in table} == {
        ("tiny", "plain", "cosine"), ("tiny", "plain", "centred")
    }  # fmt: skip
    for direction in DIRECTIONS:
        part = [row for row in table if row["direction"] == direction]
        mine = [row for row in part if row["scorer"] == "cosine"]
        theirs = [row for row in part if row["scorer"] == "centred"]
        assert [row["reference_place"] for row in mine] == [1, 2]
        place_of = {row["item"]: row["place"] for row in mine}
        assert {row["item"] for row in mine} <= {row["item"] for row in theirs}
        assert [row["place"] for row in theirs[:2]] == [1, 2]
        counts, _, _ = occurrences(replace(reference, run=other), direction, 3)
        gallery = images if direction == "text_to_image" else texts
        for row in theirs:
            assert row["occurrences"] == counts[row["item"]]
            assert row["reference_place"] == place_of.get(row["item"])
            assert row["place"] == 1 + sum(
                (-counts[item], item) < (-counts[row["item"]], row["item"])
                for item in range(len(gallery))
            )


def test_a_change_of_skewness_leaves_out_the_same_image_of_both_runs():
    rows, images, texts = collection(COUNTS, seed=4, dim=3, noise=2)
    reference = reference_of(rows, images, texts)
    other = replace(reference_of(rows, unit(images + 0.7), texts).run, prompt="photo")
    runs = [other, reference.run, replace(other, model="big")]
    big = replace(reference, run=runs[-1])
    table = all_hubness([reference, big], runs, neighbours=3)
    changes = [one for one in table if one["measure"] == "skewness_change"]
    # neither reference run has a change
    assert [(one["model"], one["prompt"]) for one in changes] == [("tiny", "photo")] * 2
    for change in changes:
        way = change["direction"]
        gallery = len(images if way == "text_to_image" else texts)
        own = rows.image_of_caption if way == "text_to_image" else np.arange(len(images))

        def skewed(run, kept, way=way, gallery=gallery) -> float:
            left = Counter(int(item) for item in run.tops[way][kept][:, :3].ravel())
            return skew([left[item] for item in range(gallery)])

        every = np.ones(len(own), dtype=bool)
        value = skewed(other, every) - skewed(reference.run, every)
        without = [
            skewed(other, own != image) - skewed(reference.run, own != image)
            for image in range(len(images))
        ]
        n, mean = len(without), sum(without) / len(without)
        half = 1.959964 * ((n - 1) / n * sum((one - mean) ** 2 for one in without)) ** 0.5
        assert change["value"] == pytest.approx(value)
        assert change["high"] - change["value"] == pytest.approx(half, abs=1e-8)
        assert change["value"] - change["low"] == pytest.approx(half, abs=1e-8)


def test_lists_that_are_too_short_are_told(reference):
    with pytest.raises(BadInput, match=r"10 nearest items.*\n.*neighbours: 11"):
        hubness_of_run(reference, "image_to_text", 11)


def test_lists_as_long_as_the_gallery_have_no_hubs():
    reference = reference_of(*collection([1, 2, 1]))
    skewed, antihubs, largest = hubness_of_run(reference, "text_to_image", 10)
    assert skewed["value"] is None
    assert (antihubs["value"], largest["value"], largest["x"]) == (0, 4, 3)


def test_the_rule_writes_both_tables(tmp_path, reference):
    task = job_of(tmp_path, reference, neighbours=3, hubs=2, prompts=[])
    task.input.prompted = task.input.prompted_sidecars = []
    stored = read_rankings(task.input.rankings[0], reference.rows)
    other = tmp_path / "results" / "tiny" / "plain" / "other" / "rankings.npz"
    write_rankings(other, stored)
    task.input.runs = [task.input.rankings[0], str(other)]
    task.output.hubs = str(tmp_path / "hubs.csv")
    study_geometry.main(task)
    table = read_table(task.output.table)
    assert [row["measure"] for row in table if row["direction"] == ""] == [
        "gap", "cosine_right", "cosine_wrong", "cosine_lead"
    ]  # fmt: skip
    assert sum(row["measure"] == "skewness" for row in table) == 4
    hubs = read_table(task.output.hubs)
    assert len(hubs) == 8
    assert [row["occurrences"] for row in hubs[:2]] == [row["occurrences"] for row in hubs[2:4]]
