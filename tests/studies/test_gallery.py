"""Expected recall in random galleries, against all galleries that there are, and against draws."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from small_run import brute_rank, collection, job_of, read_table, reference_of

from scripts.evaluate.intervals import Resampling
from scripts.measures import RECALLS
from scripts.protocol import DEPTHS
from scripts.studies import study_gallery
from scripts.studies.study_gallery import (
    expected_hits,
    gallery_rows,
    others_of_captions,
    others_of_images,
)

RESAMPLING = Resampling(100, 0)
DIRECTIONS = ("text_to_image", "image_to_text")


def drawn_ranks(rows, images, texts, direction: str, gallery: list[int]) -> dict[int, int]:
    """By the definition: rank of each query whose image is in a gallery of some images."""
    inside = np.isin(rows.image_of_caption, gallery)
    ranks = {}
    if direction == "text_to_image":
        for caption in np.flatnonzero(inside):
            own = rows.image_of_caption[caption]
            wrong = [image for image in gallery if image != own]
            ranks[caption] = brute_rank(texts[caption], images[[own]], images[wrong])
    else:
        for image in gallery:
            mine = rows.image_of_caption == image
            ranks[image] = brute_rank(images[image], texts[mine], texts[inside & ~mine])
    return ranks


def values_of(table, direction: str, size: int) -> list[float]:
    return [
        row["value"]
        for row in table
        if (row["direction"], row["x"]) == (direction, size) and row["measure"] in RECALLS
    ]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(
    ("counts", "twins"), [([1, 4, 2, 6, 3, 12], False), ([3, 1, 5, 2, 11, 2, 4], True)]
)
def test_every_gallery_that_can_be_drawn_gives_the_same_mean(direction, counts, twins):
    rows, images, texts = collection(counts, seed=3, dim=3, noise=2, twins=twins)
    n = len(counts)
    table = gallery_rows(reference_of(rows, images, texts), list(range(1, n)), RESAMPLING)
    for size in range(1, n + 1):
        ranks: dict[int, list[int]] = {}
        for gallery in combinations(range(n), size):
            found = drawn_ranks(rows, images, texts, direction, list(gallery))
            for query, value in found.items():
                ranks.setdefault(query, []).append(value)
        assert {len(found) for found in ranks.values()} == {comb(n - 1, size - 1)}
        expected = [
            np.mean([np.mean([rank <= depth for rank in found]) for found in ranks.values()])
            for depth in DEPTHS
        ]
        assert values_of(table, direction, size) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", [5, 30, 55])
def test_galleries_drawn_by_brute_force_agree_within_the_error_of_sampling(direction, size):
    rng = np.random.default_rng(7)
    counts = rng.integers(1, 8, 60).tolist()
    rows, images, texts = collection(counts, seed=1, dim=5, noise=1.5, twins=True)
    table = gallery_rows(reference_of(rows, images, texts), [size], RESAMPLING)
    # one query, one gallery around it: independent draws, whose standard error is known
    scores = images.astype(float) @ texts.astype(float).T
    draws = []
    for _ in range(6000):
        query = rng.integers(0, len(texts) if direction == "text_to_image" else 60)
        own = rows.image_of_caption[query] if direction == "text_to_image" else query
        others = rng.choice(np.delete(np.arange(60), own), size - 1, replace=False)
        if direction == "text_to_image":
            ahead = scores[others, query] >= scores[own, query] - 1e-6
        else:
            wrong = scores[query, np.isin(rows.image_of_caption, others)]
            ahead = wrong >= scores[query, rows.image_of_caption == query].max() - 1e-6
        draws.append([ahead.sum() < depth for depth in DEPTHS])
    means, errors = np.mean(draws, axis=0), np.std(draws, axis=0) / np.sqrt(len(draws))
    found = values_of(table, direction, size)
    assert np.all(np.abs(found - means) <= 4 * errors + 1e-12), (found, means, errors)
    assert 0 < found[0] < 1


def test_the_full_gallery_gives_the_recall_of_the_run_to_the_last_digit():
    rows, images, texts = collection([3, 1, 6, 2, 9] * 20, seed=2, dim=4, twins=True)
    reference = reference_of(rows, images, texts)
    others = {
        "text_to_image": others_of_captions(reference.run.ranks["text_to_image"], 100),
        "image_to_text": others_of_images(images, texts, rows.image_of_caption),
    }
    for direction in DIRECTIONS:
        found = expected_hits(others[direction], 100, 100)
        ranks = reference.run.ranks[direction]
        for place, depth in enumerate(DEPTHS):
            assert found[:, place].tolist() == (ranks <= depth).astype(float).tolist()


def test_a_gallery_of_the_own_image_alone_is_always_a_hit():
    rows, images, texts = collection([2, 3, 4], seed=0, noise=5)
    table = gallery_rows(reference_of(rows, images, texts), [1], RESAMPLING)
    assert [value for way in DIRECTIONS for value in values_of(table, way, 1)] == [1.0] * 6


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_change_is_from_the_smallest_gallery_on_the_same_queries(direction):
    rows, images, texts = collection([4] * 60, seed=1, dim=4, noise=1.5)
    table = gallery_rows(reference_of(rows, images, texts), [50, 55], RESAMPLING)
    smallest = values_of(table, direction, 50)[0]
    for size in (55, 60):
        (change,) = [
            row for row in table
            if (row["direction"], row["x"], row["measure"]) == (direction, size, "recall@1_change")
        ]  # fmt: skip
        assert change["value"] == pytest.approx(values_of(table, direction, size)[0] - smallest)
        # expectations can only fall, query by query, while the intervals of both recalls overlap
        assert change["low"] < change["value"] < change["high"] < 0


def test_sizes_stand_in_order_each_once_and_none_beyond_the_full_one():
    rows, images, texts = collection([2] * 9, seed=0)
    table = gallery_rows(reference_of(rows, images, texts), [5, 3, 5, 9, 50], RESAMPLING)
    sizes = [
        row["x"]
        for row in table
        if row["direction"] == "image_to_text" and row["measure"] in RECALLS
    ]
    assert sizes == [3, 3, 3, 5, 5, 5, 9, 9, 9]
    assert {row["queries"] for row in table} == {9, 18}


@pytest.mark.parametrize("size", [10, 1000, 50_000, 99_990])
def test_a_hundred_thousand_images_lose_no_digits(size):
    stats = pytest.importorskip("scipy.stats")
    images = 100_000
    ranks = np.array([1, 2, 7, 300, 40_000, images])
    found = expected_hits(others_of_captions(ranks, images), images, size)
    for place, depth in enumerate(DEPTHS):
        expected = stats.hypergeom.cdf(depth - 1, images - 1, ranks - 1, size - 1)
        assert found[:, place] == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_groups_among_a_hundred_thousand_images_equal_whole_number_arithmetic():
    images, size = 100_000, 2_000
    # images with none, one, two and five captions ahead, and fifty with more than counts
    groups = {1: 900, 2: 300, 5: 70}
    others = np.zeros((1, 10), dtype=np.int64)
    others[0, 0] = images - 1 - sum(groups.values()) - 50
    for count, number in groups.items():
        others[0, count] = number
    hits = []
    for depth in DEPTHS:
        ways = 0
        for ones in range(depth):
            for twos in range(depth):
                for fives in range(depth):
                    if ones + 2 * twos + 5 * fives < depth:
                        rest = size - 1 - ones - twos - fives
                        ways += (
                            comb(900, ones)
                            * comb(300, twos)
                            * comb(70, fives)
                            * comb(int(others[0, 0]), rest)
                        )
        hits.append(float(Fraction(ways, comb(images - 1, size - 1))))
    assert expected_hits(others, images, size)[0] == pytest.approx(hits, rel=1e-7)


def test_counts_do_not_depend_on_the_block(monkeypatch):
    rows, images, texts = collection([4, 1, 7] * 10, seed=5, dim=3, twins=True)
    whole = others_of_images(images, texts, rows.image_of_caption)

    def in_small_blocks(*arrays):
        return study_gallery_ahead(*arrays, block_mb=0.005)

    study_gallery_ahead = study_gallery.ahead_of
    monkeypatch.setattr(study_gallery, "ahead_of", in_small_blocks)
    assert others_of_images(images, texts, rows.image_of_caption).tolist() == whole.tolist()


def test_scores_are_those_of_the_scorer(biased):
    rows, images, texts = collection([3] * 12, seed=4, noise=2)
    plain, other = reference_of(rows, images, texts), reference_of(rows, images, texts, biased)
    assert plain.run.ranks["image_to_text"].tolist() != other.run.ranks["image_to_text"].tolist()
    table = gallery_rows(other, [], RESAMPLING)
    for direction in DIRECTIONS:
        expected = [(other.run.ranks[direction] <= depth).mean() for depth in DEPTHS]
        assert values_of(table, direction, 12) == pytest.approx(expected)


def test_the_job_writes_one_table_for_all_models(tmp_path):
    reference = reference_of(*collection([2, 3, 1, 4], seed=0))
    job = job_of(tmp_path, reference, sizes=[2, 3, 100])
    study_gallery.main(job)
    table = read_table(job.output.table)
    # three recalls of each size, and how the first differs from that of the smallest
    of_one = ["2"] * 3 + ["3"] * 3 + ["4"] * 3 + ["3", "4"]
    assert [row["x"] for row in table] == of_one * 2
    assert {row["model"] for row in table} == {"tiny"}
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in table)
