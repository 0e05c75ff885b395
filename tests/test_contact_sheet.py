"""The picture of what a query found."""

from PIL import Image, ImageDraw

from scripts.contact_sheet import COLUMNS, THUMB, Cell, _font, contact_sheet


def cells(count: int, size: tuple[int, int] = (8, 8)) -> list[Cell]:
    picture = Image.new("RGB", size, (255, 0, 0))
    return [Cell(picture, f"{n} · 0.5", f"{n}.jpg", "一只狗 a dog") for n in range(1, count + 1)]


def red_area(sheet: Image.Image) -> int:
    return sum(count for count, colour in sheet.getcolors(2**24) if colour == (255, 0, 0))


def test_every_cell_has_room():
    for count in (1, COLUMNS, COLUMNS + 1, 3 * COLUMNS):
        assert red_area(contact_sheet("a dog", cells(count))) == count * THUMB**2


def test_pictures_keep_their_proportions():
    for size in ((10, 20), (2000, 1000)):
        assert red_area(contact_sheet("a dog", cells(2, size))) == 2 * THUMB * (THUMB // 2)


def test_a_long_query_makes_the_sheet_taller_and_not_wider():
    short, long = (contact_sheet(title, cells(5)) for title in ("dog", "dog " * 80))
    assert long.width == short.width and long.height > short.height


def test_chinese_has_glyphs_of_its_own_on_the_sheet():
    def drawn(text: str) -> bytes:
        picture = Image.new("L", (40, 40))
        ImageDraw.Draw(picture).text((0, 0), text, 255, _font(26))
        return picture.tobytes()

    # a font without them draws the same box for every character
    assert len({drawn(character) for character in "狗在草地上跑\U0010ffff"}) == 7
