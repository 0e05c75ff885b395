"""Features of damaged captions: all variants in one file, each text encoded once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scripts.data.rows import read_rows
from scripts.encode import encode_damaged as rule
from scripts.encode.damage import damage
from scripts.encode.stored import read_features
from scripts.job import BadInput
from scripts.models.backends.transformers import TransformersEncoder

SETTINGS = {
    "templates": ["{}", "a photo of {}"],
    "kinds": ["typos", "drop"],
    "strengths": [0.25, 1],
    "seed": 5,
}


def test_every_variant_of_every_caption_has_its_row(job, dataset, encoder):
    task = job(**SETTINGS)
    rule.main(task)
    rows = read_rows(dataset / "captions.json", dataset / "splits.json", "test")
    about = json.loads(Path(task.output.sidecar).read_text("utf-8"))
    assert about["variants"] == [
        {"kind": kind, "strength": strength} for kind in ("typos", "drop") for strength in (0.25, 1)
    ]
    assert about["copies"] == 4
    files = task.output.features, task.output.sidecar
    features = read_features(*files, rows, of="captions", copies=4)
    for number, variant in enumerate(about["variants"]):
        for row, caption in enumerate(rows.captions):
            text = damage(caption, variant["kind"], variant["strength"], 5)
            # a prompt is put around the damaged caption, and is not damaged itself
            texts = [text, f"a photo of {text}"]
            alone = [encoder.encode_texts(encoder.tokenize([t])).numpy()[0] for t in texts]
            mean = np.mean(alone, axis=0)
            found = features[number * len(rows.captions) + row]
            np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-6)


def test_texts_that_variants_share_are_encoded_once(job, monkeypatch):
    seen = []
    tokenize = TransformersEncoder.tokenize
    monkeypatch.setattr(
        TransformersEncoder,
        "tokenize",
        lambda self, texts: seen.extend(texts) or tokenize(self, texts),
    )
    rule.main(job(**SETTINGS | {"templates": ["{}"], "kinds": ["drop"], "strengths": [0.01, 0.02]}))
    assert len(seen) == len(set(seen))
    assert "x" in seen


def test_a_template_without_a_place_for_the_caption_is_refused(job):
    with pytest.raises(BadInput, match=r"prompts\.photo"):
        rule.main(job(**SETTINGS | {"templates": ["a photo"]}))
