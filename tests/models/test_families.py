"""Every family of models equals its reference in transformers, whatever it is asked."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="models need torch")

from plain_loop import cosines, model_of, ours, reference  # noqa: E402
from tiny_families import FAMILIES, make_aimv2, make_align, make_blip_retrieval, make_naflex  # noqa: E402
from tiny_models import (  # noqa: E402
    TEXTS,
    drawn_images,
    make_roberta_dual_encoder,
    make_siglip2,
)

from scripts.job import BadInput  # noqa: E402
from scripts.models.backends import read_facts  # noqa: E402
from scripts.models.encoders import load_encoder, looked_up  # noqa: E402
from scripts.models.probe import probe, probe_images, probe_texts  # noqa: E402

# processors that take a picture of any mode; the others are given RGB
OF_ANY_MODE = ("clip", "openai-clip", "siglip2", "chinese-clip", "blip", "aimv2")
# what a class has to be told to score pairs by features alone
OF_CLASS = {
    "BlipForImageTextRetrieval": {"use_itm_head": False},
    "FlavaForPreTraining": {"return_loss": False},
}
RGB = [row for row, image in enumerate(drawn_images()) if image.mode == "RGB"]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp(request.param)
    FAMILIES[request.param](made)
    return made


@pytest.fixture(scope="module")
def encoder(folder):
    """Not to be changed by a test."""
    return load_encoder(folder, "cpu")


@pytest.fixture(scope="module")
def found(encoder) -> tuple[np.ndarray, np.ndarray]:
    """Rows of all pictures and of all texts."""
    return ours(encoder, drawn_images(), TEXTS)


def test_loading_never_touches_the_network_and_does_not_ask_for_torchvision(
    folder, monkeypatch, capfd
):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load_encoder(folder, "cpu")
    assert "torchvision" not in capfd.readouterr().err


def test_features_equal_what_the_models_own_processor_and_model_give(folder, encoder, found):
    images, texts = found
    assert images.dtype == texts.dtype == np.float32
    assert images.shape == (len(drawn_images()), encoder.dim)
    assert texts.shape == (len(TEXTS), encoder.dim)
    any_mode = folder.name[:-1] in OF_ANY_MODE
    rows = [*range(len(images))] if any_mode else RGB
    limit = encoder.context_length
    expected = reference(folder, [drawn_images()[row] for row in rows], TEXTS, limit)
    assert cosines(images[rows], expected[0]).min() >= 0.99999
    assert cosines(texts, expected[1]).min() >= 0.99999
    # random weights must tell inputs apart, or the equality above says nothing
    assert (
        cosines(texts[:1], texts[2:3])[0] < 0.9999 and cosines(images[:1], images[1:2])[0] < 0.999
    )


def test_cosines_are_what_the_models_own_forward_pass_scores_pairs_by(folder, encoder, found):
    model = model_of(folder)
    rows, texts = RGB[:3], [*range(3)]
    pixels = encoder.batch_of_images([encoder.preprocess(drawn_images()[row]) for row in rows])
    pixels = pixels if isinstance(pixels, dict) else {"pixel_values": pixels}
    of_class = OF_CLASS.get(type(model).__name__, {})
    with torch.no_grad():
        made = model(**pixels, **encoder.tokenize(TEXTS[:3]), **of_class)
    names = ("logits_per_image", "itm_score", "contrastive_logits_per_image")
    scores = next((made[name] for name in names if made.get(name) is not None), None)
    if scores is None:
        assert type(model).__name__ == "FlavaModel", "which scores no pairs; its pretraining does"
        return
    cosine = (found[0][rows] @ found[1][texts].T).flatten()
    # a scale and a bias away
    assert np.corrcoef(cosine, scores.numpy().flatten())[0, 1] > 0.99999


@pytest.mark.parametrize("number", ["vocab_size", "num_hidden_layers"])
def test_numbers_of_a_config_are_held_against_the_weights(folder, number, tmp_path):
    spoilt = Path(shutil.copytree(folder, tmp_path / "model"))
    path = spoilt / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["text_config"][number] = 10**12
    path.write_text(json.dumps(config), "utf-8")
    with pytest.raises(BadInput, match=rf"text_config\.{number}: 1000000000000"):
        read_facts(spoilt)


def test_a_whole_model_passes_the_probe(encoder):
    probe_texts(encoder)
    probe_images(encoder)


def test_bytes_become_the_values_of_the_models_own_processor_bit_by_bit(encoder, found):
    pixels = [encoder.bytes_of(image) for image in drawn_images()]
    if encoder.architecture == "siglip2":
        # patches and their padding are not looked up
        assert encoder._table is None and pixels[0]["pixel_values"].dtype == np.float32
        return
    for image, one in zip(drawn_images(), pixels, strict=True):
        expected = encoder.preprocess(image)
        assert one.dtype == np.uint8 and one.shape == expected.shape
        values = looked_up(encoder._table, torch.from_numpy(one)[None])[0].numpy()
        assert np.array_equal(values, expected)
    rows = encoder.encode_images(encoder.batch_of_images(pixels)).numpy()
    assert np.array_equal(rows, found[0])


def test_the_largest_batch_is_as_large_as_any(encoder):
    def shapes(batch) -> list:
        return [one.shape for one in (batch.values() if isinstance(batch, dict) else [batch])]

    pixels = encoder.batch_of_images([encoder.bytes_of(image) for image in drawn_images()[:3]])
    assert shapes(encoder.largest("images", 3)) == shapes(pixels)
    tokens = encoder.largest("texts", 3)["input_ids"]
    assert tokens.shape == (3, encoder.context_length)
    assert encoder.encode_texts(encoder.largest("texts", 2)).shape == (2, encoder.dim)


def test_batch_and_order_do_not_change_a_row(encoder, found):
    images, texts = found
    reversed_images, reversed_texts = ours(encoder, drawn_images()[::-1], TEXTS[::-1])
    np.testing.assert_allclose(reversed_images[::-1], images, atol=1e-5)
    np.testing.assert_allclose(reversed_texts[::-1], texts, atol=1e-5)
    alone = ours(encoder, drawn_images()[:1], TEXTS[:1])
    for one, together in zip(alone, found, strict=True):
        np.testing.assert_allclose(one[0], together[0], atol=1e-5)


def test_siglip_pads_every_text_to_the_context_it_was_trained_on(tmp_path):
    make_siglip2(tmp_path)
    encoder = load_encoder(tmp_path, "cpu")
    assert encoder.tokenize(["a dog"])["input_ids"].shape == (1, 64)
    trained = encoder.encode_texts(encoder.tokenize(["a dog"])).numpy()
    encoder.padding = "longest"
    shorter = encoder.encode_texts(encoder.tokenize(["a dog"])).numpy()
    assert cosines(trained, shorter)[0] < 0.9999


@pytest.mark.parametrize("make", [make_siglip2, make_naflex])
def test_siglip2_lowers_case_as_its_files_ask(make, tmp_path):
    make(tmp_path)
    encoder = load_encoder(tmp_path, "cpu")
    lower, upper = (encoder.tokenize([text])["input_ids"] for text in ("a dog", "A DOG"))
    assert torch.equal(lower, upper)


def test_positions_that_start_behind_the_padding_shorten_the_context(tmp_path):
    make_roberta_dual_encoder(tmp_path)
    encoder = load_encoder(tmp_path, "cpu")
    assert encoder.context_length == 20 - 2
    rows = encoder.encode_texts(encoder.tokenize(TEXTS))
    assert rows.shape == (len(TEXTS), 24)


def test_texts_of_aimv2_are_causal_alone_as_in_a_batch(tmp_path):
    make_aimv2(tmp_path)
    encoder = load_encoder(tmp_path, "cpu")
    tokens = encoder.tokenize(["a dog"])
    states = encoder.model.text_model(**tokens).last_hidden_state
    tokens["input_ids"][0, -2] += 1
    changed = encoder.model.text_model(**tokens).last_hidden_state
    assert torch.equal(states[0, :-2], changed[0, :-2])


def edited(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


@pytest.mark.parametrize(
    ("make", "settings", "told"),
    [
        (make_naflex, {"max_num_patches": 10**9}, r"max_num_patches: 1000000000\n.*1 to 4096 pat"),
        (make_naflex, {"patch_size": 16}, "fails at a picture"),
        (make_naflex, {"image_processor_type": "SiglipImageProcessor"}, "as many patches"),
    ],
)
def test_a_processor_that_does_not_belong_to_patches_is_told(make, settings, told, tmp_path):
    make(tmp_path)
    edited(tmp_path / "preprocessor_config.json", **settings)
    with pytest.raises(BadInput, match=told):
        probe(tmp_path)


def test_pictures_of_another_length_than_texts_are_told(tmp_path):
    make_align(tmp_path, width=16)
    with pytest.raises(BadInput, match=r"16 numbers for a picture and 24 for a text"):
        probe(tmp_path)


def test_weights_of_a_captioner_are_no_dual_encoder(tmp_path):
    make_blip_retrieval(tmp_path)
    edited(tmp_path / "config.json", architectures=["BlipForConditionalGeneration"])
    with pytest.raises(BadInput, match=r"without a text tower: itm_head, text_encoder, text_proj"):
        probe(tmp_path)
