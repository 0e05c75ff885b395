"""A finished run, read back to be held against another; and whether the two may be."""

from __future__ import annotations

import csv
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scripts.compare.gate import Values
from scripts.data.rows import SPLITS, Rows, read_rows
from scripts.evaluate.runs import measures_of
from scripts.job import BadInput, read_json
from scripts.letters import printable
from scripts.measures import MEANS
from scripts.protocol import DIRECTIONS
from scripts.retrieve.arrays import Arrays, made_anew, read_arrays
from scripts.retrieve.similarity import read_rankings

PARTS = ("dataset", "model", "prompt", "scorer")
# the same number, but for the last digits in which machines differ
CLOSE = 1e-6
# pictures that are told to differ
MANY = 5


class Difference(NamedTuple):
    """What differs, and what it is in A and in B; None where it is not known."""

    what: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Side:
    """One of the two runs.

    Attributes
    ----------
    shown : its folder as it was typed
    folder : results/<dataset>/<model>/<prompt>/<scorer>
    about : its metrics.json
    digest : of the images and captions that it ranked
    """

    shown: str
    folder: Path
    about: dict[str, Any]
    digest: str

    @property
    def names(self) -> dict[str, str]:
        """Dataset, model, prompt and scorer, as the run itself has them."""
        return {part: self.about[part] for part in PARTS}

    @property
    def results(self) -> Path:
        """The folder that holds the datasets' results."""
        return self.folder.parents[3]

    @property
    def data(self) -> Path:
        """The prepared dataset, where it stands beside the results."""
        return self.folder.parents[4] / "data" / self.folder.parents[2].name


def get_of(value: Any, key: str) -> Any:
    """What an object of JSON or YAML has under a key; None where it is none, or has it not."""
    return value.get(key) if isinstance(value, dict) else None


def runs_below(folder: Path) -> Iterator[Path]:
    """Folders with metrics in a folder, and behind links in it: the least deep first."""
    # no deeper than where results lie: somebody may name the whole disk
    for deep in range(len(PARTS) + 2):
        found = folder.glob("/".join(["*"] * deep + ["metrics.json"]))
        yield from (path.parent for path in sorted(found))


def read_side(typed: Path) -> Side:
    """The run in a folder; ``BadInput`` where none is."""
    # by its own name: behind a link may be another's
    folder = Path(os.path.abspath(typed))  # noqa: PTH100
    metrics = folder / "metrics.json"
    if not metrics.is_file() or len(folder.parts) < len(PARTS) + 2:
        first = next(runs_below(folder), None)
        # a link to a run lies elsewhere than the run
        first = first.resolve() if first == folder else first
        todo = "correct the path, or make the run"
        if first not in (None, folder):
            todo = f"name one run, such as {first}"
        expected = "results/<dataset>/<model>/<prompt>/<scorer>, with metrics.json in it"
        raise BadInput(typed, "no finished run", expected, todo)
    about = read_json(metrics)
    if odd := _odd_in(about):
        raise BadInput(metrics, *odd, made_anew(metrics))
    rankings = folder / "rankings.npz"
    digest = read_arrays(rankings, "rankings", only={"rows"}).get("rows")
    if digest is None:
        raise BadInput(rankings, "no array rows", "the rankings of a run", made_anew(rankings))
    return Side(printable(str(typed)), folder, about, str(digest))


def _odd_in(about: Any) -> tuple[str, str] | None:
    """What metrics.json has that no run's has, and what a run's would have; None if nothing.

    Its measures are held later, against those of its ranks.
    """
    if not isinstance(about, dict):
        return f"{about!r:.80}", "the metrics of a run"
    names = {key: about.get(key) for key in PARTS}
    numbers = {key: about.get(key) for key in ("images", "captions")}
    numbers |= {f"{way}, queries": get_of(about.get(way), "queries") for way in DIRECTIONS}
    for held, kind, expected in ((names, str, "a name"), (numbers, int, "a number")):
        for key, value in held.items():
            if not isinstance(value, kind):
                return f"{key}: {value!r:.80}", f"the metrics of a run, with {expected} there"
    if about.get("split") not in SPLITS:
        split = f"split: {about.get('split')!r:.80}"
        return split, f"the metrics of a run, with a split of {', '.join(SPLITS)}"
    return None


def read_both(first: Path, second: Path) -> tuple[Side, Side]:
    """Both runs; ``BadInput`` where one is none, or both are one."""
    a, b = read_side(first), read_side(second)
    if a.folder.samefile(b.folder):
        raise BadInput(
            f"{first} and {second}", "one folder twice", "two runs",
            "name the run in production first, and then the new one",
        )  # fmt: skip
    return a, b


def other_queries(a: Side, b: Side) -> list[Difference]:
    """In what the queries of two runs differ; nothing where they may be compared."""
    if (a.about["split"], a.digest) == (b.about["split"], b.digest):
        return []
    keys = ("dataset", "split", "images", "captions")
    told = [Difference(key, str(a.about.get(key)), str(b.about.get(key))) for key in keys]
    digests = Difference("rows", a.digest[:12], b.digest[:12])
    return [one for one in (*told, digests) if one.a != one.b]


def rows_of(*sides: Side) -> Rows:
    """Images and captions of runs on the same, from whichever dataset stands beside its results.

    Raises ``BadInput`` where none does, and where captions or splits have changed since.
    """
    folders = list(dict.fromkeys(side.data for side in sides))
    there = [one for one in folders if (one / "captions.json").is_file()]
    if not there:
        raise BadInput(
            " and ".join(str(one / "captions.json") for one in folders),
            "no such file",
            "the captions that the runs were asked by, beside the results of one of them",
            f"put captions.json and splits.json of the dataset into {folders[0]}",
        )
    found = [
        read_rows(one / "captions.json", one / "splits.json", sides[0].about["split"])
        for one in there
    ]
    for rows in found:
        if rows.digest == sides[0].digest:
            return rows
    raise BadInput(
        " and ".join(map(str, there)),
        f"images and captions with the sum {found[0].digest[:12]}",
        f"those that the runs were asked by, {sides[0].digest[:12]}",
        "put captions.json and splits.json there as they were; or make the runs again",
    )


def other_pictures(a: Side, b: Side, rows: Rows) -> list[Difference]:
    """Whether files of one name are other pictures, where both datasets stand beside their runs."""
    tables = [one.data / "images.csv" for one in (a, b)]
    if tables[0] == tables[1] or not all(path.is_file() for path in tables):
        return []
    sums = [_sums(path) for path in tables]
    other = [name for name in rows.images if sums[0].get(name) != sums[1].get(name)]
    return [
        Difference(f"sha256: {name}", *(str(own.get(name))[:12] for own in sums))
        for name in other[:MANY]
    ]


def _sums(table: Path) -> dict[str, str]:
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            return {str(row.get("image")): str(row.get("sha256")) for row in csv.DictReader(stream)}
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(table, str(error), "the table of the images", made_anew(table)) from None


def read_ranks(side: Side, rows: Rows) -> Arrays:
    """Its rankings; ``BadInput`` where they are no ranks."""
    path = side.folder / "rankings.npz"
    rankings = read_rankings(path, rows)
    for way, gallery in zip(DIRECTIONS, (len(rows.images), len(rows.captions)), strict=True):
        ranks = rankings[f"{way}_rank"]
        if (
            ranks.shape != (len(rows.captions),)
            or ranks.dtype.kind not in "iu"
            or not 1 <= ranks.min() <= ranks.max() <= gallery
        ):
            found = f"{way}_rank: {ranks.dtype} {list(ranks.shape)} {ranks.ravel()[:5]}"
            expected = f"{len(rows.captions)} whole numbers from 1 to {gallery}"
            raise BadInput(path, found, expected, made_anew(path))
    return rankings


def values_of_ranks(rankings: Arrays, rows: Rows) -> Values:
    """Every measure of every query."""
    return measures_of(rankings["text_to_image_rank"], rankings["image_to_text_rank"], rows)


def other_measures(a: Side, b: Side, values: tuple[Values, Values]) -> list[Difference]:
    """Measures that a run's metrics.json has otherwise than they are computed now, of its ranks.

    That run was measured by another version, and its numbers mean something else.
    """
    found = []
    for way in DIRECTIONS:
        for name in MEANS:
            told = [_told(*one, way, name) for one in zip((a, b), values, strict=True)]
            if any(not same for _, same in told):
                found.append(Difference(f"{way}: {name}", told[0][0], told[1][0]))
    return found


def is_measured_otherwise(side: Side, values: Values) -> bool:
    """Whether metrics.json has another number than these ``values`` of the run's ranks give now."""
    return not all(_told(side, values, way, name)[1] for way in DIRECTIONS for name in MEANS)


def _told(side: Side, values: Values, way: str, name: str) -> tuple[str | None, bool]:
    """What metrics.json says, and whether that is what is computed now; which, where it is not."""
    stored, now = get_of(side.about.get(way), name), float(np.mean(values[way][name]))
    # one that has been added since
    if stored is None:
        return None, True
    # JSON may write whole numbers that no float holds
    numbers = isinstance(stored, int | float) and abs(stored) <= sys.float_info.max
    same = numbers and math.isclose(stored, now, rel_tol=CLOSE, abs_tol=CLOSE)
    return f"{stored}" if same else f"{stored!s:.20} ≠ {now:.6g}", same
