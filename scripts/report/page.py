"""From words, figures and code to safe HTML: what the report's template is fed with."""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from scripts.figures import style
from scripts.job import BadInput
from scripts.report.findings import Finding, Label
from scripts.report.html_tree import line_starts
from scripts.words.labels import Labels

# the script itself runs from a copy that Snakemake makes: the files beside it are found from here
FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent

# what a drawing is made of -> what the page calls it, so that figures follow light and dark
INKS = {
    style.INK: "ink",
    style.MUTED: "muted",
    style.LINE: "line",
    style.TINT: "tint",
    style.PAPER: "paper",
    style.PALETTE[0]: "blue",
}


class Speaker:
    """Says things in one language: looks words up, fills in numbers, escapes what comes from data.

    Parameters
    ----------
    words : of the report; they may hold markup of their own
    labels : of what stands in studies' tables
    figures, tables : names in the order in which they stand in the report, for their numbers
    """

    def __init__(
        self, words: dict[str, Any], labels: Labels, figures: list[str], tables: list[str]
    ) -> None:
        self.words = words
        self.labels = labels
        self.numbers = {f"fig_{name}": place for place, name in enumerate(figures, start=1)}
        self.numbers |= {f"tab_{name}": place for place, name in enumerate(tables, start=1)}
        # a phrase that names what this report does not hold is a bug, and fails as a missing key
        self._links = {name: self.link(name) for name in self.numbers}

    def link(self, anchor: str) -> Markup:
        """ "Figure 2", as a link to it; ``anchor`` is fig_<name> or tab_<name>."""
        kind = self.words["names"]["figure" if anchor.startswith("fig_") else "table"]
        return Markup('<a href="#{}">{}\u00a0{}</a>').format(anchor, kind, self.numbers[anchor])

    def text(self, key: str, **values: Any) -> Markup:
        """The words at ``key`` ("text.flow"), its placeholders filled with escaped values."""
        phrase: Any = self.words
        for part in key.split("."):
            phrase = phrase[part]
        ours = Markup(phrase)  # noqa: S704 our own words may hold markup; values are escaped
        return ours.format(**{**self._links, **self._named(values)})

    def say(self, finding: Finding) -> Markup:
        """A finding as a sentence."""
        return self.text(f"findings.{finding.key}", **finding.numbers)

    def _named(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values with what each language calls otherwise called by its name."""
        named = {
            key: self._label(value) if isinstance(value, Label) else value
            for key, value in values.items()
        }
        if isinstance(named.get("names"), list):
            named["names"] = self.words["comma"].join(named["names"])
        if "direction" in named:
            named["direction"] = self.words["names"]["directions"][named["direction"]]
        return named

    def _label(self, label: Label) -> str:
        if label.study:
            return self.labels.group(label.study, label.name)
        return self.labels.measure(label.name)


def environment(folder: Path = FOLDER) -> Environment:
    """Jinja2 of ``folder`` that escapes everything and stumbles over names that are not there."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


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


def picture(path: Path, side: int, cache: dict[tuple[str, int], str]) -> Markup:
    """A thumbnail as a ``data:`` address."""
    key = path.name, side
    if key not in cache:
        cache[key] = style.jpeg(style.thumbnail(path, side), quality=80)
    return Markup(cache[key])  # noqa: S704 base64


def listing(where: str) -> dict[str, Any]:
    """A function or class from the repository's own source.

    Parameters
    ----------
    where : "scripts/retrieve/ranking.py:rank"

    Raises ``BadInput`` where the file does not define it.
    """
    file, _, name = where.partition(":")
    source = (ROOT / file).read_text("utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
            lines = source.split("\n")[first - 1 : node.end_lineno]
            return {
                "file": file,
                "name": name,
                "line": first,
                "code": highlighted("\n".join(lines)),
            }
    raise BadInput(file, f"no {name}", "a function or class of this name", "correct report/code")


def highlighted(source: str) -> Markup:
    """Python with its keywords, strings and comments marked."""
    starts = line_starts(source)
    parts, done = [], 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = _kind_of(token)
        if kind:
            start = starts[token.start[0] - 1] + token.start[1]
            end = starts[token.end[0] - 1] + token.end[1]
            parts.append(escape(source[done:start]))
            parts.append(Markup('<span class="{}">{}</span>').format(kind, source[start:end]))
            done = end
    return Markup("").join([*parts, escape(source[done:])])


def _kind_of(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "k"
    return {tokenize.STRING: "s", tokenize.COMMENT: "c"}.get(token.type)
