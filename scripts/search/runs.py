"""Which finished runs there are to be asked, and where their files are."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.fingerprint import ROOT
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


def finished_runs(results: Path, left_out: list[str] | None = None) -> list[RunName]:
    """All finished runs that a query can be held against, the newest first.

    Of one that cannot be told what is wrong is added to ``left_out``; it hides no other.
    """
    runs: list[tuple[int, RunName]] = []
    for file in results.glob("*/*/*/*/metrics.json"):
        try:
            _split_of(file)
            run = RunName(*file.parts[-5:-1])
            # a second look has no features that a query could be held against
            if "+" not in run.scorer:
                runs.append((_when_made(file), run))
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


def find_run(results: Path, wanted: dict[str, str | None], index: str | None = None) -> RunName:
    """The finished run to begin with: of the dataset that was run last, the first in its config.

    Parameters
    ----------
    results : folder of the workflow
    wanted : "dataset", "model", "prompt", "scorer"; None or missing where any will do
    index : an index that was built of the run; None where none is needed

    Raises
    ------
    BadInput
        where there is no run, none of that name (offering the nearest), none with that index, or no
        features
    """
    left_out: list[str] = []
    runs = finished_runs(results, left_out)
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
    found = _first(results, [run for run in runs if run.dataset == runs[0].dataset])
    if not encoded_splits(results, found):
        split = measured_split(results, found)
        missing = next(file for file in features_of(results, found, split) if not file.is_file())
        raise BadInput(
            missing, "no such file", f"features of {split}",
            f"make them: {encoding(results, found, [split])}",
        )  # fmt: skip
    return found


def _first(results: Path, runs: Sequence[RunName]) -> RunName:
    """The first of a dataset's runs in the order of its config; as given where that says none.

    Whichever file is the newest is chance: after a run that adds a scorer, it is that scorer's.
    """
    import yaml

    path = config_of(results, runs[0].dataset)
    try:
        order = yaml.safe_load(path.read_text("utf-8"))["run"]
        order = [[str(name) for name in order[f"{part}s"]] for part in PARTS[1:]]
    except FileNotFoundError:  # it is written when all of a run is done
        return runs[0]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
        log.warning("%s says no order of runs: %r", path, error)
        return runs[0]

    def place(run: RunName) -> list[int]:
        names = (run.model, run.prompt, run.scorer)
        return [
            of.index(name) if name in of else len(of) for of, name in zip(order, names, strict=True)
        ]

    return min(runs, key=place)


def config_of(results: Path, dataset: str) -> Path:
    """The configuration that a run leaves beside its results."""
    return results / dataset / "config.yaml"


def _with_index(results: Path, runs: list[RunName], index: str) -> list[RunName]:
    """Those of some runs that an index was built of; ``BadInput`` where there are none."""
    built = {run: indexes_of(run_folder(results, run)) for run in runs}
    there = sorted({name for names in built.values() for name in names})
    found = [run for run in runs if index in built[run]]
    if not found:
        near = difflib.get_close_matches(index, there, n=1, cutoff=0.4)
        target = index_file(run_folder(results, runs[0]), index, "text_to_image")
        build = f"build it: {making(results, runs[0].dataset, [target])}"
        raise BadInput(
            "--index", index, f"one that was built: {', '.join(there) or 'none was'}",
            f"did you mean {near[0]}?" if near else build,
        )  # fmt: skip
    return found


def indexes_of(run: Path) -> list[str]:
    """Names of the indexes that were built of the run in this folder, sorted."""
    ends = "index.", ".text_to_image.faiss"
    files = run.glob("*".join(ends))
    return sorted(file.name.removeprefix(ends[0]).removesuffix(ends[1]) for file in files)


def measured_split(results: Path, run: RunName) -> str:
    """The split that a run was measured on, and of which its indexes are built."""
    return _split_of(run_folder(results, run) / "metrics.json")


def encoding(results: Path, run: RunName, splits: Sequence[str]) -> str:
    """The command that encodes these splits for a run, see ``making``."""
    files: list[Path] = []
    for split in splits:
        needed = features_of(results, run, split)
        # where all are there, they are of something else than what is there now
        files += [file for file in needed if not file.is_file()] or needed
    return making(results, run.dataset, files)


def making(results: Path, dataset: str, files: Sequence[Path]) -> str:
    """The command that makes ``files`` of a dataset's run and nothing else, as it is typed here.

    It names the run's own config, without which the workflow may know no such dataset or model,
    and what is made already stays, though the config tells no folder outside of the repository.
    """
    # links stay: the workflow calls things by their names
    home = Path(os.path.abspath(results)).parent  # noqa: PTH100
    here = Path.cwd()
    words = ["./run" if here == ROOT else str(ROOT / "run"), "snakemake"]
    # the workflow calls the folder results, whatever it is called here
    words += [Path("results", file.relative_to(results)).as_posix() for file in files]
    words += ["--cores", "all"]
    if home != ROOT:
        words += ["--directory", str(home)]
    config = config_of(results, dataset)
    if config.is_file():
        config = home / results.name / config.relative_to(results)
        words += ["--configfile", str(config.relative_to(here) if here == home else config)]
    if any(file.exists() for file in files):
        # made with other settings, of which no time of a file tells
        words.append("--force")
    return shlex.join([*words, "--rerun-triggers", "mtime"])


def index_file(run: Path, index: str, direction: str) -> Path:
    """Where an index of a run is; its sidecar stands beside it."""
    return run / f"index.{index}.{direction}.faiss"


def features_of(results: Path, run: RunName, split: str) -> list[Path]:
    """Features that answers of ``run`` from this split need, whether they are there or not."""
    return [
        results / run.dataset / model / split / f"{stem}.npy"
        for model in models_behind(results, run)
        for stem in ("images", f"texts.{run.prompt}")
    ]


def encoded_splits(results: Path, run: RunName) -> list[str]:
    """Splits of which a run has all features."""
    from scripts.data.rows import SPLITS

    return [
        split
        for split in SPLITS
        if all(file.is_file() for file in features_of(results, run, split))
    ]


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
