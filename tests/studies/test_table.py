"""A study's table holds what was put in, whatever a caption holds."""

from __future__ import annotations

import csv

import pytest

from scripts.studies.table import write_rows


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
