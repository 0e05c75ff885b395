"""Runs of several datasets and folders on one board; those that cannot be compared stand apart."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from two_runs import ranks_of, write_around, write_dataset, write_run

from scripts.job import write_json
from scripts.leaderboard.__main__ import main
from scripts.leaderboard.standings import BEHIND, LEADS


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Two datasets: on one a good run, its equal and a bad one, on the other the good one."""
    home = tmp_path_factory.mktemp("home")
    write_around(home, write_dataset(home), {"bad": 20})
    rows = write_dataset(home, "other")
    write_run(home, rows, ranks_of(rows), dataset="other")
    for dataset in ("toy", "other"):
        write_json(home / f"results/{dataset}/clip/test/images.json", {"precision": "float32"})
    tables = home / "results/toy/tables"
    tables.mkdir()
    (tables / "costs.csv").write_text("model,parameters,images_per_second\nclip,151277313,21.5\n")
    return home


@pytest.fixture(autouse=True)
def no_type(monkeypatch):
    """Pages without type of their own, whose making takes longer than all else."""
    monkeypatch.setattr("scripts.leaderboard.page.font_faces", lambda letters: "")


@pytest.fixture
def copied(home, tmp_path) -> Path:
    return Path(shutil.copytree(home, tmp_path / "home"))


def board(*folders: Path, to: Path) -> list[dict[str, str]]:
    """Rows of the table that the command writes."""
    assert main([*map(str, folders), "--to", str(to)]) == 0
    return list(csv.DictReader((to / "leaderboard.csv").open(encoding="utf-8")))


def test_each_run_stands_in_the_columns_of_its_datasets(home, tmp_path, capsys):
    rows = board(home / "results", to=tmp_path)
    stored = json.loads((home / "results/toy/clip/plain/cosine/metrics.json").read_text())
    of = {(row["dataset"], row["prompt"], row["direction"]): row for row in rows}
    assert len(of) == len(rows) == 2 * (3 + 1)
    for way in ("text_to_image", "image_to_text"):
        plain, equal, bad = (of["toy", prompt, way] for prompt in ("plain", "equal", "bad"))
        assert (plain["verdict"], equal["verdict"], bad["verdict"]) == (LEADS, LEADS, BEHIND)
        assert (plain["place"], equal["place"], bad["place"]) == ("1.5", "1.5", "3.0")
        for depth in (1, 5, 10):
            assert float(plain[f"recall@{depth}"]) == stored[way][f"recall@{depth}"]
        assert float(plain["parameters"]) == 151277313 and plain["texts_per_second"] == ""
        # one is on both datasets, the others on one
        assert plain["mean_place"] == "1.25" and equal["mean_place"] == bad["mean_place"] == ""
    assert capsys.readouterr().out.startswith("runs: 3, datasets: 2\n")


def test_the_pages_hold_every_run_and_ask_for_nothing(home, tmp_path):
    board(home / "results", to=tmp_path)
    for language, title in (("en", "Leaderboard"), ("zh", "排行榜")):
        page = (tmp_path / f"leaderboard.{language}.html").read_text("utf-8")
        assert f"<h1>{title}</h1>" in page and "default-src 'none'" in page
        assert not re.search(r"(?:src|href)=\"(?!data:)", page)
        held = re.search(r'id="held">(.*?)</script>', page)
        lines = json.loads(held[1])["lines"]
        assert [line["names"][1] for line in lines] == ["plain", "bad", "equal"]
        # in the units that the heads of the columns say
        assert lines[1]["costs"] == [pytest.approx(151.277313), None, 21.5, None, None]
    text = (tmp_path / "leaderboard.md").read_text("utf-8")
    assert "| 1.2 | clip | plain | cosine | **● " in text and "151.3 | – | 21.5 |" in text


def test_the_page_brings_type_for_every_chinese_letter_on_it(home, tmp_path, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(
        "scripts.leaderboard.page.font_faces", lambda letters: asked.append(letters) or ""
    )
    board(home / "results", to=tmp_path)
    page = (tmp_path / "leaderboard.zh.html").read_text("utf-8")
    shown = set(re.findall(r"[\u4e00-\u9fff]", page.partition("<body>")[2]))
    assert len(shown) > 100 and shown <= set(asked[1])


def test_a_run_made_elsewhere_joins_and_folders_may_be_named_twice(home, copied, tmp_path):
    shutil.rmtree(copied / "results/toy")
    moved = copied.rename(tmp_path / "elsewhere")
    shutil.rmtree(home / "results/nothing", ignore_errors=True)
    (tmp_path / "link").symlink_to(home / "results")
    named = home / "results/toy", moved / "results", home / "results/toy", tmp_path / "link/toy"
    rows = board(*named, to=tmp_path)
    plain = [row for row in rows if row["prompt"] == "plain"]
    assert {row["dataset"] for row in plain} == {"toy", "other"} and len(rows) == 8
    assert {row["mean_place"] for row in plain} == {"1.25"}


def test_runs_of_a_dataset_that_lies_behind_a_link_join(copied, tmp_path):
    there = shutil.move(copied / "results/toy", tmp_path / "disk")
    (copied / "results/toy").symlink_to(there)
    # and none is found a second time, through itself or by a shorter path
    (copied / "results/again").symlink_to(copied / "results")
    (copied / "results/best").symlink_to(copied / "results/other/clip/plain/cosine")
    rows = board(copied / "results", to=tmp_path / "board")
    folders = {Path(row["folder"]).relative_to(copied / "results").parts[0] for row in rows}
    assert folders == {"toy", "other"} and len(rows) == 8


def apart(copied: Path, to: Path) -> str:
    """What the board says of runs that it does not compare."""
    board(copied / "results", to=to)
    text = (to / "leaderboard.md").read_text("utf-8")
    assert "## Not compared" in text
    assert "Not compared" in (to / "leaderboard.en.html").read_text("utf-8")
    return html.unescape(text.partition("## Not compared")[2])


def test_runs_on_other_captions_stand_apart(copied, tmp_path):
    rows = write_dataset(copied, "longer", told=("words", "more"))
    folder = write_run(copied, rows, ranks_of(rows), "odd", dataset="longer")
    shutil.move(folder.parent, copied / "results/toy/clip/odd")
    metrics = copied / "results/toy/clip/odd/cosine/metrics.json"
    metrics.write_text(metrics.read_text().replace('"longer"', '"toy"'))
    told = apart(copied, tmp_path / "board")
    assert "toy: clip · odd · cosine: other images or captions, or another split" in told


def test_features_of_an_unchecked_precision_stand_apart_and_checked_ones_do_not(copied, tmp_path):
    folder = copied / "results/other/clip"
    write_json(folder / "test/images.json", {"precision": "bfloat16"})
    write_json(folder / "precision.json", {"precision": "bfloat16"})
    rows = board(copied / "results", to=tmp_path / "board")
    assert {row["precision"] for row in rows if row["dataset"] == "other"} == {"bfloat16"}
    (folder / "precision.json").unlink()
    write_run(copied, write_dataset(copied, "other"), np.ones(250, int), "exact", dataset="other")
    shutil.copytree(folder / "exact", copied / "results/other/second/exact")
    told = apart(copied, tmp_path / "board")
    assert "features in bfloat16, which nobody held against float32" in told


def test_features_that_came_from_elsewhere_are_compared_as_they_came(copied, tmp_path):
    write_json(copied / "results/other/clip/test/images.json", {"shape": [50, 8]})
    rows = board(copied / "results", to=tmp_path / "board")
    assert {row["precision"] for row in rows if row["dataset"] == "other"} == {""}
    assert "Not compared" not in (tmp_path / "board/leaderboard.md").read_text("utf-8")


def test_a_run_that_another_version_measured_stands_apart(copied, tmp_path):
    metrics = copied / "results/toy/clip/equal/cosine/metrics.json"
    about = json.loads(metrics.read_text())
    about["text_to_image"]["recall@1"] += 0.01
    write_json(metrics, about)
    told = apart(copied, tmp_path / "board")
    assert "toy: clip · equal · cosine: measured by another version" in told


def test_where_no_run_can_be_compared_the_page_says_so_first(copied, tmp_path):
    shutil.rmtree(copied / "results/toy")
    metrics = copied / "results/other/clip/plain/cosine/metrics.json"
    about = json.loads(metrics.read_text())
    about["text_to_image"]["recall@1"] += 0.01
    write_json(metrics, about)
    assert "other: clip · plain · cosine: measured by" in apart(copied, tmp_path)
    for page in ("leaderboard.md", "leaderboard.en.html"):
        text = (tmp_path / page).read_text("utf-8")
        assert "None of the runs can be compared; why, stands below" in text
        assert "0 runs of 0 models" not in text


def test_names_from_elsewhere_are_text_in_markdown_and_pages(copied, tmp_path):
    folder = copied / "results/toy/clip"
    shutil.copytree(folder / "bad", folder / "<b>|*x")
    metrics = folder / "<b>|*x/cosine/metrics.json"
    metrics.write_text(metrics.read_text().replace('"bad"', '"<b>|*x"'))
    for one in (copied / "results/other").rglob("metrics.json"):
        one.write_text(one.read_text().replace('"dataset": "other"', '"dataset": "<b>|*x"'))
    board(copied / "results", to=tmp_path)
    assert "<b>|" not in (tmp_path / "leaderboard.md").read_text("utf-8")
    page = (tmp_path / "leaderboard.zh.html").read_text("utf-8")
    assert "<b>|" not in page and "&lt;b&gt;|*x" in page


@pytest.mark.parametrize("odd", [b"clip,many", b"clip,nan", b"clip,inf", b"clip,\xff"])
def test_costs_that_are_no_numbers_are_told(copied, tmp_path, capsys, odd):
    costs = copied / "results/toy/tables/costs.csv"
    costs.write_bytes(b"model,parameters\n" + odd)
    assert main([str(copied / "results"), "--to", str(tmp_path / "board")]) == 1
    assert f"ERROR in {costs}\n  found:    " in capsys.readouterr().err


def test_a_run_without_what_all_runs_have_is_told(copied, tmp_path, capsys):
    metrics = copied / "results/toy/clip/equal/cosine/metrics.json"
    about = json.loads(metrics.read_text())
    for key in ("dataset", "captions", "text_to_image"):
        write_json(metrics, {name: own for name, own in about.items() if name != key})
        assert main([str(copied / "results"), "--to", str(tmp_path / "board")]) == 1
        told = capsys.readouterr().err
        assert f"ERROR in {metrics}\n  found:    {key}" in told and ": None\n" in told


def test_templates_that_are_no_list_are_no_error(copied, tmp_path):
    write_json(copied / "results/toy/clip/test/texts.plain.json", {"templates": None})
    assert len(board(copied / "results", to=tmp_path / "board")) == 8


def test_a_folder_without_runs_is_told(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "no finished run" in told and "Traceback" not in told
