"""The configuration of ``./run evaluate``: what was typed, as Snakemake reads it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from scripts.config import TAKEN, checked, datasets_of, defaults, name_of, over_defaults
from scripts.data.names import SUFFIX
from scripts.data.split import check_told
from scripts.job import BadInput, is_folder, read_json
from scripts.models.hubs import on_hub
from scripts.own.look import Looked, look
from scripts.selection import asked_by_name, learns


def of_folder(path: Path, captions: Path | None, works: Path) -> tuple[str, dict[str, Any]]:
    """Name and entry of the dataset at ``path``.

    Parameters
    ----------
    path : a folder, or one file: an archive, or a list of captions among its pictures
    captions : the list that is meant, in the folder or elsewhere
    works : the folder of data/ and results/, where links stand for what does not lie in one folder

    What has the name of another dataset that ran here gets one of its own, and so has results of
    its own. Raises ``BadInput`` where either is not there.
    """
    is_list = _is_list(path, captions)
    folder, said = path, {}
    if is_list:
        folder, said = path.parent, {"captions": path.name}
    elif captions is not None and captions.is_relative_to(path):
        said = {"captions": captions.relative_to(path).as_posix()}
    elif captions is not None:
        said = {"captions": captions.name}
    apart = [path, *filter(None, [captions])] if path.is_file() and not is_list else []
    if captions is not None and not captions.is_relative_to(path):
        apart = [path, captions]
    made_of = {*map(str, apart or [folder]), *said.values()}

    def is_taken(name: str) -> bool:
        there = _made_of(works / "data" / name)
        return name in TAKEN or name in defaults()["datasets"] or there not in (set(), made_of)

    name = name_of(re.sub(ARCHIVE, "", folder.name, flags=re.I), "".join(sorted(made_of)), is_taken)
    if apart:
        folder = works / "data" / name / "given"
        _linked(folder, apart)
    return name, {"source": "folder", "location": str(folder), **said}


def _is_list(path: Path, captions: Path | None) -> bool:
    """Whether the path is a list of captions; ``BadInput`` where either is not what it may be."""
    for there in filter(None, (path, captions)):
        if not os.path.exists(there):  # noqa: PTH110, False where it may not be looked at, too
            todo = "correct the path"
            raise BadInput(there, "nothing there", "a folder of pictures and captions", todo)
    if path.is_file() and SUFFIX.search(path.name):
        raise BadInput(path, "a picture", "a folder of pictures and captions", "name its folder")
    is_list = path.is_file() and not re.search(ARCHIVE, path.name.lower())
    if captions is not None and (is_list or captions.is_dir()):
        found = "a list of captions" if is_list else "a folder"
        todo = "name the folder of the pictures first, and behind --captions the list"
        raise BadInput(path if is_list else captions, found, "PATH --captions FILE", todo)
    return is_list


ARCHIVE = r"\.(zip|tar|tgz|tar\.gz|parquet)$"


def _made_of(data: Path) -> set[str]:
    """What a dataset was made of, and the list of captions that was said; nothing where it is gone.

    Parameters
    ----------
    data : the dataset's folder in data/
    """
    manifest = data / "raw" / "source.json"
    if not manifest.is_file():
        return set()
    about = read_json(manifest)
    root = data.parent.parent / about["root"]
    of_links = root == data / "given" and root.is_dir()
    places = [link.readlink() for link in root.iterdir()] if of_links else [root]
    if not all(map(os.path.exists, places)):
        return set()
    captions = about["options"].get("captions")
    return {*map(str, places), *([captions] if isinstance(captions, str) else captions or [])}


def _linked(folder: Path, targets: list[Path]) -> None:
    """A folder that holds links to ``targets`` and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for link in folder.iterdir():
        if link.is_symlink():
            link.unlink()
    for target in targets:
        if os.path.lexists(folder / target.name):
            what = "another name than the pictures have"
            raise BadInput(target, "two of one name", what, "rename one of them")
        (folder / target.name).symlink_to(target)


def of_models(
    said: list[str], stands: Path, known: Collection[str]
) -> tuple[list[str], dict[str, Any]]:
    """Names of the models that were asked for, and entries of folders and of repositories.

    Parameters
    ----------
    said : names, folders and addresses on a hub
    stands : the folder in which they were typed
    known : names in the configuration, which no other model gets

    Raises ``BadInput`` for what is none of these, nor a name of the config.
    """
    names: list[str] = []
    entries: dict[str, Any] = {}
    for one in said:
        path = (stands / one).expanduser()
        if one in known:
            names.append(one)
        elif is_folder(path):
            path = path.resolve()
            name = name_of(path.name, str(path), {*known, *TAKEN, *entries}.__contains__)
            entries[name] = {"source": "local", "path": str(path)}
            names.append(name)
        elif there := on_hub(one):
            repo, revision = there
            name = name_of(repo.partition("/")[2], one, {*known, *TAKEN, *entries}.__contains__)
            place = {"repo": repo, "revision": revision or "main"}
            entries[name] = {"source": ["huggingface"], "huggingface": place}
            names.append(name)
        else:
            raise BadInput(
                f"--model {one}",
                "neither a model of the configuration nor a folder",
                f"one of {', '.join(known)}; a folder of a model; or hf:owner/name",
                "correct it; ./run model tells of one",
            )
    return list(dict.fromkeys(names)), entries


def with_splits(own: dict[str, Any], works: Path) -> tuple[dict[str, Any], dict[str, Looked]]:
    """What a person's configuration leaves open, looked up where datasets are folders there.

    Parameters
    ----------
    own : what differs from config.yaml, one's own or that of this command
    works : the folder at which a relative location begins

    Returns
    -------
    the splits of datasets that do not tell theirs, and what was seen of each
    """
    config = checked(over_defaults(own))
    found, looked = {}, {}
    for name in datasets_of(config["run"]):
        entry = config["datasets"][name]
        if entry["source"] != "folder":
            continue
        seen = looked[name] = look(entry | {"location": works / entry["location"]})
        splits = seen.splits
        if splits is None and not _learns_by_name(name, config, own):
            splits = {"test": seen.images}
        told = entry.get("splits")
        if told and splits is not None:
            check_told(splits, told, config["prepare"]["max_lost"], entry["location"])
        if not told and splits is not None:
            found[name] = {"splits": splits}
    return found, looked


def _learns_by_name(name: str, config: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether what a person names, rather than what config.yaml selects, learns from a dataset."""
    asked = asked_by_name({}, own, defaults())
    named = {key: config["run"][key] if key in asked else [] for key in ("scorers", "studies")}
    run = config["run"] | named
    return learns(name, {**config, "run": run}, run["models"])


def dataset_of(own: Mapping[str, Any], path: Path) -> dict[str, str]:
    """The dataset to run where a person's configuration does not say it, but has just one.

    ``BadInput`` where it has several: that of config.yaml is none of them.
    """
    run, datasets = own.get("run"), own.get("datasets")
    if (isinstance(run, dict) and "dataset" in run) or not isinstance(datasets, dict):
        return {}
    first, *others = datasets or [""]
    if others:
        todo = f"say which, as run: {{dataset: {first}}}"
        raise BadInput(path, f"the datasets {', '.join(map(str, datasets))}", "one to run", todo)
    return {"dataset": first} if first else {}
