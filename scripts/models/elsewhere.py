"""Features that were made elsewhere: which files of a path hold them, whose rows, and the vectors.

Three forms, told by what stands at the path: parquet with a column ``embedding``; ``.npy`` with a
table of its rows under the same name; and the folders that clip-retrieval writes
(https://github.com/rom1504/clip-retrieval), ``img_emb``, ``text_emb`` and ``metadata``, in parts of
one number. The table says whose a row is, never its position alone.
"""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scripts.job import BadInput, is_folder

if TYPE_CHECKING:
    import numpy as np
    from pyarrow.parquet import ParquetFile

Side = Literal["images", "texts"]
# what clip-retrieval calls the folder of each side
FOLDERS: dict[Side, str] = {"images": "img_emb", "texts": "text_emb"}
EMBEDDING = "embedding"
# columns that name a row, by what they are called; the first that a table has is taken
NAMES = {"image": ("image", "image_path"), "caption": ("caption",), "prompt": ("prompt",)}
NEEDED: dict[Side, str] = {"images": "image", "texts": "caption"}
TABLES = (".csv", ".tsv", ".parquet")
# rows of vectors in memory at a time, beside those that are kept
AT_ONCE = 1024
# read from the disk at a time, however large a group of rows is
BUFFER = 2**20
CLIP_RETRIEVALS = "or the folder that clip-retrieval writes, with {}/ and metadata/"
EXPECTED: dict[Side, str] = {
    "images": "parquet with the columns image and embedding; .npy with a table of its rows beside "
    f"it; {CLIP_RETRIEVALS.format('img_emb')}",
    "texts": "parquet with the columns image, caption and embedding; .npy with a table of its rows "
    f"beside it; {CLIP_RETRIEVALS.format('text_emb')}",
}
CHECK = "correct the path in the entry of the model"


@dataclass(frozen=True)
class Part:
    """Vectors in one file, and the table that says whose they are: of parquet, the same file."""

    vectors: Path
    table: Path


@dataclass(frozen=True)
class Names:
    """Whose each row is.

    Attributes
    ----------
    images : n names; None of texts where the table has no such column
    captions : n captions; None of images
    prompts : n prompts; None where the table has no such column
    """

    images: list[str] | None
    captions: list[str] | None
    prompts: list[str] | None


def parts_of(path: Path, side: Side) -> list[Part]:
    """The files that hold the features of one side, in the order of their rows.

    Raises ``BadInput`` where nothing at ``path`` is of a known form, or more than one thing is.
    """
    if is_folder(path):
        return _parts_in(path, side)
    if not path.is_file():
        raise BadInput(path.absolute(), "no such file or folder", EXPECTED[side], CHECK)
    if path.suffix == ".npy":
        return [Part(path, _table_of(path))]
    if path.suffix == ".parquet":
        return [Part(path, path)]
    raise BadInput(path.absolute(), f"a file {path.suffix or 'without a suffix'}", EXPECTED[side],
                   "save the features as parquet, or as .npy with a table of its rows")  # fmt: skip


def _parts_in(folder: Path, side: Side) -> list[Part]:
    if is_folder(folder / FOLDERS[side]):
        return _of_clip_retrieval(folder, side)
    there = sorted(file for file in folder.iterdir() if file.suffix in (".npy", ".parquet"))
    # never that of the other side
    there = [file for file in there if file.stem == side or file.stem not in FOLDERS]
    arrays = [file for file in there if file.suffix == ".npy"]
    named = [file for file in there if file.stem == side]
    # beside an array, parquet may be its table
    found = [file for file in named if file.suffix == ".npy"] or named
    found = found or arrays or there
    if len(found) != 1:
        told = f"{len(found)} files: {', '.join(file.name for file in found[:5])}"
        what = told if found else "neither .npy nor .parquet"
        todo = f"{CHECK}: name the file itself, or call it {side}"
        raise BadInput(folder.absolute(), what, EXPECTED[side], todo)
    return parts_of(found[0], side)


def _of_clip_retrieval(folder: Path, side: Side) -> list[Part]:
    """Parts by their number, each with the metadata of that number."""
    parts = []
    arrays = {int(number): file for file, number in _numbered(folder / FOLDERS[side], ".npy")}
    tables = {int(number): file for file, number in _numbered(folder / "metadata", ".parquet")}
    for number, array in sorted(arrays.items()):
        if number not in tables:
            raise BadInput(
                array.absolute(),
                f"no metadata of number {number}",
                f"{folder.name}/metadata/metadata_{number}.parquet, as clip-retrieval writes it",
                "copy the folder metadata whole, with the folder of the features",
            )
        parts.append(Part(array, tables[number]))
    if not parts:
        found = f"no {FOLDERS[side]}_0.npy in {FOLDERS[side]}/"
        raise BadInput(folder.absolute(), found, EXPECTED[side], CHECK)
    return parts


def _numbered(folder: Path, suffix: str) -> Iterator[tuple[Path, str]]:
    for file in sorted(folder.glob(f"*{suffix}")):
        if match := re.search(r"_([0-9]+)$", file.stem):
            yield file, match[1]


def _table_of(array: Path) -> Path:
    found = [table for suffix in TABLES if (table := array.with_suffix(suffix)).is_file()]
    if len(found) != 1:
        told = ", ".join(table.name for table in found)
        raise BadInput(
            array.absolute(),
            f"several tables beside it: {told}" if found else "no table of its rows beside it",
            f"one of {', '.join(array.with_suffix(suffix).name for suffix in TABLES)}, with a row "
            "for each row of the array",
            "move the others away" if found else "write the table: which image or caption is whose",
        )
    return found[0]


def files_of(parts: Sequence[Part]) -> list[Path]:
    """All files that features are read from, each once."""
    return list(dict.fromkeys(file for part in parts for file in (part.vectors, part.table)))


def name_below(path: str, side: Side, file: Path) -> str:
    """What model.json calls a file of one side, whose features are at ``path``."""
    return f"{side}/{file.relative_to(Path(path).parent).as_posix()}"


def read_names(part: Part, side: Side) -> Names:
    """Whose each row of a part is; ``BadInput`` where the table does not say it of every row."""
    read = _read_parquet if part.table.suffix == ".parquet" else _read_lines
    columns = read(part.table, NEEDED[side])
    found = len(columns[NEEDED[side]])
    rows, _ = shape_of(part)
    if found != rows:
        raise BadInput(
            part.table.absolute(),
            f"{found:,} rows",
            f"{rows:,}, one for each row of {part.vectors.name}",
            "write the table and the array anew, together",
        )
    captions = columns.get("caption") if side == "texts" else None
    return Names(columns.get("image"), captions, columns.get("prompt") if captions else None)


def _columns(there: list[str], needed: str, where: Path) -> dict[str, str]:
    """What a row is named by -> the column that holds it."""
    found = {
        what: next(name for name in names if name in there)
        for what, names in NAMES.items()
        if any(name in there for name in names)
    }
    twice = [name for name in found.values() if there.count(name) > 1]
    if needed not in found or twice:
        raise BadInput(
            where.absolute(),
            f"the columns {', '.join(there):.200}",
            f"{twice[0]} once" if twice else f"a column {' or '.join(NAMES[needed])}",
            "rename the column",
        )
    return found


def _read_parquet(path: Path, needed: str) -> dict[str, list[str]]:
    with _opened(path) as table:
        names = _columns(table.schema_arrow.names, needed, path)
        with _whole(path):
            read = table.read(columns=list(names.values()))
    columns = {what: read.column(name).to_pylist() for what, name in names.items()}
    for what, values in columns.items():
        for row, value in enumerate(values):
            if value == "" or not isinstance(value, str | int):
                raise _unnamed(f"{path.absolute()}, row {row}", what, value)
    return {what: list(map(str, values)) for what, values in columns.items()}


def _read_lines(path: Path, needed: str) -> dict[str, list[str]]:
    delimiter = "\t" if path.suffix == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.DictReader(stream, delimiter=delimiter, strict=True)
            names = _columns(list(lines.fieldnames or []), needed, path)
            columns: dict[str, list[str]] = {what: [] for what in names}
            for line in lines:
                if None in line:
                    where, found = f"{path.absolute()}, line {lines.line_num}", line[None]
                    todo = "put quotes around what holds a comma or a tab"
                    raise BadInput(where, f"{found!r:.80} too much", f"{len(line) - 1} cells", todo)
                for what, name in names.items():
                    if not line[name]:
                        where = f"{path.absolute()}, line {lines.line_num}"
                        raise _unnamed(where, what, line[name])
                    columns[what].append(line[name])
    except (UnicodeDecodeError, csv.Error) as error:
        todo = "save the table as UTF-8, with quotes around what holds a quote or a line end"
        raise BadInput(path.absolute(), str(error), "a table in UTF-8", todo) from None
    return columns


def _unnamed(where: str, what: str, found: object) -> BadInput:
    return BadInput(where, f"{what}: {found!r:.80}", f"the {what} of this row", "write it there")


def shape_of(part: Part) -> tuple[int, int]:
    """Rows and dimensions of a part; ``BadInput`` where it holds no vectors of numbers."""
    path = part.vectors
    if path.suffix == ".npy":
        rows, dim = _mapped(path).shape
    else:
        with _opened(path) as table:
            rows = table.metadata.num_rows
        dim = next((vectors.shape[1] for vectors in read_vectors(part, 1)), 0)
    if not rows or not dim:
        raise BadInput(path.absolute(), "no vector", "one for each row", "write the file anew")
    return rows, dim


def read_vectors(part: Part, at_once: int = AT_ONCE) -> Iterator[np.ndarray]:
    """Rows (k, d) of a part, in its order, in the type that they are stored in."""
    path = part.vectors
    if path.suffix == ".npy":
        # each time anew: what was read of a mapped file stays in memory as long as it is mapped
        for start in range(0, len(_mapped(path)), at_once):
            yield _mapped(path)[start : start + at_once].copy()
        return
    dim, row = None, 0
    with _opened(path) as table:
        there = table.schema_arrow.names
        if there.count(EMBEDDING) != 1:
            what = f"the columns {', '.join(there):.200}"
            raise BadInput(path.absolute(), what, f"a column {EMBEDDING}", "rename the column")
        batches = table.iter_batches(at_once, columns=[EMBEDDING])
        while True:
            with _whole(path):
                batch = next(batches, None)
            if batch is None:
                return
            if not len(batch):
                continue
            vectors = _vectors(batch.column(0), f"{path.absolute()}, row", row)
            dim = dim or vectors.shape[1]
            if vectors.shape[1] != dim:
                raise _lengths(f"{path.absolute()}, row {row}", vectors.shape[1], dim)
            row += len(vectors)
            yield vectors


def _vectors(column: Any, where: str, first: int) -> np.ndarray:
    """A column of lists of numbers as rows (k, d); ``first`` is the number of its first row."""
    import numpy as np
    from pyarrow import compute, types

    kind = column.type
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    if not any(is_kind(kind) for is_kind in lists) or not types.is_floating(kind.value_type):
        expected = "lists of float16, float32 or float64, of one length"
        raise BadInput(
            f"{where} {first}", f"{EMBEDDING} of the type {kind}", expected, "save them so"
        )
    values, lengths = column.flatten(), compute.list_value_length(column)
    if lengths.null_count or values.null_count:
        row = [vector is None or None in vector for vector in column.to_pylist()].index(True)
        found = f"{EMBEDDING} that lacks a number"
        raise BadInput(f"{where} {first + row}", found, "numbers", "make the vector anew")
    lengths = lengths.to_numpy()
    other = np.flatnonzero(lengths != lengths[0])
    if len(other):
        raise _lengths(f"{where} {first + other[0]}", lengths[other[0]], lengths[0])
    return values.to_numpy().reshape(len(column), lengths[0])


def _lengths(where: str, found: int, expected: int) -> BadInput:
    todo = "make them all with one model and one number of dimensions"
    return BadInput(where, f"{found} dimensions", f"{expected}, as in the rows before", todo)


def _mapped(path: Path) -> np.ndarray:
    """The array in a .npy file, of which no more is read than is asked for."""
    import numpy as np

    expected, todo = "a 2-D array of float16, float32 or float64", "save it with numpy.save"
    try:
        # a pickled one could run code, and is refused
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        # numpy takes whatever it does not know for a pickle, and tells how to open it all the same
        reason = "it is none, or pickled" if "pickle" in str(error) else str(error).splitlines()[0]
        found = f"not a whole .npy file ({reason:.200})"
        raise BadInput(path.absolute(), found, expected, todo) from None
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind != "f":
        found = f"{array.ndim}-D {array.dtype}" if hasattr(array, "ndim") else "several arrays"
        raise BadInput(path.absolute(), found, expected, todo)
    return array


def _opened(path: Path) -> ParquetFile:
    from pyarrow.parquet import ParquetFile

    with _whole(path):
        return ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Say in words what is raised for a damaged file."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        found = f"not a whole parquet file ({str(error).splitlines()[0]:.200})"
        raise BadInput(path.absolute(), found, "a parquet file", "write it anew") from None
