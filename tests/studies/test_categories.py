"""Categories by words and by clusters, against counts that a reader makes and against loops."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest
from small_run import collection, job_of, read_table, reference_of, unit

from scripts.data.rows import rows_of
from scripts.evaluate.intervals import Resampling
from scripts.studies import study_categories
from scripts.studies.study_categories import (
    Cluster,
    by_clusters,
    by_words,
    category_rows,
    cluster_of_images,
    clusters_of,
    distinctive_words,
    members,
    nearest_first,
)

RESAMPLING = Resampling(100, 0)
SPOKEN = [
    ["A dog runs .", "two DOGS run", "an animal"],
    ["a hotdog", "the dog-eared book", "food"],
    ["一只狗在跑", "a cat"],
    ["dog"],
]


def clouds(seed: int = 0, sizes: tuple[int, ...] = (40, 30, 20)) -> tuple[np.ndarray, np.ndarray]:
    """Images around well separated centres, mixed, and the centre of each."""
    rng = np.random.default_rng(seed)
    centre = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return unit(np.eye(8)[centre] * 5 + rng.normal(size=(len(centre), 8)) * 0.5), centre


def test_a_caption_belongs_where_it_holds_a_word_and_an_image_where_half_of_its_captions_do():
    rows = rows_of(["a", "b", "c", "d"], SPOKEN)
    dogs = members(rows, ["dog", "dogs", "狗"])
    assert np.flatnonzero(dogs["text_to_image"]).tolist() == [0, 1, 4, 6, 8]
    assert dogs["image_to_text"].tolist() == [True, False, True, True]
    assert not members(rows, ["horse"])["image_to_text"].any()


def test_recall_of_a_category_is_that_of_its_queries_and_small_categories_are_left_out():
    _, images, texts = collection([3, 3, 2, 1], seed=0, noise=3)
    reference = reference_of(rows_of(["a", "b", "c", "d"], SPOKEN), images, texts)
    lexicon = {"dogs": ["dog", "dogs", "狗"], "cats": ["cat"]}
    categories = by_words(reference.rows, lexicon)
    found = category_rows(reference, categories, 1, RESAMPLING)
    value = {
        (row["group"], row["direction"]): (row["queries"], row["value"])
        for row in found
        if row["measure"] == "recall@1"
    }
    texts_of, images_of = (reference.run.ranks[way] for way in ("text_to_image", "image_to_text"))
    assert value == {
        ("lexicon: dogs", "text_to_image"): (5, (texts_of[[0, 1, 4, 6, 8]] == 1).mean()),
        ("lexicon: dogs", "image_to_text"): (3, pytest.approx((images_of[[0, 2, 3]] == 1).mean())),
        ("lexicon: cats", "text_to_image"): (1, (texts_of[7] == 1).mean()),
        ("lexicon: cats", "image_to_text"): (1, (images_of[2] == 1).mean()),
    }
    few = category_rows(reference, categories, 4, RESAMPLING)
    assert {(row["group"], row["direction"]) for row in few} == {("lexicon: dogs", "text_to_image")}


def test_clusters_are_the_clouds_that_images_form_the_largest_first():
    images, centre = clouds()
    assert cluster_of_images(images, 3, seed=0).tolist() == centre.tolist()


def test_the_seed_of_the_first_centres_does_not_name_the_clusters():
    images, centre = clouds(1, (25, 25, 10))
    found = [cluster_of_images(images, 3, seed).tolist() for seed in range(5)]
    assert all(one == found[0] for one in found)
    assert np.bincount(found[0]).tolist() == [25, 25, 10]
    assert found[0][0] == 0 or centre[0] == 2


def test_few_images_or_few_different_ones_give_fewer_clusters():
    images, _ = clouds()
    assert set(cluster_of_images(images[:25], 8, 0)) == {0, 1}
    assert set(cluster_of_images(images[:3], 8, 0)) == {0}
    equal = np.repeat(images[:2], 30, axis=0)
    assert set(cluster_of_images(equal, 5, 0)) == {0, 1}


def test_clusters_are_the_same_on_any_number_of_cores():
    from threadpoolctl import threadpool_limits

    images = unit(np.random.default_rng(0).normal(size=(600, 64)))
    found = []
    for limit in (1, 2):
        with threadpool_limits(limits=limit):
            found.append(cluster_of_images(images, 8, 0))
    assert np.array_equal(*found)


def test_images_are_listed_by_their_distance_from_the_centre():
    images, _ = clouds(2)
    chosen = np.array([4, 9, 2, 33, 61])
    centre = images[chosen].astype(float).mean(axis=0)
    expected = sorted(chosen, key=lambda image: float(np.linalg.norm(images[image] - centre)))
    assert nearest_first(images, chosen).tolist() == expected


def brute_bound(word: str, inside: list[list[str]], outside: list[list[str]], per: int) -> float:
    """Lower bound of the log-odds difference by the formula, word by word.

    ``per`` captions, each a list of words, count as one image.
    """
    counts = [Counter(w for text in texts for w in set(text)) for texts in (inside, outside)]
    everywhere = counts[0] + counts[1]
    total = sum(everywhere.values()) / per
    odds, variance = [], 0.0
    for count in counts:
        alpha, alpha_0 = 0.1 * everywhere[word] / per, 0.1 * total
        y, n = count[word] / per, sum(count.values()) / per
        odds.append(log((y + alpha) / (n + alpha_0 - y - alpha)))
        variance += 1 / (y + alpha)
    return odds[0] - odds[1] - 1.96 * sqrt(variance)


def test_words_are_ordered_by_the_formula_of_monroe_colaresi_and_quinn():
    rng = np.random.default_rng(0)
    vocabulary = [f"w{number}x" for number in range(12)]
    cluster_of_image = rng.permutation(np.repeat([0, 1, 2], 40))
    image_of_caption = np.repeat(np.arange(120), 4)
    captions = []
    for cluster in cluster_of_image[image_of_caption]:
        chances = np.linspace(0.05, 0.9, 12)
        chances[cluster * 4 : cluster * 4 + 3] *= (3, 2, 1.4)
        captions.append([w for w, p in zip(vocabulary, chances, strict=True) if rng.random() < p])
    found = distinctive_words(captions, image_of_caption, cluster_of_image, words=5)
    for cluster, words in enumerate(found):
        own = cluster_of_image[image_of_caption] == cluster
        inside = [text for text, mine in zip(captions, own, strict=True) if mine]
        outside = [text for text, mine in zip(captions, own, strict=True) if not mine]
        bounds = {word: brute_bound(word, inside, outside, 4) for word in vocabulary}
        expected = sorted((w for w in vocabulary if bounds[w] > 0), key=lambda w: -bounds[w])
        assert words == expected[:5]
    assert found[0][0] in ("w0x", "w1x")


def test_words_that_are_everywhere_and_words_that_are_rare_name_no_cluster():
    image_of_caption = np.repeat(np.arange(60), 5)
    cluster = np.repeat([0, 1], 30)
    captions = [
        ["the", "snow", "skier"] if image < 30 else ["the", "dog", "dogs", "runs"]
        for image in image_of_caption
    ]
    captions[0] = ["the", "quux"]
    found = distinctive_words(captions, image_of_caption, cluster, words=3)
    # of "dog" and "dogs" one only
    assert found == [["skier", "snow"], ["dog", "runs"]]


def test_chinese_captions_name_clusters_by_their_characters():
    images, centre = clouds(3, (30, 30))
    spoken = [[("雪山" if one == 0 else "海浪") + "上的人"] * 2 for one in centre]
    rows = rows_of([f"{number}.jpg" for number in range(60)], spoken)
    texts = images[rows.image_of_caption]
    found = clusters_of(reference_of(rows, images, texts), 2, 2, seed=0)
    assert sorted(sorted(cluster.words) for cluster in found) == [["山", "雪"], ["浪", "海"]]


def test_a_cluster_holds_its_images_and_their_captions():
    rows, images, texts = collection([2] * 12, seed=1, noise=3)
    reference = reference_of(rows, images, texts)
    clusters = [Cluster(np.array([5, 1, 7]), ["sea"]), Cluster(np.array([0, 2]), ["sea"])]
    clusters.append(Cluster(np.array([3]), []))
    found = category_rows(reference, by_clusters(rows, clusters), 1, RESAMPLING)
    value = {
        (row["group"], row["direction"]): (row["queries"], row["value"])
        for row in found
        if row["measure"] == "recall@5"
    }
    ranks = reference.run.ranks
    captions = ranks["text_to_image"][[2, 3, 10, 11, 14, 15]]
    own = ranks["image_to_text"][[1, 5, 7]]
    assert value["cluster: sea", "text_to_image"] == (6, pytest.approx((captions <= 5).mean()))
    assert value["cluster: sea", "image_to_text"] == (3, pytest.approx((own <= 5).mean()))
    assert value["cluster: sea (2)", "image_to_text"][0] == 2
    assert value["cluster: 3", "image_to_text"][0] == 1


def test_categories_that_are_found_otherwise_have_a_range_beyond_chance_and_others_have_not():
    rows, images, texts = collection([2] * 40, seed=1)
    reference = reference_of(rows, images, texts)
    ranks = {"text_to_image": np.tile([1, 99], 40), "image_to_text": np.repeat([1, 99], 20)}
    reference = replace(reference, run=replace(reference.run, ranks=ranks))
    half = {f"{n}": Cluster(np.arange(40)[n::2], []) for n in range(2)}
    side = {f"{n}": Cluster(np.arange(20) + 20 * n, []) for n in range(2)}
    for clusters, value in ((half, 0), (side, 1)):
        table = category_rows(reference, by_clusters(rows, [*clusters.values()]), 1, RESAMPLING)
        found = {
            (one["direction"], one["measure"]): one["value"]
            for one in table
            if one["group"] == "all categories"
        }
        assert found["image_to_text", "range"] == value
        assert (found["image_to_text", "p_range"] < 0.05) == bool(value)
        # each image has one caption of either kind
        assert found["text_to_image", "range"] == 0
        assert found["text_to_image", "p_range"] == 1


def test_one_cluster_has_no_words_that_set_it_apart():
    rows, images, texts = collection([2] * 9, seed=1)
    (only,) = clusters_of(reference_of(rows, images, texts), 8, 3, seed=0)
    assert (only.words, only.name, len(only.images)) == ([], "", 9)


def test_the_job_lists_each_cluster_with_its_words_and_nearest_images(tmp_path):
    images, centre = clouds(0, (20, 20))
    spoken = [["snow on hills" if one == 0 else "dogs at play"] for one in centre]
    rows = rows_of([f"{number}.jpg" for number in range(40)], spoken)
    reference = reference_of(rows, images, images)
    job = job_of(
        tmp_path, reference, clusters=2, words=2, least=20, lexicon={"dogs": ["dogs"], "no": ["x"]}
    )
    job.output.clusters = str(tmp_path / "clusters.csv")
    study_categories.main(job)
    listed = read_table(job.output.clusters)
    assert [(row["model"], row["cluster"], row["images"]) for row in listed] == [
        ("tiny", "1", "20"),
        ("tiny", "2", "20"),
    ]
    first = int(centre[0])
    assert (listed[0]["words"] == "hills, on") == (first == 0)
    nearest = [listed[0][f"nearest_{place}"] for place in range(1, 6)]
    assert all(centre[int(name.removesuffix(".jpg"))] == first for name in nearest)
    groups = {row["group"] for row in read_table(job.output.table)}
    assert groups == {
        *("lexicon: dogs", "cluster: hills, on", "cluster: at, dogs"),
        "all categories",
    }
