"""Where a dataset lies: what stands there, archives opened, and what the config says of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from scripts.data.audit import OVERSIZED, Unusable
from scripts.data.files import MAX_BYTES, MAX_TEXT_BYTES, Read, open_tree
from scripts.job import BadInput, json_of, not_utf8

# of the config's entry: what cannot be told from what stands there
OPTIONS = ("layout", "captions", "images", "columns", "separator", "language")
# values of JSON that its reader makes objects of: COCO's in Karpathy's form have ten million
MAX_VALUES = 24_000_000
# of which nothing is read: words one by one, and outlines of things in a picture
UNREAD = ("tokens", "segmentation")

Found = TypeVar("Found")


@dataclass(frozen=True)
class Place:
    """A folder that holds a dataset.

    Attributes
    ----------
    root : the folder
    entry : the dataset in the config, or as much as is known of it
    paths : what of the folder is looked at; "." is all
    claimed : paths of what some source has found to be its own
    """

    root: Path
    entry: Mapping[str, Any] = field(default_factory=dict)
    paths: tuple[str, ...] = (".",)
    claimed: list[str] = field(default_factory=list)

    def within(self, paths: list[str]) -> Place:
        """The same place, of which these paths are looked at."""
        return replace(self, paths=tuple(paths))

    def once(self, look: Callable[[Place], Found]) -> Found:
        """What ``look`` finds here, looked for once."""
        if look not in self._found:
            self._found[look] = look(self)
        found: Found = self._found[look]
        return found

    @cached_property
    def _found(self) -> dict[Any, Any]:
        return {}

    def is_claimed(self, name: str) -> bool:
        """Whether a file is, or lies in, what some source has found to be its own."""
        return any(name == one or name.startswith(f"{one}/") for one in self.claimed)

    @property
    def options(self) -> dict[str, Any]:
        """What the entry says of how the files are to be read."""
        return {key: self.entry[key] for key in OPTIONS if self.entry.get(key)}

    @cached_property
    def _opened(self) -> tuple[dict[str, Read], list[str]]:
        return open_tree(self.root, list(self.paths))

    @property
    def files(self) -> dict[str, Read]:
        """Path of each file, and of each member of an archive below that archive's -> its bytes."""
        return self._opened[0]

    @property
    def litter(self) -> list[str]:
        """Paths of what an operating system left there."""
        return self._opened[1]

    def where(self, name: str) -> str:
        """How to call a file in a message."""
        return f"{self.root}/{name}"

    def bytes(self, name: str, most: int = MAX_TEXT_BYTES) -> bytes:
        """Contents of a file; ``BadInput`` where it cannot be read or has more than ``most``."""
        try:
            content = self.files[name]()
            if len(content) > most:
                raise Unusable(OVERSIZED, f"{len(content):,} bytes, more than {most:,}")
        except Unusable as error:
            todo = "get the file again, or take it away"
            raise BadInput(self.where(name), str(error), "a file of captions", todo) from None
        return content

    def text(self, name: str, most: int = MAX_TEXT_BYTES) -> str:
        """A text file; ``BadInput`` as for ``bytes``, and where it is no UTF-8."""
        content = self.bytes(name, most)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise not_utf8(self.where(name), error, "save it as UTF-8") from None

    @cached_property
    def _parsed(self) -> dict[str, Any]:
        return {}

    def json(self, name: str) -> Any:
        """A JSON file, without what is never read of it; ``BadInput`` where it is none."""
        if name not in self._parsed:
            # COCO in Karpathy's form has 144 MB
            content = self.bytes(name, most=MAX_BYTES)
            values = sum(content.count(mark) for mark in (b",", b"[", b"{"))
            if values > MAX_VALUES:
                raise BadInput(
                    self.where(name),
                    f"JSON of {values:,} values",
                    f"{MAX_VALUES:,} at most",
                    "take away what is no caption, or divide the file",
                )
            self._parsed[name] = json_of(content, self.where(name), UNREAD)
        return self._parsed[name]

    def tops(self, names: list[str]) -> list[str]:
        """Files and folders of ``root`` itself in which ``names`` lie, sorted.

        "." where pictures lie in ``root``: they may be thousands.
        """
        tops = sorted({name.split("/")[0] for name in names})
        return tops if sum("/" not in name for name in names) <= MOST_LOOSE else ["."]


# files in the root itself that are named one by one
MOST_LOOSE = 20


def folder_of(name: str) -> str:
    """The folder that a path lies in, with a slash behind it; "" for none."""
    return re.sub(r"[^/]*$", "", name)
