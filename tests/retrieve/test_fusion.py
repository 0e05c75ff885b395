"""Two models together against the weighted sum of their scores."""

from __future__ import annotations

import numpy as np
import pytest
from toy_features import mean_recall, ranks_by_loops, toy_banks

from scripts.protocol import DIRECTIONS, TIE
from scripts.retrieve.scorers import fit, transform

WEIGHTS = [0.5, 1, 0, 0.8, 0.2]


def two_models(seed: int = 0):
    """Val features of two models side by side, the other narrower; and each alone."""
    first, second = toy_banks(seed, noise=0.9), toy_banks(seed, d=5, noise=0.5)
    banks = {
        f"val_{side}": np.hstack([first[f"val_{side}"], second[f"val_{side}"]])
        for side in ("images", "texts")
    }
    banks["val_image_of_caption"] = first["val_image_of_caption"]
    return {**banks, "widths": np.array([8, 5])}, (first, second)


def scores_of(banks):
    return banks["val_texts"].astype(float) @ banks["val_images"].astype(float).T


@pytest.mark.parametrize("seed", range(3))
def test_val_chooses_the_weight_that_is_best_by_loops_over_every_weight(seed):
    banks, alone = two_models(seed)
    scorer = fit("fusion", {"with": "other", "weights": WEIGHTS}, banks)
    own, other = map(scores_of, alone)
    options = sorted(WEIGHTS, reverse=True)
    for place in (0, 1):
        recalls = [
            mean_recall(
                ranks_by_loops(
                    np.stack([w * own + (1 - w) * other] * 2), banks["val_image_of_caption"], TIE
                )[place]
            )
            for w in options
        ]
        best = max(range(len(options)), key=lambda option: (recalls[option], -option))
        assert scorer["weight"][place] == options[best]
        assert scorer["val_cosine"][place] == pytest.approx(recalls[options.index(1)], abs=1e-9)
        assert scorer["val_recall"][place] == pytest.approx(recalls[best], abs=1e-9)
    assert str(scorer["with"]) == "other" and int(scorer["width"]) == 8


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_mapped_features_have_the_weighted_sum_of_both_scores(weight, direction):
    banks, alone = two_models()
    scorer = fit("fusion", {"with": "other", "weights": [weight]}, banks)
    queries, gallery = transform(scorer, banks["val_images"], banks["val_texts"], direction)
    assert queries.dtype == gallery.dtype == np.float32
    own, other = map(scores_of, alone)
    expected = weight * own + (1 - weight) * other
    found = queries @ gallery.T
    assert np.allclose(found if direction == "text_to_image" else found.T, expected, atol=1e-6)


def test_all_the_weight_on_one_model_is_that_model_alone():
    banks, (first, second) = two_models()
    for weight, alone in ((1, first), (0, second)):
        scorer = fit("fusion", {"with": "other", "weights": [weight]}, banks)
        texts, images = transform(scorer, banks["val_images"], banks["val_texts"], "text_to_image")
        assert np.array_equal(images, alone["val_images"])
        assert np.array_equal(texts, alone["val_texts"])


def test_two_copies_of_one_model_change_nothing_so_its_own_features_are_kept():
    banks = toy_banks(0)
    for side in ("val_images", "val_texts"):
        banks[side] = np.hstack([banks[side]] * 2)
    scorer = fit("fusion", {"with": "itself", "weights": [0.25, 0.5, 1]}, banks)
    assert scorer["weight"].tolist() == [1, 1]
