"""Examples of each kind of failure: what was asked, what came first, and what was right."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scripts.evaluate.runs import DIRECTIONS
from scripts.report.pictures import leading_of, set_lines, set_picture
from scripts.report.style import (
    INK,
    LINE,
    MUTED,
    SIZE,
    SMALL,
    WIDTH,
    draw,
    inches,
    palette_of,
    printable,
    sheet,
    thumbnail,
    tick,
    width_of,
    wrap,
)
from scripts.studies.words import pattern_of

WORDS = {
    "en": {
        "text_to_image": "Text → image",
        "image_to_text": "Image → text",
        "text_to_image_note": "the sentence, the image found first, the right one",
        "image_to_text_note": "the image, the sentence found first, the right one",
        "kinds": {
            "identical_caption": ("Same words", "the image has a caption of the same words"),
            "tie": ("Tie", "no wrong answer scores higher, only as high"),
            "accepted": ("Accepted", "people said that the two fit"),
            "colour": ("Colour", "a colour that the image's captions lack"),
            "number": ("Number", "a number that the image's captions lack"),
            "action": ("Action", "an action that the image's captions lack"),
            "object": ("Object", "a thing that the image's captions lack"),
            "look_alike": ("Look-alike", "as close in words as the caption's own siblings"),
            "vague": ("Vague", "a short caption, unlike its own siblings"),
            "far": ("Far off", "the right answer is far down the list"),
            "other": ("Other", "none of these"),
        },
        "evidence": "rank {rank:,} · margin {margin:.3f}",
    },
    "zh": {
        "text_to_image": "以文搜图",
        "image_to_text": "以图搜文",
        "text_to_image_note": "描述、排第一的图像、正确图像",
        "image_to_text_note": "图像、排第一的描述、正确描述",
        "kinds": {
            "identical_caption": ("描述相同", "图像有一条用词相同的描述"),
            "tie": ("同分", "没有错误答案得分更高，只是相同"),
            "accepted": ("人工认可", "人工判断认为二者相符"),
            "colour": ("颜色", "图像的描述中没有的颜色"),
            "number": ("数量", "图像的描述中没有的数量"),
            "action": ("动作", "图像的描述中没有的动作"),
            "object": ("物体", "图像的描述中没有的物体"),
            "look_alike": ("相似", "文字上与该描述的同图描述同样接近"),
            "vague": ("含糊", "描述很短，且不像同图的其他描述"),
            "far": ("相差甚远", "正确答案排名十分靠后"),
            "other": ("其他", "以上皆非"),
        },
        "evidence": "第 {rank:,} 名 · 分差 {margin:.3f}",
    },
}
# inches: the tallest figure that a page takes, the margin, the kind's column, between columns, a
# picture, and the heights of the head and of a row
TALLEST, EDGE, NAME, GAP = 9.6, 0.1, 1.0, 0.16
CELL = (WIDTH - 2 * EDGE - NAME - 2 * GAP) / 2
PICTURE, HEAD, ROW = 0.66, 0.5, 0.82
TEXT = SMALL - 0.3
LINES = 4


def plot_failures(
    failures: pd.DataFrame, images: Path, language: str, style: dict[str, Any]
) -> Figure:
    """Draw examples of the first model: a row or more for each kind, a column for each direction.

    Parameters
    ----------
    failures : rows of ``study_errors.FAILURE_COLUMNS``; those with "example" are shown, fewer of
        each kind where not all fit on a page
    images : folder of the dataset's pictures
    """
    words, marked = WORDS[language], palette_of(style)[3]
    shown = failures[failures.example == 1]
    shown = shown[shown.model == failures.model.iloc[0]] if len(shown) else shown
    cells = {
        kind: [
            [row for row in shown.itertuples() if (row.kind, row.direction) == (kind, way)]
            for way in DIRECTIONS
        ]
        for kind in words["kinds"]
        if (shown.kind == kind).any()
    }
    most = max((len(part) for kind in cells.values() for part in kind), default=0)
    while most > 1 and _height(cells, most) > TALLEST:
        most -= 1
    with sheet():
        figure, axes = inches(WIDTH, _height(cells, most))
        for column, way in enumerate(DIRECTIONS):
            x = EDGE + NAME + GAP + column * (CELL + GAP)
            axes.text(x, 0.14, words[way], weight="bold", va="center", size=SIZE)
            axes.text(x, 0.315, words[f"{way}_note"], va="center", size=TEXT, color=MUTED)
        y = HEAD - 0.06
        for kind, directions in cells.items():
            axes.plot([EDGE, WIDTH - EDGE], [y, y], color=LINE, lw=0.8)
            name, note = words["kinds"][kind]
            used = 0.07 + set_lines(axes, EDGE, y + 0.07, [name], SMALL + 0.5, weight="bold")
            set_lines(axes, EDGE, y + used, wrap(note, NAME, TEXT, lines=4), TEXT, color=MUTED)
            for column, rows in enumerate(directions):
                x = EDGE + NAME + GAP + column * (CELL + GAP)
                for number, row in enumerate(rows[:most]):
                    drawing = _sentence_asks if column == 0 else _picture_asks
                    drawing(axes, row, (x, y + 0.07 + number * ROW), images, words, marked)
            y += ROW * _rows_shown(directions, most)
    return figure


def _rows_shown(directions: list[list[Any]], most: int) -> int:
    return min(most, max(len(rows) for rows in directions))


def _height(cells: dict[str, list[list[Any]]], most: int) -> float:
    return HEAD + ROW * sum(_rows_shown(directions, most) for directions in cells.values())


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
    lines = wrap(row.query_text, width, TEXT, lines=LINES)
    _mark(axes, x, y, lines, row, marked)
    used = set_lines(axes, x, y, lines, TEXT, color=INK)
    evidence = words["evidence"].format(rank=row.rank, margin=row.margin)
    set_lines(axes, x, y + used + 0.02, wrap(evidence, width, TEXT, 1), TEXT, color=MUTED)
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
    lines = wrap(row.top_text, width, TEXT, lines=LINES // 2)
    _mark(axes, left, y, lines, row, marked)
    used = set_lines(axes, left, y, lines, TEXT, color=INK) + 0.02
    right = wrap(row.right_text, width - 0.16, TEXT, lines=LINES // 2)
    tick(axes, left + 0.06, y + used + 0.55 * leading_of(TEXT), 0.12)
    used += set_lines(axes, left + 0.16, y + used, right, TEXT, color=INK) + 0.02
    evidence = words["evidence"].format(rank=row.rank, margin=row.margin)
    set_lines(axes, left, y + used, wrap(evidence, width, TEXT, 1), TEXT, color=MUTED)


def _mark(axes: Any, x: float, y: float, lines: list[str], row: Any, colour: str) -> None:
    """A tinted ground behind the words of a sentence that no caption of its partner has."""
    sentence = row.query_text or row.top_text
    for number, start, stop in marks(sentence, lines, row.differing.split("; ")):
        left, right = (x + width_of(lines[number][:end], TEXT) for end in (start, stop))
        top, tall = y + number * leading_of(TEXT) + 0.008, leading_of(TEXT) - 0.008
        axes.add_patch(
            Rectangle(
                (left - 0.01, top), right - left + 0.02, tall,
                facecolor=colour, alpha=0.4, lw=0, zorder=0.5,
            )
        )  # fmt: skip


def marks(text: str, lines: list[str], words: list[str]) -> list[tuple[int, int, int]]:
    """Where ``words`` stand in ``lines``, which ``wrap`` made of ``text``.

    Returns
    -------
    line, start and stop of each; a word that is broken between lines has a mark on both
    """
    text = printable(text)
    pattern = pattern_of(printable(word) for word in words if word)
    spans = [match.span() for match in pattern.finditer(text)]
    found, upto = [], 0
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


def read_failures(path: str | Path) -> pd.DataFrame:
    """Read failures.csv; a caption may be the word NA."""
    return pd.read_csv(path, keep_default_na=False, na_values={"yardstick": [""]})


def main(snakemake: Any) -> None:
    """Unpack the job."""
    files = snakemake.input
    style = dict(snakemake.params.get("style") or {})
    failures = read_failures(files.failures)
    draw(snakemake, lambda language: plot_failures(failures, Path(files.images), language, style))


if __name__ == "__main__":
    from scripts.job import run

    run(main, snakemake)
