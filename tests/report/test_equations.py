"""Equations as MathML: each in its place, spoken, and none that a screen would show in part."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from scripts.job import BadInput
from scripts.report import blocks
from scripts.report.equations import equations_of, mathml
from scripts.report.spans import spans_of

RECALL = 'upright("Recall@")K = 1 / abs(Q) sum_(q in Q) bb(1)[r_q <= K]'


def test_every_equation_is_mathml_in_its_place_and_spoken():
    spoken = {(RECALL, True): "share of <queries>", ("K", False): "K", ("K", True): "K, alone"}
    found, sheet = mathml(spoken, "document.json")
    trees = {key: ElementTree.fromstring(element) for key, element in found.items()}
    assert {key: tree.get("alttext") for key, tree in trees.items()} == spoken
    assert [tree.get("display") for tree in trees.values()] == ["block", None, "block"]
    assert trees["K", False].find("mi").text == "K"
    names = {element.tag for element in trees[RECALL, True].iter()}
    assert {"mfrac", "munder", "msub"} <= names
    assert "mfrac" in sheet and "<" not in sheet


def test_only_brackets_around_what_is_high_grow():
    high = ("log (1 / 2 sum_(b in B) exp(beta s(b, g_i)))", True)
    (element,) = mathml({high: "?"}, "document.json")[0].values()
    fixed = [
        one.get("stretchy") for one in ElementTree.fromstring(element).iter("mo")
        if one.text == "("
    ]  # fmt: skip
    assert fixed == [None, None, "false"]


def test_equations_within_text_count_as_those_apart():
    document = {
        "blocks": [
            blocks.box("own", "own", "", [blocks.paragraph(spans_of("with $r_q$ of $r_q$"))]),
            blocks.equation("eq_one", "u = v", "u is v"),
        ]
    }
    assert equations_of(document) == {("r_q", False): "r_q", ("u = v", True): "u is v"}


def test_a_document_without_equations_needs_nothing():
    assert mathml({}, "document.json") == ({}, "")


def test_text_within_an_equation_is_no_markup():
    found, _ = mathml({('"<b>&"', True): '"><script>'}, "document.json")
    tree = ElementTree.fromstring(found['"<b>&"', True])
    assert (tree.find("mtext").text, tree.get("alttext")) == ("<b>&", '"><script>')


@pytest.mark.parametrize("wrong", ["x_", "nosuchthing", "overline(v)"])
def test_an_equation_that_cannot_be_shown_whole_is_named(wrong: str):
    with pytest.raises(BadInput) as error:
        mathml({("K", True): "K", (wrong, True): "?"}, "document.en.json")
    assert repr(wrong) in str(error.value) and "document.en.json" in str(error.value)
