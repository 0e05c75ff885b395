"""The image folder of Hugging Face: metadata.csv, .jsonl or .parquet beside the pictures."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from scripts.data.audit import Findings
from scripts.data.files import Read
from scripts.data.kinds import files_of, table_in
from scripts.data.names import SUFFIX
from scripts.data.place import Place, folder_of
from scripts.data.records import OWN_SPLIT, Record
from scripts.data.sources.archives import LISTS
from scripts.data.sources.face import Source
from scripts.data.tables import Row
from scripts.data.told import Pictures, Told, common_folder, image_named, paths_of, records_of


def find(place: Place) -> list[str] | None:
    files = files_of(place, "imagefolder")
    return paths_of(place, files, Pictures(_pictures(place, files))) if files else None


def _pictures(place: Place, files: list[str]) -> dict[str, Read]:
    """Pictures in the folders of the files, and below them."""
    folders = tuple(map(folder_of, files))
    return {
        name: read
        for name, read in place.files.items()
        if SUFFIX.search(name) and name.startswith(folders)
    }


def read(place: Place, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Names are paths from the folder of the file that has them; folders tell the split."""
    told, files = Told(findings), files_of(place, "imagefolder")
    for name in files:
        columns, rows = table_in(place, name)
        found = _from_root(rows(), columns.image, folder_of(name))
        told.add_rows(found, columns, place.options.get("language"))
    pictures = _pictures(place, files)
    base = common_folder(pictures)
    below = {name[len(base) :]: read for name, read in pictures.items()}
    return records_of(place, told, Pictures(below, base), by_folders=True)


def _from_root(rows: Iterable[Row], image: str, folder: str) -> Iterator[Row]:
    for row in rows:
        name = image_named(row.values.get(image), row.where)
        path = posixpath.normpath(f"{folder}{name}") if name else ""
        yield row._replace(values={**row.values, image: path})


SOURCE = Source(
    called="an image folder with metadata",
    expected="pictures beside a metadata.csv, metadata.jsonl or metadata.parquet",
    split="folders called train, validation and test, a column split, or splits.json or lists",
    find=find,
    read=read,
    split_files=(OWN_SPLIT, *LISTS.values()),
)
