"""A folder of one's own: names and links of every bad kind."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_input import (
    GOOD,
    SPLITS,
    Case,
    assert_told,
    assert_used_or_set_aside,
    ids,
    picture,
    saved,
)

PINK = saved(picture("pink"))


# ---- names ----

NAMES = [
    Case("Chinese", "照片 一.png"),
    Case("Arabic, from right to left", "صورة.png"),
    Case("Hindi, with marks that combine", "चित्र.png"),
    Case("an emoji of five characters", "👩‍👩‍👧.png"),
    Case("a mark that turns the direction", "a\u202egnp.png"),
    Case("a space that does not look like one", "at 9.41\u202fAM.png"),
    Case("spaces at both ends", " x .png "),
    Case("240 bytes", "x" * 236 + ".png"),
    Case("80 Chinese characters", "图" * 78 + ".png"),
    Case("commands of a shell", "$(touch hacked); `id` & 'x'.png"),
    Case("markup", "<script>alert(1)<|script>.png"),
    Case("formats", "%s {} {0} {image} \\N.png".replace("\\", "")),
    Case("a hyphen in front", "--version.png"),
    Case("a name of Windows", "CON.png"),
    Case("commas and quotes", 'a, "b".png'),
    Case("what stands for a split or a number", "none.png"),
    Case("no dot at all", "none"),
    Case("a folder in a folder", "a/b/c/x.png"),
    Case("a folder that is called like an image", "x.png/x.png"),
    Case("a folder that is called like the images", "images/images/x.png"),
    Case("241 bytes", "x" * 237 + ".png", "unsafe name: longer than 240 bytes"),
    Case("81 Chinese characters", "图" * 79 + ".png", "unsafe name: longer than 240 bytes"),
    Case("a path of 1,000 bytes", "/".join(["d" * 199] * 4) + "/" + "x" * 200, "than 900 bytes"),
    Case("a line's end", "a\nb.png", "unsafe name: a control character"),
    Case("a tab", "a\tb.png", "unsafe name: a control character"),
    Case("a code that clears a terminal", "\x1b[2J.png", "unsafe name: a control character"),
    Case("a backslash", "a\\b.png", "unsafe name: not a relative path"),
    Case("a drive", "C:x.png", "unsafe name: not a relative path"),
    Case("a dot in front", ".x.png", "missing file"),
    Case("a folder with a dot in front", ".cache/x.png", "missing file"),
    Case("what Windows leaves", "Thumbs.db", "missing file"),
    Case("what a Mac leaves", "__MACOSX/x.png", "missing file"),
]


def printable(name: str) -> str:
    return name.replace("\n", "\\n").replace("\t", "\\t").replace("\x1b", "\\x1b")


@ids(NAMES)
def test_an_image_of_an_odd_name_is_used_or_set_aside_with_its_reason(steps, case, tmp_path):
    ended = steps.all(steps.folder_of_ones_own({case.make: PINK}, {case.make: "pink"}))
    assert_used_or_set_aside(ended, printable(case.make), case.told)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "results", "mine"}


NOT_THERE = [
    Case("out of the folder", "../../secret.png", "unsafe name"),
    Case("from the root", "/etc/passwd", "unsafe name"),
    Case("round about", "a/../good 1.png", "unsafe name"),
    Case("a dot", ".", "unsafe name"),
    Case("nothing between slashes", "a//b.png", "unsafe name"),
    Case("with the folder in front", "images/x.png", "missing file"),
    Case("with space in front", " good 1.png", "missing file"),
    Case("in another case", "GOOD 1.png", "missing file"),
    Case("an address", "https://example.org/x.png", "unsafe name"),
    Case("a character that JSON writes in halves", "🐈.png", "missing file"),
    Case("half of a character", "\ud83d.png", "unsafe name"),
    Case("with the end of a C string", "x\0.png", "unsafe name"),
]


@ids(NOT_THERE)
def test_a_name_without_an_image_is_set_aside_and_reads_nothing(steps, case):
    (steps.folder / "secret.png").write_bytes(PINK)
    colours = GOOD | {case.make: "pink"}
    captions = [{"image": name, "captions": [f"a {c} thing"]} for name, c in colours.items()]
    ended = steps.all(steps.folder_of_ones_own({}, {}, captions=captions, splits=SPLITS))
    item = case.make.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    assert_used_or_set_aside(ended, item, case.told)


ALIKE = [
    Case("in case", {"X.png": "pink", "x.png": "brown", "x.PNG": "yellow"}),
    Case("in the case of letters that have two", {"STRASSE.png": "pink", "straße.png": "brown"}),
    Case("in how an accent is written", {"\u00e9.png": "pink", "e\u0301.png": "brown"}),
    Case("in case, in two folders", {"A/x.png": "pink", "a/x.png": "brown"}),
    Case(
        "in case, in folders of long names",
        {f"{'D' * 200}/{'x' * 150}.png": "pink", f"{'d' * 200}/{'x' * 150}.png": "brown"},
    ),
    Case("in what they are converted to", {"x.bmp": "pink", "x.bmp.png": "brown"}),
    Case("in where their folders end", {"a~x.png": "pink", "A/x.png": "brown", "a/x.png": "grey"}),
]


@ids(ALIKE)
def test_names_that_differ_only_so_are_all_used_each_with_its_own_captions(steps, case):
    kinds = {name: "BMP" if name.endswith("bmp") else "PNG" for name in case.make}
    images = {name: saved(picture(c), kinds[name]) for name, c in case.make.items()}
    ended = steps.all(steps.folder_of_ones_own(images, case.make))
    told = sorted(caption for captions in ended.captions.values() for caption in captions)
    assert told == sorted(f"a {c} thing" for c in (GOOD | case.make).values())
    assert len({name.casefold() for name in ended.captions}) == len(GOOD) + len(case.make)


@pytest.mark.parametrize("of", ["captions", "splits"])
def test_a_file_that_writes_its_accents_in_another_way_names_the_same_image(steps, of):
    entry = steps.folder_of_ones_own({"\u00e9.png": PINK}, {"\u00e9.png": "pink"})
    path = Path(entry["location"]) / f"{of}.json"
    text = json.dumps(json.loads(path.read_text("utf-8")), ensure_ascii=False)
    path.write_text(text.replace("\u00e9", "e\u0301"), "utf-8")
    ended = steps.all(entry)
    assert_used_or_set_aside(ended, "\u00e9.png", "")
    assert len(ended.splits["train"]) == 2


def test_names_that_are_no_text_are_set_aside(steps):
    entry = steps.folder_of_ones_own({}, {})
    (Path(entry["location"]) / "images" / os.fsdecode(b"caf\xe9.png")).write_bytes(PINK)
    ended = steps.all(entry)
    assert_used_or_set_aside(ended, "caf\\udce9.png", "no caption")


# ---- links, folders and what is no file ----


def link(to: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(to)


def loop(path: Path) -> None:
    path.symlink_to("y.png")
    path.with_name("y.png").symlink_to("x.png")


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket has 107 bytes at most
        one.bind(path.name)
        os.chdir(here)


LINKS = [
    Case("to a file in the folder", link("kept/pink.png")),
    Case("to a link", link("kept/again.png")),
    Case("to a file outside", link("../../outside.png")),
    Case("to a link outside", link("../../store/link.png")),
    Case("to a file that is no image", link("/etc/passwd"), "unreadable: not an image"),
    Case("to a device that never ends", link("/dev/zero"), "unreadable: not a plain file"),
    Case("to a pipe", link("../../pipe"), "unreadable: not a plain file"),
    Case("to more than is read", link("../../large"), "oversized: 268,435,457 bytes"),
    Case("that leads nowhere", link("gone.png"), "missing file: a link that leads nowhere"),
    Case(
        "of a tool whose data are elsewhere", link("../.git/annex/objects/x"), "dvc pull, git annex"
    ),
    Case("to a name that is too long", link("x" * 300), "unreadable: File name too long"),
    Case("to itself", link("x.png"), "unreadable: a loop of links"),
    Case("to one that leads back", loop, "unreadable: a loop of links"),
    Case("to a folder", link("kept"), "missing file"),
    Case("to the folder that it is in", link("."), "unreadable: not a plain file"),
    Case("to a folder that holds it", link(".."), "unreadable: not a plain file"),
    Case("to the root of all", link("/"), "unreadable: not a plain file"),
    Case("to a captions file", link("../captions.json"), "unreadable: not an image"),
    Case("a folder called like an image", lambda path: path.mkdir(), "missing file"),
    Case("a pipe", os.mkfifo, "unreadable: not a plain file"),
    Case("a socket", bind, "unreadable: not a plain file"),
    Case("another name of the same file", lambda p: os.link(p.parent / "kept/pink.png", p)),
]


@ids(LINKS)
def test_what_is_no_plain_file_is_used_or_set_aside_with_its_reason(steps, case):
    entry = steps.folder_of_ones_own({}, {"x.png": "pink"})
    images = Path(entry["location"]) / "images"
    (images / "kept").mkdir()
    (images / "kept/pink.png").write_bytes(PINK)
    (images / "kept/again.png").symlink_to("pink.png")
    (steps.folder / "outside.png").write_bytes(PINK)
    (steps.folder / "store").mkdir()
    (steps.folder / "store/link.png").symlink_to("../outside.png")
    os.mkfifo(steps.folder / "pipe")
    (steps.folder / "large").touch()
    os.truncate(steps.folder / "large", 2**28 + 1)
    case.make(images / "x.png")
    ended = steps.all(entry)
    ended.audit["set_aside"] = [
        one for one in ended.audit["set_aside"] if one["item"] not in (
            "kept/pink.png", "kept/again.png", "y.png", "x.png/pink.png", "x.png/again.png",
        )
    ]  # fmt: skip
    assert_used_or_set_aside(ended, "x.png", case.told)


def stored(images: Path, store: Path) -> None:
    """Each image kept elsewhere under its sum, as DVC and git-annex do."""
    for number, path in enumerate(sorted(images.rglob("*.png"))):
        path.rename(store / f"{number}")
        path.symlink_to(store / f"{number}")


def linked_images(images: Path, store: Path) -> None:
    images.rename(store / "images")
    images.symlink_to(store / "images")


def linked_folder(images: Path, store: Path) -> None:
    (images / "a").rename(store / "a")
    (images / "a").symlink_to(store / "a")


def linked_twice(images: Path, store: Path) -> None:
    linked_folder(images, store)
    (store / "a").rename(store / "b")
    (store / "a").symlink_to("b")


def linked_location(images: Path, store: Path) -> None:
    images.parent.rename(store / "mine")
    images.parent.symlink_to(store / "mine")


def linked_texts(images: Path, store: Path) -> None:
    for name in ("captions.json", "splits.json"):
        (images.parent / name).rename(store / name)
        (images.parent / name).symlink_to(store / name)


LINKED = [
    Case("every image", stored),
    Case("the images folder", linked_images),
    Case("a folder of images", linked_folder),
    Case("a folder of images, by way of a link", linked_twice),
    Case("the location", linked_location),
    Case("captions and splits", linked_texts),
]


@ids(LINKED)
def test_what_is_kept_elsewhere_and_linked_is_used_as_if_it_stood_there(steps, case):
    entry = steps.folder_of_ones_own({"a/x.png": PINK}, {"a/x.png": "pink"})
    (steps.folder / "store").mkdir()
    case.make(Path(entry["location"]) / "images", steps.folder / "store")
    assert_used_or_set_aside(steps.all(entry), "a/x.png", "")


def replaced(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Take a file or folder of the dataset away and make something else under its name."""

    def replace(mine: Path) -> None:
        (mine / name).rename(mine.parent / "moved")
        make(mine / name)

    return replace


NOT_A_FILE = "a folder, a pipe, or a link that leads nowhere"
PARTS = [
    *(
        Case(f"{name} is {what}", replaced(name, make), NOT_A_FILE)
        for name in ("captions.json", "splits.json")
        for what, make in {
            "a folder": lambda path: path.mkdir(),
            "a pipe": os.mkfifo,
            "a link that leads nowhere": link("gone.json"),
            "a link to what the system tells, without an end": link("/proc/kmsg"),
            "a link to itself": lambda path: path.symlink_to(path.name),
        }.items()
    ),
    *(
        Case(f"{name} is a link to where it is", replaced(name, link("../moved")))
        for name in ("captions.json", "splits.json", "images")
    ),
    Case("images is a file", replaced("images", Path.touch), "3 of 3 images"),
    Case("images is a link to itself", replaced("images", link("images")), "3 of 3 images"),
    Case(
        "images is empty",
        replaced("images", Path.mkdir),
        "3 of 3 images that captions or lists name",
    ),
    Case("captions.json is not there", replaced("captions.json", lambda _: None), "expected: im"),
    Case("images is not there", replaced("images", lambda _: None), "3 of 3 images"),
]


@ids(PARTS)
def test_a_dataset_whose_parts_are_something_else_is_told(steps, case):
    entry = steps.folder_of_ones_own({}, {})
    case.make(Path(entry["location"]))
    ended = steps.all(entry)
    if case.told:
        assert_told(ended, case.told)
    else:
        assert not ended.message and set(ended.captions) == set(GOOD)


LOCATIONS = [
    Case("is not there", "gone", "no such folder"),
    Case("is a file", "mine/captions.json", "a file, not a folder"),
    Case("is an empty folder", "mine/empty", "an empty folder"),
    Case("is the images", "mine/images", "good 1.png"),
    Case("is longer than any name", "x" * 5000, "no such folder"),
    Case("has names that are no text", "mine/odd", r"caf\\udce9.txt"),
    Case("has a thousand files", "mine/many", "and 980 more"),
]


@ids(LOCATIONS)
def test_a_location_that_is_no_dataset_is_told(steps, case):
    steps.folder_of_ones_own({}, {})
    for name in ("empty", "odd", "many"):
        (steps.folder / "mine" / name).mkdir()
    (steps.folder / "mine/odd" / os.fsdecode(b"caf\xe9.txt")).touch()
    for number in range(1000):
        (steps.folder / f"mine/many/{number}").touch()
    assert_told(steps.all({"source": "folder", "location": case.make}), case.told)
