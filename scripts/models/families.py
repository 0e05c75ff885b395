"""The families of models that transformers loads: one entry for each, which says all of it.

Nothing of torch or transformers is imported here; the functions are given a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.job import BadInput, read_json

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


OWN_CODE = (
    "code of a repository is never run: encode with it elsewhere, and give the vectors with "
    "source: features"
)


@dataclass(frozen=True)
class Tower:
    """A kind of tower, the names below its own prefix.

    Attributes
    ----------
    sizes : key of its config -> tensor, and axis of it that is so long
    positions : tensor of an image tower's places, and axis; "" where pictures may be of any size
    extra : places beside those of the patches
    in_stages : whether its layers are numbered anew in each stage
    pooled : where a text's features are read: at its "end" token, at the "first" place, or at the
        "last" of a text that is padded to its full context, padding being read as text
    highest : id that stands for the highest in a text where a config calls it the end token; old
        files have it, whatever their tokenizer's end token is
    offset : whether a text's positions start behind the padding's id
    """

    sizes: dict[str, tuple[str, int]] = field(default_factory=dict)
    positions: tuple[str, int] = ("", 0)
    extra: int = 0
    in_stages: bool = False
    pooled: str = "first"
    highest: int | None = None
    offset: bool = False


def _texts(model: PreTrainedModel, **tokens: torch.Tensor) -> torch.Tensor:
    return model.get_text_features(**tokens).pooler_output


def _images(model: PreTrainedModel, **pixels: torch.Tensor) -> torch.Tensor:
    return model.get_image_features(**pixels).pooler_output


@dataclass(frozen=True)
class Family:
    """What is known of the models of one ``model_type``, or of one class of it.

    Attributes
    ----------
    made : the class of transformers that loads them
    text, image : the kinds of their towers; None where each names its own in its config
    attention : what transformers is told to compute it with; None where a class has no choice
    tensors : what the names of the text tower's tensors begin with, and the image tower's
    projection : the tensor that ends in the shared space, whose first axis is as long
    configs : keys of config.json about the text tower and the image tower
    older : whether a key of old files, ``text_config_dict``, overrides what ``text_config`` says
    inputs : what the image tower takes of a processor
    text_features, image_features : from the model and its inputs by name, features (b, dim)
    """

    made: str
    text: Tower | None = None
    image: Tower | None = None
    attention: str | None = "sdpa"
    tensors: tuple[str, str] = ("text_model.", "vision_model.")
    projection: str = "text_projection.weight"
    configs: tuple[str, str] = ("text_config", "vision_config")
    older: bool = False
    inputs: tuple[str, ...] = ("pixel_values",)
    text_features: Callable[..., torch.Tensor] = _texts
    image_features: Callable[..., torch.Tensor] = _images


_CLIP_MLP = {"intermediate_size": ("encoder.layers.0.mlp.fc1.weight", 0)}
_CLIP_EMBEDDINGS = {
    "vocab_size": ("embeddings.token_embedding.weight", 0),
    "hidden_size": ("embeddings.token_embedding.weight", 1),
    "max_position_embeddings": ("embeddings.position_embedding.weight", 0),
}
_CLIP_TEXT = Tower(_CLIP_MLP | _CLIP_EMBEDDINGS, pooled="end", highest=2)
_SIGLIP_TEXT = Tower(_CLIP_MLP | _CLIP_EMBEDDINGS, pooled="last")
_BERT = {
    "vocab_size": ("embeddings.word_embeddings.weight", 0),
    "hidden_size": ("embeddings.word_embeddings.weight", 1),
    "max_position_embeddings": ("embeddings.position_embeddings.weight", 0),
    "type_vocab_size": ("embeddings.token_type_embeddings.weight", 0),
    "intermediate_size": ("encoder.layer.0.intermediate.dense.weight", 0),
}
_ROBERTA = Tower(_BERT, offset=True)
_PATCHES = {
    "hidden_size": ("embeddings.patch_embedding.weight", 0),
    "num_channels": ("embeddings.patch_embedding.weight", 1),
    "patch_size": ("embeddings.patch_embedding.weight", 2),
}
_CLIP_PLACES = ("embeddings.position_embedding.weight", 0)
_CLIP_IMAGE = Tower(_CLIP_MLP | _PATCHES, _CLIP_PLACES, extra=1)
_VIT = {
    "hidden_size": ("embeddings.patch_embeddings.projection.weight", 0),
    "num_channels": ("embeddings.patch_embeddings.projection.weight", 1),
    "patch_size": ("embeddings.patch_embeddings.projection.weight", 2),
}
_VIT_PLACES = ("embeddings.position_embeddings", 1)
_BLIP_IMAGE = Tower(_CLIP_MLP | _PATCHES, ("embeddings.position_embedding", 1), extra=1)


def _blip_texts(model: PreTrainedModel, **tokens: torch.Tensor) -> torch.Tensor:
    return model.text_proj(model.text_encoder(**tokens).last_hidden_state[:, 0])


def _blip_images(model: PreTrainedModel, **pixels: torch.Tensor) -> torch.Tensor:
    return model.vision_proj(model.vision_model(**pixels).last_hidden_state[:, 0])


# every place is projected; FLAVA's training contrasts the first ones
def _flava_texts(model: PreTrainedModel, **tokens: torch.Tensor) -> torch.Tensor:
    return _texts(getattr(model, "flava", model), **tokens)[:, 0]


def _flava_images(model: PreTrainedModel, **pixels: torch.Tensor) -> torch.Tensor:
    return _images(getattr(model, "flava", model), **pixels)[:, 0]


_FLAVA = Family(
    "FlavaModel",
    Tower(_BERT),
    Tower(_VIT, _VIT_PLACES, extra=1),
    attention=None,
    tensors=("text_model.", "image_model."),
    configs=("text_config", "image_config"),
    older=True,
    text_features=_flava_texts,
    image_features=_flava_images,
)


# model_type of config.json -> its family; behind a space, the class that `architectures` names
# there, where models of that class are made of other tensors
FAMILIES = {
    "clip": Family("CLIPModel", _CLIP_TEXT, _CLIP_IMAGE, older=True),
    "siglip": Family(
        "SiglipModel",
        _SIGLIP_TEXT,
        Tower(_CLIP_MLP | _PATCHES, _CLIP_PLACES),
        projection="text_model.head.weight",
    ),
    "chinese_clip": Family("ChineseCLIPModel", Tower(_BERT), _CLIP_IMAGE, older=True),
    "vision-text-dual-encoder": Family("VisionTextDualEncoderModel", attention=None),
    # of an end token 2 in its config, 2 is meant
    "metaclip_2": Family(
        "MetaClip2Model",
        Tower(_CLIP_MLP | _CLIP_EMBEDDINGS, pooled="end"),
        _CLIP_IMAGE,
        older=True,
    ),
    "altclip": Family(
        "AltCLIPModel",
        Tower({key: (f"roberta.{name}", axis) for key, (name, axis) in _BERT.items()}, offset=True),
        _CLIP_IMAGE,
        older=True,
    ),
    "align": Family("AlignModel", Tower(_BERT), Tower(), attention=None),
    "groupvit": Family(
        "GroupViTModel",
        _CLIP_TEXT,
        Tower(_VIT, _VIT_PLACES, in_stages=True),
        attention=None,
        projection="text_projection.3.weight",
        older=True,
    ),
    "blip": Family("BlipModel", Tower(_BERT), _BLIP_IMAGE, attention=None),
    "blip BlipForImageTextRetrieval": Family(
        "BlipForImageTextRetrieval",
        Tower(_BERT),
        _BLIP_IMAGE,
        attention=None,
        tensors=("text_encoder.", "vision_model."),
        projection="text_proj.weight",
        text_features=_blip_texts,
        image_features=_blip_images,
    ),
    "siglip2": Family(
        "Siglip2Model",
        _SIGLIP_TEXT,
        Tower(
            _CLIP_MLP
            | {
                "hidden_size": ("embeddings.patch_embedding.weight", 0),
                "num_patches": ("embeddings.position_embedding.weight", 0),
            }
        ),
        projection="text_model.head.weight",
        inputs=("pixel_values", "pixel_attention_mask", "spatial_shapes"),
    ),
    "flava": _FLAVA,
    "flava FlavaForPreTraining": replace(
        _FLAVA,
        made="FlavaForPreTraining",
        tensors=("flava.text_model.", "flava.image_model."),
        projection="flava.text_projection.weight",
    ),
    # its texts are causal, but a mask of none hidden is left out, and then they are not; said once
    # and for all, masks stay
    "aimv2": Family(
        "Aimv2Model",
        Tower(_CLIP_EMBEDDINGS, pooled="end"),
        Tower({"hidden_size": ("embeddings.patch_embed.weight", 0)}, _CLIP_PLACES),
        attention="eager",
    ),
}
# model_type of a tower's own config -> its kind; of others only what a load and a probe show is
# known
TOWERS = {
    "bert": Tower(_BERT),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    **dict.fromkeys(
        ("mpnet", "data2vec-text", "ibert", "luke", "longformer", "markuplm", "lilt"),
        Tower(offset=True),
    ),
    "vit": Tower(_VIT, _VIT_PLACES, extra=1),
    "deit": Tower(_VIT, _VIT_PLACES, extra=2),
    **{
        f"{name}_{side}_model": tower
        for name, family in FAMILIES.items()
        for side, tower in (("text", family.text), ("vision", family.image))
        if tower
    },
}


def text_tower(model_type: str) -> Tower:
    """The kind of a text tower; one that is not known pools as BERT does, at its first token."""
    return TOWERS.get(model_type, Tower(offset="roberta" in model_type))


def read_family(folder: Path) -> tuple[str, Family]:
    """``model_type`` of the folder's config.json and its family; ``BadInput`` if it has none."""
    path = folder / "config.json"
    config = read_json(path)
    found = config.get("model_type") if isinstance(config, dict) else None
    found = found if isinstance(found, str) else None
    if found not in FAMILIES:
        remote = isinstance(config, dict) and "auto_map" in config
        raise BadInput(
            path,
            f"model_type: {found}{', with code of its repository (auto_map)' if remote else ''}",
            f"one of {', '.join(name for name in FAMILIES if ' ' not in name)}",
            OWN_CODE if remote else "take a model of a supported architecture",
        )
    classes = config.get("architectures")
    classes = classes if isinstance(classes, list) else []
    own = (FAMILIES.get(f"{found} {name}") for name in classes)
    return found, next((family for family in own if family), FAMILIES[found])
