"""Get a dataset's files, or find those that the user already has, and record what they are."""

import shutil
from pathlib import Path
from typing import Any

from scripts.data import hub as hub_files
from scripts.data.audit import Note
from scripts.data.files import digest_of_folder, is_file, members_of, why_unsafe
from scripts.data.hub import HUBS
from scripts.data.kinds import kinds
from scripts.data.place import Place
from scripts.data.sources import SOURCES
from scripts.data.sources.face import Source
from scripts.data.splits_beside import check_splits
from scripts.data.web import plain
from scripts.job import (
    REFUSED_BY_THE_DISK,
    BadInput,
    digest_of_file,
    is_folder,
    log,
    read_json,
    write_json,
)
from scripts.jobs import Snakemake, run

# files that are told as not read
MOST_DOUBTS = 20


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
    if entry["location"]:
        return from_location(entry)
    if entry["source"] in HUBS:
        return from_hub(entry, raw)
    return from_sources(entry, raw)


def from_location(entry: dict[str, Any]) -> dict[str, Any]:
    """Describe the files at ``entry["location"]``, as the one source of its kind that is there.

    Where archives have another MD5 than the config says, that is noted and nothing more: the user
    chose these files.
    """
    kind = "folder" if entry["source"] in HUBS else entry["source"]
    place = Place(Path(entry["location"]), entry | {"source": kind})
    sources = sources_of(place)
    expected = "; or ".join(source.expected for source in sources.values())
    todo = "correct the location in the config, or put the files there"
    if not is_folder(place.root):
        found = "a file, not a folder" if is_file(place.root) else "no such folder"
        raise BadInput(place.root.absolute(), found, f"a folder with {expected}", todo)
    layout, paths = found_in(place, sources, expected, todo)
    source = "folder" if kind == "folder" else "location"
    return with_doubts(manifest(source, layout, place, paths, _md5(entry, layout)), place)


def sources_of(place: Place) -> dict[str, Source]:
    """The sources that the files of a place may be of: the one that the config names, or all."""
    own = {n: one for n, one in SOURCES.items() if place.entry["source"] in one.kinds}
    layout = place.entry.get("layout")
    return {layout: own[layout]} if layout else own


def found_in(
    place: Place, sources: dict[str, Source], expected: str, todo: str
) -> tuple[str, list[str]]:
    """The layout of what stands at a place, and its paths; ``BadInput`` for none or more than one.

    ``expected`` and ``todo`` tell what may stand there, and what to do where nothing does.
    """
    there: dict[str, list[str]] = {}
    for name, source in sources.items():
        if paths := source.find(place):
            there[name] = paths
            place.claimed.extend(paths if source.claims else [])
    if len(there) > 1:
        first, second = list(there)[:2]
        raise BadInput(
            place.root.absolute(),
            "; and ".join(f"{', '.join(there[name][:3])} ({name})" for name in there),
            f"one dataset: {expected}",
            "put each into a folder of its own, or take away what is not meant; or say which is "
            f"meant in the dataset's entry of the config, as layout: {first} or {second}",
        )
    for layout, paths in there.items():
        check_splits(sources[layout], place, paths)
        return layout, paths
    if place.entry["source"] == "folder" and place.once(kinds).doubts:
        raise place.once(kinds).doubts[0]
    names = sorted(path.name for path in place.root.iterdir())
    found = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    raise BadInput(place.root.absolute(), found or "an empty folder", expected, todo)


def with_doubts(about: dict[str, Any], place: Place) -> dict[str, Any]:
    """The same manifest, noting what may have been meant for captions and is not read."""
    if place.entry["source"] == "folder":
        told = (error.parts for error in place.once(kinds).doubts[:MOST_DOUBTS])
        named = ((where.removeprefix(f"{place.root}/"), found) for where, found, *_ in told)
        about["notes"][Note.NOT_READ] = [
            f"{name}: {found}" for name, found in named if not place.is_claimed(name)
        ]
    return about


def from_hub(entry: dict[str, Any], raw: Path) -> dict[str, Any]:
    """Describe the files of a dataset repository, which are read as a folder of one's own is."""
    hub = entry["source"]
    folder, listing = raw / hub, raw / f"{hub}.json"
    if hub_files.present(entry, folder, listing) is None:
        log.info("%s: downloading %s at %s", hub, entry["repo"], entry["revision"])
        # of another revision, or other files: none of them may be taken for one of these
        asked = read_json(listing) if listing.is_file() else {}
        if any(asked.get(key) != entry.get(key) for key in hub_files.ASKED if asked):
            shutil.rmtree(folder, ignore_errors=True)
            listing.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            hub_files.fetch(entry, folder, listing, hub)
        # the clients raise what their HTTP libraries raise, of no common kind
        except Exception as error:
            if isinstance(error, OSError) and error.errno in REFUSED_BY_THE_DISK:
                raise
            raise BadInput(
                f"{hub} {entry['repo']} at {entry['revision']}",
                plain(error),
                "the files of a dataset repository",
                "check repo, revision and files in the config, and the network (HTTPS_PROXY, "
                "HF_ENDPOINT and MODELSCOPE_ENDPOINT are honoured), and run again, which goes on "
                "where this stopped; or get the files yourself and let location point at their "
                "folder",
            ) from None
    place = Place(folder, entry | {"source": "folder"})
    sources = sources_of(place)
    expected = "; or ".join(source.expected for source in sources.values())
    todo = "take a repository that has such files, or name them with files"
    layout, paths = found_in(place, sources, expected, todo)
    about = with_doubts(manifest(hub, layout, place, paths, {}), place)
    # each was held against the hub's own sum
    about["files"] = [file | {"official": True} for file in about["files"]]
    return about


def from_sources(entry: dict[str, Any], raw: Path) -> dict[str, Any]:
    """Describe the files of the first home in ``entry["order"]`` that can be had.

    Those before it are named as skipped.
    """
    raw.mkdir(parents=True, exist_ok=True)
    homes = {one.home.name: (layout, one.home) for layout, one in SOURCES.items() if one.home}
    # files that are here already go before files that would have to be asked for
    for name in entry["order"]:
        layout, home = homes[name]
        paths = home.present(entry[name], raw)
        if paths:
            log.info("%s: its files are here already", name)
            return _after(
                entry, manifest(name, layout, Place(raw, entry), paths, _md5(entry, layout))
            )
    answers = ""
    for name in entry["order"]:
        log.info("%s: downloading", name)
        layout, home = homes[name]
        try:
            paths = home.fetch(entry[name], raw)
        # the clients raise what their HTTP libraries raise, of no common kind
        except Exception as error:
            if isinstance(error, OSError) and error.errno in REFUSED_BY_THE_DISK:
                raise
            log.warning("%s cannot be had: %s", name, plain(error))
            answers += f"\n    {name}: {plain(error)}"
            continue
        return _after(entry, manifest(name, layout, Place(raw, entry), paths, _md5(entry, layout)))
    raise BadInput(
        raw,
        f"no source gives the dataset{answers}",
        "one source to answer",
        "check the network (HTTPS_PROXY and HF_ENDPOINT are honoured) and run again, which goes on "
        "where this stopped; or get the files yourself and let location point at their folder",
    )


def _after(entry: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    """``about`` with the homes that come before its own, where there are any."""
    skipped = entry["order"][: entry["order"].index(about["source"])]
    return {**about, "skipped": skipped} if skipped else about


def _md5(entry: dict[str, Any], layout: str) -> dict[str, str]:
    """MD5 of the files of a layout by their names, where the config says it of their home."""
    home = SOURCES[layout].home
    return entry.get(home.name, {}).get("md5", {}) if home else {}


def manifest(
    source: str, layout: str, place: Place, paths: list[str], official: dict[str, str]
) -> dict[str, Any]:
    """The contents of source.json for ``paths`` below the root of ``place``.

    A folder counts with the digest of all that is in it, so that a replaced photo is noticed.
    ``official`` has the MD5 of archives by name.
    """
    root, home = place.root, SOURCES[layout].home
    checked = True if home and home.checked and home.name == source else None
    files, not_official = [], []
    for path in paths:
        if path != "." and (unsafe := why_unsafe(path)):
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
        file["official"] = checked
        if path.lower().endswith(".zip"):
            members_of(root / path)
            file["md5"] = digest_of_file(root / path, "md5")
            if path in official:
                file["official"] = file["md5"] == official[path]
        if file["official"] is False:
            told = f"{path}: MD5 {file['md5']}, not the official {official[path]}"
            not_official.append(told)
            log.warning("%s", told)
        files.append(file)
    return {
        "source": source,
        "layout": layout,
        "official_split": SOURCES[layout].has_official_split(place, paths),
        "root": root.as_posix(),
        "options": place.options,
        "files": files,
        "notes": {Note.NOT_OFFICIAL: not_official},
    }


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The contents of source.json; ``BadInput`` where a file is not the one that it describes."""
    about = read_json(path)
    for file in about["files"]:
        found = Path(about["root"]) / file["path"]
        sha256 = None
        if found.is_dir():
            sha256 = digest_of_folder(found)[2]
        elif found.is_file():
            sha256 = digest_of_file(found)
        if sha256 != file["sha256"]:
            raise BadInput(
                found,
                "something else than when it was looked at" if sha256 else "no such file",
                f"sha256 {file['sha256']}",
                f"delete {path} and run again: what is there is then looked at anew",
            )
    return about


def main(snakemake: Snakemake) -> None:
    path = Path(snakemake.output.manifest)
    write_json(path, obtain(snakemake.params.entry, path.parent))


if __name__ == "__main__":
    run(main, snakemake)
