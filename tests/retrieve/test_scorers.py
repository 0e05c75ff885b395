"""A scorer is a pair of feature maps, kept in a file that is the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from toy_features import Named

from scripts.job import BadInput
from scripts.retrieve import fit_scorer, scorers
from scripts.retrieve.ranking import top_k
from scripts.retrieve.scorers import Kind, fit, load_scorer, save_scorer, transform

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(4, 3)).astype(np.float32)
TEXTS = RNG.normal(size=(5, 3)).astype(np.float32)


def test_cosine_maps_nothing():
    scorer = fit("cosine", {}, {})
    queries, gallery = transform(scorer, IMAGES, TEXTS, "text_to_image")
    assert queries is TEXTS and gallery is IMAGES
    queries, gallery = transform(scorer, IMAGES, TEXTS, "image_to_text")
    assert queries is IMAGES and gallery is TEXTS


def test_an_unknown_kind_is_refused_with_the_nearest_one():
    with pytest.raises(BadInput, match="did you mean cosine"):
        fit("cosin", {}, {})


def test_a_kind_with_a_rule_of_its_own_is_not_fitted_here():
    with pytest.raises(ValueError, match="a rule of its own"):
        fit("adapter", {}, {})


def test_an_unknown_direction_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="text_to_text"):
        transform(fit("cosine", {}, {}), IMAGES, TEXTS, "text_to_text")


def test_a_scorer_comes_back_as_it_was_saved(tmp_path, monkeypatch):
    monkeypatch.setitem(scorers.KINDS, "bias", BIAS)
    saved = fit("bias", {"weight": 0.5}, {"train_texts": TEXTS})
    save_scorer(tmp_path / "scorer.npz", saved)
    loaded = load_scorer(tmp_path / "scorer.npz")
    assert set(loaded) == {"kind", "bank", "weight"}
    for name, array in saved.items():
        assert np.array_equal(loaded[name], array)


def test_the_file_has_the_same_bytes_each_time(tmp_path, monkeypatch):
    def job(path):
        return Named(
            input=Named(),
            params=Named(entry={"kind": "cosine"}),
            output=Named(scorer=str(path)),
        )

    fit_scorer.main(job(tmp_path / "one.npz"))
    # zip archives hold times of day in steps of two seconds: let a day pass for the second one
    import time

    later = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    fit_scorer.main(job(tmp_path / "two.npz"))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert str(load_scorer(tmp_path / "one.npz")["kind"]) == "cosine"


def test_a_missing_damaged_or_foreign_file_is_refused(tmp_path):
    path = tmp_path / "scorer.npz"
    with pytest.raises(BadInput, match="no such file"):
        load_scorer(path)
    for content in (b"", b"PK\x03\x04 cut", b"no archive"):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"scorer\.npz"):
            load_scorer(path)
    np.savez(path, kind="unheard-of")
    with pytest.raises(BadInput, match="unheard-of"):
        load_scorer(path)
    np.savez(path, kind=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInput, match=r"scorer\.npz"):
        load_scorer(path)


def _bias_of(arrays, features):
    """How near a gallery item is to the bank on average: a hub is near to everything."""
    return arrays["weight"] * (features @ arrays["bank"].T).mean(axis=1, keepdims=True)


# what a later scorer looks like: a bias per gallery item as one more dimension
BIAS = Kind(
    fit=lambda params, banks: {
        "bank": banks["train_texts"], "weight": np.float32(params["weight"])
    },
    map_queries=lambda arrays, features, direction: np.column_stack(
        [features, -np.ones(len(features), dtype=np.float32)]
    ),
    map_gallery=lambda arrays, features, direction: np.column_stack(
        [features, _bias_of(arrays, features)]
    ),
)  # fmt: skip


def test_a_bias_per_gallery_item_is_one_more_dimension_and_no_caller_changes(monkeypatch):
    monkeypatch.setitem(scorers.KINDS, "bias", BIAS)
    scorer = fit("bias", {"weight": 0.5}, {"train_texts": TEXTS})
    queries, gallery = transform(scorer, IMAGES, TEXTS, "text_to_image")
    assert queries.shape == (5, 4) and gallery.shape == (4, 4)
    assert queries.dtype == gallery.dtype == np.float32
    expected = TEXTS @ IMAGES.T - 0.5 * (IMAGES @ TEXTS.T).mean(axis=1)
    rows, scores = top_k(queries, gallery, 4)
    assert np.array_equal(rows, np.argsort(-expected, axis=1))
    assert np.allclose(scores, -np.sort(-expected, axis=1), atol=1e-5)
