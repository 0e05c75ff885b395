"""What a model folder holds, read from JSON and weight headers, without torch or transformers."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts.job import BadInput, read_json

# model_type in config.json -> name of the transformers class that loads it
ARCHITECTURES = {
    "clip": "CLIPModel",
    "siglip": "SiglipModel",
    "chinese_clip": "ChineseCLIPModel",
    "vision-text-dual-encoder": "VisionTextDualEncoderModel",
}
# suffixes of weights that run code when they are opened
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
TOKENIZERS = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
PREPROCESSORS = ("processor_config.json", "preprocessor_config.json")
GET_SAFETENSORS = (
    "choose a revision that has model.safetensors, or convert the weights once with transformers: "
    'model.save_pretrained("folder")'
)


@dataclass(frozen=True)
class Facts:
    """What can be said of a model without loading it.

    Attributes
    ----------
    architecture : ``model_type`` of config.json
    parameters : numbers in all tensors of the weights; indices, which old files keep, not counted
    embedding_dim : length of a feature vector
    """

    architecture: str
    parameters: int
    embedding_dim: int


def read_facts(folder: Path) -> Facts:
    """Check that ``folder`` holds a whole dual encoder of a supported kind, and describe it.

    Raises
    ------
    BadInput
        for an unknown architecture, weights that are missing, pickled, damaged or without one of
        the two towers, and for a missing tokenizer or preprocessor file
    """
    folder = Path(folder)
    architecture = read_architecture(folder)
    shapes = read_shapes(folder)
    for tower, told in (("text_model", "a text tower"), ("vision_model", "an image tower")):
        if not any(name.startswith(f"{tower}.") for name in shapes):
            found = sorted({name.split(".")[0] for name in shapes})
            raise BadInput(
                folder,
                f"weights without {told}: {found}",
                "tensors of text_model and of vision_model",
                "take a model that encodes both images and texts",
            )
    for kind, names in (("tokenizer", TOKENIZERS), ("preprocessor", PREPROCESSORS)):
        if not any((folder / name).is_file() for name in names):
            raise BadInput(
                folder,
                f"no {kind} file",
                f"one of {', '.join(names)}",
                "copy the file from where the model came from",
            )
    projection = "text_model.head.weight" if architecture == "siglip" else "text_projection.weight"
    if not shapes.get(projection):
        raise BadInput(
            folder,
            f"no tensor {projection}, or one of no dimension",
            "the projection into the shared space",
            "take a model that encodes both images and texts",
        )
    return Facts(
        architecture=architecture,
        parameters=sum(math.prod(shape) for shape in read_shapes(folder, floats=True).values()),
        embedding_dim=shapes[projection][0],
    )


def read_architecture(folder: Path) -> str:
    """``model_type`` of the folder's config.json; ``BadInput`` unless it is a supported one."""
    config = read_json(folder / "config.json")
    found = config.get("model_type") if isinstance(config, dict) else None
    found = found if isinstance(found, str) else None
    if found == "siglip2":
        raise BadInput(
            folder / "config.json",
            "model_type: siglip2 (NaFlex, images of any shape)",
            f"one of {', '.join(ARCHITECTURES)}",
            "take a fixed-resolution SigLIP 2, such as google/siglip2-base-patch16-224",
        )
    if found not in ARCHITECTURES:
        raise BadInput(
            folder / "config.json",
            f"model_type: {found}",
            f"one of {', '.join(ARCHITECTURES)}",
            "take a model of a supported architecture",
        )
    return found


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the folder: one, or those that its index names.

    Raises ``BadInput`` where there are none, where there are only pickled ones, and where a file
    that the index names is missing.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if index.is_file():
        listing = read_json(index)
        named = listing.get("weight_map") if isinstance(listing, dict) else None
        if not named or not isinstance(named, dict) or not _all(str, named.values()):
            raise BadInput(index, "no weight_map", "tensor -> file", "fetch the index again")
        parts = [folder / Path(part).name for part in sorted(set(named.values()))]
        missing = [part.name for part in parts if not part.is_file()]
        if missing:
            raise BadInput(
                index, f"no file {missing[0]}", "each file that the index names", "fetch it again"
            )
        return parts
    pickled = sorted(path.name for path in folder.glob("*") if path.suffix in PICKLED)
    raise BadInput(
        folder,
        f"only pickled weights ({', '.join(pickled)})" if pickled else "no weights",
        "model.safetensors: pickled weights can run code when they are opened",
        GET_SAFETENSORS,
    )


def read_shapes(folder: Path, floats: bool = False) -> dict[str, list[int]]:
    """Name and shape of every tensor, or every floating one, from the safetensors headers."""
    shapes: dict[str, list[int]] = {}
    for path in weight_files(folder):
        try:
            header, data_bytes = read_header(path)
            tensors = {name: about for name, about in header.items() if name != "__metadata__"}
            ends = [about["data_offsets"][1] for about in tensors.values()]
            if not _all(int, [*ends, *(side for a in tensors.values() for side in a["shape"])]):
                raise TypeError
            shapes |= {
                name: list(about["shape"])
                for name, about in tensors.items()
                if not floats or "F" in about["dtype"]
            }
        except (
            *(ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error),
            RecursionError,
        ):
            raise BadInput(path, "no safetensors header", "safetensors", "fetch it again") from None
        if max(ends, default=0) != data_bytes:
            raise BadInput(
                path,
                f"{data_bytes} bytes of tensors",
                f"{max(ends, default=0)} bytes",
                "the file is not whole: fetch it again",
            )
    return shapes


def _all(kind: type, values: Iterable[object]) -> bool:
    return all(isinstance(value, kind) for value in values)


def read_header(path: Path) -> tuple[dict, int]:
    """The JSON header of a safetensors file, and the number of bytes behind it.

    The format: 8 bytes little-endian length of the header, the header, the tensors.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        if length > size - 8:
            raise ValueError("header longer than the file")
        return json.loads(stream.read(length)), size - 8 - length
