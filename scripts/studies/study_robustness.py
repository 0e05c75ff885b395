"""Recall of captions with words dropped, words shuffled, and typos.

In text to image the query is damaged and the gallery as it was; in image to text the query is as it
was and all captions of the gallery are damaged. Strength 0 is the undamaged run. Rows of the group
"<kind>, loss" hold what the damage costs, query by query: mean recall without it less mean recall
with it, so that more is worse.
"""

import numpy as np

from scripts.data.rows import Rows
from scripts.encode.stored import read_features
from scripts.evaluate.intervals import Resampling, interval_of_means, paired_differences
from scripts.evaluate.runs import first_captions, images_of_queries
from scripts.job import BadInput, log, read_json
from scripts.jobs import Snakemake, run
from scripts.measures import HEADLINE, best_ranks, headline, mean_hits
from scripts.protocol import DIRECTIONS
from scripts.retrieve.ranking import rank
from scripts.retrieve.scorers import transform
from scripts.retrieve.similarity import right_captions, right_images
from scripts.studies.reference import Reference, read_references
from scripts.studies.table import About, Row, row, write_rows

Variant = tuple[str, float]


def read_damaged(npy: str, sidecar: str, rows: Rows) -> dict[Variant, np.ndarray]:
    """Features (m, d) of the damaged captions, by kind and strength.

    Raises ``BadInput`` where they are not those of ``rows``.
    """
    about = read_json(sidecar)
    variants = about.get("variants") if isinstance(about, dict) else None
    if not variants:
        raise BadInput(
            sidecar,
            'no "variants"',
            "features of damaged captions",
            f"delete {npy} and {sidecar} and run again: the workflow makes both anew",
        )
    features = read_features(npy, sidecar, rows, of="captions", copies=len(variants))
    parts = np.split(features, len(variants))
    names = [(variant["kind"], variant["strength"]) for variant in variants]
    return dict(zip(names, parts, strict=True))


def ranks_with(reference: Reference, texts: np.ndarray) -> dict[str, np.ndarray]:
    """Best rank of each query, by direction, with ``texts`` (m, d) in the captions' place."""
    rows = reference.rows
    sides = {way: transform(reference.scorer, reference.images, texts, way) for way in DIRECTIONS}
    by_text = rank(*sides["text_to_image"], right_images(rows), k=1)
    by_image = rank(*sides["image_to_text"], right_captions(rows), k=1)
    return {
        "text_to_image": by_text.rank,
        "image_to_text": best_ranks(by_image.rank, first_captions(rows)),
    }


def robustness_rows(
    reference: Reference, damaged: dict[Variant, np.ndarray], resampling: Resampling
) -> list[Row]:
    """Recall of one model by kind and strength, and what each damage costs.

    Parameters
    ----------
    reference : the run
    damaged : (kind, strength) -> (m, d) float32, rows of unit length in the order of the captions
    resampling : of the intervals
    """
    kinds = list(dict.fromkeys(kind for kind, _ in damaged))
    found = {variant: ranks_with(reference, texts) for variant, texts in damaged.items()}
    table = []
    for way in DIRECTIONS:
        whole = reference.run.ranks[way]
        columns = {}
        for kind in kinds:
            strengths = sorted(strength for name, strength in damaged if name == kind)
            for strength in (0.0, *strengths):
                ranks = found[kind, strength][way] if strength else whole
                for measure, values in zip(HEADLINE, headline(ranks).T, strict=True):
                    columns[kind, strength, measure] = values
        images = images_of_queries(way, reference.rows)
        values = np.stack(list(columns.values()), axis=1)
        # in one go, since all of them are drawn alike
        bounds = interval_of_means(values, images, resampling, shares=True)
        damages = [key for key in found if key[1]]
        damaged_hits = np.stack([mean_hits(found[damage][way]) for damage in damages], axis=1)
        whole_hits = np.repeat(mean_hits(whole)[:, None], len(damages), axis=1)
        lost, around = paired_differences(whole_hits, damaged_hits, images, images, resampling)
        losses = [(f"{kind}, loss", strength, "mean") for kind, strength in damages]
        table += [
            row(About(reference.run, way, group, strength), measure, value, len(whole), interval)
            for (group, strength, measure), value, interval in zip(
                [*columns, *losses],
                [*values.mean(axis=0).tolist(), *lost.tolist()],
                [*bounds, *around],
                strict=True,
            )
        ]
    return table


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    resampling = Resampling(params.resamples, params.seed)
    table = []
    for reference, npy, sidecar in zip(
        read_references(files, params.split), files.damaged, files.damaged_sidecars, strict=True
    ):
        damaged = read_damaged(npy, sidecar, reference.rows)
        log.info("%s: captions damaged in %d ways", reference.run.model, len(damaged))
        table += robustness_rows(reference, damaged, resampling)
    write_rows(snakemake.output.table, table)


if __name__ == "__main__":
    run(main, snakemake)
