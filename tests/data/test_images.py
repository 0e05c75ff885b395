"""One image at a time: kept as it is, made red-green-blue and upright, or refused with a reason."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from scripts.data.audit import Unusable
from scripts.data.images import decode, take_in

# a left half and a right half that are easily told apart, also after JPEG
RED, BLUE = (200, 30, 40), (20, 40, 210)


def halves(mode: str = "RGB", size: tuple[int, int] = (16, 8)) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", size, RED)
    picture.paste(BLUE, (size[0] // 2, 0, size[0], size[1]))
    return picture.convert(mode)


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format=kind, **options)
    return stream.getvalue()


def pixels(content: bytes) -> np.ndarray:
    """(h, w, 3) int, of a file that has to be a plain RGB PNG."""
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        assert picture.info.keys() <= {"dpi"}
        return np.asarray(picture).astype(int)


@pytest.mark.parametrize(
    ("kind", "mode", "name"),
    [
        ("JPEG", "RGB", "a.jpg"),
        ("JPEG", "RGB", "a.JPEG"),
        ("JPEG", "L", "a.jpg"),
        ("PNG", "RGB", "a.png"),
        ("PNG", "L", "A.PNG"),
        ("WEBP", "RGB", "a.webp"),
    ],
)
def test_plain_photos_are_kept_byte_for_byte(kind, mode, name):
    content = saved(halves(mode), kind)
    picture = take_in(content, name, 10**6)
    assert picture.content is content
    assert (picture.width, picture.height, picture.converted) == (16, 8, "")


def test_a_single_pixel_is_an_image():
    picture = take_in(saved(Image.new("RGB", (1, 1)), "PNG"), "a.png", 1)
    assert (picture.width, picture.height) == (1, 1)


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (saved(halves("CMYK"), "JPEG", quality=95), "a.jpg", "CMYK"),
        (saved(halves().quantize(8), "PNG"), "a.png", "palette"),
        (saved(halves("RGBA"), "PNG"), "a.png", "RGBA"),
        (saved(halves(), "GIF"), "a.gif", "GIF"),
        (saved(halves(), "BMP"), "a.bmp", "BMP"),
        (saved(halves(), "TIFF"), "a.tiff", "TIFF"),
        (saved(halves("CMYK"), "TIFF"), "a.tif", "TIFF"),
        (saved(halves(), "PPM"), "a.ppm", "PPM"),
        (saved(halves(), "PNG"), "a.jpg", "PNG under another suffix"),
        (saved(halves(), "WEBP", lossless=True), "a", "WEBP under another suffix"),
        (saved(halves(), "PNG", save_all=True, append_images=[halves().rotate(180)]), "a.png",
         "animated"),
        (saved(halves(), "GIF", save_all=True, append_images=[halves().rotate(180)]), "a.gif",
         "GIF"),
        (saved(halves(), "WEBP", save_all=True, lossless=True,
               append_images=[halves().rotate(180)]), "a.webp", "animated"),
        (saved(halves(), "MPO", save_all=True, append_images=[halves().rotate(180)], quality=95),
         "a.jpg", "MPO"),
    ],
)  # fmt: skip
def test_everything_else_that_decodes_becomes_an_rgb_png_of_its_first_frame(content, name, reason):
    picture = take_in(content, name, 10**6)
    assert picture.converted == reason
    found = pixels(picture.content)
    assert found.shape == (8, 16, 3)
    # JPEG changes colours a little
    assert np.abs(found[:, 2:6] - RED).max() < 30
    assert np.abs(found[:, 10:14] - BLUE).max() < 30


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_turns_white_and_half_of_it_half_white(mode):
    alpha = Image.new("L", (3, 1))
    for place, value in enumerate((0, 128, 255)):
        alpha.putpixel((place, 0), value)
    picture = Image.new("LA" if mode == "LA" else "RGBA", (3, 1), 0)
    picture.putalpha(alpha)
    content = saved(picture.quantize() if mode == "P" else picture, "PNG")
    found = pixels(take_in(content, "a.png", 100).content)[0, :, 0]
    assert np.abs(found - [255, 127, 0]).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_one_colour_can_stand_for_transparent(mode):
    picture = Image.new(mode, (2, 1), 0)
    picture.putpixel((1, 0), (9, 9, 9) if mode == "RGB" else 9)
    content = saved(picture, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)
    taken = take_in(content, "a.png", 100)
    assert taken.converted == "transparent"
    assert pixels(taken.content)[0, :, 0].tolist() == [255, 9]


def test_16_bits_are_scaled_and_not_cut():
    values = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    for content, name in [
        (saved(Image.fromarray(values), "PNG"), "a.png"),
        (saved(Image.fromarray(values), "TIFF"), "a.tif"),
    ]:
        taken = take_in(content, name, 100)
        assert pixels(taken.content)[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


def test_16_bits_in_colour_are_converted_too():
    # Pillow writes no such file, so it is put together here
    rows = b"\0" + struct.pack(">6H", 0, 257 * 100, 65535, 65535, 0, 257 * 7)
    content = png(struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0), zlib.compress(rows))
    taken = take_in(content, "a.png", 100)
    assert taken.converted == "16-bit"
    assert pixels(taken.content)[0].tolist() == [[0, 100, 255], [255, 0, 7]]


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0, 1e6])
def test_fractions_and_large_numbers_are_scaled_to_what_can_be_seen(white):
    values = np.array([[0, white / 5, white]], dtype=np.float32)
    taken = take_in(saved(Image.fromarray(values), "TIFF"), "a.tif", 100)
    assert pixels(taken.content)[0, :, 0].tolist() == [0, 51, 255]


# what each orientation does to a picture, done with arrays; from the EXIF standard's table
TURNS = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", TURNS)
def test_a_photo_that_its_notes_say_is_rotated_is_put_upright(orientation):
    values = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    taken = take_in(saved(Image.fromarray(values), "PNG", exif=exif), "a.png", 100)
    assert taken.converted == "rotated by EXIF"
    expected = TURNS[orientation](values)
    assert np.array_equal(pixels(taken.content), expected)
    assert (taken.width, taken.height) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("orientation", [0, 1, 9, 77])
def test_a_photo_whose_notes_say_nothing_of_use_is_kept(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(halves(), "JPEG", exif=exif)
    assert take_in(content, "a.jpg", 1000).content is content


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_photo_is_not_worse_for_notes_that_cannot_be_read():
    content = saved(halves(), "JPEG", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff garbage")
    assert take_in(content, "a.jpg", 1000).content is content


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("eighths", range(8))
def test_a_truncated_image_is_unreadable_wherever_it_ends(kind, eighths):
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = saved(Image.fromarray(values), kind)
    with pytest.raises(Unusable) as told:
        take_in(content[: len(content) * eighths // 8], f"a.{kind.lower()}", 10**6)
    assert told.value.reason == "unreadable"
    assert "0x" not in told.value.detail


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "an empty file"),
        (b"<html><body>404</body></html>", "not an image"),
        (bytes(1000), "not an image"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage",
            "not an image",
        ),
    ],
)
def test_what_is_not_an_image_is_unreadable(content, detail):
    with pytest.raises(Unusable, match=f"unreadable: {detail}"):
        take_in(content, "a.jpg", 10**6)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_bytes_never_raise_anything_else():
    values = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    random = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"):
        whole = np.frombuffer(saved(Image.fromarray(values), kind), dtype=np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            places = random.integers(0, min(len(damaged), 200), 6)
            damaged[places] = random.integers(0, 256, 6)
            try:
                take_in(damaged.tobytes(), "a.jpg", 10**5)
            except Unusable as told:
                assert told.reason in ("unreadable", "oversized")


def png(header: bytes, data: bytes) -> bytes:
    """A PNG of one header and one data chunk."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [40_000, 2**31 - 1])
def test_an_oversized_picture_is_refused_by_its_header_alone(side, monkeypatch):
    def decoded(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    content = png(struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0), zlib.compress(b"\0"))
    with pytest.raises(Unusable, match="oversized") as told:
        take_in(content, "a.png", 100_000_000)
    assert told.value.detail == f"{side} x {side} pixels, more than 100,000,000 in all"


def test_the_limit_is_exact_and_pillows_own_says_nothing():
    content = saved(Image.new("L", (10_000, 9_000)), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert take_in(content, "a.png", 90_000_000).width == 10_000
        with pytest.raises(Unusable, match="oversized"):
            take_in(content, "a.png", 89_999_999)


@pytest.mark.parametrize("size", [(1, 51), (51, 1), (1, 60_000)])
def test_a_picture_that_is_far_longer_than_wide_is_refused_by_its_header(size, monkeypatch):
    content = saved(Image.new("L", size), "PNG")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    for take in (lambda: take_in(content, "a.png", 10**6), lambda: decode(content, 10**6)):
        with pytest.raises(Unusable, match=r"oversized: .* one side more than 50 times the other"):
            take()


def test_how_long_a_picture_may_be_is_a_setting_and_exact():
    content = saved(Image.new("L", (20, 1)), "PNG")
    assert take_in(content, "a.png", 100, max_aspect=20).width == 20
    with pytest.raises(Unusable, match=r"more than 19\.5 times"):
        take_in(content, "a.png", 100, max_aspect=19.5)


def test_the_scans_of_a_jpeg_are_counted_and_not_what_looks_like_one(monkeypatch):
    monkeypatch.setattr("scripts.data.images.MAX_SCANNED", 10 * 16 * 8)
    content = saved(halves(), "JPEG", progressive=True)
    scans = content.count(b"\xff\xda")
    assert 5 < scans <= 10
    last = content[content.rindex(b"\xff\xda") : -2]
    note = b"\xff\xee\0\x22" + b"\xff\xda" * 16
    looks = content[:2] + note + content[2:] + b"\xff\xda" * 20
    assert take_in(looks, "a.jpg", 1000).content is looks
    more = content[:-2] + last * (11 - scans) + b"\xff\xd9"
    for take in (lambda: take_in(more, "a.jpg", 1000), lambda: decode(more, 1000)):
        with pytest.raises(Unusable, match="oversized: 11 scans of 16 x 8 pixels"):
            take()


def test_a_jpeg_of_endless_notes_is_refused_before_it_is_opened(monkeypatch):
    content = saved(halves(), "JPEG")
    note = b"\xff\xe1\0\x0cExif\0\0abcd"
    assert take_in(content[:2] + note * 100 + content[2:], "a.jpg", 1000).width == 16
    monkeypatch.setattr("PIL.Image.open", None)
    with pytest.raises(Unusable, match="oversized: more than 100 EXIF segments"):
        take_in(content[:2] + note * 101 + content[2:], "a.jpg", 1000)


@pytest.mark.parametrize(("order", "large"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize(("tag", "kind"), [(273, 4), (273, 1), (324, 16), (258, 3)])
def test_a_tiff_of_endless_values_is_refused_before_it_is_opened(
    monkeypatch, order, large, tag, kind
):
    head = {"<": b"II", ">": b"MM"}[order]
    if large:
        head += struct.pack(f"{order}HHHQQ", 43, 8, 0, 16, 1)
    else:
        head += struct.pack(f"{order}HIH", 42, 8, 1)
    values = struct.pack(f"{order}HHQQ" if large else f"{order}HHII", tag, kind, 100_001, 0)
    monkeypatch.setattr("PIL.Image.open", None)
    with pytest.raises(Unusable, match=f"oversized: 100,001 values of tag {tag}, more than"):
        take_in(head + values + bytes(400_000), "a.tif", 1000)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("big_tiff", [False, True])
def test_a_tiff_with_a_large_profile_of_bytes_is_read(big_tiff):
    content = saved(halves(), "TIFF", icc_profile=bytes(200_000), big_tiff=big_tiff)
    assert take_in(content, "a.tif", 1000).converted == "TIFF"
    for end in range(200):
        with pytest.raises(Unusable):
            take_in(content[:end], "a.tif", 1000)


def test_a_jpeg_that_can_be_taken_up_anywhere_is_no_worse_for_it():
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = saved(Image.fromarray(values), "JPEG", restart_marker_blocks=1)
    assert content.count(b"\xff\xd0") > 1
    assert take_in(content, "a.jpg", 10**4).content is content


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_to_ask_with_is_decoded_to_the_pixels_that_would_be_kept(mode, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(halves().convert(mode), "TIFF" if mode == "CMYK" else "PNG", exif=exif)
    picture = decode(content, 10**6)
    kept = Image.open(io.BytesIO(take_in(content, "a.png", 10**6).content))
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), np.asarray(kept.convert("RGB")))


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "empty"), (b"no image", "unreadable"), (saved(halves(), "PNG"), "oversized")],
)
def test_a_picture_to_ask_with_is_refused_as_one_to_keep_is(content, why):
    for taken in (lambda: decode(content, 100), lambda: take_in(content, "a.png", 100)):
        with pytest.raises(Unusable, match=why):
            taken()
