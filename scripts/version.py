"""The version of the workflow: pyproject.toml alone tells it; report and record carry it."""

import tomllib
from pathlib import Path

from scripts.fingerprint import ROOT


def version_of_workflow(root: Path = ROOT) -> str:
    """What stands in the pyproject.toml of the repository at ``root``, such as "0.1.0"."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
