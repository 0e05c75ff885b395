"""Pictures and lines of text on a sheet in inches, shared by the figures that show examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.patches import Rectangle

from scripts.figures.style import INK, TINT, drawable, width_of
from scripts.studies.words import pattern_of


def set_lines(axes: Any, x: float, y: float, lines: list[str], size: float, **kwargs: Any) -> float:
    """Set lines below each other, the first with its top at ``y``; the height they take.

    Without axes nothing is drawn, which tells the height beforehand.
    """
    leading = leading_of(size)
    if axes is not None:
        for number, line in enumerate(lines):
            axes.text(x, y + (number + 0.76) * leading, line, size=size, va="baseline", **kwargs)
    return len(lines) * leading


def leading_of(size: float) -> float:
    """Inches from one line to the next at a size in points."""
    return size * 1.38 / 72


def mark_words(
    axes: Any,
    corner: tuple[float, float],
    lines: list[str],
    found: list[tuple[int, int, int]],
    size: float,
    colour: str,
) -> None:
    """A tinted ground behind some words, and a line under them for who sees no colour.

    Parameters
    ----------
    axes : None where nothing is drawn
    corner : where ``set_lines`` sets the first of the lines
    lines, found : see ``marks``, which finds them
    size : of the type, in points
    colour : of the ground
    """
    if axes is None:
        return
    leading = leading_of(size)
    for number, start, stop in found:
        left, right = (corner[0] + width_of(lines[number][:end], size) for end in (start, stop))
        top = corner[1] + number * leading
        axes.add_patch(
            Rectangle(
                (left - 0.01, top + 0.008), right - left + 0.02, leading - 0.008,
                facecolor=colour, alpha=0.3, lw=0, zorder=0.5,
            )
        )  # fmt: skip
        axes.plot([left, right], [top + 0.93 * leading] * 2, color=INK, lw=0.55, zorder=0.6)


def marks(
    text: str, lines: list[str], words: list[str], after: int = 0
) -> list[tuple[int, int, int]]:
    """Where ``words`` stand in ``lines``, which ``wrap`` made of ``text``.

    Parameters
    ----------
    text, lines, words : none of these need be drawable
    after : characters at the start of ``text`` that are none of the words, whatever they spell

    Returns
    -------
    line, start and stop of each; a word that is broken between lines has a mark on both
    """
    text = drawable(text)
    pattern = pattern_of(shown for word in words if (shown := drawable(word)))
    spans = [match.span() for match in pattern.finditer(text, after)]
    found: list[tuple[int, int, int]] = []
    upto = 0
    for number, line in enumerate(lines):
        # the last line may end in an ellipsis that is not in the text
        body = line if line in text[upto:] else line.removesuffix("…")
        start = text.index(body, upto)
        upto = start + len(body)
        found += [
            (number, max(first, start) - start, min(last, upto) - start)
            for first, last in spans
            if first < upto and last > start
        ]
    return found


def set_picture(axes: Any, picture: np.ndarray, x: float, y: float, cell: float) -> None:
    """A picture in the middle of a square cell, its shape kept, as are the limits of the axes."""
    limits = axes.get_xlim(), axes.get_ylim()
    tall, wide = picture.shape[:2]
    width, height = cell * min(1, wide / tall), cell * min(1, tall / wide)
    left, top = x + (cell - width) / 2, y + (cell - height) / 2
    axes.add_patch(Rectangle((x, y), cell, cell, facecolor=TINT, lw=0))
    axes.imshow(
        picture,
        extent=(left, left + width, top + height, top),
        aspect="auto",
        interpolation="none",
        zorder=2,
    )
    axes.set(xlim=limits[0], ylim=limits[1])
