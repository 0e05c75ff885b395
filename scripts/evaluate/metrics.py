"""Metrics of one run with their intervals, from its ranks.

The definitions stand in ``measures.py``, how sure they are in ``intervals.py``.
"""

from typing import Any

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import (
    DIGITS,
    Resampling,
    bootstrap_means,
    bootstrap_medians,
    percentile_interval,
)
from scripts.evaluate.measures import MEANS, RECALLS
from scripts.evaluate.runs import DIRECTIONS, images_of_queries, measures_of
from scripts.job import log, run, write_json
from scripts.retrieve.similarity import read_rankings


def metrics_of(
    rankings: dict[str, np.ndarray], rows: Rows, resampling: Resampling
) -> dict[str, Any]:
    """Metrics of both directions, and the 95% interval of each.

    Parameters
    ----------
    rankings : what rankings.npz holds
    rows : its images and captions
    resampling : of the bootstrap over images

    Returns
    -------
    "text_to_image", "image_to_text" : queries, gallery, and each measure by name
    "rsum" : the sum of Recall@1, @5 and @10 of both directions, as a fraction, from 0 to 6
        (Faghri et al. 2018, "VSE++", BMVC, and after them most papers on image-text retrieval)
    "intervals" : the same names, each with its lower and upper bound
    """
    values = measures_of(rankings["text_to_image_rank"], rankings["image_to_text_rank"], rows)
    gallery = {"text_to_image": len(rows.images), "image_to_text": len(rows.captions)}
    found: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    rsum, rsum_samples = 0.0, np.zeros(resampling.resamples)
    for way in DIRECTIONS:
        own, images = values[way], images_of_queries(way, rows)
        ranks = own["mean_rank"].astype(np.int64)
        samples = bootstrap_means(
            np.stack([own[name] for name in MEANS], axis=1), images, resampling
        )
        medians = bootstrap_medians(ranks, images, resampling)
        found[way] = {
            "queries": len(ranks),
            "gallery": gallery[way],
            **{name: round(float(own[name].mean()), DIGITS) for name in MEANS},
            "median_rank": float(np.median(ranks)),
        }
        bounds = percentile_interval(np.column_stack([samples, medians])).tolist()
        intervals[way] = dict(zip((*MEANS, "median_rank"), bounds, strict=True))
        recalls = [MEANS.index(name) for name in RECALLS]
        rsum += sum(found[way][name] for name in RECALLS)
        # the same images are drawn for both directions, so their sum may be taken draw by draw
        rsum_samples += samples[:, recalls].sum(axis=1)
    found["rsum"] = round(rsum, DIGITS)
    intervals["rsum"] = percentile_interval(rsum_samples[:, None])[0].tolist()
    return {**found, "intervals": intervals}


def main(snakemake) -> None:
    """Unpack the job."""
    files, params, run_of = snakemake.input, snakemake.params, snakemake.wildcards
    rows = read_rows(files.captions, files.splits, params.split)
    resampling = Resampling(params.resamples, params.seed)
    metrics = metrics_of(read_rankings(files.rankings, rows), rows, resampling)
    for direction in DIRECTIONS:
        recalls = ", ".join(f"{name} {metrics[direction][name]:.1%}" for name in RECALLS)
        log.info("%s: %s", direction.replace("_", " "), recalls)
    write_json(
        snakemake.output.metrics,
        {
            "dataset": run_of.dataset,
            "model": run_of.model,
            "prompt": run_of.prompt,
            "scorer": run_of.scorer,
            "split": params.split,
            "images": len(rows.images),
            "captions": len(rows.captions),
            "resamples": params.resamples,
            "seed": params.seed,
            **metrics,
        },
    )


if __name__ == "__main__":
    run(main, snakemake)
