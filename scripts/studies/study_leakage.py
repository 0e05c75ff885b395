"""What test has in common with train and val, and what it does to the numbers.

Three things are looked for: near-duplicate images, by the cosine of their features; images with the
same bytes; and captions of test that stand, letter for letter, in train or val. Recall is then told
for all queries, without the images that have a near-duplicate and their captions, and without what
shares a caption: in text to image these captions, in image to text the images that have one. Only
the queries drop out. The gallery stays the one that it is, so that the numbers can be compared:
"recall@1_change" is recall of those that are left less recall of all, in the same resamples. It has
an interval, and so a verdict, where at least ``LEAST`` queries are left and as many are left out.
What is left are other queries, too: captions that several images share are short and say little, so
a change is what these queries make of recall, and leakage may be the least of it.

Whether the model fits one split better than the others is asked in ``fit``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.data.prepared import read_checksums
from scripts.data.rows import Rows, read_captions, read_splits, rows_of
from scripts.encode.stored import read_features
from scripts.evaluate.intervals import DIGITS, Resampling
from scripts.evaluate.runs import images_of_queries
from scripts.job import log
from scripts.jobs import Snakemake, run
from scripts.measures import hits
from scripts.protocol import DIRECTIONS, TIE, reaches
from scripts.retrieve.ranking import BYTES_PER_SCORE, DOUBT, dots
from scripts.studies.fit import Features, fit_rows
from scripts.studies.reference import Reference, read_references
from scripts.studies.table import About, Row, change_rows, recall_rows, row, write_rows

OTHERS = ("train", "val")
PAIR_COLUMNS = ("model", "test_image", "other_split", "other_image", "cosine", "identical")
# of an image's near-duplicates in one split, those that are listed
LISTED = 5
BLOCK_MB = 64
# queries left, and left out, from which on a change is judged: the share of a hundred is known to
# within ten points, and a bootstrap of fewer draws its tails from a handful of images
LEAST = 100


@dataclass(frozen=True)
class Pairs:
    """Images of test and the images of another split that are near to them.

    Attributes
    ----------
    test, other : (p,) rows of the two images
    cosine : (p,) float64
    """

    test: np.ndarray
    other: np.ndarray
    cosine: np.ndarray


def near_pairs(
    images: np.ndarray, others: np.ndarray, threshold: float, block_mb: float = BLOCK_MB
) -> Pairs:
    """For each image the ``LISTED`` nearest others whose cosine is at least ``threshold``.

    What reaches the threshold to within ``protocol.TIE`` counts, so that equal features do at 1.

    Parameters
    ----------
    images : (n, d) float32, rows of unit length
    others : (p, d) float32, rows of unit length; there may be none
    threshold : cosine from which two images count as near
    block_mb : memory for cosines in MB (2**20 bytes)
    """
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    step = max(1, int(block_mb * 2**20) // (BYTES_PER_SCORE * max(1, len(others))))
    for start in range(0, len(images) if len(others) else 0, step):
        scores = images[start : start + step] @ others.T
        bar = np.full(len(scores), threshold - TIE - DOUBT)
        if len(others) > LISTED:
            # the last of those listed, and what may be level with it
            last = np.partition(scores, -LISTED, axis=1)[:, -LISTED]
            bar = np.maximum(bar, last - 2 * DOUBT)
        rows, columns = np.nonzero(scores >= bar[:, None])
        rows += start
        exact = dots(images, others, rows, columns)
        near = reaches(exact, threshold)
        found.append((rows[near], columns[near], np.round(exact[near], DIGITS)))
    if not found:
        nothing = np.empty(0, dtype=np.int64)
        return Pairs(nothing, nothing, np.empty(0))
    test, other, cosine = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((other, -cosine, test))
    place = np.arange(len(order)) - np.searchsorted(test[order], test[order])
    listed = order[place < LISTED]
    return Pairs(test[listed], other[listed], cosine[listed])


def with_identical(
    pairs: Pairs, images: np.ndarray, others: np.ndarray, same: list[tuple[int, int]]
) -> tuple[Pairs, np.ndarray]:
    """``pairs`` with all pairs of the same bytes, and (p,) whether a pair is one of these.

    Parameters
    ----------
    pairs : that are near
    images, others : (n, d) and (p, d) float32, of test and of the other split
    same : rows of test and of the other split with the same bytes
    """
    listed = set(zip(pairs.test.tolist(), pairs.other.tolist(), strict=True))
    more = np.array([pair for pair in same if pair not in listed], dtype=np.int64).reshape(-1, 2)
    cosine = np.round(dots(images, others, more[:, 0], more[:, 1]), DIGITS)
    test = np.concatenate([pairs.test, more[:, 0]])
    other = np.concatenate([pairs.other, more[:, 1]])
    cosine = np.concatenate([pairs.cosine, cosine])
    order = np.lexsort((other, -cosine, test))
    together = Pairs(test[order], other[order], cosine[order])
    identical = set(same)
    found = zip(together.test.tolist(), together.other.tolist(), strict=True)
    return together, np.array([pair in identical for pair in found], dtype=bool)


def identical_pairs(checksums: list[str], others: list[str]) -> list[tuple[int, int]]:
    """Rows of two lists that have the same checksum, in order."""
    rows_of_sum: dict[str, list[int]] = {}
    for place, checksum in enumerate(others):
        rows_of_sum.setdefault(checksum, []).append(place)
    return [
        (place, other)
        for place, checksum in enumerate(checksums)
        for other in rows_of_sum.get(checksum, [])
    ]


def shared_captions(rows: Rows, others: list[Rows]) -> np.ndarray:
    """(m,) whether a caption stands, letter for letter, among the captions of other splits."""
    elsewhere = {text for other in others for text in other.captions}
    return np.array([text in elsewhere for text in rows.captions])


def leakage_rows(
    reference: Reference, near: np.ndarray, shared: np.ndarray, resampling: Resampling
) -> list[Row]:
    """Recall with and without the queries that other splits give away, and how many these are.

    Parameters
    ----------
    reference : the run
    near : (n,) whether an image of test has a near-duplicate in another split
    shared : (m,) whether a caption of test stands in another split
    resampling : of the intervals
    """
    rows, run_ = reference.rows, reference.run
    with_shared = np.bincount(rows.image_of_caption, weights=shared) > 0
    found = [
        row(About(run_, "image_to_text", "all queries"), "near_duplicates", near.sum(), len(near)),
        row(
            About(run_, "text_to_image", "all queries"),
            "shared_captions",
            shared.sum(),
            len(shared),
        ),
    ]
    for way in DIRECTIONS:
        images = images_of_queries(way, rows)
        kept_of_group = {
            "without near-duplicates": ~near[images],
            "without shared captions": ~(shared if way == "text_to_image" else with_shared),
        }
        ranks = run_.ranks[way]
        found += recall_rows(About(run_, way, "all queries"), ranks, images, resampling)
        first = hits(ranks, 1)[:, None]
        for group, kept in kept_of_group.items():
            # nothing is left out, or everything
            if kept.all() or not kept.any():
                continue
            about = About(run_, way, group)
            found += recall_rows(about, ranks[kept], images[kept], resampling)
            (change,) = change_rows(
                about, ("recall@1",), (first[kept], images[kept]), (first, images), resampling
            )
            if min(kept.sum(), (~kept).sum()) < LEAST:
                change |= {"low": None, "high": None}
            found.append(change)
    return found


def read_others(captions: str, splits: str) -> dict[str, Rows]:
    """Rows of train and of val; there may be none, as in a dataset that is only for testing."""
    captions_of, images_of = read_captions(captions), read_splits(splits)
    return {
        split: rows_of(images_of[split], [captions_of[image] for image in images_of[split]])
        for split in OTHERS
    }


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    resampling = Resampling(params.resamples, params.seed)
    references = read_references(files, params.split)
    others = read_others(files.captions, files.splits)
    rows = references[0].rows
    checksums = read_checksums(files.checksums, rows.images)
    same = {
        split: identical_pairs(checksums, read_checksums(files.checksums, other.images))
        for split, other in others.items()
    }
    shared = shared_captions(rows, list(others.values()))
    # model by model, and for each model split by split
    stored = iter(zip(files.others, files.others_sidecars, strict=True))
    # of a model whose scorers learn from them, captions as well
    texts = {
        Path(npy).parts[-3:-1]: (npy, sidecar)
        for npy, sidecar in zip(files.others_texts, files.others_texts_sidecars, strict=True)
    }
    found: list[Row] = []
    listed: list[Row] = []
    for reference in references:
        near = np.zeros(len(rows.images), dtype=bool)
        fitted: dict[str, Features] = {}
        for split, other in others.items():
            npy, sidecar = next(stored)
            if not other.images:
                continue
            features = read_features(npy, sidecar, other, of="images")
            if (key := (reference.run.model, split)) in texts:
                captions = read_features(*texts[key], other, of="captions")
                fitted[split] = Features(other, features, captions)
            pairs = near_pairs(reference.images, features, params.threshold)
            pairs, identical = with_identical(pairs, reference.images, features, same[split])
            near[pairs.test] = True
            listed += [
                {
                    "model": reference.run.model,
                    "test_image": rows.images[mine],
                    "other_split": split,
                    "other_image": other.images[theirs],
                    "cosine": cosine,
                    "identical": "yes" if equal else "no",
                }
                for mine, theirs, cosine, equal in zip(
                    pairs.test.tolist(),
                    pairs.other.tolist(),
                    pairs.cosine.tolist(),
                    identical.tolist(),
                    strict=True,
                )
            ]
        log.info(
            "%s: %d of %d test images have a near-duplicate in train or val, %d of %d captions "
            "stand there",
            *(reference.run.model, near.sum(), len(near), shared.sum(), len(shared)),
        )
        found += leakage_rows(reference, near, shared, resampling)
        found += fit_rows(reference, fitted, resampling)
    write_rows(snakemake.output.table, found)
    write_rows(snakemake.output.pairs, listed, PAIR_COLUMNS)


if __name__ == "__main__":
    run(main, snakemake)
