"""What readers see, in each language: ``<name>.<language>.yaml``, with the same keys in all.

What several of them call by one name (directions, splits, kinds of failure) stands in the labels
alone; ``{from labels: splits.train}`` in another file is the label with that key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.quick_yaml import read_yaml

LANGUAGES = ("en", "zh")
FOLDER = Path(__file__).resolve().parent
TERM = "from labels"


def read_words(name: str, language: str) -> dict[str, Any]:
    """The words of one name ("report") in one language, with the labels that they take."""
    words = read_yaml(FOLDER / f"{name}.{language}.yaml")
    return words if name == "labels" else _with_labels(words, read_words("labels", language))


def _with_labels(value: Any, labels: dict[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    if list(value) != [TERM]:
        return {key: _with_labels(own, labels) for key, own in value.items()}
    label: Any = labels
    for key in value[TERM].split("."):
        label = label[key]
    return label
