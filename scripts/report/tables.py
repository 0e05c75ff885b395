"""The report's tables: numbers as cells, headings as keys of the words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from scripts.data.rows import SPLITS
from scripts.evaluate.compare import MEASURES, best_of, shown
from scripts.report import analysis, formats
from scripts.report.material import Material
from scripts.evaluate.runs import DIRECTIONS, KS
from scripts.report.study import Study

PACKAGES = ("jinja2", "matplotlib", "numpy", "pandas", "pillow", "snakemake")


@dataclass(frozen=True)
class Table:
    """Cells ready to print, under the keys of their headings.

    Attributes
    ----------
    columns : keys in ``columns`` of the words; a key that is not there stands as it is
    rows : cells; those of one row stand side by side
    numeric : the columns to align at the right
    grouped : whether the first column becomes a heading over the rows that share it
    """

    columns: list[str]
    rows: list[list[Any]]
    numeric: set[str] = field(default_factory=set)
    grouped: bool = False


def tables_of(material: Material, studied: Study, words: dict[str, Any]) -> dict[str, Table]:
    """All tables of the report in the order in which they stand, without those that are empty."""
    tables = {
        "dataset": _dataset_table(material, words),
        **_audit_tables(material, words),
        "models": _models_table(material, words),
        "preprocessing": _preprocessing_table(material, words),
        "cost": _cost_table(material),
        "metrics": _metrics_table(material, words),
        "ways": _ways_table(material, studied, words),
        "outcomes": _outcome_table(studied, words),
        "failures": _failure_table(studied, words),
        "contrasts": _contrast_table(studied, words),
        "duplicates": _duplicates_table(studied, words),
        "thirds": _thirds_table(studied, words),
        "prompts": _comparison_table(studied.prompts, "prompt", words),
        "scorers": _comparison_table(studied.scorers, "scorer", words),
        "scale": _scale_table(studied),
        "model_pairs": _comparison_table(studied.models, "model", words),
        "effects": _effects_table(studied, words),
        "versions": _versions_table(),
        "checksums": _checksum_table(material),
    }
    return {name: table for name, table in tables.items() if table.rows}


def _dataset_table(material: Material, words: dict[str, Any]) -> Table:
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
        lengths = [analysis.words_in(text) for own in texts for text in own]
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


def _audit_tables(material: Material, words: dict[str, Any]) -> dict[str, Table]:
    audit = material.audit
    columns = ["what", "found", "used", "set_aside", "converted"]
    counts = [
        [
            words["names"][what],
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


def _models_table(material: Material, words: dict[str, Any]) -> Table:
    unknown = words["values"]["unknown"]

    def facts(model: dict[str, Any]) -> dict[str, str]:
        source = model.get("source")
        return {
            "source": words["hubs"].get(source, source or unknown),
            "repo": model.get("repo") or formats.NOTHING,
            "revision": str(model.get("revision") or formats.NOTHING)[:12],
            "architecture": model.get("architecture") or unknown,
            "parameters": _millions(model.get("parameters")),
            "dim": formats.count(model.get("embedding_dim")),
        }

    return _by_model(material, words, facts)


def _by_model(
    material: Material, words: dict[str, Any], facts: Callable[[dict[str, Any]], dict[str, str]]
) -> Table:
    """A column for each model, a row for each of its facts."""
    columns = [facts(model) for model in material.models]
    rows = [[words["columns"][key], *(column[key] for column in columns)] for key in columns[0]]
    return Table(["", *(model["model"] for model in material.models)], rows)


def _millions(number: float | None) -> str:
    return formats.NOTHING if number is None else f"{number / 1e6:,.1f} M"


def _preprocessing_table(material: Material, words: dict[str, Any]) -> Table:
    values = words["values"]

    def facts(model: dict[str, Any]) -> dict[str, str]:
        said = model["preprocessing"]
        own = [one for one in material.encodings if one["model_name"] == model["model"]]
        cut = [
            f"{one['prompt']} {formats.count(one['truncated'])}"
            for one in own
            if one["prompt"] and "truncated" in one
        ]
        devices = dict.fromkeys(f"{one['device']}, {one['precision']}" for one in own)
        crop = said.get("crop", False)
        return {
            "size": _size(said.get("size"), values),
            "crop": _size(crop, values) if crop else values["no"],
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


def _cost_table(material: Material) -> Table:
    rows = [
        [
            Markup("<code>{}</code>").format(row["rule"]),
            formats.count(row["jobs"]),
            formats.duration(row["seconds"]),
            formats.megabytes(row["max_rss_mb"]),
        ]
        for row in material.steps.to_dict("records")
    ]
    return Table(["step", "jobs", "seconds", "memory"], rows, {"jobs", "seconds", "memory"})


def _metrics_table(material: Material, words: dict[str, Any]) -> Table:
    rows = []
    scorers = material.metrics.scorer.nunique() > 1
    for way in DIRECTIONS:
        group = material.metrics[material.metrics.direction == way].to_dict("records")
        if not group:
            continue
        best = {column: best_of(group, column) for column in MEASURES}
        for row in group:
            cells = [
                Markup("<strong>{}</strong>").format(text) if text in best[column] else text
                for column in MEASURES
                for text in [shown(column, row[column])]
            ]
            rows.append(
                [
                    words["names"]["arrows"][way],
                    row["model"],
                    row["prompt"],
                    *([row["scorer"]] if scorers else []),
                    *cells,
                ]
            )
    numeric = ["R@1 (%)", "R@5 (%)", "R@10 (%)", "median_rank", "mean_rank", "MRR"]
    names = ["direction", "model", "prompt", *(["scorer"] if scorers else [])]
    return Table([*names, *numeric], rows, set(numeric), grouped=True)


def _ways_table(material: Material, studied: Study, words: dict[str, Any]) -> Table:
    rows = []
    for finding in studied.above:
        way = finding.numbers["direction"]
        ranks = studied.best.ranks[way]
        rows.append(
            [
                words["names"]["arrows"][way],
                formats.count(len(ranks)),
                formats.count(material.gallery[way]),
                finding.numbers["recall"],
                finding.numbers["chance"],
                finding.numbers["times"],
                formats.percent(float(analysis.mean_hits(ranks).mean())),
            ]
        )
    gap = studied.gap
    rows.append(
        [
            words["names"]["difference"],
            "",
            "",
            "",
            "",
            "",
            f"{formats.points(gap['difference'])} ({formats.margin(gap['two_se'])})",
        ]
    )
    columns = ["direction", "queries", "gallery", "Recall@10", "chance", "times", "mean_recall"]
    return Table(columns, rows, set(columns[1:]))


def _outcome_table(studied: Study, words: dict[str, Any]) -> Table:
    ways = {way: part for way, part in studied.outcomes.groupby("direction")}
    rows = [
        [
            words["names"]["classes"][str(low)],
            *(
                f"{formats.count(one.queries)} ({formats.percent(one.share)})"
                for one in (ways[way].iloc[place] for way in DIRECTIONS)
            ),
        ]
        for place, low in enumerate(ways[DIRECTIONS[0]].low)
    ]
    columns = ["rank", *(words["names"]["arrows"][way] for way in DIRECTIONS)]
    return Table(columns, rows, set(columns[1:]))


def _failure_table(studied: Study, words: dict[str, Any]) -> Table:
    rows = [
        [
            words["names"]["arrows"][row["direction"]],
            formats.count(row["queries"]),
            formats.percent(row["near"]),
            formats.count(row["failures"]),
            formats.percent(row["share"]),
            formats.rank(row["median_rank"]),
            formats.count(row["gallery"]),
            formats.percent(row["relative"]),
        ]
        for row in studied.failures.to_dict("records")
    ]
    columns = [
        "direction",
        "queries",
        "near",
        "failures",
        "share",
        "median_failed",
        "gallery",
        "relative",
    ]
    return Table(columns, rows, set(columns[1:]))


def _contrast_table(studied: Study, words: dict[str, Any]) -> Table:
    rows = []
    for name in ("length", "score", "margin"):
        if name in studied.contrasts:
            values, places = studied.contrasts[name], 1 if name == "length" else 3
            rows.append(
                [
                    words["contrasts"][name],
                    *(
                        f"{formats.decimal(values[side], places)} "
                        f"(n = {formats.count(values[f'{side}_n'])})"
                        for side in ("first", "second")
                    ),
                    _plus_minus(values, places),
                ]
            )
    columns = ["quantity", "first", "second", "difference"]
    return Table(columns, rows, set(columns[1:]))


def _duplicates_table(studied: Study, words: dict[str, Any]) -> Table:
    values = studied.contrasts["duplicates"]
    rows = [
        [
            words["contrasts"][f"duplicates_{side}"],
            formats.count(values[f"{side}_n"]),
            formats.percent(values[side]),
        ]
        for side in ("first", "second")
    ]
    rows.append(
        [
            words["names"]["difference"],
            "",
            _plus_minus({key: 100 * values[key] for key in ("difference", "two_se")}, 1),
        ]
    )
    columns = ["quantity", "captions", "Recall@10"]
    return Table(columns, rows if studied.shared else [], set(columns[1:]))


def _plus_minus(values: dict[str, Any], places: int) -> str:
    difference = formats.decimal(values["difference"], places)
    return f"{difference} ± {formats.decimal(values['two_se'], places)}"


def _thirds_table(studied: Study, words: dict[str, Any]) -> Table:
    rows = [
        [
            words["names"]["parts"][row["part"]],
            _span(row["shortest"], row["longest"]),
            formats.count(row["captions"]),
            formats.percent(row["recall@1"]),
            f"{formats.percent(row['recall@10'])} {formats.margin(row['two_se'])}",
        ]
        for row in studied.thirds.to_dict("records")
    ]
    columns = ["part", "words", "captions", "Recall@1", "Recall@10"]
    return Table(columns, rows, set(columns[1:]))


def _comparison_table(table: pd.DataFrame, kind: str, words: dict[str, Any]) -> Table:
    numeric = [*(f"Δ\u00a0R@{k}" for k in KS), "mean"]
    rows = [
        [
            words["names"]["arrows"][row["direction"]],
            *([row["model"]] if kind != "model" else []),
            f"{row[kind]} − {row[f'other_{kind}']}",
            *(formats.points(row[f"recall@{k}"]) for k in KS),
            f"{formats.points(row['mean'])} ({formats.margin(row['two_se'])})",
            words["names"]["verdicts"][row["verdict"]],
        ]
        for way in DIRECTIONS
        for row in table[table.direction == way].to_dict("records")
    ]
    names = ["direction", *(["model"] if kind != "model" else []), kind]
    return Table([*names, *numeric, "verdict"], rows, set(numeric), grouped=True)


def _scale_table(studied: Study) -> Table:
    rows = [
        [
            formats.count(row["gallery"]),
            *(formats.percent(row[f"recall@{k}"]) for k in KS),
            formats.percent(row["chance@10"]),
        ]
        for row in studied.scale.to_dict("records")
    ]
    columns = ["gallery", *(f"Recall@{k}" for k in KS), "chance"]
    return Table(columns, rows, set(columns))


def _effects_table(studied: Study, words: dict[str, Any]) -> Table:
    rows = []
    for name, finding in studied.optimisations:
        if finding is None:
            continue
        numbers = finding.numbers
        measured = {
            "cache": lambda n: n["seconds"],
            "texts": lambda n: f"{n['repeated']} / {n['captions']} ({n['share']})",
            "ensemble": lambda n: "; ".join(
                f"{words['names']['arrows'][way]} {n[f'{way}_difference']} ({n[f'{way}_margin']})"
                for way in DIRECTIONS
            ),
            "blocks": lambda n: f"{n['memory']}; {n['matrix']}",
            "ties": lambda n: f"{n['ties']} ({n['share']})",
        }[name](numbers)
        rows.append([words["effects"][name].format(**numbers), measured])
    return Table(["optimisation", "measured"], rows)


def _versions_table() -> Table:
    rows = []
    for package in PACKAGES:
        try:
            rows.append([package, metadata.version(package)])
        except metadata.PackageNotFoundError:
            continue
    return Table(["package", "version"], rows)


def _checksum_table(material: Material) -> Table:
    rows = [
        [f"{material.dataset}: {file['path']}", Markup("<code>{}</code>").format(file["sha256"])]
        for file in material.source.get("files", [])
        if file.get("sha256")
    ]
    for model in material.models:
        rows += [
            [f"{model['model']}: {name}", Markup("<code>{}</code>").format(digest)]
            for name, digest in sorted(model.get("files", {}).items())
        ]
    return Table(["file", "sha256"], rows)
