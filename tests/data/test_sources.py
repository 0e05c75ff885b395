"""Each source gives its images with their captions and split, and every oddity is accounted for."""

import json
import os
import shutil
import zipfile

import pytest

from scripts.data.audit import Findings, Unusable
from scripts.data.files import digest_of_folder, paths_below
from scripts.data.place import Place
from scripts.data.sources import SOURCES
from scripts.job import BadInput


def read(layout, root):
    """All records of ``root``, and what was found beside them."""
    findings = Findings()
    place = Place(root, {"source": SOURCES[layout].kinds[0]})
    paths = SOURCES[layout].find(place)
    total, records = SOURCES[layout].read(place.within(paths), paths, findings)
    records = list(records)
    assert len(records) <= total
    return records, findings


def is_official(root):
    """Whether Kaggle's files have the official split."""
    kaggle, place = SOURCES["kaggle"], Place(root)
    return kaggle.has_official_split(place, kaggle.find(place))


def notes_of(findings):
    return {note["note"]: note["items"] for note in findings.notes}


@pytest.fixture
def flickr8k(tmp_path, make, archives):
    return make.write_files(tmp_path / "flickr8k", archives)


@pytest.mark.parametrize("unpacked", [False, True])
def test_archives_give_each_photo_with_its_captions_by_number_and_its_split(
    flickr8k, photos, unpacked
):
    if unpacked:
        for name in ("Flickr8k_Dataset.zip", "Flickr8k_text.zip"):
            shutil.unpack_archive(flickr8k / name, flickr8k)
            (flickr8k / name).unlink()
    records, _ = read("archives", flickr8k)
    names = sorted(photos)
    assert [record.image for record in records] == names
    splits = [record.split for record in records]
    assert splits == ["train", "train", "train", "val", "test", "none"]
    expected = [f"caption {n} of {names[1]} ." for n in range(5)]
    assert records[1].captions == expected
    assert records[1].read() == photos[names[1]]


def test_the_oddities_of_flickr8k_are_set_aside_or_noted(flickr8k, photos):
    records, findings = read("archives", flickr8k)
    assert sorted(findings.aside) == [
        ("2258277193_586949ec62.jpg.1", "caption without image", "5 captions"),
        ("gone.jpg", "missing file", "5 captions"),
    ]
    assert notes_of(findings) == {
        "left by an operating system, not read": [f"__MACOSX/Flicker8k_Dataset/._{min(photos)}"],
        "in a list of the split, but not there": ["gone.jpg"],
    }
    assert (findings.images_found, findings.captions_found) == (6, 40)
    assert [len(record.captions) for record in records] == [5] * 6


@pytest.fixture
def edited(flickr8k, make):
    """The dataset with one of its text files changed."""

    def edited(name, change):
        with zipfile.ZipFile(flickr8k / "Flickr8k_text.zip") as archive:
            members = {member: archive.read(member) for member in archive.namelist()}
        members[name] = change(members[name])
        if members[name] is None:
            del members[name]
        make.write_files(flickr8k, {"Flickr8k_text.zip": make.zipped(members)})
        return flickr8k

    return edited


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("Flickr8k.token.txt", lambda text: b"no number\tx\n" + text, "line 1\n.*no number"),
        ("Flickr8k.token.txt", lambda text: text + b"a.jpg#0\t\xff\n", "line 41\n.*byte 0xff"),
        ("Flickr8k.token.txt", lambda text: None, "no such file"),
        ("Flickr_8k.devImages.txt", lambda text: None, "devImages.txt\n.*no such file"),
        ("Flickr_8k.testImages.txt", lambda text: b"gone.jpg\n", "gone.jpg, which is in train"),
    ],
)
def test_text_files_that_are_malformed_end_in_the_line(edited, name, change, told):
    with pytest.raises(BadInput, match=told):
        read("archives", edited(name, change))


def test_line_ends_of_windows_and_empty_captions_are_no_fault(edited, photos):
    root = edited(
        "Flickr8k.token.txt",
        lambda text: text.replace(b"\n", b"\r\n") + f"{max(photos)}#5\t \r\n\r\n".encode(),
    )
    records, findings = read("archives", root)
    assert records[-1].captions[4] == f"caption 4 of {max(photos)} ."
    assert (max(photos), "empty caption", "caption 5") in findings.aside


def test_a_photo_damaged_in_the_archive_fails_alone(flickr8k, photos):
    path = flickr8k / "Flickr8k_Dataset.zip"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"Flicker8k_Dataset/{min(photos)}")
    content[info.header_offset + 30 + len(info.filename) + 50] ^= 0xFF
    path.write_bytes(content)
    records, _ = read("archives", flickr8k)
    with pytest.raises(Unusable, match="unreadable: damaged in the archive"):
        records[0].read()
    assert records[1].read() == photos[records[1].image]


@pytest.mark.parametrize("packed", [False, True])
def test_kaggles_captions_keep_their_commas_and_quotes(tmp_path, make, kaggle, photos, packed):
    files = {"flickr8k.zip": make.zipped(kaggle)} if packed else kaggle
    records, findings = read("kaggle", make.write_files(tmp_path, files))
    first, second, third, *_ = sorted(photos)
    assert {record.image: record.captions for record in records} == {
        first: ["A dog , brown , runs .", 'A sign says "stop" .'],
        second: ["A plain caption .", "Not quoted , but with a comma ."],
        third: ["Two men ."],
    }
    assert {record.split for record in records} == {""}
    assert records[2].read() == photos[third]
    assert findings.aside == []


LISTS = {"train": "Flickr_8k.trainImages.txt", "val": "Flickr_8k.devImages.txt"}
LISTS["test"] = "Flickr_8k.testImages.txt"


def official(photos) -> dict[str, bytes]:
    """The three lists for Kaggle's three photos in small."""
    return {LISTS[split]: name.encode() for split, name in zip(LISTS, sorted(photos), strict=False)}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("where", ["", "Flickr8k_text/", "Flickr_Data/Flickr_TextData/", "zip"])
def test_official_lists_beside_kaggles_files_are_used_and_noted(
    tmp_path, make, kaggle, photos, packed, where
):
    files = {"archive.zip": make.zipped(kaggle)} if packed else kaggle
    lists = official(photos)
    if where == "zip":
        lists = {"Flickr8k_text.zip": make.zipped(lists)}
    else:
        lists = {f"{where}{name}": content for name, content in lists.items()}
    root = make.write_files(tmp_path, files | lists)
    records, findings = read("kaggle", root)
    assert [record.split for record in records] == ["train", "val", "test"]
    assert notes_of(findings) == {"lists of the official split, taken": sorted(LISTS.values())}
    assert is_official(root)


def test_lists_packed_with_kaggles_files_are_used_too(tmp_path, make, kaggle, photos):
    packed = make.zipped(kaggle | {f"texts/{n}": c for n, c in official(photos).items()})
    root = make.write_files(tmp_path, {"archive.zip": packed})
    records, _ = read("kaggle", root)
    assert [record.split for record in records] == ["train", "val", "test"]
    assert is_official(root)


def test_a_split_of_ones_own_beside_kaggles_files_is_used_and_is_not_the_official_one(
    tmp_path, make, kaggle, photos
):
    first, second, third, *_ = sorted(photos)
    own = {"test": [first], "val": [second], "train": [third]}
    root = make.write_files(tmp_path, kaggle | {"splits.json": json.dumps(own).encode()})
    records, _ = read("kaggle", root)
    assert [record.split for record in records] == ["test", "val", "train"]
    assert not is_official(root)


@pytest.mark.parametrize("wrong", ["two lists", "lists and splits.json"])
def test_lists_that_leave_in_doubt_which_split_is_meant_are_told(
    tmp_path, make, kaggle, photos, wrong
):
    lists = official(photos)
    if wrong == "two lists":
        del lists[LISTS["val"]]
    else:
        lists["splits.json"] = b"{}"
    with pytest.raises(BadInput, match=r"(?s)trainImages\.txt and .*or none, for a drawn"):
        read("kaggle", make.write_files(tmp_path, kaggle | lists))


@pytest.mark.parametrize("above", ["", "Flickr_Data/", "Flickr_Data/Flickr_Data/"])
def test_photos_of_kaggle_beside_the_text_files_of_the_archives_are_read_as_these(
    flickr8k, tmp_path, photos, above
):
    home = tmp_path / "home" / above
    shutil.unpack_archive(flickr8k / "Flickr8k_text.zip", home / "Flickr_TextData")
    shutil.unpack_archive(flickr8k / "Flickr8k_Dataset.zip", home)
    (home / "Flicker8k_Dataset").rename(home / "Images")
    records, _ = read("archives", tmp_path / "home")
    assert [record.image for record in records] == sorted(photos)
    assert [record.split for record in records][:5] == ["train"] * 3 + ["val", "test"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("name,text\na.jpg,x\n", "line 1"),
        ("", "line 1"),
        ("image,caption\na.jpg,x\nb.jpg\n", "line 3"),
        ("image,caption\n,x\n", "line 2"),
        ('image,caption\na.jpg,x\nb.jpg,"not closed\nc.jpg,y\n', "line 3\n.*not closed"),
    ],
)
def test_a_malformed_table_of_captions_ends_in_the_line(tmp_path, make, kaggle, content, told):
    root = make.write_files(tmp_path, kaggle | {"captions.txt": content.encode()})
    with pytest.raises(BadInput, match=told):
        read("kaggle", root)


def test_parquet_rows_are_named_by_split_and_number_with_a_suffix_from_their_bytes(
    tmp_path, make, photos
):
    first, second, *_ = photos.values()
    make.parquet(tmp_path / "data/train-00000-of-00002-a.parquet", [first, second, first])
    make.parquet(tmp_path / "data/train-00001-of-00002-b.parquet", [b"\x89PNG...", None])
    make.parquet(tmp_path / "data/validation-00000-of-00001-c.parquet", [second])
    make.parquet(tmp_path / "data/test-00000-of-00001-d.parquet", [b"neither"], captions=11)
    records, findings = read("parquet", tmp_path)
    assert [(record.image, record.split) for record in records] == [
        ("test-00000", "test"),
        ("train-00000.jpg", "train"),
        ("train-00001.jpg", "train"),
        ("train-00002.jpg", "train"),
        ("train-00003.png", "train"),
        ("val-00000.jpg", "val"),
    ]
    # caption_10 comes after caption_9, not after caption_1
    assert records[0].captions == [f"caption {n} of 0" for n in range(11)]
    assert records[2].read() == second
    assert findings.aside == [("train-00004", "missing file", "a row without an image")]
    assert (findings.images_found, findings.captions_found) == (6, 41)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["test-00000-of-00004"], r"and not test-00001-of-00004.parquet, test-00002-of-00004"),
        (["test-00001-of-00002-a"], r"and not test-00000-of-00002\.parquet"),
        (["val-00000-of-00002", "validation-00000-of-00002"], "part 00000 of 00002, as val-"),
        (["test-00000-of-00001-old", "test-00000-of-00001-new"], "part 00000 of 00001, as test-"),
        (["test-00000-of-00001", "test-00000-of-00002", "test-00001-of-00002"], "test-00000-of-00"),
        (["test-00000-of-00001", "test"], "test-00000-of-00001.parquet and test.parquet"),
        (["test-0", "data/test-0"], "test-0.parquet, as data/test-0.parquet is"),
        (["test-00000-of-00001", "data/test-00000-of-00001"], "part 00000 of 00001, as data/test-"),
        (["test-00000-of-00001", "test-00001-of-00001"], "part 1 of 00001"),
        (["train-00000-of-00001", f"test-0-of-{'9' * 99}"], "and not test-"),
    ],
)
def test_tables_of_which_parts_are_missing_or_of_two_sets_are_told(tmp_path, make, names, told):
    for name in names:
        make.parquet(tmp_path / f"{name}.parquet", [None])
    with pytest.raises(BadInput, match=f"(?s){told}.*each once; of those in parts, all"):
        read("parquet", tmp_path)


def test_the_suffix_of_a_table_may_be_in_capitals_and_litter_is_none(tmp_path, make, photos):
    make.parquet(tmp_path / "test-0.PARQUET", [min(photos.values())])
    make.write_files(tmp_path, {"._test-0.parquet": b"x", "data/._test-0.parquet": b"x"})
    assert [record.split for record in read("parquet", tmp_path)[0]] == ["test"]


def test_parquet_files_that_are_cut_or_of_another_kind_are_told(tmp_path, make, photos):
    path = tmp_path / "test-0.parquet"
    make.parquet(path, list(photos.values()))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(BadInput, match="not a whole parquet file"):
        read("parquet", tmp_path)
    path.write_bytes(whole)
    make.parquet(tmp_path / "all.parquet", [None])
    with pytest.raises(BadInput, match="a name that tells no split"):
        read("parquet", tmp_path)
    make.parquet(tmp_path / "all.parquet", [None], captions=0)
    (tmp_path / "all.parquet").replace(path)
    with pytest.raises(BadInput, match=r"the columns image "):
        read("parquet", tmp_path)


def test_a_parquet_file_that_declares_more_than_any_dataset_has_is_refused(
    tmp_path, make, photos, monkeypatch
):
    # a few kilobytes that say of themselves to be ten megabytes
    make.parquet(tmp_path / "test-0.parquet", [bytes(10_000_000)])
    assert (tmp_path / "test-0.parquet").stat().st_size < 1_000_000
    monkeypatch.setattr("scripts.data.parquet_files.MAX_TOTAL_BYTES", 9_000_000)
    with pytest.raises(BadInput, match=r"10,000,\d+ bytes unpacked, more than 9,000,000"):
        read("parquet", tmp_path)


def test_a_folder_gives_images_of_subfolders_too_and_its_own_split(tmp_path, make, photos):
    first, second, *_ = photos.values()
    root = make.write_folder(tmp_path / "mine", {"a.jpg": first, "images/图 2.jpg": second})
    (root / "splits.json").write_text('{"test": ["a.jpg", "gone.jpg"]}', "utf-8")
    records, findings = read("folder", root)
    assert [(record.image, record.split) for record in records] == [
        ("a.jpg", "test"),
        ("images/图 2.jpg", "none"),
    ]
    assert records[1].read() == second
    assert notes_of(findings) == {"in a list of the split, but not there": ["gone.jpg"]}


@pytest.mark.parametrize("name", ["Images", "IMAGES"])
def test_the_folder_of_images_may_be_written_in_capitals(tmp_path, make, photos, name):
    root = make.write_folder(tmp_path / "mine", {"a.jpg": min(photos.values())})
    (root / "images").rename(root / name)
    records, _ = read("folder", root)
    assert [(record.image, record.read()) for record in records] == [
        ("a.jpg", min(photos.values()))
    ]


def test_names_that_are_written_otherwise_find_their_images_and_are_noted(tmp_path, make, photos):
    images = dict(zip(["a.JPG", "train/b.jpg", "c.jpg"], photos.values(), strict=False))
    captions = {"images/a.jpg": ["x "], "train\\b.jpg": ["y", " "], "c": ["z"]}
    root = make.write_folder(tmp_path / "mine", images, captions)
    (root / "splits.json").write_text('{"train": ["b"], "val": ["A"], "test": ["/mine/c.jpg"]}')
    records, findings = read("folder", root)
    assert {r.image: (r.captions, r.split, r.read()) for r in records} == {
        "a.JPG": (["x"], "val", images["a.JPG"]),
        "train/b.jpg": (["y"], "train", images["train/b.jpg"]),
        "c.jpg": (["z"], "test", images["c.jpg"]),
    }
    assert notes_of(findings) == {
        "names in captions that are written otherwise than the file's, taken as it": [
            "c is c.jpg", "images/a.jpg is a.JPG", "train\\b.jpg is train/b.jpg",
        ],
        "names in lists that are written otherwise than the image's, taken as it": [
            "/mine/c.jpg is c.jpg", "A is a.JPG", "b is train/b.jpg",
        ],
    }  # fmt: skip
    assert findings.aside == [("train\\b.jpg", "empty caption", "caption 1")]


def test_what_a_split_names_in_vain_is_lost_and_told_with_what_is_like_it(tmp_path, make, photos):
    names = ["a.jpg", "1003.jpg", "1003.png", "image 7.jpg", "silent.jpg"]
    images = dict(zip(names, photos.values(), strict=False))
    captions = {name: ["x"] for name in names[:4]} | {"gone.jpg": ["y"]}
    root = make.write_folder(tmp_path / "mine", images, captions)
    test = ["1003", "image_7.jpg", "silent.jpg", "gone.jpg", "a.jpg", "A.JPG"]
    (root / "splits.json").write_text(json.dumps({"test": test}))
    _, findings = read("folder", root)
    vain = "in the list of test, but not there; "
    assert findings.lost() == [
        ("1003", "missing file", f"{vain}1003.jpg and 1003.png are there"),
        ("A.JPG", "missing file", f"{vain}a.jpg is there, which another name means, too"),
        ("gone.jpg", "missing file", "1 captions"),
        ("image_7.jpg", "missing file", f"{vain}most like it is image 7.jpg"),
        ("silent.jpg", "in a split, without a caption", "in the list of test"),
    ]
    assert set(findings.split_of.values()) == {"test"} and len(findings.split_of) == 5


def test_what_a_folder_lacks_or_has_too_much_is_set_aside(tmp_path, make, photos):
    photo = min(photos.values())
    root = make.write_folder(
        tmp_path / "mine",
        {"a.jpg": photo, "extra.jpg": photo, ".DS_Store": b"x", "Thumbs.db": b"x"},
        {"a.jpg": ["x"], "gone.jpg": ["y", "z"]},
    )
    records, findings = read("folder", root)
    assert [record.image for record in records] == ["a.jpg"]
    assert sorted(findings.aside) == [
        ("extra.jpg", "no caption", "an image without a caption"),
        ("gone.jpg", "missing file", "2 captions"),
    ]
    assert (findings.images_found, findings.captions_found) == (2, 3)


def test_a_name_that_tries_to_leave_the_folder_is_set_aside_unread(tmp_path, make, photos):
    photo = min(photos.values())
    make.write_files(tmp_path, {"secret.jpg": photo, "other/secret.jpg": photo})
    names = ["../../secret.jpg", "../secret.jpg", str(tmp_path / "secret.jpg"), "a\\b.jpg", "a\nb"]
    captions = {name: ["x"] for name in ["a.jpg", *names]}
    root = make.write_folder(tmp_path / "mine", {"a.jpg": photo}, captions)
    records, findings = read("folder", root)
    assert [record.image for record in records] == ["a.jpg"]
    assert {(item, reason) for item, reason, _ in findings.aside} == {
        (name.replace("\n", "\\n"), "unsafe name") for name in names
    }


def test_what_a_link_leads_to_is_read_wherever_it_is_if_it_is_a_plain_file(tmp_path, make, photos):
    photo, other, *_ = photos.values()
    make.write_files(tmp_path, {"kept.jpg": other})
    os.mkfifo(tmp_path / "pipe")
    names = ["a.jpg", "device.jpg", "in.jpg", "loop.jpg", "nowhere.jpg", "out.jpg", "pipe.jpg"]
    names += ["log.jpg", "system.jpg"]
    captions = {name: ["x"] for name in names}
    root = make.write_folder(tmp_path / "mine", {"a.jpg": photo}, captions)
    (root / "images/in.jpg").symlink_to("a.jpg")
    (root / "images/out.jpg").symlink_to(tmp_path / "kept.jpg")
    (root / "images/device.jpg").symlink_to("/dev/zero")
    # which waits for ever for what a system will tell, and one that leads to all such files
    (root / "images/log.jpg").symlink_to("/proc/kmsg")
    (root / "images/system.jpg").symlink_to("/proc")
    (root / "images/pipe.jpg").symlink_to(tmp_path / "pipe")
    (root / "images/nowhere.jpg").symlink_to("gone")
    (root / "images/loop.jpg").symlink_to("loop.jpg")
    records = {record.image: record.read for record in read("folder", root)[0]}
    assert records.pop("a.jpg")() == records.pop("in.jpg")() == photo
    assert records.pop("out.jpg")() == other
    reasons = {}
    for image, read_it in records.items():
        with pytest.raises(Unusable) as told:
            read_it()
        reasons[image] = str(told.value)
    assert reasons == {
        "device.jpg": "unreadable: not a plain file",
        "log.jpg": "unreadable: of the system, not a file on a disk",
        "loop.jpg": "unreadable: a loop of links",
        "nowhere.jpg": "missing file: a link that leads nowhere (if a tool keeps your data, get "
        "it: dvc pull, git annex get)",
        "pipe.jpg": "unreadable: not a plain file",
        "system.jpg": "unreadable: not a plain file",
    }


def test_folders_behind_links_are_read_once_on_each_way_and_counted_in_the_digest(
    tmp_path, make, photos
):
    photo, other, *_ = photos.values()
    make.write_files(tmp_path, {"store/deep/b.jpg": other})
    root = make.write_folder(tmp_path / "mine", {"a.jpg": photo}, {"in/deep/b.jpg": ["x"]})
    (root / "images/in").symlink_to(tmp_path / "store")
    for name, to in {"self": ".", "up": "..", "root": "/", "store/back": root / "images"}.items():
        (tmp_path if "/" in name else root / "images").joinpath(name).symlink_to(to)
    assert sorted(paths_below(root / "images")) == [
        "a.jpg", "in/back", "in/deep/b.jpg", "root", "self", "up",
    ]  # fmt: skip
    records, _ = read("folder", root)
    assert [(record.image, record.read()) for record in records] == [("in/deep/b.jpg", other)]
    before = digest_of_folder(root / "images")
    assert before[:2] == (2, len(photo) + len(other))
    make.write_files(tmp_path, {"store/deep/b.jpg": other[:-1] + b"x"})
    assert digest_of_folder(root / "images")[2] != before[2]


def test_captions_find_a_photo_whose_name_has_its_accents_in_another_form(tmp_path, make, photos):
    decomposed, composed = "cafe\u0301.jpg", "caf\u00e9.jpg"
    images = {decomposed: min(photos.values())}
    root = make.write_folder(tmp_path / "mine", images, {composed: ["a café"]})
    records, findings = read("folder", root)
    assert [record.image for record in records] == [composed]
    assert records[0].read() == images[decomposed]
    assert findings.aside == []


def test_a_caption_longer_than_anyone_reads_is_set_aside_in_every_layout(
    tmp_path, make, edited, kaggle, photos, monkeypatch
):
    monkeypatch.setattr("scripts.data.caption_files.MAX_CAPTION", 50)
    long, photo = "x" * 51, min(photos)
    edited("Flickr8k.token.txt", lambda text: text + f"{photo}#9\t{long}\n".encode())
    kaggle["captions.txt"] += f"\n{photo},{long}".encode()
    make.write_files(tmp_path / "kaggle", kaggle)
    make.write_folder(tmp_path / "folder", {photo: photos[photo]}, {photo: ["fine", long, ""]})
    make.parquet(tmp_path / "parquet/test-0.parquet", [photos[photo]])
    for layout, root in {"archives": "flickr8k", "kaggle": "kaggle", "folder": "folder"}.items():
        records, findings = read(layout, tmp_path / root)
        told = [detail for _, reason, detail in findings.aside if reason == "overlong caption"]
        assert len(told) == 1 and "51 characters, more than 50" in told[0], layout
        assert not any(long in record.captions for record in records)
    monkeypatch.setattr("scripts.data.caption_files.MAX_CAPTION", len("caption 0 of 0") - 1)
    assert read("parquet", tmp_path / "parquet")[1].reasons()["overlong caption"] == 5


def test_a_list_means_the_image_that_has_captions(tmp_path, make, photos):
    images = dict(zip(["9.jpg", "9.png"], photos.values(), strict=False))
    root = make.write_folder(tmp_path / "mine", images, {"9.jpg": ["x"]})
    (root / "splits.json").write_text('{"test": ["9"]}')
    records, findings = read("folder", root)
    assert [(record.image, record.split) for record in records] == [("9.jpg", "test")]
    assert findings.lost() == []
