"""The report before its first section: abstract, the numbers that matter most, and the question."""

from __future__ import annotations

from scripts.report import blocks
from scripts.report.blocks import Block, Spans, plain
from scripts.report.writer import Writer
from scripts.words import formats, read_words
from scripts.words.warned import sentences as warned

# what a shift costs, without how it does
SHIFTS = ("shift_most", "shift_part", "shift_none")
# findings in short: where each is said, how its key begins, and the section that says more; the
# first of each that this run has found
SHORT = (
    ("recall", ("above_chance", "at_chance"), "results-recall"),
    ("abstract", ("abstract_gain",), "conclusion"),
    ("study_errors", ("errors_",), "analysis-why"),
    ("outcomes", ("fit_train", "fit_both"), "analysis-why"),
    ("synthesis", (*SHIFTS, "prompt_", "link_"), "analysis-together"),
    ("synthesis", ("words_", "alone_"), "analysis-language"),
    ("study_gallery", ("gallery_",), "analysis-scale"),
)
MOST = 5


def opening(writer: Writer) -> list[Block]:
    """Abstract, tiles, the findings in short, what to know before the numbers, the question."""
    words, speaker = writer.words, writer.speaker
    subject = writer.studied.reference
    named = {"model": subject.model, "prompt": subject.prompt, "scorer": subject.scorer}
    # an abstract refers to nothing beyond itself
    abstract = speaker.together(speaker.say(one) for one in writer.said["abstract"])
    found: list[Block] = [
        blocks.box("abstract", "abstract", words["abstract"], [blocks.paragraph(abstract)]),
        blocks.tiles(_tiles(writer), speaker.text("text.examples_run", **named)),
    ]
    short = blocks.bullets(_short(writer)[:MOST])
    found.append(blocks.box("short", "short", words["sections"]["short"], [short]))
    language = words["lang"]
    if told := warned(writer.material.warnings, language):
        title = read_words("warnings", language)["title"]
        items = blocks.bullets([[plain(one)] for one in told])
        found.append(blocks.box("warnings", "warnings", title, [items]))
    asked = [speaker.text(f"questions.{name}.asks") for name in words["questions"]]
    return [
        *found,
        writer.head(1, "question"),
        blocks.paragraph(speaker.together([speaker.text("text.question_1"), *asked])),
        writer.text("text.question_2"),
    ]


def _short(writer: Writer) -> list[Spans]:
    """A sentence for each of ``SHORT``, with its table and where more is said of it."""
    found = []
    for place, keys, section in SHORT:
        own = [one for one in writer.said.get(place, []) if one.key.startswith(keys)]
        found += writer.claims(own[:1], section)
    return found


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
