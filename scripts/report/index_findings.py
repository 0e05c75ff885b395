"""What index_costs.csv shows: which index is worth its while, and what the fastest one misses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from scripts.protocol import DIRECTIONS
from scripts.report.findings import Finding, Label
from scripts.words import formats

# of the exact top ten: an index that finds less is no stand-in for the exact ranking
ENOUGH_FOUND = 0.95
EXACT = ("exact", "flat")
# the report's table of index_costs.csv
COSTS = "study_indexes_costs"


def through(costs: pd.DataFrame) -> pd.DataFrame:
    """The rows of indexes that do not compare every item."""
    return costs[~costs.kind.isin(EXACT)]


def exactly(costs: pd.DataFrame) -> pd.DataFrame:
    """The rows of what compares every item: the ranking, and an index that is flat."""
    return costs[costs.kind.isin(EXACT)]


def repaid_after(row: Mapping[str, Any], exact: Mapping[str, Any]) -> str:
    """Queries that repay the building of an index, to two digits; none where exact is as fast.

    Parameters
    ----------
    row, exact : rows of index_costs.csv: of the index, and of the fastest exact search there
    """
    gained = exact["latency_ms"] - row["latency_ms"]
    if not gained > 0:
        return formats.NOTHING
    return formats.count(int(float(f"{1000 * row['build_s'] / gained:.2g}")))


def index_costs(costs: pd.DataFrame) -> list[Finding]:
    """Among the most items: the fastest index that finds enough, and the fastest of all.

    Parameters
    ----------
    costs : of index_costs.csv
    """
    found = []
    for way in DIRECTIONS:
        own = costs[costs.direction == way]
        own = own[own["items"] == own["items"].max()]
        exact, others = exactly(own), through(own)
        if exact.empty or others.empty:
            continue
        slow, fast = (one.loc[one.latency_ms.idxmin()] for one in (exact, others))
        about = {
            "direction": way,
            "items": formats.count(slow["items"]),
            "simulated": formats.count(slow.simulated),
            "exact": formats.decimal(slow.latency_ms, 3),
            "exact_memory": formats.decimal(slow.memory_mb),
        }
        enough = others[others["found@10"] >= ENOUGH_FOUND]
        if len(enough):
            best = enough.loc[enough.latency_ms.idxmin()]
            key = "pays" if best.latency_ms < slow.latency_ms else "none"
            found.append(Finding(f"index_costs_{key}", about | _told(best), COSTS))
        # the one that finds enough may be the fastest, too
        if enough.empty or best["index"] != fast["index"]:
            faster = fast.latency_ms < slow.latency_ms
            key = "misses" if faster else "slow"
            found.append(Finding(f"index_costs_{key}", about | _told(fast), COSTS))
    return found


def _told(row: pd.Series) -> dict[str, str | Label]:
    return {
        "name": Label("indexes", row["index"]),
        "found": formats.percent(row["found@10"]),
        "latency": formats.decimal(row.latency_ms, 3),
        "memory": formats.decimal(row.memory_mb),
    }
