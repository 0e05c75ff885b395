"""Time and memory of each rule, from what its jobs noted."""

from __future__ import annotations

import csv
from dataclasses import replace
from types import SimpleNamespace

import pytest

from scripts.evaluate import steps
from scripts.evaluate.steps import cost_of_rules, where_and_with_what
from scripts.jobs import Job

JOB = Job("encode", {}, {}, {}, "", 2.0, 3.0, 100.0, "cpu", {})


def test_jobs_of_a_rule_are_one_row_in_the_order_of_the_walk():
    second = replace(JOB, seconds=6.0, cpu_seconds=3.0, max_rss_mb=300.0)
    rows = cost_of_rules([replace(JOB, rule="prepare"), JOB, second, replace(JOB, rule="rank")])
    assert [row["rule"] for row in rows] == ["prepare", "encode", "rank"]
    assert rows[1] == {
        "rule": "encode", "jobs": 2, "seconds": 8.0, "max_rss_mb": 300.0, "mean_load_percent": 75.0,
    }  # fmt: skip


def test_shards_of_a_step_are_that_step():
    (row,) = cost_of_rules([JOB, replace(JOB, rule="encode_shard")])
    assert row["rule"] == "encode" and row["jobs"] == 2


def test_what_a_system_does_not_note_stays_empty():
    (row,) = cost_of_rules([replace(JOB, seconds=0.0, max_rss_mb=None)])
    assert row["max_rss_mb"] is None and row["mean_load_percent"] is None


def test_the_rule_follows_its_metrics_back(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "jobs_behind", lambda paths: [JOB] if paths == ["m.json"] else [])
    output = tmp_path / "steps.csv"
    given = {"input": SimpleNamespace(metrics=["m.json"])}
    files = {"csv": str(output), "machine": str(tmp_path / "machine.json")}
    steps.main(SimpleNamespace(**given, output=SimpleNamespace(**files)))
    (row,) = csv.DictReader(output.open())
    assert row["rule"] == "encode" and float(row["seconds"]) == pytest.approx(2)
    assert (tmp_path / "machine.json").is_file()


def test_machines_and_versions_of_a_run_that_went_on_elsewhere_stand_side_by_side():
    first = {"processor": "A", "cores": 2}
    jobs = [
        replace(JOB, rule="prepare", machine=first, versions={"python": "3.11", "numpy": "2.4"}),
        replace(JOB, machine=first, versions={"python": "3.11", "torch": "2.13"}),
        replace(JOB, machine={"processor": "B", "cores": 16}, versions={"torch": "2.14"}),
    ]
    found = where_and_with_what(jobs)
    assert found["machines"] == [
        {**first, "rules": ["prepare", "encode"]},
        {"processor": "B", "cores": 16, "rules": ["encode"]},
    ]
    assert [tuple(one.values()) for one in found["packages"]] == [
        ("python", "3.11"), ("numpy", "2.4"), ("torch", "2.13"), ("torch", "2.14"),
    ]  # fmt: skip
