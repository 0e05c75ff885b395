"""Features as other programs leave them, in each form that is taken."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import parquet

# image -> captions; a caption stands twice, and one is another image's, too
CAPTIONS = {
    "a.jpg": ["a dog", "two dogs", "a dog"],
    "b.jpg": ["a dog", 'ein Hund, "kläfft"'],
    "c/d.jpg": ["一只狗"],
}
TEXTS = [(image, caption) for image, captions in CAPTIONS.items() for caption in captions]


def unit(count: int, dim: int = 5, seed: int = 0) -> np.ndarray:
    """Float32 rows of unit length."""
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


IMAGE_ROWS = unit(len(CAPTIONS))
# equal captions of an image have equal rows
TEXT_ROWS = unit(len(TEXTS), seed=1)[[0, 1, 0, 3, 4, 5]]


def in_parquet(path: Path, rows: np.ndarray, **names: list) -> Path:
    """Columns that name the rows, and ``embedding``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(names | {"embedding": list(rows)}), path, row_group_size=2)
    return path


def in_npy(path: Path, rows: np.ndarray, suffix: str = ".csv", **names: list) -> Path:
    """An array, and a table of its rows under the same name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, rows)
    if suffix == ".parquet":
        parquet.write_table(pyarrow.table(names), path.with_suffix(suffix))
        return path
    with path.with_suffix(suffix).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t" if suffix == ".tsv" else ",")
        writer.writerow(names)
        writer.writerows(zip(*names.values(), strict=True))
    return path


def of_clip_retrieval(
    folder: Path, images: np.ndarray, texts: np.ndarray, names: list[str], captions: list[str],
    part: int = 4,
) -> Path:  # fmt: skip
    """A row for each pair, in parts of so many, as its writer numbers them."""
    for number, start in enumerate(range(0, len(names), part)):
        rows = slice(start, start + part)
        for side, array in (("img_emb", images), ("text_emb", texts)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            np.save(folder / side / f"{side}_{number:02}.npy", array[rows])
        (folder / "metadata").mkdir(exist_ok=True)
        table = pyarrow.table({"image_path": names[rows], "caption": captions[rows]})
        parquet.write_table(table, folder / "metadata" / f"metadata_{number:02}.parquet")
    return folder


def written(form: str, folder: Path, order: np.ndarray | None = None) -> dict:
    """The features above in one form, their rows shuffled by ``order`` of the texts; the entry."""
    texts = np.arange(len(TEXTS)) if order is None else order
    images = texts[texts < len(CAPTIONS)]
    of_image = {"image": [list(CAPTIONS)[row] for row in images]}
    of_text = {
        "image": [TEXTS[row][0] for row in texts],
        "caption": [TEXTS[row][1] for row in texts],
    }
    if form == "clip-retrieval":
        pictures = [f"/home/me/photos/{name}" for name in of_text["image"]]
        owners = [list(CAPTIONS).index(name) for name in of_text["image"]]
        captions = [f"{caption}\n" for caption in of_text["caption"]]
        of_clip_retrieval(folder, IMAGE_ROWS[owners], TEXT_ROWS[texts], pictures, captions)
    elif form == "parquet":
        in_parquet(folder / "images.parquet", IMAGE_ROWS[images], **of_image)
        in_parquet(folder / "texts.parquet", TEXT_ROWS[texts], **of_text)
    else:
        in_npy(folder / "images.npy", IMAGE_ROWS[images], form, **of_image)
        in_npy(folder / "texts.npy", TEXT_ROWS[texts], form, **of_text)
    return {"source": "features", "path": str(folder), "prompts": ["plain"]}


FORMS = ("parquet", ".csv", ".tsv", ".parquet", "clip-retrieval")
