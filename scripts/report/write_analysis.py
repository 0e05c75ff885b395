"""The section that argues: questions, each with its answer, its evidence and what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.report import blocks
from scripts.report.blocks import Block, Spans
from scripts.report.findings import Finding, Label
from scripts.report.meanings import meanings
from scripts.report.writer import Writer
from scripts.words import formats


@dataclass(frozen=True)
class Question:
    """How a question is answered; findings are named by how their keys begin.

    Attributes
    ----------
    studies : those that answer it
    answers : the first of which this run has findings is the answer
    evidence : what is said next, a paragraph each; whatever is not said here stands with its study
    figures : the first that was drawn is shown
    """

    studies: tuple[str, ...]
    answers: tuple[str, ...]
    evidence: tuple[tuple[str, ...], ...]
    figures: tuple[str, ...]


QUESTIONS = {
    "why": Question(
        ("errors", "confidence"),
        ("errors_beyond", "errors_as_right", "failures_"),
        (
            ("unexplained_", "failures_", "near_misses"),
            ("fit_", "agreement_"),
            ("confidence_warns", "confidence_silent", "confidence_misleads"),
        ),
        ("study_errors", "outcomes"),
    ),
    "together": Question(
        ("prompts", "scorers", "seeds", "geometry"),
        ("shift_", "prompt_", "link_", "pair_"),
        (
            ("shift_most", "shift_part", "shift_none", "shift_dose", "shift_mixed"),
            ("prompt_", "pair_"),
            ("link_fall_gain", "link_fall_nothing", "link_rise"),
        ),
        ("hub_tradeoff", "study_prompts"),
    ),
    "language": Question(
        ("captions", "robustness"),
        ("words_", "robustness_"),
        (("robustness_",), ("alone_", "captions_length", "captions_together")),
        ("study_robustness", "study_captions"),
    ),
    "scale": Question(
        ("gallery", "indexes", "precision"),
        ("gallery_",),
        (("index_costs_pays", "index_costs_none", "index_costs_slow"), ("precision_",)),
        ("study_gallery",),
    ),
    "beyond": Question(
        ("relevance", "judgments", "published", "leakage", "categories"),
        ("relevance_people", "relevance_"),
        (
            ("published_", "judgments_"),
            ("leakage_none", "leakage_some", "leakage_captions_only", "leakage_images"),
            ("categories_",),
        ),
        ("study_relevance", "study_categories"),
    ),
}
# what of a finding is told again where it holds in the other direction as well
AGAIN = {
    "failures": ("share", "median"),
    "unexplained": ("share",),
    "relevance": ("change",),
    "gallery": ("small_recall", "full_recall"),
    "index": ("name", "latency", "exact"),
    "confidence": ("gain",),
}
MOST = 2  # sentences of an answer, and of each kind of evidence: one for each direction
# studies whose findings are told with the optimisations that they are of
TOLD_THERE = ("scorers", "seeds", "reranking")
# findings beside those of studies: where they are said, and how their keys begin
BESIDE = {
    "why": ("outcomes", ("",)),
    "together": ("synthesis", ("shift_", "prompt_", "link_")),
    "language": ("synthesis", ("alone_", "words_")),
}


def analysis(writer: Writer) -> list[Block]:
    """Every question of which this run knows something."""
    asked = [_question(writer, name) for name in QUESTIONS]
    return [
        writer.head(1, "analysis"),
        writer.text("text.analysis_1"),
        *(block for own in asked for block in own),
    ]


def studies_of(writer: Writer, question: str) -> list[str]:
    """The studies of this run that answer a question; unknown ones are the last question's."""
    own = list(QUESTIONS[question].studies)
    if question == list(QUESTIONS)[-1]:
        known = {name for one in QUESTIONS.values() for name in one.studies}
        own += [name for name in writer.studies if name not in known]
    return [name for name in own if name in writer.studies]


def _question(writer: Writer, name: str) -> list[Block]:
    question, speaker = QUESTIONS[name], writer.speaker
    place, keys = BESIDE.get(name, ("", ("",)))
    found = [one for one in writer.said.get(place, []) if one.key.startswith(keys)]
    for study in studies_of(writer, name):
        found += [] if study in TOLD_THERE else writer.said[f"study_{study}"]
    if not found:
        return []
    answers = (picked(found, one) for one in question.answers)
    answer = next(filter(None, answers), found[:MOST])
    text: Spans = speaker.text(f"questions.{name}.text")
    told = []
    for begins in question.evidence:
        own = [one for key in begins for one in picked(found, key) if one not in answer]
        told += [writer.claims(own)] if own else []
    shown = next(filter(None, (writer.figure(one) for one in question.figures)), [])
    seen = [{"kind": "ref", "text": figure["id"]} for figure in shown]
    text = speaker.with_source(text, [[one] for one in seen]) if seen else text
    means = writer.claims(meanings(name, found))
    return [
        blocks.heading(2, f"analysis-{name}", speaker.text(f"questions.{name}.title")),
        blocks.box("answer", f"answer-{name}", "", writer.tell(answer)),
        *shown,
        blocks.paragraph(speaker.together([text, *next(iter(told), [])])),
        *(blocks.paragraph(speaker.together(own)) for own in told[1:]),
        *_led(writer, means),
    ]


def _led(writer: Writer, means: list[Spans]) -> list[Block]:
    """The paragraph on what it means; nothing where it means nothing in particular."""
    told = writer.speaker.together([writer.speaker.text("text.means"), *means])
    return [blocks.paragraph(told)] if means else []


def picked(found: Sequence[Finding], begin: str) -> list[Finding]:
    """The first findings whose keys begin so.

    What is found in the other direction as well is not said twice: in its place stands that it is
    the same there, and how much.
    """
    said: list[Finding] = []
    for one in [one for one in found if one.key.startswith(begin)][:MOST]:
        way = one.numbers.get("direction")
        alike = said and _about(said[0]) == _about(one) and said[0].numbers.get("direction") != way
        said.append(_again(one) if alike else one)
    return said


def _again(finding: Finding) -> Finding:
    """That a finding holds in its direction, too, with what differs most there."""
    kind = finding.key.split("_")[0]
    told = {name: finding.numbers[name] for name in AGAIN.get(kind, ()) if name in finding.numbers}
    whole = kind in AGAIN and len(told) == len(AGAIN[kind]) and formats.NOTHING not in told.values()
    way = {"direction": finding.numbers["direction"]}
    return Finding(f"same_{kind}", way | told, finding.table) if whole else Finding("same_way", way)


def _about(finding: Finding) -> tuple[str, dict[str, object]]:
    """What a finding says, but for its direction and its numbers."""
    named = ("name", "names", "others")
    return finding.key, {
        key: value
        for key, value in finding.numbers.items()
        if isinstance(value, Label) or key in named
    }
