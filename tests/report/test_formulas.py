"""Words are in the Markdown of spans, and their formulas and the equations are maths of Typst."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typst
import yaml
from phrases import all_phrases

from scripts.report.blocks import Spans
from scripts.report.spans import spans_of
from scripts.words import LANGUAGES

# words that become spans; those of figures and labels are shown as they are
MARKED = ("report", "measures")
EQUATIONS = yaml.safe_load(
    (Path(__file__).parents[2] / "scripts/report/equations.yaml").read_text("utf-8")
)
WORDS = {language: all_phrases(language, MARKED) for language in LANGUAGES}


def spans_in(phrase: str) -> Spans:
    return spans_of(phrase, dict.fromkeys(re.findall(r"\{(\w+)\}", phrase), "value"))


def formulas_in(phrase: str) -> list[str]:
    return [span["text"] for span in spans_in(phrase) if span["kind"] == "math"]


def unread(phrase: str) -> list[str]:
    """What was meant as markup and is none, and formulas that Markdown took for its own."""
    shown = [span["text"] for span in spans_in(phrase) if span["kind"] not in ("math", "cite")]
    left = [found for text in shown for found in re.findall(r"[*`$\\]|\[@|</?\w+>|&\w+;", text)]
    whole = formulas_in(phrase)
    return left + [one for one in re.findall(r"\$([^$]+)\$", phrase) if one not in whole]


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_markup_of_the_words_is_read(language):
    assert {key: unread(phrase) for key, phrase in WORDS[language].items() if unread(phrase)} == {}


@pytest.mark.parametrize(
    ("phrase", "left"),
    [
        ("<i>x</i>", ["<i>", "</i>"]),
        ("**至少一个。**其余", ["*", "*", "*", "*"]),
        ("$a) _b$ and $c_ (d$", ["$", "$", "a) _b", "c_ (d"]),
    ],
)
def test_markup_that_is_not_read_is_seen(phrase, left):
    assert unread(phrase) == left


def test_a_formula_is_the_same_in_both_languages():
    english, chinese = (WORDS[language] for language in LANGUAGES)
    for key in english.keys() & chinese.keys():
        assert set(formulas_in(english[key])) == set(formulas_in(chinese[key])), key


def test_an_equation_is_told_in_words_in_both_languages():
    for key, equation in EQUATIONS.items():
        assert equation.keys() == {"typst", "alt"}, key
        assert equation["alt"].keys() == set(LANGUAGES), key
        assert all(told.strip() for told in equation["alt"].values()), key


@pytest.mark.parametrize("form", ["pdf", "html"])
def test_typst_sets_every_formula_and_equation(form):
    inline = {
        one for words in WORDS.values() for text in words.values() for one in formulas_in(text)
    }
    lines = [
        *(f"${one}$" for one in sorted(inline)),
        *(f"$ {one['typst']} $" for one in EQUATIONS.values()),
    ]
    made, warnings = typst.compile_with_warnings(
        "\n\n".join(lines).encode(),
        font_paths=typst.Fonts(include_system_fonts=False),
        format=form,
    )
    # of HTML Typst always says that it is young
    assert [one.message for one in warnings if "under active development" not in one.message] == []
    assert form == "pdf" or made.count(b"<math") == len(lines) > 50
