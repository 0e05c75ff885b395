"""What a report is made of: blocks of few kinds, with text as spans, as document.json holds them.

A document says what is said and in which order, and nothing of how it looks. Page and paper are two
faces of it, which know its kinds and nothing else. All text is plain: what looks like markup in a
caption of a dataset stays letters, whichever face shows it. Blocks are made without numbers, which
``numbered`` gives them in the order in which they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from scripts.job import BadInput, read_json

# of text within a block. "math" is Typst's; "ref" and "cite" lead to the block or the work whose id
# stands in "to", which ``numbered`` fills in, with the text that is shown
SpanKind = Literal["plain", "strong", "emphasis", "code", "math", "ref", "cite", "interval", "mark"]
SPANS: tuple[SpanKind, ...] = (
    "plain", "strong", "emphasis", "code", "math", "ref", "cite", "interval", "mark",
)  # fmt: skip
Span = dict[str, str]
Spans = list[Span]
Block = dict[str, Any]

# every kind, and its keys beside "kind"
KINDS: dict[str, tuple[str, ...]] = {
    "heading": ("level", "id", "number", "spans"),
    "paragraph": ("spans", "small"),
    "list": ("items",),
    "terms": ("items",),
    "table": ("id", "number", "caption", "sides", "columns", "groups", "note"),
    "figure": ("id", "number", "caption", "alt", "file", "note"),
    "gallery": ("id", "caption", "queries"),
    "equation": ("id", "number", "typst", "alt"),
    "code": ("language", "caption", "text"),
    "box": ("role", "id", "title", "blocks"),
    "tiles": ("items", "note"),
    "references": ("items",),
}
# of a document, beside its blocks
DOCUMENT = ("lang", "title", "kicker", "meta", "names", "blocks")
# headings that no number stands before
UNNUMBERED = ("references",)
# what a document's "names" hold in its language: what blocks are called, for ``numbered``; and for
# the faces the heading of the contents, the jump past them, what a tick says, a picture's place
# ("rank {rank}"), what stands between words, and the last line
NAMES = (
    *("figure", "table", "section", "equation"),
    *("contents", "skip", "right", "rank_short", "comma", "end"),
)
# what a box may be: set apart in its own manner by either face
ROLES = ("abstract", "short", "warnings", "own", "answer")


def plain(text: str) -> Span:
    """Text as it is."""
    return {"kind": "plain", "text": text}


def heading(level: int, id_: str, spans: Spans) -> Block:
    """A heading; ``level`` is 1 to 3."""
    return {"kind": "heading", "level": level, "id": id_, "number": "", "spans": spans}


def paragraph(spans: Spans, small: bool = False) -> Block:
    """A paragraph; ``small`` ones stand under something and say what it is of."""
    return {"kind": "paragraph", "spans": spans, "small": small}


def bullets(items: Sequence[Spans]) -> Block:
    """A list without numbers."""
    return {"kind": "list", "items": list(items)}


def terms(items: Sequence[tuple[Spans, Spans]]) -> Block:
    """Names and what they mean."""
    return {"kind": "terms", "items": [{"term": term, "spans": told} for term, told in items]}


def column(spans: Spans, numeric: bool = False, starts: bool = False) -> dict[str, Any]:
    """A column of a table; one that ``starts`` is the first under its heading in "sides"."""
    return {"spans": spans, "numeric": numeric, "starts": starts}


def table(
    id_: str,
    caption: Spans,
    columns: list[dict[str, Any]],
    groups: list[dict[str, Any]],
    sides: Sequence[tuple[str, int]] = (),
    note: Spans | None = None,
) -> Block:
    """A table.

    Parameters
    ----------
    id_ : "tab_metrics"
    caption : what it holds
    columns : of ``column``
    groups : {"heading": spans, empty where there is none, "rows": [[spans of a cell]]}
    sides : headings over several columns, with how many; empty text over the first ones
    note : under it
    """
    return {
        "kind": "table",
        "id": id_,
        "number": "",
        "caption": caption,
        "sides": [{"text": text, "columns": count} for text, count in sides],
        "columns": columns,
        "groups": groups,
        "note": note or [],
    }


def figure(id_: str, caption: Spans, alt: str, file: str, note: Spans) -> Block:
    """A figure; ``file`` is an SVG beside the document, ``note`` says where its numbers stand."""
    return {
        "kind": "figure",
        "id": id_,
        "number": "",
        "caption": caption,
        "alt": alt,
        "file": file,
        "note": note,
    }


def equation(id_: str, typst: str, alt: str) -> Block:
    """A displayed equation in Typst's notation, and the same in words."""
    return {"kind": "equation", "id": id_, "number": "", "typst": typst, "alt": alt}


def code(language: Literal["python", "sh"], text: str, caption: Spans | None = None) -> Block:
    """Lines of code or commands."""
    return {"kind": "code", "language": language, "caption": caption or [], "text": text}


def box(role: str, id_: str, title: str, blocks: list[Block]) -> Block:
    """Blocks that stand apart; ``role`` is one of ``ROLES``."""
    return {"kind": "box", "role": role, "id": id_, "title": title, "blocks": blocks}


def tiles(items: list[dict[str, str]], note: Spans) -> Block:
    """Numbers that a reader wants first: {"name", "direction", "value", "interval"} each."""
    return {"kind": "tiles", "items": items, "note": note}


def gallery(id_: str, caption: Spans, queries: list[dict[str, Any]]) -> Block:
    """Queries and what was found for each.

    A query is {"outcome": "success", "near_miss" or "failure", "chip": its name, "where": what rank
    the right answer has, "text": the sentence asked, or "image": the file asked, the other None,
    "items": what was found}. An item is {"place", "score": text, "right", "beyond": whether it
    stands below the list, "image": a file or None, "pieces": [{"text", "marked"}] of a caption,
    "unsaid": {"lead", "words", "more"} or None}. Files are names in the dataset's images.
    """
    return {"kind": "gallery", "id": id_, "caption": caption, "queries": queries}


def references(items: list[dict[str, Any]]) -> Block:
    """The works cited: {"id": "ref_clip", "number": "3", "spans", "url": address or ""} each."""
    return {"kind": "references", "items": items}


def numbered(blocks: list[Block], names: dict[str, str]) -> list[Block]:
    """Give every block its number and every reference its text; returns ``blocks``.

    Headings are counted by level, from one whose id is "appendix" on by letters; figures,
    tables and equations over the document, works in the order in which they are cited.

    Parameters
    ----------
    blocks : of the whole document, with one of "references" for all works that are cited
    names : of ``NAMES``

    Raises ``KeyError`` for a reference to what is not there: a bug of ours.
    """
    shown: dict[str, str] = {}
    counts = dict.fromkeys(("figure", "table", "equation"), 0)
    levels = [0, 0, 0]
    lettered = False
    for block in walk(blocks):
        kind = block["kind"]
        if kind in counts:
            counts[kind] += 1
            block["number"] = str(counts[kind])
            shown[block["id"]] = f"{names[kind]}\u00a0{counts[kind]}"
        elif kind == "heading":
            level = block["level"]
            if block["id"] in UNNUMBERED:
                continue
            if block["id"] == "appendix":
                lettered, levels = True, [0, 0, 0]
            levels[level - 1 :] = [levels[level - 1] + 1, *[0] * (3 - level)]
            first = chr(ord("A") + levels[0] - 1) if lettered else str(levels[0])
            block["number"] = ".".join([first, *map(str, levels[1:level])])
            shown[f"sec_{block['id']}"] = f"{names['section']}\u00a0{block['number']}"
    works = next((block for block in walk(blocks) if block["kind"] == "references"), None)
    cited: dict[str, str] = {}
    for span in spans_in(blocks):
        if span["kind"] == "ref":
            span["to"] = span["text"].removeprefix("sec_")
            span["text"] = shown[span["text"]]
        elif span["kind"] == "cite":
            number = cited.setdefault(span["text"], str(len(cited) + 1))
            span["to"], span["text"] = f"ref_{span['text']}", number
    if works:
        by_key = {work["id"].removeprefix("ref_"): work for work in works["items"]}
        works["items"] = [by_key[key] | {"number": number} for key, number in cited.items()]
    return blocks


def walk(blocks: list[Block]) -> Iterator[Block]:
    """Blocks in their order, those within a box after it."""
    for block in blocks:
        yield block
        yield from walk(block.get("blocks", []))


def spans_in(value: Any) -> Iterator[Span]:
    """Every span in blocks, in their order."""
    if isinstance(value, dict):
        if value.get("kind") in SPANS and "text" in value:
            yield value
        for own in value.values():
            yield from spans_in(own)
    elif isinstance(value, list):
        for own in value:
            yield from spans_in(own)


def read_document(path: Any) -> dict[str, Any]:
    """Read a document.json; ``BadInput`` names the block that is of no kind, or lacks a key."""
    document = read_json(path)
    lacking = [key for key in DOCUMENT if key not in document]
    if lacking:
        raise _none(path, f"no {lacking[0]}")
    unnamed = [key for key in NAMES if key not in document["names"]]
    if unnamed:
        raise _none(path, f"no name of {unnamed[0]}")
    _check(path, document["blocks"])
    return document


def _check(path: Any, blocks: list[Block]) -> None:
    for place, block in enumerate(blocks, start=1):
        kind = block.get("kind")
        keys = KINDS.get(str(kind))
        if keys is None or set(block) != {"kind", *keys}:
            raise _none(path, f"block {place}: {kind}, {', '.join(sorted(block))}")
        _check(path, block.get("blocks", []))


def _none(path: Any, found: str) -> BadInput:
    return BadInput(path, found, "a document of scripts/report/blocks.py", "make it anew")
