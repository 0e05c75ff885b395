"""Images with their captions and split, as every source gives them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts.data.audit import (
    MISSING,
    NO_CAPTION,
    NO_CAPTION_IN_SPLIT,
    NO_IMAGE,
    UNSAFE,
    Findings,
    Note,
)
from scripts.data.files import Read, why_unsafe
from scripts.data.names import matched, nearest, same_text
from scripts.data.rows import read_splits

# a split of one's own, beside a dataset that has none
OWN_SPLIT = "splits.json"
# names without an image that are told with what is most like them
SHOWN = 5


@dataclass(frozen=True)
class Record:
    """An image that has captions.

    Attributes
    ----------
    image : name, safe as a path below a folder
    captions : one or more, none empty
    split : train, val or test; "none" where the dataset has a split but names the image in no
        part of it; "" where it has none
    read : gives the image's bytes, or raises ``Unusable``
    """

    image: str
    captions: list[str]
    split: str
    read: Read


def own_split(root: Path) -> dict[str, str]:
    """Image -> split from the ``splits.json`` at ``root``."""
    splits = read_splits(root / OWN_SPLIT)
    return {image: split for split, images in splits.items() for image in images}


def paired(
    images: dict[str, Read],
    captions: dict[str, list[str]],
    split_of: dict[str, str] | None,
    findings: Findings,
    named_in: str = "captions",
) -> tuple[int, list[Record]]:
    """Records of the images that have captions, sorted by name; findings of everything else.

    Parameters
    ----------
    images : path below the images folder -> its bytes
    captions, split_of : what they hold by the name of the image, which may be written otherwise
    findings : where all that becomes no record is told
    named_in : which tells what images the dataset has, "captions" or the "lists" of its split
    """
    findings.images_found += len(images)
    found, doubts = _as_there(captions, images)
    note = Note.WRITTEN_OTHERWISE
    findings.note(note, _otherwise(found))
    # an image has the name of its file or, where only the accents differ, the one that was typed:
    # systems store these in their own way, and a split is drawn by name
    typed = {file: name for name, file in found.items() if same_text(name, file)}
    images = {typed.get(file, file): read for file, read in images.items()}
    captions_of, detail = {}, {}
    for name, texts in captions.items():
        file = found.get(name, name)
        image = typed.get(file, file)
        captions_of[image] = texts
        detail[image] = f"{len(texts)} captions{doubts.get(name, '')}"
    split_of_image: dict[str, str] = {}
    if split_of is not None:
        captioned = [image for image in images if captions_of.get(image)]
        found, doubts = _as_there(split_of, images.keys() | captions_of.keys(), captioned)
        note = Note.LISTED_OTHERWISE
        findings.note(note, _otherwise(found))
        for name, split in split_of.items():
            if name in found:
                split_of_image[found[name]] = split
            else:
                told = f"in the list of {split}, but not there{doubts.get(name, '')}"
                findings.set_aside(name, MISSING, told, split)
        strangers = (name for name in split_of if found.get(name) not in images)
        findings.note(Note.LISTED_ONLY, strangers)
    records = []
    for image in sorted(images.keys() | captions_of.keys()):
        texts, split = captions_of.get(image, []), split_of_image.get(image, "")
        if not texts and split:
            findings.set_aside(image, NO_CAPTION_IN_SPLIT, f"in the list of {split}", split)
        elif not texts:
            findings.set_aside(image, NO_CAPTION, "an image without a caption")
        elif unsafe := why_unsafe(image):
            findings.set_aside(image, UNSAFE, unsafe, split)
        elif image not in images:
            reason = MISSING if split or named_in == "captions" else NO_IMAGE
            findings.set_aside(image, reason, detail[image], split)
        else:
            none = "" if split_of is None else "none"
            records.append(Record(image, texts, split or none, images[image]))
    return len(records), records


def _otherwise(found: dict[str, str]) -> list[str]:
    return [f"{name} is {file}" for name, file in found.items() if not same_text(name, file)]


def _as_there(
    names: Iterable[str], there: Iterable[str], preferred: Iterable[str] = ()
) -> tuple[dict[str, str], dict[str, str]]:
    """Name -> the image that it means; and for the others what is like them, in words."""
    names, there = list(names), sorted(there)
    found, doubts = matched(names, there, preferred)
    lost = sorted(set(names) - found.keys() - doubts.keys())[:SHOWN]
    alike = {name: like for name in lost if (like := nearest(name, there))}
    return found, {name: f"; {why}" for name, why in doubts.items()} | {
        name: f"; most like it is {like}" for name, like in alike.items()
    }
