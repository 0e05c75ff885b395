"""What each job says of itself when it has ended well: what it read and made, and at what cost.

A record stands in results/jobs under the name of each file or folder that the job made. The next
step holds its inputs against it; the table of steps and the record of a run follow it back, from
what was made to what that was made of. So nobody else has to know which jobs a run has.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.job import BadInput, Snakemake, digest_of_file, whole

FOLDER = Path("results/jobs")
# what Python itself took until here is time of the job, too
BEGAN = time.perf_counter() - time.process_time()
# whose versions may show in what a job makes
LIBRARIES = (
    *("numpy", "scipy", "sklearn", "pandas", "torch", "transformers", "tokenizers", "faiss"),
    *("PIL", "matplotlib", "jinja2", "typst", "pyarrow", "safetensors"),
)


@dataclass(frozen=True)
class Job:
    """One job that ended well.

    Attributes
    ----------
    rule, wildcards : which it was
    inputs, outputs : path -> sha256 of the file; None for a folder
    code : fingerprint of its script and of what that imports
    seconds, cpu_seconds : from the start of its Python to the end of its work; of all its threads
    max_rss_mb : largest memory of its process (2**20 bytes)
    device : "cuda" where it computed on a GPU, else "cpu"
    versions : of Python and of the libraries that it loaded
    """

    rule: str
    wildcards: dict[str, str]
    inputs: dict[str, str | None]
    outputs: dict[str, str | None]
    code: str
    seconds: float
    cpu_seconds: float
    max_rss_mb: float | None
    device: str
    versions: dict[str, str]


def sums_of(paths: Iterable[str]) -> dict[str, str | None]:
    """Path -> sha256, None for what is no file."""
    return {
        str(path): digest_of_file(path) if Path(path).is_file() else None
        for path in dict.fromkeys(paths)
    }


def checked(inputs: Iterable[str]) -> dict[str, str | None]:
    """The sums of what a step is about to read.

    Raises ``BadInput`` where files are not as the workflow made them, naming each. What it did not
    make may hold anything.
    """
    found = sums_of(inputs)
    changed = [path for path, sum_ in found.items() if _is_other(path, sum_)]
    if changed:
        raise BadInput(
            ", ".join(changed),
            "changed after the workflow made it",
            "as it was made",
            f"delete {' and '.join(changed)} and run again: the workflow makes it anew",
        )
    return found


def _is_other(path: str, found: str | None) -> bool:
    job = job_behind(path)
    made = job and job.outputs.get(path)
    return bool(found and made and found != made)


def note(snakemake: Snakemake, inputs: dict[str, str | None]) -> None:
    """Leave the record of the job that ends here, whose ``inputs`` had these sums."""
    # relative to Snakemake's working directory, as all that rules make
    made = sums_of(path for path in snakemake.output if not Path(path).is_absolute())
    if not made:
        return
    seconds = time.perf_counter() - BEGAN
    memory, cpu = _used()
    job = Job(
        rule=snakemake.rule,
        wildcards={name: str(value) for name, value in snakemake.wildcards.items()},
        inputs=inputs,
        outputs=made,
        code=snakemake.params.get("code", ""),
        seconds=round(seconds, 2),
        cpu_seconds=round(cpu, 2),
        max_rss_mb=memory,
        device=_device(),
        versions=_versions(),
    )
    for path in made:
        with whole(_place(path)) as draft:
            draft.write_text(json.dumps(asdict(job), ensure_ascii=False, indent=1), "utf-8")


def job_behind(path: str | Path) -> Job | None:
    """The job that made a file or folder; None for what the workflow did not make."""
    try:
        return Job(**json.loads(_place(path).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def jobs_behind(paths: Iterable[str]) -> Iterator[Job]:
    """Every job that ``paths`` and what they were made of come from, each once, makers first.

    Raises ``BadInput`` for one of ``paths`` of which no job has left word.
    """
    paths = [str(path) for path in paths]
    for path in paths:
        if job_behind(path) is None:
            todo = f"delete {path} and run again: the workflow makes it anew"
            raise BadInput(path, "no word of the job that made it", str(_place(path)), todo)
    given: set[tuple[str, ...]] = set()
    seen: set[str] = set()
    # a path to look at, or a job whose inputs have been looked at
    waiting: list[str | Job] = [*reversed(paths)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Job):
            if (key := (one.rule, *one.wildcards.values())) not in given:
                given.add(key)
                yield one
        elif one not in seen:
            seen.add(one)
            if job := job_behind(one):
                waiting += [job, *reversed(job.inputs)]


def _place(path: str | Path) -> Path:
    return FOLDER / f"{path}.json"


def _used() -> tuple[float | None, float]:
    """Memory of this process in MB, and CPU seconds of it and of what it started."""
    try:
        import resource
    except ImportError:  # no such notes on Windows
        return None, time.process_time()
    own, started = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = sum(one.ru_utime + one.ru_stime for one in (own, started))
    unit = 2**20 if sys.platform == "darwin" else 2**10
    memory = own.ru_maxrss / unit
    with suppress(OSError, StopIteration):
        # on Linux, the number above counts what the process was before it became Python, too
        lines = Path("/proc/self/status").read_text().splitlines()
        memory = int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**10
    return round(memory, 2), cpu


def _device() -> str:
    torch = sys.modules.get("torch")
    return "cuda" if torch and torch.cuda.is_initialized() else "cpu"


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in LIBRARIES:
        with suppress(KeyError):
            found[name] = str(vars(sys.modules[name])["__version__"])
    return found
