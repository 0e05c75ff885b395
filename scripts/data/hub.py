"""Files of a dataset repository, by the own client of Hugging Face or ModelScope.

Nothing of a repository is run, and no file is fetched that no reader reads: no script, no pickle.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from scripts.data.files import is_archive, why_unsafe
from scripts.data.kinds import BESIDE, MAY_HOLD
from scripts.data.names import SUFFIX
from scripts.data.web import Unavailable
from scripts.job import digest_of_file, read_json, write_json

# of a dataset's entry: what decides which files come
ASKED = ("repo", "revision", "files")


@dataclass(frozen=True)
class Sums:
    """What a hub says that a file is: its sha256, or git's own sum of it; None for neither."""

    sha256: str | None
    git: str | None = None

    def refuses(self, path: Path) -> str | None:
        """What is found in the place of what the hub says; None where it is that."""
        if self.sha256:
            found = digest_of_file(path)
            fits = found == self.sha256
            return None if fits else f"found sha256 {found}, expected {self.sha256}"
        if self.git:
            found = _git_sum(path)
            fits = found == self.git
            return None if fits else f"found git's sum {found}, expected {self.git}"
        return None


# the hub's files by their paths; and a call that brings one into a folder, anew if it must be
Listed = tuple[dict[str, Sums], Callable[[str, Path, bool], Path]]


def _huggingface(repo: str, revision: str) -> Listed:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    # the library reads HF_ENDPOINT when it is imported, which may be long before
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    tree = api.list_repo_tree(repo, repo_type="dataset", revision=revision, recursive=True)
    sums = {
        file.path: Sums(file.lfs.sha256 if file.lfs else None, None if file.lfs else file.blob_id)
        for file in tree
        if isinstance(file, RepoFile)
    }

    def get(path: str, folder: Path, again: bool) -> Path:
        asked = {"repo_type": "dataset", "revision": revision, "local_dir": folder}
        return Path(api.hf_hub_download(repo, path, force_download=again, **asked))

    return sums, get


def _modelscope(repo: str, revision: str) -> Listed:
    from modelscope_hub import HubApi, HubConfig

    # MODELSCOPE_ENDPOINT and MODELSCOPE_API_TOKEN as they are now: the default config keeps what
    # they were at its first use. Without an endpoint, the site, mainland or not, that has it
    config = HubConfig()
    endpoint = HubApi(config).resolve_endpoint_for_read(repo, repo_type="dataset")
    api = HubApi(HubConfig(endpoint=endpoint, token=config.token))
    listed = api.list_repo_files(repo, "dataset", revision=revision)
    files = {file.path: file for file in listed if file.type != "tree"}

    def get(path: str, folder: Path, again: bool) -> Path:
        asked = {"revision": revision, "local_dir": folder, "file_size": files[path].size or None}
        return api.download_file(repo, "dataset", path, force=again, **asked)

    return {path: Sums(file.sha256) for path, file in files.items()}, get


HUBS: dict[str, Callable[[str, str], Listed]] = {
    "huggingface": _huggingface,
    "modelscope": _modelscope,
}


def present(home: dict[str, Any], folder: Path, listing: Path) -> list[str] | None:
    """Paths of the files that ``fetch`` brought, where all are there as they came."""
    if not listing.is_file():
        return None
    about = read_json(listing)
    if any(about.get(key) != home.get(key) for key in ASKED):
        return None
    sha256 = about["sha256"]
    whole = (
        (folder / path).is_file() and digest_of_file(folder / path) == sha256[path]
        for path in sha256
    )
    return sorted(sha256) if all(whole) else None


def fetch(home: dict[str, Any], folder: Path, listing: Path, hub: str = "huggingface") -> list[str]:
    """Download the files of a dataset repository that readers read.

    The client resumes what was interrupted. It compares sizes only, so each file is held against
    the sum that the hub has for it.

    Parameters
    ----------
    home : ``repo``, ``revision``, and ``files``, patterns of which a path must match one
    folder : for the files
    listing : where it is written down what came
    hub : of ``HUBS``
    """
    repo, revision = home["repo"], home["revision"]
    sums, get = HUBS[hub](repo, revision)
    patterns = home.get("files") or ["*"]
    wanted = sorted(
        path
        for path in sums
        if any(fnmatchcase(path, one) for one in patterns)
        and _is_read(path)
        and why_unsafe(path) is None
    )
    if not wanted:
        told = " or ".join(patterns)
        raise Unavailable(f"{repo} at {revision} has no files {told} that are read")
    sha256 = {}
    for path in wanted:
        for again in (False, True):
            there = get(path, folder, again)
            refused = sums[path].refuses(there)
            if refused is None:
                break
        else:
            there.unlink()
            raise Unavailable(f"{path}: {refused}")
        sha256[path] = digest_of_file(there)
    write_json(listing, {key: home.get(key) for key in ASKED} | {"sha256": sha256})
    return sorted(sha256)


def _is_read(path: str) -> bool:
    name = path.lower()
    return bool(is_archive(name) or SUFFIX.search(name) or name.endswith((*MAY_HOLD, *BESIDE)))


def _git_sum(path: Path) -> str:
    total = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(2**20):
            total.update(piece)
    return total.hexdigest()
