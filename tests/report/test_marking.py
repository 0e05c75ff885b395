"""docs/marking.md: every mark is earned by something that is in the report, and not empty."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_run import LANGUAGES, SCORERS, FakeRun
from paper import POPPLER, run_poppler, squeezed
from told import Told

from scripts.report.blocks import spans_in
from scripts.report.page import render
from scripts.report.paper import pdf
from scripts.report.spans import text_of
from scripts.words import read_words

ROOT = Path(__file__).parents[2]
MARKING = (ROOT / "docs" / "marking.md").read_text("utf-8")
LINES = re.findall(r"^- \[x\] (.*?)(?=^- |^$|\Z)", MARKING, re.M | re.DOTALL)
NAMED = {name for line in LINES for name in re.findall(r"`#([\w*-]+)`", line)}
# "A Definitions" has a number, "A second look" has none
SECTION = re.compile(r"§ (?:(\d[\d.]*|[AB](?:\.\d+)?(?= [A-Z])) )?([^`§]+?) `#([\w-]+)`")
KINDS = {"ensemble", "centring", "nnn", "inverted_softmax", "adapter", "fusion", "tuning"}
KINDS |= {"reranked"}
SAVINGS = {"unshift", "cache", "texts", "blocks"}
# what the marking names together, by how their names begin or end
TOGETHER = (
    (r"^fig_training-.*", "fig_training-*"),
    (r"^(gallery|own|answer|eq)([_-]).*", r"\1\2*"),
    # a table of several parts is named by its first one
    (r"^(tab_study_\w+?)_\d+$", r"\1"),
)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory) -> FakeRun:
    """A run that has something to say in every section."""
    strengths = {("tiny", "plain", scorer): 0.2 for scorer in ("cosine", *SCORERS)}
    strengths |= {("tiny", "ensemble", "cosine"): 0.3, ("tuned", "plain", "cosine"): 0.3}
    return FakeRun(tmp_path_factory.mktemp("whole"), strengths, base="tiny").sketch()


@pytest.fixture(scope="module")
def whole(whole_run) -> dict[str, Told]:
    """Its reports."""
    return {lang: Told(whole_run.document(lang)) for lang in LANGUAGES}


@pytest.fixture(params=LANGUAGES)
def told(whole, request) -> Told:
    return whole[request.param]


def named_as(name: str) -> str:
    """What the marking calls a part of the report."""
    for own, together in TOGETHER:
        name = re.sub(own, together, name)
    return name


def test_all_that_the_marking_names_is_in_the_report_and_nothing_else_is(told: Told):
    assert {named_as(block["id"]) for block in told.blocks if "id" in block} == NAMED


def test_sections_are_named_by_their_numbers_and_titles(whole):
    told = whole["en"]
    there = {one["id"]: (one["number"], text_of(one["spans"])) for one in told.all("heading")}
    there |= {one["id"]: ("", one["title"]) for one in told.all("box") if one["title"]}
    found = SECTION.findall(re.sub(r"\s+", " ", MARKING))
    assert len(found) == len(there)
    for number, title, name in found:
        assert title == there[name][1]
        assert number in ("", there[name][0]), title


def test_no_part_of_the_report_is_empty(told: Told):
    for one in told.all("heading"):
        section = told.section(one["id"])
        assert len(section.text) > 40 or section.all("references"), one["id"]
    for one in told.all("box"):
        assert len(told.block(one["id"]).text) > 40, one["id"]
    for one in (*told.all("figure"), *told.all("table"), *told.all("gallery")):
        assert len(text_of(one["caption"])) > 8, one["id"]
    for one in told.all("table"):
        assert sum(bool(cell) for cell in told.block(one["id"]).cells) >= 2, one["id"]
    for one in told.all("gallery"):
        assert one["queries"] and all(query["items"] for query in one["queries"]), one["id"]


def test_no_drawing_is_empty(fake_run: FakeRun, documents):
    for document in documents.values():
        for one in Told(document).all("figure"):
            drawing = (fake_run.results / one["file"]).read_text("utf-8")
            assert drawing.count("<path") > 20, one["id"]


def test_the_points_are_those_of_the_course_and_sum_to_100():
    points = [int(number) for number in re.findall(r"^## .*: (\d+) points$", MARKING, re.M)]
    assert points == [35, 25, 20, 10, 10] and sum(points) == 100
    assert len(re.findall(r"^## ", MARKING, re.M)) == len(points)


def test_every_line_says_where_it_is_met_has_a_gloss_and_what_is_lacking():
    assert len(LINES) > 20
    for line in LINES:
        assert re.search(r"`#|\]\(\.\./", line), line
        assert re.search(r"[\u4e00-\u9fff]{4}", line), line
        lacking = re.search(r"\*Still off:\*\s(.+)\.\n", line, re.DOTALL)
        assert lacking and 10 < len(lacking[1]) < 120, line


@POPPLER
@pytest.mark.parametrize("lang", LANGUAGES)
def test_own_optimisations_are_in_bold_on_the_page_and_on_paper(whole_run, whole, lang):
    words = read_words("report", lang)["optimisations"]
    assert set(words) == KINDS | SAVINGS
    own = [one for one in whole[lang].all("box") if one["role"] == "own"]
    # in bold, each begins its paragraph
    first = [one["blocks"][0]["spans"][0] for one in own]
    assert {one["kind"] for one in first} == {"strong"}
    titles = {one["text"] for one in first}
    # the name of each with what the configuration calls it, before its stop
    for one, box in zip(first, own, strict=True):
        kind = box["id"].removeprefix("own-")
        name = words[kind].get("name")
        keyed = rf"{name} ?[(（][\w+, 、-]+[)）][.。]"
        assert re.fullmatch(keyed, one["text"]) if name else one["text"] == words[kind]["title"]
    # no prompt of this run loses by a shift
    assert len(titles) == len(words) - 1
    named = {one["to"] for one in spans_in(own) if one["kind"] == "ref"}
    tables = [one for one in whole[lang].all("table") if one["id"] in named]
    cited = whole[lang].section("references").document["blocks"]
    document = {**whole[lang].document, "blocks": [*own, *tables, *cited]}
    shown = (document, [], whole_run.data / "images", "document.json")
    assert titles <= set(re.findall(r"<strong>(.*?)</strong>", render(*shown)))
    fonts = run_poppler("pdftohtml", pdf(*shown), "-xml", "-i", "-stdout")
    bold = squeezed("".join(re.findall(r"<b>(.*?)</b>", fonts)))
    assert {title for title in titles if squeezed(title) not in bold} == set()
