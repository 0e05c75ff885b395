"""Hugging Face and ModelScope: what their clients download, keep in a cache, and fail with."""

import os
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path

from scripts.job import BadInput
from scripts.models.listing import EMBEDDING, MODULES, TRANSFORMERS, Choice, choose, modules_of

# characters of what a source answered: enough for a whole message of ours
ANSWER = 900
# reasons for which a hub was not heard at all
AWAY = ("offline", "unreachable", "busy")
# what to do, by why a source failed
REMEDIES = {
    "offline": "unset HF_HUB_OFFLINE, where there is a network",
    "unreachable": "check the network (HF_ENDPOINT, MODELSCOPE_ENDPOINT and HTTPS_PROXY are "
    "honoured)",
    "missing": "check repo and revision in the config (a private or gated repository wants "
    "HF_TOKEN or MODELSCOPE_API_TOKEN)",
    "busy": "run again later, as a hub could not answer now",
    "content": "correct the entry in the config as it is told beside each source",
    "other": "see what was answered",
}


@dataclass(frozen=True)
class Wanted:
    """One place where a model may be, and what the config says of it there.

    Attributes
    ----------
    source : "huggingface", "modelscope" or "local"
    repo : the repository, or the folder
    revision : commit, branch or tag; None for the default one
    weights : the file, or the index, to take; None where there is but one
    pickled : "convert" where the weights may be a pickle
    sha256 : of the weights as they stand there, of parts the first; None takes what is there
    texts_alone : whether a text tower is wanted, that was published apart
    instruction : what an embedding model is told with each of its "texts" and "images"
    """

    source: str
    repo: str
    revision: str | None = None
    weights: str | None = None
    pickled: str | None = None
    sha256: str | None = None
    texts_alone: bool = False
    instruction: dict[str, str] | None = None

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, at which files never change."""
        return bool(re.fullmatch("[0-9a-f]{40}", self.revision or ""))

    def choose(self, names: list[str]) -> Choice:
        """The files of the model among those that stand there."""
        local = self.source == "local"
        where = Path(self.repo) if local else f"{self.source} {self.repo} at {self.revision}"
        # without its checksum no pickle is opened
        convert = self.pickled == "convert" and self.sha256 is not None
        choice = choose(names, where, self.weights, convert, hub=not local)
        if choice.layout is not TRANSFORMERS:
            return choice
        besides = modules_of(names, MODULES if self.texts_alone else EMBEDDING)
        return replace(choice, files=[*choice.files, *besides])


def on_hub(said: str) -> tuple[str, str | None] | None:
    """Repository and revision of ``hf:owner/name@revision``; None for what is no such address."""
    found = re.fullmatch(r"hf:([^/@\s]+/[^/@\s]+)(?:@(\S+))?", said)
    return (found[1], found[2]) if found else None


class Unreachable(Exception):
    """A hub was not asked, or did not answer, and no cache has the model."""


def from_huggingface(wanted: Wanted, draft: Path) -> tuple[str, Choice]:
    """Download what is needed of the repository into ``draft``; the commit that it is of."""
    from huggingface_hub import HfApi

    # the library reads HF_ENDPOINT when it is imported, which may be long before
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    info = api.model_info(wanted.repo, revision=wanted.revision)
    choice = wanted.choose([file.rfilename for file in info.siblings or []])
    # of a commit, the client never passes off an incomplete older download as the answer
    api.snapshot_download(
        wanted.repo,
        revision=info.sha,
        local_dir=draft,
        allow_patterns=[escape(name) for name in choice.files],
    )
    return info.sha, choice


def from_modelscope(wanted: Wanted, draft: Path) -> tuple[str | None, Choice]:
    """Download what is needed of the repository into ``draft``; the revision that was asked for."""
    from huggingface_hub.constants import is_offline_mode
    from modelscope.hub.snapshot_download import snapshot_download
    from modelscope_hub import HubApi, HubConfig

    # its client has no such setting of its own
    if is_offline_mode():
        raise Unreachable("not asked, as HF_HUB_OFFLINE is set")
    # MODELSCOPE_ENDPOINT and MODELSCOPE_API_TOKEN as they are now: the default config keeps what
    # they were at its first use. Without an endpoint, the site, mainland or not, that has the model
    config = HubConfig()
    endpoint = HubApi(config).resolve_endpoint_for_read(wanted.repo)
    api = HubApi(HubConfig(endpoint=endpoint, token=config.token))
    files = api.list_repo_files(wanted.repo, "model", revision=wanted.revision)
    choice = wanted.choose([file.path for file in files if file.type != "tree"])
    snapshot_download(
        wanted.repo,
        revision=wanted.revision,
        local_dir=str(draft),
        allow_patterns=[escape(name) for name in choice.files],
        endpoint=endpoint,
        token=config.token,
    )
    return wanted.revision, choice


DOWNLOADERS: dict[str, Callable[[Wanted, Path], tuple[str | None, Choice]]] = {
    "huggingface": from_huggingface,
    "modelscope": from_modelscope,
}
# where a cache has the model, if it has; its revision; the names of all its files, if known
Cached = tuple[Path | None, str | None, list[str] | None]


def cached_by_huggingface(wanted: Wanted) -> Cached:
    """The snapshot in the cache of Hugging Face's client (HF_HOME, HF_HUB_CACHE)."""
    from huggingface_hub import get_cached_repo_tree, snapshot_download
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

    asked = {"repo_id": wanted.repo, "revision": wanted.revision}
    try:
        # of no file in particular: which are needed, their names tell
        there = Path(snapshot_download(**asked, local_files_only=True, allow_patterns=[]))
    except LocalEntryNotFoundError:
        return None, None, None
    try:
        names = [file.path for file in get_cached_repo_tree(**asked | {"revision": there.name})]
    except CachedRepoTreeNotFoundError:
        names = None
    return there, there.name, names


def cached_by_modelscope(wanted: Wanted) -> Cached:
    """The snapshot in the cache of ModelScope's client (MODELSCOPE_CACHE)."""
    from modelscope.hub.snapshot_download import snapshot_download
    from modelscope_hub import HubConfig
    from modelscope_hub.errors import CacheNotFound

    cache, revision = HubConfig().cache_dir, wanted.revision
    try:
        found = snapshot_download(
            wanted.repo, revision=revision, cache_dir=cache, local_files_only=True
        )
    except CacheNotFound:
        return None, None, None
    # older clients kept no revision beside the files
    if Path(found).name != revision and revision not in (None, "master"):
        return None, None, None
    return Path(found), revision, None


CACHES: dict[str, Callable[[Wanted], Cached]] = {
    "huggingface": cached_by_huggingface,
    "modelscope": cached_by_modelscope,
}


def reason_of(error: BaseException) -> str:
    """Why a source failed: a key of ``REMEDIES``."""
    import requests
    from httpx2 import TransportError
    from huggingface_hub.constants import is_offline_mode
    from huggingface_hub.errors import RepositoryNotFoundError

    chain = list(_causes(error))
    if isinstance(error, BadInput):
        return "content"
    if is_offline_mode():
        return "offline"
    for one in chain:
        status = getattr(getattr(one, "response", one), "status_code", None)
        if isinstance(one, RepositoryNotFoundError) or status in (401, 403, 404):
            return "missing"
        if isinstance(status, int):
            return "busy" if status in (408, 429) or status >= 500 else "other"
    away = (ConnectionError, TimeoutError, TransportError, requests.RequestException)
    return "unreachable" if any(isinstance(one, away) for one in chain) else "other"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those behind it."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop(0)
        if one is None or one in seen:
            continue
        seen.append(one)
        yield one
        left += [one.__cause__, one.__context__, *getattr(one, "failed_files", {}).values()]


def one_line(error: Exception) -> str:
    """An exception in one line that is the same each time and holds no key of an address."""
    failed = getattr(error, "failed_files", None)
    if failed:
        # ModelScope's summary keeps the reasons to itself
        name, reason = sorted(failed.items())[0]
        return f"{name}: {one_line(reason)}"
    text = " ".join(str(error).split())
    if isinstance(error, BadInput):
        where, found, expected, todo = (" ".join(part.split()) for part in error.parts)
        text = f"{where}: {found}; expected {expected}; {todo}"
    elif not isinstance(error, Unreachable):
        text = f"{type(error).__name__}: {text}"
    text = re.sub(r"\(Request ID:[^)]*\)|\?[^\s'\")]*=[^\s'\")]*", "", text)
    text = re.sub(r"://[^\s/'\"]*@", "://", text)
    text = re.sub(r"\s+", " ", text)
    # one word may be longer than all
    return textwrap.shorten(text, ANSWER, placeholder=" …") if len(text) > ANSWER else text
