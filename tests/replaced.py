"""Ways in which tools put one file in the place of another of the same size."""

from __future__ import annotations

import os
from pathlib import Path

OLD = 10**18  # a time stamp of 2001


PHOTO, OTHER = b"\xff\xd8\xff one", b"\xff\xd8\xff two"


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def aged(path: Path, like: os.stat_result | None = None) -> Path:
    """The file with an old time stamp, or that of another."""
    stamp = like.st_mtime_ns if like else OLD
    os.utime(path, ns=(stamp, stamp))
    return path


def in_place(path: Path) -> None:  # cp -p
    path.write_bytes(OTHER)
    aged(path)


def moved_there(path: Path) -> None:  # rsync -a, mv
    aged(written(path.with_name("coming"), OTHER)).replace(path)


def made_anew(path: Path) -> None:  # tar x
    path.unlink()
    aged(written(path, OTHER))


def under_the_same_time_stamp(path: Path) -> None:  # rsync --times of an edit within a second
    before = path.stat()
    path.write_bytes(OTHER)
    aged(path, before)


def by_a_link(path: Path) -> None:  # ln -sf, dvc checkout
    other = aged(written(path.parents[2] / "cache" / "other", OTHER))
    path.unlink()
    path.symlink_to(other)


def by_a_hard_link(path: Path) -> None:  # cp -l, uv, ostree
    other = aged(written(path.parents[2] / "cache" / "other", OTHER))
    path.unlink()
    path.hardlink_to(other)


WAYS = [in_place, moved_there, made_anew, under_the_same_time_stamp, by_a_link, by_a_hard_link]
