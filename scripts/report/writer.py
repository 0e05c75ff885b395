"""What all parts of the report are written with: material, words, tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from scripts.report import blocks
from scripts.report.blocks import Block, Spans
from scripts.report.findings import Finding
from scripts.report.material import Material, StudyTable
from scripts.report.spans import text_of
from scripts.report.speaker import Speaker
from scripts.report.study import Study, sentences
from scripts.report.table import NUMBER, Table
from scripts.studies.families import table_behind
from scripts.studies.shown import CURVES, form_of, unique

# where the numbers of figures stand, beside those of studies and trainings
NUMBERS = {
    "recall": ("tables/metrics.csv", "figures/ranks.csv"),
    "ranks": ("figures/ranks.csv",),
    "outcomes": ("figures/outcomes.csv",),
    "heatmap": ("figures/heatmap.csv",),
    "clouds": ("figures/clouds.csv", "tables/geometry.csv"),
    "hub_tradeoff": ("tables/pairs.csv", "tables/geometry.csv"),
    "hubs": ("tables/hubs.csv",),
    "failures": ("tables/failures.csv",),
    "index_tradeoff": ("tables/index_costs.csv",),
}


@dataclass
class Writer:
    """Writes blocks in one language.

    Attributes
    ----------
    drawings : name of each figure of the run -> its SVG, beside the document
    equations : name -> {"typst", "alt": {language: text}}
    written : figures and tables that stand in the report already
    told : findings that have been said
    """

    material: Material
    studied: Study
    speaker: Speaker
    tables: dict[str, Table]
    drawings: dict[str, str]
    equations: dict[str, Any]
    written: set[str] = field(default_factory=set)
    told: list[Finding] = field(default_factory=list)

    @property
    def words(self) -> dict[str, Any]:
        """The words of the report."""
        return self.speaker.words

    @cached_property
    def said(self) -> dict[str, list[Finding]]:
        """Findings by the place where they are said."""
        return sentences(self.material, self.studied)

    @cached_property
    def studies(self) -> dict[str, StudyTable]:
        """The studies that have found something, by name."""
        return {one.name: one for one in self.material.studies if len(one.table)}

    def head(self, level: int, id_: str) -> Block:
        """A heading by the last part of its id: "results-recall"."""
        return blocks.heading(level, id_, self.speaker.text(f"sections.{id_.split('-')[-1]}"))

    def text(self, key: str, **values: Any) -> Block:
        """A paragraph of ours."""
        return blocks.paragraph(self.speaker.text(key, **values))

    def say(self, findings: Sequence[Finding]) -> list[Block]:
        """Findings as a list; nothing where there are none."""
        items = [spans for one in findings for spans in self.claims([one])]
        return [blocks.bullets(items)] if items else []

    def tell(self, findings: Sequence[Finding]) -> list[Block]:
        """Findings as one paragraph; nothing where there are none."""
        told = self.speaker.together(self.claims(findings))
        return [blocks.paragraph(told)] if told else []

    def claims(self, findings: Sequence[Finding], section: str = "") -> list[Spans]:
        """Findings as sentences of one paragraph, which names the table of each once.

        Parameters
        ----------
        findings : in their order
        section : id of that which says more, to be named beside the table
        """
        named: set[str] = set()
        sentences = []
        for one in findings:
            tables = [name for name in self.holding(one) if name not in named]
            named |= set(tables)
            led = [*(f"tab_{name}" for name in tables), *([f"sec_{section}"] if section else [])]
            links: list[Spans] = [[{"kind": "ref", "text": name}] for name in led]
            sentences.append(self.speaker.with_source(self.speaker.say(one), links))
            self.told.append(one)
        return sentences

    def holding(self, finding: Finding) -> list[str]:
        """The tables that hold the numbers of a finding: of one in parts, as few as will do."""
        own = [name for name in self.tables if f"{name}_".startswith(f"{finding.table}_")]
        if not finding.table or len(own) < 2:
            return own if finding.table else []
        wanted = {number for one in finding.numbers.values() for number in NUMBER.findall(str(one))}
        held = {name: wanted & self.tables[name].numbers for name in own}
        found: list[str] = []
        while held and (most := max(held, key=lambda name: len(held[name]))) and held[most]:
            found.append(most)
            got = held.pop(most)
            held = {name: numbers - got for name, numbers in held.items()}
        return found or own[:1]

    def equation(self, name: str) -> Block:
        """A displayed equation."""
        own = self.equations[name]
        return blocks.equation(f"eq_{name}", own["typst"], own["alt"][self.words["lang"]])

    def figure(self, name: str) -> list[Block]:
        """A figure, the first time that it is asked for, where it was drawn."""
        if name not in self.drawings or f"fig_{name}" in self.written:
            return []
        # one of a study that has found nothing is empty
        told = tuple(f"study_{study}" for study in self.studies)
        if name.startswith("study_") and not name.startswith(told):
            return []
        self.written.add(f"fig_{name}")
        caption = self._caption("figures", name)
        files = self.numbers_of(name)
        note = self.speaker.text("names.numbers_in", file=self.words["comma"].join(files))
        return [
            blocks.figure(
                f"fig_{name}", caption, text_of(caption), self.drawings[name], note if files else []
            )
        ]

    def table(self, name: str) -> list[Block]:
        """A table, the first time that it is asked for, where it has rows."""
        own = self.tables.get(name)
        if own is None or f"tab_{name}" in self.written:
            return []
        self.written.add(f"tab_{name}")
        note: Spans = []
        if own.left_out:
            kind = "_models" if own.only else "_chosen" if own.chosen else ""
            note = self.speaker.text(
                f"names.left_out{kind}",
                count=f"{own.left_out:,}",
                file=own.file,
                model=own.only,
            )
        return [
            own.block(f"tab_{name}", self._caption("tables", name), self.words["columns"], note)
        ]

    def of_study(self, study: str) -> list[str]:
        """Names of the tables of a study, in their order."""
        section = f"study_{study}"
        return [one for one in self.tables if one == section or one.startswith(f"{section}_")]

    def title_of(self, study: str) -> str:
        """What a study is called: by our words, by the configuration, or by its name."""
        if study in self.words["studies"]:
            return self.words["studies"][study]["title"]
        titles = self.studies[study].settings["title"]
        return titles.get(self.words["lang"]) or next(iter(titles.values()), study)

    @staticmethod
    def numbers_of(figure: str) -> tuple[str, ...]:
        """The tables that hold what a figure shows; none for one that shows no numbers."""
        if figure.startswith("training-"):
            return (f"data/models/{figure.removeprefix('training-')}/training.csv",)
        if figure.startswith("study_"):
            return (f"tables/{table_behind(figure.removeprefix('study_'))}.csv",)
        return NUMBERS.get(figure, ())

    def _caption(self, kind: str, name: str) -> Spans:
        """The caption of a figure or table; of a study's, from its title and what it shows."""
        text = self.speaker.text
        if name.startswith("training-"):
            model = name.removeprefix("training-")
            own = next(one for one in self.material.models if one["model"] == model)
            said = [text("figures.training", model=model)]
            if "before" in (own.get("training") or {}):
                said.append(text("figures.training_before"))
            return self.speaker.together(said)
        if name in self.words[kind]:
            return text(f"{kind}.{name}")
        study = max((one for one in self.studies if name.startswith(f"study_{one}")), key=len)
        asked = self.studies[study]
        lines = kind == "figures" and form_of(asked.shown, asked.settings["figure"]) in CURVES
        bare = kind == "tables" and not self.tables[name].has_intervals
        key = f"{kind}.study{'_lines' if lines else '_plain' if bare else ''}"
        counted = self.words["names"]["counted"]
        n = counted.get(study, counted["queries"])
        drawn = asked.settings["figure"].get("measures") or unique(asked.shown.measure)
        measures = map(self.speaker.labels.measure, drawn)
        shown = self.tables[name].holds if kind == "tables" else measures
        told = self.words["comma"].join(shown)
        return text(key, title=self.title_of(study), measures=told, n=n)
