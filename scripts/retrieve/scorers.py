"""Ways of scoring, each of them a pair of feature maps.

A score is the inner product of a mapped query and a mapped gallery item. Cosine maps nothing; a
bias per gallery item is one more dimension; an adapter is a learned map; a fusion of two encoders
is a weighted concatenation. So one exact ranker and one index serve every scorer. Mapped rows
should keep scores of the order of one, because ties are told apart at a fixed distance
(``protocol.TIE``).

A further scorer is one entry in ``KINDS``: what it learns from train and val, and two maps.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scripts.job import BadInput
from scripts.protocol import DIRECTIONS
from scripts.retrieve.adapter import ADAPTER
from scripts.retrieve.arrays import Arrays, read_arrays, write_arrays
from scripts.retrieve.banks import Banks
from scripts.retrieve.choose import cosine_on_val
from scripts.retrieve.fusion import FUSION
from scripts.retrieve.hubness import CENTRING, INVERTED_SOFTMAX, NNN
from scripts.retrieve.kinds import Kind


def _fit_nothing(params: Mapping[str, Any], banks: Banks) -> Arrays:
    return {}


def _identity(arrays: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
    return features


KINDS: dict[str, Kind] = {
    "cosine": Kind(_fit_nothing, _identity, _identity),
    "centring": CENTRING,
    "nnn": NNN,
    "inverted_softmax": INVERTED_SOFTMAX,
    "fusion": FUSION,
    "adapter": ADAPTER,
}


def fit(kind: str, params: Mapping[str, Any], banks: Banks) -> Arrays:
    """Fit a scorer; what comes back is all that ``transform`` needs, and goes to scorer.npz.

    Beside the val_recall of what val chose stands val_cosine (2,), that of cosine by direction.

    Parameters
    ----------
    kind : a key of ``KINDS``; not one that a rule of its own fits, as the adapter
    params : the other keys of the config's entry
    banks : see ``banks.Banks``

    Raises ``BadInput`` for a kind that is not in ``KINDS``.
    """
    known = _known(kind, "the scorer's config")
    if known.fit is None:
        raise ValueError(f"{kind} is fitted by a rule of its own")
    arrays = known.fit(params, banks)
    if "val_recall" in arrays:
        arrays["val_cosine"] = cosine_on_val(banks)
    return {"kind": np.array(kind), **arrays}


def transform(
    scorer: Arrays, images: np.ndarray, texts: np.ndarray, direction: str
) -> tuple[np.ndarray, np.ndarray]:
    """Queries and gallery whose inner products are the scores, both float32.

    Parameters
    ----------
    scorer : what ``fit`` gave
    images : (n, d) float32, rows of unit length
    texts : (m, d) float32, rows of unit length
    direction : "text_to_image" or "image_to_text"
    """
    queries, gallery = (texts, images) if direction == "text_to_image" else (images, texts)
    return map_queries(scorer, queries, direction), map_gallery(scorer, gallery, direction)


def map_queries(scorer: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
    """Queries of one direction; texts in "text_to_image", images in "image_to_text"."""
    return _kind_of(scorer, direction).map_queries(scorer, features, direction)


def map_gallery(scorer: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
    """Gallery of one direction; a caller with many queries maps it once."""
    return _kind_of(scorer, direction).map_gallery(scorer, features, direction)


def save_scorer(path: str | Path, scorer: Arrays) -> None:
    """Write scorer.npz; equal arrays give equal bytes."""
    write_arrays(path, scorer)


def load_scorer(path: str | Path) -> Arrays:
    """Read scorer.npz; raises ``BadInput`` where it is missing, damaged or of an unknown kind."""
    scorer = read_arrays(path, "a fitted scorer")
    _known(str(scorer.get("kind")), path)
    return scorer


def _kind_of(scorer: Arrays, direction: str) -> Kind:
    if direction not in DIRECTIONS:
        raise ValueError(f"direction {direction!r} is none of {DIRECTIONS}")
    return KINDS[str(scorer["kind"])]


def _known(kind: str, where: object) -> Kind:
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        todo = f"did you mean {near[0]}?" if near else "take one of these"
        raise BadInput(where, f"kind: {kind}", " or ".join(KINDS), todo)
    return KINDS[kind]
