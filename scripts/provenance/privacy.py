"""What a record must not tell: where things lie on a machine, whose it is, and any key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

LEFT_OUT = "(left out)"
# keys of the configuration that hold a path of the user's
PATHS = ("location", "path", "images", "texts")
# what environment variables with a secret are called: HF_TOKEN, KAGGLE_KEY, ...
SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|CREDENTIAL|(^|_)(API)?KEY(_|$)|(^|_)AUTH(_|$)", re.IGNORECASE
)
# a shorter value is no key, and would be found in half of all words
SHORTEST = 8
ADDRESS = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]+")


def secrets(environment: Iterable[tuple[str, str]] | None = None) -> list[str]:
    """Values of environment variables that are named like secrets, the longest first."""
    pairs = os.environ.items() if environment is None else environment
    found = {
        value
        for name, value in pairs
        # the path of a socket or of a file with a key is no secret; paths are seen to below
        if SECRET.search(name) and len(value) >= SHORTEST and not value.startswith("/")
    }
    return sorted(found, key=len, reverse=True)


def told(value: Any, here: Path, hidden: list[str], key: str = "", entry: str = "") -> Any:
    """``value``, whatever is in it, as it may be told to anyone.

    Parameters
    ----------
    value : of a configuration, a record of a model or of a dataset
    here : the working directory; paths below it stay, as relative ones
    hidden : texts to leave out wherever they stand
    key, entry : names under which ``value`` stands; a path elsewhere becomes ``path/to/<entry>``
    """
    if isinstance(value, dict):
        return {
            told(k, here, hidden): told(v, here, hidden, str(k), entry if k in PATHS else str(k))
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [told(item, here, hidden, key, entry) for item in value]
    if not isinstance(value, str):
        return value
    if key in PATHS:
        return _path(value, here, entry)
    text = value
    # "/" as a home is no trace of anyone
    homes = [home for home in (str(here), str(Path.home())) if len(home) > 1]
    for hide in (*hidden, *homes):
        text = text.replace(hide, LEFT_OUT)
    return ADDRESS.sub(lambda match: _address(match[0]), text)


def _path(text: str, here: Path, entry: str) -> str:
    """A path below ``here``, relative to it; of any other, where the user is to put theirs."""
    path = Path(os.path.normpath(here / Path(text).expanduser()))
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else f"path/to/{entry}"


def _address(text: str) -> str:
    """An address without user, password and query, where keys are written."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return LEFT_OUT
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
