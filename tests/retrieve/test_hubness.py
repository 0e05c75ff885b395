"""Corrections of hubness against their formulas, item by item."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from toy_features import mean_recall, ranks_by_loops, toy_banks, unit_rows

from scripts.protocol import DIRECTIONS, TIE
from scripts.retrieve.banks import drawn
from scripts.retrieve.hubness import log_mean_exp, nearness
from scripts.retrieve.scorers import fit, transform

PARAMS = {
    "centring": {"shares": [0, 0.5, 1]},
    "nnn": {"neighbours": [3, 1], "weights": [0.5, 0, 1], "bank": 25, "seed": 3},
    "inverted_softmax": {"betas": [20, None, 5], "bank": 25, "seed": 3},
}
# what leaves features as they are
NOTHING = {
    "centring": {"shares": [0]},
    "nnn": {"neighbours": [3], "weights": [0], "bank": 25, "seed": 3},
    "inverted_softmax": {"betas": [None], "bank": 25, "seed": 3},
}


def bank_by_hand(banks, params, direction):
    """The same draw, written out."""
    lot = np.random.default_rng(params["seed"])
    found = {}
    for side in ("texts", "images"):
        rows = banks[f"train_{side}"]
        count = min(params["bank"], len(rows))
        found[side] = [rows[row] for row in sorted(lot.choice(len(rows), count, replace=False))]
    return np.array(found["texts" if direction == "text_to_image" else "images"], dtype=float)


def score_by_formula(kind, params, setting, banks, split, direction):
    """(m, n) float64 scores of captions with images, each as its paper writes it."""
    images, texts = (banks[f"{split}_{side}"].astype(float) for side in ("images", "texts"))
    if kind == "centring":

        def moved(rows, mean):
            rows = rows - setting * mean
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)

        images = moved(images, banks["train_images"].mean(axis=0, dtype=float))
        texts = moved(texts, banks["train_texts"].mean(axis=0, dtype=float))
        return texts @ images.T
    scores = texts @ images.T
    bank = bank_by_hand(banks, params, direction)
    gallery = images if direction == "text_to_image" else texts
    biases = []
    for item in gallery:
        near = [float(query @ item) for query in bank]
        if kind == "nnn":
            weight, count = setting
            biases.append(weight * sum(sorted(near, reverse=True)[:count]) / count)
        else:
            # the constant log(25) / beta orders nothing
            biases.append(
                0 if setting is None
                else (logsumexp(setting * np.array(near)) - np.log(len(bank))) / setting
            )  # fmt: skip
    biases = np.array(biases)
    return scores - (biases if direction == "text_to_image" else biases[:, None])


def settings_of(kind, params):
    """Every option, the simplest first."""
    if kind == "centring":
        return sorted(params["shares"])
    if kind == "nnn":
        some = [(w, k) for w in sorted(params["weights"]) for k in sorted(params["neighbours"])]
        return [(w, k) for w, k in some if w or k == min(params["neighbours"])]
    return [None, *sorted(beta for beta in params["betas"] if beta)]


def setting_of(kind, scorer, place):
    if kind == "centring":
        return scorer["share"][place]
    if kind == "nnn":
        return scorer["weight"][place], scorer["neighbours"][place]
    return scorer["beta"][place] or None


@pytest.mark.parametrize("kind", PARAMS)
@pytest.mark.parametrize("seed", range(3))
def test_val_chooses_the_setting_that_is_best_by_loops_over_every_option(kind, seed):
    banks, params = toy_banks(seed), PARAMS[kind]
    scorer = fit(kind, params, banks)
    options = settings_of(kind, params)
    own = banks["val_image_of_caption"]
    for place, direction in enumerate(DIRECTIONS):
        recalls = []
        for setting in options:
            scores = score_by_formula(kind, params, setting, banks, "val", direction)
            recalls.append(mean_recall(ranks_by_loops(np.stack([scores] * 2), own, TIE)[place]))
        best = max(range(len(options)), key=lambda option: (recalls[option], -option))
        assert setting_of(kind, scorer, place) == options[best]
        assert not options[0] or not options[0][0]  # cosine
        assert scorer["val_cosine"][place] == pytest.approx(recalls[0], abs=1e-9)
        assert scorer["val_recall"][place] == pytest.approx(recalls[best], abs=1e-9)


@pytest.mark.parametrize("kind", PARAMS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("option", [0, 1, -1])
def test_mapped_features_have_the_scores_of_the_formula(kind, direction, option):
    banks, params = toy_banks(1), PARAMS[kind]
    setting = settings_of(kind, params)[option]
    # a grid of one leaves no choice
    only = {
        "centring": {"shares": [setting]},
        "nnn": {"weights": [setting[0]], "neighbours": [setting[1]]} if kind == "nnn" else {},
        "inverted_softmax": {"betas": [setting]},
    }[kind]
    scorer = fit(kind, params | only, banks)
    queries, gallery = transform(scorer, banks["val_images"], banks["val_texts"], direction)
    assert queries.dtype == gallery.dtype == np.float32
    found = queries @ gallery.T
    expected = score_by_formula(kind, params, setting, banks, "val", direction)
    assert np.allclose(found if direction == "text_to_image" else found.T, expected, atol=1e-6)
    # ties are told apart at a millionth, so scores have to be of the order of one
    assert np.abs(found).max() < 3


@pytest.mark.parametrize("kind", PARAMS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_taking_off_nothing_leaves_the_very_features(kind, direction):
    banks = toy_banks(1)
    scorer = fit(kind, NOTHING[kind], banks)
    images, texts = banks["val_images"], banks["val_texts"]
    queries, gallery = transform(scorer, images, texts, direction)
    sides = (texts, images) if direction == "text_to_image" else (images, texts)
    assert queries is sides[0] and gallery is sides[1]


def test_directions_choose_for_themselves():
    chosen = [fit("nnn", PARAMS["nnn"], toy_banks(seed)) for seed in range(6)]
    settings = [[setting_of("nnn", scorer, place) for place in (0, 1)] for scorer in chosen]
    assert any(one != other for one, other in settings)


@pytest.mark.parametrize("kind", PARAMS)
def test_a_hub_loses_its_place_where_it_does_not_belong(kind):
    """An image in the middle of everything is everyone's neighbour until it is corrected."""
    lot = np.random.default_rng(0)
    middle = np.eye(16)[0]

    def split(count):
        own = 0.35 * lot.normal(size=(count, 16))
        # captions tell less than half of what is particular to their image
        texts = unit_rows(middle + 0.4 * own + 0.1 * lot.normal(size=(count, 16)))
        images = unit_rows(middle + own)
        images[0] = middle
        return {"images": images, "texts": texts, "image_of_caption": np.arange(count)}

    banks = {
        f"{name}_{key}": value
        for name, count in (("train", 300), ("val", 60))
        for key, value in split(count).items()
    }
    banks["widths"] = np.array([16])
    scorer = fit(kind, PARAMS[kind] | ({} if kind == "centring" else {"bank": 300}), banks)
    test = split(100)

    def first_places_of_the_hub(queries, gallery):
        return int(np.sum(np.argmax(queries @ gallery.T, axis=1) == 0))

    before = first_places_of_the_hub(test["texts"], test["images"])
    mapped = transform(scorer, test["images"], test["texts"], "text_to_image")
    assert before >= 20 and first_places_of_the_hub(*mapped) < before / 4


def test_the_bank_is_a_seeded_draw_of_train_and_no_larger_than_asked():
    banks = toy_banks(0)
    one, same, other = (drawn(banks, 20, seed) for seed in (1, 1, 2))
    for side in ("texts", "images"):
        bank = one[f"bank_{side}"]
        assert bank.shape == (20, 8) and bank.dtype == np.float32
        assert np.array_equal(bank, same[f"bank_{side}"])
        assert not np.array_equal(bank, other[f"bank_{side}"])
        rows = {row.tobytes() for row in banks[f"train_{side}"]}
        assert all(row.tobytes() in rows for row in bank)
    assert np.array_equal(drawn(banks, 10**6, 0)["bank_images"], banks["train_images"])


def test_more_neighbours_than_the_bank_has_are_the_whole_bank():
    items, bank = unit_rows(np.eye(3)), unit_rows(np.array([[1, 1, 0], [0, 1, 1]]))
    assert np.allclose(nearness(items, bank, [1, 99]), [
        [0.5**0.5] * 3, [0.5**0.5 / 2, 0.5**0.5, 0.5**0.5 / 2]
    ])  # fmt: skip


@pytest.mark.parametrize("block_mb", [1e-9, 0.01, 64])
def test_nearness_equals_a_full_sort_at_any_block_size(block_mb):
    banks = toy_banks(4)
    items, bank = banks["val_texts"], banks["train_images"]
    found = nearness(items, bank, [1, 5, 60], block_mb)
    for item, means in zip(items.astype(float), found.T, strict=True):
        scores = sorted((float(row @ item) for row in bank.astype(float)), reverse=True)
        assert np.allclose(means, [sum(scores[:k]) / k for k in (1, 5, 60)], atol=1e-12)


@pytest.mark.parametrize("block_mb", [1e-9, 64])
@pytest.mark.parametrize("beta", [0.01, 5, 100, 5000])
def test_log_mean_exp_equals_scipy_also_where_exponentials_overflow(beta, block_mb):
    banks = toy_banks(2)
    items, bank = banks["val_images"], banks["train_texts"]
    found = log_mean_exp(items, bank, [beta], block_mb)[0]
    scores = beta * (items.astype(float) @ bank.astype(float).T)
    expected = (logsumexp(scores, axis=1) - np.log(len(bank))) / beta
    assert np.allclose(found, expected, atol=3e-7 / min(beta, 1))


def test_an_item_that_is_the_mean_itself_points_nowhere_when_centred():
    banks = toy_banks(0)
    mean = banks["train_images"].mean(axis=0, dtype=float).astype(np.float32)
    scorer = fit("centring", {"shares": [1]}, banks)
    queries, _ = transform(scorer, mean[None], banks["val_texts"], "image_to_text")
    assert queries.tolist() == [[0] * 8]
