"""A study's table holds what was put in, whatever a caption holds."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from scripts.evaluate.intervals import Resampling
from scripts.studies.table import (
    About,
    is_fraction,
    is_share,
    mean_rows,
    read_table,
    row,
    unit_of,
    write_rows,
)


@pytest.mark.parametrize(
    "text",
    [
        "a\rdog",
        "\r",
        "a\r\ndog",
        "a\ndog",
        "a\u2028dog",
        "a\x85dog",
        "a\x0bdog",
        "a\x1edog",
        'a "dog", ok',
    ],
    ids=repr,
)
def test_a_text_comes_back_from_a_table_as_it_was(tmp_path, text):
    path = tmp_path / "study.csv"
    write_rows(path, [{"group": text, "x": 1}, {"group": "next", "x": 2}], ["group", "x"])
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [{"group": text, "x": "1"}, {"group": "next", "x": "2"}]


def test_rows_end_in_a_newline_alone(tmp_path):
    write_rows(tmp_path / "study.csv", [{"group": "a", "x": 1}], ["group", "x"])
    assert (tmp_path / "study.csv").read_bytes() == b"group,x\na,1\n"


def test_a_share_of_all_has_width_and_another_measure_that_never_varies_has_none():
    about = About(("model", "prompt", "scorer"), "text_to_image")
    measures = ["recall@1", "found@10", "cosine_right"]
    values, images = np.ones((10, 3)), np.repeat(np.arange(5), 2)
    rows = mean_rows(about, measures, values, images, Resampling(100, 0))
    least = round(0.025 ** (1 / 5), 9)
    assert [(row["low"], row["high"]) for row in rows] == [(least, 1), (least, 1), (1, 1)]


def test_a_number_that_rounds_to_nothing_stands_without_a_sign(tmp_path):
    about = About(("m", "p", "s"), "text_to_image", "drop, loss", 0.5)
    write_rows(tmp_path / "table.csv", [row(about, "mean", -1e-12, 4, (-0.0, -1e-10))])
    (line,) = read_table(tmp_path / "table.csv")
    assert [line[key] for key in ("value", "low", "high")] == ["0.0", "0.0", "0.0"]


def test_differences_of_shares_are_points_and_those_of_other_numbers_are_as_they_are():
    units = {"recall@1": "share", "recall@1_change": "points", "loss": "points", "gain@5": "points",
             "mean": "share", "skewness_change": "", "median_rank_change": "rank"}  # fmt: skip
    assert {measure: unit_of(measure) for measure in units} == units
    assert [is_share("recall@10_change"), is_fraction("recall@10_change")] == [False, True]
