"""The one face of all sources, which the package's own docstring explains."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.data.audit import Findings
from scripts.data.place import Place
from scripts.data.records import Record


def _never(place: Place, paths: list[str]) -> bool:
    return False


@dataclass(frozen=True)
class Home:
    """Where on the net a source is fetched.

    Attributes
    ----------
    name : in the config: in ``order``, and as the key of what says where it is
    present : that key's value, folder for downloads -> paths of its files, where all are there
    fetch : the same, after a download; any exception means that it cannot be had
    checked : whether what it sends was held against the home's own sums
    """

    name: str
    present: Callable[[dict[str, Any], Path], list[str] | None]
    fetch: Callable[[dict[str, Any], Path], list[str]]
    checked: bool = False


@dataclass(frozen=True)
class Source:
    """One way in which a dataset lies on a disk: how it is told from others, and read.

    Attributes
    ----------
    called : the kind, in few words
    expected : what stands there, in words
    split : where its split stands, in words
    find : place -> paths of the archives, folders and files below its root that make up the
        dataset, those of its split too; None where there is none of this kind. ``BadInput`` where
        there is one that cannot be meant so, or where it is not clear which is meant.
    read : place, paths, findings -> number of records at most, and the records. Nothing is
        unpacked. The findings are complete when all records have been taken.
    split_files : names of the files that ``read`` takes a split from, anywhere in ``paths``; of
        ``splits.json``, that of the root. Such a file that stands elsewhere is told.
    has_official_split : place, paths -> whether the split is that of the dataset's authors, which
        published figures are of
    kinds : ``source`` of the config's entries whose folders may be so
    claims : whether all that lies in its paths is its own, and no other layout's captions
    home : where it is fetched, if anywhere
    """

    called: str
    expected: str
    split: str
    find: Callable[[Place], list[str] | None]
    read: Callable[[Place, list[str], Findings], tuple[int, Iterable[Record]]]
    split_files: tuple[str, ...] = ()
    has_official_split: Callable[[Place, list[str]], bool] = _never
    kinds: tuple[str, ...] = ("folder",)
    claims: bool = False
    home: Home | None = None
