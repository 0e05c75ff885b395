"""What "auto" stands for: the fast precision where a sample allows it, and only there."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scripts.encode import choose_precision as rule
from scripts.encode import encode_damaged, encode_images, encode_texts
from scripts.encode.choose_precision import AT_MOST, AT_ONCE, choice, compared, sample_of
from scripts.job import BadInput
from scripts.models.folder import write_provenance

SHARED = Path(__file__).resolve().parents[3] / "shared"


def listing(folder: Path, **counts: int) -> tuple[Path, Path]:
    """captions.json and splits.json of so many images in each split."""
    splits = {name: [f"{name}{n}.png" for n in range(counts.get(name, 0))]
              for name in ("train", "val", "test")}  # fmt: skip
    images = [image for own in splits.values() for image in own]
    records = [{"image": image, "captions": [f"first of {image}", "other"]} for image in images]
    captions, path = folder / "captions.json", folder / "splits.json"
    captions.write_text(json.dumps(records), "utf-8")
    path.write_text(json.dumps(splits), "utf-8")
    return captions, path


def sides(images, texts=1.0) -> dict[str, np.ndarray]:
    images = np.atleast_1d(np.asarray(images, dtype=np.float64))
    return {"images": images, "texts": np.full(len(images), texts)}


# --- what is looked at


def test_the_sample_is_spread_over_val_and_so_is_every_part_of_it(tmp_path):
    sample = sample_of(*listing(tmp_path, train=9, val=1000, test=9))
    assert len(sample) == AT_MOST and {split for split, *_ in sample} == {"val"}
    assert all(caption == f"first of {image}" for _, image, caption in sample)
    numbers = [int(image[3:-4]) for _, image, _ in sample]
    assert len(set(numbers)) == AT_MOST
    for start in range(0, AT_MOST, AT_ONCE):
        part = np.sort(numbers[start : start + AT_ONCE])
        assert part[0] < 63 and part[-1] >= 937 and set(np.diff(part)) <= {62, 63}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"val": 300, "train": 300}, {"val": 256}),
        ({"val": 3, "train": 300, "test": 9}, {"val": 3, "train": 253}),
        ({"val": 0, "train": 2, "test": 5}, {"train": 2, "test": 5}),
        ({"val": 0, "train": 0, "test": 1}, {"test": 1}),
    ],
)
def test_where_val_has_too_few_the_other_splits_fill_the_sample(tmp_path, counts, expected):
    sample = sample_of(*listing(tmp_path, **counts))
    found = [split for split, *_ in sample]
    assert {split: found.count(split) for split in set(found)} == expected
    assert len({image for _, image, _ in sample}) == len(sample)


@pytest.mark.parametrize(
    ("parts", "looked_at"),
    [
        # nothing near the threshold, one below it, one on the way to it
        ([sides([0.9999] * 16), sides(0.5)], 16),
        ([sides([0.9998] * 16), sides([1] * 48), sides(0.5)], 64),
        ([sides([1, 1, 0.9989]), sides(1)], 3),
        ([sides([1, 1], texts=0.9989), sides(1)], 2),
        ([sides([1] * 16, texts=0.9995), sides([1]), sides([0.99])], 18),
        ([sides([float("nan")] * 2), sides(1)], 2),
    ],
)  # fmt: skip
def test_more_is_looked_at_until_it_is_clear(parts, looked_at):
    found = compared(iter(parts))
    assert len(found["images"]) == len(found["texts"]) == looked_at


@pytest.mark.parametrize(
    ("cosines", "precision", "reason"),
    [
        (sides([1, 0.999]), "bfloat16", "close"),
        (sides([1, 0.998999]), "float32", "apart"),
        (sides([1, 1], texts=0.998999), "float32", "apart"),
        (sides([1, 1], texts=0.999), "bfloat16", "close"),
        (sides([float("nan")] * 2), "float32", "not_finite"),
    ],
)
def test_the_smallest_cosine_of_both_sides_decides(cosines, precision, reason):
    found = choice("bfloat16", cosines)
    assert (found["precision"], found["reason"]) == (precision, reason)


# --- the rule


@pytest.fixture
def task(job, tmp_path):
    """What Snakemake hands to the rule, of a small CLIP and three pictures of test."""

    def make(**params) -> SimpleNamespace:
        made = job(**{"precision": "auto"} | params)
        made.output = SimpleNamespace(precision=str(tmp_path / "results" / "precision.json"))
        return made

    return make


def decided(task) -> dict:
    rule.main(task)
    return json.loads(Path(task.output.precision).read_text("utf-8"))


def native(monkeypatch, precision: str) -> None:
    monkeypatch.setattr(rule, "native_precision", lambda device: precision)


def test_a_model_that_does_not_notice_computes_in_what_the_device_has(task, monkeypatch):
    native(monkeypatch, "bfloat16")
    found = decided(task())
    cosines = found.pop("cosines")
    assert found == {
        "asked": "auto",
        "device": "cpu",
        "native": "bfloat16",
        "precision": "bfloat16",
        "reason": "close",
        "least_cosine": 0.999,
        "sample": {"splits": ["test"], "images": 3, "captions": 3},
    }
    for side in ("images", "texts"):
        own = cosines["bfloat16"][side]
        assert 0.999 <= own["smallest"] <= own["median"] <= 1
    first = Path(task().output.precision).read_bytes()
    decided(task())
    assert Path(task().output.precision).read_bytes() == first


@pytest.mark.parametrize(("near", "looked_at", "opened"), [(100, 2, 1), (0, 3, 2)])
def test_float32_is_there_alone_until_a_second_part_is_looked_at(
    task, monkeypatch, near, looked_at, opened
):
    native(monkeypatch, "bfloat16")
    monkeypatch.setattr(rule, "AT_ONCE", 2)
    monkeypatch.setattr(rule, "NEAR", near)
    there, known = [], []

    def open_too(real):
        def open_one(model, device, precision, threads):
            there.append([encoder.precision for encoder in known if vars(encoder)])
            known.append(real(model, device, precision, threads))
            return known[-1]

        return open_one

    for name in ("open_encoder", "opened"):
        monkeypatch.setattr(rule, name, open_too(getattr(rule, name)))
    found = decided(task())
    assert (found["precision"], found["sample"]["images"]) == ("bfloat16", looked_at)
    assert there == [[], [], ["bfloat16"]][: opened + 1]
    assert [encoder.precision for encoder in known if vars(encoder)] == ["bfloat16"]


@pytest.mark.parametrize("side", ["encode_images", "encode_captions"])
def test_one_row_that_the_fast_precision_moves_is_enough_for_float32(task, monkeypatch, side):
    native(monkeypatch, "bfloat16")
    real = getattr(rule, side)

    def moved(encoder, *arguments):
        found = real(encoder, *arguments)
        if encoder.precision == "bfloat16":
            rows = found if side == "encode_images" else found[0]
            rows[1] = np.roll(rows[1], 1)
        return found

    monkeypatch.setattr(rule, side, moved)
    found = decided(task())
    assert (found["precision"], found["reason"]) == ("float32", "apart")
    low, high = (found["cosines"]["bfloat16"][one] for one in ("images", "texts"))
    if side == "encode_captions":
        low, high = high, low
    assert low["smallest"] < 0.9 < low["median"] and high["smallest"] > 0.999


def test_features_that_are_not_finite_in_the_fast_precision_mean_float32(task, monkeypatch):
    native(monkeypatch, "float16")
    real = rule.encode_images

    def overflowing(encoder, *arguments):
        if encoder.precision == "float16":
            encoder.checked(encoder.model.logit_scale * float("nan"))
        return real(encoder, *arguments)

    monkeypatch.setattr(rule, "encode_images", overflowing)
    found = decided(task())
    assert (found["precision"], found["reason"]) == ("float32", "not_finite")
    assert found["cosines"]["float16"]["images"] == {"smallest": None, "median": None}


def test_what_is_wrong_with_a_file_is_no_reason_for_a_precision(task, dataset, monkeypatch):
    native(monkeypatch, "bfloat16")
    (dataset / "images" / "a.png").unlink()
    with pytest.raises(BadInput, match=r"a\.png"):
        rule.main(task())


@pytest.mark.parametrize(
    ("asked", "device_has", "precision", "reason"),
    [("auto", "float32", "float32", "native"), ("bfloat16", None, "bfloat16", "asked")],
)
def test_no_model_is_loaded_where_there_is_nothing_to_choose(
    task, monkeypatch, asked, device_has, precision, reason
):
    native(monkeypatch, device_has)
    made = task(precision=asked)
    made.input.model = made.input.images = "nowhere"
    found = decided(made)
    assert (found["precision"], found["reason"], found["native"]) == (precision, reason, device_has)
    assert found["sample"] is None and found["cosines"] == {}


@pytest.mark.parametrize("script", [encode_images, encode_texts, encode_damaged])
def test_encoding_computes_in_what_was_found(job, tmp_path, script):
    made = job(precision="auto", templates=["{}"], kinds=["drop"], strengths=[0.5], seed=0)
    made.input.precision = str(tmp_path / "precision.json")
    Path(made.input.precision).write_text('{"precision": "float16"}', "utf-8")
    script.main(made)
    assert json.loads(Path(made.output.sidecar).read_text("utf-8"))["precision"] == "float16"


@pytest.mark.skipif(not (SHARED / "flickr8k").is_dir(), reason="needs real photos")
def test_a_real_convolutional_tower_computes_in_float32(tmp_path, monkeypatch):
    # torch emulates bfloat16 where the processor has it not
    native(monkeypatch, "bfloat16")
    model = Path(shutil.copytree(SHARED / "models/flickr8k-dual-mobilenetv2", tmp_path / "model"))
    write_provenance(model, "dual", "local")
    (tmp_path / "images").mkdir()
    table, records = [], []
    with zipfile.ZipFile(SHARED / "flickr8k/Flickr8k_Dataset.zip") as archive:
        for path in sorted(one for one in archive.namelist() if one.endswith(".jpg"))[:8]:
            data, name = archive.read(path), Path(path).name
            (tmp_path / "images" / name).write_bytes(data)
            table.append({"image": name, "sha256": hashlib.sha256(data).hexdigest()})
            records.append({"image": name, "captions": [f"a photo called {name[:5]}"]})
    with (tmp_path / "images.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["image", "sha256"])
        writer.writeheader()
        writer.writerows(table)
    (tmp_path / "captions.json").write_text(json.dumps(records), "utf-8")
    splits = {"val": [record["image"] for record in records]}
    (tmp_path / "splits.json").write_text(json.dumps(splits), "utf-8")
    found = decided(
        SimpleNamespace(
            input=SimpleNamespace(
                images=str(tmp_path / "images"),
                table=str(tmp_path / "images.csv"),
                captions=str(tmp_path / "captions.json"),
                splits=str(tmp_path / "splits.json"),
                model=str(model / "model.json"),
            ),
            output=SimpleNamespace(precision=str(tmp_path / "precision.json")),
            params=SimpleNamespace(precision="auto", device="cpu", batch_size="auto"),
            threads=1,
        )
    )
    assert (found["precision"], found["reason"]) == ("float32", "apart")
    own = found["cosines"]["bfloat16"]
    assert own["images"]["smallest"] < 0.999 < 0.9999 < own["texts"]["smallest"]
