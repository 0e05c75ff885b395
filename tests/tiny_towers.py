"""Text towers that are published apart, small, with random weights, in the files of their hubs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tiny_families import write_bert_tokenizer, write_xlm_tokenizer
from tiny_models import TOWER, make_clip, write_json


def spread(model) -> None:
    """Weights not too near zero to tell texts apart."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape)


def make_multilingual(folder: Path, biased: bool = False, activation: str = "Identity") -> None:
    """A DistilBERT of sentence-transformers, its mean and a dense layer."""
    import torch
    from safetensors.torch import save_file
    from transformers import DistilBertConfig, DistilBertModel

    torch.manual_seed(0)
    asked = write_bert_tokenizer(folder)
    model = DistilBertModel(DistilBertConfig(**asked, dim=32, hidden_dim=48, n_layers=2, n_heads=2))
    spread(model)
    model.save_pretrained(folder)
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    modules = [
        {"idx": row, "name": str(row), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for row, (path, kind) in enumerate(kinds)
    ]
    write_json(folder / "modules.json", modules)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 12, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False}
    write_json(folder / "1_Pooling/config.json", pooling | {"pooling_mode_mean_tokens": True})
    (folder / "2_Dense").mkdir()
    where = "linear" if activation == "Identity" else "activation"
    dense = {"activation_function": f"torch.nn.modules.{where}.{activation}", "bias": biased}
    write_json(folder / "2_Dense/config.json", dense | {"in_features": 32, "out_features": 24})
    tensors = {"linear.weight": torch.randn(24, 32)}
    if biased:
        tensors["linear.bias"] = torch.randn(24)
    save_file(tensors, folder / "2_Dense/model.safetensors")


def make_taiyi(folder: Path) -> None:
    """A BERT that classifies; its classes are the dimensions of the space."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(**TOWER, **write_bert_tokenizer(folder), num_labels=24)
    model = BertForSequenceClassification(config)
    spread(model)
    # as old files have it
    tensors = model.state_dict() | {"bert.embeddings.position_ids": torch.arange(20)[None]}
    model.save_pretrained(folder, state_dict=tensors)


def make_m_clip(folder: Path) -> None:
    """An XLM-RoBERTa within another model, whose config has none of its numbers."""
    import torch
    from safetensors.torch import save_file
    from transformers import XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(0)
    asked = write_xlm_tokenizer(folder) | {"max_position_embeddings": 20, "type_vocab_size": 1}
    sizes = TOWER | {"hidden_size": 64, "num_attention_heads": 1, "layer_norm_eps": 1e-5}
    model = XLMRobertaModel(XLMRobertaConfig(**sizes, **asked))
    spread(model)
    tensors = {f"transformer.{name}": value for name, value in model.state_dict().items()}
    # as old files have it
    tensors["transformer.embeddings.position_ids"] = torch.arange(20)[None]
    tensors |= {"LinearTransformation.weight": torch.randn(24, 64)}
    tensors |= {"LinearTransformation.bias": torch.randn(24)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(
        folder / "config.json",
        {"architectures": ["MultilingualCLIP"], "model_type": "M-CLIP", "numDims": 24}
        | {"modelBase": "xlm-roberta-large", "transformerDimensions": 64},
    )


TEXT_TOWERS: dict[str, Callable[[Path], None]] = {
    "multilingual": make_multilingual,
    "taiyi": make_taiyi,
    "m-clip": make_m_clip,
}


def make_towers(folder: Path, text: str) -> None:
    """CLIP's pictures, and one of the text towers."""
    for part, make in (("image", make_clip), ("text", TEXT_TOWERS[text])):
        (folder / part).mkdir(parents=True)
        make(folder / part)
