"""The document on paper: paper.typ reads it as data and sets it; no markup is written here."""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from scripts.figures import style
from scripts.job import BadInput, whole
from scripts.jobs import Snakemake, run
from scripts.letters import BREAK
from scripts.report.blocks import read_document
from scripts.report.faces import (
    ASKED,
    COLOURS,
    FOLDER,
    FOUND,
    coloured,
    drawings_of,
    pictures_of,
)
from scripts.report.pdf_fonts import drawable, folders

TEMPLATE = FOLDER / "paper.typ"
# PDF/UA-1: tagged for readers who hear it, and a character without a glyph is an error
STANDARD = "ua-1"
QUALITY = 80  # of a thumbnail
LONG = 40  # letters without a place to break, above which a break may come anywhere


def pdf(document: dict[str, Any], drawn: list[str], images: Path, where: object) -> bytes:
    """The document as PDF.

    The same document gives the same bytes: no date is written, and all type comes from packages.

    Parameters
    ----------
    document : of ``read_document``
    drawn : files of its figures
    images : folder of the dataset's pictures
    where : the document's file, for messages

    Raises ``BadInput`` for anything that Typst warns of: an equation that it does not take, a
    letter without a glyph, a layout that does not settle.
    """
    import typst

    fonts = typst.Fonts(include_system_fonts=False, font_paths=list(folders()))
    # from files, since what Typst is handed in memory has to be text
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _lay_out(document, drawn, images, where, folder)
        try:
            printed, warnings = typst.compile_with_warnings(
                folder / TEMPLATE.name,
                font_paths=fonts,
                format="pdf",
                pdf_standards=[STANDARD],
                timestamp=0,
            )
        except typst.TypstError as error:
            raise _refused(where, error.diagnostic or error.message) from None
    if warnings:
        raise _refused(where, "\n".join(one.diagnostic or one.message for one in warnings))
    return bytes(printed)


def _lay_out(
    document: dict[str, Any], drawn: list[str], images: Path, where: object, folder: Path
) -> None:
    """Write all that paper.typ reads: the document, its colours, its figures and pictures."""
    files: dict[Any, str] = {}
    for place, (name, path) in enumerate(drawings_of(document, drawn, where).items()):
        files[name] = f"{place}.svg"
        shutil.copyfile(path, folder / files[name])
    for place, (name, side) in enumerate(pictures_of(document, images, where)):
        files[name, side] = f"{place}.jpg"
        thumbnail = style.thumbnail(images / name, side)
        thumbnail.save(folder / files[name, side], "JPEG", quality=QUALITY, optimize=True)
    printable = _printable(document, files)
    (folder / "document.json").write_text(json.dumps(printable), "utf-8")
    shutil.copyfile(COLOURS, folder / COLOURS.name)
    shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)


def _printable(value: Any, files: dict[Any, str]) -> Any:
    """``value`` with what fonts can draw of its texts, and the names of its files in the folder."""
    if isinstance(value, list):
        return [_printable(one, files) for one in value]
    if isinstance(value, str):
        return softened(drawable(value))
    if not isinstance(value, dict):
        return value
    shown = {key: _printable(own, files) for key, own in value.items()}
    if value.get("kind") == "code" and "language" in value:
        pieces = coloured(value["text"].rstrip().replace("\t", "    "), value["language"])
        shown["lines"] = _lines(pieces)
    for key in ("id", "to", "url"):
        shown |= {key: value[key]} if key in value else {}
    if value.get("kind") == "math":
        shown["text"] = value["text"]
    if "typst" in value:
        shown["typst"] = value["typst"]
    if value.get("kind") == "figure":
        shown["file"] = files[value["file"]]
    if value.get("image"):
        shown["image"] = files[value["image"], ASKED if "outcome" in value else FOUND]
    return shown


def _lines(pieces: list[tuple[str, str]]) -> list[list[dict[str, str]]]:
    """Code in pieces, line by line."""
    lines: list[list[dict[str, str]]] = [[]]
    for kind, text in pieces:
        first, *others = text.split("\n")
        for place, part in enumerate([first, *others]):
            lines += [[]] if place else []
            lines[-1] += [{"kind": kind, "text": softened(drawable(part))}] if part else []
    return lines


def softened(text: str) -> str:
    """``text`` with places to break in words that are too long for a line, and in paths."""

    def soften(match: re.Match[str]) -> str:
        word = match[0]
        if max(map(len, re.split(r"[/_.-]", word))) > LONG:
            return BREAK.join(word)
        return re.sub(r"([/_])(?=\w)", rf"\1{BREAK}", word)

    return re.sub(r"[!-~]{13,}", soften, text)


def _refused(where: object, said: str) -> BadInput:
    return BadInput(
        where,
        said.strip(),
        "a document that Typst sets without a warning",
        f"correct scripts/report/{TEMPLATE.name}, or the equation where it is written",
    )


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files = snakemake.input
    document = read_document(files.document)
    content = pdf(document, style.listed(files.drawn), Path(files.images), files.document)
    with whole(snakemake.output.pdf) as draft:
        draft.write_bytes(content)


if __name__ == "__main__":
    run(main, snakemake)
