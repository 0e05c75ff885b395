"""Train, val and test: the split of the dataset, or one that is drawn, or all images as test."""

import csv
import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.data.rows import SPLITS
from scripts.job import BadInput, log, write_json
from scripts.jobs import Snakemake, run
from scripts.protocol import ENOUGH

# images that can be split: three to measure, two to learn from and one to choose on
FEWEST = 6


def split_images(
    official: dict[str, str], seed: int, shares: dict[str, float], learns: bool = True
) -> dict[str, list[str]]:
    """The images of each split, sorted by name.

    Parameters
    ----------
    official : image name -> train, val or test; "none" where there is an official split without it;
        "" where there is no official split
    seed : another seed draws another split
    shares : share of the images for each split, together 1; an official split ignores it
    learns : whether something needs train and val; if not, and nobody named a split, all is test

    Raises
    ------
    BadInput
        where no image is in any split, or there are too few to draw one
    """
    if any(official.values()):
        splits = {s: sorted(i for i in official if official[i] == s) for s in SPLITS}
        if not any(splits.values()):
            raise BadInput(
                "the split",
                f"none of {len(official)} images in train, val or test",
                "at least one image",
                "name images of each split as the files in the folder are called",
            )
        return splits
    if not learns:
        return {"train": [], "val": [], "test": sorted(official)}
    return {split: sorted(images) for split, images in drawn(official, seed, shares).items()}


def meant(images: Mapping[str, int]) -> dict[str, str]:
    """Splits of a dataset that is searched -> what each stands for, where it has no test.

    Of train and val, val is measured. One of them alone is told from nothing, as hubs call train
    what was never split: it is none. Where there are images beside that are in no split, nobody
    knows what is meant.

    Parameters
    ----------
    images : in each split of the dataset, "none" for those that are in none of its splits
    """
    there = [split for split in SPLITS if images.get(split)]
    if "test" in there or images.get("none"):
        return {}
    return {"val": "test"} if there[1:] else dict.fromkeys(there, "")


def check_told(
    splits: Mapping[str, int], told: Mapping[str, int] | None, max_lost: float, where: str
) -> None:
    """``BadInput`` where the config tells other numbers of images in each split than there are.

    What a run leaves out hangs on them. As in ``check_losses``, a few pictures may be unusable.
    """
    if told is None:
        return
    for split in SPLITS:
        found, said = splits.get(split, 0), told.get(split, 0)
        if found > said or said - found > max(1, max_lost * said) or (said and not found):
            numbers = ", ".join(f"{one} {splits.get(one, 0)}" for one in SPLITS)
            raise BadInput(
                where,
                f"{numbers} images",
                f"{said} in {split}, as the dataset's entry of the config says: splits",
                "correct splits there, or take it out: ./run evaluate counts them",
            )


def drawn(images: Iterable[str], seed: int, shares: dict[str, float]) -> dict[str, list[str]]:
    """A split of images that have none, in which as few as possible move when others come.

    An image has a place between 0 and 1, by its name and the seed. Those below the share of test
    are test, those that follow val, the last train. While there are fewer in test than intervals
    need, it takes those that follow, up to half of all images: then one more image moves at most
    one other from one split to the next.
    """
    order = sorted(images, key=lambda image: place(image, seed))
    if len(order) < FEWEST:
        raise BadInput(
            "the split",
            f"{len(order)} images, in no split",
            f"{FEWEST} at least, of which some are learnt from and the others measured",
            "add images, or say yourself which are which (splits.json beside the captions), or "
            "leave out what learns: with run: {scorers: [cosine], rerankers: []} and without "
            "leakage among run.studies, all images are test",
        )
    below = [place(image, seed) for image in order]
    of_share = bisect_left(below, shares["test"])
    test = max(of_share, min(ENOUGH, len(order) // 2))
    val = bisect_left(below, shares["test"] + shares["val"]) - of_share
    # something is left to learn from
    val = max(1, min(val, len(order) - test - 1))
    test = min(test, len(order) - val - 1)
    return {"test": order[:test], "val": order[test : test + val], "train": order[test + val :]}


def place(image: str, seed: int) -> float:
    """Where in a split an image stands, from 0 to 1: a function of its name and the seed alone."""
    digest = hashlib.blake2b(f"{seed}/{image}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


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
    if snakemake.params.searched:
        stands_for = meant(Counter(official.values()))
        official = {image: stands_for.get(split, split) for image, split in official.items()}
    learns = snakemake.params.learns
    splits = split_images(official, snakemake.params.seed, shares, learns)
    sizes = {split: len(images) for split, images in splits.items()}
    if snakemake.params.whole and not all(sizes.values()):
        raise BadInput(
            snakemake.input.table,
            ", ".join(f"{split} {size}" for split, size in sizes.items()),
            "images in each, which this dataset has",
            "get the lists or files of the split again: one of them is empty",
        )
    check_told(sizes, snakemake.params.told, snakemake.params.max_lost, snakemake.input.table)
    write_json(snakemake.output.splits, splits)
    of = "official" if any(official.values()) else "drawn" if learns else "no"
    counts = ", ".join(f"{split} {size}" for split, size in sizes.items())
    log.info("%s split: %s", of, counts)


if __name__ == "__main__":
    run(main, snakemake)
