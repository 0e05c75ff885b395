"""Captions and splits that a person wrote, read strictly; the order that everything follows."""

import json

import numpy as np
import pytest

from scripts.data.rows import read_captions, read_rows, read_splits, rows_of
from scripts.job import BadInput

GOOD = [
    {"image": "b.jpg", "captions": ["a dog", "a brown dog"]},
    {"image": "图 1.jpg", "captions": ["一只狗"]},
]


@pytest.fixture
def write(tmp_path):
    def write(content, name="captions.json"):
        path = tmp_path / name
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        path.write_bytes(content)
        return path

    return write


def test_captions_keep_the_order_of_the_file(write):
    captions = read_captions(write(GOOD))
    assert list(captions.items()) == [("b.jpg", ["a dog", "a brown dog"]), ("图 1.jpg", ["一只狗"])]


def test_a_byte_order_mark_is_no_fault(write):
    content = b"\xef\xbb\xbf" + json.dumps(GOOD, ensure_ascii=False).encode()
    assert "图 1.jpg" in read_captions(write(content))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"a.jpg": ["a dog"]}, "a JSON dict"),
        ("a.jpg", "a JSON str"),
        ([["a.jpg", ["a dog"]]], "record 1\n  found:    list"),
        ([*GOOD, {"image": "a.jpg"}], r"record 3\n  found:    \['image'\]"),
        ([{"image": "a.jpg", "caption": ["a dog"]}], r"\['caption', 'image'\]"),
        ([{"image": "a.jpg", "captions": ["a"], "split": "test"}], "exactly the keys"),
        ([{"image": 7, "captions": ["a dog"]}], "record 1\n  found:    image: 7"),
        ([{"image": " ", "captions": ["a dog"]}], "image: ' '"),
        ([{"image": "a.jpg", "captions": "a dog"}], "a list of strings"),
        ([{"image": "a.jpg", "captions": ["a dog", None]}], "a list of strings"),
        ([{"image": "a.jpg", "captions": [["a dog"]]}], "a list of strings"),
        ([{"image": "a.jpg", "captions": []}], r"\(a.jpg\)\n  found:    no caption"),
        ([{"image": "a.jpg", "captions": ["a dog", " \n"]}], "caption 2 is empty"),
        ([*GOOD, GOOD[0]], r"record 3 \(b.jpg\)\n  found:    an image that stands"),
        (b'[{"image": "a.jpg",\n "captions": ["\xe9t\xe9"]}]', "line 2\n  found:    byte 0xe9"),
        (b'[{"image": "a.jpg",\n "captions": ["a dog"}]', "line 2, column 22"),
        (b"", "line 1, column 1"),
        (b"[" * 100_000, "nested"),
        (b'[{"image": "a.jpg", "captions": ["half \\ud83d"]}]', "half of a character"),
    ],
)
def test_malformed_captions_end_in_the_record_and_what_is_wrong(write, content, told):
    with pytest.raises(BadInput, match=told) as error:
        read_captions(write(content))
    assert "captions.json" in str(error.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        read_captions(tmp_path / "captions.json")


def test_a_split_that_is_left_out_is_empty(write):
    splits = read_splits(write({"test": ["a.jpg"]}, "splits.json"))
    assert splits == {"train": [], "val": [], "test": ["a.jpg"]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([["a.jpg"]], "found:    list"),
        ({"train": [], "dev": []}, "'dev'"),
        ({"train": "a.jpg"}, "train\n  found:    'a.jpg'"),
        ({"train": [1]}, "a list of file names"),
        ({"train": ["a.jpg"], "test": ["a.jpg"]}, "stands in train before"),
        ({"train": ["a.jpg", "a.jpg"]}, "stands in train before"),
    ],
)
def test_malformed_splits_end_in_the_split_and_what_is_wrong(write, content, told):
    with pytest.raises(BadInput, match=told):
        read_splits(write(content, "splits.json"))


def test_rows_follow_the_split_for_images_and_the_file_for_captions(write):
    splits = write({"test": ["图 1.jpg", "b.jpg"]}, "splits.json")
    rows = read_rows(write(GOOD), splits, "test")
    assert rows.images == ["图 1.jpg", "b.jpg"]
    assert rows.captions == ["一只狗", "a dog", "a brown dog"]
    assert rows.image_of_caption.tolist() == [0, 1, 1]
    assert rows.captions_of(1) == ["a dog", "a brown dog"]


@pytest.mark.parametrize(
    ("split", "told"), [("val", "no image"), ("test", "gone.jpg and 0 more without captions")]
)
def test_rows_of_a_split_that_is_empty_or_names_a_stranger_are_refused(write, split, told):
    splits = write({"train": ["b.jpg"], "test": ["gone.jpg"]}, "splits.json")
    with pytest.raises(BadInput, match=told):
        read_rows(write(GOOD), splits, split)


def test_the_digest_tells_every_change_of_order_or_text():
    images, captions = ["a", "b"], [["one", "two"], ["three"]]
    digests = {
        rows_of(images, captions).digest,
        rows_of(["b", "a"], captions[::-1]).digest,
        rows_of(images, [["two", "one"], ["three"]]).digest,
        rows_of(images, [["one"], ["two", "three"]]).digest,
        rows_of(["a", "c"], captions).digest,
    }
    assert len(digests) == 5
    assert rows_of(images, captions).digest == rows_of(list(images), captions).digest


def test_uneven_captions_are_counted_image_by_image():
    counts = np.random.default_rng(0).integers(1, 6, 50)
    rows = rows_of([str(i) for i in range(50)], [["x"] * count for count in counts])
    expected = [image for image, count in enumerate(counts) for _ in range(count)]
    assert rows.image_of_caption.tolist() == expected
