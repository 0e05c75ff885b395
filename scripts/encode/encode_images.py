"""Image features of one split, once per model: files are read and decoded ahead of the model."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from scripts.data.ahead import map_ahead
from scripts.data.prepared import read_checksums, read_image
from scripts.data.rows import Rows
from scripts.encode.features import (
    batch_of,
    batches,
    encoded,
    write_features,
)
from scripts.encode.loaded import encode_own
from scripts.encode.shelf import Wanted
from scripts.job import progress
from scripts.jobs import Snakemake, run
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
    encoder : of the features
    paths : n image files
    sha256 : what each file has to hash to
    batch_size : images in the model at once, at most
    workers : threads that decode; memory is set by ``batch_size`` and ``workers``, not by n

    Raises
    ------
    BadInput
        naming the file that is missing, unreadable or not the one that was prepared
    """

    def pixels_of(image: tuple[Path, str]) -> Any:
        return encoder.bytes_of(read_image(*image))

    if encoder.device.type == "cpu":
        # a divisor, so that a shard of whole batches is encoded as it is in its split
        batch_size = max(n for n in range(1, IMAGES_AT_ONCE_ON_CPU + 1) if batch_size % n == 0)
    features = np.empty((len(paths), encoder.dim), dtype=np.float32)
    done = 0
    # Pillow lets go of the interpreter while it decodes and resizes, so threads do
    with ThreadPoolExecutor(workers) as pool:
        images = zip(paths, sha256, strict=True)
        ahead = map_ahead(pool, pixels_of, images, window=2 * batch_size + workers)
        watched = progress(ahead, "images", total=len(paths), unit="images")
        pixels = map(encoder.batch_of_images, batches(watched, batch_size))
        for rows in encoded(encoder, "images", pixels):
            features[done : done + len(rows)] = rows
            done += len(rows)
    return features


def features_of(
    encoder: Encoder, rows: Rows, wanted: Wanted, threads: int
) -> dict[str, np.ndarray]:
    """What a job makes of its images: "features" of ``encode_images``, and how."""
    sha256 = read_checksums(wanted.files["table"], rows.images)
    paths = [Path(wanted.files["images"]) / image for image in rows.images]
    batch_size = batch_of(encoder, "images", wanted.settings["batch_size"])
    if wanted.settings["shard_size"]:
        # shards are multiples of a block, and so may be of fewer images than fit
        batch_size = math.gcd(batch_size, wanted.settings["shard_size"])
    how = {"device": encoder.device.type, "precision": encoder.precision}
    return {
        "features": encode_images(encoder, paths, sha256, batch_size, threads),
        **{name: np.array(told) for name, told in how.items()},
    }


def write_images(snakemake: Snakemake, made: dict[str, np.ndarray], rows: Rows) -> None:
    """Write a job's features."""
    write_features(
        Path(snakemake.output.features),
        Path(snakemake.output.sidecar),
        made["features"],
        rows,
        Path(snakemake.input.model),
        device=str(made["device"]),
        precision=str(made["precision"]),
    )


def main(snakemake: Snakemake) -> None:
    encode_own(snakemake, features_of, write_images)


if __name__ == "__main__":
    run(main, snakemake)
