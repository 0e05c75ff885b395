"""Where jobs share no disk, what one leaves beside the files of its rule travels in bundles.

A step looks at the records of the jobs before it, and in the folder of a dataset or a model lies
more than the manifest that its rule names. On one disk all that is simply there. A storage provider
brings a job the files that its rule names, and no others; so with one, rules/bundles.smk gives each
output one more, its bundle: a tar with the records of all jobs behind the output, and of a manifest
the folder that it describes. Whatever reads the output has its bundle as an input, too. An output
that is a folder has its bundle in its place.

A job finds all of it where it would be on one disk: it works in the folder where its provider keeps
local copies, in which paths are those of a run without one.
"""

from __future__ import annotations

import contextlib
import copy
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from scripts.job import BadInput, read_json, whole

if TYPE_CHECKING:
    from scripts.jobs import Named, Snakemake

# of jobs' records, and of bundles beside them
FOLDER = "results/jobs"
# environment variable that names the folder of local copies; unset without a storage provider
COPIES = "CLIP_RETRIEVAL_COPIES"
# files that describe the folder in which they are
MODEL = "model.json"
MANIFESTS = ("source.json", MODEL)
# keys of the configuration under which something of the user's is named
OWN = ("location", "path")
SIDES = ("images", "texts")
LINKS = "own"


def bundle_of(path: str) -> str:
    """Where the bundle of an output is."""
    return f"{FOLDER}/{path}.tar"


def is_bundle(path: str) -> bool:
    """Whether a path is a bundle's."""
    return path.startswith(f"{FOLDER}/") and path.endswith(".tar")


def in_use() -> bool:
    """Whether a storage provider carries the files of this run."""
    return COPIES in os.environ


def opened(snakemake: Snakemake) -> Snakemake:
    """What Snakemake hands to a script, as without a storage provider, and all of it there.

    Bundles among its inputs are unpacked, the working directory becomes the folder of copies, and
    paths are named from there; of what is the user's there are links (see ``with_own``).
    """
    if not in_use():
        return snakemake
    home, copies = Path.cwd(), Path(os.environ[COPIES]).absolute()
    read = [str(_from(copies, home, path)) for path in snakemake.input]
    copies.mkdir(parents=True, exist_ok=True)
    os.chdir(copies)
    for path in filter(is_bundle, read):
        unpack(Path(path))
    params: Any = snakemake.params
    entry = params.get("entry")
    if isinstance(entry, dict):
        params = copy.copy(params)
        params.entry = with_own(entry, home, "-".join(snakemake.wildcards))
    seen = {name: getattr(snakemake, name) for name in ("rule", "wildcards", "log", "threads")}
    found: Any = SimpleNamespace(
        **seen,
        params=params,
        input=_as_on_a_disk(copies, home, snakemake.input),
        output=_as_on_a_disk(copies, home, snakemake.output),
    )
    return found


def _from(copies: Path, home: Path, path: str) -> Path:
    """A path from ``copies`` on, where it lies there."""
    there = home / path
    return there.relative_to(copies) if there.is_relative_to(copies) else there


def _as_on_a_disk(copies: Path, home: Path, files: Named) -> Named:
    """The same files by their paths from ``copies``, without bundles; but of a folder, that."""

    def named(path: str) -> str:
        own = str(_from(copies, home, path))
        return own.removeprefix(f"{FOLDER}/").removesuffix(".tar") if is_bundle(own) else own

    # of the kind that Snakemake made: a list whose items have names
    kept: Any = type(files)(toclone=files, custom_map=named)  # type: ignore[call-arg]
    # the last to be added
    del kept[len(kept) - len(files.get("bundles", [])) :]
    return kept


def with_own(entry: dict[str, Any], home: Path, name: str) -> dict[str, Any]:
    """The same entry of a dataset or a model, with links here to what it names of the user's.

    So a manifest names that by a path under which other jobs find it, too: ``LINKS/<name>.<key>/``
    is the folder it lies in where there is the user's disk, and else what a bundle brought of it.
    """
    keys = (*OWN, *(SIDES if entry.get("source") == "features" else ()))
    found = dict(entry)
    for key, value in entry.items():
        if isinstance(value, dict):
            found[key] = with_own(value, home, f"{name}.{key}")
        elif key in keys and value:
            there = Path(os.path.normpath(home / value))
            link = Path(LINKS, f"{name}.{key}")
            found[key] = str(link / there.name)
            brought = link.exists() and not link.is_symlink()
            if there.exists() and not brought and link.resolve() != there.parent.resolve():
                link.parent.mkdir(exist_ok=True)
                link.unlink(missing_ok=True)
                with contextlib.suppress(FileExistsError):  # another job was the first
                    link.symlink_to(there.parent, target_is_directory=True)
    return found


def beside(path: str) -> list[Path]:
    """What of an output has to travel: itself, if a folder; of a manifest, all of its folder."""
    if Path(path).is_dir():
        return [Path(path)]
    folder, name = Path(path).parent, Path(path).name
    parts = (part for part in folder.iterdir() if not part.name.startswith("."))
    return sorted(parts) if name in MANIFESTS else []


def own_beside(path: str) -> list[Path]:
    """Of a manifest that describes files of the user's, these."""
    if Path(path).name not in MANIFESTS:
        return []
    about = read_json(path)
    if Path(root := about.get("root", "")).is_relative_to(LINKS):
        # and what may say how people judged its captions
        files = [Path(root, file["path"]) for file in about["files"]]
        return list(dict.fromkeys([*files, *sorted(Path(root).glob("*.txt"))]))
    if about.get("source") == "features":
        names = (name.split("/", 1) for name in about["files"])
        return [Path(about[side]).parent / name for side, name in names]
    return []


def pack(bundle: str, paths: Iterable[Path]) -> None:
    """Write ``paths``, files and folders of the working directory, into one file, as they are."""
    with whole(bundle) as draft, tarfile.open(draft, "w", dereference=True) as tar:
        for path in paths:
            tar.add(path)


def unpack(bundle: Path) -> None:
    """Put the files of a bundle into the working directory, each whole or not at all.

    Jobs of one machine unpack side by side what they have in common: what is there is left alone,
    and so is what is the user's own, where it is.
    """
    todo = f"delete {bundle} in the storage and run again: the workflow makes it anew"
    try:
        with bundle.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                path = Path(member.name)
                if path.is_absolute() or ".." in path.parts or not path.parts:
                    expected = "a path below the run's folder"
                    raise BadInput(f"{bundle}, {member.name}", "a path out of it", expected, todo)
                is_own = Path(*path.parts[:2]).is_symlink()
                if not is_own and member.isfile() and not _is_there(path, member):
                    _put(path, tar, member)
            # where a header is damaged or cut off, the members would only seem to end
            stream.seek(tar.offset)
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError(f"no end of a tar at byte {tar.offset:,}")
    except tarfile.TarError as error:
        raise BadInput(bundle, str(error), "a whole bundle", todo) from None


def _put(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    content = tar.extractfile(member)
    with whole(path) as draft, draft.open("wb") as out:
        while block := content.read(2**20) if content else b"":
            out.write(block)
        out.flush()
        os.utime(draft, (member.mtime, member.mtime))


def _is_there(path: Path, member: tarfile.TarInfo) -> bool:
    try:
        about = path.stat()
    except OSError:
        return False
    return about.st_size == member.size and int(about.st_mtime) == int(member.mtime)
