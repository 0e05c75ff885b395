"""Equations for a screen: Typst's notation as MathML, which Typst itself writes."""

from __future__ import annotations

import json
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from scripts.job import BadInput
from scripts.report.blocks import spans_in, walk

MAIN = """#for one in json("equations.json") {
  math.equation(block: one.block, eval(one.typst, mode: "math"))
}
"""
# what Typst says of every page that it writes, which is no fault of an equation
EXPERIMENTAL = "html export is under active development"
LETTER = re.compile(r"<mi>(.)</mi>")
# accents that would be set on the letter before them, as marks of their own
ACCENTS = {"\u0302": "^", "\u0303": "~", "\u0304": "¯"}
# brackets around what is one line high; without type for maths, they would grow for an index
LOW = re.compile(r"<mo>\(</mo>((?:(?!<mfrac|<munder|<mo>[()]</mo>).)*)<mo>\)</mo>")
FIXED = r'<mo stretchy="false">(</mo>\1<mo stretchy="false">)</mo>'

Key = tuple[str, bool]


def equations_of(document: dict[str, Any]) -> dict[Key, str]:
    """(notation, whether displayed) -> the same in words, of all equations of a document."""
    spoken: dict[Key, str] = {
        (span["text"], False): span["text"]
        for span in spans_in(document["blocks"])
        if span["kind"] == "math"
    }
    for block in walk(document["blocks"]):
        if block["kind"] == "equation":
            spoken[block["typst"], True] = block["alt"]
    return spoken


def mathml(spoken: dict[Key, str], where: object) -> tuple[dict[Key, Markup], Markup]:
    """Elements <math> with their alternative texts, and the style sheet that they need.

    Parameters
    ----------
    spoken : of ``equations_of``; all are set at once
    where : the document, for messages

    Raises ``BadInput`` that names an equation that Typst does not take.
    """
    if not spoken:
        return {}, Markup()
    page, wrong = _set(list(spoken))
    for key in spoken if wrong else ():
        if told := _set([key])[1]:
            raise _refused(where, key, told)
    found = re.findall(r"<math\b.*?</math>", page, re.DOTALL)
    if len(found) != len(spoken):
        raise _refused(where, next(iter(spoken)), f"{len(found)} of {len(spoken)} as MathML")
    sheet = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    return {
        key: Markup(  # noqa: S704 written by Typst, which escapes all text
            element.replace("<math", f'<math alttext="{escape(said)}"', 1)
        )
        for (key, said), element in zip(spoken.items(), map(_plain, found), strict=True)
    }, Markup(sheet)  # noqa: S704 Typst's own


def _set(keys: list[Key]) -> tuple[str, str]:
    """The equations as a page of Typst's, and what it says against them."""
    import typst

    with tempfile.TemporaryDirectory() as folder:
        equations = [{"typst": notation, "block": block} for notation, block in keys]
        (Path(folder) / "equations.json").write_text(json.dumps(equations), "utf-8")
        (Path(folder) / "main.typ").write_text(MAIN, "utf-8")
        fonts = typst.Fonts(include_system_fonts=False)
        try:
            page, warnings = typst.compile_with_warnings(
                Path(folder) / "main.typ", font_paths=fonts, format="html"
            )
        except typst.TypstError as error:
            return "", error.message
    told = [one.message for one in warnings if EXPERIMENTAL not in one.message]
    return page.decode(), "; ".join(told)


def _plain(element: str) -> str:
    """Single letters as such: a browser slants them itself, in whatever type it has for maths.

    Brackets around one line stay as high as it is.
    """
    for combining, own in ACCENTS.items():
        element = element.replace(f"<mo>{combining}</mo>", f"<mo>{own}</mo>")
    element = LOW.sub(FIXED, element)
    return LETTER.sub(lambda match: f"<mi>{_letter(match[1])}</mi>", element)


def _letter(character: str) -> str:
    slanted = "MATHEMATICAL ITALIC" in unicodedata.name(character, "") or character == "ℎ"
    return unicodedata.normalize("NFKC", character) if slanted else character


def _refused(where: object, key: Key, said: str) -> BadInput:
    return BadInput(
        f"{where}, equation {key[0]!r}",
        said,
        "an equation in Typst's notation",
        "correct it where it is written, in scripts/words/",
    )
