"""How well several settings do on val, so that one of them can be chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scripts.protocol import DEPTHS, DIRECTIONS, reaches
from scripts.retrieve.banks import Banks


def mean_recalls(
    images: np.ndarray,
    texts: np.ndarray,
    image_of_caption: np.ndarray,
    image_bias: np.ndarray | None = None,
    text_bias: np.ndarray | None = None,
    block_mb: float = 64,
) -> dict[str, np.ndarray]:
    """Mean of Recall@1, @5 and @10 under each of several biases, ties against the model.

    Both directions come from one pass over the scores. These are float64 products, so the number of
    threads changes nothing; they are not told apart as finely as in ``ranking.rank`` (what lies
    within 1e-15 of the edge of a tie may fall to either side), which is enough to choose by.

    Parameters
    ----------
    images : (n, d), mapped
    texts : (m, d), mapped
    image_of_caption : (m,) int64, non-decreasing, every image at least once
    image_bias : (o, n) what is taken off images' scores where captions ask; one option of zeros
        where None
    text_bias : (p, m) what is taken off captions' scores where images ask
    block_mb : memory for scores, MB

    Returns
    -------
    "text_to_image" -> (o,), "image_to_text" -> (p,); equal counts of hits give equal numbers
    """
    n, m = len(images), len(texts)
    image_bias = np.zeros((1, n)) if image_bias is None else image_bias
    text_bias = np.zeros((1, m)) if text_bias is None else text_bias
    images, texts = images.astype(np.float64), texts.astype(np.float64)
    own = np.einsum("ij,ij->i", texts, images[image_of_caption])
    first = np.searchsorted(image_of_caption, np.arange(n))
    best = np.maximum.reduceat(own - text_bias, first, axis=1)
    hits = np.zeros(len(image_bias), dtype=np.int64)
    ahead = np.zeros((len(text_bias), n), dtype=np.int64)
    step = max(1, int(block_mb * 2**20) // (16 * n))
    for start in range(0, m, step):
        part = slice(start, start + step)
        scores = texts[part] @ images.T
        place = image_of_caption[part]
        for option, bias in enumerate(image_bias):
            right = own[part] - bias[place]
            # the right image is among those that reach itself, so this is its rank
            rank = np.count_nonzero(reaches(scores - bias, right[:, None]), axis=1)
            hits[option] += hits_of(rank)
        scores[np.arange(len(place)), place] = -np.inf
        for option, bias in enumerate(text_bias):
            reached = reaches(scores - bias[part, None], best[option])
            ahead[option] += np.count_nonzero(reached, axis=0)
    return {
        "text_to_image": hits / (m * len(DEPTHS)),
        "image_to_text": np.array([hits_of(1 + counts) for counts in ahead]) / (n * len(DEPTHS)),
    }


def cosine_on_val(banks: Banks) -> np.ndarray:
    """Mean recall (2,) on val by direction, to nine digits, of the run's own model as it is."""
    images, texts = (banks[f"val_{side}"][:, : banks["widths"][0]] for side in ("images", "texts"))
    found = mean_recalls(images, texts, banks["val_image_of_caption"])
    return np.array([found[direction][0] for direction in DIRECTIONS]).round(9)


def best_options(
    recalls: Mapping[str, Sequence[float] | np.ndarray],
) -> tuple[list[int], np.ndarray]:
    """The first of the best options of each direction, and its recall (2,), to nine digits.

    Options stand with the simplest first, which so wins where it does no worse.
    """
    best = [int(np.argmax(recalls[direction])) for direction in DIRECTIONS]
    chosen = [recalls[direction][p] for direction, p in zip(DIRECTIONS, best, strict=True)]
    return best, np.round(chosen, 9)


def hits_of(rank: np.ndarray) -> int:
    """Hits within all depths together."""
    return sum(int(np.count_nonzero(rank <= depth)) for depth in DEPTHS)
