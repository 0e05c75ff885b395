"""One run, read back: who ranked, and the rank of every right answer, both ways."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.data.rows import Rows
from scripts.measures import best_ranks, per_query
from scripts.protocol import DIRECTIONS
from scripts.retrieve.similarity import read_rankings


@dataclass(frozen=True)
class Ranked:
    """How well one model, prompt and scorer ranked.

    Attributes
    ----------
    ranks : direction -> (q,) int64 from 1; captions ask for images, images ask for captions
    """

    model: str
    prompt: str
    scorer: str
    ranks: dict[str, np.ndarray]

    @property
    def key(self) -> tuple[str, str, str]:
        """Model, prompt and scorer."""
        return self.model, self.prompt, self.scorer


@dataclass(frozen=True)
class Run(Ranked):
    """All of its rankings.

    Attributes
    ----------
    tops : direction -> (q, K) int64, rows of the gallery, best first
    scores : direction -> (q, K) float32, their scores
    right_score : (m,) float32, score of each caption with its own image
    caption_ranks : (m,) int64, rank of each caption when its own image asks
    tied : direction -> (m,) int64, wrong items that tie with that right answer, in the order of
        ``right_score`` and ``caption_ranks``
    """

    tops: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]
    right_score: np.ndarray
    caption_ranks: np.ndarray
    tied: dict[str, np.ndarray]


def read_run(path: str | Path, rows: Rows) -> Run:
    """Read ``.../<model>/<prompt>/<scorer>/rankings.npz``.

    Raises ``BadInput`` where the rankings are of other rows.
    """
    model, prompt, scorer = Path(path).parts[-4:-1]
    stored = read_rankings(path, rows)
    caption_ranks = stored["image_to_text_rank"]
    return Run(
        model=model,
        prompt=prompt,
        scorer=scorer,
        ranks={
            "text_to_image": stored["text_to_image_rank"],
            "image_to_text": best_ranks(caption_ranks, first_captions(rows)),
        },
        tops={way: stored[f"{way}_top"] for way in DIRECTIONS},
        scores={way: stored[f"{way}_top_score"] for way in DIRECTIONS},
        right_score=stored["text_to_image_score"],
        caption_ranks=caption_ranks,
        tied={way: stored[f"{way}_tied"] for way in DIRECTIONS},
    )


def first_captions(rows: Rows) -> np.ndarray:
    """(n + 1,) first caption of each image, and the number of captions."""
    return np.searchsorted(rows.image_of_caption, np.arange(len(rows.images) + 1))


def images_of_queries(direction: str, rows: Rows) -> np.ndarray:
    """(q,) row of the image that each query belongs to."""
    if direction == "text_to_image":
        return rows.image_of_caption
    return np.arange(len(rows.images))


def measures_of(
    text_to_image_rank: np.ndarray, image_to_text_rank: np.ndarray, rows: Rows
) -> dict[str, dict[str, np.ndarray]]:
    """Every measure of every query, by direction and name.

    Parameters
    ----------
    text_to_image_rank, image_to_text_rank : (m,) as rankings.npz holds them
    rows : that they are of
    """
    return {
        "text_to_image": per_query(text_to_image_rank, np.arange(len(rows.captions) + 1)),
        "image_to_text": per_query(image_to_text_rank, first_captions(rows)),
    }


def chance(gallery: int, right: float, k: int) -> float:
    """Recall@K of an order drawn at random, for ``right`` right answers among ``gallery`` items.

    1 - C(gallery - right, K) / C(gallery, K), as a product so that ``right`` may be a mean count.
    Where counts differ the mean gives too much, so that a model is never flattered.
    """
    drawn = np.arange(min(k, gallery))
    missed = np.maximum(gallery - right - drawn, 0.0) / (gallery - drawn)
    return float(1.0 - missed.prod())


def right_answers(direction: str, queries: int, gallery: int) -> float:
    """Right answers per query: a caption has one image, an image its share of the captions."""
    return 1.0 if direction == "text_to_image" else gallery / queries
