"""The figures as tables: in the terminal, and in docs/benchmarks.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.race import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
FIGURES = ROOT / "docs" / "benchmarks.json"
START, END = "<!-- figures: written by ./run bench --page -->", "<!-- end of figures -->"


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return ""
    if value == 0 or 0.99 < value < 1:
        return f"{value:.6f}".rstrip("0").rstrip(".")
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def rows_of(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [
            row["case"],
            row["contender"],
            f"{number(row['median'])} s",
            f"{number(min(row['seconds']))} to {number(max(row['seconds']))}",
            f"{number(row['rate'])} {row['unit']}/s",
            number(row["peak_mb"]),
            number(row["extra_mb"]),
        ]
        for row in rows
    ]


def claims_of(claims: list[dict[str, Any]]) -> list[list[str]]:
    told = []
    for claim in claims:
        goal = ""
        if claim["goal"] is not None:
            sign = "≤" if claim["at_most"] else "≥"
            verdict = "reached" if claim["met"] else "not reached"
            goal = f"{sign} {number(claim['goal'])}: {verdict}"
        spread = f"{number(claim['low'])} to {number(claim['high'])}"
        told.append(
            [
                claim["case"],
                claim["claim"],
                f"{number(claim['value'])} {claim['unit']}".strip(),
                spread if claim["low"] != claim["high"] else "",
                goal,
            ]
        )
    return told


ROW_HEADS = ["case", "contender", "median", "turns", "speed", "peak MB", "MB beyond its set-up"]
CLAIM_HEADS = ["case", "what", "figure", "rounds", "goal"]


def shown(measured: dict[str, Any], form: str = "simple") -> str:
    """A benchmark's rows and claims as two tables."""
    parts = [tabulate(rows_of(measured["rows"]), ROW_HEADS, form, disable_numparse=True)]
    if measured["claims"]:
        parts.append(
            tabulate(claims_of(measured["claims"]), CLAIM_HEADS, form, disable_numparse=True)
        )
    return "\n\n".join(parts)


def write(output: Path) -> None:
    """Take the figures of a run into docs/benchmarks.json and the page."""
    FIGURES.write_text(output.read_text("utf-8"), "utf-8")
    text = PAGE.read_text("utf-8")
    before, rest = text.split(START)
    PAGE.write_text(before + figures(json.loads(FIGURES.read_text("utf-8"))) + rest.split(END)[1])


def figures(kept: dict[str, Any]) -> str:
    return ""
