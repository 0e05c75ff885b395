"""The same photos and captions give the same, in whatever layout people have them."""

import json
from pathlib import Path

import pytest
from own_layouts import LAYOUTS, shards
from small_photos import (
    CAPTIONS,
    COCO,
    IMAGES,
    LISTS,
    OWN_SPLITS,
    ROWS,
    SPLITS,
    below,
    drawn,
    lines,
    packed,
    put,
    records,
    table,
)

from scripts.data.audit import Note
from scripts.job import BadInput


@pytest.fixture(scope="module")
def photos():
    return drawn()


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_images_captions_and_split(taken, tmp_path, photos, name):
    layout, files, has_split, options = LAYOUTS[name](photos)
    put(tmp_path / "mine", files)
    manifest, kept, findings = taken(tmp_path / "mine", **options)
    assert manifest["layout"] == layout
    assert {one.image: one.captions for one in kept} == CAPTIONS
    assert [one.image for one in kept] == sorted(CAPTIONS)
    assert {one.image: (tmp_path / "images" / one.image).read_bytes() for one in kept} == photos
    assert {one.image: one.split for one in kept} == (
        SPLITS if has_split else dict.fromkeys(SPLITS, "")
    )
    assert findings.aside == []
    assert findings.images_found == len(CAPTIONS)


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_shards_of_webdataset_give_the_same_by_the_names_of_their_members(
    taken, tmp_path, photos, kind
):
    for split, folder in LISTS.items():
        names = [name for name in CAPTIONS if SPLITS[name] == split]
        put(tmp_path / "mine" / folder, shards(photos, names, kind))
    # what a downloader notes beside
    put(tmp_path / "mine/train", {"00000_stats.json": "{}", "00000.json": "{}"})
    manifest, kept, findings = taken(tmp_path / "mine")
    assert manifest["layout"] == "webdataset"
    # all behind a key's first point is a suffix
    named = {name.replace("e.f", "e_f"): name for name in CAPTIONS}
    assert {named[one.image]: one.captions for one in kept} == CAPTIONS
    assert {named[one.image]: one.split for one in kept} == SPLITS
    notes = {note["note"]: note["items"] for note in findings.notes}
    assert notes["shards that are missing by their numbers"] == [
        f"{folder}/00001.tar" for folder in ("test", "train")
    ]


def as_parquet(path: Path, rows: dict, **options) -> None:
    import pyarrow
    from pyarrow.parquet import write_table

    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(pyarrow.table(rows), path, **options)


def structs(photos, names=CAPTIONS):
    return [{"bytes": photos[name], "path": f"/somewhere/{name}"} for name in names]


PARQUET = {
    "a list, and a file for each split": lambda p, own: {
        f"data/{own or 'all'}-00000-of-00001.parquet": {
            "image": structs(p, names := [n for n in CAPTIONS if not own or SPLITS[n] == own]),
            "caption": [CAPTIONS[n] for n in names],
            "sentids": [[1, 2] for _ in names],
        }
    },
    "rows, and names in a column": lambda p, own: {
        "x.parquet": {
            "picture": [p[n] for n, _ in ROWS],
            "filename": [n for n, _ in ROWS],
            "text": [t for _, t in ROWS],
            "split": [SPLITS[n] for n, _ in ROWS],
        }
    },
    "sentences of objects": lambda p, own: {
        "x.parquet": {
            "image": structs(p),
            "sentences": [[{"raw": t, "sentid": 1} for t in CAPTIONS[n]] for n in CAPTIONS],
            "split": [*SPLITS.values()],
        }
    },
    "numbered": lambda p, own: {
        "x.parquet": {
            "image": structs(p),
            "caption_0": [t[0] for t in CAPTIONS.values()],
            "caption_1": [t[1] for t in CAPTIONS.values()],
            "split": [*SPLITS.values()],
        }
    },
    "of one language among files": lambda p, own: {
        f"data/{language}-00000-of-00001.parquet": {
            "image": structs(p),
            "captions": [t if language == "en" else ["x"] for t in CAPTIONS.values()],
            "split": [*SPLITS.values()],
        }
        for language in ("de", "en")
    },
}


@pytest.mark.parametrize("name", PARQUET)
def test_parquet_of_every_form_gives_the_same(taken, tmp_path, photos, name):
    for own in LISTS if "each split" in name else [""]:
        for path, rows in PARQUET[name](photos, own).items():
            as_parquet(tmp_path / "mine" / path, rows)
    options = {"language": "en"} if "language" in name else {}
    manifest, kept, findings = taken(tmp_path / "mine", **options)
    assert manifest["layout"] == "parquet" and not manifest["official_split"]
    assert {one.image: one.captions for one in kept} == CAPTIONS
    assert {one.image: one.split for one in kept} == SPLITS
    assert {one.image: (tmp_path / "images" / one.image).read_bytes() for one in kept} == photos
    assert findings.aside == []


def test_parquet_without_names_puts_rows_of_one_picture_together(taken, tmp_path, photos):
    as_parquet(
        tmp_path / "mine/train.parquet",
        {"image": [photos[n] for n, _ in ROWS], "caption": [t for _, t in ROWS]},
    )
    _, kept, findings = taken(tmp_path / "mine")
    assert [one.captions for one in kept] == [*CAPTIONS.values()]
    # a train alone is no split
    assert {one.split for one in kept} == {""}
    assert any("one split alone" in note["note"] for note in findings.notes)


def test_parquet_without_pictures_is_a_table_beside_them(taken, tmp_path, photos):
    put(tmp_path / "mine", below(photos))
    rows = {"file_name": [*CAPTIONS], "text": [*CAPTIONS.values()], "width": [1] * 5}
    as_parquet(tmp_path / "mine/captions.parquet", rows)
    manifest, kept, _ = taken(tmp_path / "mine")
    assert manifest["layout"] == "table"
    assert {one.image: one.captions for one in kept} == CAPTIONS
    (tmp_path / "mine/captions.parquet").rename(tmp_path / "mine/images/metadata.parquet")
    manifest, kept, _ = taken(tmp_path / "mine")
    assert manifest["layout"] == "imagefolder"
    assert {one.image: one.captions for one in kept} == CAPTIONS


def test_files_of_several_languages_are_told_with_the_key_that_decides(taken, tmp_path, photos):
    for path, rows in PARQUET["of one language among files"](photos, "").items():
        as_parquet(tmp_path / "mine" / path, rows)
    with pytest.raises(BadInput, match=r"(?s)two rows.*as language"):
        taken(tmp_path / "mine")
    put(tmp_path / "rows", below(photos))
    rows = [["image", "lang", "caption"], ["a.jpg", "en", "x"], ["a.jpg", "de", "y"]]
    put(tmp_path / "rows", {"c.csv": table(rows)})
    with pytest.raises(BadInput, match=r"(?s)line 3.*languages de and en.*language: de"):
        taken(tmp_path / "rows")
    with pytest.raises(BadInput, match=r"(?s)captions of de, en.*expected: captions of fr"):
        taken(tmp_path / "rows", language="fr")


def test_names_of_two_folders_stay_apart_and_names_of_splits_are_no_part_of_a_name(
    taken, tmp_path, photos
):
    one, other = photos["a.jpg"], photos["d.jpg"]
    files = {"train/1.jpg": one, "test/1.jpg": other, "test/2.jpg": one}
    rows = [{"file_name": name, "text": name} for name in files]
    put(tmp_path / "mine", files | {"metadata.jsonl": lines(rows)})
    _, kept, _ = taken(tmp_path / "mine")
    assert {k.image: (k.captions, k.split) for k in kept} == {
        "2.jpg": (["test/2.jpg"], "test"),
        "test/1.jpg": (["test/1.jpg"], "test"),
        "train/1.jpg": (["train/1.jpg"], "train"),
    }


def test_splits_of_which_no_picture_is_there_are_left_out_and_noted(taken, tmp_path, photos):
    images = [one | {"split": {"val": "restval"}.get(one["split"], one["split"])} for one in IMAGES]
    put(tmp_path / "mine", {"dataset_coco.json": json.dumps({"images": images})})
    there = {name: content for name, content in photos.items() if SPLITS[name] != "train"}
    put(tmp_path / "mine/images", there)
    _, kept, findings = taken(tmp_path / "mine")
    assert {one.image: one.split for one in kept} == {
        name: SPLITS[name].replace("val", "train") for name in there
    }
    notes = {note["note"]: note["items"] for note in findings.notes}
    assert notes["splits of which no picture is there, left out"] == ["train (2 images)"]
    assert findings.aside == []


def test_what_is_not_read_is_counted_and_named(taken, tmp_path, photos):
    rows = [["image_name", "comment_number", "comment"], *((n, 0, t) for n, t in ROWS)]
    text = "\n".join("| ".join(map(str, row)) for row in rows)
    # as in line 19,999 of Flickr30k's
    text += "\na.jpg| 4   A dog runs across the grass .\n| 1| of no image\ngone.jpg| 0| of none\n"
    put(tmp_path / "mine", below(photos) | {"results.csv": text, "notes.csv": "a,b\n1,2\n"})
    manifest, kept, findings = taken(tmp_path / "mine")
    assert {one.image: one.captions for one in kept} == CAPTIONS
    assert sorted((item.split("/")[-1], reason) for item, reason, _ in findings.aside) == [
        ("a.jpg", "empty caption"),
        ("gone.jpg", "missing file"),
        ("results.csv, line 13", "caption without image"),
    ]
    notes = {note["note"]: note["items"] for note in findings.notes}
    assert notes["columns and keys that are not read"] == ["comment_number"]
    (short,) = notes["rows that end before the last column"]
    assert short.endswith("results.csv, line 12")
    (told,) = manifest["notes"][Note.NOT_READ]
    assert told.startswith("notes.csv: the columns a, b, none of which is known")


def test_two_layouts_or_two_files_of_one_are_told_with_the_key_that_decides(
    taken, tmp_path, photos
):
    put(tmp_path / "mine", below(photos) | {"a.jsonl": lines(records())})
    put(tmp_path / "mine", {"dataset.json": json.dumps({"images": IMAGES})})
    with pytest.raises(
        BadInput, match=r"(?s)\(karpathy\); and .*\(table\).*layout: karpathy or ta"
    ):
        taken(tmp_path / "mine")
    (tmp_path / "mine/dataset.json").rename(tmp_path / "mine/b.json")
    put(tmp_path / "mine", {"c.json": json.dumps({"images": IMAGES})})
    with pytest.raises(
        BadInput, match=r"(?s)b\.json and c\.json, each of which.*captions: b\.json"
    ):
        taken(tmp_path / "mine")
    assert taken(tmp_path / "mine", captions="a.jsonl")[0]["layout"] == "table"
    assert taken(tmp_path / "mine", captions="c.json")[0]["layout"] == "karpathy"


def test_a_language_that_nothing_tells_and_columns_of_what_has_none_are_told(
    taken, tmp_path, photos
):
    put(tmp_path / "mine", below(photos) | {"c.jsonl": lines(records())})
    with pytest.raises(BadInput, match=r"(?s)of no language that is told.*or take it out"):
        taken(tmp_path / "mine", language="zh")
    put(tmp_path / "other", below(photos) | {"c.json": json.dumps({"images": IMAGES})})
    with pytest.raises(BadInput, match=r"(?s)columns and language in the config, and c\.json"):
        taken(tmp_path / "other", language="zh", columns={"image": "filename"})
    put(tmp_path / "empty", below(photos) | {"c.csv": "image,lang,caption\n"})
    with pytest.raises(BadInput, match="of no language that is told"):
        taken(tmp_path / "empty", language="zh(")


SAID_WRONGLY = {
    "captions": ("gone.csv", r"gone\.csv\n.*no such file"),
    "images": ("gone", r"gone\n.*no picture there"),
    "columns": ({"image": "img"}, r"the columns image, caption.*'img', as the config's"),
    "separator": ("|", r"'image,caption'"),
    "layout": ("webdataset", r"WebDataset's tar shards"),
}


@pytest.mark.parametrize("key", SAID_WRONGLY)
def test_what_the_config_says_wrongly_is_told(taken, tmp_path, photos, key):
    value, told = SAID_WRONGLY[key]
    put(tmp_path / "mine", below(photos) | {"c.csv": table([["image", "caption"], *ROWS])})
    with pytest.raises(BadInput, match=f"(?s){told}"):
        taken(tmp_path / "mine", **{key: value})


def test_of_pictures_of_one_name_those_that_are_meant_must_be_said(taken, tmp_path, photos):
    put(tmp_path / "mine", below(photos, "small/{}") | below(photos, "large/{}"))
    put(tmp_path / "mine", {"c.jsonl": lines(records())})
    _, kept, findings = taken(tmp_path / "mine")
    assert kept == []
    assert "large/a.jpg and small/a.jpg are there" in str(findings.aside)


def test_a_split_within_the_captions_and_one_beside_them_are_told(taken, tmp_path, photos):
    files = {"c.jsonl": lines(records(split=SPLITS.get)), "splits.json": OWN_SPLITS}
    put(tmp_path / "mine", below(photos) | files)
    with pytest.raises(BadInput, match=r"a split beside the captions, and one within them"):
        taken(tmp_path / "mine")


def test_a_part_of_a_shard_is_set_aside_and_nothing_is_paired_over_shards(taken, tmp_path, photos):
    first = packed({"k1.jpg": photos["a.jpg"], "k1.txt": "one", "k2.jpg": photos["d.jpg"]}, "tar")
    second = packed({"k1.jpg": photos["图.jpg"], "k1.txt": "two", "k2.txt": "of no picture"}, "tar")
    put(tmp_path / "mine", {"0.tar": first, "1.tar": second})
    _, kept, findings = taken(tmp_path / "mine")
    assert {one.image: one.captions for one in kept} == {
        "0.tar/k1.jpg": ["one"],
        "1.tar/k1.jpg": ["two"],
    }
    assert sorted(findings.aside) == [
        ("0.tar/k2.jpg", "no caption", "an image without a caption"),
        ("1.tar/k2", "missing file", "captions, and no picture (txt)"),
    ]


def test_a_layout_is_read_without_holding_what_its_archives_hold(taken, tmp_path, photos):
    put(
        tmp_path / "mine",
        {"x.tar.gz": packed(below(photos) | {"c.jsonl": lines(records())}, "tar.gz")},
    )
    assert len(taken(tmp_path / "mine")[1]) == 5
    # what it unfolds into has no name
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "images"}


def test_commas_of_a_caption_keep_their_blanks_and_cells_may_begin_with_some(
    taken, tmp_path, photos
):
    bare, quoted = "image;caption\r\na.jpg;x; y ;z\r\n", 'd.jpg; "q; r"\r\n'
    put(tmp_path / "mine", below(photos) | {"a.csv": bare, "a.jpg": photos["a.jpg"]})
    assert [one.captions for one in taken(tmp_path / "mine")[1]] == [["x; y ;z"]]
    put(tmp_path / "mine", {"a.csv": bare.replace("x; y ;z", '"x; y"') + quoted})
    assert [one.captions for one in taken(tmp_path / "mine")[1]] == [["x; y"], ["q; r"]]
    put(tmp_path / "mine", {"a.csv": bare + quoted})
    with pytest.raises(BadInput, match=r"line 2\n.*4 columns"):
        taken(tmp_path / "mine")


def test_captions_and_a_split_below_the_location_are_those_of_it(taken, tmp_path, photos):
    seeds = below(photos) | {"captions.json": json.dumps(records()), "splits.json": OWN_SPLITS}
    put(tmp_path / "mine", {f"set/{name}": content for name, content in seeds.items()})
    put(tmp_path / "packed", {"set.zip": packed(seeds, "zip")})
    for place in ("mine", "packed"):
        _, kept, _ = taken(tmp_path / place)
        assert {one.image: one.split for one in kept} == SPLITS
    put(tmp_path / "mine", {"set/images/splits.json": "{}"})
    with pytest.raises(BadInput, match=r"(?s)set/images/splits\.json.*is not read there"):
        taken(tmp_path / "mine")


def test_of_cocos_two_files_the_one_whose_pictures_are_there_is_no_split(taken, tmp_path, photos):
    gone = {"images": [{"id": 1, "file_name": "z.jpg"}]}
    gone["annotations"] = [{"image_id": 1, "caption": "z"}]
    files = {"captions_val2017.json": COCO, "captions_train2017.json": gone}
    files = {f"annotations/{name}": json.dumps(value) for name, value in files.items()}
    put(tmp_path / "mine", below(photos, "val2017/{}") | files)
    _, kept, findings = taken(tmp_path / "mine")
    assert {one.image: one.split for one in kept} == dict.fromkeys(CAPTIONS, "")
    notes = {note["note"]: note["items"] for note in findings.notes}
    assert notes["splits of which no picture is there, left out"] == ["train (1 images)"]
    assert notes["names of one split alone, taken for none"] == ["val"]


def test_texts_without_a_picture_and_captions_twice_are_noted_and_lose_nothing(
    taken, tmp_path, photos
):
    texts = {f"{n[:-4]}.txt": "\n".join([*t, t[0]]) for n, t in CAPTIONS.items()}
    put(tmp_path / "mine", below(photos, "{}") | texts | {"READ ME.txt": "mine", "x.json": "{}"})
    _, kept, findings = taken(tmp_path / "mine")
    assert {one.image: one.captions for one in kept} == {n: [*t, t[0]] for n, t in CAPTIONS.items()}
    assert findings.aside == [("READ ME", "caption without image", "of READ ME.txt")]
    assert findings.lost() == []
    notes = {note["note"]: note["count"] for note in findings.notes}
    assert notes["captions that an image has more than once, kept"] == len(CAPTIONS)


@pytest.mark.parametrize("name", ["pairs", "pairs in two folders"])
def test_where_there_are_many_texts_each_is_of_a_picture(
    taken, tmp_path, photos, monkeypatch, name
):
    monkeypatch.setattr("scripts.data.kinds.MANY", 3)
    layout, files, _, _ = LAYOUTS[name](photos)
    put(tmp_path / "mine", files)
    manifest, kept, _ = taken(tmp_path / "mine")
    assert manifest["layout"] == layout
    assert {one.image: one.captions for one in kept} == CAPTIONS


def test_a_text_that_is_called_as_a_list_of_a_split_is_of_its_picture(taken, tmp_path, photos):
    _, files, _, _ = LAYOUTS["pairs"](photos)
    put(tmp_path / "mine", files | {"test.txt": "a", "test.jpg": photos["a.jpg"]})
    _, kept, _ = taken(tmp_path / "mine")
    assert {one.image: one.captions for one in kept} == CAPTIONS | {"test.jpg": ["a"]}


def test_of_folders_of_images_the_one_that_lies_least_deep_is_meant(taken, tmp_path, photos):
    seeds = (
        below(photos) | below(photos, "backup/images/{}") | {"captions.json": json.dumps(records())}
    )
    put(tmp_path / "mine", seeds)
    manifest, kept, _ = taken(tmp_path / "mine")
    assert [file["path"] for file in manifest["files"]] == ["captions.json", "images"]
    assert {one.image: one.captions for one in kept} == CAPTIONS


def test_one_text_for_two_pictures_is_told(taken, tmp_path, photos):
    files = {"a.jpg": photos["a.jpg"], "a.png": photos["e.f.png"], "a.txt": "x"}
    put(tmp_path / "mine", files)
    with pytest.raises(BadInput, match=r"a\.jpg and a\.png, which one text may be of"):
        taken(tmp_path / "mine")


def test_a_split_beside_parquet_is_taken_where_its_files_tell_none(taken, tmp_path, photos):
    rows = {"image": structs(photos), "caption": [*CAPTIONS.values()]}
    as_parquet(tmp_path / "mine/all.parquet", rows)
    put(tmp_path / "mine", {"splits.json": OWN_SPLITS})
    assert {one.image: one.split for one in taken(tmp_path / "mine")[1]} == SPLITS
    (tmp_path / "mine/all.parquet").rename(tmp_path / "mine/test.parquet")
    with pytest.raises(BadInput, match="a split beside the captions, and one within them"):
        taken(tmp_path / "mine")
