"""Tables on paper: whole, readable, and parted where a reader can bear it."""

from __future__ import annotations

import re

import pytest
from fake_run import LANGUAGES
from paper import POPPLER, page_of, run_poppler, squeezed, text_of

from scripts.letters import BREAK
from scripts.report.report_pdf import pdf


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
