"""Files are there whole or not at all, and are refused when they changed since they were made."""

from __future__ import annotations

import errno
from collections import namedtuple
from types import SimpleNamespace

import pytest

from scripts import job
from scripts.job import BadInput, check_seals, drafts_in, seal, whole

MADE = ["results/tables/metrics.csv", "results/test/images.npy", "data/captions.json"]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Files that steps of the workflow have made, in its working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake").mkdir()
    for number, name in enumerate(MADE):
        with whole(name) as draft:
            draft.write_text(f"line {number}\n" * 3)
    seal(MADE)
    return tmp_path


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text(path.read_text()[:10]),
        lambda path: path.write_text(path.read_text()[: 2 * len("line 0\n")]),
        lambda path: path.write_text(""),
        lambda path: path.write_text(path.read_text().replace("line", "lime")),
        lambda path: path.write_text("line 7\n" * 3),
    ],
    ids=["cut", "cut at a line", "emptied", "changed", "swapped"],
)
def test_a_file_that_is_not_as_it_was_made_is_refused_and_taken_when_made_again(made, name, spoil):
    path = made / name
    content = path.read_text()
    check_seals(MADE)
    spoil(path)
    with pytest.raises(BadInput, match=f"delete {name} and run again"):
        check_seals(MADE)
    path.write_text(content)
    check_seals(MADE)


def test_all_files_that_changed_are_named_at_once(made):
    for name in MADE[:2]:
        (made / name).write_text("x")
    with pytest.raises(BadInput, match=f"delete {MADE[0]} and {MADE[1]} and run again"):
        check_seals(MADE)


def test_what_the_workflow_did_not_make_may_hold_anything(made):
    for name in ("mine.json", str(made / "mine.json")):
        (made / "mine.json").write_text("1")
        seal([str(made / "mine.json")])
        (made / "mine.json").write_text("2")
        check_seals([name, "missing.json"])


def test_another_file_made_anew_is_as_good(made):
    (made / MADE[0]).write_text("another")
    seal(MADE[:1])
    check_seals(MADE)


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


@pytest.mark.skipif(not job.Path("/dev/full").exists(), reason="no device that is always full")
def test_a_log_on_a_full_disk_does_not_hide_what_the_step_tells(capsys):
    def main(_):
        raise OSError(errno.ENOSPC, "No space left on device", "results/a.npy")

    given = SimpleNamespace(rule="r", wildcards=[], log=["/dev/full"], input=[], output=[])
    with pytest.raises(SystemExit):
        job.run(main, given)
    shown = capsys.readouterr().err
    assert "No space left on device: 'results/a.npy'" in shown and "to do:" in shown
    assert "Traceback" not in shown and "Logging error" not in shown
