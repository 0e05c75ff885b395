"""What jobs say to the screen of their run: lines of JSON, each job's in a file of its own."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from typing import Any, TypeVar

# environment variable that names the folder of these files while the screen of a run reads them
SCREEN = "CLIP_RETRIEVAL_SCREEN"
EVERY = 0.5  # seconds between two words of progress

Item = TypeVar("Item")


class Mailbox(logging.Handler):
    """A job's way to the screen, which takes the log's warnings and errors, and progress.

    Parameters
    ----------
    folder : of all mailboxes of the run
    step : by which the screen knows the job, see ``step_of``
    """

    def __init__(self, folder: Path, step: str) -> None:
        super().__init__(logging.WARNING)
        self._step = step
        name = f"{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self._file = os.open(folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        # what the screen cannot be told, such as on a full disk, is said where it always was
        self._stderr = os.dup(2)

    def emit(self, record: logging.LogRecord) -> None:
        said = self.format(record)
        try:
            self._tell(said=said, level=record.levelno)
        except OSError:
            os.write(self._stderr, f"{said}\n".encode())

    def counted(
        self, items: Iterable[Item], what: str, total: int | None, unit: str, scale: float
    ) -> Iterator[Item]:
        """Pass ``items`` on and tell how many have been, each as ``scale`` units."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        told, count = -EVERY, 0
        for item in items:
            if time.monotonic() - told >= EVERY:
                told = time.monotonic()
                self._count(count, what, total, unit, scale)
            yield item
            count += 1
        self._count(count, what, total, unit, scale)

    def _count(self, count: int, what: str, total: int | None, unit: str, scale: float) -> None:
        whole = None if total is None else round(total * scale)
        # a bar that cannot be drawn stops no work
        with contextlib.suppress(OSError):
            self._tell(done=round(count * scale), total=whole, what=what, unit=unit)

    def _tell(self, **word: Any) -> None:
        line = json.dumps({"step": self._step, **word}, ensure_ascii=False) + "\n"
        os.write(self._file, line.encode("utf-8", "backslashreplace"))


# that of the job which this process is
box: Mailbox | None = None


def of_job(step: str) -> Mailbox | None:
    """The mailbox of the job that this process is from now on; None where no screen listens."""
    global box
    folder = os.environ.get(SCREEN)
    # a node of a cluster may not have it
    try:
        box = Mailbox(Path(folder), step) if folder else None
    except OSError:
        box = None
    return box


def step_of(rule: str, wildcards: Iterable[object]) -> str:
    """What a job is called in its messages: its rule, and the values of its wildcards."""
    return f"{rule} {'.'.join(map(str, wildcards))}".strip()


class Letters:
    """What came into the mailboxes of a folder since it was looked at last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}
        self._of: dict[str, set[str]] = {}

    def new(self) -> Iterator[dict[str, Any]]:
        try:
            files = [(one.path, one.stat().st_size) for one in os.scandir(self._folder)]
        except OSError:
            return
        for path, size in files:
            start = self._read.get(path, 0)
            if not path.endswith(".jsonl") or size <= start:
                continue
            with Path(path).open("rb") as stream:
                stream.seek(start)
                # a line that is being written is read next time
                lines = stream.read().rpartition(b"\n")[0]
            self._read[path] = start + len(lines) + bool(lines)
            for line in lines.splitlines():
                if word := _word_in(line):
                    self._of.setdefault(word["step"], set()).add(path)
                    yield word

    def forget(self, step: str) -> None:
        """Remove what a step has said, which ended: of many steps, few are at work."""
        for path in self._of.pop(step, ()):
            self._read.pop(path, None)
            Path(path).unlink(missing_ok=True)


def _word_in(line: bytes) -> dict[str, Any] | None:
    try:
        word = json.loads(line)
    except ValueError:
        return None
    return word if isinstance(word, dict) and "step" in word else None
