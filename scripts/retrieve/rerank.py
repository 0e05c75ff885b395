"""Rankings after the second look, made of the scores that ``cross_scores`` has cached."""

import numpy as np

from scripts.data.rows import read_rows
from scripts.job import log
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.retrieve.reranking import choose_weights, rankings_after, read_looked
from scripts.retrieve.scorers import save_scorer
from scripts.retrieve.similarity import write_rankings


def main(snakemake: Snakemake) -> None:
    """Unpack the job: the second score alone, or with the first at a weight that val chooses."""
    files, params = snakemake.input, snakemake.params
    entry = params.entry
    rows = read_rows(files.captions, files.splits, params.split)
    looked = read_looked(files.scores, rows)
    scorer = {
        "kind": np.array("reranked"),
        "depth": np.array(entry["depth"]),
    }
    weights = np.zeros(len(DIRECTIONS))
    if entry["weights"]:
        val = read_rows(files.captions, files.splits, "val")
        weights, recall = choose_weights(
            read_looked(files.val_scores, val), val, entry["weights"], entry["depth"]
        )
        scorer |= {"first": weights, "val_recall": recall}
        for direction, one in zip(DIRECTIONS, weights, strict=True):
            log.info("%s: weight %g of the first score", direction, one)
    rankings = rankings_after(looked, rows, weights, entry["depth"], params.top_k)
    save_scorer(snakemake.output.scorer, scorer)
    write_rankings(snakemake.output.rankings, rankings)


if __name__ == "__main__":
    run(main, snakemake)
