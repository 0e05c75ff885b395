"""What all jobs need: to say what they are doing and what is wrong, and to write files whole."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from scripts import mailbox
from scripts.letters import printable

log = logging.getLogger("clip-retrieval")

# what the disk refuses: no fault of a download's source, and nothing that a second try would mend
REFUSED_BY_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
# less than this is left where a disk is full: what is written last may have been too large for it
FULL = 2**16
# environment variable by which a job knows its run: "<run>@<file that names the run at work>"
RUN = "CLIP_RETRIEVAL_RUN"

Item = TypeVar("Item")


class BadInput(Exception):
    """Something that a person can put right, told in the words they need to do it.

    Parameters
    ----------
    where : the file, and the record in it ("captions.json, record 12")
    found : what stands there
    expected : what should stand there
    todo : what to do about it

    Attributes
    ----------
    parts : the four as texts, printable
    """

    def __init__(self, where: object, found: str, expected: str, todo: str) -> None:
        self.parts = [printable(str(part)) for part in (where, found, expected, todo)]
        super().__init__("{}\n  found:    {}\n  expected: {}\n  to do:    {}".format(*self.parts))


def ended(work: Callable[[], int]) -> int:
    """The exit status of a command's ``work``; 1, and why, where a person has to mend it."""
    try:
        return work()
    except BadInput as error:
        print(f"ERROR in {error}", file=sys.stderr)
    except OSError as error:
        print(f"ERROR: {error}", file=sys.stderr)
    return 1


def progress(
    items: Iterable[Item], what: str, total: int | None = None, unit: str = "it", scale: float = 1
) -> Iterable[Item]:
    """Pass ``items`` on, with a progress bar on the screen that counts each as ``scale`` units."""
    if mailbox.box:
        return mailbox.box.counted(items, what, total, unit, scale)
    from tqdm import tqdm

    # a bar that redraws itself fills a log file: twice a minute is enough where no one watches
    every = 0.2 if sys.stderr.isatty() else 30.0
    shown = {"desc": what, "total": total, "unit": unit, "unit_scale": scale, "leave": False}
    return tqdm(items, mininterval=every, **shown)


@contextlib.contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Give a path beside ``path`` for a file or a folder; move it there when the block ends well.

    An output so written is there whole or not at all, also after ``kill -9`` or a full disk.
    """
    path = Path(path)
    with drafted(path) as draft:
        yield draft
        check_run(path)
        if draft.is_dir():  # no system replaces a folder that holds something
            shutil.rmtree(path, ignore_errors=True)
        draft.replace(path)


@contextlib.contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` that no other process has; what stands there in the end goes.

    Whatever a library raises when it finds the disk full, an ``OSError`` that says so leaves here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # the suffix stays last: numpy and matplotlib read the format from it; and two machines may
    # have a process of one number
    own = f"{os.getpid()}-{secrets.token_hex(3)}"
    draft = path.with_name(f".{path.stem}.{own}.draft{path.suffix}")
    try:
        yield draft
    except Exception as error:
        told = isinstance(error, BadInput) or getattr(error, "errno", None) in REFUSED_BY_THE_DISK
        # numpy, safetensors and others keep the reason to themselves
        if not told and shutil.disk_usage(path.parent).free < FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def drafts_in(folder: Path) -> Iterator[Path]:
    """Drafts below ``folder``, of processes that work and of those that were killed."""
    for parent, folders, files in os.walk(folder):
        drafts = [n for n in (*folders, *files) if re.match(r"\..+\.\d+-[0-9a-f]{6}\.draft", n)]
        folders[:] = [name for name in folders if name not in drafts]
        yield from (Path(parent, name) for name in drafts)


def check_run(path: Path) -> None:
    """Raise ``BadInput`` where a job is about to write ``path`` for a run that another followed.

    On this machine, the next run ends the jobs of one that was killed. On another it cannot reach
    them, and they may know the settings of before.
    """
    run, _, record = os.environ.get(RUN, "").partition("@")
    if not run:
        return
    try:
        at_work = json.loads(Path(record).read_bytes())["run"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if at_work != run:
        todo = "nothing: the later run makes it"
        raise BadInput(path, "a later run at work", "the run of this job", todo)


def is_folder(path: Path) -> bool:
    """Whether a folder is there; not, either, for what is too long to be the name of one."""
    try:
        return path.is_dir()
    except OSError:
        return False


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as readable UTF-8 JSON, whole or not at all."""
    with whole(path) as draft:
        draft.write_text(
            json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n", "utf-8"
        )


def read_json(path: str | Path) -> Any:
    """Read JSON that a person may have written.

    Raises ``BadInput`` with the line where the file stops being UTF-8 or JSON, and where an object
    has a key twice, of which JSON would silently keep the last.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(path, "no such file", "a JSON file", "check the path") from None
    except IsADirectoryError:
        raise BadInput(path, "a folder", "a JSON file", "check the path") from None
    except OSError as error:
        todo = "check the path, and whether the file may be read"
        raise BadInput(path, error.strerror or str(error), "a JSON file", todo) from None
    return json_of(content, path)


def json_of(content: bytes, where: object, unread: tuple[str, ...] = (), line: int = 1) -> Any:
    """As ``read_json``, of bytes that begin on a line of the file that ``where`` names.

    Keys ``unread`` are left out.
    """

    def plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = _each_key_once(pairs)
        return {key: value for key, value in found.items() if key not in unread}

    try:
        text = content.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=plain if unread else _each_key_once)
    except UnicodeDecodeError as error:
        raise not_utf8(where, error, "save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadInput(
            f"{where}, line {line + error.lineno - 1}, column {error.colno}",
            error.msg,
            "valid JSON",
            "correct the file there",
        ) from None
    except RecursionError:
        raise BadInput(where, "too deeply nested", "plain JSON", "correct the file") from None
    except ValueError as error:  # a key twice, or a number of thousands of digits
        raise BadInput(where, str(error), "plain JSON", "correct the file") from None


def not_utf8(where: object, error: UnicodeDecodeError, todo: str) -> BadInput:
    """The line and the byte at which a file stops being UTF-8."""
    # what was decoded, which begins behind a byte order mark
    line = error.object[: error.start].count(b"\n") + 1
    found = f"byte {error.object[error.start]:#04x}"
    return BadInput(f"{where}, line {line}", found, "UTF-8 text", todo)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r:.80} twice in one object, again with {value!r:.80}")
        found[key] = value
    return found


def digest_of_file(path: str | Path, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
