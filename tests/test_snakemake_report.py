"""Snakemake's own report: every figure and table of a run, told apart and explained."""

from __future__ import annotations

import json
import re
import zipfile
from html import unescape
from pathlib import Path

import pytest
import yaml
from browser import browser
from small_runs import RUN, SMALL

from scripts.config import checked
from scripts.report.write_ending import PICTURES
from scripts.studies.families import FAMILY_OF

CATEGORIES = ["1 Report", "2 Method and data", "3 Results", "4 Examples", "5 Studies"]
CONFIG = (Path(__file__).parent.parent / "config/config.yaml").read_text("utf-8")
CONFIG = checked(yaml.safe_load(CONFIG))["studies"]
LANGUAGES = {"zh": "Chinese (中文)", "en": "English"}


@pytest.fixture(scope="module")
def archive(finished_run, tmp_path_factory) -> Path:
    """The report of the finished small run, unpacked."""
    folder = tmp_path_factory.mktemp("archive")
    run = finished_run.copy(folder / "clone")
    run.snakemake(*SMALL, "--report", str(folder / "report.zip"))
    with zipfile.ZipFile(folder / "report.zip") as packed:
        packed.extractall(folder)
    return folder / "report"


@pytest.fixture(scope="module")
def said(archive) -> dict:
    """What the page knows: results by path, and paths by category and subcategory."""
    page = (archive / "report.html").read_text("utf-8")
    return {
        name: json.loads(re.search(rf'<script id="{name}">\s+var \w+ = (.*);\n', page)[1])
        for name in ("results", "categories", "workflow-desc")
    }


@pytest.fixture(scope="module")
def folders(said) -> dict[tuple[str, str], list[str]]:
    """Paths of results by category and subcategory."""
    return {
        (category, part): paths
        for category, parts in said["categories"].items()
        for part, paths in parts.items()
    }


def test_it_holds_every_figure_and_every_table_as_they_are(finished_run, archive, said):
    run = finished_run.folder / RUN
    made = [
        *(path for path in (run / "figures").iterdir() if path.suffix != ".png"),
        *(run / "tables").iterdir(),
        *run.glob("*/*/*/metrics.json"),
        *(run / name for name in ("audit.json", "explorer.html")),
        *(run / f"report.{lang}.{kind}" for lang in LANGUAGES for kind in ("html", "pdf")),
    ]
    assert len(made) > 80
    assert {str(path.relative_to(finished_run.folder)) for path in made} == set(said["results"])
    for path, result in said["results"].items():
        assert (archive / result["data_uri"]).read_bytes() == (
            finished_run.folder / path
        ).read_bytes()


def test_every_result_has_a_caption_in_both_languages(said):
    for path, result in said["results"].items():
        plain = re.sub(r"<[^>]+>", "", result["caption"])
        assert len(re.findall(r"[a-z]{2,}", plain)) > 5, path
        assert len(re.findall(r"[\u4e00-\u9fff]", plain)) > 9, path
        # what docutils could not read, it says in the text
        assert "system-message" not in result["caption"], path
        # a line break within Chinese text would show as a space
        assert not re.search(r"[\u3000-\u9fff]\s+[\u3000-\u9fff]", plain), path


def test_every_result_has_a_category_and_labels_of_its_own(said, folders):
    assert sorted(said["categories"]) == CATEGORIES
    listed = [path for paths in folders.values() for path in paths]
    assert sorted(listed) == sorted(said["results"])
    for paths in folders.values():
        labels = [said["results"][path]["labels"] for path in paths]
        assert all(own and all(own.values()) for own in labels), paths
        # results with equal labels hide each other
        assert len({tuple(own.items()) for own in labels}) == len(paths), paths


def test_what_is_in_one_language_says_in_which(said):
    told = {
        path: result["labels"].get("language")
        for path, result in said["results"].items()
        if "explorer" not in path
    }
    for path, language in told.items():
        lang = re.search(r"\.(zh|en)\.(?:svg|html|pdf)$", path)
        assert language == (LANGUAGES[lang[1]] if lang else None), path
    assert list(told.values()).count("English") == list(told.values()).count("Chinese (中文)") > 20


def test_each_study_has_a_folder_with_its_table_and_the_figures_that_it_has(folders):
    studies = [part for category, part in folders if category == "5 Studies"]
    assert len(studies) == 16
    for study in studies:
        names = [Path(path).name for path in folders["5 Studies", study]]
        assert f"{study}.csv" in names or study in FAMILY_OF
        drawn = study in PICTURES or CONFIG[study]["figure"]["form"] != "none"
        assert (sum(name.endswith(".svg") for name in names) >= 2) == drawn, study


def test_the_description_says_what_the_run_is_and_how_to_read_it(said):
    text = unescape(said["workflow-desc"])
    assert "system-message" not in text
    for word in ("scenes", "clip-tiny", "inverted-softmax", *CATEGORIES, "Recall@K", "如何阅读"):
        assert word in text


def test_in_the_browser_every_folder_lists_all_of_its_results(archive, folders, tmp_path):
    from selenium.webdriver.common.by import By

    with browser(tmp_path, 1400, 700) as driver:
        driver.get((archive / "report.html").as_uri())
        driver.implicitly_wait(10)
        # taller than the window, and still to be read from its beginning
        title = driver.find_element(By.CSS_SELECTOR, "h1.title")
        assert title.location["y"] >= 0
        for (category, part), paths in folders.items():
            # back to the list of folders; to load the page again is a second of the browser's each
            driver.execute_script("document.querySelector('nav nav ol a')?.click()")
            single = sum(other == category for other, _ in folders) == 1
            for name in [category] if single else [category, part]:
                link = driver.find_element(By.XPATH, f"//a[normalize-space()='{name}']")
                # its style comes late and moves it away from under a pointer
                driver.execute_script("arguments[0].click()", link)
            rows = driver.find_elements(By.CSS_SELECTOR, "tbody tr")
            driver.implicitly_wait(0)
            # a label of two values, half of the results each, becomes a switch between them
            switches = driver.find_elements(By.TAG_NAME, "fieldset")
            assert len(rows) * (2 if switches else 1) == len(paths), (category, part)
            # to see or to download it, and what it is
            assert all(len(row.find_elements(By.TAG_NAME, "a")) == 2 for row in rows)
            driver.implicitly_wait(10)
        asked = [
            json.loads(entry["message"])["message"]
            for entry in driver.get_log("performance")
            if "Network.requestWillBeSent" in entry["message"]
        ]
        urls = [one["params"]["request"]["url"] for one in asked if "request" in one["params"]]
        assert any(url.endswith("report.html") for url in urls)
        assert not [url for url in urls if url.startswith(("http", "ws"))]
