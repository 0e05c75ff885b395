"""Similarity of a few sentences and pictures as a heat map, with one sentence that goes wrong.

Which ones is decided by the scores and a seed, never by hand.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scripts.evaluate.runs import Run
from scripts.figures.pictures import Board, leading_of
from scripts.figures.style import (
    INK,
    MUTED,
    RIGHT,
    SMALL,
    WIDTH,
    draw,
    width_of,
    wrap,
    write_table,
)
from scripts.jobs import Snakemake, run
from scripts.studies.reference import Reference, read_references
from scripts.studies.shown import unique
from scripts.words import formats, read_words

WAY = "text_to_image"
SIZE = 8  # sentences, and as many pictures
# of what the lot gives, at most so many wrong sentences and further pictures are tried
WRONG, FURTHER = 20, 2000
# inches: the margin, the sentences' column, a picture, and the heights of a row and of the key
EDGE, SENTENCE, HEAD, ROW, KEY = 0.1, 2.3, 0.62, 0.36, 0.32
CELL = (WIDTH - 2 * EDGE - SENTENCE) / SIZE
PICTURE = CELL - 0.04


def choose(
    run_: Run, image_of_caption: np.ndarray, sides: tuple[np.ndarray, np.ndarray], seed: int
) -> list[int]:
    """Captions to show, each with its own image: one goes wrong among these images, no other does.

    Parameters
    ----------
    run_ : its ranks and lists
    image_of_caption : (m,)
    sides : (m, d) captions and (n, d) images, whose inner products are the scores
    seed : of the lot

    Returns
    -------
    rows of captions, ``SIZE`` of them where as many can be found, in the order of their images; the
    wrong one's first image is among theirs. Where no sentence goes wrong, none does here
    """
    lot = np.random.default_rng(seed)
    first = run_.tops[WAY][:, 0]
    wrong = lot.permutation(np.flatnonzero(first != image_of_caption))[:WRONG]
    images = lot.permutation(sides[1].shape[0])[:FURTHER]
    best: list[int] = []
    for start in [[one] for one in wrong.tolist()] or [[]]:
        found = _grown(start, first, images, image_of_caption, sides)
        best = max(best, found, key=len)
        if len(best) == SIZE:
            break
    return sorted(best)


def _grown(
    chosen: list[int],
    first: np.ndarray,
    images: np.ndarray,
    image_of_caption: np.ndarray,
    sides: tuple[np.ndarray, np.ndarray],
) -> list[int]:
    """Captions of further images, as long as all but the first one come out right.

    The image that the first one finds has to be the next, or there is none.
    """
    queries, gallery = sides
    taken = [int(first[chosen[0]])] if chosen else []
    for image in (*taken, *images):
        others = image_of_caption[chosen]
        if len(chosen) == SIZE or (taken and len(chosen) == 1 and image != taken[0]):
            break
        if image in others:
            continue
        # the sentences that come out right so far have to stay so
        kept = chosen[1:] if taken else chosen
        own = np.einsum("ij,ij->i", queries[kept], gallery[image_of_caption[kept]])
        if (queries[kept] @ gallery[image] >= own).any():
            continue
        start, stop = np.searchsorted(image_of_caption, [image, image + 1])
        captions = queries[start:stop]
        leads = captions @ gallery[image] > (captions @ gallery[others].T).max(
            axis=1, initial=-np.inf
        )
        if leads.any():
            chosen = [*chosen, int(start + leads.argmax())]
    return chosen


def heatmap_table(reference: Reference, seed: int) -> pd.DataFrame:
    """Every pair of the chosen sentences and pictures, one row per cell.

    Columns model, prompt, scorer, caption and item (rows of the dataset), text, image, score,
    right, first (whether this image comes first among these).
    """
    rows = reference.rows
    queries, gallery = reference.sides(WAY)
    chosen = choose(reference.run, rows.image_of_caption, (queries, gallery), seed)
    items = rows.image_of_caption[chosen]
    scores = queries[chosen] @ gallery[items].T
    return pd.DataFrame(
        [
            {
                **dict(zip(("model", "prompt", "scorer"), reference.run.key, strict=True)),
                "caption": caption,
                "item": int(item),
                "text": rows.captions[caption],
                "image": rows.images[item],
                "score": round(float(score), 4),
                "right": bool(rows.image_of_caption[caption] == item),
                "first": place == own.argmax(),
            }
            for caption, own in zip(chosen, scores, strict=True)
            for place, (item, score) in enumerate(zip(items, own, strict=True))
        ]
    )


def plot_heatmap(table: pd.DataFrame, images: Path, language: str) -> Figure:
    """Draw what ``heatmap_table`` gives: sentences from top to bottom, pictures across.

    Parameters
    ----------
    table : of the figure
    images : folder of the dataset's pictures
    language : of the figure
    """
    words, board = read_words("figures", language)["heatmap"], Board()
    items, captions = unique(table.item), unique(table.caption)
    low, high = table.score.min(), table.score.max()
    left = EDGE + SENTENCE
    board.paragraph((EDGE, 0.1), words["axes"], SENTENCE - 0.2, color=MUTED)
    for place, name in enumerate(unique(table.image)):
        board.picture(images / name, left + place * CELL + 0.02, 0.09, PICTURE, 120)
    for line, caption in enumerate(captions):
        y, own = HEAD + line * ROW, table[table.caption == caption]
        text = wrap(own.text.iloc[0], SENTENCE - 0.12, SMALL, lines=2)
        board.lines(EDGE, y + (ROW - len(text) * leading_of(SMALL)) / 2, text, SMALL)
        for cell in own.itertuples():
            x, wrong = left + items.index(cell.item) * CELL, cell.first and not cell.right
            alpha = 0.06 + 0.56 * ((cell.score - low) / (high - low) if high > low else 0.0)
            board.box(x + 0.02, y + 0.02, CELL - 0.04, ROW - 0.04, color="C0", alpha=alpha)
            if cell.right or wrong:
                _frame(board, x, y, CELL, ROW, wrong)
            weight, score = "bold" if cell.first else "normal", formats.score(cell.score)
            middle = x + CELL / 2, y + ROW / 2
            board.note(*middle, score, ha="center", color=INK, weight=weight)
    _key(board, HEAD + ROW * len(captions) + 0.08, words, (table["first"] & ~table.right).any())
    return board.cut(HEAD + ROW * len(captions) + KEY)


def _frame(board: Board, x: float, y: float, width: float, height: float, wrong: bool) -> None:
    """A whole line around what is right, a broken one around what came first and is wrong."""
    look = {"edgecolor": "C1", "ls": (0, (2, 1))} if wrong else {"edgecolor": RIGHT}
    board.box(
        x + 0.025, y + 0.025, width - 0.05, height - 0.05, fill=False, lw=1.8, zorder=3, **look
    )


def _key(board: Board, y: float, words: dict[str, Any], has_wrong: bool) -> None:
    """What the frames mean."""
    x = EDGE
    for name in ("right", "wrong")[: 1 + has_wrong]:
        _frame(board, x, y, 0.3, 0.2, name == "wrong")
        board.note(x + 0.36, y + 0.105, words[name])
        x += 0.36 + width_of(words[name], SMALL) + 0.3


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    (reference,) = read_references(files, params.split)
    table, images = heatmap_table(reference, params.seed), Path(files.pictures)
    draw(snakemake, lambda language: plot_heatmap(table, images, language))
    write_table(table, snakemake.output.table)


if __name__ == "__main__":
    run(main, snakemake)
