"""Fake runs with their figures, reports and explorer, made once for all tests of the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser, resize
from explorers import Made, Reader
from fake_run import LANGUAGES, PROMPTS, FakeRun

from scripts.figures.style import sheet


@pytest.fixture
def on_sheet() -> Iterator[None]:
    """With the settings of figures, as ``draw`` has them around a plot."""
    with sheet():
        yield


@pytest.fixture(scope="session")
def fake_run(tmp_path_factory: pytest.TempPathFactory) -> FakeRun:
    """One model, three prompts, with all figures drawn; not to be changed by a test."""
    return FakeRun(tmp_path_factory.mktemp("fake"), PROMPTS).draw()


@pytest.fixture(scope="session")
def documents(fake_run: FakeRun) -> dict[str, dict[str, Any]]:
    """The documents of ``fake_run`` by language; not to be changed by a test."""
    return {lang: fake_run.document(lang) for lang in LANGUAGES}


@pytest.fixture(scope="session")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three runs to explore; not to be changed by a test."""
    return Made(tmp_path_factory.mktemp("explorer"))


@pytest.fixture(scope="session")
def explorer_page(explored: Made) -> Path:
    """The explorer of ``explored``."""
    return explored.page()


@pytest.fixture(scope="session")
def explorer_beside(explored: Made) -> Path:
    """The explorer of ``explored``, all but its first run in files beside it."""
    return explored.page("beside.html", beside=2)


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
