"""From the start of a process to a job's first line of work, and a run with nothing to do."""

from __future__ import annotations

from typing import Any

from benchmarks.race import claimed, row
from benchmarks.sizes import Work


def measure(work: Work) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    from benchmarks import start_up

    rounds = work.size.rounds
    rows = []
    for found in start_up.rows(rounds):
        case = f"{found['what']}, {found['env']}" if found["env"] else found["what"]
        turn = {"seconds": found["seconds"]}
        rows.append(row("start_up", case, found["rule"], [turn], 1, found["what"]))
    claims = []
    analysis = [one for one in rows if one["case"] == "job, analysis"]
    if analysis:
        slowest = max(analysis, key=lambda one: one["median"])
        claims.append(
            claimed(
                f"seconds of the slowest job of analysis, {slowest['contender']}",
                slowest,
                [slowest["median"]],
                "s",
                2,
                at_most=True,
            )
        )
    for one in rows:
        if one["contender"] == "the default run":
            claims.append(
                claimed(
                    "a run of all of Flickr8k's jobs with nothing to do",
                    one,
                    [one["median"]],
                    "s",
                    4,
                    at_most=True,
                )
            )
    return rows, claims, [f"Medians of {rounds} rounds after a warm-up."]
