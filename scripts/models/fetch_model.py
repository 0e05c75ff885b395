"""Get a model from Hugging Face, ModelScope or a folder, and record where it came from."""

import os
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Any

from scripts.job import (
    REFUSED_BY_THE_DISK,
    BadInput,
    check_run,
    digest_of_file,
    is_folder,
    log,
    read_json,
    run,
    write_json,
)
from scripts.models.listing import EXPECTED, INDEX, NEEDED, SINGLE, Choice, choose, named_by_config
from scripts.models.pickles import convert_pickle
from scripts.models.probe import probe
from scripts.models.weights import read_facts, weight_files

# characters of what a source answered: enough for a whole message of ours
ANSWER = 900
# reasons for which a hub was not heard at all
AWAY = ("offline", "unreachable", "busy")
# the four parts of a BadInput
BAD_INPUT = re.compile(r"(.*)\n  found:(.*)\n  expected:(.*)\n  to do:(.*)", re.DOTALL)
PREFIX_OF_A_PICKLE = (
    "load the model where it was made, without the object that put the prefix there, and save it "
    'with model.save_pretrained("folder"); then name the folder with source: local'
)
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
    """

    source: str
    repo: str
    revision: str | None = None
    weights: str | None = None
    pickled: str | None = None
    sha256: str | None = None

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
        return choose(names, where, self.weights, convert, hub=not local)


class Unreachable(Exception):
    """A hub was not asked, or did not answer, and no cache has the model."""


def fetch_model(entry: dict[str, Any], folder: Path, model: str) -> None:
    """Fill ``folder`` with the model of a registry entry; its model.json is written last.

    Parameters
    ----------
    entry : ``source`` ("local", or hubs in the order in which to try them), ``path`` for local, for
        each hub ``repo`` (one, or several in the order in which to try them) and ``revision``;
        ``sha256``, ``weights`` and ``pickled``, of which a hub may have its own
    folder : where the model goes; what other files stand there is removed
    model : its name in the config

    Raises
    ------
    BadInput
        where no source has the model, with what each of them answered, and where the model is not
        a dual encoder of a supported architecture, or its weights may not be opened; and, before
        anything is touched, where files of the user's would be removed
    """
    check_not_linked(folder)
    folder.mkdir(parents=True, exist_ok=True)
    local = entry["source"] in ("local", ["local"])
    if local:
        path = os.path.expanduser(entry["path"])  # noqa: PTH111, the other fails without a home
        wanted = wanted_of(entry, "local", path)
        check_apart(Path(path), folder)
    (folder / "model.json").unlink(missing_ok=True)
    drafts = folder / ".download"
    if local:
        try:
            facts = copy_model(wanted, drafts / "local")
            move_model(drafts / "local", folder)
        finally:
            shutil.rmtree(drafts, ignore_errors=True)
        write_provenance(folder, model, "local", repo=wanted.repo, revision=None, tried=[], **facts)
        return
    tried: list[dict[str, str]] = []
    reasons: set[str] = set()
    for wanted in candidates(entry):
        source, repo = wanted.source, wanted.repo
        log.info("%s: %s at %s", source, repo, wanted.revision or "the default revision")
        # each source downloads into a folder of its own, which outlives an interrupted run: what
        # arrived is not fetched again, and never mixed with another source's files
        parts = [source, repo, wanted.revision or "default", *filter(None, [wanted.weights])]
        draft = drafts / re.sub(r"[^\w.-]+", "--", "@".join(parts))
        try:
            made, commit, facts = get_model(wanted, draft)
        # the clients raise what their HTTP libraries raise, of no common kind
        except Exception as error:
            if isinstance(error, OSError) and error.errno in REFUSED_BY_THE_DISK:
                raise
            reasons.add(reason_of(error))
            answer = one_line(error).replace(f"{draft}/", "")
            tried.append({"source": source, "repo": repo, "error": answer})
            log.warning("%s: %s: %s", source, repo, answer)
            continue
        move_model(made, folder)
        shutil.rmtree(drafts)
        write_provenance(folder, model, source, repo=repo, revision=commit, tried=tried, **facts)
        return
    answers = "".join(f"\n    {one['source']} {one['repo']}: {one['error']}" for one in tried)
    todo = [remedy for reason, remedy in REMEDIES.items() if reason in reasons]
    raise BadInput(
        f"models.{model}",
        f"no source has the model{answers}",
        "one of its sources to answer with a model that can be taken",
        f"{'; '.join(todo)}; or put the files into a folder yourself and set source: local, path: "
        "path/to/folder",
    )


def candidates(entry: dict[str, Any]) -> Iterator[Wanted]:
    """What is wanted of each repository of an entry, in the order in which to try them."""
    sources = [entry["source"]] if isinstance(entry["source"], str) else entry["source"]
    for source in sources:
        about = entry[source]
        repos = [about["repo"]] if isinstance(about["repo"], str) else about["repo"]
        for repo in repos:
            yield wanted_of(entry | {k: v for k, v in about.items() if v is not None}, source, repo)


def wanted_of(entry: dict[str, Any], source: str, repo: str) -> Wanted:
    keys = ("revision", "weights", "pickled", "sha256")
    return Wanted(source, repo, **{key: entry.get(key) for key in keys})


def get_model(wanted: Wanted, draft: Path) -> tuple[Path, str | None, dict[str, Any]]:
    """The model of one repository: the folder that holds it, its revision, and what to record.

    What a hub's client has in its cache is taken from there: without asking where that is known to
    be all of a commit, and else where the hub cannot be reached.
    """
    found = from_cache(wanted, draft, whole=True) if wanted.pinned else None
    if found:
        return found
    try:
        commit, choice = DOWNLOADERS[wanted.source](wanted, draft)
        return draft, commit, finish(draft, choice, wanted)
    # see fetch_model
    except Exception as error:
        reason = reason_of(error)
        # a commit is the same wherever it lies; a branch in a cache may be an older one
        if reason == "content" or not (wanted.pinned or reason in AWAY):
            raise
        try:
            found = from_cache(wanted, draft)
        except BadInput as lacking:
            told = f"{one_line(error)}; what is in its cache: {one_line(lacking)}"
            raise Unreachable(told) from error
        if found is None:
            raise Unreachable(f"{one_line(error)}; nor is all of it in the cache") from error
        log.warning("%s cannot be reached: %s is taken from its cache", wanted.source, wanted.repo)
        return found


def from_cache(
    wanted: Wanted, draft: Path, whole: bool = False
) -> tuple[Path, str | None, dict[str, Any]] | None:
    """As ``get_model``, from the cache of the hub's client; None where the model is not there.

    ``whole`` takes only what the cached listing of a commit shows to be all of its files.
    """
    there, commit, names = CACHES[wanted.source](wanted)
    if there is None or (whole and names is None):
        return None
    choice = wanted.choose(names_in(there) if names is None else names)
    if names is not None and not all((there / name).is_file() for name in choice.files):
        return None
    made = draft.with_name(f"{draft.name}.cached")
    facts = copied(there, made, choice, wanted) | {"cached": True}
    if names is None:
        log.warning(
            "%s: the cache does not list all files of the repository: one that the model can be "
            "loaded without, such as tokenizer_config.json, may be missing unnoticed",
            wanted.repo,
        )
        facts["whole"] = "not known"
    return made, commit, facts


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


def copy_model(wanted: Wanted, draft: Path) -> dict[str, Any]:
    """Make ``draft`` a copy of the model in a folder of the user's; what to record of it."""
    path = Path(wanted.repo)
    if not is_folder(path):
        raise BadInput(
            path.absolute(),
            "no such folder",
            "the folder of a model: config.json, model.safetensors, tokenizer and preprocessor",
            "correct the path of the model in the config",
        )
    return copied(path, draft, wanted.choose(names_in(path)), wanted)


def names_in(folder: Path) -> list[str]:
    """Names in a folder, and of folders below it what tells of a model there."""
    below = ("*/config.json", "*/*.onnx", "snapshots/*/config.json")
    below += ("models--*/snapshots/*/config.json",)
    names = [path.relative_to(folder).as_posix() for one in below for path in folder.glob(one)]
    for path in folder.iterdir():
        # a folder in the place of a file is told when it is copied
        is_file = path.name in NEEDED or not path.is_dir()
        names.append(path.name if is_file else f"{path.name}/")
    return names


def copied(path: Path, draft: Path, choice: Choice, wanted: Wanted) -> dict[str, Any]:
    """Copy the chosen files from ``path``, behind links too; as ``finish``."""
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in choice.files:
        if not (path / name).is_file():
            raise BadInput(
                path / name,
                "no such file, but a folder, or a link that leads nowhere",
                "a file of the model",
                "put the file there, or take the entry away if the model works without it",
            )
        shutil.copyfile(path / name, draft / name)
    try:
        return finish(draft, choice, wanted)
    except BadInput as error:
        error.args = (str(error).replace(str(draft), str(path)),)
        raise


def finish(draft: Path, choice: Choice, wanted: Wanted) -> dict[str, Any]:
    """Make the chosen files in ``draft`` a model, check it, and say what to record of it."""
    check_sha256(draft, choice, wanted.sha256)
    facts: dict[str, Any] = {"weights": choice.weights}
    if choice.beside:
        log.info("taken: %s; passed over: %s", choice.weights, ", ".join(choice.beside))
        facts["beside"] = choice.beside
    taken = set(choice.files)
    if choice.pickled:
        log.info("converting %s to %s", choice.weights, SINGLE)
        convert_pickle(draft / choice.weights, draft / SINGLE)
        facts |= {"converted": True, "sha256": wanted.sha256}
    elif choice.weights not in (SINGLE, INDEX):
        (draft / choice.weights).replace(draft / SINGLE)
    if choice.weights != INDEX:
        taken.add(SINGLE)
    # of an earlier answer of the same branch
    remove_all_but(taken, draft)
    if choice.weights == INDEX:
        named = {file.name for file in weight_files(draft)}
        remove_all_but({name for name in taken if not name.endswith(".safetensors")} | named, draft)
    if library := named_by_config(read_json(draft / "config.json")):
        todo = "take a model that encodes both images and texts, as transformers publishes it"
        raise BadInput(draft / "config.json", library, EXPECTED, todo)
    try:
        read_facts(draft)
        probe(draft)
    except BadInput as error:
        error.args = (by_name_there(str(error), draft, choice),)
        raise
    return facts


def by_name_there(told: str, draft: Path, choice: Choice) -> str:
    """A fault of what stands in ``draft``, by the name of the file that can be put right."""
    if choice.weights == INDEX:
        return told
    told = told.replace(str(draft / SINGLE), str(draft / choice.weights))
    # the command that takes a prefix off, for safetensors
    if choice.pickled and "load_file(" in told:
        return re.sub(r"(?<=\n  to do:    ).*", PREFIX_OF_A_PICKLE, told, flags=re.DOTALL)
    return told.replace(f'f = "{SINGLE}"', f'f = "{choice.weights}"')


def remove_all_but(kept: set[str], draft: Path) -> None:
    """Remove files that an encoder would be loaded from, but for those that are ``kept``."""
    for name in set(model_files(draft)) - kept:
        (draft / name).unlink()


def check_sha256(draft: Path, choice: Choice, sha256: str | None) -> None:
    """Remove the weights in ``draft`` and raise ``BadInput`` where they are not those expected."""
    if sha256 is None:
        return
    weights = weight_files(draft)[0] if choice.weights == INDEX else draft / choice.weights
    found = digest_of_file(weights)
    if found != sha256:
        weights.unlink()
        raise BadInput(
            weights,
            f"sha256 {found}",
            f"sha256 {sha256}",
            "check revision, weights and sha256 in the config, or get the file again",
        )


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
    for old in folder.iterdir():
        if not old.is_dir():
            old.unlink()
    for name in model_files(draft):
        (draft / name).replace(folder / name)


def model_files(folder: Path) -> list[str]:
    """Sorted names of the files in ``folder`` that an encoder is loaded from."""
    names = (file.name for file in folder.iterdir() if file.is_file())
    return sorted(name for name in names if any(fnmatchcase(name, one) for one in NEEDED))


def write_provenance(folder: Path, model: str, source: str, **extra: Any) -> None:
    """Describe the model in ``folder`` in its model.json: what it is, and where it came from.

    Parameters
    ----------
    folder : the model, complete
    model : its name in the config
    source : "huggingface", "modelscope", "local" or "train"
    extra : what else is known: ``repo``, ``revision``, ``tried``, ``training``
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
        where, found, expected, todo = (
            " ".join(part.split()) for part in BAD_INPUT.fullmatch(str(error)).groups()
        )
        text = f"{where}: {found}; expected {expected}; {todo}"
    elif not isinstance(error, Unreachable):
        text = f"{type(error).__name__}: {text}"
    text = re.sub(r"\(Request ID:[^)]*\)|\?[^\s'\")]*=[^\s'\")]*", "", text)
    text = re.sub(r"://[^\s/'\"]*@", "://", text)
    text = re.sub(r"\s+", " ", text)
    # one word may be longer than all
    return textwrap.shorten(text, ANSWER, placeholder=" …") if len(text) > ANSWER else text


def main(snakemake) -> None:
    provenance = Path(snakemake.output.provenance)
    fetch_model(snakemake.params.entry, provenance.parent, snakemake.wildcards.model)


if __name__ == "__main__":
    run(main, snakemake)
