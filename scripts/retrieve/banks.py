"""What scorers learn from: features of train and val, and draws of them; never of test."""

from __future__ import annotations

from typing import Any

import numpy as np

from scripts.data.rows import read_rows
from scripts.encode.stored import ROWS_OF, read_side_by_side
from scripts.retrieve.arrays import Arrays

# by name: {train,val}_images (n, d) and {train,val}_texts (m, d) float32, rows of unit length, or
# such rows of several models side by side; {train,val}_image_of_caption (m,) int64, non-decreasing;
# {train,val}_captions (m,) strings; widths (models,) int64, dimensions of each model's features
Banks = dict[str, np.ndarray]


def read_banks(files: Any) -> Banks:
    """Read the features that a fitting job was given; of a split that it was not given, nothing.

    Parameters
    ----------
    files : the job's inputs: captions and splits and, for train and val, lists of
        {train,val}_images, _images_sidecars, _texts, _texts_sidecars, a path for each model
    """
    banks: Banks = {}
    for split in ("train", "val"):
        if not files.get(f"{split}_images"):
            continue
        rows = read_rows(files.captions, files.splits, split)
        for side, of in ROWS_OF.items():
            banks[f"{split}_{side}"], banks["widths"] = read_side_by_side(
                files[f"{split}_{side}"], files[f"{split}_{side}_sidecars"], rows, of
            )
        banks[f"{split}_image_of_caption"] = rows.image_of_caption
        banks[f"{split}_captions"] = np.array(rows.captions)
    return banks


def drawn(banks: Banks, size: int, seed: int) -> Arrays:
    """A bank of train queries for either direction: ``bank_texts`` and ``bank_images``.

    Parameters
    ----------
    banks : with ``train_texts`` and ``train_images``
    size : rows in each, at most
    seed : of the draw, without replacement; rows keep their order
    """
    lot = np.random.default_rng(seed)
    arrays: Arrays = {}
    for side in ("texts", "images"):
        rows = banks[f"train_{side}"]
        chosen = lot.choice(len(rows), min(size, len(rows)), replace=False)
        arrays[f"bank_{side}"] = rows[np.sort(chosen)]
    return arrays
