"""How many shards each split is encoded in."""

import math
from pathlib import Path

from scripts.data.rows import read_splits
from scripts.job import write_json
from scripts.jobs import Snakemake, run


def shards_of(splits: dict[str, list[str]], size: int) -> dict[str, int]:
    """Shards of ``size`` images, the last one smaller; an empty split has one, which says so."""
    return {split: max(1, math.ceil(len(images) / size)) for split, images in splits.items()}


def main(snakemake: Snakemake) -> None:
    splits = read_splits(snakemake.input.splits)
    write_json(Path(snakemake.output.plan), shards_of(splits, snakemake.params.shard_size))


if __name__ == "__main__":
    run(main, snakemake)
