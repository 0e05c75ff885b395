"""A document that nobody wrote, with every kind of block and span, whatever its text is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from scripts.report import blocks
from scripts.report.blocks import Block, Spans, column, plain
from scripts.report.spans import spans_of

NAMES = {
    "en": {
        **{"figure": "Figure", "table": "Table", "section": "Section", "equation": "Equation"},
        **{"contents": "Contents", "skip": "Skip to the text", "right": "right answer"},
        **{"rank_short": "rank {rank}", "comma": ", ", "end": "The end."},
    },
    "zh": {
        **{"figure": "图", "table": "表", "section": "第", "equation": "式"},
        **{"contents": "目录", "skip": "跳到正文", "right": "正确答案"},
        **{"rank_short": "第 {rank} 名", "comma": "、", "end": "全文完。"},
    },
}
LONG = {
    "en": "Both encoders end in rows of unit length, so that one inner product is the cosine. ",
    "zh": "两个编码器的输出都归一化到单位长度，因此一次内积就是余弦相似度。",
}
DRAWING = (
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 200">'
    '<g id="patch_1"><path d="M0 0H{width}V200H0z" style="fill: #fffffe"/></g>'
    '<path id="line" d="M10 10L{width} 190" style="fill: none; stroke: #1c2430"/></svg>'
)
SOURCE = 'def rank(scores):  # {said}\n    """Ranks, {said}"""\n\treturn "x_1"\n\n\n'


def words(text: str, kind: str = "plain") -> Spans:
    return [{"kind": kind, "text": text}]


def table(id_: str, text: str, columns: int, rows: int, sides: bool = False) -> Block:
    """A column of names and others of numbers with intervals, in two groups of rows."""
    row = [words(text), *([plain("51.4"), *words("[50.1, 52.6]", "interval")],) * (columns - 1)]
    return blocks.table(
        id_,
        words(text),
        [
            column(words(text)),
            *(column(words(f"R@{n}"), True, sides and n == 2) for n in range(1, columns)),
        ],
        [{"heading": words(f"{text} {name}"), "rows": [row] * rows} for name in "AB"],
        [("", 2), (text, columns - 2)] if sides else (),
        words(text),
    )


def gallery(id_: str, text: str) -> Block:
    outcomes = ("success", "near_miss", "failure")
    unsaid = {"lead": text, "words": [text, "snow"], "more": True}
    common = [
        {
            "place": str(place),
            "score": "0.312",
            "right": place == 2,
            "beyond": place == 6,
            "image": None,
            "pieces": [{"text": text, "marked": False}, {"text": "dog", "marked": True}],
            "unsaid": None,
        }
        for place in range(1, 7)
    ]
    found = [
        one | {"image": "a.jpg", "pieces": [], "unsaid": None if one["right"] else unsaid}
        for one in common
    ]
    query = {"chip": text, "where": text}
    return blocks.gallery(
        id_,
        words(text),
        [
            *(query | {"outcome": one, "text": text, "image": None, "items": found}
              for one in outcomes),
            *(query | {"outcome": one, "text": None, "image": "b.jpg", "items": common}
              for one in outcomes),
        ],
    )  # fmt: skip


def every_block(text: str, lang: str) -> list[Block]:
    """Every kind of block and span, with ``text`` wherever text stands."""
    spans = [
        *(one for kind in ("plain", "strong", "emphasis", "code", "mark", "interval")
          for one in words(text, kind)),
        *spans_of(" {sec_method}, {tab_one}, {fig_one}, {eq_one}, $r_q <= K$ [@clip] "),
    ]  # fmt: skip
    prose = blocks.paragraph([plain(LONG[lang] * 6)])
    return [
        blocks.box("abstract", "abstract", text, [blocks.paragraph(spans), prose]),
        blocks.tiles([dict.fromkeys(("direction", "name", "value", "interval"), text)] * 4,
                     words(text)),
        blocks.box("short", "short", text, [blocks.bullets([spans] * 2)]),
        blocks.box("warnings", "warnings", text, [blocks.bullets([words(text)])]),
        blocks.heading(1, "method", words(text)),
        prose,
        blocks.heading(2, "method-part", words(text)),
        blocks.paragraph(spans),
        blocks.paragraph(words(text), small=True),
        blocks.bullets([spans, words(text)]),
        blocks.terms([(words(text), spans)]),
        blocks.equation("eq_one", "u = f(x) / norm(f(x))_2, quad upright(\"Recall@\") K", text),
        blocks.heading(3, "method-deeper", words(text)),
        blocks.box("answer", "answer", text, [blocks.paragraph(spans)]),
        table("tab_one", text, 4, 3, sides=True),
        blocks.figure("fig_one", spans, text, "figures/one.en.svg", words(text)),
        blocks.heading(1, "examples", words(text)),
        gallery("gallery_one", text),
        blocks.box("own", "own", "", [
            blocks.paragraph([*words(text, "strong"), *spans]),
            blocks.equation("eq_two", "v = macron(v) / norm(macron(v))_2", text),
            blocks.bullets([spans]),
        ]),
        blocks.code("python", SOURCE.format(said=text), words(text)),
        blocks.code("sh", text),
        blocks.heading(1, "references", words(text)),
        blocks.references([{
            "id": "ref_clip", "number": "", "spans": words(text),
            "url": "https://doi.org/10.48550/arXiv.2103.00020",
        }]),
        blocks.heading(1, "appendix", words(text)),
        table("tab_two", text, 9, 3),
    ]  # fmt: skip


def told_apart(value: Any, text: str, found: list[str] | None = None) -> list[str]:
    """Number every place of ``value`` where ``text`` stands; what then stands in each."""
    found = [] if found is None else found
    for key in value if isinstance(value, dict) else range(len(value)):
        if isinstance(value[key], str) and text in value[key]:
            value[key] = value[key].replace(text, f"{text} n{len(found)}n")
            found.append(value[key])
        elif isinstance(value[key], dict | list):
            told_apart(value[key], text, found)
    return found


def document(all_blocks: list[Block], lang: str = "en", text: str = "A title") -> dict[str, Any]:
    """A document of these blocks, numbered."""
    return {
        "lang": lang,
        "title": text,
        "kicker": text,
        "meta": [text, text],
        "names": NAMES[lang],
        "blocks": blocks.numbered(json.loads(json.dumps(all_blocks)), NAMES[lang]),
    }


def lay_out(folder: Path) -> tuple[list[str], Path]:
    """The figures and pictures that such documents show."""
    folder.mkdir(exist_ok=True)
    for name, width in (("one.en", 400), ("square.en", 200)):
        (folder / f"{name}.svg").write_text(DRAWING.format(width=width), "utf-8")
    for name, colour, size in (("a", "teal", (60, 40)), ("b", "maroon", (40, 60))):
        Image.new("RGB", size, colour).save(folder / f"{name}.jpg")
    return [str(folder / f"{name}.en.svg") for name in ("one", "square")], folder
