"""The worst hubs of a run, and what becomes of them under other scorers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scripts.figures.pictures import leading_of, set_lines, set_picture
from scripts.figures.style import (
    INK,
    LINE,
    MUTED,
    SIZE,
    SMALL,
    WIDTH,
    draw,
    inches,
    palette_of,
    sheet,
    thumbnail,
    width_of,
    wrap,
)
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.words import read_words

# inches: the tallest figure that a page takes, the margin, a column, between columns, a picture,
# a bar's line, and the bars beside a picture and below a sentence
TALLEST, EDGE, GAP = 9.6, 0.1, 0.3
COLUMN = (WIDTH - 2 * EDGE - GAP) / 2
PICTURE, HEAD = 0.92, 0.52
LABEL, COUNT = 0.95, 0.36
LINE_HEIGHT = 0.15


def drawn_hubs(hubs: pd.DataFrame) -> pd.DataFrame:
    """The rows that are drawn: the first model's, of hubs of its reference run.

    Parameters
    ----------
    hubs : rows of ``study_geometry.HUB_COLUMNS``; the first run is the reference run. Where not all
        of its hubs fit on a page, the worst are drawn
    """
    own = hubs[(hubs.model == hubs.model.iloc[0]) & hubs.reference_place.notna()]
    shown = int(own.reference_place.max())
    while shown > 2 and _height(own[own.reference_place <= shown]) > TALLEST:
        shown -= 2 - shown % 2
    return own[own.reference_place <= shown].reset_index(drop=True)


def plot_hubs(hubs: pd.DataFrame, images: Path, language: str, style: dict[str, Any]) -> Figure:
    """Draw hubs both ways, two in a row.

    Parameters
    ----------
    hubs : from ``drawn_hubs``
    images : folder of the dataset's pictures
    language, style : of the figure
    """
    words, colours = read_words("figures", language)["hubs"], palette_of(style)
    look = _Look(list(dict.fromkeys(hubs.scorer)), images, words, colours)
    with sheet():
        figure, axes = inches(WIDTH, _height(hubs))
        y = 0.0
        for direction in DIRECTIONS:
            part = hubs[hubs.direction == direction]
            if len(part):
                y = _draw_direction(axes, part, y, look)
    return figure


@dataclass(frozen=True)
class _Look:
    """What all hubs of a figure are drawn with; ``scorers`` have a bar each, in their order."""

    scorers: list[str]
    images: Path
    words: dict[str, Any]
    colours: tuple[str, ...]


def _height(hubs: pd.DataFrame) -> float:
    scorers = list(dict.fromkeys(hubs.scorer))
    parts = [hubs[hubs.direction == way] for way in DIRECTIONS]
    return 0.05 + sum(HEAD + sum(_row_heights(part, scorers)) for part in parts if len(part))


def _rows_of(part: pd.DataFrame) -> list[list[int]]:
    """Items by place, two in a row."""
    items = list(dict.fromkeys(part.sort_values("reference_place", kind="stable").item))
    return [items[start : start + 2] for start in range(0, len(items), 2)]


def _row_heights(part: pd.DataFrame, scorers: list[str]) -> list[float]:
    bars = len(scorers) * LINE_HEIGHT
    if part.direction.iloc[0] == "text_to_image":
        return [max(PICTURE, bars) + 0.34 for _ in _rows_of(part)]
    heights = []
    for items in _rows_of(part):
        most = max(len(_sentence(part, item)) for item in items)
        heights.append(most * leading_of(SMALL + 0.5) + bars + 0.3)
    return heights


def _sentence(part: pd.DataFrame, item: int) -> list[str]:
    caption = part.caption[part.item == item].iloc[0]
    return wrap(caption, COLUMN - 0.25, SMALL + 0.5, lines=3)


def _draw_direction(axes: Any, part: pd.DataFrame, y: float, look: _Look) -> float:
    """One direction's hubs from ``y`` on; where they end."""
    first, words = part.iloc[0], look.words
    direction = first.direction
    head = words["heads"][direction].format(direction=words["directions"][direction])
    axes.plot([EDGE, WIDTH - EDGE], [y + 0.43, y + 0.43], color=LINE, lw=0.8)
    axes.text(EDGE, y + 0.15, head, weight="bold", va="center", size=SIZE)
    note = words["notes"][direction].format(
        queries=first.queries,
        k=first.neighbours,
        expected=f"{first.expected:,.1f}".removesuffix(".0"),
    )
    axes.text(EDGE, y + 0.325, note, size=SMALL, color=MUTED, va="center")
    y += HEAD
    longest = max(part.occurrences.max(), first.expected)
    for items, tall in zip(_rows_of(part), _row_heights(part, look.scorers), strict=True):
        most = max(len(_sentence(part, item)) for item in items)
        for column, item in enumerate(items):
            x = EDGE + column * (COLUMN + GAP)
            one = part[part.item == item]
            mine = one.iloc[0]
            place = f"{int(mine.reference_place)}"
            if direction == "text_to_image":
                picture = np.asarray(thumbnail(look.images / mine.image, 280))
                set_picture(axes, picture, x, y, PICTURE)
                left, top = x + PICTURE + 0.1, y
                under = f"{place} · {words['right'].format(right=mine.right)}"
                below = y + PICTURE + 0.02
                set_lines(axes, x, below, [under], SMALL, color=MUTED)
            else:
                lines = _sentence(part, item)
                set_lines(axes, x, y, [place], SMALL + 0.5, color=MUTED)
                set_lines(axes, x + 0.25, y, lines, SMALL + 0.5, color=INK)
                left, top = x + 0.25, y + most * leading_of(SMALL + 0.5) + 0.04
            width = x + COLUMN - left
            _draw_bars(axes, one, (left, top), width, longest, look)
        y += tall
    return y


def _draw_bars(
    axes: Any,
    one: pd.DataFrame,
    corner: tuple[float, float],
    width: float,
    longest: float,
    look: _Look,
) -> None:
    """A bar for each scorer: in how many lists this item stands."""
    start, top = corner[0] + LABEL, corner[1]
    unit = (width - LABEL - COUNT) / longest
    dashed = start + one.expected.iloc[0] * unit
    count_of = dict(zip(one.scorer, one.occurrences, strict=True))
    for number, scorer in enumerate(look.scorers):
        middle = top + (number + 0.5) * LINE_HEIGHT
        name = wrap(scorer, LABEL - 0.08, SMALL, lines=1)[0]
        first = number == 0
        axes.text(
            start - 0.06, middle, name, size=SMALL, ha="right", va="center",
            color=INK if first else MUTED,
        )  # fmt: skip
        if scorer not in count_of:
            continue
        long = count_of[scorer] * unit
        axes.add_patch(
            Rectangle(
                (start, middle - 0.046), long, 0.092, lw=0, color=look.colours[0 if first else 4]
            )
        )
        text, beside = f"{count_of[scorer]:,}", start + long + 0.04
        if beside - 0.04 <= dashed <= beside + width_of(text, SMALL) + 0.04:
            beside = dashed + 0.04
        axes.text(
            beside, middle, text, size=SMALL, va="center",
            color=INK if first else MUTED,
        )  # fmt: skip
    axes.plot(
        [dashed, dashed], [top, top + len(look.scorers) * LINE_HEIGHT],
        color=MUTED, lw=0.8, ls=(0, (2, 2)),
    )  # fmt: skip


def read_hubs(path: str | Path) -> pd.DataFrame:
    """Read hubs.csv; a caption may be the word NA."""
    return pd.read_csv(path, keep_default_na=False, na_values={"reference_place": [""]})


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files = snakemake.input
    style = dict(snakemake.params.get("style") or {})
    hubs = drawn_hubs(read_hubs(files.hubs))
    draw(snakemake, lambda language: plot_hubs(hubs, Path(files.images), language, style))


if __name__ == "__main__":
    run(main, snakemake)
