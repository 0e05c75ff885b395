"""A dataset is taken in whole: what can be used is there, and everything else is accounted for."""

import csv
import hashlib
import io
import json
from types import SimpleNamespace

import pytest
from PIL import Image

from scripts.data.audit import Note
from scripts.data.download import obtain
from scripts.data.prepare_images import Names, main
from scripts.data.rows import read_captions
from scripts.job import BadInput, read_json


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Run the rule on a folder of one of the layouts, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)

    def prepare(entry, max_lost=0.05, max_pixels=10**6, threads=2):
        raw = tmp_path / "data/set/raw"
        raw.mkdir(parents=True, exist_ok=True)
        manifest = raw / "source.json"
        manifest.write_text(json.dumps(obtain(entry, raw)), "utf-8")
        paths = SimpleNamespace(
            images=str(tmp_path / "data/set/images"),
            captions=str(tmp_path / "data/set/captions.json"),
            table=str(tmp_path / "data/set/images.csv"),
            audit=str(tmp_path / "results/set/audit.json"),
        )
        main(
            SimpleNamespace(
                input=SimpleNamespace(manifest=str(manifest)),
                output=paths,
                params=SimpleNamespace(max_lost=max_lost, max_pixels=max_pixels, max_aspect=50),
                threads=threads,
            )
        )
        return read_json(paths.audit)

    return prepare


@pytest.fixture
def folder(tmp_path, make):
    """A dataset of one's own of these images, as an entry of the config."""

    def folder(images, captions=None):
        make.write_folder(tmp_path / "mine", images, captions)
        return {"source": "folder", "location": str(tmp_path / "mine")}

    return folder


def table(tmp_path):
    with (tmp_path / "data/set/images.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def stored(tmp_path):
    images = tmp_path / "data/set/images"
    return {p.relative_to(images).as_posix() for p in images.rglob("*") if p.is_file()}


def saved(kind, mode="RGB", size=(5, 4), **options):
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, format=kind, **options)
    return stream.getvalue()


def test_the_four_outputs_agree(prepare, folder, tmp_path, make):
    images = {f"{n}.jpg": make.jpeg(n) for n in (10, 9, 1)} | {"图 猫.png": saved("PNG")}
    audit = prepare(folder(images))
    rows = table(tmp_path)
    assert [row["image"] for row in rows] == ["1.jpg", "10.jpg", "9.jpg", "图 猫.png"]
    assert list(read_captions(tmp_path / "data/set/captions.json")) == [r["image"] for r in rows]
    assert stored(tmp_path) == set(images)
    for row in rows:
        content = (tmp_path / "data/set/images" / row["image"]).read_bytes()
        assert content == images[row["image"]]
        assert row["bytes"] == str(len(content))
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert row["split"] == ""
    assert (rows[0]["width"], rows[0]["height"]) == ("8", "6")
    assert audit["images"] == {"found": 4, "used": 4, "set_aside": 0, "converted": 0}
    assert audit["captions"] == {"found": 4, "used": 4, "set_aside": 0}
    assert audit["set_aside"] == audit["converted"] == audit["notes"] == []


def test_images_that_are_converted_get_a_name_that_no_other_has(prepare, folder, tmp_path, make):
    images = {
        "a.gif": saved("GIF"),
        "a.gif.png": saved("PNG"),
        "B.jpg": make.jpeg(1),
        "b.jpg": make.jpeg(2),
        "cmyk.jpg": saved("JPEG", "CMYK"),
        "e\u0301.jpg": make.jpeg(3),
        "\u00e9.jpg": make.jpeg(4),
    }
    audit = prepare(folder(images))
    captions = read_captions(tmp_path / "data/set/captions.json")
    assert {image: texts[0].removeprefix("caption of ") for image, texts in captions.items()} == {
        "a.gif.png": "a.gif",
        "a.gif~2.png": "a.gif.png",
        "B.jpg": "B.jpg",
        "b~2.jpg": "b.jpg",
        "cmyk.jpg.png": "cmyk.jpg",
        "e\u0301.jpg": "e\u0301.jpg",
        "\u00e9~2.jpg": "\u00e9.jpg",
    }
    assert stored(tmp_path) == set(captions)
    assert len({name.casefold() for name in captions}) == len(images)
    assert audit["converted"] == [
        {"item": "a.gif", "reason": "GIF", "stored": "a.gif.png"},
        {"item": "cmyk.jpg", "reason": "CMYK", "stored": "cmyk.jpg.png"},
    ]
    (note,) = (note for note in audit["notes"] if note["note"].startswith("renamed"))
    assert note["count"] == 3 and "b.jpg, stored as b~2.jpg" in note["items"]


def test_a_file_and_a_folder_of_one_name_do_not_meet(prepare, folder, tmp_path, make):
    images = {"a.gif": saved("GIF"), "a.gif.png/x.jpg": make.jpeg(1), "sub/x.jpg": make.jpeg(2)}
    prepare(folder(images))
    assert stored(tmp_path) == {"a.gif.png", "a.gif.png~x~2.jpg", "sub/x.jpg"}


def test_names_are_never_given_twice_whatever_is_claimed():
    names = Names()
    claimed = [names.claim(n) for n in ["a.jpg", "A.jpg", "a~2.jpg", "a.jpg", "a~2.JPG", "a"] * 3]
    assert len({name.casefold() for name in claimed}) == len(claimed)


def corpus(make):
    """Every way in which an image can be unusable, beside 17 that can be used."""
    return {
        **{f"good {n}.jpg": make.jpeg(n) for n in range(17)},
        "broken.jpg": make.jpeg(90)[:200],
        "empty.jpg": b"",
        "large.png": saved("PNG", "1", (2000, 1000)),
        "page.jpg": b"<html>404</html>",
        "no caption.jpg": make.jpeg(91),
    }


def test_what_cannot_be_used_is_set_aside_with_its_reason(prepare, folder, tmp_path, make):
    images = corpus(make)
    captions = {name: ["a caption", "another"] for name in [*images, "gone.jpg", "../up.jpg"]}
    del captions["no caption.jpg"]
    audit = prepare(folder(images, captions), max_lost=0.3)
    assert {entry["item"]: entry["reason"] for entry in audit["set_aside"]} == {
        "../up.jpg": "unsafe name",
        "broken.jpg": "unreadable",
        "empty.jpg": "unreadable",
        "gone.jpg": "missing file",
        "large.png": "oversized",
        "no caption.jpg": "no caption",
        "page.jpg": "unreadable",
    }
    details = {entry["item"]: entry["detail"] for entry in audit["set_aside"]}
    assert details["large.png"] == "2000 x 1000 pixels, more than 1,000,000 in all"
    assert details["empty.jpg"] == "an empty file"
    assert audit["images"] == {"found": 22, "used": 17, "set_aside": 5, "converted": 0}
    assert audit["captions"] == {"found": 46, "used": 34, "set_aside": 12}
    assert stored(tmp_path) == {f"good {n}.jpg" for n in range(17)}


def test_too_many_losses_stop_the_run_with_count_examples_and_audit(
    prepare, folder, tmp_path, make, caplog
):
    images = corpus(make)
    with pytest.raises(BadInput) as told:
        prepare(folder(images), max_lost=0.1)
    message = str(told.value)
    # an image without a caption would be no loss; here it has one
    assert "4 of 22 images that captions or lists name cannot be used" in message
    assert "large.png: oversized (2000 x 1000 pixels" in message
    assert "at most 10.0%" in message and "prepare.max_lost" in message
    assert "empty.jpg: unreadable (an empty file)" in caplog.text
    assert len(read_json(tmp_path / "results/set/audit.json")["set_aside"]) == 4
    # and nothing else, whole or in part
    assert [path.name for path in (tmp_path / "data/set").iterdir()] == ["raw"]


def test_the_share_that_may_be_lost_is_exact(prepare, folder, make):
    images = {f"{n}.jpg": make.jpeg(n) for n in range(19)} | {"x.jpg": b"x"}
    entry = folder(images)
    assert prepare(entry, max_lost=0.05)["images"]["used"] == 19
    with pytest.raises(BadInput, match="1 of 20"):
        prepare(entry, max_lost=0.0499)


@pytest.mark.parametrize(
    ("test", "told"),
    [
        (["0", "1", "2", "3"], ""),
        (["0", "1", "2", "l0.jpg"], ""),
        (
            ["0", "1", "l0.jpg", "l1.jpg"],
            "2 of 4 images of test .*l1.jpg: missing file .*most like it is 1.jpg",
        ),
        (["l0.jpg"], "1 of 1 images of test"),
    ],
)
def test_no_split_shrinks_by_more_than_may_be_lost(prepare, folder, tmp_path, make, test, told):
    entry = folder({f"{n}.jpg": make.jpeg(n) for n in range(100)})
    rest = [f"{n}.jpg" for n in range(50, 100)]
    (tmp_path / "mine/splits.json").write_text(json.dumps({"train": rest, "test": test}))
    if told:
        with pytest.raises(BadInput, match=told):
            prepare(entry)
    else:
        prepare(entry)
        placed = [row["split"] for row in table(tmp_path)]
        assert placed.count("test") == sum(not name.startswith("l") for name in test)


def test_a_photo_of_a_split_that_cannot_be_decoded_is_lost_from_it(prepare, folder, tmp_path, make):
    images = {f"{n}.jpg": make.jpeg(n) for n in range(100)} | {"98.jpg": b"x", "99.jpg": b"x"}
    entry = folder(images)
    (tmp_path / "mine/splits.json").write_text(
        json.dumps({"train": ["1.jpg"], "val": ["2.jpg"], "test": ["3.jpg", "98.jpg", "99.jpg"]})
    )
    with pytest.raises(BadInput, match="2 of 3 images of test"):
        prepare(entry)


def test_a_dataset_without_any_usable_image_stops_the_run(prepare, folder):
    with pytest.raises(BadInput, match="1 of 1 images"):
        prepare(folder({"x.jpg": b"x"}), max_lost=1.0)


def test_the_outputs_depend_neither_on_threads_nor_on_an_earlier_run(
    prepare, folder, tmp_path, make
):
    entry = folder(corpus(make))

    def outputs():
        written = [p for p in tmp_path.rglob("*") if p.is_file() and "mine" not in p.parts]
        return {p.relative_to(tmp_path): p.read_bytes() for p in written}

    prepare(entry, max_lost=1, threads=1)
    first = outputs()
    (tmp_path / "data/set/images/gone since.jpg").write_bytes(b"x")
    prepare(entry, max_lost=1, threads=5)
    assert outputs() == first


def test_flickr8k_in_small_keeps_its_oddities_apart(prepare, tmp_path, make, archives, photos):
    make.write_files(tmp_path / "home", archives)
    entry = {"source": "flickr8k", "location": "home"}
    entry["github"] = {"url": "", "md5": {"Flickr8k_text.zip": "0" * 32}}
    audit = prepare(entry, max_lost=0.2)
    names = sorted(photos)
    assert audit["images"] == {"found": 6, "used": 6, "set_aside": 0, "converted": 0}
    assert audit["captions"] == {"found": 40, "used": 30, "set_aside": 10}
    notes = {note["note"]: (note["count"], note["items"]) for note in audit["notes"]}
    count, (warning,) = notes[Note.NOT_OFFICIAL]
    assert count == 1 and "not the official " + "0" * 32 in warning
    assert notes["byte-identical images"] == (1, [f"{names[2]} = {names[3]}"])
    assert notes["captions of one letter or none"] == (1, [f"{names[0]}: A"])
    assert notes["images in no split"] == (1, [names[5]])
    assert notes["in a list of the split, but not there"] == (1, ["gone.jpg"])
    splits = [row["split"] for row in table(tmp_path)]
    assert splits == ["train", "train", "train", "val", "test", "none"]


def test_parquet_is_taken_in_with_its_split(prepare, tmp_path, make, photos):
    first, second, *_ = photos.values()
    make.parquet(tmp_path / "home/test-0.parquet", [first, second])
    make.parquet(tmp_path / "home/train-0.parquet", [saved("GIF")] * 3)
    entry = {"source": "flickr8k", "location": "home", "github": {"md5": {}}}
    audit = prepare(entry)
    assert [(row["image"], row["split"]) for row in table(tmp_path)] == [
        ("test-00000.jpg", "test"),
        ("test-00001.jpg", "test"),
        ("train-00000.gif.png", "train"),
        ("train-00001.gif.png", "train"),
        ("train-00002.gif.png", "train"),
    ]
    assert audit["images"] == {"found": 5, "used": 5, "set_aside": 0, "converted": 3}


def test_kaggles_layout_is_taken_in_without_a_split(prepare, tmp_path, make, kaggle):
    make.write_files(tmp_path / "home", {"archive.zip": make.zipped(kaggle)})
    entry = {"source": "flickr8k", "location": "home", "github": {"md5": {}}}
    assert prepare(entry)["captions"] == {"found": 5, "used": 5, "set_aside": 0}
    assert {row["split"] for row in table(tmp_path)} == {""}
