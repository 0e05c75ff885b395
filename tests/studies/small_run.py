"""A small collection with features, and the reference run on it, for tests of studies."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from scripts.data.rows import Rows, rows_of
from scripts.evaluate.runs import Run, first_captions
from scripts.job import digest_of_file, write_json
from scripts.measures import best_ranks
from scripts.protocol import DIRECTIONS, TIE
from scripts.retrieve.arrays import Arrays
from scripts.retrieve.scorers import fit, save_scorer
from scripts.retrieve.similarity import rankings_of, write_rankings
from scripts.studies.reference import Reference

# some captions of images, uneven on purpose
COUNTS = [5, 5, 1, 3, 7, 5, 5, 2, 5, 4, 5, 5]


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def collection(
    counts: list[int], seed: int = 0, dim: int = 6, noise: float = 1.0, twins: bool = False
) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Rows, images and texts; ``twins`` makes some images and captions equal, so that they tie."""
    rng = np.random.default_rng(seed)
    rows = rows_of(
        [f"{image}.jpg" for image in range(len(counts))],
        [[f"image {image} said {place}" for place in range(k)] for image, k in enumerate(counts)],
    )
    images = rng.normal(size=(len(counts), dim))
    texts = images[rows.image_of_caption] + noise * rng.normal(size=(sum(counts), dim))
    if twins:
        images[1] = images[0]
        texts[rng.integers(0, len(texts), len(texts) // 3)] = texts[0]
    return rows, unit(images), unit(texts)


def reference_of(
    rows: Rows, images: np.ndarray, texts: np.ndarray, scorer: Arrays | None = None
) -> Reference:
    """The run of these features under ``scorer``, cosine where none is given."""
    scorer = fit("cosine", {}, {}) if scorer is None else scorer
    found = rankings_of(images, texts, rows, scorer, k=10)
    run = Run(
        model="tiny",
        prompt="plain",
        scorer="cosine",
        ranks={
            "text_to_image": found["text_to_image_rank"],
            "image_to_text": best_ranks(found["image_to_text_rank"], first_captions(rows)),
        },
        tops={way: found[f"{way}_top"] for way in DIRECTIONS},
        scores={way: found[f"{way}_top_score"] for way in DIRECTIONS},
        right_score=found["text_to_image_score"],
        caption_ranks=found["image_to_text_rank"],
        tied={way: np.zeros(len(rows.captions), dtype=np.int64) for way in DIRECTIONS},
    )
    return Reference(run, rows, images, texts, scorer)


def weigh_first(arrays: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
    """A map of the gallery that is no identity: the first coordinate counts three times."""
    return features * np.array([3] + [1] * (features.shape[1] - 1), dtype=np.float32)


def cube(arrays: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
    """A map of queries that is not linear."""
    return features**3


def brute_rank(query: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> int:
    """One plus the wrong items that score at least as high as the best right one, in float64."""
    best = max(float(np.sum(query.astype(float) * item)) for item in right.astype(float))
    scores = [float(np.sum(query.astype(float) * item)) for item in wrong.astype(float)]
    return 1 + sum(score >= best - TIE for score in scores)


def write_features_of(
    folder: Path, name: str, features: np.ndarray, rows: Rows, **about: object
) -> tuple[str, str]:
    """A feature file and its sidecar, as encoding writes them; their paths."""
    npy, sidecar = folder / f"{name}.npy", folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    np.save(npy, features)
    shape, sha256 = list(features.shape), digest_of_file(npy)
    write_json(sidecar, {"rows": rows.digest, "shape": shape, "sha256": sha256, **about})
    return str(npy), str(sidecar)


def write_dataset(folder: Path, splits: dict[str, Rows]) -> None:
    """captions.json, splits.json and images.csv of some splits."""
    folder.mkdir(parents=True, exist_ok=True)
    captions = [
        {"image": image, "captions": rows.captions_of(place)}
        for rows in splits.values()
        for place, image in enumerate(rows.images)
    ]
    (folder / "captions.json").write_text(json.dumps(captions), "utf-8")
    names = {split: rows.images for split, rows in splits.items()}
    (folder / "splits.json").write_text(json.dumps(names), "utf-8")
    with (folder / "images.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "sha256"])
        writer.writerows(
            [name, f"sha of {name}"] for rows in splits.values() for name in rows.images
        )


def job_of(folder: Path, reference: Reference, **params: object) -> SimpleNamespace:
    """The files of a study's job, and what Snakemake would hand to its ``main``."""
    rows = reference.rows
    write_dataset(folder / "data", {"test": rows})
    run = folder / "results" / Path(*reference.run.key)
    write_rankings(
        run / "rankings.npz",
        rankings_of(reference.images, reference.texts, rows, reference.scorer, k=10),
    )
    save_scorer(run / "scorer.npz", reference.scorer)
    test = folder / "results" / reference.run.model / "test"
    images, images_sidecar = write_features_of(test, "images", reference.images, rows)
    texts, texts_sidecar = write_features_of(test, "texts.plain", reference.texts, rows)
    return SimpleNamespace(
        input=SimpleNamespace(
            captions=str(folder / "data" / "captions.json"),
            splits=str(folder / "data" / "splits.json"),
            rankings=[str(run / "rankings.npz")],
            scorers=[str(run / "scorer.npz")],
            images=[images],
            images_sidecars=[images_sidecar],
            texts=[texts],
            texts_sidecars=[texts_sidecar],
        ),
        output=SimpleNamespace(table=str(folder / "table.csv")),
        params=SimpleNamespace(**({"split": "test", "resamples": 200, "seed": 0} | params)),
    )


def read_table(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
