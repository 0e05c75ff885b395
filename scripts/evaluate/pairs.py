"""Any two runs on the same queries: how far apart, how sure, and what is more than noise.

A difference is that of the mean recall (the mean of Recall@1, @5 and @10), query by query. Its
interval comes from a bootstrap over images, its p-value from a paired randomisation test whose coin
is the image.

Whether two runs differ is one question, asked of both directions together: of the mean of the two.
p-values of these are adjusted by Holm within each question asked: which prompt, which scorer, which
model; and, for all other pairs, among themselves. In which direction they differ is asked only of
pairs that do: a closed test, where a direction's p-value is no smaller than that of both together
(Marcus, Peritz and Gabriel 1976, "On closed testing procedures", Biometrika 63). So 0.05 bounds the
chance that any two like runs of a question are called apart, and, of two runs that are apart, the
chance that they are so called in a direction in which they are not.
"""

import csv
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import (
    DIGITS,
    Resampling,
    bootstrap_means,
    holm,
    percentile_interval,
    randomisation_p,
    sums_by_image,
)
from scripts.evaluate.runs import Run, images_of_queries, read_run
from scripts.job import whole
from scripts.jobs import Snakemake, run
from scripts.measures import HEADLINE, headline
from scripts.protocol import DIRECTIONS

# of both directions together, before each of them
BOTH = "both"
WAYS = (BOTH, *DIRECTIONS)
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
    """One row of ``COLUMNS`` for each pair and each of ``WAYS``, differences as fractions.

    Parameters
    ----------
    pairs : family, run, and the run that it is compared against
    rows : of all runs
    resampling : of the intervals
    flips : of the randomisation tests, with the seed of ``resampling``

    "p" is that of a row by itself; "p_holm" is adjusted.
    """
    if not pairs:
        return []
    found = _differences(pairs, rows, resampling, flips)
    records = [
        {
            "family": family,
            **dict(zip(("model", "prompt", "scorer"), mine.key, strict=True)),
            **dict(zip(("other_model", "other_prompt", "other_scorer"), other.key, strict=True)),
            "direction": way,
            "queries": own.queries,
            **dict(zip(HEADLINE, own.means[place].tolist(), strict=True)),
            **dict(zip(BOUNDS, own.bounds[place].tolist(), strict=True)),
            "p": round(float(own.p[place]), DIGITS),
        }
        for way, own in found.items()
        for place, (family, mine, other) in enumerate(pairs)
    ]
    for family in FAMILIES:
        of_way = {
            way: [one for one in records if (one["family"], one["direction"]) == (family, way)]
            for way in WAYS
        }
        together = holm(np.array([record["p"] for record in of_way[BOTH]]))
        for own_rows in of_way.values():
            for record, joint in zip(own_rows, together, strict=True):
                adjusted = joint if record["direction"] == BOTH else max(joint, record["p"])
                record["p_holm"] = round(float(adjusted), DIGITS)
                record["verdict"] = verdict_of(record["mean"], record["p_holm"])
    return sorted(records, key=lambda record: FAMILIES.index(record["family"]))


class _Differences(NamedTuple):
    """Of c pairs: means (c, h) and bounds (c, 2h) of the headline, and p (c,)."""

    queries: int
    means: np.ndarray
    bounds: np.ndarray
    p: np.ndarray


def _differences(
    pairs: Sequence[tuple[str, Run, Run]], rows: Rows, resampling: Resampling, flips: int
) -> dict[str, _Differences]:
    """The differences of all pairs, for each of ``WAYS``."""
    found, samples, each, mean_of_image = {}, [], [], []
    for way in DIRECTIONS:
        images = images_of_queries(way, rows)
        values = np.concatenate(
            [headline(mine.ranks[way]) - headline(other.ranks[way]) for _, mine, other in pairs],
            axis=1,
        )
        # the same images are drawn both times, so that the mean of both is drawn, too
        samples.append(bootstrap_means(values, images, resampling))
        each.append(values.mean(axis=0))
        of_means = values[:, len(HEADLINE) - 1 :: len(HEADLINE)]
        sums, _ = sums_by_image(of_means, images)
        mean_of_image.append(sums / len(images))
        p = randomisation_p(of_means, images, flips, resampling.seed)
        found[way] = _of_pairs(len(images), each[-1], samples[-1], p)
    together = np.mean(mean_of_image, axis=0)
    p = randomisation_p(together, np.arange(len(together)), flips, resampling.seed)
    queries = sum(own.queries for own in found.values())
    both = _of_pairs(queries, np.mean(each, axis=0), np.mean(samples, axis=0), p)
    return {BOTH: both, **found}


def _of_pairs(queries: int, means: np.ndarray, samples: np.ndarray, p: np.ndarray) -> _Differences:
    return _Differences(
        queries,
        np.round(means, DIGITS).reshape(len(p), -1),
        percentile_interval(samples).reshape(len(p), -1),
        p,
    )


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
