"""Two models together: the weighted sum of their cosines, as one inner product.

[sqrt(w) a | sqrt(1 - w) b] . [sqrt(w) a' | sqrt(1 - w) b'] = w a.a' + (1 - w) b.b'. What comes in
are the two models' features side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scripts.job import log
from scripts.protocol import DIRECTIONS
from scripts.retrieve.arrays import Arrays
from scripts.retrieve.banks import Banks
from scripts.retrieve.choose import best_options, mean_recalls
from scripts.retrieve.kinds import Kind, of_direction


def fit_fusion(params: Mapping[str, Any], banks: Banks) -> Arrays:
    """The weight of the run's own model; of equals on val, the largest.

    Parameters
    ----------
    params : ``with``, the other model; ``weights`` for val to choose from
    banks : val; features of both models side by side

    Returns
    -------
    with : the other model's name; width : int64, dimensions of the own model's features; weight
    (2,), val_recall (2,) float64 by direction
    """
    width = int(banks["widths"][0])
    weights = sorted(params["weights"], reverse=True)
    found = [
        mean_recalls(
            _side_by_side(banks["val_images"], width, weight),
            _side_by_side(banks["val_texts"], width, weight),
            banks["val_image_of_caption"],
        )
        for weight in weights
    ]
    best, val_recall = best_options({d: [one[d][0] for one in found] for d in DIRECTIONS})
    for direction, place in zip(DIRECTIONS, best, strict=True):
        log.info("%s: weight %g of the run's own model", direction, weights[place])
    return {
        "with": np.array(params["with"]),
        "width": np.array(width),
        "weight": np.array([float(weights[place]) for place in best]),
        "val_recall": val_recall,
    }


def _side_by_side(features: np.ndarray, width: int, weight: float) -> np.ndarray:
    """Features of both models, each at the root of its weight; a model of weight 0 is left out."""
    own, other = features[:, :width], features[:, width:]
    if weight == 1:
        return own
    if weight == 0:
        return other
    return np.concatenate(
        [np.float32(np.sqrt(weight)) * own, np.float32(np.sqrt(1 - weight)) * other], axis=1
    )


def _fuse(arrays: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
    weight = float(of_direction(arrays["weight"], direction))
    return _side_by_side(features, int(arrays["width"]), weight)


FUSION = Kind(fit_fusion, _fuse, _fuse)
