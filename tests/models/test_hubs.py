"""The hubs' own clients against a loopback stand-in of both: what they ask for, what comes."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
from hub_stand_in import COMMIT, LOADED, entry, sha256_of
from modelscope_hub.errors import NetworkError
from safetensors.numpy import load_file

from scripts.job import BadInput
from scripts.models import fetch_model as rule
from scripts.models.fetch_model import fetch_model
from scripts.models.folder import verify_model
from scripts.models.hubs import one_line


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_hub_gives_the_needed_files_and_is_asked_for_no_others(hubs, files, tmp_path, source):
    hubs.repositories[source, "me/clip"] = files
    folder = tmp_path / "models" / "mine"
    digest = sha256_of(files["model.safetensors"])
    fetch_model(entry(source, sha256=digest), folder, "mine")
    assert {path.name for path in folder.iterdir()} == LOADED | {"model.json"}
    assert hubs.files_asked() == LOADED
    assert not [line for line in hubs.asked if line.startswith("unknown")]
    about = json.loads((folder / "model.json").read_text("utf-8"))
    assert about["source"] == source
    assert about["repo"] == "me/clip"
    assert about["revision"] == (COMMIT if source == "huggingface" else "master")
    assert about["architecture"] == "clip"
    assert about["embedding_dim"] == 24
    assert about["tried"] == []
    assert about["files"] == {name: sha256_of(files[name]) for name in sorted(LOADED)}
    tensors = load_file(folder / "model.safetensors")
    assert about["parameters"] == sum(tensor.size for tensor in tensors.values())


def test_a_branch_is_recorded_as_the_commit_it_stood_for(hubs, files, tmp_path):
    hubs.repositories["huggingface", "me/clip"] = files
    fetch_model(entry("huggingface", revision="main"), tmp_path / "m", "m")
    assert json.loads((tmp_path / "m" / "model.json").read_text())["revision"] == COMMIT


def test_a_source_or_repository_that_is_gone_leaves_the_next_one(hubs, files, tmp_path):
    hubs.repositories["modelscope", "there/clip"] = files
    wanted = entry("huggingface", "modelscope", repo=["gone/clip", "there/clip"])
    fetch_model(wanted, tmp_path / "m", "m")
    about = verify_model(tmp_path / "m" / "model.json")
    assert (about["source"], about["repo"]) == ("modelscope", "there/clip")
    gone = [(one["source"], one["repo"]) for one in about["tried"]]
    assert gone == [
        ("huggingface", "gone/clip"),
        ("huggingface", "there/clip"),
        ("modelscope", "gone/clip"),
    ]
    assert all(one["error"] for one in about["tried"])


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_download_that_breaks_off_goes_on_where_it_stopped(
    hubs, files, tmp_path, source, monkeypatch
):
    # a client keeps whole chunks only, and its own are larger than this model
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1024)
    hubs.repositories[source, "me/clip"] = files
    half = len(files["model.safetensors"]) // 2 // 1024 * 1024
    hubs.break_once_after["model.safetensors"] = half
    fetch_model(entry(source), tmp_path / "m", "m")
    assert hubs.ranges == [f"model.safetensors from {half}"]
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == files["model.safetensors"]


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_run_after_an_interrupted_one_fetches_only_what_is_missing(
    hubs, files, tmp_path, source, monkeypatch
):
    hubs.repositories[source, "me/clip"] = files

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr(rule, "check_sha256", stop)
        with pytest.raises(KeyboardInterrupt):
            fetch_model(entry(source), tmp_path / "m", "m")
    assert not (tmp_path / "m" / "model.json").exists()
    next((tmp_path / "m").glob(".download/*/tokenizer.json")).unlink()
    hubs.asked.clear()
    fetch_model(entry(source), tmp_path / "m", "m")
    assert hubs.files_asked() == {"tokenizer.json"}


@pytest.mark.parametrize("first", ["huggingface", "modelscope"])
def test_a_wrong_checksum_removes_the_file_and_asks_the_next_source(hubs, files, tmp_path, first):
    second = "modelscope" if first == "huggingface" else "huggingface"
    other = files["model.safetensors"] + b"\0"
    hubs.repositories[first, "me/clip"] = files | {"model.safetensors": other}
    hubs.repositories[second, "me/clip"] = files
    digest = sha256_of(files["model.safetensors"])
    fetch_model(entry(first, second, sha256=digest), tmp_path / "m", "m")
    about = verify_model(tmp_path / "m" / "model.json")
    assert about["source"] == second
    assert about["files"]["model.safetensors"] == digest
    assert sha256_of(other) in about["tried"][0]["error"]


def test_a_file_with_the_wrong_checksum_is_asked_for_again_in_the_next_run(hubs, files, tmp_path):
    other = files["model.safetensors"] + b"\0"
    hubs.repositories["huggingface", "me/clip"] = files | {"model.safetensors": other}
    wanted = entry("huggingface", sha256=sha256_of(files["model.safetensors"]))
    with pytest.raises(BadInput, match="sha256"):
        fetch_model(wanted, tmp_path / "m", "m")
    assert not list((tmp_path / "m").rglob("model.safetensors"))
    hubs.repositories["huggingface", "me/clip"] = files
    fetch_model(wanted, tmp_path / "m", "m")


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_repository_of_pickled_weights_only_is_refused_before_it_is_downloaded(
    hubs, files, tmp_path, source
):
    pickled = {name: data for name, data in files.items() if "safetensors" not in name}
    hubs.repositories[source, "me/clip"] = pickled
    with pytest.raises(BadInput, match=r"only pickled weights \(pytorch_model\.bin\)"):
        fetch_model(entry(source), tmp_path / "m", "m")
    assert hubs.files_asked() == set()


def test_where_no_source_has_the_model_one_message_lists_what_each_said(
    hubs, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "ms-secretsecret")
    wanted = entry("huggingface", "modelscope", repo=["gone/one", "gone/two"])
    with caplog.at_level(logging.DEBUG), pytest.raises(BadInput) as raised:
        fetch_model(wanted, tmp_path / "m", "m")
    told = str(raised.value)
    for source in ("huggingface", "modelscope"):
        for repo in ("gone/one", "gone/two"):
            assert f"{source} {repo}: " in told
    assert "source: local" in told
    assert not (tmp_path / "m" / "model.json").exists()
    # the hubs saw the tokens; nobody else did
    assert any("hf_secretsecret" in text for text in hubs.credentials)
    assert any("ms-secretsecret" in text for text in hubs.credentials)
    assert "secretsecret" not in told + caplog.text


def test_without_a_network_the_message_says_so(tmp_path, monkeypatch, hubs):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BadInput, match="check the network"):
        fetch_model(entry("huggingface"), tmp_path / "m", "m")


def test_where_a_hub_answered_nothing_is_said_of_the_network(hubs, files, tmp_path):
    for wanted in (entry("huggingface", repo="gone/clip"), entry("huggingface", revision="v9")):
        hubs.repositories["huggingface", "me/clip"] = files
        with pytest.raises(BadInput, match="check repo and revision") as raised:
            fetch_model(wanted, tmp_path / "m", "m")
        assert "check the network" not in str(raised.value)
    hubs.repositories["huggingface", "me/clip"] = {
        name: data for name, data in files.items() if "safetensors" not in name
    }
    with pytest.raises(BadInput, match="correct the entry") as raised:
        fetch_model(entry("huggingface"), tmp_path / "m", "m")
    told = str(raised.value)
    assert "check the network" not in told
    # to its last word
    assert "give the entry pickled: convert and that sha256" in told


def test_each_thing_to_do_belongs_to_something_that_happened(hubs, files, tmp_path, monkeypatch):
    hubs.repositories["modelscope", "me/clip"] = {"config.json": b"{}"}
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BadInput) as raised:
        fetch_model(entry("huggingface", "modelscope"), tmp_path / "m", "m")
    todo = str(raised.value).rpartition("to do:")[2]
    assert "check the network" in todo and "correct the entry" in todo
    assert "check repo and revision" not in todo


def test_an_answer_is_cut_between_words_and_a_message_of_ours_is_not():
    told = one_line(ValueError("word " * 999))
    assert len(told) <= 900 and told.endswith("word …")
    ours = BadInput("there", "x" * 200, "y" * 200, f"{'z' * 200} end")
    assert one_line(ours).endswith(" end")
    assert one_line(ours).startswith("there: xxx")


# --- a model that is already in a cache


def in_huggingface_cache(
    cache: Path, files: dict[str, bytes], listed: bool = True, ref: str = "main"
) -> Path:
    """The cache of Hugging Face's client as it lays it out: blobs, links to them, a listing."""
    top = cache / "models--me--clip"
    snapshot = top / "snapshots" / COMMIT
    for folder in (top / "blobs", top / "refs", top / "trees", snapshot):
        folder.mkdir(parents=True)
    for name, data in files.items():
        blob = top / "blobs" / sha256_of(data)
        blob.write_bytes(data)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(blob)
    (top / "refs" / ref).write_text(COMMIT)
    if listed:
        tree = {name: {"size": len(data), "blob_id": "0" * 40} for name, data in files.items()}
        listing = {"format_version": 1, "files": tree}
        (top / "trees" / f"{COMMIT}.json").write_text(json.dumps(listing))
    return snapshot


@pytest.fixture
def cache(tmp_path) -> Path:
    """The place of Hugging Face's cache."""
    return tmp_path / "huggingface"


def unplug(monkeypatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


@pytest.mark.parametrize("how", ["nobody is asked", "offline", "unplugged"])
def test_a_whole_commit_in_the_cache_is_copied_without_a_network(
    hubs, cache, files, tmp_path, monkeypatch, how
):
    in_huggingface_cache(cache, files, listed=how == "nobody is asked")
    if how == "offline":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    elif how == "unplugged":
        unplug(monkeypatch)
    digest = sha256_of(files["model.safetensors"])
    fetch_model(entry("huggingface", sha256=digest), tmp_path / "m", "m")
    about = verify_model(tmp_path / "m" / "model.json")
    assert (about["revision"], about["cached"]) == (COMMIT, True)
    assert ("whole" in about) == (how != "nobody is asked")
    assert {path.name for path in (tmp_path / "m").iterdir()} == LOADED | {"model.json"}
    assert not any(path.is_symlink() for path in (tmp_path / "m").iterdir())
    assert hubs.asked == []


def test_a_branch_is_asked_for_and_its_cache_taken_only_where_no_hub_answers(
    hubs, cache, files, tmp_path, monkeypatch, caplog
):
    old = json.loads(files["config.json"]) | {"of": "the cache"}
    in_huggingface_cache(cache, files | {"config.json": json.dumps(old).encode()})
    hubs.repositories["huggingface", "me/clip"] = files
    fetch_model(entry("huggingface", repo="me/clip", revision="main"), tmp_path / "m", "m")
    assert "huggingface me/clip revision main" in hubs.asked
    unplug(monkeypatch)
    with caplog.at_level(logging.WARNING):
        fetch_model(entry("huggingface", revision="main"), tmp_path / "n", "n")
    about = verify_model(tmp_path / "n" / "model.json")
    assert (about["revision"], about["cached"]) == (COMMIT, True)
    assert "me/clip is taken from its cache" in caplog.text


@pytest.mark.parametrize("lacking", ["tokenizer.json", "model.safetensors"])
def test_a_cache_that_lacks_a_file_is_not_taken_for_the_model(
    hubs, cache, files, tmp_path, monkeypatch, lacking
):
    snapshot = in_huggingface_cache(cache, files)
    (snapshot / lacking).unlink()
    hubs.repositories["huggingface", "me/clip"] = files
    fetch_model(entry("huggingface"), tmp_path / "m", "m")
    assert "GET file " + lacking in hubs.asked
    assert "cached" not in verify_model(tmp_path / "m" / "model.json")
    unplug(monkeypatch)
    with pytest.raises(BadInput, match="nor is all of it in the cache") as told:
        fetch_model(entry("huggingface"), tmp_path / "n", "n")
    assert "check the network" in str(told.value)
    assert "correct the entry" not in str(told.value)


def test_what_a_cache_without_a_listing_may_lack_is_said_and_recorded(
    hubs, cache, files, tmp_path, monkeypatch, caplog
):
    snapshot = in_huggingface_cache(cache, files, listed=False)
    (snapshot / "tokenizer_config.json").unlink()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with caplog.at_level(logging.WARNING):
        fetch_model(entry("huggingface"), tmp_path / "m", "m")
    assert "me/clip: the cache does not list all files" in caplog.text
    assert verify_model(tmp_path / "m" / "model.json")["whole"] == "not known"


def test_what_a_cache_holds_is_held_against_the_checksum(hubs, cache, files, tmp_path):
    snapshot = in_huggingface_cache(cache, files)
    with pytest.raises(BadInput, match=re.escape(f"{snapshot}/model.safetensors")):
        fetch_model(entry("huggingface", sha256="0" * 64), tmp_path / "m", "m")
    assert (snapshot / "model.safetensors").is_file()


LAYOUTS = [
    "models/me--clip/snapshots/master",
    "models/me/clip",
    "hub/models/me/clip",
    "hub/me/clip",
]


@pytest.mark.parametrize(
    ("layout", "how"), [*((layout, "offline") for layout in LAYOUTS), (LAYOUTS[0], "unplugged")]
)
def test_a_model_in_the_cache_of_modelscope_stands_in_for_the_hub(
    hubs, files, tmp_path, monkeypatch, layout, how
):
    there = tmp_path / "modelscope-cache" / layout
    there.mkdir(parents=True)
    for name in LOADED:
        (there / name).write_bytes(files[name])
    if how == "offline":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    else:

        def fail(*_, **__):
            # as the client says it after the tries that it makes for seconds
            raise NetworkError("no answer")

        monkeypatch.setattr("modelscope_hub.HubApi.list_repo_files", fail)
    digest = sha256_of(files["model.safetensors"])
    fetch_model(entry("modelscope", sha256=digest), tmp_path / "m", "m")
    about = verify_model(tmp_path / "m" / "model.json")
    assert (about["revision"], about["cached"]) == ("master", True)
    assert about["whole"] == "not known"
    assert hubs.asked == []


def test_an_older_cache_of_modelscope_that_tells_no_revision_is_no_commit(
    hubs, files, tmp_path, monkeypatch
):
    there = tmp_path / "modelscope-cache/models/me/clip"
    there.mkdir(parents=True)
    for name in LOADED:
        (there / name).write_bytes(files[name])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    wanted = entry("modelscope")
    wanted["modelscope"]["revision"] = COMMIT
    with pytest.raises(BadInput, match="nor is all of it in the cache"):
        fetch_model(wanted, tmp_path / "m", "m")


def test_offline_and_without_a_cache_the_variable_is_named(hubs, files, tmp_path, monkeypatch):
    for source in ("huggingface", "modelscope"):
        hubs.repositories[source, "me/clip"] = files
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput, match="unset HF_HUB_OFFLINE") as raised:
        fetch_model(entry("huggingface", "modelscope"), tmp_path / "m", "m")
    assert "check the network" not in str(raised.value)
    assert hubs.asked == []
