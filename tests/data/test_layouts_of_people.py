"""Twenty photos in the layouts in which people have them, where ../shared/layouts is."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

PEOPLE = Path(__file__).resolve().parents[3] / "shared/layouts/make.py"


def people():
    spec = importlib.util.spec_from_file_location("people", PEOPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HALF = {"train": 10, "val": 4, "test": 6}
OF_PEOPLE = {
    "seed_extra_keys": ("folder", HALF),
    "seed_mapping": ("folder", HALF),
    "seed_test_only": ("folder", {"test": 20}),
    "lavis": ("folder", {"": 20}),
    "karpathy_flickr": ("karpathy", HALF),
    "karpathy_coco": ("karpathy", HALF),
    "coco": ("coco", {"": 20}),
    "csv_openclip": ("table", {"": 20}),
    "tsv_split": ("table", HALF),
    "jsonl": ("table", HALF),
    "flickr30k_results": ("table", {"": 20}),
    "flickr30k_token": ("tokens", {"": 20}),
    "kaggle_with_lists": ("table", HALF),
    "flickr8kcn": ("tokens", {"": 20}),
    "imagefolder_jsonl": ("imagefolder", HALF),
    "imagefolder_csv": ("imagefolder", {"test": 20}),
    "pairs": ("pairs", {"": 20}),
    "pairs_two_folders": ("pairs", {"": 20}),
    "webdataset": ("webdataset", {"train": 14, "test": 6}),
    "parquet_list": ("parquet", HALF),
    "names_prefixed": ("folder", {"": 20}),
    "names_other_case": ("folder", {"": 20}),
    "names_without_suffix": ("folder", HALF),
}


@pytest.mark.skipif(not PEOPLE.is_file(), reason="needs ../shared/layouts/make.py")
@pytest.mark.parametrize("name", OF_PEOPLE)
def test_the_layouts_of_people_lose_nothing(taken, tmp_path, name):
    module = people()
    rows = module.records()
    getattr(module, name)(tmp_path / "mine", rows)
    layout, splits = OF_PEOPLE[name]
    manifest, kept, findings = taken(tmp_path / "mine")
    assert (manifest["layout"], dict(Counter(one.split for one in kept))) == (layout, splits)
    assert findings.aside == []
    said = {content: (image, captions) for image, captions, _, content in rows}
    for one in kept:
        image, captions = said[(tmp_path / "images" / one.image).read_bytes()]
        if name not in ("karpathy_coco", "webdataset", "pairs_two_folders", "names_other_case"):
            assert one.image == image
        if name not in ("flickr8kcn", "imagefolder_csv", "pairs_two_folders"):
            assert one.captions == captions
        assert len(one.captions) in (1, 5)


@pytest.mark.skipif(not PEOPLE.is_file(), reason="needs ../shared/layouts/make.py")
def test_the_list_of_peoples_layouts_is_theirs():
    assert [layout.__name__ for layout in people().LAYOUTS] == [*OF_PEOPLE]
