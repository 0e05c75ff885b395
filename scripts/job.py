"""What every job does alike: say what it is doing, fail in one clear message, write files whole."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger("clip-retrieval")

# what the disk refuses: no fault of a download's source, and nothing that a second try would mend
REFUSED_BY_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class BadInput(Exception):
    """Something that a person can put right, told in the words they need to do it.

    Parameters
    ----------
    where : the file, and the record in it ("captions.json, record 12")
    found : what stands there
    expected : what should stand there
    todo : what to do about it
    """

    def __init__(self, where: object, found: str, expected: str, todo: str) -> None:
        super().__init__(
            printable(f"{where}\n  found:    {found}\n  expected: {expected}\n  to do:    {todo}")
        )


def printable(text: str, keep: str = "\n") -> str:
    """``text`` with escapes for what no terminal or UTF-8 file should get, but for ``keep``.

    A name from elsewhere may hold bytes that are no text, or codes that drive a terminal.
    """
    odd = {c for c in text if c not in keep and unicodedata.category(c) in ("Cc", "Cs")}
    return text.translate({ord(c): repr(c)[1:-1] for c in odd})


def run(main: Callable[[Any], None], snakemake: Any) -> None:
    """Run a rule's ``main``, with its messages on the screen and in the rule's log file.

    A ``BadInput`` ends in its message alone and exit status 1; anything else is a bug of ours and
    keeps its traceback. Snakemake itself redirects nothing into ``log:``.
    """
    values = ".".join(str(value) for value in snakemake.wildcards)
    name = f"{snakemake.rule} {values}".strip()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if snakemake.log:
        Path(str(snakemake.log[0])).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(str(snakemake.log[0]), mode="w", encoding="utf-8"))
    handlers[0].setLevel(logging.INFO)  # lists by the thousand go to the file alone
    logging.basicConfig(handlers=handlers, force=True, format=f"[{name}] %(message)s")
    log.setLevel(logging.DEBUG)
    for chatty in (
        "httpx",
        "httpx2",
        "httpcore2",
        "urllib3",
        "matplotlib",
        "fontTools",
        "filelock",
    ):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        main(snakemake)
    except BadInput as error:
        log.error("ERROR in %s", error)
        raise SystemExit(1) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in REFUSED_BY_THE_DISK:
            todo = "free space or allow writing there, then run again"
            log.error("ERROR: %s\n  to do:    %s", error, todo)
        else:
            log.error("ERROR: unexpected, please report it\n%s", traceback.format_exc())
        raise SystemExit(1) from None


def progress(items: Iterable, what: str, total: int | None = None, unit: str = "it") -> Iterable:
    """Pass ``items`` on, with a progress bar on the screen."""
    from tqdm import tqdm

    # a bar that redraws itself fills a log file: twice a minute is enough where no one watches
    every = 0.2 if sys.stderr.isatty() else 30.0
    return tqdm(items, desc=what, total=total, unit=unit, mininterval=every, leave=False)


@contextlib.contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; move it there only when the block ends well.

    An output so written is there whole or not at all, also after ``kill -9`` or a full disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # the suffix stays last: numpy and matplotlib read the format from it
    draft = path.with_name(f".{path.stem}.{os.getpid()}.draft{path.suffix}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


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
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_each_key_once)
    except FileNotFoundError:
        raise BadInput(path, "no such file", "a JSON file", "check the path") from None
    except IsADirectoryError:
        raise BadInput(path, "a folder", "a JSON file", "check the path") from None
    except OSError as error:
        todo = "check the path, and whether the file may be read"
        raise BadInput(path, error.strerror or str(error), "a JSON file", todo) from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadInput(
            f"{path}, line {line}",
            f"byte {error.object[error.start]:#04x}",
            "UTF-8 text",
            "save the file as UTF-8",
        ) from None
    except json.JSONDecodeError as error:
        raise BadInput(
            f"{path}, line {error.lineno}, column {error.colno}",
            error.msg,
            "valid JSON",
            "correct the file there",
        ) from None
    except RecursionError:
        raise BadInput(path, "too deeply nested", "plain JSON", "correct the file") from None
    except ValueError as error:  # a key twice, or a number of thousands of digits
        raise BadInput(path, str(error), "plain JSON", "correct the file") from None


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
