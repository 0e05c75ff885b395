"""A residual map of each side's features, learnt by ``fit_adapter``; here it is only applied."""

from __future__ import annotations

import numpy as np

from scripts.retrieve.arrays import Arrays
from scripts.retrieve.kinds import GALLERY, QUERIES, Kind, unit


def adapted(features: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """unit(x + x W) for rows x (n, d) and W (d, d); features as they are where W is zero.

    Products are float64, so that the number of threads does not show in what is kept.
    """
    if not residual.any():
        return features
    wide = features.astype(np.float64)
    return unit(wide + wide @ residual.astype(np.float64))


def with_seed(scorer: Arrays, place: int) -> Arrays:
    """The scorer as trained from the seed at ``place`` in the config's list."""
    if not 0 <= place < len(scorer["seeds"]):
        raise ValueError(f"seed {place} of {len(scorer['seeds'])}")
    return {**scorer, "place": np.array(place)}


def _map_queries(arrays: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
    return adapted(features, arrays[f"{QUERIES[direction]}_maps"][int(arrays["place"])])


def _map_gallery(arrays: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
    return adapted(features, arrays[f"{GALLERY[direction]}_maps"][int(arrays["place"])])


ADAPTER = Kind(None, _map_queries, _map_gallery)
