"""Which finished runs there are to be asked, and where their files are."""

from __future__ import annotations

import difflib
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from scripts.job import BadInput, log, read_json

PARTS = ("dataset", "model", "prompt", "scorer")
DELETE = "delete it and run the workflow again, which makes it anew"
MAKE_A_RUN = "make one: ./run for the demo, ./run snakemake --cores all for Flickr8k"


@dataclass(frozen=True)
class RunName:
    """Which run answers."""

    dataset: str
    model: str
    prompt: str
    scorer: str
    split: str


def finished_runs(
    results: Path, split: str | None = None, left_out: list[str] | None = None
) -> list[RunName]:
    """All finished runs, the newest first; ``split`` None for the one that each was measured on.

    Of one that cannot be told what is wrong is added to ``left_out``; it hides no other.
    """
    runs: list[tuple[int, RunName]] = []
    for file in results.glob("*/*/*/*/metrics.json"):
        try:
            dataset, model, prompt, scorer = file.parts[-5:-1]
            name = RunName(dataset, model, prompt, scorer, split or _split_of(file))
            runs.append((_when_made(file), name))
        except BadInput as error:
            if left_out is not None:
                left_out.append(str(error))
    return [run for _, run in sorted(runs, key=lambda run: run[0], reverse=True)]


def _when_made(metrics: Path) -> int:
    """Nanoseconds; raises ``BadInput`` for what is no plain file, or has a name that is no text."""
    try:
        str(metrics).encode("utf-8")
        made = metrics.stat()
    except (OSError, UnicodeEncodeError) as error:
        raise BadInput(metrics, str(error), "a run's metrics", DELETE) from None
    # a pipe may never end
    if not stat.S_ISREG(made.st_mode):
        raise BadInput(metrics, "not a plain file", "a run's metrics", DELETE)
    return made.st_mtime_ns


def _split_of(metrics: Path) -> str:
    """The split that a run was measured on; raises ``BadInput`` where the file does not say so."""
    _when_made(metrics)
    about = read_json(metrics)
    split = about.get("split") if isinstance(about, dict) else None
    if split not in ("train", "val", "test"):
        raise BadInput(metrics, f"{about!r:.80}", '"split": train, val or test', DELETE)
    return split


def find_run(
    results: Path,
    wanted: dict[str, str | None],
    split: str | None = None,
    index: str | None = None,
) -> RunName:
    """The newest finished run that has the ``wanted`` names.

    Parameters
    ----------
    results : folder of the workflow
    wanted : "dataset", "model", "prompt", "scorer"; None or missing where any will do
    split : None for the one that was measured
    index : an index that was built of the run; None where none is needed

    Raises
    ------
    BadInput
        where there is no run, none of that name (offering the nearest), none with that index, or no
        features of the split
    """
    left_out: list[str] = []
    runs = finished_runs(results, split, left_out)
    for why in left_out:
        log.warning("A run is left out: %s", why)
    if not runs:
        raise BadInput(results, "no finished run", "at least one", MAKE_A_RUN)
    for part in PARTS:
        name = wanted.get(part)
        if name is None:
            continue
        there = sorted({getattr(run, part) for run in runs})
        runs = [run for run in runs if getattr(run, part) == name]
        if not runs:
            near = difflib.get_close_matches(name, there, n=1, cutoff=0.4)
            todo = f"did you mean {near[0]}?" if near else "take one of these, or make that run"
            raise BadInput(f"--{part}", name, f"a finished run's: {', '.join(there)}", todo)
    if index is not None:
        runs = _with_index(results, runs, index)
    found = runs[0]
    for file in missing_features(results, found):
        target = file.relative_to(results.parent).as_posix()
        raise BadInput(
            file, "no such file", f"features of {found.split}",
            f"make them: ./run snakemake --cores all {target}",
        )  # fmt: skip
    return found


def _with_index(results: Path, runs: list[RunName], index: str) -> list[RunName]:
    """Those of some runs that an index was built of; ``BadInput`` where there are none."""
    built = {run: indexes_of(run_folder(results, run)) for run in runs}
    there = sorted({name for names in built.values() for name in names})
    found = [run for run in runs if index in built[run]]
    if not found:
        near = difflib.get_close_matches(index, there, n=1, cutoff=0.4)
        target = index_file(run_folder(results, runs[0]), index, "text_to_image")
        build = f"build it: ./run snakemake --cores all {target.relative_to(results.parent)}"
        raise BadInput(
            "--index", index, f"one that was built: {', '.join(there) or 'none was'}",
            f"did you mean {near[0]}?" if near else build,
        )  # fmt: skip
    measured = indexed_split(results, found[0])
    if found[0].split != measured:
        raise BadInput(
            "--split", found[0].split, f"{measured}, of which indexes are built",
            "leave out --split or --index",
        )  # fmt: skip
    return found


def indexes_of(run: Path) -> list[str]:
    """Names of the indexes that were built of the run in this folder, sorted."""
    ends = "index.", ".text_to_image.faiss"
    files = run.glob("*".join(ends))
    return sorted(file.name.removeprefix(ends[0]).removesuffix(ends[1]) for file in files)


def indexed_split(results: Path, run: RunName) -> str:
    """The split that a run's indexes are built of: the one that was measured."""
    return _split_of(run_folder(results, run) / "metrics.json")


def index_file(run: Path, index: str, direction: str) -> Path:
    """Where an index of a run is; its sidecar stands beside it."""
    return run / f"index.{index}.{direction}.faiss"


def missing_features(results: Path, run: RunName) -> list[Path]:
    """Features that answers of ``run`` need and that are not there."""
    files = [
        results / run.dataset / model / run.split / f"{stem}.npy"
        for model in models_behind(results, run)
        for stem in ("images", f"texts.{run.prompt}")
    ]
    return [file for file in files if not file.is_file()]


def models_behind(results: Path, run: RunName) -> list[str]:
    """Models whose features a run compares: its own, and for a fusion the other."""
    from scripts.retrieve.arrays import read_arrays

    scorer = run_folder(results, run) / "scorer.npz"
    partner = read_arrays(scorer, "a fitted scorer", only={"with"}).get("with")
    if partner is None:
        return [run.model]
    # it becomes a part of a path
    if not re.fullmatch("[a-z0-9][a-z0-9.-]{,59}", str(partner)):
        raise BadInput(scorer, f"with: {partner!s:.80}", "the name of a model", DELETE)
    return [run.model, str(partner)]


def run_folder(results: Path, run: RunName) -> Path:
    """Where a run's scorer and rankings are."""
    return results / run.dataset / run.model / run.prompt / run.scorer
