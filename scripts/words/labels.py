"""What measures, and groups and axes of study tables, are called in each language.

A label that the words of labels do not know stands as it is, so that a study of a user's own needs
none.
"""

from __future__ import annotations

import re
from typing import Any

from scripts.measures import MEASURES
from scripts.words import read_words

# between the parts of a group's label: "drop, loss", "cluster: sand, beach", "people / all queries"
BETWEEN = re.compile(r"( / |, |: )")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def read_labels(language: str) -> Labels:
    """The labels of one language."""
    return Labels(read_words("labels", language), read_words("measures", language))


class Labels:
    """Labels of one language, by the names that stand in tables.

    Parameters
    ----------
    words : of ``read_words("labels", ...)``
    measures : of ``read_words("measures", ...)``
    """

    def __init__(self, words: dict[str, Any], measures: dict[str, Any]) -> None:
        self.words, self.measures = words, measures

    def direction(self, direction: str) -> str:
        """ "Text → image"."""
        return self.words["directions"].get(direction, direction)

    def measure(self, measure: str) -> str:
        """ "recall@1" -> "Recall@1"."""
        if measure in self.measures:
            return self.measures[measure]["name"]
        return self.words["measures"].get(measure, measure)

    def short(self, measure: str) -> str:
        """Of one of ``MEASURES``, where there is little room: "recall@1" -> "R@1"."""
        own = self.measures[measure]
        return own.get("short", own["name"])

    def head(self, measure: str) -> str:
        """Of one of ``MEASURES``, over a column of its values: "recall@1" -> "R@1 (%)"."""
        own = MEASURES[measure]
        # what adds up several says itself what it counts
        percent = own.unit == "share" and not own.sum_of
        return f"{self.short(measure)} (%)" if percent else self.short(measure)

    def group(self, study: str, group: str) -> str:
        """A group's label, known as a whole or part by part."""
        known = self._of(study).get("groups", {})
        if group in known:
            return known[group]
        parts = BETWEEN.split(group)
        between = self.words["between"] | self._of(study).get("between", {})
        told = [between.get(part, _told(part, known)) for part in parts]
        # what is not known at all keeps its own punctuation
        return "".join(told) if told[::2] != parts[::2] else group

    def x(self, study: str, groups: list[str]) -> str:
        """What x counts, for these groups of a study."""
        axes = self._of(study).get("x", {})
        return next((axes[group] for group in groups if group in axes), axes.get("", "x"))

    def text(self, key: str, **values: Any) -> str:
        """A phrase of the figures, filled in."""
        return self.words["phrases"][key].format(**values)

    def _of(self, study: str) -> dict[str, Any]:
        return self.words["studies"].get(study, {})


def _told(part: str, known: dict[str, str]) -> str:
    """A part of a label; "seed 3" is known by "seed {}"."""
    if part in known:
        return known[part]
    numbers = NUMBER.findall(part)
    pattern = known.get(NUMBER.sub("{}", part)) if numbers else None
    return pattern.format(*numbers) if pattern else part
