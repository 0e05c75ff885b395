"""Tar archives, plain or packed by gzip: where in a file each member lies, found in one pass.

A packed one has no places to go to, and to begin anew for each member would take the square of its
size. It is unfolded once into a file without a name, on the disk that the results are written to
anyway; that file is gone when the process is, however it ends.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SUFFIXES = (".tar", ".tar.gz", ".tgz")
GZIP = b"\x1f\x8b"
# photos hardly fold at all: what unfolds so many times beyond a gigabyte is a bomb
RATIO, FREE = 100, 2**30
PIECE = 2**20
# bytes that are read to find the next member: of names, which may be long, and never of contents
MOST_OF_HEADS = 2**20
BLOCK = 512
# zeros behind the last member; archives are written in records of 10 KB, tapes had larger ones
MOST_OF_END = 2**20
# what unpacking raises where bytes are not as they should be
BROKEN = (gzip.BadGzipFile, zlib.error, EOFError)


class Refused(Exception):
    """Why an archive is not read, in words."""


class _Heads(io.RawIOBase):
    """An archive of which so many bytes at most are read, until ``left`` is set anew."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream, self.left = stream, MOST_OF_HEADS

    def read(self, size: int = -1, /) -> bytes:
        self.left -= size
        if size < 0 or self.left < 0:
            raise Refused(f"a member whose name takes more than {MOST_OF_HEADS:,} bytes")
        return self._stream.read(size)

    def seek(self, place: int, whence: int = 0, /) -> int:
        return self._stream.seek(place, whence)

    def tell(self) -> int:
        return self._stream.tell()


def is_tar(path: str) -> bool:
    """Whether a file's name says that it is a tar archive of a kind that is read."""
    return path.lower().endswith(SUFFIXES)


def is_packed(path: Path) -> bool:
    """Whether an archive begins as gzip does, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(len(GZIP)) == GZIP


def unfolded(path: Path, most: int) -> BinaryIO:
    """What gzip folded, in a file without a name; ``Refused`` beyond ``most`` bytes."""
    limit = min(most, max(FREE, path.stat().st_size * RATIO))
    size = 0
    made = tempfile.TemporaryFile(dir=Path.cwd())  # noqa: SIM115, read as long as the process is
    with gzip.open(path) as packed:
        while piece := packed.read(PIECE):
            size += len(piece)
            if size > limit:
                made.close()
                raise Refused(f"more than {limit:,} bytes unpacked")
            made.write(piece)
    made.seek(0)
    return made


def members(stream: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """All members that are no folders, in the order of the archive, none of them read.

    ``Refused`` where the archive is none, is cut short or is damaged between its members.
    """
    heads = _Heads(stream)
    try:
        with tarfile.open(
            fileobj=heads, mode="r:", encoding="utf-8", errors="surrogateescape"
        ) as tar:
            while True:
                heads.left = MOST_OF_HEADS
                info = tar.next()
                if info is None:
                    break
                if info.size < 0:
                    raise Refused(f"{info.name}: of {info.size} bytes")
                if not info.isdir():
                    yield info
                # it would keep all of them
                vars(tar)["members"].clear()
            end = tar.offset
    except Refused:
        raise
    # on damaged bytes the library raises nearly anything
    except Exception:
        raise Refused("not a tar archive, or one that is cut short") from None
    stream.seek(end)
    rest = stream.read(MOST_OF_END + 1)
    if len(rest) < BLOCK:
        raise Refused(f"cut short: no end at byte {end:,}")
    if len(rest) > MOST_OF_END or rest.strip(b"\0"):
        raise Refused(f"damaged, or of two archives: something else than an end at byte {end:,}")
