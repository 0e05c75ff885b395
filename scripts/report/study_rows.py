"""Rows of a study's table, read for its sentences: found, said, and judged by their intervals."""

from __future__ import annotations

from typing import Any

import pandas as pd

from scripts.studies.shown import printed
from scripts.studies.table import P_RANGE, is_share
from scripts.words import formats


def told(row: pd.Series) -> str:
    """A value with its interval, as the study's table has it; of points without their name."""
    form = formats.percent if is_share(row.measure) else printed(row)
    return formats.with_interval(row.value, row.low, row.high, form)


def rows_of(table: pd.DataFrame, **keys: Any) -> pd.DataFrame:
    """The rows with these values."""
    for column, value in keys.items():
        table = table[table[column] == value]
    return table


def pick(table: pd.DataFrame, **keys: Any) -> pd.Series | None:
    """The first row with these values, or nothing."""
    rows = rows_of(table, **keys)
    return None if rows.empty else rows.iloc[0]


def apart(table: pd.DataFrame, **keys: Any) -> tuple[pd.Series, pd.Series, float] | None:
    """Of parts of the queries the best and the worst, Recall@10, and how often chance has them so.

    Nothing where there are no parts to be held against each other.
    """
    own = rows_of(table, **keys)
    parts, p = rows_of(own, measure="recall@10"), pick(own, measure=P_RANGE)
    if p is None:
        return None
    return parts.loc[parts.value.idxmax()], parts.loc[parts.value.idxmin()], p.value


def verdict(change: pd.Series | None) -> str:
    """ "higher" or "lower" where the interval of a paired change leaves zero out; else "alike"."""
    if change is None or not (change.low > 0 or change.high < 0):
        return "alike"
    return "higher" if change.low > 0 else "lower"


def same(one: pd.Series, other: pd.Series) -> bool:
    """Whether two shares are printed alike, so that neither can be called the higher one."""
    return formats.share(one.value) == formats.share(other.value)


def of_most(own: pd.DataFrame) -> pd.DataFrame:
    """Rows of at least half as many queries as the one with most has.

    Where a single image has one caption more than all others, nothing is told of it alone.
    """
    return own[2 * own.queries >= own.queries.max()]
