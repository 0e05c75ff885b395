"""An ensemble of templates: from the rows under each to the row of their mean."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import numpy as np

from scripts.job import BadInput


def normalised_mean(
    parts: Iterable[np.ndarray], captions: list[str], templates: list[str]
) -> np.ndarray:
    """Each caption's mean over templates, brought to unit length (Radford et al. 2021, 3.1.4).

    Parameters
    ----------
    parts : (m, d) float32 unit rows under each template, in their order, which the last bits of a
        sum depend on; a row of the result depends on its own rows alone
    captions : m captions, to name one of them
    templates : one or more

    Returns
    -------
    (m, d) float32; of one template its rows as they are, so that a mean of stored features is that
    of features just encoded

    Raises ``BadInput`` where the rows of a caption add up to nothing.
    """
    total = reduce(np.add, parts)
    if len(templates) == 1:
        return total
    norms = np.linalg.norm(total, axis=1, keepdims=True)
    if not norms.all():
        raise BadInput(
            repr(captions[int(norms.argmin())]),
            f"a mean of length zero over {templates}",
            "templates that agree",
            "take other templates into the prompt",
        )
    return total / norms
