"""Weights that exist only as a pickle, made safetensors without running what a pickle may hold."""

from __future__ import annotations

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
        told = str(error).strip().partition("\n")[0]
        raise _refused(path, f"a pickle that torch will not read as weights: {told:.200}") from None
    if not isinstance(tensors, dict) or not tensors:
        raise _refused(path, f"a pickle of {type(tensors).__name__}")
    other = [
        name
        for name, tensor in tensors.items()
        if not isinstance(name, str)
        or not isinstance(tensor, torch.Tensor)
        or tensor.layout != torch.strided
        or tensor.is_quantized
    ]
    if other:
        raise _refused(path, f"what is no plain tensor: {', '.join(map(repr, other[:3])):.200}")
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
        save_file(copies, draft, metadata={"format": "pt"})


def _refused(path: Path, found: str) -> BadInput:
    return BadInput(
        path,
        found,
        "one dictionary of tensors by name, as transformers saves it",
        'convert the weights yourself, with transformers: model.save_pretrained("folder"), and '
        "name the folder with source: local",
    )
