"""The explorer: what it holds, and what a reader can do with it in a real browser."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import browser, resize
from fake_run import job
from PIL import Image

from scripts.data.ratings import Rating, write_ratings
from scripts.data.rows import read_rows
from scripts.evaluate.compare import rows_of_runs, to_csv
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.metrics import metrics_of
from scripts.evaluate.runs import Run, images_of_queries, read_run
from scripts.job import write_json
from scripts.measures import METRICS
from scripts.protocol import DIRECTIONS
from scripts.report import explorer
from scripts.retrieve.scorers import fit
from scripts.retrieve.similarity import rankings_of, read_rankings, write_rankings

MARKUP = "<img src=x onerror=\"document.title='broken in'\"> a dog & a cat"
SCRIPT = "</script><script>document.title='broken in'</script><!-- <script> a horse"
CHINESE = "一只黑白相间的狗在雪地里奔跑"
LINES = "a line\u2028and\u2029another {n} line"
RUNS = [("tiny", "plain", "cosine"), ("tiny", "photo", "cosine"), ("large", "plain", "cosine")]
LEXICON = {"dogs": ["dog", "狗"], "horses": ["horse", "horses"], "kites": ["kite"]}
SUBJECTS = ("dog", "girl", "boat", "red ball", "man", "horse", "bus")
PLACES = ("in the snow", "on a beach", "near the road", "under a tree")
TOP = 10


class Made:
    """Runs in a folder, with pictures, failures and judgments, and the page made of them."""

    def __init__(
        self,
        folder: Path,
        runs: list[tuple[str, str, str]] = RUNS,
        images: int = 30,
        failures: bool = True,
        fewest: int = 1,
    ) -> None:
        self.folder, self.keys, self.images = folder, runs, images
        lot = np.random.default_rng(7)
        names = [f"{number:04d}.png" for number in range(images)]
        texts = [
            [
                f"a {SUBJECTS[(image + place) % 7]} {PLACES[image % 4]}" + " again" * (place % 3)
                for place in range(lot.integers(fewest, 6))
            ]
            for image in range(images)
        ]
        for image, text in enumerate((MARKUP, SCRIPT, CHINESE, LINES)):
            texts[image][0] = text
        data = folder / "data"
        (data / "images").mkdir(parents=True)
        for image, name in enumerate(names):
            colour = tuple(int(value) for value in lot.integers(0, 255, 3))
            Image.new("RGB", (40 + image % 3 * 20, 60), colour).save(data / "images" / name)
        write_json(
            data / "captions.json",
            [{"image": n, "captions": t} for n, t in zip(names, texts, strict=True)],
        )
        write_json(data / "splits.json", {"train": [], "val": [], "test": names})
        self.rows = read_rows(data / "captions.json", data / "splits.json", "test")
        self.scores: dict[tuple[str, str, str], np.ndarray] = {}
        for number, key in enumerate(runs):
            self.rank(key, 1.6 + 0.3 * number, lot)
        write_ratings(
            data / "judgments.csv",
            [Rating("expert", name, names[0], 0, 4.0) for name in (names[1], names[0])],
        )
        self.metrics.parent.mkdir(parents=True)
        to_csv(rows_of_runs(self.measured()), self.metrics)
        if failures:
            self.write_failures()

    def rank(self, key: tuple[str, str, str], noise: float, lot: np.random.Generator) -> None:
        """Rankings of features made by lot; the first two images are alike, which makes ties."""
        vectors = lot.normal(size=(len(self.rows.images), 8))
        vectors[1] = vectors[0]
        texts = vectors[self.rows.image_of_caption]
        texts = texts + noise * lot.normal(size=texts.shape)
        vectors, texts = (
            (part / np.linalg.norm(part, axis=1, keepdims=True)).astype(np.float32)
            for part in (vectors, texts)
        )
        self.scores[key] = texts.astype(np.float64) @ vectors.T.astype(np.float64)
        rankings = rankings_of(vectors, texts, self.rows, fit("cosine", {}, {}), TOP)
        write_rankings(self.rankings(key), rankings)

    def rankings(self, key: tuple[str, str, str]) -> Path:
        return self.folder.joinpath("results", "toys", *key, "rankings.npz")

    def run(self, number: int = 0) -> Run:
        return read_run(self.rankings(self.keys[number]), self.rows)

    def measured(self) -> list[dict[str, Any]]:
        """What metrics.json of each run holds."""
        found = []
        for key in self.keys:
            about = dict(zip(("model", "prompt", "scorer"), key, strict=True))
            rankings = read_rankings(self.rankings(key), self.rows)
            metrics = metrics_of(rankings, self.rows, Resampling(50, 0))
            found.append({"dataset": "toys", "split": "test", **about, **metrics})
        return found

    @property
    def metrics(self) -> Path:
        return self.folder / "results" / "toys" / "tables" / "metrics.csv"

    @property
    def failures(self) -> Path:
        return self.folder / "results" / "toys" / "tables" / "failures.csv"

    def write_failures(self) -> None:
        """Each miss of the first run, its kind by turns."""
        with self.failures.open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["model", "direction", "kind", "query", "rank", "differing"])
            for way in DIRECTIONS:
                ranks = self.run().ranks[way]
                for query in np.flatnonzero(ranks > 1):
                    kind = ("object", "colour", "far")[query % 3]
                    table.writerow(["tiny", way, kind, query, ranks[query], "<b>red</b>"])

    def page(self, name: str = "explorer.html") -> Path:
        """The page, by the rule's own ``main``."""
        output = self.folder / name
        data = self.folder / "data"
        inputs = {
            "metrics": self.metrics,
            "rankings": [str(self.rankings(key)) for key in self.keys],
            "captions": data / "captions.json",
            "splits": data / "splits.json",
            "images": data / "images",
            "judgments": data / "judgments.csv",
            **({"failures": str(self.failures)} if self.failures.exists() else {}),
        }
        params = {"split": "test", "reference": ["plain", "cosine"], "lexicon": LEXICON}
        explorer.main(job(inputs, {"html": str(output)}, params, {"dataset": "toys"}))
        return output


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("explorer"))


@pytest.fixture(scope="module")
def file(made: Made) -> Path:
    return made.page()


def block(file: Path, name: str) -> str:
    """What stands in the <script> block of this name."""
    found = re.findall(rf'<script [^>]*id="{name}">([^<]*)</script>', file.read_text("utf-8"))
    assert len(found) == 1
    return found[0]


def unpacked(file: Path, run: int) -> dict[str, Any]:
    return json.loads(zlib.decompress(base64.b64decode(block(file, f"run-{run}"))))


# ---- what the page holds ----


@pytest.mark.parametrize("number", range(len(RUNS)))
def test_the_lists_in_the_page_are_those_of_the_rankings(made, file, number):
    run, lists = made.run(number), unpacked(file, number)
    for way in DIRECTIONS:
        top = np.array(lists[way]["top"]).reshape(run.tops[way].shape)
        assert (top == run.tops[way]).all()
        steps = np.array(lists[way]["score"]).reshape(run.scores[way].shape)
        steps[:, 1:] *= -1
        assert np.abs(steps.cumsum(axis=1) / 10_000 - run.scores[way]).max() <= 0.5001e-4
        assert lists[way]["tied"] == run.tied[way].tolist()
    assert lists["text_to_image"]["rank"] == run.ranks["text_to_image"].tolist()
    assert lists["image_to_text"]["rank"] == run.caption_ranks.tolist()
    right = np.array(lists["text_to_image"]["right"]) / 10_000
    assert np.abs(right - run.right_score).max() <= 0.5001e-4


@pytest.mark.parametrize("way", DIRECTIONS)
def test_a_margin_is_what_the_whole_matrix_says_or_a_bound_where_no_right_answer_is_listed(
    made, file, way
):
    run, rows = made.run(), made.rows
    scores = made.scores[RUNS[0]]
    own = rows.image_of_caption[:, None] == np.arange(len(rows.images))
    if way == "image_to_text":
        scores, own = scores.T, own.T
    true = np.where(own, scores, -np.inf).max(1) - np.where(own, -np.inf, scores).max(1)
    found = np.array(unpacked(file, 0)[way]["margin"]) / 10_000
    listed = np.take_along_axis(own, run.tops[way], axis=1).any(axis=1)
    known = listed | (way == "text_to_image")
    assert known.any() and (way == "text_to_image" or not known.all())
    assert np.abs(found - true)[known].max() <= 0.6e-4
    assert (found[~known] >= true[~known] - 0.6e-4).all()


def test_a_margin_is_not_told_where_the_list_holds_no_wrong_answer(made):
    run = made.run()
    image = int(np.bincount(made.rows.image_of_caption).argmax())
    first = np.flatnonzero(made.rows.image_of_caption == image)[:2]
    tops = np.tile(first, (len(made.rows.images), 1))
    scores = np.tile(np.float32([0.5, 0.25]), (len(tops), 1))
    short = Run(
        **{
            **run.__dict__,
            "tops": {**run.tops, "image_to_text": tops},
            "scores": {**run.scores, "image_to_text": scores},
        }
    )
    found = explorer.margins(short, "image_to_text", made.rows)
    assert found[image] is None
    # elsewhere both are wrong: the right one is somewhere below the last
    assert set(found) == {None, -2500}


def test_the_page_knows_captions_lengths_categories_failures_and_judgments(made, file):
    held = json.loads(block(file, "held"))
    rows = made.rows
    assert held["captions"] == rows.captions and held["images"] == rows.images
    assert sum(held["counts"]) == len(rows.captions)
    assert held["words"][rows.captions.index(CHINESE)] == len(CHINESE)
    names = [one["name"] for one in held["categories"]]
    assert names == ["dogs", "horses"]  # no caption speaks of a kite
    dogs = [q for q, text in enumerate(rows.captions) if re.search(r"\bdog\b|狗", text)]
    assert held["categories"][0]["text_to_image"] == dogs
    half = [
        image
        for image in range(len(rows.images))
        if 2 * sum(q in dogs for q in np.flatnonzero(rows.image_of_caption == image))
        >= (rows.image_of_caption == image).sum()
    ]
    assert held["categories"][0]["image_to_text"] == half
    with made.failures.open(encoding="utf-8", newline="") as stream:
        expected = [
            [row["direction"], int(row["query"]), row["kind"], row["differing"]]
            for row in csv.DictReader(stream)
        ]
    assert expected == [
        [way, query, held["kinds"][kind], differing]
        for way, found in held["failures"]["tiny"].items()
        for query, kind, differing in found
    ]
    # the first caption was judged to fit the second image; that it fits its own goes without saying
    assert held["accepted"] == [[0, 1]]
    assert [run["reference"] for run in held["runs"]] == [True, False, True]


def test_the_page_has_every_measure_of_every_run_as_tables_print_them(made, file):
    held = json.loads(block(file, "held"))
    for run, own in zip(held["runs"], made.measured(), strict=True):
        for way in DIRECTIONS:
            low, high = own["intervals"][way]["recall@1"]
            recall = f"{100 * own[way]['recall@1']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
            assert run["measures"][way]["recall@1"] == recall
            assert run["measures"][way]["median_rank"].startswith(f"{own[way]['median_rank']:.1f}")
            assert run["measures"][way]["rsum"].startswith(f"{100 * own['rsum']:.1f} ")
            assert list(run["measures"][way]) == list(METRICS)
    heads = json.loads(block(file, "phrases"))["zh"]["measures"]
    assert heads["r_precision"] == "R-Precision (%)" and heads["median_rank"] == "名次中位数"


def test_the_same_run_gives_the_same_bytes(made, file):
    assert made.page("again.html").read_bytes() == file.read_bytes()


def test_no_text_of_the_dataset_ends_a_script_block_or_stands_as_markup(made, file):
    page = file.read_text("utf-8")
    held = block(file, "held")
    assert not set(held) & set("<>&\u2028\u2029")
    assert json.loads(held)["captions"] == made.rows.captions
    assert "<img" not in page and "onerror=" not in page.replace(held, "")
    kinds = re.findall(r"<script (?:type=\"([^\"]+)\")", page)
    assert kinds == ["application/json"] * 3 + ["text/plain"] * len(RUNS) + ["module"]


def test_the_policy_names_the_one_style_and_the_one_script_and_allows_no_request(file):
    page = file.read_text("utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == rules["font-src"] == "data:"
    assert "connect-src" not in rules
    for name, tag in (("style-src", "<style>"), ("script-src", '<script type="module">')):
        start = page.index(tag) + len(tag)
        text = page[start : page.index("</", start)]
        assert page.count(tag) == 1
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"
    assert not re.search(r"https?://|@import|\burl\((?!data:)", page)


def test_categories_and_kinds_are_called_as_in_the_report_and_others_by_their_own_name():
    phrases = explorer.read_phrases(["colour"], ["people", "kites"])
    assert phrases["zh"]["kinds"] == {"colour": "颜色不同"}
    assert phrases["zh"]["categories"] == {"people": "人物", "kites": "kites"}
    assert phrases["en"]["categories"]["people"] == "people"


def test_pictures_become_smaller_where_there_are_many():
    sides = [explorer.side_of(images) for images in (1, 1_000, 1_500, 5_000, 100_000)]
    assert sides[:2] == [explorer.LARGEST] * 2
    assert sides[1] > sides[2] > sides[3] == sides[4] == explorer.SMALLEST


def test_a_run_whose_failures_nobody_looked_at_has_a_page(tmp_path):
    made = Made(tmp_path, RUNS[:1], failures=False)
    held = json.loads(block(made.page(), "held"))
    assert held["kinds"] == [] and held["failures"] == {}


# ---- in a browser ----


class Reader:
    """What a reader sees and does."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.file = ""

    def open(self, file: Path, address: str = "") -> Reader:
        self.file = file.resolve().as_uri()
        self.driver.get("about:blank")  # otherwise only the part behind # changes
        self.driver.get(self.file + address)
        self.until("return 'ready' in document.documentElement.dataset")
        return self

    def until(self, script: str) -> Any:
        for _ in range(200):
            found = self.driver.execute_script(script)
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"never: {script}")

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def settle(self) -> None:
        """Wait until the page has drawn what it was told."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "setTimeout(() => requestAnimationFrame(() => setTimeout(done)), 60)"
        )

    def set(self, name: str, value: str) -> None:
        """Type or choose, as a person does."""
        control = self.driver.find_element("id", name)
        if control.tag_name == "select":
            self.js(
                "arguments[0].value = arguments[1];"
                "arguments[0].dispatchEvent(new Event('change', {bubbles: true}))",
                *(control, value),
            )
        else:
            control.clear()
            control.send_keys(value)
        self.settle()

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()
            self.settle()

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()
        self.settle()

    def text(self, selector: str) -> str:
        return self.driver.find_element("css selector", selector).text

    def order(self) -> list[int]:
        """All queries of the list, read by scrolling through it."""
        return self.driver.execute_async_script(
            """
            const done = arguments[0], list = document.getElementById("list"), found = [];
            const was = list.scrollTop;
            const drawn = (then) => setTimeout(() => requestAnimationFrame(then), 20);
            const next = () => new Promise(drawn);
            (async () => {
              for (let top = 0; top <= list.scrollHeight; top += 300) {
                list.scrollTop = top;
                await next();
                for (const row of document.querySelectorAll(".row")) {
                  found[row.getAttribute("aria-posinset") - 1] = Number(row.dataset.query);
                }
              }
              list.scrollTop = was;
              await next();
              done(found);
            })();
            """
        )

    @property
    def chosen(self) -> int:
        return int(self.js("return document.querySelector('[aria-selected=true]').dataset.query"))

    @property
    def address(self) -> str:
        time.sleep(0.3)  # longer than the pause before the address follows
        return self.js("return location.hash")

    def results(self, part: int = 0) -> list[tuple[int, str, str, bool]]:
        """Item, place, score and right of each listed result of a run."""
        return [
            tuple(one)
            for one in self.js(
                """
                const part = document.querySelectorAll(".of-run")[arguments[0]];
                return [...part.querySelectorAll("li")].map((item) => [
                  Number(item.dataset.item), item.querySelector(".place").textContent,
                  item.querySelector(".score").textContent, item.matches(".right:has(.check)"),
                ]);
                """,
                part,
            )
        ]


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


def test_it_opens_from_disk_and_shows_all_queries_and_the_first(reader, made, file):
    reader.open(file)
    assert reader.order() == list(range(len(made.rows.captions)))
    assert (
        reader.text("#count") == f"{len(made.rows.captions)} of {len(made.rows.captions)} queries"
    )
    assert reader.chosen == 0
    assert reader.text("#detail h2") == MARKUP


@pytest.mark.parametrize("way", DIRECTIONS)
def test_the_numbers_shown_are_those_of_the_rankings(reader, made, file, way):
    run, rows = made.run(1), made.rows
    lot = np.random.default_rng(3)
    for query in lot.permutation(len(run.ranks[way]))[:8]:
        reader.open(file, f"#way={way}&query={query}&run=tiny/photo/cosine")
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


def test_the_search_finds_words_in_any_order_and_case_and_shows_what_it_found(reader, made, file):
    reader.open(file)
    reader.set("find", "SNOW Dog")
    expected = [q for q, t in enumerate(made.rows.captions) if "snow" in t and "dog" in t]
    assert reader.order() == expected and len(expected) > 1
    reader.set("find", "no such words")
    assert reader.order() == []
    assert reader.text("#count") == "No query fits these filters."


def test_the_search_finds_chinese_captions_and_images_by_their_captions(reader, made, file):
    reader.open(file)
    reader.set("find", "雪地 狗")
    assert reader.order() == [made.rows.captions.index(CHINESE)]
    reader.open(file, "#way=image_to_text")
    reader.set("find", "黑白")
    assert reader.order() == [2]


def test_filters_leave_what_they_say(reader, made, file):
    ranks = made.run().ranks["text_to_image"]
    reader.open(file)
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

    lengths = np.array(json.loads(block(file, "held"))["words"])
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
    horses = [q for q in expected if "horse" in made.rows.captions[q]]
    assert reader.order() == horses
    assert reader.text("#filters-name") == "Filters (2)"


def test_why_a_query_failed_is_told_of_the_runs_that_were_looked_at(reader, file):
    reader.open(file)
    assert reader.driver.find_element("id", "kind").is_enabled()
    reader.set("a", "1")
    assert not reader.driver.find_element("id", "kind").is_enabled()


@pytest.mark.parametrize("way", DIRECTIONS)
@pytest.mark.parametrize("sort", ["rank", "margin", "score"])
def test_sorting_puts_queries_in_order_and_equal_ones_in_that_of_the_dataset(
    reader, made, file, sort, way
):
    run = made.run()
    keys = {
        "rank": run.ranks[way],
        "margin": np.array(unpacked(file, 0)[way]["margin"]),
        "score": np.round(run.scores[way][:, 0].astype(float), 4),
    }[sort]
    reader.open(file, f"#way={way}")
    reader.set("sort", sort)
    assert reader.order() == np.argsort(keys, kind="stable").tolist()
    reader.click("#down")
    assert reader.order() == np.argsort(-keys, kind="stable").tolist()


def test_two_runs_stand_side_by_side_and_their_differences_can_be_filtered(reader, made, file):
    first, second = (made.run(number).ranks["text_to_image"] for number in (0, 2))
    reader.open(file)
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
    assert [item for item, *_ in reader.results(1)][:TOP] == made.run(2).tops["text_to_image"][
        query
    ].tolist()


def test_the_page_can_be_used_by_keys_alone(reader, made, file):
    from selenium.webdriver import Keys

    reader.open(file)
    active = "return document.activeElement.id"
    reader.press("j", "j", "k")
    assert reader.chosen == 1
    reader.press("/", "d", "o", "g")
    assert reader.js(active) == "find" and reader.js("return document.activeElement.value") == "dog"
    dogs = [q for q, text in enumerate(made.rows.captions) if "dog" in text]
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
    assert len(reader.order()) == len(made.rows.captions)
    reader.press(Keys.ESCAPE, "d")
    assert len(reader.order()) == len(made.rows.images)
    reader.press("?")
    assert reader.driver.find_element("id", "help").is_displayed()
    reader.press(Keys.ESCAPE)
    assert not reader.driver.find_element("id", "help").is_displayed()


def test_focus_can_be_seen(reader, file):
    from selenium.webdriver import Keys

    reader.open(file)
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


def test_the_measures_of_both_runs_stand_side_by_side(reader, made, file):
    reader.open(file, "#way=image_to_text&run=tiny/plain/cosine&with=large/plain/cosine&lang=zh")
    reader.click("#measures summary")
    assert reader.text("#measures summary") == "各项指标与 95% 区间"
    told = reader.js(
        "return [...document.querySelectorAll('#measures tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent.replace('\\u00a0', ' ')))"
    )
    held = json.loads(block(file, "held"))
    one, _, other = (run["measures"]["image_to_text"] for run in held["runs"])
    assert told[:2] == [["实验", "A", "B"], ["R@1 (%)", one["recall@1"], other["recall@1"]]]
    assert [row[0] for row in told[4:6]] == ["名次中位数", "平均名次"]
    assert len(told) == 1 + len(METRICS)
    reader.open(file)
    reader.click("#measures summary")
    own = held["runs"][0]["measures"]["text_to_image"]
    assert reader.text("#measures tr:last-child") == f"rsum {own['rsum']}"


def test_a_link_shows_the_same_view_to_another_reader(reader, file):
    reader.open(file)
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
    reader.open(file, address)
    assert view() == there
    assert reader.address == address


@pytest.mark.parametrize(
    "address",
    ["#way=sideways&query=-1&run=none&with=tiny/plain/cosine&sort=x&kind=<b>&words=a-b&outcome=zz",
     "#query=99999&rank=5-1e9&duel=first_a&sort=change&category=none&lang=fr&order=up", "#%%%"],
)  # fmt: skip
def test_an_address_that_names_what_is_not_there_shows_the_usual_view(reader, made, file, address):
    reader.open(file, address)
    assert reader.order() == list(range(len(made.rows.captions)))
    assert reader.chosen == 0


def test_a_result_leads_to_its_own_query_of_the_other_direction_and_back(reader, made, file):
    query = int(made.run().ranks["text_to_image"].argmax())
    reader.open(file, f"#query={query}&with=tiny/photo/cosine&find=a")
    first = made.run().tops["text_to_image"][query, 0]
    reader.click(".of-run li a")
    assert reader.text("#detail figcaption") == made.rows.images[first]
    assert len(reader.driver.find_elements("css selector", ".of-run")) == 2
    assert f"way=image_to_text&query={first}" in reader.address
    reader.driver.back()
    reader.settle()
    assert (
        reader.chosen == query and reader.js("return document.getElementById('find').value") == "a"
    )


def test_captions_made_of_markup_are_text_and_run_nothing(reader, file):
    for query, caption in enumerate((MARKUP, SCRIPT)):
        reader.open(file, f"#way=image_to_text&query={query}")
        assert reader.text(".captions li a") == caption
    reader.open(file)
    rows = [one.text for one in reader.driver.find_elements("css selector", ".row .text")]
    assert MARKUP in rows
    reader.set("find", "<script>")
    assert reader.text("#detail h2") == SCRIPT
    assert reader.js("return document.title") == "toys · Explorer"
    sources = reader.js("return [...document.images].map((one) => one.src.slice(0, 11))")
    assert set(sources) == {"data:image/"}


def test_ties_and_what_people_accept_are_told(reader, made, file):
    # the first two images are alike: whoever asks for one finds the other, too
    run = made.run()
    assert run.tied["text_to_image"][0] == 1
    reader.open(file, "#query=0")
    assert "one wrong result scores the same" in reader.text(".of-run")
    places = {item: place for item, place, *_ in reader.results()}
    assert 1 in places  # judged to fit the first caption
    item = reader.driver.find_element("css selector", ".found [data-item='1']")
    assert "accepted" in item.get_attribute("class") and "right" not in item.get_attribute("class")
    assert "judged to fit" in reader.text(".key")


def test_the_page_speaks_both_languages_and_the_readers_own_first(reader, file, tmp_path):
    reader.open(file)
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
        assert Reader(chinese).open(file).text("h1") == "查询浏览"


def test_no_request_leaves_the_page_and_the_policy_would_stop_one(reader, file):
    reader.open(file)
    reader.set("b", "1")
    reader.press("j", "d", "j")
    messages = [
        json.loads(one["message"])["message"] for one in reader.driver.get_log("performance")
    ]
    asked = [
        one["params"]["request"]["url"]
        for one in messages
        if one["method"] == "Network.requestWillBeSent"
    ]
    assert reader.file in asked
    assert not [one for one in asked if not one.startswith((reader.file, "data:", "about:"))]
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


def test_a_page_with_one_run_says_that_there_is_nothing_to_compare(reader, tmp_path):
    made = Made(tmp_path, RUNS[:1])
    reader.open(made.page())
    assert not reader.driver.find_elements("id", "b")
    assert "one run" in reader.text("#one-run")
    reader.press("c")
    assert len(reader.driver.find_elements("css selector", ".of-run")) == 1


def test_on_a_phone_list_and_query_take_turns_and_nothing_is_wider_than_the_screen(reader, file):
    resize(reader.driver, 390, 844)
    wide = "return document.documentElement.scrollWidth"
    reader.open(file)
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
    reader.open(file, "#query=3&with=tiny/photo/cosine")
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
