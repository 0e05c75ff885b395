"""Break real runs of the workflow, and hold what comes out in the end against an undisturbed run.

The run is small, but every kind of step is in it: drawing, preparing, training, encoding in shards,
ranking, measuring. Whatever is done to it, the same command again must end in the same bytes.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import warm_python
from patience import LONG

ROOT = Path(__file__).parent.parent.parent
PARTS = ("Snakefile", "rules", "scripts", "config", "envs", "profiles")
RUN = "results/scenes"
CONFIG = {
    "run": {
        "dataset": "scenes",
        "models": ["clip-tiny"],
        "prompts": ["plain"],
        "scorers": ["cosine"],
        "studies": ["gallery"],
    },
    "datasets": {
        "scenes": {"source": "scenes", "images": {"train": 32, "val": 8, "test": 16}, "size": 48}
    },
    "models": {
        "clip-tiny": {
            "source": "train",
            "dataset": "scenes",
            "epochs": 1,
            "batch_size": 16,
            "image_size": 48,
            "width": 32,
            "layers": 1,
            "heads": 2,
            "embedding_dim": 16,
        }
    },
    "encode": {"device": "cpu", "threads": 1, "batch_size": 8, "shard_size": 16},
    "statistics": {"resamples": 100, "flips": 100},
}
# all tables, and what Snakemake would leave missing where a table stands already
TARGETS = ["tables", "data/scenes/captions.json", "data/scenes/splits.json"]
TARGETS += ["data/models/clip-tiny/model.json", f"{RUN}/clip-tiny/test/images.npy"]
TARGETS += [f"{RUN}/clip-tiny/test/texts.plain.npy"]
TARGETS += [f"{RUN}/clip-tiny/plain/cosine/{file}" for file in ("rankings.npz", "metrics.json")]
# what is compared byte for byte: all but run times, logs, and what tells them on
# tables whose numbers are times
TIMED = ("costs.csv", "steps.csv")
RESULTS = ("data/*/*.json", "data/*/*.csv", "data/*/images/**/*", "data/models/*/*")
RESULTS += ("results/*/audit.json", "results/*/**/*.npy", "results/*/**/*.npz")
RESULTS += ("results/*/**/metrics.json", "results/*/*/test/*.json", "results/*/tables/*")


class Victim:
    """A working copy, and runs in it that may be killed.

    Parameters
    ----------
    folder : made where it is not there yet
    config : laid over ``CONFIG``
    """

    def __init__(self, folder: Path, config: dict | None = None) -> None:
        self.folder = folder
        if not (folder / "Snakefile").exists():
            for part in PARTS:
                if (ROOT / part).is_dir():
                    skipped = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(ROOT / part, folder / part, ignore=skipped)
                else:
                    folder.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / part, folder / part)
            config = config or {}
            merged = config | {key: CONFIG[key] | config.get(key, {}) for key in CONFIG}
            (folder / "faults.yaml").write_text(json.dumps(merged), "utf-8")

    def copy(self, folder: Path) -> Victim:
        """All of it elsewhere, time stamps kept."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Victim(folder)

    def arguments(self, *arguments: str, cores: int = 2) -> list[str]:
        """Those of Snakemake."""
        targets = [a for a in arguments if not a.startswith("-")] or TARGETS
        options = [a for a in arguments if a.startswith("-")]
        fixed = ["--cores", str(cores), "--configfile", "faults.yaml"]
        return [*targets, *fixed, *options]

    def start(
        self,
        *arguments: str,
        before: tuple[str, ...] = (),
        cores: int = 2,
        disturbed: bool = True,
    ) -> Begun:
        """Begin a run in a session of its own, what it says going to a file.

        One that is ``disturbed``, by signals or by what stands ``before`` it, is a process like any
        other, and so are its jobs but for those that import torch: they take the time that they
        take elsewhere, in which they may be killed.
        """
        # what is changed before is so for jobs, too
        python = sys.executable if before else warm_python.python()
        command, warm = [python, "-m", "snakemake"], {}
        if before or disturbed:
            command = [*before, sys.executable, "-c", warm_python.SNAKEMAKE, python]
            warm = {"WARM": "torch"}
        told = self.folder / "told.txt"
        number = 0
        while told.exists():
            number += 1
            told = self.folder / f"told.{number}.txt"
        logs = set(self.folder.glob(".snakemake/log/*.log"))
        with told.open("wb") as stream:
            process = subprocess.Popen(
                [*command, *self.arguments(*arguments, cores=cores)],
                cwd=self.folder,
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": ""} | warm,
            )
        return Begun(process, told, logs)

    def finish(self, *arguments: str, **how) -> str:
        """The same command once more, undisturbed: it must need nothing else, and leave nothing."""
        told = self.start(*arguments, disturbed=False, **how).wait(0)
        assert not self.left_over(), self.left_over()
        return told

    def fail(self, *arguments: str, **how) -> str:
        """A run that must end in words: what it said."""
        told = self.start(*arguments, disturbed=False, **how).wait(1)
        check_words(told)
        return told

    def left_over(self) -> list[str]:
        """Drafts, locks, and processes that are still at work here."""
        drafts = [p for part in ("data", "results") for p in (self.folder / part).rglob("*.draft*")]
        locks = list((self.folder / ".snakemake/locks").glob("*"))
        return [*map(str, [*drafts, *locks, *self.incomplete()]), *map(str, self.processes())]

    def incomplete(self) -> list[Path]:
        """Files that Snakemake holds to be half made; a mark without its file means nothing."""
        noted = self.folder / ".snakemake/incomplete"
        marks = ["".join(p.relative_to(noted).parts) for p in noted.rglob("*") if p.is_file()]
        names = [base64.urlsafe_b64decode(mark.replace("@", "")).decode() for mark in marks]
        return [self.folder / name for name in names if (self.folder / name).exists()]

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if Path(process.cwd()) == self.folder and process.status() != "zombie":
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def jobs(self) -> list[tuple[psutil.Process, str]]:
        """Scripts of rules that are at work, and the rules."""
        found = []
        for process in self.processes():
            try:
                words = process.cmdline()
            except psutil.Error:
                continue
            script = re.search(r"\.snakemake/scripts/tmp\w+\.(\w+)\.py$", " ".join(words))
            if script and "python" in Path(words[0]).name:
                found.append((process, script[1]))
        return found

    def outcome(self) -> dict[str, bytes]:
        """What the run is about, by path."""
        paths = {p for pattern in RESULTS for p in self.folder.glob(pattern) if p.is_file()}
        named = {str(path.relative_to(self.folder)): path for path in sorted(paths)}
        return {n: path.read_bytes() for n, path in named.items() if not n.endswith(TIMED)}

    def end(self) -> None:
        """Kill whatever is still at work here."""
        for process in self.processes():
            try:
                process.kill()
            except psutil.Error:
                continue


class Begun:
    """A run that was begun, and what it says."""

    def __init__(self, process: subprocess.Popen, file: Path, before: set[Path]) -> None:
        self.process, self._file, self._before = process, file, before

    @property
    def told(self) -> str:
        return self._file.read_text("utf-8", "replace")

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def started_jobs(self) -> int:
        """Jobs that it began, by Snakemake's own log."""
        logs = self._file.parent.glob(".snakemake/log/*.log")
        told = [log.read_text("utf-8") for log in logs if log not in self._before]
        return len(re.findall(r"^(?:local)?(?:rule|checkpoint) \w+:$", "".join(told), re.M))

    def kill(self, whole_group: bool = False) -> None:
        """``kill -9`` of Snakemake, or of it and of all that it started."""
        if whole_group:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()

    def wait(self, code: int, seconds: float = LONG) -> str:
        """Let it end by itself, with this exit status; what it said."""
        self.process.wait(seconds)
        assert self.process.returncode == code, self.told
        return self.told


def check_words(told: str) -> None:
    """A message that says what to do, and no traceback."""
    assert "to do:" in told, told
    for word in ("Traceback (most recent call last)", "unexpected, please report", "Logging error"):
        assert word not in told, told


def assert_same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """Every file is there, and holds the same."""
    assert set(found) == set(expected), set(found) ^ set(expected)
    others = [name for name in expected if found[name] != expected[name]]
    assert not others, others


def wait_until(condition, seconds: float = LONG) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
