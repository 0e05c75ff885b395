"""A split that is encoded in shards gives what it gives in one go."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from scripts.config import ConfigError, checked
from scripts.data.rows import rows_of
from scripts.encode import gather_features
from scripts.encode.encode_images import encode_images
from scripts.encode.encode_texts import encode_captions
from scripts.encode.features import open_encoder, write_features
from scripts.encode.plan_shards import shards_of
from scripts.encode.stored import read_features
from scripts.job import BadInput, digest_of_file

ROOT = Path(__file__).parents[2]
IMAGES = [f"{number}.png" for number in range(7)]
CAPTIONS = [[f"caption {image} {turn}" for turn in range(1 + image % 3)] for image in range(7)]
ROWS = rows_of(IMAGES, CAPTIONS)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_shards_in_their_order_are_the_whole_split(size):
    count = shards_of({"test": IMAGES}, size)["test"]
    shards = [ROWS.shard(number, size) for number in range(count)]
    assert [image for shard in shards for image in shard.images] == ROWS.images
    assert [text for shard in shards for text in shard.captions] == ROWS.captions
    assert all(shard.images for shard in shards)
    for shard in shards:
        for row, image in enumerate(shard.images):
            assert shard.captions_of(row) == CAPTIONS[IMAGES.index(image)]


WORDS = ["a", "dog", "runs", "on", "the", "green", "grass", "after", "its", "red", "ball"]


@pytest.fixture
def captioned():
    """Thirty images with one to four captions of all lengths, some of them equal."""
    rng = np.random.default_rng(0)
    captions = [
        [" ".join(rng.choice(WORDS, rng.integers(1, 20))) for _ in range(1 + image % 4)]
        for image in range(30)
    ]
    captions[3] = captions[20]
    return rows_of([f"{image}.png" for image in range(30)], captions)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("cores", [1, 3])
def test_texts_have_the_same_bits_in_shards_and_in_one_go_on_any_number_of_cores(
    model, captioned, cores, precision
):
    def encoded(rows, threads):
        encoder = open_encoder(model, "cpu", precision, threads)
        blocks = rows.image_of_caption // 5
        return encode_captions(encoder, rows.captions, ["{}", "a photo of {}"], 5, blocks)

    whole, truncated = encoded(captioned, 2)
    parts = [encoded(captioned.shard(number, 10), cores) for number in range(3)]
    assert np.array_equal(np.concatenate([features for features, _ in parts]), whole)
    assert sum(cut for _, cut in parts) == truncated > 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("batch", [6, 64])
def test_images_have_the_same_bits_in_shards_and_in_one_go_on_any_number_of_cores(
    model, tmp_path, batch, precision
):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{image}.png" for image in range(4 * batch - 3)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    sums = [digest_of_file(path) for path in paths]

    def encoded(part, threads):
        encoder = open_encoder(model, "cpu", precision, threads)
        return encode_images(encoder, paths[part], sums[part], batch, 1)

    whole = encoded(slice(None), 2)
    shards = [encoded(slice(start, start + batch), 3) for start in range(0, len(paths), batch)]
    assert np.array_equal(np.concatenate(shards), whole)


def test_a_shard_of_broken_batches_is_refused():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
    config["encode"] = {"shard_size": 1000}
    with pytest.raises(ConfigError, match=r"encode\.shard_size: 1000 .* take 1024"):
        checked(config)


def test_an_empty_split_has_a_shard_which_will_say_so():
    assert shards_of({"train": [], "test": IMAGES}, 3) == {"train": 1, "test": 3}


class Job:
    """The rule gather_features on shards of these features, in a folder."""

    def __init__(self, folder: Path, side: str, size: int) -> None:
        self.folder, self.side, self.size = folder, side, size
        self.of = "images" if side == "images" else "captions"
        count = len(getattr(ROWS, self.of))
        features = np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32)
        self.features = features / np.linalg.norm(features, axis=1, keepdims=True)
        records = [
            {"image": image, "captions": texts}
            for image, texts in zip(IMAGES, CAPTIONS, strict=True)
        ]
        for name, content in {
            "captions": records,
            "splits": {"test": IMAGES},
            "model": {"a": "model"},
        }.items():
            (folder / f"{name}.json").write_text(json.dumps(content), "utf-8")
        self.shards = []
        start = 0
        for number in range(shards_of({"test": IMAGES}, size)["test"]):
            stop = start + len(getattr(ROWS.shard(number, size), self.of))
            self.shards.append(self.write(number, self.features[start:stop]))
            start = stop

    def write(self, number: int, features: np.ndarray, **about) -> Path:
        npy = self.folder / f"{self.side}.{number}.npy"
        told = {"device": "cpu", "precision": "float32"} | about
        if self.side != "images":
            told |= {"truncated": 1, "cut": [len(features) - 1]}
        rows = ROWS.shard(number, self.size)
        write_features(
            npy, npy.with_suffix(".json"), features, rows, self.folder / "model.json", **told
        )
        return npy

    def run(self) -> dict:
        """Gather; the sidecar of the whole, whose features were read back and are the same."""
        npy, sidecar = self.folder / "whole.npy", self.folder / "whole.json"
        files = {name: self.folder / f"{name}.json" for name in ("captions", "splits", "model")}
        sidecars = [str(shard.with_suffix(".json")) for shard in self.shards]
        gather_features.main(
            SimpleNamespace(
                input=SimpleNamespace(
                    shards=list(map(str, self.shards)), sidecars=sidecars, **files
                ),
                output=SimpleNamespace(features=npy, sidecar=sidecar),
                params=SimpleNamespace(shard_size=self.size),
                wildcards=SimpleNamespace(split="test", side=self.side),
            )
        )
        assert np.array_equal(read_features(npy, sidecar, ROWS, self.of), self.features)
        return json.loads(sidecar.read_text("utf-8"))


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("side", ["images", "texts.plain"])
def test_shards_are_joined_in_the_order_of_the_split(side, size, tmp_path):
    about = Job(tmp_path, side, size).run()
    assert (about["device"], about["precision"]) == ("cpu", "float32")
    if side != "images":
        # the last one of each shard
        ends = np.cumsum([len(ROWS.shard(n, size).captions) for n in range(-(-7 // size))])
        assert about["cut"] == (ends - 1).tolist() and about["truncated"] == len(ends)


def test_all_devices_that_took_part_are_named(tmp_path):
    job = Job(tmp_path, "images", 4)
    job.write(1, job.features[4:], device="cuda")
    assert job.run()["device"] == "cpu, cuda"


def test_shards_that_were_made_otherwise_than_the_first_are_refused(tmp_path):
    job = Job(tmp_path, "images", 4)
    job.write(1, job.features[4:], precision="bfloat16")
    with pytest.raises(BadInput, match=r"(?s)images\.1\.json.*bfloat16"):
        job.run()


def test_a_shard_in_another_ones_place_is_refused(tmp_path):
    job = Job(tmp_path, "images", 2)
    job.shards[0], job.shards[1] = job.shards[1], job.shards[0]
    with pytest.raises(BadInput, match=r"images\.1\.json"):
        job.run()


def test_shards_of_another_model_are_refused(tmp_path):
    job = Job(tmp_path, "images", 4)
    (tmp_path / "model.json").write_text("{}", "utf-8")
    with pytest.raises(BadInput, match="another model"):
        job.run()
