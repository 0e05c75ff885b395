"""What computing features in another precision changes, measure by measure, on the same queries.

Rows of a precision hold its value less that of the first one, paired, with their interval. As
measure "p_holm:<measure>" stands how often chance alone goes as far from zero, by a paired
randomisation test, adjusted by Holm for all measures of a precision in both directions. Measure
"least_cosine" is the smallest cosine between a query's features in both; the first one's is with
itself.
"""

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.encode.stored import read_features
from scripts.evaluate.intervals import (
    DIGITS,
    Resampling,
    bootstrap_means,
    bootstrap_medians,
    holm,
    percentile_interval,
    randomisation_p,
)
from scripts.evaluate.runs import images_of_queries, measures_of
from scripts.job import Snakemake, log, read_json, run
from scripts.measures import MEANS, MEASURES, MEDIANS, SUMS
from scripts.protocol import DIRECTIONS
from scripts.retrieve.arrays import Arrays
from scripts.retrieve.scorers import load_scorer
from scripts.retrieve.similarity import rankings_of
from scripts.studies.table import P_OF, About, Row, row, write_rows

COMPARED = (*MEANS, *MEDIANS)

# images (n, d) and texts (m, d), float32 rows of unit length
Features = tuple[np.ndarray, np.ndarray]
# by direction (q, c): each query's value of each of COMPARED
Values = dict[str, np.ndarray]
# value (c,) of each measure, and (resamples, c) of them in resamples of the images
Measured = tuple[np.ndarray, np.ndarray]


def values_of(features: Features, rows: Rows, scorer: Arrays) -> Values:
    """What each query has of each measure of ``COMPARED``."""
    ranks = rankings_of(*features, rows, scorer, k=1)
    of_queries = measures_of(ranks["text_to_image_rank"], ranks["image_to_text_rank"], rows)
    return {
        way: np.stack([of_queries[way][measure] for measure in COMPARED], axis=1)
        for way in DIRECTIONS
    }


def measured(values: Values, rows: Rows, resampling: Resampling) -> dict[str, Measured]:
    """The measures of ``COMPARED`` by direction, and sums, which are of both, under ""."""
    found: dict[str, Measured] = {}
    for way in DIRECTIONS:
        means, middles = np.split(values[way], [len(MEANS)], axis=1)
        images = images_of_queries(way, rows)
        # the same images are drawn each time, so differences and sums may be taken draw by draw
        medians = [bootstrap_medians(own, images, resampling) for own in middles.T]
        found[way] = (
            np.append(means.mean(axis=0), np.median(middles, axis=0)),
            np.column_stack([bootstrap_means(means, images, resampling), *medians]),
        )
    sums, samples = (_sums(*pair) for pair in zip(*found.values(), strict=True))
    return found | {"": (sums, samples)}


def _sums(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(..., s) each of ``SUMS`` from (..., c) values of ``COMPARED`` in both directions."""
    places = [[COMPARED.index(part) for part in MEASURES[name].sum_of] for name in SUMS]
    sums = [one[..., own].sum(axis=-1) + other[..., own].sum(axis=-1) for own in places]
    return np.stack(sums, axis=-1)


def adjusted_p(before: Values, after: Values, rows: Rows, flips: int, seed: int) -> Values:
    """By direction (c,): p of each mean difference, adjusted for all of them; see ``holm``."""
    c = len(MEANS)
    p = [
        randomisation_p(
            after[way][:, :c] - before[way][:, :c], images_of_queries(way, rows), flips, seed
        )
        for way in DIRECTIONS
    ]
    halves = np.split(holm(np.concatenate(p)).round(DIGITS), len(DIRECTIONS))
    return dict(zip(DIRECTIONS, halves, strict=True))


def precision_rows(
    key: tuple[str, str, str],
    features: dict[str, Features],
    rows: Rows,
    scorer: Arrays,
    resampling: Resampling,
    flips: int,
) -> list[Row]:
    """Each precision against the first.

    Parameters
    ----------
    key : model, prompt and scorer of the run
    features : by precision
    rows, scorer : of the run
    resampling : of the intervals
    flips : draws of signs of a randomisation test, with the seed of ``resampling``
    """
    (first, reference), *others = features.items()
    values_before = values_of(reference, rows, scorer)
    before = measured(values_before, rows, resampling)
    queries = {"text_to_image": len(rows.captions), "image_to_text": len(rows.images)}
    table = [row(About(key, way, first), "least_cosine", 1.0, queries[way]) for way in DIRECTIONS]
    for name, own in others:
        values_after = values_of(own, rows, scorer)
        after = measured(values_after, rows, resampling)
        p = adjusted_p(values_before, values_after, rows, flips, resampling.seed)
        # of images and of texts, which ask in the other order
        images, texts = (
            float(np.einsum("ij,ij->i", one, other, dtype=np.float64).min())
            for one, other in zip(reference, own, strict=True)
        )
        for way, cosine in (("text_to_image", texts), ("image_to_text", images)):
            about = About(key, way, name)
            values, samples = (new - old for new, old in zip(after[way], before[way], strict=True))
            table += [
                row(about, measure, value, queries[way], interval)
                for measure, value, interval in zip(
                    COMPARED, values.tolist(), percentile_interval(samples), strict=True
                )
            ]
            table += [
                row(about, f"{P_OF}{measure}", value, queries[way])
                for measure, value in zip(MEANS, p[way].tolist(), strict=True)
            ]
            table.append(row(about, "least_cosine", cosine, queries[way]))
        values, samples = (new - old for new, old in zip(after[""], before[""], strict=True))
        both = queries["image_to_text"]
        table += [
            row(About(key, "", name), measure, value, both, interval)
            for measure, value, interval in zip(
                SUMS, values.tolist(), percentile_interval(samples), strict=True
            )
        ]
    return table


def main(snakemake: Snakemake) -> None:
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
        table += precision_rows(key, features, rows, load_scorer(path), resampling, params.flips)
    write_rows(snakemake.output.table, table)


if __name__ == "__main__":
    run(main, snakemake)
