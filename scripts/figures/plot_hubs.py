"""The worst hubs of a run, and what becomes of them under other scorers."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from scripts.figures.pictures import Board, leading_of
from scripts.figures.style import INK, MUTED, SMALL, WIDTH, draw, width_of, wrap
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.studies.shown import unique
from scripts.words import read_words

# inches: the tallest figure that a page takes, the margin, a column, between columns, a picture,
# a direction's head, the name and the number of a bar, and its line
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


def _height(hubs: pd.DataFrame) -> float:
    """Of a figure of these hubs."""
    bars = hubs.scorer.nunique() * LINE_HEIGHT
    parts = [part for _, part in hubs.groupby("direction")]
    rows = [_row_height(pair, bars) for part in parts for pair in _pairs_of(part)]
    return 0.05 + HEAD * len(parts) + sum(rows)


def _pairs_of(part: pd.DataFrame) -> list[pd.DataFrame]:
    """Hubs of a direction by place, two in a row."""
    items = unique(part.sort_values("reference_place", kind="stable").item)
    return [part[part.item.isin(items[n : n + 2])] for n in range(0, len(items), 2)]


def _row_height(pair: pd.DataFrame, bars: float) -> float:
    if pair.direction.iloc[0] == "text_to_image":
        return max(PICTURE, bars) + 0.34
    return _sentence_height(pair) + bars + 0.3


def _sentence_height(pair: pd.DataFrame) -> float:
    return leading_of(SMALL + 0.5) * max(len(_sentence(caption)) for caption in pair.caption)


def _sentence(caption: str) -> list[str]:
    return wrap(caption, COLUMN - 0.25, SMALL + 0.5, lines=3)


def plot_hubs(hubs: pd.DataFrame, images: Path, language: str) -> Figure:
    """Draw hubs both ways, two in a row.

    Parameters
    ----------
    hubs : from ``drawn_hubs``
    images : folder of the dataset's pictures
    language : of the figure
    """
    words, board, y = read_words("figures", language)["hubs"], Board(), 0.0
    scorers = unique(hubs.scorer)
    for direction in DIRECTIONS:
        part = hubs[hubs.direction == direction]
        if part.empty:
            continue
        first = part.iloc[0]
        head = words["heads"][direction].format(direction=words["directions"][direction])
        expected = f"{first.expected:,.1f}".removesuffix(".0")
        note = words["notes"][direction].format(
            queries=first.queries, k=first.neighbours, expected=expected
        )
        board.rule(y + 0.43, EDGE)
        board.text(EDGE, y + 0.15, head, weight="bold")
        board.note(EDGE, y + 0.325, note)
        y += HEAD
        longest = max(part.occurrences.max(), first.expected)
        for pair in _pairs_of(part):
            for column, item in enumerate(unique(pair.sort_values("reference_place").item)):
                x, own = EDGE + column * (COLUMN + GAP), pair[pair.item == item]
                mine = own.iloc[0]
                place = f"{int(mine.reference_place)}"
                left, top = x + PICTURE + 0.1, y
                if direction == "text_to_image":
                    board.picture(images / mine.image, x, y, PICTURE, 280)
                    told = f"{place} · {words['right'].format(right=mine.right)}"
                    board.lines(x, y + PICTURE + 0.02, [told], SMALL, color=MUTED)
                else:
                    left, top = x + 0.25, y + _sentence_height(pair) + 0.04
                    board.lines(x, y, [place], SMALL + 0.5, color=MUTED)
                    board.lines(left, y, _sentence(mine.caption), SMALL + 0.5)
                _draw_bars(board, own, scorers, (left, top), x + COLUMN, longest)
            y += _row_height(pair, len(scorers) * LINE_HEIGHT)
    return board.cut(y + 0.05)


def _draw_bars(
    board: Board,
    own: pd.DataFrame,
    scorers: list[str],
    corner: tuple[float, float],
    right: float,
    longest: float,
) -> None:
    """A bar for each scorer: in how many lists this item stands."""
    (start, top), counts = corner, dict(zip(own.scorer, own.occurrences, strict=True))
    start += LABEL
    unit = (right - start - COUNT) / longest
    dashed = start + own.expected.iloc[0] * unit
    for number, scorer in enumerate(scorers):
        middle, colour = top + (number + 0.5) * LINE_HEIGHT, MUTED if number else INK
        (name,) = wrap(scorer, LABEL - 0.08, SMALL, lines=1)
        board.note(start - 0.06, middle, name, ha="right", color=colour)
        if scorer not in counts:
            continue
        text, end = f"{counts[scorer]:,}", start + counts[scorer] * unit
        board.box(start, middle - 0.046, end - start, 0.092, color="C4" if number else "C0")
        # behind the dashed line where that would strike it through
        if end <= dashed <= end + width_of(text, SMALL) + 0.08:
            end = dashed
        board.note(end + 0.04, middle, text, color=colour)
    ends = [top, top + len(scorers) * LINE_HEIGHT]
    board.axes.plot([dashed, dashed], ends, color=MUTED, lw=0.8, ls=(0, (2, 2)))


def read_hubs(path: str | Path) -> pd.DataFrame:
    """Read hubs.csv; a caption may be the word NA."""
    return pd.read_csv(path, keep_default_na=False, na_values={"reference_place": [""]})


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files = snakemake.input
    hubs, images = drawn_hubs(read_hubs(files.hubs)), Path(files.images)
    draw(snakemake, lambda language: plot_hubs(hubs, images, language))


if __name__ == "__main__":
    run(main, snakemake)
