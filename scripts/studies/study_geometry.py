"""How far apart images and captions lie, and which items stand in too many lists.

The features of images and of captions form two clouds with a gap between them, which does not move
any rank by itself (Liang et al. 2022, "Mind the gap", NeurIPS: the distance of the two centroids).
Hubs do: items that are among the nearest of far more queries than their share. N_k is in how many
of the queries' top k an item stands; hubness is the skewness of its distribution, and items that
stand in no list are antihubs (Radovanović, Nanopoulos and Ivanović 2010, "Hubs in space", Journal
of Machine Learning Research 11).

Measures in the table: of features, whatever the direction, "gap", "cosine_right" and "cosine_wrong"
(mean cosine of captions with their own and with other images) and "cosine_lead", by how much the
former is larger, caption by caption; of each run and direction with x = k "skewness", "antihubs"
(share of the gallery) and "largest" (N_k), and "skewness_change", the run's skewness less that of
its model's reference run on the same queries. Rows of the group "shift" tell what prompts do to all
captions alike; see ``shifts``.
"""

from dataclasses import dataclass

import numpy as np

from scripts.data.rows import Rows
from scripts.encode.stored import read_features
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import Run, images_of_queries, read_run
from scripts.job import BadInput, log
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.studies.jackknife import jackknife_interval, means_without
from scripts.studies.reference import Reference, read_references
from scripts.studies.shifts import shift_rows
from scripts.studies.table import CHANGE, About, Row, mean_rows, row, write_rows

HUB_COLUMNS = (
    *("model", "prompt", "scorer", "direction", "neighbours", "queries", "place"),
    *("reference_place", "item", "image", "caption", "occurrences", "expected", "right"),
)


def gap_rows(reference: Reference, resampling: Resampling) -> list[Row]:
    """Distance of the centroids, and mean cosines of right and of wrong pairs."""
    images, texts = reference.images.astype(np.float64), reference.texts.astype(np.float64)
    own = reference.rows.image_of_caption
    right = np.einsum("ij,ij->i", texts, images[own])
    measures, columns = ["cosine_right"], [right]
    if len(images) > 1:
        # all images are summed first, so that no matrix of all pairs is needed
        wrong = (texts @ images.sum(axis=0) - right) / (len(images) - 1)
        measures += ["cosine_wrong", "cosine_lead"]
        columns += [wrong, right - wrong]
    values = np.stack(columns, axis=1)
    gap = float(np.linalg.norm(images.mean(axis=0) - texts.mean(axis=0)))
    interval = jackknife_interval(gap, gaps_without(images, texts, own))
    return [
        row(About(reference.run, ""), "gap", gap, len(texts), interval),
        *mean_rows(About(reference.run, ""), measures, values, own, resampling),
    ]


def gaps_without(images: np.ndarray, texts: np.ndarray, image_of_caption: np.ndarray) -> np.ndarray:
    """(n,) distances of the centroids without each image and its captions; none for one image."""
    image_centroids = means_without(images, np.arange(len(images)))
    return np.linalg.norm(image_centroids - means_without(texts, image_of_caption), axis=1)


def lists_of(run_: Run, rows: Rows, direction: str, neighbours: int) -> np.ndarray:
    """(q, k) the k nearest items of each query, k being smaller where the gallery is.

    Raises ``BadInput`` where the run keeps shorter lists than that.
    """
    gallery = len(rows.images) if direction == "text_to_image" else len(rows.captions)
    k = min(neighbours, gallery)
    tops = run_.tops[direction]
    if tops.shape[1] < k:
        raise BadInput(
            f"{'/'.join(run_.key)}: rankings",
            f"the {tops.shape[1]} nearest items of each query",
            f"as many as studies.geometry.neighbours: {neighbours}",
            "set similarity.top_k to as many, or neighbours to fewer",
        )
    return tops[:, :k]


def skewness(counts: np.ndarray) -> float:
    """Third central moment over the third power of the standard deviation; NaN if all are equal."""
    off = counts - counts.mean()
    spread = np.mean(off**2)
    return float(np.mean(off**3) / spread**1.5) if spread > 0 else float("nan")


def skewness_without(lists: np.ndarray, image_of_query: np.ndarray, gallery: int) -> np.ndarray:
    """Skewness of N_k without the queries of each image in turn.

    Parameters
    ----------
    lists : (q, k) rows of the gallery
    image_of_query : (q,) the image that each query belongs to, n in all
    gallery : number of items

    Returns
    -------
    (n,) float64, NaN where all items occur equally often
    """
    counts = np.bincount(lists.ravel(), minlength=gallery).astype(np.float64)
    image = np.unique(image_of_query, return_inverse=True)[1]
    # in how many lists of an image's queries an item stands, where it does at all
    pairs, often = np.unique(
        np.repeat(image, lists.shape[1]) * gallery + lists.ravel(), return_counts=True
    )
    left_out, items = np.divmod(pairs, gallery)
    # power sums change in these items alone
    first, second, third = (
        (counts**power).sum()
        + np.bincount(left_out, (counts[items] - often) ** power - counts[items] ** power)
        for power in (1, 2, 3)
    )
    mean = first / gallery
    spread = second / gallery - mean**2
    off = third / gallery - 3 * mean * second / gallery + 2 * mean**3
    return np.where(spread > 1e-12, off / np.maximum(spread, 1e-12) ** 1.5, np.nan)


@dataclass(frozen=True)
class Hubness:
    """How unevenly items are found by one run in one direction.

    Attributes
    ----------
    counts : (m,) N_k of each item of the gallery
    skewness : of them
    without : (n,) skewness without the queries of each image
    queries, neighbours : how many lists, and how long they are
    """

    counts: np.ndarray
    skewness: float
    without: np.ndarray
    queries: int
    neighbours: int


def hubness_of(run_: Run, rows: Rows, direction: str, neighbours: int) -> Hubness:
    """Count in how many lists of a run each item stands."""
    lists = lists_of(run_, rows, direction, neighbours)
    gallery = len(rows.images) if direction == "text_to_image" else len(rows.captions)
    counts = np.bincount(lists.ravel(), minlength=gallery)
    without = skewness_without(lists, images_of_queries(direction, rows), gallery)
    return Hubness(counts, skewness(counts), without, *lists.shape)


def hubness_rows(run_: Run, direction: str, own: Hubness, reference: Hubness) -> list[Row]:
    """Skewness of N_k, antihubs and the largest N_k of a run, and its change from its reference.

    Parameters
    ----------
    run_, direction : whose lists
    own : of the run
    reference : of its model's reference run, or ``own`` itself where it is that
    """
    about = About(run_, direction, x=own.neighbours)
    interval = jackknife_interval(own.skewness, own.without)
    found = [row(about, "skewness", own.skewness, own.queries, interval)]
    if own is not reference:
        change = own.skewness - reference.skewness
        interval = jackknife_interval(change, own.without - reference.without)
        found.append(row(about, f"skewness{CHANGE}", change, own.queries, interval))
    return [
        *found,
        row(about, "antihubs", float((own.counts == 0).mean()), own.queries),
        row(about, "largest", float(own.counts.max()), own.queries),
    ]


def all_hubness(references: list[Reference], runs: list[Run], neighbours: int) -> list[Row]:
    """Hubness of every run, beside the reference run of its model, whose prompt and scorer differ.

    Parameters
    ----------
    references : a reference run for each model
    runs : all runs of these models
    neighbours : k
    """
    rows, found = references[0].rows, []
    first = {
        (reference.run.model, way): hubness_of(reference.run, rows, way, neighbours)
        for reference in references
        for way in DIRECTIONS
    }
    keys = [reference.run.key for reference in references]
    for one in runs:
        for way in DIRECTIONS:
            reference = first[one.model, way]
            known = one.key in keys
            own = reference if known else hubness_of(one, rows, way, neighbours)
            found += hubness_rows(one, way, own, reference)
    return found


def hub_rows(
    run_: Run,
    rows: Rows,
    direction: str,
    neighbours: int,
    hubs: int,
    reference: dict[int, int] | None = None,
) -> list[Row]:
    """The worst hubs of one run, and where the worst hubs of the reference run stand in it.

    Parameters
    ----------
    run_, rows, direction : whose lists
    neighbours : length of the lists
    hubs : how many
    reference : item -> its place among the hubs of the reference run; its own where not given

    Returns
    -------
    a row for each item, of ``HUB_COLUMNS``: its place from 1, most occurrences first and equal ones
    by row; "right" of its occurrences are with its own image or caption
    """
    by_text = direction == "text_to_image"
    lists = lists_of(run_, rows, direction, neighbours)
    image_of_item = np.arange(len(rows.images)) if by_text else rows.image_of_caption
    counts = np.bincount(lists.ravel(), minlength=len(image_of_item))
    hit = image_of_item[lists] == images_of_queries(direction, rows)[:, None]
    right = np.bincount(lists[hit], minlength=len(counts))
    order = np.argsort(-counts, kind="stable")
    place_of = np.empty_like(order)
    place_of[order] = np.arange(1, len(order) + 1)
    worst = order[:hubs].tolist()
    if reference is None:
        reference = {item: place for place, item in enumerate(worst, start=1)}
    others = [item for item in reference if item not in worst]
    return [
        {
            **dict(zip(("model", "prompt", "scorer"), run_.key, strict=True)),
            "direction": direction,
            "neighbours": lists.shape[1],
            "queries": len(lists),
            "place": int(place_of[item]),
            "reference_place": reference.get(item),
            "item": item,
            "image": rows.images[image_of_item[item]],
            "caption": "" if by_text else rows.captions[item],
            "occurrences": int(counts[item]),
            "expected": round(lists.size / len(counts), 4),
            "right": int(right[item]),
        }
        for item in (*worst, *sorted(others, key=lambda item: place_of[item]))
    ]


def all_hubs(references: list[Reference], runs: list[Run], neighbours: int, hubs: int) -> list[Row]:
    """Hubs of each model's reference run, and of its other scorers under the same prompt."""
    found = []
    for reference in references:
        rows, own = reference.rows, reference.run
        others = [
            other
            for other in runs
            if (other.model, other.prompt) == (own.model, own.prompt) and other.key != own.key
        ]
        for direction in DIRECTIONS:
            mine = hub_rows(own, rows, direction, neighbours, hubs)
            place_of = {hub["item"]: hub["place"] for hub in mine}
            found += mine
            for other in others:
                found += hub_rows(other, rows, direction, neighbours, hubs, place_of)
    return found


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    resampling = Resampling(params.resamples, params.seed)
    references = read_references(files, params.split)
    rows = references[0].rows
    runs = [read_run(path, rows) for path in files.runs]
    table = [line for reference in references for line in gap_rows(reference, resampling)]
    table += all_hubness(references, runs, params.neighbours)
    log.info("hubs of %d runs", len(runs))
    texts: dict[str, dict[str, np.ndarray]] = {}
    prompts = zip(params.prompts, files.prompted, files.prompted_sidecars, strict=True)
    for (model, prompt), npy, sidecar in prompts:
        texts.setdefault(model, {})[prompt] = read_features(npy, sidecar, rows, of="captions")
    for reference in references:
        table += shift_rows(reference, texts.get(reference.run.model, {}), resampling)
    write_rows(snakemake.output.table, table)
    hubs = all_hubs(references, runs, params.neighbours, params.hubs)
    write_rows(snakemake.output.hubs, hubs, HUB_COLUMNS)


if __name__ == "__main__":
    run(main, snakemake)
