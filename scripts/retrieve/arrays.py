"""Arrays by name in .npz files: never pickles, whole or not at all, refused in words."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from scripts.data.files import BROKEN_ARCHIVE
from scripts.job import BadInput, whole

Arrays = dict[str, np.ndarray]


def write_arrays(path: str | Path, arrays: Arrays) -> None:
    """Write a .npz file; equal arrays give equal bytes."""
    with whole(path) as draft:
        np.savez(draft, **arrays)  # type: ignore[arg-type]  # none is called allow_pickle


def read_arrays(path: str | Path, what: str, only: Collection[str] | None = None) -> Arrays:
    """Read a .npz file that a rule made.

    Parameters
    ----------
    path : the file
    what : what it should be, for messages ("rankings")
    only : names to read, of those that are there; all where None

    Raises
    ------
    BadInput
        where it is missing or damaged, or holds pickles, which could run code
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored if only is None or name in only}
    except FileNotFoundError:
        raise BadInput(path, "no such file", what, made_anew(path)) from None
    # of what a damaged archive may say of itself, zipfile and numpy find out in many ways
    except (*BROKEN_ARCHIVE, MemoryError, TypeError) as error:
        found = str(error) or "an empty file"
        raise BadInput(path, found, "a whole .npz file", made_anew(path)) from None


def made_anew(path: str | Path) -> str:
    """What to do about a file that the workflow makes."""
    return f"delete {path} and run again: the workflow makes it anew"
