"""Whether the model knows when it errs: the risk of answering only what it is surest of.

Who asks does not know the right answer, but sees two things: the score of the first result ("top
score"), and by how much it lies above the second ("margin"). Queries are answered from the highest
of these to the lowest. Risk is the share with a wrong first result among those answered, coverage
the share of queries answered (Geifman and El-Yaniv 2017, "Selective classification for deep neural
networks", NeurIPS). Queries that are equal in it are answered in any order: what is told is the
mean over all orders.

Measures in the table: "risk" with x = coverage; "area", its mean over all coverages (the area under
risk by coverage); "area_random", that of a random order, which is the risk of answering all; and
"area_gain", the second less the first, paired: above zero, what is low warns of an error.
"""

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import (
    AT_ONCE,
    Resampling,
    exact_at_ends,
    percentile_interval,
    resample_counts,
)
from scripts.evaluate.runs import Run, images_of_queries, read_run
from scripts.job import log
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.studies.table import About, Row, row, write_rows

# coverages that the area is a mean over, and those of them that are told
COVERAGES = np.arange(1, 101) / 100
TOLD = range(9, 100, 10)
AREAS = ("area", "area_random", "area_gain")


def signals_of(run_: Run, direction: str) -> dict[str, np.ndarray]:
    """What one has when asking, (q,) float64 each; no margin where a gallery holds one item."""
    scores = run_.scores[direction].astype(np.float64)
    found = {"top score": scores[:, 0]}
    if scores.shape[1] > 1:
        found["margin"] = scores[:, 0] - scores[:, 1]
    return found


def risks(confidence: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of wrong answers among the surest, at each of ``COVERAGES``.

    Parameters
    ----------
    confidence : (q,)
    wrong : (q,) boolean
    weights : (b, q) how often each query counts, at least one in each row above zero

    Returns
    -------
    (b, len(COVERAGES)) float64

    Of a query, or of equals, that a coverage reaches into, the same share counts of all of them.
    """
    order = np.argsort(-confidence, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(confidence[order]) != 0])
    weights = weights[:, order]
    zero = np.zeros((len(weights), 1))
    asked, failed = (
        np.hstack([zero, np.add.reduceat(own, starts, axis=1).cumsum(axis=1)])
        for own in (weights, weights * wrong[order])
    )
    covered = COVERAGES * asked[:, -1:]
    upto = [np.interp(*one) for one in zip(covered, asked, failed, strict=True)]
    return np.stack(upto) / covered


def confidence_rows(run_: Run, rows: Rows, direction: str, resampling: Resampling) -> list[Row]:
    """Risk by coverage, and the areas, for what one has when asking in one direction."""
    images = images_of_queries(direction, rows)
    wrong = run_.ranks[direction] > 1
    found = []
    for name, confidence in signals_of(run_, direction).items():
        (own,) = risks(confidence, wrong, np.ones((1, len(wrong))))
        drawn = _drawn(confidence, wrong, images, len(rows.images), resampling)
        bounds = percentile_interval(drawn)
        surest = images[np.argsort(-confidence, kind="stable")]
        for place in TOLD:
            answered = round(COVERAGES[place] * len(wrong)) or 1
            (interval,) = exact_at_ends(bounds[place : place + 1], surest[:answered])
            about = About(run_, direction, name, float(COVERAGES[place]))
            found.append(row(about, "risk", own[place], answered, interval))
        about = About(run_, direction, name)
        areas = zip(_areas(own[None])[0], percentile_interval(_areas(drawn)), strict=True)
        for measure, (value, interval) in zip(AREAS, areas, strict=True):
            found.append(row(about, measure, value, len(wrong), interval))
    return found


def _drawn(
    confidence: np.ndarray,
    wrong: np.ndarray,
    images: np.ndarray,
    count: int,
    resampling: Resampling,
) -> np.ndarray:
    """(resamples, len(COVERAGES)) risks in resamples of the images."""
    step = max(1, AT_ONCE // len(wrong))
    return np.concatenate(
        [
            risks(confidence, wrong, counts[start : start + step][:, images])
            for counts in resample_counts(count, resampling)
            for start in range(0, len(counts), step)
        ]
    )


def _areas(risk: np.ndarray) -> np.ndarray:
    """(b, 3) means of risks (b, c), those of a random order, and the second less the first."""
    area, whole = risk.mean(axis=1), risk[:, -1]
    return np.stack([area, whole, whole - area], axis=1)


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    resampling = Resampling(params.resamples, params.seed)
    found: list[Row] = []
    for path in files.rankings:
        run_ = read_run(path, rows)
        for direction in DIRECTIONS:
            found += confidence_rows(run_, rows, direction, resampling)
    log.info("risk by coverage: %d rows", len(found))
    write_rows(snakemake.output.table, found)


if __name__ == "__main__":
    run(main, snakemake)
