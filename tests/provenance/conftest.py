"""A finished run in small: the files that a record tells of, and the job that writes it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.jobs import note, sums_of
from scripts.provenance.record import main

CODE = "0123456789abcdef"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Recording:
    """A working directory with ``results/toy`` and ``data/``, and what the rule gives the job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results/toy"
        self.crate = self.results / "ro-crate-metadata.json"
        self.settings = {
            "run": {"dataset": "toy", "models": ["tiny"]},
            "datasets": {"toy": {"source": "folder", "location": "photos"}},
            "models": {"tiny": {"source": "local", "path": "elsewhere", "sha256": None}},
            "prompts": {"plain": ["{}"]},
            "scorers": {"adapter": {"kind": "adapter", "seeds": [0, 1]}},
            "statistics": {"seed": 7},
        }
        self.made = {
            "report.en.html": b"<p>report</p>",
            "tables/metrics.csv": b"model,recall@1\ntiny,0.5\n",
            "tiny/test/images.npy": b"features",
            "tiny/test/images.json": json.dumps(
                {"device": "cuda", "precision": "float16", "shape": [1, 2]}
            ).encode(),
        }
        image = b"a picture"
        table = f"image,width,height,bytes,sha256,split\na.png,1,1,9,{sha256(image)},test\n"
        self.known = {
            "data/toy/captions.json": b'[{"image": "a.png", "captions": ["x"]}]',
            "data/toy/images.csv": table.encode(),
            "data/toy/splits.json": b"{}",
            "data/toy/images/a.png": image,
            "data/toy/raw/source.json": self.source("data/toy/raw"),
            "data/toy/raw/photos.zip": b"zip",
            "data/models/tiny/model.safetensors": b"weights",
            "data/models/tiny/model.json": json.dumps(
                {
                    "model": "tiny",
                    "source": "huggingface",
                    "repo": "owner/tiny",
                    "revision": "c0ffee",
                    "architecture": "clip",
                    "files": {"model.safetensors": sha256(b"weights")},
                }
            ).encode(),
        }
        for name, content in self.made.items():
            self.write(f"results/toy/{name}", content)
        for name, content in self.known.items():
            self.write(name, content)

    @staticmethod
    def source(root: str, notes: list[str] | None = None) -> bytes:
        file = {"path": "photos.zip", "bytes": 3, "sha256": sha256(b"zip")}
        about = {"source": "location", "layout": "archives", "root": root, "files": [file]}
        return json.dumps(about | {"notes": notes or []}).encode()

    def write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    @staticmethod
    def noted(rule: str, inputs: list[str], outputs: list[str]) -> None:
        """What a job says of itself."""
        given = SimpleNamespace(rule=rule, wildcards={}, output=outputs, params={"code": CODE})
        note(given, sums_of(inputs))

    def run(self) -> None:
        """What the jobs before say of what they made, which is what is there now."""
        results = [f"results/toy/{name}" for name in self.made]
        features = [path for path in results if "/test/images." in path]
        prepared = ("captions.json", "images.csv", "images", "raw/source.json")
        known = [f"data/toy/{name}" for name in prepared]
        self.noted("download", [], [path for path in known if Path(path).exists()])
        self.noted("fetch_model", [], ["data/models/tiny/model.json"])
        self.noted("encode_images", [*known, "data/models/tiny/model.json"], features)
        self.noted("page", features, [path for path in results if path not in features])

    def record(self, again: bool = False) -> dict:
        """Run the job, behind the others or alone; the record that it wrote."""
        if not again:
            self.run()
        results = [f"results/toy/{name}" for name in self.made]
        main(
            SimpleNamespace(
                wildcards=SimpleNamespace(dataset="toy"),
                input=results,
                output=SimpleNamespace(
                    crate="results/toy/ro-crate-metadata.json", config="results/toy/config.yaml"
                ),
                params=SimpleNamespace(settings=self.settings),
            )
        )
        return json.loads(self.crate.read_text("utf-8"))


@pytest.fixture
def recording(tmp_path, monkeypatch) -> Recording:
    monkeypatch.chdir(tmp_path)
    return Recording(tmp_path)


@pytest.fixture
def recorded(recording) -> Recording:
    """The same, recorded."""
    recording.record()
    return recording


@pytest.fixture(scope="session")
def odd_run(tmp_path_factory) -> Path:
    """A recorded run, with files whose names begin as those of data do, and Snakemake's mark."""
    folder = tmp_path_factory.mktemp("odd")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        recording = Recording(folder)
        recording.write("data/toy/images/.snakemake_timestamp", b"")
        for name in (
            "data/test/images.npy",
            "raw/test/images.npy",
            "#report.md#",
            "data/notes.txt",
        ):
            recording.write(f"results/toy/{name}", b"as it was")
        recording.record()
    return folder
