"""Whatever the user replaces on disk is noticed, and nothing else is."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from replaced import (
    OTHER,
    PHOTO,
    WAYS,
    aged,
    in_place,
    made_anew,
    under_the_same_time_stamp,
    written,
)

from scripts import watched


@pytest.fixture(autouse=True)
def at_work(tmp_path, monkeypatch):
    """A working directory, whose notes stand apart from the user's folders."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def dataset(folder: Path) -> str:
    return watched.contents_of_dataset.__wrapped__(str(folder))


def model(folder: Path) -> str:
    return watched.contents_of_model.__wrapped__(str(folder))


def kept(digest: Callable, folder: Path, monkeypatch) -> str:
    """The digest of files that have been there for long, so that their sums are kept."""
    now = time.time_ns()
    with monkeypatch.context() as later:
        later.setattr(time, "time_ns", lambda: now + 3600 * 10**9)
        found = digest(folder)
    # the disk's clock moves in ticks: what happens next happens in a later one
    probe = Path("probe")
    probe.touch()
    last = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == last:
        probe.touch()
    return found


def anew(digest: Callable, folder: Path) -> str:
    """The digest without anything kept."""
    shutil.rmtree(watched.KEPT, ignore_errors=True)
    return digest(folder)


# --- the user's folders

IN_A_DATASET = [
    "images/a.jpg", "images/sub/b.png", "images/no suffix", "captions.json", "splits.json",
    "captions.txt", "Flickr8k.token.txt", "Flickr_8k.testImages.txt", "Flickr8k_Dataset.zip",
    "data/train-00000-of-00001.parquet", "{braces}.json", "a line's\nend.txt", "bytes \udcff.zip",
]  # fmt: skip
IN_A_MODEL = [
    "model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json",
    "pytorch_model.bin", "config.json", "preprocessor_config.json", "tokenizer.json",
    "tokenizer_config.json", "vocab.txt", "merges.txt", "spiece.model", "adapter_config.json",
    "pytorch_model.pkl", "weights.pickle",
]  # fmt: skip


@pytest.fixture
def photos(tmp_path) -> Path:
    """A dataset that has a file of each kind, links, and what a system leaves."""
    folder, apart = tmp_path / "photos", tmp_path / "apart"
    for name in IN_A_DATASET:
        written(folder / name, PHOTO)
    for name in ("2017/x.jpg", "2018/x.jpg", "y.jpg", "z.jpg"):
        written(apart / name, name.encode() if name[0] in "yz" else PHOTO)
    written(apart / "2018/x.jpg", OTHER)
    (folder / "images/year").symlink_to(apart / "2017")
    (folder / "images/y.jpg").symlink_to(apart / "y.jpg")
    (folder / "images/twice.jpg").symlink_to("y.jpg")
    (folder / "images/round").symlink_to("..")
    (folder / "images/nowhere.jpg").symlink_to("gone.jpg")
    (folder / "images/itself.jpg").symlink_to("itself.jpg")
    os.mkfifo(folder / "images/pipe.jpg")
    written(folder / ".DS_Store", b"1234")
    written(folder / ".git/index", b"1234")
    return folder


@pytest.fixture
def weights(tmp_path) -> Path:
    """A model's folder, beside a second one, with what a training run leaves in it."""
    for folder, content in (("step 1", PHOTO), ("step 2", OTHER)):
        for name in IN_A_MODEL:
            written(tmp_path / folder / name, content)
    folder = tmp_path / "step 1"
    for name in ("optimizer.pt", "rng_state_0.pth", "README.md", "checkpoint-1/model.safetensors"):
        written(folder / name, PHOTO)
    return folder


def ids(value: object) -> str:
    return getattr(value, "__name__", ascii(value)).strip("'").replace("_", " ")


@pytest.mark.parametrize("way", WAYS, ids=ids)
@pytest.mark.parametrize("name", IN_A_DATASET, ids=ids)
def test_a_replaced_file_of_a_dataset_is_noticed(photos, name, way, monkeypatch):
    before = kept(dataset, photos, monkeypatch)
    way(photos / name)
    assert (after := dataset(photos)) != before
    assert anew(dataset, photos) == after


@pytest.mark.parametrize("way", WAYS, ids=ids)
@pytest.mark.parametrize("name", IN_A_MODEL, ids=ids)
def test_a_replaced_file_of_a_model_is_noticed(weights, name, way, monkeypatch):
    before = kept(model, weights, monkeypatch)
    way(weights / name)
    assert (after := model(weights)) != before
    assert anew(model, weights) == after


# --- what else happens to folders


@dataclass(frozen=True)
class Change:
    """Something that happens to a folder."""

    name: str
    make: Callable[[Path], object]


def pointed(link: Path, target: Path | str) -> None:
    link.unlink()
    link.symlink_to(target)


def swapped(one: Path, two: Path) -> None:
    """Each in the place of the other, time stamps and all."""
    spare = one.with_name("spare")
    one.rename(spare)
    two.rename(one)
    spare.rename(two)


def copied(folder: Path) -> None:
    """The whole folder, made anew by a copy of itself."""
    shutil.copytree(folder, folder.with_name("copy"), symlinks=True, ignore=named_pipes)
    os.mkfifo(folder.with_name("copy") / "images/pipe.jpg")
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def named_pipes(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_fifo()]


def outside(folder: Path, name: str) -> Path:
    return folder.parent / "apart" / name


def a_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


NOTICED_OF_A_DATASET = [
    Change("a photo behind a link replaced", lambda f: in_place(outside(f, "y.jpg"))),
    Change("a photo in a linked folder replaced", lambda f: in_place(outside(f, "2017/x.jpg"))),
    Change("a photo in a linked folder added", lambda f: written(outside(f, "2017/n.jpg"), PHOTO)),
    Change("a linked photo pointed elsewhere", lambda f: pointed(f / "images/y.jpg", "a.jpg")),
    Change("a link to a link pointed elsewhere",
           lambda f: pointed(f / "images/twice.jpg", "a.jpg")),
    Change(
        "a linked folder pointed elsewhere",
        lambda f: pointed(f / "images/year", outside(f, "2018")),
    ),
    Change(
        "a link that led nowhere leads to a photo",
        lambda f: written(f / "images/gone.jpg", PHOTO),
    ),
    Change("a link leads nowhere", lambda f: outside(f, "y.jpg").unlink()),
    Change("a linked folder is gone", lambda f: shutil.rmtree(outside(f, "2017"))),
    Change("a photo added", lambda f: aged(written(f / "images/new.jpg", PHOTO))),
    Change("a photo removed", lambda f: (f / "images/a.jpg").unlink()),
    Change("a photo renamed", lambda f: (f / "images/a.jpg").rename(f / "images/b.jpg")),
    Change("a photo moved", lambda f: (f / "images/a.jpg").rename(f / "images/sub/a.jpg")),
    Change("a folder renamed", lambda f: (f / "images").rename(f / "Images")),
    Change("two photos swapped", lambda f: swapped(f / "images/y.jpg", f / "images/a.jpg")),
    Change("a byte appended", lambda f: in_place(written(f / "captions.json", PHOTO + b"\n"))),
    Change("a file emptied", lambda f: aged(written(f / "splits.json", b""))),
    Change("splits.json taken away", lambda f: (f / "splits.json").unlink()),
    Change("a list added", lambda f: aged(written(f / "Flickr_8k.devImages.txt", PHOTO))),
    Change("ratings added", lambda f: aged(written(f / "ExpertAnnotations.txt", PHOTO))),
    Change(
        "a folder in the place of a photo",
        lambda f: (made_anew(f / "images/a.jpg"), (f / "images/a.jpg").unlink(),
                   written(f / "images/a.jpg/a.jpg", PHOTO)),
    ),
    Change("a socket in the place of a photo", lambda f: a_socket(f / "images/a.jpg")),
    Change("a device in the place of a photo",
           lambda f: pointed(f / "images/a.jpg", "/dev/zero")),
    Change("a photo in the place of a pipe", lambda f: made_anew(f / "images/pipe.jpg")),
    Change("a hidden photo shown", lambda f: (f / ".DS_Store").rename(f / "DS_Store")),
    Change("a hidden file grown", lambda f: written(f / ".DS_Store", b"12345")),
    Change("the whole folder emptied", lambda f: (shutil.rmtree(f), f.mkdir())),
]  # fmt: skip
NO_CHANGE_OF_A_DATASET = [
    Change("all touched", lambda f: [p.touch() for p in f.rglob("*") if p.is_file()]),
    Change("a photo of another mode", lambda f: (f / "images/a.jpg").chmod(0o444)),
    Change("written again as it was", lambda f: aged(written(f / "captions.json", PHOTO))),
    Change("a link in the place of an equal file",
           lambda f: pointed(f / "images/a.jpg", written(outside(f, "equal"), PHOTO))),
    Change("a link pointed at an equal photo",
           lambda f: pointed(f / "images/y.jpg", written(outside(f, "equal"), b"y.jpg"))),
    Change("a link pointed at an equal folder",
           lambda f: pointed(f / "images/year", written(outside(f, "2019/x.jpg"), PHOTO).parent)),
    Change("the whole folder copied", copied),
    Change("an empty folder", lambda f: (f / "images/empty").mkdir()),
    Change("a commit", lambda f: written(f / ".git/index", b"12345")),
    Change("a file in a hidden folder", lambda f: written(f / "images/.cache/x.jpg", PHOTO)),
    Change("what stands beside it", lambda f: written(outside(f, "n.jpg"), PHOTO)),
]  # fmt: skip
NOTICED_OF_A_MODEL = [
    Change("a link pointed at another checkpoint", lambda f: pointed(f, f.parent / "step 2")),
    Change("a part of the weights added",
           lambda f: written(f / "model-00002-of-00002.safetensors", PHOTO)),
    Change("a file taken away", lambda f: (f / "tokenizer.json").unlink()),
    Change("a file renamed", lambda f: (f / "tokenizer.json").rename(f / "tokenizer.json.old")),
    Change("an empty file", lambda f: aged(written(f / "vocab.txt", b""))),
    Change("a link that leads nowhere", lambda f: pointed(f / "config.json", "nowhere")),
    Change("an adapter added", lambda f: written(f / "adapter_model.safetensors", PHOTO)),
    Change("a file of a new kind added", lambda f: written(f / "chat_template.jinja", PHOTO)),
    Change("a layer behind a text tower", lambda f: written(f / "2_Dense/config.json", PHOTO)),
]  # fmt: skip
NO_CHANGE_OF_A_MODEL = [
    Change("all touched", lambda f: [p.touch() for p in f.iterdir() if p.is_file()]),
    Change("a link pointed at an equal model",
           lambda f: pointed(f, shutil.copytree(f, f.parent / "equal"))),
    Change("training goes on", lambda f: written(f / "optimizer.pt", OTHER * 9)),
    Change("a further checkpoint", lambda f: written(f / "checkpoint-2/model.safetensors", OTHER)),
    Change("its description", lambda f: written(f / "README.md", OTHER)),
]  # fmt: skip


def changes(cases: list[Change]):
    return pytest.mark.parametrize("change", cases, ids=[case.name for case in cases])


@changes(NOTICED_OF_A_DATASET)
def test_what_happens_to_a_dataset_is_noticed(photos, change, monkeypatch):
    before = kept(dataset, photos, monkeypatch)
    change.make(photos)
    assert (after := dataset(photos)) != before
    assert anew(dataset, photos) == after


@changes(NO_CHANGE_OF_A_DATASET)
def test_what_changes_no_content_of_a_dataset_is_not(photos, change, monkeypatch):
    before = kept(dataset, photos, monkeypatch)
    change.make(photos)
    assert dataset(photos) == anew(dataset, photos) == before


@pytest.fixture
def best(weights) -> Path:
    link = weights.with_name("best")
    link.symlink_to(weights)
    return link


@changes(NOTICED_OF_A_MODEL)
def test_what_happens_to_a_model_is_noticed(best, change, monkeypatch):
    before = kept(model, best, monkeypatch)
    change.make(best)
    assert (after := model(best)) != before
    assert anew(model, best) == after


@changes(NO_CHANGE_OF_A_MODEL)
def test_what_changes_no_content_of_a_model_is_not(best, change, monkeypatch):
    before = kept(model, best, monkeypatch)
    change.make(best)
    assert model(best) == anew(model, best) == before


LISTS = (NOTICED_OF_A_DATASET, NO_CHANGE_OF_A_DATASET, NOTICED_OF_A_MODEL, NO_CHANGE_OF_A_MODEL)
TRIED = len(WAYS) * len([*IN_A_DATASET, *IN_A_MODEL]) + sum(map(len, LISTS))


@pytest.mark.parametrize("total", [TRIED], ids=lambda total: f"situations: {total}")
def test_more_than_a_hundred_situations_are_tried(total):
    assert total >= 100


def test_a_location_that_is_a_link_is_noticed_when_it_is_pointed_elsewhere(photos, monkeypatch):
    link, other = photos.with_name("here"), photos.with_name("there")
    link.symlink_to(photos)
    written(other / "captions.json", PHOTO)
    before = kept(dataset, link, monkeypatch)
    assert before == dataset(photos)
    pointed(link, other)
    assert dataset(link) == dataset(other) != before


@pytest.mark.parametrize(
    "path", ["nowhere", "a file", "x" * 300], ids=["nowhere", "a file", "long"]
)
def test_what_is_no_folder_holds_nothing_which_the_job_says(path):
    Path("a file").touch()
    assert dataset(Path(path)) == model(Path(path)) == dataset(Path("nowhere"))


def test_a_file_that_may_not_be_read_counts_as_such_until_it_may(photos, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    before = anew(dataset, photos)
    with monkeypatch.context() as refused:
        refused.setattr(watched, "digest_of_file", refuse)
        assert kept(dataset, photos, monkeypatch) != before
    assert dataset(photos) == before


def test_a_disk_of_the_system_is_not_read(photos):
    (photos / "system").symlink_to("/proc")
    before = dataset(photos)
    pointed(photos / "system", "/sys")
    assert dataset(photos) == before


# --- what is kept


def reads(monkeypatch) -> list[str]:
    """Paths of the files that are read from now on."""
    read, digest_of_file = [], watched.digest_of_file
    monkeypatch.setattr(
        watched, "digest_of_file", lambda path: read.append(path) or digest_of_file(path)
    )
    return read


def test_a_file_is_read_again_only_where_the_systems_notes_changed(photos, monkeypatch):
    read = reads(monkeypatch)
    kept(dataset, photos, monkeypatch)
    assert len(read) == len(IN_A_DATASET) + 3
    read.clear()
    kept(dataset, photos, monkeypatch)
    assert read == []
    (photos / "images/a.jpg").touch()
    dataset(photos)
    assert read == [f"{photos}/images/a.jpg"]


def test_a_file_changed_a_moment_before_it_is_read_is_read_again(photos, monkeypatch):
    # within one tick of the disk's clock, the notes would be the same
    dataset(photos)
    read = reads(monkeypatch)
    dataset(photos)
    assert len(read) == len(IN_A_DATASET) + 3


def test_a_file_larger_than_any_step_reads_counts_by_its_size_and_an_archive_does_not(
    photos, monkeypatch
):
    monkeypatch.setattr(watched, "MAX_BYTES", 100)
    for name in ("film.mp4", "photos.ZIP", "data/train-1.parquet"):
        written(photos / name, bytes(101))
    read = reads(monkeypatch)
    before = kept(dataset, photos, monkeypatch)
    assert {f"{photos}/photos.ZIP", f"{photos}/data/train-1.parquet"} <= set(read)
    assert f"{photos}/film.mp4" not in read
    (photos / "film.mp4").touch()
    assert dataset(photos) == before
    written(photos / "film.mp4", bytes(102))
    assert dataset(photos) != before


def test_what_was_read_until_a_plan_is_stopped_is_not_read_again(photos, monkeypatch):
    def stopped(path):
        if path.endswith("captions.txt"):
            raise KeyboardInterrupt
        return "a sum"

    monkeypatch.setattr(watched, "THREADS", 1)
    with monkeypatch.context() as until:
        until.setattr(watched, "digest_of_file", stopped)
        with pytest.raises(KeyboardInterrupt):
            kept(dataset, photos, monkeypatch)
    read = reads(monkeypatch)
    dataset(photos)
    assert f"{photos}/captions.txt" in read and f"{photos}/captions.json" not in read


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b"null"], ids=ascii)
def test_notes_that_are_damaged_are_made_anew(photos, damage, monkeypatch):
    before = kept(dataset, photos, monkeypatch)
    (notes,) = watched.KEPT.iterdir()
    whole = notes.read_bytes()
    notes.write_bytes(damage)
    assert kept(dataset, photos, monkeypatch) == before
    assert notes.read_bytes() == whole


def test_what_is_gone_is_forgotten_and_each_folder_has_notes_of_its_own(photos, monkeypatch):
    kept(dataset, photos, monkeypatch)
    kept(dataset, photos / "images", monkeypatch)
    assert len(list(watched.KEPT.iterdir())) == 2
    shutil.rmtree(photos)
    photos.mkdir()
    kept(dataset, photos, monkeypatch)
    assert {} in [json.loads(path.read_bytes()) for path in watched.KEPT.iterdir()]


def test_where_nothing_may_be_written_all_is_read(photos, monkeypatch):
    Path(".snakemake").touch()
    assert kept(dataset, photos, monkeypatch) == kept(dataset, photos, monkeypatch)
    assert Path(".snakemake").read_bytes() == b""


def test_a_long_wait_is_told_and_not_on_standard_output(monkeypatch, capsys):
    monkeypatch.setattr(watched, "SILENT", 0)
    with watched._said_if_slow("Reading"):
        deadline, told = time.monotonic() + 20, ""
        while not told and time.monotonic() < deadline:
            out, told = capsys.readouterr()
            assert not out
    assert told == "Reading\n"


# --- and the workflow goes by it


def test_a_plan_begins_with_what_was_replaced_and_a_touch_changes_no_plan(fresh, photos, weights):
    mine = {
        "run": {"dataset": "mine", "models": ["own"], "prompts": ["plain"]},
        "datasets": {"mine": {"source": "folder", "location": str(photos)}},
        "models": {"own": {"source": "local", "path": str(weights)}},
    }
    (fresh.folder / "mine.yaml").write_text(yaml.safe_dump(mine), "utf-8")
    targets = ("data/mine/judgments.csv", "data/models/own/model.json")
    asked = (*targets, "--configfile", "mine.yaml")
    made = ("raw/source.json", "captions.json", "images.csv", "splits.json", "images/a.jpg")
    for path in (*targets, "results/mine/audit.json", *(f"data/mine/{name}" for name in made)):
        written(fresh.folder / path, b"")
    fresh.snakemake("--touch", "--forceall", *asked)
    for path in [*photos.rglob("*"), *weights.rglob("*")]:
        if path.is_file():
            path.touch()
    assert fresh.planned(*asked).jobs == {}
    in_place(photos / "captions.json")
    under_the_same_time_stamp(weights / "model.safetensors")
    assert fresh.planned(*asked).changed == {"download", "fetch_model"}
    # ratings, which no file of the plan tells of, where a run is ended between these two
    alone = fresh.planned(targets[0], *asked[2:], "--allowed-rules", "judgments")
    assert alone.changed == {"judgments"}
