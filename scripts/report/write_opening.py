"""The report before its first section: abstract, the numbers that matter most, and the question."""

from __future__ import annotations

from scripts.report import blocks
from scripts.report.blocks import Block, plain
from scripts.report.writer import Writer
from scripts.words import formats, read_words
from scripts.words.warned import sentences as warned

# what stands in short, each where this run has found it
SHORT = 5


def opening(writer: Writer) -> list[Block]:
    """Abstract, tiles, the findings in short, what to know before the numbers, the question."""
    words, speaker = writer.words, writer.speaker
    subject = writer.studied.best
    named = {"model": subject.model, "prompt": subject.prompt, "scorer": subject.scorer}
    found: list[Block] = [
        blocks.box("abstract", "abstract", words["abstract"], writer.tell(writer.said["abstract"])),
        blocks.tiles(_tiles(writer), speaker.text("text.examples_run", **named)),
    ]
    if short := writer.said.get("short", [])[:SHORT]:
        found.append(blocks.box("short", "short", words["sections"]["short"], writer.say(short)))
    language = words["lang"]
    if told := warned(writer.material.warnings, language):
        title = read_words("warnings", language)["title"]
        items = blocks.bullets([[plain(one)] for one in told])
        found.append(blocks.box("warnings", "warnings", title, [items]))
    return [
        *found,
        writer.head(1, "question"),
        writer.text("text.question_1"),
        blocks.bullets([speaker.text(f"questions.{name}.asks") for name in words["questions"]]),
        writer.text("text.question_2"),
    ]


def _tiles(writer: Writer) -> list[dict[str, str]]:
    """The four numbers that a reader wants first, with their intervals."""
    return [
        {
            "direction": writer.words["names"]["arrows"][way],
            "name": writer.speaker.labels.measure(f"recall@{k}"),
            "value": formats.percent(own[f"recall@{k}"]),
            "interval": formats.bracket(own[f"recall@{k}_low"], own[f"recall@{k}_high"]),
        }
        for way, own in writer.studied.measured.items()
        for k in (1, 10)
    ]
