"""Tables of images and captions: CSV, TSV and the like, JSON lines, parquet without pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from scripts.data.audit import Findings
from scripts.data.columns import split_of_name
from scripts.data.kinds import files_of, table_in
from scripts.data.place import Place
from scripts.data.records import OWN_SPLIT, Record
from scripts.data.sources.archives import LISTS
from scripts.data.sources.face import Source
from scripts.data.tables import Row
from scripts.data.told import Told, paths_of, pictures_of, records_of
from scripts.job import BadInput

# what stands for the split that a file's name tells
SPLIT = "\0split"
# what the config says of tables, and kinds of captions that are none
OF_TABLES = ("columns", "separator", "language")
WITHOUT_COLUMNS = ("karpathy", "coco", "tokens")


def find_tables(place: Place, kind: str) -> list[str] | None:
    """What a source finds whose captions are in files of one kind."""
    files = files_of(place, kind)
    meaningless = [key for key in OF_TABLES if place.options.get(key)]
    if files and meaningless and kind in WITHOUT_COLUMNS:
        raise BadInput(
            place.root.absolute(),
            f"{' and '.join(meaningless)} in the config, and {files[0]}, which has no columns",
            f"captions of the layout {kind} as they are",
            f"take {' and '.join(meaningless)} out of the dataset's entry of the config",
        )
    return paths_of(place, files, pictures_of(place, files)) if files else None


def read_tables(place: Place, kind: str, findings: Findings) -> tuple[int, list[Record]]:
    """Records of tables of one kind; of several, each is of the split that its name tells."""
    files = files_of(place, kind)
    told = Told(findings, by_files=len(files) > 1)
    for name in files:
        columns, rows = table_in(place, name)
        found: Iterable[Row] = rows()
        if columns.split is not None:
            told.by_files = False
        elif len(files) > 1:
            split = split_of_name(name.split("/")[-1])
            found = (row._replace(values={**row.values, SPLIT: split}) for row in found)
            columns = replace(columns, split=SPLIT)
        told.add_rows(found, columns, place.options.get("language"))
    return records_of(place, told, pictures_of(place, files), files)


def find(place: Place) -> list[str] | None:
    return find_tables(place, "table")


def read(place: Place, paths: list[str], findings: Findings) -> tuple[int, Iterable[Record]]:
    """Rows of any table that has a column of images and one of captions, or several."""
    return read_tables(place, "table", findings)


SOURCE = Source(
    called="a table of captions",
    expected="pictures and a table of images and captions (.csv, .tsv, .txt, .jsonl, .parquet)",
    split="a column split, tables called train, val and test, or splits.json or lists beside",
    find=find,
    read=read,
    split_files=(OWN_SPLIT, *LISTS.values()),
)
