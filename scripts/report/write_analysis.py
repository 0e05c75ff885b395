"""The section that argues: questions, each with its answer, its evidence and what it means."""

from __future__ import annotations

from scripts.report import blocks
from scripts.report.blocks import Block
from scripts.report.findings import Finding
from scripts.report.writer import Writer

# question -> the studies that answer it
QUESTIONS = {
    "why": ("errors", "confidence"),
    "together": ("prompts", "scorers", "seeds", "geometry"),
    "language": ("captions", "robustness"),
    "scale": ("gallery", "indexes", "precision"),
    "beyond": ("relevance", "judgments", "published", "leakage", "categories"),
}
# findings that answer a question by themselves, by how their keys begin; the first two that this
# run has are said first, and the others are the evidence
ANSWERS = {
    "why": ("errors_beyond", "errors_as_right", "failures_", "confidence_"),
    "together": ("prompt_hubs", "link_", "prompt_", "pair_"),
    "language": ("words_", "alone_", "robustness_"),
    "scale": ("gallery_", "index_costs_", "indexes_"),
    "beyond": ("relevance_people", "relevance_", "leakage_", "published_"),
}
SAID_FIRST = 2
# studies whose findings are told with the optimisations that they are of
TOLD_THERE = ("scorers", "seeds", "reranking")
# figures that show the evidence; those of its studies that are not here stand with their tables
EVIDENCE = {
    "why": ("outcomes", "study_confidence", "failures"),
    "together": ("hub_tradeoff", "clouds"),
    "language": ("study_robustness",),
    "scale": ("study_gallery", "index_tradeoff"),
    "beyond": ("study_relevance",),
}
# findings beside those of studies: where they are said, and how their keys begin
BESIDE = {
    "why": ("outcomes", ("",)),
    "together": ("synthesis", ("prompt_", "link_")),
    "language": ("synthesis", ("alone_", "words_")),
}


def analysis(writer: Writer) -> list[Block]:
    """Every question of which this run knows something."""
    asked = [_question(writer, name) for name in QUESTIONS]
    return [writer.head(1, "analysis"), *(block for own in asked for block in own)]


def studies_of(writer: Writer, question: str) -> list[str]:
    """The studies of this run that answer a question; unknown ones are the last question's."""
    own = list(QUESTIONS[question])
    if question == list(QUESTIONS)[-1]:
        known = {name for names in QUESTIONS.values() for name in names}
        own += [name for name in writer.studies if name not in known]
    return [name for name in own if name in writer.studies]


def _question(writer: Writer, question: str) -> list[Block]:
    studies = studies_of(writer, question)
    place, keys = BESIDE.get(question, ("", ("",)))
    found = [one for one in writer.said.get(place, []) if one.key.startswith(keys)]
    found += [
        one for name in studies if name not in TOLD_THERE for one in writer.said[f"study_{name}"]
    ]
    if not found:
        return []
    first, others = _answer(found, question)
    speaker = writer.speaker
    tables = [table for name in studies for table in writer.of_study(name)]
    links = speaker.listed([{"kind": "ref", "text": f"tab_{name}"}] for name in tables)
    return [
        blocks.heading(2, f"analysis-{question}", speaker.text(f"questions.{question}.title")),
        blocks.box("answer", f"answer-{question}", "", writer.tell(first)),
        writer.text(f"questions.{question}.text"),
        *writer.say(others),
        *(block for name in EVIDENCE[question] for block in writer.figure(name)),
        *(writer.table("synthesis") if question == "together" else []),
        *([writer.text("text.tables_of_studies", tables=links)] if tables else []),
    ]


def _answer(found: list[Finding], question: str) -> tuple[list[Finding], list[Finding]]:
    """What is said first, by the order of ``ANSWERS``, and the rest in its own order."""

    def place(finding: Finding) -> int:
        keys = ANSWERS[question]
        return next((n for n, key in enumerate(keys) if finding.key.startswith(key)), len(keys))

    first = sorted(found, key=place)[:SAID_FIRST]
    return first, [one for one in found if one not in first]
