"""Formulas of the report on paper: as Typst sets them by hand, spoken, or refused by name."""

from __future__ import annotations

import re

import pytest
import typst
from paper import page_of, squeezed

from scripts.job import BadInput
from scripts.report.html_tree import Element, tree_of
from scripts.report.mathml import formula, spoken
from scripts.report.pdf_fonts import folders
from scripts.report.report_pdf import pdf


def test_a_letter_without_a_glyph_in_a_formula_is_an_error():
    with pytest.raises(BadInput, match="could not be displayed"):
        pdf(page_of("<p><math><mi>🫠</mi></math></p>"))


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
