"""Retrieval metrics from ranks.

Ranks count from 1 and ties count against the model (``scripts.retrieve.ranking``). An image has
several right captions; its rank is that of the best of them, the other right ones not counted.

"Recall@K" is what papers on image-text retrieval report under that name since Hodosh, Young and
Hockenmaier (2013), "Framing image description as a ranking task", JAIR 47: the share of queries
with at least one right answer in the top K. Elsewhere that is called hit rate or success@K; the
recall of information retrieval would divide by the number of right answers.
"""

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.job import log, run, write_json
from scripts.retrieve.similarity import read_rankings

DEPTHS = (1, 5, 10)


def hit_rate(ranks: np.ndarray, depth: int) -> float:
    """Share of queries with at least one right answer in the top ``depth``: "Recall@K".

    Parameters
    ----------
    ranks : (q,) integers from 1, rank of each query's best right answer
    depth : K

    Returns
    -------
    fraction from 0 to 1
    """
    return float(np.mean(ranks <= depth))


def mean_reciprocal_rank(ranks: np.ndarray) -> float:
    """Mean of 1 / rank of each query's best right answer, a fraction from 0 to 1.

    Voorhees (1999), "The TREC-8 question answering track report".
    """
    return float(np.mean(1.0 / ranks))


def summary(ranks: np.ndarray, gallery: int) -> dict[str, float]:
    """All metrics of one direction.

    Parameters
    ----------
    ranks : (q,) integers from 1, rank of each query's best right answer
    gallery : number of items that were ranked
    """
    return {
        "queries": len(ranks),
        "gallery": gallery,
        **{f"recall@{depth}": hit_rate(ranks, depth) for depth in DEPTHS},
        "median_rank": float(np.median(ranks)),
        "mean_rank": float(np.mean(ranks)),
        "mrr": mean_reciprocal_rank(ranks),
    }


def best_rank_of_image(ranks: np.ndarray, image_of_caption: np.ndarray) -> np.ndarray:
    """Smallest rank among each image's captions.

    Parameters
    ----------
    ranks : (m,) integers, each caption's rank for its own image
    image_of_caption : (m,) non-decreasing image rows, each image at least once

    Returns
    -------
    (n,) integers
    """
    starts = np.flatnonzero(np.diff(image_of_caption, prepend=-1))
    return np.minimum.reduceat(ranks, starts)


def metrics_of(rankings: dict[str, np.ndarray], rows: Rows) -> dict[str, dict[str, float]]:
    """Metrics of both directions from what rankings.npz holds."""
    best = best_rank_of_image(rankings["image_to_text_rank"], rows.image_of_caption)
    return {
        "text_to_image": summary(rankings["text_to_image_rank"], gallery=len(rows.images)),
        "image_to_text": summary(best, gallery=len(rows.captions)),
    }


def main(snakemake) -> None:
    """Unpack the job."""
    files, run_of = snakemake.input, snakemake.wildcards
    rows = read_rows(files.captions, files.splits, snakemake.params.split)
    metrics = metrics_of(read_rankings(files.rankings, rows), rows)
    for direction, values in metrics.items():
        recalls = ", ".join(f"recall@{depth} {values[f'recall@{depth}']:.1%}" for depth in DEPTHS)
        log.info("%s: %s", direction.replace("_", " "), recalls)
    write_json(
        snakemake.output.metrics,
        {
            "dataset": run_of.dataset,
            "model": run_of.model,
            "prompt": run_of.prompt,
            "scorer": run_of.scorer,
            "split": snakemake.params.split,
            "images": len(rows.images),
            "captions": len(rows.captions),
            **metrics,
        },
    )


if __name__ == "__main__":
    run(main, snakemake)
