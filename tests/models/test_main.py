"""`./run model`: what it says of a model is what a run then makes of it."""

from __future__ import annotations

import json

import pytest
import yaml
from hub_stand_in import COMMIT, sha256_of
from tiny_open_clip import make_coca, make_vit
from tiny_towers import make_towers

from scripts.config import checked, over_defaults
from scripts.models.__main__ import main
from scripts.models.fetch_model import fetch_model


def said(capsys) -> tuple[str, dict]:
    """What was printed, and the entry on its last line as the configuration takes it."""
    told = capsys.readouterr().out
    own = yaml.safe_load(told[told.index("models: {") :])
    (name,) = own["models"]
    return told, checked(over_defaults(own))["models"][name]


def test_of_a_repository_the_weights_stay_there_and_the_line_that_is_said_pins_them(
    hubs, files, tmp_path, capsys
):
    hubs.repositories["huggingface", "me/clip"] = files
    assert main(str(tmp_path), "hf:me/clip") == 0
    told, entry = said(capsys)
    assert "clip" in told and "texts of at most 16 tokens" in told and "24 dimensions" in told
    assert "pictures as 3 x 32 x 32 values" in told and '"shortest_edge": 32' in told
    weights = sha256_of(files["model.safetensors"])
    assert f"{len(files['model.safetensors']):,} bytes, sha256 {weights}" in told
    assert "as far as can be told without its weights" in told
    place = {"repo": "me/clip", "revision": COMMIT, "sha256": weights}
    assert entry["huggingface"].items() >= place.items()
    fetch_model(entry, tmp_path / "data/models/clip", "clip")
    made = json.loads((tmp_path / "data/models/clip/model.json").read_text("utf-8"))
    counts = [
        int(line.split()[2].replace(",", "")) for line in told.splitlines() if " tower " in line
    ]
    assert made["parameters"] == sum(counts) + 1  # and its scale of scores
    assert (made["revision"], made["embedding_dim"]) == (COMMIT, 24)


def test_of_weights_in_a_repository_the_header_alone_is_read(hubs, files, tmp_path, capsys):
    whole = files["model.safetensors"]
    # as long as it was, with nothing behind the header
    length = 8 + int.from_bytes(whole[:8], "little")
    hubs.repositories["huggingface", "me/clip"] = files | {
        "model.safetensors": whole[:length] + bytes(len(whole) - length)
    }
    assert main(str(tmp_path), "hf:me/clip@main") == 0
    assert f"commit {COMMIT}" in capsys.readouterr().out


def test_a_folder_is_looked_through_whole_and_left_as_it_was(clip, tmp_path, capsys):
    before = {path.name: path.read_bytes() for path in clip.iterdir()}
    assert main(str(clip.parent), clip.name) == 0
    told, entry = said(capsys)
    assert "It would be taken.\n" in told and entry["path"] == str(clip)
    assert {path.name: path.read_bytes() for path in clip.iterdir()} == before


def test_a_model_of_open_clip_is_told_by_its_library(tmp_path, capsys):
    make_vit(tmp_path / "vit")
    assert main(str(tmp_path), "vit") == 0
    told, _ = said(capsys)
    # published configs may have none: the package's own stands for it
    path = tmp_path / "vit/open_clip_config.json"
    config = json.loads(path.read_text("utf-8")) | {"preprocess_cfg": None}
    path.write_text(json.dumps(config), "utf-8")
    assert main(str(tmp_path), "vit") == 0
    assert "open_clip" in told and "open_clip_model.safetensors" in told


@pytest.mark.parametrize(
    ("lacking", "told"),
    [
        ("preprocessor_config.json", "no preprocessor file"),
        ("model.safetensors", "only pickled weights"),
    ],
)
def test_what_would_be_refused_is_refused_by_the_name_that_was_typed(
    hubs, files, tmp_path, capsys, lacking, told
):
    hubs.repositories["huggingface", "me/clip"] = {
        name: data
        for name, data in files.items()
        if name not in (lacking, "open_clip_model.safetensors")
    }
    assert main(str(tmp_path), "hf:me/clip") == 1
    printed = capsys.readouterr().err
    assert told in printed and "me/clip" in printed and "/tmp" not in printed


def test_damaged_weights_in_a_folder_are_told(spoiled, tmp_path, capsys):
    weights = spoiled / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    assert main(str(tmp_path), str(spoiled)) == 1
    assert f"ERROR in {weights}" in capsys.readouterr().err


def test_a_name_is_an_entry_of_ones_own_configuration_or_told(clip, tmp_path, capsys):
    own = {"models": {"mine": {"source": "local", "path": str(clip)}}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own), "utf-8")
    assert main(str(tmp_path), "mine", "--configfile", "own.yaml") == 0
    assert said(capsys)[1]["path"] == str(clip)
    for name, told in (
        ("clip-vit-b23", "did you mean 'clip-vit-b"),
        ("clip-tiny", "is trained by the workflow"),
        ("from-elsewhere", "is features alone"),
    ):
        assert main(str(tmp_path), name) == 1
        assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        ("models: [1", "a configuration in YAML"),
        pytest.param("a: " + "[" * 200_000, "a configuration in YAML", id="deep"),
        ("- a", "found:    a list"),
        ("models:", "models: None is not of type 'object'"),
        ("models: {a: {source: local, path: nowhere}}", "no such folder"),
        ("prompts: {o: ['{}']}\nmodels: {a: {source: features, path: x, prompts: [o]}}", "alone"),
    ],
)
def test_what_is_wrong_with_a_configuration_of_ones_own_is_told(tmp_path, capsys, content, told):
    if content:
        (tmp_path / "own.yaml").write_text(content, "utf-8")
    assert main(str(tmp_path), "a", "--configfile", "own.yaml") == 1
    printed = capsys.readouterr().err
    assert told in printed and "see what was answered" not in printed


def test_towers_apart_have_one_line_of_configuration_of_both(tmp_path, capsys):
    make_towers(tmp_path, "taiyi")
    parts = {f"{one}_tower": {"source": "local", "path": str(tmp_path / one)}
             for one in ("image", "text")}  # fmt: skip
    own = {"models": {"mine": {"source": "towers", **parts}}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own), "utf-8")
    assert main(str(tmp_path), "mine", "--configfile", "own.yaml") == 0
    told, entry = said(capsys)
    assert told.count("models: {") == 1
    assert {key: entry[key]["path"] for key in parts} == {k: v["path"] for k, v in parts.items()}
    assert "numbers; bert, published apart" in told and told.count("24 dimensions") == 2


def test_towers_of_different_lengths_are_refused_as_a_run_refuses_them(tmp_path, capsys):
    make_towers(tmp_path, "taiyi")
    # of 32 dimensions
    make_coca(tmp_path / "coca")
    parts = {f"{one}_tower": {"source": "local", "path": str(tmp_path / folder)}
             for one, folder in (("image", "coca"), ("text", "text"))}  # fmt: skip
    own = {"models": {"mine": {"source": "towers", **parts}}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own), "utf-8")
    assert main(str(tmp_path), "mine", "--configfile", "own.yaml") == 1
    told = capsys.readouterr()
    assert "32 dimensions for a picture and 24 dimensions for a text" in told.err
    assert "models: {" not in told.out


def test_a_repository_that_is_not_there_is_told_with_what_to_do(hubs, tmp_path, capsys):
    assert main(str(tmp_path), "hf:me/missing") == 1
    assert "check repo and revision" in capsys.readouterr().err
