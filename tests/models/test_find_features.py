"""What model.json says of features that were made elsewhere, and what is told of those refused."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from features_from_elsewhere import (
    CAPTIONS,
    FORMS,
    IMAGE_ROWS,
    TEXT_ROWS,
    in_npy,
    in_parquet,
    unit,
    written,
)

from scripts.job import BadInput
from scripts.models.find_features import find_features


def found(entry: dict, tmp_path: Path) -> dict:
    find_features(entry, tmp_path / "api", "api")
    return json.loads((tmp_path / "api/model.json").read_text("utf-8"))


@pytest.mark.parametrize("form", FORMS)
def test_model_json_says_where_features_are_and_what_they_hash_to(tmp_path, form):
    (tmp_path / "api").mkdir()
    (tmp_path / "api/model.safetensors").write_bytes(b"of an earlier entry of this name")
    about = found(written(form, tmp_path / "theirs"), tmp_path)
    assert (about["source"], about["architecture"], about["parameters"]) == (
        "features", "features", None,
    )  # fmt: skip
    assert about["embedding_dim"] == 5
    pairs = form == "clip-retrieval"
    assert about["rows"] == {"images": 6 if pairs else 3, "texts": 6}
    for name, digest in about["files"].items():
        side, _, file = name.partition("/")
        assert side in ("images", "texts")
        assert sha256((tmp_path / file).read_bytes()).hexdigest() == digest
    assert len(about["files"]) == {"parquet": 2, "clip-retrieval": 8}.get(form, 4)
    assert [path.name for path in (tmp_path / "api").iterdir()] == ["model.json"]


def spoilt(form: str, tmp_path: Path, spoil) -> str:
    entry = written(form, tmp_path / "theirs")
    spoil(tmp_path / "theirs")
    with pytest.raises(BadInput) as error:
        found(entry, tmp_path)
    assert not (tmp_path / "api/model.json").exists()
    return str(error.value)


def saved(name: str, array: np.ndarray):
    return lambda folder: np.save(folder / name, array, allow_pickle=array.dtype == object)


def replaced(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def rewritten(name: str, rows, **names: list):
    return lambda folder: in_parquet(folder / name, rows, **names)


NAMES = list(CAPTIONS)
FAULTS = {
    "no file": (".csv", lambda f: (f / "images.npy").unlink(), "neither .npy nor .parquet"),
    "no table": (".csv", lambda f: (f / "images.csv").unlink(), "no table of its rows beside it"),
    "two tables": (".csv", replaced("images.tsv", b"image\n"), "images.csv, images.tsv"),
    "short table": (".csv", replaced("texts.csv", b"image,caption\na,b\n"), "1 rows.*6, one for"),
    "no name": (".csv", replaced("texts.csv", b"image,caption\na.jpg,\n"), "line 2.*caption: ''"),
    "no column": (".csv", replaced("texts.csv", b"image,text\n"), "image, text.*column caption"),
    "a comma": (".csv", replaced("texts.csv", b"caption\na dog, a cat\n"), "line 2.*a cat.*1 cell"),
    "twice": (".csv", replaced("texts.csv", b"caption,caption\na,b\n"), "caption once"),
    "no text": (".csv", replaced("texts.csv", b"caption\n\xff\n"), "a table in UTF-8"),
    "open quote": (".csv", replaced("texts.csv", b'caption\n"a\n'), "texts.csv\n.*unexpected end"),
    "cut": (".csv", replaced("images.npy", b"\x93NUMPY\x01\x00"), "not a whole .npy file"),
    "text": (".csv", replaced("images.npy", b"0.1 0.2"), r"file \(it is none, or pickled\)"),
    "pickled": (".csv", saved("images.npy", np.array([{}])), "not a whole .npy file"),
    "whole numbers": (".csv", saved("images.npy", np.ones((3, 5), int)), "2-D int64"),
    "one vector": (".csv", saved("images.npy", np.ones(5)), "1-D float64"),
    "no vectors": (".csv", saved("images.npy", np.ones((0, 5))), "no vector"),
    "dimensions": (".csv", saved("images.npy", unit(3, 4)), "texts.npy\n.*5 dimensions.*4, as in"),
    "no parquet": ("parquet", replaced("images.parquet", b"PAR1"), "not a whole parquet file"),
    "no embedding": (
        "parquet",
        lambda f: in_npy(f / "i.npy", IMAGE_ROWS, ".parquet", image=NAMES)
        .with_suffix(".parquet").replace(f / "images.parquet"),
        "several|the columns image|2 files",
    ),
    "texts": ("parquet", rewritten("images.parquet", ["x", "y", "z"], image=NAMES), "type string"),
    "a gap": (
        "parquet",
        rewritten("images.parquet", [[1.0, None], [1.0, 1.0], None], image=NAMES),
        "row 0\n.*lacks a number",
    ),
    "no image": ("parquet", rewritten("images.parquet", IMAGE_ROWS, image=["a", "", "b"]), "row 1"),
    "metadata": (
        "clip-retrieval",
        lambda f: (f / "metadata/metadata_01.parquet").unlink(),
        "img_emb_01.npy\n.*no metadata of number 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_the_file_and_the_row(tmp_path, fault):
    form, spoil, told = FAULTS[fault]
    said = spoilt(form, tmp_path, spoil)
    assert re.search(told, said, re.S), said
    assert all(part in said for part in ("found:", "expected:", "to do:"))


def test_a_path_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BadInput, match="no such file or folder"):
        found({"path": str(tmp_path / "nowhere"), "prompts": ["plain"]}, tmp_path)


def test_of_several_prompts_the_table_has_to_say_which(tmp_path):
    entry = written("parquet", tmp_path / "theirs") | {"prompts": ["plain", "photo"]}
    with pytest.raises(BadInput, match=r"no column prompt\n.*plain, photo"):
        found(entry, tmp_path)


def test_one_file_for_both_sides_is_refused(tmp_path):
    file = in_parquet(tmp_path / "f.parquet", IMAGE_ROWS, image=NAMES, caption=NAMES)
    with pytest.raises(BadInput, match="one file for images and for texts"):
        found({"images": str(file), "texts": str(file), "prompts": ["plain"]}, tmp_path)


def test_features_in_the_folder_that_is_emptied_are_left_alone(tmp_path):
    entry = written("parquet", tmp_path / "api")
    with pytest.raises(BadInput, match="which the workflow empties"):
        found(entry, tmp_path)
    assert (tmp_path / "api/texts.parquet").exists()


def test_a_folder_with_one_array_needs_no_names_of_sides(tmp_path):
    in_npy(tmp_path / "i/clip.npy", IMAGE_ROWS, image=NAMES)
    in_npy(tmp_path / "t/clip.npy", TEXT_ROWS, caption=[str(n) for n in range(6)])
    entry = {"images": str(tmp_path / "i"), "texts": str(tmp_path / "t"), "prompts": ["plain"]}
    assert set(found(entry, tmp_path)["files"]) == {
        "images/i/clip.npy", "images/i/clip.csv", "texts/t/clip.npy", "texts/t/clip.csv",
    }  # fmt: skip
