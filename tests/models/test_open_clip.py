"""Models of open_clip equal the package's own loop, and nothing is asked of a hub or a pickle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import TEXTS, drawn_images
from tiny_open_clip import FAMILIES, make_vit

from scripts.models.encoders import load_encoder, looked_up
from scripts.models.probe import probe

ODD = [*TEXTS, "", " \u200b ", "🐕 on 草地 &amp; café", "don't"]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("open_clip")
    FAMILIES[request.param](made)
    return made


@pytest.fixture(scope="module")
def vit(tmp_path_factory) -> Path:
    """Not to be changed by a test."""
    made = tmp_path_factory.mktemp("vit")
    make_vit(made)
    return made


@pytest.fixture
def spoiled(vit, tmp_path) -> Path:
    return Path(shutil.copytree(vit, tmp_path / "model"))


def unit(rows: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(rows, dim=-1).numpy()


@pytest.fixture(scope="module")
def plain(folder, tmp_path_factory) -> tuple:
    """The model, its preprocessing and its tokenizer, by open_clip alone."""
    import open_clip

    copy = Path(shutil.copytree(folder, tmp_path_factory.mktemp("plain") / "model"))
    config = json.loads((copy / "open_clip_config.json").read_text("utf-8"))
    if "hf_model_name" in config["model_cfg"]["text_cfg"]:
        # where the package is to find what else it asks a hub for
        config["model_cfg"]["text_cfg"]["hf_model_name"] = str(copy)
        (copy / "open_clip_config.json").write_text(json.dumps(config), "utf-8")
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{copy}")
    return model.eval(), preprocess, open_clip.get_tokenizer(f"local-dir:{copy}")


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one.astype(np.float64) * other).sum(axis=1)


def test_features_equal_the_packages_own_loop_for_odd_pictures_and_texts(folder, plain):
    model, preprocess, tokenizer = plain
    encoder = load_encoder(folder, "cpu")
    pixels = encoder.batch_of_images([encoder.bytes_of(image) for image in drawn_images()])
    images = encoder.encode_images(pixels).numpy()
    texts = encoder.encode_texts(encoder.tokenize(ODD)).numpy()
    assert images.shape == (len(drawn_images()), encoder.dim)
    # each by itself
    with torch.no_grad():
        expected = [
            torch.cat([model.encode_image(preprocess(image)[None]) for image in drawn_images()]),
            torch.cat([model.encode_text(tokenizer([text])) for text in ODD]),
        ]
    for found, rows in zip((images, texts), expected, strict=True):
        assert cosines(found, unit(rows)).min() >= 0.99999
        # random weights must tell inputs apart, or the equality above says nothing
        assert cosines(found[:1], found[6:7]).max() < 0.9999


def test_bytes_become_the_packages_own_values_bit_by_bit(folder, plain):
    encoder = load_encoder(folder, "cpu")
    for image in drawn_images():
        found = torch.from_numpy(encoder.bytes_of(image))
        values = encoder.preprocess(image)
        assert found.dtype == torch.uint8 and values.dtype == np.float32
        assert np.array_equal(looked_up(encoder._table, found[None])[0].numpy(), values)
        assert np.array_equal(plain[1](image).numpy(), values)


def test_tokens_equal_the_packages_own_and_are_counted_before_they_are_cut(folder, plain):
    encoder = load_encoder(folder, "cpu")
    tokens = encoder.tokenize(ODD)["input_ids"]
    assert torch.equal(tokens, plain[2](ODD))
    lengths = encoder.lengths(ODD)
    assert tokens.shape == (len(ODD), encoder.context_length) == (len(ODD), 16)
    assert [length > 16 for length in lengths].count(True) >= 1
    # what is cut to its own length stays whole
    longer = plain[2](ODD, context_length=max(lengths))
    for whole, found, length in zip(longer, tokens, lengths, strict=True):
        assert length > 16 or torch.equal(whole[:length], found[:length])


def test_a_probe_finds_nothing_to_say(folder):
    probe(folder)
