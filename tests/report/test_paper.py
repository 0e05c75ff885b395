"""The document on paper: all of it, as text, where it is spoken of, within its margins."""

from __future__ import annotations

import bisect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import typst
from fake_document import LONG, document, every_block, lay_out, table, told_apart, words
from hostile import HOSTILE
from paper import POPPLER, run_poppler, squeezed, text_of

from scripts.job import BadInput, write_json
from scripts.letters import BOX
from scripts.report import blocks
from scripts.report import paper as paper_module
from scripts.report.blocks import Block, plain
from scripts.report.paper import pdf
from scripts.report.pdf_fonts import drawable, folders

LANGUAGES = ("en", "zh")
MARGIN = 56.6  # points: 20 mm at each side of A4, whichever way it is turned
SENTENCE = {"en": "Some words", "zh": "一句说明"}
WORD = re.compile(
    r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>'
)


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory) -> tuple[list[str], Path]:
    return lay_out(tmp_path_factory.mktemp("laid"))


@pytest.fixture(scope="module")
def printed(laid_out) -> dict[str, bytes]:
    """Documents of every block, in both languages."""
    return {
        lang: pdf(document(every_block(SENTENCE[lang], lang), lang), *laid_out, "document.json")
        for lang in LANGUAGES
    }


@pytest.fixture
def set_of(laid_out):
    """Sets blocks as a document."""
    return lambda all_blocks, lang="en": pdf(document(all_blocks, lang), *laid_out, "document.json")


def pages_of(content: bytes) -> list[tuple[float, list[tuple[float, ...]]]]:
    """Width of each page, and its words: left, top, right, bottom, text."""
    boxes = run_poppler("pdftotext", content, "-bbox")
    return [
        (
            float(re.match(r'[^>]*width="([\d.]+)"', page)[1]),
            [(*map(float, found[:4]), found[4]) for found in WORD.findall(page)],
        )
        for page in boxes.split("<page ")[1:]
    ]


def stands_in(piece: str, text: str) -> bool:
    """Whether ``piece`` is in ``text``, whole or as two parts: a page may end between them."""
    if piece in text:
        return True
    cut = bisect.bisect_left(range(1, len(piece)), True, key=lambda end: piece[:end] not in text)
    return cut > 0 and piece[cut:] in text


def prose(lines: int) -> Block:
    return blocks.paragraph([plain(LONG["en"] * lines)])


@POPPLER
@pytest.mark.parametrize("lang", LANGUAGES)
def test_all_text_is_on_paper_and_none_of_it_is_markup(laid_out, lang: str):
    said = document(every_block(HOSTILE[lang], lang), lang, HOSTILE[lang])
    places = told_apart(said, HOSTILE[lang])
    content = pdf(said, *laid_out, "document.json")
    there = squeezed(text_of(content) + run_poppler("pdftotext", content))
    spoken = {one["alt"] for one in said["blocks"] if "alt" in one}
    written = [squeezed(drawable(one)) for one in places if one not in spoken]
    lost = [one for one in written if not stands_in(one, there)]
    assert len(places) > 150 and lost == []


@POPPLER
@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_is_a_tagged_pdf_of_a4_with_its_title(printed, lang: str):
    about = run_poppler("pdfinfo", printed[lang])
    assert re.search(r"Title:\s+A title\n", about) and re.search(r"Tagged:\s+yes", about)
    assert "(A4)" in about and "CreationDate" not in about
    said = {"en": rb"en-GB", "zh": rb"zh-CN"}[lang]
    assert re.search(rb"/Lang ?\(" + said + rb"\)", printed[lang])


def test_figures_pictures_and_equations_are_spoken(laid_out):
    said = document(every_block("Some words", "en"))
    for number, block in enumerate(one for one in said["blocks"] if "alt" in one):
        block["alt"] = f"spoken {number}"
    content = pdf(said, *laid_out, "document.json")
    alts = {one.decode("latin-1") for one in re.findall(rb"/Alt ?\(([^)]*)\)", content)}
    assert {
        "spoken 0",
        "spoken 1",
        "r_q <= K",
        "rank 1",
        "rank 2, right answer",
        "Some words",
    } <= alts


def test_the_same_document_gives_the_same_bytes(printed, laid_out, tmp_path: Path):
    source, target = tmp_path / "document.en.json", tmp_path / "report.en.pdf"
    write_json(source, document(every_block(SENTENCE["en"], "en")))
    files = {"document": str(source), "drawn": laid_out[0][::-1], "images": str(laid_out[1])}
    paper_module.main(
        SimpleNamespace(input=SimpleNamespace(**files), output=SimpleNamespace(pdf=str(target)))
    )
    assert target.read_bytes() == printed["en"]


def test_references_are_links_and_headings_are_bookmarks(set_of):
    content = set_of(
        [
            blocks.heading(1, "here", words("Found here")),
            blocks.paragraph([{"kind": "ref", "text": "sec_here"}, {"kind": "cite", "text": "a"}]),
            blocks.references(
                [
                    {
                        "id": "ref_a",
                        "number": "",
                        "spans": words("A"),
                        "url": "https://doi.org/10.1/a",
                    }
                ]
            ),
        ]
    )
    # and one in the contents
    assert len(re.findall(rb"/Subtype ?/Link", content)) == 4
    assert b"https://doi.org/10.1/a" in content
    assert re.search(rb"/Title ?\(1? ?Found here\)", content)


@POPPLER
def test_the_contents_give_the_page_of_each_heading(set_of):
    parts = [
        one
        for name in ("first", "second", "third")
        for one in (blocks.heading(1, name, words(f"The {name}")), *[prose(9)] * 9)
    ]
    content = set_of(parts)
    contents, *_ = run_poppler("pdftotext", content, "-raw").split("\f")
    for number, name in enumerate(("first", "second", "third"), start=1):
        page = int(re.search(rf"{number} The {name}[ .]+(\d+)", contents)[1])
        shown = run_poppler("pdftotext", content, "-f", str(page), "-l", str(page))
        assert f"The {name}" in shown


# figures alone float


@POPPLER
def test_figures_and_tables_stand_where_they_are_spoken_of(set_of):
    told = []
    for number in range(5):
        told += [
            blocks.heading(2, f"part-{number}", words(f"Head{number}")),
            prose(number * 4 + 2),
            blocks.figure(f"fig_{number}", words(f"Drawn{number}"), "x", "figures/one.en.svg", []),
            blocks.paragraph(words(f"Between{number}")),
            table(f"tab_{number}", f"Table{number}", 3, 6),
        ]
    content = set_of([blocks.heading(1, "top", words("Top")), *told])
    text = text_of(content).split("Top")[-1]
    marks = re.findall(r"(Head\d|Between\d|Table \d)", text)
    assert marks == [one for n in range(5) for one in (f"Head{n}", f"Between{n}", f"Table {n + 1}")]
    # a figure stands on the page of its sentence, or on the next
    pages = text_of(content).split("\f")
    on = {one: n for n, page in enumerate(pages) for one in re.findall(r"Head\d|Drawn\d", page)}
    assert all(0 <= on[f"Drawn{n}"] - on[f"Head{n}"] <= 1 for n in range(5))
    drawn = [on[f"Drawn{n}"] for n in range(5)]
    assert drawn == sorted(drawn)


@POPPLER
@pytest.mark.parametrize("lines", range(14, 30, 3))
@pytest.mark.parametrize("more", [12, 0])
def test_no_page_is_left_blank_before_a_figure(set_of, more: int, lines: int):
    drawing = blocks.figure("fig_a", words("Drawn"), "x", "figures/square.en.svg", [])
    after = [blocks.paragraph([plain(f"After{n} {LONG['en'] * 3}")]) for n in range(more)]
    head = [blocks.heading(1, "a", words("First")), *[prose(1)] * lines, drawing, *after]
    # where its own section has no more text, that of the next goes before it
    content = set_of([*head, blocks.heading(1, "b", words("Second")), *[prose(1)] * 36])
    pages = [found for _, found in pages_of(content)]
    ends = [max(bottom for _, _, _, bottom, _ in found[:-3]) for found in pages[:-1]]
    assert len(pages) > 2 and min(ends) > 0.85 * 842
    text = text_of(content)
    assert [n for n in range(more) if text.count(f"After{n} ") != 1] == []


@POPPLER
@pytest.mark.parametrize("lines", range(30, 50, 4))
def test_headings_and_captions_stay_with_what_follows(set_of, lines: int):
    content = set_of(
        [
            *(blocks.paragraph(words(f"line {one}")) for one in range(lines)),
            blocks.heading(1, "head", words("Heading")),
            blocks.paragraph(words("Spoken of"), small=True),
            table("tab_a", "Name", 3, 20),
        ]
    )
    for page in text_of(content).split("\f"):
        assert bool(re.search("^1 Heading$", page, re.M)) == ("Spoken of" in page)
        assert ("Spoken of" in page) == ("Table 1" in page)
        assert "Table 1" not in page or page.count("51.4") >= 2


# tables


@POPPLER
@pytest.mark.parametrize(
    ("columns", "rows", "turned", "parts"),
    [(4, 3, 0, 1), (17, 3, 0, 2), (15, 8, 1, 1), (40, 3, 1, 3)],
)
def test_a_wide_table_is_turned_or_split_and_no_cell_is_lost(set_of, columns, rows, turned, parts):
    wide = table("tab_wide", "A name", columns, rows)
    numbers = [f"{row:02}.{place:03}" for row in range(2 * rows) for place in range(1, columns)]
    cells = iter(numbers)
    for group in wide["groups"]:
        group["rows"] = [
            [row[0], *([plain(next(cells)), one[1]] for one in row[1:])] for row in group["rows"]
        ]
    pages = pages_of(set_of([prose(2), wide, prose(2)]))
    assert any(width > 600 for width, _ in pages) == bool(turned)
    assert pages[0][0] < 600 and pages[-1][0] < 600
    for width, found in pages:
        assert all(left >= MARGIN - 3 for left, *_ in found)
        assert all(right <= width - MARGIN + 6 for _, _, right, *_ in found)
        assert all(bottom - top > 7 for _, top, _, bottom, text in found if "R@" in text)
    text = " ".join(one[-1] for _, found in pages for one in found)
    assert [one for one in numbers if text.count(one) != 1] == []
    assert [n for n in range(1, columns) if f"R@{n} " not in text] == []
    assert text.count("A name B A name") == parts


@POPPLER
def test_a_long_table_repeats_its_head_and_the_heading_of_its_rows(set_of):
    pages = [one for one in text_of(set_of([table("tab_long", "Row", 3, 70)])).split("\f") if one]
    assert len(pages) > 2
    for page in pages[:-1]:
        assert "R@1 R@2" in page and re.search("Row [AB]", page)


# type


@POPPLER
def test_a_letter_that_no_font_has_shows_as_a_box(set_of):
    said = "before 🫠 after, Ελλάδα, Київ, שלום, 汉字 ✓ −1 ± 2 × 3 ≥ ½"
    text = squeezed(text_of(set_of([blocks.paragraph(words(said))])))
    assert f"before{BOX}after" in text
    assert all(squeezed(word) in text for word in ("Ελλάδα", "Київ", "汉字", "✓", "−1±2×3≥"))


@POPPLER
def test_chinese_is_set_in_chinese_type_and_apart_from_latin(set_of):
    content = set_of([blocks.paragraph(words("两个CLIP模型，共1,000张图像。"))], "zh")
    assert "NotoSansCJKsc" in run_poppler("pdffonts", content)
    # the room between the two writings is wide enough for poppler to see a space
    assert "两个 CLIP 模型，共 1,000 张图像。" in text_of(content)


def test_no_font_of_the_machine_is_used():
    fonts = typst.Fonts(include_system_fonts=False, font_paths=list(folders())).fonts()
    assert {str(Path(one.path).parent) for one in fonts if one.path} <= set(folders())


def test_what_typst_warns_of_is_an_error(set_of, monkeypatch: pytest.MonkeyPatch):
    warning = SimpleNamespace(diagnostic="", message="layout did not converge")
    monkeypatch.setattr(typst, "compile_with_warnings", lambda *_, **__: (b"%PDF", [warning]))
    with pytest.raises(BadInput, match="layout did not converge"):
        set_of([prose(1)])


def test_an_equation_that_typst_does_not_take_is_told(set_of):
    with pytest.raises(BadInput, match="nosuchthing"):
        set_of([blocks.equation("eq_wrong", "nosuchthing", "?")])


@POPPLER
@pytest.mark.parametrize("asked", ["text", "image"])
def test_seven_examples_fit_below_the_title(set_of, asked: str):
    examples = next(one for one in every_block("climb", "en") if one["kind"] == "gallery")
    own = next(one for one in examples["queries"] if one[asked] is not None)
    own["text"] = own["text"] and "two children in red coats play near a wooden fence"
    examples["queries"] = [own] * 7
    assert "Pages:           1\n" in run_poppler("pdfinfo", set_of([examples]))
