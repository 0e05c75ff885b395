"""The end of the report: own optimisations, conclusion, references and appendices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scripts.report import blocks
from scripts.report.blocks import Block, Spans, plain
from scripts.report.findings import Finding
from scripts.report.optimisations import Gain
from scripts.report.write_analysis import QUESTIONS, TOLD_THERE, studies_of
from scripts.report.write_results import further_examples
from scripts.report.writer import Writer

# optimisations whose formula is displayed
DISPLAYED = {kind: kind for kind in ("ensemble", "nnn", "inverted_softmax")}
# figures of their own kind that belong to a study
PICTURES = {
    "geometry": ("clouds", "hub_tradeoff", "hubs"),
    "errors": ("failures",),
    "indexes": ("index_tradeoff",),
}
# and tables
TABLES = {"geometry": ("shifts",), "leakage": ("fit",)}


def optimisations(writer: Writer) -> list[Block]:
    """What this workflow does of its own, each in bold, with its measured effect."""
    studied, words = writer.studied, writer.words["optimisations"]
    found = [writer.head(1, "optimisations"), writer.text("text.optimisations_1")]
    kinds: dict[str, list[Gain]] = {}
    for gain in studied.gains:
        kinds.setdefault(gain.kind, []).append(gain)
    for kind, gains in kinds.items():
        keys = writer.words["comma"].join(dict.fromkeys(gain.key for gain in gains))
        title = words[kind]["name"] + writer.speaker.in_brackets(keys) + writer.words["stop"]
        effects = [one for gain in gains for one in gain.findings]
        found.append(_own(writer, kind, title, effects))
    found += writer.table("gains")
    for name, finding in studied.savings.items():
        found.append(_own(writer, name, words[name]["title"], [finding] if finding else []))
    return found


def _own(writer: Writer, kind: str, title: str, effects: list[Finding]) -> Block:
    strong: Spans = [{"kind": "strong", "text": title}]
    told = [strong, writer.speaker.text(f"optimisations.{kind}.text")]
    if kind not in DISPLAYED:
        one = blocks.paragraph(writer.speaker.together([*told, *writer.claims(effects)]))
        return blocks.box("own", f"own-{kind}", "", [one])
    shown = [blocks.paragraph(writer.speaker.together(told)), writer.equation(DISPLAYED[kind])]
    return blocks.box("own", f"own-{kind}", "", [*shown, *writer.tell(effects)])


def conclusion(writer: Writer) -> list[Block]:
    """What to use and why, what it costs, the limits, and what next."""
    return [
        writer.head(1, "conclusion"),
        *writer.say(writer.said["conclusion"]),
    ]


def references(writer: Writer, works: dict[str, dict[str, Any]]) -> list[Block]:
    """The works that are cited, by their keys; ``blocks.numbered`` brings them into order."""
    items = [
        {
            "id": f"ref_{key}",
            "number": "",
            "spans": [
                plain(f"{authors(work['authors']).removesuffix('.')}. {work['title']}. "),
                {"kind": "emphasis", "text": work["where"]},
                plain(f", {work['year']}."),
            ],
            "url": f"https://doi.org/{work['doi']}" if work.get("doi") else work.get("url", ""),
        }
        for key, work in works.items()
    ]
    return [writer.head(1, "references"), blocks.references(items)]


def authors(names: list[str]) -> str:
    """Up to three names; of more, the first and that there are others."""
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} et al."


def appendix(writer: Writer, commands: list[str], code: str) -> list[Block]:
    """Definitions, code, commands, versions, checksums, and what was found in the data."""
    words, speaker = writer.words, writer.speaker
    return [
        writer.head(1, "appendix"),
        writer.head(2, "appendix-definitions"),
        writer.text("text.definitions_1"),
        blocks.terms(
            [
                ([plain(own["name"])], speaker.text(f"definitions.{key}.text"))
                for key, own in words["definitions"].items()
            ]
        ),
        *writer.table("statistics"),
        *writer.table("given"),
        writer.head(2, "appendix-code"),
        writer.text("text.code_1"),
        blocks.code("python", code),
        writer.head(2, "appendix-commands"),
        writer.text("text.commands_1", dataset=writer.material.dataset),
        blocks.code("sh", "\n".join(commands)),
        writer.head(2, "appendix-versions"),
        *writer.table("cost"),
        *writer.table("versions"),
        *writer.table("checksums"),
        writer.head(2, "appendix-audit"),
        *_audit(writer),
        *_curves(writer),
    ]


def _curves(writer: Writer) -> list[Block]:
    names = [name for name in writer.drawings if name.startswith("training-")]
    if not names:
        return []
    links = writer.speaker.listed([{"kind": "ref", "text": f"fig_{name}"}] for name in names)
    told = blocks.paragraph(writer.speaker.text("text.curves_1", figures=links))
    curves = [block for name in names for block in writer.figure(name)]
    return [writer.head(2, "appendix-curves"), told, *curves]


def _audit(writer: Writer) -> list[Block]:
    words = writer.words
    notes = [
        writer.speaker.text(
            "text.note",
            note=words["audit"].get(one["note"], one["note"]),
            count=f"{one['count']:,}",
        )
        for one in writer.material.audit.get("notes", [])
    ]
    return [
        *([blocks.bullets(notes)] if notes else []),
        *writer.table("audit"),
        *writer.table("set_aside"),
    ]


def all_studies(writer: Writer) -> list[Block]:
    """Every study: how it is done, and what of it stands nowhere before."""
    found = [
        writer.head(1, "studies"),
        *writer.figure("recall"),
        *writer.table("depth"),
        *_of_subject(writer),
    ]
    for name in _in_order(writer):
        title = [plain(writer.title_of(name))]
        found.append(blocks.heading(2, f"studies-{name}", title))
        if name in writer.words["studies"]:
            found.append(writer.text(f"studies.{name}.text"))
        if name not in TOLD_THERE:
            said = writer.said.get(f"study_{name}", [])
            found += writer.tell([one for one in said if one not in writer.told])
        for figure in (f"study_{name}", *PICTURES.get(name, ())):
            found += writer.figure(figure)
        for table in (*writer.of_study(name), *TABLES.get(name, ())):
            found += writer.table(table)
    empty = [one.name for one in writer.material.studies if one.table.empty]
    if empty:
        titles = [words_of(writer, name) for name in empty]
        found.append(
            blocks.paragraph(
                writer.speaker.text(
                    "text.without_rows", studies=writer.words["comma"].join(titles)
                ),
                small=True,
            )
        )
    return found + further_examples(writer)


def words_of(writer: Writer, study: str) -> str:
    """The title of a study that has found nothing."""
    known = writer.words["studies"].get(study)
    return known["title"] if known else study


def _of_subject(writer: Writer) -> Iterable[Block]:
    for name in ("failures", "synthesis"):
        yield from writer.table(name)
    yield from writer.figure("outcomes")


def _in_order(writer: Writer) -> list[str]:
    named = [name for question in QUESTIONS for name in studies_of(writer, question)]
    return [*named, *(name for name in writer.studies if name not in named)]
