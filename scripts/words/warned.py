"""Warnings as sentences: in the report, in the explorer, and on the screen when a run ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from scripts.words import formats, read_words
from scripts.words.labels import Labels, read_labels


def _lead(bounds: Sequence[float]) -> str:
    value, low, high = bounds
    return formats.with_interval(value, low, high, formats.points)


# of a number that is no count, by its name; names of models, prompts and files are said as they are
FORMS: dict[str, Callable[[Any], str]] = {
    "half_width": formats.share,
    "wanted": formats.share,
    "share": formats.percent,
    "smallest": formats.close,
    "lead": _lead,
}


def sentences(warnings: Sequence[Mapping[str, Any]], language: str) -> list[str]:
    """A sentence for each warning.

    Parameters
    ----------
    warnings : the contents of warnings.json
    language : of ``LANGUAGES``
    """
    words, labels = read_words("warnings", language), read_labels(language)
    say = partial(_said, words=words, labels=labels)
    return [
        words[one["kind"]].format(
            **{name: say(name, value) for name, value in one["numbers"].items()}
        )
        for one in warnings
    ]


def _said(name: str, value: Any, words: Mapping[str, Any], labels: Labels) -> str:
    if name in FORMS:
        return FORMS[name](value)
    if name in ("direction", "measure"):
        return getattr(labels, name)(value)
    if isinstance(value, list):
        return words["comma"].join(value)
    return formats.count(value) if isinstance(value, int) else str(value)
