"""Queries with what was found for them: successes, near misses and failures, drawn by lot.

Which queries are shown is decided by their ranks and a seed, never by hand.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.runs import Run, read_run
from scripts.figures.pictures import mark_words, marks, set_lines, set_picture
from scripts.figures.style import (
    INK,
    LINE,
    MUTED,
    RIGHT,
    SIZE,
    SMALL,
    WIDTH,
    draw,
    inches,
    palette_of,
    sheet,
    thumbnail,
    tick,
    width_of,
    wrap,
    write_table,
)
from scripts.jobs import Snakemake, run
from scripts.studies.words import unsaid
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
    right, unsaid (of a wrong pair, the words of its sentence that no caption of its image says).
    Where no right answer is among the top ``top_k``, a last row holds it, at its own place.
    """
    records = []
    by_text = direction == "text_to_image"
    for outcome in OUTCOMES:
        for query in chosen[outcome]:
            image = int(rows.image_of_caption[query]) if by_text else query
            rank = int(run.ranks[direction][query])
            own = {
                "model": run.model,
                "prompt": run.prompt,
                "scorer": run.scorer,
                "direction": direction,
                "outcome": outcome,
                "query": query,
                "image": rows.images[image],
                "text": rows.captions[query] if by_text else "",
                "rank": rank,
                "top_k": top_k,
            }
            listed = zip(
                run.tops[direction][query][:top_k].tolist(),
                run.scores[direction][query][:top_k].tolist(),
                strict=True,
            )
            items = [(place, item, score) for place, (item, score) in enumerate(listed, start=1)]
            if not any(_right(rows, by_text, image, item) for _, item, _ in items):
                items.append((rank, *_right_answer(run, rows, by_text, query, image)))
            for place, item, score in items:
                right = _right(rows, by_text, image, item)
                sentence, shown = (query, item) if by_text else (item, image)
                words = [] if right else unsaid(rows.captions[sentence], rows.captions_of(shown))
                records.append(
                    {
                        **own,
                        "place": place,
                        "item": item,
                        "item_image": rows.images[item if by_text else rows.image_of_caption[item]],
                        "item_text": "" if by_text else rows.captions[item],
                        "score": round(score, 4),
                        "right": right,
                        "unsaid": "; ".join(words),
                    }
                )
    columns = (
        "model prompt scorer direction outcome query image text rank top_k place item item_image "
        "item_text score right unsaid"
    )
    return pd.DataFrame(records, columns=columns.split())


def _right(rows: Rows, by_text: bool, image: int, item: int) -> bool:
    return (item if by_text else int(rows.image_of_caption[item])) == image


def _right_answer(run: Run, rows: Rows, by_text: bool, query: int, image: int) -> tuple[int, float]:
    """The best right answer of a query, and its score where the rankings hold it."""
    if by_text:
        return image, float(run.right_score[query])
    own = np.flatnonzero(rows.image_of_caption == image)
    return int(own[np.argmin(run.caption_ranks[own])]), float("nan")


def plot_gallery(table: pd.DataFrame, images: Path, language: str, style: dict[str, Any]) -> Figure:
    """Draw what ``gallery_table`` gives: pictures for sentences, or sentences for pictures.

    Parameters
    ----------
    table : the queries of one direction
    images : folder of the dataset's pictures
    language, style : of the figure
    """
    by_text = (table.direction == "text_to_image").all()
    words, marked = read_words("figures", language)["gallery"], palette_of(style)[3]
    blocks: list[tuple[str, pd.DataFrame]] = [
        (outcome, part)
        for outcome in OUTCOMES
        for _, part in table[table.outcome == outcome].groupby("query", sort=False)
    ]
    with sheet():
        drawing = _pictures_for_text if by_text else _texts_for_picture
        heights = [drawing(None, part, 0.0, images, words, marked) for _, part in blocks]
        heads = len({outcome for outcome, _ in blocks})
        way = "text_to_image" if by_text else "image_to_text"
        told = words["marks"][way] if (table.unsaid != "").any() else ""
        foot = 0.22 if told else 0.0
        height = 0.1 + sum(heights) + 0.44 * heads + 0.02 + foot
        figure, axes = inches(_width(table) if by_text else WIDTH, max(height, 0.5))
        y, before = 0.1, None
        for (outcome, part), tall in zip(blocks, heights, strict=True):
            if outcome != before:
                _heading(axes, y, outcome, words, palette_of(style))
                y, before = y + 0.44, outcome
            drawing(axes, part, y, images, words, marked)
            y += tall
        if told:
            set_lines(axes, 0.1, y, [told], SMALL, color=MUTED)
    return figure


CELL, QUERY, GAP = 0.73, 1.6, 0.08  # inches: a picture, the query's column, between pictures


def _width(table: pd.DataFrame) -> float:
    most = table.groupby(["outcome", "query"]).size().max() if len(table) else 1
    return max(WIDTH, QUERY + most * (CELL + GAP) + 0.2)


def _heading(
    axes: Any, y: float, outcome: str, words: dict[str, Any], colours: tuple[str, ...]
) -> None:
    width = axes.get_xlim()[1]
    colour = dict(zip(OUTCOMES, (RIGHT, colours[3], colours[1]), strict=True))[outcome]
    axes.plot([0.06, width - 0.06], [y + 0.3, y + 0.3], color=LINE, lw=0.8)
    axes.add_patch(Rectangle((0.06, y + 0.04), 0.05, 0.17, color=colour, lw=0))
    axes.text(0.18, y + 0.13, words["outcomes"][outcome], weight="bold", va="center")
    axes.text(
        0.18 + width_of(words["outcomes"][outcome], SIZE, "bold") + 0.12,
        y + 0.135,
        words["notes"][outcome],
        size=SMALL,
        color=MUTED,
        va="center",
    )


def _pictures_for_text(
    axes: Any, part: pd.DataFrame, y: float, images: Path, words: dict[str, Any], marked: str
) -> float:
    """A sentence and the pictures found for it; its height in inches."""
    first = part.iloc[0]
    lines = wrap(first.text, QUERY - 0.2, SMALL + 0.5, lines=9)
    rank = words["rank"].format(rank=first["rank"])
    used = set_lines(axes, 0.1, y, lines, SMALL + 0.5, color=INK)
    used += 0.04 + set_lines(axes, 0.1, y + used + 0.04, [rank], SMALL, color=MUTED)
    lacking = 0.0
    for number, item in enumerate(part.itertuples()):
        beyond = item.place > item.top_k
        x = QUERY + number * (CELL + GAP) + (0.14 if beyond else 0)
        words_of_it = [word for word in item.unsaid.split("; ") if word]
        tall = _lacking(axes, words_of_it, x, y + CELL + 0.22, words, marked)
        lacking = max(lacking, tall)
        if axes is not None:
            if beyond:
                axes.plot([x - 0.11] * 2, [y, y + CELL], color=LINE, lw=0.8, ls=(0, (2, 2)))
            set_picture(axes, np.asarray(thumbnail(images / item.item_image, 200)), x, y, CELL)
            if item.right:
                axes.add_patch(
                    Rectangle(
                        (x, y),
                        CELL,
                        CELL,
                        fill=False,
                        edgecolor=RIGHT,
                        lw=2.4,
                        zorder=3,
                        joinstyle="round",
                    )
                )
                tick(axes, x + CELL - 0.13, y + 0.13, 0.19, zorder=4)
            axes.text(
                x + 0.01,
                y + CELL + 0.13,
                f"{item.place:,}",
                size=SMALL,
                va="center",
                color=INK,
                weight="bold" if item.right else "normal",
            )
            axes.text(
                x + CELL - 0.01,
                y + CELL + 0.13,
                _score(item.score),
                size=SMALL,
                va="center",
                ha="right",
                color=MUTED,
            )
    return max(used + 0.16, CELL + 0.34 + lacking)


def _lacking(
    axes: Any, lacking: list[str], x: float, y: float, words: dict[str, Any], marked: str
) -> float:
    """Words that are not said of a picture, below it; their height in inches."""
    if not lacking:
        return 0.0
    text = words["unsaid"] + words["comma"].join(lacking)
    lines = wrap(text, CELL, SMALL, lines=3)
    found = marks(text, lines, lacking, len(words["unsaid"]))
    mark_words(axes, (x, y), lines, found, SMALL, marked)
    return set_lines(axes, x, y, lines, SMALL, color=INK)


def _texts_for_picture(
    axes: Any, part: pd.DataFrame, y: float, images: Path, words: dict[str, Any], marked: str
) -> float:
    """A picture and the sentences found for it; its height in inches."""
    first = part.iloc[0]
    side, x = 1.25, 1.85
    if axes is not None:
        set_picture(axes, np.asarray(thumbnail(images / first.image, 260)), 0.1, y, side)
    set_lines(
        axes, 0.1, y + side + 0.05, [words["rank"].format(rank=first["rank"])], SMALL, color=MUTED
    )
    used = 0.0
    for item in part.itertuples():
        beyond = item.place > item.top_k
        used += 0.07 if beyond else 0
        lines = wrap(item.item_text, WIDTH - x - 0.75, SMALL + 0.5, lines=4)
        tall = len(lines) * (SMALL + 0.5) * 1.38 / 72 + 0.075
        if axes is not None:
            middle = y + used + 0.02 + 0.7 * (SMALL + 0.5) / 72
            if item.right:
                axes.add_patch(
                    FancyBboxPatch(
                        (x - 0.3, y + used - 0.025),
                        WIDTH - x + 0.2,
                        tall - 0.012,
                        facecolor="none",
                        edgecolor=RIGHT,
                        lw=1.3,
                        boxstyle="round,pad=0,rounding_size=0.04",
                    )
                )
                tick(axes, WIDTH - 0.24, middle, 0.16)
            axes.text(
                x - 0.08,
                middle,
                f"{item.place:,}",
                ha="right",
                va="center",
                size=SMALL,
                weight="bold" if item.right else "normal",
                color=INK if item.right else MUTED,
            )
            corner = x, y + used + 0.005
            found = marks(item.item_text, lines, item.unsaid.split("; "))
            mark_words(axes, corner, lines, found, SMALL + 0.5, marked)
            set_lines(axes, *corner, lines, SMALL + 0.5, color=INK, weight="normal")
            axes.text(
                WIDTH - 0.4,
                middle,
                _score(item.score),
                ha="right",
                va="center",
                size=SMALL,
                color=MUTED,
            )
        used += tall
    return max(used + 0.14, side + 0.36)


def _score(score: float) -> str:
    return "" if np.isnan(score) else f"{score:.3f}"


def main(snakemake: Snakemake) -> None:
    """Draw a gallery of one run and direction."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.get("split", "test"))
    run_of_it = read_run(files.rankings, rows)
    direction = params.direction
    counts = {
        "success": params.successes,
        "near_miss": params.near_misses,
        "failure": params.failures,
    }
    chosen = choose(run_of_it.ranks[direction], counts, params.seed)
    table = gallery_table(run_of_it, rows, direction, chosen, params.top_k)
    style = dict(params.get("style") or {})
    draw(snakemake, lambda language: plot_gallery(table, Path(files.images), language, style))
    write_table(table, snakemake.output.table)


if __name__ == "__main__":
    run(main, snakemake)
