"""Any two runs on the same queries: how far apart, how sure, and what is more than noise.

A difference is that of the mean recall (the mean of Recall@1, @5 and @10), query by query. Its
interval comes from a bootstrap over images, its p-value from a paired randomisation test whose coin
is the image. p-values are adjusted by Holm within each question asked: which prompt, which scorer,
which model; and, for all other pairs, among themselves.
"""

import csv
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import (
    DIGITS,
    Resampling,
    bootstrap_means,
    holm,
    percentile_interval,
    randomisation_p,
)
from scripts.evaluate.runs import Run, images_of_queries, read_run
from scripts.job import Snakemake, run, whole
from scripts.measures import HEADLINE, headline
from scripts.protocol import DIRECTIONS

FAMILIES = ("prompt", "scorer", "model", "other")
BOUNDS = tuple(f"{measure}_{end}" for measure in HEADLINE for end in ("low", "high"))
COLUMNS = (
    "family",
    *("model", "prompt", "scorer", "other_model", "other_prompt", "other_scorer"),
    *("direction", "queries", *HEADLINE, *BOUNDS, "p", "p_holm", "verdict"),
)
SIGNIFICANT = 0.05


def pairs_of(runs: Sequence[Run]) -> list[tuple[str, Run, Run]]:
    """Every pair of runs once, with the question that it answers.

    The first run is the reference. A pair belongs to a family where the two differ in that one name
    alone, one of them has the reference's, and what they share is the reference's as well (the
    model of prompts and scorers may be any). The run compared against comes last.
    """
    pairs = [(_family(mine, other, runs[0]), mine, other) for other, mine in combinations(runs, 2)]
    return sorted(pairs, key=lambda pair: FAMILIES.index(pair[0]))


def _family(mine: Run, other: Run, first: Run) -> str:
    prompt = mine.prompt == other.prompt == first.prompt
    scorer = mine.scorer == other.scorer == first.scorer
    if mine.model == other.model and scorer and other.prompt == first.prompt:
        return "prompt"
    if mine.model == other.model and prompt and other.scorer == first.scorer:
        return "scorer"
    return "model" if prompt and scorer and other.model == first.model else "other"


def verdict_of(difference: float, p: float) -> str:
    """ "better", "worse", or "alike" where an adjusted p-value calls a difference noise."""
    if p >= SIGNIFICANT or difference == 0:
        return "alike"
    return "better" if difference > 0 else "worse"


def compare_all(
    pairs: Sequence[tuple[str, Run, Run]], rows: Rows, resampling: Resampling, flips: int
) -> list[dict[str, Any]]:
    """One row of ``COLUMNS`` for each pair and direction, differences as fractions.

    Parameters
    ----------
    pairs : family, run, and the run that it is compared against
    rows : of all runs
    resampling : of the intervals
    flips : of the randomisation tests, with the seed of ``resampling``
    """
    records: list[dict[str, Any]] = []
    for way in DIRECTIONS:
        if not pairs:
            continue
        images = images_of_queries(way, rows)
        differences = np.concatenate(
            [headline(mine.ranks[way]) - headline(other.ranks[way]) for _, mine, other in pairs],
            axis=1,
        )
        bounds = percentile_interval(bootstrap_means(differences, images, resampling))
        of_means = differences[:, len(HEADLINE) - 1 :: len(HEADLINE)]
        p = randomisation_p(of_means, images, flips, resampling.seed)
        means = np.round(differences.mean(axis=0), DIGITS).reshape(len(pairs), -1)
        for place, (family, mine, other) in enumerate(pairs):
            own = bounds[place * len(HEADLINE) : (place + 1) * len(HEADLINE)]
            records.append(
                {
                    "family": family,
                    **dict(zip(("model", "prompt", "scorer"), mine.key, strict=True)),
                    **dict(
                        zip(("other_model", "other_prompt", "other_scorer"), other.key, strict=True)
                    ),
                    "direction": way,
                    "queries": len(images),
                    **dict(zip(HEADLINE, means[place].tolist(), strict=True)),
                    **dict(zip(BOUNDS, own.ravel().tolist(), strict=True)),
                    "p": round(float(p[place]), DIGITS),
                }
            )
    for family in FAMILIES:
        own_rows = [record for record in records if record["family"] == family]
        adjusted = holm(np.array([record["p"] for record in own_rows]))
        for record, value in zip(own_rows, adjusted, strict=True):
            record["p_holm"] = round(float(value), DIGITS)
            record["verdict"] = verdict_of(record["mean"], record["p_holm"])
    return sorted(records, key=lambda record: FAMILIES.index(record["family"]))


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    runs = [read_run(path, rows) for path in files.rankings]
    records = compare_all(
        pairs_of(runs), rows, Resampling(params.resamples, params.seed), params.flips
    )
    with whole(snakemake.output.csv) as draft, draft.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


if __name__ == "__main__":
    run(main, snakemake)
