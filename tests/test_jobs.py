"""A job leaves word of itself, by which its files are known again and followed back."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from scripts import jobs
from scripts.job import BadInput, digest_of_file, whole
from scripts.jobs import checked, job_behind, jobs_behind

MADE = ["results/tables/metrics.csv", "results/test/images.npy", "data/captions.json"]


class Steps:
    """Jobs in a working directory, each of which writes its name and what it read."""

    def __init__(self, folder) -> None:
        self.folder = folder

    def run(self, rule: str, inputs: list[str], outputs: list[str], **wildcards: str) -> None:
        def main(snakemake) -> None:
            for path in snakemake.output:
                with whole(path) as draft:
                    draft.write_text(f"{rule}\nof\n{inputs}\n")

        params = {"code": f"code of {rule}"}
        given = {"rule": rule, "log": [], "input": inputs, "output": outputs, "params": params}
        jobs.run(main, SimpleNamespace(**given, wildcards=wildcards))


@pytest.fixture
def steps(tmp_path, monkeypatch) -> Steps:
    monkeypatch.chdir(tmp_path)
    return Steps(tmp_path)


@pytest.fixture
def made(steps):
    """Files that one step has made."""
    steps.run("step", [], MADE)
    return steps.folder


def names(paths) -> list[str]:
    return [one.rule for one in jobs_behind(paths)]


def test_what_a_job_was_is_found_under_the_name_of_each_of_its_files(steps):
    (steps.folder / "photos.txt").write_text("mine")
    steps.run("first", ["photos.txt"], ["data/a.json", "data/b.json"], dataset="toy", split="val")
    first = job_behind("data/a.json")
    assert first == job_behind("data/b.json")
    assert first.rule == "first" and first.wildcards == {"dataset": "toy", "split": "val"}
    assert first.inputs == {"photos.txt": digest_of_file("photos.txt")}
    assert first.outputs == {path: digest_of_file(path) for path in ("data/a.json", "data/b.json")}
    assert first.code == "code of first" and first.device == "cpu"
    assert first.versions["python"].count(".") == 2
    assert first.versions["numpy"] == np.__version__
    # this very process: it has run for a while, on some megabytes
    assert first.seconds > 0 < first.cpu_seconds and first.max_rss_mb > 20


def test_a_package_that_looks_its_version_up_when_it_is_asked_is_recorded(steps, monkeypatch):
    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> str:
            if name == "__version__":
                return "9.8"
            raise AttributeError(name)

    monkeypatch.setitem(sys.modules, "transformers", Lazy("transformers"))
    monkeypatch.setitem(sys.modules, "typst", ModuleType("typst"))
    # what is kept from being imported
    monkeypatch.setitem(sys.modules, "faiss", None)
    steps.run("step", [], MADE)
    versions = job_behind(MADE[0]).versions
    assert versions["transformers"] == "9.8"
    assert not {"typst", "faiss"} & set(versions)


def test_jobs_are_followed_back_makers_first_and_each_once(steps):
    steps.run("prepare", ["photos.txt"], ["data/images.csv", "data/captions.json"])
    steps.run("split", ["data/images.csv"], ["data/splits.json"])
    for side in ("images", "texts"):
        steps.run("encode", ["data/captions.json", "data/splits.json"], [f"{side}.npy"], side=side)
    steps.run("rank", ["images.npy", "texts.npy"], ["ranks.npz"])
    steps.run("draw", ["data/captions.json"], ["captions.svg"])
    assert names(["ranks.npz"]) == ["prepare", "split", "encode", "encode", "rank"]
    assert names(["captions.svg", "ranks.npz"]) == [
        *("prepare", "draw", "split", "encode", "encode", "rank")
    ]
    # what a step read is known when it is no longer there
    (steps.folder / "images.npy").unlink()
    assert names(["ranks.npz"]).count("encode") == 2


def test_a_folder_leads_to_its_job_and_is_told_without_a_sum(steps):
    (steps.folder / "data/images").mkdir(parents=True)
    note = SimpleNamespace(rule="prepare", output=["data/images"], params={"code": "x"})
    jobs.note(SimpleNamespace(**vars(note), wildcards={}), {})
    steps.run("encode", ["data/images"], ["images.npy"])
    assert job_behind("data/images").outputs == {"data/images": None}
    assert names(["images.npy"]) == ["prepare", "encode"]


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("{")])
def test_what_was_asked_for_and_has_no_word_of_its_job_is_told(made, spoil):
    spoil(made / f"results/jobs/{MADE[0]}.json")
    with pytest.raises(BadInput, match=f"delete {MADE[0]} and run again"):
        names(MADE)
    assert names(MADE[1:]) == ["step"]


def test_a_job_that_fails_leaves_no_word(steps):
    def main(_):
        raise BadInput("photos", "none", "some", "take some")

    given = {"rule": "r", "log": [], "input": [], "output": ["a.json"], "params": {}}
    with pytest.raises(SystemExit):
        jobs.run(main, SimpleNamespace(**given, wildcards={}))
    assert job_behind("a.json") is None


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text(path.read_text()[:10]),
        lambda path: path.write_text(path.read_text()[: len("step\nof\n")]),
        lambda path: path.write_text(""),
        lambda path: path.write_text(path.read_text().replace("step", "stem")),
        lambda path: path.write_text("step\n7\n[]\n"),
    ],
    ids=["cut", "cut at a line", "emptied", "changed", "swapped"],
)
def test_a_file_that_is_not_as_it_was_made_is_refused_and_taken_when_made_again(made, name, spoil):
    path = made / name
    content = path.read_text()
    assert checked(MADE) == {name: digest_of_file(name) for name in MADE}
    spoil(path)
    with pytest.raises(BadInput, match=f"delete {name} and run again"):
        checked(MADE)
    path.write_text(content)
    checked(MADE)


def test_all_files_that_changed_are_named_at_once(made):
    for name in MADE[:2]:
        (made / name).write_text("x")
    with pytest.raises(BadInput, match=f"delete {MADE[0]} and {MADE[1]} and run again"):
        checked(MADE)


def test_what_the_workflow_did_not_make_may_hold_anything(steps):
    path = steps.folder / "mine.json"
    steps.run("step", [], [str(path)])
    path.write_text("2")
    checked([str(path), "mine.json", "missing.json"])


def test_another_file_made_anew_is_as_good(made, steps):
    steps.run("another step", [], MADE[:1])
    assert json.loads((made / f"results/jobs/{MADE[0]}.json").read_text())["rule"] == "another step"
    checked(MADE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_log_on_a_full_disk_does_not_hide_what_the_step_tells(capsys):
    def main(_):
        raise OSError(errno.ENOSPC, "No space left on device", "results/a.npy")

    given = SimpleNamespace(rule="r", wildcards=[], log=["/dev/full"], input=[], output=[])
    with pytest.raises(SystemExit):
        jobs.run(main, given)
    shown = capsys.readouterr().err
    assert "No space left on device: 'results/a.npy'" in shown and "to do:" in shown
    assert "Traceback" not in shown and "Logging error" not in shown
