"""Examples of each kind of failure: what was asked, what came first, and what was right."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scripts.figures.pictures import leading_of, mark_words, marks, set_lines, set_picture
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
    tick,
    wrap,
)
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.studies.study_errors import KINDS
from scripts.words import read_words

# inches: the tallest figure that a page takes, the margin, the kind's column, between columns, a
# picture, and the heights of the head and of a row
TALLEST, EDGE, NAME, GAP = 9.6, 0.1, 1.0, 0.16
CELL = (WIDTH - 2 * EDGE - NAME - 2 * GAP) / 2
PICTURE, HEAD, ROW = 0.66, 0.5, 0.825
LINES = 4


def drawn_failures(failures: pd.DataFrame) -> pd.DataFrame:
    """The rows that are drawn: examples of the first model, fewer of each kind where they are many.

    Parameters
    ----------
    failures : rows of ``study_errors.FAILURE_COLUMNS``; those with "example" may be drawn
    """
    shown = failures[failures.example == 1]
    shown = shown[shown.model == failures.model.iloc[0]] if len(shown) else shown
    place = shown.groupby(["kind", "direction"]).cumcount()
    most = int(place.max()) + 1 if len(shown) else 0
    while most > 1 and _height(_cells(shown[place < most])) > TALLEST:
        most -= 1
    return shown[place < most].reset_index(drop=True)


def plot_failures(
    failures: pd.DataFrame, images: Path, language: str, style: dict[str, Any]
) -> Figure:
    """Draw examples: a row or more for each kind, a column for each direction.

    Parameters
    ----------
    failures : from ``drawn_failures``
    images : folder of the dataset's pictures
    language, style : of the figure
    """
    words, marked = read_words("figures", language)["failures"], palette_of(style)[3]
    cells = _cells(failures)
    with sheet():
        figure, axes = inches(WIDTH, _height(cells))
        for column, way in enumerate(DIRECTIONS):
            x = EDGE + NAME + GAP + column * (CELL + GAP)
            axes.text(x, 0.14, words["directions"][way], weight="bold", va="center", size=SIZE)
            axes.text(x, 0.315, words["notes"][way], va="center", size=SMALL, color=MUTED)
        if (failures.differing != "").any():
            told = wrap(words["marked"], NAME, SMALL, lines=3)
            set_lines(axes, EDGE, 0.02, told, SMALL, color=MUTED)
            found = marks(words["marked"], told, [words["mark"]])
            mark_words(axes, (EDGE, 0.02), told, found, SMALL, marked)
        y = HEAD - 0.06
        for kind, directions in cells.items():
            axes.plot([EDGE, WIDTH - EDGE], [y, y], color=LINE, lw=0.8)
            name = wrap(words["kinds"][kind], NAME, SMALL + 0.5, weight="bold")
            note = wrap(words["kinds_in_full"][kind], NAME, SMALL)
            used = 0.07 + set_lines(axes, EDGE, y + 0.07, name, SMALL + 0.5, weight="bold")
            set_lines(axes, EDGE, y + used, note, SMALL, color=MUTED)
            for column, rows in enumerate(directions):
                x = EDGE + NAME + GAP + column * (CELL + GAP)
                for number, row in enumerate(rows):
                    drawing = _sentence_asks if column == 0 else _picture_asks
                    drawing(axes, row, (x, y + 0.05 + number * ROW), images, words, marked)
            y += ROW * max(map(len, directions))
    return figure


def _cells(failures: pd.DataFrame) -> dict[str, list[list[Any]]]:
    """Kind -> for each direction, its rows."""
    return {
        kind: [
            [row for row in failures.itertuples() if (row.kind, row.direction) == (kind, way)]
            for way in DIRECTIONS
        ]
        for kind in KINDS
        if (failures.kind == kind).any()
    }


def _height(cells: dict[str, list[list[Any]]]) -> float:
    return HEAD + ROW * sum(max(map(len, directions)) for directions in cells.values())


def _sentence_asks(
    axes: Any,
    row: Any,
    corner: tuple[float, float],
    images: Path,
    words: dict[str, Any],
    marked: str,
) -> None:
    """A sentence, the picture that came first, and the right one, ticked."""
    x, y = corner
    width = CELL - 2 * (PICTURE + 0.07)
    lines = wrap(row.query_text, width, SMALL, lines=LINES)
    found = marks(row.query_text, lines, row.differing.split("; "))
    mark_words(axes, (x, y), lines, found, SMALL, marked)
    used = set_lines(axes, x, y, lines, SMALL, color=INK)
    evidence = words["evidence"].format(rank=row.rank, margin=row.margin)
    set_lines(axes, x, y + used + 0.02, wrap(evidence, width, SMALL, 1), SMALL, color=MUTED)
    for number, name in enumerate((row.top_image, row.right_image)):
        left = x + width + 0.07 + number * (PICTURE + 0.07)
        set_picture(axes, np.asarray(thumbnail(images / name, 200)), left, y, PICTURE)
    tick(axes, left + PICTURE - 0.11, y + 0.11, 0.17, zorder=4)


def _picture_asks(
    axes: Any,
    row: Any,
    corner: tuple[float, float],
    images: Path,
    words: dict[str, Any],
    marked: str,
) -> None:
    """A picture, the sentence that came first, and the right one, ticked."""
    x, y = corner
    set_picture(axes, np.asarray(thumbnail(images / row.query_image, 200)), x, y, PICTURE)
    left = x + PICTURE + 0.09
    width = CELL - PICTURE - 0.09
    lines = wrap(row.top_text, width, SMALL, lines=LINES // 2)
    found = marks(row.top_text, lines, row.differing.split("; "))
    mark_words(axes, (left, y), lines, found, SMALL, marked)
    used = set_lines(axes, left, y, lines, SMALL, color=INK) + 0.02
    right = wrap(row.right_text, width - 0.16, SMALL, lines=LINES // 2)
    tick(axes, left + 0.06, y + used + 0.55 * leading_of(SMALL), 0.12)
    used += set_lines(axes, left + 0.16, y + used, right, SMALL, color=INK) + 0.02
    evidence = words["evidence"].format(rank=row.rank, margin=row.margin)
    set_lines(axes, left, y + used, wrap(evidence, width, SMALL, 1), SMALL, color=MUTED)


def read_failures(path: str | Path) -> pd.DataFrame:
    """Read failures.csv; a caption may be the word NA."""
    return pd.read_csv(path, keep_default_na=False, na_values={"yardstick": [""]})


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files = snakemake.input
    style = dict(snakemake.params.get("style") or {})
    failures = drawn_failures(read_failures(files.failures))
    draw(snakemake, lambda language: plot_failures(failures, Path(files.images), language, style))


if __name__ == "__main__":
    run(main, snakemake)
