"""The hubs' own clients against a loopback stand-in of both hubs: what they ask for, what comes."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from modelscope_hub.errors import NetworkError
from safetensors.numpy import load_file, save_file
from tiny_models import make_clip

from scripts.job import BadInput
from scripts.models import fetch_model as rule
from scripts.models.fetch_model import fetch_model, one_line, verify_model, write_provenance
from scripts.models.weights import read_tensors

COMMIT = "b33cedfd0df4e43b8238760678fcc89e1a0d38b3"
LOADED = {
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
# what repositories hold besides
OTHERS = {
    "README.md": b"# a model",
    "pytorch_model.bin": b"pickled",
    "flax_model.msgpack": b"msgpack",
    "tf_model.h5": b"hdf5",
    "modeling.py": b"raise SystemExit",
    "onnx/config.json": b"{}",
    "onnx/model.safetensors": b"another export",
    "open_clip_model.safetensors": b"other names for the same weights",
    "pytorch_model.bin.index.json": b"{}",
}


@dataclass
class Hubs:
    """Repositories by (hub, name), what was asked of them, and where a download breaks off once."""

    url: str = ""
    repositories: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)
    break_once_after: dict[str, int] = field(default_factory=dict)

    def files_asked(self) -> set[str]:
        return {name for line in self.asked if (name := line.partition(" file ")[2])}


class Handler(BaseHTTPRequestHandler):
    """The addresses that the two clients call, and 404 for all others."""

    protocol_version = "HTTP/1.1"
    hubs: Hubs

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        path, query = unquote(address.path), parse_qs(address.query)
        self.hubs.credentials.add(self.headers.get("Authorization") or "")
        self.hubs.credentials.add(self.headers.get("Cookie") or "")
        if found := re.fullmatch(r"/api/models/(.+)/(revision|tree)/([^/]+)", path):
            self.huggingface_listing(*found.groups())
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            files = self.hubs.repositories.get(("huggingface", found[1]), {})
            self.file(files, found[3])
        elif found := re.fullmatch(r"/api/v1/models/(.+)/repo/files", path):
            self.modelscope_listing(found[1])
        elif found := re.fullmatch(r"/api/v1/models/(.+)/repo", path):
            files = self.hubs.repositories.get(("modelscope", found[1]), {})
            self.file(files, query["FilePath"][0])
        else:
            self.hubs.asked.append(f"unknown {self.path}")
            self.answer(404, {"Code": 404, "Message": "not found"})

    def huggingface_listing(self, repo: str, what: str, revision: str) -> None:
        self.hubs.asked.append(f"huggingface {repo} {what} {revision}")
        files = self.hubs.repositories.get(("huggingface", repo))
        if files is None:
            self.answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif revision not in (COMMIT, "main"):
            missing = {"X-Error-Code": "RevisionNotFound"}
            self.answer(404, {"error": f"Invalid rev id: {revision}"}, missing)
        elif what == "revision":
            siblings = [{"rfilename": name} for name in files]
            self.answer(200, {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings})
        else:
            about = [
                {
                    "type": "file",
                    "path": name,
                    "size": len(data),
                    "oid": hashlib.sha1(data).hexdigest(),
                }
                for name, data in files.items()
            ]
            self.answer(200, about)

    def modelscope_listing(self, repo: str) -> None:
        self.hubs.asked.append(f"modelscope {repo} list")
        files = self.hubs.repositories.get(("modelscope", repo))
        if files is None:
            self.answer(404, {"Code": 10010205001, "Message": "model not found", "Success": False})
            return
        about = [
            {"Path": name, "Name": Path(name).name, "Size": len(data), "Type": "blob"}
            | {"Sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        ]
        self.answer(200, {"Code": 200, "Success": True, "Data": {"Files": about}})

    def file(self, files: dict[str, bytes], name: str) -> None:
        if name not in files:
            self.answer(404, {"Code": 404, "Message": "no file"}, {"X-Error-Code": "EntryNotFound"})
            return
        data, start = files[name], 0
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            start = int(asked[1])
            self.hubs.ranges.append(f"{name} from {start}")
        if self.command == "GET":
            self.hubs.asked.append(f"GET file {name}")
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        kept = self.hubs.break_once_after.pop(name, None)
        self.wfile.write(data[start:] if kept is None else data[start:kept])
        if kept is not None:
            self.close_connection = True

    def answer(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_) -> None:
        """Keep the test's output to its own words."""


@pytest.fixture
def hubs(monkeypatch, tmp_path):
    """Both hubs on a loopback port, empty, with the clients pointed at them."""
    standing = Hubs()
    handler = type("BoundHandler", (Handler,), {"hubs": standing})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    standing.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", standing.url)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", standing.url)
    monkeypatch.setenv("MODELSCOPE_HOME", str(tmp_path / "modelscope-home"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope-cache"))
    monkeypatch.setenv("MODELSCOPE_DOWNLOAD_INTRA_CLOUD", "false")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "huggingface"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield standing
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("clip")
    make_clip(made)
    return made


@pytest.fixture
def files(clip) -> dict[str, bytes]:
    """A repository's files: those of a model, and those that nobody needs."""
    return {path.name: path.read_bytes() for path in clip.iterdir()} | OTHERS


def entry(*sources: str, sha256: str | None = None, repo="me/clip", revision=COMMIT) -> dict:
    about = {"huggingface": {"repo": repo, "revision": revision}}
    about["modelscope"] = {"repo": repo, "revision": "master"}
    return {"source": list(sources), "sha256": sha256, **about}


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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


def test_an_unknown_architecture_from_a_hub_is_refused(hubs, files, tmp_path):
    config = json.dumps({"model_type": "bert"}).encode()
    hubs.repositories["huggingface", "me/clip"] = files | {"config.json": config}
    with pytest.raises(BadInput, match=r"model_type: bert"):
        fetch_model(entry("huggingface"), tmp_path / "m", "m")


def local(path: Path, sha256: str | None = None, **keys: str) -> dict:
    return {"source": "local", "path": str(path), "sha256": sha256, **keys}


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


def test_the_rule_fills_the_folder_of_its_output(clip, tmp_path):
    job = SimpleNamespace(
        params=SimpleNamespace(entry=local(clip)),
        output=SimpleNamespace(provenance=str(tmp_path / "models" / "mine" / "model.json")),
        wildcards=SimpleNamespace(model="mine"),
    )
    rule.main(job)
    assert verify_model(tmp_path / "models" / "mine" / "model.json")["model"] == "mine"
