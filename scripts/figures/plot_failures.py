"""Examples of each kind of failure: what was asked, what came first, and what was right."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from scripts.figures.pictures import Board, leading_of
from scripts.figures.style import MUTED, SMALL, WIDTH, draw, wrap
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
    shown = failures[(failures.example == 1) & (failures.model == failures.model.head(1).squeeze())]
    place = shown.groupby(["kind", "direction"]).cumcount()
    most = 1 + place.max() if len(shown) else 0
    while most > 1 and HEAD + ROW * _rows_of_kinds(shown[place < most]).sum() > TALLEST:
        most -= 1
    return shown[place < most].reset_index(drop=True)


def _rows_of_kinds(failures: pd.DataFrame) -> pd.Series:
    """How many rows each kind takes, in the order of ``KINDS``."""
    sizes = failures.groupby(["kind", "direction"]).size().groupby("kind").max()
    return sizes[sorted(sizes.index, key=KINDS.index)]


def plot_failures(failures: pd.DataFrame, images: Path, language: str) -> Figure:
    """Draw examples: a row or more for each kind, a column for each direction.

    Parameters
    ----------
    failures : from ``drawn_failures``
    images : folder of the dataset's pictures
    language : of the figure
    """
    words, board = read_words("figures", language)["failures"], Board()
    columns = {way: EDGE + NAME + GAP + n * (CELL + GAP) for n, way in enumerate(DIRECTIONS)}
    for way, x in columns.items():
        board.text(x, 0.14, words["directions"][way], weight="bold")
        board.note(x, 0.315, words["notes"][way])
    if (failures.differing != "").any():
        mark = [words["mark"]]
        board.paragraph((EDGE, 0.02), words["marked"], NAME, most=3, marked=mark, color=MUTED)
    y = HEAD - 0.06
    for kind, rows in _rows_of_kinds(failures).items():
        board.rule(y, EDGE)
        used = board.paragraph(
            (EDGE, y + 0.07), words["kinds"][kind], NAME, size=SMALL + 0.5, weight="bold"
        )
        board.paragraph((EDGE, y + 0.07 + used), words["kinds_in_full"][kind], NAME, color=MUTED)
        for way, x in columns.items():
            drawing = _sentence_asks if way == "text_to_image" else _picture_asks
            own = failures[(failures.kind == kind) & (failures.direction == way)]
            for number, row in enumerate(own.itertuples()):
                evidence = words["evidence"].format(rank=row.rank, margin=row.margin)
                drawing(board, row, x, y + 0.05 + number * ROW, images, evidence)
        y += ROW * rows
    return board.cut(y + 0.06)


def _sentence_asks(board: Board, row: Any, x: float, y: float, images: Path, evidence: str) -> None:
    """A sentence, the picture that came first, and the right one, ticked."""
    width, marked = CELL - 2 * (PICTURE + 0.07), row.differing.split("; ")
    most = LINES + 1 - len(wrap(evidence, width, SMALL))
    used = board.paragraph((x, y), row.query_text, width, most=most, marked=marked)
    board.paragraph((x, y + used + 0.02), evidence, width, color=MUTED)
    for number, name in enumerate((row.top_image, row.right_image)):
        left = x + width + 0.07 + number * (PICTURE + 0.07)
        board.picture(images / name, left, y, PICTURE, 200)
    board.tick(left + PICTURE - 0.11, y + 0.11, 0.17, zorder=4)


def _picture_asks(board: Board, row: Any, x: float, y: float, images: Path, evidence: str) -> None:
    """A picture, the sentence that came first, and the right one, ticked."""
    board.picture(images / row.query_image, x, y, PICTURE, 200)
    left, width, most = x + PICTURE + 0.09, CELL - PICTURE - 0.09, LINES // 2
    marked = row.differing.split("; ")
    y += 0.02 + board.paragraph((left, y), row.top_text, width, most=most, marked=marked)
    board.tick(left + 0.06, y + 0.55 * leading_of(SMALL), 0.12)
    y += 0.02 + board.paragraph((left + 0.16, y), row.right_text, width - 0.16, most=most)
    board.paragraph((left, y), evidence, width, most=1, color=MUTED)


def read_failures(path: str | Path) -> pd.DataFrame:
    """Read failures.csv; a caption may be the word NA."""
    return pd.read_csv(path, keep_default_na=False, na_values={"yardstick": [""]})


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files = snakemake.input
    failures, images = drawn_failures(read_failures(files.failures)), Path(files.images)
    draw(snakemake, lambda language: plot_failures(failures, images, language))


if __name__ == "__main__":
    run(main, snakemake)
