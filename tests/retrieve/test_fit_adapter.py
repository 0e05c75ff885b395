"""The adapter begins as cosine, pushes no sibling away, and stops where val says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from toy_features import toy_banks, unit_rows

from scripts.job import BadInput
from scripts.protocol import DIRECTIONS
from scripts.retrieve import fit_adapter
from scripts.retrieve.adapter import adapted, with_seed
from scripts.retrieve.choose import mean_recalls
from scripts.retrieve.fit_adapter import batches_of_epoch, multi_positive_loss, recall_on_val
from scripts.retrieve.scorers import load_scorer, save_scorer, transform

torch = pytest.importorskip("torch")

PARAMS = {
    "seeds": [0, 4], "epochs": 4, "batch_size": 16, "learning_rate": 0.01, "weight_decay": 0.1,
    "temperature": 0.1,
}  # fmt: skip


def turned_banks(train: int = 200, val: int = 60):
    """Images that lie as their captions do, but turned: a linear map mends it, and cosine fails."""
    lot = np.random.default_rng(0)
    turn = np.linalg.qr(lot.normal(size=(8, 8)))[0]
    banks = {"widths": np.array([8])}
    for split, count in (("train", train), ("val", val)):
        texts = lot.normal(size=(count, 8))
        banks[f"{split}_images"] = unit_rows(texts + 0.7 * texts @ turn)
        own = np.arange(count).repeat(2)
        banks[f"{split}_texts"] = unit_rows(texts[own] + 0.4 * lot.normal(size=(2 * count, 8)))
        banks[f"{split}_image_of_caption"] = own
        banks[f"{split}_captions"] = np.array([f"{split} {row}" for row in range(2 * count)])
    return banks


def plain_recall(banks):
    found = mean_recalls(banks["val_images"], banks["val_texts"], banks["val_image_of_caption"])
    return np.mean([found[direction][0] for direction in DIRECTIONS])


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_equals_a_loop_over_right_and_wrong_answers(seed):
    lot = np.random.default_rng(seed)
    scores = 5 * lot.normal(size=(9, 6))
    positive = lot.random((9, 6)) < 0.2
    positive[np.arange(9), np.arange(9) % 6] = True
    total = 0.0
    for table, right in ((scores, positive), (scores.T, positive.T)):
        of_queries = []
        for row, answers in zip(table, right, strict=True):
            wrong = sum(math.exp(s) for s, answer in zip(row, answers, strict=True) if not answer)
            losses = [
                -math.log(math.exp(s) / (math.exp(s) + wrong))
                for s, answer in zip(row, answers, strict=True)
                if answer
            ]
            of_queries.append(sum(losses) / len(losses))
        total += sum(of_queries) / len(of_queries) / 2
    found = multi_positive_loss(torch.from_numpy(scores), torch.from_numpy(positive))
    assert found.item() == pytest.approx(total, rel=1e-9)


def test_with_one_right_answer_each_the_loss_is_that_of_clip():
    scores = torch.from_numpy(np.random.default_rng(0).normal(size=(7, 7)))
    own = torch.arange(7)
    entropy = torch.nn.functional.cross_entropy
    expected = (entropy(scores, own) + entropy(scores.T, own)) / 2
    found = multi_positive_loss(scores, torch.eye(7, dtype=torch.bool))
    assert found.item() == pytest.approx(expected.item())


def test_right_answers_do_not_push_each_other_away():
    scores = torch.zeros(4, 2, requires_grad=True)
    positive = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=torch.bool)
    multi_positive_loss(scores, positive).backward()
    # every right answer is drawn nearer, every wrong one pushed away
    assert (scores.grad[positive] < 0).all() and (scores.grad[~positive] > 0).all()
    # and how near one right answer is changes nothing for another
    before = scores.grad[1, 0].item()
    nearer = torch.tensor([[5.0, 0], [0, 0], [0, 0], [0, 0]], requires_grad=True)
    multi_positive_loss(nearer, positive).backward()
    assert nearer.grad[1, 0].item() == pytest.approx(before)


def test_a_batch_in_which_everything_is_right_has_no_loss_and_no_gradient():
    scores = torch.randn(3, 1, requires_grad=True)
    loss = multi_positive_loss(scores, torch.ones(3, 1, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and not scores.grad.any()


def test_a_batch_has_all_captions_of_its_images_and_knows_equal_texts():
    banks = toy_banks(0)
    own, captions = banks["train_image_of_caption"], banks["train_captions"]
    seen = []
    for images, rows, positive in batches_of_epoch(banks, 16, seed=0, epoch=1):
        seen += images.tolist()
        assert sorted(rows) == [row for row in range(len(own)) if own[row] in images]
        for row, right in zip(rows, positive, strict=True):
            texts_of = [set(captions[own == image]) for image in images]
            assert right.tolist() == [captions[row] in texts for texts in texts_of]
    assert sorted(seen) == list(range(60))
    batches = list(batches_of_epoch(banks, 16, seed=0, epoch=1))
    assert any((positive.sum(axis=1) > 1).any() for _, _, positive in batches)


def test_each_epoch_and_each_seed_has_its_own_order():
    banks = toy_banks(0)

    def order(seed, epoch):
        return np.concatenate([b[0] for b in batches_of_epoch(banks, 16, seed, epoch)]).tolist()

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2) and order(0, 1) != order(1, 1)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_without_a_step_it_is_cosine_to_the_last_bit(direction):
    banks = toy_banks(0)
    scorer = fit_adapter.fit_adapter(PARAMS | {"epochs": 0}, banks)
    assert not scorer["images_maps"].any() and scorer["epochs"].tolist() == [0, 0]
    assert scorer["val_recall"] == pytest.approx(plain_recall(banks))
    assert scorer["val_cosine"].mean() == pytest.approx(plain_recall(banks))
    sides = {"images": banks["val_images"], "texts": banks["val_texts"]}
    found = transform(scorer, *sides.values(), direction)
    expected = ("texts", "images") if direction == "text_to_image" else ("images", "texts")
    assert all(one is sides[side] for one, side in zip(found, expected, strict=True))


def test_it_learns_what_a_linear_map_can_mend():
    banks = turned_banks()
    scorer = fit_adapter.fit_adapter(PARAMS, banks)
    plain = plain_recall(banks)
    assert (scorer["val_recall"] > plain + 0.1).all() and (scorer["epochs"] > 0).all()
    for place in (0, 1):
        one = with_seed(scorer, place)
        found = []
        for direction in DIRECTIONS:
            queries, gallery = transform(one, banks["val_images"], banks["val_texts"], direction)
            texts, images = (queries, gallery)[:: 1 if direction == "text_to_image" else -1]
            found.append(mean_recalls(images, texts, banks["val_image_of_caption"])[direction][0])
        assert np.mean(found) == pytest.approx(scorer["val_recall"][place], abs=1e-9)


def test_a_map_that_does_no_better_on_val_than_cosine_is_not_taken(monkeypatch):
    banks = turned_banks()
    # what is learnt from these captions leads away: each stands beside another image's picture
    banks["train_images"] = np.roll(banks["train_images"], 1, axis=0)
    banks["val_images"] = banks["val_texts"][::2].copy()
    scorer = fit_adapter.fit_adapter(PARAMS | {"seeds": [0]}, banks)
    assert scorer["epochs"].tolist() == [0]
    assert not scorer["images_maps"].any() and not scorer["texts_maps"].any()


def test_training_ends_after_epochs_without_a_better_recall(monkeypatch):
    recalls = iter([0.3, 0.2, 0.4, 0.4, 0.1, 0.3, 0.9])
    monkeypatch.setattr(fit_adapter, "recall_on_val", lambda *_: next(recalls))
    _, recall, epoch = fit_adapter.train(PARAMS | {"epochs": 50}, toy_banks(0), seed=0)
    # the third epoch was the best, and three came after it; equal recall is no better
    assert (recall, epoch) == (0.4, 2)
    assert next(recalls) == 0.9


def test_the_weights_kept_are_those_of_the_best_epoch():
    banks = turned_banks()
    params = PARAMS | {"epochs": 6, "learning_rate": 0.2}
    residuals, recall, epoch = fit_adapter.train(params, banks, seed=0)
    assert recall_on_val(residuals, banks) == recall
    again, same, _ = fit_adapter.train(params | {"epochs": epoch}, banks, seed=0)
    assert same == recall
    assert all(np.array_equal(residuals[side], again[side]) for side in residuals)


def test_the_same_seeds_give_the_same_bytes_however_many_are_trained_at_once(tmp_path):
    banks = turned_banks()
    for name, workers in (("one", 1), ("two", 2)):
        save_scorer(tmp_path / f"{name}.npz", fit_adapter.fit_adapter(PARAMS, banks, workers))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    scorer = load_scorer(tmp_path / "one.npz")
    assert scorer["images_maps"].shape == scorer["texts_maps"].shape == (2, 8, 8)
    assert not np.array_equal(scorer["images_maps"][0], scorer["images_maps"][1])


def test_the_first_seed_maps_unless_another_is_asked_for():
    banks = turned_banks()
    scorer = fit_adapter.fit_adapter(PARAMS, banks)
    images, texts = banks["val_images"], banks["val_texts"]
    first, _ = transform(scorer, images, texts, "text_to_image")
    again, _ = transform(with_seed(scorer, 0), images, texts, "text_to_image")
    second, _ = transform(with_seed(scorer, 1), images, texts, "text_to_image")
    assert np.array_equal(first, again) and not np.array_equal(first, second)
    with pytest.raises(ValueError, match="seed 2 of 2"):
        with_seed(scorer, 2)


def test_a_map_is_the_residual_written_out_and_its_rows_have_unit_length():
    lot = np.random.default_rng(0)
    features = unit_rows(lot.normal(size=(20, 5)))
    residual = (0.3 * lot.normal(size=(5, 5))).astype(np.float32)
    expected = []
    for row in features.astype(float):
        moved = [row[j] + sum(row[i] * float(residual[i, j]) for i in range(5)) for j in range(5)]
        expected.append(np.array(moved) / math.sqrt(sum(value**2 for value in moved)))
    assert np.allclose(adapted(features, residual), expected, atol=1e-7)


def test_a_loss_that_is_no_number_is_told(monkeypatch):
    banks = turned_banks()
    banks["train_images"] = banks["train_images"] * np.float32(np.nan)
    with pytest.raises(BadInput, match="lower learning_rate"):
        fit_adapter.train(PARAMS, banks, seed=0)
