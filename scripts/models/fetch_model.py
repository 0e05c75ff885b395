"""Get a model from Hugging Face, ModelScope or a folder, and record where it came from."""

import os
import re
import shutil
from collections.abc import Callable
from fnmatch import fnmatchcase
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
from scripts.models.weights import GET_SAFETENSORS, PICKLED, read_facts, weight_files

# everything that an encoder is loaded from, and nothing that could run code
NEEDED = (
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-?????-of-?????.safetensors",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
SOURCES = ("huggingface", "modelscope")


def fetch_model(entry: dict[str, Any], folder: Path, model: str) -> None:
    """Fill ``folder`` with the model of a registry entry; its model.json is written last.

    Parameters
    ----------
    entry : ``source`` ("local", or hubs in the order in which to try them), ``path`` for local, for
        each hub ``repo`` (one, or several in the order in which to try them) and ``revision``, and
        ``sha256`` of model.safetensors, or None
    folder : where the model goes; what other files stand there is removed
    model : its name in the config

    Raises
    ------
    BadInput
        where no source has the model, with what each of them answered, and where the model is not
        a dual encoder of a supported architecture in safetensors
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").unlink(missing_ok=True)
    sha256 = entry.get("sha256")
    if entry["source"] in ("local", ["local"]):
        path = Path(entry["path"])
        copy_model(path, folder, sha256)
        write_provenance(folder, model, "local", repo=str(entry["path"]), revision=None, tried=[])
        return
    tried: list[dict[str, str]] = []
    for source, repo, revision in candidates(entry):
        log.info("%s: %s at %s", source, repo, revision or "the default revision")
        # each source downloads into a folder of its own, which outlives an interrupted run: what
        # arrived is not fetched again, and never mixed with another source's files
        parts = [source, repo, revision or "default"]
        draft = folder / ".download" / re.sub(r"[^\w.-]+", "--", "@".join(parts))
        try:
            commit = DOWNLOADERS[source](repo, revision, draft)
            check_sha256(draft, sha256)
            read_facts(draft)
        # the clients raise what their HTTP libraries raise, of no common kind
        except Exception as error:
            if isinstance(error, OSError) and error.errno in REFUSED_BY_THE_DISK:
                raise
            tried.append({"source": source, "repo": repo, "error": one_line(error)})
            log.warning("%s: %s: %s", source, repo, tried[-1]["error"])
            continue
        move_model(draft, folder)
        shutil.rmtree(folder / ".download")
        write_provenance(folder, model, source, repo=repo, revision=commit, tried=tried)
        return
    answers = "".join(f"\n    {one['source']} {one['repo']}: {one['error']}" for one in tried)
    raise BadInput(
        f"models.{model}",
        f"no source has the model{answers}",
        "one of its sources to answer",
        "check the network (HF_ENDPOINT, MODELSCOPE_ENDPOINT and HTTPS_PROXY are honoured), or put "
        "the files into a folder yourself and set source: local, path: path/to/folder",
    )


def candidates(entry: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """(source, repo, revision) of a registry entry in the order in which to try them."""
    sources = [entry["source"]] if isinstance(entry["source"], str) else entry["source"]
    found = []
    for source in sources:
        about = entry[source]
        repos = [about["repo"]] if isinstance(about["repo"], str) else about["repo"]
        found += [(source, repo, about.get("revision")) for repo in repos]
    return found


def needed_files(names: list[str], where: str) -> list[str]:
    """Those of a repository's files that an encoder is loaded from.

    Raises ``BadInput`` where the weights are pickled only.
    """
    needed = [name for name in names if any(fnmatchcase(name, pattern) for pattern in NEEDED)]
    if not any(name.endswith(".safetensors") for name in needed):
        pickled = [name for name in names if name.endswith(PICKLED)]
        raise BadInput(
            where,
            f"only pickled weights ({', '.join(pickled)})" if pickled else "no weights",
            "model.safetensors: pickled weights can run code when they are opened",
            GET_SAFETENSORS,
        )
    if "model.safetensors" in needed:
        # the same weights again, in parts
        needed = [name for name in needed if not fnmatchcase(name, "model[-.]*-of-*.safetensors")]
        needed = [name for name in needed if name != "model.safetensors.index.json"]
    return needed


def from_huggingface(repo: str, revision: str | None, draft: Path) -> str:
    """Download the needed files of ``repo`` into ``draft``; the commit that they are of."""
    from huggingface_hub import HfApi

    # the library reads HF_ENDPOINT when it is imported, which may be long before
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    info = api.model_info(repo, revision=revision)
    names = [file.rfilename for file in info.siblings or []]
    # of a commit, the client never passes off an incomplete older download as the answer
    api.snapshot_download(
        repo,
        revision=info.sha,
        local_dir=draft,
        allow_patterns=needed_files(names, f"huggingface {repo} at {revision}"),
    )
    return info.sha


def from_modelscope(repo: str, revision: str | None, draft: Path) -> str | None:
    """Download the needed files of ``repo`` into ``draft``; the revision that was asked for."""
    from modelscope.hub.snapshot_download import snapshot_download
    from modelscope_hub import HubApi, HubConfig

    # MODELSCOPE_ENDPOINT and MODELSCOPE_API_TOKEN as they are now: the default config keeps what
    # they were at its first use. Without an endpoint, the site, mainland or not, that has the model
    config = HubConfig()
    endpoint = HubApi(config).resolve_endpoint_for_read(repo)
    api = HubApi(HubConfig(endpoint=endpoint, token=config.token))
    files = api.list_repo_files(repo, "model", revision=revision)
    names = [file.path for file in files if file.type != "tree"]
    snapshot_download(
        repo,
        revision=revision,
        local_dir=str(draft),
        allow_patterns=needed_files(names, f"modelscope {repo} at {revision}"),
        endpoint=endpoint,
        token=config.token,
    )
    return revision


DOWNLOADERS: dict[str, Callable[[str, str | None, Path], str | None]] = {
    "huggingface": from_huggingface,
    "modelscope": from_modelscope,
}


def copy_model(path: Path, folder: Path, sha256: str | None) -> None:
    """Copy the needed files of the model in ``path``, behind links too, into ``folder``."""
    if not is_folder(path):
        raise BadInput(
            path.absolute(),
            "no such folder",
            "the folder of a model: config.json, model.safetensors, tokenizer and preprocessor",
            "correct the path of the model in the config",
        )
    read_facts(path)
    if sha256 and (found := digest_of_file(weight_files(path)[0])) != sha256:
        raise BadInput(
            path / "model.safetensors", f"sha256 {found}", sha256, "correct one of the two"
        )
    draft = folder / ".download" / "local"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in needed_files(sorted(file.name for file in path.iterdir()), str(path)):
        if not (path / name).is_file():
            raise BadInput(
                path / name,
                "a folder, or a link that leads nowhere",
                "a file of the model",
                "put the file there, or take the entry away if the model works without it",
            )
        shutil.copyfile(path / name, draft / name)
    move_model(draft, folder)
    shutil.rmtree(folder / ".download")


def check_sha256(draft: Path, sha256: str | None) -> None:
    """Remove the weights in ``draft`` and raise ``BadInput`` where they are not those expected.

    ``sha256`` is of model.safetensors; of a model in parts, of the first part.
    """
    if sha256 is None:
        return
    weights = weight_files(draft)[0]
    found = digest_of_file(weights)
    if found != sha256:
        weights.unlink()
        raise BadInput(
            weights.name,
            f"sha256 {found}",
            f"sha256 {sha256}",
            "the file was removed; check revision and sha256 in the config",
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


def one_line(error: Exception) -> str:
    """An exception in one line that is the same each time and holds no key of an address."""
    failed = getattr(error, "failed_files", None)
    if failed:
        # ModelScope's summary keeps the reasons to itself
        name, reason = sorted(failed.items())[0]
        return f"{name}: {one_line(reason)}"
    if isinstance(error, BadInput):
        text = "; ".join(re.sub(r"\s+", " ", line.strip()) for line in str(error).split("\n"))
    else:
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    text = re.sub(r"\(Request ID:[^)]*\)|\?[^\s'\")]*=[^\s'\")]*", "", text)
    text = re.sub(r"://[^\s/'\"]*@", "://", text)
    text = re.sub(r"\s+", " ", text)
    return text if len(text) <= 240 else f"{text[:240]}…"


def main(snakemake) -> None:
    provenance = Path(snakemake.output.provenance)
    fetch_model(snakemake.params.entry, provenance.parent, snakemake.wildcards.model)


if __name__ == "__main__":
    run(main, snakemake)
