"""What readers see, in each language: one folder, one reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent


def read_words(name: str, language: str) -> dict[str, Any]:
    """What ``<name>.<language>.yaml`` holds."""
    return yaml.safe_load((FOLDER / f"{name}.{language}.yaml").read_text("utf-8"))
