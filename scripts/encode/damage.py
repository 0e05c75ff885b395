"""Captions with words left out, words moved, or typos, alike on every machine.

What happens to a caption is drawn from the caption itself, the kind of damage and a seed: equal
captions are damaged alike, whatever stands around them. The strength only says how much of what was
drawn is done, so that more drops and more typos hit the same words, and others as well.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable

from scripts.letters import UNSPACED

_PIECE = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")

_KEYBOARD = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")

Draw = Callable[[], float]


def damage(caption: str, kind: str, strength: float, seed: int = 0) -> str:
    """A caption with part of its words damaged; never an empty text.

    Parameters
    ----------
    caption : any text; a word is what stands between spaces and has a letter or a digit, or one
        Chinese or Japanese character
    kind : "drop" leaves words out, though never the last one; "shuffle" moves words to each
        other's places; "typos" swaps, doubles, leaves out or mistypes one letter of a word
    strength : share of the words that are hit, on average over captions: where it comes to a number
        that is not whole, the rest is the chance of one word more
    seed : another seed hits other words
    """
    # random() of a string seed is promised to stay as it is; choice and shuffle are not
    draw = random.Random(f"{seed}/{kind}/{caption}").random  # noqa: S311
    words = [piece.span() for piece in _PIECE.finditer(caption) if _letters(piece.group())]
    words.sort(key=lambda word: (draw(), word))
    return KINDS[kind](caption, words, strength * len(words), draw)


def _drop(caption: str, words: list[tuple[int, int]], share: float, draw: Draw) -> str:
    """Leave out the first ``share`` of ``words``, which stand in an order by lot."""
    hit = words[: max(0, min(_whole(share, draw()), len(words) - 1))]
    for start, stop in sorted(hit, reverse=True):
        caption = caption[:start] + caption[stop:]
    return " ".join(caption.split()) if hit else caption


def _shuffle(caption: str, words: list[tuple[int, int]], share: float, draw: Draw) -> str:
    """Give each of the first words the next one's place, the last one the first one's."""
    hit = words[: _enough_to_move(share, draw())]
    moved = {place: word for place, word in zip([*hit[1:], *hit[:1]], hit, strict=True)}
    text = caption
    for start, stop in sorted(hit, reverse=True):
        first, last = moved[start, stop]
        text = text[:start] + caption[first:last] + text[stop:]
    return text


def _typos(caption: str, words: list[tuple[int, int]], share: float, draw: Draw) -> str:
    """Mistype a letter in each of the first words."""
    hit = _whole(share, draw())
    spots = []
    for start, stop in words:
        letters = _letters(caption[start:stop])
        spots.append((start + letters[int(draw() * len(letters))], draw(), draw()))
    # from the back, so that no place moves that is still to come
    for place, which, key in sorted(spots[:hit], reverse=True):
        before, letter, after = caption[:place], caption[place], caption[place + 1 :]
        options = _mistyped(before, letter, after, key)
        caption = before + options[int(which * len(options))]
    return caption


KINDS = {"drop": _drop, "shuffle": _shuffle, "typos": _typos}


def _whole(share: float, chance: float) -> int:
    """``share`` rounded up or down, so that it is kept on average."""
    return math.floor(share + chance)


def _enough_to_move(share: float, chance: float) -> int:
    """As ``_whole``, but never one: a single word has no other's place to go to."""
    if share >= 2:
        return _whole(share, chance)
    return 2 if chance < share / 2 else 0


def _letters(text: str) -> list[int]:
    return [place for place, character in enumerate(text) if character.isalnum()]


def _mistyped(before: str, letter: str, after: str, key: float) -> list[str]:
    """What may become of a letter and of the text behind it, each another text than it was."""
    options = [letter * 2 + after]
    if after[:1].isalnum() or before[-1:].isalnum():
        options.append(after)
    if after[:1].isalnum() and after[0] != letter:
        options.append(after[0] + letter + after[1:])
    keys = _beside(letter.lower())
    if keys:
        typed = keys[int(key * len(keys))]
        options.append((typed.upper() if letter.isupper() else typed) + after)
    return options


def _beside(letter: str) -> str:
    """Keys that touch a letter's key; each row stands half a key further to the right."""
    for number, row in enumerate(_KEYBOARD):
        at = row.find(letter)
        if at >= 0:
            above = _KEYBOARD[number - 1] if number else ""
            below = _KEYBOARD[number + 1] if number + 1 < len(_KEYBOARD) else ""
            parts = [(row, at - 1), (row, at + 1), (above, at), (above, at + 1)]
            parts += [(below, at - 1), (below, at)]
            return "".join(line[place] for line, place in parts if 0 <= place < len(line))
    return ""
