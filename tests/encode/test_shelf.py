"""One process encodes what several jobs want, and each job has the same file as alone."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.encode import choose_precision, encode_images, encode_texts, loaded, shelf
from scripts.encode.shelf import Place, Wanted

CORES = 2
PROMPTS = {"plain": ["{}"], "photo": ["a photo of {}"], "both": ["{}", "one {}"]}


@pytest.fixture
def jobs(job, tmp_path, monkeypatch):
    """A job for each of ``PROMPTS``, in a working directory of their own."""
    monkeypatch.chdir(tmp_path)
    made = {}
    for prompt, templates in PROMPTS.items():
        one = job(templates=templates)
        one.wildcards.prompt = prompt
        one.output = SimpleNamespace(features=f"{prompt}.npy", sidecar=f"{prompt}.json")
        made[prompt] = one
    return made


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """Models that jobs open, in their order."""
    models: list[str] = []
    really = loaded.open_encoder

    def opens(provenance: Path, *given):
        models.append(provenance.parent.name)
        return really(provenance, *given)

    monkeypatch.setattr(loaded, "open_encoder", opens)
    return models


def files() -> dict[str, bytes]:
    return {
        f"{one}{end}": Path(f"{one}{end}").read_bytes()
        for one in PROMPTS
        for end in (".npy", ".json")
    }


def test_jobs_of_one_run_load_the_model_once_and_leave_the_bytes_of_each_alone(jobs, opened):
    for one in jobs.values():
        encode_texts.main(one)
    alone = files()
    assert len(opened) == 3
    shelf.announce(jobs.values(), CORES)
    for name in alone:
        Path(name).unlink()
    for one in jobs.values():
        encode_texts.main(one)
    assert len(opened) == 4 and files() == alone
    assert not [*shelf.SHELF.glob("*.npz")]
    shelf.clear()
    assert not shelf.SHELF.exists()


def test_a_prompt_that_comes_later_is_encoded_alone(jobs, opened, monkeypatch):
    shelf.announce([jobs["photo"]], CORES)
    encoded = []
    plainly = encode_texts.encode_prompt
    monkeypatch.setattr(
        encode_texts, "encode_prompt", lambda *given: encoded.append(given[2]) or plainly(*given)
    )
    encode_texts.main(jobs["photo"])
    assert encoded == [PROMPTS["photo"]]


def test_what_another_process_is_encoding_is_waited_for_by_its_own_job_alone(jobs, opened):
    shelf.announce(jobs.values(), CORES)
    held = Place(Wanted.of_job(jobs["photo"]), "float32")
    with held.claimed(wait=False) as claimed:
        assert claimed
        script = (
            "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'ab'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(held._path.with_suffix(".lock"))],
            capture_output=True,
        )
        assert done.returncode == 1 and b"BlockingIOError" in done.stderr
        # it has the model loaded, and leaves this one out
        encode_texts.main(jobs["plain"])
    assert not held.served
    assert Place(Wanted.of_job(jobs["both"]), "float32").served


@pytest.mark.parametrize("change", ["captions", "templates", "code", "model"])
def test_what_lies_there_is_taken_for_what_it_was_made_of_alone(
    change, jobs, opened, model, tmp_path
):
    shelf.announce(jobs.values(), CORES)
    encode_texts.main(jobs["plain"])
    late = jobs["photo"]
    if change == "captions":
        captions = Path(late.input.captions)
        captions.write_text(captions.read_text("utf-8").replace("two dogs", "two cats"), "utf-8")
    elif change == "model":
        late.input.model = str(tmp_path / "other" / "model.json")
        shutil.copytree(model.parent, tmp_path / "other")
        (tmp_path / "other" / "model.json").write_bytes(model.read_bytes() + b"\n")
    else:
        setattr(late.params, change, ["a picture of {}"] if change == "templates" else "other")
    encode_texts.main(late)
    assert len(opened) == 2


def test_texts_that_take_long_are_left_to_their_own_job(jobs, opened, monkeypatch):
    shelf.announce(jobs.values(), CORES)
    monkeypatch.setattr(loaded, "SECONDS", 0)
    monkeypatch.setattr(loaded, "FEW", 1)
    for one in jobs.values():
        encode_texts.main(one)
    assert len(opened) == 3


@pytest.mark.parametrize("left", [b"", b"PK\x03\x04 cut off"])
def test_a_file_that_a_full_disk_left_is_passed_over(left, jobs, opened):
    shelf.announce(jobs.values(), CORES)
    encode_texts.main(jobs["plain"])
    next(shelf.SHELF.glob("*.npz")).write_bytes(left)
    encode_texts.main(jobs["photo"])
    encode_texts.main(jobs["both"])
    assert len(opened) == 2 and Path("photo.npy").stat().st_size == Path("plain.npy").stat().st_size


def test_where_nothing_was_announced_a_job_works_alone(jobs, opened, tmp_path):
    encode_texts.main(jobs["plain"])
    assert not shelf.SHELF.exists()
    shelf.SHELF.mkdir(parents=True)
    (shelf.SHELF / shelf.WANTED).write_text(json.dumps([{"of": "another version"}]), "utf-8")
    encode_texts.main(jobs["photo"])
    assert opened == ["tiny", "tiny"]


def test_other_texts_that_cannot_be_encoded_are_left_for_their_own_job_to_tell(jobs, opened, job):
    empty = job(templates=["{}"])
    empty.wildcards.split = "train"
    shelf.announce([*jobs.values(), empty], CORES)
    encode_texts.main(jobs["plain"])
    assert Path("plain.npy").exists()


@pytest.fixture
def auto(jobs, job, monkeypatch):
    """The job that chooses a precision, of which the device has a fast one, and one of images."""
    for one in jobs.values():
        one.params.precision = "auto"
        one.input.precision = "precision.json"
    pictures = job(precision="auto")
    pictures.input.precision = "precision.json"
    pictures.output = SimpleNamespace(features="images.npy", sidecar="images.json")
    chooses = job(precision="auto")
    chooses.output = SimpleNamespace(precision="precision.json")
    monkeypatch.setattr(choose_precision, "native_precision", lambda device: "bfloat16")
    return chooses, pictures


def test_the_job_that_chooses_a_precision_encodes_all_that_waits_for_it(auto, jobs, opened):
    chooses, pictures = auto
    choose_precision.main(chooses)
    # what each makes alone is what the shelf has to give
    for one in jobs.values():
        encode_texts.main(one)
    encode_images.main(pictures)
    alone = {**files(), "images.npy": Path("images.npy").read_bytes()}
    assert len(opened) == 4
    shelf.announce([*jobs.values(), pictures], CORES)
    choose_precision.main(chooses)
    assert len([*shelf.SHELF.glob("*.npz")]) == 4
    for name in alone:
        Path(name).unlink()
    for one in jobs.values():
        encode_texts.main(one)
    encode_images.main(pictures)
    assert len(opened) == 4
    assert {**files(), "images.npy": Path("images.npy").read_bytes()} == alone


def test_where_jobs_could_go_on_side_by_side_they_do_not_wait_for_one_that_encodes(auto, jobs):
    chooses, pictures = auto
    # each takes two threads
    shelf.announce([*jobs.values(), pictures], cores=4)
    choose_precision.main(chooses)
    assert not [*shelf.SHELF.glob("*.npz")]


def test_a_disk_without_room_on_the_shelf_spoils_nothing_of_the_job_that_went_on(
    jobs, opened, monkeypatch
):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    shelf.announce(jobs.values(), CORES)
    monkeypatch.setattr(Place, "put", full)
    encode_texts.main(jobs["plain"])
    assert Path("plain.npy").exists() and not [*shelf.SHELF.glob("*.npz")]
