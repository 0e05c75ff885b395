"""Files of a dataset repository, by the Hugging Face hub's own client."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from scripts.data.files import why_unsafe
from scripts.data.web import Unavailable
from scripts.job import digest_of_file, read_json, write_json

LISTING = "huggingface.json"


def present(home: dict[str, Any], raw: Path) -> list[str] | None:
    """Paths of the files that ``fetch`` brought, where all are there as they came."""
    if not (raw / LISTING).is_file():
        return None
    listing = read_json(raw / LISTING)
    if any(listing.get(key) != home[key] for key in ("repo", "revision")):
        return None
    sha256 = listing["sha256"]
    whole = (
        (raw / path).is_file() and digest_of_file(raw / path) == sha256[path] for path in sha256
    )
    return sorted(sha256) if all(whole) else None


def fetch(home: dict[str, Any], raw: Path, suffix: str) -> list[str]:
    """Download the files of this suffix of a dataset repository with the hub's own client.

    The client resumes what was interrupted. It compares sizes only, so each file is held against
    the sha256 that the hub has for it; what arrived is then listed beside the files.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    repo, revision = home["repo"], home["revision"]
    # the library reads HF_ENDPOINT when it is imported, which may be long before
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    tree = api.list_repo_tree(repo, repo_type="dataset", revision=revision, recursive=True)
    files = [
        file
        for file in tree
        if isinstance(file, RepoFile)
        and file.path.endswith(suffix)
        and why_unsafe(file.path) is None
    ]
    if not files:
        raise Unavailable(f"{repo} at {revision} has no {suffix[1:]} files")
    sha256 = {}
    for file in files:
        expected = file.lfs and file.lfs.sha256
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
            if expected in (None, sha256[file.path]):
                break
        else:
            Path(path).unlink()
            found = sha256[file.path]
            raise Unavailable(f"{file.path}: found sha256 {found}, expected {expected}")
    write_json(raw / LISTING, {"repo": repo, "revision": revision, "sha256": sha256})
    return sorted(sha256)
