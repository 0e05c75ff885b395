"""What a reader can do with the explorer, in a real browser."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from browser import browser, resize
from explorers import CHINESE, MARKUP, RUNS, SCRIPT, TOP, WARNINGS, Made, Reader, block, unpacked

from scripts.evaluate.runs import images_of_queries
from scripts.measures import METRICS
from scripts.protocol import DIRECTIONS
from scripts.words.warned import sentences


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def reader(driver: Any) -> Any:
    """A reader at a desk; a test fails that leaves an error in the browser's console."""
    resize(driver, 1280, 860)
    driver.get_log("browser")
    driver.get_log("performance")
    yield Reader(driver)
    told = [entry["message"] for entry in driver.get_log("browser")]
    assert not told


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


def test_no_request_leaves_the_page_and_the_policy_would_stop_one(reader, explorer_page):
    reader.open(explorer_page)
    reader.set("b", "1")
    reader.press("j", "d", "j")
    asked = asked_for(reader)
    assert reader.file in asked
    assert not [one for one in asked if not one.startswith((reader.file, "about:"))]
    assert reader.js("return performance.getEntriesByType('resource').map((one) => one.name)") == []
    refused = reader.driver.execute_async_script(
        """
        const done = arguments[0];
        const told = (event) => done(event.violatedDirective);
        document.addEventListener("securitypolicyviolation", told);
        document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/x.png" }));
        """
    )
    assert refused == "img-src"
    reader.driver.get_log("browser")  # the refusal is told there


def test_a_run_beside_the_page_is_read_when_it_is_chosen_and_nothing_else_is(
    reader, explored, explorer_page, explorer_beside
):
    reader.open(explorer_page, "#with=tiny/photo/cosine&query=3")
    expected = reader.results(), reader.results(1)
    reader.open(explorer_beside)
    reader.driver.get_log("performance")
    loaded = "return performance.getEntriesByType('resource').map((one) => one.name)"
    assert reader.js(loaded) == []
    reader.set("b", "1")
    reader.driver.find_element("id", "query-3").click()
    reader.settle()
    assert (reader.results(), reader.results(1)) == expected
    assert not reader.driver.find_element("id", "lost").is_displayed()
    file = explored.beside(explorer_beside, RUNS[1]).as_uri()
    assert asked_for(reader) == [file]
    # once is enough
    reader.press("c", "c")
    assert asked_for(reader) == []
    reader.open(explorer_beside, "#run=large/plain/cosine&lang=zh")
    assert reader.text(".of-run h3") == "large · plain · cosine"
    reader.driver.find_element("id", "ask-help").click()
    assert "explorer_files" in reader.text("#help")


def test_a_run_whose_file_is_not_there_is_named_and_the_run_before_stays(reader, tmp_path):
    made = Made(tmp_path, RUNS[:2])
    page = made.page(beside=1)
    made.beside(page, RUNS[1]).unlink()
    reader.open(page, "#run=tiny/photo/cosine&lang=zh")
    named = "无法读取所选的实验：explorer_files/tiny/photo/cosine.js。"
    assert reader.text("#lost").startswith(named)
    assert reader.text(".of-run h3") == "tiny · plain · cosine"
    assert reader.driver.find_element("id", "a").get_attribute("value") == "0"
    reader.press("j")
    reader.set("find", "dog")
    assert not reader.driver.find_element("id", "lost").is_displayed()
    told = [entry["message"] for entry in reader.driver.get_log("browser")]
    assert len(told) == 1 and "ERR_FILE_NOT_FOUND" in told[0]


def asked_for(reader: Reader) -> list[str]:
    """What the page has asked for since it was asked last."""
    messages = [
        json.loads(one["message"])["message"] for one in reader.driver.get_log("performance")
    ]
    return [
        one["params"]["request"]["url"]
        for one in messages
        if one["method"] == "Network.requestWillBeSent"
        and not one["params"]["request"]["url"].startswith("data:")
    ]


def test_a_page_with_one_run_says_that_there_is_nothing_to_compare(reader, tmp_path):
    made = Made(tmp_path, RUNS[:1])
    reader.open(made.page())
    assert not reader.driver.find_elements("id", "b")
    assert "one run" in reader.text("#one-run")
    reader.press("c")
    assert len(reader.driver.find_elements("css selector", ".of-run")) == 1


def test_on_a_phone_list_and_query_take_turns_and_nothing_is_wider_than_the_screen(
    reader, explorer_page
):
    resize(reader.driver, 390, 844)
    wide = "return document.documentElement.scrollWidth"
    reader.open(explorer_page)
    assert not reader.driver.find_element("id", "detail").is_displayed()
    assert reader.js(wide) == 390
    reader.click("#query-1")
    assert reader.driver.find_element("id", "detail").is_displayed()
    assert not reader.driver.find_element("id", "finder").is_displayed()
    assert reader.js(wide) == 390
    assert "query=1" in reader.address
    reader.driver.back()
    reader.settle()
    assert reader.driver.find_element("id", "finder").is_displayed()
    reader.open(explorer_page, "#query=3&with=tiny/photo/cosine")
    assert reader.driver.find_element("id", "detail").is_displayed()
    assert reader.js(wide) == 390
    reader.click(".back")
    assert reader.driver.find_element("id", "finder").is_displayed()


def test_five_thousand_captions_are_filtered_and_only_rows_in_sight_are_drawn(
    reader, tmp_path, capsys
):
    made = Made(tmp_path, RUNS[:2], images=1_000, failures=False, fewest=5)
    assert len(made.rows.captions) == 5_000
    file = made.page()
    reader.open(file)
    assert len(reader.driver.find_elements("css selector", ".row")) < 40
    took = reader.driver.execute_async_script(
        """
        const done = arguments[0], find = document.getElementById("find"), took = [];
        const next = () => new Promise((then) => setTimeout(then));
        (async () => {
          for (const text of ["d", "do", "dog", "dog s", "dog snow"]) {
            find.value = text;
            const start = performance.now();
            find.dispatchEvent(new InputEvent("input"));
            await next();
            document.body.getBoundingClientRect();
            took.push(performance.now() - start);
          }
          done(took);
        })();
        """
    )
    expected = [q for q, t in enumerate(made.rows.captions) if "dog" in t and "snow" in t]
    assert reader.text("#count") == f"{len(expected)} of 5,000 queries"
    paint = reader.js("return performance.getEntriesByType('paint')[0].startTime")
    with capsys.disabled():
        print(f"\n{file.stat().st_size / 1e6:.1f} MB, first paint {paint:.0f} ms, "
              f"filters {', '.join(f'{ms:.0f}' for ms in took)} ms")  # fmt: skip
