"""The features of a run as parquet, in the form that any program reads, and this one as well.

    ./run export --run results/DATASET/MODEL/PROMPT/SCORER --to FOLDER

FOLDER gets images.parquet (image, embedding) and texts.parquet (image, caption, prompt, embedding),
of all prompts of the model and all splits that are encoded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.job import BadInput, ended, read_json, whole

if TYPE_CHECKING:
    import pyarrow

    from scripts.data.rows import Rows

# rows that a program has to hold at once to read one
GROUP = 2**14


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """What was typed."""
    say = argparse.ArgumentParser(
        prog="./run export",
        description="Write the features of a run's model as parquet: images.parquet and "
        "texts.parquet, of all prompts and splits that are encoded.",
        allow_abbrev=False,
    )
    run = "results/<dataset>/<model>/<prompt>/<scorer>"
    say.add_argument("--run", type=Path, required=True, metavar="FOLDER", help=run)
    say.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where they go")
    say.add_argument(
        "--data", type=Path, metavar="FOLDER", help="default: data, beside the folder of results"
    )
    return say.parse_args(words)


class Encoded:
    """Features of one model: by split those of images, and by prompt those of texts.

    Parameters
    ----------
    run : results/<dataset>/<model>/<prompt>/<scorer>
    data : folder of the workflow's data; None where it stands beside the results

    Raises ``BadInput`` where there is no such run.
    """

    def __init__(self, run: Path, data: Path | None = None) -> None:
        run = run.absolute()
        if not (run / "metrics.json").is_file():
            raise BadInput(
                run,
                "no finished run",
                "results/<dataset>/<model>/<prompt>/<scorer>, with metrics.json in it",
                "correct --run; or make the run first",
            )
        self.model, self._folder = run.parents[1].name, run.parents[1]
        self._data = (data or run.parents[4] / "data") / run.parents[2].name
        # version of the model that features are of, and a file of them
        self._first: tuple[Any, ...] = ()

    def splits(self) -> dict[str, Rows]:
        """The splits that have features of images, with their rows."""
        from scripts.data.rows import SPLITS, read_rows

        files = self._data / "captions.json", self._data / "splits.json"
        there = [split for split in SPLITS if (self._folder / split / "images.npy").is_file()]
        if not there:
            expected = f"images.npy in one of its folders {', '.join(SPLITS)}"
            raise BadInput(self._folder, "no features", expected, "make the run again")
        return {split: read_rows(*files, split) for split in there}

    def prompts(self, split: str) -> list[str]:
        """Prompts under which the captions of a split are encoded, sorted."""
        files = sorted((self._folder / split).glob("texts.*.npy"))
        return [file.stem.removeprefix("texts.") for file in files]

    def images(self, splits: dict[str, Rows]) -> Iterator[dict[str, Any]]:
        """Columns of images.parquet, a split at a time."""
        for split, rows in splits.items():
            yield {"image": rows.images, "embedding": self._read(split, "images", rows)}

    def texts(self, splits: dict[str, Rows]) -> Iterator[dict[str, Any]]:
        """Columns of texts.parquet, a prompt of a split at a time."""
        for split, rows in splits.items():
            for prompt in self.prompts(split):
                yield {
                    "image": [rows.images[row] for row in rows.image_of_caption],
                    "caption": rows.captions,
                    "prompt": [prompt] * len(rows.captions),
                    "embedding": self._read(split, f"texts.{prompt}", rows),
                }

    def _read(self, split: str, name: str, rows: Rows) -> Any:
        from scripts.encode.stored import ROWS_OF, read_features

        file = self._folder / split / f"{name}.npy"
        sidecar = file.with_suffix(".json")
        features = read_features(file, sidecar, rows, ROWS_OF[name.partition(".")[0]])
        version = read_json(sidecar).get("model")
        if (self._first or (version,))[0] != version:
            raise BadInput(
                file,
                "features of another version of the model",
                f"of the one that {self._first[1]} is of",
                "run the workflow again, which encodes anew what is out of date; or delete it",
            )
        self._first = self._first or (version, file)
        return features


def write(path: Path, parts: Iterator[dict[str, Any]]) -> int:
    """Write columns, part after part; returns the rows. A vector is a list of float32."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    rows = 0
    with whole(path) as draft:
        writer = None
        for columns in parts:
            table = pyarrow.table({name: _column(column) for name, column in columns.items()})
            writer = writer or ParquetWriter(
                draft,
                table.schema,
                use_dictionary=[name for name in columns if name != "embedding"],
            )
            writer.write_table(table, row_group_size=GROUP)
            rows += len(table)
        if writer:
            writer.close()
    return rows


def _column(values: Any) -> pyarrow.Array:
    import numpy as np
    import pyarrow

    if isinstance(values, np.ndarray):
        flat = pyarrow.array(values.reshape(-1))
        return pyarrow.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pyarrow.array(values, pyarrow.string())


def exported(typed: argparse.Namespace) -> int:
    """Write both files and say how they are read; 0, as nothing was in the way."""
    encoded = Encoded(typed.run, typed.data)
    splits = encoded.splits()
    prompts = list(dict.fromkeys(one for split in splits for one in encoded.prompts(split)))
    counts = {
        name: write(typed.to / f"{name}.parquet", getattr(encoded, name)(splits))
        for name in ("images", "texts")
    }
    held = f"prompts: [{', '.join(prompts)}], splits: [{', '.join(splits)}]"
    print(
        f"{typed.to}: {counts['images']:,} images and {counts['texts']:,} texts of "
        f"{encoded.model}.\nTo evaluate them, in a configuration of your own:\n"
        f"models:\n  {encoded.model:.50}-features: "
        f"{{source: features, path: {typed.to.absolute()}, {held}}}"
    )
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    typed = arguments(words)
    return ended(lambda: exported(typed))


if __name__ == "__main__":
    sys.exit(main())
