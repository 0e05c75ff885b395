"""Two towers that were published apart, fetched into one model: whole, recorded and verified."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hub_stand_in import COMMIT, entry, local
from tiny_towers import make_multilingual

from scripts.job import BadInput
from scripts.models.encoders import load_encoder
from scripts.models.fetch_model import fetch_model
from scripts.models.folder import model_files, verify_model
from scripts.models.listing import choose

TEXT = {
    *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"),
    *("modules.json", "sentence_bert_config.json", "1_Pooling/config.json"),
    *("2_Dense/config.json", "2_Dense/model.safetensors"),
}


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    """Not to be changed by a test."""
    made = tmp_path_factory.mktemp("text")
    make_multilingual(made)
    return made


def towers(image: Path, text: Path) -> dict:
    return {"source": "towers", "image_tower": local(image), "text_tower": local(text)}


def test_two_folders_become_one_model_that_says_where_each_came_from(clip, text, tmp_path):
    shutil.copytree(clip, tmp_path / "m")
    fetch_model(towers(clip, text), tmp_path / "m", "m")
    about = verify_model(tmp_path / "m/model.json")
    assert about["architecture"] == "clip + distilbert"
    assert about["embedding_dim"] == 24
    assert {one: about["towers"][one]["repo"] for one in about["towers"]} == {
        "image": str(clip),
        "text": str(text),
    }
    # nothing of the model that was there before, and all of the new one
    assert model_files(tmp_path / "m") == sorted(about["files"])
    assert {n for n in about["files"] if n.startswith("text/")} == {f"text/{n}" for n in TEXT}
    assert all(name.startswith(("image/", "text/")) for name in about["files"])
    assert load_encoder(tmp_path / "m", "cpu").dim == 24


def test_a_model_in_the_place_of_two_towers_leaves_nothing_of_them(clip, text, tmp_path):
    fetch_model(towers(clip, text), tmp_path / "m", "m")
    fetch_model(local(clip), tmp_path / "m", "m")
    assert [path.name for path in (tmp_path / "m").iterdir() if path.is_dir()] == []
    assert verify_model(tmp_path / "m/model.json")["architecture"] == "clip"


def test_a_folder_behind_a_link_in_the_place_of_a_tower_stays(clip, text, tmp_path):
    mine = Path(shutil.copytree(text, tmp_path / "mine"))
    (tmp_path / "m").mkdir()
    (tmp_path / "m/text").symlink_to(mine)
    fetch_model(towers(clip, text), tmp_path / "m", "m")
    assert (mine / "model.safetensors").is_file()
    assert not (tmp_path / "m/text").is_symlink()


def test_a_dense_layer_that_changed_since_is_refused(clip, text, tmp_path):
    fetch_model(towers(clip, text), tmp_path / "m", "m")
    (tmp_path / "m/text/2_Dense/config.json").write_text("{}", "utf-8")
    with pytest.raises(BadInput, match=r"text/2_Dense/config\.json"):
        verify_model(tmp_path / "m/model.json")


def test_towers_from_a_hub_bring_their_modules_and_nothing_else(hubs, files, text, tmp_path):
    hubs.repositories["huggingface", "me/clip"] = files
    read = {n: (text / n).read_bytes() for n in TEXT} | {"onnx/model.onnx": b"", "a.py": b""}
    hubs.repositories["huggingface", "me/text"] = read
    of_text = entry("huggingface")
    of_text["huggingface"] = of_text["huggingface"] | {"repo": "me/text"}
    both = {"image_tower": entry("huggingface"), "text_tower": of_text}
    fetch_model({"source": "towers", **both}, tmp_path / "m", "m")
    about = verify_model(tmp_path / "m/model.json")
    assert {n for n in about["files"] if n.startswith("text/")} == {f"text/{n}" for n in TEXT}
    assert [one["revision"] for one in about["towers"].values()] == [COMMIT, COMMIT]
    assert not any(path.name == "a.py" for path in (tmp_path / "m").rglob("*"))


def test_a_tower_that_is_not_there_is_told_by_its_place_in_the_config(hubs, clip, tmp_path):
    both = {"image_tower": local(clip), "text_tower": entry("huggingface")}
    with pytest.raises(BadInput, match=r"models\.m\.text_tower\n.*no source has the model"):
        fetch_model({"source": "towers", **both}, tmp_path / "m", "m")
    assert not (tmp_path / "m/model.json").exists()


def test_a_text_tower_as_pickles_only_is_told_so(clip, text, tmp_path):
    pickled = Path(shutil.copytree(text, tmp_path / "text"))
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(BadInput, match="only pickled weights"):
        fetch_model(towers(clip, pickled), tmp_path / "m", "m")


def test_a_text_tower_in_the_folder_of_the_model_is_never_removed(clip, text, tmp_path):
    mine = Path(shutil.copytree(text, tmp_path / "m/text"))
    with pytest.raises(BadInput, match="lies in"):
        fetch_model(towers(clip, mine), tmp_path / "m", "m")
    assert (mine / "model.safetensors").is_file()


def test_a_whole_model_takes_no_modules_along(text):
    names = [path.relative_to(text).as_posix() for path in text.rglob("*")]
    assert not any("/" in name or "modules" in name for name in choose(names, "here").files)


def test_a_fault_of_a_tower_names_the_folder_of_the_user(clip, text, tmp_path):
    spoilt = Path(shutil.copytree(text, tmp_path / "text"))
    config = spoilt / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"n_layers": 10**6}), "utf-8")
    with pytest.raises(BadInput, match=rf"{spoilt}/config\.json\n.*n_layers: 1000000"):
        fetch_model(towers(clip, spoilt), tmp_path / "m", "m")
