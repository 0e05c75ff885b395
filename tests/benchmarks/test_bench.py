"""`./run bench` measures what it says, and its page holds nothing else; how fast is not asked."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import warm_python
from patience import LONG

from benchmarks import many, page, reported
from benchmarks.growth import exponent
from benchmarks.race import ROOT, Contender, claimed, environment, faster, named, race
from benchmarks.sizes import QUICK, Work


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LONG,
    )


def test_a_quick_run_keeps_every_turn_and_the_ratios_that_follow_from_them(tmp_path):
    output = tmp_path / "quick.json"
    done = bench("--quick", "--alone", "--output", str(output), "text", "ranking")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads(output.read_text("utf-8"))
    assert list(kept) == ["text", "ranking"]
    text = kept["text"]
    rows = [row for row in text["rows"] if row["case"] == "float32"]
    assert [row["contender"] for row in rows] == ["ours", "padded loop"]
    assert all(row["items"] == 40 and row["peak_mb"] > 100 for row in rows)
    ours, loop = rows
    ratio, cosine = [claim for claim in text["claims"] if claim["case"] == "float32"]
    assert ratio["value"] == pytest.approx(loop["seconds"][0] / ours["seconds"][0], rel=1e-2)
    assert cosine["claim"].startswith("smallest cosine") and cosine["met"]
    assert text["machine"]["torch_threads"] >= 1 and text["machine"]["cpu"]
    # to the reader's screen, too
    assert "as fast as the padded loop" in done.stdout
    assert not list(tmp_path.glob("work.*"))
    recall = {row["case"]: row["facts"] for row in kept["ranking"]["rows"]}
    assert recall["text_to_image"]["recall@10"] >= recall["text_to_image"]["recall@1"] > 0


def test_an_unknown_benchmark_is_named_beside_those_that_there_are():
    done = bench("txet")
    assert done.returncode == 2 and "txet" in done.stderr and "ranking" in done.stderr


def wait(seconds: float, memory: int):
    """A contender that takes its time and so many bytes."""
    import time

    def go() -> dict[str, int]:
        held = b"\1" * memory
        time.sleep(seconds)
        return {"held": len(held)}

    return go


def test_every_turn_is_timed_and_compared_with_the_other_of_its_round(tmp_path):
    contenders = [
        Contender(name, "benchmarks.test_bench:wait", {"seconds": seconds, "memory": memory})
        for name, seconds, memory in (("slow", 1.0, 2**20), ("quick", 0.0, 2**26))
    ]
    rows = race("toy", "sleep", contenders, 3, 10, "naps", tmp_path / "log")
    slow, quick = named(rows, "slow"), named(rows, "quick")
    assert len(slow["seconds"]) == len(quick["seconds"]) == 3
    assert slow["median"] == sorted(slow["seconds"])[1] >= 1.0
    assert slow["rate"] == pytest.approx(10 / slow["median"])
    claim = faster("as fast", quick, slow, goal=1)
    ratios = sorted(a / b for a, b in zip(slow["seconds"], quick["seconds"], strict=True))
    assert [claim["low"], claim["value"], claim["high"]] == pytest.approx(ratios)
    assert claim["met"] == (ratios[1] >= 1)
    assert quick["facts"] == {"held": 2**26}
    if sys.platform == "linux":
        assert quick["extra_mb"] > 60 > slow["extra_mb"] + 30


def test_a_contender_that_fails_says_where_its_words_are(tmp_path):
    contender = Contender("broken", "benchmarks.test_bench:nothing")
    with pytest.raises(RuntimeError, match="broken ended early"):
        race("toy", "", [contender], 1, 1, "it", tmp_path / "log")
    assert "nothing" in (tmp_path / "log").read_text()


def test_the_exponent_of_what_grows_with_the_square_is_two():
    rows = [
        {"benchmark": "toy", "case": "", "gallery": n, "median": 3e-6 * n**2}
        for n in (10, 100, 400)
    ]
    claim = exponent("square", rows, "median", 1.1)
    assert claim["value"] == pytest.approx(2) and claim["met"] is False


def test_made_up_runs_are_compared_and_explored_by_the_rules_own_work(tmp_path):
    many.make_runs(folder := tmp_path / "many", images=8, runs=14)
    many.make_pages(folder, runs=14)
    many.pairs(str(folder), runs=14)()
    families = [line.split(",")[0] for line in (folder / "pairs.csv").read_text().split("\n")]
    # of a model of ten runs and one of four, each with its model's first, and that with the first
    counts = [families.count(family) for family in ("prompt", "scorer", "model", "other")]
    assert counts == [3 * (5 + 3), 3 * 4, 3, 0]
    facts = many.explorer(str(folder), runs=14)()
    assert facts["page_mb"] > facts["beside_mb"] > 0
    assert len(list(folder.glob("explorer_files/*/*/*.js"))) == 13


def test_of_a_whole_run_each_rule_has_its_longest_and_its_largest_job(tmp_path, monkeypatch):
    snakemake = (warm_python.python(), "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"))
    monkeypatch.setattr(reported, "SNAKEMAKE", snakemake)
    work = Work(QUICK, tmp_path, tmp_path / "log", 2, False, tmp_path, [], "")
    rows, claims, (note,) = reported.measure(work)
    folder = tmp_path / "reported.0"
    assert (folder / "results/made/report.zh.pdf").is_file()
    jobs = [json.loads(path.read_text()) for path in folder.glob("results/jobs/**/*.json")]
    assert {row["contender"] for row in rows} == {job["rule"] for job in jobs}
    for row in rows:
        own = [job for job in jobs if job["rule"] == row["contender"]]
        assert row["median"] == max(job["seconds"] for job in own)
        assert row["peak_mb"] == max(job["max_rss_mb"] for job in own)
    facts = {row["contender"]: row["facts"]["jobs"] for row in rows}
    assert facts["document"] == facts["page"] == facts["paper"] == 2
    # a model and two scorers
    assert facts["metrics"] == 2 and "2 runs" in note
    memory, time = claims
    assert memory["value"] == max(row["peak_mb"] for row in rows) and memory["unit"] == "MB"
    assert time["value"] <= max(row["median"] for row in rows) and time["at_most"]


def test_of_a_whole_run_the_page_lists_the_rules_that_took_longest():
    other = {"case": "9 runs", "contender": "pairs", "facts": {}, "median": 1.0}
    rules = [
        {"case": case, "contender": f"rule {s}", "facts": {"jobs": 1}, "median": float(s)}
        for case in ("small", "large")
        for s in range(page.RULES + 3)
    ]
    found = page.listed([*rules, other])
    assert found[0] is other and len(found) == 1 + 2 * page.RULES
    assert [row["median"] for row in found[1:4]] == [12.0, 11.0, 10.0]
    assert {row["median"] for row in rules} - {row["median"] for row in found[1:]} == {0, 1, 2}


def test_what_may_take_long_is_not_held_against_the_time_of_a_step():
    given = [("encode_texts", 900.0), ("study_indexes", 800.0), ("build_index", 700.0)]
    jobs = [
        {"rule": rule, "seconds": s, "max_rss_mb": 10.0} for rule, s in [*given, ("pairs", 9.0)]
    ]
    rows = [reported.row_of("toy", rule, own) for rule, own in reported.by_rule(jobs).items()]
    _, time = reported.claims_of(rows)
    assert time["claim"].endswith("pairs") and time["value"] == 9.0 and time["met"]


def test_the_page_shows_the_figures_that_lie_beside_it_and_no_others():
    kept = json.loads(page.FIGURES.read_text("utf-8"))
    text = page.PAGE.read_text("utf-8")
    assert page.filled(text, kept) == text, "./run bench --page writes it"
    # prose between the tables holds no figure that a run could change
    prose = page.MARKED.sub("", text)
    assert "times as fast" not in prose and "GFLOP" not in prose


def test_what_a_run_did_not_measure_stays_on_the_page(tmp_path, monkeypatch):
    kept = json.loads(page.FIGURES.read_text("utf-8"))
    again = {"text": kept["text"] | {"notes": ["Measured again."]}}
    (tmp_path / "run.json").write_text(json.dumps(again), "utf-8")
    for name in ("PAGE", "FIGURES", "PICTURE"):
        file = shutil.copy(getattr(page, name), tmp_path)
        monkeypatch.setattr(page, name, Path(file))
    page.write(tmp_path / "run.json")
    assert json.loads(page.FIGURES.read_text("utf-8")) == kept | again
    text = page.PAGE.read_text("utf-8")
    assert text == page.filled(text, kept | again) and "Measured again." in text


def test_a_goal_that_was_missed_is_shown_as_missed():
    row = {"benchmark": "toy", "case": "one"}
    missed, reached = (claimed("fast", row, [value], "times", 5) for value in (4.0, 6.0))
    assert page.claim_of(missed)[-1] == "≥ 5, not reached"
    assert page.claim_of(reached)[-1] == "≥ 5"


def test_run_hands_its_arguments_on(tmp_path):
    shutil.copy(ROOT / "run", tmp_path / "run")
    (tmp_path / "requirements.lock").write_text("six==1.17.0\n")
    tool = tmp_path / ".venv" / "bin" / "python"
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/bin/sh\necho "$PYTHONPATH" "$@"\n')
    tool.chmod(0o755)
    shutil.copy(tmp_path / "requirements.lock", tmp_path / ".venv")
    done = subprocess.run(
        [str(tmp_path / "run"), "bench", "text", "--quick"],
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == f"{tmp_path}:{tmp_path}/tests -m benchmarks text --quick"
