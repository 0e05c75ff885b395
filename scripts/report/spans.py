"""Words in a small Markdown, with their placeholders, to spans.

``**strong**``, ``*emphasis*``, `` `code` ``, ``$maths$`` in Typst's notation, ``{name}`` for a
value, ``{fig_x}``, ``{tab_x}`` and ``{sec_x}`` for a block of that id, ``[@key]`` for a work of the
references. Values are put in after the words are parsed, so that nothing in them is taken for
markup.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scripts.report.blocks import SpanKind, Spans

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# what a placeholder that begins so stands for
REFERENCE = ("fig_", "tab_", "sec_", "eq_")
PIECE = re.compile(r"\{(\w+)\}|\[@([\w-]+)\]|\$([^$]+)\$")
NESTED: dict[str, SpanKind] = {"strong_open": "strong", "em_open": "emphasis"}


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("zero").enable(["emphasis", "backticks", "escape"])


def spans_of(words: str, values: Mapping[str, Any] | None = None) -> Spans:
    """The spans of ``words``, each placeholder filled with its value.

    Parameters
    ----------
    words : in the small Markdown of this module
    values : by the name of their placeholder: text, or spans of their own. A span that is all of a
        placeholder keeps how the words around it are set: ``**{name}**`` is strong

    Raises ``KeyError`` for a placeholder without a value: a bug of ours.
    """
    (inline,) = _parser().parseInline(words)
    spans: Spans = []
    kinds: list[SpanKind] = ["plain"]
    for token in inline.children or []:
        if token.type in NESTED:
            kinds.append(NESTED[token.type])
        elif token.type in ("strong_close", "em_close"):
            kinds.pop()
        else:
            spans += _pieces(token, kinds[-1], values or {})
    return joined(spans)


def _pieces(token: Token, kind: SpanKind, values: Mapping[str, Any]) -> Spans:
    text = token.content
    if token.type == "code_inline":
        kind = "code"
    spans: Spans = []
    done = 0
    for match in PIECE.finditer(text):
        name, cited, maths = match.groups()
        spans.append({"kind": kind, "text": text[done : match.start()]})
        done = match.end()
        if maths:
            spans.append({"kind": "math", "text": maths})
        elif cited:
            spans.append({"kind": "cite", "text": cited})
        elif name.startswith(REFERENCE) and name not in values:
            spans.append({"kind": "ref", "text": name})
        else:
            spans += filled(values[name], kind)
    spans.append({"kind": kind, "text": text[done:]})
    return spans


def filled(value: Any, kind: SpanKind = "plain") -> Spans:
    """A value as spans: its own where it is some, else its text."""
    if isinstance(value, list):
        return [span if span["kind"] != "plain" else {**span, "kind": kind} for span in value]
    return [{"kind": kind, "text": str(value)}]


def joined(spans: Sequence[dict[str, str]]) -> Spans:
    """Spans without empty ones, neighbours of one kind made one."""
    found: Spans = []
    for span in spans:
        if not span["text"]:
            continue
        together = found and found[-1]["kind"] == span["kind"]
        if together and span["kind"] in ("plain", "strong", "emphasis"):
            found[-1] = {**span, "text": found[-1]["text"] + span["text"]}
        else:
            found.append(dict(span))
    return found


def text_of(spans: Sequence[dict[str, str]]) -> str:
    """What is said, without how it is set; of maths its notation."""
    return "".join(span["text"] for span in spans)
