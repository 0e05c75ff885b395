"""A loopback stand-in of both hubs, and entries of a config that ask for what is there."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

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
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            self.huggingface_listing(found[1], "revision", "main")
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
            siblings = [
                {"rfilename": name, "size": len(data)}
                | ({"lfs": _in_lfs(data)} if name.endswith(".safetensors") else {})
                for name, data in files.items()
            ]
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


def _in_lfs(data: bytes) -> dict[str, object]:
    return {"sha256": sha256_of(data), "size": len(data), "pointerSize": 134}


def entry(*sources: str, sha256: str | None = None, repo="me/clip", revision=COMMIT) -> dict:
    about = {"huggingface": {"repo": repo, "revision": revision}}
    about["modelscope"] = {"repo": repo, "revision": "master"}
    return {"source": list(sources), "sha256": sha256, **about}


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def local(path: Path, sha256: str | None = None, **keys: str) -> dict:
    return {"source": "local", "path": str(path), "sha256": sha256, **keys}
