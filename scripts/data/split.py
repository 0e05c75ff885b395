"""Train, val and test: the official split where there is one, else one that never reshuffles."""

import csv
import hashlib
from pathlib import Path

from scripts.data.rows import SPLITS
from scripts.job import BadInput, log, write_json
from scripts.jobs import Snakemake, run


def split_images(
    official: dict[str, str], seed: int, shares: dict[str, float]
) -> dict[str, list[str]]:
    """The images of each split, sorted by name.

    Parameters
    ----------
    official : image name -> train, val or test; "none" where there is an official split without it;
        "" where there is no official split
    seed : another seed draws another split
    shares : share of the images for each split, together 1; an official split ignores it

    Raises
    ------
    BadInput
        where a split has no image
    """
    if any(official.values()):
        split_of = official
    else:
        split_of = {image: drawn_split(image, seed, shares) for image in official}
    splits = {split: sorted(i for i in split_of if split_of[i] == split) for split in SPLITS}
    if not all(splits.values()):
        counts = ", ".join(f"{split} {len(images)}" for split, images in splits.items())
        raise BadInput(
            "the split",
            f"{counts}, of {len(official)} images",
            "at least one image in each",
            "name images of each split where the dataset has its own: in splits.json beside "
            "the captions, in the three lists of Flickr8k, or by the names of the parquet files"
            if any(official.values())
            else "add images, say yourself which are which in splits.json beside captions.json "
            "(or Kaggle's captions.txt or archive), or take other split.shares or another "
            "split.seed in the config",
        )
    return splits


def drawn_split(image: str, seed: int, shares: dict[str, float]) -> str:
    """Split of one image: a function of its name alone, so that no other image can move it."""
    digest = hashlib.blake2b(f"{seed}/{image}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    if place < shares["test"]:
        return "test"
    return "val" if place < shares["test"] + shares["val"] else "train"


def read_official(table: Path) -> dict[str, str]:
    """Image -> the ``split`` column of images.csv."""
    with table.open(encoding="utf-8", newline="") as stream:
        return {row["image"]: row["split"] for row in csv.DictReader(stream)}


def check_shares(shares: dict[str, float]) -> None:
    """``BadInput`` unless the shares are together 1."""
    total = sum(shares[split] for split in SPLITS)
    if abs(total - 1) > 1e-6:
        raise BadInput(
            "config: split.shares", f"{shares}, together {total:g}", "together 1", "correct them"
        )


def main(snakemake: Snakemake) -> None:
    shares = dict(snakemake.params.shares)
    check_shares(shares)
    official = read_official(Path(snakemake.input.table))
    splits = split_images(official, snakemake.params.seed, shares)
    write_json(snakemake.output.splits, splits)
    of = "official" if any(official.values()) else "drawn"
    counts = ", ".join(f"{split} {len(images)}" for split, images in splits.items())
    log.info("%s split: %s", of, counts)


if __name__ == "__main__":
    run(main, snakemake)
