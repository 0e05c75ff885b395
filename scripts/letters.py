"""Letters of any script: which are words of their own, where a line may end, what can be shown.

Each set stands here once, beside those that differ from it on purpose, as ranges for the inside of
a character class (``[...]``) of a regular expression.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

# Chinese characters: the common ones, those that Unicode has twice, and the rare ones
_CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# written without spaces: Chinese characters and Japanese kana, each taken as a word
UNSPACED = f"\u3040-\u30ff{_CHINESE}"
# those with Korean syllables. Spaces part Korean words, so that a word can be left out or moved;
# but they do not end them ("개가" is the dog, "개를" too), so that counting and finding go by
# syllables
DENSE = f"{UNSPACED}\uac00-\ud7a3"
# what is set in East Asian type, and what a line may break around: letters and their parts,
# punctuation, vertical and full-width forms
EAST_ASIAN = (
    "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"
)
# punctuation that must not open a line
CLOSING = "，。、；：？！）】》」』”’"

BREAK = "\u200b"  # a place where a line may end, of no width
# what parts words and is no character of them, beside the spaces that have a width of their own
SPACES = re.compile("[ \\t-\\r\\x1c-\\x1f\\x85\\u2028\\u2029]+")
# what no line breaks: an East Asian letter or a word, with the punctuation after it
WORD = re.compile(rf"(?:[{EAST_ASIAN}]|[^\s{EAST_ASIAN}{BREAK}]+)[{CLOSING}]*")
_WORD_OR_SPACE = re.compile(rf"{WORD.pattern}|\s+")

BOX = "\u25a1"  # for a character that no font has
# kinds of characters that show nothing: controls, marks of format, halves, private, unassigned
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn")


def wide_in(text: str) -> int:
    """How many characters of ``text`` are as wide as they are high, also in type of one width."""
    return sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def wrap(
    text: str, width: float, width_of: Callable[[str], float], lines: int | None = None
) -> list[str]:
    """Break ``text`` into at most ``lines`` lines that are no wider than ``width``.

    Breaks between words, between any two East Asian letters, and inside a word only where it is
    wider than a line. What does not fit ends in an ellipsis.

    Parameters
    ----------
    text : without line ends
    width, width_of : of a line; of a text on one line, in the same unit
    lines : None where there may be any number

    Returns
    -------
    one line at least, though it be empty
    """
    done: list[str] = []
    line = ""
    for piece in _WORD_OR_SPACE.findall(text):
        if width_of((line + piece).rstrip()) <= width:
            line += piece if line or piece.strip() else ""
            continue
        if line.strip():
            done.append(line.rstrip())
        line = ""
        for character in piece.lstrip():
            if line and width_of(line + character) > width:
                done.append(line)
                line = ""
            line += character
    if line.strip():
        done.append(line.rstrip())
    if lines is not None and len(done) > lines:
        last = done[lines - 1]
        while last and width_of(last + "…") > width:
            last = last[:-1]
        done = [*done[: lines - 1], last.rstrip() + "…"]
    return done or [""]


def printable(text: str, keep: str = "\n") -> str:
    """``text`` with escapes for what no terminal or UTF-8 file should get, but for ``keep``.

    A name from elsewhere may hold bytes that are no text, or codes that drive a terminal.
    """
    odd = {c for c in text if c not in keep and unicodedata.category(c) in ("Cc", "Cs")}
    return text.translate({ord(c): repr(c)[1:-1] for c in odd})


def drawable(text: str, has: Callable[[str], bool], unseen: tuple[str, ...] = UNSEEN) -> str:
    """``text`` with a box for each character that fonts lack.

    Line ends and tabs become spaces, and what is ``unseen`` is dropped. Composed first, so that a
    letter and its accent are one character where such a character exists.

    Parameters
    ----------
    text : on as many lines as it may have
    has : whether the fonts have a character
    unseen : categories of Unicode
    """
    if text.isascii() and text.isprintable():
        return text
    shown = []
    for character in unicodedata.normalize("NFC", text):
        if SPACES.fullmatch(character):
            shown.append(" ")
        elif unicodedata.category(character) not in unseen:
            shown.append(character if has(character) else BOX)
    return "".join(shown)
