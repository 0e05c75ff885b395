"""How well a model fits each split: recall on train, val and test, in galleries of one size.

Recall falls as a gallery grows, so that of splits of different sizes tells nothing. Of each split
as many images are taken as the smallest has, evenly spaced in the order of splits.json, with all
their captions; they are ranked among themselves, by plain cosine. What a model was trained on it
mostly finds better than what is new to it; splits may also differ by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scripts.data.rows import SPLITS, Rows, rows_of
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import images_of_queries
from scripts.protocol import DIRECTIONS
from scripts.studies.reference import Reference
from scripts.studies.shifts import cosine_ranks
from scripts.studies.table import FIT, About, Row, recall_rows


@dataclass(frozen=True)
class Features:
    """Both sides of a split.

    Attributes
    ----------
    rows : n images, m captions
    images : (n, d) float32, rows of unit length
    texts : (m, d) float32, rows of unit length
    """

    rows: Rows
    images: np.ndarray
    texts: np.ndarray

    def spaced(self, count: int) -> Features:
        """``count`` of the images, evenly spaced, with all their captions."""
        rows = self.rows
        kept = np.arange(count) * len(rows.images) // count
        names = [rows.images[image] for image in kept]
        asked = np.isin(rows.image_of_caption, kept)
        captions = [rows.captions_of(image) for image in kept.tolist()]
        return Features(rows_of(names, captions), self.images[kept], self.texts[asked])


def fit_rows(
    reference: Reference, others: Mapping[str, Features], resampling: Resampling
) -> list[Row]:
    """Recall on each split, both ways, in galleries of as many images as the smallest split has.

    Parameters
    ----------
    reference : the run on test
    others : train and val of its model, under its prompt
    resampling : of the intervals

    None where a split is missing or has no image, or where scores are no plain cosines.
    """
    splits = {**others, "test": Features(reference.rows, reference.images, reference.texts)}
    count = min(len(one.rows.images) for one in splits.values())
    if set(splits) != set(SPLITS) or not count or str(reference.scorer["kind"]) != "cosine":
        return []
    table: list[Row] = []
    for split in SPLITS:
        part = splits[split].spaced(count)
        ranks = cosine_ranks(part.images, part.texts, part.rows)
        for way in DIRECTIONS:
            about = About(reference.run, way, f"{split}, {FIT}", count)
            table += recall_rows(about, ranks[way], images_of_queries(way, part.rows), resampling)
    return table
