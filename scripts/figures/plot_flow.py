"""The way from images and texts to a ranking, as a chart."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon

from scripts.figures.pictures import Board
from scripts.figures.style import INK, LINE, MUTED, PAPER, RIGHT, SMALL, TINT, draw, wrap
from scripts.jobs import Snakemake, run
from scripts.words import read_words

UPPER, LOWER, MIDDLE = 1.02, 2.32, 1.67  # heights of the image row, the text row and the rest
COLUMNS = (0.72, 2.13, 3.45, 4.72, 6.02)  # inches, the middles of the five steps


def plot_flow(language: str) -> Figure:
    """Image or text, encoder, features, similarity, ranking."""
    words, board = read_words("figures", language)["flow"], Board()
    source, encoder, features, compared, ranked = COLUMNS

    def name(x: float, y: float, text: str) -> None:
        board.text(x, y, text, ha="center", weight="bold")

    def note(x: float, y: float, text: str, **kwargs: Any) -> None:
        board.note(x, y, text, ha="center", **kwargs)

    for x, label in zip(COLUMNS, words["steps"], strict=True):
        note(x, 0.22, label)
    board.rule(0.42, edge=0.15)

    _pictures(board, source, UPPER)
    name(source, UPPER + 0.42, words["image"])
    _box(board, (source, LOWER - 0.04), (1.2, 0.56), TINT, LINE)
    lines = wrap(words["sentence"], 1.06, SMALL)
    for number, line in enumerate(lines):
        note(source, LOWER - 0.04 + 0.16 * (number - (len(lines) - 1) / 2), line, color=INK)
    name(source, LOWER + 0.41, words["text"])
    note(source, LOWER + 0.58, words["template"])

    for y, key, formula, symbol, colour in (
        (UPPER, "image_encoder", "f(x)", "u", "C0"),
        (LOWER, "text_encoder", "g(t)", "v", "C1"),
    ):
        left, right = encoder - 0.55, encoder + 0.55
        trapezoid = [(left, y - 0.42), (right, y - 0.26), (right, y + 0.26), (left, y + 0.42)]
        board.axes.add_patch(
            Polygon(trapezoid, facecolor=colour, edgecolor="none", joinstyle="round")
        )
        note(encoder, y - 0.07, words[key], size=SMALL + 0.5, color="white", weight="bold")
        note(encoder, y + 0.12, formula, color="white")
        _arrow(board, (source + 0.65, y), (left - 0.03, y))
        _arrow(board, (right + 0.05, y), (features - 0.42, y))
        _vector(board, features - 0.36, y, colour)
        note(features, y + 0.25, f"{words['unit']} → {symbol}", color=INK)
    note(features, MIDDLE, words["stored"], linespacing=1.25)

    _arrow(board, (features + 0.4, UPPER), (compared - 0.4, MIDDLE - 0.24), bend=-0.18)
    _arrow(board, (features + 0.4, LOWER), (compared - 0.4, MIDDLE + 0.24), bend=0.18)
    _matrix(board, compared, MIDDLE)
    name(compared, MIDDLE - 0.6, words["similarity"])
    note(compared, MIDDLE + 0.62, words["cosine"], linespacing=1.25)
    _arrow(board, (compared + 0.43, MIDDLE), (ranked - 0.6, MIDDLE))
    _ranking(board, ranked, MIDDLE)
    name(ranked, MIDDLE - 0.6, words["ranking"])
    note(ranked, MIDDLE + 0.62, words["rank"], linespacing=1.25)
    return board.cut(3.2)


def _box(
    board: Board, middle: tuple[float, float], size: tuple[float, float], fill: str, edge: str
) -> None:
    corner, style = [at - of / 2 for at, of in zip(middle, size, strict=True)], "round,pad=0"
    board.axes.add_patch(
        FancyBboxPatch(
            corner, *size, facecolor=fill, edgecolor=edge, lw=0.8,
            boxstyle=f"{style},rounding_size=0.06",
        )
    )  # fmt: skip


def _arrow(
    board: Board, start: tuple[float, float], end: tuple[float, float], bend: float = 0
) -> None:
    board.axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>,head_length=3.2,head_width=1.8", color=MUTED, lw=1,
            connectionstyle=f"arc3,rad={bend}", shrinkA=0, shrinkB=0, joinstyle="miter",
        )
    )  # fmt: skip


def _pictures(board: Board, x: float, y: float) -> None:
    """A small stack of pictures: sun and hills."""
    for shift in (0.1, 0.05, 0.0):
        _box(board, (x + shift, y - shift), (0.78, 0.52), PAPER, MUTED)
    hills = [(-0.36, 0.22), (-0.12, -0.08), (0.06, 0.1), (0.17, -0.02), (0.36, 0.22)]
    outline = [(x + right, y + down) for right, down in hills]
    board.axes.add_patch(Polygon(outline, facecolor="C0", edgecolor="none", alpha=0.85))
    board.axes.scatter([x + 0.2], [y - 0.13], s=34, color="#E69F00", lw=0)


def _vector(board: Board, x: float, y: float, colour: str) -> None:
    """A row of cells of different strength."""
    for place, alpha in enumerate((0.9, 0.35, 0.65, 0.2, 0.75, 0.45)):
        board.box(x + 0.12 * place, y - 0.08, 0.12, 0.16, facecolor=colour, alpha=alpha)
    board.box(x, y - 0.08, 0.72, 0.16, fill=False, edgecolor=colour, lw=0.8)


def _matrix(board: Board, x: float, y: float) -> None:
    """A table of scores whose diagonal is strongest."""
    cell = 0.17
    for row in range(4):
        for column in range(4):
            alpha = 0.92 if row == column else (0.12, 0.3, 0.2)[(2 * row + column) % 3]
            left, top = x + (column - 2) * cell, y + (row - 2) * cell
            board.box(left, top, cell * 0.92, cell * 0.92, facecolor="C2", alpha=alpha)


def _ranking(board: Board, x: float, y: float) -> None:
    """Bars in falling order, the second of them right."""
    for place, width in enumerate((0.86, 0.74, 0.5, 0.32)):
        height, right = y - 0.27 + 0.18 * place, place == 1
        board.note(x - 0.5, height, str(place + 1), ha="right")
        board.box(x - 0.44, height - 0.055, width, 0.11, facecolor=RIGHT if right else LINE)
        if right:
            board.tick(x - 0.44 + width + 0.1, height, 0.14)


def main(snakemake: Snakemake) -> None:
    """Draw the chart in the language of the rule."""
    draw(snakemake, plot_flow)


if __name__ == "__main__":
    run(main, snakemake)
