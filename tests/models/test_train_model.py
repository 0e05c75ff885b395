"""Training: the loss, the batches, the choice of the epoch, and the folder that comes out."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_families import make_align, make_metaclip_2, make_naflex
from tiny_models import make_clip, make_dual_encoder, make_siglip2

from scripts.data.draw_scenes import draw_scenes
from scripts.data.rows import read_rows
from scripts.job import BadInput
from scripts.models import train_model as training
from scripts.models.encoders import load_encoder
from scripts.models.examples import read_examples, tokenize_all
from scripts.models.folder import verify_model, write_provenance
from scripts.models.losses import also_right, contrastive_loss
from scripts.models.new_clip import train_tokenizer

ROOT = Path(__file__).resolve().parents[2]
ENTRY = {
    **{"source": "train", "dataset": "scenes", "base": None, "epochs": 2, "batch_size": 8},
    **{"learning_rate": None, "weight_decay": 0.1, "warmup": 0.1, "shift": 0.1, "seed": 0},
    **{"image_size": 16, "patch_size": 8, "width": 32, "layers": 1, "heads": 2},
    **{"embedding_dim": 16, "context_length": 40, "vocabulary": 600},
}


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> dict[str, Path]:
    """Two dozen scenes as ``prepare`` and ``split`` leave them."""
    root = tmp_path_factory.mktemp("scenes")
    images = {"train": 24, "val": 8, "test": 2}
    draw_scenes({"images": images, "size": 32, "seed": 0}, root)
    table = root / "images.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "sha256"])
        for path in sorted((root / "images").iterdir()):
            writer.writerow([path.name, hashlib.sha256(path.read_bytes()).hexdigest()])
    return {
        **{"images": root / "images", "table": table},
        **{"captions": root / "captions.json", "splits": root / "splits.json"},
    }


def fit(data: dict[str, Path], folder: Path, start: Path | None = None, **settings):
    return training.train_model(ENTRY | settings, data, start, folder, device="cpu", threads=1)


@pytest.fixture(scope="session")
def trained(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    fit(data, folder)
    return folder


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def differing(one: Path, other: Path) -> list[str]:
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys()
    return [name for name in first if not torch.equal(first[name], second[name])]


# --- the loss


def brute_force(images: np.ndarray, texts: np.ndarray, scale: float, left_out: np.ndarray) -> float:
    """InfoNCE both ways, one pair at a time."""
    images = images / np.linalg.norm(images, axis=1, keepdims=True)
    texts = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    total, count = 0.0, len(images)
    for own in range(count):
        right = math.exp(scale * images[own] @ texts[own])
        others_texts = sum(
            math.exp(scale * images[own] @ texts[j])
            for j in range(count)
            if j == own or not left_out[own, j]
        )
        others_images = sum(
            math.exp(scale * images[i] @ texts[own])
            for i in range(count)
            if i == own or not left_out[i, own]
        )
        total -= math.log(right / others_texts) + math.log(right / others_images)
    return total / (2 * count)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_loss_is_the_one_that_a_loop_over_pairs_gives(share):
    rng = np.random.default_rng(0)
    images, texts = rng.normal(size=(2, 7, 5))
    left_out = np.triu(rng.random((7, 7)) < share, 1)
    left_out |= left_out.T
    found = contrastive_loss(
        torch.tensor(images), torch.tensor(texts), torch.tensor(3.0), torch.tensor(left_out)
    )
    assert found.item() == pytest.approx(brute_force(images, texts, 3.0, left_out), rel=1e-12)


def test_a_pair_that_is_left_out_is_pushed_nowhere():
    images = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    texts = torch.eye(3, 4, dtype=torch.float32)
    everything_but_own = ~torch.eye(3, dtype=torch.bool)
    loss = contrastive_loss(images, texts, torch.tensor(5.0), everything_but_own)
    loss.backward()
    assert loss.item() == 0
    assert images.grad.abs().max() == 0


def test_texts_that_describe_another_image_too_are_no_negatives():
    # image 0: texts 0 1; image 1: texts 2 3; image 2: texts 1 4
    caption_ids = torch.tensor([[0, 1], [2, 3], [1, 4]])
    same_text_drawn = also_right(caption_ids, torch.tensor([1, 2, 1]))
    assert same_text_drawn.nonzero().tolist() == [[0, 2], [2, 0]]
    other_text_drawn = also_right(caption_ids, torch.tensor([0, 2, 1]))
    assert other_text_drawn.nonzero().tolist() == [[0, 2], [2, 0]]
    assert not also_right(caption_ids, torch.tensor([0, 2, 4])).any()


def test_padding_is_no_text():
    caption_ids = torch.tensor([[0, -1], [1, -1]])
    assert not also_right(caption_ids, torch.tensor([0, 1])).any()


def test_the_loss_of_several_captions_is_the_mean_over_batches_of_one_caption_each():
    rng = np.random.default_rng(0)
    images, texts = rng.normal(size=(4, 5)), rng.normal(size=(2, 4, 5))
    # text 9 describes images 0 and 2
    caption_ids = torch.tensor([[0, 9], [2, 3], [9, 5], [6, 7]])
    drawn = torch.tensor([[0, 2, 5, 6], [9, 3, 5, 7]])
    twins = np.zeros((4, 4), dtype=bool)
    twins[0, 2] = twins[2, 0] = True
    found = training.loss_of_batch(
        torch.tensor(images), torch.tensor(texts), torch.tensor(3.0), caption_ids, drawn
    )
    first = brute_force(images, texts[0], 3.0, np.zeros((4, 4), dtype=bool))
    second = brute_force(images, texts[1], 3.0, twins)
    assert found.item() == pytest.approx((first + second) / 2, rel=1e-12)


def test_the_text_tower_may_be_of_another_shape(data, tmp_path):
    shape = {"text_width": 16, "text_layers": 2, "text_heads": 4, "captions_per_image": 3}
    fit(data, tmp_path / "m", epochs=1, **shape)
    config = load_encoder(tmp_path / "m", "cpu").model.config
    assert (config.text_config.hidden_size, config.vision_config.hidden_size) == (16, 32)
    assert (config.text_config.num_hidden_layers, config.vision_config.num_hidden_layers) == (2, 1)


def test_the_learning_rate_rises_in_a_line_and_falls_along_a_cosine():
    rates = [training.learning_rate_at(step, 10, 1.0, 0.2) for step in range(10)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[6] == pytest.approx(0.5)
    assert rates == sorted(rates[:2]) + sorted(rates[2:], reverse=True)
    assert training.learning_rate_at(0, 10, 1.0, 0.0) == 1.0


def test_texts_come_back_in_their_order_whatever_their_length(trained, monkeypatch):
    monkeypatch.setattr(training, "TEXTS_AT_ONCE", 2)
    encoder = load_encoder(trained, "cpu")
    texts = ["a red car on the grass, at night", "a cup", "two blue fish at sea", "x", "a star"]
    alone = torch.cat([encoder.forward_texts(encoder.tokenize([text])) for text in texts])
    together = training.forward_texts(encoder, *tokenize_all(encoder, texts))
    torch.testing.assert_close(together, alone)


def test_the_tokenizer_can_write_any_text_and_ends_it_once():
    tokenizer = train_tokenizer(["a dog", "a dog and a dog"], 600, context_length=12)
    assert tokenizer.tokenize("A dog") == ["a</w>", "dog</w>"]
    ids = tokenizer("zebra 一只狗 {}", truncation=False)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert ids.index(tokenizer.eos_token_id) == len(ids) - 1
    assert len(train_tokenizer(["a dog and a frog"] * 9, 516, 12)) == 516


# --- what comes out


def test_the_folder_loads_like_any_other_model(trained, data):
    encoder = load_encoder(trained, "cpu")
    rows = read_rows(data["captions"], data["splits"], "test")
    features = encoder.encode_texts(encoder.tokenize(rows.captions))
    assert features.shape == (10, 16)
    assert encoder.context_length == 40
    assert encoder.model.config.text_config.eos_token_id == encoder.tokenizer.eos_token_id
    assert max(encoder.lengths(rows.captions)) <= 40
    assert not [path.name for path in trained.iterdir() if path.name.startswith(".")]


def test_a_texts_features_are_read_at_its_end_and_padding_changes_nothing(trained):
    encoder = load_encoder(trained, "cpu")
    short, long = "a red car", "a small blue house to the left of a large white star"
    together = encoder.encode_texts(encoder.tokenize([short, long]))
    torch.testing.assert_close(together[:1], encoder.encode_texts(encoder.tokenize([short])))


def test_the_record_says_how_the_model_came_about(trained):
    about = verify_model(trained / "model.json")
    assert (about["source"], about["architecture"], about["embedding_dim"]) == ("train", "clip", 16)
    told = about["training"]
    assert (told["images"], told["captions"], told["base"], told["epochs"]) == (24, 120, None, 2)
    assert told["learning_rate"] == training.FROM_SCRATCH
    assert "base_weights" not in told
    with (trained / "training.csv").open(encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert [row["epoch"] for row in table] == ["1", "2"]
    assert [row["step"] for row in table] == ["3", "6"]
    assert tuple(table[0]) == training.COLUMNS
    kept = table[told["best_epoch"] - 1]
    assert float(kept["val_recall@10"]) == pytest.approx(told["val_recall@10"], rel=1e-5)
    assert all(0 < float(row["train_loss"]) < 10 for row in table)


def test_the_weights_kept_are_those_of_the_best_epoch_on_val(data, tmp_path, monkeypatch):
    told = iter([0.2, 0.6, 0.6, 0.1])
    after = []

    def evaluate(encoder, held_out, batch_size):
        after.append(encoder.model.visual_projection.weight.detach().clone())
        return {"val_loss": 1.0, "val_recall@1": 0.1, "val_recall@10": next(told)}

    monkeypatch.setattr(training, "evaluate", evaluate)
    fit(data, tmp_path / "m", epochs=4)
    assert json.loads((tmp_path / "m/model.json").read_text("utf-8"))["training"]["best_epoch"] == 2
    kept = weights_of(tmp_path / "m")["visual_projection.weight"]
    assert torch.equal(kept, after[1])
    assert not torch.equal(kept, after[2])


def test_recall_on_val_is_that_of_a_loop_over_captions(trained, data):
    encoder = load_encoder(trained, "cpu")
    rows = read_rows(data["captions"], data["splits"], "val")
    digests = training.read_checksums(data["table"], rows.images)
    examples = read_examples(rows, data["images"], digests, encoder, workers=1)
    found = training.evaluate(encoder, examples, batch_size=8)
    images = encoder.encode_images(examples.pixels.float()).numpy()
    hits = []
    for caption, own in zip(rows.captions, rows.image_of_caption, strict=True):
        scores = images @ encoder.encode_texts(encoder.tokenize([caption])).numpy()[0]
        hits.append(all(scores[own] > score for i, score in enumerate(scores) if i != own))
    assert found["val_recall@1"] == pytest.approx(np.mean(hits))
    assert found["val_recall@10"] == 1.0  # of 8 images


def test_training_learns_what_it_is_shown(data, tmp_path):
    settings = {"epochs": 40, "shift": 0.0, "learning_rate": 3e-3}
    history = fit(data, tmp_path / "m", **settings)
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]


SCRIPT = """
import json, sys
from pathlib import Path
from scripts.models.train_model import train_model
entry, data, folder = json.loads(sys.argv[1])
data = {name: Path(path) for name, path in data.items()}
train_model(entry, data, None, Path(folder), "cpu", threads=3)
"""


def test_training_again_in_another_process_on_more_cores_gives_the_same_bytes(
    trained, data, tmp_path
):
    settings = json.dumps([ENTRY, {k: str(v) for k, v in data.items()}, str(tmp_path / "tiny")])
    subprocess.run(
        [sys.executable, "-c", SCRIPT, settings],
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"},
    )
    for path in sorted(trained.iterdir()):
        assert (tmp_path / "tiny" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_training_fills_no_folder_behind_a_link(data, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.json").write_text("of the user")
    (tmp_path / "m").symlink_to(tmp_path / "mine")
    with pytest.raises(BadInput, match=r"a link to .*mine"):
        fit(data, tmp_path / "m")
    assert (tmp_path / "mine" / "model.json").read_text() == "of the user"


def test_training_uses_no_more_cores_than_its_job_has():
    script = "import os; from scripts.models.train_model import stay_on_cores as stay\n"
    script += "stay(1); print(len(os.sched_getaffinity(0)))\n"
    told = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert told.stdout == "1\n", told.stderr


def test_another_seed_gives_another_model(trained, data, tmp_path):
    fit(data, tmp_path / "other", seed=1)
    assert "visual_projection.weight" in differing(trained, tmp_path / "other")


# --- fine-tuning


@pytest.fixture
def base(tmp_path: Path) -> Path:
    make_clip(tmp_path / "base", context_length=24)
    write_provenance(tmp_path / "base", "base", "local", repo="x", revision=None, tried=[])
    return tmp_path / "base"


def test_fine_tuning_starts_from_the_base_and_records_it(data, base, tmp_path):
    fit(data, tmp_path / "tuned", base, base="base")
    changed = differing(base, tmp_path / "tuned")
    assert {"visual_projection.weight", "text_projection.weight", "logit_scale"} <= set(changed)
    before, after = weights_of(base), weights_of(tmp_path / "tuned")
    # no step is longer than the learning rate, but for the decay
    assert (after["visual_projection.weight"] - before["visual_projection.weight"]).abs().max() < (
        7 * training.FINE_TUNING
    )
    told = verify_model(tmp_path / "tuned/model.json")["training"]
    assert (told["base"], told["learning_rate"]) == ("base", training.FINE_TUNING)
    assert told["base_weights"] == [verify_model(base / "model.json")["files"]["model.safetensors"]]
    assert "width" not in told
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        assert (tmp_path / "tuned" / name).read_bytes() == (base / name).read_bytes()


def test_fine_tuning_tells_what_the_base_does_on_val_and_keeps_a_later_epoch(
    data, base, tmp_path, monkeypatch
):
    told = iter([0.9, 0.2, 0.3])
    weights = []

    def evaluate(encoder, held_out, batch_size):
        weights.append(encoder.model.visual_projection.weight.detach().clone())
        return {"val_loss": 1.0, "val_recall@1": 0.1, "val_recall@10": next(told)}

    monkeypatch.setattr(training, "evaluate", evaluate)
    fit(data, tmp_path / "tuned", base, base="base", epochs=2)
    with (tmp_path / "tuned" / "training.csv").open(encoding="utf-8") as stream:
        first, *others = csv.DictReader(stream)
    assert (first["epoch"], first["step"], first["val_recall@10"]) == ("0", "0", "0.9")
    assert first["train_loss"] == first["learning_rate"] == ""
    assert [row["epoch"] for row in others] == ["1", "2"]
    assert torch.equal(weights[0], weights_of(base)["visual_projection.weight"])
    about = verify_model(tmp_path / "tuned/model.json")["training"]
    assert about["best_epoch"] == 2
    assert about["before"]["val_recall@10"] == 0.9
    kept = weights_of(tmp_path / "tuned")["visual_projection.weight"]
    assert torch.equal(kept, weights[2])


def test_a_look_at_the_base_changes_nothing_of_its_training(data, base, tmp_path, monkeypatch):
    fit(data, tmp_path / "one", base, base="base", epochs=1)
    looked = training.evaluate
    monkeypatch.setattr(
        training,
        "evaluate",
        lambda encoder, held_out, size: [looked(encoder, held_out, size) for _ in range(2)][-1],
    )
    fit(data, tmp_path / "two", base, base="base", epochs=1)
    assert differing(tmp_path / "one", tmp_path / "two") == []


@pytest.mark.parametrize("make", [make_siglip2, make_dual_encoder, make_metaclip_2])
def test_other_families_can_be_fine_tuned_as_well(data, tmp_path, make):
    make(tmp_path / "base")
    write_provenance(tmp_path / "base", "base", "local", repo="x", revision=None, tried=[])
    fit(data, tmp_path / "tuned", tmp_path / "base", base="base", epochs=1)
    assert differing(tmp_path / "base", tmp_path / "tuned")
    tuned, before = load_encoder(tmp_path / "tuned", "cpu"), load_encoder(tmp_path / "base", "cpu")
    assert tuned.tokenizer.get_vocab() == before.tokenizer.get_vocab()
    assert (tuned.dim, tuned.architecture) == (before.dim, before.architecture)


def test_the_statistics_of_batch_normalisation_stay_those_of_the_base(data, tmp_path):
    make_dual_encoder(tmp_path / "base", convolutional=True)
    write_provenance(tmp_path / "base", "base", "local", repo="x", revision=None, tried=[])
    fit(data, tmp_path / "tuned", tmp_path / "base", base="base", epochs=1)
    changed = differing(tmp_path / "base", tmp_path / "tuned")
    assert any("vision_model" in name for name in changed)
    assert not [name for name in changed if "running_" in name or "num_batches" in name]


@pytest.mark.parametrize(
    ("make", "told"),
    [(make_naflex, "pictures in patches"), (make_align, "no logit_scale")],
)
def test_a_base_that_is_trained_otherwise_is_told_in_words(data, tmp_path, make, told):
    make(tmp_path / "base")
    write_provenance(tmp_path / "base", "base", "local", repo="x", revision=None, tried=[])
    with pytest.raises(BadInput, match=told):
        fit(data, tmp_path / "tuned", tmp_path / "base", base="base", epochs=1)


def test_a_base_whose_files_were_changed_is_refused(data, base, tmp_path):
    (base / "tokenizer.json").write_text("{}", "utf-8")
    with pytest.raises(BadInput, match=r"tokenizer\.json"):
        fit(data, tmp_path / "tuned", base, base="base")


# --- what goes wrong


def test_a_loss_that_is_no_number_ends_in_words_and_leaves_no_model(data, tmp_path):
    with pytest.raises(BadInput, match="lower learning_rate"):
        fit(data, tmp_path / "m", learning_rate=1e30)
    assert not (tmp_path / "m/model.json").exists()


def test_what_was_trained_is_a_model_only_if_it_tells_inputs_apart(data, tmp_path, monkeypatch):
    train = training.train

    def collapsed(*given):
        weights, history = train(*given)
        return {name: torch.ones_like(value) for name, value in weights.items()}, history

    monkeypatch.setattr(training, "train", collapsed)
    with pytest.raises(BadInput, match="the same features"):
        fit(data, tmp_path / "m", epochs=1)
    assert not (tmp_path / "m/model.json").exists()


def test_a_model_that_stood_there_is_gone_when_training_starts(trained, data, tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model.json").write_text("{}", "utf-8")
    (folder / "vocab.txt").write_text("old", "utf-8")
    (tmp_path / "images.csv").write_text("image,sha256\n", "utf-8")
    with pytest.raises(BadInput, match="no row for train-00000"):
        fit(data | {"table": tmp_path / "images.csv"}, folder)
    assert not (folder / "model.json").exists()
    fit(data, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in trained.iterdir()
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"heads": 3}, "heads"),
        ({"text_heads": 3}, "text_heads"),
        ({"patch_size": 32}, "patch_size"),
    ],
)
def test_a_shape_that_no_model_can_have_is_told_by_its_key(data, tmp_path, wrong, told):
    with pytest.raises(BadInput, match=told):
        fit(data, tmp_path / "m", **wrong)
