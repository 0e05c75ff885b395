"""What grows with the number of runs and of images: comparison, explorer, and every other rule.

Runs are made up: to comparison and explorer, only their ranks and lists count.
"""

from __future__ import annotations

import atexit
import csv
import functools
import itertools
import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks import reported
from benchmarks.race import Contender, claimed, race
from benchmarks.sizes import Work

PER_IMAGE, LISTED = 5, 10
PAGE = "explorer.html"
GOAL_OF = {"peak_mb": ("memory", "MB"), "median": ("time", "s")}
# of a model: its first run, five more prompts, and four more scorers
OF_MODEL = 10
# images that are drawn; the others have their bytes
DRAWN = 100


# of so many runs: MB and seconds at most
GOALS = {130: {"peak_mb": 500, "median": 60}, 600: {"peak_mb": 1024}}
TO_BUILD, TO_OPEN = {"peak_mb": 4096, "median": 120}, {"median": 2}


def measure(work: Work) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    from browser import CHROMIUM, DRIVER

    size = work.size
    compared, explored = str(work.folder / "compared"), str(work.folder / "explored")
    most, many = max(size.compared_runs), size.explored_runs
    make_runs(Path(compared), size.compared_images, most)
    make_runs(Path(explored), size.explored_images, many)
    make_pages(Path(explored), many)
    turns = [
        (f"{runs} runs", "pairs", {"folder": compared, "runs": runs}, GOALS.get(runs, {}))
        for runs in size.compared_runs
    ]
    case, given = f"explorer of {many} runs", {"folder": explored}
    turns.append((case, "explorer", given | {"runs": many}, TO_BUILD))
    notes = [
        f"Pairs: {size.compared_images:,} images, explorer: {size.explored_images:,}, "
        f"each with {PER_IMAGE} captions."
    ]
    if CHROMIUM.is_file() and DRIVER.is_file():
        turns.append((case, "opened", given, TO_OPEN))
    else:
        notes.append("No Chromium was there to open the explorer.")
    rows, claims = [], []
    for case, name, given, goals in turns:
        contender = Contender(f"ours, {name}", f"benchmarks.many:{name}", given)
        rounds = size.rounds if name == "opened" else 1
        items, unit = (given["runs"], "runs") if "runs" in given else (1, "pages")
        (row,) = race("many", case, [contender], rounds, items, unit, work.log)
        rows.append(row)
        for key, goal in goals.items():
            what, unit = GOAL_OF[key]
            values = row["seconds"] if key == "median" else [row[key]]
            claims.append(claimed(f"{what}, {name}", row, values, unit, goal, at_most=True))
    whole = reported.measure(work)
    return rows + whole[0], claims + whole[1], notes + whole[2]


def key_of(run: int) -> tuple[str, str, str]:
    """Model, prompt and scorer, as a run of many models has them."""
    place = run % OF_MODEL
    prompt, scorer = (place, 0) if place < 6 else (0, place - 5)
    return f"model_{run // OF_MODEL}", f"prompt_{prompt}", f"scorer_{scorer}"


def path_of(folder: Path, run: int) -> Path:
    return folder.joinpath(*key_of(run), "rankings.npz")


def make_runs(folder: Path, images: int, runs: int) -> None:
    """Captions and rankings: some images are harder than others, and some runs better."""
    from benchmarks.material import like_flickr8k
    from scripts.data.rows import read_rows
    from scripts.retrieve.similarity import write_rankings

    folder.mkdir(parents=True)
    names = [f"{image:05d}.jpg" for image in range(images)]
    texts = [like_flickr8k(image % 1000) for image in range(images)]
    listing = [{"image": n, "captions": t} for n, t in zip(names, texts, strict=True)]
    (folder / "captions.json").write_text(json.dumps(listing), "utf-8")
    splits = {"train": [], "val": [], "test": names}
    (folder / "splits.json").write_text(json.dumps(splits), "utf-8")
    rows = read_rows(folder / "captions.json", folder / "splits.json", "test")
    lot, captions = np.random.default_rng(0), len(rows.captions)
    hard = np.exp(lot.normal(1.5, 1.2, images))
    for run in range(runs):
        own = np.repeat(hard * np.exp(lot.normal(0, 0.5, images) + lot.normal(0, 0.1)), PER_IMAGE)
        rankings: dict[str, np.ndarray] = {"rows": np.array(rows.digest)}
        for way, queries, gallery in (
            ("text_to_image", captions, images),
            ("image_to_text", images, captions),
        ):
            scores = lot.normal(0.25, 0.03, (queries, LISTED)).astype(np.float32)
            rankings |= {
                f"{way}_rank": np.minimum(lot.geometric(1 / (1 + own)), gallery),
                f"{way}_tied": np.zeros(captions, np.int64),
                f"{way}_top": lot.integers(0, gallery, (queries, LISTED)),
                f"{way}_top_score": -np.sort(-scores, axis=1),
            }
        right = lot.normal(0.25, 0.03, captions).astype(np.float32)
        path = path_of(folder, run)
        path.parent.mkdir(parents=True)
        write_rankings(path, rankings | {"text_to_image_score": right})


def make_pages(folder: Path, runs: int) -> None:
    """What the explorer shows beside rankings: pictures, measures, and why queries failed."""
    from benchmarks.material import draw_photos
    from scripts.data.ratings import write_ratings
    from scripts.data.rows import read_rows
    from scripts.evaluate.compare import COLUMNS
    from scripts.evaluate.runs import read_run
    from scripts.protocol import DIRECTIONS
    from scripts.studies.study_errors import FAILURE_COLUMNS, KINDS

    rows = read_rows(folder / "captions.json", folder / "splits.json", "test")
    photos = draw_photos(folder / "images", min(DRAWN, len(rows.images)))
    for image, name in enumerate(rows.images[len(photos) :]):
        os.link(photos[image % len(photos)], folder / "images" / name)
    write_ratings(folder / "judgments.csv", [])
    (folder / "warnings.json").write_text("[]", "utf-8")
    with (
        (folder / "metrics.csv").open("w", newline="") as metrics,
        (folder / "failures.csv").open("w", newline="") as failures,
    ):
        measured = csv.DictWriter(metrics, COLUMNS, restval=0.5)
        failed = csv.DictWriter(failures, FAILURE_COLUMNS, restval=0)
        measured.writeheader()
        failed.writeheader()
        for run, way in itertools.product(range(runs), DIRECTIONS):
            about = dict(zip(("model", "prompt", "scorer"), key_of(run), strict=True))
            measured.writerow(about | {"direction": way})
            if run % OF_MODEL:
                continue
            ranks = read_run(path_of(folder, run), rows).ranks[way]
            failed.writerows(
                {"model": about["model"], "direction": way, "query": query, "rank": ranks[query],
                 "kind": KINDS[query % len(KINDS)], "differing": "red, two"}
                for query in np.flatnonzero(ranks > 1)
            )  # fmt: skip


class Named(SimpleNamespace):
    """As Snakemake's own: attributes, and ``get`` for those that may not be there."""

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)


def job(folder: Path, runs: int, inputs: list[str], output: dict[str, Any], **params: Any) -> Named:
    """What a script sees as ``snakemake``, of the first so many runs."""
    files = {name.split(".")[0]: str(folder / name) for name in inputs}
    files["rankings"] = [str(path_of(folder, run)) for run in range(runs)]
    return Named(
        input=Named(**files),
        output=Named(**output),
        params=Named(split="test", **params),
        wildcards=Named(dataset="many"),
    )


def pairs(folder: str, runs: int) -> Callable[[], None]:
    """The rule's own work."""
    from scripts.config import checked, over_defaults
    from scripts.evaluate.pairs import main

    output = {"csv": str(Path(folder, "pairs.csv"))}
    settings = checked(over_defaults())["statistics"]
    files = ["captions.json", "splits.json"]
    return functools.partial(main, job(Path(folder), runs, files, output, **settings))


def explorer(folder: str, runs: int) -> Callable[[], dict[str, float]]:
    """The rule's own work, all runs but the first beside the page; its bytes."""
    from scripts.config import defaults
    from scripts.explorer.explorer import main

    own = Path(folder)
    page = own / PAGE
    names = ["/".join(key_of(run)) for run in range(1, runs)]
    lists = [str(own / "explorer_files" / f"{name}.js") for name in names]
    files = ["captions.json", "splits.json", "metrics.csv", "failures.csv", "judgments.csv"]
    files += ["warnings.json", "images"]
    settings = {"reference": key_of(0)[1:], "lexicon": defaults()["lexicon"]["categories"]}
    work = job(own, runs, files, {"html": str(page), "lists": lists}, **settings)

    def go() -> dict[str, float]:
        main(work)
        beside = sum(Path(path).stat().st_size for path in lists)
        return {"page_mb": page.stat().st_size / 1e6, "beside_mb": beside / 1e6}

    return go


def opened(folder: str) -> Callable[[], None]:
    """From the page's address to its first query being shown, in Chromium."""
    from browser import browser

    stack = ExitStack()
    atexit.register(stack.close)
    driver = stack.enter_context(browser(Path(folder, "profile")))
    address = Path(folder, PAGE).as_uri()

    def go() -> None:
        driver.get(address)
        while not driver.execute_script("return 'ready' in document.documentElement.dataset"):
            time.sleep(0.01)

    return go
