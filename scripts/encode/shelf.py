"""Texts of several jobs, encoded by the process of one of them, which has the model loaded.

Importing and loading takes seconds for each job, and a thousand short texts hardly more. So a job
that has encoded its own texts goes on with those that other jobs of the run are still to encode
with the same model, and puts them on a shelf, where these jobs find them and load nothing. Each has
its own file all the same, made by its own job. Nothing rests on it: a job that finds nothing
encodes for itself, and what lies there is named by all that features depend on.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from scripts.job import BadInput, digest_of_file, whole

if TYPE_CHECKING:
    import numpy as np

SHELF = Path(".snakemake/ahead")
WANTED = "wanted.json"
# what takes longer gains little from a model that is loaded, and may as well be done side by side
SECONDS = 60


@dataclass(frozen=True)
class Texts:
    """What one job encodes: the captions of a split under one prompt.

    Attributes
    ----------
    captions, splits, model : the files that it reads
    precision : as the config says it
    split, prompt : by name
    templates : of the prompt
    """

    captions: str
    splits: str
    model: str
    precision: str
    split: str
    prompt: str
    templates: list[str]

    @classmethod
    def of_job(cls, job: Any) -> Texts:
        """Of a job, as Snakemake knows it or as its script does."""
        given, wildcards, params = job.input, job.wildcards, job.params
        return cls(
            captions=str(given.captions),
            splits=str(given.splits),
            model=str(given.model),
            precision=params.precision,
            split=wildcards.split,
            prompt=wildcards.prompt,
            templates=list(params.templates),
        )

    def beside(self, other: Texts) -> bool:
        """Whether another job needs the same model, and reads the same captions."""
        own, its = (
            {**asdict(one), "split": 0, "prompt": 0, "templates": 0} for one in (self, other)
        )
        return own == its and self != other


def announce(jobs: Iterable[Any]) -> None:
    """Write down what the jobs of a run that is about to start are going to encode."""
    with contextlib.suppress(OSError, BadInput):
        SHELF.mkdir(parents=True, exist_ok=True)
        # what was done in an earlier run says nothing of this one
        for old in SHELF.glob("*.done"):
            old.unlink()
        with whole(SHELF / WANTED) as draft:
            draft.write_text(json.dumps([asdict(Texts.of_job(job)) for job in jobs]), "utf-8")


def clear() -> None:
    """Take away the shelf of a run that has ended well."""
    shutil.rmtree(SHELF, ignore_errors=True)


def others(own: Texts) -> list[Texts]:
    """What other jobs of the run are going to encode with the same model; maybe they have."""
    try:
        listed = json.loads((SHELF / WANTED).read_text("utf-8"))
        return [other for one in listed if (other := Texts(**one)).beside(own)]
    # of another version, or no run has started here
    except (OSError, ValueError, TypeError):
        return []


class Place:
    """Where one job's features may lie; ``with`` it, no other process makes or takes them."""

    def __init__(self, texts: Texts, **depends_on: Any) -> None:
        """``depends_on`` is what features depend on beside ``texts`` and the files it names."""
        files = [digest_of_file(name) for name in (texts.captions, texts.splits, texts.model)]
        told = json.dumps([asdict(texts), files, depends_on], sort_keys=True)
        self._path = SHELF / sha256(told.encode()).hexdigest()[:24]

    @contextlib.contextmanager
    def claimed(self, wait: bool) -> Iterator[bool]:
        """Whether the place is this process's alone; False where another has it, unless it waits.

        On a disk that knows no locks everybody has it, and some texts are encoded twice.
        """
        import fcntl

        stream: IO[bytes] | None = None
        try:
            if SHELF.is_dir():
                stream = self._path.with_suffix(".lock").open("ab")
                fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            claimed = True
        except BlockingIOError:
            claimed = False
        except OSError:
            claimed = True
        try:
            yield claimed
        finally:
            if stream:
                stream.close()

    @property
    def served(self) -> bool:
        """Whether the features lie here, or were made or taken by their own job in this run."""
        return any(self._path.with_suffix(end).exists() for end in (".npz", ".done"))

    def put(self, **arrays: np.ndarray) -> None:
        """Lay arrays down for whom they are meant."""
        import numpy as np

        with whole(self._path.with_suffix(".npz")) as draft, draft.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)

    def take(self) -> dict[str, np.ndarray] | None:
        """What lies here, or None; with that it is gone, and nobody puts it here again."""
        import numpy as np

        path = self._path.with_suffix(".npz")
        if not SHELF.is_dir():
            return None
        self._path.with_suffix(".done").touch()
        try:
            with np.load(path, allow_pickle=False) as there:
                return dict(there)
        # nothing lies here, or what a full disk left
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None
        finally:
            path.unlink(missing_ok=True)
