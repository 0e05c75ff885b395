"""The way from images and texts to a ranking, as a chart."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from scripts.figures.style import (
    INK,
    LINE,
    MUTED,
    PAPER,
    RIGHT,
    SMALL,
    TINT,
    WIDTH,
    draw,
    inches,
    palette_of,
    sheet,
    tick,
    wrap,
)
from scripts.jobs import Snakemake, run
from scripts.words import read_words

UPPER, LOWER, MIDDLE = 1.02, 2.32, 1.67  # heights of the image row, the text row and the rest
COLUMNS = (0.72, 2.13, 3.45, 4.72, 6.02)  # inches, the middles of the five steps


def plot_flow(language: str, style: dict[str, Any]) -> Figure:
    """Image or text, encoder, features, similarity, ranking."""
    words, colours = read_words("figures", language)["flow"], palette_of(style)
    blue, orange = colours[0], colours[1]
    with sheet():
        figure, axes = inches(WIDTH, 3.2)
        source, encoder, features, compared, ranked = COLUMNS
        for x, label in zip(COLUMNS, words["steps"], strict=True):
            axes.text(x, 0.22, label, ha="center", va="center", size=SMALL, color=MUTED)
        axes.plot([0.15, WIDTH - 0.15], [0.42, 0.42], color=LINE, lw=0.8)

        _pictures(axes, source, UPPER, blue)
        axes.text(source, UPPER + 0.42, words["image"], ha="center", va="center", weight="bold")
        _box(axes, (source, LOWER - 0.04), (1.2, 0.56), TINT, LINE)
        for number, line in enumerate(wrap(words["sentence"], 1.06, SMALL)):
            lines = wrap(words["sentence"], 1.06, SMALL)
            axes.text(
                source,
                LOWER - 0.04 + 0.16 * (number - (len(lines) - 1) / 2),
                line,
                ha="center",
                va="center",
                size=SMALL,
            )
        axes.text(source, LOWER + 0.41, words["text"], ha="center", va="center", weight="bold")
        axes.text(
            source,
            LOWER + 0.58,
            words["template"],
            ha="center",
            va="center",
            size=SMALL,
            color=MUTED,
        )

        for y, name, formula, colour in (
            (UPPER, "image_encoder", "f(x)", blue),
            (LOWER, "text_encoder", "g(t)", orange),
        ):
            left, right = encoder - 0.55, encoder + 0.55
            trapezoid = [(left, y - 0.42), (right, y - 0.26), (right, y + 0.26), (left, y + 0.42)]
            axes.add_patch(
                Polygon(trapezoid, facecolor=colour, edgecolor="none", joinstyle="round")
            )
            axes.text(
                encoder,
                y - 0.07,
                words[name],
                ha="center",
                va="center",
                color="white",
                weight="bold",
                size=SMALL + 0.5,
            )
            axes.text(
                encoder,
                y + 0.12,
                formula,
                ha="center",
                va="center",
                color="white",
                style="normal",
                size=SMALL,
            )
            _arrow(axes, (source + 0.65, y), (left - 0.03, y))
            _arrow(axes, (right + 0.05, y), (features - 0.42, y))
            _vector(axes, features - 0.36, y, colour)
            symbol = "u" if name == "image_encoder" else "v"
            axes.text(
                features,
                y + 0.25,
                f"{words['unit']} → {symbol}",
                ha="center",
                va="center",
                size=SMALL,
                color=INK,
            )
        axes.text(
            features,
            MIDDLE,
            words["stored"],
            ha="center",
            va="center",
            size=SMALL,
            color=MUTED,
            linespacing=1.25,
        )

        _arrow(axes, (features + 0.4, UPPER), (compared - 0.4, MIDDLE - 0.24), bend=-0.18)
        _arrow(axes, (features + 0.4, LOWER), (compared - 0.4, MIDDLE + 0.24), bend=0.18)
        _matrix(axes, compared, MIDDLE, colours)
        axes.text(
            compared, MIDDLE - 0.6, words["similarity"], ha="center", va="center", weight="bold"
        )
        axes.text(
            compared,
            MIDDLE + 0.62,
            words["cosine"],
            ha="center",
            va="center",
            size=SMALL,
            color=MUTED,
            linespacing=1.25,
        )
        _arrow(axes, (compared + 0.43, MIDDLE), (ranked - 0.6, MIDDLE))
        _ranking(axes, ranked, MIDDLE, blue)
        axes.text(ranked, MIDDLE - 0.6, words["ranking"], ha="center", va="center", weight="bold")
        axes.text(
            ranked,
            MIDDLE + 0.62,
            words["rank"],
            ha="center",
            va="center",
            size=SMALL,
            color=MUTED,
            linespacing=1.25,
        )
    return figure


def _box(
    axes: Any, middle: tuple[float, float], size: tuple[float, float], fill: str, edge: str
) -> None:
    (x, y), (width, height) = middle, size
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            facecolor=fill,
            edgecolor=edge,
            lw=0.8,
            boxstyle="round,pad=0,rounding_size=0.06",
        )
    )


def _arrow(
    axes: Any, start: tuple[float, float], end: tuple[float, float], bend: float = 0
) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>,head_length=3.2,head_width=1.8",
            color=MUTED,
            lw=1,
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=0,
            shrinkB=0,
            joinstyle="miter",
        )
    )


def _pictures(axes: Any, x: float, y: float, colour: str) -> None:
    """A small stack of pictures: sun and hills."""
    for shift in (0.1, 0.05, 0.0):
        _box(axes, (x + shift, y - shift), (0.78, 0.52), PAPER, MUTED)
    axes.add_patch(
        Polygon(
            [
                (x - 0.36, y + 0.22),
                (x - 0.12, y - 0.08),
                (x + 0.06, y + 0.1),
                (x + 0.17, y - 0.02),
                (x + 0.36, y + 0.22),
            ],
            facecolor=colour,
            edgecolor="none",
            alpha=0.85,
        )
    )
    axes.scatter([x + 0.2], [y - 0.13], s=34, color="#E69F00", lw=0)


def _vector(axes: Any, x: float, y: float, colour: str) -> None:
    """A row of cells of different strength."""
    for place, alpha in enumerate((0.9, 0.35, 0.65, 0.2, 0.75, 0.45)):
        axes.add_patch(
            Rectangle((x + 0.12 * place, y - 0.08), 0.12, 0.16, facecolor=colour, alpha=alpha, lw=0)
        )
    axes.add_patch(Rectangle((x, y - 0.08), 0.72, 0.16, fill=False, edgecolor=colour, lw=0.8))


def _matrix(axes: Any, x: float, y: float, colours: tuple[str, ...]) -> None:
    """A table of scores whose diagonal is strongest."""
    cell = 0.17
    for row in range(4):
        for column in range(4):
            alpha = 0.92 if row == column else (0.12, 0.3, 0.2)[(2 * row + column) % 3]
            axes.add_patch(
                Rectangle(
                    (x + (column - 2) * cell, y + (row - 2) * cell),
                    cell * 0.92,
                    cell * 0.92,
                    facecolor=colours[2],
                    alpha=alpha,
                    lw=0,
                )
            )


def _ranking(axes: Any, x: float, y: float, colour: str) -> None:
    """Bars in falling order, the second of them right."""
    for place, width in enumerate((0.86, 0.74, 0.5, 0.32)):
        height = y - 0.27 + 0.18 * place
        right = place == 1
        axes.text(x - 0.5, height, str(place + 1), ha="right", va="center", size=SMALL, color=MUTED)
        axes.add_patch(
            Rectangle(
                (x - 0.44, height - 0.055), width, 0.11, facecolor=RIGHT if right else LINE, lw=0
            )
        )
        if right:
            tick(axes, x - 0.44 + width + 0.1, height, 0.14)


def main(snakemake: Snakemake) -> None:
    """Draw the chart in the language of the rule."""
    style = dict(snakemake.params.get("style") or {})
    draw(snakemake, lambda language: plot_flow(language, style))


if __name__ == "__main__":
    run(main, snakemake)
