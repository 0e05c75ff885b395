"""What most studies look at: each model's reference run, with the features behind it.

The reference run has the first prompt and the first scorer of the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.encode.stored import read_features
from scripts.evaluate.runs import Run, read_run
from scripts.retrieve.arrays import Arrays
from scripts.retrieve.scorers import load_scorer, transform


@dataclass(frozen=True)
class Reference:
    """One model's reference run.

    Attributes
    ----------
    run : its ranks and lists
    rows : n images, m captions
    images : (n, d) float32, rows of unit length
    texts : (m, d) float32, rows of unit length
    scorer : what maps them
    """

    run: Run
    rows: Rows
    images: np.ndarray
    texts: np.ndarray
    scorer: Arrays

    def sides(self, direction: str) -> tuple[np.ndarray, np.ndarray]:
        """Queries and gallery of a direction, mapped: their inner products are the scores."""
        return transform(self.scorer, self.images, self.texts, direction)


def read_references(files: Any, split: str) -> list[Reference]:
    """Read the reference run of each model.

    Parameters
    ----------
    files : captions and splits, and, a path for each model in the same order, rankings, scorers,
        images, images_sidecars, texts, texts_sidecars
    split : that the runs are of
    """
    rows = read_rows(files.captions, files.splits, split)
    return [
        Reference(
            run=read_run(rankings, rows),
            rows=rows,
            images=read_features(images, images_sidecar, rows, of="images"),
            texts=read_features(texts, texts_sidecar, rows, of="captions"),
            scorer=load_scorer(scorer),
        )
        for rankings, scorer, images, images_sidecar, texts, texts_sidecar in zip(
            files.rankings,
            files.scorers,
            files.images,
            files.images_sidecars,
            files.texts,
            files.texts_sidecars,
            strict=True,
        )
    ]
