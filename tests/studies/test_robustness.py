"""Recall of damaged captions, against loops over every query."""

from __future__ import annotations

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
    unit,
    weigh_first,
    write_features_of,
)

from scripts.evaluate.intervals import Resampling
from scripts.job import BadInput
from scripts.protocol import DEPTHS
from scripts.studies import study_robustness
from scripts.studies.study_robustness import robustness_rows

# the share of images of which some may differ while none of twelve does (Clopper and Pearson)
HIDDEN = round(1 - 0.025 ** (1 / 12), 9)
RESAMPLING = Resampling(400, 0)
VARIANTS = (("shuffle", 0.5), ("shuffle", 0.1), ("typos", 0.25))
DIRECTIONS = ("text_to_image", "image_to_text")


def damaged_texts(texts: np.ndarray, seed: int = 1) -> dict[tuple[str, float], np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        variant: unit(texts + 3 * variant[1] * rng.normal(size=texts.shape)) for variant in VARIANTS
    }


def brute_ranks(rows, queries, gallery, direction: str) -> list[int]:
    own = rows.image_of_caption
    if direction == "text_to_image":
        images = np.arange(len(rows.images))
        return [
            brute_rank(queries[caption], gallery[images == image], gallery[images != image])
            for caption, image in enumerate(own)
        ]
    return [
        brute_rank(queries[image], gallery[own == image], gallery[own != image])
        for image in range(len(rows.images))
    ]


def recalls(ranks: list[int]) -> list[float]:
    each = [sum(rank <= depth for rank in ranks) / len(ranks) for depth in DEPTHS]
    return [*each, sum(each) / len(each)]


def part_of(table, direction: str, group: str, x: float) -> list[dict]:
    return [
        row for row in table if (row["direction"], row["group"], row["x"]) == (direction, group, x)
    ]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("mapped", [False, True])
def test_recall_and_loss_are_those_of_a_loop_over_queries(direction, mapped, biased):
    rows, images, texts = collection(COUNTS, seed=2, twins=True)
    reference = reference_of(rows, images, texts, biased if mapped else None)
    damaged = damaged_texts(texts)
    table = robustness_rows(reference, damaged, RESAMPLING)

    def ranks_of(with_texts) -> list[int]:
        sides = (with_texts, images) if direction == "text_to_image" else (images, with_texts)
        if mapped:
            sides = cube({}, sides[0], direction), weigh_first({}, sides[1], direction)
        return brute_ranks(rows, *sides, direction)

    before = recalls(ranks_of(texts))
    for kind in ("shuffle", "typos"):
        whole = part_of(table, direction, kind, 0.0)
        assert [row["measure"] for row in whole] == ["recall@1", "recall@5", "recall@10", "mean"]
        assert [row["value"] for row in whole] == pytest.approx(before)
        assert part_of(table, direction, f"{kind}, loss", 0.0) == []
    for (kind, strength), features in damaged.items():
        after = recalls(ranks_of(features))
        found = part_of(table, direction, kind, strength)
        assert [row["value"] for row in found] == pytest.approx(after)
        (loss,) = part_of(table, direction, f"{kind}, loss", strength)
        assert loss["measure"] == "mean"
        assert loss["value"] == pytest.approx(before[3] - after[3], abs=1e-9)
        for row in [*found, loss]:
            assert row["low"] - 1e-9 <= row["value"] <= row["high"] + 1e-9
            assert row["queries"] == len(texts if direction == "text_to_image" else images)


def test_captions_that_are_not_damaged_lose_nothing_but_what_so_few_images_may_hide():
    rows, images, texts = collection(COUNTS)
    table = robustness_rows(reference_of(rows, images, texts), {("drop", 0.3): texts}, RESAMPLING)
    for direction in DIRECTIONS:
        (loss,) = part_of(table, direction, "drop, loss", 0.3)
        assert (loss["value"], loss["low"], loss["high"]) == (0, -HIDDEN, HIDDEN)
        pairs = zip(
            part_of(table, direction, "drop", 0.0),
            part_of(table, direction, "drop", 0.3),
            strict=True,
        )
        assert all(one | {"x": 0} == other | {"x": 0} for one, other in pairs)


def test_a_loss_is_surer_than_the_two_recalls_that_it_stands_between():
    # paired: the same queries succeed and fail before and after
    rows, images, texts = collection([4] * 60, seed=5, dim=4)
    damaged = {
        ("drop", 0.1): unit(texts + 0.05 * np.random.default_rng(0).normal(size=texts.shape))
    }
    table = robustness_rows(reference_of(rows, images, texts), damaged, RESAMPLING)
    (loss,) = part_of(table, "text_to_image", "drop, loss", 0.1)
    *_, mean = part_of(table, "text_to_image", "drop", 0.1)
    assert loss["high"] - loss["low"] < 0.5 * (mean["high"] - mean["low"])


@pytest.fixture
def job(tmp_path):
    rows, images, texts = collection(COUNTS)
    task = job_of(tmp_path, reference_of(rows, images, texts))
    damaged = damaged_texts(texts)
    features = np.concatenate(list(damaged.values()))
    variants = [{"kind": kind, "strength": strength} for kind, strength in damaged]
    folder = tmp_path / "results" / "tiny" / "test"

    def write(features=features, **about):
        npy, sidecar = write_features_of(folder, "damaged.plain", features, rows, **about)
        task.input.damaged, task.input.damaged_sidecars = [npy], [sidecar]
        return task

    write.variants = variants
    return write


def test_the_rule_reads_what_encoding_writes(job):
    task = job(variants=job.variants, copies=3)
    study_robustness.main(task)
    table = read_table(task.output.table)
    strengths = [
        (row["group"], row["x"])
        for row in table
        if row["direction"] == "text_to_image" and row["measure"] == "recall@1"
    ]
    assert strengths == [
        ("shuffle", "0.0"), ("shuffle", "0.1"), ("shuffle", "0.5"),
        ("typos", "0.0"), ("typos", "0.25"),
    ]  # fmt: skip


def test_features_of_fewer_variants_than_the_sidecar_names_are_refused(job):
    task = job(variants=job.variants[:2])
    with pytest.raises(BadInput, match="2 for each of the captions"):
        study_robustness.main(task)


def test_features_that_are_not_of_damaged_captions_are_refused(job):
    with pytest.raises(BadInput, match='no "variants"'):
        study_robustness.main(job())


def test_a_damage_that_costs_no_query_anything_is_as_sure_as_its_images_are_many():
    rows, images, _ = collection(COUNTS, seed=2)
    texts = images[rows.image_of_caption]
    table = robustness_rows(reference_of(rows, images, texts), {("typos", 0.5): texts}, RESAMPLING)
    for way in DIRECTIONS:
        (loss,) = part_of(table, way, "typos, loss", 0.5)
        assert (loss["value"], loss["low"], loss["high"]) == (0, -HIDDEN, HIDDEN)
        for row in part_of(table, way, "typos", 0.5):
            assert row["value"] == row["high"] == 1 and row["low"] < 0.9
