"""Small made features of train and val, and jobs as Snakemake hands them over."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from scripts.data.rows import Rows, rows_of


class Named(SimpleNamespace):
    """As Snakemake's own: attributes, also by name, and ``get`` for those that may not be there."""

    def get(self, name, default=None):
        return getattr(self, name, default)

    def __getitem__(self, name):
        return getattr(self, name)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def uneven_rows(lot: np.random.Generator, images: int, name: str) -> Rows:
    """From one to six captions of each image; a few stand on several images."""
    counts = lot.integers(1, 7, images)
    return rows_of(
        [f"{name}{image}.jpg" for image in range(images)],
        [
            ["the same for many"] * (image % 5 == 0)
            + [f"{name} {image}, {place}" for place in range(count)]
            for image, count in enumerate(counts)
        ],
    )


def toy_banks(seed: int = 0, train: int = 60, val: int = 30, d: int = 8, noise: float = 0.7):
    """Banks of train and val: captions near their image, each side drawn its own way, with copies.

    Captions come in uneven numbers, and some texts and some rows of features come more than once.
    """
    sides = np.random.default_rng(seed).normal(size=(2, d))
    banks = {"widths": np.array([d])}
    for split, count in (("train", train), ("val", val)):
        lot = np.random.default_rng([seed, count])
        rows = uneven_rows(lot, count, split)
        images = lot.normal(size=(count, d))
        texts = images[rows.image_of_caption] + noise * lot.normal(size=(len(rows.captions), d))
        images, texts = unit_rows(images + 0.8 * sides[0]), unit_rows(texts + 0.8 * sides[1])
        images[1::7], texts[2::9] = images[0], texts[1]
        banks |= {
            f"{split}_images": images,
            f"{split}_texts": texts,
            f"{split}_image_of_caption": rows.image_of_caption,
            f"{split}_captions": np.array(rows.captions),
        }
    return banks


def ranks_by_loops(scores: np.ndarray, own: np.ndarray, tie: float) -> tuple[list, list]:
    """Rank of each caption's image, and of each image's best caption, from (m, n) scores of either.

    Parameters
    ----------
    scores : (2, m, n), where captions ask and where images ask
    """
    by_text, by_image = scores
    m, n = by_text.shape
    text_to_image = [
        1 + sum(by_text[c, i] >= by_text[c, own[c]] - tie for i in range(n) if i != own[c])
        for c in range(m)
    ]
    image_to_text = []
    for i in range(n):
        best = max(by_image[c, i] for c in range(m) if own[c] == i)
        ahead = sum(by_image[c, i] >= best - tie for c in range(m) if own[c] != i)
        image_to_text.append(1 + ahead)
    return text_to_image, image_to_text


def mean_recall(ranks: list[int]) -> float:
    """Mean of Recall@1, @5 and @10."""
    return sum(sum(rank <= depth for rank in ranks) for depth in (1, 5, 10)) / 3 / len(ranks)
