"""A small web site on the loopback interface, and datasets made on the spot."""

import io
import json
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from PIL import Image

from scripts.data.audit import Findings
from scripts.data.download import obtain
from scripts.data.prepare_images import prepare_images


@dataclass
class Site:
    """What the server has, how it misbehaves, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    # path -> (status, content type, body), sent instead of a file
    answers: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    # path -> for each request in turn, after how many bytes the line goes dead
    cuts: dict[str, list[int]] = field(default_factory=dict)
    ignores_range: bool = False
    # how far from where it was asked to the server goes on, the first time
    misplaced: int = 0
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def ranges(self, path: str) -> list[str | None]:
        """The Range header of each GET of ``path``."""
        return [h.get("Range") for method, p, h in self.asked if (method, p) == ("GET", path)]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body: bool = True):
        site: Site = self.server.site
        path, _, query = self.path.partition("?")
        # where ModelScope has the path of a file
        path += "".join(f"/{file}" for file in parse_qs(query).get("FilePath", []))
        site.asked.append((self.command, path, dict(self.headers)))
        if path in site.redirects:
            self.answer(302, "text/plain", b"", {"Location": site.redirects[path]})
            return
        if path not in site.files:
            self.answer(*site.answers.get(path, (404, "text/html", b"<html>Not found</html>")))
            return
        content, status, headers = site.files[path], 200, dict(site.headers.get(path, {}))
        asked = self.headers.get("Range")
        if asked and not site.ignores_range:
            start = int(asked.removeprefix("bytes=").split("-")[0])
            if start >= len(content):
                headers["Content-Range"] = f"bytes */{len(content)}"
                self.answer(416, "text/plain", b"", headers)
                return
            start, site.misplaced = start + site.misplaced, 0
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content, status = content[start:], 206
        self.send_response(status)
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        cuts = site.cuts.get(path)
        if cuts is not None:
            # announced: a client may else ask the next thing on a line that is being closed
            self.send_header("Connection", "close")
        self.end_headers()
        if body:
            self.wfile.write(content[: cuts.pop(0)] if cuts else content)

    def answer(self, status: int, kind: str, content: bytes, headers: dict | None = None):
        self.send_response(status)
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    """A running ``Site``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.site = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("scripts.data.web.PAUSE", 0.0)


def jpeg(seed: int = 0, size: tuple[int, int] = (8, 6), **options) -> bytes:
    """A small photo, another one for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", **options)
    return stream.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip archive of these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def photos():
    return {f"{seed}_{seed:010x}.jpg": jpeg(seed) for seed in range(6)}


@pytest.fixture
def archives(photos) -> dict[str, bytes]:
    """Flickr8k in small, with all of its oddities; six photos, the last named in no list."""
    names = sorted(photos)
    lines = [
        f"{name}#{number}\tcaption {number} of {name} ."
        for name in [*names, "gone.jpg", "2258277193_586949ec62.jpg.1"]
        for number in (1, 0, 2, 3, 4)
    ]
    lines[0] = f"{names[0]}#1\tA"
    members = {f"Flicker8k_Dataset/{name}": photos[name] for name in names}
    members[f"Flicker8k_Dataset/{names[3]}"] = photos[names[2]]
    members[f"__MACOSX/Flicker8k_Dataset/._{names[0]}"] = b"\0\5\26\7"
    texts = {
        "Flickr8k.token.txt": "\n".join(lines) + "\n",
        "Flickr_8k.trainImages.txt": "\n".join([*names[:3], "gone.jpg"]) + "\n",
        "Flickr_8k.devImages.txt": names[3] + "\n",
        "Flickr_8k.testImages.txt": names[4],
    }
    return {
        "Flickr8k_Dataset.zip": zipped(members),
        "Flickr8k_text.zip": zipped({name: text.encode() for name, text in texts.items()}),
    }


@pytest.fixture
def kaggle(photos) -> dict[str, bytes]:
    """Kaggle's layout, with commas and quotes inside captions."""
    first, second, third, *_ = sorted(photos)
    rows = [
        "image,caption",
        f'{first},"A dog , brown , runs ."',
        f'{first},"A sign says ""stop"" ."',
        f"{second},A plain caption .",
        f"{second},Not quoted , but with a comma .",
        f"{third},Two men .",
    ]
    return {
        "captions.txt": "\n".join(rows).encode(),
        **{f"Images/{name}": photos[name] for name in (first, second, third)},
    }


def parquet(path: Path, images: list[bytes | None], captions: int = 5) -> None:
    """A table as the hub's dataset has it."""
    import pyarrow
    from pyarrow.parquet import write_table

    columns = {"image": [{"bytes": image, "path": None} for image in images]}
    for number in range(captions):
        columns[f"caption_{number}"] = [f"caption {number} of {i}" for i in range(len(images))]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(pyarrow.table(columns), path, row_group_size=2)


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write ``files`` below ``folder``."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_folder(folder: Path, images: dict[str, bytes], captions: dict | None = None) -> Path:
    """A dataset of the layout ``folder``, with a caption for each image unless told otherwise."""
    captions = {name: [f"caption of {name}"] for name in images} if captions is None else captions
    records = [{"image": name, "captions": texts} for name, texts in captions.items()]
    (folder / "images").mkdir(parents=True)
    (folder / "captions.json").write_text(json.dumps(records), "utf-8")
    write_files(folder / "images", images)
    return folder


@pytest.fixture
def make():
    """The helpers above, for tests that build their own files."""

    class Make:
        pass

    for helper in (jpeg, zipped, parquet, write_files, write_folder):
        setattr(Make, helper.__name__, staticmethod(helper))
    return Make


@pytest.fixture
def taken(tmp_path, monkeypatch):
    """What is prepared of a folder: layout, kept images, findings."""
    monkeypatch.chdir(tmp_path)

    def taken(location, **options):
        entry = {"source": "folder", "location": str(location), **options}
        manifest = json.loads(json.dumps(obtain(entry, tmp_path / "raw")))
        findings = Findings()
        kept = prepare_images(manifest, tmp_path / "images", 10**8, 50, findings)
        return manifest, kept, findings

    return taken
