"""Finished runs of ranks that a test thinks up, as the workflow leaves them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.metrics import metrics_of
from scripts.job import write_json
from scripts.retrieve.similarity import write_rankings

IMAGES, EACH = 60, 5


def write_dataset(home: Path, name: str = "toy", told: Sequence[str] = ("caption",)) -> Rows:
    """Captions and splits of a dataset below ``home``; captions begin as ``told``, by turns."""
    folder = home / "data" / name
    folder.mkdir(parents=True, exist_ok=True)
    images = [f"{place:03}.png" for place in range(IMAGES)]
    records = [
        {"image": image, "captions": [f"{begin} {n} of {image}" for n in range(EACH)]}
        for image, begin in zip(images, itertools.cycle(told))
    ]
    write_json(folder / "captions.json", records)
    write_json(folder / "splits.json", {"test": images[10:], "val": images[:10]})
    return read_rows(folder / "captions.json", folder / "splits.json", "test")


def write_run(
    home: Path, rows: Rows, ranks: np.ndarray, prompt: str = "plain", split: str = "test",
    dataset: str = "toy",
) -> Path:  # fmt: skip
    """A run below ``home`` whose captions find their images at these ranks, and images likewise."""
    folder = home / "results" / dataset / "clip" / prompt / "cosine"
    folder.mkdir(parents=True)
    m, top = len(rows.captions), np.zeros((1, 1), dtype=np.int64)
    arrays = {
        "rows": np.array(rows.digest),
        "text_to_image_rank": ranks,
        "image_to_text_rank": ranks,
        "text_to_image_score": np.zeros(m, np.float32),
        **{f"{way}_tied": np.zeros(m, np.int64) for way in ("text_to_image", "image_to_text")},
        **{f"{way}_top": top for way in ("text_to_image", "image_to_text")},
        **{f"{way}_top_score": top for way in ("text_to_image", "image_to_text")},
    }
    write_rankings(folder / "rankings.npz", arrays)
    about = {"dataset": dataset, "model": "clip", "prompt": prompt, "scorer": "cosine"}
    about |= {"split": split, "images": len(rows.images), "captions": m}
    (folder / "metrics.json").write_text(
        json.dumps(about | metrics_of(arrays, rows, Resampling(50, 0))), "utf-8"
    )
    return folder


def write_around(home: Path, rows: Rows, changed: dict[str, int]) -> None:
    """A run under "plain", its "equal", and others with right answers so many ranks farther."""
    ranks = ranks_of(rows)
    for prompt, farther in {"plain": 0, "equal": 0, **changed}.items():
        write_run(home, rows, np.clip(ranks + farther, 1, len(rows.images)), prompt)


def ranks_of(rows: Rows, hard: float = 2.0, seed: int = 0) -> np.ndarray:
    """(m,) ranks, alike for captions of one image."""
    lot = np.random.default_rng(seed)
    level = np.exp(lot.normal(np.log(hard), 1, len(rows.images)))[rows.image_of_caption]
    return np.minimum(lot.geometric(1 / (1 + level)), len(rows.images))
