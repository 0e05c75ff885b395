"""Pictures and lines of text on a sheet in inches, shared by the figures that show examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.patches import Rectangle

from scripts.report.style import TINT


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
