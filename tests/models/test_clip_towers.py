"""CLIP's towers by the short way: the features of transformers, from only the rows they need."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import pytest
import torch
from tiny_models import drawn_images, make_clip, make_clip_text_dual_encoder, make_openai_clip

from scripts.models.clip_towers import distinct_beginnings, image_features, text_features
from scripts.models.encoders import load_encoder

START, END = 8, 9


def loaded(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    request.param(folder)
    return load_encoder(folder, "cpu")


make_gelu_clip = partial(make_clip, activation="gelu")
encoder = pytest.fixture(
    scope="module",
    params=[make_clip, make_openai_clip, make_gelu_clip],
    ids=["clip", "openai", "gelu"],
)(loaded)
text_encoder = pytest.fixture(
    scope="module",
    params=[make_clip, make_openai_clip, make_gelu_clip, make_clip_text_dual_encoder],
    ids=["clip", "openai", "gelu", "dual"],
)(loaded)


def test_what_texts_have_in_common_in_front_is_one_row():
    ids = torch.tensor(
        [
            [START, 1, 2, END, END],
            [START, 1, 3, 2, END],
            [START, 1, END, END, END],
            [START, 1, 2, END, END],
        ]
    )
    found = distinct_beginnings(ids, END)
    beginnings = {
        tuple(ids[row, : place + 1].tolist()): int(found["rows"][row, place])
        for row, end in enumerate(found["ends"])
        for place in range(end + 1)
    }
    # [8], [8 1], [8 1 2], [8 1 2 9], [8 1 3], [8 1 3 2], [8 1 3 2 9], [8 1 9]
    assert len(beginnings) == len(found["tokens"]) == 8
    assert sorted(beginnings.values()) == list(range(8))
    assert found["ends"].tolist() == [3, 4, 2, 3]
    for beginning, row in beginnings.items():
        assert found["tokens"][row] == beginning[-1]
        assert found["positions"][row] == len(beginning) - 1
        assert found["rows"].flatten()[found["firsts"][row]] == row


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_the_distinct_beginnings_of_any_texts(seed):
    lot = random.Random(seed)
    texts = [lot.choices([1, 2, 3], k=lot.randint(0, 6)) for _ in range(lot.randint(1, 9))]
    width = 2 + max(map(len, texts))
    ids = torch.tensor([[START, *text] + [END] * (width - 1 - len(text)) for text in texts])
    found = distinct_beginnings(ids, END)
    whole = [(START, *text, END) for text in texts]
    expected = {text[: place + 1] for text in whole for place in range(len(text))}
    assert len(found["tokens"]) == len(expected)
    again = torch.full_like(ids, END)
    for row, end in enumerate(found["ends"]):
        own = found["rows"][row, : end + 1]
        again[row, : end + 1] = found["tokens"][own]
        assert torch.equal(found["positions"][own], torch.arange(end + 1))
    assert torch.equal(again, ids)
    assert torch.equal(found["rows"].flatten()[found["firsts"]], torch.arange(len(expected)))


BATCHES = {
    "one text": ["a dog"],
    "no words": [""],
    "a prompt": ["a photo of dog", "a photo of x", "a photo of"],
    "equal texts": ["a dog", "x", "a dog", "a dog"],
    "one begins as the other": ["a", "a d", "a do", "a dog", ""],
    "nothing in common": ["x y", "dog", "a"],
    "too long": ["x" * 60, "x" * 59 + "y", "x"],
    "the end in the middle": ["a<|endoftext|>dog", "a<|endoftext|>x", "a"],
}


@pytest.mark.parametrize("texts", BATCHES.values(), ids=BATCHES)
def test_text_features_are_those_of_transformers(text_encoder, texts):
    model, tokens = text_encoder.model, text_encoder.tokenize(texts)
    with torch.inference_mode():
        expected = model.get_text_features(**tokens).pooler_output
        found = text_features(model, text_encoder.plan_texts(tokens))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_image_features_are_those_of_transformers(encoder):
    pixels = np.stack([encoder.preprocess(image) for image in drawn_images()])
    with torch.inference_mode():
        expected = encoder.model.get_image_features(torch.from_numpy(pixels)).pooler_output
        found = image_features(encoder.model, torch.from_numpy(pixels))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def rows_of_layers(tower, compute) -> list[int]:
    """Rows that go through each layer's second half."""
    rows = []

    def count(*call) -> None:
        rows.append(call[2].shape[:-1].numel())

    hooks = [layer.layer_norm2.register_forward_hook(count) for layer in tower.encoder.layers]
    compute()
    for hook in hooks:
        hook.remove()
    return rows


def test_every_layer_has_each_distinct_beginning_once_and_the_last_one_row_a_text(encoder):
    tokens = encoder.tokenize(["a photo of dog", "a photo of x", "x"])
    # start, a, p, h, o, t, o, o, f: nine that two texts share; then "dog", "x", each with its end;
    # and of the third text, its "x" and its end
    rows = rows_of_layers(encoder.model.text_model, lambda: encoder.encode_texts(tokens))
    assert rows == [9 + 4 + 2, 3]
    pixels = torch.zeros(5, 3, 32, 32)
    # 16 patches and the class token
    rows = rows_of_layers(encoder.model.vision_model, lambda: encoder.encode_images(pixels))
    assert rows == [5 * 17, 5]


def test_no_two_of_the_largest_texts_share_a_row(encoder):
    found = encoder.plan_texts(encoder.largest("texts", 8))
    # but for the start
    assert len(found["tokens"]) == 1 + 8 * (encoder.context_length - 1)
