"""What both encoding rules share: the encoder of a model.json, and the files that they write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from scripts.data.ahead import map_ahead
from scripts.data.rows import Rows, read_rows
from scripts.encode.gpu import PROBE, encoded_on_gpu, measured_batch
from scripts.job import BadInput, digest_of_file, log, read_json, whole, write_json
from scripts.models.backends import backend_of
from scripts.models.encoders import PRECISIONS, Encoder, load_encoder
from scripts.models.folder import verify_model

Side = Literal["images", "texts"]
Item = TypeVar("Item")

# where encode.batch_size is "auto": images whose captions may share a batch, and what shards are
# multiples of, whatever the device has room for
BLOCK = 64
# then on a CPU, which gains nothing from more and whose caches hold no more; texts that share their
# beginnings are fewer rows, and half of a block with five captions each goes together best
AT_ONCE_ON_CPU, SHARED_ON_CPU = 16, 160


def open_encoder(provenance: Path, device: str, precision: str, threads: int) -> Encoder:
    """Load the model beside its model.json, whose hashes it must still have; see ``opened``."""
    with ThreadPoolExecutor(1) as pool:
        verified = pool.submit(verify_model, provenance)
        backend_of(provenance.parent).import_libraries()
        verified.result()
    import torch

    torch.set_num_threads(1)
    return opened(provenance, device, precision, threads)


def opened(provenance: Path, device: str, precision: str, threads: int) -> Encoder:
    """As ``open_encoder``, of a model that this process has opened before.

    ``threads`` bounds what torch computes with on a CPU: so many batches side by side, a thread
    each. Threads that share a batch would add up to other last bits than another number of them.
    """
    encoder = load_encoder(provenance.parent, device, precision)
    if encoder.device.type == "cpu":
        encoder.batches_at_once = threads
    encoder.pack()
    log.info("%s on %s in %s", encoder.architecture, encoder.device, encoder.precision)
    return encoder


def precision_of(given: Any, params: Any) -> str:
    """What a job encodes in: what it is told, and for "auto" what ``choose_precision`` found.

    Raises ``BadInput`` where the file of what was found names no precision.
    """
    if params.precision != "auto":
        return params.precision
    about = read_json(given.precision)
    found = about.get("precision") if isinstance(about, dict) else None
    if found not in PRECISIONS:
        raise BadInput(
            given.precision,
            f"precision: {json.dumps(found):.80}",
            f"one of {', '.join(PRECISIONS)}",
            "delete it and run again",
        )
    return found


def read_shard(given: Any, wildcards: Any, size: int | None) -> Rows:
    """The rows that a job encodes: a whole split, or the shard that its wildcards name.

    Parameters
    ----------
    given : the rule's inputs "captions" and "splits"
    wildcards : "split", and "shard" where the split is encoded in shards
    size : images of a shard; None where no split is encoded in shards
    """
    rows = read_rows(given.captions, given.splits, wildcards.split)
    shard = getattr(wildcards, "shard", None)
    return rows if shard is None or size is None else rows.shard(int(shard), size)


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items, the last one shorter (itertools.batched of Python 3.12)."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def encoded(encoder: Encoder, side: Side, inputs: Iterable[Any]) -> Iterator[np.ndarray]:
    """Unit rows (b, d) float32 of each of ``inputs``, in their order.

    ``inputs`` are what ``encoder.encode_images`` or ``encoder.encode_texts`` takes, and read ahead;
    as many as ``encoder`` says are computed side by side.
    """
    if encoder.device.type == "cuda":
        planned = map(encoder.plan_texts, inputs) if side == "texts" else inputs
        yield from encoded_on_gpu(encoder, getattr(encoder, f"infer_{side}"), planned)
        return
    with ThreadPoolExecutor(encoder.batches_at_once) as pool:
        encode = getattr(encoder, f"encode_{side}")
        for rows in map_ahead(pool, encode, inputs, encoder.batches_at_once + 1):
            yield rows.cpu().numpy()


def batch_of(encoder: Encoder, side: Side, setting: int | Literal["auto"]) -> int:
    """Items at once: ``setting``, or for "auto" what a GPU has room for, or a CPU is quick with."""
    if isinstance(setting, int):
        return setting
    if encoder.device.type != "cuda":
        shared = side == "texts" and encoder.shares_beginnings
        on_cpu = SHARED_ON_CPU if shared else AT_ONCE_ON_CPU
        return on_cpu if encoder.device.type == "cpu" else BLOCK
    probe = encoder.largest(side, PROBE)
    if side == "texts":
        probe = encoder.plan_texts(probe)
    found = measured_batch(encoder, getattr(encoder, f"infer_{side}"), probe)
    log.info("%d %s at once fit into the memory of %s", found, side, encoder.device)
    return found


def write_features(
    npy: Path,
    sidecar: Path,
    features: np.ndarray,
    rows: Rows,
    provenance: Path,
    **about: Any,
) -> None:
    """Write features (n, d) and, beside them, what rows, model and settings they are of."""
    with whole(npy) as draft:
        np.save(draft, features.astype(np.float32, copy=False), allow_pickle=False)
    write_json(
        sidecar,
        {
            "rows": rows.digest,
            "shape": list(features.shape),
            "sha256": digest_of_file(npy),
            "model": digest_of_file(provenance),
            **about,
        },
    )
