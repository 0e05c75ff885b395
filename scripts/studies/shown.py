"""A study's table as figures and the report read it: typed, and cut to the measures shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from scripts.job import BadInput
from scripts.studies.comparisons import comparison_rows, read_pairs
from scripts.studies.families import FAMILY_OF
from scripts.studies.table import CHANGE, COLUMNS, P_OF, P_RANGE, POINTS, unit_of
from scripts.words import formats

TEXT = ("model", "prompt", "scorer", "direction", "group", "measure")
NUMBERS = ("x", "queries", "value", "low", "high")
# what says something of other rows, and is no measure to draw or to table
HIDDEN = ("agrees", "p_holm", "least_cosine")
# what is said of other rows in a table, and not drawn beside them
SAID = ("cosine_lead", "base", P_RANGE, *POINTS)
# studies whose every value is one run's lead over another
DIFFERENCES = (*FAMILY_OF, "precision")
# forms that are curves, and the places that one has at least
CURVES, FEWEST = ("lines", "differences"), 3


def read_study(path: str | Path, study: str) -> pd.DataFrame:
    """Read a study's rows: labels as text, empty where there is none, numbers as numbers.

    Parameters
    ----------
    path : ``tables/<study>.csv``, or pairs.csv for what is a family of it
    study : its name

    Raises ``BadInput`` for a table of another shape.
    """
    if study in FAMILY_OF:
        rows = comparison_rows(read_pairs(path), FAMILY_OF[study])
        table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(TEXT, str))
    else:
        # a prompt or a group may be called "null" or "NA" and mean it
        table = pd.read_csv(path, keep_default_na=False, dtype=str)
    if missing := [column for column in COLUMNS if column not in table]:
        raise BadInput(
            path,
            f"no column {', '.join(missing)}",
            f"the columns {', '.join(COLUMNS)}",
            "write the table with scripts.studies.table.write_rows",
        )
    for column in NUMBERS:
        table[column] = pd.to_numeric(table[column].replace("", None))
    return table


def is_measure(measures: pd.Series) -> pd.Series:
    """Which of these are measures to table."""
    return ~(measures.isin(HIDDEN) | measures.str.startswith(P_OF))


def selected(table: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The rows to draw: with a number, of the measures in ``settings["measures"]``, or of all."""
    said = table.measure.isin(SAID) | table.measure.str.endswith(CHANGE)
    every = unique(table.measure[is_measure(table.measure) & ~said])
    measures = list(settings.get("measures") or every)
    return table[table.measure.isin(measures) & table.value.notna()].reset_index(drop=True)


def form_of(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    """How a study's rows are drawn: as its settings say, but no curve over less than three x."""
    form = str(settings["form"])
    if form in CURVES and table.groupby("group").x.nunique().max() < FEWEST:
        return "points"
    return form


def printed(row: Mapping[str, Any]) -> Callable[[float], str]:
    """How the values of a row are printed, in its table and in sentences; shares without a sign."""
    if row["measure"] == P_RANGE:
        return formats.p_value
    unit = unit_of(row["measure"])
    if unit:
        return formats.rank if unit == "rank" else formats.share
    # a count has no interval
    counted = pd.isna(row["low"]) and float(row["value"]).is_integer()
    return formats.count if counted else formats.score


def is_difference(study: str, values: pd.Series) -> bool:
    """Whether values are told from zero: known so, or some are below it."""
    return study in DIFFERENCES or bool((values < 0).any())


def unique(column: pd.Series) -> list[Any]:
    """Values in the order in which they come up."""
    return list(dict.fromkeys(column))
