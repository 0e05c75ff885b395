"""Contenders side by side, turn by turn, each in a process of its own, and what is said of them.

Each sets up and warms up before its first turn. In every round each has one turn, and the round
after begins with another of them, so that what disturbs the machine disturbs all alike. A row holds
all its seconds; a claim compares rows round by round and gives the median, with the least and the
most.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / ".bench-packages"


@dataclass(frozen=True)
class Contender:
    """Who runs: ``function`` ("module:function") of ``arguments`` sets up and returns what a turn
    calls, which returns facts by name, or an array that is saved as ``keep``."""

    name: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    keep: Path | None = None
    outside: bool = False  # needs the packages of requirements.txt beside this file


class Process:
    """A contender at work."""

    def __init__(self, contender: Contender, log: Path) -> None:
        self.contender, self.log = contender, log
        with log.open("a", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker"],
                cwd=ROOT,
                env=environment(contender.outside),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        keep = str(contender.keep) if contender.keep else None
        self._say(
            json.dumps(
                {"function": contender.function, "arguments": contender.arguments, "keep": keep}
            )
        )
        self._hear()

    def turn(self) -> dict[str, Any]:
        self._say("go")
        return self._hear()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def _say(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.contender.name} ended early; {self.log} says why")
        return json.loads(line)


def environment(outside: bool = False) -> dict[str, str]:
    """The environment of a process that imports our modules and, where asked, those packages."""
    paths = [str(ROOT), str(ROOT / "tests"), *([str(PACKAGES)] if outside else [])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def race(
    benchmark: str,
    case: str,
    contenders: Sequence[Contender],
    rounds: int,
    items: float,
    unit: str,
    log: Path,
) -> list[dict[str, Any]]:
    """A row for each contender: the seconds of its turns, each of ``items`` things."""
    told: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in contenders}
    with ExitStack() as stack:
        processes = []
        for contender in contenders:
            process = Process(contender, log)
            stack.callback(process.end)
            processes.append(process)
        for turn in range(rounds):
            first = turn % len(processes)
            for process in processes[first:] + processes[:first]:
                told[process.contender.name].append(process.turn())
    rows = [row(benchmark, case, name, turns, items, unit) for name, turns in told.items()]
    for one in rows:
        # whoever waits sees how far it is; the tables come at the end
        where = f"{case}: {one['contender']}" if case else one["contender"]
        print(f"  {where}, {one['median']:.3g} s", file=sys.stderr, flush=True)
    return rows


def row(
    benchmark: str, case: str, contender: str, turns: list[dict[str, Any]], items: float, unit: str
) -> dict[str, Any]:
    """What is kept of a contender's turns."""
    seconds = [round(turn["seconds"], 6) for turn in turns]
    return {
        "benchmark": benchmark,
        "case": case,
        "contender": contender,
        "items": items,
        "unit": unit,
        "seconds": seconds,
        "median": statistics.median(seconds),
        "rate": items / statistics.median(seconds),
        "peak_mb": most(turns, "peak_mb"),
        "extra_mb": most(turns, "extra_mb"),
        "facts": turns[-1].get("facts", {}),
    }


def most(turns: list[dict[str, Any]], name: str) -> float | None:
    values = [turn[name] for turn in turns if turn.get(name) is not None]
    return max(values) if values else None


def named(rows: list[dict[str, Any]], contender: str) -> dict[str, Any]:
    """The row of a contender."""
    return next(row for row in rows if row["contender"] == contender)


def fastest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return max(rows, key=lambda row: row["rate"])


def faster(
    claim: str, row: dict[str, Any], than: dict[str, Any], goal: float | None = None
) -> dict[str, Any]:
    """How many times as fast one contender is as another that does the same."""
    pairs = zip(than["seconds"], row["seconds"], strict=True)
    values = [slow / quick for slow, quick in pairs]
    return claimed(claim, row, values, "times", goal)


def claimed(
    claim: str,
    row: dict[str, Any],
    values: list[float],
    unit: str,
    goal: float | None = None,
    at_most: bool = False,
) -> dict[str, Any]:
    """A claim of ``values``, one for each round; ``goal`` is what its median has to reach."""
    value = statistics.median(values)
    met = None if goal is None else bool(value <= goal if at_most else value >= goal)
    return {
        "benchmark": row["benchmark"],
        "case": row["case"],
        "claim": claim,
        "value": value,
        "low": min(values),
        "high": max(values),
        "unit": unit,
        "goal": goal,
        "at_most": at_most,
        "met": met,
    }
