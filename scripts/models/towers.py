"""Whether a config and a preprocessor fit a model's weights.

From JSON and the shapes in weight headers alone, so that no number of a file is ever allocated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.job import BadInput, read_json
from scripts.models.families import TOWERS, Family, Tower

# what attention may be computed with; all else is code of another package, or of a hub
ATTENTION = ("eager", "sdpa")
# what a config may say of the form of outputs: the default
OUTPUTS = {"output_attentions": False, "output_hidden_states": False, "torchscript": False}
OUTPUTS |= {"return_dict": True, "use_return_dict": True}
# in keys of a config that say how many layers there are, or how often some come again
DEPTHS = re.compile(r"(layer|depth|block|repeat)(?!.*size$)")
# pixels; no image tower comes near it, and a picture of this side takes 50 MB
LARGEST_SIDE = 2048
# patches of a picture, where they are counted; the published models have 256, and others up to 1024
LARGEST_COUNT = 4096
# every published model brings grey to within one of zero
LARGEST_VALUE = 16
PREPROCESSORS = ("processor_config.json", "preprocessor_config.json")
LAYER = re.compile(r"(?:encoder\.)?layers?\.(\d+)\.")


def check_config(path: Path, config: dict[str, Any]) -> None:
    """Raise ``BadInput`` where a config, at any depth, asks for what is not computed here.

    That is code or numbers of elsewhere, and outputs of another form.
    """
    for where, key, value in keys_of(config):
        if key.strip("_").startswith(("attn_implementation", "experts_implementation")):
            # a library's own notes are no names
            asked = [one for _, _, one in keys_of({key: value}) if isinstance(one, str)]
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
    path: Path, family: Family, config: dict[str, Any], shapes: dict[str, list[int]]
) -> None:
    """Raise ``BadInput`` where the numbers of a config are not those of the weights.

    Parameters
    ----------
    path : config.json
    family : of its ``model_type``
    config : its contents
    shapes : of all tensors of the weights
    """
    check_depths(path, config, len(shapes))
    for part, prefix, kind in zip(
        family.configs, family.tensors, (family.text, family.image), strict=True
    ):
        own = tower_config(family, config, part)
        tower = kind or TOWERS.get(own["model_type"], Tower())
        for key, (tensor, axis) in tower.sizes.items():
            shape = shapes.get(prefix + tensor)
            if shape is not None and _whole([own.get(key)]):
                found = shape[axis] if axis < len(shape) else None
                _equal(path, f"{part}.{key}", own[key], found, prefix + tensor)
        layers = {
            of_layer[1] for one in shapes if (of_layer := LAYER.match(one.removeprefix(prefix)))
            if one.startswith(prefix)
        }  # fmt: skip
        numbered = tower.sizes and layers and not tower.in_stages
        if numbered and _whole([own.get("num_hidden_layers")]):
            key = f"{part}.num_hidden_layers"
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
                    f"{part}.image_size {side!r:.40} in patches of {patch!r:.40}, which are "
                    f"other places than the {found} of {prefix}{tower.positions[0]}",
                    "the image_size and patch_size that the weights were trained with",
                    "take the config.json that belongs to the weights",
                )


def check_depths(path: Path, config: dict[str, Any], tensors: int) -> None:
    """Raise ``BadInput`` where a config asks for more layers than the weights have tensors."""
    for where, key, value in keys_of(config):
        numbers = value if isinstance(value, list) else [value]
        asked = sum(one for one in numbers if type(one) in (int, float))
        if DEPTHS.search(key) and asked > tensors:
            raise BadInput(
                path,
                f"{where}: {value!r:.60}",
                f"no more layers than the {tensors} tensors of the weights",
                "take the config.json that belongs to the weights",
            )


def tower_config(family: Family, config: dict[str, Any], key: str) -> dict[str, Any]:
    """The part of config.json about the tower that ``key`` says, with a ``model_type``."""
    own = config.get(key)
    own = dict(own) if isinstance(own, dict) else {}
    if family.older:
        # what stands there overrides
        older = config.get(f"{key}_dict")
        own |= older if isinstance(older, dict) else {}
    if not isinstance(own.get("model_type"), str):
        own["model_type"] = ""
    return own


def pixels_of_side(family: Family, config: dict[str, Any]) -> int | None:
    """Side of the only pictures that an image tower takes; None where it takes any."""
    own = tower_config(family, config, family.configs[1])
    tower = family.image or TOWERS.get(own["model_type"], Tower())
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


def check_bound(path: Path, key: str, number: Any, most: int, of: str) -> None:
    """Raise ``BadInput`` where a number in a preprocessor's file is not 1 to ``most``."""
    if isinstance(number, int | float) and not 0 < number <= most:
        raise BadInput(
            path,
            f"{key}: {number!r:.40}",
            f"1 to {most} {of}",
            "take the file that belongs to the model",
        )


def check_preprocessor(folder: Path, side: int | None) -> None:
    """Raise ``BadInput`` where pictures would come out too large, or not of ``side`` pixels."""
    path = preprocessor_file(folder)
    settings = read_json(path) if path.is_file() else {}
    settings = settings.get("image_processor", settings) if isinstance(settings, dict) else {}
    settings = settings if isinstance(settings, dict) else {}
    for key, value in settings.items():
        most, of = LARGEST_SIDE, "pixels"
        if key == "max_num_patches":
            most, of = LARGEST_COUNT, "patches"
        elif not key.endswith("size") or key.startswith("do_"):
            continue
        for where, _, number in keys_of({key: value}):
            check_bound(path, where, number, most, of)
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
    folder: Path,
    shapes: list[tuple[int, ...]],
    largest: float,
    side: int | None,
    in_patches: bool = False,
) -> None:
    """As ``check_preprocessor``, for what a preprocessor made of two grey pictures.

    ``shapes`` are those of its values, (3, H, W), or (patches, values) where a picture comes
    ``in_patches``; ``largest`` is the value farthest from zero.
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
    right = len(first) == 2 if in_patches else len(first) == 3 and first[0] == 3
    if not right or len(set(shapes)) > 1:
        expected = "as many patches" if in_patches else "three channels and one size"
        raise BadInput(
            path,
            f"pictures become values of shapes {sorted(set(shapes))}",
            f"{expected} for all pictures",
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


def keys_of(value: Any) -> Iterator[tuple[str, str, Any]]:
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
