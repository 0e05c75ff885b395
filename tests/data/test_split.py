"""A split is the official one, or all images are test, or one is drawn in which few images move."""

from types import SimpleNamespace

import pytest

from scripts.data.split import (
    FEWEST,
    check_shares,
    check_told,
    main,
    meant,
    place,
    split_images,
)
from scripts.job import BadInput, read_json
from scripts.protocol import ENOUGH

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def drawn(names, seed=0, shares=SHARES):
    return split_images(dict.fromkeys(names, ""), seed, shares)


def test_the_official_split_is_kept_sorted_and_images_in_none_are_left_out():
    official = {"d": "test", "b": "val", "a": "train", "c": "none", "A": "test"}
    expected = {"train": ["a"], "val": ["b"], "test": ["A", "d"]}
    assert split_images(official, 0, SHARES) == expected


def test_adding_images_moves_no_other_once_there_are_enough():
    before = drawn([f"{i}.jpg" for i in range(5000)])
    after = drawn([f"{i}.jpg" for i in range(-3000, 9000)])
    for split, images in before.items():
        assert set(images) <= set(after[split])


def test_removing_images_moves_no_other_while_there_are_enough():
    before = drawn([f"{i}.jpg" for i in range(10_000)])
    after = drawn([f"{i}.jpg" for i in range(0, 10_000, 2)])
    for split, images in after.items():
        assert set(images) <= set(before[split])


@pytest.mark.parametrize("count", [7, 40, 300, 769, 770, 1500])
def test_of_few_images_one_more_moves_one_at_most_from_each_split(count):
    before = drawn([f"{i}.jpg" for i in range(count)])
    after = drawn([f"{i}.jpg" for i in range(count + 1)])
    for split, images in before.items():
        assert len(set(images) - set(after[split])) <= 1


@pytest.mark.parametrize("count", [FEWEST, 40, 769, 770, 2000, 20_000])
def test_test_has_as_many_images_as_intervals_need_or_half_of_all(count):
    splits = drawn([f"{i}.jpg" for i in range(count)])
    assert len(splits["test"]) >= min(ENOUGH, count // 2)
    assert splits["train"] and splits["val"]
    assert sum(map(len, splits.values())) == count


def test_all_images_are_test_where_nothing_learns_and_nobody_named_a_split():
    names = ["b.jpg", "a.jpg"]
    splits = split_images(dict.fromkeys(names, ""), 0, SHARES, learns=False)
    assert splits == {"train": [], "val": [], "test": ["a.jpg", "b.jpg"]}


@pytest.mark.parametrize("learns", [True, False])
def test_a_split_of_the_dataset_may_have_no_image_in_a_side(learns):
    for name in ("train", "val", "test"):
        splits = split_images({"a": name, "b": "none"}, 0, SHARES, learns)
        assert splits == {"train": [], "val": [], "test": []} | {name: ["a"]}


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
    # as drawn when this test was written: a change would reshuffle everyone's images
    places = [place(f"{i}.jpg", 0) for i in range(40)]
    assert [i for i in range(40) if 0.1 <= places[i] < 0.2] == [8, 9, 12, 14, 20, 24, 39]
    assert [i for i in range(40) if places[i] < 0.1] == [4, 7, 17, 19, 28, 33]


def test_too_few_images_to_learn_from_and_to_measure_are_told_with_what_to_do():
    with pytest.raises(BadInput, match=rf"{FEWEST - 1} images, in no split") as told:
        drawn([f"{i}.jpg" for i in range(FEWEST - 1)])
    assert "splits.json" in str(told.value)
    assert "{scorers: [cosine], rerankers: []}" in str(told.value)


def test_an_official_split_without_any_image_is_told():
    with pytest.raises(BadInput, match="none of 2 images in train, val or test"):
        split_images({"a": "none", "b": "none"}, 0, SHARES)


def test_shares_that_are_not_together_one_are_told():
    with pytest.raises(BadInput, match=r"together 1\.1"):
        check_shares({"train": 0.8, "val": 0.2, "test": 0.1})


@pytest.mark.parametrize(
    ("images", "stands_for"),
    [
        ({"train": 9, "val": 3}, {"val": "test"}),
        ({"val": 3}, {"val": ""}),
        ({"train": 9}, {"train": ""}),
        # nobody knows which of them are meant
        ({"train": 9, "none": 3}, {}),
        ({"val": 9, "none": 3}, {}),
        ({"val": 9, "test": 1}, {}),
        ({"": 9}, {}),
        ({"none": 9}, {}),
    ],
)
def test_without_test_val_is_measured_and_a_split_alone_is_none(images, stands_for):
    assert meant(images) == stands_for


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"train": 80, "val": 10, "test": 10}, {"test": 40}),
        ({"test": 100}, {"train": 100, "test": 100}),
        ({"test": 100}, {"test": 40}),
        ({"test": 100}, {"test": 385}),
        ({"val": 0, "test": 9}, {"val": 1, "test": 9}),
    ],
)
def test_numbers_that_the_config_tells_and_that_are_not_so_are_told(found, told):
    with pytest.raises(BadInput, match="as the dataset's entry of the config says: splits"):
        check_told(found, told, 0.01, "images.csv")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"test": 40}, None),
        ({"train": 0, "test": 40}, {"test": 40, "val": 0}),
        # pictures that cannot be decoded, as many as may be lost
        ({"test": 39}, {"test": 40}),
        ({"test": 990}, {"test": 1000}),
    ],
)
def test_numbers_that_are_so_but_for_a_few_lost_pictures_are_taken(found, told):
    check_told(found, told, 0.01, "images.csv")


@pytest.mark.parametrize(
    ("searched", "splits"),
    [
        (True, {"train": ["a"], "val": [], "test": ["b"]}),
        # a model that is trained on it needs its val
        (False, {"train": ["a"], "val": ["b"], "test": []}),
    ],
)
def test_of_a_dataset_that_is_searched_alone_val_is_measured_where_there_is_no_test(
    tmp_path, searched, splits
):
    assert ruled(tmp_path, ["a,1,1,1,0,train", "b,1,1,1,0,val"], searched=searched) == splits


def test_the_rule_holds_what_the_config_tells_against_what_is_there(tmp_path):
    with pytest.raises(BadInput, match=r"images\.csv\n  found:    train 0, val 0, test 1 images"):
        ruled(tmp_path, ["a,1,1,1,0,test"], told={"test": 2, "val": 1})


def ruled(tmp_path, rows, **params):
    """What the rule makes of these rows of images.csv."""
    table = tmp_path / "images.csv"
    table.write_text("\n".join(["image,width,height,bytes,sha256,split", *rows]), "utf-8")
    usual = {
        "seed": 0,
        "shares": SHARES,
        "learns": True,
        "searched": True,
        "whole": False,
        "told": None,
    }
    main(
        SimpleNamespace(
            input=SimpleNamespace(table=str(table)),
            output=SimpleNamespace(splits=str(tmp_path / "splits.json")),
            params=SimpleNamespace(**usual | {"max_lost": 0.01} | params),
        )
    )
    return read_json(tmp_path / "splits.json")


def test_the_rule_reads_images_csv_and_writes_splits_json(tmp_path):
    rows = [
        '"a, b.jpg",1,1,1,0,train',
        "图.jpg,1,1,1,0,val",
        "c.jpg,1,1,1,0,test",
        "d.jpg,1,1,1,0,none",
    ]
    expected = {"train": ["a, b.jpg"], "val": ["图.jpg"], "test": ["c.jpg"]}
    assert ruled(tmp_path, rows) == expected


def test_a_dataset_that_has_all_three_splits_lost_a_list_where_one_is_empty(tmp_path):
    with pytest.raises(BadInput, match="val 0, test 1") as told:
        ruled(tmp_path, ["a,1,1,1,0,train", "b,1,1,1,0,test"], whole=True)
    assert "images.csv" in str(told.value) and "again" in str(told.value)
