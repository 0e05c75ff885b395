"""Captions of pictures that never were, some of them hard to print."""

from __future__ import annotations

NASTY = (
    "<script>alert('caption')</script> costs $5 and $x_1$ \\frac{1}{2} & \"more\"",
    "一只黑白相间的狗在雪地里奔跑，嘴里叼着一根很长的木棍，后面还跟着另一只狗",
    "a caption that goes on " + "and on " * 40,
    "{braces} {0} %s NA",
)
# what ends a line for some programs, and no caption should be torn by; escapes of a terminal too
ODD = ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r", "\x1b[2J ")
SUBJECTS = ("dog", "girl", "boat", "red ball", "man", "horse", "bus", "white cup")
PLACES = ("in the snow", "on a beach", "near the road", "under a tree", "by the house")


def captions_of(image: int, per_image: int) -> list[str]:
    """Captions of an image: mostly its own, some shared with others, a few nasty.

    Those of its own hold an odd character each in place of a space.
    """
    own = [
        f"a {SUBJECTS[(image + number) % len(SUBJECTS)]} {PLACES[image % len(PLACES)]}, "
        f"picture {image} seen for the {number + 1}. time" + " indeed" * (image % 4)
        for number in range(per_image)
    ]
    own = [text.replace(" ", ODD[(image + n) % len(ODD)], 1) for n, text in enumerate(own)]
    if image < len(NASTY):
        own[0] = NASTY[image]
    if image % 6 == 0 and per_image > 1:
        own[1] = "a dog in the snow"
    return own
