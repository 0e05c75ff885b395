"""What poppler reads of a PDF."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import unicodedata
from pathlib import Path

import pytest

from scripts.letters import BREAK

POPPLER = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="pdftotext of poppler is not installed"
)


def squeezed(text: str) -> str:
    """``text`` by its characters alone: no spaces, one form of each letter."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFC", text))
    return "".join(one for one in text if not one.isspace() and one not in (BREAK, "\f"))


def run_poppler(tool: str, content: bytes, *options: str) -> str:
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        Path(file.name).write_bytes(content)
        command = [tool, *options, file.name] + (["-"] if tool == "pdftotext" else [])
        return subprocess.run(command, capture_output=True, check=True).stdout.decode()


def text_of(content: bytes, *options: str) -> str:
    """Text of a PDF between its head and foot lines, in the order in which it was set."""
    body = ("-x", "0", "-y", "52", "-W", "596", "-H", "740")
    return run_poppler("pdftotext", content, "-raw", *body, *options)
