"""What is packed gives the features of the model that it was made of, of every family."""

from __future__ import annotations

import pytest
import torch
from tiny_families import FAMILIES
from tiny_models import (
    TEXTS,
    drawn_images,
    make_clip,
    make_clip_text_dual_encoder,
    make_openai_clip,
    make_roberta_dual_encoder,
)
from tiny_towers import make_towers
from torch.nn import functional

from scripts.models.encoders import load_encoder
from scripts.models.packed import PackedLinear, PackedQuickGelu, pack

ALL = {
    **FAMILIES,
    "openai": make_openai_clip,
    "gelu": lambda folder: make_clip(folder, activation="gelu"),
    "clip's text tower": make_clip_text_dual_encoder,
    "roberta": make_roberta_dual_encoder,
    "towers apart": lambda folder: make_towers(folder, "multilingual"),
}
needs_bfloat16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="oneDNN has no bfloat16 here"
)


def features_of(encoder) -> torch.Tensor:
    pictures = [encoder.bytes_of(picture) for picture in drawn_images()]
    each = [encoder.encode_images(encoder.batch_of_images([picture])) for picture in pictures]
    return torch.cat([encoder.encode_texts(encoder.tokenize([*TEXTS, ""])), *each])


@needs_bfloat16
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_features_are_as_near_to_float32_as_before(make, tmp_path):
    make(tmp_path)
    expected = features_of(load_encoder(tmp_path, "cpu"))
    encoder = load_encoder(tmp_path, "cpu", "bfloat16")
    before = features_of(encoder)
    encoder.pack()
    found = features_of(encoder)
    kinds = {type(module) for module in encoder.model.modules()}
    assert torch.nn.Linear not in kinds
    assert PackedLinear in kinds
    lost, lost_before = (
        1 - functional.cosine_similarity(expected, some) for some in (found, before)
    )
    # of the rows together: each rounds in its own way
    assert lost.mean() <= 1.5 * lost_before.mean() + 1e-6


def test_what_is_not_in_bfloat16_on_a_cpu_stays_as_it_is(tmp_path):
    make_openai_clip(tmp_path)
    encoder = load_encoder(tmp_path, "cpu")
    encoder.pack()
    assert not any(isinstance(module, PackedLinear) for module in encoder.model.modules())


@needs_bfloat16
def test_clips_activation_is_scaled_without_rounding_once_more():
    from transformers import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPEncoderLayer

    torch.manual_seed(0)
    config = CLIPTextConfig(hidden_size=64, intermediate_size=256, num_attention_heads=2)
    layer = CLIPEncoderLayer(config).eval()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    states = torch.randn(4000, 64).bfloat16()
    with torch.inference_mode():
        layer.to(torch.bfloat16)
        plain = states + layer.mlp(layer.layer_norm2(states))
        layer.double()
        exact = states.double() + layer.mlp(layer.layer_norm2(states.double()))
        layer.to(torch.bfloat16)
        pack(torch.nn.ModuleList([layer]))
        assert isinstance(layer.mlp, PackedQuickGelu)
        added = layer.mlp.added_to(states)
        called = states + layer.mlp(layer.layer_norm2(states))

    def error(some: torch.Tensor) -> float:
        return float((some.double() - exact).pow(2).mean().sqrt())

    assert error(added) <= error(plain)
    assert error(called) <= 1.2 * error(plain)
