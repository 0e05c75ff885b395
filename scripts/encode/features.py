"""What both encoding rules share: the encoder of a model.json, and the files that they write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.data.ahead import map_ahead
from scripts.data.rows import Rows, read_rows
from scripts.job import digest_of_file, log, whole, write_json
from scripts.models.encoders import Encoder, load_encoder
from scripts.models.fetch_model import verify_model

if TYPE_CHECKING:
    import torch


def open_encoder(provenance: Path, device: str, precision: str, threads: int) -> Encoder:
    """Load the model beside its model.json, whose hashes it must still have.

    ``threads`` bounds what torch computes with on a CPU: so many batches side by side, a thread
    each. Threads that share a batch would add up to other last bits than another number of them.
    """
    verify_model(provenance)
    import torch

    torch.set_num_threads(1)
    encoder = load_encoder(provenance.parent, device, precision)
    if encoder.device.type == "cpu":
        encoder.batches_at_once = threads
    log.info("%s on %s in %s", encoder.architecture, encoder.device, encoder.precision)
    return encoder


def read_shard(given: Any, wildcards: Any, size: int | None) -> Rows:
    """The rows that a job encodes: a whole split, or the shard that its wildcards name.

    Parameters
    ----------
    given : the rule's inputs "captions" and "splits"
    wildcards : "split", and "shard" where the split is encoded in shards
    size : images of a shard
    """
    rows = read_rows(given.captions, given.splits, wildcards.split)
    shard = getattr(wildcards, "shard", None)
    return rows if shard is None else rows.shard(int(shard), size)


def batches(items: Iterable, size: int) -> Iterator[list]:
    """Lists of ``size`` items, the last one shorter (itertools.batched of Python 3.12)."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def encoded(
    encoder: Encoder, encode: Callable[[Any], torch.Tensor], inputs: Iterable
) -> Iterator[np.ndarray]:
    """float32 rows of each of ``inputs``, in their order, as many at once as ``encoder`` says."""
    with ThreadPoolExecutor(encoder.batches_at_once) as pool:
        window = encoder.batches_at_once + 1
        yield from map(to_numpy, map_ahead(pool, encode, inputs, window))


def to_numpy(features: torch.Tensor) -> np.ndarray:
    """float32 rows in main memory."""
    return features.cpu().numpy()


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
