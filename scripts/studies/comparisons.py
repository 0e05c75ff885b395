"""One family of pairs of runs as a study's table: each run against the reference, paired."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.measures import HEADLINE
from scripts.protocol import DIRECTIONS
from scripts.studies.table import About, Row, row


def read_pairs(path: str | Path) -> list[dict[str, str]]:
    """The rows of pairs.csv as they stand there."""
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def comparison_rows(pairs: Sequence[Mapping[str, Any]], family: str) -> list[Row]:
    """Differences between each run of a family and its reference, and how likely chance gives them.

    Parameters
    ----------
    pairs : rows of ``scripts.evaluate.pairs.COLUMNS``
    family : "prompt" or "scorer"; its name in the run is the group

    Returns
    -------
    for each pair and direction, the difference in Recall@1, @5, @10 and in their mean, each with
    its interval, and as measure "p_holm" the p-value of the latter, adjusted for all of the family;
    none where there is no second of its kind
    """
    found = []
    for pair in pairs:
        if pair["family"] != family or pair["direction"] not in DIRECTIONS:
            continue
        run, queries = (pair["model"], pair["prompt"], pair["scorer"]), int(pair["queries"])
        about = About(run, pair["direction"], pair[family])
        for measure in HEADLINE:
            interval = float(pair[f"{measure}_low"]), float(pair[f"{measure}_high"])
            found.append(row(about, measure, float(pair[measure]), queries, interval))
        found.append(row(about, "p_holm", float(pair["p_holm"]), queries))
    return found
