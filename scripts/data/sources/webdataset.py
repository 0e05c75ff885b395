"""WebDataset: tar shards in which a picture and its captions are members of one key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from scripts.data.audit import MISSING, Findings, Note
from scripts.data.files import Read
from scripts.data.kinds import in_tar, shards
from scripts.data.names import SUFFIX
from scripts.data.place import Place
from scripts.data.records import OWN_SPLIT, Record
from scripts.data.sources.archives import LISTS
from scripts.data.sources.face import Source
from scripts.data.sources.pairs import captions_beside
from scripts.data.told import Pictures, Told, common_folder, paths_of, records_of
from scripts.job import BadInput

TEXTS = ("txt", "text", "caption", "captions", "json")
NUMBERED = re.compile(r"(.*?)([0-9]+)\.(?:tar\.gz|tgz|tar)", re.IGNORECASE)
# shards that are told as missing
SHOWN = 20


def find(place: Place) -> list[str] | None:
    own = sorted(name for name in place.once(shards) if not place.is_claimed(name))
    return paths_of(place, own) if own else None


def read(place: Place, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Pictures and captions of one key in one shard; shards, or their folders, tell the split."""
    packed, told = place.once(shards), Told(findings)
    findings.note(Note.MISSING_SHARDS, _missing(packed))
    pictures: dict[str, Read] = {}
    for key, members in _samples(place, packed).items():
        image = _image(place, key, members)
        texts = {end: name for end, name in members.items() if end.split(".")[-1] in TEXTS}
        for end in members.keys() - texts.keys() - {image}:
            told.pass_over(Note.OTHER_MEMBERS, end)
        if image is None and texts:
            findings.set_aside(key, MISSING, f"captions, and no picture ({', '.join(members)})")
        elif image is not None:
            pictures[members[image]] = place.files[members[image]]
            if texts:
                told.add(members[image], *captions_beside(place, texts))
    base = common_folder(pictures)
    below = {name[len(base) :]: read for name, read in pictures.items()}
    return records_of(place, told, Pictures(below, base), by_folders=True)


def _samples(place: Place, packed: set[str]) -> dict[str, dict[str, str]]:
    """Shard and key -> what stands behind the key's first point -> member."""
    found: dict[str, dict[str, str]] = {}
    for name in place.files:
        if in_tar(name) in packed:
            folder, _, file = name.rpartition("/")
            key, _, end = file.partition(".")
            found.setdefault(f"{folder}/{key}", {})[end.lower()] = name
    return found


def _image(place: Place, key: str, members: dict[str, str]) -> str | None:
    """What stands behind the key of the picture: one that is a picture's suffix and no more."""
    ends = [end for end in members if SUFFIX.search(f".{end}")]
    said = (place.options.get("columns") or {}).get("image")
    ends = [end for end in ends if end == said] or [end for end in ends if "." not in end] or ends
    if len(ends) > 1:
        raise BadInput(
            place.where(key),
            f"the pictures {' and '.join(ends)}",
            "one picture for each key",
            f"say which in the dataset's entry of the config, as columns: {{image: {ends[0]}}}",
        )
    return ends[0] if ends else None


def _missing(packed: Iterable[str]) -> Iterator[str]:
    numbers: dict[str, dict[int, str]] = {}
    for name in packed:
        if (match := NUMBERED.fullmatch(name)) and len(match[2]) <= 9:
            numbers.setdefault(match[1], {})[int(match[2])] = match[2]
    for stem, there in numbers.items():
        gaps = (number for number in range(min(there), max(there)) if number not in there)
        width = len(next(iter(there.values())))
        for number, _ in zip(gaps, range(SHOWN), strict=False):
            yield f"{stem}{number:0{width}d}.tar"


SOURCE = Source(
    called="WebDataset's shards",
    expected="WebDataset's tar shards (key.jpg with key.txt or key.json)",
    split="shards or folders called train, val and test, or splits.json or lists",
    find=find,
    read=read,
    split_files=(OWN_SPLIT, *LISTS.values()),
)
