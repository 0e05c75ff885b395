"""The type of the PDF: where it lies, what it can draw, how wide it runs.

Text is set in Noto Sans CJK SC, which the package mpl-font brings; what it lacks, in DejaVu Sans,
which comes with matplotlib. Both are found and not imported. Typst itself carries DejaVu Sans Mono
for code and New Computer Modern for formulas.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from scripts import letters

if TYPE_CHECKING:
    from fontTools.ttLib import TTFont

SIGNS = "±×÷−≤≥≈≠∞"  # taken from DejaVu Sans: Noto draws them as wide as a Chinese character
MONO = 0.602  # ems, the advance of every letter of DejaVu Sans Mono


@functools.cache
def folders() -> tuple[str, ...]:
    """Folders of fonts, for Typst."""
    places = {"mpl_font": ("fonts", "noto"), "matplotlib": ("mpl-data", "fonts", "ttf")}
    found = []
    for package, inside in places.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{package} is missing: install requirements.lock")
        found.append(str(Path(spec.origin).parent.joinpath(*inside)))
    return tuple(found)


@functools.cache
def _font(name: str) -> TTFont:
    from fontTools.ttLib import TTFont

    noto, dejavu = folders()
    return TTFont(Path(dejavu if name.startswith("DejaVu") else noto) / name, lazy=True)


@functools.cache
def _letters(name: str) -> dict[int, str]:
    return _font(name).getBestCmap()


def drawable(text: str) -> str:
    """``text`` with a box for each character that no font here can draw."""
    return letters.drawable(text, _has)


@functools.cache
def _has(character: str) -> bool:
    names = ("NotoSansCJKsc-Regular.otf", "DejaVuSans.ttf")
    return any(ord(character) in _letters(name) for name in names)


def width(text: str, bold: bool = False, mono: bool = False) -> float:
    """Width of ``text`` on one line, in ems; no less than what Typst sets."""
    text = text.replace(letters.BREAK, "")
    if mono:
        return len(text) * MONO + letters.wide_in(text) * (1 - MONO)
    return sum(_advance(one, bold) for one in text)


@functools.cache
def _advance(character: str, bold: bool) -> float:
    name = f"NotoSansCJKsc-{'Bold' if bold else 'Regular'}.otf"
    if character in SIGNS or ord(character) not in _letters(name):
        name = f"DejaVuSans{'-Bold' if bold else ''}.ttf"
    font = _font(name)
    glyph = _letters(name).get(ord(character), ".notdef")
    return font["hmtx"][glyph][0] / font["head"].unitsPerEm
