"""A report shows Chinese on a machine that has no Chinese type."""

import base64
import io
import re
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from scripts.figures.webfont import font_faces
from scripts.letters import EAST_ASIAN
from scripts.report.page import render

ROOT = Path(__file__).parents[2]


def fonts(css: str) -> list[TTFont]:
    return [
        TTFont(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"base64,([^)]*)\)", css)
    ]


def test_every_chinese_letter_of_the_page_is_in_each_weight_and_few_others():
    page = "<p>一只狗跑过雪地，“汪”！</p> 狗 a dog"
    both = fonts(font_faces(page))
    assert len(both) == 2
    for font in both:
        letters = set(font.getBestCmap())
        assert {ord(letter) for letter in "一只狗跑过雪地，汪！“”"} <= letters
        assert len(letters) < 30


def test_a_page_without_chinese_carries_no_font():
    assert font_faces("<p>a dog — “woof” …</p>") == ""


def test_the_same_page_gives_the_same_bytes():
    assert font_faces("狗") == font_faces("狗")


def test_a_whole_report_brings_all_its_letters_along(fake_run, documents):
    drawn = [str(path) for path in (fake_run.results / "figures").glob("*.zh.svg")]
    html = render(documents["zh"], drawn, fake_run.data / "images", "document.zh.json")
    needed = {ord(letter) for letter in re.findall(f"[{EAST_ASIAN}]", html)}
    both = fonts(html.split("</style>")[0])
    assert len(needed) > 300 and len(both) == 2
    for font in both:
        assert needed <= set(font.getBestCmap())


@pytest.mark.parametrize("sheet", ["report/page.css", "theme.css"])
def test_whatever_holds_words_takes_the_letters_that_a_page_brings_along(sheet):
    css = (ROOT / "scripts" / sheet).read_text("utf-8")
    families = re.findall(r"^(.*?)(?:font-family|--(?:sans|serif|mono)):([^;}]*)", css, re.M)
    assert families
    for what, family in families:
        # signs of a formula come from a mathematical type, its words do not
        if not what.startswith("math "):
            assert '"Report Han"' in family or "var(--" in family, family
    assert ("math {" in css) == ("mtext {" in css)
