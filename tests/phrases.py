"""What readers see, phrase by phrase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from scripts.words import FOLDER, read_words

NAMES = sorted({path.name.split(".")[0] for path in FOLDER.glob("*.yaml")})


def phrases(words: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys with what stands there."""
    if isinstance(words, dict):
        for key, value in words.items():
            yield from phrases(value, f"{path}.{key}" if path else str(key))
    elif isinstance(words, list):
        yield path, "\n".join(words)
    else:
        yield path, words


def all_phrases(language: str, names: Sequence[str] = NAMES) -> dict[str, str]:
    """What stands in the words of these names, by "name: dotted.key"."""
    return {
        f"{name}: {key}": phrase
        for name in names
        for key, phrase in phrases(read_words(name, language))
    }
