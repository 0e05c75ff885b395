"""Words of captions, in languages with spaces between words and without."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Japanese kana, Chinese characters, Korean syllables: written without a space at each word's end
_DENSE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_LETTER = rf"[^\W{_DENSE}]"
_WORD = re.compile(rf"[{_DENSE}]|{_LETTER}+(?:['’-]{_LETTER}+)*")


def words_of(text: str) -> list[str]:
    """Words of a text in small letters; each Chinese, Japanese or Korean character is one."""
    return _WORD.findall(text.casefold())


def words_in(text: str) -> int:
    """Length of a text in words, as ``words_of`` counts them."""
    return len(words_of(text))


def pattern_of(words: Iterable[str]) -> re.Pattern[str]:
    """What finds any of ``words`` in a text, in any case.

    Words are found whole; those with Chinese, Japanese or Korean characters are found anywhere in a
    text, since no space tells where such a word ends. No words, no find.
    """
    parts, spaced = [], []
    for word in words:
        (parts if re.search(f"[{_DENSE}]", word) else spaced).append(re.escape(word))
    if spaced:  # one look to each side for all of them: five times as fast as one for each
        parts.append(rf"(?<!{_LETTER})(?:{'|'.join(spaced)})(?!{_LETTER})")
    return re.compile("|".join(parts) or "(?!)", re.IGNORECASE)
