"""What a document says, for tests to ask."""

from __future__ import annotations

import functools
import re
from typing import Any

from scripts.report.blocks import spans_in, walk
from scripts.report.findings import Finding
from scripts.report.spans import text_of
from scripts.report.speaker import Speaker
from scripts.words import read_words
from scripts.words.labels import read_labels

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


class Told:
    """A document, by what it holds."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.blocks = list(walk(document["blocks"]))

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Blocks of a kind, in their order."""
        return [block for block in self.blocks if block["kind"] == kind]

    @property
    def ids(self) -> list[str]:
        """Every id that something can lead to."""
        works = [work["id"] for block in self.all("references") for work in block["items"]]
        return [block["id"] for block in self.blocks if "id" in block] + works

    def section(self, id_: str) -> Told:
        """What stands under a heading, to the next one of its level or above."""
        start = next(n for n, one in enumerate(self.document["blocks"]) if one.get("id") == id_)
        level = self.document["blocks"][start]["level"]
        own = [self.document["blocks"][start]]
        for block in self.document["blocks"][start + 1 :]:
            if block["kind"] == "heading" and block["level"] <= level:
                break
            own.append(block)
        return Told({**self.document, "blocks": own})

    def block(self, id_: str) -> Told:
        """One block alone."""
        return Told(
            {**self.document, "blocks": [one for one in self.blocks if one.get("id") == id_]}
        )

    @property
    def text(self) -> str:
        """All that is said in it, strong words and others alike."""
        plain = [text_of([span]) for span in spans_in(self.document["blocks"])]
        return "".join(plain)

    @property
    def strong(self) -> list[str]:
        """What is said strongly."""
        return [one["text"] for one in spans_in(self.document["blocks"]) if one["kind"] == "strong"]

    @property
    def cells(self) -> list[str]:
        """Every cell of every table."""
        return [
            text_of(cell)
            for table in self.all("table")
            for group in table["groups"]
            for row in group["rows"]
            for cell in row
        ]

    @property
    def in_table(self) -> list[str]:
        """Every cell of every table, and every heading over several columns."""
        sides = [side["text"] for table in self.all("table") for side in table["sides"]]
        return [*self.cells, *sides]


class Voice:
    """Says findings in one language, without how they are set."""

    def __init__(self, language: str) -> None:
        self.words = read_words("report", language)
        self._speaker = Speaker(self.words, read_labels(language))

    def say(self, finding: Finding) -> str:
        """A finding as a sentence."""
        return text_of(self._speaker.say(finding))


@functools.cache
def speaker(language: str) -> Voice:
    """The voice of a report."""
    return Voice(language)
