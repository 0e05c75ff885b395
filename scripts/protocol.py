"""How retrieval is judged here, whatever is measured: which way, how deep, and what a tie is.

What ranks, learns and chooses reads this and not the table of measures, so that another measure
ranks, fits and trains nothing anew.
"""

from __future__ import annotations

import math
from typing import Any

# what asks, and what is looked for
DIRECTIONS = ("text_to_image", "image_to_text")

# the K of Recall@K that papers on image-text retrieval report
DEPTHS = (1, 5, 10)

# Items closer than this count as tied: float32 features, and products of them, are good to about
# 1e-7, so what lies closer is told apart by rounding alone.
TIE = 1e-6

# half of the 95% interval of a share that test images should allow: where it is wider, a gain of
# five points, which is much for a prompt, a scorer or the next larger model, is within it
HALF_WIDTH = 0.05
NORMAL_95 = 1.959964


def half_width(images: int) -> float:
    """Half of the 95% interval of a share of 50%, the widest that ``images`` clusters can give.

    The captions of an image are taken to succeed and fail together, as they nearly do: so this is
    what a share of images has.
    """
    return NORMAL_95 * 0.5 / math.sqrt(images)


# test images that allow it: 385
ENOUGH = math.ceil((NORMAL_95 * 0.5 / HALF_WIDTH) ** 2)


def reaches(scores: Any, own: Any) -> Any:
    """Which scores are ahead of a right answer that scores ``own``: higher ones, and ties.

    Ties count against the model, so a model that scores everything alike earns no recall.

    Parameters
    ----------
    scores, own : arrays of numpy, or tensors of torch, whose shapes go together; they are compared
        in the precision that they have

    Returns
    -------
    booleans of the shape that both have together
    """
    return scores >= own - TIE
