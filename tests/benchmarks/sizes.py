"""How much is measured, in full and quickly, and what every benchmark is handed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shape:
    """A whole run.

    Attributes
    ----------
    images : of train, val and test; of each, five captions
    models : of which there are features alone
    prompts, scorers : by their names in the configuration
    encoder : whether one more model is there that encodes
    indexes : galleries of the study of indexes, in items
    studies : of the configuration, where not all of them
    """

    images: tuple[int, int, int]
    models: int
    prompts: tuple[str, ...]
    scorers: tuple[str, ...]
    encoder: bool
    indexes: tuple[int, ...]
    studies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Size:
    precisions: tuple[str, ...]  # in which texts and images are encoded
    layers: int  # of each tower; ViT-B/32 has 12
    rounds: int  # turns of each contender
    text_images: int  # images whose five captions are encoded
    photos: int  # JPEGs that are encoded
    matrix: int  # rows and columns of the matrices that give the limit
    whole_images: int  # images of the whole evaluation, with five captions each
    all_prompts: bool  # whether clip_benchmark is run for each of four prompts, or for one
    ranked_images: int  # images that are ranked with five captions each
    rank_rounds: int  # turns of each contender in ranking
    queries: int  # against the largest gallery
    galleries: tuple[int, ...]  # items; the last one is the largest
    growth_queries: int  # against every gallery
    build_seconds: float  # an index that would take longer to build is left out
    compared_images: int  # images that runs are compared on, with five captions each
    compared_runs: tuple[int, ...]  # runs; the last one is the largest
    explored_images: int  # images of the explorer, with five captions each
    explored_runs: int  # runs of the explorer
    reported: tuple[Shape, ...]  # whole runs, from a dataset to its report


PROMPTS = ("plain", "photo", "picture")
SCORERS = ("cosine", "centred", "nnn", "inverted-softmax", "adapter")

FULL = Size(
    precisions=("float32", "bfloat16"),
    layers=12,
    rounds=3,
    text_images=100,
    photos=160,
    matrix=4096,
    whole_images=1000,
    all_prompts=True,
    ranked_images=5000,
    rank_rounds=5,
    queries=10_000,
    galleries=(1_000, 10_000, 100_000, 1_000_000),
    growth_queries=200,
    build_seconds=300,
    compared_images=1000,
    compared_runs=(9, 40, 130, 600),
    explored_images=5000,
    explored_runs=50,
    reported=(
        # COCO's test split, and of the train split as much as Flickr8k's has
        Shape((6000, 1000, 5000), 1, PROMPTS[:2], SCORERS, True, (10_000, 30_000)),
        Shape((200, 100, 400), 10, PROMPTS, SCORERS[:3], False, (1000,)),
    ),
)
# so that all of it ends in a few minutes; what it says of speed means nothing
QUICK = Size(
    precisions=("float32",),
    layers=1,
    rounds=1,
    text_images=8,
    photos=8,
    matrix=512,
    whole_images=12,
    all_prompts=False,
    ranked_images=60,
    rank_rounds=1,
    queries=50,
    galleries=(200, 2_000),
    growth_queries=20,
    build_seconds=5,
    compared_images=20,
    compared_runs=(3, 14),
    explored_images=12,
    explored_runs=14,
    reported=(Shape((40, 20, 40), 1, PROMPTS[:1], SCORERS[:2], False, (100,), ("gallery",)),),
)


@dataclass(frozen=True)
class Work:
    """What a benchmark is handed.

    Attributes
    ----------
    size : how much to measure
    folder : where it may write
    log : where contenders' own words go
    threads : cores that each contender may use
    outside : whether the packages that we are measured against are there
    model : model.json of ViT-B/32
    captions : five for each image
    source_of_captions : where they are from, in words
    """

    size: Size
    folder: Path
    log: Path
    threads: int
    outside: bool
    model: Path
    captions: list[list[str]]
    source_of_captions: str
