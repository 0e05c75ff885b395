"""What a way of scoring is made of; see ``scorers`` for the ways there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.protocol import DIRECTIONS
from scripts.retrieve.arrays import Arrays
from scripts.retrieve.banks import Banks

# which side asks and which is looked for, in each direction
QUERIES = {"text_to_image": "texts", "image_to_text": "images"}
GALLERY = {"text_to_image": "images", "image_to_text": "texts"}

Map = Callable[[Arrays, np.ndarray, str], np.ndarray]


@dataclass(frozen=True)
class Kind:
    """One way of scoring.

    Attributes
    ----------
    fit : (params, banks) -> arrays. ``params`` are the keys of the config's entry; ``banks`` are
        features of train and val by name, never of test. None where a rule of its own fits it
    map_queries, map_gallery : (arrays, features, direction) -> (n, d') float32
    """

    fit: Callable[[Mapping[str, Any], Banks], Arrays] | None
    map_queries: Map
    map_gallery: Map


def of_direction(values: np.ndarray, direction: str) -> Any:
    """The value of one direction, of values that are stored in the order of ``DIRECTIONS``."""
    return values[DIRECTIONS.index(direction)]


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows (n, d) at unit length, float32; a row of zeros points nowhere and stays.

    Lengths are taken in float64, so that they do not depend on how numpy adds up.
    """
    rows = rows.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0).astype(np.float32)
