"""The program that the report shows finds what the workflow finds."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_the_program_that_the_report_shows_finds_what_the_workflow_finds(
    finished_run, monkeypatch, capsys
):
    folder = finished_run.folder
    given = [folder / "data/models/clip-tiny", folder / "data/scenes", "test"]
    monkeypatch.setattr(sys, "argv", ["recall_at_k.py", *map(str, given)])
    runpy.run_path(str(ROOT / "scripts" / "recall_at_k.py"))
    found = re.findall(r"(\w+) to (\w+) (\{.*\})", capsys.readouterr().out)
    metrics = json.loads(
        (folder / "results/scenes/clip-tiny/plain/cosine/metrics.json").read_text("utf-8")
    )
    assert len(found) == 2
    for asked, answered, recalls in found:
        for k, value in json.loads(re.sub(r"(\d+):", r'"\1":', recalls)).items():
            expected = metrics[f"{asked}_to_{answered}"][f"recall@{k}"]
            assert value == pytest.approx(expected, abs=1e-4)
