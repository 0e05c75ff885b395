"""Pairs of runs as the rows of prompts and of scorers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_run import collection, reference_of

from scripts.evaluate.intervals import Resampling
from scripts.evaluate.pairs import COLUMNS, compare_all, pairs_of
from scripts.studies.comparisons import comparison_rows, read_pairs
from scripts.studies.table import write_rows

NAMES = [
    ("tiny", "plain", "cosine"),
    ("tiny", "photo", "cosine"),
    ("tiny", "plain", "nnn"),
    ("other", "plain", "cosine"),
    ("other", "photo", "cosine"),
]


def write_pairs(path, names) -> list:
    """pairs.csv of runs of like quality on the same rows, and the runs."""
    runs = []
    for seed, (model, prompt, scorer) in enumerate(names):
        rows, images, _ = collection([3] * 15, seed=0, noise=2)
        _, _, texts = collection([3] * 15, seed=seed, noise=2)
        run = reference_of(rows, images, texts).run
        runs.append(replace(run, model=model, prompt=prompt, scorer=scorer))
    records = compare_all(pairs_of(runs, len(runs)), rows, Resampling(200, 0), flips=200)
    write_rows(path, records, COLUMNS)
    return runs


@pytest.mark.parametrize(
    ("family", "wanted"),
    [("prompt", {("tiny", "photo"), ("other", "photo")}), ("scorer", {("tiny", "nnn")})],
)
def test_each_is_set_against_the_first_of_its_model_with_interval_and_p(tmp_path, family, wanted):
    runs = write_pairs(tmp_path / "pairs.csv", NAMES)
    table = comparison_rows(read_pairs(tmp_path / "pairs.csv"), family)
    assert {(row["model"], row["group"]) for row in table} == wanted
    assert len(table) == 2 * 5 * len(wanted)
    for row in table:
        mine = next(run for run in runs if run.key == (row["model"], row["prompt"], row["scorer"]))
        first = next(run for run in runs if run.key == (row["model"], "plain", "cosine"))
        ranks, others = mine.ranks[row["direction"]], first.ranks[row["direction"]]
        assert row["queries"] == len(ranks)
        if row["measure"] == "p_holm":
            assert 0 < row["value"] <= 1
            assert row["low"] is row["high"] is None
            continue
        depths = (1, 5, 10) if row["measure"] == "mean" else (int(row["measure"][7:]),)
        expected = np.mean([(ranks <= k).mean() - (others <= k).mean() for k in depths])
        assert row["value"] == pytest.approx(expected, abs=1e-8)
        assert row["low"] <= row["value"] <= row["high"]


def test_one_prompt_and_one_scorer_give_no_row(tmp_path):
    write_pairs(tmp_path / "pairs.csv", NAMES[:1])
    for family in ("prompt", "scorer"):
        assert comparison_rows(read_pairs(tmp_path / "pairs.csv"), family) == []
