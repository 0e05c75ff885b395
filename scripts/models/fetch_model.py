"""Get a model from Hugging Face, ModelScope or a folder, and record where it came from."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripts.job import REFUSED_BY_THE_DISK, BadInput, digest_of_file, is_folder, log, read_json
from scripts.jobs import Snakemake, run
from scripts.models.backends import read_facts
from scripts.models.backends.towers import check_text_numbers
from scripts.models.embedding_files import is_embedding, write_instruction
from scripts.models.folder import (
    check_apart,
    check_not_linked,
    model_files,
    move_model,
    remove_model,
    write_provenance,
)
from scripts.models.hubs import (
    AWAY,
    CACHES,
    DOWNLOADERS,
    REMEDIES,
    Unreachable,
    Wanted,
    one_line,
    reason_of,
)
from scripts.models.listing import (
    EXPECTED,
    IMAGE,
    INDEX,
    NEEDED,
    TEXT,
    TRANSFORMERS,
    Choice,
    modules_of,
    named_by_config,
)
from scripts.models.pickles import convert_pickle
from scripts.models.probe import probe
from scripts.models.text_tower import read_text_tower
from scripts.models.weights import weight_files

PREFIX_OF_A_PICKLE = (
    "load the model where it was made, without the object that put the prefix there, and save it "
    'with model.save_pretrained("folder"); then name the folder with source: local'
)


def fetch_model(entry: dict[str, Any], folder: Path, model: str) -> None:
    """Fill ``folder`` with the model of a registry entry; its model.json is written last.

    Parameters
    ----------
    entry : ``source`` ("local", or hubs in the order in which to try them), ``path`` for local, for
        each hub ``repo`` (one, or several in the order in which to try them) and ``revision``;
        ``sha256``, ``weights`` and ``pickled``, of which a hub may have its own; ``instruction``.
        Of ``source`` "towers", ``image_tower`` and ``text_tower`` are such entries
    folder : where the model goes; what other files stand there is removed
    model : its name in the config

    Raises
    ------
    BadInput
        where no source has the model, with what each of them answered, and where the model is not
        a dual encoder of a supported architecture, nor a re-ranker, or its weights may not be
        opened; and, before anything is touched, where files of the user's would be removed
    """
    check_not_linked(folder)
    folder.mkdir(parents=True, exist_ok=True)
    towers = {IMAGE: "image_tower", TEXT: "text_tower"}
    parts = {"": entry}
    if entry["source"] == "towers":
        parts = {part: entry[key] for part, key in towers.items()}
    for one in parts.values():
        if is_local(one):
            check_apart(Path(path_of(one)), folder)
    (folder / "model.json").unlink(missing_ok=True)
    if entry["source"] != "towers":
        write_provenance(folder, model, **fetch_one(entry, folder, f"models.{model}"))
        return
    # whatever stood there before is another model
    remove_model(folder)
    about = {}
    for part, one in parts.items():
        (folder / part).mkdir(exist_ok=True)
        name = f"models.{model}.{towers[part]}"
        about[part] = fetch_one(one, folder / part, name, texts_alone=part == TEXT)
    probe(folder)
    write_provenance(folder, model, "towers", repo=None, revision=None, tried=[], towers=about)


def fetch_one(
    entry: dict[str, Any], folder: Path, name: str, texts_alone: bool = False
) -> dict[str, Any]:
    """Fill ``folder`` as an entry says, which the config has under ``name``; what to record of it.

    ``texts_alone`` fetches a text tower that was published apart.
    """
    drafts = folder / ".download"
    if is_local(entry):
        wanted = wanted_of(entry, "local", path_of(entry), texts_alone)
        try:
            facts = copy_model(wanted, drafts / "local")
            move_model(drafts / "local", folder)
        finally:
            shutil.rmtree(drafts, ignore_errors=True)
        return {"source": "local", "repo": wanted.repo, "revision": None, "tried": [], **facts}
    tried: list[dict[str, str]] = []
    reasons: set[str] = set()
    for wanted in candidates(entry, texts_alone):
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
        return {"source": source, "repo": repo, "revision": commit, "tried": tried, **facts}
    answers = "".join(f"\n    {one['source']} {one['repo']}: {one['error']}" for one in tried)
    todo = [remedy for reason, remedy in REMEDIES.items() if reason in reasons]
    raise BadInput(
        name,
        f"no source has the model{answers}",
        "one of its sources to answer with a model that can be taken",
        f"{'; '.join(todo)}; or put the files into a folder yourself and set source: local, path: "
        "path/to/folder (with ./run evaluate, --model path/to/folder)",
    )


def is_local(entry: dict[str, Any]) -> bool:
    return entry["source"] in ("local", ["local"])


def path_of(entry: dict[str, Any]) -> str:
    return os.path.expanduser(entry["path"])  # noqa: PTH111, the other fails without a home


def candidates(entry: dict[str, Any], texts_alone: bool = False) -> Iterator[Wanted]:
    """What is wanted of each repository of an entry, in the order in which to try them."""
    sources = [entry["source"]] if isinstance(entry["source"], str) else entry["source"]
    for source in sources:
        about = entry[source]
        repos = [about["repo"]] if isinstance(about["repo"], str) else about["repo"]
        for repo in repos:
            told = entry | {k: v for k, v in about.items() if v is not None}
            yield wanted_of(told, source, repo, texts_alone)


def wanted_of(entry: dict[str, Any], source: str, repo: str, texts_alone: bool = False) -> Wanted:
    keys = ("revision", "weights", "pickled", "sha256", "instruction")
    about = {key: entry.get(key) for key in keys}
    return Wanted(source, repo, **about, texts_alone=texts_alone)


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
    below = ["*/config.json", "*/model.safetensors", "*/*.onnx", "snapshots/*/config.json"]
    below += ["models--*/snapshots/*/config.json"]
    names = [path.relative_to(folder).as_posix() for one in below for path in folder.glob(one)]
    for path in folder.iterdir():
        # a folder in the place of a file is told when it is copied
        is_file = path.name in NEEDED or not path.is_dir()
        names.append(path.name if is_file else f"{path.name}/")
    return names


def copied(
    path: Path,
    draft: Path,
    choice: Choice,
    wanted: Wanted,
    put: Callable[[Path, Path], object] = shutil.copyfile,
) -> dict[str, Any]:
    """``put`` the chosen files from ``path`` into ``draft``, behind links too; as ``finish``."""
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in choice.files:
        (draft / name).parent.mkdir(exist_ok=True)
        if not (path / name).is_file():
            raise BadInput(
                path / name,
                "no such file, but a folder, or a link that leads nowhere",
                "a file of the model",
                "put the file there, or take the entry away if the model works without it",
            )
        put(path / name, draft / name)
    try:
        return finish(draft, choice, wanted)
    except BadInput as error:
        told = (part.replace(str(draft), str(path)) for part in error.parts)
        raise BadInput(*told) from error.__cause__


def finish(draft: Path, choice: Choice, wanted: Wanted) -> dict[str, Any]:
    """Make the chosen files in ``draft`` a model, check it, and say what to record of it."""
    check_sha256(draft, choice, wanted.sha256)
    facts = arrange(draft, choice, wanted)
    check_model(draft, choice, wanted.texts_alone)
    return facts


def arrange(draft: Path, choice: Choice, wanted: Wanted) -> dict[str, Any]:
    """Give the chosen files in ``draft`` the names of a model's; what to record of them."""
    facts: dict[str, Any] = {"weights": choice.weights}
    if choice.beside:
        log.info("taken: %s; passed over: %s", choice.weights, ", ".join(choice.beside))
        facts["beside"] = choice.beside
    taken = set(choice.files)
    if choice.pickled:
        log.info("converting %s to %s", choice.weights, choice.layout.single)
        convert_pickle(draft / choice.weights, draft / choice.layout.single)
        facts |= {"converted": True, "sha256": wanted.sha256}
    elif choice.weights != INDEX:
        (draft / choice.weights).replace(draft / choice.layout.single)
    if choice.weights != INDEX:
        taken.add(choice.layout.single)
    if not (wanted.texts_alone or is_embedding(draft)):
        # a dual encoder of transformers beside which another library says how it loads it
        taken -= set(modules_of(taken))
    # of an earlier answer of the same branch
    remove_all_but(taken, draft)
    if choice.weights == INDEX:
        named = {file.name for file in weight_files(draft)}
        remove_all_but({name for name in taken if not name.endswith(".safetensors")} | named, draft)
    config = read_json(draft / choice.layout.settings[0])
    if choice.layout is TRANSFORMERS and (library := named_by_config(config)):
        todo = "take a model that encodes both images and texts, as transformers publishes it"
        raise BadInput(draft / "config.json", library, EXPECTED, todo)
    if wanted.instruction:
        write_instruction(draft, wanted.instruction)
        facts["instruction"] = wanted.instruction
    return facts


def check_model(draft: Path, choice: Choice, texts_alone: bool) -> None:
    """Raise ``BadInput`` unless ``draft`` holds a model, or a text tower, that does what it should.

    The message names files as they are called where they were taken from.
    """
    try:
        if texts_alone:
            check_text_numbers(draft, read_text_tower(draft))
        else:
            read_facts(draft)
            probe(draft)
    except BadInput as error:
        raise by_name_there(error, draft, choice) from error.__cause__


def by_name_there(error: BadInput, draft: Path, choice: Choice) -> BadInput:
    """A fault of what stands in ``draft``, by the name of the file that can be put right."""
    if choice.weights == INDEX:
        return error
    single, there = str(draft / choice.layout.single), str(draft / choice.weights)
    where, found, expected, todo = (part.replace(single, there) for part in error.parts)
    # the command that takes a prefix off, for safetensors
    if choice.pickled and "load_file(" in todo:
        todo = PREFIX_OF_A_PICKLE
    todo = todo.replace(f'f = "{choice.layout.single}"', f'f = "{choice.weights}"')
    return BadInput(where, found, expected, todo)


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


def main(snakemake: Snakemake) -> None:
    provenance = Path(snakemake.output.provenance)
    fetch_model(snakemake.params.entry, provenance.parent, snakemake.wildcards.model)


if __name__ == "__main__":
    run(main, snakemake)
