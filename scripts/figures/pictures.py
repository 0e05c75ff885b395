"""A board in inches for pictures and lines of text, shared by the figures that show examples."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scripts.figures.style import (
    INK,
    LINE,
    MUTED,
    RIGHT,
    SMALL,
    TINT,
    WIDTH,
    drawable,
    thumbnail,
    width_of,
    wrap,
)
from scripts.studies.words import pattern_of


def leading_of(size: float) -> float:
    """Inches from one line to the next at a size in points."""
    return size * 1.38 / 72


class Board:
    """A figure as one drawing, in inches from its top left corner.

    Its height need not be known before all is drawn: ``cut`` gives the figure.
    """

    def __init__(self, width: float = WIDTH) -> None:
        self.figure, self.width = Figure(), width
        self.axes: Any = self.figure.add_axes((0, 0, 1, 1))
        self.axes.axis("off")
        self.axes.autoscale(False)

    def cut(self, height: float) -> Figure:
        """The figure, so high."""
        self.figure.set_size_inches(self.width, height)
        self.axes.set(xlim=(0, self.width), ylim=(height, 0))
        return self.figure

    def text(self, x: float, y: float, text: str, **kwargs: Any) -> None:
        """A line whose middle is at ``y``."""
        self.axes.text(x, y, text, **{"va": "center"} | kwargs)

    def note(self, x: float, y: float, text: str, **kwargs: Any) -> None:
        """A line that is small and grey."""
        self.text(x, y, text, **{"size": SMALL, "color": MUTED} | kwargs)

    def rule(self, y: float, edge: float = 0.1) -> None:
        """A line across."""
        self.axes.plot([edge, self.width - edge], [y, y], color=LINE, lw=0.8)

    def box(self, x: float, y: float, width: float, height: float, **kwargs: Any) -> None:
        """A rectangle below and right of a corner."""
        self.axes.add_patch(Rectangle((x, y), width, height, **{"lw": 0} | kwargs))

    def lines(self, x: float, y: float, lines: list[str], size: float, **kwargs: Any) -> float:
        """Lines below each other, the first with its top at ``y``; the height they take."""
        leading = leading_of(size)
        for number, line in enumerate(lines):
            at = y + (number + 0.76) * leading
            self.axes.text(x, at, line, size=size, va="baseline", **kwargs)
        return len(lines) * leading

    def paragraph(
        self,
        at: tuple[float, float],
        text: str,
        width: float,
        most: int | None = None,
        marked: Iterable[str] = (),
        after: int = 0,
        **kwargs: Any,
    ) -> float:
        """A text broken into ``most`` lines, from their top left corner on; the height they take.

        Words that are ``marked`` have a tinted ground, and a line under them for who sees no
        colour, but for those among the first ``after`` characters.
        """
        (x, y), size = at, kwargs.setdefault("size", SMALL)
        lines = wrap(text, width, size, most, kwargs.get("weight", "normal"))
        leading = leading_of(size)
        for number, start, stop in marks(text, lines, marked, after):
            left, right = (x + width_of(lines[number][:end], size) for end in (start, stop))
            top = y + number * leading
            self.box(
                left - 0.01, top + 0.008, right - left + 0.02, leading - 0.008,
                facecolor="C3", alpha=0.3, zorder=0.5,
            )  # fmt: skip
            under = [top + 0.93 * leading] * 2
            self.axes.plot([left, right], under, color=INK, lw=0.55, zorder=0.6)
        return self.lines(x, y, lines, **kwargs)

    def picture(self, path: Path, x: float, y: float, cell: float, side: int) -> None:
        """A picture of at most ``side`` pixels in the middle of a square cell, its shape kept."""
        picture = np.asarray(thumbnail(path, side))
        tall, wide = picture.shape[:2]
        width, height = cell * min(1, wide / tall), cell * min(1, tall / wide)
        left, top = x + (cell - width) / 2, y + (cell - height) / 2
        self.box(x, y, cell, cell, facecolor=TINT)
        self.axes.imshow(
            picture, extent=(left, left + width, top + height, top), aspect="auto",
            interpolation="none", zorder=2,
        )  # fmt: skip

    def tick(self, x: float, y: float, size: float, **kwargs: Any) -> None:
        """A white check mark on a green disc, drawn as a shape: no font is needed for it."""
        self.axes.scatter([x], [y], s=(size * 72) ** 2, color=RIGHT, lw=0, clip_on=False, **kwargs)
        strokes = np.array([[-0.22, 0.02], [-0.06, 0.18], [0.24, -0.17]]) * size + (x, y)
        self.axes.plot(
            *strokes.T, color="white", lw=size * 9, solid_capstyle="round",
            solid_joinstyle="round", clip_on=False, **kwargs,
        )  # fmt: skip


def marks(
    text: str, lines: list[str], words: Iterable[str], after: int = 0
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
