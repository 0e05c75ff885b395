"""Features that were made elsewhere end in the rows of a split, or in words of what is wrong."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow
import pytest
from features_from_elsewhere import (
    CAPTIONS,
    FORMS,
    IMAGE_ROWS,
    TEXT_ROWS,
    TEXTS,
    in_npy,
    in_parquet,
    unit,
    written,
)
from pyarrow import parquet

from scripts.data.rows import read_rows
from scripts.encode.import_features import main, unit_rows
from scripts.encode.stored import read_features
from scripts.job import BadInput
from scripts.models.elsewhere import Part, read_vectors
from scripts.models.find_features import find_features

PLAIN = {"plain": ["{}"]}


@pytest.fixture
def imported(tmp_path):
    """Import one side of all images, which are the test split, from an entry of the config."""
    data = tmp_path / "data"
    data.mkdir()
    records = [{"image": name, "captions": texts} for name, texts in CAPTIONS.items()]
    (data / "captions.json").write_text(json.dumps(records), "utf-8")
    splits = {"test": list(CAPTIONS), "train": [], "val": []}
    (data / "splits.json").write_text(json.dumps(splits), "utf-8")

    def job(entry: dict, side: str, prompts: dict | None = None, changed=None) -> np.ndarray:
        find_features(entry, data / "models/api", "api")
        if changed:
            changed()
        given = {name: str(data / f"{name}.json") for name in ("captions", "splits")}
        made = {name: tmp_path / f"made.{end}" for name, end in
                (("features", "npy"), ("sidecar", "json"))}  # fmt: skip
        main(
            SimpleNamespace(
                input=SimpleNamespace(**given, model=str(data / "models/api/model.json")),
                output=SimpleNamespace(**made),
                params=SimpleNamespace(prompts=prompts or PLAIN, templates=["{}"]),
                wildcards=SimpleNamespace(split="test", side=side),
            )
        )
        rows = read_rows(*given.values(), "test")
        of = "images" if side == "images" else "captions"
        return np.array(read_features(*made.values(), rows, of))

    return job


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", [range(6), [5, 2, 0, 4, 1, 3]])
def test_each_form_gives_the_rows_bit_by_bit_in_whatever_order_they_stand(
    imported, tmp_path, form, order
):
    entry = written(form, tmp_path / "theirs", np.array(order))
    assert imported(entry, "images").tobytes() == IMAGE_ROWS.tobytes()
    assert imported(entry, "texts.plain").tobytes() == TEXT_ROWS.tobytes()


def test_each_side_may_have_a_path_of_its_own(imported, tmp_path):
    images = in_parquet(tmp_path / "i/any.parquet", IMAGE_ROWS, image=list(CAPTIONS))
    # without images, a caption is told by itself: on every image it has one row
    texts = dict.fromkeys(caption for _, caption in TEXTS)
    rows = unit(len(texts), seed=2)
    array = in_npy(tmp_path / "t/any.npy", rows, caption=list(texts))
    entry = {"images": str(images), "texts": str(array), "prompts": ["plain"]}
    assert imported(entry, "images").tobytes() == IMAGE_ROWS.tobytes()
    expected = rows[[list(texts).index(caption) for _, caption in TEXTS]]
    assert imported(entry, "texts.plain").tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rows_are_brought_to_unit_length_in_float64(imported, tmp_path, dtype):
    entry = written("parquet", tmp_path / "theirs")
    long = (3 * IMAGE_ROWS).astype(dtype)
    in_parquet(tmp_path / "theirs/images.parquet", long, image=list(CAPTIONS))
    exact = long.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    found = imported(entry, "images")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, rtol=2e-7, atol=0)


def test_lengths_beyond_the_range_of_squares_are_brought_to_one():
    rows = np.array([[3e200, 4e200], [3e-200, 4e-200]])
    found = unit_rows(rows, Path("x"), np.arange(2))
    assert found.tolist() == [[np.float32(0.6), np.float32(0.8)]] * 2


def test_prompts_are_told_by_name_or_template_and_an_ensemble_is_made_of_its_templates(
    imported, tmp_path
):
    folder = tmp_path / "theirs"
    entry = written("parquet", folder) | {"prompts": ["plain", "photo"]}
    photo = unit(len(TEXTS), seed=3)[[0, 1, 0, 3, 4, 5]]
    names = {key: 2 * values for key, values in
             (("image", [i for i, _ in TEXTS]), ("caption", [c for _, c in TEXTS]))}  # fmt: skip
    prompts = ["plain"] * 6 + ["a photo of {}"] * 6
    in_parquet(
        folder / "texts.parquet", np.concatenate([TEXT_ROWS, photo]), prompt=prompts, **names
    )
    of_photo = {"photo": ["a photo of {}"]}
    assert imported(entry, "texts.plain").tobytes() == TEXT_ROWS.tobytes()
    assert imported(entry, "texts.photo", of_photo).tobytes() == photo.tobytes()
    mean = TEXT_ROWS + photo
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    assert imported(entry, "texts.both", PLAIN | of_photo).tobytes() == mean.tobytes()
    with pytest.raises(
        BadInput, match=r"prompt sketch, .*; the prompts there are plain, a photo of"
    ):
        imported(
            entry | {"prompts": ["plain", "sketch"]}, "texts.sketch", {"sketch": ["sketch {}"]}
        )


def test_what_is_too_much_is_passed_over_and_said(imported, tmp_path, caplog):
    entry = written("parquet", tmp_path / "theirs")
    names, rows = [*CAPTIONS, "other.jpg"], np.concatenate([IMAGE_ROWS, unit(1, seed=9)])
    in_parquet(tmp_path / "theirs/images.parquet", rows, image=names)
    with caplog.at_level(logging.INFO):
        assert imported(entry, "images").tobytes() == IMAGE_ROWS.tobytes()
    assert "3 of 4 rows are of this split; the others are passed over" in caplog.text


def test_what_is_missing_is_counted_and_the_first_is_named(imported, tmp_path):
    entry = written("parquet", tmp_path / "theirs")
    in_parquet(tmp_path / "theirs/images.parquet", IMAGE_ROWS[:1], image=["b.jpg"])
    told = r"theirs\n.*no features of 2 of the images, the first a.jpg"
    with pytest.raises(BadInput, match=told) as error:
        imported(entry, "images")
    assert "splits: [test]" in str(error.value)
    in_parquet(
        tmp_path / "theirs/texts.parquet", TEXT_ROWS[1:], caption=[c for _, c in TEXTS][1:],
        image=["b.jpg", *(image for image, _ in TEXTS[2:])],
    )  # fmt: skip
    # "a dog" of a.jpg stands there once more; "two dogs" is another image's there
    with pytest.raises(
        BadInput, match=r"no features of 1 of the texts under .* plain, the first 'two dogs'"
    ):
        imported(entry, "texts.plain")


def test_names_that_are_like_a_missing_one_or_mean_one_image_together_are_told(imported, tmp_path):
    entry = written("parquet", tmp_path / "theirs")
    names = ["a.jpg", "b.jpg", "x/D.jpg"]
    in_parquet(tmp_path / "theirs/images.parquet", IMAGE_ROWS, image=names)
    with pytest.raises(BadInput, match=r"the first c/d\.jpg; most like c/d\.jpg is x/D\.jpg"):
        imported(entry, "images")
    names = ["x/a.jpg", "y/a.jpg", "b.jpg"]
    in_parquet(tmp_path / "theirs/images.parquet", IMAGE_ROWS, image=names)
    told = r"of x/a\.jpg, a\.jpg is there, which another name means, too"
    with pytest.raises(BadInput, match=told):
        imported(entry, "images")


def test_rows_of_one_image_are_one_but_for_rounding_and_a_fault_where_not(
    imported, tmp_path, caplog
):
    caplog.set_level("INFO")
    entry = written("parquet", tmp_path / "theirs")
    file, names = tmp_path / "theirs/images.parquet", [*CAPTIONS, "a.jpg"]
    in_parquet(file, IMAGE_ROWS[[0, 1, 2, 0]], image=names)
    assert imported(entry, "images").tobytes() == IMAGE_ROWS.tobytes()
    assert "the first is taken" not in caplog.text
    again = IMAGE_ROWS[[0, 1, 2, 0]]
    again[3] = again[3].astype(np.float16)
    in_parquet(file, again, image=names)
    assert imported(entry, "images").tobytes() == IMAGE_ROWS.tobytes()
    assert "the first is taken" in caplog.text
    in_parquet(file, IMAGE_ROWS[[0, 1, 2, 1]], image=names)
    with pytest.raises(BadInput, match=r"images\.parquet, row 3\n.*another vector"):
        imported(entry, "images")


@pytest.mark.parametrize(
    ("value", "told"),
    [(np.nan, "not finite"), (np.inf, "not finite"), (0, "zeros and nothing else")],
)
def test_a_row_without_a_direction_is_named(imported, tmp_path, value, told):
    entry = written(".csv", tmp_path / "theirs")
    rows = IMAGE_ROWS.copy()
    rows[1] = value
    np.save(tmp_path / "theirs/images.npy", rows)
    with pytest.raises(BadInput, match=rf"images\.npy, row 1\n.*{told}"):
        imported(entry, "images")


def test_vectors_of_another_length_are_named_by_their_row(imported, tmp_path):
    entry = written("parquet", tmp_path / "theirs")
    rows = [*IMAGE_ROWS[:2], IMAGE_ROWS[2, :4]]
    in_parquet(tmp_path / "theirs/images.parquet", rows, image=list(CAPTIONS))
    with pytest.raises(BadInput, match=r"row 2\n.*4 dimensions\n.*5, as in the rows before"):
        imported(entry, "images")


def test_of_a_large_file_a_few_rows_are_in_memory_at_a_time(tmp_path):
    rows = unit(20_000, 256)
    # in one group of rows, as many programs write it
    column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(rows.reshape(-1)), 256)
    file = tmp_path / "images.parquet"
    parquet.write_table(pyarrow.table({"embedding": column}), file)
    before, most, start = pyarrow.total_allocated_bytes(), 0, 0
    for vectors in read_vectors(Part(file, file)):
        most = max(most, pyarrow.total_allocated_bytes() - before)
        assert vectors.tobytes() == rows[start : start + len(vectors)].tobytes()
        start += len(vectors)
    assert start == 20_000 and most < rows.nbytes / 3


def test_a_file_that_changes_while_the_run_is_at_work_is_refused(imported, tmp_path):
    entry = written(".csv", tmp_path / "theirs")
    file, other = tmp_path / "theirs/images.npy", IMAGE_ROWS[[1, 0, 2]]
    with pytest.raises(BadInput, match=r"images\.npy\n.*sha256 .*\n.*as when the run began"):
        imported(entry, "images", changed=lambda: np.save(file, other))


def test_captions_are_the_same_whatever_stands_between_their_words(imported, tmp_path):
    entry = written(".tsv", tmp_path / "theirs")
    table = tmp_path / "theirs/texts.tsv"
    text = table.read_text("utf-8").replace("two dogs", "two  dogs ").replace("ä", "a\u0308")
    table.write_text(text, "utf-8")
    assert imported(entry, "texts.plain").tobytes() == TEXT_ROWS.tobytes()
    assert re.search("two  dogs \n", text)
