"""The report as a document: what the run found, what that says, and in which order it is told.

Tables and figures go in, claims are found by pure functions (findings, study_findings), and the
parts are written one after another. How it looks is for ``page`` and ``paper`` to say.
"""

from pathlib import Path
from typing import Any

from scripts.fingerprint import ROOT
from scripts.job import write_json
from scripts.jobs import Snakemake, run
from scripts.quick_yaml import read_yaml
from scripts.report.blocks import NAMES, Block, numbered
from scripts.report.material import Material, read_material
from scripts.report.speaker import Speaker
from scripts.report.study import study
from scripts.report.tables import tables_of
from scripts.report.write_analysis import analysis
from scripts.report.write_ending import (
    all_studies,
    appendix,
    conclusion,
    optimisations,
    references,
)
from scripts.report.write_method import data, method
from scripts.report.write_opening import opening
from scripts.report.write_results import examples, results
from scripts.report.writer import Writer
from scripts.words import read_words
from scripts.words.labels import read_labels

# the script itself runs from a copy that Snakemake makes: the files beside it are found from here
FOLDER = ROOT / "scripts" / "report"


def words_of_report(language: str) -> dict[str, Any]:
    """The words of the report in one language, the definitions of all measures among them."""
    words = read_words("report", language)
    return {**words, "definitions": definitions(language) | words["definitions"]}


def definitions(language: str) -> dict[str, dict[str, str]]:
    """Name and text of each definition of measures; what several are defined by stands once."""
    found: dict[str, dict[str, str]] = {}
    for measure, own in read_words("measures", language).items():
        if "definition" in own:
            name = own["definition"].get("term", own["name"])
            if name not in {one["name"] for one in found.values()}:
                found[measure] = {"name": name, "text": own["definition"]["text"]}
    return found


def document(
    material: Material, language: str, drawings: dict[str, str], commands: list[str], code: str
) -> dict[str, Any]:
    """The report in one language, as ``blocks`` describes it.

    Parameters
    ----------
    material : all that it is made of
    language : of ``LANGUAGES``
    drawings : name of each figure -> its SVG, as the document names it
    commands : what reproduces the run
    code : a program to show
    """
    words, labels = words_of_report(language), read_labels(language)
    studied = study(material)
    tables = tables_of(material, studied, words, labels)
    writer = Writer(material, studied, Speaker(words, labels), tables, drawings, _own("equations"))
    blocks: list[Block] = [
        *opening(writer),
        *method(writer),
        *data(writer),
        *results(writer),
        *examples(writer),
        *analysis(writer),
        *optimisations(writer),
        *conclusion(writer),
        *references(writer, _own("references")),
        *appendix(writer, commands, code),
        *all_studies(writer),
    ]
    held = {**words["names"], "comma": words["comma"]}
    names = {name: held[name] for name in NAMES}
    rows = material.rows
    return {
        "lang": language,
        "title": words["title"],
        "kicker": words["subtitle"],
        "meta": [
            words["comma"].join(dict.fromkeys(run_.model for run_ in material.runs)),
            material.dataset + writer.speaker.in_brackets(held["splits"][material.split]),
            f"{len(rows.images):,} {words['names']['images']}",
            f"{len(rows.captions):,} {words['names']['captions']}",
        ],
        "names": names,
        "blocks": numbered(blocks, names),
    }


def _own(name: str) -> dict[str, Any]:
    """What stands in a file beside this one."""
    return read_yaml(FOLDER / f"{name}.yaml")


def named(figures: list[str], language: str) -> dict[str, str]:
    """Figures of the run, "study.gallery", by their names here -> their SVG beside the document."""
    found: dict[str, str] = {}
    for figure in figures:
        kind, *name = figure.split(".", 1)
        joint = {"training": "-"}.get(kind, "_")
        found[joint.join([kind, *name])] = f"figures/{figure}.{language}.svg"
    return found


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    params, language = snakemake.params, snakemake.wildcards.lang
    material = read_material(snakemake.input, params, snakemake.wildcards.dataset)
    code = (ROOT / params.listing).read_text("utf-8")
    drawings = named(list(params.figures), language)
    made = document(material, language, drawings, list(params.commands), code)
    write_json(Path(snakemake.output.document), made)


if __name__ == "__main__":
    run(main, snakemake)
