"""The report on paper: nothing lost, nothing taken for markup, nothing without a glyph."""

from __future__ import annotations

import bisect
import itertools
import re
import shutil
import subprocess
import tempfile
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import typst
from fake_run import LANGUAGES, ODD
from PIL import Image

from scripts.job import BadInput
from scripts.letters import BOX, BREAK
from scripts.report import report_pdf
from scripts.report.html_tree import Element, tree_of
from scripts.report.mathml import formula, spoken
from scripts.report.page import FOLDER
from scripts.report.pdf_columns import LANDSCAPE, PORTRAIT, SIZES, Cell, Words, layout
from scripts.report.pdf_fonts import drawable, folders, width
from scripts.report.report_pdf import pdf
from scripts.report.style import jpeg
from scripts.report.typst_markup import document
from scripts.report.typst_text import LEFT_OUT, left_out

POPPLER = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="pdftotext of poppler is not installed"
)
CSS = (FOLDER / "report.css").read_text("utf-8")
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


def page_of(body: str, lang: str = "en") -> str:
    """A page of the least that a report has."""
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>A title</title>'
        f"<style>{CSS}</style></head><body>{body}</body></html>"
    )


def escaped(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text


def squeezed(text: str) -> str:
    """``text`` by its characters alone: no spaces, one form of each letter."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFC", text))
    return "".join(one for one in text if not one.isspace() and one not in (BREAK, "\f"))


def run_poppler(tool: str, content: bytes, *options: str) -> str:
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        Path(file.name).write_bytes(content)
        command = [tool, *options, file.name] + (["-"] if tool == "pdftotext" else [])
        return subprocess.run(command, capture_output=True, check=True).stdout.decode()


def text_of(content: bytes, *options: str) -> str:
    """Text of a PDF between its head and foot lines, in the order in which it was set."""
    body = ("-x", "0", "-y", "52", "-W", "596", "-H", "740")
    return run_poppler("pdftotext", content, "-raw", *body, *options)


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
    contents = squeezed(text_of(printed[lang], "-l", "1"))
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


def test_a_letter_without_a_glyph_in_a_formula_is_an_error():
    with pytest.raises(BadInput, match="could not be displayed"):
        pdf(page_of("<p><math><mi>🫠</mi></math></p>"))


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


# formulas


def rendered(markup: str) -> bytes:
    head = '#set page(width: 12cm, height: 4cm)\n#set text(font: "New Computer Modern Math")\n'
    fonts = typst.Fonts(include_system_fonts=False, font_paths=list(folders()))
    return typst.compile((head + markup).encode(), format="png", ppi=72, font_paths=fonts)


def parsed(mathml: str) -> Element:
    return tree_of(f'<math display="block">{mathml}</math>').elements[0]


FORMULAS = {
    "<mi>x</mi>": "x",
    '<mi mathvariant="normal">x</mi>': "upright(x)",
    '<mi mathvariant="bold">x</mi>': "bold(x)",
    '<mi mathvariant="double-struck">R</mi>': "bb(R)",
    "<mi>cos</mi><mo>&#8289;</mo><mi>x</mi>": "cos x",
    "<mn>12</mn><mo>+</mo><mn>3.5</mn>": "12 + 3.5",
    "<mo>−</mo><mi>x</mi><mo>≤</mo><mi>y</mi>": "-x <= y",
    "<mrow><mi>x</mi><mi>y</mi></mrow>": "x y",
    "<mstyle><mi>x</mi></mstyle>": "x",
    "<mfrac><mn>1</mn><mrow><mn>2</mn><mi>N</mi></mrow></mfrac>": "1/(2 N)",
    '<mrow><mo>(</mo><mfrac linethickness="0"><mi>G</mi><mi>K</mi></mfrac><mo>)</mo></mrow>': (
        "lr(( mat(delim: #none, G; K) ))"
    ),
    "<msub><mi>r</mi><mi>q</mi></msub>": "r_q",
    "<msup><mi>e</mi><mi>x</mi></msup>": "e^x",
    "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>": "x_i^2",
    "<munder><mi>min</mi><mi>a</mi></munder>": "limits(min)_a",
    "<mover><mi>x</mi><mi>n</mi></mover>": "limits(x)^n",
    "<mover><mi>v</mi><mo>¯</mo></mover>": "macron(v)",
    "<mover><mi>v</mi><mo>^</mo></mover>": "hat(v)",
    "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>N</mi></munderover>": (
        "sum_(i=1)^N"
    ),
    "<msqrt><mi>x</mi><mo>+</mo><mi>y</mi></msqrt>": "sqrt(x + y)",
    "<mroot><mi>x</mi><mn>3</mn></mroot>": "root(3, x)",
    "<mtext>Recall@</mtext><mi>K</mi>": '"Recall@"K',
    '<mi>x</mi><mspace width="2em"/><mi>y</mi>': "x #h(2em) y",
    "<mtable><mtr><mtd><mi>a</mi></mtd><mtd><mi>b</mi></mtd></mtr>"
    "<mtr><mtd><mi>c</mi></mtd><mtd><mi>d</mi></mtd></mtr></mtable>": (
        "mat(delim: #none, a, b; c, d)"
    ),
    "<mrow><mo>[</mo><mfrac><mi>a</mi><mi>b</mi></mfrac><mo>]</mo></mrow>": "lr([ a/b ])",
    '<mo stretchy="false">(</mo><mfrac><mi>a</mi><mi>b</mi></mfrac><mo stretchy="false">)</mo>': (
        "\\( a/b \\)"
    ),
    "<mrow><mo>|</mo><mfrac><mi>a</mi><mi>b</mi></mfrac><mo>|</mo></mrow>": "lr(| a/b |)",
    "<mo>(</mo><mi>a</mi><mo>(</mo><mi>b</mi><mo>)</mo><mo>)</mo>": "lr((a lr((b))))",
    # formulas of the report
    "<msub><mrow><mo stretchy='false'>‖</mo><mi>v</mi><mo stretchy='false'>‖</mo></mrow>"
    "<mn>2</mn></msub>": "norm(v)_2",
    "<mn>𝟏</mn><mo stretchy='false'>[</mo><msub><mi>r</mi><mi>q</mi></msub><mo>≤</mo><mi>K</mi>"
    "<mo stretchy='false'>]</mo>": 'bold(upright("1")) \\[ r_q <= K \\]',
}


@pytest.mark.parametrize("mathml", FORMULAS)
def test_a_formula_looks_as_the_one_that_typst_is_told_by_hand(mathml: str):
    ours = rendered(f"#{formula(parsed(mathml))}")
    assert ours == rendered(f"$ {FORMULAS[mathml]} $")
    assert ours != rendered("$ $")


def test_every_formula_of_the_report_is_set_and_spoken(pages):
    for page in pages.values():
        formulas = tree_of(page).all("math")
        assert len(formulas) >= 8
        for one in formulas:
            code = formula(one)
            rendered(f'#set text(font: ("New Computer Modern Math", "Noto Sans CJK SC"))\n#{code}')
            letters = squeezed(re.sub(r"[\u2061-\u2064]", "", one.text))
            assert set(letters) <= set(squeezed(spoken(one)))
            strings = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', code.split("alt:", 1)[1]))
            assert all(squeezed(strings).count(each) >= 1 for each in letters)


@pytest.mark.parametrize(
    ("mathml", "named"),
    [
        ("<menclose><mi>x</mi></menclose>", "<menclose>"),
        ("<mfenced><mi>x</mi></mfenced>", "<mfenced>"),
        ("<mmultiscripts><mi>x</mi></mmultiscripts>", "<mmultiscripts>"),
        ("<mrow><mphantom><mi>x</mi></mphantom></mrow>", "<mphantom>"),
        ("<msub><mi>x</mi></msub>", "<msub> of 1 parts"),
        ("<mfrac><mi>x</mi><mi>y</mi><mi>z</mi></mfrac>", "<mfrac> of 3 parts"),
        ("<mrow>x</mrow>", "text directly in <mrow>"),
        ('<mi mathvariant="wavy">x</mi>', "mathvariant 'wavy'"),
        ('<mi mathcolor="red">x</mi>', "mathcolor at <mi>"),
        ('<mfrac linethickness="3"><mi>x</mi><mi>y</mi></mfrac>', "linethickness '3'"),
        ('<mspace width="1cm"/>', "width '1cm'"),
        ("<mtable><mi>x</mi></mtable>", "anything but <mtr>"),
    ],
)
def test_a_formula_that_is_not_known_is_refused_by_name(mathml: str, named: str):
    with pytest.raises(BadInput) as error:
        formula(parsed(mathml))
    assert named in str(error.value)


def test_a_formula_is_spoken_on_one_line():
    mathml = (
        "<mi>x</mi><mo>=</mo><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac>"
        "<msubsup><mi>y</mi><mi>i</mi><mn>10</mn></msubsup><msqrt><mi>z</mi></msqrt>"
    )
    assert spoken(parsed(mathml)) == "x = (a + b)/2 y_i^(10) √(z)"


# tables


def cell(text: str, whole: bool = False, span: int = 1) -> Cell:
    return Cell(((Words(text),),), whole, span)


def test_columns_fill_the_page_and_hold_their_longest_word():
    rows = [
        [cell("a model of a long name " * 6), cell("1,000", whole=True), cell("short")],
        [cell("b"), cell("12.5% [10.1, 14.9]", whole=True), cell("incomprehensibilities")],
    ]
    plan = layout(rows)
    assert plan.size == SIZES[0] and not plan.landscape
    assert sum(plan.widths) == pytest.approx(PORTRAIT)
    assert plan.widths[1] >= width("12.5% [10.1, 14.9]") * plan.size
    assert plan.widths[2] >= width("incomprehensibilities") * plan.size


@pytest.mark.parametrize(("columns", "landscape"), [(8, False), (11, False), (15, True)])
def test_more_columns_make_letters_smaller_and_then_turn_the_page(columns: int, landscape: bool):
    plan = layout([[cell("1,234.56", whole=True)] * columns])
    assert plan.landscape == landscape
    assert not plan.broken
    assert sum(plan.widths) == pytest.approx(LANDSCAPE if landscape else PORTRAIT)
    assert all(one >= width("1,234.56") * plan.size for one in plan.widths)


def test_letters_are_never_larger_where_there_is_more_to_hold():
    sizes = [layout([[cell("1,234.5", whole=True)] * count]) for count in range(1, 13)]
    assert all(
        one.landscape < two.landscape or one.size >= two.size
        for one, two in itertools.pairwise(sizes)
    )


def test_a_table_for_no_page_gives_up_its_widest_columns_first():
    plan = layout([[cell("x" * 300, whole=True), cell("ok"), cell("y" * 300, whole=True)]])
    assert plan.broken and plan.landscape
    assert sum(plan.widths) == pytest.approx(LANDSCAPE)
    assert plan.widths[1] >= width("ok") * plan.size
    assert plan.widths[0] == pytest.approx(plan.widths[2])


@POPPLER
def test_a_wide_table_gets_a_page_of_its_own_on_its_side():
    head = "".join(f"<th class='r'>Column {one}</th>" for one in range(16))
    row = "<tr>" + "<td class='r'>1,234.5</td>" * 16 + "</tr>"
    page = page_of(
        "<p>before</p><figure class='table'><figcaption><b>Table 1</b>Wide.</figcaption>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{row * 60}</tbody></table></figure>"
        "<p>after</p>"
    )
    content = pdf(page)
    sizes = re.findall(
        r"Page +\d+ size: +([\d.]+) x ([\d.]+)",
        run_poppler("pdfinfo", content, "-f", "1", "-l", "9"),
    )
    wide = [float(across) > float(down) for across, down in sizes]
    assert wide[0] is False and wide[-1] is False and sum(wide) >= 2
    text = run_poppler("pdftotext", content, "-raw")
    # the head is repeated over each page of the table
    assert len(re.findall(r"Column\s+15", text)) == sum(wide)
    assert squeezed(text).count("1,234.5") == 16 * 60


@POPPLER
def test_a_group_of_rows_keeps_its_heading_with_it_on_every_page():
    rows = "".join(
        f"<tr class='group'><th scope='rowgroup' colspan='2'>Group {name}</th></tr>"
        + "".join(f"<tr><td>row {name}{one}</td><td class='r'>{one}</td></tr>" for one in range(70))
        for name in "AB"
    )
    page = page_of(
        "<figure class='table'><figcaption><b>Table 1</b>Long.</figcaption><table><thead><tr>"
        f"<th>Name</th><th class='r'>Value</th></tr></thead><tbody>{rows}</tbody></table></figure>"
    )
    pages = [one for one in text_of(pdf(page)).split("\f") if one.strip()]
    assert len(pages) > 2
    for one in pages:
        assert "Name Value" in one
        for name in "AB":
            assert (f"Group {name}" in one) == (f"row {name}" in one)


@POPPLER
@pytest.mark.parametrize("lines", range(34, 56, 2))
def test_the_caption_of_a_long_table_stays_with_its_head(lines: int):
    rows = "".join(f"<tr><td>row {one}</td></tr>" for one in range(90))
    page = page_of(
        "<p>" + "line<br>" * lines + "</p><figure class='table'><figcaption><b>Table 1</b>Long."
        f"</figcaption><table><thead><tr><th>Name</th></tr></thead><tbody>{rows}</tbody></table>"
        "</figure>"
    )
    pages = text_of(pdf(page)).split("\f")
    first = next(one for one in pages if "Table 1" in one)
    assert re.search(r"Table 1 Long\.\s+Name\s+row 0\n", first)


@POPPLER
@pytest.mark.parametrize("lines", range(20, 60, 4))
def test_no_page_holds_only_a_row_or_two_of_a_table(lines: int):
    rows = "".join(f"<tr><td>row {one}</td></tr>" for one in range(40))
    page = page_of(
        "<p>" + "line<br>" * lines + "</p><figure class='table'><figcaption><b>Table 1</b>Long."
        f"</figcaption><table><thead><tr><th>Name</th></tr></thead><tbody>{rows}</tbody></table>"
        "</figure>"
    )
    counts = [len(re.findall(r"row \d+", one)) for one in text_of(pdf(page)).split("\f")]
    assert sum(counts) == 40
    assert all(count == 0 or count >= 3 for count in counts), counts


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
@pytest.mark.parametrize("lang", LANGUAGES)
def test_names_are_not_broken_in_columns(lang: str):
    names = ("inverted-softmax", "clip-vit-base-patch32", "R-Precision", "no clear difference",
             "无明确差别")  # fmt: skip
    number = '<td class="r">12.5<span class="ci">[11.5, 13.5]</span></td>'
    page = page_of(
        "<table><thead><tr><th>Model</th><th>Scorer</th>"
        + f'<th class="r">{names[2]} (%)</th>' * 4
        + "<th>Verdict</th></tr></thead><tbody>"
        + "".join(
            f"<tr><td>{names[1]}</td><td>{names[0]}</td>{number * 4}<td>{verdict}</td></tr>"
            for verdict in names[3:]
        )
        + "</tbody></table>",
        lang,
    )
    lines = run_poppler("pdftotext", pdf(page), "-layout").splitlines()
    found = [sum(line.count(name) for line in lines) for name in names]
    assert found == [2, 2, 4, 1, 1]


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


@POPPLER
def test_a_long_word_is_broken_and_copies_whole():
    digest = "0123456789abcdef" * 8
    page = page_of(
        f"<table><tr><td>{digest}</td><td>{'word ' * 40}</td></tr></table>"
        f"<p><code>{digest * 2}</code></p>"
    )
    text = text_of(pdf(page))
    assert squeezed(text).count(digest) == 3
    assert BREAK not in text


@POPPLER
@pytest.mark.parametrize(("columns", "beside"), [(2, True), (9, False)])
def test_an_interval_stands_beside_its_value_where_there_is_room(columns: int, beside: bool):
    cells = '<td class="r">1.5<span class="ci">[0.5, 2.5]</span></td>' * columns
    wide = '<td class="r">100.5<span class="ci">[99.5, 101.5]</span></td>' * columns
    page = page_of(
        "<p>x</p><table><thead><tr><th>Run</th>"
        + '<th class="r">R@1</th>' * columns
        + f"</tr></thead><tbody><tr><td>a</td>{cells}</tr><tr><td>b</td>{wide}</tr></tbody></table>"
    )
    words = [
        (float(right), round(float(bottom)), text)
        for right, bottom, text in re.findall(
            r'xMax="([\d.]+)" yMax="([\d.]+)">(.*?)</word>',
            run_poppler("pdftotext", pdf(page), "-bbox"),
        )
    ]
    values = [word for word in words if word[2] in ("1.5", "100.5")]
    intervals = [word for word in words if word[2] in ("2.5]", "101.5]")]
    assert len(values) == len(intervals) == 2 * columns
    near = [min(abs(one[1] - two[1]) for two in values) for one in intervals]
    assert all((distance <= 2) == beside for distance in near)
    # numbers of a column end on one line, and so do their intervals
    for part in (values, intervals):
        rights = sorted(right for right, _, _ in part)
        assert rights[::2] == pytest.approx(rights[1::2], abs=0.6)
