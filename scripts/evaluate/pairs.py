"""Two runs on the same queries: how far apart, how sure, and what is more than noise.

A difference is that of the mean recall (the mean of Recall@1, @5 and @10), query by query. Its
interval comes from a bootstrap over images, its p-value from a paired randomisation test whose coin
is the image.

Whether two runs differ is one question, asked of both directions together: of the mean of the two.
p-values of these are adjusted by Holm within each question asked: which prompt, which scorer, which
model; and, where there are few runs, for all other pairs among themselves. In which direction they
differ is asked only of pairs that do: a closed test, where a direction's p-value is no smaller than
that of both together (Marcus, Peritz and Gabriel 1976, "On closed testing procedures", Biometrika
63). So 0.05 bounds the chance that any two like runs of a question are called apart, and, of two
runs that are apart, the chance that they are so called in a direction in which they are not.
"""

import csv
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import (
    DIGITS,
    Resampling,
    holm,
    percentile_interval,
    randomisation_p,
    resampled_means,
    sums_by_image,
)
from scripts.evaluate.runs import Ranked, images_of_queries, read_run
from scripts.job import whole
from scripts.jobs import Snakemake, run
from scripts.measures import HEADLINE, headline
from scripts.protocol import DIRECTIONS

# of both directions together, before each of them
BOTH = "both"
WAYS = (BOTH, *DIRECTIONS)
OTHER = "other"
FAMILIES = ("prompt", "scorer", "model", OTHER)
BOUNDS = tuple(f"{measure}_{end}" for measure in HEADLINE for end in ("low", "high"))
COLUMNS = (
    "family",
    *("model", "prompt", "scorer", "other_model", "other_prompt", "other_scorer"),
    *("direction", "queries", *HEADLINE, *BOUNDS, "p", "p_holm", "verdict"),
)
SIGNIFICANT = 0.05
# random numbers behind intervals that are held at a time: 16 MB of float64
SAMPLES = 2**21

# model, prompt and scorer
Key = tuple[str, str, str]
# family, run, and the run that it is compared against
Pair = tuple[str, Ranked, Ranked]


def pairs_of(runs: Sequence[Ranked], all_pairs: int) -> list[Pair]:
    """The pairs of runs that are compared, each once, with the question that it answers.

    The first run is the reference. A pair belongs to a family where the two differ in that one name
    alone, one of them has the reference's, and what they share is the reference's as well (the
    model of prompts and scorers may be any). The run compared against comes last. Pairs of no such
    family are as many as the square of the runs, and left out where there are more than
    ``all_pairs`` runs.
    """
    pairs = [
        (family, mine, other)
        for other, mine in combinations(runs, 2)
        if (family := _family(mine, other, runs[0])) != OTHER or len(runs) <= all_pairs
    ]
    return sorted(pairs, key=lambda pair: FAMILIES.index(pair[0]))


def _family(mine: Ranked, other: Ranked, first: Ranked) -> str:
    prompt = mine.prompt == other.prompt == first.prompt
    scorer = mine.scorer == other.scorer == first.scorer
    if mine.model == other.model and scorer and other.prompt == first.prompt:
        return "prompt"
    if mine.model == other.model and prompt and other.scorer == first.scorer:
        return "scorer"
    return "model" if prompt and scorer and other.model == first.model else OTHER


def verdict_of(difference: float, p: float) -> str:
    """ "better", "worse", or "alike" where an adjusted p-value calls a difference noise."""
    if p >= SIGNIFICANT or difference == 0:
        return "alike"
    return "better" if difference > 0 else "worse"


def compare_all(
    pairs: Sequence[Pair], rows: Rows, resampling: Resampling, flips: int
) -> list[dict[str, Any]]:
    """One row of ``COLUMNS`` for each pair and each of ``WAYS``, differences as fractions.

    Parameters
    ----------
    pairs : from ``pairs_of``
    rows : of all runs
    resampling : of the intervals
    flips : of the randomisation tests, with the seed of ``resampling``

    "p" is that of a row by itself; "p_holm" is adjusted.
    """
    if not pairs:
        return []
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
        for way, own in _differences(pairs, rows, resampling, flips).items()
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
    pairs: Sequence[Pair], rows: Rows, resampling: Resampling, flips: int
) -> dict[str, _Differences]:
    """The differences of all pairs, for each of ``WAYS``.

    Of a run, only the hits of each image's queries are held, and samples of a few pairs at a time:
    they would take more memory than all else.
    """
    runs = {run.key: run for _, *both in pairs for run in both}
    hits: dict[str, dict[Key, np.ndarray]] = {way: {} for way in DIRECTIONS}
    queries = {}
    for way in DIRECTIONS:
        images = images_of_queries(way, rows)
        for key, one in runs.items():
            hits[way][key], queries[way] = sums_by_image(headline(one.ranks[way]), images)
    some = max(1, SAMPLES // (resampling.resamples * len(HEADLINE)))
    parts = [
        _of_some(pairs[start : start + some], hits, queries, resampling)
        for start in range(0, len(pairs), some)
    ]
    asked = {way: int(queries[way].sum()) for way in DIRECTIONS}
    asked[BOTH] = sum(asked.values())
    found = {}
    for way in WAYS:
        means, bounds, of_images = (
            np.concatenate(kind) for kind in zip(*(part[way] for part in parts), strict=True)
        )
        p = randomisation_p(of_images.T, np.arange(of_images.shape[1]), flips, resampling.seed)
        found[way] = _Differences(asked[way], np.round(means, DIGITS), bounds, p)
    return found


def _of_some(
    pairs: Sequence[Pair],
    hits: Mapping[str, Mapping[Key, np.ndarray]],
    queries: Mapping[str, np.ndarray],
    resampling: Resampling,
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Means and bounds of a few pairs, and what each image adds to the mean recall's, (c, n).

    Parameters
    ----------
    pairs : c of those from ``pairs_of``
    hits : direction -> run -> (n, h) sums of the headline by image
    queries : direction -> (n,) by image
    resampling : of the bounds
    """
    means, samples, of_images = {}, {}, {}
    for way in DIRECTIONS:
        own, count = hits[way], queries[way].sum()
        apart = np.stack([own[mine.key] - own[other.key] for _, mine, other in pairs], axis=1)
        means[way] = apart.sum(axis=0) / count
        of_images[way] = apart[..., -1].T / count
        # the same images are drawn both times, so that the mean of both is drawn, too
        samples[way] = resampled_means(apart.reshape(len(apart), -1), queries[way], resampling)
    for kind in (means, samples, of_images):
        kind[BOTH] = np.mean([kind[way] for way in DIRECTIONS], axis=0)
    bounds = {way: percentile_interval(samples[way]).reshape(len(pairs), -1) for way in WAYS}
    return {way: (means[way], bounds[way], of_images[way]) for way in WAYS}


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    # one at a time: their lists play no part here
    read = (read_run(path, rows) for path in files.rankings)
    runs = [Ranked(*one.key, one.ranks) for one in read]
    pairs = pairs_of(runs, params.all_pairs)
    records = compare_all(pairs, rows, Resampling(params.resamples, params.seed), params.flips)
    with whole(snakemake.output.csv) as draft, draft.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


if __name__ == "__main__":
    run(main, snakemake)
