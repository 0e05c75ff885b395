"""Weights that exist only as a pickle, made safetensors without running what a pickle may hold."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.job import BadInput, whole

# how a file of torch begins since 1.6; what is older cannot be mapped into memory
ZIP = b"PK\x03\x04"


def convert_pickle(path: Path, target: Path) -> None:
    """Write the tensors of ``path`` to ``target`` as safetensors.

    The caller has held the file against its checksum. ``weights_only`` lets torch's own reader of
    pickles call nothing but what builds tensors.

    Raises
    ------
    BadInput
        where the pickle asks for anything else, and where it is not one dictionary of tensors
    """
    import torch
    from safetensors.torch import save_file

    with path.open("rb") as stream:
        mappable = stream.read(len(ZIP)) == ZIP
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=mappable)
    # whatever the bytes of a stranger's file lead the reader to
    except Exception as error:
        told = _without_advice(str(error)) or type(error).__name__
        raise _refused(path, f"a pickle that torch will not read as weights: {told:.200}") from None
    if not isinstance(tensors, dict):
        raise _refused(path, f"a pickle of {type(tensors).__name__}")
    if not tensors:
        raise _refused(path, "an empty dictionary")
    other = [
        name
        for name, tensor in tensors.items()
        if not isinstance(name, str)
        or not isinstance(tensor, torch.Tensor)
        or tensor.layout != torch.strided
        or tensor.is_quantized
        or tensor.is_nested
        or tensor.is_meta
    ]
    if other:
        raise _refused(path, f"what is no plain tensor: {', '.join(map(repr, other[:3])):.200}")
    # the format's own key, and halves of characters, which are no UTF-8
    other = [
        name for name in tensors if name == "__metadata__" or re.search("[\ud800-\udfff]", name)
    ]
    if other:
        raise _refused(
            path, f"names that safetensors cannot have: {', '.join(map(repr, other)):.200}"
        )
    # a view may claim any shape of a few bytes; tensors may well share them
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > 2 * path.stat().st_size:
        raise _refused(path, f"{claimed:,} bytes of tensors in {path.stat().st_size:,} of a file")
    # safetensors takes no views and no shared memory
    copies = {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    with whole(target) as draft:
        try:
            save_file(copies, draft, metadata={"format": "pt"})
        except KeyError as error:  # a dtype that it does not list
            raise _refused(path, f"numbers of a kind that safetensors lacks: {error}") from None


def _without_advice(told: str) -> str:
    """What torch says of a pickle, without how to open it all the same."""
    told = told.rpartition("WeightsUnpickler error:")[2]
    sentences = (one.strip() for one in re.split(r"\n|(?<=[.!]) ", told))
    advice = re.compile("weights_only|Weights only|trust|^Please")
    return " ".join(one for one in sentences if one and not advice.search(one))


def _refused(path: Path, found: str) -> BadInput:
    return BadInput(
        path,
        found,
        "one dictionary of tensors by name, as transformers saves it",
        'convert the weights yourself, with transformers: model.save_pretrained("folder"), and '
        "name the folder with source: local",
    )
