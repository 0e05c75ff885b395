"""One run at a time, here and on another machine, and what a killed one leaves."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time

import pytest
from patience import LONG
from snakemake.persistence.file import FilePersistence

from scripts import one_run
from scripts.job import RUN, BadInput, whole
from scripts.one_run import RECORD, Told, alone

ELSEWHERE = {"run": "0" * 16, "process": 1, "host": "elsewhere", "boot": "other", "since": "then"}
# a killed run of this machine; no process has so high a number
NOBODY = ELSEWHERE | one_run._machine() | {"process": 2**22 + 1}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The notes of a working directory, in which nothing is watched for long."""
    monkeypatch.setattr(one_run, "WATCHED", 0.3)
    monkeypatch.setattr(one_run, "BEAT", 0.05)
    made = tmp_path / ".snakemake"
    (made / "locks").mkdir(parents=True)
    return made


def left(folder, **changed) -> None:
    """The word of a run that was killed, and its lock."""
    (folder / RECORD).write_text(json.dumps(ELSEWHERE | changed))
    (folder / "locks/0.output.lock").touch()


def test_a_second_run_is_told_who_is_at_work(folder):
    with alone(folder), pytest.raises(Told, match=f"(?s)process {os.getpid()} on .*to do:") as told:  # noqa: SIM117
        with alone(folder):
            pass
    assert "Nothing was changed" in str(told.value)
    with alone(folder):  # and may begin when that has ended
        pass
    assert (folder / RECORD).read_bytes() == b"" and RUN not in os.environ


@pytest.mark.parametrize("word", [b"", json.dumps(NOBODY).encode()], ids=["none", "killed"])
@pytest.mark.parametrize("ends", [False, True], ids=["begins", "ends"])
def test_one_that_is_about_to_say_who_it_is_or_to_leave_is_waited_for(folder, ends, word):
    # the word of a killed run stands until that is cleared
    own = NOBODY | {"run": "1" * 16, "process": os.getpid()}
    with (folder / RECORD).open("a+b", buffering=0) as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        first.write(word)
        if ends:
            does = threading.Timer(0.3, first.close)
        else:
            does = threading.Timer(0.3, one_run._write, (first, own))
        does.start()
        if ends:
            with alone(folder, str):
                pass
        else:
            with pytest.raises(Told, match=f"process {os.getpid()} on "), alone(folder):
                pass
        does.join()


@pytest.mark.parametrize("word", [b"", json.dumps(NOBODY).encode()], ids=["none", "killed"])
def test_one_that_never_says_who_it_is_is_told_without_a_name(folder, monkeypatch, word):
    monkeypatch.setattr(one_run, "SETTLED", 0.2)
    with (folder / RECORD).open("a+b", buffering=0) as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        first.write(word)
        with pytest.raises(Told, match="Another run is at work"), alone(folder):
            pass


def test_one_of_another_container_is_told_by_its_name_at_once(folder):
    with (folder / RECORD).open("a+b", buffering=0) as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        first.write(json.dumps(NOBODY | {"host": "elsewhere"}).encode())
        began = time.monotonic()
        with pytest.raises(Told, match="on elsewhere"), alone(folder):
            pass
        assert time.monotonic() - began < one_run.SETTLED


def test_what_a_killed_run_of_this_machine_left_is_cleared_and_finished_files_stay(folder):
    left(folder, **one_run._machine())
    draft = folder.parent / "results/set/.images.12-0a1b2c.draft.npy"
    folder_draft = folder.parent / "data/set/.images.12-0a1b2c.draft"
    kept = folder.parent / "results/set/images.npy"
    folder_draft.mkdir(parents=True)
    kept.parent.mkdir(parents=True)
    for path in (draft, kept, folder_draft / "a.jpg"):
        path.write_bytes(b"x")
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(3600)"],
        env=os.environ | {RUN: f"{ELSEWHERE['run']}@{folder / RECORD}"},
    )
    said = []
    with alone(folder, said.append):
        assert orphan.wait(LONG) is not None
        assert not list((folder.parent).rglob("*.lock"))
        assert kept.exists() and not draft.exists() and not folder_draft.exists()
    assert "was killed. 1 process(es)" in said[0]


@pytest.mark.parametrize("length", [10, 300])
def test_what_a_killed_run_was_at_is_made_again_also_behind_a_checkpoint(folder, length):
    left(folder, **one_run._machine())
    name = f"results/set/{'x' * (length // 2)}/{'y' * (length // 2)}.npy"
    half, whole_one = folder.parent / name, folder.parent / "results/set/images.npy"
    images = folder.parent / "data/set/images"
    half.parent.mkdir(parents=True)
    images.mkdir(parents=True)
    for path in (half, whole_one, images / "a.jpg"):
        path.write_bytes(b"x")
    notes = FilePersistence(path=str(folder))
    for made in (name, "data/set/images", "results/set/never-came.npy"):
        notes._mark_incomplete(made, None)
    (folder / "incomplete/no mark!").touch()
    with alone(folder, lambda _: None):
        assert not half.exists() and whole_one.exists()
        assert not FilePersistence(path=str(folder))._filter_incomplete_keys([name])
        # a folder is Snakemake's own to remove
        assert (images / "a.jpg").exists()


def test_a_killed_run_leaves_the_processes_of_others_alone(folder):
    left(folder, **one_run._machine())
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(3600)"],
        env=os.environ | {RUN: f"{'1' * 16}@{folder / RECORD}"},
    )
    try:
        with alone(folder, str):
            assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_run_on_another_machine_that_shows_signs_of_life_is_left_its_lock(folder):
    left(folder)
    ended = threading.Event()
    with (folder / RECORD).open("rb+") as stream:
        beating = threading.Thread(target=one_run._beat, args=(stream.fileno(), ended))
        beating.start()
        try:
            with pytest.raises(Told, match="on elsewhere, since then"), alone(folder, str):
                pass
        finally:
            ended.set()
            beating.join()
    assert list((folder / "locks").iterdir())
    assert json.loads((folder / RECORD).read_bytes()) == ELSEWHERE


def test_a_run_on_another_machine_without_signs_of_life_is_followed(folder):
    left(folder)
    said = []
    began = time.monotonic()
    with alone(folder, said.append):
        assert time.monotonic() - began >= 0.3
        assert not (folder / "locks").exists()
    assert "elsewhere" in said[0] and "was killed" in said[1]


@pytest.mark.parametrize("word", ["", "{", "[]", '{"run": 1}'], ids=["none", "cut", "list", "keys"])
def test_a_word_that_was_not_written_whole_stops_no_run(folder, word):
    (folder / RECORD).write_text(word)
    with alone(folder, str):
        pass


def test_a_job_of_an_earlier_run_on_another_machine_writes_nothing_any_more(folder, monkeypatch):
    path = folder.parent / "results/metrics.json"
    with alone(folder, str):
        with whole(path) as draft:
            draft.write_text("of this run")
        monkeypatch.setenv(RUN, f"{'0' * 16}@{folder / RECORD}")
        with pytest.raises(BadInput, match="a later run at work"), whole(path) as draft:
            draft.write_text("of the run before")
    assert path.read_text() == "of this run"
    assert [one.name for one in path.parent.iterdir()] == ["metrics.json"]
