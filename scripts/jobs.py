"""A job, from its start to what it says of itself when it has ended well.

A record stands in results/jobs under the name of each file or folder that the job made. The next
step holds its inputs against it; the table of steps and the record of a run follow it back, from
what was made to what that was made of. So nobody else has to know which jobs a run has.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from scripts import bundles, mailbox
from scripts.job import REFUSED_BY_THE_DISK, BadInput, digest_of_file, log, whole

FOLDER = Path(bundles.FOLDER)
# numbers of the one job of this process
_measured: dict[str, float] = {}
# what Python itself took until here is time of the job, too
BEGAN = time.perf_counter() - time.process_time()
# whose versions may show in what a job makes
LIBRARIES = (
    *("numpy", "scipy", "sklearn", "pandas", "torch", "transformers", "tokenizers", "faiss"),
    *("PIL", "matplotlib", "jinja2", "typst", "pyarrow", "safetensors", "snakemake"),
)


class Named(Protocol):
    """What a rule names of one kind: a value, or a list of them, by its name or in its order."""

    def __getattr__(self, name: str) -> Any: ...
    def __getitem__(self, key: int | str) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def get(self, name: str, default: Any = None) -> Any: ...
    def items(self) -> Iterable[tuple[str, Any]]: ...


class Snakemake(Protocol):
    """What scripts use of the object that Snakemake hands them.

    Its ``config`` is not among it: what a script depends on comes in its params, one by one.
    """

    rule: str
    input: Named
    output: Named
    params: Named
    wildcards: Named
    log: Named
    threads: int


class LogFile(logging.FileHandler):
    """A log that the disk may be too full for, which the step then says itself."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, logging's own name
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def run(main: Callable[[Snakemake], None], snakemake: Snakemake) -> None:
    """Run a rule's ``main``, with its messages in the rule's log file.

    On the screen are those at INFO as well; where a screen of its run reads the job's mailbox, that
    gets warnings and errors alone, and what libraries say goes to the log file.

    A ``BadInput`` ends in its message alone and exit status 1; anything else is a bug of ours and
    keeps its traceback. Snakemake itself redirects nothing into ``log:``.

    Whatever the rule, its inputs must be as the steps before made them: a table that lost its end
    is still a table, and features under another's name are still features.
    """
    name = mailbox.step_of(snakemake.rule, snakemake.wildcards)
    box = mailbox.of_job(name)
    handlers: list[logging.Handler] = [box or logging.StreamHandler(sys.stderr)]
    if box:
        box.addFilter(logging.Filter(log.name))
    else:
        handlers[0].setLevel(logging.INFO)  # lists by the thousand go to the file alone
    if snakemake.log:
        with suppress(OSError):
            Path(str(snakemake.log[0])).parent.mkdir(parents=True, exist_ok=True)
            file = LogFile(str(snakemake.log[0]), mode="w", encoding="utf-8")
            handlers.append(file)
            if box and file.stream:
                for descriptor in (1, 2):
                    os.dup2(file.stream.fileno(), descriptor)
    logging.basicConfig(handlers=handlers, force=True, format=f"[{name}] %(message)s")
    log.setLevel(logging.DEBUG)
    for chatty in (
        "httpx",
        "httpx2",
        "httpcore2",
        "urllib3",
        "matplotlib",
        "fontTools",
        "filelock",
    ):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        snakemake = bundles.opened(snakemake)
        inputs = checked(snakemake.input)
        main(snakemake)
        note(snakemake, inputs)
    except BadInput as error:
        log.error("ERROR in %s", error)
        raise SystemExit(1) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in REFUSED_BY_THE_DISK:
            todo = "free space or allow writing there, then run again"
            log.error("ERROR: %s\n  to do:    %s", error, todo)
        else:
            log.error("ERROR: unexpected, please report it\n%s", traceback.format_exc())
        raise SystemExit(1) from None


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
    device : "cuda:1" where it computed on this one of the GPUs that it saw, else "cpu"
    versions : of Python and of the libraries that it loaded
    machine : its processor, cores, memory_gb and system, and gpu where it computed on one
    measured : what the job measured of itself, see ``measured``
    seen : see ``scripts.provenance.seen``; nothing where all is on one disk and can be looked at
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
    # those that an earlier version left do not say it
    machine: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)


def measured(**numbers: float) -> None:
    """Put numbers about this job's work into its record, and into no file that it makes."""
    _measured.update(numbers)


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
        machine=_machine(),
        measured=_measured,
        seen=_seen(made) if bundles.in_use() else {},
    )
    for path in made:
        with whole(_place(path)) as draft:
            draft.write_text(json.dumps(asdict(job), ensure_ascii=False, indent=1), "utf-8")
    if bundles.in_use():
        for path in made:
            besides = [*bundles.beside(path), *bundles.own_beside(path)]
            bundles.pack(bundles.bundle_of(path), [*_records_behind(path), *besides])


def _seen(made: Iterable[str]) -> dict[str, dict[str, Any]]:
    # named, not imported: it makes nothing, and would be in each rule's fingerprint
    found: dict[str, dict[str, Any]] = import_module("scripts.provenance.seen").look_at(made)
    return found


def job_behind(path: str | Path, records: Path = FOLDER) -> Job | None:
    """The job that made a file or folder; None for what the workflow did not make."""
    try:
        return Job(**json.loads(_place(path, records).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def jobs_behind(paths: Iterable[str], records: Path = FOLDER) -> Iterator[Job]:
    """Every job that ``paths`` and what they were made of come from, each once, makers first.

    Parameters
    ----------
    paths : from Snakemake's working directory on, as the records have them
    records : where those are, of results that were moved, too

    Raises ``BadInput`` for one of ``paths`` of which no job has left word.
    """
    paths = [str(path) for path in paths]
    for path in paths:
        if job_behind(path, records) is None:
            todo = f"delete {path} and run again: the workflow makes it anew"
            expected = str(_place(path, records))
            raise BadInput(path, "no word of the job that made it", expected, todo)
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
            if job := job_behind(one, records):
                waiting += [job, *reversed(job.inputs)]


def _records_behind(path: str) -> Iterator[Path]:
    """Where the records are of all that ``path`` was made of, and its own."""
    seen: set[str] = set()
    waiting = [path]
    while waiting:
        one = waiting.pop()
        if one not in seen and (job := job_behind(one)):
            yield _place(one)
            waiting += job.inputs
        seen.add(one)


def _place(path: str | Path, records: Path = FOLDER) -> Path:
    return records / f"{path}.json"


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
    gpu = _gpu()
    return "cpu" if gpu is None else f"cuda:{gpu}"


def _gpu() -> int | None:
    """The GPU that this process computed on, of those that it saw: where it had memory."""
    torch = sys.modules.get("torch")
    if not (torch and torch.cuda.is_initialized()):
        return None
    return max(range(torch.cuda.device_count()), key=torch.cuda.max_memory_allocated)


def _machine() -> dict[str, Any]:
    """What a reader needs to know of a machine to read times; nothing that tells whose it is."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_gb": None,
        "system": f"{platform.system()} {platform.machine()}",
    }
    with suppress(AttributeError, ValueError, OSError):  # no such names outside Unix
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found["memory_gb"] = round(pages / 2**30, 1)
    gpu = _gpu()
    if gpu is not None:
        found["gpu"] = sys.modules["torch"].cuda.get_device_name(gpu)
    return found


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in LIBRARIES:
        # a package may look its version up when it is asked, and not every one has it
        with suppress(KeyError, AttributeError):
            found[name] = str(sys.modules[name].__version__)
    return found
