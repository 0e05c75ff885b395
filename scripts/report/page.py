"""The document as a page: one HTML file that needs nothing beside it."""

import json
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from scripts.figures import style
from scripts.figures.webfont import font_faces
from scripts.job import BadInput, whole
from scripts.jobs import Snakemake, run
from scripts.report.blocks import read_document
from scripts.report.equations import equations_of, mathml
from scripts.report.faces import (
    ASKED,
    COLOURS,
    FOLDER,
    FOUND,
    coloured,
    drawings_of,
    pictures_of,
)
from scripts.templates import environment

QUALITY = 75  # of a thumbnail
# what a drawing is made of -> what the page calls it, so that figures follow light and dark
INKS = {
    style.INK: "ink",
    style.MUTED: "muted",
    style.LINE: "line",
    style.TINT: "tint",
    style.PAPER: "paper",
    style.PALETTE[0]: "blue",
}
# what a figure is drawn on: none on the page, whose scrolling shows at the edges behind it
GROUND = re.compile(rf'(<g id="patch_1">\s*<path[^>]*fill: ){style.PAPER}')


def inline_svg(path: str | Path, label: str) -> Markup:
    """A figure as part of the page: own ids, the page's colours, and a label for screen readers.

    Raises ``BadInput`` for a file that is no SVG drawing.
    """
    drawing = Path(path).read_text("utf-8")
    match = re.search(r"<svg\b[^>]*?viewBox=\"([^\"]+)\"[^>]*>(.*)</svg>", drawing, re.DOTALL)
    if match is None:
        raise BadInput(path, "no <svg> with a viewBox", "a figure", "delete it and run again")
    box, body = match.groups()
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = GROUND.sub(r"\1none", body, count=1)
    prefix = re.sub(r"[^a-z0-9]+", "-", Path(path).stem.lower())
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'href="#', f'href="#{prefix}-', body)
    body = re.sub(r"url\(#", f"url(#{prefix}-", body)
    body = body.replace("*{", f".{prefix} *{{")
    for colour, name in INKS.items():
        body = re.sub(rf"{colour}\b", f"var(--{name})", body, flags=re.IGNORECASE)
    return Markup(  # noqa: S704 drawn by our own rule, text as outlines
        f'<svg class="{prefix}" viewBox="{escape(box)}" role="img" aria-label="{escape(label)}" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{body}</svg>'
    )


def render(document: dict[str, Any], drawn: list[str], images: Path, where: object) -> str:
    """The document as HTML.

    Parameters
    ----------
    document : of ``read_document``
    drawn : files of its figures
    images : folder of the dataset's pictures
    where : the document's file, for messages

    Raises ``BadInput`` for an equation that Typst does not take, a figure that is not drawn.
    """
    drawings = drawings_of(document, drawn, where)
    equations, sheet = mathml(equations_of(document), where)
    pictures = {
        (name, side): Markup(style.inlined(style.thumbnail(images / name, side), "WEBP", QUALITY))  # noqa: S704
        for name, side in pictures_of(document, images, where)
    }
    page = (
        environment(FOLDER)
        .get_template("page.html.j2")
        .render(
            document=document,
            equations=equations,
            found=lambda name: pictures[name, FOUND],
            asked=lambda name: pictures[name, ASKED],
            svg=lambda block: inline_svg(drawings[block["file"]], block["alt"]),
            coloured=coloured,
            colours=json.loads(COLOURS.read_text("utf-8")),
            css=Markup((FOLDER / "page.css").read_text("utf-8")) + sheet,  # noqa: S704 our own
        )
    )
    return page.replace("</style>", f"{font_faces(page)}</style>", 1)


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files = snakemake.input
    document = read_document(files.document)
    page = render(document, style.listed(files.drawn), Path(files.images), files.document)
    with whole(snakemake.output.html) as draft:
        draft.write_text(page, "utf-8")


if __name__ == "__main__":
    run(main, snakemake)
