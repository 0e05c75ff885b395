"""Length and number of captions, against loops over every choice of captions."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np
import pytest
from small_run import (
    COUNTS,
    brute_rank,
    collection,
    cube,
    job_of,
    read_table,
    reference_of,
    weigh_first,
)

from scripts.data.rows import rows_of
from scripts.evaluate.intervals import Resampling
from scripts.measures import HEADLINE
from scripts.protocol import DEPTHS
from scripts.studies import study_captions
from scripts.studies.ahead import ahead_of, ranks_of_one
from scripts.studies.study_captions import (
    agreement_of,
    choices,
    drawn_captions,
    lengths_of,
    number_rows,
    numbers_used,
    part_rows,
    parts_by_value,
    per_image_values,
    together_values,
)
from scripts.studies.words import pattern_of, shared, split_at, unsaid, words_in, words_of

RESAMPLING = Resampling(100, 0)
MANY = 10_000


def recalls(ranks: list[int]) -> list[float]:
    """Recall at each depth and their mean, counted one by one."""
    each = [sum(rank <= depth for rank in ranks) / len(ranks) for depth in DEPTHS]
    return [*each, sum(each) / len(each)]


def captions_of(rows, image: int) -> list[int]:
    return [place for place, own in enumerate(rows.image_of_caption) if own == image]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A dog's toy, well-worn!", ["a", "dog's", "toy", "well-worn"]),
        ("两只狗在雪地里", list("两只狗在雪地里")),
        ("一只dog跑", ["一", "只", "dog", "跑"]),
        ("𠮷野家", list("𠮷野家")),
        ("  ... ䷀", []),
        ("ÉCOLE 3 Straße", ["école", "3", "strasse"]),
    ],
)
def test_words_are_counted_with_spaces_and_without(text, words):
    assert words_of(text) == words
    assert words_in(text) == len(words)


@pytest.mark.parametrize(
    ("text", "captions", "words"),
    [
        ("Two pink dogs run", ["a dog runs", "it is black"], ["Two", "pink"]),
        ("a picture of the thing on it", ["something"], ["thing"]),
        ("Red ball, red ball . RED dog 's", ["dogs"], ["Red", "ball"]),
        ("a black-and-white cat", ["white cats and black mice"], []),
        ("riding, stopped, babies, buses", ["ride", "stops", "a baby by the bus"], []),
        ("a dog", ["a hotdog"], ["dog"]),
        ("一只粉色的小狗在滑雪", ["一只黑色的狗在雪地里"], ["粉", "小", "滑"]),
        ("两个男孩踢足球", ["一个女孩在踢球"], ["两", "男", "足"]),
        ("孩子骑着自行车", ["小狗"], ["孩子骑", "自行车"]),
        ("?! <b>", ["b"], []),
        ("", ["a dog"], []),
    ],
)
def test_words_that_differ_are_those_that_no_caption_of_the_image_says(text, captions, words):
    assert unsaid(text, captions) == words


@pytest.mark.parametrize(
    ("text", "captions", "words"),
    [
        ("Two pink dogs run", ["a dog runs", "it is black"], ["dogs", "run"]),
        ("a picture of the thing on it", ["a thing on it"], ["thing"]),
        ("Red ball, red ball .", ["red"], ["Red"]),
        ("一只粉色的小狗在滑雪", ["一只黑色的狗在雪地里"], ["色", "狗", "雪"]),
        ("the of it", ["the of it"], []),
        ("a dog", [], []),
    ],
)
def test_words_that_are_shared_tell_something_and_are_said_in_any_form(text, captions, words):
    assert shared(text, captions) == words
    assert not {*words} & {*unsaid(text, captions)}


def test_a_text_is_split_at_words_and_loses_nothing():
    text = "A Dog runs, hotdog! 一只狗"
    assert split_at(text, ["dog", "狗"]) == [
        ("A ", False), ("Dog", True), (" runs, hotdog! 一只", False), ("狗", True)
    ]  # fmt: skip
    assert split_at(text, []) == [(text, False)]


def test_a_word_is_found_whole_in_any_case_and_a_chinese_one_anywhere():
    english, chinese = pattern_of(["dog", "a single"]), pattern_of(["狗", "dog"])
    texts = ("Dog!", "hotdog", "dogs", "A  single", "A single")
    assert [text for text in texts if english.search(text)] == ["Dog!", "A single"]
    assert [bool(chinese.search(t)) for t in ("两只狗在跑", "一只dog跑", "猫")] == [
        True,
        True,
        False,
    ]
    assert not pattern_of([]).search("anything")


def test_lengths_are_divided_into_parts_of_about_equal_size():
    lengths = np.random.default_rng(0).permutation(np.repeat([3, 4, 5, 6, 7, 8, 9, 30], 25))
    parts = parts_by_value(lengths, 4)
    assert np.bincount(parts).tolist() == [50, 50, 50, 50]
    assert [set(lengths[parts == part].tolist()) for part in range(4)] == [
        {3, 4}, {5, 6}, {7, 8}, {9, 30},
    ]  # fmt: skip


def test_captions_of_one_length_stay_together_though_parts_get_uneven_or_fewer():
    assert parts_by_value(np.array([5, 5, 5, 5, 5, 2]), 4).tolist() == [1, 1, 1, 1, 1, 0]
    assert parts_by_value(np.array([5, 5, 5]), 4).tolist() == [0, 0, 0]
    assert parts_by_value(np.array([9]), 2).tolist() == [0]


def test_recall_by_length_is_that_of_the_captions_of_that_length():
    rows, images, texts = collection([4] * 10, seed=1, noise=2)
    spoken = [[" ".join(["word"] * k) for k in (2, 2, 7, 11)] for _ in range(10)]
    reference = reference_of(rows_of(rows.images, spoken), images, texts)
    table = part_rows(reference, {"length": lengths_of(reference.rows)}, 3, RESAMPLING)
    found = [row for row in table if row["measure"] == "recall@5"]
    ranks = reference.run.ranks["text_to_image"].reshape(10, 4)
    assert [row["x"] for row in found] == [2, 7, 11]
    assert [row["queries"] for row in found] == [20, 10, 10]
    assert [row["value"] for row in found] == pytest.approx(
        [(ranks[:, :2] <= 5).mean(), (ranks[:, 2] <= 5).mean(), (ranks[:, 3] <= 5).mean()]
    )


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("twins", [False, True])
def test_captions_together_are_the_mean_over_every_choice_of_them(k, twins):
    rows, images, texts = collection(COUNTS, seed=2, dim=4, noise=2, twins=twins)
    used, values = together_values(reference_of(rows, images, texts), k, MANY, seed=0)
    assert used.tolist() == [image for image, count in enumerate(COUNTS) if count >= k]
    for image, value in zip(used, values, strict=True):
        ranks = []
        for chosen in combinations(captions_of(rows, image), k):
            query = texts[list(chosen)].astype(float).mean(axis=0)
            query /= np.linalg.norm(query)
            ranks.append(brute_rank(query, images[[image]], np.delete(images, image, axis=0)))
        assert value == pytest.approx(recalls(ranks))


def test_texts_are_averaged_before_the_scorer_maps_them(biased):
    rows, images, texts = collection([3] * 12, seed=5, dim=4, noise=2)
    reference = reference_of(rows, images, texts, biased)
    _, values = together_values(reference, 2, MANY, seed=0)
    gallery = weigh_first({}, images, "")
    for image, value in enumerate(values):
        ranks = []
        for one, other in combinations(captions_of(rows, image), 2):
            mean = texts[one].astype(float) + texts[other]
            query = cube({}, mean / np.linalg.norm(mean), "")
            ranks.append(brute_rank(query, gallery[[image]], np.delete(gallery, image, axis=0)))
        assert value == pytest.approx(recalls(ranks))


def test_one_caption_at_a_time_gives_the_ranks_of_the_run():
    rows, images, texts = collection(COUNTS, seed=3, dim=4, noise=2, twins=True)
    reference = reference_of(rows, images, texts)
    used, values = together_values(reference, 1, MANY, seed=0)
    ranks = reference.run.ranks["text_to_image"]
    for image in used:
        own = ranks[rows.image_of_caption == image]
        assert values[image] == pytest.approx(recalls(own.tolist()))


def test_captions_that_cancel_are_a_query_that_finds_nothing():
    rows, images, texts = collection([2] * 12, seed=0)
    texts[1] = -texts[0]
    _, values = together_values(reference_of(rows, images, texts), 2, MANY, seed=0)
    assert values[0].tolist() == [0, 0, 0, 0]


def test_all_choices_are_taken_once_where_they_are_few_and_draws_where_they_are_many():
    counts = np.array([5, 3, 20, 5, 2])
    found = {
        int(counts[images[0]]): (images.tolist(), places)
        for images, places in choices(counts, 3, draws=12, seed=0)
    }
    assert sorted(found) == [3, 5, 20]
    assert found[5][0] == [0, 3]
    for place in range(2):
        assert {tuple(one) for one in found[5][1][place]} == set(combinations(range(5), 3))
    assert found[3][1].tolist() == [[[0, 1, 2]]]
    drawn = found[20][1]
    assert drawn.shape == (1, 12, 3)
    assert all(len(set(one)) == 3 and max(one) < 20 for one in drawn[0].tolist())
    assert len({tuple(one) for one in drawn[0].tolist()}) > 6


def test_draws_agree_with_all_choices_within_the_error_of_sampling():
    rows, images, texts = collection([12] * 14, seed=6, dim=4, noise=2.5)
    reference = reference_of(rows, images, texts)
    assert comb(12, 4) > 400
    _, every = together_values(reference, 4, MANY, seed=0)
    _, drawn = together_values(reference, 4, 400, seed=1)
    # a share of hits p over 400 draws has a standard error of at most 0.025, the mean of three less
    assert np.abs(every - drawn).max() < 4 * 0.025
    assert np.abs((every - drawn).mean(axis=0)).max() < 4 * 0.025 / np.sqrt(14)
    assert not np.array_equal(every, drawn)


def test_a_gallery_holds_k_captions_of_each_image_or_all_and_more_of_them_add_to_fewer():
    image_of = np.repeat(np.arange(len(COUNTS)), COUNTS)
    drawn, k_of_column = drawn_captions(image_of, [1, 2, 5, 7], draws=30, seed=0)
    assert np.bincount(k_of_column).tolist() == [0, 30, 30, 0, 0, 30, 0, 1]
    for column, k in zip(drawn.T, k_of_column, strict=True):
        assert np.bincount(image_of[column]).tolist() == [min(k, count) for count in COUNTS]
    ones, twos = drawn[:, k_of_column == 1], drawn[:, k_of_column == 2]
    assert not (ones & ~twos).any()
    # each of an image's captions is drawn about equally often: 30 times one of 5
    assert ones[image_of == 0].sum(axis=1).min() >= 1


@pytest.mark.parametrize("twins", [False, True])
def test_captions_per_image_are_the_mean_over_drawn_galleries(twins):
    rows, images, texts = collection(COUNTS, seed=4, dim=4, noise=2, twins=twins)
    reference = reference_of(rows, images, texts)
    found = per_image_values(reference, [1, 3, 7], draws=5, seed=9)
    drawn, k_of_column = drawn_captions(rows.image_of_caption, [1, 3, 7], 5, 9)
    for k, values in found.items():
        for image in range(len(images)):
            mine = rows.image_of_caption == image
            ranks = [
                brute_rank(images[image], texts[column & mine], texts[column & ~mine])
                for column in drawn[:, k_of_column == k].T
            ]
            assert values[image] == pytest.approx(recalls(ranks))


def test_all_captions_per_image_give_the_recall_of_the_run(biased):
    rows, images, texts = collection(COUNTS, seed=4, noise=2, twins=True)
    reference = reference_of(rows, images, texts, biased)
    found = per_image_values(reference, [max(COUNTS)], draws=5, seed=0)[max(COUNTS)]
    ranks = reference.run.ranks["image_to_text"]
    assert found.mean(axis=0) == pytest.approx(recalls(ranks.tolist()))


def test_ahead_is_exact_for_bars_of_one_query_in_blocks_of_any_size():
    rows, images, texts = collection([6] * 9, seed=8, dim=3, twins=True)
    own = np.sum(images[rows.image_of_caption].astype(float) * texts, axis=1)
    scores = images.astype(float) @ texts.astype(float).T
    expected = scores[rows.image_of_caption] >= own[:, None] - 1e-6
    for block_mb in (1e-6, 0.01, 64):
        blocks = list(ahead_of(images, texts, own, rows.image_of_caption, block_mb))
        assert np.array_equal(np.concatenate([ahead for _, ahead in blocks]), expected)
        assert [start for start, _ in blocks] == np.cumsum(
            [0, *(len(ahead) for _, ahead in blocks[:-1])]
        ).tolist()


def test_ranks_of_one_right_item_equal_brute_force_with_ties():
    rows, images, texts = collection([6] * 9, seed=8, dim=3, twins=True)
    found = ranks_of_one(texts, images, rows.image_of_caption)
    assert found.tolist() == [
        brute_rank(text, images[[own]], np.delete(images, own, axis=0))
        for text, own in zip(texts, rows.image_of_caption, strict=True)
    ]


def test_numbers_of_captions_are_all_of_few_and_ever_sparser_ones_of_many():
    assert numbers_used(1) == [1]
    assert numbers_used(5) == [1, 2, 3, 4, 5]
    assert numbers_used(50) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 40, 50]


def test_rows_say_how_many_images_have_so_many_captions():
    rows, images, texts = collection([1, 3, 2, 3], seed=0)
    table = number_rows(reference_of(rows, images, texts), 4, RESAMPLING)
    counted = {
        (row["group"], row["x"]): row["queries"] for row in table if row["measure"] == "recall@10"
    }
    assert counted == {
        ("captions together", 1): 4, ("captions together", 2): 3, ("captions together", 3): 2,
        ("captions per image", 1): 4, ("captions per image", 2): 4, ("captions per image", 3): 4,
    }  # fmt: skip


def test_what_more_captions_change_is_seen_on_the_images_that_have_as_many():
    rows, images, texts = collection([1, 3, 2, 3] * 6, seed=1, dim=3, noise=2)
    reference = reference_of(rows, images, texts)
    table = number_rows(reference, 4, RESAMPLING)
    changes = {
        (one["group"], one["x"]): one for one in table if one["measure"] == "recall@10_change"
    }
    assert [(group, x, one["queries"]) for (group, x), one in changes.items()] == [
        ("captions together", 2, 18), ("captions together", 3, 12),
        ("captions per image", 2, 24), ("captions per image", 3, 24),
    ]  # fmt: skip
    (_, alone), (used, values) = (together_values(reference, k, 4, 0) for k in (1, 3))
    expected = (values - alone[used])[:, DEPTHS.index(10)].mean()
    assert changes["captions together", 3]["value"] == pytest.approx(expected, abs=1e-8)
    of_k = per_image_values(reference, [1, 2, 3], 4, 0)
    expected = (of_k[3] - of_k[1])[:, DEPTHS.index(10)].mean()
    assert changes["captions per image", 3]["value"] == pytest.approx(expected, abs=1e-8)


def test_parts_by_length_have_a_range_and_one_part_has_none():
    rows, images, texts = collection([4] * 30, seed=1, dim=3)
    spoken = [[" ".join(["word"] * k) for k in (2, 5, 7, 11)] for _ in range(30)]
    reference = reference_of(rows_of(rows.images, spoken), images, texts)
    # of each image, what is second in length is never found
    ranks = {"text_to_image": np.tile([1, 99, 1, 1], 30)}
    reference = replace(reference, run=replace(reference.run, ranks=ranks))
    lengths = {"length": lengths_of(reference.rows)}
    table = part_rows(reference, lengths, 4, RESAMPLING)
    assert [(one["measure"], one["value"]) for one in table[-2:]] == [
        ("range", 1), ("p_range", pytest.approx(1 / 101))
    ]  # fmt: skip
    alone = part_rows(reference, lengths, 1, RESAMPLING)
    assert {one["measure"] for one in alone} == set(HEADLINE)


def test_agreement_is_the_share_of_a_caption_s_words_that_others_of_its_image_say():
    spoken = [
        ["A dog runs on the beach", "Two dogs ran", "the cat"],
        ["alone with a cat"],
        ["一只狗在跑", "狗跑了", "of the"],
    ]
    found = agreement_of(rows_of(["a", "b", "c"], spoken))
    # of dog, run, beach one is said by the second, of two, dog, ran one by the first; none of cat,
    # which only the other image has; both of \u72d7 and \u8dd1; function words are no words
    expected = [100 / 3, 100 / 3, 0, np.nan, 100, 100, np.nan]
    assert found == pytest.approx(expected, nan_ok=True)


def test_captions_that_are_alone_with_their_image_are_in_no_part_by_agreement():
    rows, images, texts = collection([1, 1, *[2] * 20], seed=1, noise=2)
    spoken = [["sand"], ["snow"], *[["dog", "dog"]] * 10, *[["dog", "cat"]] * 10]
    reference = reference_of(rows_of(rows.images, spoken), images, texts)
    table = part_rows(reference, {"agreement": agreement_of(reference.rows)}, 2, RESAMPLING)
    found = [row for row in table if row["measure"] == "recall@5"]
    ranks = reference.run.ranks["text_to_image"]
    assert [(row["x"], row["queries"]) for row in found] == [(0, 20), (100, 20)]
    assert [row["value"] for row in found] == pytest.approx(
        [(ranks[22:] <= 5).mean(), (ranks[2:22] <= 5).mean()]
    )
    assert table[-1]["measure"] == "p_range" and table[-1]["queries"] == 40
    assert part_rows(reference, {"agreement": np.full(42, np.nan)}, 2, RESAMPLING) == []


def test_the_same_job_writes_the_same_bytes(tmp_path):
    reference = reference_of(*collection([12, 1, 7, 9], seed=0))
    written = []
    for place in ("one", "other"):
        job = job_of(tmp_path / place, reference, parts=2, draws=3)
        study_captions.main(job)
        written.append((tmp_path / place / "table.csv").read_bytes())
    assert written[0] == written[1]
    groups = {row["group"] for row in read_table(job.output.table)}
    assert groups == {"length", "agreement", "captions together", "captions per image"}
