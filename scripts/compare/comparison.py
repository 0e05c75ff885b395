"""All that is found of two runs, as one dictionary that JSON, Markdown and screen are made from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from scripts.compare import sides
from scripts.compare.changes import changes_of
from scripts.compare.gate import ALPHA, BOTH, FLIPS, POWER, SEED, Gain, Values, gains_of, mean_of
from scripts.compare.settings import other_settings, untold
from scripts.data.rows import Rows
from scripts.evaluate.intervals import DIGITS
from scripts.job import BadInput
from scripts.measures import HEADLINE, MEASURES
from scripts.protocol import DIRECTIONS
from scripts.retrieve.arrays import Arrays

FAIL_IF, FAIL_UNLESS = "fail-if worse", "fail-unless not-worse"


class NotAlike(Exception):
    """Two runs that cannot be compared.

    Parameters
    ----------
    differences : what, and what it is in A and in B
    """

    def __init__(self, differences: list[sides.Difference]) -> None:
        super().__init__(differences)
        self.differences = differences


def comparison_of(
    first: Path, second: Path, metric: str, gate: str | None, margin: float
) -> dict[str, Any]:
    """What B is against A; fractions where measures are shares, and nothing that JSON cannot hold.

    Parameters
    ----------
    first, second : folders of A and B
    metric : what decides, one of ``MEASURES`` but medians
    gate : ``FAIL_IF``, ``FAIL_UNLESS`` or None
    margin : points of a share, else in the metric's own unit

    Raises ``BadInput`` for what is no run, and ``NotAlike`` for two that cannot be compared.
    """
    a, b = sides.read_both(first, second)
    if different := sides.other_queries(a, b):
        raise NotAlike(different)
    rows = sides.rows_of(b, a)
    if different := sides.other_pictures(a, b, rows):
        raise NotAlike(different)
    rankings = sides.read_ranks(a, rows), sides.read_ranks(b, rows)
    values = sides.values_of_ranks(rankings[0], rows), sides.values_of_ranks(rankings[1], rows)
    if different := sides.other_measures(a, b, values):
        raise NotAlike(different)
    names = list(dict.fromkeys([metric, *HEADLINE]))
    gains = gains_of(*values, names, rows)
    decides = gains[metric][BOTH]
    points = 100 if MEASURES[metric].unit == "share" else 1
    if gate and margin / points >= decides.most:
        expected = f"less than {decides.most * points:g}, which is all that can be"
        raise BadInput("--margin", f"{margin:g}", expected, "take a smaller one")
    return {
        "a": {"folder": a.shown, **a.names},
        "b": {"folder": b.shown, **b.names},
        "split": a.about["split"],
        "images": len(rows.images),
        "captions": len(rows.captions),
        "rows": rows.digest,
        "metric": metric,
        "verdict": _verdict(decides, *rankings),
        "gate": gate and _gate(gate, decides, margin / points, rows),
        "measures": [
            _measured(name, way, values, gain)
            for name, of_ways in gains.items()
            for way, gain in of_ways.items()
        ],
        "changes": {way: asdict(one) for way, one in changes_of(*rankings, rows).items()},
        "different": [one._asdict() for one in other_settings(a, b)],
        "untold": {"a": untold(a), "b": untold(b)},
        "draws": FLIPS,
        "seed": SEED,
    }


def _verdict(gain: Gain, a: Arrays, b: Arrays) -> str:
    if all(np.array_equal(a[f"{way}_rank"], b[f"{way}_rank"]) for way in DIRECTIONS):
        return "same"
    if gain.p_above(0) < ALPHA:
        return "better"
    return "worse" if gain.p_below(0) < ALPHA else "alike"


def _measured(name: str, way: str, values: tuple[Values, Values], gain: Gain) -> dict[str, Any]:
    """A row of the table; bounds and difference are those of B − A, whichever way is better."""
    ends = (gain.mean, gain.low, gain.high)
    if MEASURES[name].better == "lower":
        ends = (-gain.mean, -gain.high, -gain.low)
    return {
        "measure": name,
        "direction": way,
        **{
            key: round(mean_of(own, name, way), DIGITS)
            for key, own in zip("ab", values, strict=True)
        },
        **dict(
            zip(
                ("difference", "low", "high"),
                (round(one, DIGITS) + 0.0 for one in ends),
                strict=True,
            )
        ),
        "p_worse": round(gain.p_below(0), DIGITS),
        "p_better": round(gain.p_above(0), DIGITS),
    }


def _gate(rule: str, gain: Gain, margin: float, rows: Rows) -> dict[str, Any]:
    """What the gate answers, by what, and, of one that asks for proof, what size of data it takes.

    "bound" is that of the gain: how much better B is than A at most, or at least.
    """
    if rule == FAIL_IF:
        p, bound = gain.p_below(-margin), gain.high
        passed, needed = not bound < -margin, {}
    else:
        p, bound = gain.p_above(-margin), gain.low
        passed = bound > -margin
        images = gain.images_needed(margin), gain.images_needed(margin, POWER)
        queries = (len(rows.images) + len(rows.captions)) / len(rows.images)
        needed = {
            "images": images[0],
            "queries": round(images[0] * queries),
            "images_with_power": images[1],
            "queries_with_power": round(images[1] * queries),
            "power": POWER,
        }
    return {
        "rule": rule,
        "margin": margin,
        "passed": passed,
        "p": round(p, DIGITS),
        "bound": round(bound, DIGITS) + 0.0,
        "needed": needed,
    }
