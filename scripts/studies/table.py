"""The one shape of a study's table, so that one rule draws them all and one page shows them all.

A row is one number: of which run, in which direction, for which part of the data or setting
(``group``, a label; ``x``, a number, where there is one), which measure, over how many queries, and
its interval where it has one. Shares are fractions.
"""

from __future__ import annotations

import contextlib
import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from scripts.evaluate.intervals import (
    DIGITS,
    Resampling,
    interval_of_means,
    paired_differences,
)
from scripts.evaluate.runs import Run
from scripts.job import whole
from scripts.measures import HEADLINE, MEASURES, headline

COLUMNS = (
    *("model", "prompt", "scorer", "direction", "group", "x"),
    *("measure", "queries", "value", "low", "high"),
)
ROW_END = "\r\n"

# before the name of a measure: the adjusted p-value of its difference from zero
P_OF = "p_holm:"

# what studies of this repository have beside the measures: fractions, and so printed in percent
SHARES = (
    *("share", "base", "found@10", "published", "antihubs", "bound", "gain_found"),
    *("risk", "area", "area_random", "area_gain", "mean_unshifted"),
)
# and differences of fractions, which are printed in points
POINTS = ("loss", "excess", "range", "difference", "gain@1", "gain@5", "gain@10")
# after the name of a measure: its paired difference from what the study names
CHANGE = "_change"
# the group of rows on what prompts do to all captions alike, beside those on runs
SHIFT = "shift"
# and after the name of a split, that of rows on galleries as large as the smallest split
FIT = "equal galleries"
# the p-value of a measure "range", between the best part and the worst
P_RANGE = "p_range"

Row = dict[str, Any]
# values (q, c) of queries, and (q,) the image that each belongs to
Queries = tuple[np.ndarray, np.ndarray]


def unit_of(measure: str) -> str:
    """What a measure counts: as ``measures.Measure`` has it, or "points", differences of shares."""
    if measure in MEASURES:
        return MEASURES[measure].unit
    if measure.endswith(CHANGE):
        unit = unit_of(measure.removesuffix(CHANGE))
        return "points" if unit == "share" else unit
    if measure in POINTS:
        return "points"
    # a study may look at other depths
    return "share" if measure.startswith("recall@") or measure in SHARES else ""


def is_share(measure: str) -> bool:
    """Whether a measure is a fraction, to be printed in percent."""
    return unit_of(measure) == "share"


def is_fraction(measure: str) -> bool:
    """Whether a measure is a fraction or a difference of some, and printed times 100."""
    return unit_of(measure) in ("share", "points")


@dataclass(frozen=True)
class About:
    """What a row tells of.

    Attributes
    ----------
    run : or its model, prompt and scorer
    direction : "" for both
    group, x : part of the data, or setting: a label, and a number where there is one
    """

    run: Run | tuple[str, str, str]
    direction: str
    group: str = ""
    x: float | None = None


def row(
    about: About,
    measure: str,
    value: float,
    queries: int,
    interval: Sequence[float] | np.ndarray | None = None,
) -> Row:
    """One row; what is not a number stays empty."""
    key = about.run.key if isinstance(about.run, Run) else about.run
    low, high = (None, None) if interval is None else interval
    return {
        **dict(zip(COLUMNS[:3], key, strict=True)),
        "direction": about.direction,
        "group": about.group,
        "x": about.x,
        "measure": measure,
        "queries": int(queries),
        "value": _number(value),
        "low": _number(low),
        "high": _number(high),
    }


def recall_rows(
    about: About, ranks: np.ndarray, image_of_query: np.ndarray, resampling: Resampling
) -> list[Row]:
    """Recall@1, @5, @10 and their mean for some queries, each with its interval.

    Parameters
    ----------
    about : what these queries have in common
    ranks : (q,) integers from 1, best rank of each query
    image_of_query : (q,) the image that each query belongs to
    resampling : of the intervals
    """
    return mean_rows(about, HEADLINE, headline(ranks), image_of_query, resampling)


def mean_rows(
    about: About,
    measures: Sequence[str],
    values: np.ndarray,
    image_of_query: np.ndarray,
    resampling: Resampling,
) -> list[Row]:
    """Means of the columns of ``values`` (q, c), one row for each of c ``measures``.

    None of them is a difference: shares lie between 0 and 1.
    """
    if not len(values):
        return []
    shares = np.array([is_share(measure) for measure in measures])
    bounds = interval_of_means(values, image_of_query, resampling, shares)
    return [
        row(about, measure, float(column.mean()), len(values), interval)
        for measure, column, interval in zip(measures, values.T, bounds, strict=True)
    ]


def change_rows(
    about: About,
    measures: Sequence[str],
    mine: Queries,
    other: Queries,
    resampling: Resampling,
) -> list[Row]:
    """How the means of some queries differ from those of others, one row for each of c measures.

    Parameters
    ----------
    about : what ``mine`` have in common
    measures : c names, without ``CHANGE``
    mine, other : values (q, c) from 0 to 1, and (q,) the image that each query belongs to
    resampling : of the intervals, which are paired
    """
    values, bounds = paired_differences(mine[0], other[0], mine[1], other[1], resampling)
    return [
        row(about, f"{measure}{CHANGE}", float(value), len(mine[0]), interval)
        for measure, value, interval in zip(measures, values, bounds, strict=True)
    ]


def range_rows(about: About, tested: tuple[float, float], queries: int) -> list[Row]:
    """The range between the best part and the worst, and its p-value; see ``evaluate.ranges``."""
    return [row(about, "range", tested[0], queries), row(about, P_RANGE, tested[1], queries)]


def write_rows(path: str | Path, rows: Sequence[Row], columns: Sequence[str] = COLUMNS) -> None:
    """Write a table, whole or not at all; other ``columns`` for tables of another shape."""
    with csv_file(path) as stream:
        writer = csv.DictWriter(stream, columns, lineterminator=ROW_END)
        writer.writeheader()
        writer.writerows(rows)


def read_table(path: str | Path | None) -> list[dict[str, str]]:
    """Rows of a table, as text; none where the run does not make it."""
    if not path:
        return []
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@contextlib.contextmanager
def csv_file(path: str | Path) -> Iterator[CsvFile]:
    """Where a writer of CSV that ends its rows with ``ROW_END`` writes ``path``, whole or not."""
    with whole(path) as draft, draft.open("w", newline="", encoding="utf-8") as stream:
        yield CsvFile(stream)


class CsvFile:
    """Ends each row that a writer of CSV hands over with a newline, in place of ``ROW_END``.

    A writer quotes a carriage return only if that ends its rows, too; one that a caption holds
    would else be read as the end of its row.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: str) -> int:
        return self._stream.write(row.removesuffix(ROW_END) + "\n")


def _number(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    # nothing is below zero by nothing
    return round(float(value), DIGITS) + 0.0
