"""What the explorer asks for, and how it fares with few runs, many captions and a small screen."""

from __future__ import annotations

import json

from browser import resize
from explorers import RUNS, Made, Reader


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
