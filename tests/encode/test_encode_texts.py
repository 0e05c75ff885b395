"""Text features: one row a caption, under a template or the mean of several."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scripts.data.rows import read_rows
from scripts.encode import encode_texts as rule
from scripts.encode.encode_texts import check_templates, encode_captions
from scripts.encode.stored import read_features
from scripts.job import BadInput, digest_of_file

CAPTIONS = ["a dog", "x", "two dogs", "a {} dog", "a dog", "grass, {0} and %s"]


def alone(encoder, text: str) -> np.ndarray:
    return encoder.encode_texts(encoder.tokenize([text])).numpy()[0]


def test_features_stand_in_the_order_of_the_captions_and_say_what_they_are_of(
    job, dataset, model, encoder
):
    task = job(templates=["a photo of {}"])
    rule.main(task)
    rows = read_rows(dataset / "captions.json", dataset / "splits.json", "test")
    features = read_features(task.output.features, task.output.sidecar, rows, of="captions")
    for row, caption in enumerate(rows.captions):
        expected = alone(encoder, f"a photo of {caption}")
        np.testing.assert_allclose(features[row], expected, atol=1e-6)
    assert json.loads(Path(task.output.sidecar).read_text("utf-8")) == {
        "rows": rows.digest,
        "shape": [7, 24],
        "sha256": digest_of_file(task.output.features),
        "model": digest_of_file(model),
        "device": "cpu",
        "precision": "float32",
        "templates": ["a photo of {}"],
        "truncated": 1,
        "cut": [4],
    }


def test_an_ensemble_is_the_normalised_mean_of_its_templates(encoder):
    templates = ["{}", "a photo of {}", "{}!"]
    features, _ = encode_captions(encoder, CAPTIONS, templates, batch_size=2)
    for row, caption in enumerate(CAPTIONS):
        texts = [caption, "a photo of " + caption, caption + "!"]
        mean = np.mean([alone(encoder, text) for text in texts], axis=0)
        np.testing.assert_allclose(features[row], mean / np.linalg.norm(mean), atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_batch_size_and_order_do_not_change_a_row(encoder, batch_size):
    features, _ = encode_captions(encoder, CAPTIONS, ["{}"], batch_size)
    backwards, _ = encode_captions(encoder, CAPTIONS[::-1], ["{}"], batch_size)
    np.testing.assert_allclose(backwards[::-1], features, atol=1e-6)
    for row, caption in enumerate(CAPTIONS):
        np.testing.assert_allclose(features[row], alone(encoder, caption), atol=1e-6)


def test_equal_captions_are_encoded_once_and_get_the_same_row(encoder, monkeypatch):
    seen = []
    tokenize = encoder.tokenize
    monkeypatch.setattr(encoder, "tokenize", lambda texts: seen.extend(texts) or tokenize(texts))
    features, _ = encode_captions(encoder, ["a dog", "x", "a dog", "a dog"], ["{}"], 8)
    assert sorted(seen) == ["a dog", "x"]
    assert np.array_equal(features[0], features[2])
    assert np.array_equal(features[0], features[3])


def test_captions_longer_than_the_context_are_counted_each_time_they_occur(encoder):
    # two of the context's 24 tokens stand around the text
    captions = ["x" * 22, "x" * 23, "x" * 23, "x"]
    _, cut = encode_captions(encoder, captions, ["{}"], 4)
    assert cut == 2
    _, cut = encode_captions(encoder, captions, ["{}", "a{}"], 4)
    assert cut == 3


@pytest.mark.parametrize("template", ["a photo", "{caption}", "{} and {}", ""])
def test_a_template_without_one_place_for_the_caption_is_refused(job, template):
    with pytest.raises(BadInput, match=r"prompts\.photo"):
        rule.main(job(templates=["{}", template]))


def test_a_prompt_without_templates_is_refused():
    with pytest.raises(BadInput, match="no template"):
        check_templates([], "empty")


def test_braces_around_the_place_stay_in_the_text(encoder):
    check_templates(["{{}}"], "braces")
    features, _ = encode_captions(encoder, ["a dog"], ["{{}}"], 1)
    np.testing.assert_allclose(features[0], alone(encoder, "{a dog}"), atol=1e-6)
