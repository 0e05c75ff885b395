"""Text that a careless face of a report would take for markup, or could not show."""

from __future__ import annotations

from fake_captions import ODD

MARKUP = [
    "#sys.version #{panic()} #let x = 1; #x",
    "$x_1$ *b* _i_ `code` @label <label> \\u{41}",
    'unbalanced ] [ ( { } ) ]] "quoted" \'single\' "); #panic("',
    "= no heading - no list // no comment /* http://example.org/#a -- ~ d",
    "<script>alert(1)</script> &amp; <blink>b</blink> </style> <!-- {{ 7 * 7 }} {% raw %} {# c #}",
]
LETTERS = [
    "一只狗（在“雪地”里）#let 奔跑，$金$ Ελλάδα Київ 🐕 🫠 ½ é",
    "W" * 45 + " path/to_a/very-long/name_of_a_file",
    "".join(f"a{odd}" for odd in ODD),
]
# by the language of the document
HOSTILE = {"en": " ".join(MARKUP), "zh": " ".join(LETTERS)}
