"""What a probe of a model takes for a fault, and what it does not."""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="models need torch")

from scripts.job import BadInput  # noqa: E402
from scripts.models.encoders import load_encoder  # noqa: E402
from scripts.models.probe import (  # noqa: E402
    SAME,
    SENTENCES,
    drawn_pictures,
    probe,
    probe_images,
    probe_texts,
)

SHARED = Path(__file__).resolve().parents[3] / "shared"


def smallest_distance(rows: torch.Tensor) -> float:
    rows = rows.double().numpy()
    return min(np.linalg.norm(one - other) for one, other in combinations(rows, 2))


def test_a_real_model_passes_and_is_far_from_where_inputs_are_the_same():
    folder = SHARED / "models" / "flickr8k-dual-mobilenetv2"
    if not folder.exists():
        pytest.skip("needs the model beside the repository")
    probe(folder)
    encoder = load_encoder(folder, "cpu")
    pixels = np.stack([encoder.preprocess(picture) for picture in drawn_pictures().values()])
    # 0.7 for pictures and 1.3 for sentences, where rows computed twice are 1e-6 apart
    assert smallest_distance(encoder.encode_images(torch.from_numpy(pixels))) > 1e4 * SAME
    assert smallest_distance(encoder.encode_texts(encoder.tokenize([*SENTENCES[0]]))) > 1e4 * SAME


def test_a_clip_of_full_size_that_has_learnt_nothing_is_no_fault(clip):
    from transformers import CLIPConfig, CLIPModel

    encoder = load_encoder(clip, "cpu")
    config = CLIPConfig(
        text_config=encoder.model.config.text_config.to_dict() | {"num_hidden_layers": 12},
        vision_config=encoder.model.config.vision_config.to_dict() | {"num_hidden_layers": 12},
        projection_dim=24,
    )
    torch.manual_seed(0)
    encoder.model = CLIPModel(config).eval()
    probe_texts(encoder)
    probe_images(encoder)


def test_sentences_differ_and_those_of_a_language_have_as_many_words():
    for language in SENTENCES:
        assert len(set(language)) == len(language) == len(SENTENCES[0])
        assert len({len(text.split()) for text in language}) == 1


@pytest.mark.parametrize("fault", [IndexError("index out of range in self"), AttributeError("x")])
def test_whatever_fails_in_a_forward_pass_is_told(clip, fault):
    encoder = load_encoder(clip, "cpu")

    def fails(*_):
        raise fault

    encoder.infer_texts = fails
    blamed = "tokenizer" if isinstance(fault, IndexError) else "config"
    with pytest.raises(BadInput, match=rf"{blamed}\.json\n.*the model fails at a text"):
        probe_texts(encoder)
    encoder.infer_images = fails
    blamed = "preprocessor_config" if isinstance(fault, IndexError) else "config"
    with pytest.raises(BadInput, match=rf"{blamed}\.json\n.*the model fails at a picture"):
        probe_images(encoder)


def test_features_that_depend_on_padding_are_told(clip):
    encoder = load_encoder(clip, "cpu")
    encoder.plan_texts = lambda tokens: tokens
    encoder.infer_texts = lambda tokens: (
        encoder.model.get_text_features(input_ids=tokens["input_ids"].flip(1)).pooler_output
    )
    with pytest.raises(BadInput, match="other features beside longer ones than alone"):
        probe_texts(encoder)


def test_a_probe_leaves_the_folder_as_it_was(clip, tmp_path):
    folder = Path(shutil.copytree(clip, tmp_path / "model"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    probe(folder)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
