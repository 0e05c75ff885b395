"""What a letter is in any script, where a line may end, and what can be shown."""

import re
from pathlib import Path

import pytest

from scripts.letters import (
    BOX,
    BREAK,
    CLOSING,
    DENSE,
    EAST_ASIAN,
    UNSPACED,
    WORD,
    drawable,
    printable,
    wide_in,
    wrap,
)

ROOT = Path(__file__).parents[1]
RARE = "𠮷"  # beyond the first 65,536 characters
TWICE = "\uf9fc"  # 識 a second time, kept for old Korean files


def letters_of(ranges: str, text: str) -> str:
    return "".join(re.findall(f"[{ranges}]", text))


@pytest.mark.parametrize(
    ("ranges", "found"),
    [
        (UNSPACED, f"狗{RARE}{TWICE}いヌ"),
        (DENSE, f"狗{RARE}{TWICE}いヌ개"),
        (EAST_ASIAN, f"狗{RARE}{TWICE}いヌ개，⺅︵Ａ"),
    ],
)
def test_sets_of_letters_differ_in_korean_and_in_what_is_no_letter(ranges, found):
    assert letters_of(ranges, f"aé狗{RARE}{TWICE}いヌ개，⺅︵Ａ3-…") == found


def test_no_other_module_says_what_an_east_asian_letter_is():
    ranges = re.compile(
        r"\\u(?:2e80|3[04]\d\d|4e00|9fff|ac00|d7a|f900)|[\u3000-\uffff]-[\u3000-\uffff]"
    )
    said = {
        path for path in (ROOT / "scripts").rglob("*.py") if ranges.search(path.read_text("utf-8"))
    }
    assert said == {ROOT / "scripts/letters.py"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a dog, well-made", ["a", "dog,", "well-made"]),
        ("一只dog，跑。", ["一", "只", "dog，", "跑。"]),
        (f"{RARE}野家", [RARE, "野", "家"]),
        ("개가 뛴다", list("개가뛴다")),
        (f"a/{BREAK}b--c", ["a/", "b--c"]),
        ("", []),
    ],
)
def test_a_line_ends_between_words_and_around_east_asian_letters(text, words):
    assert WORD.findall(text) == words


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a dog runs", ["a dog", "runs"]),
        ("  a  dog  ", ["a  dog"]),
        # the comma goes down with its letter
        ("一二三四五，六七", ["一二三四", "五，六七"]),
        ("hotdogs!", ["hotdog", "s!"]),
        ("", [""]),
    ],
)
def test_text_is_wrapped_within_its_width(text, lines):
    width = {"五": 2, "，": 2}
    assert wrap(text, 6, lambda line: sum(width.get(one, 1) for one in line)) == lines


@pytest.mark.parametrize(
    "text", ["a dog running on the grass " * 6, "一只狗，在草地上奔跑" * 9, "x" * 300, "a 狗 " * 40]
)
def test_lines_are_no_wider_than_asked_and_lose_nothing(text):
    lines = wrap(text, 13, len)
    assert all(len(line) <= 13 and line[0] not in CLOSING for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    three = wrap(text, 13, len, lines=3)
    assert three[:2] == lines[:2] and len(three) == 3
    assert three[2].endswith("…") and not three[2].endswith(" …") and len(three[2]) <= 13


def test_what_drives_a_terminal_is_told_in_letters():
    assert printable("a\x1b[2J\tb\n狗\ud800") == "a\\x1b[2J\\tb\n狗\\ud800"
    assert printable("a\nb\t", keep="\t") == "a\\nb\t"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tab\tand\nline", "tab and line"),
        ("e\u0301", "é"),
        ("\u200bzero\x07", "zero"),
        ("狗z\u0308", f"{BOX}z\u0308"),
    ],
)
def test_what_fonts_lack_becomes_a_box_and_what_shows_nothing_goes(text, shown):
    assert drawable(text, has=lambda character: character != "狗") == shown


def test_what_is_unseen_may_hold_accents_that_no_letter_takes_up():
    assert drawable("z\u0308", lambda character: True, unseen=("Mn",)) == "z"


def test_east_asian_letters_and_full_width_forms_are_wide():
    assert wide_in("a狗Ａ，é") == 3
