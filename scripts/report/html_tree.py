"""A page of ours as a tree of elements, so that it can be set in another form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from scripts.job import BadInput

# elements that have no end tag
VOID = {"meta", "link", "img", "br", "hr", "wbr", "col", "input"}


@dataclass
class Element:
    """An element, and what is in it.

    ``source`` is the element as it stands in the page; kept for drawings alone, whose names HTML
    would read in lower case.
    """

    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)
    line: int = 0
    source: str = ""

    @property
    def classes(self) -> list[str]:
        return self.attrs.get("class", "").split()

    def is_of(self, name: str) -> bool:
        return name in self.classes

    @property
    def elements(self) -> list[Element]:
        """The children that are elements."""
        return [one for one in self.children if isinstance(one, Element)]

    def walk(self) -> Iterator[Element]:
        """This element and all that are in it, in the order of the page."""
        yield self
        for child in self.elements:
            yield from child.walk()

    def all(self, tag: str, kind: str | None = None) -> list[Element]:
        """Elements of this tag, and of this class if one is given."""
        return [one for one in self.walk() if one.tag == tag and (kind is None or one.is_of(kind))]

    @property
    def text(self) -> str:
        """All text in the element, as it stands."""
        return "".join(one if isinstance(one, str) else one.text for one in self.children)


class _Builder(HTMLParser):
    """Builds the tree; stricter than a browser, since a page of ours closes what it opens."""

    def __init__(self, page: str, where: object) -> None:
        super().__init__(convert_charrefs=True)
        self.where = where
        self.page = page
        self.starts = line_starts(page)
        self.root = Element("page")
        self.open = [self.root]
        self.drawing: Element | None = None
        self.depth = 0
        self.feed(page)
        self.close()
        if len(self.open) > 1:
            self._stop(f"<{self.open[-1].tag}> that is never closed")

    def _offset(self) -> int:
        line, column = self.getpos()
        return self.starts[line - 1] + column

    def _stop(self, found: str) -> None:
        raise BadInput(
            f"{self.where}, line {self.getpos()[0]}",
            found,
            "a page whose elements are closed one by one",
            "delete the page and let it be made again",
        )

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.drawing is not None:
            self.depth += tag == "svg"
            return
        values = {name: value or "" for name, value in attrs}
        element = Element(tag, values, line=self.getpos()[0])
        self.open[-1].children.append(element)
        if tag == "svg":
            self.drawing, self.depth, self.begun = element, 1, self._offset()
        elif tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.drawing is None:
            values = {name: value or "" for name, value in attrs}
            self.open[-1].children.append(Element(tag, values, line=self.getpos()[0]))

    def handle_endtag(self, tag: str) -> None:
        if self.drawing is not None:
            self.depth -= tag == "svg"
            if self.depth == 0:
                end = self.page.index(">", self._offset()) + 1
                self.drawing.source = self.page[self.begun : end]
                self.drawing = None
        elif tag not in VOID and self.open.pop().tag != tag:
            self._stop(f"</{tag}> that closes nothing")

    def handle_data(self, data: str) -> None:
        if self.drawing is None:
            self.open[-1].children.append(data)


def line_starts(text: str) -> list[int]:
    """Where each line of ``text`` begins, as parsers count lines: they end at a newline alone.

    ``str.splitlines`` ends them at a form feed, U+2028 and others, too, which a caption may hold.
    """
    return [0, *(newline.end() for newline in re.finditer("\n", text))]


def tree_of(page: str, where: object = "the page") -> Element:
    """The page as a tree; its root holds <html>.

    Parameters
    ----------
    page : HTML whose elements are all closed
    where : its file, for messages

    Raises ``BadInput`` for an element that is not closed.
    """
    return _Builder(page, where).root
