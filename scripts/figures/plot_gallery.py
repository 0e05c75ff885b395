"""Queries with what was found for them: successes, near misses and failures, drawn by lot.

Which queries are shown is decided by their ranks and a seed, never by hand.
"""

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.runs import Run, read_run
from scripts.figures.pictures import Board
from scripts.figures.style import (
    INK,
    LINE,
    MUTED,
    RIGHT,
    SIZE,
    SMALL,
    WIDTH,
    draw,
    width_of,
    write_table,
)
from scripts.jobs import Snakemake, run
from scripts.protocol import TIE
from scripts.studies.words import shared, unsaid
from scripts.words import read_words

OUTCOMES = ("success", "near_miss", "failure")


def choose(ranks: np.ndarray, counts: dict[str, int], seed: int) -> dict[str, list[int]]:
    """Queries to show, by lot among those of each outcome.

    Parameters
    ----------
    ranks : (q,) rank of the right answer, from 1
    counts : how many of each of ``OUTCOMES`` to draw; there may be fewer
    seed : another seed draws others

    A failure is a right answer beyond rank 10. Where there are too few, the worst queries that are
    neither right nor drawn already fill up.
    """
    bands = {
        "success": ranks == 1,
        "near_miss": (ranks >= 2) & (ranks <= 5),
        "failure": ranks > 10,
    }
    chosen: dict[str, list[int]] = {}
    for number, outcome in enumerate(OUTCOMES):
        lot = np.random.default_rng([seed, number])
        queries = lot.permutation(np.flatnonzero(bands[outcome]))
        chosen[outcome] = [int(query) for query in queries[: counts[outcome]]]
    taken = {query for queries in chosen.values() for query in queries}
    for query in np.argsort(-ranks, kind="stable"):
        if len(chosen["failure"]) >= counts["failure"] or ranks[query] == 1:
            break
        if int(query) not in taken:
            chosen["failure"].append(int(query))
    return chosen


def gallery_table(
    run: Run, rows: Rows, direction: str, chosen: dict[str, list[int]], top_k: int
) -> pd.DataFrame:
    """What the gallery shows, one row per item.

    Columns: model, prompt, scorer, direction, outcome, query (row), image (of the query), text (of
    the query), rank (of the right answer), top_k, place, item (row), item_image, item_text, score,
    right, unsaid and shared (of a wrong pair, the words of its sentence that no caption of its
    image says, and those that one does).
    Where no right answer is among the top ``top_k``, a last row holds it, at its own place.
    """
    records = []
    by_text = direction == "text_to_image"
    image_of_item = np.arange(len(rows.images)) if by_text else rows.image_of_caption
    for outcome, query in ((one, query) for one in OUTCOMES for query in chosen[one]):
        image = int(rows.image_of_caption[query]) if by_text else query
        rank = int(run.ranks[direction][query])
        own = {
            **dict(zip(("model", "prompt", "scorer"), run.key, strict=True)),
            "direction": direction,
            "outcome": outcome,
            "query": query,
            "image": rows.images[image],
            "text": rows.captions[query] if by_text else "",
            "rank": rank,
            "top_k": top_k,
        }
        tops = run.tops[direction][query][:top_k].tolist()
        found = [*zip(count(1), tops, run.scores[direction][query].tolist(), strict=False)]
        if not (image_of_item[tops] == image).any():
            found.append((rank, *_right_answer(run, rows, by_text, query, image)))
        for place, item, score in found:
            right = bool(image_of_item[item] == image)
            sentence, shown = (query, item) if by_text else (item, image)
            between = (rows.captions[sentence], rows.captions_of(shown))
            records.append(
                own
                | {
                    "place": place,
                    "item": item,
                    "item_image": rows.images[image_of_item[item]],
                    "item_text": "" if by_text else rows.captions[item],
                    "score": round(score, 4),
                    "right": right,
                    "unsaid": "" if right else "; ".join(unsaid(*between)),
                    "shared": "" if right else "; ".join(shared(*between)),
                }
            )
    columns = (
        "model prompt scorer direction outcome query image text rank top_k place item item_image "
        "item_text score right unsaid shared"
    )
    return pd.DataFrame(records, columns=columns.split())


def _right_answer(run: Run, rows: Rows, by_text: bool, query: int, image: int) -> tuple[int, float]:
    """The best right answer of a query, and its score where the rankings hold it."""
    if by_text:
        return image, float(run.right_score[query])
    own = np.flatnonzero(rows.image_of_caption == image)
    best = int(own[np.argmin(run.caption_ranks[own])])
    return best, float(run.right_score[best]) if _scored_alike(run, rows) else float("nan")


def _scored_alike(run: Run, rows: Rows) -> bool:
    """Whether a pair has one score both ways, by the right captions that lists of images hold.

    Scorers that map features, or look at other queries, give it one for each direction.
    """
    tops, scores = run.tops["image_to_text"], run.scores["image_to_text"]
    own = rows.image_of_caption[tops] == np.arange(len(tops))[:, None]
    return bool(own.any() and np.abs(scores[own] - run.right_score[tops[own]]).max() <= TIE)


CELL, QUERY, GAP = 0.73, 1.6, 0.08  # inches: a picture, the query's column, between pictures


def plot_gallery(table: pd.DataFrame, images: Path, language: str) -> Figure:
    """Draw what ``gallery_table`` gives: pictures for sentences, or sentences for pictures.

    Parameters
    ----------
    table : the queries of one direction
    images : folder of the dataset's pictures
    language : of the figure
    """
    by_text, words = (table.direction == "text_to_image").all(), read_words("figures", language)
    words, most = words["gallery"], table.groupby(["outcome", "query"]).size().max()
    board = Board(max(WIDTH, QUERY + most * (CELL + GAP) + 0.2) if by_text else WIDTH)
    drawing = _pictures_for_text if by_text else _texts_for_picture
    y = 0.1
    for outcome in OUTCOMES:
        own = table[table.outcome == outcome]
        if len(own):
            _heading(board, y, outcome, words)
            y += 0.44
        for _, part in own.groupby("query", sort=False):
            y += drawing(board, part, y, images, words)
    if (table.unsaid != "").any():
        told = words["marks"]["text_to_image" if by_text else "image_to_text"]
        y += 0.22
        board.lines(0.1, y - 0.22, [told], SMALL, color=MUTED)
    return board.cut(max(y + 0.02, 0.5))


def _heading(board: Board, y: float, outcome: str, words: dict[str, Any]) -> None:
    name = words["outcomes"][outcome]
    colour = dict(zip(OUTCOMES, (RIGHT, "C3", "C1"), strict=True))[outcome]
    board.rule(y + 0.3, edge=0.06)
    board.box(0.06, y + 0.04, 0.05, 0.17, color=colour)
    board.text(0.18, y + 0.13, name, weight="bold")
    board.note(0.3 + width_of(name, SIZE, "bold"), y + 0.135, words["notes"][outcome])


def _pictures_for_text(
    board: Board, part: pd.DataFrame, y: float, images: Path, words: dict[str, Any]
) -> float:
    """A sentence and the pictures found for it; its height in inches."""
    first = part.iloc[0]
    used = board.paragraph((0.1, y), first.text, QUERY - 0.2, size=SMALL + 0.5, most=9)
    rank = words["rank"].format(rank=first["rank"])
    used += 0.04 + board.lines(0.1, y + used + 0.04, [rank], SMALL, color=MUTED)
    lacking = 0.0
    for number, item in enumerate(part.itertuples()):
        x, under = QUERY + number * (CELL + GAP), y + CELL + 0.13
        if item.place > item.top_k:
            x += 0.14
            board.axes.plot([x - 0.11] * 2, [y, y + CELL], color=LINE, lw=0.8, ls=(0, (2, 2)))
        board.picture(images / item.item_image, x, y, CELL, 200)
        if item.right:
            board.box(
                x, y, CELL, CELL, fill=False, edgecolor=RIGHT, lw=2.4, zorder=3, joinstyle="round"
            )
            board.tick(x + CELL - 0.13, y + 0.13, 0.19, zorder=4)
        weight = "bold" if item.right else "normal"
        board.note(x + 0.01, under, f"{item.place:,}", color=INK, weight=weight)
        board.note(x + CELL - 0.01, under, _score(item.score), ha="right")
        if item.unsaid:
            unsaid = item.unsaid.split("; ")
            told, start = words["unsaid"] + words["comma"].join(unsaid), len(words["unsaid"])
            tall = board.paragraph(
                (x, y + CELL + 0.22), told, CELL, most=3, marked=unsaid, after=start
            )
            lacking = max(lacking, tall)
    return max(used + 0.16, CELL + 0.34 + lacking)


def _texts_for_picture(
    board: Board, part: pd.DataFrame, y: float, images: Path, words: dict[str, Any]
) -> float:
    """A picture and the sentences found for it; its height in inches."""
    first, side, x, size, used = part.iloc[0], 1.25, 1.85, SMALL + 0.5, 0.0
    board.picture(images / first.image, 0.1, y, side, 260)
    rank = words["rank"].format(rank=first["rank"])
    board.lines(0.1, y + side + 0.05, [rank], SMALL, color=MUTED)
    for item in part.itertuples():
        used += 0.07 if item.place > item.top_k else 0
        top, middle = y + used, y + used + 0.02 + 0.7 * size / 72
        tall = 0.075 + board.paragraph(
            (x, top + 0.005),
            item.item_text,
            WIDTH - x - 0.75,
            most=4,
            size=size,
            marked=item.unsaid.split("; "),
        )
        if item.right:
            board.axes.add_patch(
                FancyBboxPatch(
                    (x - 0.3, top - 0.025), WIDTH - x + 0.2, tall - 0.012, facecolor="none",
                    edgecolor=RIGHT, lw=1.3, boxstyle="round,pad=0,rounding_size=0.04",
                )
            )  # fmt: skip
            board.tick(WIDTH - 0.24, middle, 0.16)
        look = {"weight": "bold", "color": INK} if item.right else {}
        board.note(x - 0.08, middle, f"{item.place:,}", ha="right", **look)
        board.note(WIDTH - 0.4, middle, _score(item.score), ha="right")
        used += tall
    return max(used + 0.14, side + 0.36)


def _score(score: float) -> str:
    return "" if np.isnan(score) else f"{score:.3f}"


def main(snakemake: Snakemake) -> None:
    """Draw a gallery of one run and direction."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    shown, direction = read_run(files.rankings, rows), params.direction
    counts = zip(OUTCOMES, (params.successes, params.near_misses, params.failures), strict=True)
    chosen = choose(shown.ranks[direction], dict(counts), params.seed)
    table = gallery_table(shown, rows, direction, chosen, params.top_k)
    draw(snakemake, lambda language: plot_gallery(table, Path(files.images), language))
    write_table(table, snakemake.output.table)


if __name__ == "__main__":
    run(main, snakemake)
