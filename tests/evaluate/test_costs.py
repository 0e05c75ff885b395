"""What a model costs, from what the jobs that encoded with it noted."""

from __future__ import annotations

import csv
from dataclasses import replace
from types import SimpleNamespace

import pytest

from scripts.evaluate import costs
from scripts.jobs import Job

JOB = Job("encode_images", {"model": "clip"}, {}, {}, "", 2.0, 3.0, 100.0, "cpu", {})
ABOUT = {"model": "clip", "architecture": "clip", "parameters": 151_000_000}
SIDECAR = {"shape": [32, 512], "precision": "bfloat16", "device": "cpu"}


def of(**jobs):
    return costs.cost_of_model(ABOUT, SIDECAR, {"images": [], "texts": [], **jobs})


def test_speed_is_of_all_shards_together_and_of_the_encoding_alone():
    first = replace(JOB, rule="encode_images_shard", measured={"items": 30, "seconds": 2.0})
    second = replace(first, measured={"items": 10, "seconds": 3.0})
    row = of(images=[first, second, replace(JOB, rule="prepare_images", wildcards={})])
    assert row["images_per_second"] == pytest.approx(8)
    assert row["texts_per_second"] is None
    assert (row["parameters"], row["embedding_dim"], row["precision"]) == (
        *(151_000_000, 512, "bfloat16"),
    )


def test_memory_is_of_the_largest_process_that_had_this_model_loaded():
    other = replace(JOB, wildcards={"model": "other"}, max_rss_mb=900.0)
    chose = replace(JOB, rule="choose_precision", max_rss_mb=300.0)
    prepared = replace(JOB, rule="prepare_images", max_rss_mb=800.0, wildcards={})
    assert of(images=[JOB, other, chose, prepared])["max_rss_mb"] == 300


def test_of_features_that_came_in_nothing_is_known_but_their_size():
    row = of(images=[replace(JOB, rule="import_features")])
    assert row["images_per_second"] is None and row["max_rss_mb"] is None
    assert row["embedding_dim"] == 512


def test_the_rule_writes_a_row_for_each_model(tmp_path, monkeypatch):
    contents = {"m.json": ABOUT, "i.json": SIDECAR}
    told = [replace(JOB, rule="encode_texts", measured={"items": 50, "seconds": 2.0})]
    monkeypatch.setattr(costs, "read_json", contents.get)
    monkeypatch.setattr(costs, "jobs_behind", lambda paths: told if paths == ["t.json"] else [])
    files = SimpleNamespace(models=["m.json"], images=["i.json"], texts=["t.json"])
    output = SimpleNamespace(csv=str(tmp_path / "costs.csv"))
    costs.main(SimpleNamespace(input=files, output=output))
    (row,) = csv.DictReader((tmp_path / "costs.csv").open())
    assert float(row["texts_per_second"]) == 25 and row["images_per_second"] == ""
