"""Chinese type inside the report: not every reader's machine has some."""

from __future__ import annotations

import base64
import io
import re

from fontTools import subset

from scripts.figures.style import register_fonts
from scripts.letters import EAST_ASIAN

# punctuation that both writings use, and that stands in Chinese type inside Chinese text
SHARED = "“”‘’—…·"
FAMILY = "Report Han"


def font_faces(page: str) -> str:
    """CSS that brings the East Asian letters of ``page`` along, and no others; "" without any.

    Of 17 MB a weight, a report uses some hundred letters: about 100 KB. A letter that the type
    lacks is left to the reader's machine.
    """
    letters = "".join(sorted(set(re.findall(f"[{EAST_ASIAN}]", page))))
    if not letters:
        return ""
    weights = {"normal": 400, "bold": 700}
    return "".join(
        f'@font-face{{font-family:"{FAMILY}";font-weight:{weights[weight]};'
        f"src:url(data:font/woff;base64,{_subset(path, letters + SHARED)}) format('woff')}}\n"
        for weight, path in register_fonts().items()
    )


def _subset(path: str, letters: str) -> str:
    # kerning and vertical forms weigh as much as the letters
    options = subset.Options(flavor="woff", layout_features=[], hinting=False, notdef_outline=True)
    stream = io.BytesIO()
    with subset.load_font(path, options) as font:
        subsetter = subset.Subsetter(options)
        subsetter.populate(text=letters)
        subsetter.subset(font)
        subset.save_font(font, stream, options)
    return base64.b64encode(stream.getvalue()).decode()
