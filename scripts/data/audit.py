"""What was found in a dataset, what was set aside and why: the contents of audit.json."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from scripts.letters import printable

UNREADABLE = "unreadable"  # corrupt, truncated, empty, or not an image
OVERSIZED = "oversized"
MISSING = "missing file"
UNSAFE = "unsafe name"
NO_CAPTION = "no caption"
NO_IMAGE = "caption without image"
EMPTY_CAPTION = "empty caption"
LONG_CAPTION = "overlong caption"
NO_CAPTION_IN_SPLIT = "in a split, without a caption"
# characters of an item or a detail: twice what two paths have
LONGEST = 4_000
# an image that captions or the list of a split name, and that cannot be used
LOST = (UNREADABLE, OVERSIZED, MISSING, UNSAFE, NO_CAPTION_IN_SPLIT)


class Note(StrEnum):
    """An oddity that sets nothing aside; a report in Chinese says it in other words."""

    NOT_OFFICIAL = "archives of another checksum than the official one"
    NOT_READ = "what may be meant for captions, and is not read"
    LITTER = "left by an operating system, not read"
    OTHER_COLUMNS = "columns and keys that are not read"
    SHORT_ROWS = "rows that end before the last column"
    OTHER_MEMBERS = "members of shards that are not read"
    MISSING_SHARDS = "shards that are missing by their numbers"
    OTHER_LANGUAGES = "captions of other languages"
    OTHER_LANGUAGES_FILES = "files of other languages, not read"
    UNLISTED_IMAGES = "captions of images that the file does not list"
    WRITTEN_OTHERWISE = "names in captions that are written otherwise than the file's, taken as it"
    NUMBERED = "names in tables that are no names of files, numbers taken"
    RENAMED = "renamed: the name was taken, but for its case or accents"
    TWICE = "captions that an image has more than once, kept"
    ONE_LETTER = "captions of one letter or none"
    SPACED = "line ends and control characters within a caption, made spaces"
    BYTE_IDENTICAL = "byte-identical images"
    OFFICIAL_LISTS = "lists of the official split, taken"
    LISTED_OTHERWISE = "names in lists that are written otherwise than the image's, taken as it"
    LISTED_ONLY = "in a list of the split, but not there"
    SPLIT_WITHOUT_IMAGES = "splits of which no picture is there, left out"
    ONE_SPLIT = "names of one split alone, taken for none"
    OTHER_SPLITS = "in a split that is none of train, val and test"
    IN_NO_SPLIT = "images in no split"


class Unusable(Exception):
    """Why one file cannot be used; the run goes on without it.

    Parameters
    ----------
    reason : one of the reasons above
    detail : what was found, in words that are the same each time
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def short(text: str) -> str:
    """``text`` on one line, printable; what is longer than any path is cut, with its sum."""
    text = printable(text, "")
    if len(text) <= LONGEST:
        return text
    total = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[:LONGEST]}... ({len(text):,} characters, sha256 {total}...)"


@dataclass
class Findings:
    """Filled while a dataset is read; told by ``report`` when all of it has been.

    Attributes
    ----------
    images_found, captions_found : what the dataset holds, usable or not
    aside : (item, reason, detail) of what is not used
    converted : (item, reason, name as stored) of images that are not kept byte for byte
    split_of : item of ``aside`` -> its split, where an official one names it
    spaced : captions in which invisible characters became spaces
    """

    images_found: int = 0
    captions_found: int = 0
    aside: list[tuple[str, str, str]] = field(default_factory=list)
    converted: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    split_of: dict[str, str] = field(default_factory=dict)
    spaced: list[str] = field(default_factory=list)

    def set_aside(self, item: str, reason: str, detail: str, split: str = "") -> None:
        """Record what is not used; ``item`` may be whatever a file system takes for a name."""
        item = short(item)
        self.aside.append((item, reason, short(detail)))
        if split:
            self.split_of[item] = split

    def note(self, what: Note, items: Iterable[str]) -> None:
        """Record an oddity, with the first 20 of its items."""
        items = sorted(map(short, items))
        if items:
            self.notes.append({"note": what.value, "count": len(items), "items": items[:20]})

    def lost(self) -> list[tuple[str, str, str]]:
        """Those set aside that captions or the list of a split name as images."""
        return sorted(entry for entry in self.aside if entry[1] in LOST)

    def reasons(self) -> Counter[str]:
        """How often each reason was given."""
        return Counter(reason for _, reason, _ in self.aside)

    def report(self, source: str, layout: str, images: int, captions: int) -> dict[str, Any]:
        """The contents of audit.json, where ``images`` and ``captions`` are used."""
        return {
            "source": source,
            "layout": layout,
            "images": {
                "found": self.images_found,
                "used": images,
                "set_aside": self.images_found - images,
                "converted": len(self.converted),
            },
            "captions": {
                "found": self.captions_found,
                "used": captions,
                "set_aside": self.captions_found - captions,
            },
            "set_aside": [
                {"item": item, "reason": reason, "detail": detail}
                for item, reason, detail in sorted(self.aside)
            ],
            "converted": [
                {"item": item, "reason": reason, "stored": stored}
                for item, reason, stored in sorted(self.converted)
            ],
            "notes": self.notes,
        }
