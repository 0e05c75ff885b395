"""What changed among the queries: which entered the top, which left it, and examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scripts.data.rows import Rows
from scripts.evaluate.runs import first_captions, images_of_queries
from scripts.measures import best_ranks
from scripts.protocol import DEPTHS, DIRECTIONS
from scripts.retrieve.arrays import Arrays

# images of those that entered or left the top, each way
SHOWN = 5


@dataclass(frozen=True)
class Example:
    """A query whose right answer entered or left the top 1, 5 or 10.

    Attributes
    ----------
    image : its file, which a caption belongs to, or which asked
    caption : that asked; of an image, its first one
    before, after : rank of its first right answer, in A and in B
    """

    image: str
    caption: str
    before: int
    after: int


@dataclass(frozen=True)
class Changes:
    """Of the queries of one direction.

    Attributes
    ----------
    queries : how many there are
    nearer, farther : of these, with a better rank in B, and with a worse one
    won, lost : depth -> queries whose first right answer entered, or left, the top so deep
    kept : depth -> queries that have one there in both
    gains, losses : examples, those first whose reciprocal rank changed most; one of each image
    """

    queries: int
    nearer: int
    farther: int
    won: dict[int, int]
    lost: dict[int, int]
    kept: dict[int, int]
    gains: list[Example]
    losses: list[Example]


def changes_of(a: Arrays, b: Arrays, rows: Rows) -> dict[str, Changes]:
    """What changed from one run's rankings to another's, by direction."""
    return {
        way: _changes(_first(a, way, rows), _first(b, way, rows), way, rows) for way in DIRECTIONS
    }


def _first(rankings: Arrays, way: str, rows: Rows) -> np.ndarray:
    """(q,) rank of each query's first right answer."""
    ranks = rankings[f"{way}_rank"]
    return ranks if way == "text_to_image" else best_ranks(ranks, first_captions(rows))


def _changes(before: np.ndarray, after: np.ndarray, way: str, rows: Rows) -> Changes:
    within = {depth: (before <= depth, after <= depth) for depth in DEPTHS}
    crossed = np.any([old != new for old, new in within.values()], axis=0)
    change = np.where(crossed, 1 / after - 1 / before, 0)
    images = images_of_queries(way, rows)
    captions = np.arange(len(images)) if way == "text_to_image" else first_captions(rows)

    def examples(gain: np.ndarray) -> list[Example]:
        found: dict[int, Example] = {}
        for row in np.argsort(-gain, kind="stable"):
            if len(found) == SHOWN or gain[row] <= 0:
                break
            if (image := int(images[row])) not in found:
                caption = rows.captions[captions[row]]
                ranks = int(before[row]), int(after[row])
                found[image] = Example(rows.images[image], caption, *ranks)
        return list(found.values())

    return Changes(
        queries=len(before),
        nearer=int((after < before).sum()),
        farther=int((after > before).sum()),
        won={depth: int((new & ~old).sum()) for depth, (old, new) in within.items()},
        lost={depth: int((old & ~new).sum()) for depth, (old, new) in within.items()},
        kept={depth: int((old & new).sum()) for depth, (old, new) in within.items()},
        gains=examples(change),
        losses=examples(-change),
    )
