"""Get a dataset's files, or find those that the user already has, and record what they are."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.data.files import check_archive, digest_of_folder, is_file, open_files, why_unsafe
from scripts.data.layouts import (
    LAYOUTS,
    check_splits,
    has_official_split,
    is_kaggle_archive,
)
from scripts.data.web import Unavailable, fetch, plain
from scripts.job import (
    REFUSED_BY_THE_DISK,
    BadInput,
    digest_of_file,
    is_folder,
    log,
    read_json,
    run,
    write_json,
)

KAGGLE_ARCHIVE = "kaggle.zip"
HUB_LISTING = "huggingface.json"


def obtain(entry: dict[str, Any], raw: Path) -> dict[str, Any]:
    """The contents of source.json for a dataset of the config.

    Parameters
    ----------
    entry : the dataset's config, with defaults
    raw : folder for what is downloaded; what is there and right is not downloaded again

    Raises
    ------
    BadInput
        where nothing of a known layout stands at ``location``, or no source has the dataset
    """
    if entry["source"] == "folder":
        return from_location(Path(entry["location"]), ("folder",), "folder", {})
    if entry["location"]:
        layouts = ("archives", "parquet", "kaggle")
        official = entry["github"]["md5"]
        return from_location(Path(entry["location"]), layouts, "location", official)
    return from_sources(entry, raw)


def from_location(
    root: Path, layouts: tuple[str, ...], source: str, official: dict[str, str]
) -> dict[str, Any]:
    """Describe the files at ``root``, in the one of ``layouts`` that is found there.

    ``official`` has the MD5 of archives by name. Another MD5 is noted and nothing more: the user
    chose these files.
    """
    expected = "; or ".join(LAYOUTS[layout].expected for layout in layouts)
    todo = "correct the location in the config, or put the files there"
    if not is_folder(root):
        found = "a file, not a folder" if is_file(root) else "no such folder"
        raise BadInput(root.absolute(), found, f"a folder with {expected}", todo)
    there = {layout: paths for layout in layouts if (paths := LAYOUTS[layout].find(root))}
    if len(there) > 1:
        raise BadInput(
            root.absolute(),
            "; and ".join(", ".join(paths[:3]) for paths in there.values()),
            f"one dataset: {expected}",
            "put each into a folder of its own, or take away what is not meant",
        )
    for layout, paths in there.items():
        check_splits(layout, root, paths)
        return manifest(source, layout, root, paths, official)
    names = sorted(path.name for path in root.iterdir())
    found = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    raise BadInput(root.absolute(), found or "an empty folder", expected, todo)


def from_sources(entry: dict[str, Any], raw: Path) -> dict[str, Any]:
    """Describe the files of the first source in ``entry["order"]`` that can be had."""
    raw.mkdir(parents=True, exist_ok=True)
    official = entry["github"]["md5"]
    # files that are here already go before files that would have to be asked for
    for name in entry["order"]:
        source = SOURCES[name]
        paths = source.present(entry[name], raw)
        if paths:
            log.info("%s: its files are here already", name)
            return manifest(name, source.layout, raw, paths, official)
    answers = ""
    for name in entry["order"]:
        log.info("%s: downloading", name)
        source = SOURCES[name]
        try:
            paths = source.get(entry[name], raw)
        # the clients raise what their HTTP libraries raise, of no common kind
        except Exception as error:
            if isinstance(error, OSError) and error.errno in REFUSED_BY_THE_DISK:
                raise
            log.warning("%s cannot be had: %s", name, plain(error))
            answers += f"\n    {name}: {plain(error)}"
            continue
        return manifest(name, source.layout, raw, paths, official)
    raise BadInput(
        raw,
        f"no source gives the dataset{answers}",
        "one source to answer",
        "check the network (HTTPS_PROXY and HF_ENDPOINT are honoured) and run again, which goes on "
        "where this stopped; or get the files yourself and let location point at their folder",
    )


def manifest(
    source: str, layout: str, root: Path, paths: list[str], official: dict[str, str]
) -> dict[str, Any]:
    """The contents of source.json for ``paths`` below ``root``.

    A folder counts with the digest of all that is in it, so that a replaced photo is noticed.
    """
    files, notes = [], []
    for path in paths:
        if unsafe := why_unsafe(path):
            raise BadInput(root / path, unsafe, "a name that any system can hold", "rename it")
        file: dict[str, Any] = {"path": path}
        if not (root / path).is_dir() and not is_file(root / path):
            todo = "put the file there, or take away what has its name"
            raise BadInput(root / path, "no plain file", "a file, or a link to one", todo)
        if (root / path).is_dir():
            file["files"], file["bytes"], file["sha256"] = digest_of_folder(root / path)
        else:
            file["bytes"] = (root / path).stat().st_size
            file["sha256"] = digest_of_file(root / path)
        # what the hub sent was held against the hub's own checksums
        file["official"] = True if source == "huggingface" else None
        if path.lower().endswith(".zip"):
            open_files(root, [path])
            file["md5"] = digest_of_file(root / path, "md5")
            if path in official and layout == "archives":
                file["official"] = file["md5"] == official[path]
        if file["official"] is False:
            notes.append(f"{path}: MD5 {file['md5']}, not the official {official[path]}")
            log.warning("%s", notes[-1])
        files.append(file)
    return {
        "source": source,
        "layout": layout,
        "official_split": has_official_split(layout, root, paths),
        "root": root.as_posix(),
        "files": files,
        "notes": notes,
    }


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The contents of source.json; ``BadInput`` where a file is not the one that it describes."""
    about = read_json(path)
    for file in about["files"]:
        found = Path(about["root"]) / file["path"]
        if found.is_dir():
            sha256 = digest_of_folder(found)[2]
        else:
            sha256 = digest_of_file(found) if found.is_file() else None
        if sha256 != file["sha256"]:
            raise BadInput(
                found,
                "something else than when it was looked at" if sha256 else "no such file",
                f"sha256 {file['sha256']}",
                f"delete {path} and run again: what is there is then looked at anew",
            )
    return about


def github_present(entry: dict[str, Any], raw: Path) -> list[str] | None:
    archives = [name for name in entry["md5"] if not _is_archive(raw / name, entry["md5"][name])]
    return None if archives else list(entry["md5"])


def from_github(entry: dict[str, Any], raw: Path) -> list[str]:
    """Download the release archives that are not in ``raw`` yet."""
    for name, md5 in entry["md5"].items():
        if not _is_archive(raw / name, md5):
            fetch(f"{entry['url'].rstrip('/')}/{name}", raw / name, md5)
    return list(entry["md5"])


def huggingface_present(entry: dict[str, Any], raw: Path) -> list[str] | None:
    if not (raw / HUB_LISTING).is_file():
        return None
    listing = read_json(raw / HUB_LISTING)
    if any(listing.get(key) != entry[key] for key in ("repo", "revision")):
        return None
    sha256 = listing["sha256"]
    whole = (
        (raw / path).is_file() and digest_of_file(raw / path) == sha256[path] for path in sha256
    )
    return sorted(sha256) if all(whole) else None


def from_huggingface(entry: dict[str, Any], raw: Path) -> list[str]:
    """Download the parquet files of a dataset repository with the hub's own client.

    The client resumes what was interrupted. It compares sizes only, so each file is held against
    the sha256 that the hub has for it; what arrived is then listed beside the files.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    repo, revision = entry["repo"], entry["revision"]
    # the library reads HF_ENDPOINT when it is imported, which may be long before
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    tree = api.list_repo_tree(repo, repo_type="dataset", revision=revision, recursive=True)
    files = [file for file in tree if isinstance(file, RepoFile) and _is_parquet(file.path)]
    if not files:
        raise Unavailable(f"{repo} at {revision} has no parquet files")
    sha256 = {}
    for file in files:
        for again in (False, True):
            path = api.hf_hub_download(
                repo,
                file.path,
                repo_type="dataset",
                revision=revision,
                local_dir=raw,
                force_download=again,
            )
            sha256[file.path] = digest_of_file(path)
            if file.lfs is None or sha256[file.path] == file.lfs.sha256:
                break
        else:
            Path(path).unlink()
            found, expected = sha256[file.path], file.lfs.sha256
            raise Unavailable(f"{file.path}: found sha256 {found}, expected {expected}")
    write_json(raw / HUB_LISTING, {"repo": repo, "revision": revision, "sha256": sha256})
    return sorted(sha256)


def kaggle_present(entry: dict[str, Any], raw: Path) -> list[str] | None:
    # it gets this name only when it has been read whole
    return [KAGGLE_ARCHIVE] if (raw / KAGGLE_ARCHIVE).is_file() else None


def from_kaggle(entry: dict[str, Any], raw: Path) -> list[str]:
    """Download Kaggle's archive, as the user that KAGGLE_USERNAME and KAGGLE_KEY name, if any."""
    user, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    unchecked = raw / f"unchecked-{KAGGLE_ARCHIVE}"
    fetch(entry["url"], unchecked, auth=(user, key) if user and key else None)
    try:
        # Kaggle tells no checksum of the archive, but the archive has one for each of its members
        check_archive(unchecked)
        if not is_kaggle_archive(unchecked):
            raise Unavailable(f"{entry['url']}: an archive without Images/ and captions.txt")
        unchecked.replace(raw / KAGGLE_ARCHIVE)
    finally:
        unchecked.unlink(missing_ok=True)
    return [KAGGLE_ARCHIVE]


@dataclass(frozen=True)
class Source:
    """A home of Flickr8k on the net.

    Attributes
    ----------
    layout : of what it has
    present : its config and the folder for downloads -> paths of its files, where all are there
    get : the same, after a download
    """

    layout: str
    present: Callable[[dict[str, Any], Path], list[str] | None]
    get: Callable[[dict[str, Any], Path], list[str]]


SOURCES = {
    "github": Source("archives", github_present, from_github),
    "huggingface": Source("parquet", huggingface_present, from_huggingface),
    "kaggle": Source("kaggle", kaggle_present, from_kaggle),
}


def _is_archive(path: Path, md5: str) -> bool:
    return path.is_file() and digest_of_file(path, "md5") == md5


def _is_parquet(path: str) -> bool:
    return path.endswith(".parquet") and why_unsafe(path) is None


def main(snakemake) -> None:
    path = Path(snakemake.output.manifest)
    write_json(path, obtain(snakemake.params.entry, path.parent))


if __name__ == "__main__":
    run(main, snakemake)
