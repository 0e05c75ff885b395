"""Says things in one language: looks words up and fills in what data say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scripts.report.blocks import Spans, plain
from scripts.report.findings import Finding, Label, ScorerName
from scripts.report.spans import joined, spans_of
from scripts.words.labels import Labels


class Speaker:
    """The voice of a report.

    Parameters
    ----------
    words : of the report, in the small Markdown of ``spans``
    labels : of what stands in studies' tables
    """

    def __init__(self, words: dict[str, Any], labels: Labels) -> None:
        self.words = words
        self.labels = labels

    def text(self, key: str, **values: Any) -> Spans:
        """The words at ``key`` ("text.flow"), its placeholders filled."""
        phrase: Any = self.words
        for part in key.split("."):
            phrase = phrase[part]
        return spans_of(phrase, self._named(values))

    def say(self, finding: Finding) -> Spans:
        """A finding as a sentence."""
        return self.text(f"findings.{finding.key}", **finding.numbers)

    def in_brackets(self, told: str) -> str:
        """Text in the brackets of the language, as it follows a name."""
        return str(self.words["in_brackets"].format(links=told))

    def kind_of_scorer(self, kind: str) -> str:
        """What a kind of scorers is called."""
        known = {"cosine": self.words["values"]["cosine"]}
        return str(known.get(kind) or self.words["optimisations"].get(kind, {}).get("name", kind))

    def with_source(self, sentence: Spans, links: list[Spans]) -> Spans:
        """A sentence with links in brackets, before the stop at its end."""
        if not links:
            return sentence
        *before, last = sentence
        stop = self.words["stop"]
        text = last["text"].removesuffix(stop)
        linked = spans_of(self.words["in_brackets"], {"links": self.listed(links)})
        return joined([*before, {**last, "text": text}, *linked, plain(stop)])

    def together(self, sentences: Iterable[Spans]) -> Spans:
        """Sentences that follow each other in one paragraph."""
        found: Spans = []
        for spans in sentences:
            found += [plain(self.words["gap"]), *spans] if found else spans
        return joined(found)

    def listed(self, parts: Iterable[Spans]) -> Spans:
        """Names in a row, with the comma of the language between them."""
        found: Spans = []
        for spans in parts:
            found += [plain(self.words["comma"]), *spans] if found else spans
        return joined(found)

    def _named(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values with what each language calls otherwise called by its name."""
        named: dict[str, Any] = {
            key: self._label(value) if isinstance(value, Label | ScorerName) else value
            for key, value in values.items()
        }
        for key, value in values.items():
            if isinstance(value, list) and all(isinstance(one, Label | str) for one in value):
                shown = (self._label(one) if isinstance(one, Label) else one for one in value)
                named[key] = self.words["comma"].join(shown)
        if isinstance(named.get("names"), list):
            moved = self.words["moved"].format
            named["names"] = self.words["comma"].join(
                name + self.in_brackets(moved(hubs=hubs, recall=recall))
                for name, hubs, recall in named["names"]
            )
        if "direction" in named:
            named["direction"] = self.words["names"]["directions"][named["direction"]]
        return named

    def _label(self, label: Label | ScorerName) -> str:
        if isinstance(label, ScorerName):
            return self.kind_of_scorer(label.kind) + self.in_brackets(label.name)
        if label.study:
            return self.labels.group(label.study, label.name)
        return self.labels.measure(label.name)
