"""Files from elsewhere, in an archive or a folder, as names and ways to read them.

Nothing here is trusted: a name may try to leave its folder, a member may unfold to terabytes, a
link may lead around for ever. Nothing is unpacked: a member is read straight from its archive, from
its place there. Links in a folder are the choice of whoever has it there, and are followed; in an
archive they are not.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from scripts.data import tars
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


class Member(NamedTuple):
    """A file in an archive: its bytes by what the archive says, and a call that reads it."""

    size: int
    read: Read


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
    """What archives, folders and single files below ``root`` hold.

    Parameters
    ----------
    root : folder that ``paths`` are relative to
    paths : of zip or tar archives, folders or files

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
        if is_archive(path):
            files |= {name: one.read for name, one in members_of(root / path).items()}
        else:
            files |= _below(root, path)
    kept = {name: files[name] for name in sorted(files) if not is_litter(name)}
    return kept, sorted(files.keys() - kept.keys())


def open_tree(root: Path, paths: list[str]) -> tuple[dict[str, Read], list[str]]:
    """As ``open_files``, with all archives below ``paths`` opened, wherever they stand.

    A member is called by the path of its archive and its name there; "." stands for all of
    ``root``. An archive of which all was unpacked beside it is passed over.
    """
    found: dict[str, Member] = {}
    packed: dict[str, dict[str, Member]] = {}
    for path in ["" if path == "." else path for path in paths]:
        top = root / path
        names = [path] if path and not top.is_dir() else [
            f"{path}/{name}" if path else name for name in paths_below(top)
        ]  # fmt: skip
        for name in names:
            place = root / name
            if is_archive(name) and not is_litter(name) and is_file(place):
                packed[name] = members_of(place)
            else:
                size = place.stat().st_size if is_file(place) else -1
                found[name] = Member(size, partial(_read_file, place))
    for name, members in packed.items():
        if not _is_unpacked(name, members, found):
            found |= {f"{name}/{inner}": one for inner, one in members.items()}
    kept = {name: found[name].read for name in sorted(found) if not is_litter(name)}
    return kept, sorted(found.keys() - kept.keys())


def _is_unpacked(name: str, members: dict[str, Member], found: dict[str, Member]) -> bool:
    """Whether all that an archive holds stands beside it, or in a folder of its name."""
    above = name.rpartition("/")[0]
    members = {inner: one for inner, one in members.items() if not is_litter(inner)}
    for folder in (above, re.sub(r"(\.zip|\.tar|\.tar\.gz|\.tgz)$", "", name, flags=re.IGNORECASE)):
        places = {f"{folder}/{inner}".lstrip("/"): one.size for inner, one in members.items()}
        if places and all(to in found and found[to].size == size for to, size in places.items()):
            return True
    return False


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
            if is_file(path) if in_pieces(name) else _is_readable(path):
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
    for member in members_of(path).values():
        try:
            member.read()
        except Unusable as error:
            raise BadInput(path, error.detail, "a whole archive", "get the archive again") from None


def is_archive(name: str) -> bool:
    """Whether a file's name says that it is an archive of a kind that is read."""
    return name.lower().endswith(".zip") or tars.is_tar(name)


def in_pieces(name: str) -> bool:
    """Whether a file of this name is read in pieces, however large it is."""
    return is_archive(name) or name.lower().endswith(".parquet")


def members_of(path: Path) -> dict[str, Member]:
    """Files in a zip or tar archive, by their names there, in its order.

    ``BadInput`` where it cannot be read, or has a member that no honest archive has.
    """
    kind = "tar" if tars.is_tar(path.name) else "zip"
    try:
        if path.is_dir():
            raise BadInput(
                path, "a folder", f"a {kind} archive", "give the folder the name of what it holds"
            )
        if path.exists() and not is_file(path):
            raise OSError("not a plain file")
        return _members_of_tar(path) if kind == "tar" else _members_of_zip(path)
    except tars.Refused as error:
        found, todo = str(error), "get the archive again, from who made it"
    except BROKEN_ARCHIVE as error:
        # there is no room to unfold it
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        found = f"not a {kind} archive, or one that is cut short ({error})"
        todo = "delete it, so that it is downloaded again; or get it again yourself"
    raise BadInput(path, found, f"a whole {kind} archive", todo)


def _members_of_zip(path: Path) -> dict[str, Member]:
    archive = zipfile.ZipFile(path)
    infos = [info for info in archive.infolist() if not info.is_dir()]
    found = ((info.filename, info.file_size, _fault_of_zip(info)) for info in infos)
    try:
        _check_members(path, found)
    except BadInput:
        archive.close()
        raise
    return {
        info.filename: Member(info.file_size, partial(_read_member, archive, info))
        for info in infos
    }


def _fault_of_zip(info: zipfile.ZipInfo) -> str | None:
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return "a link or a device"
    if info.flag_bits & 0x1:
        return "encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"packed by method {info.compress_type}, not stored or deflated"
    return None


def _members_of_tar(path: Path) -> dict[str, Member]:
    with contextlib.ExitStack() as opened:
        stream: BinaryIO
        if tars.is_packed(path):
            stream = kept = tars.unfolded(path, MAX_TOTAL_BYTES)
        else:
            stream, kept = opened.enter_context(path.open("rb")), None
        found: dict[str, Member] = {}

        def told() -> Iterator[tuple[str, int, str | None]]:
            for info in tars.members(stream):
                # as "tar -C folder ." writes them
                name = info.name.removeprefix("./")
                plain = info.isreg() and not info.issparse()
                yield name, info.size, None if plain else "a link or a device"
                read = partial(_read_part, kept or path, info.offset_data, info.size)
                found[name] = Member(info.size, read)

        _check_members(path, told())
    return found


def _check_members(path: Path, members: Iterable[tuple[str, int, str | None]]) -> None:
    """``BadInput`` where a member, by its name, bytes and fault, is one that none should have."""
    if refused := _why_refused(members):
        raise BadInput(
            path,
            refused,
            "an archive of plain photos and text files",
            "do not use this archive; get it from its official address",
        )


def _why_refused(members: Iterable[tuple[str, int, str | None]]) -> str | None:
    seen: set[str] = set()
    total = 0
    for name, size, fault in members:
        if unsafe := why_unsafe(name):
            return f"a member named {name!r}: {unsafe}"
        if fault:
            return f"{name}: {fault}"
        if size > MAX_BYTES:
            return f"{name}: {size:,} bytes unpacked, more than {MAX_BYTES:,}"
        if name in seen:
            return f"{name}: there twice"
        seen.add(name)
        total += size
        if len(seen) > MAX_MEMBERS:
            return f"more than {MAX_MEMBERS:,} members"
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


def _read_part(file: Path | BinaryIO, place: int, size: int) -> bytes:
    """``size`` bytes from ``place`` of a file; of one that is open, whoever else reads it."""
    try:
        if isinstance(file, Path):
            # opened for each: a dataset may lie in more archives than a process may have open
            with file.open("rb") as stream:
                content = os.pread(stream.fileno(), size, place)
        else:
            content = os.pread(file.fileno(), size, place)
    except OSError as error:
        raise Unusable(UNREADABLE, error.strerror or type(error).__name__) from None
    if len(content) < size:
        raise Unusable(UNREADABLE, "cut short in the archive")
    return content


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
