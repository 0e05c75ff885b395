"""One run at a time in a working directory; what a killed one left is cleared before the next.

Snakemake's own lock outlives a ``kill -9`` or a power cut, and so do the jobs of a run that was
killed, which go on writing. Here a run holds a lock that the operating system takes back when the
process is gone, and beside it says who it is. Who gets the lock and finds such a word left over
knows that the run before was killed: its jobs are ended, its lock and its drafts are removed, and
what it had finished is kept.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import errno
import json
import os
import platform
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.job import REFUSED_BY_THE_DISK, RUN, drafts_in
from scripts.screen import screen

RECORD = "run.json"
# a run shows every so often that it is alive, and is watched for so long before it counts as dead;
# only where it may be on another machine, whose locks not every network file system shows here
BEAT, WATCHED = 15.0, 60.0
# seconds in which a run that begins says who it is, or one that has ended leaves
SETTLED = 5.0
# bytes that must be free for Snakemake's own notes, which it does not tell apart from a bug
SPACE = 2**20
# where outputs, and so drafts, are
OUTPUTS = ("data", "results")


class Told(Exception):
    """Why a run does not begin, in words."""


def guard(workflow: Any) -> None:
    """Let ``workflow`` be executed only where no other run is at work in its directory.

    What it does then is shown by ``screen``.
    A dry run, a graph or a report changes nothing and is always allowed. Snakemake offers no place
    between a dry run being told from a real one and its lock being looked at, hence the wrapper.
    """
    from snakemake.exceptions import WorkflowError
    from snakemake.logging import logger

    execute = workflow.execute
    if execute.__module__ == __name__:  # a module that is used twice
        return

    def guarded(executor_plugin: Any, *args: Any, **named: Any) -> Any:
        kind = executor_plugin.common_settings
        if kind.dryrun_exec:
            return execute(executor_plugin, *args, **named)
        try:
            with contextlib.ExitStack() as around:
                # on Windows, Snakemake's own lock has to do
                if workflow.execution_settings.lock and sys.platform != "win32":
                    around.enter_context(alone(Path(".snakemake").absolute(), logger.info))
                if not kind.touch_exec:
                    around.enter_context(screen(workflow))
                return execute(executor_plugin, *args, **named)
        except Told as error:
            raise WorkflowError(str(error)) from None
        except OSError as error:  # Snakemake itself does not tell it from a bug
            if error.errno not in REFUSED_BY_THE_DISK:
                raise
            raise WorkflowError(_not_written(error.filename or "A file", error)) from None

    workflow.execute = guarded


@contextlib.contextmanager
def alone(folder: Path, say: Any = print) -> Iterator[None]:
    """Be the only run in the working directory whose ``.snakemake`` is ``folder``.

    ``say`` is told what was cleared. Raises ``Told`` where another run is at work, or where nothing
    may be written.
    """
    path = folder / RECORD
    try:
        folder.mkdir(exist_ok=True)
        stream = path.open("a+b", buffering=0)
        if shutil.disk_usage(folder).free < SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise Told(_not_written(path, error)) from None
    with stream:
        try:
            _lock(stream, path)
        except OSError as error:
            say(f"{path} cannot be locked ({error.strerror}): do not start two runs at once here.")
            yield
            return
        before = _read(path)
        if before:
            _clear(before, folder, say)
        run = secrets.token_hex(8)
        own = {
            "run": run,
            "process": os.getpid(),
            **_machine(),
            "since": datetime.datetime.now().astimezone().isoformat(" ", "seconds"),
        }
        _remove_drafts(folder.parent)
        try:
            _write(stream, own)
        except OSError as error:
            raise Told(_not_written(path, error)) from None
        os.environ[RUN] = f"{run}@{path}"
        ended = threading.Event()
        beating = threading.Thread(target=_beat, args=(stream.fileno(), ended), daemon=True)
        beating.start()
        try:
            yield
        finally:
            ended.set()
            beating.join()
            del os.environ[RUN]
            # a job that was killed may have left workers of its own
            _end_processes(run)
            _remove_drafts(folder.parent)
            _write(stream, {})


def _lock(stream: Any, path: Path) -> None:
    """Take the lock at once, or raise ``Told`` of the run that has it.

    That run may just have begun, and say who it is in a moment; or just have ended, and leave.
    """
    import fcntl

    until = time.monotonic() + SETTLED
    while True:
        try:
            return fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = _read(path)
            at_work = _may_be_at_work(other)
            if at_work or time.monotonic() > until:
                raise Told(_at_work(other if at_work else {}, path.parent.parent)) from None
        time.sleep(0.05)


def _not_written(path: object, error: OSError) -> str:
    return (
        f"{path} cannot be written: {error.strerror}\n"
        "  to do:    free space or allow writing there, then give the same command again"
    )


def _clear(before: dict[str, Any], folder: Path, say: Any) -> None:
    """Remove what stands in the way of the next run after ``before`` was killed."""
    if not _is_this_machine(before):
        say(
            f"A run of {before['host']} left no word of its end. Watching for {WATCHED:.0f} s "
            "whether it is still alive."
        )
        seen = (folder / RECORD).stat().st_mtime_ns
        time.sleep(WATCHED)
        if _looked_at_anew(folder / RECORD) != seen:
            raise Told(_at_work(before, folder.parent))
    count = _end_processes(before["run"])
    shutil.rmtree(folder / "locks", ignore_errors=True)
    _remove_half_made(folder)
    jobs = f" {count} process(es) of its jobs were still at work and were ended." if count else ""
    say(f"The run of {before['since']} was killed.{jobs} Going on from what it had finished.")


def _at_work(other: dict[str, Any], folder: Path) -> str:
    who = "Another run"
    if other:
        who += f" (process {other['process']} on {other['host']}, since {other['since']})"
    return (
        f"{who} is at work in {folder}, and two would write the same files. Nothing was changed.\n"
        "  to do:    wait for it, or end it with Ctrl-C; then give the same command again"
    )


def _machine() -> dict[str, str]:
    try:
        # the same for all containers of a machine, whatever they are called
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except OSError:
        boot = ""
    return {"host": platform.node(), "boot": boot}


def _is_this_machine(before: dict[str, Any]) -> bool:
    here = _machine()
    return here["host"] == before["host"] or bool(here["boot"] and here["boot"] == before["boot"])


def _may_be_at_work(run: dict[str, Any]) -> bool:
    import psutil

    # of another host, or another container, processes are not seen
    return bool(run) and (run["host"] != platform.node() or psutil.pid_exists(run["process"]))


def _beat(descriptor: int, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(descriptor)


def _looked_at_anew(path: Path) -> int:
    with path.open("rb") as stream:  # opening asks a network file system again
        return os.fstat(stream.fileno()).st_mtime_ns


def _read(path: Path) -> dict[str, Any]:
    """What a run says of itself; nothing where it has ended, or was killed before it said it."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    keys = {"run", "process", "host", "boot", "since"}
    return record if isinstance(record, dict) and keys <= set(record) else {}


def _write(stream: Any, record: dict[str, Any]) -> None:
    # in place: the lock is on this very file
    stream.truncate(0)
    if record:
        stream.write(json.dumps(record).encode())
    stream.flush()
    os.fsync(stream.fileno())


def _end_processes(run: str) -> int:
    """Kill what still works for a run, on this machine; how many processes that were."""
    import psutil

    killed = set()
    deadline = time.monotonic() + 30
    while found := _processes_of(run):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        killed |= {process.pid for process in found}
        psutil.wait_procs(found, timeout=5)
        if time.monotonic() > deadline:
            raise Told(
                f"Process {found[0].pid} of the run before cannot be ended.\n"
                "  to do:    end it, or restart the machine; then give the same command again"
            )
    return len(killed)


def _processes_of(run: str) -> list[Any]:
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            ours = process.environ().get(RUN, "").startswith(f"{run}@")
            if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _remove_half_made(folder: Path) -> None:
    """Remove files that jobs were at when their run was killed, as Snakemake does where it sees it.

    It looks at its marks before it knows the jobs behind a checkpoint, and so not at those of what
    they alone need.
    """
    marks = folder / "incomplete"
    for mark in [path for path in marks.rglob("*") if path.is_file()]:
        # names too long for a file are cut into folders, which begin with @
        coded = "".join(part.removeprefix("@") for part in mark.relative_to(marks).parts)
        with contextlib.suppress(OSError, ValueError):
            file = folder.parent / base64.urlsafe_b64decode(coded).decode()
            if not file.is_dir():
                file.unlink(missing_ok=True)
                mark.unlink()


def _remove_drafts(folder: Path) -> None:
    """Remove drafts of processes that are gone; while this run is alone, that is all of them."""
    for root in OUTPUTS:
        for draft in drafts_in(folder / root):
            if draft.is_dir() and not draft.is_symlink():
                shutil.rmtree(draft, ignore_errors=True)
            else:
                draft.unlink(missing_ok=True)
