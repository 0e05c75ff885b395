"""What stands in a page as it stands in a file: code and drawings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.job import BadInput
from scripts.report import page as page_module
from scripts.report.page import highlighted, inline_svg, listing


def test_the_code_shown_is_that_of_the_repository():
    shown = listing("scripts/words/formats.py:percent")
    source = Path(page_module.ROOT / "scripts/words/formats.py").read_text("utf-8")
    plain = re.sub(r"<[^>]+>", "", str(shown["code"])).replace("&#34;", '"').replace("&gt;", ">")
    assert plain in source
    assert source.splitlines()[shown["line"] - 1].startswith("def percent")


def test_code_that_is_not_there_is_told():
    with pytest.raises(BadInput, match="no nothing_like_it"):
        listing("scripts/words/formats.py:nothing_like_it")


def test_code_is_escaped():
    assert highlighted('x = "<b>" # <i>\n') == (
        'x = <span class="s">&#34;&lt;b&gt;&#34;</span> <span class="c"># &lt;i&gt;</span>\n'
    )


def test_a_file_that_is_no_drawing_is_told(tmp_path: Path):
    (tmp_path / "a.svg").write_text("nothing", "utf-8")
    with pytest.raises(BadInput, match="no <svg>"):
        inline_svg(tmp_path / "a.svg", "label")


def test_drawings_take_the_colours_of_the_page_and_share_no_ids(pages):
    html = pages["en"]
    assert "fill: var(--ink)" in html
    assert "#1c2430" not in html.split("</style>", 1)[1].lower()
