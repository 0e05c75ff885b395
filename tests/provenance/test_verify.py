"""A run is confirmed where every byte is as recorded; else each file that is not is named."""

import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from scripts.provenance import verify as command
from scripts.provenance.crate import read_crate
from scripts.provenance.verify import main, verify

ROOT = Path(__file__).parents[2]


def differences(recording) -> set[tuple[str, str]]:
    return {(what, name) for what, name, *_ in verify(Path("results/toy")).differences}


def test_a_run_that_nobody_touched_is_confirmed(recorded, capsys):
    assert main(["results/toy"]) == 0
    count = len(read_crate(recorded.crate))
    assert f"results/toy: {count} files, all as recorded" in capsys.readouterr().out


def test_one_changed_byte_is_named_with_both_checksums_in_every_file_of_the_record(
    recorded, capsys
):
    files = [*(f"results/toy/{name}" for name in [*recorded.made, "config.yaml"]), *recorded.known]
    for name in files:
        path = recorded.folder / name
        before = path.read_bytes()
        path.write_bytes(bytes([before[0] ^ 1]) + before[1:])
        assert main(["results/toy"]) == 1, name
        told = capsys.readouterr().out
        assert f"changed: {name}\n" in told and "to do:" in told
        assert told.count("sha256") >= 3
        path.write_bytes(before)
    assert main(["results/toy"]) == 0


def test_names_that_a_terminal_would_obey_are_told_in_letters(recorded, capsys):
    recorded.write("results/toy/\x1b[2J\udcff.csv", b"x")
    assert main(["results/toy"]) == 1
    assert "new: results/toy/\\x1b[2J\\udcff.csv" in capsys.readouterr().out


def test_missing_and_new_files_are_named(recorded):
    (recorded.results / "tables/metrics.csv").unlink()
    recorded.write("results/toy/tables/extra.csv", b"x")
    assert differences(recorded) == {
        ("missing", "results/toy/tables/metrics.csv"),
        ("new", "results/toy/tables/extra.csv"),
    }


def test_of_a_datasets_images_the_ones_that_differ_are_named(recorded):
    recorded.write("data/toy/images/a.png", b"b picture")
    recorded.write("data/toy/images/new.png", b"x")
    assert differences(recorded) == {
        ("changed", "data/toy/images/a.png"),
        ("new", "data/toy/images/new.png"),
    }
    (recorded.folder / "data/toy/images/a.png").unlink()
    assert ("missing", "data/toy/images/a.png") in differences(recorded)


def test_what_systems_and_running_jobs_leave_behind_is_not_new(recorded):
    recorded.write("results/toy/.DS_Store", b"x")
    recorded.write("results/toy/tables/.metrics.123.draft.csv", b"x")
    assert differences(recorded) == set()


def test_results_that_were_moved_are_confirmed_without_their_data_which_is_told(recorded, capsys):
    moved = recorded.folder / "elsewhere" / "results"
    moved.mkdir(parents=True)
    recorded.results.rename(moved / "renamed")
    assert main([str(moved / "renamed")]) == 0
    told = capsys.readouterr().out
    assert f"{len(recorded.made) + 1} files, all as recorded" in told
    assert "not here, so not looked at: data/toy" in told and "data/models/tiny" in told


def test_deleted_archives_are_told_and_are_no_difference(recorded, capsys):
    (recorded.folder / "data/toy/raw/photos.zip").unlink()
    assert main(["results/toy"]) == 0
    assert "not looked at: data/toy/raw/photos.zip" in capsys.readouterr().out


def test_every_recorded_run_is_looked_at_where_none_is_named(recorded, capsys):
    other = recorded.folder / "results/other"
    other.mkdir()
    for path in recorded.results.iterdir():
        (other / path.name).symlink_to(path)
    assert main(["--results", "results"]) == 0
    told = capsys.readouterr().out
    assert "results/other: " in told and "results/toy: " in told


def test_the_sum_of_the_record_is_told_so_that_it_can_be_kept_elsewhere(recorded, capsys):
    main(["results/toy"])
    assert hashlib.sha256(recorded.crate.read_bytes()).hexdigest() in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no such file"),
        (b"{", "Expecting property name"),
        (b"[]", "no @graph"),
        (b'{"@graph": [{"@id": "a"}]}', "no file with a checksum"),
        (b'{"@graph": [{"@id": "a", "sha256": "b"}]}', "'sha256': 'b'"),
    ],
)
def test_without_a_readable_record_one_message_says_what_to_do(recorded, capsys, content, found):
    recorded.crate.unlink() if content is None else recorded.crate.write_bytes(content)
    assert main(["results/toy"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("ERROR in results/toy") and found in told and "to do:" in told


def test_where_nothing_was_recorded_it_says_how_to_make_a_run(tmp_path, capsys):
    assert main(["--results", str(tmp_path)]) == 1
    assert "make a run first: ./run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/../../b", "%2e%2e/b", "#data/../x"]
)
def test_a_record_that_names_what_lies_outside_is_refused(recorded, capsys, name):
    record = json.loads(recorded.crate.read_text("utf-8"))
    record["@graph"].append({"@id": name, "contentSize": "1", "sha256": "0" * 64})
    recorded.crate.write_text(json.dumps(record))
    assert main(["results/toy"]) == 1
    assert "to do:" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_in_the_place_of_a_file_does_not_hang(recorded):
    path = recorded.results / "tables/metrics.csv"
    path.unlink()
    os.mkfifo(path)
    assert ("changed", "results/toy/tables/metrics.csv") in differences(recorded)


def test_it_reads_a_large_file_piece_by_piece(recorded):
    size = 300 * 2**20
    with (recorded.results / "report.en.html").open("wb") as stream:
        stream.truncate(size)
    tracemalloc.start()
    try:
        told = verify(Path("results/toy")).differences
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [found for _, _, found, _ in told if f"{size:,} bytes" in found]
    assert peak < size / 20


def test_it_needs_nothing_but_python(recorded):
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c",
         f"import sys; sys.path.insert(0, {str(ROOT)!r});"
         "from scripts.provenance.verify import main; sys.exit(main(['results/toy']))"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "all as recorded" in done.stdout


def test_a_folder_that_cannot_be_read_is_told_and_is_no_traceback(recorded, monkeypatch, capsys):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", "results/toy/report.en.html")

    monkeypatch.setattr(command, "described", refuse)
    assert main(["results/toy"]) == 1
    assert "Permission denied" in capsys.readouterr().err
