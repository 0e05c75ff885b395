"""One process encodes what several jobs want, and each job has the same file as alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.encode import encode_texts, shelf
from scripts.encode.shelf import Place, Texts

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
def loaded(encoder, monkeypatch) -> list[str]:
    """Models that jobs open, in their order."""
    opened: list[str] = []

    def opens(provenance: Path, *_):
        opened.append(provenance.parent.name)
        return encoder

    monkeypatch.setattr(encode_texts, "open_encoder", opens)
    return opened


def files() -> dict[str, bytes]:
    return {
        f"{one}{end}": Path(f"{one}{end}").read_bytes()
        for one in PROMPTS
        for end in (".npy", ".json")
    }


def test_jobs_of_one_run_load_the_model_once_and_leave_the_bytes_of_each_alone(jobs, loaded):
    for one in jobs.values():
        encode_texts.main(one)
    alone = files()
    assert len(loaded) == 3
    shelf.announce(jobs.values())
    for name in alone:
        Path(name).unlink()
    for one in jobs.values():
        encode_texts.main(one)
    assert len(loaded) == 4 and files() == alone
    assert not [*shelf.SHELF.glob("*.npz")]
    shelf.clear()
    assert not shelf.SHELF.exists()


def test_a_prompt_that_comes_later_is_encoded_alone(jobs, loaded, monkeypatch):
    shelf.announce([jobs["photo"]])
    encoded = []
    plainly = encode_texts.encode_rows
    monkeypatch.setattr(
        encode_texts, "encode_rows", lambda *given: encoded.append(given[2]) or plainly(*given)
    )
    encode_texts.main(jobs["photo"])
    assert encoded == [PROMPTS["photo"]]


def test_what_another_process_is_encoding_is_waited_for_by_its_own_job_alone(jobs, loaded):
    shelf.announce(jobs.values())
    held = Place(Texts.of_job(jobs["photo"]), **_depends_on())
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
    assert Place(Texts.of_job(jobs["both"]), **_depends_on()).served


def _depends_on() -> dict:
    settings = {"batch_size": 2, "device": "cpu", "precision": "float32"}
    return {**settings, "shard_size": None, "shard": None, "code": "fingerprint"}


@pytest.mark.parametrize("change", ["captions", "templates", "code", "model"])
def test_what_lies_there_is_taken_for_what_it_was_made_of_alone(
    change, jobs, loaded, model, tmp_path
):
    shelf.announce(jobs.values())
    encode_texts.main(jobs["plain"])
    late = jobs["photo"]
    if change == "captions":
        captions = Path(late.input.captions)
        captions.write_text(captions.read_text("utf-8").replace("two dogs", "two cats"), "utf-8")
    elif change == "model":
        late.input.model = str(tmp_path / "model.json")
        (tmp_path / "model.json").write_bytes(model.read_bytes() + b"\n")
    else:
        setattr(late.params, change, ["a picture of {}"] if change == "templates" else "other")
    encode_texts.main(late)
    assert len(loaded) == 2


def test_texts_that_take_long_are_left_to_their_own_job(jobs, loaded, monkeypatch):
    shelf.announce(jobs.values())
    monkeypatch.setattr(encode_texts, "SECONDS", 0)
    for one in jobs.values():
        encode_texts.main(one)
    assert len(loaded) == 3


@pytest.mark.parametrize("left", [b"", b"PK\x03\x04 cut off"])
def test_a_file_that_a_full_disk_left_is_passed_over(left, jobs, loaded):
    shelf.announce(jobs.values())
    encode_texts.main(jobs["plain"])
    next(shelf.SHELF.glob("*.npz")).write_bytes(left)
    encode_texts.main(jobs["photo"])
    encode_texts.main(jobs["both"])
    assert len(loaded) == 2 and Path("photo.npy").stat().st_size == Path("plain.npy").stat().st_size


def test_where_nothing_was_announced_a_job_works_alone(jobs, loaded, tmp_path):
    encode_texts.main(jobs["plain"])
    assert not shelf.SHELF.exists()
    shelf.SHELF.mkdir(parents=True)
    (shelf.SHELF / shelf.WANTED).write_text(json.dumps([{"of": "another version"}]), "utf-8")
    encode_texts.main(jobs["photo"])
    assert loaded == ["tiny", "tiny"]


def test_other_texts_that_cannot_be_encoded_are_left_for_their_own_job_to_tell(jobs, loaded, job):
    empty = job(templates=["{}"])
    empty.wildcards.split = "train"
    shelf.announce([*jobs.values(), empty])
    encode_texts.main(jobs["plain"])
    assert Path("plain.npy").exists()
