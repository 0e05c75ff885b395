"""Image features of one split, once per model: files are read and decoded ahead of the model."""

import csv
import hashlib
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.data.rows import read_rows
from scripts.encode.features import batches, open_encoder, to_numpy, write_features
from scripts.job import BadInput, progress, run
from scripts.models.encoders import Encoder

# a CPU gains nothing from more at once: with 64, ViT-B/32 is as fast, and MobileNetV2 a third as
# fast, its activations being too large for the memory allocator to keep
IMAGES_AT_ONCE_ON_CPU = 8


def encode_images(
    encoder: Encoder, paths: list[Path], sha256: list[str], batch_size: int, workers: int
) -> np.ndarray:
    """Unit rows (n, d) float32 of the images in ``paths``, in their order.

    Parameters
    ----------
    paths : n image files
    sha256 : what each file has to hash to
    batch_size : images in the model at once, at most
    workers : threads that decode; memory is set by ``batch_size`` and ``workers``, not by n

    Raises
    ------
    BadInput
        naming the file that is missing, unreadable or not the one that was prepared
    """
    import torch

    def pixels_of(image: tuple[Path, str]) -> np.ndarray:
        return encoder.preprocess(read_image(*image))

    if encoder.device.type == "cpu":
        batch_size = min(batch_size, IMAGES_AT_ONCE_ON_CPU)
    features = np.empty((len(paths), encoder.dim), dtype=np.float32)
    done = 0
    # Pillow lets go of the interpreter while it decodes and resizes, so threads do
    with ThreadPoolExecutor(workers) as pool:
        images = zip(paths, sha256, strict=True)
        ahead = map_ahead(pool, pixels_of, images, window=2 * batch_size + workers)
        watched = progress(ahead, "images", total=len(paths), unit="img")
        for batch in batches(watched, batch_size):
            rows = encoder.encode_images(torch.from_numpy(np.stack(batch)))
            features[done : done + len(batch)] = to_numpy(rows)
            done += len(batch)
    return features


def map_ahead(
    pool: ThreadPoolExecutor, function: Callable, items: Iterable, window: int
) -> Iterator:
    """Results of ``function`` in the order of ``items``, computed up to ``window`` items ahead.

    What ``pool.map`` would do, but for its reading all of ``items`` at once and so holding all
    results that nobody took yet.
    """
    items = iter(items)
    pending: deque[Future] = deque(pool.submit(function, item) for item in islice(items, window))
    try:
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(items, 1))
            yield result
    finally:
        for future in pending:
            future.cancel()


def read_image(path: Path, sha256: str) -> Image.Image:
    """Decode the image in ``path``; ``BadInput`` unless it is the one with this sha256."""
    todo = "delete the images folder of the dataset and run again: it is then prepared anew"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(path, "no such file", "a prepared image", todo) from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BadInput(path, f"sha256 {found}", f"sha256 {sha256}, as in images.csv", todo)
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(path, f"not decodable: {error}", "a prepared image", todo) from None
    return image


def read_checksums(table: str | Path, images: list[str]) -> list[str]:
    """sha256 of each of ``images`` from images.csv."""
    with Path(table).open(encoding="utf-8", newline="") as stream:
        sha256_of = {row["image"]: row["sha256"] for row in csv.DictReader(stream)}
    missing = [image for image in images if image not in sha256_of]
    if missing:
        raise BadInput(
            table,
            f"no row for {missing[0]}",
            "a row for each image of the split",
            f"delete {table} and run again: it is then made anew",
        )
    return [sha256_of[image] for image in images]


def main(snakemake) -> None:
    given, params = snakemake.input, snakemake.params
    rows = read_rows(given.captions, given.splits, snakemake.wildcards.split)
    sha256 = read_checksums(given.table, rows.images)
    paths = [Path(given.images) / image for image in rows.images]
    model = Path(given.model)
    encoder = open_encoder(model, params.device, params.precision, snakemake.threads)
    features = encode_images(encoder, paths, sha256, params.batch_size, snakemake.threads)
    write_features(
        Path(snakemake.output.features),
        Path(snakemake.output.sidecar),
        features,
        rows,
        model,
        device=encoder.device.type,
        precision=params.precision,
    )


if __name__ == "__main__":
    run(main, snakemake)
