"""Take in one image: decode it fully, once, and give the bytes to keep.

Every later step may then rely on it: one frame, upright, red-green-blue or grey with 8 bits, under
a name that tells its format.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from scripts.data.audit import OVERSIZED, UNREADABLE, Unusable

# Pillow knows many more formats; some of their readers run other programs
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
SUFFIXES = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "WEBP": (".webp",)}
EXIF_ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# pictures of 16 megapixels and more are decoded one by one, whatever the number of threads
LARGE = 16_000_000
# pixels that are turned into red, green and blue at once: on the way they need many times that
BAND = 4_000_000
one_large_at_a_time = threading.Lock()

# how many times the short side the long one may be: a model that brings the short one to 336 pixels
# makes this many squares of 336 pixels of it, of a megabyte each
MAX_ASPECT = 50
# pixels times the scans of a JPEG, each of which passes over all of them and need not hold a byte;
# cameras and programs make ten scans, or one
MAX_SCANNED = 2_000_000_000
# pieces that a file may be read in: each takes microseconds in Pillow, and need not hold a byte
MAX_PIECES = 100_000
# notes of a JPEG, each of which Pillow puts behind a copy of all before it; a camera makes one
MAX_NOTES, JPEG_NOTE = 100, re.compile(rb"\xff\xe1..Exif\0\0", re.DOTALL)
# parts of a TIFF that hold their own number of bytes, and those that tell where its pixels lie,
# of which Pillow makes an object each, in whatever way they are written
TIFF_BYTES, TIFF_PLACES = (1, 2, 6, 7), (273, 324)
# numbers written as text, which Pillow reads at a megabyte in a second
PLAIN, MAX_PLAIN_BYTES, MAX_PLAIN_COMMENTS = (b"P1", b"P2", b"P3"), 4 * 2**20, 100
# but for those that divide the pixels of a scan; few stand alone, what has another tells its length
JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
START_OF_SCAN, END, ALONE = 0xDA, 0xD9, (0x01, 0xD8)

# take_in refuses by an exact limit, before it decodes; Pillow's own only warns at first
Image.MAX_IMAGE_PIXELS = None


class Pieces(io.BytesIO):
    """A file that is read in so many pieces at most."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.left = MAX_PIECES

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise Unusable(OVERSIZED, f"more than {MAX_PIECES:,} pieces in its file")
        return super().read(size)


@dataclass(frozen=True)
class Picture:
    """An image as it is kept.

    Attributes
    ----------
    content : bytes of the file
    width, height : pixels, as decoded
    converted : why it is not the original byte for byte; "" where it is
    """

    content: bytes
    width: int
    height: int
    converted: str


def take_in(content: bytes, name: str, max_pixels: int, max_aspect: float = MAX_ASPECT) -> Picture:
    """Decode an image and give what to keep of it.

    A JPEG, PNG or WEBP of one upright frame in 8-bit RGB or grey is kept as it is; anything else
    that decodes becomes an RGB PNG, with white behind what is transparent.

    Parameters
    ----------
    content : bytes of the file
    name : its name; a suffix that does not tell the format counts as a reason to convert
    max_pixels : a picture with more is refused by its header
    max_aspect : so is one whose long side is more than so many times its short one

    Raises
    ------
    Unusable
        unreadable, or oversized: also where it would take long to decode for what it shows
    """
    with _opened(content, max_pixels, max_aspect) as image:
        return _decoded(image, content, name)


def decode(content: bytes, max_pixels: int, max_aspect: float = MAX_ASPECT) -> Image.Image:
    """What ``take_in`` would keep, as pixels: one upright frame in RGB, for a picture to ask with.

    Raises ``Unusable`` as ``take_in`` does.
    """
    with _opened(content, max_pixels, max_aspect) as image:
        image.load()
        turn = _turn(image)
        picture = _as_rgb(image)
        return picture if turn is None else picture.transpose(turn)


@contextlib.contextmanager
def _opened(content: bytes, max_pixels: int, max_aspect: float) -> Iterator[Image.Image]:
    """The image, its header read; what goes wrong before or in the block becomes ``Unusable``."""
    if not content:
        raise Unusable(UNREADABLE, "an empty file")
    if content.startswith(PLAIN):
        _check_plain(content)
    _check_notes(content)
    _check_tags(content)
    try:
        with Image.open(Pieces(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise Unusable(
                    OVERSIZED, f"{width} x {height} pixels, more than {max_pixels:,} in all"
                )
            if max(width, height) > max_aspect * min(width, height):
                raise Unusable(
                    OVERSIZED,
                    f"{width} x {height} pixels, one side more than {max_aspect:g} times the other",
                )
            scans = _scans(content)
            if scans * width * height > MAX_SCANNED:
                raise Unusable(
                    OVERSIZED,
                    f"{scans:,} scans of {width} x {height} pixels, "
                    f"more than {MAX_SCANNED:,} in all",
                )
            large = width * height >= LARGE
            with one_large_at_a_time if large else contextlib.nullcontext():
                yield image
    except Unusable:
        raise
    # on damaged bytes Pillow's readers raise nearly anything, from struct.error to IndexError
    except Exception as error:
        raise Unusable(UNREADABLE, _reason(error)) from None


def _check_plain(content: bytes) -> None:
    if len(content) > MAX_PLAIN_BYTES:
        size = f"{len(content):,} bytes of numbers as text, more than {MAX_PLAIN_BYTES:,}"
        raise Unusable(OVERSIZED, size)
    if content.count(b"#") > MAX_PLAIN_COMMENTS:
        raise Unusable(OVERSIZED, f"more than {MAX_PLAIN_COMMENTS} comments")


def _check_notes(content: bytes) -> None:
    if not content.startswith(b"\xff\xd8"):
        return
    if next(islice(JPEG_NOTE.finditer(content), MAX_NOTES, None), None):
        raise Unusable(OVERSIZED, f"more than {MAX_NOTES} EXIF segments")


def _check_tags(content: bytes) -> None:
    """Refuse a TIFF of which a tag has more values than Pillow should make objects of."""
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None or len(content) < 16:
        return
    # of BigTIFF, as Pillow tells it: places and counts are of 8 bytes
    large = content[2] == 43
    count, entry = (f"{order}Q", f"{order}HHQ8x") if large else (f"{order}H", f"{order}HHI4x")
    (place,) = struct.unpack_from(f"{order}Q" if large else f"{order}I", content, 8 if large else 4)
    table = memoryview(content)[place:]
    if len(table) < struct.calcsize(count):
        return
    (entries,) = struct.unpack_from(count, table)
    table = table[struct.calcsize(count) :][: min(entries, MAX_PIECES) * struct.calcsize(entry)]
    table = table[: len(table) // struct.calcsize(entry) * struct.calcsize(entry)]
    for tag, kind, values in struct.iter_unpack(entry, table):
        if values > MAX_PIECES and (kind not in TIFF_BYTES or tag in TIFF_PLACES):
            raise Unusable(OVERSIZED, f"{values:,} values of tag {tag}, more than {MAX_PIECES:,}")


def _scans(content: bytes) -> int:
    """Scans of a JPEG, counted from marker to marker; 0 for what is none."""
    if not content.startswith(b"\xff\xd8"):
        return 0
    place, scans = 2, 0
    for _ in range(MAX_PIECES):
        # from the end of a segment, or in the pixels of a scan, to what comes next
        found = JPEG_MARKER.search(content, place)
        if found is None or found[1][0] == END:
            return scans
        place, marker = found.end(), found[1][0]
        if marker not in ALONE:
            place += int.from_bytes(content[place : place + 2], "big")
        scans += marker == START_OF_SCAN
    raise Unusable(OVERSIZED, f"more than {MAX_PIECES:,} pieces in its file")


def _decoded(image: Image.Image, content: bytes, name: str) -> Picture:
    reason = _why_converted(image, name)
    image.load()
    # some formats keep their EXIF data after the pixels
    turn = _turn(image)
    if not reason and turn is None:
        return Picture(content, image.width, image.height, converted="")
    picture = _as_rgb(image)
    if turn is not None:
        picture = picture.transpose(turn)
    # a colour profile of the original does not describe the pixels any more
    picture.info = {}
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    converted = reason or "rotated by EXIF"
    return Picture(stream.getvalue(), picture.width, picture.height, converted)


def _why_converted(image: Image.Image, name: str) -> str:
    """Why the file cannot be kept as it is, from its header; "" where it can, but for rotation."""
    # of a file that Pillow has not decoded yet, tiles tell how its pixels are packed
    packed = " ".join(str(tile[3]) for tile in image.tile)
    if image.format not in SUFFIXES:
        return str(image.format)
    if getattr(image, "n_frames", 1) > 1:
        return "animated"
    if ";16" in packed or ";16" in image.mode:
        return "16-bit"
    if image.mode not in ("RGB", "L"):
        return {"P": "palette", "1": "black and white"}.get(image.mode, image.mode)
    if "transparency" in image.info:
        return "transparent"
    if PurePosixPath(name).suffix.lower() not in SUFFIXES[image.format]:
        return f"{image.format} under another suffix"
    return ""


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What makes ``image`` upright, where its EXIF data ask for it."""
    try:
        return UPRIGHT.get(image.getexif().get(EXIF_ORIENTATION))
    # a picture is not worse for notes that cannot be read, and nothing rotates by them later
    except Exception:
        return None


def _as_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB, with white behind what is transparent."""
    if image.mode.startswith(("I", "F")):
        white = _white_of(image)
        return _in_bands(image, lambda band: Image.fromarray(_as_8_bit(_numbers(band), white)))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        return _in_bands(image, _on_white)
    return image.convert("RGB")


def _in_bands(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """``convert`` applied to some rows of ``image`` at a time, put together in RGB."""
    picture = Image.new("RGB", image.size)
    for top, band in _bands(image):
        picture.paste(convert(band), (0, top))
    return picture


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """First row and pixels of parts of ``image`` that lie one below the other."""
    height = max(1, BAND // image.width)
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    coloured = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, coloured).convert("RGB")


def _numbers(image: Image.Image) -> np.ndarray:
    return np.nan_to_num(np.asarray(image).astype(np.float64))


def _white_of(image: Image.Image) -> float:
    """The value that is white among grey values of more than 8 bits.

    In 16 bits it is 65535. In 32 bits no one says what it is: taken is 1 (for fractions), 255 or
    65535, whichever first holds the brightest value, or else that value.
    """
    whites = {"F": (1, 255, 65535), "I": (255, 65535)}.get(image.mode)
    if whites is None:
        return 65535
    brightest = max(_numbers(band).max() for _, band in _bands(image))
    return next((white for white in whites if brightest <= white), brightest)


def _as_8_bit(values: np.ndarray, white: float) -> np.ndarray:
    """Grey values as uint8 of the same shape, ``white`` as 255."""
    return np.clip(np.rint(values * (255 / white)), 0, 255).astype(np.uint8)


def _reason(error: Exception) -> str:
    """What Pillow says, without the address of an object in memory."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image of a format that is read here"
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(str(error).split()))
    return f"{text or type(error).__name__:.200}"
