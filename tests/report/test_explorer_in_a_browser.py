"""What a reader can do with the explorer, in a real browser."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from browser import browser
from explorers import CHINESE, MARKUP, SCRIPT, TOP, WARNINGS, Reader, block, unpacked

from scripts.evaluate.runs import images_of_queries
from scripts.measures import METRICS
from scripts.protocol import DIRECTIONS
from scripts.words.warned import sentences


def minus(number: float) -> str:
    return f"{number:.4f}".replace("-", "−")


def of_outcome(ranks: np.ndarray, low: int, high: float) -> list[int]:
    return np.flatnonzero((ranks >= low) & (ranks <= high)).tolist()


def test_it_opens_from_disk_and_shows_all_queries_and_the_first(reader, explored, explorer_page):
    reader.open(explorer_page)
    count = len(explored.rows.captions)
    assert reader.order() == list(range(count))
    assert reader.text("#count") == f"{count} of {count} queries"
    assert reader.chosen == 0
    assert reader.text("#detail h2") == MARKUP


def test_warnings_open_at_the_top_in_the_language_of_the_page(reader, explorer_page):
    reader.open(explorer_page, "#lang=en")
    assert reader.text("#warnings summary") == "Warnings (2)"
    reader.js("document.querySelector('#warnings summary').click()")
    shown = "return [...document.querySelectorAll('#warnings li')].map((one) => one.innerText)"
    assert reader.js(shown) == sentences(WARNINGS, "en")
    reader.js("document.getElementById('language').click()")
    assert reader.text("#warnings summary") == "提醒（2）"
    assert reader.js(shown) == sentences(WARNINGS, "zh")


@pytest.mark.parametrize("way", DIRECTIONS)
def test_the_numbers_shown_are_those_of_the_rankings(reader, explored, explorer_page, way):
    run, rows = explored.run(1), explored.rows
    lot = np.random.default_rng(3)
    for query in lot.permutation(len(run.ranks[way]))[:8]:
        reader.open(explorer_page, f"#way={way}&query={query}&run=tiny/photo/cosine")
        gallery = rows.images if way == "text_to_image" else rows.captions
        assert reader.text(".chip") == f"Rank {run.ranks[way][query]} of {len(gallery)}"
        image = images_of_queries(way, rows)[query]
        of = np.arange(len(rows.images)) if way == "text_to_image" else rows.image_of_caption
        expected = [
            (int(item), str(place), minus(round(float(score), 4)), bool(of[item] == image))
            for place, (item, score) in enumerate(
                zip(run.tops[way][query], run.scores[way][query], strict=True), start=1
            )
        ]
        shown = reader.results()
        assert shown[: len(expected)] == expected
        beyond = shown[len(expected) :]
        # each right answer stands once: in the list, or below it with its rank
        listed = [one[0] for one in expected if one[3]]
        assert sorted(listed + [one[0] for one in beyond]) == np.flatnonzero(of == image).tolist()
        ranks = run.ranks[way] if way == "text_to_image" else run.caption_ranks
        for item, place, score, right in beyond:
            answer = query if way == "text_to_image" else item
            assert place == f"rank {ranks[answer]}" and right
            assert score == (
                minus(round(float(run.right_score[query]), 4)) if way == "text_to_image" else ""
            )


def test_the_search_finds_words_in_any_order_and_case_and_shows_what_it_found(
    reader, explored, explorer_page
):
    reader.open(explorer_page)
    reader.set("find", "SNOW Dog")
    expected = [q for q, t in enumerate(explored.rows.captions) if "snow" in t and "dog" in t]
    assert reader.order() == expected and len(expected) > 1
    reader.set("find", "no such words")
    assert reader.order() == []
    assert reader.text("#count") == "No query fits these filters."


def test_the_search_finds_chinese_captions_and_images_by_their_captions(
    reader, explored, explorer_page
):
    reader.open(explorer_page)
    reader.set("find", "雪地 狗")
    assert reader.order() == [explored.rows.captions.index(CHINESE)]
    reader.open(explorer_page, "#way=image_to_text")
    reader.set("find", "黑白")
    assert reader.order() == [2]


def test_filters_leave_what_they_say(reader, explored, explorer_page):
    ranks = explored.run().ranks["text_to_image"]
    reader.open(explorer_page)
    counts = [
        int(button.text.split()[-1])
        for button in reader.driver.find_elements("css selector", "#outcomes button")
    ]
    bounds = [(1, 1), (2, 5), (6, 10), (11, np.inf)]
    assert counts == [len(of_outcome(ranks, *one)) for one in bounds]
    assert sum(counts) == len(ranks)

    reader.click("#outcomes .first")
    assert reader.order() == of_outcome(ranks, 1, 1)
    reader.click("#outcomes .top5")
    assert reader.order() == of_outcome(ranks, 1, 5)
    reader.click("#clear")
    assert len(reader.order()) == len(ranks)

    reader.set("rank-from", "3")
    reader.set("rank-to", "7")
    assert reader.order() == of_outcome(ranks, 3, 7)
    reader.click("#clear")

    lengths = np.array(json.loads(block(explorer_page, "held"))["words"])
    reader.set("words-from", "7")
    assert reader.order() == np.flatnonzero(lengths >= 7).tolist()
    reader.click("#clear")

    reader.set("kind", "colour")
    expected = [q for q in np.flatnonzero(ranks > 1).tolist() if q % 3 == 1]
    assert reader.order() == expected
    assert f"({len(expected)})" in reader.text("#kind option:checked")
    assert "another colour" in reader.text(".why")
    assert "<b>red</b>" in reader.text(".why")

    reader.set("category", "horses")
    horses = [q for q in expected if "horse" in explored.rows.captions[q]]
    assert reader.order() == horses
    assert reader.text("#filters-name") == "Filters (2)"


def test_why_a_query_failed_is_told_of_the_runs_that_were_looked_at(reader, explorer_page):
    reader.open(explorer_page)
    assert reader.driver.find_element("id", "kind").is_enabled()
    reader.set("a", "1")
    assert not reader.driver.find_element("id", "kind").is_enabled()


@pytest.mark.parametrize("way", DIRECTIONS)
@pytest.mark.parametrize("sort", ["rank", "margin", "score"])
def test_sorting_puts_queries_in_order_and_equal_ones_in_that_of_the_dataset(
    reader, explored, explorer_page, sort, way
):
    run = explored.run()
    keys = {
        "rank": run.ranks[way],
        "margin": np.array(unpacked(explorer_page, 0)[way]["margin"]),
        "score": np.round(run.scores[way][:, 0].astype(float), 4),
    }[sort]
    reader.open(explorer_page, f"#way={way}")
    reader.set("sort", sort)
    assert reader.order() == np.argsort(keys, kind="stable").tolist()
    reader.click("#down")
    assert reader.order() == np.argsort(-keys, kind="stable").tolist()


def test_two_runs_stand_side_by_side_and_their_differences_can_be_filtered(
    reader, explored, explorer_page
):
    first, second = (explored.run(number).ranks["text_to_image"] for number in (0, 2))
    reader.open(explorer_page)
    assert not reader.driver.find_element("id", "duel").is_displayed()
    reader.set("b", "2")
    headings = [one.text for one in reader.driver.find_elements("css selector", ".of-run h3")]
    assert headings == ["Atiny · plain · cosine", "Blarge · plain · cosine"]
    tests = {
        "first_a": (first == 1) & (second > 1),
        "first_b": (second == 1) & (first > 1),
        "better_a": first < second,
        "better_b": second < first,
        "first_neither": (first > 1) & (second > 1),
    }
    for name, fits in tests.items():
        reader.set("duel", name)
        assert reader.order() == np.flatnonzero(fits).tolist()
    reader.click("#clear")
    reader.set("sort", "change")
    assert reader.order() == np.argsort(second - first, kind="stable").tolist()
    query = reader.chosen
    badges = [
        one.text for one in reader.driver.find_elements("css selector", f"#query-{query} .badge")
    ]
    assert badges == [str(first[query]), str(second[query])]
    gain = first[query] - second[query]
    assert gain > 1 and f"{gain} places better than A" in reader.text(".of-run:last-child")
    assert [item for item, *_ in reader.results(1)][:TOP] == explored.run(2).tops["text_to_image"][
        query
    ].tolist()


def test_the_page_can_be_used_by_keys_alone(reader, explored, explorer_page):
    from selenium.webdriver import Keys

    reader.open(explorer_page)
    active = "return document.activeElement.id"
    reader.press("j", "j", "k")
    assert reader.chosen == 1
    reader.press("/", "d", "o", "g")
    assert reader.js(active) == "find" and reader.js("return document.activeElement.value") == "dog"
    dogs = [q for q, text in enumerate(explored.rows.captions) if "dog" in text]
    assert reader.order() == dogs
    reader.press(Keys.ARROW_DOWN)
    assert reader.js(active) == "list"
    reader.press(Keys.ARROW_DOWN)
    assert reader.chosen == dogs[1]
    assert reader.js(
        "return document.getElementById('list').getAttribute('aria-activedescendant')"
    ) == (f"query-{dogs[1]}")
    reader.press(Keys.END)
    assert reader.chosen == dogs[-1]
    reader.press(Keys.HOME, Keys.PAGE_DOWN, Keys.PAGE_UP)
    assert reader.chosen == dogs[0]
    reader.press(Keys.ENTER)
    assert reader.js(active) == "detail"
    reader.press(Keys.ESCAPE)
    assert reader.js(active) == "list"
    reader.press("c")
    assert len(reader.driver.find_elements("css selector", ".of-run")) == 2
    reader.press("c")
    assert len(reader.driver.find_elements("css selector", ".of-run")) == 1
    reader.press("/", Keys.ESCAPE)
    assert len(reader.order()) == len(explored.rows.captions)
    reader.press(Keys.ESCAPE, "d")
    assert len(reader.order()) == len(explored.rows.images)
    reader.press("?")
    assert reader.driver.find_element("id", "help").is_displayed()
    reader.press(Keys.ESCAPE)
    assert not reader.driver.find_element("id", "help").is_displayed()


def test_focus_can_be_seen(reader, explorer_page):
    from selenium.webdriver import Keys

    reader.open(explorer_page)
    seen = set()
    for _ in range(30):
        reader.press(Keys.TAB)
        style, name = reader.js(
            "const one = document.activeElement;"
            # a radio button shows its focus on its label's text
            "const drawn = one.type === 'radio' ? one.nextElementSibling : one;"
            "return [getComputedStyle(drawn).outlineStyle, one.id || one.tagName]"
        )
        if name == "BODY":
            break
        assert style != "none", name
        seen.add(name)
    assert {"a", "b", "find", "kind", "sort", "list", "ask-help"} <= seen


def test_the_measures_of_both_runs_stand_side_by_side(reader, explored, explorer_page):
    reader.open(
        explorer_page, "#way=image_to_text&run=tiny/plain/cosine&with=large/plain/cosine&lang=zh"
    )
    reader.click("#measures summary")
    assert reader.text("#measures summary") == "各项指标与 95% 区间"
    told = reader.js(
        "return [...document.querySelectorAll('#measures tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent.replace('\\u00a0', ' ')))"
    )
    held = json.loads(block(explorer_page, "held"))
    one, _, other = (run["measures"]["image_to_text"] for run in held["runs"])
    assert told[:2] == [["实验", "A", "B"], ["R@1 (%)", one["recall@1"], other["recall@1"]]]
    assert [row[0] for row in told[4:6]] == ["名次中位数", "平均名次"]
    assert len(told) == 1 + len(METRICS)
    reader.open(explorer_page)
    reader.click("#measures summary")
    own = held["runs"][0]["measures"]["text_to_image"]
    assert reader.text("#measures tr:last-child") == f"rsum {own['rsum']}"


def test_a_link_shows_the_same_view_to_another_reader(reader, explorer_page):
    reader.open(explorer_page)
    reader.set("b", "2")
    reader.set("find", "a")
    reader.click("#outcomes .top5")
    reader.click("#outcomes .beyond")
    reader.set("rank-to", "25")
    reader.set("words-from", "3")
    reader.set("duel", "better_b")
    reader.set("sort", "margin")
    reader.click("#down")
    reader.click("#language")
    reader.press("j", "j")

    def each(selector: str, value: str) -> list[str]:
        return reader.js(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one[arguments[1]])",
            *(selector, value),
        )

    def view() -> list[Any]:
        return [
            reader.order(), reader.chosen, reader.text("#detail"), reader.text("#finder .order"),
            each("input, select", "value"), each("[aria-pressed=true]", "className"),
        ]  # fmt: skip

    there, address = view(), reader.address
    assert len(there[0]) > 2 and "lang=zh" in address
    reader.open(explorer_page, address)
    assert view() == there
    assert reader.address == address


@pytest.mark.parametrize(
    "address",
    ["#way=sideways&query=-1&run=none&with=tiny/plain/cosine&sort=x&kind=<b>&words=a-b&outcome=zz",
     "#query=99999&rank=5-1e9&duel=first_a&sort=change&category=none&lang=fr&order=up", "#%%%"],
)  # fmt: skip
def test_an_address_that_names_what_is_not_there_shows_the_usual_view(
    reader, explored, explorer_page, address
):
    reader.open(explorer_page, address)
    assert reader.order() == list(range(len(explored.rows.captions)))
    assert reader.chosen == 0


def test_a_result_leads_to_its_own_query_of_the_other_direction_and_back(
    reader, explored, explorer_page
):
    query = int(explored.run().ranks["text_to_image"].argmax())
    reader.open(explorer_page, f"#query={query}&with=tiny/photo/cosine&find=a")
    first = explored.run().tops["text_to_image"][query, 0]
    reader.click(".of-run li a")
    assert reader.text("#detail figcaption") == explored.rows.images[first]
    assert len(reader.driver.find_elements("css selector", ".of-run")) == 2
    assert f"way=image_to_text&query={first}" in reader.address
    reader.driver.back()
    reader.settle()
    assert (
        reader.chosen == query and reader.js("return document.getElementById('find').value") == "a"
    )


def test_captions_made_of_markup_are_text_and_run_nothing(reader, explorer_page):
    for query, caption in enumerate((MARKUP, SCRIPT)):
        reader.open(explorer_page, f"#way=image_to_text&query={query}")
        assert reader.text(".captions li a") == caption
    reader.open(explorer_page)
    rows = [one.text for one in reader.driver.find_elements("css selector", ".row .text")]
    assert MARKUP in rows
    reader.set("find", "<script>")
    assert reader.text("#detail h2") == SCRIPT
    assert reader.js("return document.title") == "toys · Explorer"
    sources = reader.js("return [...document.images].map((one) => one.src.slice(0, 11))")
    assert set(sources) == {"data:image/"}


def test_ties_and_what_people_accept_are_told(reader, explored, explorer_page):
    # the first two images are alike: whoever asks for one finds the other, too
    run = explored.run()
    assert run.tied["text_to_image"][0] == 1
    reader.open(explorer_page, "#query=0")
    assert "one wrong result scores the same" in reader.text(".of-run")
    places = {item: place for item, place, *_ in reader.results()}
    assert 1 in places  # judged to fit the first caption
    item = reader.driver.find_element("css selector", ".found [data-item='1']")
    assert "accepted" in item.get_attribute("class") and "right" not in item.get_attribute("class")
    assert "judged to fit" in reader.text(".key")


def test_the_page_speaks_both_languages_and_the_readers_own_first(reader, explorer_page, tmp_path):
    reader.open(explorer_page)
    assert reader.js("return document.documentElement.lang") == "en"
    english = reader.text("header")
    reader.click("#language")
    assert reader.js("return document.documentElement.lang") == "zh"
    for name in ("以文搜图", "实验", "对比"):
        assert name in reader.text("header") and name not in english
    assert "个查询" in reader.text("#count")
    left = reader.js(
        "const parts = 'header, .order, .steps, #outcomes, #filters, .facts';"
        "return [...document.querySelectorAll(parts)].map((one) => one.innerText).join(' ')"
    )
    assert not re.search(r"(?i)\b(rank|margin|queries|any|compare|filters|tables|right)\b", left)
    reader.click("#language")
    assert reader.text("header") == english
    with browser(tmp_path, language="zh-CN") as chinese:
        assert Reader(chinese).open(explorer_page).text("h1") == "查询浏览"
