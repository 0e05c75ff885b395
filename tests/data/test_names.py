"""A name finds the file that it means, if it is written a little otherwise and means no other."""

import pytest

from scripts.data.names import matched, nearest

THERE = ["x.jpg", "train/y.jpg", "val/y.jpg", "val/z.jpg", "Big.JPG", "a b.png", "1.5.jpg"]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("x.jpg", "x.jpg"),
        ("./x.jpg", "x.jpg"),
        ("images/x.jpg", "x.jpg"),
        ("../images/x.jpg", "x.jpg"),
        ("/home/me/data/images/x.jpg", "x.jpg"),
        ("file:///home/me/x.jpg", "x.jpg"),
        ("https://example.org/a/x.jpg?size=large#top", "x.jpg"),
        ("C:\\data\\x.jpg", "x.jpg"),
        ("train\\y.jpg", "train/y.jpg"),
        ("images/val/y.jpg", "val/y.jpg"),
        ("z.jpg", "val/z.jpg"),
        ("big.jpg", "Big.JPG"),
        ("images/BIG.jpeg", "Big.JPG"),
        ("a%20b.png", "a b.png"),
        (" x.jpg ", "x.jpg"),
        ("x", "x.jpg"),
        ("X", "x.jpg"),
        ("x.png", "x.jpg"),
        ("1.5", "1.5.jpg"),
        ("z", "val/z.jpg"),
    ],
)
def test_a_prefix_a_suffix_or_case_leads_to_the_one_file(name, file):
    assert matched([name], THERE) == ({name: file}, {})


@pytest.mark.parametrize(
    "name",
    ["", ".", "/", "..", "a/../x.jpg", "train/x.jpg.1", "test/y.jpg", "xx.jpg", "\ud83d", "%00"],
)
def test_what_is_another_name_finds_nothing(name):
    assert matched([name], THERE) == ({}, {})


def test_a_name_that_may_mean_two_files_means_none():
    assert matched(["y.jpg"], THERE)[1] == {"y.jpg": "train/y.jpg and val/y.jpg are there"}
    assert not matched(["X.JPG"], ["x.jpg", "X.jpg"])[0]
    assert not matched(["x"], ["x.jpg", "x.png"])[0]
    # also where the other file has its own name already
    assert "x.jpg" not in matched(["a/x.jpg", "x.jpg"], ["a/x.jpg", "b/x.jpg"])[0]


def test_two_names_do_not_mean_one_file():
    assert matched(["X.jpg", "x.JPG"], ["x.jpg"])[0] == {}
    found, doubts = matched(["x.jpg", "images/x.jpg"], ["x.jpg"])
    assert found == {"x.jpg": "x.jpg"}
    assert doubts == {"images/x.jpg": "x.jpg is there, which another name means, too"}
    # nor does a looser name take what two others are at odds about
    assert matched(["X.jpg", "x.JPG", "x"], ["x.jpg"])[0] == {}


def test_the_least_difference_goes_first():
    assert matched(["images/x.jpg"], ["x.jpg", "x.png", "X.jpg"])[0] == {"images/x.jpg": "x.jpg"}
    names = ["images/x.jpg", "images/sub/x.jpg"]
    assert matched(names, ["x.jpg", "sub/x.jpg"])[0] == dict(
        zip(names, ["x.jpg", "sub/x.jpg"], strict=True)
    )


def test_accents_in_another_form_are_the_same_name():
    assert matched(["cafe\u0301.jpg"], ["caf\u00e9.jpg"])[0] == {"cafe\u0301.jpg": "caf\u00e9.jpg"}


def test_every_file_of_a_folder_each_is_found_by_its_way():
    there = [f"{number}/image.jpg" for number in range(200)]
    found, _ = matched((f"data/images/{name}" for name in there), there)
    assert list(found.values()) == there


def test_of_two_files_that_a_name_may_mean_the_preferred_one_is_meant():
    assert matched(["9"], ["9.jpg", "9.png"], ["9.jpg"]) == ({"9": "9.jpg"}, {})
    assert matched(["9.png"], ["9.jpg", "9.png"], ["9.jpg"])[0] == {"9.png": "9.png"}
    assert matched(["9"], ["9.jpg", "9.png"], ["9.jpg", "9.png"])[0] == {}
    # what is preferred is still one file for one name
    assert matched(["9", "9.JPG"], ["9.jpg", "9.png"], ["9.jpg"])[0] == {"9.JPG": "9.jpg"}


def test_a_name_longer_than_any_path_means_the_file_of_that_name_alone(monkeypatch):
    deep, path = "a/" * 448 + "x.jpg", "a/" * 447 + "x.jpg"
    assert matched([deep, path], ["x.jpg", deep])[0] == {deep: deep, path: "x.jpg"}
    assert matched(["x.jpg"], [deep]) == ({}, {})
    assert matched(["x.jpg"], [path])[0] == {"x.jpg": path}


def test_the_nearest_name_is_a_slip_away():
    assert nearest("l003.jpg", ["1004.jpg", "a.jpg", "lOO3.jpg", "l0003.jpg"]) == "l0003.jpg"
    assert nearest("x.png#0", ["a.png", "x.png"]) == "x.png"
    assert nearest("dir/Image_7", ["image 7.jpg"]) == "image 7.jpg"
    assert nearest("gone.jpg", ["a.jpg", "1003.jpg"]) == ""
    assert nearest("x" * 5000, ["x.jpg"]) == ""
