"""Metrics of one run with their intervals, from its ranks.

The definitions stand in ``scripts/measures.py``, how sure they are in ``intervals.py``.
"""

from typing import Any

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.intervals import (
    DIGITS,
    Resampling,
    bootstrap_means,
    bootstrap_medians,
    exact_at_ends,
    percentile_interval,
)
from scripts.evaluate.runs import images_of_queries, measures_of
from scripts.job import log, write_json
from scripts.jobs import Snakemake, run
from scripts.measures import MEANS, MEASURES, MEDIANS, METRICS, RECALLS, SUMS
from scripts.protocol import DIRECTIONS
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
    "text_to_image", "image_to_text" : queries, gallery, and each of ``METRICS`` by name
    "rsum" : the sum of the recalls of both directions, as a fraction, from 0 to 6
    "intervals" : the same names, each with its lower and upper bound
    """
    values = measures_of(rankings["text_to_image_rank"], rankings["image_to_text_rank"], rows)
    gallery = {"text_to_image": len(rows.images), "image_to_text": len(rows.captions)}
    found: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    means, medians = ([name for name in some if name in METRICS] for some in (MEANS, MEDIANS))
    shares = np.array([MEASURES[name].unit == "share" for name in (*means, *medians)])
    samples: dict[str, np.ndarray] = {}
    for way in DIRECTIONS:
        own, images = values[way], images_of_queries(way, rows)
        samples[way] = bootstrap_means(
            np.stack([own[name] for name in means], axis=1), images, resampling
        )
        found[way] = {
            "queries": len(images),
            "gallery": gallery[way],
            **{name: round(float(own[name].mean()), DIGITS) for name in means},
            **{name: float(np.median(own[name])) for name in medians},
        }
        middles = [bootstrap_medians(own[name], images, resampling) for name in medians]
        bounds = percentile_interval(np.column_stack([samples[way], *middles]))
        bounds = exact_at_ends(bounds, images, shares).tolist()
        intervals[way] = dict(zip((*means, *medians), bounds, strict=True))
    for name in SUMS:
        parts = MEASURES[name].sum_of
        found[name] = round(
            sum(sum(found[way][part] for part in parts) for way in DIRECTIONS), DIGITS
        )
        # the same images are drawn for both directions, so their sum may be taken draw by draw
        places = [means.index(part) for part in parts]
        summed = sum(samples[way][:, places].sum(axis=1) for way in DIRECTIONS)
        low, high = percentile_interval(summed[:, None])[0].tolist()
        if low == high:  # each part is at an end, and has exact bounds
            of_parts = np.array([intervals[way][part] for way in DIRECTIONS for part in parts])
            low, high = np.round(of_parts.sum(axis=0), DIGITS).tolist()
        intervals[name] = [low, high]
    return {**found, "intervals": intervals}


def main(snakemake: Snakemake) -> None:
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
