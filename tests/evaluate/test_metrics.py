"""Metrics from ranks, against numbers that a reader counts and against other libraries."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from scripts.data.rows import rows_of
from scripts.evaluate import metrics
from scripts.evaluate.metrics import best_rank_of_image, metrics_of, summary
from scripts.job import BadInput, read_json
from scripts.retrieve.scorers import fit
from scripts.retrieve.similarity import rankings_of, write_rankings


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_toy_has_the_metrics_that_a_reader_counts():
    assert summary(np.array([1, 2, 4, 10, 11]), gallery=20) == {
        "queries": 5,
        "gallery": 20,
        "recall@1": 0.2,
        "recall@5": 0.6,
        "recall@10": 0.8,
        "median_rank": 4.0,
        "mean_rank": 5.6,
        "mrr": pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 10 + 1 / 11) / 5),
    }


def test_the_median_of_an_even_number_of_ranks_lies_between_two_of_them():
    assert summary(np.array([1, 2, 5, 9]), gallery=9)["median_rank"] == 3.5


def test_an_image_has_the_rank_of_its_best_caption():
    ranks = np.array([4, 2, 9, 7, 1, 3])
    assert best_rank_of_image(ranks, np.array([0, 0, 0, 1, 2, 2])).tolist() == [2, 7, 1]
    assert best_rank_of_image(ranks[:1], np.array([0])).tolist() == [4]


def collection(seed: int, counts: list[int]):
    rng = np.random.default_rng(seed)
    rows = rows_of(
        [f"{image}.jpg" for image in range(len(counts))],
        [[f"{image}, {place}" for place in range(count)] for image, count in enumerate(counts)],
    )
    images = unit(rng.normal(size=(len(counts), 6)))
    return rows, images, unit(rng.normal(size=(sum(counts), 6)) + images[rows.image_of_caption])


@pytest.mark.parametrize("counts", [[5] * 15, [1] * 30, [1, 9, 2, 1, 20, 3, 4]])
def test_metrics_of_both_directions_equal_torchmetrics(counts):
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.retrieval import retrieval_hit_rate, retrieval_reciprocal_rank

    rows, images, texts = collection(len(counts), counts)
    found = metrics_of(rankings_of(images, texts, rows, fit("cosine", {}, {}), k=10), rows)
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
            hits = [retrieval_hit_rate(a, b, top_k=depth) for a, b in zip(s, r, strict=True)]
            assert values[f"recall@{depth}"] == pytest.approx(float(torch.stack(hits).mean()))
        reciprocals = [retrieval_reciprocal_rank(a, b) for a, b in zip(s, r, strict=True)]
        assert values["mrr"] == pytest.approx(float(torch.stack(reciprocals).mean()), rel=1e-6)


def test_one_caption_per_image_equals_scikit_learn_in_both_directions():
    sklearn = pytest.importorskip("sklearn.metrics")
    rows, images, texts = collection(0, [1] * 40)
    found = metrics_of(rankings_of(images, texts, rows, fit("cosine", {}, {}), k=10), rows)
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
    found = metrics_of(
        rankings_of(0 * images + images[0], 0 * texts + images[0], rows, fit("cosine", {}, {}), 10),
        rows,
    )
    for direction, last in (("text_to_image", 20), ("image_to_text", 96)):
        assert found[direction]["recall@10"] == 0
        assert found[direction]["median_rank"] == found[direction]["mean_rank"] == last


def test_a_perfect_model_has_every_recall():
    rows, images, _ = collection(0, [5] * 20)
    texts = images[rows.image_of_caption]
    found = metrics_of(rankings_of(images, texts, rows, fit("cosine", {}, {}), 10), rows)
    for values in found.values():
        assert values["recall@1"] == values["mrr"] == values["median_rank"] == 1


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
        params=SimpleNamespace(split="test"),
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
            "median_rank", "mean_rank", "mrr",
        }  # fmt: skip


def test_rankings_of_other_captions_are_refused(job, tmp_path):
    captions = read_json(job.input.captions)
    captions[0]["captions"][0] = "something else"
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    with pytest.raises(BadInput, match="another list"):
        metrics.main(job)
