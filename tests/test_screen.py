"""What a person sees while a run works, and after a failure, in a terminal and in a file."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import warm_python
from rich.cells import cell_len

from scripts.job import BadInput
from scripts.mailbox import SCREEN, Letters, Mailbox
from scripts.screen import ANSWER, GOES_ON, Run
from scripts.views import Bars, Lines, longest, view_on

BEGAN = 1_000_000.0
CALLED = "The command 'set -euo pipefail; python x.py' "


class Shown(io.StringIO):
    """What is shown of a run whose records and words are made up here."""

    def __init__(self, kind=Lines, width: int = 80) -> None:
        super().__init__()
        self.view = Lines(self, BEGAN) if kind is Lines else Bars(self, None)
        if kind is Bars:
            self.view.console.width, self.view.console.record = width, True
        self.run, self.now = Run(self.view, BEGAN), BEGAN

    def record(self, event=None, message="", level=logging.INFO, **about) -> logging.LogRecord:
        made = logging.LogRecord("snakemake.logging", level, "", 0, message, None, None)
        vars(made).update(about, event=event, created=self.now)
        return made

    def take(self, *given, **about) -> None:
        self.run.take(self.record(*given, **about))

    def look(self, seconds: float = 0) -> None:
        self.now += seconds
        self.run.look([], self.now)

    def plan(self, total: int) -> None:
        self.take("run_info", stats={"total": total})

    def begin(self, job: int, rule: str, *logs: str, indent=False, **wildcards: str) -> None:
        self.take("job_info", jobid=job, rule_name=rule, wildcards=wildcards, log=logs)

    def finish(self, job: int, done: int, total: int) -> None:
        self.take("job_finished", job_id=job)
        self.take("progress", done=done, total=total)

    def fail(self, job: int, said: str = "", told: str | None = None, logs=()) -> None:
        if said:
            self.take("error", said, level=logging.ERROR)
        about = {"jobid": job, "log": [*logs], "rule_msg": told, "indent": False}
        self.take("job_error", "Error in rule", level=logging.ERROR, **about)

    def hear(self, step: str, **word) -> None:
        self.run.hear({"step": step, **word})

    def end(self, well: bool = False) -> str:
        self.run.end(well, self.now, ".snakemake/log/of.this.run")
        return self.getvalue()


ENCODE = {"dataset": "scenes", "model": "clip-vit-b32", "split": "test"}
IMAGES = "encode_images scenes.clip-vit-b32.test"
COUNTED = {"what": "images", "unit": "images", "total": 1000}


def half_done(kind=Lines, width: int = 80) -> Shown:
    """A run of 24 steps, of which twelve are done and others at work."""
    shown = Shown(kind, width)
    shown.plan(24)
    shown.begin(3, "encode_images", **ENCODE)
    shown.begin(4, "fetch_model", model="chinese-clip-vit-huge-patch14-of-a-long-name-too")
    shown.begin(5, "study_gallery", dataset="模型", study="一个很长的名字" * 4)
    shown.take("progress", done=12, total=24)
    shown.hear(IMAGES, done=320, **COUNTED)
    megabytes = {"what": "Flickr8k_Dataset.zip", "unit": "MB", "total": 1118}
    shown.hear("fetch_model chinese-clip-vit-huge-patch14-of-a-long-name-too", done=5, **megabytes)
    shown.look(100)
    return shown


# --- while it works


def test_a_file_gets_few_lines_that_say_how_far_the_run_is():
    shown = half_done()
    lines = shown.getvalue().splitlines()
    assert lines[0] == "24 steps to do."
    assert lines[1].startswith(
        "12 of 24 steps, 1 min 40 s; encode images: clip-vit-b32, test (320/"
    )
    assert lines[1].endswith("(Flickr8k_Dataset.zip 5/1,118 MB); 1 more") and len(lines) == 2


@pytest.mark.parametrize(("seconds", "least", "most"), [(5, 0, 0), (30, 2, 4), (36_000, 300, 800)])
def test_a_short_run_gets_a_handful_of_lines_and_a_long_one_not_ten_thousand(seconds, least, most):
    shown = Shown()
    shown.begin(3, "encode_images", **ENCODE)
    for _ in range(seconds):
        shown.look(1)
    assert least <= shown.getvalue().count("\n") <= most


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_terminal_gets_a_bar_for_the_run_and_for_each_step_and_nothing_too_wide(width):
    shown = half_done(Bars, width)
    console = shown.view.console
    console.print(shown.view.picture(shown.run, shown.now))
    lines = console.export_text().splitlines()[-4:]
    assert max(map(cell_len, lines)) <= width
    assert lines[0].startswith("12 of 24 steps") and lines[0].rstrip().endswith("1 min 40 s")
    assert lines[1].startswith("  encode images") and "320/1,000" in lines[1]
    assert all("…" in line for line in lines[2:]) or width == 120
    assert all("━" in line for line in lines[:2]) and "━" not in lines[3]
    assert width == 40 or "  encode images: clip-vit-b32, test " in lines[1]


@pytest.mark.parametrize("lacks", ["rich.console", "a terminal", "codes"])
def test_where_no_bars_can_be_drawn_there_are_lines(monkeypatch, lacks):
    stream = io.StringIO()
    stream.isatty = lambda: lacks != "a terminal"
    monkeypatch.setenv("TERM", "dumb" if lacks == "codes" else "xterm")
    monkeypatch.setitem(sys.modules, lacks, None)
    theirs = SimpleNamespace(stream=stream, nocolor=False)
    assert isinstance(view_on(theirs, None, BEGAN), Lines)


def test_a_step_that_is_over_at_once_has_no_line():
    shown = Shown(Bars)
    shown.begin(1, "plot_flow", lang="en")
    assert longest(shown.run, BEGAN + 1, 9) == ([], 0)
    (step,), more = longest(shown.run, BEGAN + 2, 9)
    assert (step.name, more) == ("plot flow: en", 0)
    assert longest(shown.run, BEGAN + 2, 0) == ([], 1)
    shown.finish(1, 1, 2)
    assert longest(shown.run, BEGAN + 2, 9) == ([], 0)


def test_warnings_stand_once_and_of_one_step_not_by_the_hundred():
    shown = Shown()
    shown.begin(1, "prepare_images", "results/logs/prepare.log", dataset="mine")
    for number in (0, 0, *range(9)):
        shown.hear("prepare_images mine", said=f"[prepare_images mine] photo {number}", level=30)
    lines = shown.getvalue().splitlines()
    assert lines[:5] == [f"[prepare_images mine] photo {number}" for number in range(5)]
    assert lines[5:] == ["prepare images: further warnings stand in results/logs/prepare.log"]


def test_of_what_snakemake_says_warnings_and_errors_are_shown_and_what_takes_long():
    shown = Shown()
    for told in ("Provided cores: 2", "Select jobs to execute...", "Creating conda environment a"):
        shown.take(message=told)
    shown.take(message="a warning", level=logging.WARNING)
    shown.take(message="out of jobs", level=logging.ERROR)
    shown.take(message="Exiting because a job execution failed. Look above", level=logging.ERROR)
    assert shown.getvalue() == "Creating conda environment a\na warning\nout of jobs\n"


def test_an_error_that_no_job_is_behind_is_shown_as_snakemake_says_it():
    shown = Shown()
    shown.take("error", "MissingOutputException: a.txt", level=logging.ERROR)
    assert "MissingOutput" not in shown.getvalue()
    shown.look(5)
    assert shown.getvalue() == "MissingOutputException: a.txt\n"


# --- after a failure


def bad_input(step: str) -> str:
    return f"[{step}] ERROR in {BadInput('a.json', 'nothing', 'a list', 'write one')}"


def test_a_step_that_fails_is_named_with_its_own_words_its_log_and_what_goes_on(tmp_path):
    path = tmp_path / "encode.log"
    path.touch()
    shown = Shown()
    shown.plan(24)
    shown.begin(3, "encode_images", str(path), **ENCODE)
    shown.take("progress", done=12, total=24)
    shown.hear(IMAGES, said=bad_input(IMAGES), level=40)
    shown.fail(3, f"{CALLED}returned non-zero exit status 1.")
    told = shown.end()
    assert told == (
        "\nencode images: clip-vit-b32, test failed:\n"
        f"{bad_input(IMAGES)}\n"
        f"  its log:  {path}\n"
        f"\nStopped with 12 of 24 steps done. {GOES_ON}\n"
        "All that Snakemake said stands in .snakemake/log/of.this.run\n"
    )


def test_of_a_bug_the_end_of_its_traceback_is_shown():
    frames = "".join(f'  File "x.py", line {n}\n' for n in range(40))
    bug = (
        f"[plot] ERROR: unexpected, please report it\nTraceback (most recent call last):\n{frames}"
    )
    shown = Shown()
    shown.begin(1, "plot")
    shown.hear("plot", said=f"{bug}{frames}KeyError: 'x'", level=40)
    shown.fail(1, "returned non-zero exit status 1.")
    lines = shown.end().splitlines()
    assert lines[2] == "[plot] ERROR: unexpected, please report it" and len(lines) < 14
    assert "KeyError: 'x'" in lines and "  its log:  there is none" in lines


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("died with <Signals.SIGKILL: 9>.", "killed (signal 9, SIGKILL), as systems do where mem"),
        ("returned non-zero exit status 137.", "killed (signal 9, SIGKILL), as systems do where"),
        ("returned non-zero exit status 139.", "killed (signal 11, SIGSEGV)\n"),
        ("returned non-zero exit status 3.", "exit status 3\n"),
        ("cannot be started.", "The command 'set -euo pipefail; python x.py' cannot be started."),
        (None, "nothing is known of how it ended"),
    ],
)
def test_a_step_that_ended_without_a_word_is_told_as_that(said, why):
    shown = Shown()
    shown.begin(1, "train_model", model="clip-tiny")
    shown.fail(1, said and CALLED + said)
    told = shown.end()
    assert "train model: clip-tiny failed:\nIt ended without a word of its own: " in told
    assert why in told


def test_a_job_of_a_cluster_is_told_from_the_log_that_it_left_on_the_shared_disk(tmp_path):
    log, of_slurm = tmp_path / "step.log", tmp_path / "slurm.log"
    log.write_text(f"[{IMAGES}] INFO\n[{IMAGES}] ERROR in x\n  to do:    y\n[{IMAGES}] z\n")
    of_slurm.write_text("slurm")
    shown = Shown()
    shown.now = min(log.stat().st_mtime, BEGAN + 1e12)
    shown.begin(3, "encode_images", str(log), **ENCODE)
    told = "SLURM-job '7' failed, status: 'FAILED'. For further error details see the cluster"
    shown.fail(3, told=told, logs=[str(log), str(of_slurm)])
    said = shown.end()
    assert f"failed:\n[{IMAGES}] ERROR in x\n  to do:    y\n  its log:  {log}, {of_slurm}\n" in said
    # what a run before wrote is no word of this one
    shown.now += 1000
    shown.begin(3, "encode_images", str(log), **ENCODE)
    shown.fail(3, told=told, logs=[str(log), "/nowhere"])
    assert "without a word of its own: SLURM-job '7' failed, status: 'FAILED'.\n" in shown.end()


def test_a_log_that_cannot_be_reached_is_said_to_be_where_the_job_ran():
    shown = Shown()
    shown.begin(3, "encode_images", "/nowhere/a.log", **ENCODE)
    shown.fail(3, logs=["/nowhere/a.log"])
    assert "  its log:  where the job ran" in shown.end()


def test_of_a_group_the_step_that_failed_is_told_and_not_those_beside_it():
    shown = Shown()
    shown.begin(1, "download", dataset="mine")
    shown.begin(2, "prepare_images", dataset="mine")
    shown.hear("prepare_images mine", said=bad_input("prepare_images mine"), level=40)
    jobs = [{"jobid": 1}, {"jobid": 2}]
    shown.take("group_error", level=logging.ERROR, aux_logs=[], job_error_info=jobs)
    for job in (1, 2):
        about = {"jobid": job, "log": [], "rule_msg": None, "indent": True}
        shown.take("job_error", level=logging.ERROR, **about)
    told = shown.end()
    assert told.count("failed:") == 1 and "prepare images failed:" in told


def test_several_steps_that_fail_are_each_told_and_others_go_on():
    shown = Shown()
    shown.plan(9)
    for job, name in ((1, "one"), (2, "two"), (3, "three")):
        shown.begin(job, "rank", model=name)
    for job, name in ((1, "one"), (2, "two")):
        shown.hear(f"rank {name}", said=bad_input(f"rank {name}"), level=40)
        shown.fail(job, "returned non-zero exit status 1.")
    shown.look(5)
    assert shown.run.title == "0 of 9 steps, 2 failed" and shown.getvalue().count("ERROR in") == 2
    shown.finish(3, 1, 9)
    assert "Stopped with 1 of 9 steps done." in shown.end()


def test_a_step_that_is_tried_again_has_not_failed():
    shown = Shown()
    shown.plan(2)
    shown.begin(1, "train_model", model="clip-tiny")
    shown.fail(1, "died with <Signals.SIGKILL: 9>.")
    shown.take(message="Trying to restart job 1.")
    shown.begin(1, "train_model", model="clip-tiny")
    shown.look(5)
    shown.finish(1, 2, 2)
    told = shown.end(well=True)
    assert "train model: clip-tiny failed and is tried again: It ended without a word" in told
    assert "failed:" not in told and told.endswith("2 steps done in 5 s.\n")


def test_ctrl_c_is_one_line_and_no_failure_of_the_steps_that_it_ended():
    shown = Shown()
    shown.plan(24)
    shown.begin(1, "train_model", model="clip-tiny")
    shown.take("progress", done=12, total=24)
    told = "Terminating processes on user request, this might take some time."
    shown.take(message=told)
    shown.fail(1, "died with <Signals.SIGINT: 2>.")
    lines = shown.end().splitlines()
    assert lines == [f"Interrupted; 12 of 24 steps are done. {GOES_ON}"]


# --- how jobs speak to it


def test_what_a_job_says_comes_in_the_order_in_which_it_says_it(tmp_path):
    letters, box = Letters(tmp_path), Mailbox(tmp_path, "encode")
    assert [*box.counted(range(2), "images", None, "images", 0.5)] == [0, 1]
    box.handle(logging.makeLogRecord({"msg": "描述\nof two lines", "levelno": 30}))
    first, last, said = letters.new()
    assert (first["done"], last["done"], last["total"]) == (0, 1, 1)
    assert said == {"step": "encode", "said": "描述\nof two lines", "level": 30}
    assert [*letters.new()] == []
    (path,) = tmp_path.iterdir()
    with path.open("ab") as stream:
        stream.write(b'{"step": "encode", "sa')
    assert [*letters.new()] == []
    with path.open("ab") as stream:
        stream.write(b'id": 1}\nno json\n[]\n')
    assert [*letters.new()] == [{"step": "encode", "said": 1}]
    letters.forget("encode")
    assert not path.exists() and [*letters.new()] == []


JOB = """
import logging, os, sys
from types import SimpleNamespace
from scripts.job import BadInput, log, progress
from scripts.jobs import run

def main(_):
    log.info("to the log alone")
    log.warning("to the screen, too")
    logging.getLogger("others").warning("of a library")
    os.system("echo of another program >&2")
    print("printed")
    assert [*progress(range(3), "images")] == [0, 1, 2]
    raise BadInput("a.json", "nothing", "a list", "write one")

given = {"rule": "prepare", "wildcards": ["mine"], "input": [], "output": []}
run(main, SimpleNamespace(**given, log=sys.argv[1:]))
"""


@pytest.mark.parametrize("listens", [True, False])
def test_a_job_speaks_to_the_screen_of_its_run_and_without_one_as_it_always_did(tmp_path, listens):
    log, box = tmp_path / "logs/a.log", tmp_path / "box"
    if listens:
        box.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", JOB, str(log)],
        env={"PYTHONPATH": ":".join(sys.path), SCREEN: str(box)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    logged = log.read_text("utf-8")
    assert "] to the log alone\n" in logged and "ERROR in a.json" in logged
    if not listens:
        assert "] to the log alone\n" in done.stderr and "ERROR in a.json" in done.stderr
        assert "of another program\n" in done.stderr and done.stdout == "printed\n"
        return
    assert (done.stdout, done.stderr) == ("", "")
    assert all(f"{told}\n" in logged for told in ("of another program", "of a library", "printed"))
    said = [word for word in Letters(box).new() if "said" in word]
    assert [word["said"].partition("\n")[0] for word in said] == [
        "[prepare mine] to the screen, too",
        "[prepare mine] ERROR in a.json",
    ]


# --- real runs


SNAKEFILE = """
import sys
sys.path.insert(0, {root!r})
from scripts.one_run import guard
if workflow.exec_mode.name == "DEFAULT":
    guard(workflow)
rule all:
    input: "results/mine/{answer}", "results/mine/other.txt"
rule first_step:
    output: "results/{{dataset}}/{answer}"
    log: "results/logs/{{dataset}}.log"
    shell: "echo Chance is 1%. >{{output}}; echo noise >&2"
rule second_step:
    output: "results/{{dataset}}/other.txt"
    shell: "test ! -e spoilt; touch {{output}}"
"""


def command(folder: Path, *arguments: str) -> list[str]:
    (folder / "Snakefile").write_text(
        SNAKEFILE.format(root=str(Path(__file__).parent.parent), answer=ANSWER)
    )
    return [warm_python.python(), "-m", "snakemake", "--cores", "1", *arguments]


def snakemake(folder: Path, *arguments: str, ok: bool = True) -> list[str]:
    """Lines that a run in ``folder`` says."""
    done = subprocess.run(
        command(folder, *arguments),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == ok, done.stderr
    return done.stderr.splitlines()


def test_a_run_says_little_and_in_the_end_its_answer_and_verbose_gives_the_rest_back(tmp_path):
    (tmp_path / "spoilt").touch()
    told = snakemake(tmp_path, ok=False)
    at = told.index("second step failed:")
    assert told[at + 1] == "It ended without a word of its own: exit status 1"
    assert any(line.startswith("Stopped with ") and line.endswith(GOES_ON) for line in told)
    assert not any("Error in rule" in line or "did not complete" in line for line in told)
    (tmp_path / "spoilt").unlink()
    told = snakemake(tmp_path)
    assert "3 steps to do." in told or "2 steps to do." in told
    assert told[-2:] == ["", "Chance is 1%."] and len(told) < 10
    assert any("steps done in " in line for line in told)
    assert not (tmp_path / ".snakemake/screen").exists()
    told = snakemake(tmp_path)
    assert told[-3].startswith("Nothing to be done") and told[-1] == "Chance is 1%."
    told = snakemake(tmp_path, "--verbose", "--forceall")
    assert any(line.endswith("rule second_step:") for line in told) and told[-1] == "Chance is 1%."
    assert "Chance is 1%." not in snakemake(tmp_path, "results/mine/other.txt", "--forceall")
    assert "Chance is 1%." not in snakemake(tmp_path, "--dry-run")


def test_in_a_terminal_what_programs_write_is_put_above_the_bars_and_nothing_else_stays(tmp_path):
    ours, terminal = os.openpty()
    run = subprocess.Popen(
        command(tmp_path),
        cwd=tmp_path,
        env=os.environ | {"TERM": "xterm-256color"},
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    told = b""
    with contextlib.suppress(OSError):  # as Linux tells that the last who writes is gone
        while more := os.read(ours, 2**16):
            told += more
    os.close(ours)
    assert run.wait() == 0
    # a line that is drawn over begins with the code that wipes it
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", told.decode())
    lines = [line.rpartition("\r")[2] for line in plain.replace("\r\n", "\n").splitlines()]
    assert "noise" in lines and lines[-1] == "Chance is 1%."
    assert any("3 steps done in" in line for line in lines) and "━" in plain
    assert told.rfind(b"\x1b[?25h") > told.rfind(b"\x1b[?25l") >= 0  # the cursor is there again
