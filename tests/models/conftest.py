"""A small CLIP, and both hubs, standing in on a loopback port, that may have it."""

from __future__ import annotations

import shutil
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from hub_stand_in import OTHERS, Handler, Hubs
from tiny_models import make_clip


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


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """Not to be changed by a test."""
    made = tmp_path_factory.mktemp("clip")
    make_clip(made)
    return made


@pytest.fixture
def files(clip) -> dict[str, bytes]:
    """A repository's files: those of a model, and those that nobody needs."""
    return {path.name: path.read_bytes() for path in clip.iterdir()} | OTHERS


@pytest.fixture
def spoiled(clip, tmp_path) -> Path:
    """A copy of a good model, for a test to spoil."""
    return Path(shutil.copytree(clip, tmp_path / "model"))
