"""Metrics from ranks, against numbers that a reader counts and against other libraries."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from scripts.data.rows import rows_of
from scripts.evaluate import metrics
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.metrics import metrics_of
from scripts.job import BadInput, read_json
from scripts.retrieve.scorers import fit
from scripts.retrieve.similarity import rankings_of, write_rankings


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


FEW = Resampling(resamples=100, seed=0)


def cosine_metrics(images, texts, rows, resampling=FEW):
    rankings = rankings_of(images, texts, rows, fit("cosine", {}, {}), k=10)
    return metrics_of(rankings, rows, resampling)


def collection(seed: int, counts: list[int]):
    rng = np.random.default_rng(seed)
    rows = rows_of(
        [f"{image}.jpg" for image in range(len(counts))],
        [[f"{image}, {place}" for place in range(count)] for image, count in enumerate(counts)],
    )
    images = unit(rng.normal(size=(len(counts), 6)))
    return rows, images, unit(rng.normal(size=(sum(counts), 6)) + images[rows.image_of_caption])


@pytest.mark.parametrize("counts", [[5] * 15, [1] * 30, [1, 9, 2, 1, 20, 3, 4]])
def test_metrics_of_both_directions_equal_torchmetrics(counts, retrieval):
    torch = pytest.importorskip("torch")

    rows, images, texts = collection(len(counts), counts)
    found = cosine_metrics(images, texts, rows)
    # above zero: torchmetrics counts no item with a negative score as found
    scores = torch.from_numpy(texts @ images.T) + 2
    right = torch.from_numpy(rows.image_of_caption[:, None] == np.arange(len(counts)))
    for direction, s, r in (
        ("text_to_image", scores, right),
        ("image_to_text", scores.T.contiguous(), right.T.contiguous()),
    ):
        values = found[direction]
        assert (values["queries"], values["gallery"]) == tuple(s.shape)
        for depth in (1, 5, 10):
            hits = [
                retrieval.retrieval_hit_rate(a, b, top_k=depth) for a, b in zip(s, r, strict=True)
            ]
            assert values[f"recall@{depth}"] == pytest.approx(float(torch.stack(hits).mean()))
        reciprocals = [retrieval.retrieval_reciprocal_rank(a, b) for a, b in zip(s, r, strict=True)]
        assert values["mrr"] == pytest.approx(float(torch.stack(reciprocals).mean()), rel=1e-6)


def test_one_caption_per_image_equals_scikit_learn_in_both_directions():
    sklearn = pytest.importorskip("sklearn.metrics")
    rows, images, texts = collection(0, [1] * 40)
    found = cosine_metrics(images, texts, rows)
    scores = texts @ images.T
    for direction, matrix in (("text_to_image", scores), ("image_to_text", scores.T)):
        for depth in (1, 5, 10):
            accuracy = sklearn.top_k_accuracy_score(np.arange(40), matrix, k=depth)
            assert found[direction][f"recall@{depth}"] == pytest.approx(accuracy)
        # with one right label, the mean precision of a ranking is its mean reciprocal rank
        precision = sklearn.label_ranking_average_precision_score(np.eye(40), matrix)
        assert found[direction]["mrr"] == pytest.approx(precision)


def test_a_model_that_scores_everything_alike_earns_no_recall():
    rows, images, texts = collection(0, [5] * 20)
    found = cosine_metrics(0 * images + images[0], 0 * texts + images[0], rows)
    for direction, last in (("text_to_image", 20), ("image_to_text", 96)):
        assert found[direction]["recall@10"] == 0
        assert found[direction]["median_rank"] == found[direction]["mean_rank"] == last


def test_a_perfect_model_has_every_recall():
    rows, images, _ = collection(0, [5] * 20)
    texts = images[rows.image_of_caption]
    found = cosine_metrics(images, texts, rows)
    for direction in ("text_to_image", "image_to_text"):
        values = found[direction]
        assert values["recall@1"] == values["mrr"] == values["median_rank"] == 1
        assert values["r_precision"] == values["map@r"] == values["ndcg@10"] == 1
    assert found["rsum"] == 6
    least = 0.025 ** (1 / 20)
    assert found["intervals"]["rsum"] == [pytest.approx(6 * least), 6]
    for name, own in found["intervals"]["text_to_image"].items():
        share = name.startswith("recall@") or name in ("r_precision", "map@r")
        assert own == [pytest.approx(least) if share else 1, 1], name


def test_rsum_is_the_sum_of_six_recalls_and_every_interval_holds_its_value():
    rows, images, texts = collection(3, [1, 5, 2, 7] * 10)
    found = cosine_metrics(images, texts, rows, Resampling(2000, 0))
    ways = [found["text_to_image"], found["image_to_text"]]
    recalls = [way[f"recall@{depth}"] for way in ways for depth in (1, 5, 10)]
    assert found["rsum"] == pytest.approx(sum(recalls))
    intervals = found["intervals"]
    assert intervals["rsum"][0] < found["rsum"] < intervals["rsum"][1]
    for way, values in zip(("text_to_image", "image_to_text"), ways, strict=True):
        assert set(intervals[way]) == set(values) - {"queries", "gallery"}
        for name, (low, high) in intervals[way].items():
            assert low <= values[name] <= high, (way, name)


def test_the_interval_of_rsum_draws_the_same_images_for_both_directions():
    rows, images, texts = collection(1, [3] * 30)
    found = cosine_metrics(images, texts, rows, Resampling(4000, 5))
    scores = texts.astype(float) @ images.T.astype(float)
    own = rows.image_of_caption
    place = 1 + (scores > scores[np.arange(90), own][:, None]).sum(axis=1)
    best = np.array([
        1 + min((scores[own != i, i] > scores[c, i]).sum() for c in np.flatnonzero(own == i))
        for i in range(30)
    ])  # fmt: skip
    by_text = np.array([[np.mean(place[own == i] <= k) for k in (1, 5, 10)] for i in range(30)])
    by_image = (best[:, None] <= np.array([1, 5, 10])).astype(float)
    per_image = by_text.sum(axis=1) + by_image.sum(axis=1)
    lot = np.random.default_rng(9)
    sums = [per_image[lot.integers(0, 30, 30)].mean() for _ in range(4000)]
    assert found["rsum"] == pytest.approx(per_image.mean())
    assert found["intervals"]["rsum"] == pytest.approx(np.quantile(sums, (0.025, 0.975)), abs=0.06)


@pytest.fixture
def job(tmp_path):
    rows, images, texts = collection(0, [2, 1, 3])
    captions = [
        {"image": name, "captions": rows.captions_of(i)} for i, name in enumerate(rows.images)
    ]
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    (tmp_path / "splits.json").write_text(json.dumps({"test": rows.images}))
    found = rankings_of(images, texts, rows, fit("cosine", {}, {}), k=2)
    write_rankings(tmp_path / "rankings.npz", found)
    return SimpleNamespace(
        input=SimpleNamespace(
            **{name: str(tmp_path / f"{name}.json") for name in ("captions", "splits")},
            rankings=str(tmp_path / "rankings.npz"),
        ),
        output=SimpleNamespace(metrics=str(tmp_path / "metrics.json")),
        params=SimpleNamespace(split="test", resamples=100, seed=0),
        wildcards=SimpleNamespace(dataset="d", model="m", prompt="p", scorer="s"),
    )


def test_the_rule_writes_the_names_and_keys_that_others_rely_on(job):
    metrics.main(job)
    found = read_json(job.output.metrics)
    names = {name: found[name] for name in ("dataset", "model", "prompt", "scorer", "split")}
    assert names == {
        "dataset": "d", "model": "m", "prompt": "p", "scorer": "s", "split": "test"
    }  # fmt: skip
    assert (found["images"], found["captions"]) == (3, 6)
    assert found["text_to_image"]["queries"] == found["image_to_text"]["gallery"] == 6
    assert found["image_to_text"]["queries"] == found["text_to_image"]["gallery"] == 3
    for direction in ("text_to_image", "image_to_text"):
        assert set(found[direction]) == {
            "queries", "gallery", "recall@1", "recall@5", "recall@10",
            "median_rank", "mean_rank", "mrr", "r_precision", "map@r", "ndcg@10",
        }  # fmt: skip
    assert (found["resamples"], found["seed"]) == (100, 0)


def test_the_same_job_writes_the_same_bytes(job, tmp_path):
    metrics.main(job)
    first = (tmp_path / "metrics.json").read_bytes()
    metrics.main(job)
    assert (tmp_path / "metrics.json").read_bytes() == first


def test_rankings_of_other_captions_are_refused(job, tmp_path):
    captions = read_json(job.input.captions)
    captions[0]["captions"][0] = "something else"
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    with pytest.raises(BadInput, match="another list"):
        metrics.main(job)
