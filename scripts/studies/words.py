"""Words of captions, in languages with spaces between words and without."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from scripts.letters import DENSE

_LETTER = rf"[^\W{DENSE}]"
_WORD = re.compile(rf"[{DENSE}]|{_LETTER}+(?:['’-]{_LETTER}+)*")
# words that tell nothing of what an image shows; numbers and places are told, and not among them
_EMPTY = frozenset(
    _WORD.findall(
        "a an the this that these those there here it its they them their he him his she her hers "
        "who which what something someone be is are was were been being am has have had having do "
        "does did can could will would may might and or but as if so not no than then too very "
        "just also only of to in on at by for from with into onto upon while s t some any other "
        "another each both image picture photo photograph scene "
        "的了着过地得在是有和与及或并而且也都就这那之其他她它们被把让给对从向于以为一个只条张位名件些"
    )
)
# endings of English words that are the same word in another form
_ENDING = re.compile(r"(?<=[a-z]{3})(?:ings|ing|ed|es|s)$")


def words_of(text: str) -> list[str]:
    """Words of a text in small letters; each Chinese, Japanese or Korean character is one."""
    return _WORD.findall(text.casefold())


def words_in(text: str) -> int:
    """Length of a text in words, as ``words_of`` counts them."""
    return len(words_of(text))


def _root(word: str) -> str:
    """A word in a form that "run", "runs" and "running", "baby" and "babies" share."""
    root = _ENDING.sub("", re.sub(r"['’]s?$", "", word)).rstrip("e")
    root = re.sub(r"([a-z])\1$", r"\1", root)
    return re.sub(r"i$", "y", root) or word


@functools.lru_cache(2**16)
def _roots(word: str) -> frozenset[str]:
    """Roots of what a word is made of: "black-and-white" says "black", too."""
    return frozenset(_root(part) for part in re.split("-", word) if part not in _EMPTY)


def unsaid(text: str, captions: Iterable[str]) -> list[str]:
    """The words of ``text`` that tell what an image shows, and that none of ``captions`` says.

    A word in another form ("dogs" for "dog") is said. Chinese, Japanese and Korean characters that
    stand side by side, none of them said, are one word.

    Returns
    -------
    words as ``text`` has them, each once
    """
    said = _said(captions)
    spans: list[tuple[int, int]] = []
    for match in _WORD.finditer(text):
        if _roots(match[0].casefold()) <= said:
            continue
        start, stop = match.span()
        if spans and spans[-1][1] == start and re.match(f"[{DENSE}]{{2}}", text[start - 1 : stop]):
            start = spans.pop()[0]
        spans.append((start, stop))
    words: dict[str, str] = {}
    for start, stop in spans:
        words.setdefault(text[start:stop].casefold(), text[start:stop])
    return list(words.values())


def shared(text: str, captions: Iterable[str]) -> list[str]:
    """The words of ``text`` that tell what an image shows, and that ``captions`` say, too.

    As ``unsaid`` has its words: as ``text`` has them, each once, and any form of a word is it;
    characters of Chinese, Japanese or Korean stand alone.
    """
    said = _said(captions)
    words: dict[str, str] = {}
    for match in _WORD.finditer(text):
        roots = _roots(match[0].casefold())
        if roots and roots <= said:
            words.setdefault(match[0].casefold(), match[0])
    return list(words.values())


def share_said(text: str, captions: Iterable[str]) -> float:
    """Of the words of ``text`` that tell what an image shows, the share that ``captions`` say, too.

    Words are compared as by ``unsaid``; each Chinese, Japanese or Korean character is one. NaN for
    a text that has none.
    """
    said = _said(captions)
    telling = [roots for word in words_of(text) if (roots := _roots(word))]
    return sum(roots <= said for roots in telling) / len(telling) if telling else float("nan")


def _said(captions: Iterable[str]) -> set[str]:
    """Roots of all words of some captions."""
    return {root for caption in captions for word in words_of(caption) for root in _roots(word)}


def pattern_of(words: Iterable[str]) -> re.Pattern[str]:
    """What finds any of ``words`` in a text, in any case.

    Words are found whole; those with Chinese, Japanese or Korean characters are found anywhere in a
    text, since no space tells where such a word ends. No words, no find.
    """
    parts: list[str] = []
    spaced: list[str] = []
    for word in words:
        (parts if re.search(f"[{DENSE}]", word) else spaced).append(re.escape(word))
    if spaced:  # one look to each side for all of them: five times as fast as one for each
        parts.append(rf"(?<!{_LETTER})(?:{'|'.join(spaced)})(?!{_LETTER})")
    return re.compile("|".join(parts) or "(?!)", re.IGNORECASE)


def split_at(text: str, words: Iterable[str]) -> list[tuple[str, bool]]:
    """``text`` in pieces, each with whether ``pattern_of`` finds it as one of ``words``."""
    pieces, done = [], 0
    for match in pattern_of(words).finditer(text):
        pieces += [(text[done : match.start()], False), (match[0], True)]
        done = match.end()
    pieces.append((text[done:], False))
    return [piece for piece in pieces if piece[0]]
