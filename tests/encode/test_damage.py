"""Damaged captions: hit as often as asked, alike each time, never empty."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from scripts.encode.damage import KINDS, damage
from scripts.encode.encode_damaged import damaged_captions

NASTY = (
    "A dog .",
    "dog",
    "...",
    "¿",
    "I",
    "一只黑白相间的狗在雪地里奔跑，嘴里叼着木棍",
    "狗",
    "一只dog 跑",
    "  two\tdogs \n run  ",
    "e\u0301te\u0301 नमस्ते दुनिया",
    "a {} b {0} %s $x_1$",
    "ll ll ll ll",
)
STRENGTHS = (0.0, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0)


def sentences(count: int, shortest: int = 1, longest: int = 14) -> list[list[str]]:
    """Sentences of different words, so that a word tells its place."""
    lot = random.Random(4)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [
        [
            f"{letters[place]}{''.join(lot.sample(letters, lot.randint(2, 6)))}{place}"
            for place in range(lot.randint(shortest, longest))
        ]
        for _ in range(count)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("caption", NASTY)
def test_a_strength_of_zero_changes_nothing(kind, caption):
    assert damage(caption, kind, 0.0) == caption


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_no_caption_becomes_empty(kind, strength):
    for seed in range(20):
        for caption in NASTY:
            assert damage(caption, kind, strength, seed).strip()


def changed(words: list[str], text: str, kind: str) -> int:
    """How many words were hit, told from the outcome alone."""
    left = text.split()
    if kind == "drop":
        assert [word for word in words if word in left] == left, "what stays keeps its order"
        return len(words) - len(left)
    assert len(left) == len(words)
    if kind == "shuffle":
        assert sorted(left) == sorted(words)
    return sum(word != other for word, other in zip(words, left, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", STRENGTHS[1:-1])
def test_the_share_asked_for_is_hit(kind, strength):
    counts = []
    for words in sentences(1200, shortest=2):
        hit = changed(words, damage(" ".join(words), kind, strength), kind)
        share = strength * len(words)
        if kind == "drop" and share > len(words) - 1:
            assert hit >= len(words) - 2
            continue
        fewest, most = int(share), int(np.ceil(share - 1e-9))
        if kind == "shuffle" and share < 2:
            assert hit in (0, 2)
        else:
            assert fewest <= hit <= most
        counts.append((hit, share))
    hits, shares = np.array(counts).T
    # what is left to chance is one word, or two, for each caption
    assert abs((hits - shares).mean()) < 4 * 1.0 / np.sqrt(len(hits))


def test_at_full_strength_one_word_stays_and_every_word_moves_and_every_word_has_a_typo():
    for words in sentences(100, shortest=2):
        caption = " ".join(words)
        assert damage(caption, "drop", 1.0) in words
        assert changed(words, damage(caption, "shuffle", 1.0), "shuffle") == len(words)
        assert changed(words, damage(caption, "typos", 1.0), "typos") == len(words)


def test_a_caption_of_one_word_is_neither_dropped_nor_moved():
    for strength in STRENGTHS:
        assert damage("dog .", "drop", strength) == "dog ."
        assert damage("dog .", "shuffle", strength) == "dog ."


@pytest.mark.parametrize("kind", ["drop", "typos"])
def test_a_stronger_damage_hits_the_same_words_and_more(kind):
    for words in sentences(100, shortest=3):
        hit = []
        for strength in (0.1, 0.3, 0.6):
            left = damage(" ".join(words), kind, strength).split()
            hit.append({word for word in words if word not in left})
        assert hit[0] <= hit[1] <= hit[2]


def edits(word: str) -> set[str]:
    """Texts one swap, doubled, missing or other letter away, by brute force."""
    typed = "abcdefghijklmnopqrstuvwxyz0123456789"
    found = set()
    for place, letter in enumerate(word):
        found.add(word[:place] + letter + word[place:])
        found.add(word[:place] + word[place + 1 :])
        found |= {word[:place] + other + word[place + 1 :] for other in typed}
        found.add(word[:place] + word[place + 1 : place + 2] + letter + word[place + 2 :])
    return found - {word, ""}


def test_a_typo_is_one_letter_swapped_doubled_left_out_or_mistyped():
    seen = Counter()
    for words in sentences(300):
        typed = damage(" ".join(words), "typos", 1.0).split()
        for word, other in zip(words, typed, strict=True):
            assert other in edits(word)
            same = sorted(other) == sorted(word)
            seen["swapped" if same else len(other) - len(word)] += 1
    assert set(seen) == {"swapped", -1, 0, 1}
    assert min(seen.values()) > 0.1 * sum(seen.values())


def test_a_mistyped_letter_is_the_key_beside_it_and_stays_large_or_small():
    for seed in range(200):
        assert damage("G", "typos", 1.0, seed) in {"GG", *"FHTYVB"}
        assert damage("q", "typos", 1.0, seed) in {"qq", *"wa12"}
        assert damage("m", "typos", 1.0, seed) in {"mm", *"njk"}
        assert damage("é", "typos", 1.0, seed) == "éé"


def test_punctuation_is_no_word_and_stays_where_it_is():
    caption = "one , two , three ."
    for seed in range(50):
        shuffled = damage(caption, "shuffle", 1.0, seed).split()
        assert [shuffled[place] for place in (1, 3, 5)] == [",", ",", "."]
        assert sorted(shuffled[0::2]) == ["one", "three", "two"]
        assert damage(caption, "drop", 0.34, seed).count(",") == 2
        assert damage(caption, "typos", 1.0, seed).count(",") == 2


def test_a_text_without_spaces_is_damaged_by_characters():
    caption = "甲乙丙丁戊己庚辛，壬癸。"
    for seed in range(50):
        dropped = damage(caption, "drop", 0.5, seed)
        assert len(dropped) == len(caption) - 5
        assert "，" in dropped and "。" in dropped
        moved = damage(caption, "shuffle", 0.5, seed)
        assert sorted(moved) == sorted(caption)
        assert sum(a != b for a, b in zip(moved, caption, strict=True)) == 5
        assert damage(caption, "typos", 0.1, seed) != caption


def test_equal_captions_are_damaged_alike_whatever_stands_around_them():
    captions = ["a dog runs in snow", "two boats", "a dog runs in snow", "a man on a red bike"]
    variants, texts = damaged_captions(captions, list(KINDS), [0.2, 0.6], seed=3)
    assert [tuple(variant.values()) for variant in variants] == [
        (kind, strength) for kind in KINDS for strength in (0.2, 0.6)
    ]
    _, backwards = damaged_captions(captions[::-1], list(KINDS), [0.2, 0.6], seed=3)
    for start in range(0, len(texts), 4):
        part = texts[start : start + 4]
        assert part[0] == part[2]
        assert part == backwards[start : start + 4][::-1]


def test_another_seed_and_another_kind_hit_other_words():
    caption = "a brown dog with a red collar runs through the deep snow"
    assert len({damage(caption, "drop", 0.3, seed) for seed in range(10)}) > 5
    assert damage(caption, "drop", 0.3, 1) == damage(caption, "drop", 0.3, 1)


def test_the_damage_does_not_depend_on_pythons_own_hashing():
    told = "from scripts.encode.damage import damage; print(damage('a b c d e f g', 'shuffle', 1))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", told],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {damage("a b c d e f g", "shuffle", 1.0) + "\n"}
