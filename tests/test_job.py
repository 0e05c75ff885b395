"""Files are there whole or not at all, and what goes wrong is told in words."""

from __future__ import annotations

import errno
from collections import namedtuple

import pytest

from scripts import job
from scripts.job import drafts_in, whole


def test_a_block_that_fails_leaves_what_was_there_and_no_draft(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("before")
    with pytest.raises(ValueError, match="no"), whole(path) as draft:
        draft.write_text("half")
        assert list(drafts_in(tmp_path)) == [draft]
        raise ValueError("no")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_the_place_of_one_that_is_full(tmp_path):
    path = tmp_path / "images"
    path.mkdir()
    (path / "old.png").touch()
    with whole(path) as draft:
        draft.mkdir()
        (draft / "new.png").touch()
    assert [one.name for one in path.iterdir()] == ["new.png"]
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "metrics.json"
    with whole(path) as first, whole(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() in ("first", "second")


@pytest.mark.parametrize("name", ["images.npy", ".hidden.npy", ".images.draft.npy", "a.draft"])
def test_no_file_of_a_user_is_taken_for_a_draft(tmp_path, name):
    (tmp_path / name).touch()
    assert not list(drafts_in(tmp_path))


def test_a_library_that_keeps_it_to_itself_that_the_disk_is_full_is_understood(
    tmp_path, monkeypatch
):
    usage = namedtuple("usage", "total used free")
    with pytest.raises(OSError, match="requested and 0 written"), whole(tmp_path / "a.npy"):
        raise OSError("100 requested and 0 written")  # as numpy tells it
    monkeypatch.setattr(job.shutil, "disk_usage", lambda _: usage(9, 9, 0))
    with pytest.raises(OSError, match="No space left") as told, whole(tmp_path / "a.npy"):
        raise OSError("100 requested and 0 written")
    assert told.value.errno == errno.ENOSPC
