"""What computing features in another precision changes, measure by measure, on the same queries.

Rows of a precision hold its value less that of the first one, paired, with their interval; as
measure "least_cosine" the smallest cosine between a query's features in both; and as measure
"within" the share of measures whose value lies inside the interval that it has under the first,
whose own row says 1.
"""

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.encode.stored import read_features
from scripts.evaluate.intervals import (
    Resampling,
    bootstrap_means,
    bootstrap_medians,
    percentile_interval,
)
from scripts.evaluate.measures import HEADLINE, MEANS, RECALLS
from scripts.evaluate.runs import DIRECTIONS, images_of_queries, measures_of
from scripts.job import log, read_json, run
from scripts.retrieve.arrays import Arrays
from scripts.retrieve.scorers import load_scorer
from scripts.retrieve.similarity import rankings_of
from scripts.studies.table import Row, row, write_rows

# means over queries, in the order of the table, and a median
MEAN_OF_QUERIES = (*HEADLINE, *(measure for measure in MEANS if measure not in HEADLINE))
COMPARED = (*MEAN_OF_QUERIES, "median_rank")

# images (n, d) and texts (m, d), float32 rows of unit length
Features = tuple[np.ndarray, np.ndarray]
# value (c,) of each measure, and (resamples, c) of them in resamples of the images
Measured = tuple[np.ndarray, np.ndarray]


def measured(
    features: Features, rows: Rows, scorer: Arrays, resampling: Resampling
) -> dict[str, Measured]:
    """The measures of ``COMPARED`` by direction, and rsum, which is of both, under ""."""
    ranks = rankings_of(*features, rows, scorer, k=1)
    of_queries = measures_of(ranks["text_to_image_rank"], ranks["image_to_text_rank"], rows)
    found: dict[str, Measured] = {}
    rsum: Measured = np.zeros(1), np.zeros((resampling.resamples, 1))
    for way in DIRECTIONS:
        own, images = of_queries[way], images_of_queries(way, rows)
        own["mean"] = np.mean([own[recall] for recall in RECALLS], axis=0)
        values = np.stack([own[measure] for measure in MEAN_OF_QUERIES], axis=1)
        best = own["mean_rank"].astype(np.int64)
        # the same images are drawn each time, so differences and sums may be taken draw by draw
        samples = bootstrap_means(values, images, resampling)
        medians = bootstrap_medians(best, images, resampling)
        found[way] = (
            np.append(values.mean(axis=0), np.median(best)),
            np.column_stack([samples, medians]),
        )
        recalls = [COMPARED.index(recall) for recall in RECALLS]
        rsum = tuple(
            whole + part[..., recalls].sum(axis=-1, keepdims=True)
            for whole, part in zip(rsum, found[way], strict=True)
        )
    return found | {"": rsum}


def precision_rows(
    key: tuple[str, str, str],
    features: dict[str, Features],
    rows: Rows,
    scorer: Arrays,
    resampling: Resampling,
) -> list[Row]:
    """Each precision against the first.

    Parameters
    ----------
    key : model, prompt and scorer of the run
    features : by precision
    """
    (first, reference), *others = features.items()
    before = measured(reference, rows, scorer, resampling)
    queries = {"text_to_image": len(rows.captions), "image_to_text": len(rows.images)}
    table = [row(key, way, "within", 1.0, queries[way], first) for way in DIRECTIONS]
    for name, own in others:
        after = measured(own, rows, scorer, resampling)
        # of images and of texts, which ask in the other order
        images, texts = (
            float(np.einsum("ij,ij->i", one, other, dtype=np.float64).min())
            for one, other in zip(reference, own, strict=True)
        )
        for way, cosine in (("text_to_image", texts), ("image_to_text", images)):
            values, samples = (new - old for new, old in zip(after[way], before[way], strict=True))
            table += [
                row(key, way, measure, value, queries[way], name, interval=interval)
                for measure, value, interval in zip(
                    COMPARED, values.tolist(), percentile_interval(samples), strict=True
                )
            ]
            table.append(row(key, way, "least_cosine", cosine, queries[way], name))
            low, high = percentile_interval(before[way][1]).T
            # bounds are rounded, and a value may lie on one
            inside = (low - 1e-9 <= after[way][0]) & (after[way][0] <= high + 1e-9)
            table.append(row(key, way, "within", float(inside.mean()), queries[way], name))
        values, samples = (new - old for new, old in zip(after[""], before[""], strict=True))
        interval = percentile_interval(samples)[0]
        both = queries["image_to_text"]
        table.append(row(key, "", "rsum", values[0], both, name, interval=interval))
    return table


def main(snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    resampling = Resampling(params.resamples, params.seed)
    each = len(files.images) // len(params.models)
    encoded = list(
        zip(files.images, files.images_sidecars, files.texts, files.texts_sidecars, strict=True)
    )
    table: list[Row] = []
    for place, (model, path) in enumerate(zip(params.models, files.scorers, strict=True)):
        features = {
            read_json(images_sidecar)["precision"]: (
                read_features(images, images_sidecar, rows, of="images"),
                read_features(texts, texts_sidecar, rows, of="captions"),
            )
            for images, images_sidecar, texts, texts_sidecar in encoded[
                place * each : (place + 1) * each
            ]
        }
        log.info("%s in %s", model, ", ".join(features))
        key = (model, params.prompt, params.scorer)
        table += precision_rows(key, features, rows, load_scorer(path), resampling)
    write_rows(snakemake.output.table, table)


if __name__ == "__main__":
    run(main, snakemake)
