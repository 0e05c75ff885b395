"""What a model folder holds, read from JSON and weight headers, without torch or transformers."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.job import BadInput, read_json
from scripts.models.families import Family, read_family
from scripts.models.towers import (
    PREPROCESSORS,
    check_config,
    check_preprocessor,
    check_sizes,
    pixels_of_side,
)

# suffixes of weights that run code when they are opened
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
TOKENIZERS = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
GET_SAFETENSORS = (
    "choose a revision that has model.safetensors, or convert the weights once with transformers: "
    'model.save_pretrained("folder")'
)
# bits of a number; of whole numbers, buffers and counters that old files keep
FLOATS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16}
WHOLE_NUMBERS = {"I64": 64, "I32": 32, "BOOL": 8}
QUANTISED = (
    *("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4"),
    *("I8", "U8", "I16", "U16", "U32", "U64"),
)
# as the library of the format has it
LARGEST_HEADER = 100_000_000
# first byte, end, name, kind of numbers and shape of a tensor in its file
Place = tuple[int, int, str, str, list[int]]
# what is saved from within another object has its name in front of every tensor's
WRAPPERS = {
    "module": "saved from within DataParallel or DDP",
    "_orig_mod": "saved from within torch.compile",
    "base_model.model": "the state of a PEFT model, not of the model in it",
}
UNWRAP = (
    """python -c 'from safetensors.torch import load_file, save_file; f = "{file}"; """
    """save_file({{n.removeprefix("{prefix}"): t for n, t in load_file(f).items()}}, f, """
    """{{"format": "pt"}})'"""
)
# in the names of tensors that stand beside weights to change them
ADAPTED = ("lora_", ".base_layer.", ".ia3_", ".hada_", ".lokr_", ".oft_", ".vera_")
MERGE = (
    "merge the adapter into the weights where it was trained: "
    'model.merge_and_unload().save_pretrained("folder")'
)
CORRECT = (
    "correct config.json so that it counts every tensor, or save the plain model once more: "
    'model.save_pretrained("folder")'
)


@dataclass(frozen=True)
class Facts:
    """What can be said of a model without loading it.

    Attributes
    ----------
    architecture : ``model_type`` of config.json
    parameters : numbers in all tensors of the weights; indices, which old files keep, not counted
    embedding_dim : length of a feature vector; None where the model gives none
    shapes : of all tensors of the weights, by their names
    side : pixels of the only pictures that the image tower takes; None where it takes any
    """

    architecture: str
    parameters: int
    embedding_dim: int | None
    shapes: dict[str, list[int]]
    side: int | None


def read_facts(folder: Path) -> Facts:
    """Check that ``folder`` holds a whole dual encoder of a supported kind, and describe it.

    Raises
    ------
    BadInput
        for an unknown architecture; a config that asks for code of elsewhere, for quantised weights
        or for other numbers than the weights have; weights that are missing, pickled, damaged,
        wrapped, unmerged or without one of the two towers; a tokenizer or preprocessor file that is
        missing; and a preprocessor of another size
    """
    folder = Path(folder)
    architecture, family = read_family(folder)
    path = folder / "config.json"
    config = read_json(path)
    check_config(path, config)
    tensors = read_tensors(folder)
    shapes = {name: shape for name, (_, shape) in tensors.items()}
    check_names(folder, shapes, family)
    check_dtypes(folder, tensors)
    for tower, told in zip(family.tensors, ("a text tower", "an image tower"), strict=True):
        if not any(name.startswith(tower) for name in shapes):
            found = sorted({name.split(".")[0] for name in shapes})
            raise BadInput(
                folder,
                f"weights without {told}: {_some(found)}",
                "tensors " + " and ".join(f"of {one.removesuffix('.')}" for one in family.tensors),
                "take a model that encodes both images and texts",
            )
    check_files(folder)
    if not shapes.get(family.projection):
        raise BadInput(
            folder,
            f"no tensor {family.projection}, or one of no dimension",
            "the projection into the shared space",
            "take a model that encodes both images and texts",
        )
    check_sizes(path, family, config, shapes)
    side = pixels_of_side(family, config)
    check_preprocessor(folder, side)
    return Facts(
        architecture=architecture,
        parameters=sum(math.prod(shape) for dtype, shape in tensors.values() if dtype in FLOATS),
        embedding_dim=shapes[family.projection][0],
        shapes=shapes,
        side=side,
    )


def check_files(folder: Path) -> None:
    """Raise ``BadInput`` where a tokenizer or a preprocessor is missing, or half of one."""
    check_tokenizer(folder)
    _check_one_of(folder, "preprocessor", PREPROCESSORS)


def check_tokenizer(folder: Path) -> None:
    """Raise ``BadInput`` where a tokenizer is missing, or half of one."""
    _check_one_of(folder, "tokenizer", TOKENIZERS)
    there = [name for name in TOKENIZERS if (folder / name).is_file()]
    if there == ["vocab.json"] and not (folder / "merges.txt").is_file():
        raise BadInput(
            folder / "vocab.json",
            "a vocabulary without merges.txt, which says how its pieces are put together",
            "vocab.json and merges.txt, or tokenizer.json",
            "copy merges.txt from where the model came from",
        )


def _check_one_of(folder: Path, kind: str, names: tuple[str, ...]) -> None:
    if not any((folder / name).is_file() for name in names):
        raise BadInput(
            folder,
            f"no {kind} file",
            f"one of {', '.join(names)}",
            "copy the file from where the model came from",
        )


def check_names(folder: Path, names: Iterable[str], family: Family) -> None:
    """Raise ``BadInput`` for tensors of an adapter, and for one prefix before all names."""
    names = sorted(names)
    towers = [(name, tower) for name in names for tower in family.tensors if tower in name]
    wrapped = bool(towers) and not any(name.startswith(family.tensors) for name in names)
    prefix = towers[0][0].partition(towers[0][1])[0] if wrapped else ""
    known = next((WRAPPERS[one] for one in WRAPPERS if prefix.startswith(f"{one}.")), None)
    if adapted := [name for name in names if any(part in name for part in ADAPTED)]:
        raise unexpected_tensors(folder, adapted)
    if prefix:
        files = [path.name for path in weight_files(folder)]
        todo = f"take it off, in the folder, once: {UNWRAP.format(file=files[0], prefix=prefix)}"
        raise BadInput(
            folder,
            f"{prefix!r:.80} before the names of the tensors: "
            f"{known or 'saved from within an object that holds the model under this name'}",
            f"{family.tensors[0]}… and {family.tensors[1]}…",
            todo if len(files) == 1 else f"{todo}; likewise in the other parts and in the index",
        )


def unexpected_tensors(folder: Path, names: Iterable[str]) -> BadInput:
    """What to tell of tensors that an architecture does not have."""
    names = sorted(names)
    return BadInput(
        folder,
        f"{len(names)} tensor{'s'[: len(names) > 1]} that this architecture does not have: "
        f"{_some(names)}",
        "the tensors that config.json counts, and no others: without them the features would be "
        "another model's",
        MERGE if any(part in name for name in names for part in ADAPTED) else CORRECT,
    )


def _some(names: list[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(f"{name:.120}" for name in names[:shown]) + more


def check_dtypes(folder: Path, tensors: dict[str, tuple[str, list[int]]]) -> None:
    """Raise ``BadInput`` for numbers that mean something only with a scale beside them."""
    for name, (dtype, _) in tensors.items():
        if dtype not in FLOATS and dtype not in WHOLE_NUMBERS:
            raise BadInput(
                folder,
                f"{name:.120}: numbers of kind {dtype}, as quantised weights have",
                f"one of {', '.join(FLOATS)}",
                "load the model where it was made without quantisation, and save it again with "
                'model.save_pretrained("folder")',
            )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the folder: one, or those that its index names.

    Raises ``BadInput`` where there are none, where there are only pickled ones, and where a file
    that the index names is missing.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if index.is_file():
        parts = [folder / name for name in sorted(set(read_index(index).values()))]
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


def read_index(index: Path) -> dict[str, str]:
    """Tensor -> file beside the index, as model.safetensors.index.json says."""
    listing = read_json(index)
    named = listing.get("weight_map") if isinstance(listing, dict) else None
    if not named or not isinstance(named, dict) or not _all(str, named.values()):
        raise BadInput(index, "no weight_map", "tensor -> file", "fetch the index again")
    for name in named.values():
        if (
            len(name.encode("utf-8", "replace")) > 255
            or {*name} & {*"/\\\0"}
            or name in (".", "..")
        ):
            raise BadInput(
                index,
                f"{name!r:.100}, which is no name of a file",
                "names of files beside the index",
                "fetch the index again",
            )
    return named


def read_tensors(folder: Path) -> dict[str, tuple[str, list[int]]]:
    """Kind of numbers and shape of every tensor, from the safetensors headers."""
    tensors: dict[str, tuple[str, list[int]]] = {}
    file_of: dict[str, str] = {}
    for path in weight_files(folder):
        for name, about in read_header(path).items():
            if name in tensors:
                raise BadInput(
                    path,
                    f"{name:.120}, which {file_of[name]} has, too",
                    "each tensor in one file",
                    "fetch the weights again",
                )
            tensors[name], file_of[name] = about, path.name
    if not (folder / "model.safetensors").is_file():
        index = folder / "model.safetensors.index.json"
        named = read_index(index)
        for name in sorted(named.keys() | file_of.keys()):
            if named.get(name) != file_of.get(name):
                raise BadInput(
                    index,
                    f"{name:.120} in {named.get(name, 'no file')}",
                    f"in {file_of.get(name, 'no file')}, as the files themselves say",
                    "fetch the index and the weights again, from one place",
                )
    return tensors


def read_header(path: Path) -> dict[str, tuple[str, list[int]]]:
    """Kind of numbers and shape of every tensor of a safetensors file.

    The format: 8 bytes little-endian length of the header, the header in JSON, the tensors one
    behind the other. Raises ``BadInput`` unless all of it fits together.
    """
    size = path.stat().st_size
    length, places = _places(path, size)
    bits = FLOATS | WHOLE_NUMBERS
    data_bytes, here = size - 8 - length, 0
    for begin, end, name, dtype, shape in sorted(places):
        told = ""
        if dtype not in bits and dtype not in QUANTISED:
            told = f"numbers of kind {dtype:.40}"
        # sides too long for the file are never multiplied
        elif not all(0 < one <= 8 * data_bytes for one in shape):
            told = f"a shape of {shape!s:.80}"
        elif end > data_bytes:
            here = end
            break
        elif begin != here or end < begin:
            told = "a place that overlaps another tensor's, or leaves a hole before it"
        elif dtype in bits and math.prod(shape) * bits[dtype] != 8 * (end - begin):
            told = f"a shape of {shape!s:.80}, which {end - begin} bytes of {dtype} are not"
        if told:
            raise BadInput(
                f"{path}, tensor {name:.120}",
                told,
                "tensors one behind the other, each as large as its shape",
                "the file is damaged: fetch it again",
            )
        here = end
    if here != data_bytes:
        raise BadInput(
            path,
            f"{data_bytes} bytes of tensors",
            f"{here!s:.40} bytes",
            "the file is not whole: fetch it again",
        )
    return {name: (dtype, shape) for _, _, name, dtype, shape in places}


def _places(path: Path, size: int) -> tuple[int, list[Place]]:
    """Length of the header of a file of ``size`` bytes, and what it says of each tensor."""
    damaged = BadInput(path, "no safetensors header", "safetensors", "fetch it again")
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size - 8, LARGEST_HEADER):
                raise damaged
            header = json.loads(stream.read(length), object_pairs_hook=_each_once)
        header.pop("__metadata__", None)
        places: list[Place] = []
        for name, about in header.items():
            begin, end = about["data_offsets"]
            dtype, shape = about["dtype"], list(about["shape"])
            if not _whole_numbers([begin, end, *shape]) or not isinstance(dtype, str):
                raise damaged
            places.append((begin, end, name, dtype, shape))
    # ValueError is that of JSON, of numbers of thousands of digits and of a pair of three, too
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError):
        raise damaged from None
    return length, places


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _all(kind: type, values: Iterable[object]) -> bool:
    return all(isinstance(value, kind) for value in values)


def _whole_numbers(values: Iterable[object]) -> bool:
    return all(type(value) is int for value in values)
