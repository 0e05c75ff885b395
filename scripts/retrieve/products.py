"""Products of queries and items in float32, on the CPU by BLAS or elsewhere by torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# writes the scores of queries (b, d) against the items to an array (b, w)
Score = Callable[[np.ndarray, np.ndarray], None]


def products_on(device: str) -> Callable[[np.ndarray], Score]:
    """A function that takes items (w, d) to ``device`` and gives their ``Score``.

    Parameters
    ----------
    device : "cpu", which needs no torch; or what torch calls a device; or "auto", the best it has
    """
    return _by_blas if device == "cpu" else _by_torch(device)


def _by_blas(items: np.ndarray) -> Score:
    def score(queries: np.ndarray, out: np.ndarray) -> None:
        np.matmul(queries, items.T, out=out)

    return score


def _by_torch(device: str) -> Callable[[np.ndarray], Score]:
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    # TF32 keeps ten bits, and would leave everything in doubt
    torch.set_float32_matmul_precision("highest")

    def take(items: np.ndarray) -> Score:
        # copies: features are mapped from files, which torch may not write to
        there = torch.tensor(items, device=device).T

        def score(queries: np.ndarray, out: np.ndarray) -> None:
            torch.from_numpy(out).copy_(torch.tensor(queries, device=device) @ there)

        return score

    return take
