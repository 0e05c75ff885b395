"""Columns of a table on paper: wide enough for their words, as long as there is a page for them."""

from __future__ import annotations

import itertools

import pytest

from scripts.report.pdf_columns import LANDSCAPE, PORTRAIT, SIZES, Cell, Words, layout
from scripts.report.pdf_fonts import width


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
