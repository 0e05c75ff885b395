"""A caption is what a reader sees of it."""

import pytest

from scripts.data.audit import Findings
from scripts.data.caption_files import usable


@pytest.mark.parametrize(
    "odd", [*"\u2028\u2029\x85\v\f\x1c\x1d\x1e\r\t", "\x1b\x07", "\r\n \u2028"]
)
def test_what_no_reader_sees_within_a_caption_becomes_a_space(odd):
    findings = Findings()
    told = usable("1.jpg", [f"{odd}a dog{odd}runs{odd}", "a cat"], findings)
    assert told == ["a dog runs", "a cat"]
    assert findings.spaced == ["1.jpg: caption 0"]


@pytest.mark.parametrize(
    "blank", ["\u200b", "\ufeff\u2060 \xad", "\u3164", "\u2800\u2003", "\ufffe\ue000"]
)
def test_a_caption_in_which_nothing_shows_is_empty(blank):
    findings = Findings()
    assert usable("1.jpg", [blank, f"a{blank}"], findings) == [f"a{blank}".strip()]
    assert findings.aside == [("1.jpg", "empty caption", "caption 0")]
