"""The folder of a model: nothing in it but the model, and a model.json that says what it is."""

import shutil
from pathlib import Path
from typing import Any

from scripts.job import BadInput, check_run, digest_of_file, is_folder, read_json, write_json
from scripts.models.backends import read_facts
from scripts.models.listing import EMBEDDING, IMAGE, MODULES, NEEDED, TEXT


def check_not_linked(folder: Path) -> None:
    """Raise ``BadInput`` where the folder of a model is a link: files behind it are someone's."""
    if folder.is_symlink():
        raise BadInput(
            folder.absolute(),
            f"a link to {folder.readlink()}",
            "a folder of the workflow's own, as it removes what other files stand there",
            "remove the link; a model in a folder of yours is named with source: local and path, "
            "and for models on another disk data/models as a whole may be a link",
        )


def check_apart(path: Path, folder: Path) -> None:
    """Raise ``BadInput`` where the user's folder and the model's are one, or one in the other."""
    if not is_folder(path):
        return
    for inner, outer in ((path, folder), (folder, path)):
        here = inner.resolve()
        # not by names, of which one folder may have several
        if any(one.samefile(outer) for one in (here, *here.parents)):
            raise BadInput(
                path.absolute(),
                f"a folder that is, holds or lies in {folder}, where the workflow puts the model "
                "and removes what other files stand there",
                "a folder apart from it",
                "move your files to a folder elsewhere, and name that as the path of the model",
            )
    for file in path.iterdir():
        if file.exists() and file.resolve().parent.samefile(folder):
            raise BadInput(
                file.absolute(),
                f"a link to a file in {folder}, which the workflow removes",
                "a file elsewhere",
                "move the file itself to where the link is",
            )


def move_model(draft: Path, folder: Path) -> None:
    """Make the needed files of ``draft`` the only files of ``folder``."""
    check_run(folder)
    remove_model(folder)
    for name in model_files(draft):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (draft / name).replace(folder / name)


def remove_model(folder: Path) -> None:
    """Remove the files of ``folder``, and the folders that a model may have there."""
    for old in folder.iterdir():
        if not old.is_dir():
            old.unlink()
    for name in {Path(name).parts[0] for name in model_files(folder)}:
        # what a link leads to is someone's
        (Path.unlink if (folder / name).is_symlink() else shutil.rmtree)(folder / name)


def model_files(folder: Path) -> list[str]:
    """Sorted names of the files in ``folder`` that an encoder is loaded from."""
    # of one model, or of two towers, of which one may have modules below it
    patterns = [above + one for above in ("", f"{IMAGE}/", f"{TEXT}/") for one in NEEDED]
    patterns += [*EMBEDDING, *(f"{TEXT}/{one}" for one in MODULES)]
    files = {file for one in patterns for file in folder.glob(one) if file.is_file()}
    return sorted(file.relative_to(folder).as_posix() for file in files)


def write_provenance(folder: Path, model: str, source: str, **extra: Any) -> None:
    """Describe the model in ``folder`` in its model.json: what it is, and where it came from.

    Parameters
    ----------
    folder : the model, complete
    model : its name in the config
    source : "huggingface", "modelscope", "local", "towers" or "train"
    extra : what else is known: ``repo``, ``revision``, ``tried``, ``training``, ``towers``
    """
    facts = read_facts(folder)
    about = {
        "model": model,
        "source": source,
        **extra,
        "architecture": facts.architecture,
        "parameters": facts.parameters,
        "embedding_dim": facts.embedding_dim,
        "files": {name: digest_of_file(folder / name) for name in model_files(folder)},
    }
    write_json(folder / "model.json", about)


def verify_model(provenance: Path) -> dict[str, Any]:
    """The contents of model.json; ``BadInput`` where a file is not the recorded one."""
    about = read_json(provenance)
    folder = provenance.parent
    todo = f"delete {provenance} and run again: the model is then made anew"
    if not isinstance(about, dict) or not isinstance(about.get("files"), dict):
        raise BadInput(provenance, "no list of files", "a record of the model's files", todo)
    for name in sorted(set(about["files"]) | set(model_files(folder))):
        expected = about["files"].get(name)
        path = folder / name
        found = digest_of_file(path) if path.is_file() else None
        if found != expected:
            raise BadInput(
                path,
                f"sha256 {found}" if found else "no such file",
                f"sha256 {expected}" if expected else "no such file",
                todo,
            )
    return about
