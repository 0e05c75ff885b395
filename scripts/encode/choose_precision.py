"""What "auto" stands for, once for each model and dataset: the fast precision where it is harmless.

A fast precision rounds, and how much of that reaches the features depends on the model: a
convolutional tower may lose in half precision what a transformer does not notice. So both are
compared on a sample, and what was found is written beside the choice.
"""

import gc
import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from scripts.data.prepared import read_checksums
from scripts.data.rows import read_rows, read_splits
from scripts.encode.encode_images import encode_images
from scripts.encode.encode_images import features_of as images_of_job
from scripts.encode.encode_texts import encode_captions
from scripts.encode.encode_texts import features_of as texts_of_job
from scripts.encode.features import Side, batch_of, batches, open_encoder, opened
from scripts.encode.loaded import go_on
from scripts.job import BadInput, log, write_json
from scripts.jobs import Snakemake, run
from scripts.models.encoders import Encoder, give_back, native_precision, pick_device

# the smallest cosine with its float32 features that an image or a caption may have
LEAST_COSINE = 0.999
# images at a time, each with a caption, and at most. The first ones decide where one of them is
# below that, or where none comes near it. The most that a model loses grows slowly with the images
# that are looked at, so the fewer they are, the less of what may be lost counts as near: an eighth
# for the first sixteen, half for all
AT_ONCE, AT_MOST = 16, 256
NEAR = 0.5
# digits of a cosine that hold on every machine that computes alike
DIGITS = 6
SIDES: tuple[Side, ...] = ("images", "texts")
# test only where the others have too few
SPLITS = ("val", "train", "test")

# cosines (n,) float64 of some images and of as many captions with their float32 features
Cosines = dict[Side, np.ndarray]
# path, sha256 and caption of some images
Part = list[tuple[Path, str, str]]


def sample_of(
    captions: str | Path, splits: str | Path, size: int = AT_MOST, at_once: int = AT_ONCE
) -> list[tuple[str, str, str]]:
    """Split, image and caption of ``size`` images, or of all where there are not as many.

    Those of val, evenly spaced, and where it has too few, those of train and test; any ``at_once``
    that follow each other are spread over the whole sample.
    """
    found: list[tuple[str, str, str]] = []
    of_split = read_splits(splits)
    for split in SPLITS:
        count = min(size - len(found), len(of_split[split]))
        if not count:
            continue
        rows = read_rows(captions, splits, split)
        for place in range(count):
            row = place * len(rows.images) // count
            found.append((split, rows.images[row], rows.captions_of(row)[0]))
    stride = math.ceil(len(found) / at_once)
    return [one for start in range(stride) for one in found[start::stride]]


def compared(parts: Iterable[Cosines]) -> Cosines:
    """The cosines of ``parts``, of as many as it takes to be sure."""
    found: Cosines = {side: np.empty(0) for side in SIDES}
    for part in parts:
        found = {side: np.concatenate([found[side], part[side]]) for side in SIDES}
        # not finite is neither
        least = min(float(cosines.min()) for cosines in found.values())
        near = NEAR * math.sqrt(len(found["images"]) / AT_MOST)
        if not least >= LEAST_COSINE or 1 - least <= near * (1 - LEAST_COSINE):
            break
    return found


def choice(native: str, cosines: Cosines) -> dict[str, Any]:
    """The precision taken, the reason, and the figures behind it."""
    least = min(float(one.min()) for one in cosines.values())
    # NaN compares as false
    close = least >= LEAST_COSINE
    return {
        "precision": native if close else "float32",
        "reason": "close" if close else "apart" if math.isfinite(least) else "not_finite",
        "cosines": {
            native: {side: _summary(cosines[side]) for side in SIDES},
        },
    }


def _summary(cosines: np.ndarray) -> dict[str, float | None]:
    if not np.isfinite(cosines).all():
        return {"smallest": None, "median": None}
    return {"smallest": float(cosines.min()), "median": round(float(np.median(cosines)), DIGITS)}


def rows_of(
    encoder: Encoder, part: Part, batch_sizes: dict[Side, int], workers: int
) -> dict[Side, np.ndarray]:
    """Unit rows (n, d) of both sides of ``part``; ``workers`` threads decode."""
    paths, sums, captions = map(list, zip(*part, strict=True))
    return {
        "images": encode_images(encoder, paths, sums, batch_sizes["images"], workers),
        "texts": encode_captions(encoder, captions, ["{}"], batch_sizes["texts"])[0],
    }


def measured(given: Any, params: Any, native: str, threads: int) -> tuple[dict[str, Any], Encoder]:
    """What a sample says of ``native`` for this model, see ``choice``; and the one in that."""
    how = Path(given.model), params.device
    sample = sample_of(given.captions, given.splits)
    names = [image for _, image, _ in sample]
    paths, captions = [Path(given.images) / name for name in names], [text for *_, text in sample]
    sums = read_checksums(given.table, names)
    first, *others = batches(zip(paths, sums, captions, strict=True), AT_ONCE)

    def rows(encoder: Encoder, parts: list[Part]) -> Iterator[dict[Side, np.ndarray]]:
        sizes = {side: batch_of(encoder, side, params.batch_size) for side in SIDES}
        return (rows_of(encoder, part, sizes, threads) for part in parts)

    # first, and alone: a model in both precisions takes more memory than all else that a run does,
    # and the first part mostly decides
    exact = open_encoder(*how, "float32", threads)
    expected = [*rows(exact, [first])]
    _release(exact)
    fast = opened(*how, native, threads)

    def cosines_of_parts() -> Generator[Cosines, None, None]:
        found = rows(fast, [first, *others])
        yield _cosines(found, expected[0])
        if not others:
            return
        exact = opened(*how, "float32", threads)
        try:
            for one in rows(exact, others):
                yield _cosines(found, one)
        finally:
            _release(exact)

    with closing(cosines_of_parts()) as parts:
        cosines = compared(parts)
    count = len(cosines["images"])
    splits = list(dict.fromkeys(split for split, *_ in islice(sample, count)))
    about = choice(native, cosines)
    about["sample"] = {"splits": splits, "images": count, "captions": count}
    if about["precision"] == native:
        return about, fast
    _release(fast)
    return about, opened(*how, about["precision"], threads)


def _cosines(found: Iterator[dict[Side, np.ndarray]], expected: dict[Side, np.ndarray]) -> Cosines:
    """How near the next of ``found`` is to what was expected, rounded; NaN where it fails."""
    try:
        rows = next(found)
    except BadInput:
        # all else that is wrong with the files or the model was told when float32 was computed
        return {side: np.full(len(one), np.nan) for side, one in expected.items()}
    return {
        side: np.einsum("ij,ij->i", rows[side], one, dtype=np.float64).round(DIGITS)
        for side, one in expected.items()
    }


def _release(encoder: Encoder) -> None:
    """Let go of the weights at once, wherever the encoder is still known."""
    vars(encoder).clear()
    # they are a part of circles
    gc.collect()
    give_back()


def main(snakemake: Snakemake) -> None:
    given, params = snakemake.input, snakemake.params
    about = {
        "asked": params.precision,
        "device": params.device,
        "native": None,
        "precision": params.precision,
        "reason": "asked",
        "least_cosine": LEAST_COSINE,
        "sample": None,
        "cosines": {},
    }
    encoder = None
    if params.precision == "auto":
        device = pick_device(params.device)
        native = native_precision(device)
        about |= {"device": device.type, "native": native}
        if native == "float32":
            about |= {"precision": native, "reason": "native"}
        else:
            found, encoder = measured(given, params, native, snakemake.threads)
            about |= found
    log.info("%s, since: %s", about["precision"], about["reason"])
    write_json(Path(snakemake.output.precision), about)
    if encoder:
        makers = {"images": images_of_job, "texts": texts_of_job}
        go_on(snakemake, encoder, makers, waited_for=True)


if __name__ == "__main__":
    run(main, snakemake)
