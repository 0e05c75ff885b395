"""The type of the PDF: where it lies, and what it can draw.

Text is set in Noto Sans CJK SC, which the package mpl-font brings; what it lacks, in DejaVu Sans,
which comes with matplotlib. Both are found and not imported. Typst itself carries DejaVu Sans Mono
for code and New Computer Modern for formulas.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

from scripts import letters


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


def drawable(text: str) -> str:
    """``text`` with a box for each character that no font here can draw."""
    return letters.drawable(text, _has)


@functools.cache
def _has(character: str) -> bool:
    return any(ord(character) in letters_of for letters_of in _letters())


@functools.cache
def _letters() -> tuple[dict[int, str], ...]:
    from fontTools.ttLib import TTFont

    noto, dejavu = map(Path, folders())
    files = (noto / "NotoSansCJKsc-Regular.otf", dejavu / "DejaVuSans.ttf")
    return tuple(TTFont(file, lazy=True).getBestCmap() for file in files)
