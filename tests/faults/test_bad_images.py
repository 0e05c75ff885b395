"""Images of every bad kind are used rightly or set aside with their reason."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from bad_input import (
    Case,
    assert_used_or_set_aside,
    ids,
    picture,
    saved,
)
from PIL import Image

PINK = picture("pink", (48, 32))
KINDS = {
    "JPEG": {"quality": 95}, "PNG": {}, "WEBP": {"lossless": True}, "GIF": {}, "BMP": {},
    "TIFF": {}, "PPM": {}, "AVIF": {"quality": 90},
}  # fmt: skip
SUFFIX = {"JPEG": "jpg", "TIFF": "tif"}


def named(kind: str) -> str:
    return f"x.{SUFFIX.get(kind, kind.lower())}"


def truncated() -> list[Case]:
    """Each format cut at each eighth; nothing at all is left at the first."""
    cases = []
    # noise on the right, or a file would end in its pixels long before its last eighth
    noisy, noise = PINK.copy(), np.random.default_rng(0).integers(0, 256, (32, 24, 3), "uint8")
    noisy.paste(Image.fromarray(noise), (24, 0))
    for kind, options in KINDS.items():
        whole = saved(noisy, kind, **options)
        for eighths in range(8):
            content = whole[: len(whole) * eighths // 8]
            cases.append(
                Case(f"{kind} cut at {eighths} eighths", (named(kind), content), "unreadable")
            )
    return cases


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: bytes) -> bytes:
    """A PNG written by hand, for what no library would write."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + body + chunk(b"IEND", b"")


def animated(kind: str) -> bytes:
    other = [picture("green", PINK.size), picture("blue", PINK.size)]
    return saved(PINK, kind, save_all=True, append_images=other, duration=100)


def turned(orientation: int, kind: str = "JPEG") -> bytes:
    """The picture lying as a camera that was held so stored it, with the note that rights it."""
    lay = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(PINK if lay is None else PINK.transpose(lay), kind, exif=exif, **KINDS[kind])


def sixteen_bit_rgb() -> bytes:
    pixels = np.asarray(PINK).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return png(*PINK.size, 16, 2, rows)


def see_through(mode: str) -> bytes:
    """What is transparent shows white, whatever colour lies below."""
    image = picture("green", PINK.size).convert("RGBA")
    image.paste((0, 160, 0, 0), (0, 0, 24, 32))
    return saved(image if mode == "RGBA" else image.quantize(8) if mode == "P" else image)


def grey(mode: str, value: float, kind: str = "PNG") -> bytes:
    return saved(Image.new(mode, PINK.size, value), kind)


def mpo() -> bytes:
    """Two photos in one file, as phones write them."""
    return saved(PINK, "MPO", save_all=True, append_images=[picture("green", PINK.size)])


def many_pages(pages: int) -> bytes:
    return saved(PINK, "TIFF", save_all=True, append_images=[picture("green")] * pages)


def own_tail() -> bytes:
    """A TIFF whose list of pages leads back to its first page, for ever."""
    content = bytearray(saved(PINK, "TIFF"))
    (first,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * entries, first)
    return bytes(content)


def flipped(kind: str, place: float) -> bytes:
    """A whole file, one bit of whose header is wrong."""
    content = bytearray(saved(PINK, kind, **KINDS[kind]))
    content[int(place * len(content))] ^= 0x10
    return bytes(content)


def oversized_header(kind: str) -> bytes:
    content = bytearray(saved(Image.new("L", (8, 8)), kind))
    if kind == "BMP":
        struct.pack_into("<ii", content, 18, 60_000, 60_000)
    else:  # GIF: the screen is this large, whatever its frames are
        struct.pack_into("<HH", content, 6, 65_535, 65_535)
    return bytes(content)


def many_scans(scans: int, image: Image.Image = PINK) -> bytes:
    """A JPEG that tells its last scan again and again, with nothing new in it."""
    content = saved(image, "JPEG", quality=95, progressive=True)
    last = content.rindex(b"\xff\xda")
    own = content.count(b"\xff\xda")
    return content[:last] + content[last:-2] * (scans - own + 1) + content[-2:]


def thumbnail(inner: bytes) -> bytes:
    note = b"\xff\xe5" + struct.pack(">H", len(inner[:60_000]) + 2) + inner[:60_000]
    content = saved(PINK, "JPEG", quality=95)
    return content[:2] + note + content[2:]


def plain_ppm(more: bytes) -> bytes:
    numbers = " ".join(map(str, np.asarray(PINK).ravel()))
    return b"P3\n48 32 255\n" + more + numbers.encode()


def run_lengths(code: bytes) -> bytes:
    """A BMP that says its rows are packed, with a code that gives no pixel, again and again."""
    content = bytearray(saved(Image.new("L", (16, 16)), "BMP"))
    struct.pack_into("<I", content, 30, 1)
    return bytes(content[: 54 + 1024]) + code * 110_000 + b"\0\1"


USED = [
    ("CMYK JPEG", "x.jpg", saved(PINK.convert("CMYK"), "JPEG", quality=95)),
    ("CMYK TIFF", "x.tif", saved(PINK.convert("CMYK"), "TIFF")),
    ("YCbCr TIFF", "x.tif", saved(PINK.convert("YCbCr"), "TIFF")),
    ("palette PNG", "x.png", saved(PINK.quantize(4))),
    ("palette GIF", "x.gif", saved(PINK, "GIF")),
    ("16-bit RGB PNG", "x.png", sixteen_bit_rgb()),
    ("opaque alpha PNG", "x.png", saved(PINK.convert("RGBA"))),
    ("opaque alpha WEBP", "x.webp", saved(PINK.convert("RGBA"), "WEBP", lossless=True)),
    ("animated GIF", "x.gif", animated("GIF")),
    ("animated PNG", "x.png", animated("PNG")),
    ("animated WEBP", "x.webp", animated("WEBP")),
    ("animated AVIF", "x.avif", animated("AVIF")),
    ("two photos of a phone in one JPEG", "x.jpg", mpo()),
    ("TIFF of 300 pages", "x.tif", many_pages(300)),
    ("TIFF whose pages go in a circle", "x.tif", own_tail()),
    ("1x1", "x.png", saved(picture("pink", (1, 1)))),
    ("20 times as wide as high", "x.jpg", saved(picture("pink", (2000, 100)), "JPEG")),
    ("50 times as high as wide", "x.png", saved(picture("pink", (10, 500)))),
    ("JPEG of 100 scans", "x.jpg", many_scans(100)),
    ("JPEG with another that has 200 scans in its notes", "x.jpg", thumbnail(many_scans(200))),
    ("a film behind a JPEG", "x.jpg", saved(PINK, "JPEG", quality=95) + b"\xff\xda" * 200),
    ("a PPM in numbers", "x.ppm", plain_ppm(b"")),
    ("a PNG called .jpg", "x.jpg", saved(PINK)),
    ("a JPEG called .png", "x.png", saved(PINK, "JPEG", quality=95)),
    ("a WEBP called .jpg", "x.jpg", saved(PINK, "WEBP", lossless=True)),
    ("a JPEG called .txt", "x.txt", saved(PINK, "JPEG", quality=95)),
    ("a JPEG without suffix", "x", saved(PINK, "JPEG", quality=95)),
    ("a JPEG called .json", "captions.json", saved(PINK, "JPEG", quality=95)),
    ("junk behind the end", "x.jpg", saved(PINK, "JPEG", quality=95) + bytes(1000)),
    ("a zip archive behind the end", "x.png", saved(PINK) + b"PK\3\4" + bytes(99)),
    ("EXIF data that are none", "x.jpg", saved(PINK, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\x7f")),
    ("a colour profile that is none", "x.png", saved(PINK, icc_profile=b"nonsense" * 9)),
    ("progressive JPEG", "x.jpg", saved(PINK, "JPEG", quality=95, progressive=True)),
    ("interlaced GIF", "x.gif", saved(PINK, "GIF", interlace=1)),
    *((f"EXIF-rotated JPEG {n}", "x.jpg", turned(n)) for n in range(2, 9)),
    *((f"EXIF-rotated {kind}", named(kind), turned(6, kind)) for kind in ("PNG", "WEBP", "TIFF")),
]  # fmt: skip
SIDE = 9_990  # the largest square of fewer pixels than are set aside unread
SHOWS = [  # what these show is not pink
    ("transparent PNG", "x.png", see_through("RGBA"), "white"),
    ("transparent palette PNG", "x.png", see_through("P"), "white"),
    ("16-bit grey PNG", "x.png", grey("I;16", 128 * 257), "grey"),
    ("32-bit integer TIFF", "x.tif", grey("I", 128 * 257, "TIFF"), "grey"),
    ("floating TIFF", "x.tif", grey("F", 0.5, "TIFF"), "grey"),
    ("TIFF of no number at all", "x.tif", grey("F", float("nan"), "TIFF"), "black"),
    ("black and white TIFF", "x.tif", grey("1", 1, "TIFF"), "white"),
    ("100 million pixels of 16 bits", "x.png", png(SIDE, SIDE, 16, 0, bytes(SIDE * (2 * SIDE + 1))),
     "black"),
    ("100 million clear pixels", "x.png", png(SIDE, SIDE, 8, 6, bytes(SIDE * (4 * SIDE + 1))),
     "white"),
]  # fmt: skip
SHOWN = [Case(name, (file, content, colour)) for name, file, content, colour in SHOWS]
ASIDE = [
    ("zero bytes", b"", "unreadable: an empty file"),
    ("one byte", b"\xff", "unreadable: not an image"),
    ("only zeros", bytes(5000), "unreadable: not an image"),
    ("a web page", b"<!DOCTYPE html><html>Not found</html>", "unreadable: not an image"),
    ("SVG", b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "unreadable: not an image"),
    ("PostScript", b"%!PS-Adobe-3.0\n%%BoundingBox: 0 0 9 9\n", "unreadable: not an image"),
    ("PDF", b"%PDF-1.7\n1 0 obj\n", "unreadable: not an image"),
    ("a zip archive", b"PK\3\4" + bytes(60), "unreadable: not an image"),
    ("a pickle", b"\x80\x04cos\nsystem\n(S'true'\ntR.", "unreadable: not an image"),
    ("a pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\n", "unreadable"),
    ("ICO", saved(PINK.resize((16, 16)), "ICO"), "unreadable: not an image"),
    ("JPEG 2000", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), "unreadable: not an image"),
    ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "unreadable"),
    ("0 pixels wide", png(0, 5, 8, 2, b""), "unreadable"),
    ("a PNG of a wrong checksum", flipped("PNG", 0.3), "unreadable"),
    ("a PNG without pixels", png(9, 9, 8, 2, b""), "unreadable"),
    ("a PNG of a depth that is none", png(9, 9, 7, 2, bytes(300)), "unreadable"),
    ("1 x 60,000 pixels", saved(picture("pink", (1, 60_000))), "oversized: 1 x 60000 pixels"),
    ("65,000 x 1 pixels", saved(picture("pink", (65_000, 1)), "JPEG"), "more than 50 times"),
    ("51 times as wide as high", saved(picture("pink", (510, 10)), "GIF"), "more than 50 times"),
    ("a JPEG of 2,000 scans", many_scans(2000, Image.new("L", (4000, 4000))),
     "oversized: 2,000 scans of 4000 x 4000 pixels"),
    ("a JPEG of 110,000 notes", saved(PINK, "JPEG").replace(
        b"\xff\xd8", b"\xff\xd8" + b"\xff\xfe\0\2" * 110_000, 1), "100,000 pieces"),
    ("a PNG of 110,000 chunks", png(9, 9, 8, 2, bytes(252), chunk(b"abCd", b"") * 110_000),
     "oversized: more than 100,000 pieces"),
    ("a GIF of 110,000 notes", saved(PINK, "GIF").replace(
        b"\x2c", b"\x21\xfe\1a\0" * 110_000 + b"\x2c", 1), "oversized: more than 100,000 pieces"),
    ("a BMP of rows without pixels", run_lengths(b"\0\0"), "oversized: more than 100,000 pieces"),
    ("a BMP of steps to nowhere", run_lengths(b"\0\2\0\0"), "oversized: more than 100,000 pieces"),
    ("a PPM of 101 comments", plain_ppm(b"#\n" * 101), "oversized: more than 100 comments"),
    ("a PPM of 5 MB of numbers", plain_ppm(b" " * 5_000_000), "bytes of numbers as text"),
    ("20,000 x 20,000 pixels", png(20_000, 20_000, 1, 0, bytes(20_000 * 2501)), "oversized"),
    ("a PNG that says 2,147,483,647 wide", png(2**31 - 1, 2**31 - 1, 8, 2, b""), "oversized"),
    ("a BMP that says 60,000 x 60,000", oversized_header("BMP"), "oversized"),
    ("a GIF that says 65,535 x 65,535", oversized_header("GIF"), "oversized"),
    ("text of a PNG that unfolds to 200 MB", png(9, 9, 8, 2, bytes(252), chunk(
        b"zTXt", b"k\0\0" + zlib.compress(bytes(200_000_000), 9))), "unreadable"),
    ("a profile of a PNG that unfolds to 200 MB", png(9, 9, 8, 2, bytes(252), chunk(
        b"iCCP", b"k\0\0" + zlib.compress(bytes(200_000_000), 9))), "unreadable"),
]  # fmt: skip

CASES = [
    *truncated(),
    *(Case(name, (file, content)) for name, file, content in USED),
    *(Case(name, ("x.jpg", content), told) for name, content, told in ASIDE),
]


@ids(CASES)
def test_a_bad_image_is_used_rightly_or_set_aside_with_its_reason(steps, case):
    name, content = case.make
    entry = steps.folder_of_ones_own({name: content}, {name: "pink"})
    assert_used_or_set_aside(steps.all(entry), name, case.told)


@ids(SHOWN)
def test_what_has_no_red_green_and_blue_of_8_bits_shows_what_it_showed(steps, case):
    file, content, colour = case.make
    entry = steps.folder_of_ones_own({file: content}, {file: colour})
    assert_used_or_set_aside(steps.all(entry), file, "")
