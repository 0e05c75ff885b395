"""What people would write under a scene: five captions, each with its mind on something else."""

from __future__ import annotations

from scripts.data.scenes import Lot, Scene, Thing

# What each of the five captions is about, in this order.
ASPECTS: tuple[str, ...] = ("gist", "main thing", "arrangement", "background", "everything")

# kind -> what people call it: one, and several
NOUNS: dict[str, tuple[tuple[str, str], ...]] = {
    "circle": (("circle", "circles"), ("disc", "discs")),
    "square": (("square", "squares"), ("box", "boxes")),
    "triangle": (("triangle", "triangles"),),
    "star": (("star", "stars"),),
    "heart": (("heart", "hearts"),),
    "moon": (("moon", "moons"), ("crescent", "crescents")),
    "sun": (("sun", "suns"),),
    "house": (("house", "houses"), ("cottage", "cottages")),
    "tree": (("tree", "trees"),),
    "car": (("car", "cars"), ("automobile", "automobiles")),
    "boat": (("boat", "boats"), ("sailing boat", "sailing boats"), ("ship", "ships")),
    "fish": (("fish", "fish"),),
    "bird": (("bird", "birds"),),
    "flower": (("flower", "flowers"), ("blossom", "blossoms")),
    "cup": (("cup", "cups"), ("mug", "mugs")),
    "umbrella": (("umbrella", "umbrellas"), ("parasol", "parasols")),
    "balloon": (("balloon", "balloons"),),
    "mushroom": (("mushroom", "mushrooms"), ("toadstool", "toadstools")),
}

COLOUR_WORDS: dict[str, tuple[str, ...]] = {"purple": ("purple", "violet")}

SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "little", "tiny"),
    "medium": ("",),
    "large": ("large", "big", "huge"),
}

NUMBER_WORDS: dict[int, str] = {2: "two", 3: "three", 4: "four", 5: "five"}

# background -> where things are, and what the place is called
SETTINGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "grass": (
        ("on the grass", "in a meadow", "on a lawn"),
        ("a meadow", "a grassy field", "a lawn"),
    ),
    "night sky": (
        ("at night", "in the night sky", "in the dark"),
        ("the night sky", "a clear night", "a dark sky"),
    ),
    "sea": (("at sea", "on the water", "on the ocean"), ("the sea", "the ocean", "calm water")),
    "snow": (
        ("in the snow", "on a snowy field", "in winter"),
        ("a snowy field", "a winter day", "fresh snow"),
    ),
    "brick wall": (
        ("in front of a brick wall", "on a brick wall", "on a wall of bricks"),
        ("a brick wall", "a wall of bricks"),
    ),
    "beach": (("on the beach", "on the sand", "by the shore"), ("a sandy beach", "the seashore")),
    "wooden table": (
        ("on a wooden table", "on wooden boards", "on wood"),
        ("a wooden table", "wooden boards"),
    ),
    "city street": (
        ("in the street", "in the city", "in front of tall buildings"),
        ("a city street", "a town with tall buildings", "a road in the city"),
    ),
    "sunset": (("at sunset", "in the evening", "at dusk"), ("an evening sky", "a sunset", "dusk")),
}

PLACES: dict[str, tuple[str, ...]] = {
    "left": ("{a} on the left", "{a} on the left side", "to the left there is {a}"),
    "right": ("{a} on the right", "{a} on the right side", "to the right there is {a}"),
    "top": ("{a} at the top", "{a} high up", "{a} near the top"),
    "bottom": ("{a} at the bottom", "{a} low down", "{a} near the bottom"),
    "middle": ("{a} in the middle", "{a} in the centre", "{a} right in the middle"),
}

# {a} is the scene's first thing and {b} its second. The last of each leaves the sides open.
RELATIONS: dict[str, tuple[str, ...]] = {
    "left of": (
        "{a} to the left of {b}",
        "{b} to the right of {a}",
        "{a} on the left and {b} on the right",
        "{b} with {a} on its left",
        "{a} next to {b}",
    ),
    "right of": (
        "{a} to the right of {b}",
        "{b} to the left of {a}",
        "{b} on the left and {a} on the right",
        "{b} with {a} on its right",
        "{a} beside {b}",
    ),
    "above": (
        "{a} above {b}",
        "{a} over {b}",
        "{b} under {a}",
        "{b} with {a} above it",
        "{a} at the top and {b} at the bottom",
    ),
    "below": (
        "{a} below {b}",
        "{a} under {b}",
        "{b} above {a}",
        "{b} with {a} below it",
        "{b} at the top and {a} at the bottom",
    ),
    "inside": ("{a} inside {b}", "{a} in {b}", "{b} with {a} in it", "{b} around {a}"),
}


def captions(scene: Scene, lot: Lot) -> list[str]:
    """Five captions of a scene, one for each of ``ASPECTS``, in words drawn by lot.

    Like people's, they say nothing wrong and leave much unsaid, so that a short one may fit other
    pictures as well.
    """
    return [
        _gist(scene, lot),
        _main_thing(scene, lot),
        _arrangement(scene, lot),
        _background(scene, lot),
        _everything(scene, lot),
    ]


def name(lot: Lot, thing: Thing, *said: str) -> str:
    """Call a thing by its name and what is ``said`` of it ("size", "colour"): "a small red car"."""
    noun = lot.one_of(NOUNS[thing.kind])[0 if thing.count == 1 else 1]
    words = [
        lot.one_of(SIZE_WORDS[thing.size]) if "size" in said else "",
        _colour(lot, thing) if "colour" in said else "",
        noun,
    ]
    phrase = " ".join(word for word in words if word)
    return with_article(phrase) if thing.count == 1 else f"{NUMBER_WORDS[thing.count]} {phrase}"


def with_article(phrase: str) -> str:
    """Put "a" or "an" in front. All our words sound as they are spelt."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _gist(scene: Scene, lot: Lot) -> str:
    """Short and vague: "a car and a tree", "something red"."""
    first = scene.things[0]
    if len(scene.things) == 2:
        a, b = (name(lot, thing) for thing in scene.things)
        one, another = (_colour(lot, thing) for thing in scene.things)
        alike = scene.things[0].colour == scene.things[1].colour
        only_colours = f"two {one} things" if alike else f"something {one} and something {another}"
        return lot.one_of(
            (f"{a} and {b}", f"{b} and {a}", f"a picture of {a} and {b}", only_colours)
        )
    if first.count > 1:
        nouns = lot.one_of(NOUNS[first.kind])[1]
        return lot.one_of(
            (f"some {nouns}", f"a few {nouns}", f"a picture of {nouns}", f"a group of {nouns}")
        )
    a, colour = name(lot, first), _colour(lot, first)
    return lot.one_of((a, f"a picture of {a}", f"something {colour}", f"just {a}"))


def _main_thing(scene: Scene, lot: Lot) -> str:
    """About the first thing alone: "there is a large red car", "the car is red"."""
    first = scene.things[0]
    full = name(lot, first, "size", "colour")
    nouns = name(lot, first).split(" ", 1)[1]
    if first.count > 1:
        number, colour = NUMBER_WORDS[first.count], _colour(lot, first)
        return lot.one_of((full, f"there are {full}", f"the {number} {nouns} are {colour}"))
    return lot.one_of((full, f"there is {full}", f"the {nouns} is {_colour(lot, first)}"))


def _arrangement(scene: Scene, lot: Lot) -> str:
    """How things stand, or how many: "a car to the left of a house", "exactly two fish"."""
    # colours are often left out where the words are needed for the places
    a, *others = (
        name(lot, thing, *(["colour"] if lot.chance(0.6) else [])) for thing in scene.things
    )
    if scene.relation:
        return lot.one_of(RELATIONS[scene.relation]).format(a=a, b=others[0])
    if scene.place:
        return lot.one_of(PLACES[scene.place]).format(a=a)
    return lot.one_of((f"{a} together", f"exactly {a}", f"a group of {a}", f"you can count {a}"))


def _background(scene: Scene, lot: Lot) -> str:
    """About the place: "a snowy field with a car"."""
    where, places = SETTINGS[scene.background]
    setting, place = lot.one_of(where), lot.one_of(places)
    a = name(lot, scene.things[0], *(["colour"] if lot.chance(0.4) else []))
    ways = (f"{a} {setting}", f"{place} with {a}", f"{a} and {place}", f"a picture of {place}")
    # seldom about the place alone, which fits a ninth of all pictures
    return lot.one_of((*ways[:3], *ways))


def _everything(scene: Scene, lot: Lot) -> str:
    """Long and complete: "a large red car to the left of a small blue house in the snow"."""
    setting = lot.one_of(SETTINGS[scene.background][0])
    a, *others = (name(lot, thing, "size", "colour") for thing in scene.things)
    if scene.relation:
        # the last way of saying it may leave the sides open, which would not be complete
        ways = RELATIONS[scene.relation][:-1]
        return f"{lot.one_of(ways).format(a=a, b=others[0])}, {setting}"
    if scene.place:
        return f"{lot.one_of(PLACES[scene.place]).format(a=a)}, {setting}"
    return f"{a} {setting}"


def _colour(lot: Lot, thing: Thing) -> str:
    return lot.one_of(COLOUR_WORDS.get(thing.colour, (thing.colour,)))
