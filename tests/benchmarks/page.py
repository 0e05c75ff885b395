"""The figures as tables: in the terminal, and in docs/benchmarks.md with a picture of growth.

No number on the page is typed: what stands between its marks is written from docs/benchmarks.json,
which is the JSON of a run.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.race import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
FIGURES = PAGE.with_suffix(".json")
PICTURE = PAGE.with_suffix(".svg")
MARKED = re.compile(r"(<!-- figures of (\w+) -->\n).*?(<!-- end of figures -->)", re.S)

ROW_HEADS = [
    "case",
    "contender",
    "median",
    "least to most",
    "speed",
    "peak MB",
    "extra MB",
    "found",
]
# of what contenders say besides, what a reader wants to see
SHOWN = (
    "precision",
    "recall@1",
    "recall@5",
    "recall@10",
    "found@10",
    "index_mb",
    "page_mb",
    "beside_mb",
    "jobs",
)
# rules of a whole run that are listed; all stand in the JSON
RULES = 10
CLAIM_HEADS = ["case", "what", "figure", "least to most", "goal"]


def number(value: float | None) -> str:
    """Three digits that count; more where a share is all but one."""
    if value is None:
        return ""
    if 0.99 < value < 1:
        return f"{value:.6f}".rstrip("0").rstrip(".")
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if 0 < abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:.3g}"


def row_of(row: dict[str, Any]) -> list[str]:
    seconds = row["seconds"]
    spread = f"{number(min(seconds))} to {number(max(seconds))} s" if len(seconds) > 1 else ""
    speed = f"{number(row['rate'])} {row['unit']}/s"
    memory = [number(row["peak_mb"]), number(row["extra_mb"])]
    median, found = f"{number(row['median'])} s", found_of(row["facts"])
    return [row["case"], row["contender"], median, spread, speed, *memory, found]


def found_of(facts: dict[str, Any]) -> str:
    values = [(name, facts[name]) for name in SHOWN if name in facts]
    return ", ".join(
        f"{name} {value if isinstance(value, str) else number(value)}" for name, value in values
    )


def claim_of(claim: dict[str, Any]) -> list[str]:
    goal = ""
    if claim["goal"] is not None:
        sign, verdict = "≤" if claim["at_most"] else "≥", "" if claim["met"] else ", not reached"
        goal = f"{sign} {number(claim['goal'])}{verdict}"
    figure = f"{number(claim['value'])} {claim['unit']}".strip()
    several = claim["low"] != claim["high"]
    spread = f"{number(claim['low'])} to {number(claim['high'])}" if several else ""
    return [claim["case"], claim["claim"], figure, spread, goal]


def listed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All rows, but of a whole run's rules those that took longest, the longest first."""
    found = [row for row in rows if "jobs" not in row["facts"]]
    rules = [row for row in rows if "jobs" in row["facts"]]
    for case in dict.fromkeys(row["case"] for row in rules):
        own = (row for row in rules if row["case"] == case)
        found += sorted(own, key=lambda row: -row["median"])[:RULES]
    return found


def shown(measured: dict[str, Any], form: str = "simple") -> str:
    """A benchmark's claims and rows as two tables."""
    tables = [
        (CLAIM_HEADS, [claim_of(claim) for claim in measured["claims"]]),
        (ROW_HEADS, [row_of(row) for row in listed(measured["rows"])]),
    ]
    return "\n\n".join(
        tabulate(rows, heads, form, disable_numparse=True) for heads, rows in tables if rows
    )


def machine_of(measured: dict[str, Any]) -> str:
    """When and on what a benchmark ran."""
    on = measured["machine"]
    return (
        f"{measured['date']}, {measured['minutes']:g} minutes, at {on['commit']}. {on['cpu']}, "
        f"{on['cores']} cores, {on['memory_gb']:g} GB of memory, load {on['load_before']:g} "
        f"before; {on['system']}, Python {on['python']}, torch {on['torch']} "
        f"({on['torch_kernels']}, {on['torch_threads']} threads), "
        f"transformers {on['transformers']}, numpy {on['numpy']} ({on['numpy_blas']})."
    )


def figures_of(measured: dict[str, Any]) -> str:
    """What the page says of one benchmark."""
    return "\n\n".join(
        [" ".join(measured["notes"]), shown(measured, "github"), machine_of(measured)]
    )


def filled(text: str, kept: dict[str, Any]) -> str:
    """The page with the figures of ``kept`` between its marks."""

    def figures(mark: re.Match[str]) -> str:
        measured = kept.get(mark[2])
        told = figures_of(measured) if measured else "Not measured yet."
        if measured and mark[2] == "growth":
            told = f"![Seconds over items in the gallery]({PICTURE.name})\n\n{told}"
        return f"{mark[1]}\n{told}\n\n{mark[3]}"

    return MARKED.sub(figures, text)


def write(output: Path) -> None:
    """Take the figures of a run into docs/benchmarks.json, the page and its picture.

    What that run did not measure stays as it was; each benchmark says when and on what it ran.
    """
    kept = json.loads(FIGURES.read_text("utf-8")) | json.loads(output.read_text("utf-8"))
    FIGURES.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    PAGE.write_text(filled(PAGE.read_text("utf-8"), kept), "utf-8")
    if "growth" in kept:
        draw(kept["growth"]["rows"], PICTURE)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds over items, both on logarithmic axes: asking on the left, building on the right."""
    from matplotlib.figure import Figure

    from scripts.figures.style import INK, MUTED, PALETTE, WIDTH, sheet

    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        lines.setdefault(row["contender"], []).append((row["gallery"], row["median"]))
    asking = {
        name.removesuffix(", ask"): line
        for name, line in lines.items()
        if not name.endswith(", build")
    }
    building = {
        name.removesuffix(", build"): line
        for name, line in lines.items()
        if name.endswith(", build")
    }
    queries = next(row["items"] for row in rows if not row["contender"].endswith(", build"))
    panels = [(f"Seconds for {queries:,} queries", asking)]
    panels += [("Seconds to build the index", building)] if building else []
    colours = {name: PALETTE[place] for place, name in enumerate(asking)}
    with sheet():
        figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
        for place, (title, own) in enumerate(panels, start=1):
            axes = figure.add_subplot(1, len(panels), place, xscale="log", yscale="log")
            axes.set_title(title)
            axes.set_xlabel("items in the gallery")
            axes.grid(True)
            for name, line in own.items():
                x, y = zip(*line, strict=True)
                axes.plot(x, y, marker="o", markersize=4, color=colours[name], label=name)
            left, right = axes.get_xlim()
            low, high = axes.get_ylim()
            start = min(y for line in own.values() for _, y in line)
            first = min(x for line in own.values() for x, _ in line)
            axes.plot(
                *([first, right], [start, start * right / first]),
                **{
                    "color": MUTED,
                    "linestyle": ":",
                    "linewidth": 1,
                    "label": "in proportion to items",
                },
            )
            axes.set(xlim=(left, right), ylim=(low, max(high, start * right / first)))
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
            axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, labelcolor=INK)
        figure.savefig(path, format="svg", metadata={"Date": None})
