"""A dataset of three drawn pictures, a small CLIP, and jobs that encode them."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_models import drawn_images, make_clip

from scripts.models.encoders import load_encoder
from scripts.models.folder import write_provenance

CAPTIONS = {
    "b.png": ["a dog", "a {} dog", "a dog"],
    "a.png": ["x", "one sentence that no small context can hold", "two dogs"],
    "c.png": ["a dog"],
}


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """model.json of a small CLIP with a context of 24 tokens."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_clip(folder, context_length=24)
    write_provenance(folder, "tiny", "local")
    return folder / "model.json"


@pytest.fixture(scope="session")
def encoder(model):
    return load_encoder(model.parent, "cpu")


@pytest.fixture
def dataset(tmp_path) -> Path:
    """images/, images.csv, captions.json and splits.json; the split's order is not the table's."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    rows = []
    for name, image in zip(sorted(CAPTIONS), drawn_images(), strict=False):
        path = folder / "images" / name
        image.convert("RGB").save(path)
        data = path.read_bytes()
        rows.append([name, *image.size, len(data), hashlib.sha256(data).hexdigest(), "test"])
    with (folder / "images.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "width", "height", "bytes", "sha256", "split"])
        writer.writerows(rows)
    listing = [{"image": name, "captions": texts} for name, texts in sorted(CAPTIONS.items())]
    (folder / "captions.json").write_text(json.dumps(listing), "utf-8")
    splits = {"train": [], "val": [], "test": ["b.png", "a.png", "c.png"]}
    (folder / "splits.json").write_text(json.dumps(splits), "utf-8")
    return folder


@pytest.fixture
def job(dataset, model, tmp_path):
    """What Snakemake hands to the script of either rule."""

    def make(**params) -> SimpleNamespace:
        settings = {"batch_size": 2, "precision": "float32", "device": "cpu", "shard_size": None}
        settings["code"] = "fingerprint"
        return SimpleNamespace(
            input=SimpleNamespace(
                images=str(dataset / "images"),
                table=str(dataset / "images.csv"),
                captions=str(dataset / "captions.json"),
                splits=str(dataset / "splits.json"),
                model=str(model),
            ),
            output=SimpleNamespace(
                features=str(tmp_path / "results" / "features.npy"),
                sidecar=str(tmp_path / "results" / "features.json"),
            ),
            params=SimpleNamespace(**settings | params),
            wildcards=SimpleNamespace(dataset="mine", model="tiny", split="test", prompt="photo"),
            threads=2,
        )

    return make
