"""Files from elsewhere, in a zip archive or a folder, as names and ways to read them.

Nothing here is trusted: a name may try to leave its folder, a member may unfold to terabytes, a
link may lead around for ever. Nothing is unpacked: a member is read straight from its archive, by
name. Links in a folder are the choice of whoever has it there, and are followed; in an archive they
are not.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from scripts.data.audit import MISSING, OVERSIZED, UNREADABLE, Unusable
from scripts.job import BadInput, digest_of_file, is_folder, not_utf8

# Flickr8k has 8,000 photos in 1.1 GB; these leave room for much more, and none for a bomb
MAX_MEMBERS = 200_000
MAX_BYTES = 256 * 2**20
MAX_TOTAL_BYTES = 64 * 2**30
# files and folders that links may bring into a folder, which may lead to one another
MAX_LINKED = 1_000_000
# captions of a million images; lines of a text take many times its bytes
MAX_TEXT_BYTES = 64 * 2**20
# of a part of a path, and of a path below a folder of ours, which is some way down itself
MAX_NAME, MAX_PATH = 240, 900

# disks whose files are made up as they are read, some without an end
MADE_UP = {Path(p).stat().st_dev for p in ("/proc", "/sys", "/dev") if Path(p).is_dir()}
MADE_UP -= {Path("/").stat().st_dev}

# what reading a zip archive raises where its bytes are not as they should be
BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,  # a place before the file's beginning
    OverflowError,
    RuntimeError,
    ValueError,
)

Read = Callable[[], bytes]


def why_unsafe(name: str) -> str | None:
    """Why ``name`` must not become a path below a folder of ours; None where it may."""
    parts = name.split("/")
    if "\\" in name or name.startswith("/") or name[1:2] == ":":
        return "not a relative path with / between its parts"
    if any(part in ("", ".", "..") for part in parts):
        return "a part of the path is empty, . or .."
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "a control character, or bytes that are not UTF-8"
    # a file system takes 255 bytes, and a converted image gets a longer name
    if any(len(part.encode()) > MAX_NAME for part in parts):
        return f"longer than {MAX_NAME} bytes"
    if len(name.encode()) > MAX_PATH:
        return f"a path longer than {MAX_PATH} bytes"
    return None


def is_litter(name: str) -> bool:
    """Whether an operating system left this beside the files that a person put there."""
    parts = name.split("/")
    return (
        "__MACOSX" in parts
        or parts[-1].casefold() in ("thumbs.db", "desktop.ini")
        or any(part.startswith(".") and part not in (".", "..") for part in parts)
    )


def open_files(root: Path, paths: list[str]) -> tuple[dict[str, Read], list[str]]:
    """What zip archives, folders and single files below ``root`` hold.

    Parameters
    ----------
    root : folder that ``paths`` are relative to
    paths : of zip archives, folders or files

    Returns
    -------
    files : name -> a call that reads it, sorted by name. A member of an archive has its name there,
        a file in a folder its path below ``root``. Reading raises ``Unusable``.
    litter : names that an operating system left there

    Raises
    ------
    BadInput
        where an archive cannot be read, or has a member that no honest archive has
    """
    files: dict[str, Read] = {}
    for path in paths:
        if path.lower().endswith(".zip"):
            files |= _members(root / path)
        else:
            files |= _below(root, path)
    kept = {name: files[name] for name in sorted(files) if not is_litter(name)}
    return kept, sorted(files.keys() - kept.keys())


def digest_of_folder(folder: Path) -> tuple[int, int, str]:
    """Number of files below ``folder``, their bytes, and sha256 over names and contents."""
    files = sums_of_folder(folder)
    sums = {name: sha256 for name, (_, sha256) in files.items()}
    return len(files), sum(size for size, _ in files.values()), digest_of_sums(sums)


def sums_of_folder(folder: Path) -> dict[str, tuple[int, str]]:
    """Bytes and sha256 of each file below ``folder``, by its path there.

    Files are those that ``open_files`` reads, behind links too.
    """
    found = {}
    for name in paths_below(folder):
        path = folder / name
        # what cannot be read now is set aside, with its reason; it may be readable the next time
        with contextlib.suppress(OSError, Unusable):
            if _is_readable(path):
                found[name] = (path.stat().st_size, digest_of_file(path))
    return found


def digest_of_sums(sums: Mapping[str, str]) -> str:
    """sha256 over the names and sums of files."""
    together = hashlib.sha256()
    for name in sorted(sums, key=lambda name: name.split("/")):
        together.update(os.fsencode(name) + b"\0" + sums[name].encode() + b"\n")
    return together.hexdigest()


def paths_below(folder: Path) -> Iterator[str]:
    """Paths below ``folder`` of all that is no folder, links followed.

    A link that leads back to a folder that it is in counts as a file, which none can read.
    """
    linked = 0
    # path below the folder, where it really is, and where the links on the way there stand
    waiting: list[tuple[str, str, tuple[str, ...]]] = [("", os.path.realpath(folder), ())]
    while waiting:
        inner, real, links_at = waiting.pop()
        try:
            with os.scandir(real) as found:
                entries = list(found)
        except OSError as error:
            why, todo = error.strerror or str(error), "let it be read, or take it away"
            raise BadInput(folder / inner, why, "a folder that may be read", todo) from None
        linked += len(entries) if links_at else 0
        if linked > MAX_LINKED:
            raise BadInput(
                folder / inner,
                f"more than {MAX_LINKED:,} files and folders behind links",
                "links that do not lead to one another",
                "take away links to folders that hold links",
            )
        for entry in entries:
            name, target, way = f"{inner}{entry.name}", entry.path, links_at
            if entry.is_symlink():
                target, way = os.path.realpath(entry.path), (*links_at, real)
            inside = is_folder(Path(target)) and not _is_made_up(Path(target).stat())
            if inside and not (entry.is_symlink() and any(_holds(target, at) for at in way)):
                waiting.append((f"{name}/", target, way))
            else:
                yield name


def _holds(folder: str, path: str) -> bool:
    """Whether ``path`` is ``folder`` or lies in it."""
    return os.path.commonpath([folder, path]) == folder


def check_archive(path: Path) -> None:
    """Read an archive whole; ``BadInput`` where a member does not fit its checksum."""
    for read in _members(path).values():
        try:
            read()
        except Unusable as error:
            raise BadInput(
                path, error.detail, "a whole zip archive", "get the archive again"
            ) from None


def _members(path: Path) -> dict[str, Read]:
    try:
        if not path.is_dir() and path.exists() and not is_file(path):
            raise OSError("not a plain file")
        archive = zipfile.ZipFile(path)
    except IsADirectoryError:
        raise BadInput(
            path, "a folder", "a zip archive", "give the folder the name of what it holds"
        ) from None
    except BROKEN_ARCHIVE as error:
        raise BadInput(
            path,
            f"not a zip archive, or one that is cut short ({error})",
            "a whole zip archive",
            "delete it, so that it is downloaded again; or get it again yourself",
        ) from None
    members = [info for info in archive.infolist() if not info.is_dir()]
    refused = _why_refused(members)
    if refused:
        archive.close()
        raise BadInput(
            path,
            refused,
            "an archive of plain photos and text files",
            "do not use this archive; get it from its official address",
        )
    return {info.filename: partial(_read_member, archive, info) for info in members}


def _why_refused(members: list[zipfile.ZipInfo]) -> str | None:
    if len(members) > MAX_MEMBERS:
        return f"{len(members):,} members, more than {MAX_MEMBERS:,}"
    seen: set[str] = set()
    for info in members:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if unsafe := why_unsafe(info.filename):
            return f"a member named {info.filename!r}: {unsafe}"
        if kind not in (0, stat.S_IFREG):
            return f"{info.filename}: a link or a device"
        if info.flag_bits & 0x1:
            return f"{info.filename}: encrypted"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"{info.filename}: packed by method {info.compress_type}, not stored or deflated"
        if info.file_size > MAX_BYTES:
            return f"{info.filename}: {info.file_size:,} bytes unpacked, more than {MAX_BYTES:,}"
        if info.filename in seen:
            return f"{info.filename}: there twice"
        seen.add(info.filename)
    total = sum(info.file_size for info in members)
    if total > MAX_TOTAL_BYTES:
        return f"{total:,} bytes unpacked, more than {MAX_TOTAL_BYTES:,}"
    return None


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as stream:
            # what unfolds beyond its declared size, which was checked, fails by its checksum
            return stream.read(info.file_size)
    except BROKEN_ARCHIVE as error:
        raise Unusable(UNREADABLE, f"damaged in the archive ({error})") from None


def _below(root: Path, path: str) -> dict[str, Read]:
    top = root / path
    if not top.is_dir():
        return {path: partial(_read_file, top)}
    names = (f"{path}/{name}" for name in paths_below(top))
    return {name: partial(_read_file, root / name) for name in names}


def is_file(path: Path) -> bool:
    """Whether this is a plain file, behind whatever links, and none that a system makes up."""
    try:
        about = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(about.st_mode) and not _is_made_up(about)


def _is_made_up(about: os.stat_result) -> bool:
    # such a file may have no end, or wait for ever for what is to come
    return about.st_dev in MADE_UP


def _is_readable(path: Path) -> bool:
    """Whether this is a plain file, behind whatever links.

    ``Unusable`` where it is too large, or made up by the system.
    """
    about = path.stat()
    if about.st_size > MAX_BYTES:
        raise Unusable(OVERSIZED, f"{about.st_size:,} bytes, more than {MAX_BYTES:,}")
    if stat.S_ISREG(about.st_mode) and _is_made_up(about):
        raise Unusable(UNREADABLE, "of the system, not a file on a disk")
    return stat.S_ISREG(about.st_mode)


def _read_file(path: Path) -> bytes:
    """Bytes of the plain file that ``path`` is, or leads to."""
    try:
        # a pipe would wait for ever, and a device never end
        if not _is_readable(path):
            raise Unusable(UNREADABLE, "not a plain file")
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES)
    except FileNotFoundError:
        told = (
            "a link that leads nowhere (if a tool keeps your data, get it: dvc pull, git annex get)"
        )
        raise Unusable(MISSING, told) from None
    except OSError as error:
        loop = error.errno == errno.ELOOP
        why = "a loop of links" if loop else error.strerror or type(error).__name__
        raise Unusable(UNREADABLE, why) from None


def images_folder(root: Path) -> str | None:
    """Name of the folder "images" in ``root``, which may be written in another case."""
    if not root.is_dir():
        return None
    named_so = sorted(path for path in root.iterdir() if path.name.casefold() == "images")
    # where names may differ in case alone, links may lead from one to the other
    folders = {os.path.realpath(path): path.name for path in named_so if path.is_dir()}
    full = [name for name in folders.values() if any(open_files(root, [name])[0])]
    if len(full) > 1:
        raise BadInput(
            root.absolute(),
            f"the folders {' and '.join(full)}, both with files",
            "one folder of images",
            "put all images into one of them, or take away the one that is not meant",
        )
    return next(iter(full or folders.values()), None)


def in_folder(files: dict[str, Read], folder: str) -> dict[str, Read]:
    """Files below a folder of this name, whatever its case, by their path in it."""
    found: dict[str, Read] = {}
    full_name: dict[str, str] = {}
    for name, read in files.items():
        parts = name.split("/")
        folders = [part.casefold() for part in parts[:-1]]
        if folder.casefold() in folders:
            short = "/".join(parts[folders.index(folder.casefold()) + 1 :])
            if short in found:
                raise BadInput(
                    name,
                    f"the same name in {folder} as {full_name[short]}",
                    "each image once",
                    "take one of the two out",
                )
            found[short], full_name[short] = read, name
    return found


def named(files: dict[str, Read], name: str) -> str | None:
    """The file of this name that lies least deep."""
    found = [path for path in files if path.split("/")[-1] == name]
    return min(found, key=lambda path: (path.count("/"), path), default=None)


def text_of(files: dict[str, Read], name: str, root: Path) -> tuple[str, str]:
    """Contents of the text file ``name``, and how to call it in a message."""
    where = f"{root}, {name}"
    path = named(files, name)
    if path is None:
        raise BadInput(where, "no such file", "one of the dataset's files", "get the whole dataset")
    try:
        content = files[path]()
        if len(content) > MAX_TEXT_BYTES:
            size = f"{len(content):,} bytes, more than {MAX_TEXT_BYTES:,}"
            raise Unusable(OVERSIZED, size)
        return content.decode("utf-8-sig"), where
    except Unusable as error:
        raise BadInput(where, str(error), "a text file", "get the archive again") from None
    except UnicodeDecodeError as error:
        raise not_utf8(where, error, "get the file again, or save it as UTF-8") from None
