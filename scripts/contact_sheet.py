"""What a query found, as one picture: thumbnails with their ranks, scores and captions."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from scripts.letters import wrap

THUMB = 240  # side of a thumbnail, pixels
GAP = 20
COLUMNS = 5
CAPTION_LINES = 4
LINE_SPACING = 1.35
INK, MUTED, PAPER = "#1c2430", "#5b6675", "#ffffff"


@dataclass(frozen=True)
class Cell:
    """One thumbnail: its label ("1 · 0.312"), the image's name, and a caption."""

    picture: Image.Image
    label: str
    name: str
    caption: str


def contact_sheet(
    title: str, cells: Sequence[Cell], query: Image.Image | None = None
) -> Image.Image:
    """Draw the query on top and what it found below, best first, row by row.

    Parameters
    ----------
    title : the query in words, or the name of the photo
    cells : what was found, best first
    query : the photo that was asked with, if it was one
    """
    large, normal, small = (_font(size) for size in (26, 20, 15))
    columns = max(1, min(COLUMNS, len(cells)))
    width = max(2 * (THUMB + GAP), columns * (THUMB + GAP)) + GAP
    beside = THUMB + GAP if query else 0
    heading = _lines(title, large, width - 2 * GAP - beside, lines=6)
    top = GAP + max(THUMB if query else 0, _height(large) * len(heading)) + GAP
    below = _height(normal) + _height(small) * (1 + CAPTION_LINES)
    height = top + -(-len(cells) // columns) * (THUMB + below + GAP)

    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    if query:
        _paste(sheet, query, GAP, GAP)
    _write(draw, GAP + beside, GAP, heading, large, INK)
    for place, cell in enumerate(cells):
        left = GAP + place % columns * (THUMB + GAP)
        upper = top + place // columns * (THUMB + below + GAP)
        _paste(sheet, cell.picture, left, upper)
        under = upper + THUMB
        under = _write(draw, left, under, [cell.label], normal, INK)
        under = _write(draw, left, under, _lines(cell.name, small, THUMB, lines=1), small, MUTED)
        _write(draw, left, under, _lines(cell.caption, small, THUMB, CAPTION_LINES), small, INK)
    return sheet


def font_file() -> Path:
    """Type with Latin and Chinese letters, under an open licence, from the package mpl-font."""
    # found and not imported: importing mpl_font loads matplotlib and changes its settings
    spec = importlib.util.find_spec("mpl_font")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("mpl-font is missing: install requirements.lock")
    return Path(spec.origin).parent / "fonts" / "noto" / "NotoSansCJKsc-Regular.otf"


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_file()), size)


def _lines(text: str, font: ImageFont.FreeTypeFont, width: float, lines: int) -> list[str]:
    return wrap(" ".join(text.split()), width, font.getlength, lines)


def _height(font: ImageFont.FreeTypeFont) -> int:
    return round(font.size * LINE_SPACING)


def _paste(sheet: Image.Image, picture: Image.Image, left: int, upper: int) -> None:
    """Fit ``picture`` into a thumbnail's square in its own proportions, close to its label."""
    picture = ImageOps.contain(picture.convert("RGB"), (THUMB, THUMB), Image.Resampling.LANCZOS)
    sheet.paste(picture, (left, upper + THUMB - picture.height))


def _write(
    draw: ImageDraw.ImageDraw,
    left: int,
    upper: int,
    lines: Sequence[str],
    font: ImageFont.FreeTypeFont,
    colour: str,
) -> int:
    """Write ``lines`` and return where the next one would stand."""
    for line in lines:
        draw.text((left, upper), line, colour, font)
        upper += _height(font)
    return upper
