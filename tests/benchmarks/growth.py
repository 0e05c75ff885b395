"""How cost grows with the gallery, from a thousand items to a million: ranking, and indexes."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from benchmarks.race import Contender, claimed, race
from benchmarks.sizes import Work


def measure(work: Work) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    size = work.size
    rows = []
    for gallery in size.galleries:
        given = {"queries": size.growth_queries, "gallery": gallery}
        (one,) = race(
            "growth",
            f"{gallery:,} items",
            [Contender("exact ranking", "benchmarks.ranking:against_many", given)],
            size.rounds,
            size.growth_queries,
            "queries",
            work.log,
        )
        # of one ranking, where a turn held several
        for name in ("median", "seconds"):
            one[name] = np.divide(one[name], one["facts"]["times"]).tolist()
        one["rate"] = size.growth_queries / one["median"]
        one["gallery"] = gallery
        rows.append(one)
    claims = [exponent("exact ranking", rows, "median", 1.1)]
    notes = [f"{size.growth_queries} queries against each gallery."]
    if importlib.util.find_spec("scripts.retrieve.indexes"):
        from benchmarks import indexes

        own, more, said = indexes.measure(work)
        return rows + own, claims + more, notes + said
    return rows, claims, notes


def exponent(
    contender: str, rows: list[dict[str, Any]], what: str, goal: float | None = None
) -> dict[str, Any]:
    """By which power of the items ``what`` grows: the slope of its logarithm, fitted by least
    squares."""
    sizes = np.log([row["gallery"] for row in rows])
    slope = float(np.polyfit(sizes, np.log([row[what] for row in rows]), 1)[0])
    like = rows[0] | {"case": contender}
    return claimed(f"exponent of {what} over items", like, [slope], "", goal, at_most=True)
