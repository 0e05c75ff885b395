"""Image features: in the split's order, of the files that were prepared, whatever the batch."""

from __future__ import annotations

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scripts.data.ahead import map_ahead
from scripts.data.prepared import read_checksums, read_image
from scripts.data.rows import read_rows
from scripts.encode import encode_images as rule
from scripts.encode.encode_images import encode_images
from scripts.encode.stored import read_features
from scripts.job import BadInput, digest_of_file


def rows_of(dataset: Path):
    return read_rows(dataset / "captions.json", dataset / "splits.json", "test")


def test_features_stand_in_the_order_of_the_split_and_say_what_they_are_of(
    job, dataset, model, encoder
):
    task = job()
    rule.main(task)
    rows = rows_of(dataset)
    features = read_features(task.output.features, task.output.sidecar, rows, of="images")
    for row, name in enumerate(["b.png", "a.png", "c.png"]):
        pixels = encoder.preprocess(Image.open(dataset / "images" / name))
        alone = encoder.encode_images(torch.from_numpy(pixels)[None]).numpy()[0]
        np.testing.assert_allclose(features[row], alone, atol=1e-6)
    assert json.loads(Path(task.output.sidecar).read_text("utf-8")) == {
        "rows": rows.digest,
        "shape": [3, 24],
        "sha256": digest_of_file(task.output.features),
        "model": digest_of_file(model),
        "device": "cpu",
        "precision": "float32",
    }


def test_a_shard_holds_its_part_of_the_split(job, dataset):
    whole = job()
    rule.main(whole)
    features = np.load(whole.output.features)
    for shard, part in (("0", features[:2]), ("1", features[2:])):
        task = job(shard_size=2)
        task.wildcards.shard = shard
        rule.main(task)
        rows = rows_of(dataset).shard(int(shard), 2)
        own = read_features(task.output.features, task.output.sidecar, rows, of="images")
        np.testing.assert_allclose(own, part, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 50])
@pytest.mark.parametrize("workers", [1, 4])
def test_batch_size_and_workers_do_not_change_the_features(dataset, encoder, batch_size, workers):
    names = ["c.png", "a.png", "b.png"] * 5
    paths = [dataset / "images" / name for name in names]
    sha256 = read_checksums(dataset / "images.csv", names)
    features = encode_images(encoder, paths, sha256, batch_size, workers)
    one_by_one = encode_images(encoder, paths[:3], sha256[:3], 1, 1)
    np.testing.assert_allclose(features, np.tile(one_by_one, (5, 1)), atol=1e-6)


def test_a_swapped_image_is_an_error_that_names_it_and_leaves_no_output(job, dataset):
    (dataset / "images" / "a.png").write_bytes((dataset / "images" / "b.png").read_bytes())
    task = job()
    with pytest.raises(BadInput, match=r"a\.png\n  found:    sha256"):
        rule.main(task)
    assert not list(Path(task.output.features).parent.glob("*"))


def test_a_missing_image_is_named(job, dataset):
    (dataset / "images" / "c.png").unlink()
    with pytest.raises(BadInput, match=r"c\.png\n  found:    no such file"):
        rule.main(job())


def test_an_image_that_cannot_be_decoded_is_named(dataset):
    path = dataset / "images" / "a.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadInput, match=r"a\.png\n  found:    not decodable"):
        read_image(path, digest_of_file(path))


def test_an_image_without_a_row_in_the_table_is_named(dataset):
    with pytest.raises(BadInput, match=r"no row for z\.png"):
        read_checksums(dataset / "images.csv", ["a.png", "z.png"])


def test_a_model_whose_weights_changed_is_refused(job, model, tmp_path):
    folder = Path(shutil.copytree(model.parent, tmp_path / "swapped"))
    (folder / "merges.txt").write_text("other merges", "utf-8")
    task = job()
    task.input.model = str(folder / "model.json")
    with pytest.raises(BadInput, match=r"merges\.txt"):
        rule.main(task)


def test_work_ahead_keeps_the_order_and_stays_within_its_window():
    lock, started, taken = threading.Lock(), 0, 0
    ahead = []

    def square(number: int) -> int:
        nonlocal started
        with lock:
            started += 1
            ahead.append(started - taken)
        return number * number

    with ThreadPoolExecutor(3) as pool:
        for expected, result in enumerate(map_ahead(pool, square, range(100), window=7)):
            taken += 1
            assert result == expected**2
    assert taken == 100
    assert max(ahead) <= 7 + 1


def test_work_ahead_ends_with_the_first_error():
    done = []

    def half(number: int) -> float:
        done.append(number)
        if number == 3:
            raise BadInput("number 3", "odd", "even", "leave it out")
        return number / 2

    with ThreadPoolExecutor(1) as pool, pytest.raises(BadInput, match="number 3"):
        list(map_ahead(pool, half, range(10_000), window=5))
    assert len(done) < 20
