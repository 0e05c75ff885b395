"""What stands in a folder: the layout, how many images and captions, and in which splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.data.audit import Findings, Note
from scripts.data.download import found_in, sources_of
from scripts.data.place import Place
from scripts.data.rows import SPLITS
from scripts.data.sources import SOURCES
from scripts.data.split import meant
from scripts.job import BadInput, is_folder


@dataclass(frozen=True)
class Looked:
    """A dataset as its files tell it; no picture was opened.

    Attributes
    ----------
    layout : of ``SOURCES``
    images, captions : how many of which can be used, as far as their names tell
    lost : images and captions that are without their other half
    splits : images in each split that the run has; None where the dataset names none
    said : what is to be told of them
    """

    layout: str
    images: int
    captions: int
    lost: int
    splits: dict[str, int] | None
    said: str

    def __str__(self) -> str:
        told = [
            f"{SOURCES[self.layout].called}, {_count(self.images, 'image')}",
            _count(self.captions, "caption"),
        ]
        if self.lost:
            told.append(f"{self.lost:,} of either without the other")
        return ", ".join([*told, self.said])


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
    if not images:
        raise BadInput(
            place.root.absolute(),
            f"{SOURCES[layout].called}, and no picture of which it says a caption",
            "pictures and their captions",
            "correct the names in the captions, or put the pictures beside them",
        )
    stands_for = meant(images)
    splits = Counter[str]()
    for split, count in images.items():
        splits[stands_for.get(split, split)] += count
    said = _said(images, stands_for, findings)
    if not splits["test"] and not splits[""]:
        lost = [f"{name} ({why})" for name, _, why in findings.lost()[:3]]
        raise BadInput(
            place.root.absolute(),
            "; ".join([f"{SOURCES[layout].called}, {said}, and none in test", *lost]),
            f"images in test, which is what is measured: {sources[layout].split}",
            "name images of test there as the files are called, or take all names of splits away: "
            "without any, all images are test",
        )
    named = {split: splits[split] for split in SPLITS if splits[split]}
    # "none" is in no split of a dataset that has some
    used = images.total() - images["none"]
    return Looked(layout, used, captions, len(findings.aside), named or None, said)


def _said(images: Mapping[str, int], stands_for: Mapping[str, str], findings: Findings) -> str:
    """What splits there are, in words, and which images are in none of them."""
    there = [split for split in SPLITS if images.get(split)]
    said = f"{'splits' if there[1:] else 'split'} {'/'.join(there)}" if there else "no splits"
    alone = [
        name for note in findings.notes if note["note"] == Note.ONE_SPLIT for name in note["items"]
    ]
    if stands_for.get("val") == "test":
        said += " (no test: val is measured)"
    elif stands_for or alone:
        said = f"no splits (all are called {'/'.join([*stands_for, *alone])})"
    if images.get("none"):
        others = [
            other
            for note in findings.notes
            if note["note"] == Note.OTHER_SPLITS
            for other in note["items"]
        ]
        called = f", as in {', '.join(others[:5])}" if others else ""
        said += f" ({images['none']:,} in none{called})"
    return said


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
