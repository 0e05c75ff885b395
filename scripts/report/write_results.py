"""The sections on results and examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scripts.protocol import DIRECTIONS
from scripts.report import blocks
from scripts.report.blocks import Block
from scripts.report.writer import Writer
from scripts.studies.words import split_at
from scripts.words import formats

UNSAID = 3  # words that are listed under a picture: on paper, two lines


def results(writer: Writer) -> list[Block]:
    """Recall, and what is beyond noise between models."""
    said = writer.said
    return [
        writer.head(1, "results"),
        writer.head(2, "results-recall"),
        writer.text("text.results_1"),
        *writer.table("metrics"),
        *writer.figure("ranks"),
        *writer.tell(said["recall"]),
        *writer.table("ways"),
        writer.head(2, "results-pairs"),
        writer.text("text.differences_1"),
        *writer.tell(said["differences"]),
        *writer.table("model_pairs"),
    ]


def examples(writer: Writer) -> list[Block]:
    """What the reference run found for queries that a seeded rule chose, both ways."""
    tables = _galleries(writer)
    most = max((int(table.top_k.iloc[0]) for table in tables), default=0)
    found = [
        writer.head(1, "examples"),
        writer.text("text.examples_1", top_k=most),
        writer.text("text.examples_2"),
    ]
    for way in DIRECTIONS:
        found.append(writer.head(2, f"examples-{way}"))
        # one of each outcome
        shown = [table[table["query"] == _first_of_outcome(table)] for table in tables]
        found += [_gallery(writer, one, f"gallery_{way}") for one in shown if _way(one) == way]
    return found


def further_examples(writer: Writer) -> list[Block]:
    """The other queries that the same rule drew; nothing where there are none."""
    tables = [table[table["query"] != _first_of_outcome(table)] for table in _galleries(writer)]
    shown = {_way(table): table for table in tables if len(table)}
    if not shown:
        return []
    found = [writer.head(2, "studies-examples_further"), writer.text("text.further_1")]
    for way, table in shown.items():
        found.append(writer.head(3, f"studies-{way}"))
        found.append(_gallery(writer, table, f"gallery_further_{way}"))
    return found


def _galleries(writer: Writer) -> list[pd.DataFrame]:
    return [table for table in writer.material.galleries if len(table)]


def _way(table: pd.DataFrame) -> str:
    return table.direction.iloc[0]


def _first_of_outcome(table: pd.DataFrame) -> pd.Series:
    return table.groupby("outcome", sort=False)["query"].transform("first")


def _gallery(writer: Writer, table: pd.DataFrame, id_: str) -> Block:
    first, way = table.iloc[0], _way(table)
    caption = writer.speaker.together(
        [
            writer.speaker.text(
                "text.examples_run", model=first.model, prompt=first.prompt, scorer=first.scorer
            ),
            writer.speaker.text(
                "names.numbers_in", file=f"figures/gallery.{first.model}.{way}.csv"
            ),
        ]
    )
    queries = [_query(writer, part) for _, part in table.groupby("query", sort=False)]
    return blocks.gallery(id_, caption, queries)


def _query(writer: Writer, part: pd.DataFrame) -> dict[str, Any]:
    """A query of a gallery and what was found for it, as ``blocks.gallery`` has it."""
    names, first = writer.words["names"], part.iloc[0]
    by_text = first.direction == "text_to_image"
    return {
        "outcome": first.outcome,
        "chip": names["outcomes"][first.outcome],
        "where": names["rank"].format(rank=formats.count(int(first["rank"]))),
        "text": first.text if by_text else None,
        "image": None if by_text else first.image,
        "items": [_item(names, item, by_text) for item in part.itertuples()],
    }


def _item(names: dict[str, Any], item: Any, by_text: bool) -> dict[str, Any]:
    unsaid = [word for word in item.unsaid.split("; ") if word]
    listed = {"lead": names["unsaid"], "words": unsaid[:UNSAID], "more": len(unsaid) > UNSAID}
    return {
        "place": formats.count(item.place),
        "score": "" if np.isnan(item.score) else formats.score(item.score),
        "right": bool(item.right),
        "beyond": bool(item.place > item.top_k),
        "image": item.item_image if by_text else None,
        "pieces": []
        if by_text
        else [
            {"text": text, "marked": bool(marked)}
            for text, marked in split_at(item.item_text, unsaid)
        ],
        "unsaid": listed if by_text and unsaid else None,
    }
