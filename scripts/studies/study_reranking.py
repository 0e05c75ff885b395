"""What a second look gains at each depth, of what a perfect one would gain, and what it costs.

The first lists hold each right answer or they do not: a perfect second look at the first K brings
Recall@1 to Recall@K ("bound") and no higher. "gain@1", "gain@5" and "gain@10" are paired
differences from the first ranks, on the same queries; "gain_found" is the gain in Recall@1 as a
share of what a perfect look would gain. Each has its interval by bootstrap over images, as in
pairs.csv. "pairs" are the items that are read for a query, and "seconds" what they take at the
speed at which the pairs of this run were scored. The weight of the first score, where it counts,
is the one that val chose at the full depth.

A group is a run of the second look; the scorer is the one of the first.
"""

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import Resampling, bootstrap_means, percentile_interval
from scripts.evaluate.runs import first_captions, images_of_queries
from scripts.job import log, read_json
from scripts.jobs import Snakemake, run
from scripts.measures import RECALLS, best_ranks, headline
from scripts.protocol import DEPTHS, DIRECTIONS
from scripts.retrieve.arrays import read_arrays
from scripts.retrieve.kinds import of_direction
from scripts.retrieve.reranking import (
    NONE,
    Looked,
    queries_of,
    ranks_after,
    read_looked,
    relevant_of,
)
from scripts.studies.table import About, Row, mean_rows, row, write_rows

GAINS = tuple(f"gain@{depth}" for depth in DEPTHS)


def best_of(ranks: np.ndarray, direction: str, rows: Rows) -> np.ndarray:
    """(q,) best rank of each query, of those of all right answers."""
    if direction == "text_to_image":
        return ranks
    return best_ranks(ranks, first_captions(rows))


def pairs_read(looked: Looked, direction: str, rows: Rows, depth: int) -> np.ndarray:
    """(q,) items that are read again for each query at a depth."""
    relevant = relevant_of(rows, direction)
    right = np.bincount(queries_of(relevant)[looked.rank <= depth], minlength=len(looked.wrong))
    wrong = np.count_nonzero(looked.wrong[:, :depth] != NONE, axis=1)
    return right + np.where(right > 0, np.minimum(wrong, depth - 1), wrong)


def rows_at(
    about: About,
    looked: Looked,
    rows: Rows,
    weight: float,
    seconds: float,
    resampling: Resampling,
) -> list[Row]:
    """What a second look does at one depth.

    Parameters
    ----------
    about : with the direction, and the depth as ``x``
    looked : at that depth or more, in that direction
    rows : that it is of
    weight : of the first score
    seconds : that a pair takes
    resampling : of the intervals
    """
    way, depth = about.direction, int(about.x or 0)
    images = images_of_queries(way, rows)
    first = best_of(looked.rank, way, rows)
    after = best_of(ranks_after(looked, relevant_of(rows, way), depth, weight)[0], way, rows)
    recalls, before = headline(after)[:, : len(RECALLS)], headline(first)[:, : len(RECALLS)]
    within = (first <= depth)[:, None].astype(np.float64)
    found = mean_rows(about, RECALLS, recalls, images, resampling)
    found += mean_rows(about, ("bound",), within, images, resampling)
    # the same images are drawn for both, so that their share may be taken draw by draw
    gains = np.concatenate([recalls - before, within - before[:, :1]], axis=1)
    samples, means = bootstrap_means(gains, images, resampling), gains.mean(axis=0)
    intervals = percentile_interval(samples)
    found += [
        row(about, measure, float(means[place]), len(images), intervals[place])
        for place, measure in enumerate(GAINS)
    ]
    if means[-1] > 0:
        possible = samples[:, -1] > 0
        shares = samples[possible, 0] / samples[possible, -1]
        interval = percentile_interval(shares[:, None])[0]
        found.append(row(about, "gain_found", means[0] / means[-1], len(images), interval))
    pairs = float(pairs_read(looked, way, rows, depth).mean())
    found.append(row(about, "pairs", pairs, len(images)))
    found.append(row(about, "seconds", pairs * seconds, len(images)))
    return found


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    resampling = Resampling(params.resamples, params.seed)
    table: list[Row] = []
    for (key, group, depths), scores, cost, scorer in zip(
        params.looks, files.scores, files.costs, files.scorers, strict=True
    ):
        looked, seconds = read_looked(scores, rows), read_json(cost)["seconds_per_pair"]
        weights = read_arrays(scorer, "a fitted scorer").get("first", np.zeros(len(DIRECTIONS)))
        log.info("%s: %s", key[0], group)
        for way in DIRECTIONS:
            weight = float(of_direction(weights, way))
            for depth in depths:
                about = About(tuple(key), way, group, depth)
                table += rows_at(about, looked[way], rows, weight, seconds, resampling)
    write_rows(snakemake.output.table, table)


if __name__ == "__main__":
    run(main, snakemake)
