"""Feed a bad input to the workflow's own steps and judge how they end.

A case ends rightly in one of two ways. It is *used*: every image that came through decodes and has
the colour that its own caption names, and what did not come through stands in the audit with its
reason. Or it is *told*: the job ends in one message that says what was found, what was expected
and what to do. A traceback, a hang, a large memory or a wrong pairing fails the test.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from scripts import jobs
from scripts.data import download, judgments, prepare_images, split
from scripts.job import BadInput, read_json

SECONDS = 120  # for one case: what takes as long hangs, however busy the machine is
MEGABYTES = 1500  # of memory beyond what stood there before
COLOURS = {
    "red": (224, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 224), "yellow": (224, 224, 0),
    "purple": (160, 0, 160), "orange": (255, 128, 0), "grey": (128, 128, 128),
    "pink": (255, 160, 200), "brown": (120, 60, 20), "white": (255, 255, 255), "black": (0, 0, 0),
}  # fmt: skip
SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}
SPLIT = {
    "seed": 0,
    "shares": SHARES,
    "learns": True,
    "searched": False,
    "told": None,
    "max_lost": 0.05,
}
# three that are right, so that each split has an image whatever becomes of the bad one
GOOD = {"good 1.png": "red", "good 2.png": "green", "good 3.png": "blue"}
SPLITS = dict(zip(("train", "val", "test"), ([name] for name in GOOD), strict=True))


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes
    ----------
    name : what is wrong with it
    make : puts it where the test says
    told : what the audit or the message must say of it, a regular expression; "" where it is used
    """

    name: str
    make: Any
    told: str = ""


def ids(cases: list[Case]):
    """Parametrise a test with these cases, one id for each."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases of one name"
    return pytest.mark.parametrize("case", cases, ids=names)


def picture(colour: str, size: tuple[int, int] = (12, 8)) -> Image.Image:
    """The colour on the left and black on the right, so that a turn shows."""
    image = Image.new("RGB", size, "black")
    image.paste(COLOURS[colour], (0, 0, max(size[0] // 2, 1), size[1]))
    return image


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def colour_of(image: Image.Image) -> str:
    """Name of the colour in the middle of the left half."""
    pixel = image.convert("RGB").getpixel((image.width // 4, image.height // 2))
    distance = {name: sum((a - b) ** 2 for a, b in zip(pixel, value, strict=True))
                for name, value in COLOURS.items()}  # fmt: skip
    return min(distance, key=distance.__getitem__)


@contextlib.contextmanager
def within_limits(seconds: int = SECONDS, megabytes: int = MEGABYTES) -> Iterator[None]:
    """Fail where the block takes longer, or more memory, than this."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"a hang: more than {seconds} s")

    before = _memory(reset=True)
    old = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    assert _memory() - before < megabytes, f"{_memory() - before} MB of memory"


def _memory(reset: bool = False) -> int:
    """Peak resident memory in MB since the last reset, where the system tells it, or else 0."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text("utf-8")
    except OSError:
        return 0
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024


def check_message(text: str) -> None:
    """A message that a person can act on, and nothing that only a programmer can read."""
    for word in ("Traceback", "unexpected", "Logging error"):
        assert word not in text, text
    for part in ("found:", "expected:", "to do:"):
        assert text.count(part) == 1, text
    printable = text.encode("utf-8").decode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", printable), repr(text)
    assert len(text) < 8000, len(text)


@dataclass
class Ended:
    """How the steps ended: ``message`` where one was told, or else what came out."""

    message: str = ""
    captions: dict[str, list[str]] = field(default_factory=dict)
    splits: dict[str, list[str]] = field(default_factory=dict)
    ratings: list[str] = field(default_factory=list)
    audit: dict[str, Any] = field(default_factory=dict)


class Files(list):
    """Files by name, as Snakemake hands them to a script."""

    def __init__(self, **files: str) -> None:
        super().__init__(files.values())
        self.__dict__.update(files)


class Steps:
    """The workflow's steps on one dataset, each run as its rule runs it."""

    def __init__(self, folder: Path, capfd) -> None:
        self.folder, self._capfd = folder, capfd
        self._data = folder / "data/set"

    def step(self, main: Callable, inputs: dict, outputs: dict, **params: Any) -> str:
        """Run one job; what it told where it failed, else ""."""
        name = main.__module__.rsplit(".", 1)[-1]
        log = self.folder / f"results/logs/{name}.log"
        snakemake = SimpleNamespace(
            rule=name, wildcards=["set"], log=[str(log)], threads=2,
            input=Files(**inputs), output=Files(**outputs),
            params=SimpleNamespace(**params),
        )  # fmt: skip
        self._capfd.readouterr()
        try:
            with within_limits():
                jobs.run(main, snakemake)
        except SystemExit as end:
            assert end.code == 1
            told = log.read_text("utf-8")
            shown = self._capfd.readouterr().err
            assert "Traceback" not in shown and "Logging error" not in shown, shown
            message = told[told.index("ERROR") :]
            check_message(message)
            return message
        shown = self._capfd.readouterr().err
        assert "Traceback" not in shown and "Logging error" not in shown, shown
        return ""

    def all(self, entry: dict[str, Any]) -> Ended:
        """Download, prepare, split and judgments of an entry of the config, until one fails."""
        data = self._data
        manifest = {"manifest": str(data / "raw/source.json")}
        made = {
            "images": str(data / "images"), "captions": str(data / "captions.json"),
            "table": str(data / "images.csv"), "audit": str(self.folder / "results/audit.json"),
        }  # fmt: skip
        splits = {"splits": str(data / "splits.json")}
        told = (
            self.step(download.main, {}, manifest, entry=entry)
            or self.step(
                prepare_images.main, manifest, made,
                max_lost=0.9, max_pixels=100_000_000, max_aspect=50,
            )
            or self.step(
                split.main, {"table": made["table"]}, splits,
                **SPLIT, whole=entry["source"] == "flickr8k",
            )
            or self.step(
                judgments.main, manifest | splits | {"captions": made["captions"]},
                {"judgments": str(data / "judgments.csv")}, entry=entry,
            )
        )  # fmt: skip
        if told:
            return Ended(message=told)
        records = read_json(made["captions"])
        ended = Ended(
            captions={record["image"]: record["captions"] for record in records},
            splits=read_json(splits["splits"]),
            ratings=(data / "judgments.csv").read_text("utf-8").splitlines()[1:],
            audit=read_json(made["audit"]),
        )
        self.check_pairing(ended)
        return ended

    def check_pairing(self, ended: Ended) -> None:
        """Every image is upright, in RGB or grey, and of the colour that all its captions name."""
        audit, folder = ended.audit, self._data / "images"
        there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert there == set(ended.captions)
        for name, captions in ended.captions.items():
            with Image.open(folder / name) as image:
                assert image.mode in ("RGB", "L") and getattr(image, "n_frames", 1) == 1
                named = {caption.split()[1] for caption in captions}
                assert named == {colour_of(image)}, name
        assert audit["images"]["used"] == len(there)
        assert audit["captions"]["used"] == sum(map(len, ended.captions.values()))
        placed = [image for images in ended.splits.values() for image in images]
        assert len(placed) == len(set(placed)) and set(placed) <= there

    def folder_of_ones_own(
        self, images: dict[str, bytes], colours: dict[str, str], **files: Any
    ) -> dict[str, Any]:
        """Write images with a caption each that names its colour; the entry of the config.

        ``files`` replaces ``captions`` or ``splits``, by bytes, or by what JSON is to hold.
        """
        mine = self.folder / "mine"
        pictures = {name: saved(picture(colour)) for name, colour in GOOD.items()}
        colours = GOOD | colours
        for name, content in (pictures | images).items():
            path = mine / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        captions = [{"image": n, "captions": [f"a {c} thing"]} for n, c in colours.items()]
        rest = [name for name in colours if name not in GOOD]
        splits = SPLITS | {"train": [*SPLITS["train"], *rest]}
        for stem, value in ({"captions": captions, "splits": splits} | files).items():
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            (mine / f"{stem}.json").write_bytes(content)
        return {"source": "folder", "location": str(mine)}


def assert_told(ended: Ended, told: str) -> None:
    """The message says so."""
    assert ended.message, "nothing was told"
    assert re.search(told, ended.message, re.S), ended.message


def assert_used_or_set_aside(ended: Ended, image: str, told: str) -> None:
    """Where ``told`` is "", the image came through; else the audit gives that as its reason."""
    assert not ended.message, ended.message
    entries = [entry for entry in ended.audit["set_aside"] if entry["item"] == image]
    extra = len(ended.captions) - len(GOOD)
    if not told:
        assert (entries, extra) == ([], 1)
        return
    assert extra == 0 and len(entries) == 1, ended.audit
    assert re.search(told, f"{entries[0]['reason']}: {entries[0]['detail']}"), entries


def told_by(call: Callable[[], Any]) -> str:
    """What a function tells where it refuses its input, "" where it takes it."""
    try:
        with within_limits():
            call()
    except BadInput as error:
        check_message(f"ERROR in {error}")
        return str(error)
    return ""
