"""The real photos, captions and lists, where they lie beside the repository."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from scripts.data.audit import Findings
from scripts.data.files import open_files
from scripts.data.images import take_in
from scripts.data.place import Place
from scripts.data.sources import SOURCES
from scripts.data.split import split_images

FLICKR8K = Path(__file__).resolve().parents[3] / "shared" / "flickr8k"

pytestmark = pytest.mark.skipif(
    not FLICKR8K.is_dir(), reason="needs the Flickr8k archives in ../shared/flickr8k"
)


LAYOUTS_OF_PEOPLE = FLICKR8K.parent / "layouts/make.py"


@pytest.fixture(scope="module")
def dataset():
    findings = Findings()
    archives, place = SOURCES["archives"], Place(FLICKR8K)
    _, records = archives.read(place, archives.find(place), findings)
    return list(records), findings


def test_all_photos_and_captions_are_found(dataset):
    records, findings = dataset
    assert findings.images_found == len(records) == 8090
    assert findings.captions_found == 40_460
    assert {len(record.captions) for record in records} == {5}


def test_the_official_split_lacks_the_one_photo_that_is_missing(dataset):
    records, _ = dataset
    splits = split_images({record.image: record.split for record in records}, 0, {})
    sizes = {split: len(images) for split, images in splits.items()}
    assert sizes == {"train": 5999, "val": 1000, "test": 1000}
    assert sum(record.split == "none" for record in records) == 91


def test_its_oddities_are_set_aside(dataset):
    _, findings = dataset
    assert sorted(findings.aside) == [
        ("2258277193_586949ec62.jpg.1", "caption without image", "5 captions"),
        ("3050606344_af711c726c.jpg", "missing file", "5 captions"),
    ]
    short = [caption for record in dataset[0] for caption in record.captions if len(caption) == 1]
    assert sorted(short) == ["A", "a"]


def test_a_photo_has_the_captions_that_people_gave_it(dataset):
    records = {record.image: record for record in dataset[0]}
    assert records["1000268201_693b08cb0e.jpg"].captions[:2] == [
        "A child in a pink dress is climbing up a set of stairs in an entry way .",
        "A girl going into a wooden building .",
    ]


def test_the_original_photos_are_kept_byte_for_byte():
    files, _ = open_files(FLICKR8K, ["originals-125-test.zip"])
    for name, read in list(files.items())[::5]:
        content = read()
        picture = take_in(content, name, 10**8)
        assert picture.content is content, (name, picture.converted)
        assert max(picture.width, picture.height) <= 500


@pytest.mark.skipif(not LAYOUTS_OF_PEOPLE.is_file(), reason="needs ../shared/layouts/make.py")
@pytest.mark.parametrize(
    ("name", "layout", "split"),
    [
        ("kaggle_with_lists", "kaggle", {"train": 10, "val": 4, "test": 6}),
        ("names_prefixed", "folder", {"": 20}),
        ("names_other_case", "folder", {"": 20}),
        ("names_without_suffix", "folder", {"train": 10, "val": 4, "test": 6}),
    ],
)
def test_names_and_lists_as_people_have_them_lose_nothing(tmp_path, name, layout, split):
    spec = importlib.util.spec_from_file_location("people", LAYOUTS_OF_PEOPLE)
    people = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(people)
    rows = people.records()
    getattr(people, name)(tmp_path, rows)
    findings = Findings()
    place = Place(tmp_path)
    _, records = SOURCES[layout].read(place, SOURCES[layout].find(place), findings)
    assert Counter(record.split for record in records) == split
    assert findings.aside == []
    expected = {Path(image).stem: (captions, content) for image, captions, _, content in rows}
    assert {Path(r.image).stem: (r.captions, r.read()) for r in records} == expected
