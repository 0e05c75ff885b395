"""From the report's page to markup of Typst: the same words, the same numbers, set for paper.

Structure and text come from the page and nowhere else. What the page says by its style sheet
(colours, and which class has which) is read from the style sheet. Text goes through
``text_literal`` alone, so that no caption can become markup or code. An element that is not known
here is refused by name, and what makes no sense on paper stands in ``LEFT_OUT``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from scripts.job import BadInput
from scripts.letters import BREAK, SPACES
from scripts.report.html_tree import Element, tree_of
from scripts.report.mathml import formula, literal
from scripts.report.pdf_columns import NAMES, PIECES, Cell, Words, layout
from scripts.report.pdf_fonts import drawable, width

TEMPLATE = Path(__file__).resolve().with_name("report.typ")  # the functions that markup calls
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
# paragraphs of a look of their own
PARAGRAPHS = {"kicker", "under", "code-from", "effect"}
SPANS = {"source": "source", "ci": "interval", "k": "keyword", "s": "string", "c": "comment"}
HIGHLIGHTS = ("k", "s", "c")  # of listings, whose colours the style sheet names
BLOCKS = {
    *("div", "section", "article", "main", "header", "footer", "aside", "details", "summary"),
    *("p", "h1", "h2", "h3", "h4", "h5", "ul", "ol", "dl", "figure", "figcaption", "table", "pre"),
    *("blockquote", "hr"),
}
SCALE_OF_CODE, SCALE_OF_INTERVAL = 0.88, 0.86  # as in report.typ
GAP = 0.6  # ems between a value and its interval
MANY, TAIL = 9, 3  # rows above which a table may be broken, and its last that stay together
READABLE = 8.0  # points: below it, a table is rather longer than smaller
LONG = 40  # letters without a place to break, above which a break may come anywhere
MOST_PICTURES = 6  # side by side: more would be stamps
CONTENTS = "\0contents\0"  # where the table of contents goes, once all headings are known
PICTURES = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"GIF8": "gif", b"RIFF": "webp"}


def text_literal(text: str) -> str:
    """Markup that shows ``text`` as it is, whatever it holds."""
    return f"#{literal(drawable(text))};"


@dataclass
class Document:
    """Markup for Typst, with the files that it names."""

    markup: str
    files: dict[str, bytes] = field(default_factory=dict)


def document(page: str, where: object = "the page") -> Document:
    """Set a page of the report for paper.

    Parameters
    ----------
    page : the report as HTML, from ``report_page``
    where : its file, for messages

    Raises ``BadInput`` for an element that is not known, and for a link that leads nowhere.
    """
    return _Converter(page, where).document()


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


class _Converter:
    """Sets one page."""

    def __init__(self, page: str, where: object) -> None:
        self.where = where
        self.tree = tree_of(page, where)
        self.sheet = Sheet("".join(one.text for one in self.tree.all("style")), where)
        self.files: dict[str, bytes] = {}
        self.labels: set[str] = set()
        self.targets: dict[str, int] = {}
        self.contents: list[tuple[int, str]] = []
        self.space = True  # whether a space would follow a space
        self.in_cell = False  # whether long words may be broken
        self.hyphens = False  # whether a line of a table may end at a hyphen
        self.room: dict[int, float] = {}  # column of a table -> points kept for its intervals
        self.beside: float | None = None  # the same, of the cell that is being set
        self.landscape = False  # whether a table of this figure needs the long side of the page
        self.block_setters: dict[str, Callable[[Element], str]] = {
            "p": self._p,
            "h1": lambda node: f"#masthead-title[{self.inline(node.children)}]",
            **{f"h{level}": self._heading for level in (2, 3, 4, 5)},
            "ul": lambda node: self._list(node, "list"),
            "ol": self._ol,
            "dl": self._dl,
            "figure": self._figure,
            "table": self._table,
            "pre": self._pre,
            "hr": lambda node: "#rule()",
            "footer": lambda node: f"#colophon[{self.flow(node.children)}]",
            "figcaption": lambda node: f"#caption-alone[{self.inline(node.children)}]",
            "blockquote": lambda node: f"#quote(block: true)[{self.flow(node.children)}]",
            "summary": lambda node: f"#strong[{self.inline(node.children)}]",
            "article": self._article,
            "section": self._section,
            "header": self._header,
        }
        self.div_setters: dict[str, Callable[[Element], str]] = {
            "equation": self._equation,
            "bars": self._bars,
            "own": lambda node: f"#own[{self.flow(node.children)}]",
        }

    # the document

    def document(self) -> Document:
        html = self._only(self.tree, "html")
        body = self._only(html, "body")
        self.targets = {
            link.attrs["href"][1:]: link.line
            for link in self._printed(body)
            if link.tag == "a" and link.attrs.get("href", "").startswith("#")
        }
        title = drawable(self._only(html, "title").text.strip())
        markup = self.flow(body.children).replace(CONTENTS, self._contents())
        lost = sorted(set(self.targets) - self.labels)
        if lost:
            raise BadInput(
                f"{self.where}, line {self.targets[lost[0]]}",
                f"a link to #{lost[0]}, which is nowhere on the page",
                "the id of a section, a figure, a table or an equation",
                "correct the link in the report's words or template",
            )
        self.files["colours.typ"] = self._colours().encode()
        head = (
            '#import "report.typ": *\n'
            f"#show: report.with(title: {literal(title)}, "
            f"lang: {literal(html.attrs.get('lang', 'en'))})\n\n"
        )
        return Document(f"{head}{markup}\n", self.files)

    def _only(self, node: Element, tag: str) -> Element:
        found = node.all(tag)
        if len(found) != 1:
            raise BadInput(
                self.where,
                f"{len(found)} elements <{tag}>",
                "one",
                "delete the page and let it be made again",
            )
        return found[0]

    def _printed(self, node: Element) -> Iterator[Element]:
        """``node`` and what is in it, but for what is left out."""
        if not left_out(node):
            yield node
            for child in node.elements:
                yield from self._printed(child)

    def _colours(self) -> str:
        names = ("paper", "ink", "muted", "line", "tint", "green", "amber", "link")
        return "".join(
            f"#let {name} = rgb({literal(self.sheet.resolved(f'var(--{name})', f'--{name}'))})\n"
            for name in names
        ) + "".join(
            f"#let {name}-ink = rgb({literal(self.sheet.colour(f'.{kind}', 'color'))})\n"
            for kind, name in SPANS.items()
            if kind in HIGHLIGHTS
        )

    def _contents(self) -> str:
        """The table of contents, in two columns of like height that part between sections."""
        navigation = self.tree.all("nav")
        if not navigation or not self.contents:
            return ""
        heights = [1.5 if level == 1 else 1.0 for level, _ in self.contents]
        starts = [place for place, (level, _) in enumerate(self.contents) if level == 1 and place]
        half = min(
            starts,
            key=lambda place: abs(sum(heights[:place]) - sum(heights[place:])),
            default=len(heights),
        )
        labels = [f"label({literal(name)})," for _, name in self.contents]
        title = text_literal(navigation[0].attrs.get("aria-label", ""))
        return f"#contents([{title}], ({''.join(labels[:half])}), ({''.join(labels[half:])}))\n\n"

    def _stop(self, node: Element, found: str, expected: str) -> NoReturn:
        raise BadInput(
            f"{self.where}, line {node.line}",
            found,
            expected,
            "teach scripts/report/typst_markup.py to set it, or list it under LEFT_OUT",
        )

    # blocks

    def flow(self, children: list[Element | str]) -> str:
        """Blocks one under the other; text between them becomes paragraphs."""
        out: list[str] = []
        run: list[Element | str] = []
        for child in children:
            if isinstance(child, Element) and (child.tag in BLOCKS or left_out(child)):
                out += [self._run(run), self.block(child)]
                run = []
            else:
                run.append(child)
        return "\n\n".join(one for one in [*out, self._run(run)] if one)

    def _run(self, run: list[Element | str]) -> str:
        there = [one for one in run if not isinstance(one, str) or one.strip()]
        if len(there) == 1 and isinstance(there[0], Element) and there[0].tag in ("img", "svg"):
            return f"#drawing({self._picture(there[0])})"
        return self.inline(run) if there else ""

    def block(self, node: Element) -> str:
        """One block, and the place that a link to it leads to."""
        if left_out(node):
            return ""
        if node.tag == "div":
            known = [kind for kind in node.classes if kind in self.div_setters]
            setter = self.div_setters[known[0]] if known else None
        else:
            setter = self.block_setters.get(node.tag)
        markup = setter(node) if setter else self.flow(node.children)
        return f"{self._anchor(node)}{markup}"

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

    def _p(self, node: Element) -> str:
        if node.is_of("meta"):
            return f"#meta({self._each(node.elements)})"
        text = self.inline(node.children)
        kinds = [kind for kind in node.classes if kind in PARAGRAPHS]
        # said to be a paragraph, since a container that holds one alone would not take it for one
        return f"#{kinds[0] if kinds else 'par'}[{text}]" if text else ""

    def _each(self, nodes: list[Element]) -> str:
        """Arguments: each element's text as content."""
        return ", ".join(f"[{self.inline(one.children)}]" for one in nodes)

    def _heading(self, node: Element) -> str:
        level = int(node.tag[1]) - 1
        numbers = [one for one in node.elements if one.is_of("n")]
        text = self.inline([one for one in node.children if one not in numbers])
        if not numbers:
            marked = str(level == 1).lower()  # in the side bar, though not in the contents
            look = f"level: {level}, outlined: false, bookmarked: {marked}"
            return f"#heading({look})[{text}]{self._label(node)}"
        name = node.attrs.get("id") or f"heading-{len(self.contents)}"
        before = "" if self.contents else CONTENTS
        if level <= 2:
            self.contents.append((level, name))
        self.labels.add(name)
        number = literal(numbers[0].text.strip())
        return (
            f"{before}#heading(level: {level}, numbering: (..) => {number})[{text}]"
            f" #label({literal(name)});"
        )

    def _section(self, node: Element) -> str:
        content = self.flow(node.children)
        return f"#abstract[{content}]" if node.is_of("abstract") else content

    def _list(self, node: Element, kind: str) -> str:
        items = []
        for item in node.elements:
            if item.tag != "li":
                self._stop(item, f"<{item.tag}> in a list", "<li>")
            items.append(f"[{self._anchor(item)}{self.flow(item.children)}]")
        listed = f"#{kind}({', '.join(items)})"
        return f"#notes[{listed}]" if node.is_of("notes") else listed

    def _ol(self, node: Element) -> str:
        if node.is_of("found"):
            return self._found(node)
        return self._answers(node) if node.is_of("texts") else self._list(node, "enum")

    def _dl(self, node: Element) -> str:
        pairs: list[list[str]] = []
        for part in (one for one in node.walk() if one.tag in ("dt", "dd")):
            if part.tag == "dt" or not pairs:
                pairs.append(["[]", "[]"])
            pairs[-1][part.tag == "dd"] = f"[{self.flow(part.children)}]"
        name = "tile" if node.is_of("tiles") else "terms.item"
        whole = "tiles" if node.is_of("tiles") else "terms"
        return f"#{whole}({', '.join(f'{name}({term}, {said})' for term, said in pairs)})"

    def _figure(self, node: Element) -> str:
        captions = [one for one in node.elements if one.tag == "figcaption"]
        rest = [one for one in node.children if one not in captions]
        above = bool(captions) and node.elements[0] is captions[0]
        tabled = any(one.tag == "table" for one in node.walk())
        self.landscape = False
        body = self.flow(rest)
        figure = (
            f"#figure(kind: {'table' if tabled else 'image'}, supplement: none, numbering: none, "
            f"outlined: false, caption: {self._caption(captions, above)})[\n{body}\n]"
            f"{self._label(node)}"
        )
        look = "flowing" if tabled else "floating"
        return f"#{'turned' if self.landscape else look}[{figure}]"

    def _caption(self, captions: list[Element], above: bool) -> str:
        if not captions:
            return "none"
        children = list(captions[0].children)
        number = ""
        if isinstance(children[0], Element) and children[0].tag == "b":
            number = f"#caption-number[{self.inline(children.pop(0).children)}];"
        text = self.inline(children)
        return f"figure.caption(position: {'top' if above else 'bottom'})[{number}{text}]"

    def _equation(self, node: Element) -> str:
        formulas = node.all("math")
        numbers = [one for one in node.elements if one.tag == "span"]
        said = {one for one in node.text if not one.isspace()}
        set_here = {one for part in [*formulas, *numbers] for one in part.text}
        if said - set_here or len(numbers) > 1:
            self._stop(node, "text beside the formulas of an equation", "formulas and a number")
        number = f"[{self._each(numbers)[1:-1]}]" if numbers else "none"
        each = ", ".join(formula(one, self.where) for one in formulas)
        return f"#equation({number}, {each}){self._label(node)}"

    def _pre(self, node: Element) -> str:
        lines: list[list[tuple[str | None, str]]] = [[]]
        for kind, text in self._coloured(node, None):
            first, *others = text.split("\n")
            lines[-1].append((kind, first))
            lines += [[(kind, line)] for line in others]
        while lines and not any(text for _, text in lines[-1]):
            lines.pop()
        return "#listing(\n" + "".join(f"  [{self._code_line(line)}],\n" for line in lines) + ")"

    def _coloured(self, node: Element, kind: str | None) -> Iterator[tuple[str | None, str]]:
        for child in node.children:
            if isinstance(child, str):
                yield kind, child
            elif child.tag in ("code", "span"):
                kinds = [SPANS[one] for one in child.classes if one in SPANS]
                yield from self._coloured(child, kinds[0] if kinds else kind)
            else:
                self._stop(child, f"<{child.tag}> in a listing", "<code> and <span>")

    @staticmethod
    def _code_line(line: list[tuple[str | None, str]]) -> str:
        parts = []
        for kind, text in line:
            shown = text_literal(text.replace("\t", "    "))
            parts.append(f"#{kind}[{shown}];" if kind else shown)
        return "".join(parts)

    # tables

    def _table(self, node: Element) -> str:
        rows: list[tuple[Element, list[Element]]] = []
        for part in node.elements:
            for row in part.elements if part.tag in ("thead", "tbody", "tfoot") else [part]:
                if row.tag != "tr":
                    self._stop(row, f"<{row.tag}> in a table", "rows of cells")
                for cell in row.elements:
                    if cell.tag not in ("th", "td"):
                        self._stop(cell, f"<{cell.tag}> in a row", "<th> and <td>")
                    if cell.attrs.get("rowspan", "1") != "1":
                        self._stop(cell, "a cell that spans rows", "cells of one row")
                rows.append((part, row.elements))
        every = [cells for _, cells in rows]
        plan = layout([[self._cell_size(cell) for cell in cells] for cells in every])
        # intervals stand under their values on a screen; beside them, a table is half as long
        room = self._room_for_intervals(every)
        flat = layout(
            [
                [self._cell_size(cell, room.get(place, 0.0)) for place, cell in enumerate(cells)]
                for cells in every
            ]
        )
        if room and not flat.landscape and flat.size >= READABLE and flat.keep <= NAMES:
            plan = flat
        else:
            room = {}
        self.hyphens = plan.keep == PIECES
        self.room = {place: ems * plan.size for place, ems in room.items()}
        self.landscape = self.landscape or plan.landscape
        heads = [
            self._sides(cells) if any(span_of(cell) > 1 for cell in cells) else self._row(cells)
            for part, cells in rows
            if part.tag == "thead"
        ]
        body = [cells for part, cells in rows if part.tag != "thead"]
        groups = [len(cells) == 1 and cells[0].tag == "th" for cells in body]
        # a page should not begin with a row or two under a head of its own
        kept = TAIL if len(body) > MANY and not any(groups[-TAIL:]) else 0
        set_rows = []
        for place, (cells, group) in enumerate(zip(body, groups, strict=True)):
            left = len(body) - place
            end = f", tail({kept})" if left == kept else ", tail(1)" if left > kept > 0 else ""
            if group:
                set_rows.append(self._group(cells, bool(kept)))
            else:
                set_rows.append(self._row(cells) + end)
        if kept:
            heads = [f"{row}, tail(1)" for row in heads]
        head = f"  head({', '.join(heads)}),\n" if heads else ""
        widths = "".join(f"{one:.2f}pt, " for one in plan.widths) + ("0pt, " if kept else "")
        return (
            f"#data-table({plan.size}pt, ({widths}),\n{head}"
            + "".join(f"  {row},\n" for row in set_rows)
            + ")"
        )

    def _row(self, cells: list[Element]) -> str:
        return ", ".join(self._cell(cell, place) for place, cell in enumerate(cells))

    def _sides(self, cells: list[Element]) -> str:
        """A row of headings, each over several columns."""
        return ", ".join(f"side({span_of(cell)}, [{self.inline(cell.children)}])" for cell in cells)

    def _cell(self, cell: Element, place: int) -> str:
        blocks = any(one.tag in BLOCKS for one in cell.elements)
        self.in_cell = True
        self.beside = self.room.get(place)
        content = self.flow(cell.children) if blocks else self.inline(cell.children)
        if self.beside and cell.tag == "td" and not self._intervals(cell):
            content += f"#beside({self.beside:.2f}pt)[];"
        self.in_cell, self.beside = False, None
        kind = "th" if cell.tag == "th" else "td"
        right = ", align: right" if cell.is_of("r") else ""
        span = f", colspan: {span_of(cell)}" if span_of(cell) > 1 else ""
        return f"{kind}([{self._anchor(cell)}{content}]{right}{span})"

    def _group(self, cells: list[Element], tailed: bool) -> str:
        text = self.inline(cells[0].children)
        return f"group({span_of(cells[0]) + tailed}, [{self._anchor(cells[0])}{text}])"

    def _intervals(self, cell: Element) -> list[Element]:
        return [one for one in cell.all("span", "ci") if self._starts_a_line(one)]

    def _room_for_intervals(self, rows: list[list[Element]]) -> dict[int, float]:
        """Column -> ems that the intervals in it take beside their values; {} for no room."""
        room: dict[int, float] = {}
        for cells in rows:
            for place, cell in enumerate(cells):
                for interval in self._intervals(cell):
                    if not cell.is_of("r") or len(self._intervals(cell)) > 1:
                        return {}
                    ems = GAP + width(interval.text) * SCALE_OF_INTERVAL
                    room[place] = max(room.get(place, 0.0), ems)
        return room

    def _cell_size(self, cell: Element, beside: float = 0.0) -> Cell:
        """What a cell takes; ``beside``: ems for an interval that stands beside the value."""
        kept = cell
        if beside:
            intervals = self._intervals(cell)
            kept = replace(cell, children=[one for one in cell.children if one not in intervals])
        lines: list[list[Words]] = [[]]
        for words in self._words(kept, Words("", bold=False)):
            if words is None:
                lines.append([])
            else:
                lines[-1].append(words)
        whole = cell.tag == "td" and cell.is_of("r")
        free = beside if cell.tag == "td" else 0.0
        head = cell.tag == "th"
        return Cell(tuple(tuple(line) for line in lines), whole, span_of(cell), free, head)

    def _words(self, node: Element, look: Words) -> Iterator[Words | None]:
        """Text of a cell by its look; None where a new line begins."""
        for child in node.children:
            if isinstance(child, str):
                text = softened(drawable(SPACES.sub(" ", child)))
                yield replace(look, text=text)
            elif child.tag == "br" or child.tag in BLOCKS or self._starts_a_line(child):
                yield None
                yield from self._words(child, look)
            elif INLINE.get(child.tag) == "strong":
                yield from self._words(child, replace(look, bold=True))
            elif INLINE.get(child.tag) == "code":
                yield from self._words(child, replace(look, mono=True, scale=SCALE_OF_CODE))
            else:
                yield from self._words(child, look)

    # outcomes and galleries

    def _bars(self, node: Element) -> str:
        rows = []
        for part in node.elements:
            if part.is_of("bar"):
                pieces = [f"({self._share(one)}, {self._colour(one)})," for one in part.elements]
                rows.append(f"bar({''.join(pieces)})")
            elif part.is_of("key"):
                marks = [
                    f"key-mark({self._colour(one.all('i')[0])}, [{self._without(one, 'i')}])"
                    for one in part.elements
                ]
                rows.append(f"key({', '.join(marks)})")
            else:
                rows.append(f"bar-label[{self.inline(part.children)}]")
        return f"#bars({', '.join(rows)})"

    def _share(self, piece: Element) -> str:
        match = re.search(r"flex:\s*(\d+(?:\.\d+)?)", piece.attrs.get("style", ""))
        if match is None:
            self._stop(piece, f"style {piece.attrs.get('style', '')!r}", "flex: and a number")
        return f"{match[1]}fr"

    def _colour(self, mark: Element) -> str:
        return f"rgb({literal(self.sheet.colour(f'.{mark.classes[0]}', 'background'))})"

    def _without(self, node: Element, tag: str) -> str:
        """What is in ``node`` beside the elements of one kind."""
        kept = [one for one in node.children if isinstance(one, str) or one.tag != tag]
        return self.inline(kept)

    def _article(self, node: Element) -> str:
        heads = [one for one in node.elements if one.tag == "header"]
        if not node.is_of("query") or len(heads) != 1:
            return self.flow(node.children)
        outcome = [one for one in node.classes if "--chip" in self.sheet.rules.get(f".{one}", {})]
        colour = "paint.muted"
        if outcome:
            colour = f"rgb({literal(self.sheet.colour(f'.{outcome[0]}', '--chip'))})"
        chips = [one for one in heads[0].elements if one.is_of("chip")]
        wheres = [one for one in heads[0].elements if one.is_of("where")]
        rest = [one for one in heads[0].children if one not in [*chips, *wheres]]
        asked = [one for one in node.elements if one.is_of("asked")]
        pictures = [one for part in asked for one in part.elements if one.tag == "img"]
        picture = "".join(f", picture: portrait({self._picture(one)})" for one in pictures[:1])
        body = self.flow(
            [
                inner
                for one in node.children
                if one not in heads
                for inner in (one.children if one in asked else [one])
                if inner not in pictures[:1]
            ]
        )
        chip, where = (
            "".join(self.inline(one.children) for one in found) for found in (chips, wheres)
        )
        return f"#query({colour}, [{chip}], [{self.inline(rest)}], [{where}]{picture})[\n{body}\n]"

    def _header(self, node: Element) -> str:
        return f"#masthead[\n{self.flow(node.children)}\n]"

    def _found(self, node: Element) -> str:
        match = re.search(r"--k:\s*(\d+)", node.attrs.get("style", ""))
        columns = min(int(match[1]) if match else len(node.elements), MOST_PICTURES)
        items = []
        for item in node.elements:
            pictures = item.all("img")
            checks = [one for one in item.elements if one.is_of("check")]
            unsaid = [one for one in item.elements if one.is_of("unsaid")]
            rest: list[Element] = [
                inner
                for one in item.elements
                if one not in [*pictures, *checks, *unsaid]
                for inner in (one.elements if one.tag == "div" else [one])
            ]
            if len(pictures) != 1:
                self._stop(item, f"{len(pictures)} pictures in one place of a gallery", "one")
            said = "#h(1fr);".join(self.inline([one]) for one in rest)
            marks = self._marks(item, checks)
            below = "".join(self.inline(one.children) for one in unsaid)
            marks += f", unsaid: [{below}]" if below else ""
            items.append(f"  found-item({self._picture(pictures[0])}, {marks})[{said}],\n")
        return f"#found({columns},\n{''.join(items)})"

    def _marks(self, item: Element, checks: list[Element]) -> str:
        right, beyond = (str(item.is_of(kind)).lower() for kind in ("right", "beyond"))
        check = f"[{self.inline(checks[0].children)}]" if checks else "none"
        return f"right: {right}, beyond: {beyond}, check: {check}"

    def _answers(self, node: Element) -> str:
        items = []
        for item in node.elements:
            checks = [one for one in item.elements if one.is_of("check")]
            places = [one for one in item.elements if one.is_of("place")]
            scores = [one for one in item.elements if one.is_of("score")]
            text = [one for one in item.children if one not in [*checks, *places, *scores]]
            place, score = (
                "".join(self.inline(one.children) for one in found) for found in (places, scores)
            )
            items.append(
                f"  answer([{place}], [{self.inline(text)}], [{score}], "
                f"{self._marks(item, checks)}),\n"
            )
        return f"#answers(\n{''.join(items)})"

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

    # text

    def inline(self, children: list[Element | str]) -> str:
        """Text with what stands in it, spaces as a browser would leave them."""
        self.space = True
        return "".join(self._inline(child) for child in children)

    def _inline(self, node: Element | str) -> str:
        if isinstance(node, str):
            return self._words_of(node)
        if left_out(node):
            return ""
        if node.tag == "math":
            self.space = False
            return f"#{formula(node, self.where)};"
        if node.tag in ("img", "svg"):
            self.space = False
            return f"#small-picture({self._picture(node)});"
        if node.tag == "br":
            self.space = True
            return "#linebreak();"
        if node.tag == "wbr":
            return breaking(BREAK)
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


def left_out(node: Element) -> bool:
    """Whether an element is for screens alone."""
    names = {node.tag, *(f"{node.tag}.{kind}" for kind in node.classes)}
    return not names.isdisjoint(LEFT_OUT)


def span_of(cell: Element) -> int:
    """Columns that a cell covers."""
    return int(cell.attrs.get("colspan", "1"))


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

    def soften(match: re.Match) -> str:
        word = match[0]
        if max(map(len, re.split(r"[/_.-]", word))) > LONG:
            return BREAK.join(word)
        return re.sub(r"([/_])(?=\w)", rf"\1{BREAK}", word) if narrow else word

    return re.sub(r"[!-~]{13,}", soften, text)
