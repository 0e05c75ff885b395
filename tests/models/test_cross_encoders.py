"""BLIP's matching head equals its own library's plain loop, and refuses what is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import TEXTS, drawn_images, make_blip_matching, make_clip

from scripts.job import BadInput
from scripts.models.cross_encoders import load_cross_encoder, probe_pairs, read_facts
from scripts.models.fetch_model import fetch_model
from scripts.models.probe import probe

PICTURES = drawn_images()


@pytest.fixture(scope="module")
def blip(tmp_path_factory) -> Path:
    """Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("blip")
    make_blip_matching(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(blip):
    return load_cross_encoder(blip, "cpu")


@pytest.fixture
def spoilt(blip, tmp_path) -> Path:
    return Path(shutil.copytree(blip, tmp_path / "model"))


@pytest.fixture(scope="module")
def expected(blip) -> np.ndarray:
    """Log-odds of each picture and text by transformers alone, pair by pair."""
    from transformers import AutoTokenizer, BlipForImageTextRetrieval
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    model = BlipForImageTextRetrieval.from_pretrained(blip).eval()
    processor = AutoImageProcessor.from_pretrained(blip, backend="pil")
    tokenizer = AutoTokenizer.from_pretrained(blip)
    rows = np.empty((len(PICTURES), len(TEXTS)))
    for place, picture in enumerate(PICTURES):
        pixels = processor(picture, return_tensors="pt")["pixel_values"]
        for other, text in enumerate(TEXTS):
            ids = tokenizer(text, truncation=True, max_length=20, return_tensors="pt").input_ids
            # [ENC] in front, as BLIP's own evaluation puts it
            ids[:, 0] = model.config.text_config.vocab_size - 1
            with torch.no_grad():
                classes = model(input_ids=ids, pixel_values=pixels, use_itm_head=True).itm_score
            rows[place, other] = torch.logit(classes.double().softmax(dim=-1)[0, 1])
    return rows


@pytest.mark.parametrize("at_once", [1, 3, len(TEXTS)])
def test_scores_equal_the_plain_loop_of_the_library(encoder, expected, at_once):
    read = encoder.read(TEXTS)
    for picture, row in zip(PICTURES, expected, strict=True):
        seen = encoder.see(picture)
        found = np.concatenate(
            [encoder.scores(seen, read[i : i + at_once]) for i in range(0, len(TEXTS), at_once)]
        )
        assert found.dtype == np.float32
        assert found == pytest.approx(row, abs=1e-4)
    # the pictures and the texts are told apart by more than that
    assert expected.std(axis=0).min() > 1e-3 and expected.std(axis=1).min() > 1e-3


def test_a_folder_is_fetched_and_its_facts_are_noted(blip, tmp_path):
    fetch_model({"source": "local", "path": str(blip)}, tmp_path / "blip", "blip")
    about = json.loads((tmp_path / "blip" / "model.json").read_text("utf-8"))
    assert about["architecture"] == "blip" and about["parameters"] == read_facts(blip).parameters
    assert "model.safetensors" in about["files"]


def test_a_model_that_reads_each_side_alone_is_no_cross_encoder(tmp_path):
    make_clip(tmp_path)
    with pytest.raises(BadInput, match="BlipForImageTextRetrieval"):
        load_cross_encoder(tmp_path, "cpu")


def spoil(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tensors: tensors.pop("itm_head.weight"), "without itm_head.weight"),
        (lambda tensors: tensors.pop("itm_head.bias"), "without itm_head.bias"),
        (lambda tensors: tensors.update(other=torch.zeros(2)), "does not have: other"),
        (lambda tensors: tensors["itm_head.weight"].zero_(), "the same scores"),
        (lambda tensors: tensors["itm_head.weight"].fill_(torch.nan), "not finite"),
    ],
)
def test_weights_that_could_score_nothing_are_refused(spoilt, change, told):
    spoil(spoilt, change)
    with pytest.raises(BadInput, match=told):
        probe(spoilt)


def test_pickled_weights_are_never_opened(spoilt):
    (spoilt / "model.safetensors").unlink()
    (spoilt / "pytorch_model.bin").write_bytes(b"not to be opened")
    with pytest.raises(BadInput, match="pickled"):
        load_cross_encoder(spoilt, "cpu")


def test_a_sound_model_passes_its_probe(encoder):
    probe_pairs(encoder, {"one": PICTURES[0], "other": PICTURES[1]}, ["a dog", "two cats"])
