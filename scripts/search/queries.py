"""A file of sentences to ask, one after the other."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

from scripts.job import BadInput, not_utf8
from scripts.search.engine import checked_query

JSON_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Query:
    """A sentence of a file.

    Attributes
    ----------
    text : on one line
    line : where it stands, from 1
    id : what the file calls it; None where it calls it nothing
    """

    text: str
    line: int
    id: str | int | None = None


def read_queries(path: Path) -> list[Query]:
    """The sentences of a file, of which empty lines are none.

    In a file that is called .jsonl or .ndjson, a line is a JSON string or an object with "query"
    and maybe "id"; in any other, a line is a sentence. Raises ``BadInput`` naming the line that is
    neither, and for a file without any.
    """
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(path, error, "save the file as UTF-8") from None
    except OSError as error:
        raise BadInput(
            path, error.strerror or str(error), "a file of sentences", "check the path"
        ) from None
    is_json = path.suffix.lower() in JSON_LINES
    # ends of lines as of any system
    lines = enumerate(io.StringIO(content, newline=None), start=1)
    found = [
        _of_json(path, number, line) if is_json else Query(checked_query(line), number)
        for number, line in lines
        if line.strip()
    ]
    if not found:
        raise BadInput(path, "no sentence", "one on each line", "write some")
    return found


def _of_json(path: Path, number: int, line: str) -> Query:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _refused(path, number, str(error)) from None
    about = record if isinstance(record, dict) else {"query": record}
    text, name = about.get("query"), about.get("id")
    if isinstance(text, str) and isinstance(name, str | int | None):
        # it may be empty, or hold half of a character
        with contextlib.suppress(BadInput):
            return Query(checked_query(text), number, name)
    raise _refused(path, number, line.strip())


def _refused(path: Path, number: int, found: str) -> BadInput:
    return BadInput(
        f"{path}, line {number}", f"{found:.80}",
        'a JSON string, or an object with "query": a sentence, and maybe "id": a text or number',
        "correct the line, or name the file .txt if it holds plain sentences",
    )  # fmt: skip
