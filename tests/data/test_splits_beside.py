"""A split that stands beside a dataset is the one that is read, or is told: never another drawn."""

import json

import pytest

from scripts.data.download import from_location
from scripts.job import BadInput

LISTS = ("Flickr_8k.trainImages.txt", "Flickr_8k.devImages.txt", "Flickr_8k.testImages.txt")


def looked_at(root, layout="flickr8k"):
    """What the dataset's files are taken for, by their paths."""
    source = "folder" if layout == "folder" else "flickr8k"
    about = from_location({"source": source, "location": str(root)})
    return about["layout"], [file["path"] for file in about["files"]]


@pytest.fixture
def homes(tmp_path, make, archives, kaggle, photos):
    """A dataset of each layout."""
    make.write_files(tmp_path / "archives", archives)
    make.write_files(tmp_path / "kaggle", kaggle)
    make.write_files(tmp_path / "zip", {"a.zip": make.zipped(kaggle)})
    make.parquet(tmp_path / "parquet/test-0.parquet", [min(photos.values())])
    make.write_folder(tmp_path / "folder", {"a.jpg": min(photos.values())})
    return tmp_path


NAMES = [
    "Splits.json", "splits.JSON", "split.json", "images/splits.json", "old/splits.json", *LISTS[:1],
    LISTS[0].lower(), f"lists/{LISTS[1]}", f"flickr8k_text/{LISTS[2]}",
]  # fmt: skip


@pytest.mark.parametrize("layout", ["folder", "kaggle", "zip", "parquet", "archives"])
@pytest.mark.parametrize("name", NAMES)
def test_a_split_that_would_not_be_read_is_told_with_where_it_belongs(homes, make, layout, name):
    if layout in ("kaggle", "zip") and name in LISTS:
        pytest.skip("is read, and told there to be one of three")
    images = {"kaggle": "Images", "zip": "pictures"}.get(layout, "images")
    name = name.replace("images/", f"{images}/")
    make.write_files(homes / layout, {name: b"{}"})
    told = (
        "another split than" if (layout, name[-3:]) == ("archives", "txt") else "is not read there"
    )
    with pytest.raises(BadInput, match=f"(?s){name}.*{told}"):
        looked_at(homes / layout, layout)


@pytest.mark.parametrize("layout", ["parquet", "archives"])
def test_a_split_of_ones_own_beside_files_that_have_one_is_told(homes, layout):
    (homes / layout / "splits.json").write_text("{}")
    with pytest.raises(BadInput, match=r"(?s)splits\.json.*is not read there.*take it away"):
        looked_at(homes / layout)


def test_a_split_that_is_packed_where_none_is_read_is_told(homes, make, kaggle):
    make.write_files(homes / "zip", {"a.zip": make.zipped(kaggle | {"splits.json": b"{}"})})
    with pytest.raises(BadInput, match=r"(?s)a\.zip, splits\.json.*is not read there"):
        looked_at(homes / "zip")


@pytest.mark.parametrize("layout", ["folder", "kaggle", "zip"])
def test_a_split_in_its_place_is_read(homes, layout):
    (homes / layout / "splits.json").write_text(json.dumps({"test": []}))
    assert "splits.json" in looked_at(homes / layout, layout)[1]


def test_a_split_that_is_a_link_to_nowhere_is_told_and_no_other_drawn(homes):
    (homes / "kaggle/splits.json").symlink_to("gone.json")
    with pytest.raises(BadInput, match=r"(?s)splits\.json.*is not read there"):
        looked_at(homes / "kaggle")


def test_a_split_that_stands_there_twice_is_read_where_both_agree(homes, make, kaggle):
    lists = {name: b"a.jpg\n" for name in LISTS}
    packed = {"Flickr8k_text.zip": make.zipped(lists)}
    twice = {f"Flickr8k_text/{name}": b"a.jpg\r\n\r\n" for name in LISTS}
    make.write_files(homes / "kaggle", packed | twice)
    assert looked_at(homes / "kaggle")[1][2:] == ["Flickr8k_text.zip"]
    make.write_files(homes / "kaggle", {f"Flickr8k_text/{LISTS[2]}": b"b.jpg"})
    with pytest.raises(BadInput, match=f"(?s){LISTS[2]}.*another split than in Flickr8k_text.zip"):
        looked_at(homes / "kaggle")


def test_lists_in_the_archive_and_beside_it_must_agree(homes, make, kaggle):
    lists = {name: b"a.jpg\n" for name in LISTS}
    root = make.write_files(homes / "zip", {"a.zip": make.zipped(kaggle | lists)} | lists)
    assert looked_at(root)[0] == "kaggle"
    make.write_files(root, {LISTS[0]: b"b.jpg"})
    with pytest.raises(BadInput, match=f"(?s){LISTS[0]}.*another split than in a.zip"):
        looked_at(root)


def test_a_split_that_is_written_otherwise_but_says_the_same_is_no_other(homes, make):
    own = {"train": ["a.jpg", "b.jpg"], "val": [], "test": ["c.jpg"]}
    backup = {"test": ["c.jpg"], "train": ["b.jpg", "a.jpg"]}
    make.write_files(
        homes / "folder",
        {
            "splits.json": json.dumps(own).encode(),
            "raw/splits.json": b"\xef\xbb\xbf" + json.dumps(backup, indent=1).encode(),
        },
    )
    assert "splits.json" in looked_at(homes / "folder", "folder")[1]
    swapped = {"test": own["train"], "train": own["test"]}
    make.write_files(homes / "folder", {"raw/splits.json": json.dumps(swapped).encode()})
    with pytest.raises(BadInput, match=r"raw/splits\.json\n.*another split than in splits\.json"):
        looked_at(homes / "folder", "folder")


def test_a_list_that_has_a_mark_or_a_name_twice_is_no_other(homes, make):
    # both are read without a word, so they are no reason to refuse the same list beside them
    lists = {f"Flickr8k_text/{name}": b"\xef\xbb\xbfa.jpg\na.jpg\n" for name in LISTS}
    packed = make.zipped(dict.fromkeys(LISTS, b"a.jpg"))
    make.write_files(homes / "kaggle", lists | {"Flickr8k_text.zip": packed})
    assert looked_at(homes / "kaggle")[0] == "kaggle"


@pytest.mark.parametrize("broken", [b"[" * 100_000, b"[1]", b'{"test": 3}', b"\xff", b"3"])
def test_a_split_that_is_none_is_left_to_its_reader_and_told_where_it_is_another(
    homes, make, broken
):
    make.write_files(homes / "folder", {"splits.json": broken, "old/splits.json": broken})
    assert "splits.json" in looked_at(homes / "folder", "folder")[1]
    make.write_files(homes / "folder", {"old/splits.json": b"{}"})
    with pytest.raises(BadInput, match="another split than in"):
        looked_at(homes / "folder", "folder")


@pytest.mark.parametrize("name", [LISTS[0], "splits.json"])
def test_a_split_that_was_not_unpacked_of_an_archive_is_not_passed_over(homes, make, kaggle, name):
    lists = dict.fromkeys(LISTS if name in LISTS else [name], b"{}")
    make.write_files(homes / "zip", kaggle | {"a.zip": make.zipped(kaggle | lists)})
    if name in LISTS:
        assert looked_at(homes / "zip")[1] == ["a.zip"]
    else:
        with pytest.raises(BadInput, match=r"(?s)a\.zip, splits\.json.*is not read there"):
            looked_at(homes / "zip")
    # what one has beside the archive goes before what is in it
    make.write_files(homes / "zip", dict.fromkeys(LISTS, b"a.jpg"))
    assert looked_at(homes / "zip")[1] == ["Images", "captions.txt", *LISTS]


def test_two_datasets_in_one_folder_are_told(homes, make, kaggle, photos):
    make.parquet(homes / "kaggle/test-0.parquet", [min(photos.values())])
    with pytest.raises(
        BadInput, match=r"(?s)test-0\.parquet \(parquet\); and Images.*one dat.*layout: pa"
    ):
        looked_at(homes / "kaggle")
    other = kaggle | {"captions.txt": kaggle["captions.txt"] + b"\n"}
    fewer = {name: kaggle[name] for name in list(kaggle)[:-1]}
    for second in (other, fewer):
        make.write_files(homes / "zip", {"b.ZIP": make.zipped(second)})
        with pytest.raises(BadInput, match=r"(?s)a\.zip and b\.ZIP, with other.*one dataset"):
            looked_at(homes / "zip")


def test_an_archive_beside_what_was_unpacked_of_it_is_no_other_dataset(homes, make, kaggle):
    make.write_files(homes / "zip", kaggle)
    assert looked_at(homes / "zip")[1] == ["Images", "captions.txt"]
    make.write_files(homes / "zip", {"Images/more.jpg": b"x"})
    with pytest.raises(BadInput, match=r"Images and a\.zip, with other images or captions"):
        looked_at(homes / "zip")


def test_of_two_folders_of_images_the_full_one_is_taken_and_two_full_ones_are_told(homes, make):
    root = homes / "folder"
    (root / "Images").mkdir()
    if (root / "Images").samefile(root / "images"):
        pytest.skip("a disk that does not tell capitals from small letters")
    assert "images" in looked_at(root, "folder")[1]
    (root / "images").rename(root / "IMAGES")
    assert "IMAGES" in looked_at(root, "folder")[1]
    make.write_files(root / "Images", {"b.jpg": b"x"})
    with pytest.raises(BadInput, match="IMAGES and Images, both with files"):
        looked_at(root, "folder")
