"""More families of dual encoders, as small as those of ``tiny_models``, saved by their library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny_models
from tiny_models import (
    MEAN_AND_STD,
    SIDE,
    TOWER,
    clip_vocabulary,
    write_bert_vocabulary,
    write_gemma_tokenizer,
    write_json,
)

VISION = TOWER | {"image_size": SIDE, "patch_size": 8}
SQUARE = {"size": {"height": SIDE, "width": SIDE}, "resample": 3}


def saved(kind: str, folder: Path, **config: Any) -> None:
    """A model of a class of transformers, with random weights and buffers, by save_pretrained."""
    import torch
    import transformers

    made = getattr(transformers, kind)
    torch.manual_seed(0)
    model = made(made.config_class(**config))
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                noise = 0.1 * torch.randn(value.shape)
                value += noise.abs() if "running_var" in name else noise
    for one in model.modules():
        # the small numbers that they start with bring all pictures together
        if isinstance(one, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(one.weight)
    model.save_pretrained(folder)


def write_clip_tokenizer(folder: Path) -> dict[str, int]:
    """CLIP's, and what a config has to say of it."""
    from transformers import CLIPTokenizer

    vocab, merges = clip_vocabulary()
    CLIPTokenizer(vocab=vocab, merges=merges).save_pretrained(folder)
    end = vocab["<|endoftext|>"]
    ids = {"bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end}
    return ids | {"vocab_size": len(vocab), "max_position_embeddings": 16}


def write_xlm_tokenizer(folder: Path) -> dict[str, int]:
    """XLM-RoBERTa's, and what a config has to say of it."""
    from transformers import XLMRobertaTokenizer

    letters = [chr(code) for code in range(33, 127) if chr(code) not in "<>"]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *letters, "\u2581", "\u2581dog", *"一只狗"]
    vocab = [(piece, -float(row)) for row, piece in enumerate(pieces)]
    XLMRobertaTokenizer(vocab=vocab).save_pretrained(folder)
    return {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "vocab_size": len(vocab)}


def write_bert_tokenizer(folder: Path) -> dict[str, int]:
    """BERT's, and what a config has to say of it."""
    from transformers import BertTokenizer

    size = write_bert_vocabulary(folder)
    BertTokenizer.from_pretrained(folder).save_pretrained(folder)
    return {"vocab_size": size, "pad_token_id": 0, "max_position_embeddings": 20}


def write_processor(folder: Path, kind: str, **settings: Any) -> None:
    write_json(
        folder / "preprocessor_config.json",
        {"image_processor_type": kind, **SQUARE, **MEAN_AND_STD, **settings},
    )


def make_metaclip_2(folder: Path) -> None:
    """MetaCLIP 2: CLIP's towers, XLM-RoBERTa's tokenizer, whose end token is 2."""
    text = TOWER | write_xlm_tokenizer(folder) | {"max_position_embeddings": 16}
    saved("MetaClip2Model", folder, text_config=text, vision_config=VISION, projection_dim=24)
    write_processor(
        folder,
        "CLIPImageProcessor",
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
    )


def make_altclip(folder: Path) -> None:
    text = TOWER | write_xlm_tokenizer(folder) | {"max_position_embeddings": 20, "project_dim": 40}
    saved("AltCLIPModel", folder, text_config=text, vision_config=VISION, projection_dim=24)
    write_processor(
        folder,
        "CLIPImageProcessor",
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
    )


def make_align(folder: Path, width: int = 24) -> None:
    """ALIGN: BERT, and an EfficientNet of two blocks, as wide as the shared space."""
    vision = {
        **{"image_size": SIDE, "width_coefficient": 1.0, "depth_coefficient": 1.0},
        **{"kernel_sizes": [3, 3], "in_channels": [32, 8], "out_channels": [8, width]},
        **{"strides": [1, 2], "num_block_repeats": [1, 1], "expand_ratios": [1, 4]},
        **{"hidden_dim": 24, "num_hidden_layers": 8},
    }
    text = TOWER | write_bert_tokenizer(folder)
    saved("AlignModel", folder, text_config=text, vision_config=vision, projection_dim=24)
    write_processor(
        folder,
        "EfficientNetImageProcessor",
        **{"include_top": False, "rescale_offset": True, "rescale_factor": 2 / 255},
        **{"do_normalize": False, "size": {"height": 40, "width": 40}, "do_center_crop": True},
        crop_size={"height": SIDE, "width": SIDE},
    )


def make_groupvit(folder: Path) -> None:
    vision = VISION | {"num_hidden_layers": 3, "depths": [1, 1, 1], "num_attention_heads": 2}
    vision |= {"num_group_tokens": [8, 4, 0], "num_output_groups": [8, 4, 4]}
    text = TOWER | write_clip_tokenizer(folder) | {"eos_token_id": 2}
    spaces = {"projection_dim": 24, "projection_intermediate_dim": 40}
    saved("GroupViTModel", folder, text_config=text, vision_config=vision, **spaces)
    write_processor(folder, "CLIPImageProcessor", do_center_crop=False)


def make_blip(folder: Path, kind: str = "BlipModel") -> None:
    text = TOWER | write_bert_tokenizer(folder) | {"encoder_hidden_size": 32}
    spaces = {"projection_dim": 24, "image_text_hidden_size": 16}
    saved(kind, folder, text_config=text, vision_config=VISION, **spaces)
    write_processor(folder, "BlipImageProcessor")


def make_blip_retrieval(folder: Path) -> None:
    make_blip(folder, "BlipForImageTextRetrieval")


def make_naflex(folder: Path) -> None:
    """SigLIP 2 for pictures of any shape, of up to 16 patches."""
    text = TOWER | {"vocab_size": write_gemma_tokenizer(folder), "max_position_embeddings": 64}
    vision = TOWER | {"patch_size": 8, "num_patches": 16}
    saved("Siglip2Model", folder, text_config=text, vision_config=vision)
    write_json(
        folder / "preprocessor_config.json",
        {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 8, "max_num_patches": 16}
        | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2},
    )


def make_flava(folder: Path, kind: str = "FlavaModel") -> None:
    codebook = {"num_groups": 4, "num_blocks_per_group": 1, "hidden_size": 8, "vocab_size": 16}
    saved(
        kind,
        folder,
        text_config=TOWER | write_bert_tokenizer(folder),
        image_config=VISION | {"vocab_size": 16},
        multimodal_config=TOWER,
        image_codebook_config=codebook,
        hidden_size=32,
        projection_dim=24,
    )
    write_processor(folder, "FlavaImageProcessor", crop_size={"height": SIDE, "width": SIDE})


def make_flava_pretraining(folder: Path) -> None:
    make_flava(folder, "FlavaForPreTraining")


def make_aimv2(folder: Path) -> None:
    text = TOWER | write_clip_tokenizer(folder)
    saved("Aimv2Model", folder, text_config=text, vision_config=VISION, projection_dim=24)
    write_processor(
        folder,
        "CLIPImageProcessor",
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
    )


FAMILIES: dict[str, Callable[[Path], None]] = {
    **tiny_models.FAMILIES,
    "metaclip-2": make_metaclip_2,
    "altclip": make_altclip,
    "align": make_align,
    "groupvit": make_groupvit,
    "blip": make_blip,
    "blip-retrieval": make_blip_retrieval,
    "naflex": make_naflex,
    "flava": make_flava,
    "flava-pretraining": make_flava_pretraining,
    "aimv2": make_aimv2,
}
