"""What several jobs encode, by the process of one of them, which has the model loaded.

Importing and loading takes seconds for each job, and a thousand short texts hardly more. So a job
that has the model loaded goes on with what other jobs of the run are still to encode with it, and
puts it on a shelf, where these jobs find it and load nothing. Each has its own file all the same,
made by its own job. Nothing rests on it: a job that finds nothing encodes for itself, and what lies
there is named by all that features depend on.
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
from typing import IO, TYPE_CHECKING, Any, Literal

from scripts.job import BadInput, digest_of_file, whole

if TYPE_CHECKING:
    import numpy as np

SHELF = Path(".snakemake/ahead")
WANTED = "wanted.json"
# what a job that encodes reads, and what it is told
FILES = ("captions", "splits", "model", "images", "table")
SETTINGS = ("precision", "device", "batch_size", "shard_size", "code", "templates")
# what jobs have in common that may encode for each other
COMMON = ("captions", "splits", "model", "precision", "device", "batch_size")


@dataclass(frozen=True)
class Wanted:
    """What one job encodes: the images of a split, or its captions under one prompt.

    Attributes
    ----------
    side : which of the two
    split, prompt, shard : by name; None where there is none
    files : those of ``FILES`` that it reads
    settings : those of ``SETTINGS`` that it has, as the config says them
    alone : whether it has all cores to itself, so that nothing else could go on beside it
    """

    side: Literal["images", "texts"]
    split: str
    prompt: str | None
    shard: str | None
    files: dict[str, str]
    settings: dict[str, Any]
    alone: bool = False

    @classmethod
    def of_job(cls, job: Any, alone: bool = False) -> Wanted:
        """Of a job, as Snakemake knows it or as its script does."""
        templates = getattr(job.params, "templates", None)
        return cls(
            side="images" if templates is None else "texts",
            split=job.wildcards.split,
            prompt=None if templates is None else job.wildcards.prompt,
            shard=getattr(job.wildcards, "shard", None),
            files=_files_of(job),
            settings=_settings_of(job),
            alone=alone,
        )


def _files_of(job: Any) -> dict[str, str]:
    return {name: str(getattr(job.input, name)) for name in FILES if hasattr(job.input, name)}


def _settings_of(job: Any) -> dict[str, Any]:
    found = {name: getattr(job.params, name) for name in SETTINGS if hasattr(job.params, name)}
    return found | ({"templates": list(found["templates"])} if "templates" in found else {})


def announce(jobs: Iterable[Any], cores: float) -> None:
    """Write down what the jobs of a run that is about to start, on so many cores, will encode."""
    with contextlib.suppress(OSError, BadInput):
        SHELF.mkdir(parents=True, exist_ok=True)
        # what was done in an earlier run says nothing of this one
        for old in SHELF.glob("*.done"):
            old.unlink()
        listed = [asdict(Wanted.of_job(job, alone=2 * job.threads > cores)) for job in jobs]
        with whole(SHELF / WANTED) as draft:
            draft.write_text(json.dumps(listed), "utf-8")


def clear() -> None:
    """Take away the shelf of a run that has ended well."""
    shutil.rmtree(SHELF, ignore_errors=True)


def wanted_like(job: Any) -> list[Wanted]:
    """What jobs of the run encode with the model of ``job``, computing as it does.

    Maybe they have, or it lies there for them.
    """
    own = {**_files_of(job), **_settings_of(job)}
    try:
        listed = [Wanted(**one) for one in json.loads((SHELF / WANTED).read_text("utf-8"))]
        return [
            one
            for one in listed
            if all((one.files | one.settings)[name] == own[name] for name in COMMON)
        ]
    # of another version, or no run has started here
    except (OSError, ValueError, TypeError, KeyError):
        return []


class Place:
    """Where one job's features may lie; ``with`` it, no other process makes or takes them."""

    def __init__(self, wanted: Wanted, precision: str) -> None:
        """``precision`` is what ``wanted`` is encoded in, which its settings may leave open."""
        told = {**asdict(wanted), "alone": None, "precision": precision}
        sums = [digest_of_file(path) for name, path in wanted.files.items() if name != "images"]
        named = json.dumps([told, sums], sort_keys=True)
        self._path = SHELF / sha256(named.encode()).hexdigest()[:24]

    @contextlib.contextmanager
    def claimed(self, wait: bool) -> Iterator[bool]:
        """Whether the place is this process's alone; False where another has it, unless it waits.

        On a disk that knows no locks everybody has it, and some things are encoded twice.
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
