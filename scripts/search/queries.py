"""What may be asked: a sentence, a photo, or a file of sentences one after the other."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.job import BadInput, not_utf8

# Pillow is imported where it is used, so that --help answers at once
if TYPE_CHECKING:
    from PIL import Image

MAX_PHOTO = 256 * 2**20  # bytes
MAX_PIXELS = 100_000_000  # larger pictures are refused by their header
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


def checked_query(query: str) -> str:
    """``query`` on one line; raises ``BadInput`` where it holds no words or is not text."""
    try:
        query.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput(
            "query", f"{query!r:.80}", "UTF-8 text", "set the terminal to UTF-8"
        ) from None
    if not query.strip():
        raise BadInput("query", "no words", "a sentence", 'ask like "a dog running on grass"')
    return " ".join(query.split())


def open_photo(path: Path) -> Image.Image:
    """The photo in a file, see ``decode_photo``."""
    try:
        if path.is_dir():
            raise BadInput(path, "a folder", "a photo", "name a file in it")
        # a pipe may never end
        if path.exists() and not path.is_file():
            raise BadInput(path, "not a plain file", "a photo", "check the path")
        if path.stat().st_size > MAX_PHOTO:
            raise BadInput(path, f"more than {MAX_PHOTO:,} bytes", "a photo", "make it smaller")
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(path, "no such file", "a photo", "check the path") from None
    except OSError as error:
        raise BadInput(path, error.strerror or str(error), "a photo", "check the path") from None
    return decode_photo(content, path)


def decode_photo(content: bytes, name: object) -> Image.Image:
    """The first frame of a photo, upright and in RGB, as the dataset's own images are.

    Raises ``BadInput``, which calls it ``name``, for what is no image or too large a one.
    """
    from scripts.data.audit import OVERSIZED, Unusable
    from scripts.data.images import decode

    try:
        return decode(content, MAX_PIXELS)
    except Unusable as error:
        todo = "make it smaller" if error.reason == OVERSIZED else "convert it to JPEG or PNG"
        raise BadInput(name, f"not readable as an image: {error.detail}", "a photo", todo) from None
