"""A split is the official one, or one in which no image moves when others come."""

from types import SimpleNamespace

import pytest

from scripts.data.split import check_shares, drawn_split, main, split_images
from scripts.job import BadInput, read_json

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def drawn(names, seed=0, shares=SHARES):
    return split_images(dict.fromkeys(names, ""), seed, shares)


def test_the_official_split_is_kept_sorted_and_images_in_none_are_left_out():
    official = {"d": "test", "b": "val", "a": "train", "c": "none", "A": "test"}
    expected = {"train": ["a"], "val": ["b"], "test": ["A", "d"]}
    assert split_images(official, 0, SHARES) == expected


def test_adding_images_moves_no_other():
    before = drawn([f"{i}.jpg" for i in range(500)])
    after = drawn([f"{i}.jpg" for i in range(-300, 900)])
    for split, images in before.items():
        assert set(images) <= set(after[split])


def test_removing_images_moves_no_other():
    before = drawn([f"{i}.jpg" for i in range(500)])
    after = drawn([f"{i}.jpg" for i in range(0, 500, 2)])
    for split, images in after.items():
        assert set(images) <= set(before[split])


def test_shares_are_met_and_every_image_is_in_one_split():
    names = [f"photo {i}.jpg" for i in range(20_000)]
    splits = drawn(names, shares={"train": 0.5, "val": 0.2, "test": 0.3})
    assert sorted(image for images in splits.values() for image in images) == sorted(names)
    for split, share in {"train": 0.5, "val": 0.2, "test": 0.3}.items():
        # five standard deviations of a binomial count
        assert abs(len(splits[split]) - 20_000 * share) < 5 * (20_000 * share * (1 - share)) ** 0.5


def test_another_seed_draws_another_split_and_the_same_seed_the_same():
    names = [f"{i}.jpg" for i in range(200)]
    assert drawn(names, seed=1) == drawn(names, seed=1) != drawn(names, seed=2)


def test_a_larger_train_share_takes_from_val_and_leaves_test_alone():
    names = [f"{i}.jpg" for i in range(500)]
    other = drawn(names, shares={"train": 0.85, "val": 0.05, "test": 0.1})
    assert other["test"] == drawn(names)["test"]


def test_the_draw_is_the_same_on_every_machine():
    split_of = {i: drawn_split(f"{i}.jpg", 0, SHARES) for i in range(40)}
    # as drawn when this test was written: a change would reshuffle everyone's images
    assert [i for i in split_of if split_of[i] == "val"] == [8, 9, 12, 14, 20, 24, 39]
    assert [i for i in split_of if split_of[i] == "test"] == [4, 7, 17, 19, 28, 33]


@pytest.mark.parametrize("official", ["", "test"])
def test_a_split_that_leaves_a_side_empty_is_told_with_the_counts(official):
    with pytest.raises(BadInput, match=r"of 3 images") as told:
        split_images(dict.fromkeys(["a.jpg", "b.jpg", "c.jpg"], official), 0, SHARES)
    assert "splits.json" in str(told.value)
    if official:
        assert "train 0, val 0, test 3" in str(told.value)


def test_shares_that_are_not_together_one_are_told():
    with pytest.raises(BadInput, match=r"together 1\.1"):
        check_shares({"train": 0.8, "val": 0.2, "test": 0.1})


def test_the_rule_reads_images_csv_and_writes_splits_json(tmp_path):
    table = tmp_path / "images.csv"
    rows = [
        '"a, b.jpg",1,1,1,0,train',
        "图.jpg,1,1,1,0,val",
        "c.jpg,1,1,1,0,test",
        "d.jpg,1,1,1,0,none",
    ]
    table.write_text("\n".join(["image,width,height,bytes,sha256,split", *rows]), "utf-8")
    main(
        SimpleNamespace(
            input=SimpleNamespace(table=str(table)),
            output=SimpleNamespace(splits=str(tmp_path / "splits.json")),
            params=SimpleNamespace(seed=0, shares=SHARES),
        )
    )
    expected = {"train": ["a, b.jpg"], "val": ["图.jpg"], "test": ["c.jpg"]}
    assert read_json(tmp_path / "splits.json") == expected
