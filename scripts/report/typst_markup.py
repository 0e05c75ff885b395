"""From the report's page to markup of Typst: the same words, the same numbers, set for paper.

Structure and text come from the page and nowhere else. An element that is not known here is refused
by name, and what makes no sense on paper stands in ``LEFT_OUT``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scripts.job import BadInput
from scripts.report.html_tree import Element
from scripts.report.mathml import formula, literal
from scripts.report.pdf_fonts import drawable
from scripts.report.typst_tables import BLOCKS, TableSetter
from scripts.report.typst_text import SPANS, left_out, text_literal

TEMPLATE = Path(__file__).resolve().with_name("report.typ")  # the functions that markup calls
# paragraphs of a look of their own
PARAGRAPHS = {"kicker", "under", "code-from", "effect"}
HIGHLIGHTS = ("k", "s", "c")  # of listings, whose colours the style sheet names
MOST_PICTURES = 6  # side by side: more would be stamps
CONTENTS = "\0contents\0"  # where the table of contents goes, once all headings are known


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


class _Converter(TableSetter):
    """Sets one page."""

    def __init__(self, page: str, where: object) -> None:
        super().__init__(page, where)
        self.contents: list[tuple[int, str]] = []
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
        first, *rest = captions[0].children
        if isinstance(first, Element) and first.tag == "b":
            number, children = f"#caption-number[{self.inline(first.children)}];", rest
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
