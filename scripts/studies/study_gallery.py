"""Expected recall in smaller galleries drawn at random, both ways, exactly.

A gallery of n images holds the query's own image and n - 1 others, each set of others as likely as
any; in image to text it holds all captions of these images. A query is a hit at K where at most
K - 1 wrong items of the gallery score at least as high as its best right answer. The expectation
over all galleries is a matter of counting: how many other images have no wrong item ahead, how many
have one, two, ... The wrong images that a caption faces have one item each, themselves, so that the
count is hypergeometric (Johnson, Kemp and Kotz 2005, "Univariate discrete distributions", chapter
6). Captions come and go with their image, so that an image's count runs over sums of counts, which
a generating function gives.

Intervals come from the bootstrap over query images; the expectation itself has no sampling error.
"recall@1_change" is paired, from the smallest gallery of the table.
"""

import numpy as np

from scripts.evaluate.intervals import Resampling, interval_of_means
from scripts.evaluate.runs import images_of_queries
from scripts.job import log
from scripts.jobs import Snakemake, run
from scripts.measures import RECALLS
from scripts.protocol import DEPTHS, DIRECTIONS
from scripts.retrieve.ranking import dots
from scripts.studies.ahead import ahead_of
from scripts.studies.reference import Reference, read_references
from scripts.studies.table import About, Row, change_rows, row, write_rows

DEEPEST = max(DEPTHS)
# queries at a time: 16 MB for the ways of each to draw others
AT_ONCE = 20_000


def others_of_captions(ranks: np.ndarray, images: int) -> np.ndarray:
    """For each caption, the other images by how many wrong items each puts ahead: none, or one.

    Parameters
    ----------
    ranks : (m,) integers from 1, of each caption's own image
    images : how many there are

    Returns
    -------
    (m, DEEPEST) int64, in column c the number of images that put c ahead
    """
    others = np.zeros((len(ranks), DEEPEST), dtype=np.int64)
    others[:, 0], others[:, 1] = images - ranks, ranks - 1
    return others


def others_of_images(
    queries: np.ndarray, gallery: np.ndarray, image_of_caption: np.ndarray
) -> np.ndarray:
    """For each image, the other images by how many of their captions are ahead of its best own.

    Parameters
    ----------
    queries : (n, d) float32, mapped images
    gallery : (m, d) float32, mapped captions
    image_of_caption : (m,) non-decreasing, each image there at least once

    Returns
    -------
    (n, DEEPEST) int64, in column c the number of images with c captions ahead; an image with more
    makes any gallery miss, and is in no column
    """
    n = len(queries)
    starts = np.searchsorted(image_of_caption, np.arange(n))
    own = dots(queries, gallery, image_of_caption, np.arange(len(gallery)))
    best = np.maximum.reduceat(own, starts)
    others = np.empty((n, DEEPEST), dtype=np.int64)
    for first, ahead in ahead_of(queries, gallery, best, np.arange(n)):
        counts = np.add.reduceat(ahead, starts, axis=1, dtype=np.int32)
        place = np.arange(len(counts))
        counts[place, first + place] = DEEPEST  # one's own captions are not wrong
        for number in range(DEEPEST):
            others[first + place, number] = np.count_nonzero(counts == number, axis=1)
    return others


def expected_hits(others: np.ndarray, images: int, size: int) -> np.ndarray:
    """Probability that a query is a hit at each of ``DEPTHS`` in a random gallery.

    With A_c other images that put c wrong items ahead, the number of ways to draw s images that put
    some ahead, t items in all, is the coefficient of y^s x^t in the product of (1 + y x^c)^A_c over
    c > 0. The remaining ones of the size - 1 drawn are among the A_0, so that

        P(hit at K) = sum over s of [sum over t < K of ways(s, t)]
                      C(A_0, size - 1 - s) / C(images - 1, size - 1).

    Parameters
    ----------
    others : (q, DEEPEST) integers, as ``others_of_captions`` and ``others_of_images`` give them
    images : images in the full gallery
    size : images in the random one, from 1 to ``images``

    Returns
    -------
    (q, len(DEPTHS)) float64
    """
    found = np.empty((len(others), len(DEPTHS)))
    for start in range(0, len(others), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        ways = ways_to_draw(others[part]).cumsum(axis=2)
        filled = size - 1 - np.arange(DEEPEST)
        log_share = log_choose(others[part, :1], filled) - log_choose(images - 1, size - 1)
        for place, depth in enumerate(DEPTHS):
            with np.errstate(divide="ignore"):
                terms = np.exp(np.log(ways[:, :, depth - 1]) + log_share)
            found[part, place] = np.minimum(terms.sum(axis=1), 1.0)
    return found


def ways_to_draw(others: np.ndarray) -> np.ndarray:
    """(q, DEEPEST, DEEPEST) ways to choose s images that put some ahead, t items in all."""
    ways = np.zeros((len(others), DEEPEST, DEEPEST))
    ways[:, 0, 0] = 1
    for each in range(1, DEEPEST):
        before = ways.copy()
        choices = np.ones(len(others))
        for number in range(1, (DEEPEST - 1) // each + 1):
            # binomials one from the other: whole numbers at every step, exact where they are small
            choices = choices * np.maximum(others[:, each] - number + 1, 0) / number
            items = number * each
            ways[:, number:, items:] += (
                choices[:, None, None] * before[:, : DEEPEST - number, : DEEPEST - items]
            )
    return ways


def log_choose(n: np.ndarray | int, k: np.ndarray | int) -> np.ndarray:
    """Logarithm of the number of ways to choose k of n; -inf where there are none."""
    from scipy.special import gammaln

    n, k = np.broadcast_arrays(n, k)
    possible = (k >= 0) & (k <= n)
    n, k = np.where(possible, n, 0), np.where(possible, k, 0)
    logs = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return np.where(possible, logs, -np.inf)


def gallery_rows(reference: Reference, sizes: list[int], resampling: Resampling) -> list[Row]:
    """Expected recall of one run at each of ``sizes`` below the full size, and at the full size.

    At the full size these are the recalls of the run itself.
    """
    rows = reference.rows
    images = len(rows.images)
    # a rank needs no captions beside it, the groups of captions need the scores
    others = {
        "text_to_image": others_of_captions(reference.run.ranks["text_to_image"], images),
        "image_to_text": others_of_images(*reference.sides("image_to_text"), rows.image_of_caption),
    }
    sizes = [*sorted({size for size in sizes if size < images}), images]
    found = []
    for way in DIRECTIONS:
        values = np.concatenate([expected_hits(others[way], images, n) for n in sizes], axis=1)
        images_of = images_of_queries(way, rows)
        bounds = interval_of_means(values, images_of, resampling, shares=True)
        labels = [(size, measure) for size in sizes for measure in RECALLS]
        found += [
            row(About(reference.run, way, x=size), measure, column.mean(), len(values), interval)
            for (size, measure), column, interval in zip(labels, values.T, bounds, strict=True)
        ]
        at_one = [values[:, [labels.index((size, RECALLS[0]))]] for size in sizes]
        for size, own in zip(sizes[1:], at_one[1:], strict=True):
            about = About(reference.run, way, x=size)
            mine, other = (own, images_of), (at_one[0], images_of)
            found += change_rows(about, RECALLS[:1], mine, other, resampling)
    return found


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    params = snakemake.params
    resampling = Resampling(params.resamples, params.seed)
    found: list[Row] = []
    for reference in read_references(snakemake.input, params.split):
        log.info("%s: galleries up to %d images", reference.run.model, len(reference.rows.images))
        found += gallery_rows(reference, list(params.sizes), resampling)
    write_rows(snakemake.output.table, found)


if __name__ == "__main__":
    run(main, snakemake)
