"""Words with markup and placeholders become spans, and nothing in a value is taken for markup."""

from __future__ import annotations

import pytest

from scripts.report.spans import spans_of, text_of

NASTY = "**no** *no* `no` $no$ {no} [@no] <b>no</b> & \\"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a **b** c", [("plain", "a "), ("strong", "b"), ("plain", " c")]),
        ("*a*`b`", [("emphasis", "a"), ("code", "b")]),
        ("see {fig_x} and [@clip]", [("plain", "see "), ("ref", "fig_x"), ("plain", " and "),
                                     ("cite", "clip")]),
        ("at $r <= K$.", [("plain", "at "), ("math", "r <= K"), ("plain", ".")]),
        ("第 **{n}** 名", [("plain", "第 "), ("strong", "7"), ("plain", " 名")]),
        ("is {n} of it", [("plain", "is 7 of it")]),
        ("a_b_c, 2 * 3 * 4", [("plain", "a_b_c, 2 * 3 * 4")]),
        (r"\*not\*", [("plain", "*not*")]),
    ],
)  # fmt: skip
def test_words_become_spans(words, expected):
    found = spans_of(words, {"n": "7"})
    assert [(span["kind"], span["text"]) for span in found] == expected


@pytest.mark.parametrize("words", ["{n}", "**{n}**", "`{n}`", "a {n} b"])
def test_a_value_stays_what_it_is_whatever_it_holds(words):
    found = spans_of(words, {"n": NASTY})
    assert NASTY in text_of(found)
    assert {span["kind"] for span in found} <= {"plain", "strong", "code"}


def test_a_value_may_be_spans_of_its_own():
    value = [{"kind": "plain", "text": "16.3%"}, {"kind": "interval", "text": "[15.1, 17.5]"}]
    found = spans_of("**{n}** it is", {"n": value})
    assert [span["kind"] for span in found] == ["strong", "interval", "plain"]


def test_a_placeholder_without_a_value_is_a_bug():
    with pytest.raises(KeyError):
        spans_of("{n}")
