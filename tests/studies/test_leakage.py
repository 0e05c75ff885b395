"""What splits share, against loops over all pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_run import (
    collection,
    job_of,
    read_table,
    reference_of,
    unit,
    write_dataset,
    write_features_of,
)

from scripts.data.rows import rows_of
from scripts.evaluate.intervals import Resampling
from scripts.studies import study_leakage
from scripts.studies.study_leakage import (
    LISTED,
    PAIR_COLUMNS,
    Pairs,
    identical_pairs,
    leakage_rows,
    near_pairs,
    shared_captions,
    with_identical,
)
from scripts.studies.table import FIT

RESAMPLING = Resampling(100, 0)


def brute_pairs(images, others, threshold: float) -> list[tuple[int, int]]:
    """The nearest ``LISTED`` of each image's others from the threshold on, all pairs looked at."""
    found = []
    for place, image in enumerate(images.astype(float)):
        cosines = [round(float(np.sum(image * other)), 9) for other in others.astype(float)]
        near = [other for other in range(len(others)) if cosines[other] >= threshold - 1e-6]
        near.sort(key=lambda other: (-cosines[other], other))
        found += [(place, other) for other in near[:LISTED]]
    return found


def pairs_of(found: Pairs) -> list[tuple[int, int]]:
    return list(zip(found.test.tolist(), found.other.tolist(), strict=True))


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("block_mb", [1e-6, 64])
def test_near_pairs_are_those_of_a_loop_with_ties_and_in_blocks_of_any_size(threshold, block_mb):
    rng = np.random.default_rng(0)
    images, others = unit(rng.normal(size=(30, 3))), unit(rng.normal(size=(50, 3)))
    others[7], others[20:28] = images[4], images[9]  # equal, one of them eight times
    found = near_pairs(images, others, threshold, block_mb)
    assert pairs_of(found) == brute_pairs(images, others, threshold)
    expected = [images[a].astype(float) @ others[b].astype(float) for a, b in pairs_of(found)]
    assert found.cosine == pytest.approx(expected, abs=1e-8)


def test_equal_features_are_near_at_a_threshold_of_one():
    images = unit(np.random.default_rng(1).normal(size=(40, 512)))
    assert pairs_of(near_pairs(images, images[:3], 1.0)) == [(0, 0), (1, 1), (2, 2)]


def test_another_split_of_few_images_or_none_has_few_pairs_or_none():
    images = unit(np.random.default_rng(1).normal(size=(4, 8)))
    assert pairs_of(near_pairs(images, images[:2], 0.99)) == [(0, 0), (1, 1)]
    assert pairs_of(near_pairs(images, images[:0], 0.0)) == []


def test_images_with_the_same_bytes_are_found_once_for_each_pair():
    assert identical_pairs(["a", "b", "c"], ["c", "x", "a", "c"]) == [(0, 2), (2, 0), (2, 3)]
    assert identical_pairs(["a"], []) == []


def test_pairs_with_the_same_bytes_are_listed_however_far_their_features_are():
    images, others = unit(np.eye(3)), unit(np.array([[1, 0, 0], [1, 1, 0]]))
    pairs, identical = with_identical(
        near_pairs(images, others, 0.9), images, others, [(0, 0), (2, 1)]
    )
    assert pairs_of(pairs) == [(0, 0), (2, 1)]
    assert identical.tolist() == [True, True]
    pairs, identical = with_identical(near_pairs(images, others, 0.5), images, others, [(2, 1)])
    assert pairs_of(pairs) == [(0, 0), (0, 1), (1, 1), (2, 1)]
    assert identical.tolist() == [False, False, False, True]
    assert pairs.cosine == pytest.approx([1, 0.5**0.5, 0.5**0.5, 0])


def test_captions_are_shared_where_they_are_equal_letter_for_letter():
    rows = rows_of(["a", "b"], [["A dog.", "a dog."], ["a cat"]])
    others = [rows_of(["c"], [["a dog."]]), rows_of(["d"], [["a cat ", "A dog"]])]
    assert shared_captions(rows, others).tolist() == [False, True, False]
    assert shared_captions(rows, []).tolist() == [False, False, False]


def test_only_queries_drop_out_and_the_gallery_stays():
    rows, images, texts = collection([2, 3, 1, 4], seed=0, noise=3)
    reference = reference_of(rows, images, texts)
    near = np.array([True, False, False, False])
    shared = np.zeros(10, dtype=bool)
    shared[[2, 5]] = True  # a caption of the second image, and the third image's only one
    table = leakage_rows(reference, near, shared, RESAMPLING)
    found = {(row["direction"], row["group"], row["measure"]): row for row in table}
    of_texts, of_images = (reference.run.ranks[w] for w in ("text_to_image", "image_to_text"))
    kept = {
        ("text_to_image", "all queries"): of_texts,
        ("text_to_image", "without near-duplicates"): of_texts[2:],
        ("text_to_image", "without shared captions"): of_texts[[0, 1, 3, 4, 6, 7, 8, 9]],
        ("image_to_text", "all queries"): of_images,
        ("image_to_text", "without near-duplicates"): of_images[1:],
        ("image_to_text", "without shared captions"): of_images[[0, 3]],
    }
    for (direction, group), ranks in kept.items():
        row = found[direction, group, "recall@1"]
        assert (row["queries"], row["value"]) == (
            len(ranks), pytest.approx(np.mean(ranks == 1)),
        )  # fmt: skip
    counted = found["image_to_text", "all queries", "near_duplicates"]
    assert (counted["value"], counted["queries"]) == (1, 4)
    counted = found["text_to_image", "all queries", "shared_captions"]
    assert (counted["value"], counted["queries"]) == (2, 10)


def test_where_every_query_drops_out_no_recall_is_told():
    rows, images, texts = collection([2, 3], seed=0)
    reference = reference_of(rows, images, texts)
    table = leakage_rows(reference, np.ones(2, bool), np.arange(5) < 1, RESAMPLING)
    assert "without near-duplicates" not in {row["group"] for row in table}
    assert "without shared captions" in {row["group"] for row in table}


def by_draws(hit, image_of, kept, images: int, resamples: int, seed: int) -> np.ndarray:
    """Recall of those that are kept less recall of all, in draws of images made one by one."""
    lot = np.random.default_rng(seed)
    changes = []
    for _ in range(resamples):
        queries = np.concatenate(
            [np.flatnonzero(image_of == image) for image in lot.integers(0, images, images)]
        )
        changes.append(hit[queries[kept[queries]]].mean() - hit[queries].mean())
    return np.quantile(changes, (0.025, 0.975))


def test_a_change_is_that_of_the_same_resamples_where_enough_queries_are_on_both_sides():
    rows, images, texts = collection([4] * 60, seed=0, noise=3)
    reference = reference_of(rows, images, texts)
    near, shared = np.arange(60) < 25, np.arange(240) < 99
    resampling = Resampling(300, 5)
    table = leakage_rows(reference, near, shared, resampling)
    change = {
        (one["direction"], one["group"]): one
        for one in table
        if one["measure"] == "recall@1_change"
    }
    hit = (reference.run.ranks["text_to_image"] == 1).astype(float)
    of, kept = rows.image_of_caption, ~near[rows.image_of_caption]
    judged = change["text_to_image", "without near-duplicates"]
    assert judged["queries"] == 140 and judged["value"] == pytest.approx(
        hit[kept].mean() - hit.mean(), abs=1e-8
    )
    assert [judged["low"], judged["high"]] == pytest.approx(
        by_draws(hit, of, kept, 60, 300, 5), abs=1e-8
    )
    # 99 are left out, 35 are left: the numbers without a verdict
    for key in (
        ("text_to_image", "without shared captions"),
        ("image_to_text", "without near-duplicates"),
    ):
        assert change[key]["low"] is None and change[key]["value"] is not None


def test_what_leaves_nothing_out_has_no_row():
    rows, images, texts = collection([2, 3], seed=0)
    nothing = np.zeros(2, bool), np.zeros(5, bool)
    table = leakage_rows(reference_of(rows, images, texts), *nothing, RESAMPLING)
    assert {row["group"] for row in table} == {"all queries"}


def job_with(tmp_path: Path, train: list[int]):
    """test of four images; train of ``train`` of them under other names; val of one more."""
    rows, images, texts = collection([2, 3, 1, 4], seed=0)
    reference = reference_of(rows, images, texts)
    job = job_of(tmp_path, reference, threshold=0.99)
    splits = {
        "train": rows_of(
            [f"copy of {place}.jpg" for place in train], [rows.captions_of(p)[:1] for p in train]
        ),
        "val": rows_of(["v.jpg"], [["words of its own"]]),
        "test": rows,
    }
    write_dataset(tmp_path / "data", splits)
    features = {"train": images[train], "val": unit(-images[:1] - images[1:2])}
    written = [
        write_features_of(tmp_path / "results" / "tiny" / split, "images", array, splits[split])
        for split, array in features.items()
    ]
    job.input.others, job.input.others_sidecars = map(list, zip(*written, strict=True))
    job.input.others_texts, job.input.others_texts_sidecars = [], []
    job.input.checksums = str(tmp_path / "data" / "images.csv")
    job.output.pairs = str(tmp_path / "pairs.csv")
    return job


def test_the_job_lists_near_duplicates_by_the_names_of_their_files(tmp_path):
    job = job_with(tmp_path, [2, 3])
    study_leakage.main(job)
    listed = read_table(job.output.pairs)
    assert [[*list(row.values())[:4], row["identical"]] for row in listed] == [
        ["tiny", "2.jpg", "train", "copy of 2.jpg", "no"],
        ["tiny", "3.jpg", "train", "copy of 3.jpg", "no"],
    ]
    assert [float(row["cosine"]) for row in listed] == pytest.approx([1, 1])
    found = {
        (row["group"], row["direction"]): row["queries"] for row in read_table(job.output.table)
    }
    assert found["without near-duplicates", "text_to_image"] == "5"
    assert found["without near-duplicates", "image_to_text"] == "2"
    assert found["without shared captions", "text_to_image"] == "8"


@pytest.mark.parametrize("train", [[2, 3], []])
def test_where_captions_of_other_splits_are_there_the_splits_are_held_side_by_side(tmp_path, train):
    job = job_with(tmp_path, train)
    files = (job.input.captions, job.input.splits)
    captions, splits = (json.loads(Path(file).read_text()) for file in files)
    of = {one["image"]: one["captions"] for one in captions}
    lot = np.random.default_rng(0)
    for split in ("train", "val"):
        rows = rows_of(splits[split], [of[image] for image in splits[split]])
        folder = tmp_path / "results" / "tiny" / split
        texts = unit(lot.normal(size=(len(rows.captions), 6)))
        npy, sidecar = write_features_of(folder, "texts.plain", texts, rows)
        job.input.others_texts.append(npy)
        job.input.others_texts_sidecars.append(sidecar)
    study_leakage.main(job)
    table = read_table(job.output.table)
    groups = {(row["group"], row["x"]) for row in table if FIT in row["group"]}
    expected = {(f"{split}, {FIT}", "1") for split in ("train", "val", "test")}
    assert groups == (expected if train else set())


def test_bytes_are_compared_by_the_checksums_of_prepared_images(tmp_path):
    job = job_with(tmp_path, [2])
    table = Path(job.input.checksums)
    text = table.read_text().replace("sha of v.jpg", "one").replace("sha of 1.jpg", "one")
    table.write_text(text)
    study_leakage.main(job)
    found = {
        (row["test_image"], row["other_split"], row["other_image"]): row["identical"]
        for row in read_table(job.output.pairs)
    }
    assert found == {("1.jpg", "val", "v.jpg"): "yes", ("2.jpg", "train", "copy of 2.jpg"): "no"}


def test_a_dataset_without_train_images_has_nothing_in_common_with_them(tmp_path):
    job = job_with(tmp_path, [])
    splits = json.loads(Path(job.input.splits).read_text())
    assert splits["train"] == []
    study_leakage.main(job)
    assert Path(job.output.pairs).read_text() == ",".join(PAIR_COLUMNS) + "\n"
    counts = {
        row["measure"]: row["value"]
        for row in read_table(job.output.table)
        if row["measure"] in ("near_duplicates", "shared_captions")
    }
    assert counts == {"near_duplicates": "0.0", "shared_captions": "0.0"}
