"""What captions of scenes claim, and the grades that follow, against scenes changed on purpose."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from scripts.data import scene_captions, scenes
from scripts.data.draw_scenes import captions_of_scene
from scripts.data.scene_captions import ASPECTS
from scripts.data.scene_claims import GRADES, claims, grades
from scripts.data.scenes import Scene, Thing, scene

MANY = 3000
LEFT, RIGHT = (0.25, 0.5), (0.75, 0.5)
MIDDLE = (0.5, 0.5)


def thing(kind: str, colour: str = "red", size: str = "medium", count: int = 1) -> Thing:
    return Thing(kind, colour, size, (MIDDLE,) * count)


def pair(relation: str, one: Thing, other: Thing, background: str = "snow") -> Scene:
    return Scene(background, (one, other), relation=relation)


def alone(one: Thing, place: str | None = "middle", background: str = "snow") -> Scene:
    return Scene(background, (one,), place=place)


def grade(caption: str, told: Scene) -> int:
    return int(grades([caption], [told])[0, 0])


@pytest.fixture(scope="module")
def described() -> list[tuple[Scene, list[str]]]:
    return [(scene(3, "train", row), captions_of_scene(3, "train", row)) for row in range(MANY)]


def test_every_caption_is_right_about_its_own_scene(described):
    for told, captions in described:
        assert grades(captions, [told]).tolist() == [[4]] * len(ASPECTS), captions


def test_every_caption_is_understood_word_for_word(described):
    """What a caption's words name, counted without reading its sentence, is what it claims."""
    nouns = Counter(
        noun for pairs in scene_captions.NOUNS.values() for p in pairs for noun in set(p)
    )
    colours = {word for words in scene_captions.COLOUR_WORDS.values() for word in words}
    colours |= set(scenes.COLOURS)
    sizes = {word for words in scene_captions.SIZE_WORDS.values() for word in words if word}
    settings = [text for ways in scene_captions.SETTINGS.values() for way in ways for text in way]
    for _, captions in described:
        for caption in captions:
            about = Counter(claim.about for claim in claims(caption))
            text = f" {caption.replace(',', '')} "
            found = [setting for setting in settings if f" {setting} " in text]
            for setting in found:
                text = text.replace(f" {setting} ", " ")
            words = text.split()
            assert about["setting"] == bool(found), caption
            assert about["size"] == sum(word in sizes for word in words), caption
            named = sum(word in nouns for word in words)
            told = sum(word in colours for word in words)
            if named:
                assert (about["thing"], about["colour"]) == (named, told), caption
                assert about["number"] == named, caption
            else:
                assert about["thing"] == told, caption


def test_captions_tell_how_things_stand_where_they_are_about_it(described):
    for told, captions in described:
        for caption in (captions[2], captions[4]):
            about = {claim.about for claim in claims(caption)}
            assert ("relation" in about) == (told.relation is not None), caption
            assert ("place" in about) == (told.place is not None), caption


@pytest.mark.parametrize(
    "caption",
    [
        "a car under the spell of a tree",
        "a car and",
        "a car, a tree",
        "a car, in the snow today",
        "a carpet",
        "a mauve car",
        "",
    ],
)
def test_a_sentence_of_another_grammar_is_refused(caption: str):
    with pytest.raises(ValueError, match="no sentence of the grammar"):
        claims(caption)


def test_two_ways_of_saying_the_same_claim_the_same():
    for one, other in (
        ("a car to the left of a cup", "a mug to the right of an automobile"),
        ("a car with a cup on its left", "a cup on the left and a car on the right"),
        ("a cup under a car", "a car at the top and a cup at the bottom"),
        ("a car next to a cup", "a cup beside a car"),
        ("a star inside a circle", "a disc around a star"),
        ("there is a huge violet car", "a big purple automobile"),
        ("exactly two fish", "a group of two fish"),
        ("three cars on a lawn", "a meadow with three automobiles"),
    ):
        assert claims(one) == claims(other)
    for one, other in (
        ("a car to the left of a cup", "a cup to the left of a car"),
        ("a car above a cup", "a car below a cup"),
        ("a car in a circle", "a circle in a car"),
        ("a picture of fish", "a picture of a fish"),
        ("a star on a brick wall", "a star on a lawn"),
    ):
        assert claims(one) != claims(other)


FULL = "a large red car to the left of a small blue cup, in the snow"
CAR, CUP = thing("car", "red", "large"), thing("cup", "blue", "small")
SHOWN = pair("left of", CAR, CUP)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (SHOWN, 4),
        (replace(SHOWN, texture=9), 4),
        (pair("right of", CUP, CAR), 4),
        (pair("right of", CAR, CUP), 3),
        (pair("above", CAR, CUP), 3),
        (replace(SHOWN, background="sea"), 3),
        (pair("left of", replace(CAR, colour="green"), CUP), 3),
        (pair("left of", CAR, replace(CUP, colour="red")), 3),
        (pair("left of", replace(CAR, size="small"), CUP), 3),
        (pair("left of", replace(CAR, size="medium"), CUP), 3),
        (pair("left of", replace(CAR, spots=(LEFT, RIGHT)), CUP), 3),
        (pair("left of", replace(CAR, colour="blue"), replace(CUP, colour="red")), 2),
        (pair("above", CAR, CUP, background="sea"), 2),
        (pair("left of", CAR, thing("tree")), 2),
        (alone(CAR, background="sea"), 2),
        (alone(thing("tree")), 2),
        (alone(thing("tree"), background="sea"), 1),
        (pair("left of", thing("tree", "red", "large"), thing("sun", "blue", "small"), "sea"), 1),
    ],
)
def test_each_change_of_a_scene_costs_what_it_should(changed: Scene, expected: int):
    assert grade(FULL, changed) == expected


@pytest.mark.parametrize(
    ("caption", "told", "expected"),
    [
        ("two red things", alone(thing("fish", count=2), None), 4),
        ("two red things", pair("above", thing("car"), thing("cup")), 4),
        ("two red things", alone(thing("fish", count=3), None), 3),
        ("two red things", alone(thing("fish", "blue", count=2), None), 1),
        ("something red and something blue", pair("above", thing("car"), thing("cup", "blue")), 4),
        ("something red and something blue", alone(thing("car")), 2),
        ("something red", alone(thing("car", "blue")), 1),
        ("a few fish", alone(thing("fish", count=2), None), 4),
        ("some fish", alone(thing("fish")), 3),
        ("a fish", alone(thing("fish", count=3), None), 3),
        ("the five fish are red", alone(thing("fish", "blue", count=4), None), 2),
        ("the fish is red", alone(thing("fish")), 4),
        ("a picture of a lawn", alone(thing("fish"), background="grass"), 4),
        ("a picture of a lawn", alone(thing("fish")), 1),
        ("a car beside a cup", pair("right of", thing("car"), thing("cup")), 4),
        ("a car beside a cup", pair("above", thing("car"), thing("cup")), 3),
        ("a circle around a car", pair("inside", thing("car"), thing("circle")), 4),
        ("a circle inside a car", pair("inside", thing("car"), thing("circle")), 3),
        # a thing of a pair has a place of its own
        ("a car on the left", pair("left of", thing("car"), thing("cup")), 4),
        ("a cup on the left", pair("left of", thing("car"), thing("cup")), 3),
        ("a cup high up", pair("below", thing("car"), thing("cup")), 4),
        ("a cup in the middle", pair("inside", thing("cup"), thing("circle")), 3),
        ("a car in the centre", alone(thing("car"), "middle"), 4),
        ("a car near the top", alone(thing("car"), "middle"), 3),
    ],
)
def test_a_caption_gets_the_grade_that_a_reader_would_give(caption, told, expected):
    assert grade(caption, told) == expected


def test_another_background_is_noticed_by_the_captions_that_name_it_and_by_no_other(described):
    others = dict(zip(scenes.BACKGROUNDS, [*list(scenes.BACKGROUNDS)[1:], "grass"], strict=True))
    for told, captions in described[:500]:
        moved = replace(told, background=others[told.background])
        for caption, found in zip(captions, grades(captions, [moved])[:, 0], strict=True):
            names_it = any(
                words in caption
                for way in scene_captions.SETTINGS[told.background]
                for words in way
            )
            about_more = "thing" in {claim.about for claim in claims(caption)}
            assert found == (4 if not names_it else 3 if about_more else 1), caption


def test_a_scene_without_any_of_the_things_gets_no_good_grade(described):
    kinds = list(scenes.KINDS)
    for told, captions in described[:500]:
        there = {one.kind for one in told.things}
        colours = {one.colour for one in told.things}
        kind = next(kind for kind in kinds if kind not in there)
        colour = next(colour for colour in scenes.COLOURS if colour not in colours)
        emptied = alone(thing(kind, colour, "small"), background=told.background)
        for caption, found in zip(captions, grades(captions, [emptied])[:, 0], strict=True):
            names_things = any(claim.about == "thing" for claim in claims(caption))
            assert (found <= 2) == names_things, caption


def test_a_claim_more_never_raises_a_grade(described):
    """The longest caption says all that "there is ..." says, and the setting besides."""
    every = [told for told, _ in described[:200]]
    for told, captions in described[:200]:
        if len(told.things) == 1 and told.things[0].count == 1:
            more = grades([captions[4]], every)[0]
            less = grades([captions[4].rsplit(", ", 1)[0]], every)[0]
            assert ((more == 4) <= (less == 4)).all(), captions[4]


def test_many_at_once_get_the_grades_that_they_get_alone(described):
    told = [one for one, _ in described[:40]]
    captions = [caption for _, five in described[:20] for caption in five]
    together = grades(captions, told)
    assert together.shape == (100, 40) and together.dtype == np.int8
    for (row, caption), (column, one) in itertools.product(enumerate(captions), enumerate(told)):
        assert together[row, column] == grade(caption, one)
    assert set(together.ravel()) == set(GRADES)


def test_a_demo_is_graded_in_seconds():
    told = [scene(0, "test", row) for row in range(400)]
    captions = [caption for row in range(400) for caption in captions_of_scene(0, "test", row)]
    start = time.process_time()
    found = grades(captions, told)
    assert time.process_time() - start < 10
    assert (np.bincount(found.ravel())[1:] > 1000).all()
