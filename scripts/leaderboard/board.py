"""The leaderboard as data: a row for each run, a column for each dataset and direction."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import images_of_queries
from scripts.leaderboard.entries import COSTS, Column, Entry, columns_of
from scripts.leaderboard.standings import MEASURED, Standing, mean_places, standings
from scripts.protocol import DIRECTIONS

NAMES = ("model", "prompt", "scorer")
BOUNDS = tuple(f"{name}_{end}" for name in MEASURED for end in ("low", "high"))
TABLE = (
    *("mean_place", *NAMES, "dataset", "direction", "queries", *MEASURED, *BOUNDS),
    *("place", "gap", "p_holm", "verdict", "precision", *COSTS, "folder"),
)
Way = tuple[str, str]


@dataclass(frozen=True)
class Line:
    """A run on all datasets that it ran on.

    Attributes
    ----------
    entries : dataset -> the run there
    cells : dataset and direction -> how it stands there
    mean_place : over all columns; None where it stands not in all
    """

    entries: dict[str, Entry]
    cells: dict[Way, Standing]
    mean_place: float | None

    @property
    def first(self) -> Entry:
        """The run on the first of its datasets."""
        return next(iter(self.entries.values()))

    @property
    def costs(self) -> dict[str, float | None]:
        """Of its model; of speeds that were measured on several datasets, the first."""
        return self.first.costs


@dataclass(frozen=True)
class Board:
    """All that a leaderboard tells.

    Attributes
    ----------
    columns : of its datasets, in their order
    lines : the best mean place first, and then those that have none
    apart : dataset, run, and why it cannot be compared
    """

    columns: list[Column]
    lines: list[Line]
    apart: list[tuple[str, Entry, str]]

    @property
    def ways(self) -> list[Way]:
        """Dataset and direction of each column."""
        return [(column.dataset, way) for column in self.columns for way in DIRECTIONS]


def board_of(entries: Iterable[Entry], resampling: Resampling) -> Board:
    """How runs stand, each against the others of its datasets; see ``standings``."""
    found = columns_of(entries)
    apart = [(column.dataset, *one) for column in found for one in column.apart]
    columns = [column for column in found if column.entries]
    cells: dict[Way, dict[Any, Standing]] = {}
    runs: dict[Any, dict[str, Entry]] = {}
    for column in columns:
        keys = _keys(column.entries)
        for key, entry in zip(keys, column.entries, strict=True):
            runs.setdefault(key, {})[column.dataset] = entry
        for way in DIRECTIONS:
            stand = standings(
                [values[way] for values in column.values],
                images_of_queries(way, column.rows),
                resampling,
            )
            cells[column.dataset, way] = dict(zip(keys, stand, strict=True))
    places = mean_places(list(cells.values()))
    lines = [
        Line(of, {way: own[key] for way, own in cells.items() if key in own}, places.get(key))
        for key, of in runs.items()
    ]
    lines.sort(key=lambda line: (line.mean_place is None, line.mean_place or 0))
    return Board(columns, lines, apart)


def _keys(entries: Iterable[Entry]) -> list[tuple[Any, ...]]:
    """What a run is known by on other datasets, too; the second of two alike is one by itself."""
    seen: dict[tuple[str, ...], int] = {}
    keys = []
    for entry in entries:
        seen[entry.same] = seen.get(entry.same, 0) + 1
        keys.append((entry.same, seen[entry.same]))
    return keys


def write_csv(board: Board, path: Path) -> None:
    """All columns at full precision, a row for each run, dataset and direction."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, TABLE, lineterminator="\n")
        writer.writeheader()
        for line in board.lines:
            for (dataset, way), cell in line.cells.items():
                entry = line.entries[dataset]
                bounds = chain.from_iterable(zip(cell.lows, cell.highs, strict=True))
                writer.writerow(
                    {
                        "mean_place": line.mean_place,
                        **dict(zip(NAMES, entry.names, strict=True)),
                        "dataset": dataset,
                        "direction": way,
                        "queries": entry.side.about[way]["queries"],
                        **dict(zip(MEASURED, cell.values, strict=True)),
                        **dict(zip(BOUNDS, bounds, strict=True)),
                        **{name: getattr(cell, name) for name in ("place", "gap", "p_holm")},
                        "verdict": cell.verdict,
                        "precision": entry.precision,
                        **entry.costs,
                        "folder": entry.side.shown,
                    }
                )
