"""From MathML to Typst's maths: formulas are written once, for the page.

The elements of MathML Core (https://www.w3.org/TR/mathml-core/) that a formula of a report needs;
any other, and any attribute that we do not know, is refused by name, so that nothing of a formula
is lost in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from scripts.job import BadInput
from scripts.report.html_tree import Element

# brackets that grow with what they hold unless told not to
OPENING, CLOSING, EITHER = set("([{⟨⌈⌊"), set(")]}⟩⌉⌋"), set("|‖")
# marks that sit upon a letter
ACCENTS = set("¯‾ˉ^ˆ~˜˙¨→⃗ˇ˘´`")
# what says "apply" or "times" to a machine and nothing to the eye
INVISIBLE = set("\u2061\u2062\u2063\u2064")
VARIANTS = {
    "normal": "upright",
    "bold": "bold",
    "double-struck": "bb",
    "script": "cal",
    "fraktur": "frak",
    "sans-serif": "sans",
    "monospace": "mono",
}
KNOWN = {
    "math": {"display"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "fence", "separator", "form", "movablelimits", "accent"},
    "mfrac": {"linethickness"},
    "mspace": {"width"},
    "mover": {"accent"},
    "mtable": {"columnalign"},
}
# children that each of these has, where the number is fixed
ARITY = {
    "mfrac": 2,
    "mroot": 2,
    "msub": 2,
    "msup": 2,
    "msubsup": 3,
    "munder": 2,
    "mover": 2,
    "munderover": 3,
}


def literal(text: str) -> str:
    """``text`` as a string of Typst's, quotes included: whatever it holds is text and no code."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{{{ord(m[0]):x}}}", escaped) + '"'


def formula(math: Element, where: object = "the page") -> str:
    """A <math> element as Typst code: an equation with an alternative text.

    Raises ``BadInput`` for an element or an attribute that is not known here.
    """
    setter = _Setter(where)
    body = setter.content(math)
    block = "true" if math.attrs.get("display") == "block" else "false"
    return f"math.equation(block: {block}, alt: {literal(spoken(math))}, {body})"


def spoken(node: Element | str) -> str:
    """A formula on one line, for readers who hear it."""
    if isinstance(node, str):
        return node.strip()
    parts = [spoken(one) for one in node.elements]
    match node.tag:
        case "mfrac" if node.attrs.get("linethickness") == "0":
            return f"{parts[0]} over {parts[1]}"
        case "mfrac":
            return f"{_grouped(parts[0])}/{_grouped(parts[1])}"
        case "msub" | "munder":
            return f"{parts[0]}_{_grouped(parts[1])}"
        case "msup" | "mover":
            return f"{parts[0]}^{_grouped(parts[1])}"
        case "msubsup" | "munderover":
            return f"{parts[0]}_{_grouped(parts[1])}^{_grouped(parts[2])}"
        case "msqrt":
            return f"√({' '.join(parts)})"
        case "mroot":
            return f"root({parts[0]}, {parts[1]})"
        case "mspace":
            return ""
    own = "".join(one.strip() for one in node.children if isinstance(one, str))
    return " ".join(
        one for one in [own.translate(dict.fromkeys(map(ord, INVISIBLE))), *parts] if one
    )


def _grouped(text: str) -> str:
    return text if len(text) < 2 else f"({text})"


class _Setter:
    """Sets one formula."""

    def __init__(self, where: object) -> None:
        self.where = where
        self.setters: dict[str, Callable[[Element], str]] = {
            "mi": self._mi,
            "mo": self._mo,
            "mn": self._text,
            "mtext": self._text,
            "mspace": self._mspace,
            "mrow": lambda node: self._row(node.elements),
            "mstyle": lambda node: self._row(node.elements),
            "mfrac": self._mfrac,
            "msqrt": lambda node: f"#math.sqrt([{self._row(node.elements)}]);",
            "mroot": self._mroot,
            "msub": self._scripts,
            "msup": self._scripts,
            "msubsup": self._scripts,
            "munder": self._limits,
            "mover": self._mover,
            "munderover": self._limits,
            "mtable": self._mtable,
        }

    def content(self, node: Element) -> str:
        """What is in ``node``, as a content block."""
        self._check(node)
        return f"[{self._row(node.elements)}]"

    def _one(self, node: Element) -> str:
        self._check(node)
        if node.tag not in self.setters:
            self._stop(node, f"<{node.tag}>")
        return self.setters[node.tag](node)

    def _check(self, node: Element) -> None:
        unknown = set(node.attrs) - KNOWN.get(node.tag, set())
        if unknown:
            self._stop(node, f"{sorted(unknown)[0]} at <{node.tag}>")
        if node.tag in ARITY and len(node.elements) != ARITY[node.tag]:
            self._stop(node, f"<{node.tag}> of {len(node.elements)} parts")
        leaf = node.tag in ("mi", "mo", "mn", "mtext", "mspace")
        if not leaf and any(isinstance(one, str) and one.strip() for one in node.children):
            self._stop(node, f"text directly in <{node.tag}>")

    def _stop(self, node: Element, found: str) -> None:
        raise BadInput(
            f"{self.where}, line {node.line}",
            f"{found} in a formula",
            f"one of {', '.join(sorted(self.setters))}",
            "write the formula with these, or teach scripts/report/mathml.py the other",
        )

    def _row(self, nodes: list[Element]) -> str:
        """Several elements side by side; a bracket that may grow does so with its partner."""
        parts: list[str] = []
        place = 0
        while place < len(nodes):
            end = self._partner(nodes, place)
            if end is None:
                parts.append(self._one(nodes[place]))
                place += 1
            else:
                opening, closing = self._one(nodes[place]), self._one(nodes[end])
                inner = self._row(nodes[place + 1 : end])
                parts.append(f"#math.lr([{opening}{inner}{closing}]);")
                place = end + 1
        return "".join(parts)

    def _partner(self, nodes: list[Element], place: int) -> int | None:
        """Where the growing bracket at ``place`` is closed, if it is one."""
        if not _grows(nodes[place], OPENING | EITHER):
            return None
        depth, mark = 0, nodes[place].text.strip()
        closing = {mark} if mark in EITHER else CLOSING
        opening = set() if mark in EITHER else OPENING
        for other in range(place + 1, len(nodes)):
            depth += _grows(nodes[other], opening)
            if _grows(nodes[other], closing):
                if depth == 0:
                    return other
                depth -= 1
        return None

    def _mi(self, node: Element) -> str:
        name = node.text.strip()
        if len(name) > 1:
            return f"#math.op({literal(name)});"
        symbol = f"symbol({literal(name)})"
        variant = node.attrs.get("mathvariant")
        if variant is None:
            return f"#{symbol};"
        if variant not in VARIANTS:
            self._stop(node, f"mathvariant {variant!r}")
        return f"#math.{VARIANTS[variant]}({symbol});"

    def _mo(self, node: Element) -> str:
        mark = node.text.strip()
        if mark in INVISIBLE:
            return ""
        if len(mark) > 1:
            return f"#math.op({literal(mark)});"
        return f"#symbol({literal(mark)});"

    def _text(self, node: Element) -> str:
        # a letter that is bold or double by itself keeps its own form only as a symbol
        text = node.text.strip() if node.tag == "mn" else " ".join(node.text.split())
        styled = len(text) == 1 and not text.isascii() and node.tag == "mn"
        return f"#symbol({literal(text)});" if styled else f"#{literal(text)};"

    def _mspace(self, node: Element) -> str:
        width = node.attrs.get("width", "0em")
        if not re.fullmatch(r"-?[\d.]+em", width):
            self._stop(node, f"width {width!r} at <mspace>")
        return f"#h({width});"

    def _mfrac(self, node: Element) -> str:
        above, below = (f"[{self._one(one)}]" for one in node.elements)
        if node.attrs.get("linethickness") == "0":
            return f"#math.mat(delim: none, ({above},), ({below},));"
        if "linethickness" in node.attrs:
            self._stop(node, f"linethickness {node.attrs['linethickness']!r}")
        return f"#math.frac({above}, {below});"

    def _mroot(self, node: Element) -> str:
        body, index = (f"[{self._one(one)}]" for one in node.elements)
        return f"#math.root({index}, {body});"

    def _scripts(self, node: Element) -> str:
        base, *others = (f"[{self._one(one)}]" for one in node.elements)
        names = {"msub": "b", "msup": "t", "msubsup": "bt"}[node.tag]
        given = ", ".join(f"{name}: {one}" for name, one in zip(names, others, strict=True))
        return f"#math.attach(math.scripts({base}), {given});"

    def _limits(self, node: Element) -> str:
        base, *others = (f"[{self._one(one)}]" for one in node.elements)
        names = {"munder": "b", "mover": "t", "munderover": "bt"}[node.tag]
        given = ", ".join(f"{name}: {one}" for name, one in zip(names, others, strict=True))
        return f"#math.attach(math.limits({base}), {given});"

    def _mover(self, node: Element) -> str:
        base, over = node.elements
        mark = over.text.strip()
        if over.tag == "mo" and mark in ACCENTS:
            self._check(over)
            return f"#math.accent([{self._one(base)}], {literal(mark)});"
        return self._limits(node)

    def _mtable(self, node: Element) -> str:
        rows = []
        for row in node.elements:
            if row.tag != "mtr" or any(cell.tag != "mtd" for cell in row.elements):
                self._stop(row, "anything but <mtr> of <mtd> in <mtable>")
            rows.append("(" + "".join(f"{self.content(cell)}," for cell in row.elements) + ")")
        return f"#math.mat(delim: none, {', '.join(rows)});"


def _grows(node: Element, marks: set[str]) -> bool:
    return (
        node.tag == "mo"
        and node.text.strip() in marks
        and node.attrs.get("stretchy", "true") != "false"
    )
