"""Recall on each split in galleries of one size, against loops over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from small_run import brute_rank, collection, reference_of

from scripts.data.rows import SPLITS
from scripts.evaluate.intervals import Resampling
from scripts.studies.fit import Features, fit_rows
from scripts.studies.reference import Reference
from scripts.studies.table import FIT

RESAMPLING = Resampling(100, 0)
UNEVEN = [2, 3, 1, 4, 2, 5, 1, 3]


def splits_of(**counts: list[int]) -> tuple[Reference, dict[str, Features]]:
    """The run on test, and the other splits; some images and captions of each tie."""
    parts = {
        split: collection(counts[split], seed=seed, noise=2, twins=len(counts[split]) > 1)
        for seed, split in enumerate(counts)
    }
    others = {split: Features(*part) for split, part in parts.items() if split != "test"}
    return reference_of(*parts["test"]), others


def brute_ranks(part: Features, images: list[int]) -> dict[str, list[int]]:
    """The best rank of each query among some images and their captions, all scores looked at."""
    owner = part.rows.image_of_caption.tolist()
    asked = [caption for caption, image in enumerate(owner) if image in images]
    own = {image: [one for one in asked if owner[one] == image] for image in images}
    return {
        "text_to_image": [
            brute_rank(
                part.texts[one],
                part.images[[owner[one]]],
                part.images[[image for image in images if image != owner[one]]],
            )
            for one in asked
        ],
        "image_to_text": [
            brute_rank(
                part.images[image],
                part.texts[own[image]],
                part.texts[[one for one in asked if one not in own[image]]],
            )
            for image in images
        ],
    }


@pytest.mark.parametrize("smallest", SPLITS)
def test_each_split_is_ranked_in_as_many_images_as_the_smallest_has(smallest):
    counts = dict.fromkeys(SPLITS, UNEVEN * 2) | {smallest: UNEVEN[:7]}
    reference, others = splits_of(**counts)
    table = fit_rows(reference, others, RESAMPLING)
    sides = others | {"test": Features(reference.rows, reference.images, reference.texts)}
    assert {(one["group"], one["x"]) for one in table} == {(f"{one}, {FIT}", 7) for one in SPLITS}
    found = {(one["group"], one["direction"], one["measure"]): one for one in table}
    for split, part in sides.items():
        # seven of sixteen, evenly spaced
        images = list(range(7)) if split == smallest else [0, 2, 4, 6, 9, 11, 13]
        for way, ranks in brute_ranks(part, images).items():
            shares = [np.mean([rank <= k for rank in ranks]) for k in (1, 5, 10)]
            names = ("recall@1", "recall@5", "recall@10", "mean")
            for name, share in zip(names, [*shares, np.mean(shares)], strict=True):
                row = found[f"{split}, {FIT}", way, name]
                assert row["value"] == pytest.approx(share, abs=1e-8)
                assert row["queries"] == len(ranks)
                assert row["low"] <= row["value"] <= row["high"]


def test_one_image_finds_itself_and_none_is_compared_with_nothing():
    reference, others = splits_of(train=[3, 2], val=[2], test=UNEVEN)
    table = fit_rows(reference, others, RESAMPLING)
    assert len(table) == 24 and {one["value"] for one in table} == {1.0}
    empty = Features(*collection([], seed=0))
    assert fit_rows(reference, others | {"val": empty}, RESAMPLING) == []
    assert fit_rows(reference, {"train": others["train"]}, RESAMPLING) == []
    assert fit_rows(reference, {}, RESAMPLING) == []


def test_scores_that_are_no_plain_cosines_are_not_compared(biased):
    reference, others = splits_of(train=[3, 2], val=[2], test=UNEVEN)
    own = reference_of(reference.rows, reference.images, reference.texts, biased)
    assert fit_rows(own, others, RESAMPLING) == []
