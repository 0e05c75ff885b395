"""Say what features are that were made elsewhere, and what they hash to; none is copied."""

from pathlib import Path
from typing import Any

from scripts.job import BadInput, check_run, digest_of_file, log, write_json
from scripts.jobs import Snakemake, run
from scripts.models.elsewhere import (
    FOLDERS,
    Part,
    Side,
    files_of,
    name_below,
    parts_of,
    read_names,
    shape_of,
)
from scripts.models.folder import check_not_linked


def find_features(entry: dict[str, Any], folder: Path, model: str) -> None:
    """Write model.json into ``folder``: where the features of a registry entry are, and what.

    Parameters
    ----------
    entry : ``images`` and ``texts``, a path each, or ``path`` for both; ``prompts`` of the texts
    folder : of the model; files of one that stood there before are removed
    model : its name in the config

    Raises ``BadInput`` where they are of no known form, not whole, or of different dimensions.
    """
    check_not_linked(folder)
    paths: dict[Side, str] = {side: entry.get(side) or entry["path"] for side in FOLDERS}
    parts: dict[Side, list[Part]] = {
        side: parts_of(Path(path), side) for side, path in paths.items()
    }
    check_apart([part.vectors for part in parts["images"]], parts["texts"])
    rows, dim = sizes_of(parts)
    for side, own in parts.items():
        for part in own:
            names = read_names(part, side)
            if side == "texts" and names.prompts is None and len(entry["prompts"]) > 1:
                raise _of_several_prompts(part, list(entry["prompts"]))
    files: dict[str, Path] = {
        name_below(paths[side], side, file): file
        for side, own in parts.items()
        for file in files_of(own)
    }
    check_run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    check_elsewhere(list(files.values()), folder)
    for old in folder.iterdir():
        if not old.is_dir():
            old.unlink()
    about = {
        "model": model,
        "source": "features",
        "repo": None,
        "revision": None,
        "images": paths["images"],
        "texts": paths["texts"],
        "rows": rows,
        "architecture": "features",
        "parameters": None,
        "embedding_dim": dim,
        "files": {name: digest_of_file(file) for name, file in files.items()},
    }
    log.info("%(images)s images and %(texts)s texts", rows)
    write_json(folder / "model.json", about)


def sizes_of(parts: dict[Side, list[Part]]) -> tuple[dict[str, int], int]:
    """Rows of each side, and the dimensions of all; ``BadInput`` where these are not equal."""
    rows: dict[str, int] = {}
    first, dim = parts["images"][0].vectors, 0
    for side, own in parts.items():
        for part in own:
            count, found = shape_of(part)
            rows[side] = rows.get(side, 0) + count
            dim = dim or found
            if found != dim:
                expected = f"{dim}, as in {first.absolute()}"
                todo = "give images and texts of one model"
                raise BadInput(part.vectors.absolute(), f"{found} dimensions", expected, todo)
    return rows, dim


def check_apart(images: list[Path], texts: list[Part]) -> None:
    """Raise ``BadInput`` where vectors of images are those of texts."""
    for part in texts:
        if any(part.vectors.samefile(file) for file in images):
            raise BadInput(
                part.vectors.absolute(),
                "one file for images and for texts",
                "a file of vectors for each",
                "name both in the entry of the model, as images and texts",
            )


def check_elsewhere(files: list[Path], folder: Path) -> None:
    """Raise ``BadInput`` where features stand in the folder of the model, which is emptied."""
    for file in files:
        if folder.resolve() in file.resolve().parents:
            raise BadInput(
                file.absolute(),
                f"features in {folder}, which the workflow empties",
                "a folder apart from it",
                "move them elsewhere, and name that in the entry of the model",
            )


def _of_several_prompts(part: Part, prompts: list[str]) -> BadInput:
    return BadInput(
        part.table.absolute(),
        "no column prompt",
        f"one that says of each row of which prompt it is: {', '.join(prompts)}",
        "write the column; or name the one prompt in the entry of the model, as prompts: "
        f"[{prompts[0]}]",
    )


def main(snakemake: Snakemake) -> None:
    provenance = Path(snakemake.output.provenance)
    find_features(snakemake.params.entry, provenance.parent, snakemake.wildcards.model)


if __name__ == "__main__":
    run(main, snakemake)
