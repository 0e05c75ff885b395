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

from scripts.evaluate.intervals import DIGITS, Resampling, interval_of_means
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
    *("share", "found@10", "published", "antihubs", "loss", "bound", "gain_found"),
    *("risk", "area", "area_random", "area_gain"),
)

Row = dict[str, Any]


def unit_of(measure: str) -> str:
    """What a measure counts, "share", "rank" or nothing, as ``measures.Measure`` has it."""
    if measure in MEASURES:
        return MEASURES[measure].unit
    # a study may look at other depths
    return "share" if measure.startswith(("recall@", "gain@")) or measure in SHARES else ""


def is_share(measure: str) -> bool:
    """Whether a measure is a fraction, to be printed in percent."""
    return unit_of(measure) == "share"


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
    return round(float(value), DIGITS)
