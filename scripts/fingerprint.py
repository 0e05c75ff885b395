"""What a step's result depends on in our own code, as one short digest.

Snakemake watches a rule's script by time stamp and what the script imports not at all, so editing
a shared module reruns nothing and ``touch`` reruns everything. Each rule therefore carries this
digest as a param: it changes exactly when the script, or a module that it reaches by imports,
changes in meaning. Comments, docstrings and layout are not part of it.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import json
import sys
from pathlib import Path
from typing import NamedTuple

from scripts.job import BadInput, whole

KEPT = Path(".snakemake/meanings")
ROOT = Path(__file__).resolve().parent.parent
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def fingerprint(*files: str, root: Path = ROOT) -> str:
    """Digest of ``files`` and, for Python files, of all local modules that they import.

    Parameters
    ----------
    files : paths relative to ``root``; anything that is not Python (a template, a list of words)
        counts with its bytes
    root : the repository
    """
    together = hashlib.sha256()
    for file in sorted(reached(files, root), key=lambda file: file.split("/")):
        together.update(f"{file} {_content(file, root).digest}\n".encode())
    return together.hexdigest()[:16]


def reached(files: tuple[str, ...], root: Path = ROOT) -> set[str]:
    """``files`` and every local module that they import, directly or not, relative to ``root``."""
    found: set[str] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(_content(file, root).imports)
    return found


class _Content(NamedTuple):
    digest: str
    # local modules named in import statements, wherever in the file they stand; for types alone,
    # too, which runs a step too many rather than one too few
    imports: frozenset[str]


@functools.cache
def _content(file: str, root: Path) -> _Content:
    """What a file says, but for comments, docstrings and layout; each is looked at once a run."""
    content = (root / file).read_bytes()
    if not file.endswith(".py"):
        return _Content(hashlib.sha256(content).hexdigest(), frozenset())
    digest, names = _kept(content) or _meant(content)
    stems = [name.replace(".", "/") for name in names if name.startswith("scripts.")]
    paths = {stem + end for stem in stems for end in (".py", "/__init__.py")}
    return _Content(digest, frozenset(file for file in paths if (root / file).is_file()))


def _meant(content: bytes) -> tuple[str, list[str]]:
    """Digest of what Python makes of a module, and the names that it imports."""
    tree = ast.parse(content)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            # "from scripts.data import rows" names a module by its last word
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    meant = hashlib.sha256(ast.dump(tree).encode()).hexdigest(), sorted(names)
    with contextlib.suppress(OSError, BadInput), whole(_place(content)) as draft:
        draft.write_text(json.dumps(meant), "utf-8")
    return meant


def _kept(content: bytes) -> tuple[str, list[str]] | None:
    """What ``_meant`` said of the same bytes before: to find it anew would take half of a plan."""
    try:
        digest, names = json.loads(_place(content).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return digest, names


def _place(content: bytes) -> Path:
    # what the syntax tree looks like is the Python version's own
    return KEPT / hashlib.sha256(sys.version.encode() + OWN + content).hexdigest()


# this module's own bytes: another way to look at a file keeps nothing of before
OWN = Path(__file__).read_bytes()
