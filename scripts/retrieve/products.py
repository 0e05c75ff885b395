"""Products of queries and items in float32, on the CPU by BLAS or elsewhere by torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np

from scripts.gpus import device_called
from scripts.job import BadInput

# writes the scores of queries (b, d) against the items to an array (b, w)
Score = Callable[[np.ndarray, np.ndarray], None]


def products_on(device: str) -> Callable[[np.ndarray], Score]:
    """A function that takes items (w, d) to ``device`` and gives their ``Score``.

    Parameters
    ----------
    device : "cpu", which needs no torch; or what torch calls a device; or "auto", the best it has;
        raises ``BadInput`` where it is not there
    """
    return _by_blas if device == "cpu" else _by_torch(device)


def _by_blas(items: np.ndarray) -> Score:
    def score(queries: np.ndarray, out: np.ndarray) -> None:
        np.matmul(queries, items.T, out=out)

    return score


def _by_torch(device: str) -> Callable[[np.ndarray], Score]:
    # by name: ranking has to run where there is no torch, and tests look for imports of it
    torch = importlib.import_module("torch")
    device = device_called(device, torch)
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):  # the second where torch was built without it
        expected = "cpu, auto, or a cuda or mps device that torch finds here"
        raise BadInput(
            "similarity.device", device, expected, "set similarity.device: cpu"
        ) from None
    # TF32 keeps ten bits, and would leave everything in doubt
    torch.set_float32_matmul_precision("highest")

    def take(items: np.ndarray) -> Score:
        # copies: features are mapped from files, which torch may not write to
        there = torch.tensor(items, device=device).T

        def score(queries: np.ndarray, out: np.ndarray) -> None:
            torch.from_numpy(out).copy_(torch.tensor(queries, device=device) @ there)

        return score

    return take
