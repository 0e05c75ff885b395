"""What figures with axes share: panels with their heads, ticks, points and a legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from scripts.figures.style import INK, MUTED, PAPER, SMALL, WIDTH, width_of
from scripts.words import formats

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

MARKERS = "osD^vPX"
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (2.5, 1)), (0, (8, 2)))
DOTTED = (0, (1, 1.6))
HALF, FULL = 2.5, 5.7  # inches, about the width of one of two panels, and of one alone


def keys_of(table: pd.DataFrame, columns: list[str]) -> list[tuple[str, ...]]:
    """What stands in these columns together, in the order in which it comes up."""
    return list(table[columns].drop_duplicates().itertuples(index=False, name=None))


def panels(height: float, rows: int = 1, columns: int = 2, **kwargs: Any) -> tuple[Figure, Any]:
    """A figure of a height in inches and its (rows, columns) axes, which leave each other room."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def head(axes: Any, title: str, note: str = "") -> None:
    """A title over a panel, and a small note between the two."""
    axes.set_title(title, pad=18 if note else 7)
    axes.annotate(
        note, (0, 1), xytext=(0, 7), textcoords="offset points", size=SMALL, color=MUTED,
        xycoords="axes fraction",
    )  # fmt: skip


def name_rows(axes: Any, middles: Sequence[float], names: Sequence[str]) -> None:
    """Names of rows in place of an axis of y."""
    axes.set_yticks(middles, names)
    axes.tick_params(length=0)
    axes.tick_params(axis="y", labelsize=SMALL + 0.5, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def numbers(axis: Any, most: int = 5) -> None:
    """Round numbers along an axis."""
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: formats.quantity(round(value, 9))))


def ticks_at(axes: Any, values: Sequence[float], width: float) -> None:
    """Ticks of x at the last of these values, and at others whose numbers have room beside it.

    Parameters
    ----------
    axes : with their scale and limits
    values : from low to high
    width : of the panel in inches, about
    """
    to_axes = axes.transScale + axes.transLimits
    taken: dict[float, tuple[float, float]] = {}
    for value in (values[-1], *values[:-1]):
        middle = width * to_axes.transform((value, 0))[0]
        half = width_of(formats.quantity(value), SMALL) / 2 + 0.04
        if all(middle + half <= start or end <= middle - half for start, end in taken.values()):
            taken[value] = middle - half, middle + half
    axes.xaxis.set_major_locator(FixedLocator(sorted(taken)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.quantity(value)))
    axes.xaxis.set_minor_locator(NullLocator())


def mark_cut(axes: Any, name: str) -> None:
    """Two strokes through the near end of an axis, "x" or "y", that does not hold zero."""
    low, high = axes.get_xlim() if name == "x" else axes.get_ylim()
    if not low <= 0 <= high:
        along, across = (0.07, 0.1), (0, 0)
        stroke = [(-0.4, -1), (0.4, 1)] if name == "x" else [(-1, -0.4), (1, 0.4)]
        axes.plot(
            *((along, across) if name == "x" else (across, along)), transform=axes.transAxes,
            ls="", marker=stroke, ms=5.5, mec=MUTED, mew=0.9, clip_on=False,
        )  # fmt: skip


def dots(axes: Any, x: Any, y: Any, marker: str, **kwargs: Any) -> None:
    """Marks with an edge that keeps them apart, over all lines."""
    size = {"D": 4.2, "P": 5.6, "X": 5.6}.get(marker, 5)
    look = {"ms": size, "mec": PAPER, "mew": 0.6, "clip_on": False, "zorder": 4, "ls": ""} | kwargs
    axes.plot(x, y, marker=marker, **look)


def _grid(handles: list[Any]) -> tuple[int, int]:
    """Rows and columns of a legend, as few rows as fit across the figure."""
    if not handles:
        return 0, 1
    widest = max(width_of(handle.get_label(), SMALL) for handle in handles) + 0.55
    rows = -(-len(handles) // max(1, int((WIDTH - 0.2) / widest)))
    return rows, -(-len(handles) // rows)


def height_of(handles: list[Any]) -> float:
    """Inches that a legend takes."""
    rows, _ = _grid(handles)
    return 0.17 * rows + 0.1 if rows else 0.0


def legend(
    figure: Figure, handles: list[Any], side: str = "lower", note: Sequence[str] = ()
) -> None:
    """A legend across the figure, "lower" or "upper" than all panels, under lines of a note."""
    if handles or note:
        figure.legend(
            handles=handles, loc=f"outside {side} left", ncols=_grid(handles)[1],
            handlelength=2.4, columnspacing=1.4, borderpad=0, borderaxespad=0.8,
            title="\n".join(note), title_fontsize=SMALL, alignment="left",
        )  # fmt: skip
