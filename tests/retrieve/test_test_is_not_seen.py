"""No scorer sees test: fitting beside another test split gives the same parameters.

The inputs are those that the rules name: their input function is read from rules/inputs.smk.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from toy_features import Named, toy_banks, unit_rows

from scripts.config import checked
from scripts.data.rows import SPLITS, read_rows
from scripts.job import digest_of_file
from scripts.retrieve import fit_adapter, fit_scorer
from scripts.retrieve.scorers import KINDS

ROOT = Path(__file__).parents[2]
RULES = ("common", "inputs")
MODELS = ("first", "second")
WILDCARDS = Named(dataset="toys", model="first", prompt="plain", scorer="tried")
# enough for a toy
SMALL = {"adapter": {"seeds": [0], "epochs": 9, "batch_size": 16, "learning_rate": 0.02,
                     "weight_decay": 0.1, "temperature": 0.1}}  # fmt: skip


def entry_of(kind: str) -> dict:
    """An entry of the config with this kind, what it leaves open filled in by the schema."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text("utf-8"))
    other = {"with": config["run"]["models"][0]} if kind == "fusion" else {}
    config["scorers"]["tried"] = {"kind": kind, **other}
    return checked(config)["scorers"]["tried"] | SMALL.get(kind, {})


def inputs_of(kind: str) -> dict[str, list[str] | str]:
    """What rules/inputs.smk gives to the rules that fit."""
    text = "\n".join((ROOT / "rules" / f"{name}.smk").read_text("utf-8") for name in RULES)
    names = ("models_behind", "features_in", "features_of_split", "features_to_fit")
    functions = [re.search(rf"^def {name}\(.*?(?=^\S)", text, re.S | re.M)[0] for name in names]
    other = {"with": "second"} if kind == "fusion" else {}
    rules = {"config": {"scorers": {"tried": {"kind": kind, **other}}}}
    exec("\n".join(["from scripts.selection import learnt_from", *functions]), rules)
    return rules["features_to_fit"](WILDCARDS)


def write_features(stem: Path, features: np.ndarray, digest: str) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    npy, sidecar = stem.with_name(f"{stem.name}.npy"), stem.with_name(f"{stem.name}.json")
    np.save(npy, features)
    about = {"rows": digest, "shape": list(features.shape), "sha256": digest_of_file(npy)}
    sidecar.write_text(json.dumps(about))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """data/ and results/ of a dataset with three splits, encoded by two models."""
    monkeypatch.chdir(tmp_path)
    folder = Path("data/toys")
    folder.mkdir(parents=True)
    records, splits = [], {}
    banks = {split: toy_banks(seed) for seed, split in enumerate(SPLITS)}
    for split, made in banks.items():
        own, captions = made["train_image_of_caption"], made["train_captions"]
        splits[split] = [f"{split}.{image}.jpg" for image in range(own.max() + 1)]
        for image, name in enumerate(splits[split]):
            records.append({"image": name, "captions": captions[own == image].tolist()})
    (folder / "captions.json").write_text(json.dumps(records))
    (folder / "splits.json").write_text(json.dumps(splits))
    for split, made in banks.items():
        encode(split, made["train_images"], made["train_texts"])
    return tmp_path


def encode(split: str, images: np.ndarray, texts: np.ndarray) -> None:
    """Write features of a split.

    Images lie turned against their captions, so that there is something for an adapter to learn;
    the second model sees both through noise of its own.
    """
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(8, 8)))[0]
    images = images + 0.7 * images @ turn
    rows = read_rows("data/toys/captions.json", "data/toys/splits.json", split)
    for number, model in enumerate(MODELS):
        lot = np.random.default_rng(number)
        for name, features in (("images", images), ("texts.plain", texts)):
            seen = unit_rows(features + 0.3 * number * lot.normal(size=features.shape))
            write_features(Path(f"results/toys/{model}/{split}/{name}"), seen, rows.digest)


def fitted(kind: str) -> bytes:
    """scorer.npz as the rule makes it."""
    output = Path("results/toys/first/plain/tried/scorer.npz")
    job = Named(
        input=Named(**inputs_of(kind)),
        output=Named(scorer=str(output)),
        params=Named(entry=entry_of(kind)),
        threads=1,
    )
    script = fit_scorer if KINDS[kind].fit else fit_adapter
    script.main(job)
    made = output.read_bytes()
    output.unlink()
    return made


def replace_by_noise(split: str) -> None:
    """Other images, other captions and other features in one split."""
    path = Path("data/toys/captions.json")
    records = json.loads(path.read_text())
    for record in records:
        if record["image"].startswith(f"{split}."):
            record["captions"] = [f"noise {text}" for text in record["captions"]]
    path.write_text(json.dumps(records))
    rows = read_rows(path, "data/toys/splits.json", split)
    lot = np.random.default_rng(99)
    encode(split, lot.normal(size=(len(rows.images), 8)), lot.normal(size=(len(rows.captions), 8)))


@pytest.mark.parametrize("kind", KINDS)
def test_fitting_beside_noise_for_a_test_split_gives_the_same_bytes(project, kind):
    before = fitted(kind)
    replace_by_noise("test")
    assert fitted(kind) == before


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_scorer_says_it_learns_from_does_change_it(project, kind):
    inputs = inputs_of(kind)
    before = fitted(kind)
    for split in ("train", "val"):
        if f"{split}_images" in inputs:
            replace_by_noise(split)
            after = fitted(kind)
            assert after != before
            before = after


@pytest.mark.parametrize("kind", KINDS)
def test_no_rule_that_fits_names_a_file_of_test(kind):
    inputs = inputs_of(kind)
    paths = [
        path for value in inputs.values() for path in ([value] if isinstance(value, str) else value)
    ]
    assert not [path for path in paths if "/test/" in path]
    assert bool(paths) == (kind != "cosine")
    models = 2 if kind == "fusion" else 1
    assert all(len(value) == models for name, value in inputs.items() if "_" in name)
