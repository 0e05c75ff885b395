"""What the user's own folders hold, as a digest of contents that every plan can afford.

Snakemake reruns a step for a file of a later time stamp, and ``cp -p``, ``rsync -a``, ``tar x`` or
a link that is pointed elsewhere bring files of an earlier one. So a rule that reads a folder of the
user's has this digest as a param and none of its files as an input: whatever was replaced is
noticed, and ``touch`` reruns nothing.

A file is read again only where the system's notes of it changed: its size, its times of
modification and of change, its number. Notes and sums are kept in ``.snakemake/contents``; where
nothing can be kept, all is read each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from scripts.data.files import MADE_UP, MAX_BYTES, in_pieces
from scripts.job import BadInput, digest_of_file, whole
from scripts.letters import printable
from scripts.models.elsewhere import FOLDERS, TABLES
from scripts.models.weights import PICKLED

KEPT = Path(".snakemake/contents")
# files that may become part of a model, or tell what it is
OF_MODEL = (".safetensors", ".json", ".txt", ".model", *PICKLED)
# and of features that were made elsewhere
OF_FEATURES = (".npy", *TABLES)
OF_CLIP_RETRIEVAL = (*FOLDERS.values(), "metadata")
# what a training run keeps for itself, often larger than the model
OF_TRAINING = ("optimizer.*", "scheduler.*", "rng_state*", "trainer_state.json")
UNREADABLE = "unreadable"
# a file that was changed so shortly before it was read may change again within one tick of its
# clock, 2 s on a memory card, without a trace in the system's notes: it is read once more
TICK = 3 * 10**9
# more than cores: files on a disk of the network are waited for
THREADS = 8
# seconds after which it is said what the plan is waiting for
SILENT = 2.0


@cache
def contents_of_dataset(location: str) -> str:
    """Digest of names and contents of all that is below ``location``, behind links too.

    A hidden file counts by its size, since no step uses it; hidden folders are not entered. So does
    a file larger than any step reads, of which a step tells just that. What cannot be read, or is
    no file, counts as what it is: to say so in words is the job's.
    """
    return _digest(location, dict(_below(location)))


@cache
def contents_of_model(path: str) -> str:
    """Digest of names and contents of the files in ``path`` that a model may be made of.

    Links are followed. Other files count by their names, and folders not at all, as a training run
    may keep its checkpoints there; but those of a text tower's modules, which have a number.
    """
    found: dict[str, os.stat_result | str] = {}
    for entry in _entries(path):
        about = _notes(entry)
        if not isinstance(about, str) and stat.S_ISDIR(about.st_mode):
            if fnmatchcase(entry.name, "[0-9]_*"):
                found[entry.name] = contents_of_model(entry.path)
            continue
        of_training = any(fnmatchcase(entry.name, pattern) for pattern in OF_TRAINING)
        read = entry.name.endswith(OF_MODEL) and not entry.name.startswith(".") and not of_training
        found[entry.name] = about if read else "by its name"
    return _digest(path, found)


@cache
def contents_of_features(path: str) -> str:
    """Digest of names and contents of the files that features at ``path`` may be read from.

    Of a folder these are all of it that may hold vectors or name them, however large, also in the
    folders of clip-retrieval; of a file, those beside it that differ in the suffix alone.
    """
    if os.path.isdir(path):  # noqa: PTH112, a path may be too long to be one
        top, stem = path, None
        below = [("", path), *((f"{one}/", f"{path}/{one}") for one in OF_CLIP_RETRIEVAL)]
    else:
        top, _, name = path.rpartition("/")
        stem, below = name.rpartition(".")[0], [("", top or ".")]
    found = {
        above + entry.name: _notes(entry)
        for above, folder in below
        for entry in _entries(folder)
        if entry.name.endswith(OF_FEATURES) and stem in (None, entry.name.rpartition(".")[0])
    }
    return _digest(top or ".", found, path)


def _below(top: str) -> Iterator[tuple[str, os.stat_result | str]]:
    """Path of everything below ``top``, with the notes of a file, or a word for what is none.

    Each folder is entered once, by whatever links it is reached, so that circles of links end.
    """
    entered: dict[str, str] = {}
    waiting = [("", top)]
    while waiting:
        above, folder = waiting.pop()
        first = entered.setdefault(os.path.realpath(folder), above)
        if first != above:
            yield above, f"the folder {first}"
            continue
        for entry in _entries(folder):
            name, about, hidden = above + entry.name, _notes(entry), entry.name.startswith(".")
            if isinstance(about, str):
                yield name, about
            elif not stat.S_ISDIR(about.st_mode):
                unread = "hidden" if hidden else None if _is_small(entry.name, about) else "large"
                yield name, f"{unread}, {about.st_size} bytes" if unread else about
            elif not hidden:
                waiting.append((f"{name}/", entry.path))


def _is_small(name: str, about: os.stat_result) -> bool:
    return about.st_size <= MAX_BYTES or in_pieces(name)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _notes(entry: os.DirEntry[str]) -> os.stat_result | str:
    """What the system notes of a file or folder, or a word for what is neither."""
    try:
        about = entry.stat()
    except OSError:
        return "a link that leads nowhere"
    if about.st_dev in MADE_UP:
        return "of the system"
    # a pipe is never opened: it would wait for someone who writes
    plain = stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)
    return about if plain else f"kind {stat.S_IFMT(about.st_mode):o}"


def _digest(top: str, found: dict[str, os.stat_result | str], kept_as: str = "") -> str:
    files = {name: about for name, about in found.items() if not isinstance(about, str)}
    told = found | _sums(top, files, kept_as or top)
    lines = b"".join(os.fsencode(f"{name}\0{told[name]}\0") for name in sorted(told))
    return hashlib.sha256(lines).hexdigest()[:16]


def _sums(top: str, files: dict[str, os.stat_result], kept_as: str) -> dict[str, str]:
    """Sha256 of each of these files below ``top``; those with the same notes as before unread."""
    memory = KEPT / f"{hashlib.sha256(os.fsencode(kept_as)).hexdigest()[:16]}.json"
    before = _remembered(memory)
    keys = {name: _key(name, about) for name, about in files.items()}
    kept = {key: before[key] for key in keys.values() if key in before}
    anew = [name for name, key in keys.items() if key not in kept]
    size = sum(files[name].st_size for name in anew) / 1e6
    begun = time.time_ns()
    told = f"Reading what {printable(top)} holds, once: {len(anew):,} files, {size:,.0f} MB."
    read: dict[str, str] = {}

    def take(name: str) -> None:
        read[name] = _sum(f"{top}/{name}")

    try:
        with _said_if_slow(told), ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(take, anew))
    finally:
        # where the plan is stopped, too: the next one goes on from there
        for name, found in read.items():
            if found != UNREADABLE and _is_settled(files[name], begun):
                kept[keys[name]] = found
        if kept != before:
            # where nothing may be written, one may still plan
            with contextlib.suppress(OSError, BadInput), whole(memory) as draft:
                draft.write_text(json.dumps(kept, sort_keys=True), "ascii")
    return {name: read.get(name) or kept[key] for name, key in keys.items()}


def _key(name: str, about: os.stat_result) -> str:
    # not the device: a disk of the network has another number on each machine
    times = f"{about.st_mtime_ns} {about.st_ctime_ns}"
    return f"{about.st_size} {times} {about.st_ino} {name}"


def _is_settled(about: os.stat_result, now: int) -> bool:
    return about.st_ctime_ns < now - TICK and abs(about.st_mtime_ns - now) > TICK


def _remembered(memory: Path) -> dict[str, str]:
    try:
        found = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _sum(path: str) -> str:
    try:
        return digest_of_file(path)
    except OSError:
        return UNREADABLE


@contextlib.contextmanager
def _said_if_slow(words: str) -> Iterator[None]:
    """Say ``words`` where the block takes long; not on standard output, where a graph may go."""
    saying = threading.Timer(SILENT, print, [words], {"file": sys.stderr, "flush": True})
    saying.start()
    try:
        yield
    finally:
        saying.cancel()
