"""What another precision changes, against loops over every query and resample."""

from __future__ import annotations

import numpy as np
import pytest
from small_run import (
    COUNTS,
    brute_rank,
    collection,
    job_of,
    read_table,
    reference_of,
    unit,
    write_features_of,
)

from scripts.data.rows import rows_of
from scripts.evaluate.intervals import Resampling, interval_of_means
from scripts.evaluate.metrics import metrics_of
from scripts.evaluate.runs import images_of_queries
from scripts.job import write_json
from scripts.measures import MEANS
from scripts.retrieve.scorers import fit
from scripts.retrieve.similarity import rankings_of
from scripts.studies import study_precision
from scripts.studies.study_precision import COMPARED, precision_rows, values_of

RESAMPLING = Resampling(400, 0)
FLIPS = 999
KEY = ("tiny", "plain", "cosine")
WAYS = ("text_to_image", "image_to_text")


def rounded(rows: np.ndarray, digits: int) -> np.ndarray:
    """Unit rows of so few digits that ranks change."""
    return unit(np.round(rows, digits))


@pytest.fixture(scope="module")
def run():
    rows, images, texts = collection(COUNTS, seed=2)
    return reference_of(rows, images, texts)


def table_of(run, features) -> dict[tuple[str, str, str], dict]:
    table = precision_rows(KEY, features, run.rows, run.scorer, RESAMPLING, FLIPS)
    return {(row["group"], row["direction"], row["measure"]): row for row in table}


def of(run, digits: int):
    return rounded(run.images, digits), rounded(run.texts, digits)


def test_each_change_is_the_difference_of_the_metrics_of_both(run):
    features = {"float32": (run.images, run.texts), "bfloat16": of(run, 1), "float16": of(run, 2)}
    table = table_of(run, features)
    metrics = {
        name: metrics_of(rankings_of(*own, run.rows, run.scorer, 1), run.rows, RESAMPLING)
        for name, own in features.items()
    }
    for name in ("bfloat16", "float16"):
        for way in WAYS:
            for measure in COMPARED:
                if measure == "mean":
                    continue
                new, old = (metrics[one][way][measure] for one in (name, "float32"))
                assert table[name, way, measure]["value"] == pytest.approx(new - old, abs=1e-8)
        change = metrics[name]["rsum"] - metrics["float32"]["rsum"]
        assert table[name, "", "rsum"]["value"] == pytest.approx(change, abs=1e-8)
    assert any(table["bfloat16", way, "mean"]["value"] for way in WAYS)


def test_mean_recall_and_its_interval_are_those_of_a_loop_over_resamples(run):
    own = of(run, 1)
    table = table_of(run, {"float32": (run.images, run.texts), "bfloat16": own})
    image_of = run.rows.image_of_caption
    changes = []
    for image in range(len(run.rows.images)):
        hits = []
        for images, texts in (own, (run.images, run.texts)):
            rank = brute_rank(images[image], texts[image_of == image], texts[image_of != image])
            hits.append(np.mean([rank <= k for k in (1, 5, 10)]))
        changes.append(hits[0] - hits[1])
    row = table["bfloat16", "image_to_text", "mean"]
    assert row["value"] == pytest.approx(np.mean(changes), abs=1e-8)
    lot = np.random.default_rng(0)
    drawn = lot.integers(0, len(changes), size=(400, len(changes)))
    means = [np.mean([changes[place] for place in one]) for one in drawn]
    assert (row["low"], row["high"]) == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=1e-8)


def test_equal_features_change_nothing(run):
    both = (run.images, run.texts)
    table = table_of(run, {"float32": both, "bfloat16": both})
    for way in WAYS:
        for measure in COMPARED:
            row = table["bfloat16", way, measure]
            assert row["value"] == row["low"] == row["high"] == 0
        for measure in MEANS:
            assert table["bfloat16", way, f"p_holm:{measure}"]["value"] == 1
        assert table["bfloat16", way, "least_cosine"]["value"] == pytest.approx(1, abs=1e-6)
        assert table["float32", way, "least_cosine"]["value"] == 1
    assert not [key for key in table if key[2] in ("p_holm:median_rank", "p_holm:rsum", "within")]


def test_p_is_that_of_turning_the_sign_of_each_image_adjusted_for_all_measures(run):
    own = of(run, 1)
    table = table_of(run, {"float32": (run.images, run.texts), "bfloat16": own})
    columns = [
        ((after[way] - before[way])[:, : len(MEANS)], images_of_queries(way, run.rows))
        for before, after in [
            (values_of(one, run.rows, run.scorer) for one in ((run.images, run.texts), own))
        ]
        for way in WAYS
    ]
    count = len(run.rows.images)
    raw = []
    for differences, image_of in columns:
        sums = np.array([differences[image_of == image].sum(axis=0) for image in range(count)])
        lot = np.random.default_rng(0)
        signs = lot.integers(0, 2, size=(FLIPS, count), dtype=np.int8) * 2.0 - 1
        as_far = np.abs(signs @ sums) >= np.abs(sums.sum(axis=0)) - 1e-9
        raw += ((as_far.sum(axis=0) + 1) / (FLIPS + 1)).tolist()
    # step by step: the smallest times all, the next times one fewer, never below the one before
    expected, last = {}, 0.0
    for step, place in enumerate(np.argsort(raw, kind="stable")):
        last = max(last, min(1.0, (len(raw) - step) * raw[place]))
        expected[place] = last
    names = [(way, measure) for way in WAYS for measure in MEANS]
    for place, (way, measure) in enumerate(names):
        found = table["bfloat16", way, f"p_holm:{measure}"]["value"]
        assert found == pytest.approx(expected[place], abs=1e-8)


def test_a_change_inside_the_interval_of_the_first_precision_is_seen_all_the_same():
    # of 200 captions half find their image behind another one, and then 12 more
    count, before, after = 200, 100, 112
    rows = rows_of([f"{n}.jpg" for n in range(count)], [[f"caption {n}"] for n in range(count)])
    images = np.eye(count, dtype=np.float32)
    pulled = unit(images + 1.001 * np.roll(images, 1, axis=0))
    texts = [np.concatenate([pulled[:n], images[n:]]) for n in (before, after)]
    features = {"float32": (images, texts[0]), "bfloat16": (images, texts[1])}
    scorer = fit("cosine", {}, {})
    table = {
        (row["direction"], row["measure"]): row["value"]
        for row in precision_rows(KEY, features, rows, scorer, RESAMPLING, 9999)
        if row["group"] == "bfloat16"
    }
    assert table["text_to_image", "recall@1"] == pytest.approx(-0.06)
    own = interval_of_means(np.repeat([[0.0], [1.0]], 100, axis=0), np.arange(count), RESAMPLING)
    assert own[0, 0] < 0.5 - 0.06 < 0.5 < own[0, 1]
    assert table["text_to_image", "p_holm:recall@1"] < 0.05
    assert table["text_to_image", "p_holm:recall@5"] == 1


def test_the_least_cosine_is_that_of_the_side_that_asks(run):
    images, texts = run.images.copy(), run.texts.copy()
    images[3] = unit(images[3:4] + np.array([0.5, 0, 0, 0, 0, 0]))
    texts[7] *= -1
    table = table_of(run, {"float32": (run.images, run.texts), "bfloat16": (images, texts)})
    assert table["bfloat16", "text_to_image", "least_cosine"]["value"] == pytest.approx(-1)
    cosine = float(images[3] @ run.images[3])
    found = table["bfloat16", "image_to_text", "least_cosine"]["value"]
    assert found == pytest.approx(cosine, abs=1e-6) and found < 0.999


def test_the_rule_reads_each_precision_from_its_sidecars(run, tmp_path):
    job = job_of(tmp_path, run, models=["tiny"], prompt="plain", scorer="cosine", flips=FLIPS)
    for name, own in (("float32", (run.images, run.texts)), ("bfloat16", of(run, 1))):
        for side, features in zip(("images", "texts"), own, strict=True):
            npy, sidecar = write_features_of(
                tmp_path / name, side, features, run.rows, precision=name
            )
            for kind, path in ((side, npy), (f"{side}_sidecars", sidecar)):
                paths = [] if name == "float32" else getattr(job.input, kind)
                setattr(job.input, kind, [*paths, path])
    study_precision.main(job)
    table = read_table(job.output.table)
    assert list(dict.fromkeys(row["group"] for row in table)) == ["float32", "bfloat16"]
    assert {(row["model"], row["prompt"], row["scorer"]) for row in table} == {KEY}
    assert len(table) == 2 + 2 * (len(COMPARED) + len(MEANS) + 1) + 1
    # what is not what its sidecar describes is refused by all readers alike
    write_json(tmp_path / "bfloat16" / "images.json", {"precision": "bfloat16"})
    with pytest.raises(Exception, match=r"images\.json"):
        study_precision.main(job)
