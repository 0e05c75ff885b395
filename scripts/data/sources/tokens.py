"""Token files, as of Flickr8k, Flickr30k and Flickr8k-CN: ``name#number<TAB>caption`` a line."""

from __future__ import annotations

from collections.abc import Iterable

from scripts.data.audit import Findings
from scripts.data.caption_files import numbered_captions
from scripts.data.columns import split_of_name
from scripts.data.kinds import files_of
from scripts.data.place import Place
from scripts.data.records import OWN_SPLIT, Record
from scripts.data.sources.archives import LISTS
from scripts.data.sources.face import Source
from scripts.data.sources.table import find_tables
from scripts.data.told import Told, pictures_of, records_of


def find(place: Place) -> list[str] | None:
    return find_tables(place, "tokens")


def read(place: Place, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Captions in the order of their numbers; of several files, each is of a split."""
    files = files_of(place, "tokens")
    told = Told(findings, by_files=len(files) > 1)
    for name in files:
        split = split_of_name(name.split("/")[-1]) if told.by_files else None
        for image, captions in numbered_captions(place.text(name), place.where(name)).items():
            told.add(image, captions, place.where(name), split)
    return records_of(place, told, pictures_of(place, files), files)


SOURCE = Source(
    called="a token file",
    expected="pictures and a token file (name#0<TAB>caption, or name#zhc#0 caption)",
    split="splits.json, or lists of the images of each split, beside the token file",
    find=find,
    read=read,
    split_files=(OWN_SPLIT, *LISTS.values()),
)
