"""Judgments of which caption fits which image, read back, and what they accept as right answers.

Not judged is not wrong: people saw a small part of all pairs, and what they did not see counts as
wrong here only because somebody has to decide.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from scripts.data.ratings import COLUMNS
from scripts.data.rows import Rows
from scripts.evaluate.runs import first_captions
from scripts.job import BadInput

# lenient and strict; where several people rated a pair their median decides
LEAST_GRADE = {False: 3.0, True: 4.0}
CROWD = "crowd"


@dataclass(frozen=True)
class Judgments:
    """Single ratings of pairs, in the order of the file.

    Attributes
    ----------
    image, caption : (p,) int64, rows of the image and of the caption
    source : (p,) str, "expert", "crowd" or "grammar"
    rating : (p,) float64, from 1 to 4; the crowd's is a share of yes
    votes : (p,) int64, people behind the rating
    own : (p,) whether the caption was written for this very image
    """

    image: np.ndarray
    caption: np.ndarray
    source: np.ndarray
    rating: np.ndarray
    votes: np.ndarray
    own: np.ndarray

    def __len__(self) -> int:
        return len(self.image)


def read_judgments(path: str | Path, rows: Rows) -> Judgments:
    """Read judgments.csv; ratings of images or captions that are not among ``rows`` are left out.

    Raises ``BadInput`` where the table is not as the workflow writes it, or tells of captions that
    these rows do not have.
    """
    again = f"delete {path} and run again: the workflow makes it anew"
    row_of = {image: row for row, image in enumerate(rows.images)}
    starts = first_captions(rows)
    found: list[tuple[int, int, str, float, int]] = []
    with Path(path).open(encoding="utf-8", newline="") as stream:
        table = csv.reader(stream)
        header = next(table, [])
        if tuple(header) != COLUMNS:
            raise BadInput(f"{path}, line 1", f"{header}", f"the columns {COLUMNS}", again)
        for line in table:
            where = f"{path}, line {table.line_num}"
            try:
                source, image, caption_image, place, rating, votes = line
                entry = (source, int(place), float(rating), int(votes))
            except ValueError:
                raise BadInput(where, f"{line!r:.120}", f"{COLUMNS}", again) from None
            if image not in row_of or caption_image not in row_of:
                continue
            caption = starts[row_of[caption_image]] + entry[1]
            if not starts[row_of[caption_image]] <= caption < starts[row_of[caption_image] + 1]:
                there = starts[row_of[caption_image] + 1] - starts[row_of[caption_image]]
                expected = f"a caption of {caption_image}, which has {there}"
                raise BadInput(where, f"caption {place}", expected, again)
            found.append((row_of[image], caption, source, *entry[2:]))
    images = np.array([one[0] for one in found], dtype=np.int64)
    captions = np.array([one[1] for one in found], dtype=np.int64)
    return Judgments(
        image=images,
        caption=captions,
        source=np.array([one[2] for one in found], dtype=str),
        rating=np.array([one[3] for one in found], dtype=np.float64),
        votes=np.array([one[4] for one in found], dtype=np.int64),
        own=rows.image_of_caption[captions] == images,
    )


def accepted(judgments: Judgments, strict: bool = False) -> np.ndarray:
    """Pairs that people, or the grammar, accept as right.

    Leniently: the median of the grades is 3 or more ("describes it, with minor mistakes"), or more
    than half of the crowd said yes. Strictly: the median is 4, or all of the crowd said yes. One
    source is enough.

    Returns
    -------
    (a, 2) int64, rows of caption and image; sorted, each pair once
    """
    pairs, number = np.unique(
        np.stack([judgments.caption, judgments.image], axis=1), axis=0, return_inverse=True
    )
    fits = np.zeros(len(pairs), dtype=bool)
    for source in np.unique(judgments.source):
        of = judgments.source == source
        rated, median = medians(number.reshape(-1)[of], judgments.rating[of])
        if source == CROWD:
            fits[rated] |= median == 1 if strict else median > 0.5
        else:
            fits[rated] |= median >= LEAST_GRADE[strict]
    return pairs[fits]


def medians(group: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The groups that occur, ascending, and the median of each one's values.

    Parameters
    ----------
    group : (p,) integers
    values : (p,)
    """
    order = np.lexsort((values, group))
    groups, starts, counts = np.unique(group[order], return_index=True, return_counts=True)
    low = values[order[starts + (counts - 1) // 2]]
    high = values[order[starts + counts // 2]]
    return groups, (low + high) / 2


def equal_captions(rows: Rows) -> np.ndarray:
    """Captions with the images that carry their very words, letter for letter, their own included.

    Returns
    -------
    (a, 2) int64, rows of caption and image; sorted, each pair once
    """
    text = np.unique(np.array(rows.captions, dtype=object), return_inverse=True)[1].reshape(-1)
    shape = (int(text.max()) + 1, len(rows.images))
    carried = sparse.coo_array(
        (np.ones(len(text), dtype=bool), (text, rows.image_of_caption)), shape=shape
    ).tocsr()
    carried.sum_duplicates()
    caption, image = carried[text].nonzero()
    return np.stack([caption, image], axis=1).astype(np.int64)


def relevance(rows: Rows, extra: np.ndarray) -> dict[str, sparse.csr_array]:
    """Right answers of both directions: a caption's own image, and ``extra`` pairs.

    Parameters
    ----------
    rows : images and captions
    extra : (a, 2) rows of caption and image; pairs may repeat and may be those of ``rows``

    Returns
    -------
    direction -> (m, n) from captions to images, or (n, m) from images to captions; an entry stored
    for each right answer, those of a query in the order of the gallery
    """
    own = np.stack([np.arange(len(rows.captions)), rows.image_of_caption], axis=1)
    caption, image = np.unique(np.concatenate([own, extra]), axis=0).T
    right = sparse.coo_array(
        (np.ones(len(caption), dtype=bool), (caption, image)),
        shape=(len(rows.captions), len(rows.images)),
    )
    found = {"text_to_image": right.tocsr(), "image_to_text": right.T.tocsr()}
    for matrix in found.values():
        matrix.sort_indices()
    return found
