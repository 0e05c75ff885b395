"""Pages are made from templates that escape whatever they are given, and so is Markdown."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scripts.letters import printable

THEME = Path(__file__).with_name("theme.css")
# what Markdown, HTML or the page of a pull request would take for more than a letter
SPECIAL = re.compile(r"[\\`*_{}\[\]<>&|~$@#:]|\bwww\.", re.IGNORECASE)
# letters of a caption or a setting that a table has room for
LONGEST = 160


def environment(folder: Path) -> Environment:
    """Jinja2 of ``folder`` that escapes everything and stumbles over names that are not there."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def self_contained(folder: Path, name: str, faces: str, **values: Any) -> str:
    """A page of ``<name>.html.j2``, with ``<name>.css`` and ``<name>.js`` of a folder inside.

    ``faces`` is type that it brings along; ``values`` what the template is given besides "style",
    "script" and the digest of each, which its policy names.
    """
    # the template sets both between their tags as they are: their digests must be of just that
    sheets = (THEME, folder / f"{name}.css")
    style = "".join(sheet.read_text("utf-8") for sheet in sheets) + faces
    script = (folder / f"{name}.js").read_text("utf-8")
    return (
        environment(folder)
        .get_template(f"{name}.html.j2")
        .render(
            style=Markup(style),  # noqa: S704 our own
            script=Markup(script),  # noqa: S704 our own
            style_digest=Markup(_digest(style)),  # noqa: S704 base64
            script_digest=Markup(_digest(script)),  # noqa: S704 base64
            **values,
        )
    )


def in_script(value: Any) -> Markup:
    """JSON that is safe inside a <script> block, whatever its strings hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    unsafe = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028",
              "\u2029": "\\u2029"}  # fmt: skip
    return Markup(re.sub("[<>&\u2028\u2029]", lambda match: unsafe[match[0]], text))  # noqa: S704


def _digest(text: str) -> str:
    """Source expression of Content Security Policy Level 3 for an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def plain(text: object) -> Markup:
    """Text from elsewhere as Markdown that shows it on one line, letter by letter, and no more.

    A name behind @ and a number behind # would be links, and call people to the page; what has no
    width parts them.
    """
    line = printable(" ".join(str(text).split()))
    if len(line) > LONGEST:
        line = line[: LONGEST - 1] + "…"
    return Markup(SPECIAL.sub(_spelt, line))  # noqa: S704 all that HTML knows is spelt


def _spelt(found: re.Match[str]) -> str:
    text = found.group()
    if text in "_*[]{}":  # which names and settings have, and a person may read as it is
        return f"\\{text}"
    return f"{text[:-1]}&#{ord(text[-1])};" + ("&#8203;" if text in ("@", "#") else "")
