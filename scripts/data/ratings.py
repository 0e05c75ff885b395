"""One rating of a caption for an image, and the table of them, judgments.csv."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from scripts.job import whole


@dataclass(frozen=True)
class Rating:
    """What one rater, or a crowd, said of a pair.

    Attributes
    ----------
    source : "expert", "crowd" or "grammar"
    image : the image that was judged
    caption_image, caption : the image that the caption was written for, and the caption's place
        among that image's captions, from 0
    rating : from 1 to 4; for the crowd the share of yes, from 0 to 1
    votes : people whose answers are in the rating
    """

    source: str
    image: str
    caption_image: str
    caption: int
    rating: float
    votes: int = 1


COLUMNS = tuple(field.name for field in fields(Rating))


def write_ratings(path: str | Path, ratings: Sequence[Rating]) -> None:
    """Write judgments.csv."""
    with whole(path) as draft, draft.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(map(astuple, ratings))
