"""Ways to break the folder of a model, each as a function of that folder."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Spoil = Callable[[Path], Any]
WEIGHTS, CONFIG = "model.safetensors", "config.json"
PROJECTION = "text_projection.weight"
PARTS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def written(name: str, content: bytes | str) -> Spoil:
    content = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(content)


def cut(name: str, eighths: int) -> Spoil:
    def spoil(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) * eighths // 8])

    return spoil


def gone(*names: str) -> Spoil:
    return lambda folder: [(folder / name).unlink() for name in names]


def changed(name: str, *keys: str, to: Any) -> Spoil:
    """One value of a JSON file."""

    def spoil(folder: Path) -> None:
        whole = json.loads((folder / name).read_text("utf-8"))
        inner = whole
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = to
        (folder / name).write_text(json.dumps(whole), "utf-8")

    return spoil


def of_config(*keys: str, to: Any) -> Spoil:
    """One value of config.json, in objects that are made where there are none."""

    def spoil(folder: Path) -> None:
        whole = inner = json.loads((folder / CONFIG).read_text("utf-8"))
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = to
        (folder / CONFIG).write_text(json.dumps(whole), "utf-8")

    return spoil


def instead(name: str, make: Callable[[Path], Any]) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return spoil


def header(edit: Callable[[dict], Any]) -> Spoil:
    """The header of the weights, changed; what ``edit`` returns takes its place, if anything."""

    def spoil(folder: Path) -> None:
        path = folder / "model.safetensors"
        content = path.read_bytes()
        (length,) = struct.unpack_from("<Q", content)
        tensors = json.loads(content[8 : 8 + length])
        replaced = edit(tensors)
        head = json.dumps(tensors if replaced is None else replaced).encode()
        path.write_bytes(struct.pack("<Q", len(head)) + head + content[8 + length :])

    return spoil


def of_tensor(name: str, key: str, value: Any) -> Spoil:
    return header(lambda tensors: tensors[name].__setitem__(key, value))


def saved_anew(edit: Callable[[dict], Any]) -> Spoil:
    """Weights of other tensors; what ``edit`` returns."""

    def spoil(folder: Path) -> None:
        from safetensors.numpy import load_file, save_file

        tensors = edit(load_file(folder / WEIGHTS))
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    return spoil


def flattened(tensors: dict) -> dict:
    return tensors | {PROJECTION: np.zeros((), np.float32)}


def in_bytes(tensors: dict) -> dict:
    return tensors | {PROJECTION: tensors[PROJECTION].astype(np.int8)}


def rewritten(edit: Callable[[bytes], bytes]) -> Spoil:
    """The header of the weights, changed as bytes."""

    def spoil(folder: Path) -> None:
        path = folder / WEIGHTS
        content = path.read_bytes()
        (length,) = struct.unpack_from("<Q", content)
        head = edit(content[8 : 8 + length])
        path.write_bytes(struct.pack("<Q", len(head)) + head + content[8 + length :])

    return spoil


LOGIT_SCALE = b'{"logit_scale": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}, '
digits = rewritten(lambda head: head.replace(b"[24,32]", b"[" + b"9" * 5000 + b"]", 1))
twice_in_header = rewritten(lambda head: LOGIT_SCALE + head[1:])


def large_header(folder: Path) -> None:
    with (folder / WEIGHTS).open("wb") as stream:
        stream.write(struct.pack("<Q", 150_000_000))
        stream.truncate(200_000_000)  # of zeros that take no place


def indexed(weight_map: Any, two: bool = False) -> Spoil:
    """The weights in a part, or in ``two`` that are the same, of which an index tells."""

    def spoil(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / PARTS[0])
        if two:
            shutil.copy(folder / PARTS[0], folder / PARTS[1])
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": weight_map}))

    return spoil


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"w": [0.0]}))


def renamed(old: str, new: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / new).parent.mkdir(exist_ok=True)
        (folder / old).rename(folder / new)

    return spoil


def moved(below: str) -> Spoil:
    """The whole model, into a folder below the one that the config names."""

    def spoil(folder: Path) -> None:
        files = list(folder.iterdir())
        (folder / below).mkdir(parents=True)
        for path in files:
            path.rename(folder / below / path.name)

    return spoil


def each(*spoils: Spoil) -> Spoil:
    return lambda folder: [spoil(folder) for spoil in spoils]
