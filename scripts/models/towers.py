"""What each kind of tower needs, and whether a config and a preprocessor fit a model's weights.

From JSON and the shapes in weight headers alone, so that no number of a file is ever allocated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.job import BadInput, read_json

# what attention may be computed with; all else is code of another package, or of a hub
ATTENTION = ("eager", "sdpa")
# what a config may say of the form of outputs: the default
OUTPUTS = {"output_attentions": False, "output_hidden_states": False, "torchscript": False}
OUTPUTS |= {"return_dict": True, "use_return_dict": True}
# in keys of a config that say how many layers there are, or how often some come again
DEPTHS = re.compile(r"(layer|depth|block|repeat)(?!.*size$)")
# pixels; no image tower comes near it, and a picture of this side takes 50 MB
LARGEST_SIDE = 2048
# every published model brings grey to within one of zero
LARGEST_VALUE = 16
PREPROCESSORS = ("processor_config.json", "preprocessor_config.json")
LAYER = re.compile(r"(?:encoder\.)?layers?\.(\d+)\.")


@dataclass(frozen=True)
class Tower:
    """A kind of tower, the names below its own prefix.

    Attributes
    ----------
    sizes : key of its config -> tensor, and axis of it that is so long
    positions : tensor of an image tower's places, and axis; "" where pictures may be of any size
    extra : places beside those of the patches
    pooled : where a text's features are read: at its "end" token, at the "first" place, or at the
        "last" of a text that is padded to its full context, padding being read as text
    offset : whether a text's positions start behind the padding's id
    """

    sizes: dict[str, tuple[str, int]] = field(default_factory=dict)
    positions: tuple[str, int] = ("", 0)
    extra: int = 0
    pooled: str = "first"
    offset: bool = False


_CLIP_MLP = {"intermediate_size": ("encoder.layers.0.mlp.fc1.weight", 0)}
_CLIP_TEXT = _CLIP_MLP | {
    "vocab_size": ("embeddings.token_embedding.weight", 0),
    "hidden_size": ("embeddings.token_embedding.weight", 1),
    "max_position_embeddings": ("embeddings.position_embedding.weight", 0),
}
_BERT = {
    "vocab_size": ("embeddings.word_embeddings.weight", 0),
    "hidden_size": ("embeddings.word_embeddings.weight", 1),
    "max_position_embeddings": ("embeddings.position_embeddings.weight", 0),
    "type_vocab_size": ("embeddings.token_type_embeddings.weight", 0),
    "intermediate_size": ("encoder.layer.0.intermediate.dense.weight", 0),
}
_CLIP_IMAGE = _CLIP_MLP | {
    "hidden_size": ("embeddings.patch_embedding.weight", 0),
    "num_channels": ("embeddings.patch_embedding.weight", 1),
    "patch_size": ("embeddings.patch_embedding.weight", 2),
}
_VIT = {
    "hidden_size": ("embeddings.patch_embeddings.projection.weight", 0),
    "num_channels": ("embeddings.patch_embeddings.projection.weight", 1),
    "patch_size": ("embeddings.patch_embeddings.projection.weight", 2),
}
_CLIP_PLACES = ("embeddings.position_embedding.weight", 0)
_CLIP_IMAGE_TOWER = Tower(_CLIP_IMAGE, _CLIP_PLACES, extra=1)
_ROBERTA = Tower(_BERT, offset=True)
# model_type of a tower's config -> its kind; of others only what a load and a probe show is known
TOWERS = {
    "clip_text_model": Tower(_CLIP_TEXT, pooled="end"),
    "siglip_text_model": Tower(_CLIP_TEXT, pooled="last"),
    "chinese_clip_text_model": Tower(_BERT),
    "bert": Tower(_BERT),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    **dict.fromkeys(
        ("mpnet", "data2vec-text", "ibert", "luke", "longformer", "markuplm", "lilt"),
        Tower(offset=True),
    ),
    "clip_vision_model": _CLIP_IMAGE_TOWER,
    "chinese_clip_vision_model": _CLIP_IMAGE_TOWER,
    "siglip_vision_model": Tower(_CLIP_IMAGE, _CLIP_PLACES),
    "vit": Tower(_VIT, ("embeddings.position_embeddings", 1), extra=1),
    "deit": Tower(_VIT, ("embeddings.position_embeddings", 1), extra=2),
}


def text_tower(model_type: str) -> Tower:
    """The kind of a text tower; one that is not known pools as BERT does, at its first token."""
    return TOWERS.get(model_type, Tower(offset="roberta" in model_type))


def check_config(path: Path, config: dict[str, Any]) -> None:
    """Raise ``BadInput`` where a config, at any depth, asks for what is not computed here.

    That is code or numbers of elsewhere, and outputs of another form.
    """
    for where, key, value in _keys(config):
        if key.strip("_").startswith(("attn_implementation", "experts_implementation")):
            # a library's own notes are no names
            asked = [one for _, _, one in _keys({key: value}) if isinstance(one, str)]
            if other := [one for one in asked if one not in ATTENTION]:
                raise BadInput(
                    path,
                    f"{where}: {other[0]!r:.80}",
                    "eager or sdpa, which need no code of another package or of a hub",
                    f"take {key} out of {path.name}",
                )
        if key in OUTPUTS and value is not OUTPUTS[key] and isinstance(value, bool):
            raise BadInput(
                path,
                f"{where}: {str(value).lower()}, which changes what a model gives",
                "outputs of the usual form",
                f"take {key} out of {path.name}",
            )
        if key == "quantization_config" and value:
            raise BadInput(
                path,
                f"{where}, for quantised weights (8 or 4 bits)",
                "weights in float32, bfloat16 or float16",
                "load the model where it was made without quantisation, and save it again with "
                'model.save_pretrained("folder")',
            )


def check_sizes(
    path: Path, architecture: str, config: dict[str, Any], shapes: dict[str, list[int]]
) -> None:
    """Raise ``BadInput`` where the numbers of a config are not those of the weights.

    Parameters
    ----------
    path : config.json
    architecture : its ``model_type``
    config : its contents
    shapes : of all tensors of the weights
    """
    for where, key, value in _keys(config):
        numbers = value if isinstance(value, list) else [value]
        asked = sum(one for one in numbers if type(one) in (int, float))
        if DEPTHS.search(key) and asked > len(shapes):
            raise BadInput(
                path,
                f"{where}: {value!r:.60}",
                f"no more layers than the {len(shapes)} tensors of the weights",
                "take the config.json that belongs to the weights",
            )
    for name in ("text", "vision"):
        own = tower_config(architecture, config, name)
        tower = TOWERS.get(own["model_type"], Tower())
        prefix = f"{name}_model."
        for key, (tensor, axis) in tower.sizes.items():
            shape = shapes.get(prefix + tensor)
            if shape is not None and _whole([own.get(key)]):
                found = shape[axis] if axis < len(shape) else None
                _equal(path, f"{name}_config.{key}", own[key], found, prefix + tensor)
        layers = {
            of_layer[1] for one in shapes if (of_layer := LAYER.match(one.removeprefix(prefix)))
            if one.startswith(prefix)
        }  # fmt: skip
        if tower.sizes and layers and _whole([own.get("num_hidden_layers")]):
            key = f"{name}_config.num_hidden_layers"
            _equal(path, key, own["num_hidden_layers"], len(layers), f"{prefix}…layers")
        sizes = _whole([own.get("image_size"), own.get("patch_size")])
        places = shapes.get(prefix + tower.positions[0])
        if places is not None and len(sizes) == 2 and sizes[1] > 0:
            side, patch = sizes
            made = (side // patch) ** 2 + tower.extra
            axis = tower.positions[1]
            found = places[axis] if axis < len(places) else None
            if made != found:
                raise BadInput(
                    path,
                    f"vision_config.image_size {side!r:.40} in patches of {patch!r:.40}, which are "
                    f"other places than the {found} of {prefix}{tower.positions[0]}",
                    "the image_size and patch_size that the weights were trained with",
                    "take the config.json that belongs to the weights",
                )


def tower_config(architecture: str, config: dict[str, Any], name: str) -> dict[str, Any]:
    """The part of config.json about the tower "text" or "vision", its ``model_type`` filled in."""
    own = config.get(f"{name}_config")
    own = dict(own) if isinstance(own, dict) else {}
    if architecture in ("clip", "chinese_clip"):
        # of old files; what stands there overrides
        older = config.get(f"{name}_config_dict")
        own |= older if isinstance(older, dict) else {}
    if architecture != "vision-text-dual-encoder":
        own["model_type"] = f"{architecture}_{name}_model"
    if not isinstance(own.get("model_type"), str):
        own["model_type"] = ""
    return own


def pixels_of_side(architecture: str, config: dict[str, Any]) -> int | None:
    """Side of the only pictures that an image tower takes; None where it takes any."""
    own = tower_config(architecture, config, "vision")
    tower = TOWERS.get(own["model_type"], Tower())
    side = own.get("image_size")
    return side if tower.positions[0] and _whole([side]) else None


def preprocessor_file(folder: Path) -> Path:
    """The file that transformers takes a preprocessor from."""
    for name in PREPROCESSORS:
        path = folder / name
        settings = read_json(path) if path.is_file() else None
        if isinstance(settings, dict) and settings.get("image_processor") is not None:
            return path
    return folder / PREPROCESSORS[-1]


def check_preprocessor(folder: Path, side: int | None) -> None:
    """Raise ``BadInput`` where pictures would come out too large, or not of ``side`` pixels."""
    path = preprocessor_file(folder)
    settings = read_json(path) if path.is_file() else {}
    settings = settings.get("image_processor", settings) if isinstance(settings, dict) else {}
    settings = settings if isinstance(settings, dict) else {}
    for key, value in settings.items():
        if not key.endswith("size") or key.startswith("do_"):
            continue
        for where, _, number in _keys({key: value}):
            if isinstance(number, int | float) and not 0 < number <= LARGEST_SIDE:
                raise BadInput(
                    path,
                    f"{where}: {number!r:.40}",
                    f"1 to {LARGEST_SIDE} pixels",
                    "take the file that belongs to the model",
                )
    cropped = settings.get("do_center_crop") is not False and "crop_size" in settings
    size = settings.get("size")
    last = settings.get("crop_size") if cropped else size
    sides = [last, last]
    if isinstance(last, dict):
        sides = [last.get("height"), last.get("width")]
    # a bare number without a crop may stand for the shorter side alone
    known = isinstance(last, dict) or cropped
    pixels = _whole(sides)
    if side and known and len(pixels) == 2 and pixels != [side, side]:
        raise _of_another_size(path, pixels, side)
    resized = _whole([*size.values()] if isinstance(size, dict) else [size])
    crop = pixels if cropped and settings.get("do_resize") is not False else []
    if resized and crop and min(resized) < max(crop):
        raise BadInput(
            path,
            f"a size of {min(resized)} pixels for a crop of {max(crop)}, which gets a black rim",
            "a size that the crop can be cut out of",
            "take the preprocessor file that belongs to the model",
        )


def check_pixels(
    folder: Path, shapes: list[tuple[int, ...]], largest: float, side: int | None
) -> None:
    """As ``check_preprocessor``, for what a preprocessor made of two grey pictures.

    ``shapes`` are those of its values, ``largest`` is the one farthest from zero.
    """
    path = preprocessor_file(folder)
    # also where it is not a number
    if not largest <= LARGEST_VALUE:
        raise BadInput(
            path,
            f"grey becomes {largest:.4g}",
            "values near zero: bytes scaled to 0 to 1 (do_rescale), less a mean, by a deviation",
            "take the preprocessor file that belongs to the model",
        )
    first = shapes[0]
    if len(first) != 3 or first[0] != 3 or len(set(shapes)) > 1:
        raise BadInput(
            path,
            f"pictures become values of shapes {sorted(set(shapes))}",
            "three channels and one size for all pictures",
            "take the file that belongs to the model",
        )
    if side and first[1:] != (side, side):
        raise _of_another_size(path, first[1:], side)


def _of_another_size(path: Path, found: Sequence[int], side: int) -> BadInput:
    return BadInput(
        path,
        f"pictures of {' x '.join(map(str, found))} pixels",
        f"{side} x {side}, the image_size of vision_config in config.json",
        "take the preprocessor file that belongs to the model",
    )


def _equal(path: Path, key: str, asked: int, found: int | None, tensor: str) -> None:
    if asked != found:
        raise BadInput(
            path,
            f"{key}: {asked!r:.40}; the weights have {found} ({tensor})",
            "a config.json that counts what the weights have",
            "correct the number, or take the config.json that belongs to the weights",
        )


def _keys(value: Any) -> Iterator[tuple[str, str, Any]]:
    """Place, key and value of everything in JSON, at any depth; items of lists by their list."""
    inside = [("", "", value)]
    while inside:
        where, key, value = inside.pop()
        if where:
            yield where, key, value
        if isinstance(value, dict):
            inside += [(f"{where}.{name}".strip("."), name, one) for name, one in value.items()]
        elif isinstance(value, list):
            inside += [(where, key, one) for one in value]


def _whole(values: list[Any]) -> list[int]:
    return [value for value in values if type(value) is int]
