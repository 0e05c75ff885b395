"""A page of the report as its tests read it."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"wbr", "meta", "img", "br", "link", "mspace", "path", "use", "rect"}


class Document(HTMLParser):
    """Elements of a page: tag, attributes, text inside, depth checked on the way."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[dict] = []
        self.open: list[dict] = []
        self.said: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "begins": len(self.said)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append({"tag": tag, "attrs": dict(attrs), "text": ""})

    def handle_endtag(self, tag):
        if tag not in VOID:
            element = self.open.pop()
            assert element["tag"] == tag
            element["text"] = "".join(self.said[element["begins"] :])

    def handle_data(self, data):
        self.said.append(data)

    def all(self, tag: str, kind: str | None = None) -> list[dict]:
        return [
            one
            for one in self.elements
            if one["tag"] == tag
            and (kind is None or kind in (one["attrs"].get("class") or "").split())
        ]

    @property
    def ids(self) -> list[str]:
        return [one["attrs"]["id"] for one in self.elements if "id" in one["attrs"]]
