"""What each rule cost in time and memory, from Snakemake's benchmark files."""

import csv
from collections.abc import Iterable
from pathlib import Path

from scripts.job import BadInput, run, whole

COLUMNS = ("rule", "jobs", "seconds", "max_rss_mb", "mean_load_percent")
Measure = dict[str, float | None]


def read_benchmark(path: str | Path) -> Measure:
    """One job's cost: the mean of its repeats, and the largest of their memory.

    Returns
    -------
    "s" seconds, "max_rss" MB (2**20 bytes), "mean_load" percent of one core; None where Snakemake
    could not measure, as it cannot for very short jobs

    Raises
    ------
    BadInput
        where the file is not a benchmark file of Snakemake.
    """
    header, *lines = Path(path).read_text("utf-8").splitlines() or [""]
    names = header.split("\t")
    repeats = [dict(zip(names, line.split("\t"), strict=False)) for line in lines]
    if not repeats or not {"s", "max_rss", "mean_load"} <= set(repeats[0]):
        raise BadInput(
            path,
            "no row with the columns s, max_rss and mean_load",
            "a benchmark file",
            "delete it and run the rule again (snakemake --forcerun RULE)",
        )
    known = {
        name: [value for one in repeats if (value := _number(one[name], path)) is not None]
        for name in ("s", "max_rss", "mean_load")
    }
    return {
        "s": _mean(known["s"]),
        "max_rss": max(known["max_rss"], default=None),
        "mean_load": _mean(known["mean_load"]),
    }


def cost_of_rules(benchmarks: Iterable[str | Path]) -> list[dict[str, str | float | None]]:
    """One row per rule, in the order of first appearance.

    Parameters
    ----------
    benchmarks : results/benchmarks/<rule>/<wildcards>.tsv, one for each job

    Returns
    -------
    rows of ``COLUMNS``: the seconds of all jobs together, the largest memory of one, the load
    weighted by the jobs' seconds
    """
    jobs_of: dict[str, list[Measure]] = {}
    for path in benchmarks:
        jobs_of.setdefault(Path(path).parent.name, []).append(read_benchmark(path))
    return [{"rule": rule, **_cost(jobs)} for rule, jobs in jobs_of.items()]


def _cost(jobs: list[Measure]) -> dict[str, float | None]:
    """One rule's row, without its name."""
    memory = [job["max_rss"] for job in jobs if job["max_rss"] is not None]
    loads = [(job["mean_load"], job["s"]) for job in jobs if job["mean_load"] is not None]
    seconds = sum(length or 0 for _, length in loads)
    load = sum(load * (length or 0) for load, length in loads)
    return {
        "jobs": len(jobs),
        "seconds": _rounded(sum(job["s"] or 0 for job in jobs)),
        "max_rss_mb": max(memory, default=None),
        "mean_load_percent": _rounded(load / seconds) if seconds else None,
    }


def _number(text: str | None, path: str | Path) -> float | None:
    if text is None or text in ("-", "NA", ""):
        return None
    try:
        return float(text)
    except ValueError:
        raise BadInput(
            path, f"{text!r:.40}", "a number, or - or NA", "delete it and run the rule again"
        ) from None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _rounded(value: float) -> float:
    """Hundredths; Snakemake itself measures no finer."""
    return round(value, 2)


def main(snakemake) -> None:
    """Unpack the job."""
    with whole(snakemake.output.csv) as draft, draft.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(cost_of_rules(snakemake.input.benchmarks))


if __name__ == "__main__":
    run(main, snakemake)
