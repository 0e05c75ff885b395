"""The report's tables of what was used: data, models, time, packages, seeds and checksums."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scripts.data.rows import SPLITS
from scripts.report.material import Material
from scripts.report.table import Table
from scripts.studies.words import words_in
from scripts.version import code_version
from scripts.words import formats


def dataset_table(material: Material, words: dict[str, Any]) -> Table:
    rows = []
    for split in SPLITS:
        texts = [
            material.captions[image]
            for image in material.splits[split]
            if image in material.captions
        ]
        if not texts:
            continue
        counts = [len(own) for own in texts]
        lengths = [words_in(text) for own in texts for text in own]
        rows.append(
            [
                words["names"]["splits"][split],
                formats.count(len(texts)),
                formats.count(sum(counts)),
                _span(min(counts), max(counts)),
                formats.decimal(float(np.mean(lengths))),
            ]
        )
    numeric = {"images", "captions", "per_image", "words"}
    return Table(["split", "images", "captions", "per_image", "words"], rows, numeric)


def _span(low: float, high: float) -> str:
    if low == high:
        return formats.count(low)
    return f"{formats.count(low)}–{formats.count(high)}"


def audit_tables(material: Material, words: dict[str, Any]) -> dict[str, Table]:
    audit = material.audit
    columns = ["what", "found", "used", "set_aside", "converted"]
    counts = [
        [
            words["columns"][what],
            *(
                formats.count(audit[what][key]) if key in audit[what] else formats.NOTHING
                for key in columns[1:]
            ),
        ]
        for what in ("images", "captions")
    ]
    reasons: dict[tuple[str, str], int] = {}
    for kind in ("set_aside", "converted"):
        for item in audit.get(kind, []):
            key = words["columns"][kind], words["audit"].get(item["reason"], item["reason"])
            reasons[key] = reasons.get(key, 0) + 1
    return {
        "audit": Table(columns, counts, set(columns[1:])),
        "set_aside": Table(
            ["what", "reason", "count"],
            [[*key, formats.count(number)] for key, number in sorted(reasons.items())],
            {"count"},
        ),
    }


def models_table(material: Material, words: dict[str, Any]) -> Table:
    values = words["values"]
    unknown = values["unknown"]

    def came_from(about: dict[str, Any]) -> dict[str, str]:
        source, repo = about.get("source"), about.get("repo") or formats.NOTHING
        taken = about.get("weights") or formats.NOTHING
        return {
            "source": words["hubs"].get(source, source or unknown),
            # a folder on this disk is nobody else's business, but for its name
            "repo": Path(repo).name if source == "local" else repo,
            "revision": str(about.get("revision") or formats.NOTHING)[:12],
            "weights": values["converted"].format(weights=taken)
            if about.get("converted")
            else taken,
        }

    def facts(model: dict[str, Any]) -> dict[str, str]:
        # of two towers that were published apart, each from somewhere
        parts = [came_from(one) for one in (model.get("towers") or {"": model}).values()]
        return {
            **{key: " + ".join(dict.fromkeys(one[key] for one in parts)) for key in parts[0]},
            "architecture": model.get("architecture") or unknown,
            **{side: _tower(model["sides"].get(side), values) for side in ("vision", "text")},
            "parameters": _millions(model.get("parameters")),
            "dim": formats.count(model.get("embedding_dim")),
            **_speeds(material.costs[model["model"]]),
        }

    return _by_model(material, words, facts)


def _tower(about: dict[str, Any] | None, values: dict[str, Any]) -> str:
    if about is None:
        return values["unknown"]
    deep = about["layers"] and about["width"]
    return values["deep"].format(**about) if deep else about["type"]


def _speeds(cost: dict[str, Any]) -> dict[str, str]:
    """What it takes to encode with a model here, the model loaded."""
    speeds = ("images_per_second", "texts_per_second")
    return {
        **{key: formats.decimal(cost[key], 1 if cost[key] < 100 else 0) for key in speeds},
        "encoding_memory": formats.megabytes(cost["max_rss_mb"]),
    }


def _by_model(
    material: Material, words: dict[str, Any], facts: Callable[[dict[str, Any]], dict[str, str]]
) -> Table:
    """A column for each model, a row for each fact that one of them has."""
    columns = [facts(model) for model in material.models]
    untold = {formats.NOTHING, words["values"]["unknown"]}
    known = [key for key in columns[0] if {one[key] for one in columns} - untold]
    rows = [[words["columns"][key], *(column[key] for column in columns)] for key in known]
    return Table(["", *(model["model"] for model in material.models)], rows)


def _millions(number: float | None) -> str:
    return formats.NOTHING if number is None else f"{number / 1e6:,.1f} M"


def preprocessing_table(material: Material, words: dict[str, Any]) -> Table:
    values = words["values"]

    def facts(model: dict[str, Any]) -> dict[str, str]:
        said = model["preprocessing"]
        own = [one for one in material.encodings if one["model_name"] == model["model"]]
        cut = [
            f"{one['prompt']} {formats.count(one['truncated'])}"
            for one in own
            if one["prompt"] and "truncated" in one
        ]
        devices = dict.fromkeys(
            f"{one['device']}, {one['precision']}" for one in own if "device" in one
        )
        crop = said.get("crop")
        return {
            "size": _size(said.get("size"), values),
            "crop": values["no"] if crop is False else _size(crop, values),
            "resample": values["resample"].get(str(said.get("resample")), values["unknown"]),
            "mean": _triple(said.get("mean"), values),
            "std": _triple(said.get("std"), values),
            "context": formats.count(said.get("context")),
            "cut": ", ".join(cut) or values["unknown"],
            "device": "; ".join(devices) or values["unknown"],
        }

    return _by_model(material, words, facts)


def _size(size: Any, values: dict[str, Any]) -> str:
    if isinstance(size, int):
        return values["exact"].format(height=size, width=size)
    if isinstance(size, dict) and "pixels" in size:
        least, most = map(formats.count, size["pixels"])
        return values["between"].format(least=least, most=most)
    if isinstance(size, dict) and "shortest_edge" in size:
        return values["shortest"].format(size=size["shortest_edge"])
    if isinstance(size, dict) and {"height", "width"} <= set(size):
        return values["exact"].format(height=size["height"], width=size["width"])
    return values["unknown"]


def _triple(numbers: Any, values: dict[str, Any]) -> str:
    if not isinstance(numbers, list):
        return values["unknown"]
    rounded = [f"{number:.3f}" for number in numbers]
    return rounded[0] if len(set(rounded)) == 1 else ", ".join(rounded)


def cost_table(material: Material) -> Table:
    rows = [
        [
            [{"kind": "code", "text": row["rule"]}],
            formats.count(row["jobs"]),
            formats.duration(row["seconds"]),
            formats.megabytes(row["max_rss_mb"]),
        ]
        for row in material.steps.to_dict("records")
    ]
    return Table(["step", "jobs", "seconds", "memory"], rows, {"jobs", "seconds", "memory"})


def statistics_table(material: Material, words: dict[str, Any]) -> Table:
    """Seeds, and how many resamples and flips were drawn."""
    rows = [
        [words["statistics"][key], formats.count(value)]
        for key, value in material.statistics.items()
    ]
    for (model, prompt, scorer), arrays in material.fitted.items():
        if "seeds" in arrays:
            where = " · ".join((model, prompt, scorer))
            seeds = ", ".join(str(seed) for seed in arrays["seeds"].tolist())
            rows.append([words["statistics"]["training"].format(run=where), seeds])
    return Table(["quantity", "value"], rows, {"value"})


def given_table(material: Material) -> Table:
    """What each scorer is given: how it is fitted, and the values that val chooses from."""
    rows = [
        [name, [{"kind": "code", "text": key}], json.dumps(value, ensure_ascii=False).strip("[]")]
        for name, entry in material.scorers.items()
        for key, value in entry.items()
        if key != "kind"
    ]
    return Table(["scorer", "setting", "value"], rows, {"value"}, grouped=True)


def versions_table(material: Material, words: dict[str, Any]) -> Table:
    """Of the workflow, of Python and of the libraries that made this run's numbers."""
    code = code_version()
    commit = code.get("commit", formats.NOTHING)[:12]
    changed = words["values"]["changed"] if code.get("changed") else ""
    told = f"{code['version']}, {commit}{changed}"
    rows = [["clip-retrieval", told]]
    rows += [[name, version] for name, version in material.packages]
    return Table(["package", "version"], rows)


def checksum_table(material: Material) -> Table:
    rows = [
        [f"{material.dataset}: {file['path']}", [{"kind": "code", "text": file["sha256"]}]]
        for file in material.source.get("files", [])
        if file.get("sha256")
    ]
    for model in material.models:
        rows += [
            [f"{model['model']}: {name}", [{"kind": "code", "text": digest}]]
            for name, digest in sorted(model.get("files", {}).items())
        ]
    return Table(["file", "sha256"], rows)
