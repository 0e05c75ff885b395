"""What a finished run leaves of itself: its record, its configuration, and what ``verify`` says."""

import json
import os
import subprocess
import sys
from pathlib import Path

from small_runs import RUN, SMALL

ROOT = Path(__file__).parent.parent


def verify(project, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "scripts.provenance.verify", *arguments],
        cwd=project.folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(project.folder)},
    )


def test_a_finished_run_is_recorded_file_by_file_and_confirmed(finished_run):
    run = finished_run.folder / RUN
    record = json.loads((run / "ro-crate-metadata.json").read_text("utf-8"))
    made = next(one["result"] for one in record["@graph"] if one["@id"] == "#run")
    there = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    # every file of the folder is one that the rules are known to make
    assert {one["@id"] for one in made} == there - {"ro-crate-metadata.json"}
    done = verify(finished_run, RUN)
    assert done.returncode == 0 and "all as recorded" in done.stdout, done.stdout


def test_a_record_tells_nothing_of_the_machine(finished_run):
    run = finished_run.folder / RUN
    text = (run / "ro-crate-metadata.json").read_text("utf-8") + (run / "config.yaml").read_text()
    home = str(Path.home())
    for trace in (str(finished_run.folder), str(ROOT), *([home] if len(home) > 5 else [])):
        assert trace not in text


def test_one_changed_byte_is_named_and_the_record_is_stale(finished):
    path = finished.folder / RUN / "tables/metrics.md"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = verify(finished, RUN)
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("changed: ")] == [
        f"changed: {RUN}/tables/metrics.md"
    ]
    assert set(finished.planned(*SMALL).jobs) == {"record", "all"}


def test_the_recorded_configuration_is_that_of_the_run(finished):
    jobs = finished.planned("--configfile", f"{RUN}/config.yaml").jobs
    # the report tells the command that makes it again, which is this one
    assert not set(jobs)


def test_recording_again_gives_the_same_bytes(finished, monkeypatch):
    # where git tells no day, it is today's, which may end in between
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    path = finished.folder / RUN / "ro-crate-metadata.json"
    made = []
    for _ in range(2):
        finished.snakemake(*SMALL, "--forcerun", "record")
        made.append(path.read_bytes())
    assert made[0] == made[1]
