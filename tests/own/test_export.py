"""`./run export`: what it writes is what the workflow reads, bit by bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from colour_run import make_run
from pyarrow import parquet

from scripts.config import checked, over_defaults
from scripts.data.rows import read_rows
from scripts.encode.import_features import features_of
from scripts.models.find_features import find_features
from scripts.own.export import main


@pytest.fixture
def run(tmp_path) -> Path:
    return make_run(tmp_path) / "results/squares/colours/plain/cosine"


def test_what_is_exported_comes_back_bit_by_bit_by_the_line_that_is_said(run, tmp_path, capsys):
    assert main(["--run", str(run), "--to", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    [(name, entry)] = yaml.safe_load(said[said.index("models:") :])["models"].items()
    assert name == "colours-features" and entry["prompts"] == ["plain"]
    checked(over_defaults({"models": {name: entry}}))
    find_features(entry, tmp_path / "data/models" / name, name)
    about = json.loads((tmp_path / "data/models" / name / "model.json").read_text("utf-8"))
    data = tmp_path / "data/squares"
    for split in entry["splits"]:
        rows = read_rows(data / "captions.json", data / "splits.json", split)
        folder = run.parents[1] / split
        for side, file in (("images", "images.npy"), ("texts", "texts.plain.npy")):
            found = features_of(about, side, rows, rows.images, {"plain": ["{}"]})
            assert found.tobytes() == np.load(folder / file).tobytes()


def test_the_files_say_whose_each_vector_is_and_of_which_prompt(run, tmp_path):
    main(["--run", str(run), "--to", str(tmp_path / "out")])
    images, texts = (parquet.read_table(tmp_path / f"out/{n}.parquet") for n in ("images", "texts"))
    assert images.column_names == ["image", "embedding"]
    assert texts.column_names == ["image", "caption", "prompt", "embedding"]
    assert set(texts["prompt"].to_pylist()) == {"plain"}
    assert set(texts["image"].to_pylist()) == set(images["image"].to_pylist())
    assert str(images.schema.field("embedding").type).startswith("fixed_size_list<")


def test_what_is_no_run_or_without_features_or_of_two_models_is_told(run, tmp_path, capsys):
    assert main(["--run", str(run.parent), "--to", str(tmp_path / "out")]) == 1
    assert "no finished run" in capsys.readouterr().err
    sidecar = next((run.parents[1]).glob("*/texts.plain.json"))
    about = json.loads(sidecar.read_text("utf-8")) | {"model": "another"}
    sidecar.write_text(json.dumps(about), "utf-8")
    assert main(["--run", str(run), "--to", str(tmp_path / "out")]) == 1
    assert "features of another version of the model" in capsys.readouterr().err
    assert not (tmp_path / "out/texts.parquet").exists()
    for file in run.parents[1].glob("*/images.npy"):
        file.unlink()
    assert main(["--run", str(run), "--to", str(tmp_path / "out")]) == 1
    assert f"ERROR in {run.parents[1]}\n  found:    no features" in capsys.readouterr().err
