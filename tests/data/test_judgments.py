"""Judgments of captions for images: Flickr8k's files, and the grammar's own."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.data.audit import Findings
from scripts.data.draw_scenes import captions_of_scene, image_name
from scripts.data.judgments import OTHERS, judgments_of, judgments_of_scenes, main
from scripts.data.place import Place
from scripts.data.ratings import Rating
from scripts.data.scene_claims import grades
from scripts.data.scenes import scene
from scripts.data.sources import SOURCES
from scripts.job import BadInput, write_json

TOKENS = """\
1.jpg#0\tA dog .
1.jpg#1\t
1.jpg#2\t A dog .
1.jpg#3\tA cat .
2.jpg#1\tTwo men .
2.jpg#0\tA man .
3.jpg#0\tA bird .
"""
CAPTIONS = {"1.jpg": ["A dog .", "A dog .", "A cat ."], "2.jpg": ["A man .", "Two men ."]}
SPLITS = {"train": [], "val": ["2.jpg"], "test": ["1.jpg"]}
EXPERTS = "1.jpg\t2.jpg#1\t1\t2\t4\n3.jpg\t1.jpg#0\t1\t1\t1\n1.jpg\t1.jpg#1\t1\t1\t1\n"
CROWD = "2.jpg\t1.jpg#2\t0.666666666666667\t2\t1\n2.jpg\t2.jpg#9\t1\t3\t0\n\n"
EXPECTED = [
    Rating("expert", "1.jpg", "2.jpg", 1, 1.0),
    Rating("expert", "1.jpg", "2.jpg", 1, 2.0),
    Rating("expert", "1.jpg", "2.jpg", 1, 4.0),
    Rating("crowd", "2.jpg", "1.jpg", 1, 2 / 3, 3),
]
LISTS = ("Flickr_8k.trainImages.txt", "Flickr_8k.devImages.txt", "Flickr_8k.testImages.txt")


def texts(**changed: str | None) -> dict[str, bytes]:
    """The text files of the archive, some of them changed or left out."""
    files = {
        "Flickr8k.token.txt": TOKENS,
        "ExpertAnnotations.txt": EXPERTS,
        "CrowdFlowerAnnotations.txt": CROWD,
        **dict.fromkeys(LISTS, ""),
    }
    files |= {f"{name}.txt": text for name, text in changed.items()}
    return {name: text.encode() for name, text in files.items() if text is not None}


def read(root: Path) -> list[Rating]:
    """Judgments of the archives in ``root``, by way of a manifest as the download writes it."""
    paths = SOURCES["archives"].find(Place(root))
    manifest = {"layout": "archives", "root": str(root), "files": [{"path": p} for p in paths]}
    return judgments_of(manifest, {"source": "flickr8k"}, CAPTIONS, SPLITS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Flicker8k_Dataset").mkdir()
    return tmp_path


@pytest.mark.parametrize("where", ["zip", "folder", "loose"])
def test_each_rating_is_a_row_wherever_the_files_lie(make, root: Path, where: str):
    if where == "zip":
        (root / "Flickr8k_text.zip").write_bytes(make.zipped(texts()))
    else:
        make.write_files(root / "Flickr8k_text" if where == "folder" else root, texts())
    assert read(root) == EXPECTED


def test_ratings_find_images_whose_files_are_written_otherwise(make, root: Path, monkeypatch):
    monkeypatch.setitem(CAPTIONS, "1.JPG", CAPTIONS["1.jpg"])
    monkeypatch.delitem(CAPTIONS, "1.jpg")
    monkeypatch.setitem(SPLITS, "test", ["1.JPG"])
    (root / "Flickr8k_text.zip").write_bytes(make.zipped(texts()))
    as_kept = {"1.jpg": "1.JPG", "2.jpg": "2.jpg"}
    assert read(root) == [
        replace(one, image=as_kept[one.image], caption_image=as_kept[one.caption_image])
        for one in EXPECTED
    ]


def test_windows_line_ends_change_nothing(make, root: Path):
    files = {name: text.replace(b"\n", b"\r\n") for name, text in texts().items()}
    (root / "Flickr8k_text.zip").write_bytes(make.zipped(files))
    assert read(root) == EXPECTED


def test_what_is_not_in_use_is_skipped_and_counted(make, root: Path, caplog):
    (root / "Flickr8k_text.zip").write_bytes(make.zipped(texts()))
    with caplog.at_level("INFO"):
        read(root)
    # an image without captions, an empty caption; and a caption that the token file has not
    assert "ExpertAnnotations.txt: 2 lines" in caplog.text
    assert "CrowdFlowerAnnotations.txt: 1 lines" in caplog.text


def test_an_image_in_no_split_is_not_in_use(make, root: Path, monkeypatch):
    monkeypatch.setitem(SPLITS, "val", [])
    (root / "Flickr8k_text.zip").write_bytes(make.zipped(texts()))
    assert read(root) == []


def test_archives_without_judgments_have_none(make, root: Path, caplog):
    changed = {"ExpertAnnotations": None, "CrowdFlowerAnnotations": None}
    (root / "Flickr8k_text.zip").write_bytes(make.zipped(texts(**changed)))
    with caplog.at_level("INFO"):
        assert read(root) == []
    assert "no ExpertAnnotations.txt" in caplog.text
    assert "no CrowdFlowerAnnotations.txt" in caplog.text


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ExpertAnnotations", "1.jpg\t2.jpg#1\t1\t2"),
        ("ExpertAnnotations", "1.jpg\t2.jpg#1\t1\t2\t5"),
        ("ExpertAnnotations", "1.jpg\t2.jpg#1\t1\t2\t2.5"),
        ("ExpertAnnotations", "1.jpg\t2.jpg\t1\t2\t3"),
        ("ExpertAnnotations", "1.jpg 2.jpg#1 1 2 3"),
        ("CrowdFlowerAnnotations", "1.jpg\t2.jpg#1\t0\t0\t0"),
        ("CrowdFlowerAnnotations", "1.jpg\t2.jpg#1\t1\t3\t-1"),
        ("CrowdFlowerAnnotations", "1.jpg\t2.jpg#1\t1\t3\t0\t0"),
    ],
)
def test_a_malformed_line_is_named(make, root: Path, name: str, line: str):
    good = EXPERTS if name == "ExpertAnnotations" else CROWD
    first = good.split("\n")[0]
    (root / "Flickr8k_text.zip").write_bytes(make.zipped(texts(**{name: f"{first}\n{line}\n"})))
    with pytest.raises(BadInput) as refused:
        read(root)
    message = str(refused.value)
    assert f"{name}.txt, line 2" in message
    assert repr(line)[1:-1] in message
    assert "image#number" in message and "to do:" in message


def test_a_text_file_that_is_none_is_refused(make, root: Path):
    make.write_files(root / "Flickr8k_text", texts())
    (root / "Flickr8k_text" / "ExpertAnnotations.txt").write_bytes(b"ok\n\xff")
    with pytest.raises(BadInput, match=r"ExpertAnnotations\.txt, line 2"):
        read(root)


def test_other_layouts_have_no_judgments():
    for layout in ("folder", "kaggle", "parquet"):
        assert judgments_of({"layout": layout}, {"source": "folder"}, CAPTIONS, SPLITS) == []


@pytest.fixture(scope="module")
def demo() -> tuple[dict[str, list[str]], list[Rating]]:
    captions_of = {image_name("test", i): captions_of_scene(7, "test", i) for i in range(60)}
    return captions_of, judgments_of_scenes(7, 60, captions_of)


def test_every_caption_of_a_scene_is_judged_on_its_own_picture_and_found_right(demo):
    captions_of, found = demo
    own = {(one.image, one.caption): one.rating for one in found if one.image == one.caption_image}
    assert own == {(image, place): 4.0 for image in captions_of for place in range(5)}


def test_all_pictures_that_a_caption_nearly_fits_are_judged_and_a_few_others(demo):
    captions_of, found = demo
    told = [scene(7, "test", index) for index in range(60)]
    for image, captions in captions_of.items():
        for place, caption in enumerate(captions):
            judged = {
                one.image: one.rating
                for one in found
                if (one.caption_image, one.caption) == (image, place)
            }
            every = dict(zip(captions_of, grades([caption], told)[0].astype(float), strict=True))
            fitting = {name: grade for name, grade in every.items() if grade >= 3}
            assert judged.items() >= fitting.items()
            assert judged.items() <= every.items()
            assert len(judged) - len(fitting) == min(OTHERS, 60 - len(fitting))
    assert {one.rating for one in found} == {1.0, 2.0, 3.0, 4.0}
    assert (
        Counter((one.image, one.caption_image, one.caption) for one in found).most_common(1)[0][1]
        == 1
    )


def test_judging_again_draws_the_same_pictures_and_another_seed_others(demo):
    captions_of, found = demo
    assert judgments_of_scenes(7, 60, captions_of) == found
    few = {image_name("test", i): captions_of_scene(8, "test", i) for i in range(60)}
    assert judgments_of_scenes(8, 60, few) != found


def test_a_picture_that_was_set_aside_is_not_judged(demo):
    captions_of, found = demo
    gone = image_name("test", 3)
    fewer = {image: captions for image, captions in captions_of.items() if image != gone}
    names = {
        name for one in judgments_of_scenes(7, 60, fewer) for name in (one.image, one.caption_image)
    }
    assert names == set(fewer) and gone in {one.image for one in found}


def job(tmp_path: Path, manifest: dict, entry: dict, captions: dict, splits: dict):
    paths = {name: str(tmp_path / f"{name}.json") for name in ("manifest", "captions", "splits")}
    write_json(paths["manifest"], manifest)
    write_json(
        paths["captions"], [{"image": image, "captions": c} for image, c in captions.items()]
    )
    write_json(paths["splits"], splits)
    return SimpleNamespace(
        input=SimpleNamespace(**paths),
        output=SimpleNamespace(judgments=str(tmp_path / "judgments.csv")),
        params=SimpleNamespace(entry=entry),
    )


def test_the_job_writes_the_table(make, root: Path):
    (root / "Flickr8k_text.zip").write_bytes(make.zipped(texts()))
    files = [{"path": "Flicker8k_Dataset"}, {"path": "Flickr8k_text.zip"}]
    manifest = {"layout": "archives", "root": str(root), "files": files}
    asked = job(root, manifest, {"source": "flickr8k"}, CAPTIONS, SPLITS)
    main(asked)
    with Path(asked.output.judgments).open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["source", "image", "caption_image", "caption", "rating", "votes"]
    assert [Rating(*row[:3], int(row[3]), float(row[4]), int(row[5])) for row in rows] == EXPECTED


def test_the_job_writes_a_header_where_there_is_nothing_to_tell(tmp_path: Path):
    asked = job(tmp_path, {"layout": "folder"}, {"source": "folder"}, CAPTIONS, SPLITS)
    main(asked)
    assert (
        Path(asked.output.judgments).read_bytes()
        == b"source,image,caption_image,caption,rating,votes\n"
    )


def test_the_job_judges_the_test_pictures_of_scenes(tmp_path: Path):
    entry = {"source": "scenes", "seed": 0, "images": {"train": 2, "val": 1, "test": 4}}
    captions = {
        image_name(split, index): captions_of_scene(0, split, index)
        for split, number in entry["images"].items()
        for index in range(number)
    }
    splits = {split: [i for i in captions if i.startswith(split)] for split in entry["images"]}
    asked = job(tmp_path, {"layout": "folder"}, entry, captions, splits)
    main(asked)
    with Path(asked.output.judgments).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["image"] for row in rows} == set(splits["test"])
    assert len(rows) == 4 * 4 * 5  # with so few pictures each is among the few others


FLICKR8K = Path(__file__).resolve().parents[3] / "shared" / "flickr8k"


@pytest.mark.skipif(not FLICKR8K.is_dir(), reason="needs the archives in ../shared/flickr8k")
def test_all_of_flickr8ks_judgments_are_found():
    archives = SOURCES["archives"]
    paths = archives.find(Place(FLICKR8K))
    _, records = archives.read(Place(FLICKR8K), paths, Findings())
    records = list(records)
    captions_of = {record.image: record.captions for record in records}
    splits = {"test": [record.image for record in records if record.split == "test"]}
    manifest = {
        "layout": "archives",
        "root": str(FLICKR8K),
        "files": [{"path": path} for path in paths],
    }
    found = judgments_of(manifest, {"source": "flickr8k"}, captions_of, splits)
    assert Counter(one.source for one in found) == {"expert": 3 * 5822, "crowd": 47_830}
    assert {one.caption for one in found} == {2}
    assert found[0] == Rating(
        "expert", "1056338697_4f7d7ce270.jpg", "2549968784_39bfbe44f9.jpg", 2, 1.0
    )
