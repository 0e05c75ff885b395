"""What each rule cost, and where and with what it ran, from what its jobs said of themselves."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scripts.job import whole, write_json
from scripts.jobs import Job, Snakemake, jobs_behind, run

COLUMNS = ("rule", "jobs", "seconds", "max_rss_mb", "mean_load_percent")


def cost_of_rules(jobs: Iterable[Job]) -> list[dict[str, str | float | None]]:
    """One row per rule, in the order of first appearance; shards of a step are that step.

    Returns
    -------
    rows of ``COLUMNS``: the seconds of all jobs together, the largest memory of one, and the load
    of all, in percent of one core
    """
    jobs_of: dict[str, list[Job]] = {}
    for job in jobs:
        jobs_of.setdefault(job.rule.removesuffix("_shard"), []).append(job)
    return [{"rule": rule, **_cost(of_rule)} for rule, of_rule in jobs_of.items()]


def _cost(jobs: list[Job]) -> dict[str, float | None]:
    """One rule's row, without its name."""
    seconds = sum(job.seconds for job in jobs)
    load = 100 * sum(job.cpu_seconds for job in jobs) / seconds if seconds else None
    return {
        "jobs": len(jobs),
        "seconds": round(seconds, 2),
        "max_rss_mb": max((job.max_rss_mb for job in jobs if job.max_rss_mb), default=None),
        "mean_load_percent": None if load is None else round(load, 2),
    }


def where_and_with_what(jobs: Iterable[Job]) -> dict[str, list[dict[str, Any]]]:
    """Machines that jobs ran on, with the rules, and versions of libraries that they loaded.

    Returns
    -------
    "machines": as in ``Job``, with "rules"; "packages": name and version. Each once, in the order
    of first appearance: a run that went on elsewhere has several
    """
    machines: dict[str, dict[str, Any]] = {}
    packages: dict[tuple[str, str], None] = {}
    for job in jobs:
        key = json.dumps(job.machine, sort_keys=True)
        rules = machines.setdefault(key, {**job.machine, "rules": []})["rules"]
        if job.rule not in rules:
            rules.append(job.rule)
        packages |= dict.fromkeys(job.versions.items())
    return {
        "machines": list(machines.values()),
        "packages": [{"name": name, "version": version} for name, version in packages],
    }


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    jobs = list(jobs_behind(snakemake.input.metrics))
    with whole(snakemake.output.csv) as draft, draft.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(cost_of_rules(jobs))
    write_json(Path(snakemake.output.machine), where_and_with_what(jobs))


if __name__ == "__main__":
    run(main, snakemake)
