"""Weights that are not what the config says, or not there: told in words, and never loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from scripts.job import BadInput
from scripts.models.encoders import load_encoder


def edit_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def edit_weights(folder: Path, keep) -> None:
    tensors = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if keep(name)}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("found", ["bert", "xclip", None])
def test_an_unknown_architecture_names_the_supported_ones(spoiled, found):
    edit_config(spoiled, model_type=found)
    with pytest.raises(BadInput, match="clip, siglip, chinese_clip, vision-text-dual-encoder"):
        load_encoder(spoiled)


@pytest.mark.parametrize(
    ("tower", "told"), [("text", "a text tower"), ("vision", "an image tower")]
)
def test_weights_without_a_tower_are_refused(spoiled, tower, told):
    edit_weights(spoiled, lambda name: not name.startswith(f"{tower}_model."))
    with pytest.raises(BadInput, match=f"without {told}"):
        load_encoder(spoiled)


def test_a_missing_tensor_is_an_error_and_not_random_numbers(spoiled):
    edit_weights(spoiled, lambda name: name != "text_model.encoder.layers.1.mlp.fc1.weight")
    with pytest.raises(BadInput, match=r"layers\.1\.mlp\.fc1\.weight"):
        load_encoder(spoiled)


def test_tensors_of_another_shape_are_refused(spoiled):
    config = json.loads((spoiled / "config.json").read_text("utf-8"))
    edit_config(spoiled, text_config=config["text_config"] | {"max_position_embeddings": 40})
    with pytest.raises(BadInput, match=r"max_position_embeddings: 40; the weights have 16"):
        load_encoder(spoiled)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickled_weights_alone_are_refused(spoiled, name):
    (spoiled / "model.safetensors").rename(spoiled / name)
    with pytest.raises(BadInput, match="only pickled weights"):
        load_encoder(spoiled)


def test_a_folder_without_weights_is_refused(spoiled):
    (spoiled / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="no weights"):
        load_encoder(spoiled)


def test_weights_cut_short_are_refused(spoiled):
    whole = (spoiled / "model.safetensors").read_bytes()
    for kept in (5, 200, len(whole) - 4):
        (spoiled / "model.safetensors").write_bytes(whole[:kept])
        with pytest.raises(BadInput, match=r"model\.safetensors"):
            load_encoder(spoiled)


def test_an_index_that_names_a_missing_part_is_refused(spoiled):
    (spoiled / "model.safetensors").rename(spoiled / "model-00001-of-00002.safetensors")
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index = spoiled / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": parts}), "utf-8")
    with pytest.raises(BadInput, match="no file model-00002-of-00002"):
        load_encoder(spoiled)


@pytest.mark.parametrize("missing", ["tokenizer", "preprocessor"])
def test_a_missing_tokenizer_or_preprocessor_is_named(spoiled, missing):
    for path in spoiled.glob(f"{missing}*.json"):
        path.unlink()
    with pytest.raises(BadInput, match=f"no {missing} file"):
        load_encoder(spoiled)


def test_weights_in_parts_load_as_one(spoiled):
    tensors = load_file(spoiled / "model.safetensors")
    (spoiled / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {
        "model-00001-of-00002.safetensors": names[:9],
        "model-00002-of-00002.safetensors": names[9:],
    }
    for part, held in parts.items():
        save_file({name: tensors[name] for name in held}, spoiled / part, metadata={"format": "pt"})
    where = {name: part for part, held in parts.items() for name in held}
    index = {"metadata": {}, "weight_map": where}
    (spoiled / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    assert load_encoder(spoiled, "cpu").dim == 24
