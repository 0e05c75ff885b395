"""What can stand in a scene of the embedded dataset: a small grammar, and a scene by lot.

    scene   = a background, and on it
              one thing at a place                "a large red car at the top"
            | several things alike                "three small yellow fish"
            | a thing in relation to another      "a red car to the left of a blue house"
            | a small thing inside a large shape  "a white star inside a large red circle"
    thing   = a kind, a colour, a size, and a spot for each of its copies

A scene is the whole truth about its picture and its captions: ``scene_pictures`` draws it,
``scene_captions`` describes it, and what a caption leaves unsaid can still be looked up here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Choice = TypeVar("Choice")

# Chosen to stay apart for colour-blind readers, too: they differ in lightness where not in hue.
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (196, 22, 40),
    "orange": (244, 140, 20),
    "yellow": (252, 224, 50),
    "green": (0, 140, 84),
    "blue": (30, 100, 215),
    "purple": (112, 40, 140),
    "pink": (250, 160, 200),
    "black": (38, 38, 44),
    "white": (250, 250, 248),
}

KINDS: tuple[str, ...] = (
    *("circle", "square", "triangle", "star", "heart", "moon", "sun", "house", "tree"),
    *("car", "boat", "fish", "bird", "flower", "cup", "umbrella", "balloon", "mushroom"),
)

SHAPES_TO_STAND_IN: tuple[str, ...] = ("circle", "square", "triangle", "heart")

# Half of a thing's height, as a fraction of the picture's.
RADIUS: dict[str, float] = {"small": 0.13, "medium": 0.185, "large": 0.24}

# Each background with the colours that could not be made out on it.
BACKGROUNDS: dict[str, tuple[str, ...]] = {
    "grass": ("green",),
    "night sky": ("black", "blue", "purple"),
    "sea": ("blue",),
    "snow": ("white",),
    "brick wall": ("red", "orange"),
    "beach": ("yellow",),
    "wooden table": ("orange",),
    "city street": ("black",),
    "sunset": ("orange", "pink"),
}

PLACES: dict[str, tuple[float, float]] = {
    "left": (0.25, 0.5),
    "right": (0.75, 0.5),
    "top": (0.5, 0.25),
    "bottom": (0.5, 0.75),
    "middle": (0.5, 0.5),
}

# Where the first and the second thing stand.
RELATIONS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "left of": ((0.25, 0.5), (0.75, 0.5)),
    "right of": ((0.75, 0.5), (0.25, 0.5)),
    "above": ((0.5, 0.25), (0.5, 0.75)),
    "below": ((0.5, 0.75), (0.5, 0.25)),
    "inside": ((0.5, 0.5), (0.5, 0.5)),
}

# As on dice, but for two and three, which may lie either way.
PATTERNS: dict[int, tuple[tuple[float, float], ...]] = {
    2: ((0.28, 0.45), (0.72, 0.55)),
    3: ((0.22, 0.66), (0.5, 0.28), (0.78, 0.66)),
    4: ((0.28, 0.28), (0.72, 0.28), (0.28, 0.72), (0.72, 0.72)),
    5: ((0.2, 0.22), (0.8, 0.22), (0.5, 0.5), (0.2, 0.78), (0.8, 0.78)),
}


@dataclass(frozen=True)
class Thing:
    """One thing, or several alike.

    Attributes
    ----------
    kind, colour, size : of ``KINDS``, ``COLOURS``, ``RADIUS``
    spots : centre (x, y) of each copy, as fractions of the picture from its top left corner
    mirrored : whether it is drawn the other way round
    """

    kind: str
    colour: str
    size: str
    spots: tuple[tuple[float, float], ...]
    mirrored: bool = False

    @property
    def count(self) -> int:
        """How many copies there are."""
        return len(self.spots)


@dataclass(frozen=True)
class Scene:
    """A background and one or two things on it.

    Attributes
    ----------
    background : of ``BACKGROUNDS``
    things : the one that captions are about comes first
    place : of ``PLACES``, where there is just one thing
    relation : of ``RELATIONS``, how the first thing stands to the second
    texture : seeds what is decoration only (where the stars are, how the waves run)
    """

    background: str
    things: tuple[Thing, ...]
    place: str | None = None
    relation: str | None = None
    texture: int = 0


class Lot:
    """Draws by lot, alike on every machine and Python: it builds on ``random()`` alone.

    ``random()`` of a string seed is promised to stay as it is; ``choice`` and ``shuffle`` are not.
    """

    def __init__(self, *seed: object) -> None:
        # a seed of its own for each scene: scenes can be drawn in any order, by any number of hands
        self._random = random.Random("/".join(map(str, seed))).random  # noqa: S311

    def one_of(self, options: Sequence[Choice]) -> Choice:
        """One of the options, each as likely."""
        return options[int(self._random() * len(options))]

    def between(self, low: float, high: float) -> float:
        """A number from ``low`` to ``high``."""
        return low + (high - low) * self._random()

    def chance(self, probability: float) -> bool:
        """Whether something of this probability happens."""
        return self._random() < probability


def scene(seed: int, split: str, index: int) -> Scene:
    """The scene behind picture number ``index`` of a split. Needs no other scene to be drawn."""
    lot = Lot("scene", seed, split, index)
    background = lot.one_of(tuple(BACKGROUNDS))
    arrange = lot.one_of(
        # pairs are most of the scenes: they differ most, and are the hardest to tell apart
        (_alone, _several, _several, _inside, _pair, _pair, _pair, _pair, _pair, _pair)
    )
    return arrange(lot, background)


def _alone(lot: Lot, background: str) -> Scene:
    place = lot.one_of(tuple(PLACES))
    spot = _near(lot, PLACES[place], 0.03)
    thing = _thing(lot, lot.one_of(tuple(RADIUS)), (spot,), _seen_on(background))
    return Scene(background, (thing,), place=place, texture=_texture(lot))


def _several(lot: Lot, background: str) -> Scene:
    count = lot.one_of(tuple(PATTERNS))
    size = lot.one_of(("small", "medium") if count < 4 else ("small",))
    turned = lot.chance(0.5)
    spots = tuple(
        _near(lot, (y, x) if turned else (x, y), 0.05 if size == "small" else 0.03)
        for x, y in PATTERNS[count]
    )
    thing = _thing(lot, size, spots, _seen_on(background))
    return Scene(background, (thing,), texture=_texture(lot))


def _pair(lot: Lot, background: str) -> Scene:
    relation = lot.one_of(("left of", "right of", "above", "below"))
    sizes = [lot.one_of(("small", "medium", "medium", "large")) for _ in range(2)]
    here, there = (_near(lot, spot, 0.04) for spot in RELATIONS[relation])
    colours = _seen_on(background)
    second = _thing(lot, sizes[1], (there,), colours)
    first = _thing(lot, sizes[0], (here,), colours, _but(second.kind, KINDS))
    return Scene(background, (first, second), relation=relation, texture=_texture(lot))


def _inside(lot: Lot, background: str) -> Scene:
    middle = (lot.between(0.3, 0.7), lot.between(0.35, 0.65))
    colours = _seen_on(background)
    outer = _thing(lot, "large", (middle,), colours, SHAPES_TO_STAND_IN)
    colours, kinds = _but(outer.colour, colours), _but(outer.kind, KINDS)
    inner = _thing(lot, "small", (middle,), colours, kinds)
    return Scene(background, (inner, outer), relation="inside", texture=_texture(lot))


def _thing(
    lot: Lot,
    size: str,
    spots: tuple[tuple[float, float], ...],
    colours: Sequence[str],
    kinds: Sequence[str] = KINDS,
) -> Thing:
    return Thing(lot.one_of(kinds), lot.one_of(colours), size, spots, mirrored=lot.chance(0.5))


def _seen_on(background: str) -> list[str]:
    """The colours that can be made out on it."""
    return [name for name in COLOURS if name not in BACKGROUNDS[background]]


def _but(one: str, options: Sequence[str]) -> list[str]:
    return [option for option in options if option != one]


def _near(lot: Lot, spot: tuple[float, float], reach: float) -> tuple[float, float]:
    x, y = spot
    return round(x + lot.between(-reach, reach), 3), round(y + lot.between(-reach, reach), 3)


def _texture(lot: Lot) -> int:
    return int(lot.between(0, 2**31))
