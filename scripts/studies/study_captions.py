"""Recall by the length of captions, by what they share, and by how many of an image's are used.

Length: captions are divided into parts of about equal size by their number of words, each Chinese,
Japanese or Korean character counting as one. Agreement: likewise by how many of their words, those
that tell what an image shows, another caption of the same image says, too, in percent; captions
that are alone with their image are left out. How many: in text to image, "captions together", a
query is the normalised mean of k of an image's captions, as in a prompt ensemble, and images with
fewer are left out; in image to text, "captions per image", the gallery holds k captions of each
image, or all where there are fewer, and any of its own is right.

Both are means over choices of captions, for each image: over all choices where these are few, else
over draws. So an image counts once, however many captions it has, and "captions together" at k = 1
is the run's own recall where all images have equally many. Intervals are over images.

Rows of the parts by length and by agreement end with "range", Recall@10 of the best part less that
of the worst, and "p_range", how often captions dealt to the parts anew are as far apart.
"recall@10_change" is what k captions do beside one, on the same images: those that have as many.
"""

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np

from scripts.data.rows import Rows
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.ranges import ranges_of_parts
from scripts.evaluate.runs import first_captions
from scripts.job import log
from scripts.jobs import Snakemake, run
from scripts.measures import HEADLINE, headline, hits
from scripts.retrieve.ranking import dots
from scripts.retrieve.scorers import map_gallery, map_queries
from scripts.studies.ahead import ahead_of, ranks_of_one
from scripts.studies.reference import Reference, read_references
from scripts.studies.table import (
    About,
    Row,
    change_rows,
    mean_rows,
    range_rows,
    recall_rows,
    write_rows,
)
from scripts.studies.words import share_said, words_in

# every number of captions up to here; beyond, where an image has so many, twice the one before
EVERY = 10
# what is said of differences
SAID, DEPTH = "recall@10", 10
# memory for queries that are means of captions, MB
QUERIES_MB = 64


def parts_by_value(values: np.ndarray, parts: int) -> np.ndarray:
    """Which part each caption is in, by its value.

    Captions of one value stay together; each cut lies where the number of lesser ones is nearest to
    an equal share. Fewer parts come out where there are few values.

    Parameters
    ----------
    values : (m,)
    parts : parts wanted

    Returns
    -------
    (m,) integers from 0, least values first
    """
    each, counts = np.unique(values, return_counts=True)
    lesser = np.cumsum(counts)[:-1]
    if not len(lesser):
        return np.zeros(len(values), dtype=np.int64)
    wanted = np.arange(1, parts) * len(values) / parts
    cuts = np.unique(np.abs(lesser[None, :] - wanted[:, None]).argmin(axis=1))
    return np.searchsorted(each[cuts + 1], values, side="right")


def lengths_of(rows: Rows) -> np.ndarray:
    """(m,) words of each caption."""
    return np.array([words_in(text) for text in rows.captions], dtype=np.float64)


def agreement_of(rows: Rows) -> np.ndarray:
    """(m,) percent of each caption's words that another caption of its image says, too.

    NaN for captions that are alone with their image, and for those that tell nothing.
    """
    found: list[float] = []
    for image in range(len(rows.images)):
        own = rows.captions_of(image)
        others = [own[:place] + own[place + 1 :] for place in range(len(own))]
        found += [
            100 * share_said(text, rest) if rest else np.nan
            for text, rest in zip(own, others, strict=True)
        ]
    return np.array(found)


def part_rows(
    reference: Reference, values: dict[str, np.ndarray], parts: int, resampling: Resampling
) -> list[Row]:
    """Recall of captions in parts by a value of theirs, and its range.

    Parameters
    ----------
    reference : the run
    values : group -> (m,) of the captions, NaN for those that are left out; x is their mean, to
        three digits
    parts : parts wanted
    resampling : for intervals and the range
    """
    rows, ranks = reference.rows, reference.run.ranks["text_to_image"]
    divisions: dict[str, np.ndarray] = {}
    for group, own in values.items():
        known = ~np.isnan(own)
        if known.any():
            part_of = np.full(len(own), -1)
            part_of[known] = parts_by_value(own[known], parts)
            divisions[group] = part_of[:, None] == np.arange(part_of.max() + 1)
    right, image_of = hits(ranks, DEPTH), rows.image_of_caption
    tested = ranges_of_parts(right, list(divisions.values()), image_of, resampling)
    found = []
    for (group, belongs), ends in zip(divisions.items(), tested, strict=True):
        for own in belongs.T:
            x = float(f"{values[group][own].mean():.3g}")
            about = About(reference.run, "text_to_image", group, x)
            found += recall_rows(about, ranks[own], image_of[own], resampling)
        if belongs.shape[1] > 1:
            about = About(reference.run, "text_to_image", group)
            found += range_rows(about, ends, int(belongs.sum()))
    return found


def numbers_used(most: int) -> list[int]:
    """Numbers of captions to try where the best described image has ``most``."""
    numbers = list(range(1, min(most, EVERY) + 1))
    while numbers[-1] < most:
        numbers.append(min(2 * numbers[-1], most))
    return numbers


def choices(counts: np.ndarray, k: int, draws: int, seed: int) -> Iterator[tuple[np.ndarray, ...]]:
    """For images with equally many captions: which k of its captions are chosen, each time.

    Parameters
    ----------
    counts : (n,) captions of each image
    k : captions to choose
    draws : choices for each image; all there are, once each, where these are no more
    seed : of the draws

    Yields
    ------
    (g,) images with some number c >= k of captions, and (g, choices, k) places from 0 to c - 1
    """
    for count in np.unique(counts[counts >= k]).tolist():
        images = np.flatnonzero(counts == count)
        if comb(count, k) <= draws:
            every = np.array(list(combinations(range(count), k)))
            yield images, np.broadcast_to(every, (len(images), *every.shape))
        else:
            rng = np.random.default_rng([seed, count, k])
            order = rng.random((len(images), draws, count)).argsort(axis=2)
            yield images, np.sort(order[:, :, :k], axis=2)


def together_values(
    reference: Reference, k: int, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Recall of queries that are means of k captions, averaged over choices, for each image.

    Returns
    -------
    (q,) images with at least k captions, and (q, len(HEADLINE)) float64
    """
    way, starts = "text_to_image", first_captions(reference.rows)
    gallery = map_gallery(reference.scorer, reference.images, way)
    values = np.full((len(reference.rows.images), len(HEADLINE)), np.nan)
    for images, places in choices(np.diff(starts), k, draws, seed):
        each = places.shape[1]
        step = max(1, QUERIES_MB * 2**20 // (4 * each * gallery.shape[1]))
        for start in range(0, len(images), step):
            part = images[start : start + step]
            captions = starts[part][:, None, None] + places[start : start + step]
            queries = mean_features(reference.texts, captions.reshape(-1, k))
            queries = map_queries(reference.scorer, queries, way)
            ranks = ranks_of_one(queries, gallery, np.repeat(part, each))
            values[part] = headline(ranks).reshape(len(part), each, -1).mean(axis=1)
    used = np.flatnonzero(~np.isnan(values[:, 0]))
    return used, values[used]


def mean_features(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Normalised means of ``features``, one for each row of ``rows`` (q, k); as they are for k = 1.

    Returns (q, d) float32 rows of unit length, or zeros where features cancel.
    """
    total = features[rows[:, 0]]
    if rows.shape[1] == 1:
        return total
    for column in rows.T[1:]:
        total += features[column]
    length = np.sqrt(np.square(total).sum(axis=1, keepdims=True))
    return total / np.maximum(length, np.finfo(np.float32).tiny)


def drawn_captions(
    image_of_caption: np.ndarray, numbers: list[int], draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which captions are in the gallery, for each draw and number of captions per image.

    In one draw the captions of an image are put in some order, and the first k of them are in the
    gallery, so that what more captions bring is seen on the same captions.

    Parameters
    ----------
    image_of_caption : (m,) non-decreasing
    numbers : the numbers k of captions per image
    draws, seed : how many orders, and from which seed

    Returns
    -------
    (m, c) whether a caption is in the gallery, and (c,) the number k of each column; one column
    only for a k that takes all captions
    """
    m = len(image_of_caption)
    first = np.searchsorted(image_of_caption, image_of_caption)
    most = int((np.arange(m) - first).max()) + 1
    rng = np.random.default_rng(seed)
    columns, k_of_column = [], []
    for draw in range(draws):
        place = np.empty(m, dtype=np.int64)
        place[np.lexsort((rng.random(m), image_of_caption))] = np.arange(m) - first
        kept = [k for k in numbers if k < most or draw == 0]
        columns += [place < k for k in kept]
        k_of_column += kept
    return np.stack(columns, axis=1), np.array(k_of_column)


def per_image_values(
    reference: Reference, numbers: list[int], draws: int, seed: int
) -> dict[int, np.ndarray]:
    """Recall of images whose gallery holds k captions of each, averaged over draws.

    Returns
    -------
    number k -> (n, len(HEADLINE)) float64
    """
    image_of = reference.rows.image_of_caption
    starts = first_captions(reference.rows)[:-1]
    queries, gallery = reference.sides("image_to_text")
    drawn, k_of_column = drawn_captions(image_of, numbers, draws, seed)
    as_numbers = drawn.astype(np.float32)
    own = dots(queries, gallery, image_of, np.arange(len(gallery)))
    ranks = np.empty(drawn.shape, dtype=np.int64)
    # each caption is the bar once, for its image as the query: what is ahead of it, and drawn
    for start, ahead in ahead_of(queries, gallery, own, image_of):
        bars = slice(start, start + len(ahead))
        ahead &= image_of[None, :] != image_of[bars, None]
        # whole numbers far below 2**24 are exact in float32
        ranks[bars] = 1 + (ahead.astype(np.float32) @ as_numbers).astype(np.int64)
    ranks[~drawn] = len(gallery) + 1  # a caption that was not drawn answers nothing
    best = np.minimum.reduceat(ranks, starts, axis=0)
    return {
        k: np.mean([headline(column) for column in best.T[k_of_column == k]], axis=0)
        for k in numbers
    }


def number_rows(reference: Reference, draws: int, resampling: Resampling) -> list[Row]:
    """Recall by the number of captions used, in both directions; x is that number."""
    counts = np.diff(first_captions(reference.rows))
    numbers = numbers_used(int(counts.max()))
    every, at = np.arange(len(counts)), HEADLINE.index(SAID)
    together = {k: together_values(reference, k, draws, resampling.seed) for k in numbers}
    per_image = per_image_values(reference, numbers, draws, resampling.seed)
    found = []
    for way, group, values_of in (
        ("text_to_image", "captions together", together),
        ("image_to_text", "captions per image", {k: (every, per_image[k]) for k in numbers}),
    ):
        # of all images, since each has a caption
        alone = values_of[1][1][:, [at]]
        for k, (images, values) in values_of.items():
            about = About(reference.run, way, group, k)
            found += mean_rows(about, HEADLINE, values, images, resampling)
            if k > 1:
                mine, other = (values[:, [at]], images), (alone[images], images)
                found += change_rows(about, (SAID,), mine, other, resampling)
    return found


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    params = snakemake.params
    resampling = Resampling(params.resamples, params.seed)
    found: list[Row] = []
    values: dict[str, np.ndarray] = {}
    for reference in read_references(snakemake.input, params.split):
        log.info("%s: length, agreement and number of captions", reference.run.model)
        # of captions alone, whatever the model
        values = values or {
            "length": lengths_of(reference.rows),
            "agreement": agreement_of(reference.rows),
        }
        found += part_rows(reference, values, params.parts, resampling)
        found += number_rows(reference, params.draws, resampling)
    write_rows(snakemake.output.table, found)


if __name__ == "__main__":
    run(main, snakemake)
