"""How retrieval is judged here, whatever is measured: which way, how deep, and what a tie is.

What ranks, learns and chooses reads this and not the table of measures, so that another measure
ranks, fits and trains nothing anew.
"""

from __future__ import annotations

from typing import Any

# what asks, and what is looked for
DIRECTIONS = ("text_to_image", "image_to_text")

# the K of Recall@K that papers on image-text retrieval report
DEPTHS = (1, 5, 10)

# Items closer than this count as tied: float32 features, and products of them, are good to about
# 1e-7, so what lies closer is told apart by rounding alone.
TIE = 1e-6


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
