"""A copy of the repository that tests may change, with a finished small run in it."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import warm_python
from patience import LONG

from scripts.fingerprint import KEPT

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("Snakefile", "rules", "scripts", "config", "envs", "profiles")
PARTS += ("run", "requirements.lock", "requirements-tests.lock", "pyproject.toml")
# As the product does before it imports transformers: beside the CPU build of torch, PyPI's
# torchvision cannot be imported without the schemas that models of open_clip have defined
sys.modules.setdefault("torchvision", None)
# a shell that starts the tests in the background lets them, and all they start, ignore Ctrl-C
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def handlers_of_log_as_before():
    """A job's messages go to the streams of its own test, which are closed after it."""
    before = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = before


@pytest.fixture
def retrieval():
    """What torchmetrics has for retrieval; it imports torchvision wherever that is installed."""
    pytest.importorskip("torch")
    from scripts.models.backends.open_clip import open_torchvision

    open_torchvision()
    from torchmetrics.functional import retrieval

    return retrieval


@dataclass
class Planned:
    """What a dry run would do: jobs by rule, and rules whose own code or settings changed."""

    jobs: dict[str, int]
    changed: set[str]


class Project:
    """A working copy, and Snakemake in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def copy(self, folder: Path, made: bool = True) -> Project:
        """All of it elsewhere, time stamps kept; or without what its runs ``made``."""
        if made:
            return Project(shutil.copytree(self.folder, folder, symlinks=True))
        shutil.copytree(self.folder, folder, symlinks=True, ignore=_what_was_made)
        return _with_meanings(folder)

    def snakemake(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake as a user does; fail the test with its words unless it ends as expected."""
        done = subprocess.run(
            [warm_python.python(), "-m", "snakemake", "--cores", "2", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=LONG,
            env=os.environ | {"PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": ""},
        )
        told = f"{done.stdout}\n{done.stderr}"
        assert (done.returncode == 0) == ok, told
        return done

    def planned(self, *arguments: str) -> Planned:
        """What ``snakemake -n`` says it would do."""
        text = self.snakemake("-n", *arguments).stdout
        table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\ntotal", text, re.S)
        jobs = dict(re.findall(r"^(\w+) +(\d+)$", table[1], re.M)) if table else {}
        blocks = re.findall(r"^(?:local)?rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.S | re.M)
        changed = {rule for rule, block in blocks if "Params have changed" in block}
        return Planned({rule: int(count) for rule, count in jobs.items()}, changed)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a piece of text that must be there."""
        path = self.folder / file
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")


def _what_was_made(folder: str, names: list[str]) -> set[str]:
    there = {"data", "results", ".snakemake"} if "Snakefile" in names else set()
    return there | {"__pycache__"}


def copy_of_the_repository(folder: Path) -> Project:
    """What git tracks and a run needs, in ``folder``."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / part)
    return _with_meanings(folder)


def _with_meanings(folder: Path) -> Project:
    """A copy that knows what scripts mean as all others do: it takes a second to find out."""
    (ROOT / KEPT).mkdir(parents=True, exist_ok=True)
    (folder / KEPT).parent.mkdir()
    (folder / KEPT).symlink_to(ROOT / KEPT)
    return Project(folder)


@pytest.fixture
def fresh(tmp_path) -> Project:
    """The repository as cloned, nothing run."""
    return copy_of_the_repository(tmp_path / "clone")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Project:
    """The demo at small scale, run to its report; to be copied, not touched.

    Tests that run side by side, each with a part of them, share one where SHARED_RUNS names a
    folder: the first to come makes it, the others wait for it. What it said stands beside it.
    """
    shared = os.environ.get("SHARED_RUNS")
    folder = Path(shared) if shared else tmp_path_factory.mktemp("finished")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            shutil.rmtree(folder / "clone", ignore_errors=True)
            project = copy_of_the_repository(folder / "clone")
            for config in ("small.yaml", "few.yaml"):
                shutil.copy(ROOT / "tests" / config, project.folder / "config")
            done = project.snakemake("--configfile", "config/small.yaml")
            (folder / "done").write_text(done.stderr, "utf-8")
    return Project(folder / "clone")


@pytest.fixture
def finished(finished_run, tmp_path) -> Project:
    """A copy of the finished small run for one test to spoil."""
    return finished_run.copy(tmp_path / "clone")
