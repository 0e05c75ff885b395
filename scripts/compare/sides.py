"""A finished run, read back to be held against another; and whether the two may be."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scripts.compare.gate import Values
from scripts.data.rows import SPLITS, Rows, read_rows
from scripts.evaluate.runs import measures_of
from scripts.evaluate.steps import where_and_with_what
from scripts.job import BadInput, read_json
from scripts.jobs import jobs_behind
from scripts.letters import printable
from scripts.measures import MEANS
from scripts.protocol import DIRECTIONS
from scripts.provenance.crate import CONFIG, NAME
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
        return {part: str(self.about.get(part)) for part in PARTS}

    @property
    def results(self) -> Path:
        """The folder that holds the datasets' results."""
        return self.folder.parents[3]

    @property
    def data(self) -> Path:
        """The prepared dataset, where it stands beside the results."""
        return self.folder.parents[4] / "data" / self.folder.parents[2].name


def read_side(typed: Path) -> Side:
    """The run in a folder; ``BadInput`` where none is."""
    # by its own name: behind a link may be another's
    folder = Path(os.path.abspath(typed))  # noqa: PTH100
    metrics = folder / "metrics.json"
    if not metrics.is_file() or len(folder.parts) < len(PARTS) + 2:
        below = sorted(str(path.parent) for path in folder.glob("**/metrics.json"))
        todo = f"name one run, such as {below[0]}" if below else "correct the path, or make the run"
        expected = "results/<dataset>/<model>/<prompt>/<scorer>, with metrics.json in it"
        raise BadInput(typed, "no finished run", expected, todo)
    about = read_json(metrics)
    if not isinstance(about, dict) or about.get("split") not in SPLITS:
        expected = f"the metrics of a run, with a split of {', '.join(SPLITS)}"
        raise BadInput(metrics, f"{about!r:.80}", expected, made_anew(metrics))
    rankings = folder / "rankings.npz"
    digest = read_arrays(rankings, "rankings", only={"rows"}).get("rows")
    if digest is None:
        raise BadInput(rankings, "no array rows", "the rankings of a run", made_anew(rankings))
    return Side(printable(str(typed)), folder, about, str(digest))


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
    found = [set(measured_otherwise(*one)) for one in zip((a, b), values, strict=True)]
    return [
        Difference(f"{way}: {name}", _stored(a, way, name), _stored(b, way, name))
        for way in DIRECTIONS
        for name in MEANS
        if (way, name) in found[0] | found[1]
    ]


def measured_otherwise(side: Side, values: Values) -> Iterator[tuple[str, str]]:
    """Direction and measure of what a run's metrics.json has otherwise than its ranks give now."""
    for way in DIRECTIONS:
        for name in MEANS:
            stored = _stored(side, way, name)
            if stored is not None:
                now = float(np.mean(values[way][name]))
                try:
                    same = math.isclose(float(stored), now, rel_tol=CLOSE, abs_tol=CLOSE)
                except ValueError:
                    same = False
                if not same:
                    yield way, name


def _stored(side: Side, way: str, name: str) -> str | None:
    own = side.about.get(way)
    return str(own[name]) if isinstance(own, dict) and name in own else None


def settings_of(side: Side) -> dict[str, str]:
    """What the run's own configuration says of its dataset, model, prompt and scorer.

    Returns
    -------
    dotted key -> value; nothing where the run left no configuration, or it is of others
    """
    from scripts.config import read_own

    path = side.folder.parents[2] / CONFIG
    if not path.is_file():
        return {}
    config, names = read_own(path), side.names
    first, _, second = names["scorer"].partition("+")
    scorer = _entry(config, "scorers", first)
    told = {
        **{part: _entry(config, f"{part}s", names[part]) for part in ("dataset", "model")},
        "prompt": {"templates": _entry(config, "prompts", names["prompt"])},
        "scorer": scorer,
        "with": _entry(config, "models", str(_get(scorer, "with"))),
        "reranker": _entry(config, "rerankers", second.partition("+")[0]),
        **{part: config.get(part) for part in ("encode", "similarity", "split")},
    }
    return dict(_flat(told))


def _entry(config: dict[str, Any], registry: str, name: str) -> Any:
    return _get(config.get(registry), name)


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _flat(value: Any, above: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, own in value.items():
            yield from _flat(own, f"{above}.{key}" if above else str(key))
    elif value is not None:
        yield above, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def versions_of(side: Side) -> dict[str, str]:
    """What the run was made with, as its record, its features and its jobs tell.

    Returns
    -------
    dotted key -> value; nothing of what is not there
    """
    return {**_of_record(side), **_of_features(side), **_of_jobs(side)}


def _of_record(side: Side) -> dict[str, str]:
    path = side.folder.parents[2] / NAME
    graph = _get(read_json(path), "@graph") if path.is_file() else None
    graph = graph if isinstance(graph, list) else []
    for entity in graph:
        if _get(entity, "@id") == "#workflow":
            more = {
                str(_get(value, "name")): str(_get(value, "value"))
                for value in graph
                if str(_get(value, "@id")).startswith("#code/")
            }
            return {"workflow": str(entity.get("softwareVersion"))} | more
    return {}


def _of_features(side: Side) -> dict[str, str]:
    """Device, precision and the model's own files behind images and texts."""
    folder = side.folder.parents[1] / side.about["split"]
    found = {}
    for stem, of in (("images", "images"), (f"texts.{side.folder.parent.name}", "texts")):
        path = folder / f"{stem}.json"
        about = read_json(path) if path.is_file() else None
        for key in ("device", "precision", "model"):
            if (value := _get(about, key)) is not None:
                found[f"{of}: {key}"] = str(value)[:12]
    return found


def _of_jobs(side: Side) -> dict[str, str]:
    path = Path("results", *side.folder.parts[-4:], "metrics.json").as_posix()
    try:
        jobs = list(jobs_behind([path], side.results / "jobs"))
    except BadInput:
        return {}
    where = where_and_with_what(jobs)
    found: dict[str, set[str]] = {}
    for machine in where["machines"]:
        for key in ("processor", "gpu", "system"):
            if key in machine:
                found.setdefault(key, set()).add(str(machine[key]))
    for package in where["packages"]:
        found.setdefault(package["name"], set()).add(package["version"])
    for job in jobs:
        found.setdefault(f"code of {job.rule}", set()).add(job.code)
    return {key: ", ".join(sorted(values)) for key, values in found.items()}


def other_settings(a: Side, b: Side) -> list[Difference]:
    """Names, settings and versions that differ between two runs that may be compared.

    A version that one of them does not know is no difference: a step that only one has loads
    libraries that the other has no need of.
    """
    found = [_differing(a.names, b.names), _differing(settings_of(a), settings_of(b))]
    versions = versions_of(a), versions_of(b)
    found.append([one for one in _differing(*versions) if None not in one])
    return [one for part in found for one in part]


def _differing(a: dict[str, str], b: dict[str, str]) -> list[Difference]:
    keys = dict.fromkeys([*a, *b])
    return [Difference(key, a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key)]


def untold(side: Side) -> list[str]:
    """What a finished run has beside it and this one has not, so that less is told of it."""
    folder = side.folder.parents[2]
    there = {CONFIG: folder / CONFIG, NAME: folder / NAME, "jobs/": side.results / "jobs"}
    return [name for name, path in there.items() if not path.exists()]
