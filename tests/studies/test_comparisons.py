"""Pairs of runs as the tables of prompts and of scorers."""

from __future__ import annotations

import csv
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from small_run import collection, read_table, reference_of

from scripts.evaluate.intervals import Resampling
from scripts.evaluate.pairs import COLUMNS, compare_all, pairs_of
from scripts.studies import study_prompts, study_scorers
from scripts.studies.table import COLUMNS as TABLE_COLUMNS

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
    records = compare_all(pairs_of(runs), rows, Resampling(200, 0), flips=200)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(records)
    return runs


@pytest.mark.parametrize(
    ("study", "wanted"),
    [(study_prompts, {("tiny", "photo"), ("other", "photo")}), (study_scorers, {("tiny", "nnn")})],
)
def test_each_is_set_against_the_first_of_its_model_with_interval_and_p(tmp_path, study, wanted):
    runs = write_pairs(tmp_path / "pairs.csv", NAMES)
    job = SimpleNamespace(
        input=SimpleNamespace(pairs=str(tmp_path / "pairs.csv")),
        output=SimpleNamespace(table=str(tmp_path / "table.csv")),
    )
    study.main(job)
    table = read_table(tmp_path / "table.csv")
    assert {(row["model"], row["group"]) for row in table} == wanted
    assert len(table) == 2 * 5 * len(wanted)
    for row in table:
        mine = next(run for run in runs if run.key == (row["model"], row["prompt"], row["scorer"]))
        first = next(run for run in runs if run.key == (row["model"], "plain", "cosine"))
        ranks, others = mine.ranks[row["direction"]], first.ranks[row["direction"]]
        assert int(row["queries"]) == len(ranks)
        if row["measure"] == "p_holm":
            assert 0 < float(row["value"]) <= 1
            assert row["low"] == row["high"] == ""
            continue
        depths = (1, 5, 10) if row["measure"] == "mean" else (int(row["measure"][7:]),)
        expected = np.mean([(ranks <= k).mean() - (others <= k).mean() for k in depths])
        assert float(row["value"]) == pytest.approx(expected, abs=1e-8)
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])


def test_one_prompt_and_one_scorer_give_a_table_of_the_header_alone(tmp_path):
    write_pairs(tmp_path / "pairs.csv", NAMES[:1])
    for study in (study_prompts, study_scorers):
        job = SimpleNamespace(
            input=SimpleNamespace(pairs=str(tmp_path / "pairs.csv")),
            output=SimpleNamespace(table=str(tmp_path / "table.csv")),
        )
        study.main(job)
        assert (tmp_path / "table.csv").read_text() == ",".join(TABLE_COLUMNS) + "\n"
