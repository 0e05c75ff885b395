"""What a caption of a scene claims, read from its words, and how much of that a scene bears out.

The grammar that wrote the captions knows all that is in a scene, so it can judge any caption on any
picture, as people judged Flickr8k's (Hodosh, Young and Hockenmaier 2013, JAIR 47):

    4   every claim holds
    3   almost: all things are there, and one other claim fails (a colour, a size, a number, ...)
    2   something of it is there: a thing, or the setting
    1   nothing of it
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from scripts.data import scenes
from scripts.data.scene_captions import (
    COLOUR_WORDS,
    NOUNS,
    NUMBER_WORDS,
    PLACES,
    RELATIONS,
    SETTINGS,
    SIZE_WORDS,
)
from scripts.data.scenes import COLOURS, Scene, Thing

GRADES = (1, 2, 3, 4)

# relations said the other way round, so that one fact has one form
TURNED = {"right of": "left of", "below": "above"}
# says that two things stand side by side, and not which is where
BESIDE = "beside"
SIDES_LEFT_OPEN = {RELATIONS[relation][-1] for relation in ("left of", "right of")}

KIND_OF = {noun: kind for kind, names in NOUNS.items() for forms in names for noun in forms}
COLOUR_OF = {word: colour for colour in COLOURS for word in COLOUR_WORDS.get(colour, (colour,))}
SIZE_OF = {word: size for size, words in SIZE_WORDS.items() for word in words if word}
SETTING_OF = {
    words: background for background, ways in SETTINGS.items() for way in ways for words in way
}
SEVERAL = tuple(NUMBER_WORDS)
COUNTS_OF = {
    **{article: (1,) for article in ("a", "an", "the")},
    **{word: (count,) for count, word in NUMBER_WORDS.items()},
    **{word: SEVERAL for word in ("some", "a few")},
}
# where a thing of a pair stands is where a thing alone at that spot would be said to stand
PLACE_AT = {spot: place for place, spot in scenes.PLACES.items()}


def one_of(words: Sequence[str]) -> str:
    """A pattern for any of these words, the longest first."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


# a setting comes first: "a sunset" is no sun, and "a town with tall buildings" no thing
PARTS = re.compile(
    rf"\b(?:(?P<where>{one_of([where for ways, _ in SETTINGS.values() for where in ways])})"
    rf"|(?P<scenery>{one_of([place for _, places in SETTINGS.values() for place in places])})"
    rf"|(?P<thing>(?:(?P<count>{one_of(list(COUNTS_OF))}) )?(?:(?P<size>{one_of(list(SIZE_OF))}) )?"
    rf"(?:(?P<its_colour>{one_of(list(COLOUR_OF))}) )?(?P<noun>{one_of(list(KIND_OF))}))"
    rf"|(?P<colour>{one_of(list(COLOUR_OF))}))\b"
)

# ("kind", "car"), ("colour", "red") for "something red", or ("background", "snow")
Subject = tuple[str, str]


@dataclass(frozen=True)
class Claim:
    """One thing that a caption says.

    Attributes
    ----------
    about : "thing" (that it is there), "colour", "size", "number", "place", "relation", "setting"
    subject : what it is about: a thing, or the background
    value : a colour, size or place; the numbers that would do; or a relation and the other thing
    """

    about: str
    subject: Subject
    value: object = None


def frames() -> dict[str, tuple[str, object] | None]:
    """Every form of sentence, its parts left open, with the place or relation that it tells."""
    found: dict[str, tuple[str, object] | None] = dict.fromkeys(
        (
            *("{thing}", "just {thing}", "a picture of {thing}", "there is {thing}"),
            *("there are {thing}", "exactly {thing}", "a group of {thing}", "{thing} together"),
            *("you can count {thing}", "{thing} is {colour}", "the {thing} are {colour}"),
            *("{thing} and {thing}", "a picture of {thing} and {thing}", "something {colour}"),
            *("something {colour} and something {colour}", "two {colour} things"),
            *("{thing} {where}", "{scenery} with {thing}", "{thing} and {scenery}"),
            "a picture of {scenery}",
        )
    )
    for place, ways in PLACES.items():
        found |= {way.format(a="{thing}"): ("place", place) for way in ways}
    for relation, ways in RELATIONS.items():
        for way in ways:
            told = BESIDE if way in SIDES_LEFT_OPEN else TURNED.get(relation, relation)
            # whether the thing named second is the one that stands left, above or inside
            turned = (way.index("{b}") < way.index("{a}")) != (relation in TURNED)
            found[way.format(a="{thing}", b="{thing}")] = ("relation", (told, turned))
    return found


FRAMES = frames()


@cache
def claims(caption: str) -> frozenset[Claim]:
    """All that a caption of the grammar claims.

    Raises ``ValueError`` for a sentence that the grammar does not make: nothing is passed over.
    """
    parts = list(PARTS.finditer(caption))
    frame = PARTS.sub(lambda part: f"{{{part.lastgroup}}}", caption)
    frame, _, setting = frame.partition(", ")
    if frame not in FRAMES or setting not in ("", "{where}"):
        raise ValueError(f"no sentence of the grammar: {caption!r}")
    found: list[Claim] = []
    subjects: list[Subject] = []
    for part in parts:
        if part["thing"]:
            subjects.append(("kind", KIND_OF[part["noun"]]))
            found += _of_thing(subjects[-1], part)
        elif part["colour"] and subjects:
            found.append(Claim("colour", subjects[-1], COLOUR_OF[part["colour"]]))
        elif part["colour"]:
            found.append(Claim("thing", ("colour", COLOUR_OF[part["colour"]])))
        else:
            found.append(Claim("setting", ("background", SETTING_OF[part[0]])))
    if frame == "two {colour} things":
        found.append(Claim("number", found[0].subject, (2,)))
    match FRAMES[frame]:
        case "place", place:
            found.append(Claim("place", subjects[0], place))
        case "relation", (relation, turned):
            first, second = reversed(subjects) if turned else subjects
            if relation == BESIDE:
                first, second = sorted(subjects)
            found.append(Claim("relation", first, (relation, second)))
    return frozenset(found)


def _of_thing(subject: Subject, part: re.Match[str]) -> Iterator[Claim]:
    yield Claim("thing", subject)
    # no word for the number stands before several: "a picture of cars"
    yield Claim("number", subject, COUNTS_OF[part["count"]] if part["count"] else SEVERAL)
    if part["size"]:
        yield Claim("size", subject, SIZE_OF[part["size"]])
    if part["its_colour"]:
        yield Claim("colour", subject, COLOUR_OF[part["its_colour"]])


def holds(claim: Claim, scene: Scene) -> bool:
    """Whether a scene bears a claim out. Claims about a thing fail where it is not there."""
    if claim.about == "setting":
        return _is(scene, claim.subject)
    found = [n for n, thing in enumerate(scene.things) if _is(thing, claim.subject)]
    match claim.about, claim.value:
        case "thing", _:
            return bool(found)
        case "number", tuple(counts):
            return sum(scene.things[n].count for n in found) in counts
        case "place", place:
            return any(_place(scene, n) == place for n in found)
        case "relation", (told, other):
            return (claim.subject, told, other) in _relations(scene)
    return any(getattr(scene.things[n], claim.about) == claim.value for n in found)


def _is(thing: Thing | Scene, subject: Subject) -> bool:
    attribute, value = subject
    return bool(getattr(thing, attribute) == value)


def _place(scene: Scene, number: int) -> str | None:
    if scene.relation is None:
        return scene.place
    # what is inside of something may be anywhere
    return (
        None if scene.relation == "inside" else PLACE_AT[scenes.RELATIONS[scene.relation][number]]
    )


def _relations(scene: Scene) -> list[tuple[Subject, str, Subject]]:
    """How the two things stand to each other, in every way of saying it."""
    if scene.relation is None:
        return []
    one, other = (("kind", thing.kind) for thing in scene.things)
    told = TURNED.get(scene.relation, scene.relation)
    exact = (one, told, other) if told == scene.relation else (other, told, one)
    first, second = sorted((one, other))
    return [exact, (first, BESIDE, second)] if told == "left of" else [exact]


def grades(captions: Sequence[str], all_scenes: Sequence[Scene]) -> np.ndarray:
    """Grade of every caption for every scene.

    Parameters
    ----------
    captions : m captions of the grammar
    all_scenes : n scenes

    Returns
    -------
    (m, n) int8, of ``GRADES``
    """
    # captions share their claims and often all of their words: each is looked at once
    held: dict[Claim, np.ndarray] = {}
    graded: dict[str, np.ndarray] = {}
    for caption in captions:
        if caption in graded:
            continue
        for claim in claims(caption) - held.keys():
            held[claim] = np.array([holds(claim, scene) for scene in all_scenes], dtype=bool)
        graded[caption] = _grades(claims(caption), held)
    return np.array([graded[caption] for caption in captions]).reshape(-1, len(all_scenes))


def _grades(told: frozenset[Claim], held: dict[Claim, np.ndarray]) -> np.ndarray:
    """(n,) grades of one caption, from what holds in each of n scenes."""
    things = np.array([held[claim] for claim in told if claim.about == "thing"])
    others = [held[claim] for claim in told if claim.about != "thing"]
    settings = [held[claim] for claim in told if claim.about == "setting"]
    some = np.any([*things, *settings], axis=0)
    wrong = np.sum([~held_there for held_there in others], axis=0)
    complete = things.all(axis=0) & (wrong == 0)
    almost = bool(len(things)) & things.all(axis=0) & (wrong == 1)
    return np.select([complete, almost, some], [4, 3, 2], default=1).astype(np.int8)
