"""The document as a page: all of it is shown, as text, and nothing of it is taken for markup."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from browser import browser
from fake_document import document, every_block, lay_out, told_apart
from hostile import HOSTILE
from html_page import Document

from scripts.job import BadInput, write_json
from scripts.report import blocks
from scripts.report import page as page_module
from scripts.report.faces import coloured
from scripts.report.page import inline_svg, render
from scripts.report.spans import spans_of


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory) -> tuple[list[str], Path]:
    return lay_out(tmp_path_factory.mktemp("laid"))


@pytest.fixture(scope="module")
def plain_page(laid_out) -> str:
    return render(document(every_block("Some words", "en")), *laid_out, "document.json")


@pytest.mark.parametrize("lang", HOSTILE)
def test_all_text_is_on_the_page_and_none_of_it_is_markup(laid_out, lang: str):
    text = HOSTILE[lang]
    said = document(every_block(text, lang), lang, text)
    places = told_apart(said, text)
    page = Document(render(said, *laid_out, "document.json"))
    assert page.open == []
    shown = "".join(page.said)
    attributes = {value for one in page.elements for value in one["attrs"].values()}
    lost = [one for one in places if one not in shown and one not in attributes]
    assert len(places) > 150 and lost == []
    assert not {"script", "b1", "blink"} & {one["tag"] for one in page.elements}


def test_every_id_is_there_once_and_links_lead_to_one(plain_page: str):
    page = Document(plain_page)
    assert len(page.ids) == len(set(page.ids))
    targets = [one["attrs"]["href"] for one in page.all("a")]
    inside = [one[1:] for one in targets if one.startswith("#")]
    assert {"tab_one", "fig_one", "eq_one", "method", "ref_clip"} <= set(inside) <= {*page.ids}
    assert [one for one in targets if one[0] != "#"] == [
        "https://doi.org/10.48550/arXiv.2103.00020"
    ]
    assert 'href="#ref_clip">[1]</a>' in plain_page
    nav = plain_page.split("<nav")[1].split("</nav>")[0]
    assert re.findall(r'href="#([\w-]+)"', nav) == ["method", "examples", "references", "appendix"]


def test_it_asks_nothing_of_anyone_and_says_its_language(laid_out):
    html = render(document(every_block("一句话", "zh"), "zh"), *laid_out, "document.json")
    assert '<html lang="zh">' in html and "default-src 'none'" in html
    page = Document(html)
    assert page.all("a", "skip")[0]["attrs"]["href"] == "#text"
    assert not {"script", "link", "iframe"} & {one["tag"] for one in page.elements}
    assert all(one["attrs"]["src"].startswith("data:image/webp") for one in page.all("img"))
    assert "Report Han" in html.split("@font-face")[1]


def test_pictures_tables_and_equations_are_named_for_those_who_hear_them(plain_page: str):
    page = Document(plain_page)
    assert {one["attrs"]["alt"] for one in page.all("img")} >= {"Some words", "rank 1"}
    assert all(one["attrs"]["aria-label"] for one in page.all("svg"))
    assert len(page.all("math")) > 8 and all(one["attrs"]["alttext"] for one in page.all("math"))
    for one in page.all("table"):
        assert one["attrs"]["aria-labelledby"] in page.ids


def test_the_same_document_gives_the_same_page(plain_page: str, laid_out):
    again = render(document(every_block("Some words", "en")), *laid_out, "elsewhere.json")
    assert again == plain_page


def test_both_themes_have_every_colour_that_the_style_sheet_asks_for(plain_page: str):
    head = plain_page.split("</style>")[0]
    light, dark = (set(re.findall(r"--(\w+): #", one)) for one in head.split("@media", 2)[:2])
    assert light == dark
    asked = set(re.findall(r"var\(--([\w-]+)\)", plain_page))
    own = {"ground", "measure", "sans", "serif", "mono", "shade", "chip", "k"}
    assert asked - own <= light


def test_code_has_its_colours_and_keeps_what_is_no_python():
    assert coloured('x = "<b>" # <i>\n', "python") == [
        ("", "x = "), ("string", '"<b>"'), ("", " "), ("comment", "# <i>"), ("", "\n")
    ]  # fmt: skip
    for source in ("def f(:\n ]]]", 'x = """', "if x:\n\ty\n        z", "./run 'a"):
        for language in ("python", "sh"):
            assert "".join(text for _, text in coloured(source, language)) == source


def test_a_file_that_is_no_drawing_is_told(tmp_path: Path):
    (tmp_path / "a.svg").write_text("nothing", "utf-8")
    with pytest.raises(BadInput, match="no <svg>"):
        inline_svg(tmp_path / "a.svg", "label")


def test_drawings_take_the_colours_of_the_page_and_share_no_ids(plain_page: str):
    drawing = re.search(r'<svg class="one-en".*?</svg>', plain_page, re.DOTALL)[0]
    assert 'id="one-en-line"' in drawing and "stroke: var(--ink)" in drawing
    # what scrolls shows its edges behind the drawing
    assert "fill: none" in drawing.split("one-en-line")[0] and "var(--paper)" not in drawing


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (blocks.figure("fig_x", [], "x", "figures/none.en.svg", []), "fig_x"),
        (
            blocks.gallery("gallery_x", [], [{"image": "none.jpg", "items": []}]),
            "gallery_x",
        ),
    ],
)
def test_what_is_not_there_to_be_shown_is_told(laid_out, wrong, named: str):
    with pytest.raises(BadInput, match=rf"document.json, {named}"):
        render(document([wrong]), *laid_out, "document.json")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"blocks": [blocks.box("own", "own", "", [{"kind": "poem"}])]}, "block 1: poem"),
        ({"blocks": [{"kind": "list"}]}, "block 1: list"),
        ({"names": {}}, "no name of figure"),
    ],
)
def test_a_document_of_an_unknown_kind_is_refused_with_its_place(
    tmp_path: Path, laid_out, change, named: str
):
    write_json(tmp_path / "document.en.json", document([]) | change)
    files = {
        "document": str(tmp_path / "document.en.json"),
        "drawn": laid_out[0],
        "images": str(laid_out[1]),
    }
    job = SimpleNamespace(input=SimpleNamespace(**files), output=SimpleNamespace(html="never"))
    with pytest.raises(BadInput, match=named):
        page_module.main(job)


def test_a_phone_never_scrolls_the_page_itself_and_wide_things_scroll(laid_out, tmp_path: Path):
    formula = blocks.paragraph(spans_of(f"a long ${'a + ' * 30}b$ within a line"))
    said = document([*every_block("Some words", "en"), formula])
    (tmp_path / "page.html").write_text(render(said, *laid_out, "document.json"), "utf-8")
    with browser(tmp_path / "profile", 390, 844) as driver:
        driver.get(f"file://{tmp_path}/page.html")
        widths = driver.execute_script(
            "const all = document.documentElement;"
            "return [all.scrollWidth, ...[...document.querySelectorAll('.scroll')]"
            ".map(one => one.scrollWidth - one.clientWidth)]"
        )
    assert widths[0] == 390
    assert max(widths[1:]) > 100
