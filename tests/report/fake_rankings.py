"""Scores of a run that never was, and rankings of them by brute force."""

from __future__ import annotations

import numpy as np

from scripts.data.rows import Rows
from scripts.protocol import DIRECTIONS


def rankings_from(scores: np.ndarray, rows: Rows, top_k: int) -> dict[str, np.ndarray]:
    """Rankings by brute force from the full matrix (m, n), which is small here."""
    m, own = len(rows.captions), rows.image_of_caption
    right = scores[np.arange(m), own]
    other = own[:, None] != np.arange(scores.shape[1])[None, :]
    ahead = (scores >= right[:, None] - 1e-6) & other
    by_image = scores.T
    behind = np.array(
        [1 + int(((by_image[own[c]] >= right[c] - 1e-6) & (own != own[c])).sum()) for c in range(m)]
    )
    result = {
        "rows": np.array(rows.digest),
        "text_to_image_rank": 1 + ahead.sum(axis=1),
        "text_to_image_score": right.astype(np.float32),
        "image_to_text_rank": behind,
        "text_to_image_tied": (np.abs(scores - right[:, None]) <= 1e-6).sum(axis=1) - 1,
        "image_to_text_tied": np.array(
            [
                ((np.abs(by_image[own[c]] - right[c]) <= 1e-6) & (own != own[c])).sum()
                for c in range(m)
            ]
        ),
    }
    for way, table in zip(DIRECTIONS, (scores, by_image), strict=True):
        top = np.argsort(-table, axis=1, kind="stable")[:, :top_k]
        result[f"{way}_top"] = top
        result[f"{way}_top_score"] = np.take_along_axis(table, top, axis=1).astype(np.float32)
    return result


def fake_scores(rows: Rows, strength: float, seed: int) -> np.ndarray:
    """Cosine-like scores (m, n): noise, with ``strength`` more for the right image."""
    lot = np.random.default_rng(seed)
    scores = lot.normal(0, 0.1, (len(rows.captions), len(rows.images)))
    scores[np.arange(len(rows.captions)), rows.image_of_caption] += strength
    return np.tanh(scores)
