"""Runs to be explored, the page made of them, and who reads it in a browser."""

from __future__ import annotations

import base64
import csv
import json
import re
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from fake_run import job
from PIL import Image

from scripts.data.ratings import Rating, write_ratings
from scripts.data.rows import read_rows
from scripts.evaluate.compare import rows_of_runs, to_csv
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.metrics import metrics_of
from scripts.evaluate.runs import Run, read_run
from scripts.explorer import explorer
from scripts.job import write_json
from scripts.protocol import DIRECTIONS
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
WARNINGS = [
    {"kind": "duplicates", "numbers": {"groups": 1234, "example": MARKUP}, "from": "audit.json"},
    {"kind": "precision_not_finite", "numbers": {"model": "tiny", "precision": "float32",
     "native": "float16", "device": "cuda"}, "from": "precision.json"},
]  # fmt: skip


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
        write_json(self.folder / "warnings.json", WARNINGS)
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

    def page(self, name: str = "explorer.html", beside: int = 0) -> Path:
        """The page, by the rule's own ``main``; so many runs, the last ones, lie beside it."""
        output = self.folder / name
        lists = [str(self.beside(output, key)) for key in self.keys[len(self.keys) - beside :]]
        outputs = {"html": str(output), **({"lists": lists} if beside else {})}
        data = self.folder / "data"
        inputs = {
            "metrics": self.metrics,
            "rankings": [str(self.rankings(key)) for key in self.keys],
            "captions": data / "captions.json",
            "splits": data / "splits.json",
            "images": data / "images",
            "judgments": data / "judgments.csv",
            "warnings": self.folder / "warnings.json",
            **({"failures": str(self.failures)} if self.failures.exists() else {}),
        }
        params = {"split": "test", "reference": ["plain", "cosine"], "lexicon": LEXICON}
        explorer.main(job(inputs, outputs, params, {"dataset": "toys"}))
        return output

    def beside(self, page: Path, key: tuple[str, str, str]) -> Path:
        return page.parent.joinpath("explorer_files", *key[:2], f"{key[2]}.js")


def block(file: Path, name: str) -> str:
    """What stands in the <script> block of this name."""
    found = re.findall(rf'<script [^>]*id="{name}">([^<]*)</script>', file.read_text("utf-8"))
    assert len(found) == 1
    return found[0]


def unpacked(file: Path, run: int) -> dict[str, Any]:
    return json.loads(zlib.decompress(base64.b64decode(block(file, f"run-{run}"))))


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
