"""Test recall of each seed of a trained scorer, and the mean and spread over its seeds.

Training starts from another seed each time and sees train and val in another order; what differs
between seeds is chance. For each seed there is recall with its interval over images. For all seeds
together there is the mean, with one standard deviation over seeds below and above it (n - 1 in the
denominator) in place of an interval: this is spread between trainings, and says nothing about other
images. With one seed there is no spread. Whether seeds differ by more than the queries that fell to
them is told by "range", mean recall of the best less that of the worst, and "p_range", how often it
is as large where the seeds of each image are dealt anew.
"""

from pathlib import Path

import numpy as np

from scripts.evaluate.intervals import Resampling
from scripts.evaluate.ranges import paired_range
from scripts.evaluate.runs import first_captions, images_of_queries
from scripts.job import log
from scripts.jobs import Snakemake, run
from scripts.measures import best_ranks, mean_hits
from scripts.protocol import DIRECTIONS
from scripts.retrieve.adapter import with_seed
from scripts.retrieve.arrays import Arrays
from scripts.retrieve.scorers import load_scorer
from scripts.retrieve.similarity import rankings_of
from scripts.studies.reference import Reference, read_references
from scripts.studies.table import About, Row, range_rows, recall_rows, row, write_rows


def seed_rows(reference: Reference, name: str, scorer: Arrays, resampling: Resampling) -> list[Row]:
    """Recall of each seed of one scorer, their mean and spread, and whether they differ.

    Parameters
    ----------
    reference : the run whose features the scorer maps
    name : of the scorer
    scorer : what its training gave, with maps for each of its "seeds"
    resampling : of the intervals, and of the draws of seeds
    """
    rows = reference.rows
    key = (reference.run.model, reference.run.prompt, name)
    of_seeds: list[Row] = []
    recalls: dict[str, list[np.ndarray]] = {way: [] for way in DIRECTIONS}
    for place, seed in enumerate(scorer["seeds"].tolist()):
        found = rankings_of(reference.images, reference.texts, rows, with_seed(scorer, place), k=1)
        ranks = {
            "text_to_image": found["text_to_image_rank"],
            "image_to_text": best_ranks(found["image_to_text_rank"], first_captions(rows)),
        }
        for way in DIRECTIONS:
            group = f"{name}, seed {seed}"
            images = images_of_queries(way, rows)
            of_seeds += recall_rows(About(key, way, group, seed), ranks[way], images, resampling)
            recalls[way].append(mean_hits(ranks[way]))
    table = of_seeds + mean_and_spread(of_seeds, f"{name}, mean")
    for way in DIRECTIONS:
        values = np.stack(recalls[way], axis=1)
        if values.shape[1] > 1:
            tested = paired_range(values, images_of_queries(way, rows), resampling)
            table += range_rows(About(key, way, f"{name}, mean"), tested, len(values))
    return table


def mean_and_spread(of_seeds: list[Row], group: str) -> list[Row]:
    """For each direction and measure of ``of_seeds``, the mean, and one standard deviation."""
    values: dict[tuple[str, str], list[Row]] = {}
    for one in of_seeds:
        values.setdefault((one["direction"], one["measure"]), []).append(one)
    found = []
    for (way, measure), rows in values.items():
        some = np.array([one["value"] for one in rows])
        mean = float(some.mean())
        spread = float(some.std(ddof=1)) if len(some) > 1 else float("nan")
        key = (rows[0]["model"], rows[0]["prompt"], rows[0]["scorer"])
        around = (mean - spread, mean + spread)
        found.append(row(About(key, way, group), measure, mean, rows[0]["queries"], around))
    return found


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    resampling = Resampling(params.resamples, params.seed)
    # the adapters of other prompts map features that are not read here
    references = {
        (one.run.model, one.run.prompt): one for one in read_references(files, params.split)
    }
    found: list[Row] = []
    for path in files.adapters:
        model, prompt, name = Path(path).parts[-4:-1]
        if (model, prompt) in references:
            scorer = load_scorer(path)
            log.info("%s: %s, %d seeds", model, name, len(scorer["seeds"]))
            found += seed_rows(references[model, prompt], name, scorer, resampling)
    write_rows(snakemake.output.table, found)


if __name__ == "__main__":
    run(main, snakemake)
