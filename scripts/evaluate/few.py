"""Of many runs, the few that a figure or a table has room for; all of them stand in a CSV."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


# that are shown where there are more than a figure or a table has room for
FEW = 12


def few(scores: Mapping[Name, float], first: Name, most: int = FEW) -> list[Name]:
    """The best ones, and the first with those that come next to it by score.

    Parameters
    ----------
    scores : of all, in their order; higher is better
    first : one of them, that the others are held against
    most : how many are chosen where there are more; half of them for being the best

    Returns
    -------
    those chosen, in the order of ``scores``
    """
    best = sorted(scores, key=lambda name: -scores[name])
    place = best.index(first)
    chosen = {*best[: most // 2], first}
    for name in sorted(best, key=lambda name: abs(best.index(name) - place)):
        if len(chosen) < most:
            chosen.add(name)
    return [name for name in scores if name in chosen]
