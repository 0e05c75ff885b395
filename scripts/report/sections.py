"""The order of the report: its sections, and where studies, figures and tables stand in it."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from scripts.protocol import DIRECTIONS
from scripts.report.material import Material, StudyTable
from scripts.report.page import Speaker
from scripts.report.study import AMONG_RESULTS
from scripts.studies.families import table_behind

# figures of their own kind that belong to a study
PICTURES = {"geometry": "hubs", "errors": "failures", "indexes": "index_tradeoff"}
# where the numbers of figures stand; chance, which is drawn in recall, stands with ranks
NUMBERS = {
    "recall": ("tables/metrics.csv", "figures/ranks.csv"),
    "ranks": ("figures/ranks.csv",),
    "hubs": ("tables/hubs.csv",),
    "failures": ("tables/failures.csv",),
    "index_tradeoff": ("tables/index_costs.csv",),
}


def sections_of(material: Material, training: bool) -> dict[str, tuple[str, ...]]:
    """Sections and what they hold, in the order of the template; studies stand where they belong.

    A study without a row has no section.
    """
    there = [one.name for one in material.studies if len(one.table)]
    results = [f"study_{name}" for name in there if name in AMONG_RESULTS]
    discussed = [f"study_{name}" for name in there if name not in AMONG_RESULTS]
    return {
        "method": ("principle", "flow", "measures"),
        "data": ("dataset", "models", "features", *(["training"] if training else []), "cost"),
        "results": ("recall", "depth", "differences", *results),
        "examples": DIRECTIONS,
        "analysis": ("outcomes", "contrasts", *discussed),
        "optimisations": (),
        "outlook": (),
        "appendix": ("definitions", "commands", "code", "versions", "checksums"),
    }


def title_of(one: StudyTable, words: dict[str, Any]) -> str:
    """What a study is called: by our words, by the configuration, or by its name."""
    if one.name in words["studies"]:
        return words["studies"][one.name]["title"]
    titles = one.settings["title"]
    return titles.get(words["lang"]) or next(iter(titles.values()), one.name)


def titles_of(material: Material, words: dict[str, Any]) -> dict[str, str]:
    """Titles of the studies' sections."""
    return {f"study_{one.name}": title_of(one, words) for one in material.studies}


def parts_of(
    material: Material, speaker: Speaker, figures: dict[str, Any], tables: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """What stands under a study's heading: its text, figures and tables, by section."""
    parts = {}
    for one in material.studies:
        section = f"study_{one.name}"
        known = one.name in speaker.words["studies"]
        own = [name for name in (section, PICTURES.get(one.name)) if name in figures]
        listed = [name for name in tables if name == section or name.startswith(f"{section}_")]
        parts[section] = {
            "text": speaker.text(f"studies.{one.name}.text") if known else "",
            "figures": own,
            "tables": listed,
            "links": [
                *(speaker.link(f"fig_{name}") for name in own),
                *(speaker.link(f"tab_{name}") for name in listed),
            ],
        }
    return parts


def figures_of(
    material: Material, drawings: dict[str, Any], sections: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Paths of figures, by name, in the order in which they stand."""
    paths = {"flow": drawings["flow"]}
    paths |= {f"training-{model}": path for model, path in drawings["training"].items()}
    paths |= {name: drawings[name] for name in ("recall", "ranks")}
    for part in (*sections["results"], *sections["analysis"]):
        study_ = part.removeprefix("study_")
        if part != study_:
            if study_ in drawings["studies"]:
                paths[part] = drawings["studies"][study_]
            picture_ = PICTURES.get(study_)
            if picture_ and drawings.get(picture_):
                paths[picture_] = drawings[picture_]
    return paths


def numbers_of(figure: str) -> tuple[str, ...]:
    """The tables that hold what a figure shows; none for one that shows no numbers."""
    if figure.startswith("training-"):
        return (f"data/models/{figure.removeprefix('training-')}/training.csv",)
    if figure.startswith("study_"):
        return (f"tables/{table_behind(figure.removeprefix('study_'))}.csv",)
    return NUMBERS.get(figure, ())


def caption_of(
    kind: str, name: str, material: Material, speaker: Speaker, titles: dict[str, str]
) -> Markup:
    """The caption of a figure or table; of a study's, from its title and what it shows."""
    if name.startswith("training-"):
        model = name.removeprefix("training-")
        own = next(one for one in material.models if one["model"] == model)
        said = [speaker.text("figures.training", model=model)]
        if "before" in (own.get("training") or {}):
            said.append(speaker.text("figures.training_before"))
        return Markup(speaker.words["gap"]).join(said)  # noqa: S704 our own words
    if name in speaker.words[kind]:
        return speaker.text(f"{kind}.{name}")
    one = max(
        (one for one in material.studies if name.startswith(f"study_{one.name}")),
        key=lambda one: len(one.name),
    )
    lines = kind == "figures" and one.settings["figure"]["form"] == "lines"
    counted = speaker.words["names"]["counted"]
    said = [speaker.text(f"{kind}.study{'_lines' if lines else ''}",
                         title=titles[f"study_{one.name}"],
                         n=counted.get(one.name, counted["queries"]))]  # fmt: skip
    if one.shown.measure.str.startswith("recall@").any():
        said.append(speaker.text("names.recall_is"))
    if (one.shown.measure == "mean").any():
        said.append(speaker.text("names.mean_is"))
    return Markup(speaker.words["gap"]).join(said)  # noqa: S704 our own words


def numbered(sections: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Section -> its number; the appendix counts in letters."""
    numbers: dict[str, str] = {}
    for place, (section, parts) in enumerate(sections.items(), start=1):
        numbers[section] = "A" if section == "appendix" else str(place)
        for inner, part in enumerate(parts, start=1):
            numbers[f"{section}.{part}"] = f"{numbers[section]}.{inner}"
    return numbers
