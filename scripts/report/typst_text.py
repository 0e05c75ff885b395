"""Text of the report's page as markup of Typst, with the pictures and links that stand in it.

Text goes through ``text_literal`` alone, so that no caption can become markup or code. What the
page says by its style sheet (colours, and which class has which) is read from the style sheet.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import NoReturn

from scripts.job import BadInput
from scripts.letters import BREAK, SPACES
from scripts.report.html_tree import Element, tree_of
from scripts.report.mathml import formula, literal
from scripts.report.pdf_fonts import drawable

# what serves a screen and nothing else, and why it is not on paper
LEFT_OUT = {
    "head": "its title and language are taken on their own",
    "a.skip": "a jump past the navigation",
    "nav": "its links are the table of contents, which has page numbers on paper",
    "span.lead": "each list of words would be a line longer; the text before tells what is marked",
}
# how these look, by the name of a function in report.typ; None: as what is around them
INLINE = {
    "strong": "strong",
    "b": "strong",
    "em": "emph",
    "i": "variable",
    "var": "variable",
    "code": "code",
    "kbd": "code",
    "samp": "code",
    "sub": "sub",
    "sup": "super",
    "small": "small",
    "mark": "marked",
    "ins": "underline",
    "u": "underline",
    "del": "strike",
    "s": "strike",
    "span": None,
    "abbr": None,
    "cite": None,
    "dfn": None,
    "time": None,
}
SPANS = {"source": "source", "ci": "interval", "k": "keyword", "s": "string", "c": "comment"}
LONG = 40  # letters without a place to break, above which a break may come anywhere
PICTURES = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"GIF8": "gif", b"RIFF": "webp"}


def text_literal(text: str) -> str:
    """Markup that shows ``text`` as it is, whatever it holds."""
    return f"#{literal(drawable(text))};"


class Sheet:
    """What a style sheet says of light paper: its variables, and rules for one class."""

    def __init__(self, css: str, where: object) -> None:
        self.where = where
        plain = _without_blocks(re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))
        self.rules: dict[str, dict[str, str]] = {}
        for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", plain):
            said = dict(re.findall(r"([\w-]+)\s*:\s*([^;]+?)\s*(?:;|$)", body))
            for selector in selectors.split(","):
                known = self.rules.setdefault(selector.strip(), {})
                self.rules[selector.strip()] = {**said, **known}

    def colour(self, selector: str, name: str) -> str:
        """The colour that a rule gives to ``name``, as #rrggbb.

        Raises ``BadInput`` where it gives none.
        """
        value = self.rules.get(selector, {}).get(name, "")
        return self.resolved(value, f"{name} of {selector}")

    def resolved(self, value: str, what: str) -> str:
        """``value`` with its variable looked up."""
        for _ in range(8):
            reference = re.fullmatch(r"var\((--[\w-]+)\)", value.strip())
            if reference is None:
                break
            value = self.rules.get(":root", {}).get(reference[1], "")
        if not re.fullmatch(r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?", value.strip()):
            raise BadInput(
                self.where,
                f"{what}: {value!r}" if value else f"no {what}",
                "a colour in the style sheet, as #rrggbb",
                "correct scripts/report/report.css",
            )
        return value.strip()


def _without_blocks(css: str) -> str:
    """``css`` without what holds under conditions (@media, @font-face)."""
    kept, place = [], 0
    for start in re.finditer(r"@[\w-]+[^{;]*\{", css):
        if start.start() < place:
            continue
        kept.append(css[place : start.start()])
        depth, place = 1, start.end()
        while depth and place < len(css):
            depth += {"{": 1, "}": -1}.get(css[place], 0)
            place += 1
    return "".join([*kept, css[place:]])


class TextSetter:
    """Sets what stands in a paragraph, a heading or a cell of one page."""

    def __init__(self, page: str, where: object) -> None:
        self.where = where
        self.tree = tree_of(page, where)
        self.sheet = Sheet("".join(one.text for one in self.tree.all("style")), where)
        self.files: dict[str, bytes] = {}
        self.labels: set[str] = set()
        self.targets: dict[str, int] = {}
        self.space = True  # whether a space would follow a space
        self.in_cell = False  # whether long words may be broken
        self.hyphens = False  # whether a line of a table may end at a hyphen
        self.beside: float | None = None  # points kept for intervals in the cell that is being set

    def _stop(self, node: Element, found: str, expected: str) -> NoReturn:
        raise BadInput(
            f"{self.where}, line {node.line}",
            found,
            expected,
            "teach scripts/report/typst_*.py to set it, or list it under LEFT_OUT",
        )

    def _label(self, node: Element) -> str:
        """A label for the element before it, if anything leads there."""
        name = node.attrs.get("id", "")
        if name not in self.targets or name in self.labels:
            return ""
        self.labels.add(name)
        return f" #label({literal(name)});"

    def _anchor(self, node: Element) -> str:
        """A place to lead to, for an element that has got no label of its own."""
        label = self._label(node)
        return f"#metadata(none);{label}" if label else ""

    def inline(self, children: list[Element | str]) -> str:
        """Text with what stands in it, spaces as a browser would leave them."""
        self.space = True
        return "".join(self._inline(child) for child in children)

    def _inline(self, node: Element | str) -> str:
        if isinstance(node, str):
            return self._words_of(node)
        if left_out(node):
            return ""
        if node.tag in ("math", "img", "svg", "br", "wbr"):
            return self._without_text(node)
        if node.tag not in INLINE and node.tag not in ("a", "q"):
            self._stop(node, f"<{node.tag}>", "an element that this file knows")
        if node.tag in ("code", "kbd", "samp"):
            return f"{self._anchor(node)}#code[{self._code(node)}];"
        quoted = ('#"“";', '#"”";') if node.tag == "q" else ("", "")
        if node.tag == "q":
            self.space = False
        text = "".join(self._inline(child) for child in node.children)
        text = f"{quoted[0]}{text}{quoted[1]}"
        if node.tag == "a":
            return self._link(node, text)
        name = INLINE.get(node.tag)
        if node.tag == "span":
            kinds = [SPANS[kind] for kind in node.classes if kind in SPANS]
            name = kinds[0] if kinds else None
        shown = f"#{name}[{text}];" if name and text else text
        if text and self._starts_a_line(node):
            shown = (
                f"#beside({self.beside:.2f}pt)[{shown}];"
                if self.beside
                else f"#linebreak();{shown}"
            )
        return f"{self._anchor(node)}{shown}"

    def _without_text(self, node: Element) -> str:
        if node.tag == "wbr":
            return breaking(BREAK)
        self.space = node.tag == "br"
        if self.space:
            return "#linebreak();"
        if node.tag == "math":
            return f"#{formula(node, self.where)};"
        return f"#small-picture({self._picture(node)});"

    def _starts_a_line(self, node: Element) -> bool:
        """Whether the style sheet sets a <span> on a line of its own, as it does with intervals."""
        return node.tag == "span" and any(
            self.sheet.rules.get(f".{kind}", {}).get("display") == "block" for kind in node.classes
        )

    def _words_of(self, text: str) -> str:
        text = SPACES.sub(" ", text)
        if self.space:
            text = text.removeprefix(" ")
        if not text:
            return ""
        self.space = text.endswith(" ")
        shown = softened(drawable(text), self.in_cell)
        return unhyphened(shown) if self.in_cell and not self.hyphens else breaking(shown)

    def _code(self, node: Element) -> str:
        self.space = False
        was, self.in_cell = self.in_cell, True
        text = "".join(self._inline(child) for child in node.children)
        self.in_cell = was
        return text

    def _link(self, node: Element, text: str) -> str:
        target = node.attrs.get("href", "")
        if target.startswith("#"):
            return f"{self._anchor(node)}#link(label({literal(target[1:])}))[{text}];"
        if re.match(r"(?:https?|mailto):", target):
            return f"{self._anchor(node)}#link({literal(target)})[{text}];"
        self._stop(node, f"a link to {target!r}", "#id of this page, or a whole address")

    # pictures

    def _picture(self, node: Element) -> str:
        """Arguments for a picture: its file, and what it shows."""
        if node.tag == "svg":
            name, shown = self._drawing(node), node.attrs.get("aria-label", "")
        else:
            name, shown = self._photo(node), node.attrs.get("alt", "")
        return f"{literal(name)}, {literal(drawable(shown))}"

    def _drawing(self, node: Element) -> str:
        """The file of a drawing, in the colours of light paper."""
        source = re.sub(
            r"var\(\s*--[\w-]+\s*\)",
            lambda match: self.sheet.resolved(match[0], f"{match[0]} in a drawing"),
            node.source,
        )
        source = source.replace("currentColor", self.sheet.resolved("var(--ink)", "--ink"))
        if "xmlns=" not in source.split(">", 1)[0]:
            source = source.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
        return self._file(source.encode(), "svg")

    def _photo(self, node: Element) -> str:
        match = re.fullmatch(r"data:image/[\w+.-]+;base64,(.*)", node.attrs.get("src", ""), re.S)
        try:
            content = base64.b64decode(match[1], validate=True) if match else b""
        except binascii.Error:
            content = b""
        kinds = [kind for start, kind in PICTURES.items() if content.startswith(start)]
        if not kinds:
            found = node.attrs.get("src", "")[:40]
            self._stop(node, f"picture {found!r}", f"data: of {', '.join(PICTURES.values())}")
        return self._file(content, kinds[0])

    def _file(self, content: bytes, kind: str) -> str:
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
        self.files[name] = content
        return name


def left_out(node: Element) -> bool:
    """Whether an element is for screens alone."""
    names = {node.tag, *(f"{node.tag}.{kind}" for kind in node.classes)}
    return not names.isdisjoint(LEFT_OUT)


def breaking(text: str) -> str:
    """Markup of ``text``, which may end a line at each ``BREAK``."""
    return "#brk;".join(text_literal(part) if part else "" for part in text.split(BREAK))


def unhyphened(text: str) -> str:
    """The same, whose words with a hyphen in them do not end a line there."""
    parts = re.split(r"([!-,./0-~]+(?:-[!-,./0-~]+)+)", text)
    return "".join(
        f"#box[{text_literal(part)}];" if place % 2 else breaking(part) if part else ""
        for place, part in enumerate(parts)
    )


def softened(text: str, narrow: bool = True) -> str:
    """``text`` with places to break in words that are too long for a line.

    ``narrow``: the line is that of a column, and paths break after their slashes too.
    """

    def soften(match: re.Match[str]) -> str:
        word = match[0]
        if max(map(len, re.split(r"[/_.-]", word))) > LONG:
            return BREAK.join(word)
        return re.sub(r"([/_])(?=\w)", rf"\1{BREAK}", word) if narrow else word

    return re.sub(r"[!-~]{13,}", soften, text)
