"""What a GPU is given: so many items as fit, and each batch while the one before is computed.

No GPU is needed: streams and events that write down what happens stand in for those of CUDA, and
the model computes on the CPU.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from scripts.encode import features
from scripts.encode.gpu import LARGEST, PROBE, encoded_on_gpu, items_at_once, measured_batch
from scripts.job import BadInput

GB = 2**30


@pytest.mark.parametrize(
    ("free", "each", "expected"),
    [
        (80 * GB, 10 * 2**20, LARGEST),
        (GB, 10 * 2**20, 64),  # 0.8 GB hold 81
        (10 * GB, 100 * 2**20, 64),  # 81 as well
        (GB, GB // 8, 4),  # 6.4
        (GB, GB, 1),
        (0, GB, 1),
        (GB, 0, LARGEST),
    ],
)
def test_a_batch_is_the_largest_power_of_two_that_leaves_a_fifth_free(free, each, expected):
    assert items_at_once(free, each) == expected


def test_more_memory_never_means_a_smaller_batch():
    sizes = [items_at_once(free * 2**20, 3 * 2**20) for free in range(0, 6000, 7)]
    assert sizes == sorted(sizes) and set(sizes) == {2**n for n in range(11)}


@pytest.fixture
def memory(monkeypatch):
    """Memory of a GPU: 1 GB free, 100 MB of weights, 60 MB more for each item of a batch."""
    held = SimpleNamespace(now=100 * 2**20, peak=0, kept=124 * 2**20)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: held.now)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: held.kept)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: held.peak)
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda _: setattr(held, "peak", held.now)
    )
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (GB, 2 * GB))
    return held


def test_the_memory_of_an_item_is_measured_with_a_few(encoder, memory):
    def forward(pixels):
        memory.peak = max(memory.peak, memory.now + 60 * 2**20 * len(pixels))
        return encoder.infer_images(pixels)

    # of 1,024 MB and 24 MB that torch keeps unused, 838 MB are for 13 items of 60 MB
    assert measured_batch(encoder, forward, encoder.largest("images", PROBE)) == 8


@pytest.mark.parametrize("side", ["images", "texts"])
def test_a_number_is_taken_as_it_is_and_auto_measures_on_a_gpu_only(encoder, side, monkeypatch):
    assert features.batch_of(encoder, side, 7) == 7
    assert features.batch_of(encoder, side, "auto") == {"images": 16, "texts": 160}[side]

    def measured(_, forward, probe):
        with torch.inference_mode():
            assert len(forward(probe)) == PROBE
        return 256

    monkeypatch.setattr(features, "measured_batch", measured)
    monkeypatch.setattr(encoder, "device", torch.device("cuda"))
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_, **__: self.float())
    monkeypatch.setattr(encoder, "infer_texts", lambda plan: plan["ends"])
    monkeypatch.setattr(encoder, "infer_images", lambda pixels: pixels)
    assert features.batch_of(encoder, side, "auto") == 256
    assert features.batch_of(encoder, side, 7) == 7


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """What happens on the streams of a GPU, in its order."""
    told: list[str] = []

    class Event:
        def __init__(self, of: str) -> None:
            self.of = of

        def synchronize(self) -> None:
            told.append(f"wait for {self.of}")

    class Stream:
        def __init__(self, name: str) -> None:
            self.name, self.count = name, 0

        def record_event(self) -> Event:
            self.count += 1
            return Event(f"{self.name} {self.count}")

        def wait_event(self, event: Event) -> None:
            told.append(f"{self.name} after {event.of}")

    model = Stream("rows")

    @contextmanager
    def stream(of: Stream):
        told.append(f"on {of.name}")
        yield

    monkeypatch.setattr(torch.cuda, "Stream", lambda _: Stream("copy"))
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: model)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, _: told.append("kept"))
    return told


@pytest.mark.parametrize("side", ["images", "texts"])
def test_a_gpu_gives_the_rows_that_a_cpu_gives_in_their_order(encoder, side, told):
    if side == "texts":
        batches = [encoder.tokenize(["x" * size, "a dog"]) for size in (1, 2, 3, 4, 5)]
    else:
        noise = torch.randint(0, 256, (5, 2, 3, 32, 32), dtype=torch.uint8)
        batches = list(noise)
    expected = list(features.encoded(encoder, side, batches))
    if side == "texts":
        batches = map(encoder.plan_texts, batches)
    found = list(encoded_on_gpu(encoder, getattr(encoder, f"infer_{side}"), batches))
    assert len(found) == 5
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_batches_are_copied_before_the_rows_of_earlier_ones_are_waited_for(encoder, told):
    batches = list(torch.randint(0, 256, (5, 2, 3, 32, 32), dtype=torch.uint8))
    list(encoded_on_gpu(encoder, encoder.infer_images, batches))
    # each batch is computed once its own copy has come, and its memory is kept until then
    assert [one for one in told if one.startswith("rows after")] == [
        f"rows after copy {number}" for number in range(1, 6)
    ]
    assert told.count("kept") == 5
    waits = [place for place, one in enumerate(told) if one.startswith("wait for")]
    copied = [told[:place].count("on copy") for place in waits]
    # two more are on their way when the first one's rows are waited for
    assert copied == [3, 4, 5, 5, 5]


def test_rows_that_are_not_finite_are_an_error_on_a_gpu_too(encoder, told):
    batches = [torch.zeros((1, 3, 32, 32), dtype=torch.uint8)] * 3
    broken = encoded_on_gpu(encoder, lambda pixels: torch.zeros((1, encoder.dim)), batches)
    with pytest.raises(BadInput, match="length zero or not finite"):
        list(broken)
