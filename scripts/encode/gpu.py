"""Keep a GPU at work: batches are copied to it ahead of the model, rows back behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.data.ahead import map_ahead
from scripts.models.encoders import Encoder

if TYPE_CHECKING:
    import torch

# items whose memory is measured, and the most that a batch has: a GPU gains nothing from more
PROBE, LARGEST = 8, 1024
# of what is free; the rest is for batches on their way and for fragments
USED = 0.8


def items_at_once(free: int, each: int) -> int:
    """The largest power of two of items of ``each`` bytes for ``free`` bytes, up to ``LARGEST``."""
    fitting = max(1, int(USED * free) // max(1, each))
    return min(LARGEST, 1 << (fitting.bit_length() - 1))


def measured_batch(encoder: Encoder, forward: Callable[[Any], torch.Tensor], probe: Any) -> int:
    """How many items fit beside the model, by what a batch of ``PROBE`` needs at its peak."""
    import torch

    device = encoder.device
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    with torch.inference_mode():
        encoder.unit(forward(probe)).cpu()
    each = (torch.cuda.max_memory_allocated(device) - before) // PROBE
    # what torch keeps for itself is free to it, too
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return items_at_once(torch.cuda.mem_get_info(device)[0] + kept, each)


def encoded_on_gpu(
    encoder: Encoder, forward: Callable[[Any], torch.Tensor], inputs: Iterable[Any]
) -> Iterator[np.ndarray]:
    """Unit rows (b, d) float32 of each of ``inputs``, a tensor or a dictionary of tensors.

    From pinned memory, on a stream of their own, the next batches are copied while the model is at
    one; nothing waits for the GPU but whoever takes rows, and for those rows only.
    """
    import torch

    device = encoder.device
    stream = torch.cuda.Stream(device)

    def sent(batch: Any) -> tuple[Any, Any]:
        with torch.cuda.stream(stream):
            there = _each(batch, lambda one: one.pin_memory().to(device, non_blocking=True))
            return there, stream.record_event()

    def computed(parcel: tuple[Any, Any]) -> tuple[torch.Tensor, Any]:
        batch, arrived = parcel
        current = torch.cuda.current_stream(device)
        current.wait_event(arrived)
        # its memory came from the other stream, which must not have it back too early
        _each(batch, lambda one: one.record_stream(current))
        with torch.inference_mode():
            features = encoder.unit(forward(batch))
            rows = torch.empty_like(features, device="cpu").pin_memory()
            rows.copy_(features, non_blocking=True)
        return rows, current.record_event()

    with ThreadPoolExecutor(1) as pool:
        for rows, there in map_ahead(pool, computed, map(sent, inputs), window=2):
            there.synchronize()
            yield encoder.checked(rows).numpy()


def _each(batch: Any, function: Callable[[torch.Tensor], Any]) -> Any:
    if isinstance(batch, dict):
        return {name: function(one) for name, one in batch.items()}
    return function(batch)
