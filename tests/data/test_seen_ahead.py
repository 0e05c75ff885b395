"""What ./run evaluate says that it saw, and what it tells the run, is what is then prepared."""

from collections import Counter
from functools import partial

import pytest
from own_layouts import LAYOUTS
from small_photos import CAPTIONS, LISTS, SPLITS, below, drawn, lines, put, records
from test_layouts import PARQUET, as_parquet
from test_layouts_of_people import OF_PEOPLE, PEOPLE, people

from scripts.data.split import meant, split_images
from scripts.job import BadInput
from scripts.own.look import look


@pytest.fixture(scope="module")
def photos():
    return drawn()


def of_layout(name, photos, folder):
    _, files, _, options = LAYOUTS[name](photos)
    put(folder, files)
    return options


def of_parquet(name, photos, folder):
    for own in LISTS if "each split" in name else [""]:
        for path, rows in PARQUET[name](photos, own).items():
            as_parquet(folder / path, rows)
    return {"language": "en"} if "language" in name else {}


def of_people(name, photos, folder):
    if not PEOPLE.is_file():
        pytest.skip("needs ../shared/layouts/make.py")
    module = people()
    getattr(module, name)(folder, module.records())
    return {}


def of_splits(told, photos, folder):
    put(
        folder,
        below(photos)
        | {"c.jsonl": lines(records(split=dict(zip(CAPTIONS, told, strict=True)).get))},
    )
    return {}


MADE = {
    **{name: partial(of_layout, name) for name in LAYOUTS},
    **{f"parquet, {name}": partial(of_parquet, name) for name in PARQUET},
    **{f"of people, {name}": partial(of_people, name) for name in OF_PEOPLE},
    **{
        f"split of {', '.join(told)}": partial(of_splits, told)
        for told in (
            ["test"] * 5,
            ["dev"] * 5,
            ["restval"] * 5,
            [""] * 5,
            ["train", "val", "val", "val", "train"],
            ["test", "eval", "val", "", "test"],
        )
    },
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_seen_ahead_is_what_is_prepared(taken, tmp_path, photos, name):
    options = MADE[name](photos, tmp_path / "mine")
    manifest, kept, findings = taken(tmp_path / "mine", **options)
    seen = look({"source": "folder", "location": str(tmp_path / "mine"), **options})
    official = {one.image: one.split for one in kept}
    stands_for = meant(Counter(official.values()))
    official = {image: stands_for.get(split, split) for image, split in official.items()}
    splits = split_images(official, 0, {}, learns=False)
    used = [one for one in kept if one.split != "none"]
    assert seen.layout == manifest["layout"] and seen.lost == len(findings.aside)
    assert (seen.images, seen.captions) == (len(used), sum(len(one.captions) for one in used))
    assert seen.images == sum(map(len, splits.values()))
    sizes = {split: len(images) for split, images in splits.items() if images}
    assert (seen.splits or {"test": seen.images}) == sizes


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["test"] * 5, "split test"),
        (["dev"] * 5, "no splits (all are called val)"),
        (["train", "val", "val", "val", "train"], "splits train/val (no test: val is measured)"),
        (["test", "test", "eval", "val", ""], "splits val/test (2 in none, as in eval)"),
        ([*SPLITS.values()], "splits train/val/test"),
    ],
)
def test_splits_of_every_shape_are_told(tmp_path, photos, told, said):
    of_splits(told, photos, tmp_path)
    assert look({"source": "folder", "location": str(tmp_path)}).said == said


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (["holdout"] * 5, "no splits (5 in none, as in holdout (5)), and none in test"),
        (["train", "train", "eval", "eval", "a"], "split train (3 in none, as in a, eval (2))"),
    ],
)
def test_where_nobody_knows_what_is_meant_to_be_measured_it_is_asked(tmp_path, photos, told, found):
    of_splits(told, photos, tmp_path)
    with pytest.raises(BadInput) as error:
        look({"source": "folder", "location": str(tmp_path)})
    assert found in error.value.parts[1] and "name images of test there" in error.value.parts[3]
