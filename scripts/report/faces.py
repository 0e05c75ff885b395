"""What both faces of a document ask of it: its figures, its pictures, and code in colours."""

from __future__ import annotations

import io
import keyword
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scripts.job import BadInput
from scripts.report.blocks import walk

# the script itself runs from a copy that Snakemake makes: the files beside it are found from here
FOLDER = Path(__file__).resolve().parent
COLOURS = FOLDER / "colours.json"
FOUND, ASKED = 208, 416  # pixels: twice what a screen shows


def drawings_of(document: dict[str, Any], drawn: Iterable[str], where: object) -> dict[str, Path]:
    """File of each figure that is shown, by its name in the document: "figures/recall.en.svg".

    Raises ``BadInput`` for one that is not among ``drawn``.
    """
    there = {f"figures/{Path(path).name}": Path(path) for path in drawn}
    shown = {}
    for block in walk(document["blocks"]):
        if block["kind"] == "figure":
            if block["file"] not in there:
                raise BadInput(
                    f"{where}, {block['id']}",
                    block["file"],
                    f"a figure that is drawn: {', '.join(sorted(there)) or 'none is'}",
                    "name it among SHOWN_FIGURES in rules/shown.smk",
                )
            shown[block["file"]] = there[block["file"]]
    return shown


def pictures_of(document: dict[str, Any], images: Path, where: object) -> list[tuple[str, int]]:
    """Pictures that galleries show, each with the pixels of its longer side.

    Raises ``BadInput`` for one that is not in ``images``.
    """
    shown = [
        (block["id"], name, side)
        for block in walk(document["blocks"])
        for query in block.get("queries", [])
        for name, side in (
            (query["image"], ASKED),
            *((one["image"], FOUND) for one in query["items"]),
        )
        if name
    ]
    for id_, name, _ in shown:
        if not (images / name).is_file():
            told = "make the document of these pictures anew"
            raise BadInput(f"{where}, {id_}", name, f"a picture in {images}", told)
    return list(dict.fromkeys((name, side) for _, name, side in shown))


def coloured(source: str, language: str) -> list[tuple[str, str]]:
    """Code in pieces: "keyword", "string", "comment" or "", and the text. Only Python has kinds."""
    starts = [0, *(newline.end() for newline in re.finditer("\n", source))]
    pieces, done = [], 0
    for kind, first, last in _tokens(source) if language == "python" else ():
        start, end = (starts[line - 1] + place for line, place in (first, last))
        pieces += [("", source[done:start]), (kind, source[start:end])]
        done = end
    return [piece for piece in [*pieces, ("", source[done:])] if piece[1]]


def _tokens(source: str) -> Iterator[tuple[str, tuple[int, int], tuple[int, int]]]:
    kinds = {tokenize.STRING: "string", tokenize.COMMENT: "comment"}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            name = token.type == tokenize.NAME and keyword.iskeyword(token.string)
            kind = "keyword" if name else kinds.get(token.type)
            if kind:
                yield kind, token.start, token.end
    except (tokenize.TokenError, SyntaxError):
        return  # lines out of their context: what follows has no colours
