"""The search page as one who asks sees it, in a real browser."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from asking import png
from browser import browser, resize
from colour_run import CAPTIONS, build_indexes, make_run

from scripts.search import page
from scripts.search.page import Runs, listen, make_app, why_refused
from scripts.search.runs import find_run
from scripts.search.server import make_server

# keys as WebDriver names them, which selenium need not be there for
BACKSPACE, ENTER, ESCAPE = "\ue003", "\ue007", "\ue00c"
LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"


@dataclass
class Opened:
    """A served page, and the browser that shows it."""

    driver: Any
    address: str
    project: Path

    def open(self, place: str = "/") -> None:
        self.driver.get(self.address + place)
        # the run has been opened
        self.until(lambda: self.text("scope") or self.text("trouble"))

    def one(self, id_: str):
        return self.driver.find_element("id", id_)

    def text(self, id_: str) -> str:
        return self.one(id_).text

    def all(self, selector: str) -> list:
        return self.driver.find_elements("css selector", selector)

    def press(self, *keys: str) -> None:
        self.driver.switch_to.active_element.send_keys(*keys)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, holds):
        """Wait until it holds; what stands there meanwhile may go while it is looked at."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        waiting = WebDriverWait(
            self.driver, 20, 0.05, ignored_exceptions=[StaleElementReferenceException]
        )
        return waiting.until(lambda _: holds())

    def shows(self, *captions: str) -> None:
        """Wait until these captions are the first results."""
        wanted = list(captions)
        self.until(lambda: [c.text for c in self.all("#hits .caption")][: len(wanted)] == wanted)

    def choose_index(self, name: str) -> None:
        self.one("index").find_element("css selector", f'option[value="{name}"]').click()

    def index(self) -> tuple[str, bool, bool]:
        """The index that the page shows, whether it can be chosen, and whether it is seen."""
        one = self.one("index")
        return one.get_property("value"), one.is_enabled(), one.is_displayed()

    def choose_run(self, prompt: str) -> None:
        self.one("run").find_element("css selector", f'option[value*="/{prompt}/"]').click()


MARKUP = "<img src=x onerror=\"document.title='run'\"> <b>red</b> & co"
RED, GREEN, BLUE = "a red square", "a green square", "a blue square"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """One browser for all tests of this file: to start one takes a second."""
    with browser(tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture
def opened(driver, tmp_path, encoder, request):
    """The page of two runs, and of a dataset with markup in its captions.

    The first run has an index "two" of two of its images. A parameter is the index to begin with.
    """
    project = make_run(tmp_path, prompt="plain", finished=3_000_000.0)
    build_indexes(project, "two", upto=2)
    make_run(project, prompt="photo", templates=("not green: {}",), finished=2_000_000.0)
    make_run(
        project, dataset="marked", prompt="markup", captions={"red.png": [MARKUP, MARKUP]},
        finished=1_000_000.0,
    )  # fmt: skip
    results = project / "results"
    index = getattr(request, "param", None)
    app = make_app(Runs(results, project / "data"), find_run(results, {}), index)
    listener = listen("127.0.0.1", 0)
    server = make_server(app, listener, why_refused, page.MAX_UPLOAD, page.HEADERS)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    page_ = Opened(driver, address, project)
    driver.get(address)
    page_.run("localStorage.clear()")
    driver.get_log("browser")
    yield page_
    driver.get("about:blank")
    server.close()


def test_one_types_a_sentence_and_sees_its_images(opened):
    opened.open()
    assert opened.text("scope") == "4 images and 6 captions, test split of squares"
    opened.press("red")
    opened.shows(RED, CAPTIONS["orange.png"][0])
    assert opened.text("status").startswith("Best 4 of 4 images · encoded in ")
    assert opened.driver.title == "red · Image–text search"
    scores = [float(line.text.split()[1]) for line in opened.all("#hits .line")]
    assert scores == sorted(scores, reverse=True) and scores[0] == pytest.approx(1, abs=2e-3)
    opened.until(
        lambda: opened.run("return [...document.images].every((i) => !i.src || i.naturalWidth)")
    )
    opened.press(BACKSPACE * 3, "blue")
    opened.shows(BLUE)


def test_an_address_brings_the_same_answers_back(opened):
    opened.open()
    opened.press("green", ENTER)
    opened.shows(GREEN)
    address = opened.driver.current_url
    opened.open()
    opened.driver.get(address)
    opened.shows(GREEN)
    assert opened.one("query").get_property("value") == "green"
    opened.open("/?q=blue&find=captions&k=5&run=squares/colours/photo/cosine")
    opened.shows(BLUE)
    assert opened.one("run").get_property("value") == "squares/colours/photo/cosine"
    assert opened.one("count").get_property("value") == "5"
    assert len(opened.all("#hits.captions > li")) == 5


def test_an_address_that_makes_no_sense_shows_an_empty_page(opened):
    opened.open("/?image=99999&k=7&find=x&run=nothing&q=")
    opened.until(lambda: "no image 99999" in opened.text("trouble"))
    opened.open("/?image=x&k=7&find=x&run=nothing&q=%20")
    assert opened.one("count").get_property("value") == "10" and not opened.text("trouble")
    assert opened.all("#examples button")


def test_an_example_can_be_asked_and_its_own_image_is_marked(opened):
    opened.open()
    example = next(one for one in opened.all("#examples button") if one.text == RED)
    example.click()
    opened.shows(RED)
    assert [mark.text for mark in opened.all("#hits .own")] == ["✓ the query's own picture"]
    assert not opened.one("begin").is_displayed()


def test_a_chosen_picture_finds_captions_and_a_word_images_again(opened, tmp_path):
    (tmp_path / "mine.png").write_bytes(png((0, 0, 250)))
    opened.open()
    opened.one("file").send_keys(str(tmp_path / "mine.png"))
    opened.shows(*CAPTIONS["blue.png"])
    assert opened.text("status").startswith("Best 6 of 6 captions")
    assert "mine.png" in opened.text("seen")
    opened.one("query").send_keys("red")
    opened.shows(RED, CAPTIONS["orange.png"][0])
    assert not opened.one("seen").is_displayed() and not opened.one("asked").is_displayed()


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(opened, way):
    opened.open()
    content = list(png((0, 250, 0)))
    opened.run(
        """
        const [content, way] = arguments, data = new DataTransfer();
        data.items.add(new File([new Uint8Array(content)], "green.png"));
        const options = { bubbles: true, cancelable: true };
        options.dataTransfer = options.clipboardData = data;
        if (way === "paste") {
          document.body.dispatchEvent(new ClipboardEvent("paste", options));
        } else {
          document.body.dispatchEvent(new DragEvent("dragenter", options));
          window.wasShown = !document.getElementById("drop").hidden;
          document.body.dispatchEvent(new DragEvent("drop", options));
        }
        """,
        content,
        way,
    )
    opened.shows(GREEN)
    assert not opened.one("drop").is_displayed()
    assert way == "paste" or opened.run("return window.wasShown")


def test_a_click_on_an_image_searches_with_it_and_back_returns(opened):
    opened.open()
    opened.press("red", ENTER)
    opened.shows(RED)
    opened.all("#hits .picture")[0].click()
    opened.shows(*reversed(CAPTIONS["red.png"]))
    assert CAPTIONS["red.png"][1] in opened.text("seen")
    assert len(opened.all("#hits .right")) == 2 and "image=3" in opened.driver.current_url
    opened.driver.back()
    opened.shows(RED, CAPTIONS["orange.png"][0])
    assert opened.one("query").get_property("value") == "red"
    opened.driver.forward()
    opened.shows(*reversed(CAPTIONS["red.png"]))
    opened.one("forget").click()
    opened.until(lambda: not opened.all("#hits li"))


def test_another_run_answers_the_same_question_otherwise(opened):
    opened.open()
    opened.press("red", ENTER)
    opened.shows(RED, CAPTIONS["orange.png"][0])
    scores = [line.text for line in opened.all("#hits .line")]
    # its prompt names green in every query
    opened.choose_run("photo")
    opened.shows(CAPTIONS["orange.png"][0])
    assert [line.text for line in opened.all("#hits .line")] != scores
    opened.choose_run("plain")
    opened.shows(RED)
    assert [line.text for line in opened.all("#hits .line")] == scores


def test_an_index_is_chosen_and_the_address_keeps_it(opened):
    opened.open("/?q=green")
    opened.shows(GREEN)
    assert opened.index() == ("", True, True) and "through" not in opened.text("status")
    opened.choose_index("two")
    opened.until(lambda: len(opened.all("#hits > li")) == 2)
    assert opened.text("status").startswith("Best 2 of 4 images · through two · encoded in ")
    assert "index=two" in opened.driver.current_url
    opened.driver.refresh()
    opened.shows(GREEN, BLUE)
    assert opened.index() == ("two", True, True)
    assert "through two" in opened.text("status")
    opened.one("language").click()
    assert " · 经 two · " in opened.text("status")
    assert opened.text("through").startswith("检索方式\n全部（精确）")
    opened.choose_index("")
    opened.until(lambda: len(opened.all("#hits > li")) == 4)
    assert "index" not in opened.driver.current_url
    opened.driver.back()
    opened.until(lambda: len(opened.all("#hits > li")) == 2)
    assert opened.index() == ("two", True, True)


def test_within_one_side_no_index_answers_until_the_other_is_asked_again(opened):
    opened.open("/?q=green&index=two")
    opened.shows(GREEN, BLUE)
    opened.all("input[value=captions]")[0].click()
    opened.until(lambda: opened.text("status").startswith("Best 6 of 6 captions · encoded"))
    assert opened.index() == ("", False, True)
    opened.driver.refresh()
    opened.until(lambda: opened.text("status").startswith("Best 6 of 6 captions · encoded"))
    assert opened.index() == ("", False, True)
    opened.all("#hits .picture")[0].click()
    opened.until(lambda: "Best 2 of 6 captions · through two" in opened.text("status"))
    assert opened.index() == ("two", True, True)


def test_an_index_stays_with_another_run_that_has_it_and_else_everything_is_compared(opened):
    build_indexes(opened.project, "two", prompt="photo", upto=1)
    opened.open("/?q=green&index=two")
    opened.shows(GREEN, BLUE)
    opened.choose_run("photo")
    opened.until(lambda: len(opened.all("#hits > li")) == 1)
    assert opened.index() == ("two", True, True) and "index=two" in opened.driver.current_url
    opened.choose_run("markup")
    opened.shows(MARKUP)
    assert opened.index() == ("", True, False) and "index" not in opened.driver.current_url
    assert "through" not in opened.text("status")
    opened.choose_run("plain")
    opened.shows(GREEN, CAPTIONS["orange.png"][0])
    assert opened.index() == ("", True, True)


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_a_page_that_was_started_with_an_index_begins_with_it(opened):
    opened.open("/?q=green")
    opened.shows(GREEN, BLUE)
    assert opened.index() == ("two", True, True)
    opened.choose_index("")
    opened.shows(GREEN, CAPTIONS["orange.png"][0])
    # an address without a word of it would bring the index back
    opened.driver.refresh()
    opened.shows(GREEN, CAPTIONS["orange.png"][0])
    assert opened.index() == ("", True, True)
    opened.open("/?q=red&run=marked/colours/markup/cosine")
    opened.shows(MARKUP)
    assert opened.index() == ("", True, False)


def test_captions_made_of_markup_show_as_text(opened):
    opened.open("/?q=red&run=marked/colours/markup/cosine")
    opened.shows(MARKUP)
    opened.all("#hits summary")[0].click()
    assert opened.all("#hits details li")[0].text == MARKUP
    opened.all("#hits .picture")[0].click()
    opened.shows(MARKUP, MARKUP)
    assert MARKUP in opened.text("seen")
    assert not opened.all("#hits b b, .caption *, figcaption img")
    opened.open("/?run=marked/colours/markup/cosine")
    assert opened.until(lambda: opened.all("#examples button"))[0].text == MARKUP
    opened.open(f"/?q={quote(MARKUP)}")
    opened.until(lambda: opened.all("#hits li"))
    assert opened.driver.title == f"{MARKUP} · Image–text search"
    assert not opened.all("img[src='x']")


def test_no_request_leaves_the_page_and_the_browser_finds_no_fault(opened, tmp_path):
    (tmp_path / "mine.png").write_bytes(png())
    opened.driver.get_log("performance")
    opened.open()
    opened.press("red 红", ENTER)
    opened.shows(RED)
    opened.one("language").click()
    opened.all("#hits .picture")[0].click()
    opened.shows(*reversed(CAPTIONS["red.png"]))
    opened.one("file").send_keys(str(tmp_path / "mine.png"))
    opened.until(lambda: "mine.png" in opened.text("seen"))
    messages = [
        json.loads(entry["message"])["message"] for entry in opened.driver.get_log("performance")
    ]
    asked = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    assert any("/api/sentence" in url for url in asked) and any("/images/" in url for url in asked)
    assert [
        url for url in asked if not url.startswith((f"{opened.address}/", "blob:", "data:"))
    ] == []
    assert opened.driver.get_log("browser") == []


def test_the_page_works_from_the_keyboard(opened):
    opened.open()
    assert opened.driver.switch_to.active_element == opened.one("query")
    opened.press("red", ENTER)
    opened.shows(RED)
    opened.press(DOWN)
    pictures = opened.all("#hits .picture")
    assert opened.driver.switch_to.active_element == pictures[0]
    opened.press(RIGHT)
    assert opened.driver.switch_to.active_element == pictures[1]
    opened.press(LEFT, UP)
    assert opened.driver.switch_to.active_element == opened.one("query")
    opened.press(DOWN, RIGHT)
    opened.press(ENTER)
    opened.shows(CAPTIONS["orange.png"][0])
    assert "image=2" in opened.driver.current_url
    opened.one("count").send_keys("/")
    assert opened.driver.switch_to.active_element == opened.one("query")
    opened.press(ESCAPE)
    opened.until(lambda: not opened.all("#hits li"))
    assert opened.one("begin").is_displayed()


def test_the_language_is_switched_and_remembered(opened):
    opened.open("/?q=red")
    opened.shows(RED)
    opened.one("language").click()
    assert opened.text("scope") == "squares 的 test 划分：4 张图片，6 条描述"
    assert opened.text("status").startswith("4 张图片中最相似的 4 张 · 编码")
    assert opened.run("return document.documentElement.lang") == "zh"
    opened.open()
    assert opened.all("h1")[0].text == "图文检索"
    opened.one("language").click()
    assert opened.all("h1")[0].text == "Image–text search"


def test_what_goes_wrong_is_told_on_the_page(opened, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no image")
    (tmp_path / "large.png").write_bytes(b"\0" * (page.MAX_UPLOAD + 1))
    opened.open()
    opened.one("file").send_keys(str(tmp_path / "no.png"))
    opened.until(lambda: "not readable as an image" in opened.text("trouble"))
    assert opened.text("trouble").startswith("The picture cannot be used.")
    opened.one("file").send_keys(str(tmp_path / "large.png"))
    opened.until(lambda: opened.text("trouble") == "The picture is larger than 20 MB.")
    opened.one("query").send_keys("red")
    opened.shows(RED)
    assert not opened.one("trouble").is_displayed()
    (opened.project / "data/models/colours/model.json").write_text('{"other": 1}')
    opened.one("query").send_keys(" blue", ENTER)
    opened.until(lambda: "another version of colours" in opened.text("trouble"))
    assert not opened.all("#hits li")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_fits_its_window(opened, width):
    resize(opened.driver, width, 900)
    try:
        for place in ("/", "/?q=red", "/?image=3", "/?lang=zh&image=3"):
            opened.open(place)
            opened.until(lambda place=place: place == "/" or opened.all("#hits li"))
            assert opened.run("return document.documentElement.scrollWidth") <= width
    finally:
        resize(opened.driver, 1280, 860)
