"""Where a run is shown: bars where somebody watches, and a line now and then where nobody does."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

from scripts.letters import printable

# seconds of a step's life before it has a line of its own
SHORT = 1.5
# seconds between two lines where nobody watches, at first and later
OFTEN, SELDOM = 10.0, 60.0
# steps that have a line, in a terminal and in a file
LINES, NAMED = 8, 2


@dataclass
class Step:
    """A job at work.

    Attributes
    ----------
    key : by which its mailbox names it
    name : in words
    since : time.time() of its beginning
    logs : its log files
    warned : how many warnings it has had
    count : what it last told of its progress
    """

    key: str
    name: str
    since: float
    logs: list[str]
    warned: int = 0
    count: dict[str, Any] = field(default_factory=dict)

    @property
    def progress(self) -> str:
        """Such as "320/1,000 images"; the empty string where nothing is counted."""
        if not self.count:
            return ""
        done, total, what, unit = (self.count[key] for key in ("done", "total", "what", "unit"))
        of = "" if total is None else f"/{total:,}"
        return f"{'' if what == unit else f'{what} '}{done:,}{of} {unit}"


class Shown(Protocol):
    """What a view shows of a run.

    Attributes
    ----------
    title : such as "12 of 24 steps"
    began : time.time() of its beginning
    done, total : steps; 0 in all while it is being planned
    at_work : jobs by their number
    """

    @property
    def title(self) -> str: ...

    began: float
    done: int
    total: int
    at_work: dict[int, Step]


class View(Protocol):
    """Where a run is shown."""

    def say(self, text: str, style: str = "") -> None:
        """Show lines that stay."""

    def draw(self, run: Shown, now: float) -> None:
        """Show how far the run is."""

    def close(self) -> None:
        """Leave nothing but lines that stay."""


def words_for(seconds: float) -> str:
    """A time in words: "12 s", "1 min 40 s", "2 h 5 min"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def longest(run: Shown, now: float, most: int) -> tuple[list[Step], int]:
    """Steps that are at work for a while, and how many more there are than ``most``."""
    steps = [step for step in run.at_work.values() if now - step.since >= SHORT]
    # of those that wait in a queue, nothing moves
    steps.sort(key=lambda step: (not step.count, step.since))
    return steps[:most], len(steps[most:])


class Lines:
    """A line now and then, for a file or what else nobody watches."""

    def __init__(self, stream: TextIO, began: float) -> None:
        self._stream, self._last, self._began = stream, began, began
        self._planned = False

    def say(self, text: str, style: str = "") -> None:
        # who reads it may be gone
        with contextlib.suppress(OSError):
            print(text, file=self._stream, flush=True)

    def draw(self, run: Shown, now: float) -> None:
        if run.total and not self._planned:
            self._planned = True
            self.say(f"{run.total} steps to do.")
        pause = min(SELDOM, max(OFTEN, (now - self._began) / 10))
        if now - self._last < pause:
            return
        self._last = now
        steps, more = longest(run, now, NAMED)
        told = [f"{s.name} ({s.progress})" if s.count else s.name for s in steps]
        told += [f"{more} more"] if more else []
        self.say("; ".join([f"{run.title}, {words_for(now - self._began)}", *told]))

    def close(self) -> None:
        """Nothing to take back."""


class Bars:
    """Bars in a terminal, and above them what stays.

    What jobs and libraries write to the terminal meanwhile is put above the bars, too.

    Parameters
    ----------
    stream : of the terminal
    noise : a file for what others write to the terminal; None to leave it where it goes
    colours : whether it may have any

    Raises ``ImportError`` where rich is not installed.
    """

    def __init__(self, stream: TextIO, noise: Path | None, colours: bool = True) -> None:
        from rich.console import Console
        from rich.live import Live

        self._kept: dict[int, int] = {}
        if noise:
            stream = os.fdopen(
                os.dup(stream.fileno()), "w", encoding=stream.encoding, errors="backslashreplace"
            )
            self._kept = {number: os.dup(number) for number in (1, 2) if os.isatty(number)}
            with noise.open("ab") as taken:
                for number in self._kept:
                    os.dup2(taken.fileno(), number)
            self._noise = noise.open("rb")
        self._stream = stream
        self.console = Console(file=stream, no_color=not colours or None, highlight=False)
        self._live = Live(console=self.console, auto_refresh=False, transient=True,
                          redirect_stdout=False, redirect_stderr=False)  # fmt: skip
        self._live.start()

    def say(self, text: str, style: str = "") -> None:
        from rich.text import Text

        with contextlib.suppress(OSError):
            # between words, so that a path stays whole
            self.console.print(Text(text, style, overflow="ignore"), crop=False)

    def draw(self, run: Shown, now: float) -> None:
        if self._kept:
            self._pass_on()
        with contextlib.suppress(OSError):
            self._live.update(self.picture(run, now), refresh=True)

    def picture(self, run: Shown, now: float) -> Any:
        """The bars, no wider than the terminal."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        half = self.console.width // 2
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=half)
        table.add_column(ratio=1, no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=half - 10)
        done = ProgressBar(total=run.total or 1, completed=run.done)
        table.add_row(run.title, done, words_for(now - run.began))
        steps, more = longest(run, now, min(LINES, max(1, self.console.height - 4)))
        for step in steps:
            bar: Any = ""
            if step.count.get("total"):
                bar = ProgressBar(total=step.count["total"], completed=step.count["done"])
            text = step.progress or words_for(now - step.since)
            table.add_row(Text(f"  {step.name}"), bar, Text(text))
        if more:
            table.add_row(f"  and {more} more", "", "")
        return table

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._live.stop()
        if self._kept:
            for number, kept in self._kept.items():
                os.dup2(kept, number)
                os.close(kept)
            self._pass_on()
            self._kept = {}
            self._noise.close()

    def _pass_on(self) -> None:
        for line in self._noise.read().decode("utf-8", "replace").splitlines():
            self.say(printable(line, keep="\t"))


def view_on(theirs: Any, folder: Path | None, began: float) -> View:
    """Bars where somebody watches them, lines where not."""
    stream = theirs.stream
    if stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown"):
        with contextlib.suppress(ImportError):
            return Bars(stream, folder and folder / "noise", not theirs.nocolor)
    return Lines(stream, began)
