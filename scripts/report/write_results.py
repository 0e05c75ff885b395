"""The sections on results and examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scripts.protocol import DIRECTIONS
from scripts.report import blocks
from scripts.report.blocks import Block, Spans
from scripts.report.writer import Writer
from scripts.studies.words import split_at
from scripts.words import formats

UNSAID = 3  # words that are listed under a picture: on paper, two lines
TOLD = 4  # words that are listed in a sentence


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
        for table in (one for one in tables if _way(one) == way):
            # one of each outcome
            shown = table[table["query"] == _first_of_outcome(table)]
            found.append(discussed(writer, shown, table))
            found.append(_gallery(writer, shown, f"gallery_{way}"))
    return found


def discussed(writer: Writer, shown: pd.DataFrame, drawn: pd.DataFrame) -> Block:
    """What tells the examples of a direction from their first wrong answers."""
    told = [told_of_example(writer, part) for _, part in shown.groupby("query", sort=False)]
    if len(drawn) > len(shown):
        told.append(writer.speaker.text("text.examples_rest"))
    return blocks.paragraph(writer.speaker.together(told))


def told_of_example(writer: Writer, part: pd.DataFrame) -> Spans:
    """A query's right answer beside its first wrong one, and the words that tell the two apart."""
    own = part.sort_values("place")
    right, wrong = own[own.right].iloc[0], own[~own.right]
    outcome = writer.words["names"]["outcomes"][right.outcome]
    if wrong.empty:
        return writer.speaker.text("text.examples_right", outcome=outcome)
    other = wrong.iloc[0]
    gap = abs(right.score - other.score)
    place = "ahead" if right.outcome == "success" else "beyond" if np.isnan(gap) else "behind"
    lists = {name: _listed(writer, other[name]) for name in ("shared", "unsaid")}
    kind = "both" if all(lists.values()) else "all" if lists["shared"] else "none"
    words = writer.words["text"][f"examples_{kind}_{right.direction}"].format(**lists)
    return writer.speaker.text(
        f"text.examples_{place}",
        outcome=outcome,
        rank=formats.count(int(right["rank"])),
        gap=formats.score(gap),
        words=words if any(lists.values()) else "",
    )


def _listed(writer: Writer, words: str) -> str:
    """Words of a column of a gallery in a row, of many the first."""
    own = [word for word in words.split("; ") if word]
    told: str = writer.words["comma"].join(own[:TOLD])
    return told + "…" * (len(own) > TOLD)


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
