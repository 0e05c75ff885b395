"""Examples of each kind of failure: what was asked, what came first, and what was right."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scripts.protocol import DIRECTIONS
from scripts.report.pictures import leading_of, mark_words, set_lines, set_picture
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
    sheet,
    thumbnail,
    tick,
    wrap,
    write_table,
)

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
        "marked": "marked: not in the image's captions",
        "mark": ["marked"],
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
            "colour": ("颜色", "图像描述没有的颜色"),
            "number": ("数量", "图像描述没有的数量"),
            "action": ("动作", "图像描述没有的动作"),
            "object": ("物体", "图像描述没有的物体"),
            "look_alike": ("相似", "文字上与该描述的同图描述同样接近"),
            "vague": ("含糊", "描述很短，且不像同图的其他描述"),
            "far": ("相差甚远", "正确答案排名十分靠后"),
            "other": ("其他", "以上皆非"),
        },
        "marked": "带标记：图像描述没有的词",
        "mark": ["带标记"],
        "evidence": "第 {rank:,} 名 · 分差 {margin:.3f}",
    },
}
# inches: the tallest figure that a page takes, the margin, the kind's column, between columns, a
# picture, and the heights of the head and of a row
TALLEST, EDGE, NAME, GAP = 9.6, 0.1, 1.0, 0.16
CELL = (WIDTH - 2 * EDGE - NAME - 2 * GAP) / 2
PICTURE, HEAD, ROW = 0.66, 0.5, 0.825
TEXT = SMALL - 0.3
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
    """
    words, marked = WORDS[language], palette_of(style)[3]
    cells = _cells(failures)
    with sheet():
        figure, axes = inches(WIDTH, _height(cells))
        for column, way in enumerate(DIRECTIONS):
            x = EDGE + NAME + GAP + column * (CELL + GAP)
            axes.text(x, 0.14, words[way], weight="bold", va="center", size=SIZE)
            axes.text(x, 0.315, words[f"{way}_note"], va="center", size=TEXT, color=MUTED)
        if (failures.differing != "").any():
            told = wrap(words["marked"], NAME, TEXT, lines=3)
            set_lines(axes, EDGE, 0.02, told, TEXT, color=MUTED)
            mark_words(axes, (EDGE, 0.02), words["marked"], told, words["mark"], TEXT, marked)
        y = HEAD - 0.06
        for kind, directions in cells.items():
            axes.plot([EDGE, WIDTH - EDGE], [y, y], color=LINE, lw=0.8)
            name, note = words["kinds"][kind]
            used = 0.07 + set_lines(axes, EDGE, y + 0.07, [name], SMALL + 0.5, weight="bold")
            set_lines(axes, EDGE, y + used, wrap(note, NAME, TEXT, lines=4), TEXT, color=MUTED)
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
        for kind in WORDS["en"]["kinds"]
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
    lines = wrap(row.query_text, width, TEXT, lines=LINES)
    mark_words(axes, (x, y), row.query_text, lines, row.differing.split("; "), TEXT, marked)
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
    mark_words(axes, (left, y), row.top_text, lines, row.differing.split("; "), TEXT, marked)
    used = set_lines(axes, left, y, lines, TEXT, color=INK) + 0.02
    right = wrap(row.right_text, width - 0.16, TEXT, lines=LINES // 2)
    tick(axes, left + 0.06, y + used + 0.55 * leading_of(TEXT), 0.12)
    used += set_lines(axes, left + 0.16, y + used, right, TEXT, color=INK) + 0.02
    evidence = words["evidence"].format(rank=row.rank, margin=row.margin)
    set_lines(axes, left, y + used, wrap(evidence, width, TEXT, 1), TEXT, color=MUTED)


def read_failures(path: str | Path) -> pd.DataFrame:
    """Read failures.csv; a caption may be the word NA."""
    return pd.read_csv(path, keep_default_na=False, na_values={"yardstick": [""]})


def main(snakemake: Any) -> None:
    """Unpack the job."""
    files = snakemake.input
    style = dict(snakemake.params.get("style") or {})
    failures = drawn_failures(read_failures(files.failures))
    draw(snakemake, lambda language: plot_failures(failures, Path(files.images), language, style))
    write_table(failures, snakemake.output.table)


if __name__ == "__main__":
    from scripts.job import run

    run(main, snakemake)
