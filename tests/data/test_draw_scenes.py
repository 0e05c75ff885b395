"""The embedded dataset: what its pictures show, and what its captions say of them."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from scripts.data import scene_captions, scene_pictures, scenes
from scripts.data.draw_scenes import captions_of_scene, draw_scenes, main
from scripts.data.rows import SPLITS, read_captions, read_splits
from scripts.data.scenes import COLOURS, RADIUS, Scene, Thing, scene

ENTRY = {"source": "scenes", "images": {"train": 5, "val": 2, "test": 3}, "size": 40, "seed": 0}
MANY = 600

# Brettel's and later Machado's (2009) simulation of missing cones, on linear RGB
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}

# how a caption says it -> which way the second thing named lies from the first, right and down
DIRECTIONS = {
    r"(.+) to the left of (.+)": (1, 0),
    r"(.+) to the right of (.+)": (-1, 0),
    r"(.+) on the left and (.+) on the right": (1, 0),
    r"(.+) with (.+) on its left": (-1, 0),
    r"(.+) with (.+) on its right": (1, 0),
    r"(.+) with (.+) above it": (0, -1),
    r"(.+) with (.+) below it": (0, 1),
    r"(.+) (?:above|over) (.+)": (0, 1),
    r"(.+) (?:below|under) (.+)": (0, -1),
    r"(.+) at the top and (.+) at the bottom": (0, 1),
    r"(.+) with (.+) in it": (0, 0),
    r"(.+) (?:inside|in|around) (.+)": (0, 0),
    # these leave the side open
    r"(.+) (?:next to|beside) (.+)": None,
}


@pytest.fixture(scope="module")
def described() -> list[tuple[Scene, list[str]]]:
    """Scenes of the test split with their captions."""
    return [(scene(0, "test", row), captions_of_scene(0, "test", row)) for row in range(MANY)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    draw_scenes(ENTRY, root, processes=1)
    return root


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_drawing_does_not_depend_on_how_many_draw(drawn: Path, tmp_path: Path):
    draw_scenes(ENTRY, tmp_path, processes=2)
    assert files(tmp_path) == files(drawn)


def test_another_seed_or_split_draws_other_scenes():
    assert len({scene(*seed) for seed in itertools.product((0, 1), SPLITS, range(20))}) == 120


def test_more_pictures_leave_the_first_ones_as_they_are(drawn: Path, tmp_path: Path):
    draw_scenes(ENTRY | {"images": {"train": 6, "val": 2, "test": 3}}, tmp_path)
    more, fewer = files(tmp_path), files(drawn)
    assert set(more) - set(fewer) == {"images/train-00005.png"}
    assert all(more[name] == fewer[name] for name in fewer if name.startswith("images/"))


def test_a_scene_and_its_captions_are_these_on_every_machine():
    thing = scene(0, "test", 11).things[0]
    assert (thing.kind, thing.colour, thing.size, thing.count) == ("triangle", "yellow", "small", 1)
    assert scene(0, "test", 11).background == "brick wall"
    assert captions_of_scene(0, "test", 11) == [
        "just a triangle",
        "the triangle is yellow",
        "a triangle in the middle",
        "a picture of a wall of bricks",
        "a tiny yellow triangle in the centre, in front of a brick wall",
    ]


def test_the_folder_is_one_that_any_dataset_may_have(drawn: Path):
    captions = read_captions(drawn / "captions.json")
    splits = read_splits(drawn / "splits.json")
    assert {split: len(images) for split, images in splits.items()} == ENTRY["images"]
    assert list(captions) == [image for split in SPLITS for image in splits[split]]
    assert all(len(texts) == 5 for texts in captions.values())
    for image in captions:
        with Image.open(drawn / "images" / image) as picture:
            assert (picture.mode, picture.size) == ("RGB", (40, 40))


def test_drawing_again_leaves_no_picture_of_the_time_before(tmp_path: Path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "old.png").write_bytes(b"")
    draw_scenes(ENTRY | {"images": {"train": 1, "val": 1, "test": 1}}, tmp_path)
    assert len(list((tmp_path / "images").iterdir())) == 3


def test_the_manifest_tells_where_the_folder_is_and_what_its_lists_hash_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    path = "data/scenes/raw/source.json"
    main(
        SimpleNamespace(
            output=SimpleNamespace(manifest=path),
            params=SimpleNamespace(entry=ENTRY | {"size": 32}),
            threads=1,
        )
    )
    found = json.loads(Path(path).read_text("utf-8"))
    assert (found["source"], found["layout"]) == ("scenes", "folder")
    assert found["root"] == "data/scenes/raw"
    assert [file["path"] for file in found["files"]] == ["captions.json", "images", "splits.json"]
    assert all((Path(found["root"]) / file["path"]).exists() for file in found["files"])


def test_captions_are_clean_english(described):
    for _, captions in described:
        assert len(captions) == len(scene_captions.ASPECTS) == 5
        for caption in captions:
            assert re.fullmatch(r"[a-z]+(,? [a-z]+)*", caption), caption
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", caption), caption
            assert not re.search(r"\b(\w+) \1\b", caption), caption
            assert not re.search(r"\ba (two|three|four|five)\b", caption), caption


def test_the_five_captions_differ_and_the_last_says_most(described):
    distinct = sum(len(set(captions)) == 5 for _, captions in described)
    assert distinct > 0.99 * MANY
    words = np.array([[len(caption.split()) for caption in texts] for _, texts in described])
    assert words[:, 0].mean() < 6 < 10 < words[:, 4].mean()


def test_some_captions_coincide_between_pictures_and_most_do_not(described):
    counts = Counter(caption for _, captions in described for caption in set(captions))
    shared = sum(count for count in counts.values() if count > 1) / sum(counts.values())
    assert 0.05 < shared < 0.5


def test_captions_name_no_colour_and_no_kind_that_is_not_there(described):
    nouns = {
        form: kind
        for kind, names in scene_captions.NOUNS.items()
        for pair in names
        for form in (noun.split()[-1] for noun in pair)
    }
    for told, captions in described:
        colours = {thing.colour for thing in told.things}
        kinds = {thing.kind for thing in told.things}
        for caption in captions:
            words = caption.replace(",", "").replace("violet", "purple").split()
            assert {word for word in words if word in COLOURS} <= colours, caption
            assert {nouns[word] for word in words if word in nouns} <= kinds, caption


def test_captions_count_right(described):
    numbers = {"two": 2, "three": 3, "four": 4, "five": 5}
    for told, captions in described:
        if len(told.things) > 1:
            continue
        for caption in captions:
            found = {numbers[word] for word in caption.split() if word in numbers}
            assert found <= {told.things[0].count}, caption


def test_sizes_are_named_as_drawn(described):
    size_of = {word: size for size, words in scene_captions.SIZE_WORDS.items() for word in words}
    for told, captions in described:
        sizes = {thing.size for thing in told.things}
        for caption in captions:
            found = {size_of[word] for word in caption.split() if word in size_of}
            assert found <= sizes, caption


def test_captions_say_the_side_on_which_things_are_drawn(described):
    """Read from the words, and compared with the coordinates."""
    read = Counter()
    for told, captions in described:
        if told.relation is None:
            continue
        for caption in (captions[2], captions[4].split(", ")[0]):
            pattern, match = next(
                (pattern, match)
                for pattern in DIRECTIONS
                if (match := re.fullmatch(pattern, caption))
            )
            read[pattern] += 1
            if DIRECTIONS[pattern] is None:
                continue
            one, other = (thing_called(phrase, told).spots[0] for phrase in match.groups())
            right, down = DIRECTIONS[pattern]
            moved = np.subtract(other, one)
            if (right, down) == (0, 0):
                assert np.abs(moved).max() < 0.01, caption
            else:
                assert moved @ (right, down) > 0.3, caption
    assert set(read) == set(DIRECTIONS), "a way of saying it was never tried"


def thing_called(phrase: str, told: Scene) -> Thing:
    """The thing whose name ends the phrase."""
    noun = phrase.split()[-1]
    (thing,) = (
        thing
        for thing in told.things
        if any(
            noun == name.split()[-1] for pair in scene_captions.NOUNS[thing.kind] for name in pair
        )
    )
    return thing


def test_nothing_is_cut_off_by_the_rim_or_hidden_behind_another_thing(described):
    for told, _ in described:
        for thing in told.things:
            for spot in thing.spots:
                assert min(spot) - RADIUS[thing.size] > -0.05
                assert max(spot) + RADIUS[thing.size] < 1.05
        places = [(spot, thing.size) for thing in told.things for spot in thing.spots]
        for (one, size), (other, another) in itertools.combinations(places, 2):
            if told.relation != "inside":
                apart = np.abs(np.subtract(one, other)).max()
                assert apart > 0.85 * (RADIUS[size] + RADIUS[another]), told


def test_test_scenes_are_told_apart_by_more_than_where_things_stand(described):
    kinds = Counter(
        (
            told.background,
            told.place,
            told.relation,
            tuple((thing.kind, thing.colour, thing.size, thing.count) for thing in told.things),
        )
        for told, _ in described
    )
    assert sum(count for count in kinds.values() if count > 1) < 0.02 * MANY


def test_everything_that_can_be_in_a_scene_can_be_drawn_and_named():
    assert set(scene_pictures.KINDS) == set(scene_captions.NOUNS) == set(scenes.KINDS)
    assert (
        set(scene_pictures.BACKGROUNDS) == set(scene_captions.SETTINGS) == set(scenes.BACKGROUNDS)
    )
    assert set(scene_captions.PLACES) == set(scenes.PLACES)
    assert set(scene_captions.RELATIONS) == set(scenes.RELATIONS)
    assert set(scene_captions.SIZE_WORDS) == set(scenes.RADIUS)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("kind", ["circle", "square", "triangle", "star", "heart", "sun", "car"])
def test_a_thing_stands_where_the_scene_says_in_the_colour_that_it_says(kind: str, colour: str):
    thing = Thing(kind, colour, "large", ((0.3, 0.7),))
    picture = scene_pictures.draw(Scene("snow", (thing,)), 100)
    # a little below the centre, where the car has no window
    assert np.abs(np.subtract(picture.getpixel((30, 73)), COLOURS[colour])).max() <= 2


def test_every_kind_and_background_looks_different_from_the_others():
    def picture(kind: str, background: str) -> np.ndarray:
        told = Scene(background, (Thing(kind, "purple", "medium", ((0.5, 0.5),)),))
        return np.asarray(scene_pictures.draw(told, 64), dtype=float)

    kinds = [picture(kind, "beach") for kind in scenes.KINDS]
    grounds = [picture("circle", background) for background in scenes.BACKGROUNDS]
    for one, other in (*itertools.combinations(kinds, 2), *itertools.combinations(grounds, 2)):
        assert np.abs(one - other).mean() > 1


def test_the_background_fills_the_picture():
    """No pixel keeps the black of an empty canvas."""
    for background in scenes.BACKGROUNDS:
        for texture in range(12):
            told = Scene(
                background, (Thing("sun", "pink", "small", ((0.5, 0.5),)),), texture=texture
            )
            assert np.asarray(scene_pictures.draw(told, 48)).sum(axis=2).min() > 0, background


def test_edges_are_smooth():
    thing = Thing("circle", "black", "large", ((0.5, 0.5),))
    picture = np.asarray(scene_pictures.draw(Scene("snow", (thing,)), 64).convert("L"))
    across = picture[20:44].astype(int)
    # a jagged rim jumps from ink to snow; a smooth one has shades between them
    between = ((across > 100) & (across < 190)).sum()
    assert between > 24


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_stay_apart_for_colour_blind_readers(sight: str):
    values = {name: to_lab(rgb, SIGHT[sight]) for name, rgb in COLOURS.items()}
    for one, other in itertools.combinations(values, 2):
        # two and a half is what a trained eye just tells apart
        assert np.linalg.norm(values[one] - values[other]) > 15, (one, other)


def to_lab(rgb: tuple[int, int, int], cones: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of an sRGB colour as it looks through ``cones``."""
    share = np.array(rgb) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(cones @ linear, 0, 1) / (0.9505, 1, 1.089)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
