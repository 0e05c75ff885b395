"""Finished runs, read back from folders of results, and which of them may be compared."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.compare.sides import (
    Side,
    is_measured_otherwise,
    other_pictures,
    read_ranks,
    read_side,
    rows_of,
    runs_below,
    values_of_ranks,
)
from scripts.data.rows import Rows
from scripts.job import BadInput, read_json
from scripts.leaderboard.standings import MEASURED
from scripts.protocol import DIRECTIONS
from scripts.retrieve.arrays import made_anew

COSTS = ("parameters", "embedding_dim", "images_per_second", "texts_per_second", "max_rss_mb")
# why a run stands apart
OTHER_QUERIES, OTHER_PICTURES, OTHER_MEASURES = "queries", "pictures", "measures"
UNCHECKED = "precision"


@dataclass(frozen=True)
class Entry:
    """A finished run.

    Attributes
    ----------
    side : its folder and what stands there
    precision : of its features; "" where they were made elsewhere, of which nobody said it
    checked : whether it was held against float32 before it was taken, or is not ours to check
    same : what makes it the same run on another dataset: names, and sums of model and templates
    costs : of its model, by ``COSTS``; None for what is not known
    """

    side: Side
    precision: str
    checked: bool
    same: tuple[str, ...]
    costs: dict[str, float | None]

    @property
    def names(self) -> tuple[str, str, str]:
        """Model, prompt and scorer."""
        names = self.side.names
        return names["model"], names["prompt"], names["scorer"]


@dataclass(frozen=True)
class Column:
    """The runs of one dataset that may be compared.

    Attributes
    ----------
    dataset : its name
    rows : that all of them ranked
    entries : in the order in which they were found
    values : of each entry, direction -> each of ``MEASURED`` of all queries
    apart : the others, with why
    """

    dataset: str
    rows: Rows
    entries: list[Entry]
    values: list[dict[str, dict[str, np.ndarray]]]
    apart: list[tuple[Entry, str]]


def runs_in(results: Path) -> list[Path]:
    """Folders of the finished runs in a folder of results, or in that of one dataset, or a run."""
    found = list(runs_below(results))
    if not found:
        expected = "results/<dataset>/<model>/<prompt>/<scorer>/metrics.json below it"
        raise BadInput(results, "no finished run", expected, "correct the path, or make the run")
    # of two paths to one run, the first is taken: one behind a link may be no path of results
    real = results.resolve()
    return sorted(found, key=lambda path: path.resolve() != real / path.relative_to(results))


def read_entry(folder: Path) -> Entry:
    """One run; ``BadInput`` where its folder holds none."""
    side = read_side(folder)
    of_model = side.folder.parents[1]
    split, prompt = side.about["split"], side.names["prompt"]
    images, texts = (
        _told(of_model / split / f"{one}.json") for one in ("images", f"texts.{prompt}")
    )
    choice = _told(of_model / "precision.json")
    precision = str(images.get("precision", ""))
    return Entry(
        side=side,
        precision=precision,
        checked=precision in ("", "float32", choice.get("precision")),
        same=(
            *(side.names[part] for part in ("model", "prompt", "scorer")),
            str(images.get("model", "")),
            str(texts.get("templates", "")),
        ),
        costs=_costs(side),
    )


def _told(path: Path) -> dict[str, Any]:
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _costs(side: Side) -> dict[str, float | None]:
    path = side.folder.parents[2] / "tables" / "costs.csv"
    found: dict[str, float | None] = dict.fromkeys(COSTS)
    if path.is_file():
        try:
            with path.open(newline="", encoding="utf-8") as stream:
                for row in csv.DictReader(stream):
                    if row.get("model") == side.names["model"]:
                        found = {name: _number(row.get(name)) for name in COSTS}
        except (ValueError, csv.Error) as error:
            raise BadInput(path, str(error), "the table of costs", made_anew(path)) from None
    return found


def _number(text: str | None) -> float | None:
    number = float(text) if text else None
    if number is not None and not math.isfinite(number):
        raise ValueError(f"no number: {text!r}")
    return number


def columns_of(entries: Iterable[Entry]) -> list[Column]:
    """The entries of each dataset that may be compared, datasets in the order of first appearance.

    Those that ranked what most of them ranked, in a precision that was held against float32, and
    that are measured as runs are measured now.
    """
    of_dataset: dict[str, list[Entry]] = {}
    for entry in entries:
        of_dataset.setdefault(entry.side.names["dataset"], []).append(entry)
    return [_column(dataset, found) for dataset, found in of_dataset.items()]


def _column(dataset: str, found: Sequence[Entry]) -> Column:
    queries = Counter((one.side.digest, one.side.about["split"]) for one in found)
    # of equally many, those that were found first
    most = max(queries, key=lambda one: queries[one])
    alike = [one for one in found if (one.side.digest, one.side.about["split"]) == most]
    rows = rows_of(*(one.side for one in alike))
    kept: list[Entry] = []
    values: list[dict[str, dict[str, np.ndarray]]] = []
    apart = [(one, OTHER_QUERIES) for one in found if one not in alike]
    for one in alike:
        own = values_of_ranks(read_ranks(one.side, rows), rows)
        if not one.checked:
            apart.append((one, UNCHECKED))
        elif other_pictures(alike[0].side, one.side, rows):
            apart.append((one, OTHER_PICTURES))
        elif is_measured_otherwise(one.side, own):
            apart.append((one, OTHER_MEASURES))
        else:
            kept.append(one)
            values.append({way: {name: own[way][name] for name in MEASURED} for way in DIRECTIONS})
    return Column(dataset, rows, kept, values, apart)
