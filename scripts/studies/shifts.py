"""What a prompt does to captions: how far it moves them all alike, and what that costs.

A template moves the features of all captions by nearly the same vector c, the mean under the
template less the mean under the first prompt. From text to image, c adds the same bonus u·c to the
score of an image u whatever is asked, so that some images are found by everyone. From image to
text, u·c is one number for all captions that a query u chooses from, and moves no rank. Taking c
off the captions, and leaving their lengths as that makes them, therefore changes no ranking from
image to text and takes the bonus away from text to image: what is lost there is parted into what
the common shift costs, and what is left.

Rows of the group ``SHIFT``: "mean", the mean recall under each prompt by cosine, each way; whatever
the direction, "shift", the length of c, and "shift_alike", the mean cosine between c and what each
caption moves by itself; from text to image "mean_unshifted", the mean recall without c, and
"mean_unshifted_change", what that wins back.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scripts.data.rows import Rows
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import first_captions, images_of_queries
from scripts.measures import best_ranks, mean_hits
from scripts.protocol import DIRECTIONS
from scripts.retrieve.ranking import rank
from scripts.retrieve.similarity import right_captions
from scripts.studies.ahead import ranks_of_one
from scripts.studies.jackknife import jackknife_interval, means_without
from scripts.studies.reference import Reference
from scripts.studies.table import SHIFT, About, Row, change_rows, mean_rows, row

TEXT_TO_IMAGE, IMAGE_TO_TEXT = DIRECTIONS


def shift_rows(
    reference: Reference, texts: Mapping[str, np.ndarray], resampling: Resampling
) -> list[Row]:
    """Recall under each prompt of one model, how far it shifts captions, and what that costs.

    Parameters
    ----------
    reference : of the model, under the first prompt
    texts : prompt -> (m, d) float32, rows of unit length in the order of the captions; of the
        further prompts
    resampling : of the intervals

    None where no prompt is further, or where scores are no plain cosines.
    """
    if not texts or str(reference.scorer["kind"]) != "cosine":
        return []
    rows, run = reference.rows, reference.run
    table = recall_rows_of(About(run, "", SHIFT), run.ranks, rows, resampling)
    for prompt, own in texts.items():
        about = About((run.model, prompt, run.scorer), "", SHIFT)
        moves = own.astype(np.float64) - reference.texts
        ranks = cosine_ranks(reference.images, own, rows)
        without = ranks_of_one(
            unshifted(own, moves.mean(axis=0)), reference.images, rows.image_of_caption
        )
        table += length_rows(about, moves, rows, resampling)
        table += recall_rows_of(about, ranks, rows, resampling)
        table += unshifted_rows(about, without, ranks[TEXT_TO_IMAGE], rows, resampling)
    return table


def length_rows(about: About, moves: np.ndarray, rows: Rows, resampling: Resampling) -> list[Row]:
    """How long the common shift is, and how much alike the moves (m, d) of captions are to it."""
    images, shift = rows.image_of_caption, moves.mean(axis=0)
    length = float(np.linalg.norm(shift))
    without = np.linalg.norm(means_without(moves, images), axis=1)
    # what did not move has no direction
    own = np.linalg.norm(moves, axis=1)
    moved = (own > 0) & (length > 0)
    alike = moves[moved] @ shift / (own[moved] * length)
    return [
        row(about, "shift", length, len(moves), jackknife_interval(length, without)),
        *mean_rows(about, ["shift_alike"], alike[:, None], images[moved], resampling),
    ]


def recall_rows_of(
    about: About, ranks: Mapping[str, np.ndarray], rows: Rows, resampling: Resampling
) -> list[Row]:
    """Mean recall for each direction, from the best rank of each query."""
    return [
        one
        for way in DIRECTIONS
        for one in mean_rows(
            About(about.run, way, SHIFT),
            ["mean"],
            mean_hits(ranks[way])[:, None],
            images_of_queries(way, rows),
            resampling,
        )
    ]


def unshifted_rows(
    about: About, without: np.ndarray, ranks: np.ndarray, rows: Rows, resampling: Resampling
) -> list[Row]:
    """Mean recall from text to image without the shift, and what that wins, paired by image.

    Parameters
    ----------
    about : the prompt
    without, ranks : (m,) of each caption's image, without the shift and with it
    rows, resampling : of the intervals
    """
    about = About(about.run, TEXT_TO_IMAGE, SHIFT)
    after, before = ((mean_hits(one)[:, None], rows.image_of_caption) for one in (without, ranks))
    return [
        *mean_rows(about, ["mean_unshifted"], *after, resampling),
        *change_rows(about, ["mean_unshifted"], after, before, resampling),
    ]


def unshifted(texts: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Captions (m, d) without the shift (d,), float32, and not brought to unit length again.

    Lengths of their own would weigh captions otherwise from image to text.
    """
    return (texts.astype(np.float64) - shift).astype(np.float32)


def cosine_ranks(images: np.ndarray, texts: np.ndarray, rows: Rows) -> dict[str, np.ndarray]:
    """Best rank of each query by inner products of images (n, d) and texts (m, d), by direction."""
    by_image = rank(images, texts, right_captions(rows), k=1)
    return {
        TEXT_TO_IMAGE: ranks_of_one(texts, images, rows.image_of_caption),
        IMAGE_TO_TEXT: best_ranks(by_image.rank, first_captions(rows)),
    }
