"""The sections on method and data: what is done, with what, on which machine, and what it costs."""

from __future__ import annotations

from typing import Any

from scripts.data.audit import MISSING, NO_IMAGE, Note
from scripts.report import blocks
from scripts.report.blocks import Block, Spans, plain
from scripts.report.writer import Writer
from scripts.words import formats


def method(writer: Writer) -> list[Block]:
    """Principle, flow, measures, and how differences are judged."""
    named = {
        "siglip": _named(writer, "siglip"),
        "dual": _named(writer, "vision-text-dual-encoder"),
    }
    kinds = [
        writer.speaker.text(f"text.method_{kind}", models=models)
        for kind, models in named.items()
        if models
    ]
    text, seen = writer.text, writer.figure("heatmap")
    told = [writer.speaker.text(f"text.flow{also}") for also in ("", *["_seen"] * len(seen))]
    return [
        writer.head(1, "method"),
        writer.head(2, "method-principle"),
        text("text.method_1"),
        *writer.figure("flow"),
        text("text.method_2"),
        writer.equation("cosine"),
        text("text.method_3"),
        writer.equation("infonce"),
        *([blocks.paragraph(writer.speaker.together(kinds))] if kinds else []),
        writer.head(2, "method-flow"),
        blocks.paragraph(writer.speaker.together(told)),
        *seen,
        writer.head(2, "method-measures"),
        text("text.measures_1"),
        writer.equation("rank"),
        text("text.measures_2"),
        writer.equation("recall"),
        text("text.measures_3"),
        writer.equation("chance"),
        text("text.measures_4"),
        writer.head(2, "method-differences"),
        text("text.measures_5"),
    ]


def _named(writer: Writer, architecture: str) -> str:
    return ", ".join(
        model["model"]
        for model in writer.material.models
        if str(model.get("architecture", "")).startswith(architecture)
    )


def _audit(writer: Writer) -> list[Spans]:
    """That all was looked at, and how much is left out where something is."""
    audit = writer.material.audit
    aside = {kind: audit[kind]["set_aside"] for kind in ("images", "captions")}
    aside["missing"] = sum(item["reason"] in (MISSING, NO_IMAGE) for item in audit["set_aside"])
    counts = {kind: formats.count(count) for kind, count in aside.items()}
    some = [writer.speaker.text("text.aside", **counts)] if any(aside.values()) else []
    other = [one["count"] for one in audit["notes"] if one["note"] == Note.NOT_OFFICIAL.value]
    if other:
        place: Spans = [{"kind": "ref", "text": "sec_appendix-audit"}]
        count = formats.count(other[0])
        some.append(writer.speaker.text("text.other_sums", count=count, place=place))
    return [writer.speaker.text("text.audit"), *some]


def data(writer: Writer) -> list[Block]:
    """Dataset, models and preprocessing, features, training, machine and cost."""
    material, words, speaker = writer.material, writer.words, writer.speaker
    known = words["datasets"].get(material.dataset) and [
        speaker.text(f"datasets.{material.dataset}")
    ]
    source = words["sources"].get(material.audit["source"], material.audit["source"])
    about = speaker.text(
        "text.dataset_1",
        dataset=material.dataset,
        source=source,
        split=words["names"]["splits"][material.split],
        images=formats.count(len(material.rows.images)),
        captions=formats.count(len(material.rows.captions)),
    )
    shapes = words["comma"].join(
        f"{one['model_name']} {formats.count(one['shape'][0])} × {one['shape'][1]}"
        for one in material.encodings
        if not one["prompt"]
    )
    told = [speaker.text("text.templates_1", prompts=_templates(writer))]
    if len(material.scorers) > 1:
        told.append(speaker.text("text.scorers_1", scorers=_scorers(writer)))
    unknown = words["values"]["unknown"]
    precisions = ", ".join(
        dict.fromkeys(one.get("precision", unknown) for one in material.encodings)
    )
    return [
        writer.head(1, "data"),
        writer.head(2, "data-dataset"),
        blocks.paragraph(speaker.together([*(known or []), about])),
        *writer.table("dataset"),
        blocks.paragraph(speaker.together(_audit(writer))),
        writer.head(2, "data-models"),
        writer.text("text.models_1" if "preprocessing" in writer.tables else "text.models_none"),
        *writer.table("models"),
        *writer.table("preprocessing"),
        writer.head(2, "data-features"),
        writer.text("text.features_1", image_shapes=shapes, precisions=precisions),
        *map(blocks.paragraph, [*_reasons_for_precisions(writer), speaker.together(told)]),
        *_training(writer),
        writer.head(2, "data-cost"),
        *_machine(writer),
    ]


def _templates(writer: Writer) -> Spans:
    """Prompts in a row, each with its templates in brackets."""
    before, after = writer.words["in_brackets"].split("{links}")
    told: list[Spans] = []
    for name, texts in writer.material.templates.items():
        own = writer.speaker.listed([{"kind": "code", "text": text}] for text in texts)
        told.append([{"kind": "strong", "text": name}, plain(before), *own, plain(after)])
    return writer.speaker.listed(told)


def _scorers(writer: Writer) -> Spans:
    """Scorers in a row, each by its name with its key in brackets."""
    before, after = writer.words["in_brackets"].split("{links}")
    told: list[Spans] = []
    for key, entry in writer.material.scorers.items():
        bold: Spans = [{"kind": "strong", "text": key}]
        name = writer.speaker.kind_of_scorer(entry["kind"])
        told.append([plain(name + before), *bold, plain(after)])
    return writer.speaker.listed(told)


def _machine(writer: Writer) -> list[Block]:
    """Where the run computed, how long it took in all, and its longest steps."""
    steps, machines = writer.material.steps, writer.material.machine["machines"]
    longest = steps.sort_values("seconds", ascending=False).head(3)
    unknown = writer.words["values"]["unknown"]
    told = [
        writer.speaker.text(
            "text.machine_gpu" if machine.get("gpu") else "text.machine",
            **{
                "processor": machine.get("processor") or unknown,
                "cores": formats.count(machine.get("cores")),
                "memory": f"{machine.get('memory_gb') or unknown}",
                "system": machine.get("system") or unknown,
                "gpu": machine.get("gpu", ""),
            },
        )
        for machine in machines
    ]
    if len(steps):
        code: Spans = []
        for row in longest.to_dict("records"):
            code += [plain(writer.words["comma"])] if code else []
            took = writer.speaker.in_brackets(formats.duration(row["seconds"]))
            code += [{"kind": "code", "text": row["rule"]}, plain(took)]
        total = formats.duration(float(steps.seconds.sum()))
        told.append(writer.speaker.text("text.cost", total=total, longest=code))
    else:
        told.append(writer.speaker.text("text.cost_none"))
    return [blocks.paragraph(writer.speaker.together(told))]


def _reasons_for_precisions(writer: Writer) -> list[Spans]:
    """Why each model computed in its precision; one sentence for all where it was asked for."""
    material, say = writer.material, writer.speaker.text
    elsewhere = [one["model"] for one in material.models if one.get("source") == "features"]
    said = []
    if elsewhere:
        said.append(say("text.features_elsewhere", models=", ".join(elsewhere)))
    if not material.precisions and len(elsewhere) < len(material.models):
        said.append(say("text.precision_asked"))
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
        values: dict[str, Any] = {name: found[name] for name in ("device", "native", "precision")}
        key = f"text.precision_{found['reason']}"
        said.append(say(key, model=model, least=found["least_cosine"], **values, **numbers))
    return said


def _training(writer: Writer) -> list[Block]:
    """What was trained here; its curves stand in the appendix."""
    names = [name for name in writer.drawings if name.startswith("training-")]
    if not names:
        return []
    found = [writer.head(2, "data-training")]
    for name in names:
        model = name.removeprefix("training-")
        own = next(one for one in writer.material.models if one["model"] == model)
        facts = own.get("training") or {}
        said = [
            writer.speaker.text(
                "text.training_1",
                model=model,
                dataset=facts.get("dataset", writer.material.dataset),
                base=facts.get("base") or writer.words["text"]["from_scratch"],
                epoch=facts.get("best_epoch", formats.NOTHING),
                figure=[{"kind": "ref", "text": f"fig_{name}"}],
            )
        ]
        if "before" in facts:
            before, after = (one["val_recall@10"] for one in (facts["before"], facts))
            key = f"text.training_{'higher' if after > before else 'no_higher'}"
            shown = {"before": formats.percent(before), "after": formats.percent(after)}
            said.append(writer.speaker.text(key, **shown))
        found.append(blocks.paragraph(writer.speaker.together(said)))
    return found
