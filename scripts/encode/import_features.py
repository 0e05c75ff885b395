"""Features of one split that were made elsewhere, brought into the order of its rows."""

import unicodedata
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.data.caption_files import INVISIBLE
from scripts.data.names import matched, nearest
from scripts.data.rows import Rows, read_captions, read_rows
from scripts.encode.ensembles import normalised_mean
from scripts.encode.features import write_features
from scripts.job import BadInput, digest_of_file, log, read_json
from scripts.jobs import Snakemake, run
from scripts.models.elsewhere import (
    Names,
    Part,
    Side,
    files_of,
    name_below,
    parts_of,
    read_names,
    read_vectors,
)

# a row whose length differs from 1 by no more was normalised in float32 already, and stays as it is
UNIT = 1e-6
# How far apart two unit rows of one picture may lie: half precision and other batches move a row by
# less, another picture by a hundred times as much. The first is taken.
SAME = 1e-2


def unit_rows(vectors: np.ndarray, where: Path, numbers: np.ndarray) -> np.ndarray:
    """Rows (k, d) of any float type as float32 rows of unit length, computed in float64.

    A row that is of unit length to within float32's rounding stays bit by bit. Raises ``BadInput``
    for a value that is not finite and for a row of zeros, by its number in the file ``where``.
    """
    rows = vectors.astype(np.float64)
    largest = np.abs(rows).max(axis=1)
    for bad, found in (
        (~np.isfinite(rows).all(axis=1), "a value that is not finite"),
        (largest == 0, "zeros and nothing else"),
    ):
        if bad.any():
            place = f"{where.absolute()}, row {numbers[bad.argmax()]}"
            raise BadInput(place, found, "a vector with a direction", "make the row anew")
    # by the largest value first, so that no square leaves the range of numbers
    scaled = rows / largest[:, None]
    lengths = np.linalg.norm(scaled, axis=1)
    apart = np.abs(lengths * largest - 1) > UNIT
    rows[apart] = scaled[apart] / lengths[apart, None]
    return rows.astype(np.float32)


def plain(caption: str) -> str:
    """A caption as it is compared: accents composed, and one blank for any that stand together."""
    return " ".join(INVISIBLE.sub(" ", unicodedata.normalize("NFC", caption)).split())


def keys_of_rows(rows: Rows, side: Side, by_image: bool) -> list[Hashable]:
    """What the rows of a split are told by: image; image and caption; or caption alone."""
    if side == "images":
        return list(rows.images)
    captions = map(plain, rows.captions)
    if not by_image:
        return list(captions)
    return list(zip((rows.images[row] for row in rows.image_of_caption), captions, strict=True))


def keys_of_names(names: Names, image_of: Mapping[str, str], by_image: bool) -> list[Hashable]:
    """The same of rows from elsewhere, ``image_of`` being name there -> image of the dataset.

    None for a row of an image that the dataset has not.
    """
    images = [image_of.get(name) for name in names.images or []]
    if names.captions is None:
        return list(images)
    captions = map(plain, names.captions)
    if not by_image:
        return list(captions)
    return [image and (image, text) for image, text in zip(images, captions, strict=True)]


def targets_of(
    names: Sequence[Names],
    wanted: Sequence[Hashable],
    image_of: Mapping[str, str],
    by_image: bool,
    prompts: Sequence[str],
) -> tuple[list[np.ndarray], np.ndarray]:
    """Where each row from elsewhere goes.

    Parameters
    ----------
    names : of each part
    wanted : key of each row of the split
    image_of : name there -> image of the dataset
    by_image : whether the keys of texts name their image
    prompts : what the prompt that is wanted may be called; empty takes rows of any

    Returns
    -------
    targets : of each part (rows,) int64, row of the split, -1 for none
    first : (n,) int64, the first row of the split that has the key of each: only to it rows go
    """
    row_of_key: dict[Hashable, int] = {}
    for row, key in enumerate(wanted):
        row_of_key.setdefault(key, row)
    first = np.array([row_of_key[key] for key in wanted], dtype=np.int64)
    targets = []
    for own in names:
        keys = keys_of_names(own, image_of, by_image)
        rows = np.array([row_of_key.get(key, -1) for key in keys], dtype=np.int64)
        if prompts and own.prompts is not None:
            rows[[name not in prompts for name in own.prompts]] = -1
        targets.append(rows)
    return targets, first


def gathered(
    parts: Sequence[Part], targets: Sequence[np.ndarray], first: np.ndarray, dim: int
) -> np.ndarray:
    """Unit rows (n, d) float32 in the order of the split; memory is that of the result.

    Parameters
    ----------
    parts : the files
    targets, first : see ``targets_of``; there is one for each row
    dim : dimensions

    Raises ``BadInput`` where two rows for the same are farther apart than computing it twice makes
    them; of others the first is taken.
    """
    found = np.empty((len(first), dim), dtype=np.float32)
    filled = np.zeros(len(first), dtype=bool)
    farthest = 0.0
    for part, own in zip(parts, targets, strict=True):
        start = 0
        for vectors in read_vectors(part):
            rows = own[start : start + len(vectors)]
            taken = np.flatnonzero(rows >= 0)
            numbers, start = start + taken, start + len(vectors)
            if not len(taken):
                continue
            new, rows = unit_rows(vectors[taken], part.vectors, numbers), rows[taken]
            once, places = np.unique(rows, return_index=True)
            fresh = ~filled[once]
            found[once[fresh]] = new[places[fresh]]
            filled[once] = True
            apart = np.linalg.norm(found[rows] - new, axis=1)
            farthest = max(farthest, float(apart.max()))
            if farthest > SAME:
                raise BadInput(
                    f"{part.vectors.absolute()}, row {numbers[apart.argmax()]}",
                    f"another vector for what an earlier row is of, too, {farthest:.2g} apart",
                    f"one row for each, or rows of unit length within {SAME} of each other",
                    "keep one of them; see the table for whose it is",
                )
    if farthest:
        log.info("of rows for the same, up to %.2g apart, the first is taken", farthest)
    again = np.flatnonzero(first != np.arange(len(first)))
    found[again] = found[first[again]]
    return found


def features_of(
    about: Mapping[str, Any],
    side: Side,
    rows: Rows,
    images: Iterable[str],
    prompts: Mapping[str, Sequence[str]],
) -> np.ndarray:
    """Unit rows (n, d) float32 of one side of a split, in its order.

    Parameters
    ----------
    about : the contents of model.json
    side : of the features
    rows : of the split
    images : all images of the dataset, so that a name is not taken for another one's
    prompts : of texts, names and templates of the prompts whose mean is taken

    Raises ``BadInput`` where the files are not those of model.json, where features of a row are
    missing, or not usable.
    """
    path = Path(about[side])
    parts = parts_of(path, side)
    check_unchanged(parts, about, side)
    names = [read_names(part, side) for part in parts]
    by_image = all(own.images is not None for own in names)
    there = dict.fromkeys(name for own in names for name in own.images or [])
    image_of, doubts = matched(there, images)
    wanted = keys_of_rows(rows, side, by_image)

    def of(called: Sequence[str]) -> np.ndarray:
        targets, first = targets_of(names, wanted, image_of, by_image, called)
        every = np.concatenate(targets)
        missing = np.setdiff1d(first, every)
        if len(missing):
            row = missing[0] if side == "images" else rows.image_of_caption[missing[0]]
            prompts_there = dict.fromkeys(name for own in names for name in own.prompts or [])
            hints = _hints(rows.images[row], there, doubts, called, prompts_there)
            raise _missing(path, rows, side, missing, called, hints)
        log.info("%d of %d rows are of this split%s; the others are passed over",
                 (every >= 0).sum(), len(every), f" and {called[0]}" if called else "")  # fmt: skip
        return gathered(parts, targets, first, about["embedding_dim"])

    if side == "images":
        return of(())
    # of several templates, a prompt goes by its name alone
    called = [(name, *(own if len(own) == 1 else ())) for name, own in prompts.items()]
    return normalised_mean(map(of, called), rows.captions, list(prompts))


def check_unchanged(parts: Sequence[Part], about: Mapping[str, Any], side: Side) -> None:
    """Raise ``BadInput`` where files are not those that model.json has the checksums of."""
    for file in files_of(parts):
        found = digest_of_file(file)
        expected = about["files"].get(name_below(about[side], side, file))
        if found != expected:
            raise BadInput(
                file.absolute(),
                f"sha256 {found}",
                f"sha256 {expected}, as when the run began",
                "run again: features that changed are taken anew",
            )


def _missing(
    path: Path, rows: Rows, side: Side, missing: np.ndarray, called: Sequence[str], hints: list[str]
) -> BadInput:
    """What to say where rows of the split have no features."""
    first = rows.images[missing[0]] if side == "images" else repr(rows.captions[missing[0]])
    of_prompt = f" under the prompt {called[0]}" if called else ""
    told = f"no features of {len(missing):,} of the {side}{of_prompt}, the first {first:.200}"
    return BadInput(
        path.absolute(),
        "; ".join([told, *hints]),
        f"a row for each of the {len(rows.images if side == 'images' else rows.captions):,}",
        "add them to the files; or name in the entry of the model what the files hold, as splits: "
        "[test] or prompts: [plain]: what needs more is then left out",
    )


def _hints(
    image: str,
    there: Collection[str],
    doubts: Mapping[str, str],
    called: Sequence[str],
    prompts: Collection[str],
) -> list[str]:
    """What a person may compare where features of an image, or of its caption, are missing."""
    alike = nearest(image, there) if image not in there else ""
    return [
        *([f"most like {image:.200} is {alike:.200}"] if alike else []),
        *(f"of {name:.200}, {why}" for name, why in list(doubts.items())[:1]),
        *(
            [f"the prompts there are {', '.join(prompts):.200}"]
            if prompts and called and not set(called) & set(prompts)
            else []
        ),
    ]


def main(snakemake: Snakemake) -> None:
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    rows = read_rows(given.captions, given.splits, wildcards.split)
    side: Side = "images" if wildcards.side == "images" else "texts"
    features = features_of(
        read_json(given.model), side, rows, read_captions(given.captions), params.prompts
    )
    write_features(
        Path(snakemake.output.features),
        Path(snakemake.output.sidecar),
        features,
        rows,
        Path(given.model),
        **({} if side == "images" else {"templates": list(params.templates)}),
    )


if __name__ == "__main__":
    run(main, snakemake)
