"""A run is confirmed where every byte is as recorded; else each file that is not is named."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.provenance import verify as command
from scripts.provenance.crate import described, read_crate
from scripts.provenance.verify import main, verify

ROOT = Path(__file__).parents[2]
KINDS = tuple(f"{kind}: " for kind in command.TO_DO)


def differences(recording) -> set[tuple[str, str]]:
    return {(what, name) for what, name, *_ in verify(Path("results/toy")).differences}


def test_a_run_that_nobody_touched_is_confirmed(recorded, capsys):
    assert main(["results/toy"]) == 0
    count = sum(map(len, read_crate(recorded.crate)))
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
    shutil.copytree(recorded.results, recorded.folder / "results/other")
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


def test_what_cannot_be_read_is_told_and_the_rest_is_looked_at(recorded, monkeypatch, capsys):
    def refuse(path, name):
        if name == "report.en.html":
            raise PermissionError(13, "Permission denied", str(path))
        return described(path, name)

    monkeypatch.setattr(command, "described", refuse)
    (recorded.results / "tables/metrics.csv").unlink()
    assert main(["results/toy"]) == 1
    told = capsys.readouterr().out
    assert "unreadable: results/toy/report.en.html\n  found:    Permission denied" in told
    assert "missing: results/toy/tables/metrics.csv" in told


def test_a_record_that_cannot_be_read_hides_no_other(recorded, capsys):
    shutil.copytree(recorded.results, recorded.folder / "results/broken")
    (recorded.folder / "results/broken" / recorded.crate.name).write_text("{")
    assert main(["--results", "results"]) == 1
    told = capsys.readouterr()
    assert "ERROR in results/broken" in told.err
    assert "results/toy: 13 files, all as recorded" in told.out


# --- whatever a person, a program or an attacker may leave there


def link(path: str, target: str) -> Callable[[Path], None]:
    """Put a link at ``path``, to ``target`` from its folder."""
    return lambda here: (here / path).symlink_to(target)


def swap(path: str) -> Callable[[Path], None]:
    """Move what is at ``path`` elsewhere, and leave a link to it."""

    def change(here: Path) -> None:
        (here / path).rename(here / "elsewhere")
        (here / path).symlink_to(here / "elsewhere")

    return change


def write(path: str, content: str = "x") -> Callable[[Path], None]:
    def change(here: Path) -> None:
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_text(content)

    return change


def remove(path: str) -> Callable[[Path], None]:
    return lambda here: (
        shutil.rmtree(here / path) if (here / path).is_dir() else (here / path).unlink()
    )


def after(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda here: [change(here) for change in changes][-1]


DIFFERENT = {
    "a file of a model called data": (
        write("results/toy/data/test/images.npy"),
        "changed: results/toy/data/test/images.npy",
    ),
    "a file of a model called raw": (
        write("results/toy/raw/test/images.npy"),
        "changed: results/toy/raw/test/images.npy",
    ),
    "a file whose name begins with #": (
        write("results/toy/#report.md#"),
        "changed: results/toy/#report.md#",
    ),
    "a file whose name is that of data": (
        write("results/toy/data/notes.txt"),
        "changed: results/toy/data/notes.txt",
    ),
    "one of them gone": (remove("results/toy/#report.md#"), "missing: results/toy/#report.md#"),
    "one more of them": (write("results/toy/data/more.txt"), "new: results/toy/data/more.txt"),
    "a linked folder": (
        link("results/toy/tiny/evil", "../.."),
        "new: results/toy/tiny/evil\n  found:    a link to ../..",
    ),
    "a link that leads nowhere": (link("results/toy/gone", "nowhere"), "new: results/toy/gone"),
    "a link to itself": (link("results/toy/loop", "loop"), "new: results/toy/loop"),
    "a folder swapped for a link": (
        swap("results/toy/tables"),
        "changed: results/toy/tables\n  found:    a link to",
    ),
    "a report swapped for a link": (
        swap("results/toy/report.en.html"),
        "changed: results/toy/report.en.html\n  found:    a link to",
    ),
    "a folder in place of a file": (
        after(remove("results/toy/report.en.html"), write("results/toy/report.en.html/x")),
        "changed: results/toy/report.en.html",
    ),
    "a file in place of a folder": (
        after(remove("results/toy/tables"), write("results/toy/tables")),
        "missing: results/toy/tables/",
    ),
    "a pipe": (
        lambda here: os.mkfifo(here / "results/toy/pipe"),
        "new: results/toy/pipe\n  found:    a pipe",
    ),
    "a new file of a model": (
        write("data/models/tiny/added_tokens.json"),
        "new: data/models/tiny/added_tokens.json",
    ),
    "a new folder of a model": (
        write("data/models/tiny/raw/x.json"),
        "new: data/models/tiny/raw/x.json",
    ),
    "a linked file of a model": (
        link("data/models/tiny/merges.txt", "/etc/hosts"),
        "new: data/models/tiny/merges.txt",
    ),
    "weights swapped for a link": (
        swap("data/models/tiny/model.safetensors"),
        "changed: data/models/tiny/model.safetensors\n  found:    a link to",
    ),
    "a new file of the data": (write("data/toy/evil.json"), "new: data/toy/evil.json"),
    "a record among the data": (
        write("data/toy/ro-crate-metadata.json"),
        "new: data/toy/ro-crate-metadata.json",
    ),
    "captions swapped for a link": (
        swap("data/toy/captions.json"),
        "changed: data/toy/captions.json\n  found:    a link to",
    ),
    "an image gone": (remove("data/toy/images/a.png"), "missing: data/toy/images/a.png"),
    "an image swapped for a link": (
        swap("data/toy/images/a.png"),
        "changed: data/toy/images/a.png\n  found:    a link to",
    ),
    "images swapped for a link": (
        swap("data/toy/images"),
        "changed: data/toy/images\n  found:    a link to",
    ),
    "a hidden image": (write("data/toy/images/.b.png"), "new: data/toy/images/.b.png"),
    "an image in a folder": (write("data/toy/images/sub/b.png"), "new: data/toy/images/sub/b.png"),
    "a mark that holds something": (
        write("data/toy/images/.snakemake_timestamp"),
        "new: data/toy/images/.snakemake_timestamp",
    ),
    "an image and the table of images": (
        after(write("data/toy/images/a.png"), write("data/toy/images.csv")),
        "changed: data/toy/images\n",
    ),
    "the note of what was taken swapped for a link": (
        swap("data/toy/raw/source.json"),
        "changed: data/toy/raw/source.json",
    ),
    "what was taken": (write("data/toy/raw/photos.zip", "pip"), "changed: data/toy/raw/photos.zip"),
    "the data emptied": (
        after(remove("data/toy"), lambda here: (here / "data/toy").mkdir()),
        "missing: data/toy/",
    ),
    "a file in place of a model": (
        after(remove("data/models/tiny"), write("data/models/tiny")),
        "missing: data/models/tiny/",
    ),
}
NOT_LOOKED_AT = {
    "a hidden file": (
        write("results/toy/.hidden.html"),
        "not looked at: results/toy/.hidden.html (hidden",
    ),
    "a hidden folder": (
        write("results/toy/.git/config"),
        "not looked at: results/toy/.git (hidden",
    ),
    "thumbnails of Windows": (
        write("results/toy/Thumbs.db"),
        "not looked at: results/toy/Thumbs.db (hidden",
    ),
    "what an archive of macOS adds": (
        write("results/toy/tables/__MACOSX/metrics.csv"),
        "not looked at: results/toy/tables/__MACOSX (hidden",
    ),
    "an empty folder": (
        lambda here: (here / "results/toy/empty").mkdir(),
        "not looked at: results/toy/empty (an empty folder)",
    ),
    "an empty folder of images": (
        lambda here: (here / "data/toy/images/empty").mkdir(),
        "not looked at: data/toy/images/empty (an empty folder)",
    ),
    "a hidden file of a model": (
        write("data/models/tiny/.added_tokens.json"),
        "not looked at: data/models/tiny/.added_tokens.json (hidden",
    ),
    "a file beside the archives": (
        write("data/toy/raw/README"),
        "not looked at: data/toy/raw/README (not of what",
    ),
    "a link beside the archives": (
        link("data/toy/raw/more", "/"),
        "not looked at: data/toy/raw/more (a link to /)",
    ),
    "no archives": (
        remove("data/toy/raw/photos.zip"),
        "not here, so not looked at: data/toy/raw/photos.zip",
    ),
    "no model": (remove("data/models/tiny"), "not here, so not looked at: data/models/tiny"),
    "no data": (remove("data"), "not here, so not looked at: data/toy"),
    "Snakemake's mark where it makes no folder": (
        write("results/toy/tables/.snakemake_timestamp", ""),
        "not looked at: results/toy/tables/.snakemake_timestamp (hidden",
    ),
    "a record that is a link": (
        swap("results/toy/ro-crate-metadata.json"),
        "looked at behind a link: results/toy/ro-crate-metadata.json, to",
    ),
    "a run that lies elsewhere": (swap("results/toy"), "looked at behind a link: results/toy, to"),
    "all runs elsewhere": (swap("results"), "looked at behind a link: results, to"),
    "all data elsewhere": (swap("data"), "looked at behind a link: data, to"),
    "all models elsewhere": (swap("data/models"), "looked at behind a link: data/models, to"),
    "data that lies elsewhere": (swap("data/toy"), "looked at behind a link: data/toy, to"),
    "a model that lies elsewhere": (
        swap("data/models/tiny"),
        "looked at behind a link: data/models/tiny, to",
    ),
}
NO_WORD = {
    "nothing": lambda here: None,
    "an archive that is a link": swap("data/toy/raw/photos.zip"),
    "Snakemake's mark gone": remove("data/toy/images/.snakemake_timestamp"),
    "other times": lambda here: [os.utime(path, (1, 1)) for path in here.rglob("*.*")],
    "data of another run": write("data/other/captions.json"),
}


@pytest.fixture
def here(odd_run, tmp_path, monkeypatch) -> Path:
    """A copy of it to change."""
    folder = tmp_path / "copy"
    shutil.copytree(odd_run, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(("change", "told"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_is_named(here, capsys, change, told):
    change(here)
    assert main(["results/toy"]) == 1
    said = capsys.readouterr().out
    assert told in said and "NOT as recorded" in said
    named = [line.split(": ", 1)[1] for line in said.splitlines() if line.startswith(KINDS)]
    place = told.splitlines()[0].split(": ", 1)[1].rstrip("/")
    assert [name for name in named if not name.startswith(place)] == []


@pytest.mark.parametrize(("change", "told"), NOT_LOOKED_AT.values(), ids=NOT_LOOKED_AT)
def test_where_it_does_not_look_it_says_so(here, capsys, change, told):
    change(here)
    assert main(["results/toy"]) == 0
    assert capsys.readouterr().out.count(told) == 1


def test_a_link_to_another_run_is_told(here, capsys):
    (here / "results/mine").symlink_to("toy")
    assert main(["--results", "results"]) == 0
    told = capsys.readouterr().out
    assert told.count("looked at behind a link: results/mine, to toy") == 1


@pytest.mark.parametrize("change", NO_WORD.values(), ids=NO_WORD)
def test_what_changes_nothing_makes_no_word(here, capsys, change):
    change(here)
    assert main(["results/toy"]) == 0
    said, last = capsys.readouterr().out.splitlines()
    assert said.endswith("files, all as recorded") and "sha256 of the record" in last


ENTITY = {"@id": "a", "contentSize": "1", "sha256": "0" * 64}
EDITED = {
    "a size of 5,000 digits": ({"contentSize": "9" * 5000}, "contentSize"),
    "a negative size": ({"contentSize": -1}, "contentSize"),
    "a size that is a list": ({"contentSize": [1]}, "contentSize"),
    "digits of another script": ({"contentSize": "\u0663"}, "contentSize"),
    "a sum that drives a terminal": ({"sha256": "\x1b[2J" + "0" * 60}, "sha256"),
    "no name": ({"@id": None}, "missing: results/toy/None"),
    "an empty name": ({"@id": ""}, "a path below"),
    "half of a character": ({"@id": "\ud83d"}, "a path below"),
    "a character that no name has": ({"@id": "a%00b"}, "a path below"),
    "data itself": ({"@id": "#data/"}, "a path below"),
    "a dataset itself": ({"@id": "#data/toy"}, "a path below"),
    "a model itself": ({"@id": "#data/models/tiny/"}, "a path below"),
    "what is neither beside nor data": ({"@id": "#scripts/job.py"}, "a path below"),
    "a way out": ({"@id": "#data/toy/../../x"}, "a path below"),
    "a name of 5,000 letters": ({"@id": "x" * 5000}, "unreadable"),
    "data of 5,000 letters": ({"@id": f"#data/toy/{'x' * 5000}"}, "unreadable"),
    "a dataset of 5,000 letters": ({"@id": f"#data/{'x' * 5000}/a"}, "not here"),
    "a way through a file": ({"@id": "report.en.html/x"}, "missing"),
    "a folder that is a file": ({"@id": "report.en.html/"}, "changed"),
}


@pytest.mark.parametrize(("edit", "told"), EDITED.values(), ids=EDITED)
def test_an_edited_record_is_told_in_words(here, capsys, edit, told):
    path = here / "results/toy/ro-crate-metadata.json"
    record = json.loads(path.read_text("utf-8"))
    record["@graph"].append(ENTITY | edit)
    path.write_text(json.dumps(record))
    status = main(["results/toy"])
    said = capsys.readouterr()
    assert told in said.out + said.err
    assert status == (0 if told == "not here" else 1)
    assert not said.err or said.err.startswith("ERROR in results/toy")
    assert "\x1b" not in said.out + said.err


def test_names_and_sums_are_written_as_records_of_before_have_them(here):
    """So that those are confirmed, too; the mark is among the images there."""
    record = json.loads((here / "results/toy/ro-crate-metadata.json").read_text("utf-8"))
    sums = {entity["@id"]: entity["sha256"] for entity in record["@graph"] if "sha256" in entity}
    assert {"%23report.md%23", "data/notes.txt", "data/test/images.npy"} <= sums.keys()
    assert {"#data/models/tiny/model.json", "#data/toy/raw/photos.zip"} <= sums.keys()
    files = ((b".snakemake_timestamp", b""), (b"a.png", b"a picture"))
    each = [name + b"\0" + hashlib.sha256(held).hexdigest().encode() for name, held in files]
    assert sums["#data/toy/images/"] == hashlib.sha256(b"\n".join([*each, b""])).hexdigest()
