"""What a record tells of files: as they are, or as their job saw them on another disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scripts.bundles import MANIFESTS, MODEL
from scripts.job import read_json
from scripts.provenance.crate import MARK, Recorded, all_below, described


def look_at(made: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the record of a run will tell of a job's outputs, and of the files of its model.

    Returns
    -------
    path -> "end" of its name, "size" in bytes, "sha256"; of manifests and sidecars "content" too
    """
    paths: dict[str, None] = {}
    for path in made:
        paths[path] = None
        if Path(path).is_dir():
            # as it is on a disk: Snakemake puts this into each folder that a job has made
            Path(path, MARK).touch()
        elif Path(path).name == MODEL:
            folder = Path(path).parent
            paths |= dict.fromkeys((folder / name).as_posix() for name in all_below(folder).files)
    found = {}
    for path in paths:
        about = described(Path(path), path)
        # a folder's name ends with a stroke
        end = about.path.removeprefix(path)
        found[path] = {"end": end, "size": about.size, "sha256": about.sha256}
        is_sidecar = path.endswith(".json") and f"{path.removesuffix('json')}npy" in paths
        if is_sidecar or Path(path).name in MANIFESTS:
            found[path]["content"] = read_json(path)
    return found


class Seen:
    """Files by their path from the working directory on.

    Parameters
    ----------
    seen : what jobs of the run saw, of each that says it; of that, the disk is not asked
    """

    def __init__(self, seen: Iterable[dict[str, dict[str, Any]]]) -> None:
        self._seen = {path: about for one in seen for path, about in one.items()}

    def is_there(self, path: str) -> bool:
        """Whether there is something to tell."""
        return path in self._seen or Path(path).exists()

    def described(self, path: str, name: str) -> Recorded:
        """A file or folder under the name that it has in a record."""
        if (about := self._seen.get(path)) is None:
            return described(Path(path), name)
        return Recorded(name + about["end"], about["size"], about["sha256"])

    def content(self, path: str) -> Any:
        """What stands in a JSON file."""
        about = self._seen.get(path, {})
        return about["content"] if "content" in about else read_json(path)

    def below(self, folder: str) -> list[str]:
        """Paths of the files below a folder, sorted."""
        start = f"{folder}/"
        found = [path for path in self._seen if path.startswith(start)]
        return sorted(found) or [start + name for name in all_below(Path(folder)).files]
