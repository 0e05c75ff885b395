"""The configuration of ``./run evaluate``: what was typed, as Snakemake reads it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.config import checked, defaults, over_defaults
from scripts.job import BadInput, is_folder
from scripts.own.look import Looked, look
from scripts.selection import asked_by_name, learns

# names that are folders of something else, or of another dataset in config.yaml
TAKEN = {"models", "logs", "jobs", "tables", "figures", "train", "val", "test"}
LONGEST = 60


def name_of(path: Path, taken: set[str]) -> str:
    """A name as the config takes it for what lies at ``path``, and that is not ``taken``.

    Of letters that no name may have, nothing is left; then the path's own sum makes it another.
    """
    plain = re.sub(r"[^a-z0-9.]+", "-", path.name.lower()).strip("-.")
    whole = plain if plain == path.name.lower() else ""
    if whole and whole not in taken and len(whole) <= LONGEST:
        return whole
    own = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{plain[: LONGEST - 7].strip('-.') or 'photos'}-{own}"


def of_folder(path: Path, captions: Path | None, checkout: Path) -> tuple[str, dict[str, Any]]:
    """Name and entry of the dataset at ``path``.

    Parameters
    ----------
    path : a folder, or one file: an archive, or a list of captions among its pictures
    captions : the list that is meant, in the folder or elsewhere
    checkout : the workflow's folder, where links stand for what does not lie in one folder

    Raises ``BadInput`` where either is not there.
    """
    for there in filter(None, (path, captions)):
        if not there.exists():
            todo = "correct the path"
            raise BadInput(there, "nothing there", "a folder of pictures and captions", todo)
    name = name_of(path, TAKEN | set(defaults()["datasets"]))
    entry: dict[str, Any] = {"source": "folder", "location": str(path)}
    if path.is_file() and captions is None and not re.search(ARCHIVE, path.name.lower()):
        entry |= {"location": str(path.parent), "captions": path.name}
    elif captions is not None and captions.is_relative_to(path):
        entry |= {"captions": captions.relative_to(path).as_posix()}
    elif path.is_file() or captions is not None:
        given = checkout / "data" / name / "given"
        _linked(given, [one for one in (path, captions) if one])
        entry |= {"location": str(given)} | ({"captions": captions.name} if captions else {})
    return name, entry


ARCHIVE = r"\.(zip|tar|tgz|tar\.gz|parquet)$"


def _linked(folder: Path, targets: list[Path]) -> None:
    """A folder that holds links to ``targets`` and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for link in folder.iterdir():
        if link.is_symlink():
            link.unlink()
    for target in targets:
        (folder / target.name).symlink_to(target)


def of_models(said: list[str], stands: Path) -> tuple[list[str], dict[str, Any]]:
    """Names of the models that were asked for, and entries of those that are folders.

    Raises ``BadInput`` for what is neither a name of the config nor a folder.
    """
    known = defaults()["models"]
    names: list[str] = []
    entries: dict[str, Any] = {}
    for one in said:
        path = (stands / one).expanduser()
        if one in known:
            names.append(one)
        elif is_folder(path):
            name = name_of(path.resolve(), set(known) | TAKEN | set(entries))
            entries[name] = {"source": "local", "path": str(path.resolve())}
            names.append(name)
        else:
            raise BadInput(
                f"--model {one}",
                "neither a model of the configuration nor a folder",
                f"one of {', '.join(known)}; or a folder with config.json, model.safetensors, "
                "tokenizer and preprocessor",
                "correct it; a model of a hub is one more entry of a configuration of your own",
            )
    return list(dict.fromkeys(names)), entries


def with_splits(own: dict[str, Any]) -> tuple[dict[str, Any], Looked | None]:
    """What a person's configuration leaves open, looked up where the dataset is a folder there.

    Parameters
    ----------
    own : what differs from config.yaml, one's own or that of this command

    Returns
    -------
    what is to be laid over ``own`` : nothing, where all is told; and what was seen
    """
    config = checked(over_defaults(own))
    name = config["run"]["dataset"]
    entry = config["datasets"][name]
    if entry["source"] != "folder":
        return {}, None
    seen = look(entry)
    splits = seen.splits
    if splits is None and not _learns_by_name(config, own):
        splits = {"test": seen.images}
    if entry.get("splits") or splits is None:
        return {}, seen
    return {"datasets": {name: {"splits": splits}}}, seen


def _learns_by_name(config: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether what a person names, rather than what config.yaml selects, needs to learn."""
    asked = asked_by_name({}, own, defaults())
    named = {key: config["run"][key] if key in asked else [] for key in ("scorers", "studies")}
    run = config["run"] | named
    return learns(run["dataset"], {**config, "run": run}, run["models"])


def read_own(path: Path) -> dict[str, Any]:
    """A configuration in YAML; ``BadInput`` where it is none."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        found = " ".join(str(error).split())
        raise BadInput(path, found, "a configuration in YAML", "correct the file") from None
    if not isinstance(content, dict):
        found = f"a {type(content).__name__}"
        raise BadInput(path, found, "a configuration in YAML: run, datasets, ...", "correct it")
    return content
