"""A finished run on four coloured squares, asked through an encoder that knows three colours."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.data.rows import read_rows
from scripts.job import digest_of_file
from scripts.retrieve.indexes import build, write_index
from scripts.retrieve.scorers import fit, save_scorer

torch = pytest.importorskip("torch")

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
CAPTIONS = {
    "blue.png": ["a blue square", "blue, 蓝色的方块"],
    "green.png": ["a green square"],
    "orange.png": ["an orange square: red and a little green"],
    "red.png": ["a red square", "red red red"],
}


class ColourEncoder:
    """Images are their mean colour; texts are the colours that they name, and a little of all."""

    dim = 3
    context_length = 77
    batches_at_once = 1
    shares_beginnings = False
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.asked: list[str] = []

    def preprocess(self, image):
        return np.asarray(image.convert("RGB"), dtype=np.float32).transpose(2, 0, 1) / 255

    def batch_of_images(self, images):
        return torch.from_numpy(np.stack(images))

    def lengths(self, texts):
        return [len(text.split()) for text in texts]

    def tokenize(self, texts):
        self.asked += texts
        return {"counts": torch.tensor([[t.count(c) + 0.01 for c in COLOURS] for t in texts])}

    def encode_texts(self, tokens):
        return torch.nn.functional.normalize(tokens["counts"].float(), dim=-1)

    def encode_images(self, pixels):
        return torch.nn.functional.normalize(pixels.mean(dim=(2, 3)) + 0.001, dim=-1)


def make_run(
    folder: Path, dataset="squares", model="colours", prompt="plain", scorer="cosine",
    templates=("{}",), finished=1_000_000.0, captions=CAPTIONS, splits=None,
) -> Path:  # fmt: skip
    """Write what a run leaves behind, finished at this time.

    Its images are those of the test split, unless ``splits`` names others, of which each that has
    images is encoded.
    """
    data, results = folder / "data", folder / "results"
    images = data / dataset / "images"
    images.mkdir(parents=True, exist_ok=True)
    colours = {**COLOURS, "orange": (255, 128, 0)}
    for name in captions:
        Image.new("RGB", (8, 8), colours[name.removesuffix(".png")]).save(images / name)
    records = [{"image": name, "captions": texts} for name, texts in captions.items()]
    (data / dataset / "captions.json").write_text(json.dumps(records), "utf-8")
    splits = splits or {"test": list(captions)}
    (data / dataset / "splits.json").write_text(json.dumps(splits))
    provenance = data / "models" / model / "model.json"
    provenance.parent.mkdir(parents=True, exist_ok=True)
    provenance.write_text("{}")
    for split in filter(splits.get, splits):
        encode(folder, dataset, model, prompt, templates, split)
    run = results / dataset / model / prompt / scorer
    save_scorer(run / "scorer.npz", fit("cosine", {}, {}))
    (run / "metrics.json").write_text(json.dumps({"split": "test"}))
    os.utime(run / "metrics.json", (finished, finished))
    return folder


def encode(folder: Path, dataset: str, model: str, prompt: str, templates, split: str) -> None:
    """Write the features of a split, with what stands beside them."""
    encoder = ColourEncoder()
    data, results = folder / "data", folder / "results"
    images, provenance = data / dataset / "images", data / "models" / model / "model.json"
    rows = read_rows(data / dataset / "captions.json", data / dataset / "splits.json", split)

    features = results / dataset / model / split
    features.mkdir(parents=True, exist_ok=True)
    pixels = [encoder.preprocess(Image.open(images / name)) for name in rows.images]
    texts = sum(
        encoder.encode_texts(encoder.tokenize([t.replace("{}", c) for c in rows.captions]))
        for t in templates
    )
    for stem, array, more in (
        ("images", encoder.encode_images(torch.from_numpy(np.stack(pixels))), {}),
        (f"texts.{prompt}", torch.nn.functional.normalize(texts, dim=-1),
         {"templates": list(templates)}),
    ):  # fmt: skip
        np.save(features / f"{stem}.npy", array.numpy())
        about = {
            "rows": rows.digest,
            "shape": list(array.shape),
            "sha256": digest_of_file(features / f"{stem}.npy"),
            "model": digest_of_file(provenance),
        }
        (features / f"{stem}.json").write_text(json.dumps(about | more))


def build_indexes(
    project: Path, *names: str, prompt: str = "plain", upto: int | None = None
) -> Path:
    """Flat indexes of the run under these names, as ``build_index`` writes them.

    Those ``upto`` a row know no other, so that one sees who answered.
    """
    run = project / "results" / "squares" / "colours" / prompt / "cosine"
    for way, stem in (("text_to_image", "images"), ("image_to_text", f"texts.{prompt}")):
        npy = run.parents[1] / "test" / f"{stem}.npy"
        sidecar = json.loads(npy.with_suffix(".json").read_text())
        about = {
            "rows": sidecar["rows"], "features": [sidecar["sha256"]], "dimension": 3,
            "scorer": digest_of_file(run / "scorer.npz"),
        }  # fmt: skip
        for name in names:
            path = run / f"index.{name}.{way}.faiss"
            index = build("flat", {}, np.load(npy)[:upto])
            write_index(path, path.with_suffix(".json"), index, about)
    return run


def folders(project: Path) -> list[str]:
    return ["--results", str(project / "results"), "--data", str(project / "data")]
