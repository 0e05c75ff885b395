"""What a person sees while a run works, and when it has ended well or not.

Snakemake says twenty lines of each step, and its jobs say more. Here there is one bar for the run
and one for each step at work, or a line now and then where nobody watches; what warns; after a
failure, the step's own words; at the end, the answer. Snakemake's own log file holds all it says.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from scripts.letters import printable
from scripts.mailbox import SCREEN, Letters, step_of
from scripts.views import Step, View, view_on, words_for

# shown as it stands when a run has ended well that was asked for it: results/<dataset>/<this>
ANSWER = "summary.txt"
# seconds: between two looks at what is new; of a failure's life before it counts, since Snakemake
# may try the step again
LOOK, SETTLED = 0.25, 3.0
WARNINGS = 5  # of one step
TAIL = 8  # lines of a traceback
# of what Snakemake informs of, what a person may have to wait for
TOLD = re.compile(
    "Creating conda|Downloading |Installing |Environment for|Pulling |Running post-deploy"
    "|Will exit after|Nothing to be done"
)
# said in other words here
FAILED = "At least one job did not complete successfully"
SAID_ANEW = re.compile(f"Exiting because a job execution failed|{FAILED}")
GOES_ON = "What is done is kept, and the same command goes on from there."


@dataclass
class Failure:
    """Steps of one job that failed, and why as far as Snakemake knows it."""

    steps: list[Step]
    at: float
    logs: list[str]
    why: str


class Run:
    """What is known of a run from Snakemake's records and from its jobs, told to a view.

    Parameters
    ----------
    view : where it is shown
    began : time.time() of the beginning
    letters : what its jobs say; None where they cannot
    """

    def __init__(self, view: View, began: float, letters: Letters | None = None) -> None:
        self.began = began
        self.done, self.total, self.failed = 0, 0, 0
        self.at_work: dict[int, Step] = {}
        self._interrupted = False
        self._view, self._letters = view, letters
        self._steps: dict[int, Step] = {}
        self._failures: dict[int, Failure] = {}
        self._errors: dict[str, str] = {}  # step -> its own words
        self._said: set[str] = set()
        # thread -> what Snakemake said of an error there, which a failed job's record follows
        self._pending: dict[int | None, tuple[float, str]] = {}
        self._events = {
            "run_info": self._planned,
            "progress": self._moved,
            "job_info": self._job_began,
            "job_finished": self._job_ended,
            "job_error": self._job_failed,
            "group_error": self._group_failed,
            "error": self._error,
        }

    @property
    def title(self) -> str:
        """Such as "12 of 24 steps"."""
        if not self.total:
            return "planning"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done} of {self.total} steps{failed}"

    def take(self, record: logging.LogRecord) -> None:
        """Take note of one of Snakemake's records."""
        told = record.getMessage()
        if known := self._events.get(getattr(record, "event", "")):
            known(record)
        elif SAID_ANEW.search(told):
            return
        elif record.levelno >= logging.ERROR:
            self._view.say(printable(told), "red")
        elif record.levelno >= logging.WARNING:
            self._view.say(printable(told), "yellow")
        elif TOLD.match(told):
            self._view.say(printable(told))
        elif told.startswith("Terminating processes on user request"):
            self.interrupt()
        elif again := re.match(r"Trying to restart job (\d+)", told):
            self._again(int(again[1]))

    def hear(self, word: dict[str, Any]) -> None:
        """Take note of what a job has said."""
        step = next((one for one in self._steps.values() if one.key == word["step"]), None)
        if "done" in word:
            if step:
                step.count = word
        elif word["level"] >= logging.ERROR:
            self._errors[word["step"]] = word["said"]
        elif word["said"] not in self._said:
            self._said.add(word["said"])
            if step is None or step.warned < WARNINGS:
                self._view.say(word["said"], "yellow")
            elif step.warned == WARNINGS:
                self._view.say(f"{step.name}: further warnings stand in {_named(step.logs)}")
            if step:
                step.warned += 1

    def look(self, records: Iterable[logging.LogRecord], now: float) -> None:
        """Take note of these records and of what jobs have said, and show where things stand."""
        waiting = [*records]
        # what a job said before its end was known
        for word in self._letters.new() if self._letters else ():
            self.hear(word)
        for record in waiting:
            self.take(record)
        self._settle(now)
        self._view.draw(self, now)

    def _settle(self, now: float) -> None:
        """Tell what has failed for good."""
        for job, failure in [*self._failures.items()]:
            if now - failure.at >= SETTLED:
                self._tell_failure(self._failures.pop(job))
        for thread, (at, said) in [*self._pending.items()]:
            if now - at >= SETTLED:
                del self._pending[thread]
                self._view.say(said, "red")

    def interrupt(self) -> None:
        """Say that the run ends because a person wanted it."""
        if not self._interrupted:
            self._interrupted = True
            self._view.say(f"Interrupted; {self.done} of {self.total} steps are done. {GOES_ON}")

    def end(self, well: bool, now: float, log: str = "") -> None:
        """Show what is left to say; ``log`` names Snakemake's own file."""
        self._view.close()
        self._settle(now + SETTLED)
        if well and self.total:
            self._view.say(f"{self.done} steps done in {words_for(now - self.began)}.")
        elif not well and self.total and not self._interrupted:
            self._view.say(f"\nStopped with {self.done} of {self.total} steps done. {GOES_ON}")
            if log:
                self._view.say(f"All that Snakemake said stands in {log}")

    def _planned(self, record: logging.LogRecord) -> None:
        self.total = vars(record)["stats"]["total"]

    def _moved(self, record: logging.LogRecord) -> None:
        self.done, self.total = vars(record)["done"], vars(record)["total"]

    def _job_began(self, record: logging.LogRecord) -> None:
        about = vars(record)
        values = dict(about["wildcards"] or {})
        key = step_of(about["rule_name"], values.values())
        told = ", ".join(str(value) for name, value in values.items() if name != "dataset")
        name = about["rule_name"].replace("_", " ") + (f": {told}" if told else "")
        step = Step(key, printable(name), record.created, list(about["log"]))
        self._steps[about["jobid"]] = self.at_work[about["jobid"]] = step
        self._errors.pop(key, None)

    def _job_ended(self, record: logging.LogRecord) -> None:
        step = self.at_work.pop(vars(record)["job_id"], None)
        if step and self._letters:
            self._letters.forget(step.key)

    def _job_failed(self, record: logging.LogRecord) -> None:
        about = vars(record)
        if not about["indent"]:  # those of a group have been told as one
            self._fail([about["jobid"]], record, about["log"], about["rule_msg"])

    def _group_failed(self, record: logging.LogRecord) -> None:
        about = vars(record)
        jobs = [one["jobid"] for one in about["job_error_info"]]
        self._fail(jobs, record, about["aux_logs"], "")

    def _fail(
        self, jobs: list[int], record: logging.LogRecord, logs: list[str], told: str | None
    ) -> None:
        steps = [self._steps[job] for job in jobs if job in self._steps]
        for job in jobs:
            self.at_work.pop(job, None)
        _, said = self._pending.pop(record.thread, (0.0, ""))
        why = _ended(said) or (told or "").partition("For further error details")[0].strip()
        self._failures[jobs[0]] = Failure(steps, record.created, list(logs), why)

    def _error(self, record: logging.LogRecord) -> None:
        self._pending[record.thread] = record.created, printable(record.getMessage())

    def _again(self, job: int) -> None:
        if failure := self._failures.pop(job, None):
            (name, said), *_ = self._words_of(failure)
            first = said.partition("\n")[0]
            self._view.say(f"{name} failed and is tried again: {first}", "yellow")

    def _tell_failure(self, failure: Failure) -> None:
        words = self._words_of(failure)
        if self._interrupted and not self._own_words(failure):
            return  # ended with the run
        self.failed += len(words)
        for name, said in words:
            self._view.say(f"\n{name} failed:", "bold red")
            self._view.say(said)
        logs = dict.fromkeys([*(log for step in failure.steps for log in step.logs), *failure.logs])
        there = [log for log in logs if Path(log).is_file()]
        missing = "where the job ran" if logs else "there is none"
        self._view.say(f"  its log:  {', '.join(there) or missing}")

    def _words_of(self, failure: Failure) -> list[tuple[str, str]]:
        """Steps that failed, and what is to be said of each."""
        if own := self._own_words(failure):
            return own
        names = " or ".join(step.name for step in failure.steps) or "A step"
        why = failure.why or "nothing is known of how it ended"
        return [(names, f"It ended without a word of its own: {why}")]

    def _own_words(self, failure: Failure) -> list[tuple[str, str]]:
        found = []
        for step in failure.steps:
            # a machine without the mailboxes has left its words in a log at most
            logs = [log for log in [*step.logs, *failure.logs] if _is_new(log, step.since)]
            words = (self._errors.get(step.key), *(_error_in(log, step.key) for log in logs))
            if said := next(filter(None, words), ""):
                found.append((step.name, _shortened(said)))
        return found


def _named(logs: list[str]) -> str:
    return ", ".join(logs) or "no log"


def _is_new(log: str, since: float) -> bool:
    """Whether it was written in this run; clocks of network disks may be a little behind."""
    try:
        return Path(log).stat().st_mtime > since - 2
    except OSError:
        return False


def _error_in(log: str, step: str) -> str:
    """The last error of a step in a log, whole."""
    text = Path(log).read_text("utf-8", "replace")
    begin = f"[{step}] "
    found = re.findall(rf"^{re.escape(begin)}ERROR.*(?:\n(?!{re.escape(begin)}).*)*", text, re.M)
    return printable(found[-1].rstrip()) if found else ""


def _shortened(said: str) -> str:
    """An error of a step; of a bug, the end of its traceback."""
    lines = said.splitlines()
    if "Traceback (most recent call last)" not in said or len(lines) <= TAIL + 1:
        return said
    return "\n".join([lines[0], *lines[-TAIL:]])


def _ended(said: str) -> str:
    """How a job ended, from what Snakemake says of it; the empty string where that says nothing."""
    status = re.search(r"returned non-zero exit status (\d+)", said)
    died = re.search(r"died with <Signals\.\w+: (\d+)>", said)
    number = int(died[1]) if died else int(status[1]) - 128 if status else 0
    if number > 0:
        name = signal.Signals(number).name if number in list(signal.Signals) else "unknown"
        memory = ", as systems do where memory runs out" if name == "SIGKILL" else ""
        return f"it was killed (signal {number}, {name}){memory}"
    return f"exit status {status[1]}" if status else said


class _Queue(logging.Handler):
    """Keeps records for the thread that shows them, so that none that works waits for a screen."""

    def __init__(self) -> None:
        super().__init__()
        self._records: SimpleQueue[logging.LogRecord] = SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self._records.put(record)

    def new(self) -> Iterator[logging.LogRecord]:
        with contextlib.suppress(Empty):
            while True:
                yield self._records.get_nowait()


@contextlib.contextmanager
def screen(workflow: Any) -> Iterator[None]:
    """Show what happens while ``workflow`` is executed, and its answer if that ends well.

    Whoever asks for more or less of Snakemake's own output, or for another logger, gets that.
    """
    from snakemake.logging import logger

    os.environ.pop(SCREEN, None)
    theirs = next((one for one in logger.handlers if one.name == "DefaultStreamHandler"), None)
    if theirs is None or _asked_for_more(workflow):
        yield
    else:
        with _instead_of(theirs, logger, workflow):
            yield
    for answer in _answers(workflow):
        told = answer.read_text("utf-8")
        print(f"\n{told}", end="", file=getattr(theirs, "stream", sys.stderr))


def _asked_for_more(workflow: Any) -> bool:
    asked = workflow.output_settings
    return bool(
        asked.verbose or asked.quiet or asked.printshellcmds or asked.debug_dag
        or asked.show_failed_logs or asked.log_handler_settings
        or workflow.execution_settings.debug
    )  # fmt: skip


def _answers(workflow: Any) -> list[Path]:
    """Answers to what was asked for; a run that asked for something else has not looked at them."""
    made = {str(path) for job in workflow.dag.jobs for path in job.output}
    answers = [Path(path) for path in sorted(made) if _is_answer(path)]
    return [path for path in answers if path.is_file()]


def _is_answer(path: str) -> bool:
    return bool(re.search(rf"(^|/)results/[^/]+/{re.escape(ANSWER)}$", path))


@contextlib.contextmanager
def _instead_of(theirs: Any, logger: logging.Logger, workflow: Any) -> Iterator[None]:
    """Show a run of ours in place of what ``theirs``, the handler of a stream, would say of it."""
    queue, folder, ended = _Queue(), _fresh(Path(".snakemake/screen").absolute()), threading.Event()
    began = time.time()
    run = Run(view_on(theirs, folder, began), began, Letters(folder) if folder else None)

    def watch() -> None:
        while not ended.wait(LOOK):
            run.look(queue.new(), time.time())

    if folder:
        os.environ[SCREEN] = str(folder)
    logger.addHandler(queue)
    logger.removeHandler(theirs)
    # told here, and told again by Snakemake when this has ended
    theirs.addFilter(lambda record: not SAID_ANEW.search(record.getMessage()))
    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    well = False
    try:
        yield
        well = True
    except KeyboardInterrupt:  # before Snakemake looks for it
        ended.set()
        watching.join()
        run.interrupt()
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        ended.set()
        watching.join()
        logger.addHandler(theirs)
        logger.removeHandler(queue)
        os.environ.pop(SCREEN, None)
        run.look(queue.new(), time.time())
        run.end(well, time.time(), ", ".join(workflow.logger_manager.get_logfile()))
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _fresh(folder: Path) -> Path | None:
    """An empty folder; None where nothing may be written, which the run itself tells."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
    except OSError:
        return None
    return folder
