"""Each layout gives its images with their captions and split, and every oddity is accounted for."""

import shutil
import stat
import zipfile

import pytest

from scripts.data.audit import Findings, Unusable
from scripts.data.files import open_files, why_unsafe
from scripts.data.layouts import LAYOUTS
from scripts.job import BadInput


def read(layout, root):
    """All records of ``root``, and what was found beside them."""
    findings = Findings()
    paths = LAYOUTS[layout].find(root)
    total, records = LAYOUTS[layout].read(root, paths, findings)
    records = list(records)
    assert len(records) <= total
    return records, findings


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
    monkeypatch.setattr("scripts.data.layouts.MAX_TOTAL_BYTES", 9_000_000)
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


def test_links_may_lead_around_in_the_folder_but_not_out_of_it(tmp_path, make, photos):
    photo = min(photos.values())
    make.write_files(tmp_path, {"secret.jpg": photo})
    names = ["a.jpg", "in.jpg", "loop.jpg", "nowhere.jpg", "out.jpg"]
    captions = {name: ["x"] for name in names}
    root = make.write_folder(tmp_path / "mine", {"a.jpg": photo}, captions)
    (root / "images/in.jpg").symlink_to("a.jpg")
    (root / "images/out.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "images/nowhere.jpg").symlink_to("gone")
    (root / "images/loop.jpg").symlink_to("loop.jpg")
    _, *records = read("folder", root)[0]
    assert records[0].read() == photo
    reasons = []
    for record in records[1:]:
        with pytest.raises(Unusable) as told:
            record.read()
        reasons.append((record.image, told.value.reason))
    assert reasons == [
        ("loop.jpg", "unreadable"),
        ("nowhere.jpg", "missing file"),
        ("out.jpg", "unsafe name"),
    ]


def test_captions_find_a_photo_whose_name_has_its_accents_in_another_form(tmp_path, make, photos):
    decomposed, composed = "cafe\u0301.jpg", "caf\u00e9.jpg"
    images = {decomposed: min(photos.values())}
    root = make.write_folder(tmp_path / "mine", images, {composed: ["a café"]})
    records, findings = read("folder", root)
    assert [record.image for record in records] == [composed]
    assert records[0].read() == images[decomposed]
    assert findings.aside == []


def entry(name: str, **changes) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for key, value in changes.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    ("info", "told"),
    [
        (entry("../out.jpg"), "empty, . or .."),
        (entry("a/../../out.jpg"), "empty, . or .."),
        (entry("/etc/out.jpg"), "not a relative path"),
        (entry("C:/out.jpg"), "not a relative path"),
        (entry("..\\out.jpg"), "not a relative path"),
        (entry("__MACOSX/../../out.jpg"), "empty, . or .."),
        (entry("a\rb.jpg"), "control character"),
        (entry("link.jpg", external_attr=(stat.S_IFLNK | 0o777) << 16), "a link or a device"),
        (entry("device", external_attr=(stat.S_IFCHR | 0o666) << 16), "a link or a device"),
        (entry("pipe", external_attr=(stat.S_IFIFO | 0o666) << 16), "a link or a device"),
        (entry("bomb.jpg", compress_type=zipfile.ZIP_LZMA), "packed by method 14"),
        (entry("a.jpg"), "there twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_a_member_that_no_honest_one_has_is_refused(tmp_path, info, told):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.jpg", b"fine")
        archive.writestr(info, b"target")
    with pytest.raises(BadInput, match=told):
        open_files(tmp_path, ["x.zip"])
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def patched(content: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    """A zip archive with ``value`` written ``offset`` bytes into its last such record."""
    place = content.rindex(signature) + offset
    return content[:place] + value + content[place + len(value) :]


def test_an_encrypted_member_is_refused(tmp_path, make):
    content = patched(make.zipped({"a.jpg": b"x"}), b"PK\1\2", 8, b"\1\0")
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(BadInput, match="encrypted"):
        open_files(tmp_path, ["x.zip"])


def test_a_member_that_declares_an_absurd_size_is_refused(tmp_path, make):
    size = (2**31).to_bytes(4, "little")
    (tmp_path / "x.zip").write_bytes(patched(make.zipped({"a": b"x"}), b"PK\1\2", 24, size))
    with pytest.raises(BadInput, match="2,147,483,648 bytes unpacked"):
        open_files(tmp_path, ["x.zip"])


def test_a_member_that_unfolds_beyond_what_it_declares_is_not_unfolded(tmp_path, make):
    bomb = make.zipped({"a": bytes(50_000_000)})
    size = (1000).to_bytes(4, "little")
    content = patched(bomb, b"PK\1\2", 24, size)
    (tmp_path / "x.zip").write_bytes(content)
    files, _ = open_files(tmp_path, ["x.zip"])
    with pytest.raises(Unusable, match="damaged"):
        files["a"]()


def test_too_many_or_too_large_members_are_refused(tmp_path, make, monkeypatch):
    (tmp_path / "x.zip").write_bytes(make.zipped({str(n): b"four" for n in range(10)}))
    monkeypatch.setattr("scripts.data.files.MAX_TOTAL_BYTES", 39)
    with pytest.raises(BadInput, match="40 bytes unpacked, more than 39"):
        open_files(tmp_path, ["x.zip"])
    monkeypatch.setattr("scripts.data.files.MAX_MEMBERS", 9)
    with pytest.raises(BadInput, match="10 members, more than 9"):
        open_files(tmp_path, ["x.zip"])


@pytest.mark.parametrize(
    "name", ["a.jpg", "a/b c.jpg", "图片/猫 🐈.jpg", "at 1.23\u202fPM.png", "a..b"]
)
def test_names_that_people_give_are_safe(name):
    assert why_unsafe(name) is None


@pytest.mark.parametrize("name", ["", "a//b", "./a", "a/", "a\0b", "\udcff.jpg", "x" * 241])
def test_names_that_no_path_should_have_are_not(name):
    assert why_unsafe(name) is not None
