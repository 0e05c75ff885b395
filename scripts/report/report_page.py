"""The report: one structure (report.html.j2), one set of numbers (here), words in each language."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from scripts.figures.webfont import font_faces
from scripts.job import whole
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.report.material import Material, read_material
from scripts.report.optimisations import Gain
from scripts.report.page import (
    FOLDER,
    Speaker,
    environment,
    inline_svg,
    listing,
    picture,
)
from scripts.report.sections import (
    PICTURES,
    caption_of,
    figures_of,
    numbered,
    numbers_of,
    parts_of,
    sections_of,
    title_of,
    titles_of,
)
from scripts.report.study import Study, sentences, study
from scripts.report.tables import tables_of
from scripts.studies.words import split_at
from scripts.words import formats, read_words
from scripts.words.labels import Labels, read_labels
from scripts.words.warned import sentences as warned

PICTURE = 208  # pixels: twice what a screen shows
UNSAID = 3  # words that are listed under a picture: on paper, two lines


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


def gallery_blocks(
    table: pd.DataFrame, images: Path, cache: dict[tuple[str, int], str]
) -> list[dict[str, Any]]:
    """The queries of a gallery and what was found for each, pictures as ``data:`` addresses."""
    blocks = []
    for (outcome, query), part in table.groupby(["outcome", "query"], sort=False):
        first = part.iloc[0]
        by_text = first.direction == "text_to_image"
        blocks.append(
            {
                "outcome": outcome,
                "query": query,
                "text": first.text,
                "picture": None if by_text else picture(images / first.image, 2 * PICTURE, cache),
                "rank": formats.count(int(first["rank"])),
                "items": [
                    {
                        "place": formats.count(item.place),
                        "score": "" if np.isnan(item.score) else formats.score(item.score),
                        "right": bool(item.right),
                        "beyond": item.place > item.top_k,
                        "pieces": split_at(item.item_text, unsaid_of(item)),
                        "unsaid": unsaid_of(item)[:UNSAID] if by_text else [],
                        "more": len(unsaid_of(item)) > UNSAID,
                        "picture": picture(images / item.item_image, PICTURE, cache)
                        if by_text
                        else None,
                    }
                    for item in part.itertuples()
                ],
            }
        )
    return blocks


def unsaid_of(item: Any) -> list[str]:
    """The words of a wrong pair that a row of a gallery holds."""
    return [word for word in item.unsaid.split("; ") if word]


def render(
    material: Material,
    language: str,
    drawings: dict[str, Any],
    images: Path,
    commands: list[str],
    code: list[str],
) -> str:
    """The report in one language, as HTML.

    Parameters
    ----------
    material, language : of the report
    drawings : paths of SVG figures: flow, heatmap, recall, ranks, outcomes, and those of
        ``PICTURES`` or None; training and studies by name
    images : folder of the dataset's pictures
    commands : what reproduces the run
    code : functions to show, "scripts/retrieve/ranking.py:rank"
    """
    words, labels = words_of_report(language), read_labels(language)
    unknown = words["values"]["unknown"]
    studied = study(material)
    tables = tables_of(material, studied, words, labels)
    training = [f"training-{model}" for model in drawings["training"]]
    sections = sections_of(material, bool(training))
    titles = {**words["sections"], **titles_of(material, words)}
    paths = figures_of(material, drawings, sections)
    speaker = Speaker(words, labels, list(paths), list(tables))
    captions = {
        "figures": {name: caption_of("figures", name, material, speaker, titles) for name in paths},
        "tables": {name: caption_of("tables", name, material, speaker, titles) for name in tables},
    }
    svgs = {
        name: inline_svg(path, captions["figures"][name].striptags())
        for name, path in paths.items()
    }
    cache: dict[tuple[str, int], str] = {}
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            words=words,
            t=speaker.text,
            link=speaker.link,
            numbers=numbered(sections),
            sections=sections,
            titles=titles,
            anchor_numbers=speaker.numbers,
            tables=tables,
            captions=captions,
            svgs=svgs,
            numbers_in={name: numbers_of(name) for name in paths},
            studies=parts_of(material, speaker, paths, tables),
            without_rows=[title_of(one, words) for one in material.studies if one.table.empty],
            training=_training_notes(material, speaker, training),
            said={
                place: [speaker.say(one) for one in found]
                for place, found in sentences(material, studied).items()
            },
            gains=[
                (kind, [speaker.say(one) for gain in own for one in gain.findings])
                for kind, own in _by_kind(studied.gains).items()
            ],
            savings=[
                (name, speaker.say(finding) if finding else None)
                for name, finding in studied.savings
            ],
            warned=warned(material.warnings, language),
            warnings=read_words("warnings", language)["title"],
            best=studied.best,
            tiles=_tiles(studied, labels),
            galleries={
                way: [
                    {
                        "model": table.model.iloc[0],
                        "prompt": table.prompt.iloc[0],
                        "scorer": table.scorer.iloc[0],
                        "top_k": int(table.top_k.iloc[0]),
                        "blocks": gallery_blocks(table, images, cache),
                    }
                    for table in material.galleries
                    if len(table) and table.direction.iloc[0] == way
                ]
                for way in DIRECTIONS
            },
            about={
                "dataset": material.dataset,
                "split": material.split,
                "images": formats.count(len(material.rows.images)),
                "captions": formats.count(len(material.rows.captions)),
                "models": list(dict.fromkeys(run_.model for run_ in material.runs)),
                "source": words["sources"].get(material.audit["source"], material.audit["source"]),
                "notes": [
                    {
                        "note": words["audit"].get(note["note"], note["note"]),
                        "count": formats.count(note["count"]),
                    }
                    for note in material.audit.get("notes", [])
                ],
                "shapes": "; ".join(
                    f"{one['model_name']} {formats.count(one['shape'][0])} × {one['shape'][1]}"
                    for one in material.encodings
                    if not one["prompt"]
                ),
                "precisions": ", ".join(
                    dict.fromkeys(one.get("precision", unknown) for one in material.encodings)
                ),
                "reasons": _reasons_for_precisions(material, speaker),
                "siglip": _named(material, "siglip"),
                "dual": _named(material, "vision-text-dual-encoder"),
            },
            templates=material.templates,
            commands=commands,
            code=[listing(where) for where in code],
            css=Markup((FOLDER / "report.css").read_text("utf-8")),  # noqa: S704 our own
        )
    )
    return page.replace("</style>", f"{font_faces(page)}</style>", 1)


def _reasons_for_precisions(material: Material, speaker: Speaker) -> list[Markup]:
    """Why each model computed in its precision; one sentence for all where it was asked for."""
    elsewhere = [one["model"] for one in material.models if one.get("source") == "features"]
    said = []
    if elsewhere:
        said.append(speaker.text("text.features_elsewhere", models=", ".join(elsewhere)))
    if not material.precisions and len(elsewhere) < len(material.models):
        said.append(speaker.text("text.precision_asked"))
    for model, found in material.precisions.items():
        sample, numbers = found["sample"], {}
        if sample:
            numbers = {
                "images": formats.count(sample["images"]),
                "captions": formats.count(sample["captions"]),
                "splits": ", ".join(sample["splits"]),
                **{
                    f"{side}_{name}": formats.close(cosine)
                    for side, own in found["cosines"][found["native"]].items()
                    for name, cosine in own.items()
                },
            }
        said.append(
            speaker.text(
                f"text.precision_{found['reason']}",
                model=model,
                least=found["least_cosine"],
                **{name: found[name] for name in ("device", "native", "precision")},
                **numbers,
            )
        )
    return said


def _named(material: Material, architecture: str) -> str:
    return ", ".join(
        model["model"]
        for model in material.models
        if str(model.get("architecture", "")).startswith(architecture)
    )


def _training_notes(material: Material, speaker: Speaker, names: list[str]) -> list[Markup]:
    notes = []
    for name in names:
        model = name.removeprefix("training-")
        own = next(one for one in material.models if one["model"] == model)
        facts = own.get("training") or {}
        said = [
            speaker.text(
                "text.training_1",
                model=model,
                dataset=facts.get("dataset", material.dataset),
                base=facts.get("base") or speaker.words["text"]["from_scratch"],
                epoch=facts.get("best_epoch", formats.NOTHING),
                figure=speaker.link(f"fig_{name}"),
            )
        ]
        if "before" in facts:
            before, after = (one["val_recall@10"] for one in (facts["before"], facts))
            said.append(
                speaker.text(
                    f"text.training_{'higher' if after > before else 'no_higher'}",
                    before=formats.percent(before),
                    after=formats.percent(after),
                )
            )
        notes.append(Markup(speaker.words["gap"]).join(said))  # noqa: S704 our own words
    return notes


def _tiles(studied: Study, labels: Labels) -> list[dict[str, str]]:
    """The four numbers that a reader wants first, with their intervals."""
    return [
        {
            "direction": way,
            "name": labels.measure(f"recall@{k}"),
            "value": formats.percent(own[f"recall@{k}"]),
            "interval": formats.bracket(own[f"recall@{k}_low"], own[f"recall@{k}_high"]),
        }
        for way, own in studied.measured.items()
        for k in (1, 10)
    ]


def _by_kind(gains: list[Gain]) -> dict[str, list[Gain]]:
    kinds: dict[str, list[Gain]] = {}
    for gain in gains:
        kinds.setdefault(gain.kind, []).append(gain)
    return kinds


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    material = read_material(files, params, snakemake.wildcards.dataset)
    drawings = {
        **{name: files.get(name) for name in ("flow", "heatmap", "recall", "ranks", "outcomes")},
        "training": _by_name(files.get("training", [])),
        "studies": _by_name(files.get("drawn", [])),
        **{name: files.get(name) for own in PICTURES.values() for name in own},
    }
    page = render(
        material,
        snakemake.wildcards.lang,
        drawings,
        Path(files.images),
        list(params.commands),
        list(params.listings),
    )
    with whole(snakemake.output.html) as draft:
        draft.write_text(page, "utf-8")


def _by_name(paths: list[str]) -> dict[str, str]:
    """figures/<kind>.<name>.<lang>.svg by name."""
    return {Path(path).name.split(".", 1)[1].rsplit(".", 2)[0]: path for path in paths}


if __name__ == "__main__":
    run(main, snakemake)
