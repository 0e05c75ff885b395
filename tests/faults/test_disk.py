"""A disk that is full, and a folder that may not be written: told in words, and gone on from."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import RUN, assert_same

# what root may do beyond others: write where it is not allowed
AS_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of its own at ``folder`` with what stands there; skip where none can be had."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.name != "posix" or os.geteuid() != 0 or not mount or not umount:
        pytest.skip("only root can mount a small disk")
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder.with_name(f"{folder.name} kept")
    folder.rename(kept)
    folder.mkdir()
    command = [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True)


def fill(folder: Path, left: int) -> Path:
    """Take all space of the disk but ``left`` bytes; the file that does."""
    ballast = folder / "ballast"
    # without a buffer, what a download takes meanwhile makes the file shorter and is no error
    with ballast.open("wb", buffering=0) as stream:
        stream.write(bytes(shutil.disk_usage(folder).free - left))
    return ballast


def test_features_that_a_full_disk_has_no_room_for_are_told_and_made_by_the_same_command(finished):
    expected = finished.outcome()
    results = finished.folder / "results"
    for name in ("texts.plain.npy", "texts.plain.json"):
        (finished.folder / RUN / "clip-tiny/test" / name).unlink()
    with small_disk(results, "4m"):
        # room for the log, and for the beginning of the features
        ballast = fill(results, 8192)
        told = finished.fail()
        assert "No space left on device" in told and "free space" in told
        ballast.unlink()
        finished.finish()
        assert_same(finished.outcome(), expected)


def test_a_disk_without_room_for_the_notes_of_a_run_is_told_before_it_begins(finished):
    expected = finished.outcome()
    (finished.folder / RUN / "tables/metrics.csv").unlink()
    notes = finished.folder / ".snakemake"
    with small_disk(notes, "8m"):
        ballast = fill(notes, 2**19)
        told = finished.fail()
        assert "run.json cannot be written: No space left on device" in told
        ballast.unlink()
        finished.finish()
    assert_same(finished.outcome(), expected)


def as_others() -> tuple[str, ...]:
    """What to put before a command so that it may write no more than others may."""
    if os.name != "posix":
        pytest.skip("no permissions as on POSIX")
    if os.geteuid() != 0:
        return ()
    if not shutil.which(AS_OTHERS[0]) or subprocess.run([*AS_OTHERS, "true"]).returncode:
        pytest.skip("root may write everywhere, and setpriv cannot take that away here")
    return AS_OTHERS


def test_a_folder_that_may_not_be_written_is_told(finished):
    before = as_others()
    expected = finished.outcome()
    lacking = {
        "results": "tables/metrics.csv",
        "results/scenes/tables": "tables/pairs.csv",
        ".snakemake": "tables/gallery.csv",
    }
    for name in lacking.values():
        (finished.folder / RUN / name).unlink()
    for read_only in lacking:
        folder = finished.folder / read_only
        below = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        modes = {path: path.stat().st_mode for path in below}
        for path in below:
            path.chmod(0o555)
        try:
            told = finished.fail(before=before)
            assert "Permission denied" in told and read_only in told, told
        finally:
            for path, mode in modes.items():
                path.chmod(mode)
    finished.finish()
    assert_same(finished.outcome(), expected)
