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
    galleries = [table for table in writer.material.galleries if len(table)]
    most = max((int(table.top_k.iloc[0]) for table in galleries), default=0)
    found = [
        writer.head(1, "examples"),
        writer.text("text.examples_1", top_k=most),
        writer.text("text.examples_2"),
    ]
    for way in DIRECTIONS:
        found.append(writer.head(2, f"examples-{way}"))
        for table in galleries:
            if table.direction.iloc[0] == way:
                found.append(_gallery(writer, table, way))
    return found


def _gallery(writer: Writer, table: pd.DataFrame, way: str) -> Block:
    first = table.iloc[0]
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
    # one of each outcome: the explorer has all of them
    first_of = table.groupby("outcome", sort=False)["query"].transform("first")
    shown = table[table["query"] == first_of]
    queries = [
        _query(writer, part, outcome) for outcome, part in shown.groupby("outcome", sort=False)
    ]
    return blocks.gallery(f"gallery_{first.model}_{way}", caption, queries)


def _query(writer: Writer, part: pd.DataFrame, outcome: str) -> dict[str, Any]:
    """A query of a gallery and what was found for it, as ``blocks.gallery`` has it."""
    names, first = writer.words["names"], part.iloc[0]
    by_text = first.direction == "text_to_image"
    return {
        "outcome": outcome,
        "chip": names["outcomes"][outcome],
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
