"""Draw a scene: a background, and the things on it, smooth and without a font or a photo."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from PIL import Image, ImageDraw

from scripts.data.scenes import COLOURS, RADIUS, Lot, Scene

Colour = tuple[int, int, int]
Point = tuple[float, float]

# Pillow's edges are jagged: draw larger, then average that many pixels squared into one.
OVERSAMPLING = 3

INK: Colour = (52, 42, 44)
PAPER: Colour = (255, 252, 244)
GLASS: Colour = (206, 232, 246)
WOOD: Colour = (122, 78, 46)
LEAF: Colour = (70, 132, 60)


def draw(scene: Scene, size: int) -> Image.Image:
    """Picture of a scene, ``size`` pixels wide and high."""
    canvas = Image.new("RGB", (size * OVERSAMPLING, size * OVERSAMPLING))
    BACKGROUNDS[scene.background](Pen(canvas, (0.5, 0.5), 0.5), Lot("texture", scene.texture))
    # what stands inside something is drawn after it
    for thing in reversed(scene.things):
        for spot in thing.spots:
            pen = Pen(canvas, spot, RADIUS[thing.size], thing.mirrored)
            KINDS[thing.kind](pen, COLOURS[thing.colour])
    return canvas.reduce(OVERSAMPLING)


def shade(colour: Colour, amount: float) -> Colour:
    """The colour mixed with black (``amount`` below 0) or with white (above), to that share."""
    return _mixed(colour, (255, 255, 255) if amount > 0 else (0, 0, 0), abs(amount))


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


class Pen:
    """Draws in coordinates of its own: x to the right and y down, from -1 to 1 across a thing.

    Parameters
    ----------
    canvas : what it draws on
    centre : of the thing, as fractions of the canvas
    radius : half of the thing's height, as a fraction of the canvas's
    mirrored : whether x runs to the left
    """

    def __init__(
        self, canvas: Image.Image, centre: Point, radius: float, mirrored: bool = False
    ) -> None:
        self._draw = ImageDraw.Draw(canvas)
        self._scale = radius * canvas.height
        self._x, self._y = centre[0] * canvas.width, centre[1] * canvas.height
        self._side = -1 if mirrored else 1

    def shape(self, points: Iterable[Point], fill: Colour, outline: bool = True) -> None:
        """A filled polygon, with a darker line around it."""
        path = [self._at(point) for point in points]
        self._draw.polygon(path, fill=fill)
        if outline:
            width = max(1, round(0.07 * self._scale))
            self._draw.line([*path, *path[:2]], edge(fill), width, joint="curve")

    def oval(
        self, centre: Point, width: float, height: float, fill: Colour, outline: bool = True
    ) -> None:
        """A filled ellipse, ``width`` and ``height`` from its centre to its rim."""
        self.shape(arc(centre, width, height), fill, outline)

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        fill: Colour,
        outline: bool = True,
    ) -> None:
        """A filled rectangle."""
        self.shape([(left, top), (right, top), (right, bottom), (left, bottom)], fill, outline)

    def line(self, points: Iterable[Point], fill: Colour, width: float = 0.1) -> None:
        """A line through points, ``width`` wide."""
        path = [self._at(point) for point in points]
        self._draw.line(path, fill, max(1, round(width * self._scale)), joint="curve")

    def _at(self, point: Point) -> Point:
        x, y = point
        return self._x + self._side * x * self._scale, self._y + y * self._scale


def edge(fill: Colour) -> Colour:
    """Colour of the line around a shape: darker, or lighter where the shape is near black."""
    return shade(fill, 0.35) if sum(fill) < 150 else shade(fill, -0.42)


def arc(
    centre: Point, width: float, height: float, start: float = 0, stop: float = 360
) -> list[Point]:
    """Points on an ellipse from one angle to another; in degrees, clockwise from the right."""
    x, y = centre
    steps = max(6, round(abs(stop - start) / 12))
    angles = (math.radians(start + (stop - start) * step / steps) for step in range(steps + 1))
    return [(x + width * math.cos(angle), y + height * math.sin(angle)) for angle in angles]


def circle(pen: Pen, colour: Colour) -> None:
    pen.oval((0, 0), 0.92, 0.92, colour)


def square(pen: Pen, colour: Colour) -> None:
    pen.box(-0.84, -0.84, 0.84, 0.84, colour)


def triangle(pen: Pen, colour: Colour) -> None:
    pen.shape([(0, -0.95), (1, 0.8), (-1, 0.8)], colour)


def star(pen: Pen, colour: Colour) -> None:
    tips = ((math.radians(36 * turn - 90), 0.42 if turn % 2 else 1.0) for turn in range(10))
    pen.shape([(r * math.cos(angle), r * math.sin(angle) + 0.06) for angle, r in tips], colour)


def heart(pen: Pen, colour: Colour) -> None:
    # the well-known heart curve, scaled to reach from -1 to 1
    turns = [math.radians(10 * step) for step in range(36)]
    pen.shape(
        [
            (
                0.95 * math.sin(t) ** 3,
                -0.06
                - (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t))
                / 17,
            )
            for t in turns
        ],
        colour,
    )


def moon(pen: Pen, colour: Colour) -> None:
    outside = arc((0, 0), 0.95, 0.95, 50, 310)
    inside = arc((0.32, 0), 0.79, 0.79, 292, 68)
    pen.shape([*outside, *inside], colour)


def sun(pen: Pen, colour: Colour) -> None:
    for turn in range(8):
        middle = 45 * turn
        base = [arc((0, 0), 0.56, 0.56, middle + side, middle + side)[0] for side in (-15, 15)]
        tip = arc((0, 0), 1, 1, middle, middle)[0]
        pen.shape([base[0], tip, base[1]], colour)
    pen.oval((0, 0), 0.5, 0.5, colour)


def house(pen: Pen, colour: Colour) -> None:
    pen.box(0.3, -0.85, 0.52, -0.3, shade(colour, -0.3))
    pen.box(-0.68, -0.12, 0.68, 0.92, colour)
    pen.shape([(-0.95, -0.1), (0, -0.95), (0.95, -0.1)], shade(colour, -0.3))
    pen.box(-0.5, 0.3, -0.12, 0.92, WOOD)
    pen.box(0.14, 0.2, 0.52, 0.58, GLASS)


def tree(pen: Pen, colour: Colour) -> None:
    pen.shape([(-0.13, 0.2), (0.13, 0.2), (0.2, 0.96), (-0.2, 0.96)], WOOD)
    pen.oval((-0.38, 0.02), 0.46, 0.42, colour)
    pen.oval((0.38, 0.02), 0.46, 0.42, colour)
    pen.oval((0, -0.4), 0.58, 0.56, colour)
    pen.oval((0, -0.05), 0.52, 0.36, colour, outline=False)


def car(pen: Pen, colour: Colour) -> None:
    pen.shape([(-0.6, -0.02), (-0.38, -0.5), (0.26, -0.5), (0.56, -0.02)], colour)
    pen.shape([(-0.43, -0.05), (-0.29, -0.38), (-0.08, -0.38), (-0.08, -0.05)], GLASS)
    pen.shape([(0.04, -0.05), (0.04, -0.38), (0.2, -0.38), (0.39, -0.05)], GLASS)
    pen.shape(
        [(-1, 0.02), (-0.94, -0.05), (0.72, -0.05), (0.96, 0.08), (1, 0.4), (-1, 0.4)], colour
    )
    for x in (-0.55, 0.55):
        pen.oval((x, 0.4), 0.25, 0.25, INK)
        pen.oval((x, 0.4), 0.1, 0.1, PAPER, outline=False)


def boat(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.4), (0, -0.95)], WOOD, 0.09)
    pen.shape([(0.1, -0.9), (0.82, 0.26), (0.1, 0.26)], PAPER)
    pen.shape([(-0.1, -0.7), (-0.1, 0.26), (-0.66, 0.26)], shade(colour, 0.25))
    pen.shape([(-0.98, 0.38), (0.98, 0.38), (0.66, 0.86), (-0.66, 0.86)], colour)


def fish(pen: Pen, colour: Colour) -> None:
    pen.shape([(0.4, 0), (0.98, -0.48), (0.84, 0), (0.98, 0.48)], shade(colour, -0.15))
    pen.shape([(-0.3, -0.4), (0.1, -0.72), (0.3, -0.3)], shade(colour, -0.15))
    pen.oval((-0.22, 0), 0.76, 0.46, colour)
    pen.line(arc((-0.62, 0), 0.26, 0.4, -60, 60), edge(colour), 0.07)
    pen.oval((-0.62, -0.12), 0.11, 0.11, PAPER)
    pen.oval((-0.64, -0.12), 0.05, 0.05, INK, outline=False)


def bird(pen: Pen, colour: Colour) -> None:
    for x in (-0.12, 0.14):
        pen.line([(x, 0.4), (x, 0.92)], WOOD, 0.08)
    pen.shape([(-0.9, -0.22), (-0.4, 0.1), (-0.6, 0.36)], shade(colour, -0.15))
    pen.shape([(0.72, -0.55), (1, -0.4), (0.72, -0.28)], (232, 168, 56))
    pen.oval((0, 0.12), 0.66, 0.46, colour)
    pen.oval((0.48, -0.42), 0.36, 0.36, colour)
    pen.oval((0.24, -0.02), 0.3, 0.2, colour, outline=False)
    pen.oval((-0.14, 0.08), 0.36, 0.22, shade(colour, -0.2))
    pen.oval((0.58, -0.5), 0.1, 0.1, PAPER)
    pen.oval((0.6, -0.5), 0.05, 0.05, INK, outline=False)


def flower(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0), (0.04, 0.98)], LEAF, 0.11)
    pen.shape([(0.02, 0.8), (0.5, 0.46), (0.42, 0.74)], LEAF)
    for turn in range(6):
        petal = arc((0, -0.32), 0.38, 0.38, 60 * turn, 60 * turn)[0]
        pen.oval(petal, 0.26, 0.26, colour)
    middle = WOOD if colour == COLOURS["yellow"] else (246, 206, 84)
    pen.oval((0, -0.32), 0.22, 0.22, middle)


def cup(pen: Pen, colour: Colour) -> None:
    pen.line(arc((0.52, 0.04), 0.36, 0.36, -90, 90), edge(colour), 0.26)
    pen.line(arc((0.52, 0.04), 0.36, 0.36, -90, 90), colour, 0.13)
    pen.shape([(-0.74, -0.6), (0.6, -0.6), (0.44, 0.84), (-0.58, 0.84)], colour)
    pen.oval((-0.07, -0.6), 0.67, 0.18, shade(colour, 0.45))
    pen.oval((-0.07, -0.57), 0.52, 0.11, (92, 58, 36), outline=False)


def umbrella(pen: Pen, colour: Colour) -> None:
    pen.line([(0, -0.95), (0, 0.66), *arc((0.17, 0.66), 0.17, 0.2, 180, 0)], WOOD, 0.1)
    rim = [point for x in (0.64, 0, -0.64) for point in arc((x, 0.02), 0.32, 0.17, 0, -180)]
    pen.shape([*arc((0, 0.02), 0.96, 0.86, 180, 360), *rim], colour)
    for x in (-0.32, 0.32):
        pen.line([(0, -0.84), (0.5 * x, -0.5), (x, 0.02)], edge(colour), 0.06)


def balloon(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.5), (0.08, 0.64), (-0.06, 0.8), (0.04, 0.98)], INK, 0.06)
    pen.shape([(0, 0.34), (0.14, 0.56), (-0.14, 0.56)], colour)
    pen.oval((0, -0.26), 0.6, 0.7, colour)
    pen.line(arc((0, -0.26), 0.38, 0.48, 195, 250), shade(colour, 0.6), 0.1)


def mushroom(pen: Pen, colour: Colour) -> None:
    pen.shape([(-0.24, 0), (0.24, 0), (0.36, 0.9), (-0.36, 0.9)], (244, 232, 208))
    pen.shape([*arc((0, 0.1), 0.96, 0.98, 180, 360), *arc((0, 0.1), 0.96, 0.16, 0, 180)], colour)
    dots = PAPER if sum(colour) < 600 else shade(colour, -0.3)
    for x, y, radius in ((-0.5, -0.2, 0.15), (0.05, -0.5, 0.19), (0.5, -0.14, 0.14)):
        pen.oval((x, y), radius, radius, dots, outline=False)


def _fade(pen: Pen, top: Colour, bottom: Colour, start: float = -1, stop: float = 1) -> None:
    """Fill the whole width from one height to another, one colour fading into the next."""
    bands = 24
    for band in range(bands):
        upper = start + (stop - start) * band / bands
        pen.box(-1, upper, 1, stop, _mixed(top, bottom, band / (bands - 1)), outline=False)


def grass(pen: Pen, lot: Lot) -> None:
    horizon = lot.between(-0.25, 0.05)
    _fade(pen, (150, 204, 240), (222, 240, 250), stop=horizon + 0.3)
    for x in (lot.between(-0.8, -0.2), lot.between(0.2, 0.8)):
        y = lot.between(-0.85, -0.5)
        for shift, width in ((-0.14, 0.16), (0.02, 0.22), (0.17, 0.15)):
            pen.oval((x + shift, y), width, 0.6 * width, (246, 250, 252), outline=False)
    pen.oval((lot.between(-1, 1), horizon + 0.5), 1.9, 0.62, (150, 196, 104), outline=False)
    _fade(pen, (138, 190, 92), (96, 160, 70), start=horizon + 0.16)
    for _ in range(26):
        x, y = lot.between(-1, 1), lot.between(horizon + 0.25, 1)
        for lean in (-0.05, 0, 0.05):
            pen.line([(x, y), (x + lean, y - 0.1)], (78, 138, 56), 0.016)


def night_sky(pen: Pen, lot: Lot) -> None:
    _fade(pen, (14, 16, 48), (46, 50, 104))
    for _ in range(46):
        spot, radius = (lot.between(-1, 1), lot.between(-1, 1)), lot.between(0.006, 0.02)
        pen.oval(spot, radius, radius, (236, 234, 206), outline=False)


def sea(pen: Pen, lot: Lot) -> None:
    horizon = lot.between(-0.55, -0.2)
    _fade(pen, (188, 226, 244), (238, 248, 250), stop=horizon)
    _fade(pen, (44, 128, 178), (96, 184, 212), start=horizon)
    for row in range(6):
        y = horizon + 0.14 + row * (1 - horizon) / 6.2
        shift, length = lot.between(0, 0.4), 0.36
        wave = [
            (-1.4 + shift + step * length / 4, y + 0.03 * math.sin(step * math.pi / 2))
            for step in range(34)
        ]
        pen.line(wave, (166, 218, 234), 0.022)


def snow(pen: Pen, lot: Lot) -> None:
    horizon = lot.between(-0.2, 0.1)
    _fade(pen, (150, 172, 198), (206, 218, 230), stop=horizon + 0.2)
    for x in (lot.between(-1, -0.6), lot.between(0.6, 1)):
        pen.oval((x, horizon + 0.6), 1.3, 0.56, (226, 234, 242), outline=False)
    pen.oval((lot.between(-0.5, 0.5), horizon + 1.1), 1.9, 0.96, (242, 246, 250), outline=False)
    for _ in range(44):
        spot, radius = (lot.between(-1, 1), lot.between(-1, 1)), lot.between(0.012, 0.028)
        pen.oval(spot, radius, radius, (255, 255, 255), outline=False)


def brick_wall(pen: Pen, lot: Lot) -> None:
    pen.box(-1, -1, 1, 1, (206, 190, 176), outline=False)
    rows, columns = 9, 4
    for row in range(rows):
        for column in range(-1, columns + 1):
            tone = shade((176, 94, 70), lot.between(-0.14, 0.14))
            left = -1 + 2 * (column + 0.5 * (row % 2)) / columns
            top = -1 + 2 * row / rows
            pen.box(left + 0.02, top + 0.02, left + 0.48, top + 0.2, tone, outline=False)


def beach(pen: Pen, lot: Lot) -> None:
    horizon = lot.between(-0.6, -0.4)
    _fade(pen, (164, 216, 242), (230, 246, 250), stop=horizon)
    _fade(pen, (72, 160, 192), (150, 212, 220), start=horizon, stop=horizon + 0.55)
    shore = horizon + 0.36
    slope, phase = lot.between(-0.1, 0.1), lot.between(0, 6)
    rim = [(x / 8, shore + slope * x / 8 + 0.04 * math.sin(x / 2 + phase)) for x in range(-9, 10)]
    pen.shape([*rim, (1.2, 1.1), (-1.2, 1.1)], (236, 214, 168), outline=False)
    pen.line(rim, (250, 252, 250), 0.05)
    for _ in range(50):
        spot = (lot.between(-1, 1), lot.between(shore + 0.16, 1))
        pen.oval(spot, 0.014, 0.01, (204, 178, 128), outline=False)


def wooden_table(pen: Pen, lot: Lot) -> None:
    planks = 5
    for plank in range(planks):
        top, height = -1 + 2 * plank / planks, 2 / planks
        tone = shade((196, 148, 100), lot.between(-0.12, 0.1))
        pen.box(-1, top, 1, top + height, tone, outline=False)
        for _ in range(3):
            y, phase = top + lot.between(0.08, height - 0.08), lot.between(0, 6)
            grain = [(x / 5, y + 0.02 * math.sin(x / 3 + phase)) for x in range(-6, 7)]
            pen.line(grain, shade(tone, -0.14), 0.014)
        pen.line([(-1, top), (1, top)], shade(tone, -0.42), 0.024)
        seam = lot.between(-0.9, 0.9)
        pen.line([(seam, top), (seam, top + height)], shade(tone, -0.42), 0.02)


def city_street(pen: Pen, lot: Lot) -> None:
    _fade(pen, (176, 196, 212), (226, 230, 230))
    left = -1.0
    while left < 1:
        width, top = lot.between(0.26, 0.46), lot.between(-0.8, -0.25)
        wall = shade((146, 152, 162), lot.between(-0.16, 0.16))
        pen.box(left, top, left + width, 0.4, wall, outline=False)
        for row in range(int((0.26 - top) / 0.16)):
            for column in range(int(width / 0.13)):
                x, y = left + 0.05 + 0.13 * column, top + 0.07 + 0.16 * row
                pane = (244, 230, 178) if lot.chance(0.35) else (108, 118, 132)
                pen.box(x, y, x + 0.065, y + 0.085, pane, outline=False)
        left += width
    pen.box(-1, 0.3, 1, 0.42, (190, 188, 182), outline=False)
    pen.box(-1, 0.4, 1, 1, (104, 106, 112), outline=False)
    phase = lot.between(0, 0.4)
    for dash in range(-4, 4):
        x = 0.5 * dash * 0.8 + phase
        pen.box(x, 0.67, x + 0.22, 0.73, (236, 232, 214), outline=False)


def sunset(pen: Pen, lot: Lot) -> None:
    horizon = lot.between(0.25, 0.5)
    _fade(pen, (96, 72, 128), (238, 128, 100), stop=0.5 * (horizon - 1))
    _fade(pen, (238, 128, 100), (254, 206, 120), start=0.5 * (horizon - 1), stop=horizon + 0.5)
    pen.oval((lot.between(-0.7, 0.7), horizon), 0.24, 0.24, (255, 234, 176), outline=False)
    for x, tone in ((lot.between(-1, 0), (98, 66, 100)), (lot.between(0, 1), (74, 50, 84))):
        pen.oval((x, horizon + 0.72), 1.5, 0.7, tone, outline=False)
    pen.box(-1, horizon + 0.5, 1, 1, (74, 50, 84), outline=False)


KINDS: dict[str, Callable[[Pen, Colour], None]] = {
    painter.__name__: painter
    for painter in (
        *(circle, square, triangle, star, heart, moon, sun, house, tree),
        *(car, boat, fish, bird, flower, cup, umbrella, balloon, mushroom),
    )
}

BACKGROUNDS: dict[str, Callable[[Pen, Lot], None]] = {
    painter.__name__.replace("_", " "): painter
    for painter in (
        *(grass, night_sky, sea, snow, brick_wall, beach, wooden_table, city_street, sunset),
    )
}
