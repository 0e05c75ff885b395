"""The version of the workflow: pyproject.toml and git tell it; report and record carry it."""

import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from scripts.fingerprint import ROOT


def version_of_workflow(root: Path = ROOT) -> str:
    """What stands in the pyproject.toml of the repository at ``root``, such as "0.1.0"."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def code_version(root: Path = ROOT) -> dict[str, Any]:
    """Version of the workflow, and where git knows its files, their commit and what changed since.

    A repository that merely surrounds the workflow, such as one of a home folder, says nothing of
    it.
    """
    found: dict[str, Any] = {"version": version_of_workflow(root)}
    if _git(root, "ls-files", "--error-unmatch", "Snakefile") is None:
        return found
    commit = _git(root, "log", "-1", "--format=%H %cs")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".")
    if commit is None or changes is None:
        return found
    sha, date = commit.split()
    return found | {"commit": sha, "changed": bool(changes), "date": date}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - the words are ours
            ["git", "-C", str(root), *arguments],  # noqa: S607 - git is wherever the user has it
            capture_output=True,
            text=True,
            timeout=60,
            # a record reads, and takes no lock that a user's own git would wait for
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
