"""Models of open_clip with every kind of tower, small, random, in the files that it publishes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tiny_models import TOWER, clip_vocabulary, write_bert_vocabulary, write_json

NATIVE = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
PIXELS = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]}


def save(folder: Path, config: dict[str, Any], **preprocess: Any) -> None:
    """Write open_clip_config.json and weights, not too near zero to tell rows apart."""
    import torch
    from safetensors.torch import save_file

    from scripts.models.backends import open_clip as backend

    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        folder / "open_clip_config.json",
        {"model_cfg": config, "preprocess_cfg": PIXELS | preprocess},
    )
    backend.import_libraries()
    torch.manual_seed(0)
    model = backend.made(folder, config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # convolutions of many layers keep the size that they begin with
            weight += (0.01 if "conv" in name else 0.1) * torch.randn(weight.shape)
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")


def make_vit(folder: Path, **preprocess: Any) -> None:
    """OpenAI's towers, as most published models have them."""
    config = {"embed_dim": 24, "quick_gelu": True, "vision_cfg": NATIVE, "text_cfg": TEXT}
    save(folder, config, **preprocess)


def make_resnet(folder: Path) -> None:
    vision = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64}
    save(folder, {"embed_dim": 24, "vision_cfg": vision | {"patch_size": None}, "text_cfg": TEXT})


def make_siglip(folder: Path) -> None:
    """SigLIP in timm: padding is read, no token is hidden, a tokenizer of transformers."""
    from transformers import GemmaTokenizer

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *letters, "▁", "do", "dog"]
    tokenizer = GemmaTokenizer(
        vocab={piece: row for row, piece in enumerate(pieces)},
        merges=[("d", "o"), ("do", "g")],
        add_bos_token=False,
        add_eos_token=True,
        padding_side="right",
    )
    tokenizer.save_pretrained(folder)
    own = {"vocab_size": len(pieces), "hf_tokenizer_name": "timm/ViT-B-16-SigLIP2"}
    own |= {"tokenizer_kwargs": {"clean": "canonicalize"}, "no_causal_mask": True}
    own |= {"proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}}
    vision = {"image_size": 160, "timm_model_name": "test_vit", "timm_model_pretrained": False}
    config = {"embed_dim": 64, "init_logit_bias": -10, "custom_text": True}
    config |= {"vision_cfg": vision | {"timm_pool": "map", "timm_proj": "none"}}
    save(folder, config | {"text_cfg": TEXT | own}, interpolation="bicubic", resize_mode="squash")


def make_convnext(folder: Path) -> None:
    """A convolutional tower of timm, and CLIPA's tokens: of BERT, without its separator."""
    from transformers import BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    own = {"vocab_size": write_bert_vocabulary(folder), "hf_tokenizer_name": "bert-base-uncased"}
    own |= {"tokenizer_kwargs": {"strip_sep_token": True}, "no_causal_mask": True}
    BertTokenizer.from_pretrained(folder).save_pretrained(folder)
    vision = {"image_size": 64, "timm_model_name": "test_convnext", "timm_pool": ""}
    vision |= {"timm_proj": "linear", "timm_drop": 0.0, "timm_drop_path": 0.1}
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": TEXT | own | {"pool_type": "last"}}
    save(folder, config, interpolation="bilinear", resize_mode="longest")


def make_hugging_face_text(folder: Path, nllb: bool = False) -> None:
    """A text tower of transformers, whose config stands in another repository, on disk here."""
    from transformers import M2M100Config, RobertaConfig, RobertaTokenizer

    letters = [piece for piece in sorted(clip_vocabulary()[0]) if len(piece) == 1]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *letters]
    vocab = {piece: row for row, piece in enumerate(pieces)}
    RobertaTokenizer(vocab=vocab, merges=[]).save_pretrained(folder)
    sizes = {"vocab_size": len(vocab), "max_position_embeddings": 20, "pad_token_id": 1}
    text = {"hf_model_name": "me/text", "hf_tokenizer_name": "me/text", "context_length": 16}
    if nllb:
        heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "d_model": 32}
        layers = {"encoder_layers": 2, "decoder_layers": 1, "encoder_ffn_dim": 48}
        M2M100Config(**sizes, **heads, **layers, decoder_ffn_dim=48).save_pretrained(folder)
        text |= {"hf_pooler_type": "cls_pooler", "hf_proj_type": "linear"}
    else:
        RobertaConfig(**TOWER | sizes).save_pretrained(folder)
        text |= {"hf_pooler_type": "mean_pooler", "hf_proj_type": "mlp"}
    save(folder, {"embed_dim": 24, "vision_cfg": NATIVE, "text_cfg": text})


def make_coca(folder: Path) -> None:
    vision = NATIVE | {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True}
    text = TEXT | {"embed_cls": True, "output_tokens": True}
    decoder = TEXT | {"attn_pooler_heads": 2}
    towers = {"vision_cfg": vision, "text_cfg": text, "multimodal_cfg": decoder}
    save(folder, {"embed_dim": 32, "custom_text": True, **towers})


FAMILIES: dict[str, Callable[[Path], None]] = {
    "ViT": make_vit,
    "ResNet": make_resnet,
    "SigLIP in timm": make_siglip,
    "ConvNeXt in timm": make_convnext,
    "RoBERTa of Hugging Face": make_hugging_face_text,
    "NLLB of Hugging Face": partial(make_hugging_face_text, nllb=True),
    "CoCa": make_coca,
}
