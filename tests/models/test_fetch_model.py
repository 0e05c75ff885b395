"""What is taken of a model's files, what is made of them, and what is told of those refused."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub_stand_in import LOADED, entry, local, sha256_of
from safetensors.numpy import load_file, save_file

from scripts.job import BadInput
from scripts.models import fetch_model as rule
from scripts.models.fetch_model import fetch_model
from scripts.models.folder import verify_model
from scripts.models.weights import read_tensors


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_what_a_hub_keeps_beside_the_weights_is_passed_over_and_recorded(
    hubs, files, tmp_path, source
):
    hubs.repositories[source, "me/clip"] = files | {"model.fp16.safetensors": b"halved"}
    fetch_model(entry(source), tmp_path / "m", "m")
    about = json.loads((tmp_path / "m" / "model.json").read_text("utf-8"))
    assert about["weights"] == "model.safetensors"
    assert "pytorch_model.bin" in about["beside"] and "model.fp16.safetensors" in about["beside"]
    assert hubs.files_asked() == LOADED


def test_the_weights_that_an_entry_names_are_taken_whatever_they_are_called(hubs, files, tmp_path):
    named = {"model.fp16.safetensors": files["model.safetensors"], "model.safetensors": b"another"}
    hubs.repositories["huggingface", "me/clip"] = files | named
    wanted = entry("huggingface") | {"weights": "model.fp16.safetensors"}
    fetch_model(wanted, tmp_path / "m", "m")
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == files["model.safetensors"]
    about = verify_model(tmp_path / "m" / "model.json")
    assert about["weights"] == "model.fp16.safetensors"


def test_a_fault_of_weights_is_told_by_the_name_that_they_have_where_they_stand(clip, tmp_path):
    mine = Path(shutil.copytree(clip, tmp_path / "mine"))
    (mine / "model.fp16.safetensors").write_bytes(b"cut")
    wanted = local(mine, weights="model.fp16.safetensors")
    with pytest.raises(BadInput, match=re.escape(f"{mine}/model.fp16.safetensors\n")):
        fetch_model(wanted, tmp_path / "m", "m")


def test_the_command_that_takes_a_prefix_off_names_the_file_of_the_user(clip, tmp_path):
    mine = Path(shutil.copytree(clip, tmp_path / "mine"))
    wrapped = {f"module.{k}": v for k, v in load_file(mine / "model.safetensors").items()}
    save_file(wrapped, mine / "ema.safetensors", {"format": "pt"})
    wanted = local(mine, weights="ema.safetensors")
    with pytest.raises(BadInput, match=r"before the names of the tensors") as raised:
        fetch_model(wanted, tmp_path / "m", "m")
    python = shlex.split(re.search(r"python -c '[^']*'", str(raised.value))[0])
    subprocess.run([sys.executable, *python[1:]], cwd=mine, check=True)
    fetch_model(wanted, tmp_path / "m", "m")
    assert (mine / "model.safetensors").read_bytes() == (clip / "model.safetensors").read_bytes()


@pytest.mark.parametrize("source", ["huggingface", "local"])
def test_no_command_for_safetensors_is_told_of_a_pickle_with_a_prefix(
    hubs, files, tensors, tmp_path, source
):
    data = pickled_bytes({f"module.{name}": tensor for name, tensor in tensors.items()})
    files = {name: files[name] for name in LOADED - {"model.safetensors"}}
    hubs.repositories["huggingface", "me/clip"] = files | {"pytorch_model.bin": data}
    (tmp_path / "mine").mkdir()
    for name, content in hubs.repositories["huggingface", "me/clip"].items():
        (tmp_path / "mine" / name).write_bytes(content)
    where = {"huggingface": entry("huggingface"), "local": local(tmp_path / "mine")}[source]
    wanted = where | {"pickled": "convert", "sha256": sha256_of(data)}
    with pytest.raises(BadInput, match=r"load the model where it was made") as raised:
        fetch_model(wanted, tmp_path / "m", "m")
    assert "'module.' before the names" in str(raised.value)
    assert "load_file" not in str(raised.value)


def test_a_tilde_stands_for_the_home_of_the_user(clip, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(clip.parent))
    fetch_model(local(Path("~") / clip.name), tmp_path / "m", "m")
    assert verify_model(tmp_path / "m" / "model.json")["repo"] == str(clip)


def test_parts_that_the_index_does_not_name_are_left_behind(clip, tmp_path):
    mine = Path(shutil.copytree(clip, tmp_path / "mine"))
    part = "model-00001-of-00001.safetensors"
    tensors = read_tensors(mine)
    (mine / "model.safetensors").rename(mine / part)
    (mine / "model-00002-of-00003.safetensors").write_bytes(b"of an earlier save")
    index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, part)}
    (mine / "model.safetensors.index.json").write_text(json.dumps(index))
    fetch_model(local(mine), tmp_path / "m", "m")
    found = {path.name for path in (tmp_path / "m").glob("*.safetensors*")}
    assert found == {"model.safetensors.index.json", "model-00001-of-00001.safetensors"}


@pytest.mark.parametrize("source", ["huggingface", "local"])
def test_parts_of_other_names_are_told_with_a_remedy_that_works(hubs, clip, tmp_path, source):
    from transformers import AutoModel

    mine = Path(shutil.copytree(clip, tmp_path / "mine"))
    tensors = load_file(mine / "model.safetensors")
    (mine / "model.safetensors").unlink()
    parts = {name: f"shard_{1 + ('text' in name)}_2.safetensors" for name in tensors}
    for part in set(parts.values()):
        some = {name: tensors[name] for name in tensors if parts[name] == part}
        save_file(some, mine / part, {"format": "pt"})
    index = {"metadata": {}, "weight_map": parts}
    (mine / "model.safetensors.index.json").write_text(json.dumps(index))
    hubs.repositories["huggingface", "me/clip"] = {
        path.name: path.read_bytes() for path in mine.iterdir()
    }
    wanted = local(mine) if source == "local" else entry("huggingface")
    with pytest.raises(BadInput, match=r"beside it: shard_1_2\.safetensors, shard_2_2") as raised:
        fetch_model(wanted, tmp_path / "m", "m")
    assert 'AutoModel.from_pretrained("folder").save_pretrained("folder")' in str(raised.value)
    AutoModel.from_pretrained(mine).save_pretrained(mine)
    fetch_model(local(mine, weights="model.safetensors"), tmp_path / "m", "m")
    made = load_file(tmp_path / "m" / "model.safetensors")
    assert all((made[name] == tensors[name]).all() for name in tensors)


def test_what_is_taken_is_probed_and_a_failure_names_the_folder_of_the_user(
    hubs, files, clip, tmp_path, monkeypatch
):
    probed = []

    def refuse(folder: Path) -> None:
        probed.append(folder)
        raise BadInput(folder / "tokenizer.json", "a wrong one", "its own", "get it again")

    monkeypatch.setattr(rule, "probe", refuse)
    with pytest.raises(BadInput, match=re.escape(f"{clip}/tokenizer.json")):
        fetch_model(local(clip), tmp_path / "m", "m")
    hubs.repositories["huggingface", "me/clip"] = files
    with pytest.raises(BadInput, match=r"huggingface me/clip: tokenizer\.json: a wrong one"):
        fetch_model(entry("huggingface"), tmp_path / "m", "m")
    assert len(probed) == 2
    assert not (tmp_path / "m" / "model.json").exists()


def test_a_model_of_timm_is_called_so(clip, tmp_path):
    mine = Path(shutil.copytree(clip, tmp_path / "mine"))
    (mine / "config.json").write_text('{"architecture": "vit_base_patch32", "pretrained_cfg": {}}')
    with pytest.raises(BadInput, match=re.escape(f"{mine}/config.json") + r"\s.*a model of timm"):
        fetch_model(local(mine), tmp_path / "m", "m")


# --- weights that exist only as a pickle


def pickled_bytes(value: object, zipped: bool = True) -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


@pytest.fixture(scope="module")
def tensors(clip) -> dict:
    from safetensors.torch import load_file

    return load_file(clip / "model.safetensors")


@pytest.fixture
def pickle(tensors) -> bytes:
    return pickled_bytes(tensors)


@pytest.mark.parametrize("source", ["huggingface", "modelscope", "local"])
def test_a_pickle_of_known_checksum_becomes_the_same_weights(
    hubs, files, tmp_path, source, pickle, tensors
):
    files = {name: data for name, data in files.items() if "safetensors" not in name}
    files["pytorch_model.bin"] = pickle
    keys = {"weights": "pytorch_model.bin", "pickled": "convert", "sha256": sha256_of(pickle)}
    if source == "local":
        mine = tmp_path / "mine"
        mine.mkdir()
        for name, data in files.items():
            if "/" not in name:
                (mine / name).write_bytes(data)
        wanted = local(mine, **keys)
    else:
        hubs.repositories[source, "me/clip"] = files
        wanted = entry(source, sha256="0" * 64)
        wanted[source] |= keys
    fetch_model(wanted, tmp_path / "m", "m")
    about = verify_model(tmp_path / "m" / "model.json")
    assert {path.name for path in (tmp_path / "m").iterdir()} == LOADED | {"model.json"}
    assert (about["weights"], about["converted"]) == ("pytorch_model.bin", True)
    assert about["sha256"] == sha256_of(pickle)
    made = load_file(tmp_path / "m" / "model.safetensors")
    assert made.keys() == tensors.keys()
    assert all((made[name] == tensors[name].numpy()).all() for name in made)


def test_a_second_source_with_another_file_has_a_checksum_of_its_own(
    hubs, files, tmp_path, pickle, monkeypatch
):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    there = {name: data for name, data in files.items() if "safetensors" not in name}
    hubs.repositories["modelscope", "me/clip"] = there | {"pytorch_model.bin": pickle}
    wanted = entry("huggingface", "modelscope")
    wanted["huggingface"] |= {"sha256": sha256_of(files["model.safetensors"])}
    wanted["modelscope"] |= {"sha256": sha256_of(pickle), "pickled": "convert"}
    fetch_model(wanted, tmp_path / "m", "m")
    about = verify_model(tmp_path / "m" / "model.json")
    assert (about["source"], about["converted"]) == ("modelscope", True)


class Payload:
    """What runs a command when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch '{self.trace}'",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_a_pickle_that_holds_code_is_refused_and_nothing_of_it_runs(
    clip, tmp_path, tensors, zipped
):
    mine = Path(shutil.copytree(clip, tmp_path / "mine"))
    (mine / "model.safetensors").unlink()
    trace = tmp_path / "it ran"
    hostile = pickled_bytes(tensors | {"x": Payload(trace)}, zipped)
    (mine / "pytorch_model.bin").write_bytes(hostile)
    with pytest.raises(BadInput, match="will not read as weights") as raised:
        fetch_model(local(mine, sha256_of(hostile), pickled="convert"), tmp_path / "m", "m")
    assert str(mine / "pytorch_model.bin") in str(raised.value)
    assert not trace.exists() and not list((tmp_path / "m").iterdir())


@pytest.mark.parametrize("given", [None, "0" * 64], ids=["none", "another"])
def test_a_pickle_without_its_checksum_is_not_even_opened(
    clip, tmp_path, monkeypatch, pickle, given
):
    mine = Path(shutil.copytree(clip, tmp_path / "mine"))
    (mine / "model.safetensors").unlink()
    (mine / "pytorch_model.bin").write_bytes(pickle)
    monkeypatch.setattr(rule, "convert_pickle", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(BadInput, match="sha256 0{64}" if given else "only pickled weights"):
        fetch_model(local(mine, given, pickled="convert"), tmp_path / "m", "m")


def test_an_unknown_architecture_from_a_hub_is_refused(hubs, files, tmp_path):
    config = json.dumps({"model_type": "bert"}).encode()
    hubs.repositories["huggingface", "me/clip"] = files | {"config.json": config}
    with pytest.raises(BadInput, match=r"model_type: bert"):
        fetch_model(entry("huggingface"), tmp_path / "m", "m")


def test_a_local_model_is_copied_without_what_is_not_needed(clip, tmp_path):
    mine = Path(shutil.copytree(clip, tmp_path / "mine"))
    (mine / "model.safetensors").rename(tmp_path / "blob")
    (mine / "model.safetensors").symlink_to(tmp_path / "blob")
    (mine / "pytorch_model.bin").write_bytes(b"pickled")
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "vocab.txt").write_text("of the model that was here before", "utf-8")
    wanted = local(mine, weights="model.safetensors")
    fetch_model(wanted, folder, "m")
    assert {path.name for path in folder.iterdir()} == LOADED | {"model.json"}
    assert not (folder / "model.safetensors").is_symlink()
    about = verify_model(folder / "model.json")
    assert (about["source"], about["repo"]) == ("local", str(mine))
    first = (folder / "model.json").read_bytes()
    fetch_model(wanted, folder, "m")
    assert (folder / "model.json").read_bytes() == first


def test_a_local_model_that_is_missing_pickled_or_another_is_refused(clip, tmp_path):
    with pytest.raises(BadInput, match=rf"^{Path.cwd()}/nowhere\n.*no such folder"):
        fetch_model(local("nowhere"), tmp_path / "m", "m")
    with pytest.raises(BadInput, match="sha256"):
        fetch_model(local(clip, sha256="0" * 64), tmp_path / "m", "m")
    mine = Path(shutil.copytree(clip, tmp_path / "mine"))
    (mine / "model.safetensors").rename(mine / "pytorch_model.bin")
    with pytest.raises(BadInput, match="only pickled weights"):
        fetch_model(local(mine), tmp_path / "m", "m")
    assert not list((tmp_path / "m").iterdir())


def test_the_rule_fills_the_folder_of_its_output(clip, tmp_path):
    job = SimpleNamespace(
        params=SimpleNamespace(entry=local(clip)),
        output=SimpleNamespace(provenance=str(tmp_path / "models" / "mine" / "model.json")),
        wildcards=SimpleNamespace(model="mine"),
    )
    rule.main(job)
    assert verify_model(tmp_path / "models" / "mine" / "model.json")["model"] == "mine"
