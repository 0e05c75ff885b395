"""Recall on val under several settings, against loops over the whole matrix and exact ranks."""

from __future__ import annotations

import numpy as np
import pytest
from toy_features import Named, mean_recall, ranks_by_loops, toy_banks

from scripts.protocol import TIE
from scripts.retrieve.choose import best_options, mean_recalls
from scripts.retrieve.ranking import rank
from scripts.retrieve.similarity import right_images


def val_of(seed: int):
    banks = toy_banks(seed)
    return banks["val_images"], banks["val_texts"], banks["val_image_of_caption"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("block_mb", [1e-9, 0.002, 64])
def test_mean_recall_under_each_bias_equals_a_loop_over_the_whole_matrix(seed, block_mb):
    images, texts, own = val_of(seed)
    lot = np.random.default_rng(seed)
    image_bias = np.stack([np.zeros(len(images)), *(0.2 * lot.normal(size=(2, len(images))))])
    text_bias = 0.2 * lot.normal(size=(2, len(texts)))
    found = mean_recalls(images, texts, own, image_bias, text_bias, block_mb)
    scores = texts.astype(float) @ images.astype(float).T
    for option, bias in enumerate(image_bias):
        ranks, _ = ranks_by_loops(np.stack([scores - bias, scores]), own, TIE)
        assert found["text_to_image"][option] == pytest.approx(mean_recall(ranks), abs=1e-12)
    for option, bias in enumerate(text_bias):
        _, ranks = ranks_by_loops(np.stack([scores, scores - bias[:, None]]), own, TIE)
        assert found["image_to_text"][option] == pytest.approx(mean_recall(ranks), abs=1e-12)


def test_without_a_bias_it_is_the_mean_recall_of_the_exact_ranks():
    banks = toy_banks(7)
    images, texts, own = val_of(7)
    found = mean_recalls(images, texts, own)

    rows = Named(captions=banks["val_captions"], image_of_caption=own, images=images)
    exact = rank(texts, images, right_images(rows), k=1)
    assert found["text_to_image"].tolist() == [pytest.approx(mean_recall(exact.rank.tolist()))]


def test_a_model_that_scores_everything_alike_has_no_recall():
    found = mean_recalls(np.ones((20, 2)), np.ones((40, 2)), np.arange(20).repeat(2))
    assert found["text_to_image"].tolist() == found["image_to_text"].tolist() == [0]


def test_of_equal_options_the_first_is_taken():
    recalls = {"text_to_image": [0.1, 0.3, 0.3], "image_to_text": np.array([0.5, 0.5, 0.2])}
    best, value = best_options(recalls)
    assert best == [1, 0] and value.tolist() == [0.3, 0.5]
