"""The explorer: what it holds, and what a reader can do with it in a real browser."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re

import numpy as np
import pytest
from explorers import CHINESE, MARKUP, RUNS, WARNINGS, Made, block, unpacked

from scripts.evaluate.runs import Run
from scripts.explorer import explorer
from scripts.job import write_json
from scripts.measures import METRICS
from scripts.protocol import DIRECTIONS
from scripts.words.warned import sentences


@pytest.mark.parametrize("number", range(len(RUNS)))
def test_the_lists_in_the_page_are_those_of_the_rankings(explored, explorer_page, number):
    run, lists = explored.run(number), unpacked(explorer_page, number)
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
    explored, explorer_page, way
):
    run, rows = explored.run(), explored.rows
    scores = explored.scores[RUNS[0]]
    own = rows.image_of_caption[:, None] == np.arange(len(rows.images))
    if way == "image_to_text":
        scores, own = scores.T, own.T
    true = np.where(own, scores, -np.inf).max(1) - np.where(own, -np.inf, scores).max(1)
    found = np.array(unpacked(explorer_page, 0)[way]["margin"]) / 10_000
    listed = np.take_along_axis(own, run.tops[way], axis=1).any(axis=1)
    known = listed | (way == "text_to_image")
    assert known.any() and (way == "text_to_image" or not known.all())
    assert np.abs(found - true)[known].max() <= 0.6e-4
    assert (found[~known] >= true[~known] - 0.6e-4).all()


def test_a_margin_is_not_told_where_the_list_holds_no_wrong_answer(explored):
    run = explored.run()
    image = int(np.bincount(explored.rows.image_of_caption).argmax())
    first = np.flatnonzero(explored.rows.image_of_caption == image)[:2]
    tops = np.tile(first, (len(explored.rows.images), 1))
    scores = np.tile(np.float32([0.5, 0.25]), (len(tops), 1))
    short = Run(
        **{
            **run.__dict__,
            "tops": {**run.tops, "image_to_text": tops},
            "scores": {**run.scores, "image_to_text": scores},
        }
    )
    found = explorer.margins(short, "image_to_text", explored.rows)
    assert found[image] is None
    # elsewhere both are wrong: the right one is somewhere below the last
    assert set(found) == {None, -2500}


def test_the_page_knows_captions_lengths_categories_failures_and_judgments(explored, explorer_page):
    held = json.loads(block(explorer_page, "held"))
    rows = explored.rows
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
    with explored.failures.open(encoding="utf-8", newline="") as stream:
        expected = [
            [row["direction"], int(row["query"]), row["kind"], row["differing"]]
            for row in csv.DictReader(stream)
        ]
    assert expected == [
        [way, *one] for way in DIRECTIONS for one in unpacked(explorer_page, 0)[way]["failed"]
    ]
    # of the other runs, nobody looked
    assert [
        unpacked(explorer_page, run)[way]["failed"] for run in (1, 2) for way in DIRECTIONS
    ] == [None] * 4
    assert set(held["kinds"]) == {kind for _, _, kind, _ in expected}
    # the first caption was judged to fit the second image; that it fits its own goes without saying
    assert held["accepted"] == [[0, 1]]


def test_the_page_has_every_measure_of_every_run_as_tables_print_them(explored, explorer_page):
    held = json.loads(block(explorer_page, "held"))
    for run, own in zip(held["runs"], explored.measured(), strict=True):
        for way in DIRECTIONS:
            low, high = own["intervals"][way]["recall@1"]
            recall = f"{100 * own[way]['recall@1']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
            assert run["measures"][way]["recall@1"] == recall
            assert run["measures"][way]["median_rank"].startswith(f"{own[way]['median_rank']:.1f}")
            assert run["measures"][way]["rsum"].startswith(f"{100 * own['rsum']:.1f} ")
            assert list(run["measures"][way]) == list(METRICS)
    heads = json.loads(block(explorer_page, "phrases"))["zh"]["measures"]
    assert heads["r_precision"] == "R-Precision (%)" and heads["median_rank"] == "名次中位数"


def test_of_many_runs_the_first_stands_in_the_page_and_each_other_in_a_file_beside_it(
    explored, explorer_page, explorer_beside
):
    assert block(explorer_beside, "run-0") == block(explorer_page, "run-0")
    assert 'id="run-1"' not in explorer_beside.read_text("utf-8")
    assert block(explorer_beside, "held") == block(explorer_page, "held")
    for number in (1, 2):
        key = explored.keys[number]
        text = explored.beside(explorer_beside, key).read_text("ascii")
        # one call, of two strings that hold no letter but those of names and of base64
        name, lists = re.fullmatch(
            r'explorer\("([a-z0-9./-]+)","([A-Za-z0-9+/=]+)"\);\n', text
        ).groups()
        assert name == "/".join(key) and lists == block(explorer_page, f"run-{number}")


def test_the_policy_lets_scripts_beside_the_page_run_only_where_there_are_some(
    explorer_page, explorer_beside
):
    plain, wider = (
        re.search(r"script-src ([^;]+);", page.read_text("utf-8"))[1]
        for page in (explorer_page, explorer_beside)
    )
    assert re.fullmatch(r"'sha256-[\w+/=]+'", plain)
    # opened from a disk, or from a server that has both; from nowhere else
    assert wider == f"{plain} 'self' file:"


def test_the_same_run_gives_the_same_bytes(explored, explorer_page):
    assert explored.page("again.html").read_bytes() == explorer_page.read_bytes()


def test_no_text_of_the_dataset_ends_a_script_block_or_stands_as_markup(explored, explorer_page):
    page = explorer_page.read_text("utf-8")
    held, phrases = block(explorer_page, "held"), block(explorer_page, "phrases")
    assert not set(held + phrases) & set("<>&\u2028\u2029")
    assert json.loads(held)["captions"] == explored.rows.captions
    assert "<img" not in page and "onerror=" not in page.replace(held, "").replace(phrases, "")
    kinds = re.findall(r"<script (?:type=\"([^\"]+)\")", page)
    assert kinds == ["application/json"] * 3 + ["text/plain"] * len(RUNS) + ["module"]


def test_the_policy_names_the_one_style_and_the_one_script_and_allows_no_request(explorer_page):
    page = explorer_page.read_text("utf-8")
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
    phrases = explorer.read_phrases(["colour"], ["people", "kites"], [])
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
    assert held["kinds"] == [] and unpacked(made.page(), 0)["text_to_image"]["failed"] is None


def test_what_a_run_warns_of_stands_in_the_page_in_each_language(explorer_page, tmp_path):
    phrases = json.loads(block(explorer_page, "phrases"))
    for language, own in phrases.items():
        assert own["warned"] == sentences(WARNINGS, language)
        assert MARKUP in own["warned"][0] and "1,234" in own["warned"][0]
    assert explorer_page.read_text("utf-8").count('<details id="warnings">') == 1
    made = Made(tmp_path, RUNS[:1], failures=False)
    write_json(made.folder / "warnings.json", [])
    assert '<details id="warnings">' not in made.page().read_text("utf-8")
