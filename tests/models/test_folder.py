"""The folder of a model: no file of the user's goes, and none of the model's changes unnoticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hub_stand_in import entry, local

from scripts.fingerprint import reached
from scripts.job import BadInput
from scripts.models.fetch_model import fetch_model
from scripts.models.folder import verify_model, write_provenance


@pytest.mark.parametrize("how", ["same", "linked", "within", "around", "file linked"])
def test_files_of_the_user_in_the_folder_of_the_model_are_never_removed(clip, tmp_path, how):
    folder = tmp_path / "models" / "m"
    mine = {"within": folder / "mine", "around": folder.parent, "linked": tmp_path / "mine"}
    there = Path(shutil.copytree(clip, mine.get(how, folder)))
    (there / "model.json").write_text("{}")
    (there / "notes.txt").write_text("of the user")
    path = there
    if how == "linked":
        folder.parent.mkdir()
        folder.symlink_to(there)
    elif how == "file linked":
        path = Path(shutil.copytree(clip, tmp_path / "mine"))
        (path / "ema.safetensors").symlink_to(there / "model.safetensors")
    before = {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()}
    told = "a link to" if "linked" in how else "is, holds or lies in"
    with pytest.raises(BadInput, match=told):
        fetch_model(local(path), folder, "m")
    assert {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()} == before


def test_a_hub_fills_no_folder_behind_a_link(hubs, files, tmp_path):
    hubs.repositories["huggingface", "me/clip"] = files
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("of the user")
    (tmp_path / "m").symlink_to(tmp_path / "mine")
    with pytest.raises(BadInput, match=r"a link to .*mine"):
        fetch_model(entry("huggingface"), tmp_path / "m", "m")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    assert hubs.asked == []


def test_a_model_whose_files_changed_since_is_refused(clip, tmp_path):
    folder = Path(shutil.copytree(clip, tmp_path / "m"))
    write_provenance(folder, "m", "train", training={"base": None, "epochs": 3})
    about = verify_model(folder / "model.json")
    assert about["training"] == {"base": None, "epochs": 3}
    spoiled = (folder / "model.safetensors").read_bytes()[:-1] + b"\1"
    (folder / "model.safetensors").write_bytes(spoiled)
    with pytest.raises(BadInput, match=r"model\.safetensors"):
        verify_model(folder / "model.json")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="no such file"):
        verify_model(folder / "model.json")


def test_a_file_that_would_change_the_encoder_unrecorded_is_refused(clip, tmp_path):
    folder = Path(shutil.copytree(clip, tmp_path / "m"))
    write_provenance(folder, "m", "local")
    (folder / "processor_config.json").write_text("{}", "utf-8")
    with pytest.raises(BadInput, match=r"processor_config\.json"):
        verify_model(folder / "model.json")


@pytest.mark.parametrize(
    "script", ["encode/encode_images", "encode/encode_texts", "models/train_model"]
)
def test_what_encodes_or_trains_does_not_hang_on_how_a_model_is_fetched(script):
    names = {Path(file).name for file in reached((f"scripts/{script}.py",))}
    assert "folder.py" in names and not {"fetch_model.py", "hubs.py"} & names
