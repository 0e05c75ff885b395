"""What the report cites stands in its list of references, and what stands there is cited."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from phrases import all_phrases

from scripts.words import LANGUAGES

WORKS = yaml.safe_load(
    (Path(__file__).parents[2] / "scripts/report/references.yaml").read_text("utf-8")
)
CITED = re.compile(r"\[@([\w-]+)\]")
# a year after a name, in brackets or after a comma, as in "(Holm, 1979)" and "Holm（1979）"
NAMED = re.compile(r"\w\.?\s?[,，(（]\s?(?:1[89]|20)\d\d(?=[)）;；,，])")


def test_every_work_is_cited_and_every_citation_is_a_work():
    cited = {key for text in all_phrases("en").values() for key in CITED.findall(text)}
    assert cited == WORKS.keys()


def test_both_languages_cite_the_same_works_in_the_same_phrase():
    english, chinese = (all_phrases(language) for language in LANGUAGES)
    for key in english.keys() & chinese.keys():
        assert sorted(CITED.findall(english[key])) == sorted(CITED.findall(chinese[key])), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_work_is_named_by_its_year_alone(language):
    found = {key: NAMED.findall(text) for key, text in all_phrases(language).items()}
    assert {key: named for key, named in found.items() if named} == {}


@pytest.mark.parametrize(
    "text",
    ["(Holm, 1979)", "Liang et al., 2022)", "Pearson (1934) has", "Fisher, 1935; Allan, 2007",
     "（Hessel 等，2021）", "Pearson（1934）的", "Khosla 等，2020；"],
)  # fmt: skip
def test_a_name_with_a_year_is_seen(text):
    assert NAMED.search(text)


@pytest.mark.parametrize("key", WORKS)
def test_a_work_has_authors_a_year_a_title_a_place_and_an_address(key):
    work = WORKS[key]
    assert work.keys() - {"doi", "url"} == {"authors", "year", "title", "where"}
    assert work["authors"] and all(isinstance(name, str) for name in work["authors"])
    assert key.endswith(str(work["year"])) and isinstance(work["year"], int)
    # one address: a DOI where there is one, as it stands after https://doi.org/
    assert len(work.keys() & {"doi", "url"}) == 1
    assert re.fullmatch(r"10\.\d{4,9}/\S+|https://\S+", work.get("doi") or work["url"])
