"""The report on paper: nothing lost, nothing taken for markup, nothing without a glyph."""

from __future__ import annotations

import bisect
import re
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import typst
from fake_captions import ODD
from fake_run import LANGUAGES
from paper import POPPLER, page_of, run_poppler, squeezed, text_of
from PIL import Image

from scripts.figures.style import jpeg
from scripts.job import BadInput
from scripts.letters import BOX
from scripts.report import report_pdf
from scripts.report.html_tree import Element, tree_of
from scripts.report.pdf_fonts import drawable, folders
from scripts.report.report_pdf import pdf
from scripts.report.typst_markup import document
from scripts.report.typst_text import LEFT_OUT, left_out

MARGINS = (56.7, 595.3 - 56.7)  # points: 20 mm at each side of A4
HOSTILE = [
    "#sys.version",
    "#{panic()} #panic()",
    "$x_1$ and $$",
    "*b* _i_ `code` ```raw```",
    "@label <label> #label",
    "\\ \\u{41} \\\\ \\n",
    "unbalanced ] [ ( { } ) ]]",
    '"quoted" \'single\' "); #panic("',
    "= no heading",
    "- no list + no list / no: term",
    "// no comment /* no comment */",
    "http://example.org/#a a -- b --- c ... ~ d",
    "#import #include #let x = 1; #x",
    "<script>alert(1)</script> &amp; <b>bold</b>",
    "一只狗（在“雪地”里）#let 奔跑，$金$",
]


def escaped(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text


def texts(node: Element) -> list[str]:
    """What a reader of the page sees, piece by piece, without drawings and formulas."""
    if left_out(node) or node.tag in ("svg", "math"):
        return []
    return [
        piece
        for child in node.children
        for piece in ([child] if isinstance(child, str) else texts(child))
    ]


def stands_in(piece: str, text: str) -> bool:
    """Whether ``piece`` is in ``text``, whole or as two parts: a page may end between them."""
    if piece in text:
        return True
    cut = bisect.bisect_left(range(1, len(piece)), True, key=lambda end: piece[:end] not in text)
    return cut > 0 and piece[cut:] in text


@pytest.fixture(scope="module")
def printed(pages) -> dict[str, bytes]:
    return {lang: pdf(page) for lang, page in pages.items()}


# the whole report


@POPPLER
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_text_of_the_page_is_on_paper(pages, printed, lang: str):
    there = squeezed(text_of(printed[lang]) + run_poppler("pdftotext", printed[lang]))
    body = tree_of(pages[lang]).all("body")[0]
    pieces = [squeezed(drawable(one)) for one in texts(body)]
    assert len([one for one in pieces if one]) > 500
    lost = [one for one in pieces if one and not stands_in(one, there)]
    assert lost == []
    assert any("\u4e00" <= one <= "\u9fff" for one in there) == (lang == "zh")


@POPPLER
@pytest.mark.parametrize("lang", LANGUAGES)
def test_letters_are_as_many_on_paper_as_on_the_page(pages, printed, lang: str):
    # a word that stands twice on the page and once on paper is seen here
    body = tree_of(pages[lang]).all("body")[0]
    page = squeezed(drawable("".join(texts(body))))
    colophon = body.all("footer")[-1].text
    assert squeezed(colophon) in squeezed(run_poppler("pdftotext", printed[lang]))
    paper = squeezed(text_of(printed[lang]) + colophon)
    short = {one for one in set(page) if paper.count(one) < page.count(one)}
    assert short == set()


@POPPLER
@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_is_a_tagged_pdf_of_a4_with_its_title(pages, printed, lang: str):
    about = run_poppler("pdfinfo", printed[lang])
    title = re.search(r"<title>(.*?)</title>", pages[lang])[1]
    assert re.search(rf"Title:\s+{re.escape(title)}\n", about)
    assert re.search(r"Tagged:\s+yes", about)
    assert "(A4)" in about
    assert "CreationDate" not in about
    said = {"en": rb"en-GB", "zh": rb"zh-CN"}[lang]
    assert re.search(rb"/Lang ?\(" + said + rb"\)", printed[lang])
    assert 10 < int(re.search(r"Pages:\s+(\d+)", about)[1]) < 60


def test_it_is_small(printed):
    for content in printed.values():
        assert 100_000 < len(content) < 4_000_000


def test_the_same_page_gives_the_same_bytes(pages, printed):
    for lang, content in printed.items():
        assert pdf(pages[lang], "elsewhere/report.html") == content


@POPPLER
@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_table_of_contents_gives_the_page_of_each_heading(pages, printed, lang: str):
    places = {
        name: int(page)
        for page, name in re.findall(
            r'^ *(\d+) \[.*\] "(.+)"$', run_poppler("pdfinfo", printed[lang], "-dests"), re.M
        )
    }
    contents = squeezed(text_of(printed[lang], "-l", "2"))
    body = tree_of(pages[lang]).all("body")[0]
    headings = [one for level in ("h2", "h3") for one in body.all(level) if one.all("span", "n")]
    assert len(headings) > 20
    for heading in headings:
        page = places[heading.attrs["id"]]
        assert re.search(re.escape(squeezed(heading.text)) + rf"[.]+{page}", contents)
        assert squeezed(heading.text) in squeezed(
            text_of(printed[lang], "-f", str(page), "-l", str(page))
        )


def test_every_section_is_a_bookmark(pages, printed):
    for lang, content in printed.items():
        body = tree_of(pages[lang]).all("body")[0]
        titles = re.findall(rb"/Title ?<FEFF([0-9A-F]+)>", content)
        bookmarks = {squeezed(bytes.fromhex(one.decode()).decode("utf-16-be")) for one in titles}
        bookmarks |= {
            squeezed(one.decode()) for one in re.findall(rb"/Title ?\(([^)]*)\)", content)
        }
        for heading in (*body.all("h2"), *body.all("h3")):
            assert squeezed(heading.text) in bookmarks


def test_links_of_the_page_are_links_on_paper(pages, printed):
    for lang, content in printed.items():
        body = tree_of(pages[lang]).all("body")[0]
        links = [one for one in body.all("a") if not left_out(one)]
        assert len(links) > 20
        assert len(re.findall(rb"/Subtype ?/Link", content)) >= len(links)


@POPPLER
@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_word_runs_over_the_margin(printed, lang: str):
    boxes = run_poppler("pdftotext", printed[lang], "-bbox")
    words = re.findall(r'<word xMin="([\d.-]+)" yMin="[\d.-]+" xMax="([\d.-]+)"', boxes)
    assert len(words) > 2000
    slack = 6  # points: punctuation hangs in the margin
    assert all(float(left) >= MARGINS[0] - slack for left, _ in words)
    assert all(float(right) <= MARGINS[1] + slack for _, right in words)


@POPPLER
@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_heading_ends_a_page(pages, printed, lang: str):
    body = tree_of(pages[lang]).all("body")[0]
    headings = {squeezed(one.text) for level in ("h2", "h3", "h4") for one in body.all(level)}
    for page in text_of(printed[lang]).split("\f"):
        last = [squeezed(line) for line in page.splitlines() if line.strip()][-1:]
        assert not headings.intersection(last)


def test_every_picture_is_there_once_and_in_the_colours_of_paper(pages):
    for page in pages.values():
        made = document(page)
        body = tree_of(page).all("body")[0]
        sources = {one.attrs["src"] for one in body.all("img")}
        drawings = {one.source for one in body.all("svg")}
        names = {name for name in made.files if name != "colours.typ"}
        assert len(names) == len(sources) + len(drawings)
        assert all(f'"{name}"' in made.markup for name in names)
        for name in names:
            if name.endswith(".svg"):
                assert b"var(" not in made.files[name]
                assert b"#1c2430" in made.files[name]


def test_drawings_are_whole_whatever_ends_a_line_before_them(fake_run, pages):
    files = [fake_run.results / f"report.{lang}.html" for lang in LANGUAGES]
    held = "".join(file.read_bytes().decode() for file in files)
    assert [repr(one) for one in ODD if f"a{one}" not in held] == []
    for page in pages.values():
        drawings = [one.source for one in tree_of(page).all("svg")]
        assert len(drawings) > 10
        for source in drawings:
            assert source.startswith("<svg") and source.count("<svg") == 1
            ElementTree.fromstring(source)


@POPPLER
@pytest.mark.parametrize("odd", [*ODD, "\r\n", "\x1f", "\0", "\x7f", "\x9f"], ids=repr)
def test_text_around_an_odd_character_is_on_paper_and_the_drawings_after_it(odd: str):
    drawing = '<svg viewBox="0 0 4 4"><path d="M{} 0V4" stroke="#1c2430"/></svg>'
    first, second = drawing.format(1), drawing.format(2)
    page = page_of(f"<p>a{odd}dog</p>{first}<table><tr><td>a{odd}cat</td></tr></table>{second}")
    assert [one.source for one in tree_of(page).all("svg")] == [first, second]
    # what ends a line parts words; what does nothing is not there
    between = " " if odd.isspace() else "".join(one for one in odd if one.isprintable())
    assert text_of(pdf(page)).split() == f"a{between}dog a{between}cat".split()


def test_the_rules_script_writes_what_the_page_says(pages, tmp_path: Path, printed):
    source, target = tmp_path / "report.zh.html", tmp_path / "report.zh.pdf"
    source.write_text(pages["zh"], "utf-8")
    report_pdf.main(
        SimpleNamespace(
            input=SimpleNamespace(html=str(source)), output=SimpleNamespace(pdf=str(target))
        )
    )
    assert target.read_bytes() == printed["zh"]


# text and no code


@POPPLER
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_out_as_it_is(text: str):
    shown = escaped(text)
    page = page_of(
        f'<h2 id="a"><span class="n">1</span>{shown}</h2><p>{shown}</p><ul><li>{shown}</li></ul>'
        f"<p><strong>{shown}</strong>{shown}<code>{shown}</code></p><pre><code>{shown}</code></pre>"
        f'<table><thead><tr><th>{shown}</th></tr></thead><tbody><tr><td class="r">{shown}</td></tr>'
        f'</tbody></table><article class="query failure"><header><span class="chip">F</span>'
        f'<q>{shown}</q></header><ol class="texts"><li><span class="place">1</span><span>{shown}'
        f"</span></li></ol></article><p><a href='#a'>{shown}</a></p>"
    )
    assert squeezed(text_of(pdf(page))).count(squeezed(text)) == 12


def test_every_text_is_a_string_of_typst():
    made = document(page_of(f"<p>{escaped(' '.join(HOSTILE))}</p>"))
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', '""', made.markup.split("\n\n", 1)[1])
    assert re.fullmatch(r'#par\[(?:#"";|#brk;)+\]\s*', outside)


def test_a_picture_text_may_hold_anything():
    picture = jpeg(Image.new("RGB", (8, 8), "red"))
    page = page_of("".join(f'<p><img src="{picture}" alt="{escaped(one)}"></p>' for one in HOSTILE))
    assert pdf(page).startswith(b"%PDF")


# glyphs


@POPPLER
def test_a_letter_that_no_font_has_shows_as_a_box():
    text = text_of(
        pdf(page_of("<p>before 🫠 after, Ελλάδα, Київ, שלום, 汉字 ✓ −1 ± 2 × 3 ≥ ½</p>"))
    )
    assert f"before{BOX}after" in squeezed(text)
    for word in ("Ελλάδα", "Київ", "汉字", "✓", "−1±2×3≥"):
        assert squeezed(word) in squeezed(text)


def test_a_warning_of_typst_is_an_error(monkeypatch: pytest.MonkeyPatch):
    warning = SimpleNamespace(diagnostic="", message="layout did not converge")
    monkeypatch.setattr(typst, "compile_with_warnings", lambda *_, **__: (b"%PDF", [warning]))
    with pytest.raises(BadInput, match="layout did not converge"):
        pdf(page_of("<p>text</p>"))


def test_no_font_of_the_machine_is_used():
    fonts = typst.Fonts(include_system_fonts=False, font_paths=list(folders())).fonts()
    places = {str(Path(one.path).parent) for one in fonts if one.path}
    assert places <= set(folders())
    assert all("site-packages" in one for one in folders())


@POPPLER
def test_chinese_is_set_in_chinese_type_and_apart_from_latin():
    content = pdf(page_of("<p>两个CLIP模型，共1,000张图像。</p>", "zh"))
    assert "NotoSansCJKsc" in run_poppler("pdffonts", content)
    # the room between the two writings is wide enough for poppler to see a space
    assert "两个 CLIP 模型，共 1,000 张图像。" in text_of(content)


# what is refused


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("<p>a <blink>b</blink></p>", "<blink>"),
        ("<video></video>", "<video>"),
        ("<script>1</script>", "<script>"),
        ("<form></form>", "<form>"),
        ('<p><a href="#nowhere">x</a></p>', "#nowhere"),
        ('<p><a href="javascript:x">x</a></p>', "javascript:x"),
        ('<p><img src="http://example.org/a.png" alt=""></p>', "http://example.org/a.png"),
        ('<p><img src="data:image/png;base64,AAAA" alt=""></p>', "data:image/png"),
        ("<ul><p>x</p></ul>", "<p> in a list"),
        ("<table><caption>x</caption></table>", "<caption> in a table"),
        ('<table><tr><td rowspan="2">x</td></tr></table>', "spans rows"),
        ("<pre><b>x</b></pre>", "<b> in a listing"),
        ('<div class="equation">why<math><mi>x</mi></math></div>', "beside the formulas"),
        ('<div class="bars"><div class="bar"><i class="c1"></i></div></div>', "style"),
        ("<p>never closed", "</body>"),
        ("<p>a</b></p>", "</b>"),
    ],
)
def test_what_paper_cannot_show_is_refused_by_name(body: str, named: str):
    with pytest.raises(BadInput) as error:
        document(page_of(body), "report.en.html")
    assert named in str(error.value)
    assert re.match(r"report\.en\.html, line \d+\n", str(error.value))


def test_a_colour_that_the_style_sheet_lacks_is_told():
    page = page_of(
        '<div class="bars"><div class="bar"><i class="x" style="flex:1"></i></div></div>'
    )
    with pytest.raises(BadInput, match=r"no background of \.x"):
        document(page)


def test_what_is_left_out_has_a_reason_and_nothing_else_is_left_out(pages):
    assert all(len(reason) > 10 for reason in LEFT_OUT.values())
    for page in pages.values():
        body = tree_of(page).all("body")[0]
        gone = {(one.tag, *one.classes) for one in body.walk() if left_out(one)}
        assert gone == {("a", "skip"), ("nav",), ("span", "lead")}


@POPPLER
def test_text_goes_on_where_a_drawing_does_not_fit():
    drawing = (
        '<svg viewBox="0 0 100 100" role="img" aria-label="x"><path d="M0 0H100V100H0z"/></svg>'
    )
    page = page_of(
        "<p>" + "before<br>" * 25 + f"</p><figure>{drawing}<figcaption><b>Figure 1</b>Square."
        "</figcaption></figure><p>" + "after<br>" * 30 + "</p>"
    )
    first, second, *_ = text_of(pdf(page)).split("\f")
    assert "Square" in second and "Square" not in first
    assert first.count("before") == 25 and first.count("after") > 10


@POPPLER
@pytest.mark.parametrize("by_text", [True, False])
def test_nine_examples_take_one_page(by_text: bool):
    shown = jpeg(Image.new("RGB", (60, 40), "teal"), 80)
    picture = f'<img src="{shown}" alt="x">'
    found = (
        '<ol class="found" style="--k:6">' + f"<li>{picture}<div><b>1</b></div></li>" * 6 + "</ol>"
    )
    answer = '<li><span class="place">1</span><span>{}</span><span class="score">0.5</span></li>'
    texts = answer.format("a brown dog runs over the grass behind a red ball") * 6
    answers = f'<div class="asked">{picture}<ol class="texts">{texts}</ol></div>'
    query = "<q>two children in red coats play in the snow near a wooden fence</q>" * by_text
    block = (
        '<article class="query success"><header><span class="chip">Success</span>'
        f'{query}<span class="where">rank 1</span></header>'
        f"{found if by_text else answers}</article>"
    )
    page = page_of(f'<div class="gallery">{block * 9}</div>')
    assert run_poppler("pdfinfo", pdf(page)).split("Pages:")[1].split()[0] == "1"


@POPPLER
def test_eight_examples_with_words_that_differ_take_one_page():
    shown = jpeg(Image.new("RGB", (60, 60), "teal"), 80)
    words = ", ".join(f"<mark>{word}</mark>" for word in ("climb", "rocks", "helmet"))
    item = (
        f'<li><img src="{shown}" alt="x"><div><b>1</b><span>0.512</span></div>'
        f'<p class="unsaid"><span class="lead">not said: </span>{words}…</p></li>'
    )
    block = (
        '<article class="query failure"><header><span class="chip">Failure</span>'
        '<q>two children in red coats play in the snow</q><span class="where">rank 12</span>'
        f'</header><ol class="found" style="--k:6">{item * 6}</ol></article>'
    )
    content = pdf(page_of(f'<div class="gallery">{block * 8}</div>'))
    assert run_poppler("pdfinfo", content).split("Pages:")[1].split()[0] == "1"
    text = squeezed(text_of(content))
    assert text.count(squeezed("climb,rocks,helmet…")) == 48
    assert "notsaid" not in text
