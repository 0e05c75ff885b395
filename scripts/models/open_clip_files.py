"""What a model folder of open_clip holds, read from JSON and weight headers, without torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from scripts.job import BadInput, read_json
from scripts.models.listing import OPEN_CLIP, OPEN_CLIP_CONFIG, OPEN_CLIP_SINGLE
from scripts.models.towers import LARGEST_SIDE, check_config
from scripts.models.weights import FLOATS, TOKENIZERS, Facts, check_dtypes, read_header

# what a config may say to a tokenizer: nothing that draws by lot, reads other files or runs code
TOKENIZER_SETTINGS = {"clean", "strip_sep_token", "language"}
# an image tower's width -> the letter that its papers give it
SIZES = {384: "S", 512: "M", 768: "B", 1024: "L", 1280: "H", 1408: "g", 1664: "bigG", 1792: "e"}
_ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
_XLM_ROBERTA = _ROBERTA | {"model_type": "xlm-roberta", "vocab_size": 250002}
_NLLB = {"model_type": "m2m_100", "vocab_size": 256206}
# The text towers of Hugging Face that open_clip's published models name, as their config.json says:
# it stands in repositories of their own. What is not named is transformers' default.
TEXT_TOWERS: dict[str, dict[str, Any]] = {
    "roberta-base": _ROBERTA | {"model_type": "roberta", "vocab_size": 50265},
    "xlm-roberta-base": _XLM_ROBERTA,
    "xlm-roberta-large": _XLM_ROBERTA
    | {"hidden_size": 1024, "intermediate_size": 4096}
    | {"num_hidden_layers": 24, "num_attention_heads": 16},
    "facebook/nllb-200-distilled-600M": _NLLB,
    "facebook/nllb-200-distilled-1.3B": _NLLB
    | {"encoder_layers": 24, "decoder_layers": 24}
    | {"encoder_ffn_dim": 8192, "decoder_ffn_dim": 8192},
}
TAKE_CONFIG = f"take the {OPEN_CLIP_CONFIG} that belongs to the weights"


def read_facts(folder: Path) -> Facts:
    """Check that ``folder`` holds a whole dual encoder of open_clip, and describe it.

    Raises
    ------
    BadInput
        for a config without one of its parts, or that asks for files or code of elsewhere; weights
        that are missing, damaged, quantised or without one of the two towers; a tokenizer that is
        missing; and a text tower whose config is not known
    """
    path, weights = folder / OPEN_CLIP_CONFIG, folder / OPEN_CLIP_SINGLE
    config = model_config(path)
    if not weights.is_file():
        raise BadInput(folder, f"no {weights.name}", OPEN_CLIP.expected, "fetch the model again")
    tensors = read_header(weights)
    check_dtypes(folder, tensors)
    shapes = {name: shape for name, (_, shape) in tensors.items()}
    for starts, told in ((("visual.",), "an image"), (("text.", "transformer."), "a text")):
        if not any(name.startswith(starts) for name in shapes):
            found = sorted({name.split(".")[0] for name in shapes})
            raise BadInput(
                weights,
                f"weights without {told} tower: {', '.join(found[:3]):.200}",
                "tensors of visual and of text, or transformer",
                "take a model that encodes both images and texts, as open_clip saves it",
            )
    _check_depth(path, config, len(shapes))
    text = config["text_cfg"]
    if text.get("hf_tokenizer_name") and not any((folder / one).is_file() for one in TOKENIZERS):
        raise BadInput(
            folder,
            f"no tokenizer file, though {path.name} names {text['hf_tokenizer_name']!r:.80}",
            f"one of {', '.join(TOKENIZERS)}",
            "copy the tokenizer's files from there, or from where the model came from",
        )
    if text.get("hf_model_name"):
        text_tower_config(folder, text["hf_model_name"])
    side = config["vision_cfg"].get("image_size")
    return Facts(
        architecture=_named(config),
        parameters=sum(math.prod(shape) for dtype, shape in tensors.values() if dtype in FLOATS),
        embedding_dim=config["embed_dim"],
        shapes=shapes,
        side=side if isinstance(side, int) else None,
    )


def model_config(path: Path) -> dict[str, Any]:
    """``model_cfg`` of an open_clip_config.json; ``BadInput`` where it is none or asks too much."""
    whole = read_json(path)
    config = whole.get("model_cfg") if isinstance(whole, dict) else None
    config = config if isinstance(config, dict) else {}
    kinds = {"embed_dim": int, "vision_cfg": dict, "text_cfg": dict}
    lacking = [key for key, kind in kinds.items() if type(config.get(key)) is not kind]
    if lacking:
        raise BadInput(
            path, f"no {lacking[0]} in model_cfg", f"{', '.join(kinds)}", "fetch the file again"
        )
    vision, text = config["vision_cfg"], config["text_cfg"]
    image_size = vision.get("image_size", 1)
    sides = image_size if isinstance(image_size, list) else [image_size]
    if not all(type(side) is int and 0 < side <= LARGEST_SIDE for side in sides):
        raise BadInput(
            path, f"image_size: {image_size!r:.60}", f"1 to {LARGEST_SIDE} pixels", TAKE_CONFIG
        )
    # names of this form are places on a hub or on a disk, to timm
    timm = vision.get("timm_model_name") or ""
    if not isinstance(timm, str) or set(timm) & {*":/\\"}:
        raise BadInput(
            path, f"timm_model_name: {timm!r:.80}", "the name of a model in timm", TAKE_CONFIG
        )
    for key in ("hf_model_name", "hf_tokenizer_name"):
        if not isinstance(text.get(key) or "", str):
            raise BadInput(path, f"{key}: {text[key]!r:.80}", "a name", TAKE_CONFIG)
    asked = text.get("tokenizer_kwargs") or {}
    other = set(asked) - TOKENIZER_SETTINGS if isinstance(asked, dict) else {str(asked)}
    if other:
        raise BadInput(
            path,
            f"tokenizer_kwargs.{min(other):.80}",
            f"none but {', '.join(sorted(TOKENIZER_SETTINGS))}: others draw words by lot, or ask "
            "for files or code of elsewhere",
            f"take it out of {path.name}",
        )
    return config


def _check_depth(path: Path, config: dict[str, Any], tensors: int) -> None:
    """Raise ``BadInput`` for more layers than there can be, which would be made one by one."""
    for part in ("vision_cfg", "text_cfg", "multimodal_cfg"):
        layers = (config.get(part) or {}).get("layers", 1)
        counts = layers if isinstance(layers, list) else [layers]
        if not all(type(one) is int and one > 0 for one in counts) or sum(counts) > tensors:
            raise BadInput(
                path,
                f"{part}.layers: {layers!r:.60}",
                f"no more layers than the {tensors} tensors of the weights",
                TAKE_CONFIG,
            )


def text_tower_config(folder: Path, name: str) -> dict[str, Any]:
    """The config of a text tower of transformers, by ``hf_model_name``.

    Where it is none of ``TEXT_TOWERS``, the folder's config.json; ``BadInput`` where that is none.
    """
    if name in TEXT_TOWERS:
        return TEXT_TOWERS[name]
    path = folder / "config.json"
    config = read_json(path) if path.is_file() else {}
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(kind, str) or "auto_map" in config:
        raise BadInput(
            path,
            f"no config of the text tower {name!r:.80}, or one that asks for code of elsewhere",
            f"the config.json of that tower; known without it are {', '.join(TEXT_TOWERS)}",
            "put the config.json of that repository beside the weights",
        )
    check_config(path, config)
    return config


def _named(config: dict[str, Any]) -> str:
    """What a config says of the towers, in a few words."""
    vision = config["vision_cfg"]
    width, patch = vision.get("width", 768), vision.get("patch_size", 16)
    image = vision.get("timm_model_name") or f"ViT-{SIZES.get(width, width)}-{patch}"
    if isinstance(vision.get("layers"), list):
        image = "ResNet"
    text = config["text_cfg"].get("hf_model_name")
    kind = "CoCa " if "multimodal_cfg" in config else ""
    return f"open_clip {kind}{image}{f' and {text}' if text else ''}"[:120]
