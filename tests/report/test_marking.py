"""docs/marking.md: every mark is earned by something that is in the report, and not empty."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_run import LANGUAGES, SCORERS, FakeRun

from scripts.report.html_tree import Element, tree_of
from scripts.report.typst_markup import document
from scripts.words import read_words

ROOT = Path(__file__).parents[2]
MARKING = (ROOT / "docs" / "marking.md").read_text("utf-8")
LINES = re.findall(r"^- \[x\] (.*?)(?=^- |^$|\Z)", MARKING, re.M | re.DOTALL)
NAMED = {name for line in LINES for name in re.findall(r"`#([\w*-]+)`", line)}
# "A Appendix" has a number, "A second look" has none
SECTION = re.compile(r"§ (?:(\d[\d.]*|A(?:\.\d+)?(?= [A-Z])) )?([^`§]+?) `#([\w-]+)`")
KINDS = {"ensemble", "centring", "nnn", "inverted_softmax", "adapter", "fusion", "tuning"}
KINDS |= {"reranked"}
SAVINGS = {"cache", "texts", "blocks", "ties"}


@pytest.fixture(scope="module")
def whole_pages(tmp_path_factory) -> dict[str, str]:
    """Reports of a run that has something to say in every section."""
    strengths = {("tiny", "plain", scorer): 0.2 for scorer in ("cosine", *SCORERS)}
    strengths |= {("tiny", "ensemble", "cosine"): 0.3, ("tuned", "plain", "cosine"): 0.3}
    run = FakeRun(tmp_path_factory.mktemp("whole"), strengths, base="tiny").draw(examples=1)
    return {lang: run.report(lang) for lang in LANGUAGES}


@pytest.fixture(params=LANGUAGES)
def page(whole_pages, request) -> str:
    return whole_pages[request.param]


def sections(page: str) -> dict[str, tuple[str, str, str]]:
    """Number, title and content of every section, by its address."""
    pieces = re.split(
        r'<h[23] id="([^"]+)">(?:<span class="n">([^<]*)</span>)?([^<]*)</h[23]>', page
    )
    names, numbers, titles, contents = (pieces[place::4] for place in (1, 2, 3, 4))
    return dict(zip(names, zip(numbers, titles, contents, strict=True), strict=True))


def shown(page: str) -> dict[str, str]:
    """Every figure and table with its caption, by its address."""
    return dict(
        re.findall(r'<figure[^>]* id="((?:fig|tab)_[^"]+)">(.*?)</figure>', page, re.DOTALL)
    )


def named_as(name: str) -> str:
    """What the marking calls a section, figure or table of the report."""
    if name.startswith("fig_training-"):
        return "fig_training-*"
    # a table of several parts is named by its first one
    return re.sub(r"^(tab_study_\w+?)_\d+$", r"\1", name)


def plain(markup: str) -> str:
    return re.sub(r"<[^>]+>", "", markup).strip()


def test_all_that_the_marking_names_is_in_the_report_and_nothing_else_is(page):
    assert {named_as(name) for name in (*sections(page), *shown(page))} == NAMED


def test_sections_are_named_by_their_numbers_and_titles(whole_pages):
    there = sections(whole_pages["en"])
    told = SECTION.findall(re.sub(r"\s+", " ", MARKING))
    assert len(told) == len(there)
    for number, title, name in told:
        assert title == there[name][1]
        assert number in ("", there[name][0]), title


def test_no_section_figure_or_table_is_empty(page):
    found = sections(page)
    for name, (_, _, content) in found.items():
        inner = any(other.startswith(f"{name}-") for other in found)
        assert inner or len(plain(content)) > 40, name
    for name, content in shown(page).items():
        caption = re.search(r"<figcaption.*?</figcaption>", content, re.DOTALL)[0]
        assert len(plain(caption)) > 12, name
        if name.startswith("fig_"):
            assert content.count("<path") > 20, name
        else:
            cells = re.findall(r"<td[^>]*>(.*?)</td>", content, re.DOTALL)
            assert sum(bool(plain(cell)) for cell in cells) >= 2, name


def test_the_points_are_those_of_the_course_and_sum_to_100():
    points = [int(number) for number in re.findall(r"^## .*: (\d+) points$", MARKING, re.M)]
    assert points == [35, 25, 20, 10, 10] and sum(points) == 100
    assert len(re.findall(r"^## ", MARKING, re.M)) == len(points)


def test_every_line_says_where_it_is_met_and_has_a_gloss():
    assert len(LINES) > 20
    for line in LINES:
        assert re.search(r"`#|\]\(\.\./", line), line
        assert re.search(r"[\u4e00-\u9fff]{4}", line), line


def bold_in(node: Element) -> list[str]:
    return [one.text for one in node.all("strong")]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_own_optimisations_are_in_bold_on_the_page_and_on_paper(whole_pages, lang):
    words = read_words("report", lang)["optimisations"]
    titles = {words[kind]["title"] for kind in KINDS | SAVINGS}
    assert len(titles) == len(words) == len(KINDS | SAVINGS)
    tree = tree_of(whole_pages[lang])
    own = [node for node in tree.all("div") if "own" in node.classes]
    assert {bold_in(node)[0] for node in own} == titles
    # in bold, each begins its paragraph
    assert all(node.all("p")[0].text.startswith(bold_in(node)[0]) for node in own)
    markup = document(whole_pages[lang]).markup
    strong = re.findall(r"#strong\[((?:#\"(?:[^\"\\]|\\.)*\";?)+)\]", markup)
    said = {"".join(re.findall(r'#"((?:[^"\\]|\\.)*)"', one)) for one in strong}
    assert titles <= said
