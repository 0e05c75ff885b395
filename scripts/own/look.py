"""What stands in a folder: the layout, how many images and captions, and in which splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.data.audit import Findings
from scripts.data.download import found_in, sources_of
from scripts.data.place import Place
from scripts.data.rows import SPLITS
from scripts.data.sources import SOURCES
from scripts.job import BadInput, is_folder


@dataclass(frozen=True)
class Looked:
    """A dataset as its files tell it; no picture was opened.

    Attributes
    ----------
    layout : of ``SOURCES``
    images, captions : how many of which can be used, as far as their names tell
    lost : images and captions that are without their other half
    splits : images in each split; None where the dataset names none
    """

    layout: str
    images: int
    captions: int
    lost: int
    splits: dict[str, int] | None

    def __str__(self) -> str:
        told = [
            f"{SOURCES[self.layout].called}, {_count(self.images, 'image')}",
            _count(self.captions, "caption"),
        ]
        if self.lost:
            told.append(f"{self.lost:,} of either without the other")
        if self.splits is None:
            return ", ".join([*told, "no splits"])
        there = [split for split in SPLITS if self.splits.get(split)]
        return ", ".join([*told, f"{'splits' if there[1:] else 'split'} {'/'.join(there)}"])


def look(entry: Mapping[str, Any]) -> Looked:
    """Look at the folder of a dataset of the config.

    Parameters
    ----------
    entry : with ``location``, and what else is said of the folder

    Raises ``BadInput`` where nothing of a known layout stands there.
    """
    place = Place(Path(entry["location"]), dict(entry))
    sources = sources_of(place)
    expected = "; or ".join(source.expected for source in sources.values())
    todo = "name the folder that holds the pictures and their captions"
    if not is_folder(place.root):
        raise BadInput(place.root.absolute(), "no such folder", f"a folder with {expected}", todo)
    layout, paths = found_in(place, sources, expected, todo)
    findings = Findings()
    _, records = sources[layout].read(place.within(paths), paths, findings)
    images, captions = Counter[str](), 0
    for record in records:
        images[record.split] += 1
        captions += len(record.captions) * (record.split != "none")
    # "none" is in no split of a dataset that has some
    named = {split: images[split] for split in SPLITS if images[split]}
    used = images.total() - images["none"]
    if not used:
        raise BadInput(
            place.root.absolute(),
            f"{SOURCES[layout].called}, and no picture of which it says a caption",
            "pictures and their captions",
            "correct the names in the captions, or put the pictures beside them",
        )
    return Looked(layout, used, captions, len(findings.aside), named or None)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
