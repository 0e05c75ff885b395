"""The report's tables: numbers as cells, headings as keys of the words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from scripts.evaluate.compare import best_of, shown
from scripts.evaluate.few import few
from scripts.evaluate.pairs import BOTH, WAYS
from scripts.measures import HEADLINE, METRICS, RECALLS, SUMS, mean_hits
from scripts.protocol import DIRECTIONS
from scripts.report.blocks import Spans
from scripts.report.findings import NAMES
from scripts.report.material import Material
from scripts.report.optimisations import Gain
from scripts.report.setup_tables import (
    audit_tables,
    checksum_table,
    cost_table,
    dataset_table,
    given_table,
    models_table,
    preprocessing_table,
    statistics_table,
    versions_table,
)
from scripts.report.study import Study
from scripts.report.study_tables import lists_beside, study_tables
from scripts.report.table import Table, in_points, with_interval
from scripts.studies.table import P_OF, unit_of
from scripts.words import formats
from scripts.words.labels import Labels

# runs that a table has room for
MANY_RUNS = 30
# models whose every measure has a line, of which there is room for one where there are more
MANY_MODELS = 6
# what scorers take from val, as the formulas call it
SYMBOLS = {
    "share": "α",
    "weight": "w",
    "first": "γ",
    "neighbours": "k",
    "beta": "β",
    "epochs": "E",
    "with": "s₂",
}


def tables_of(
    material: Material, studied: Study, words: dict[str, Any], labels: Labels
) -> dict[str, Table]:
    """All tables of the report by name, without those that are empty."""
    studies: dict[str, Table] = {}
    for one in material.studies:
        if one.name in ("prompts", "scorers"):
            family = one.name.removesuffix("s")
            studies[f"study_{one.name}"] = _pairs_table(studied, family, words, labels)
        elif one.name == "precision":
            studies["study_precision"] = _precision_table(one.table, words, labels)
        else:
            studies |= study_tables(one, labels)
        studies |= lists_beside(one.name, material, words, labels)
    tables = {
        "dataset": dataset_table(material, words),
        **audit_tables(material, words),
        "models": models_table(material, words),
        "preprocessing": preprocessing_table(material, words),
        "cost": cost_table(material),
        "metrics": _metrics_table(material, words, labels),
        "depth": _depth_table(material, words, labels),
        "ways": _ways_table(material, studied, words, labels),
        "model_pairs": _pairs_table(studied, "model", words, labels),
        "failures": _failure_table(studied, words),
        **studies,
        "synthesis": _moves_table(studied, words, labels),
        "gains": _gains_table(studied, words),
        "statistics": statistics_table(material, words),
        "given": given_table(material),
        "versions": versions_table(material, words),
        "checksums": checksum_table(material),
    }
    return {name: table.lean() for name, table in tables.items() if table.rows}


def _metrics_table(material: Material, words: dict[str, Any], labels: Labels) -> Table:
    """What papers report: the three recalls each way, and the sum of all six."""
    cells = {way: _measured(material.metrics, way, RECALLS) for way in DIRECTIONS}
    # one number for both directions
    sums = _measured(material.metrics, DIRECTIONS[0], SUMS)
    each, none = len(RECALLS), [""] * len(RECALLS)
    listed = _listed(material)
    rows = [
        [*key, *(cell for way in DIRECTIONS for cell in cells[way].get(key, none)), *sums[key]]
        for key in sums
        if key in listed
    ]
    heads = [labels.head(name) for name in (*RECALLS * 2, *SUMS)]
    arrows = words["names"]["arrows"]
    return Table(
        ["model", "prompt", "scorer", *heads],
        rows,
        set(heads),
        grouped=True,
        left_out=len(sums) - len(rows),
        file="tables/metrics.csv",
        chosen=True,
        sides=(("", 2), *((arrows[way], each) for way in DIRECTIONS), ("", len(SUMS))),
    )


def _listed(material: Material) -> list[tuple[str, ...]]:
    """The runs that have a line in a table of all: of many, a few and the best of each recall."""
    by_way = {
        way: part.set_index(list(NAMES)) for way, part in material.metrics.groupby("direction")
    }
    sums = by_way[DIRECTIONS[0]][SUMS[0]].to_dict()
    if len(sums) <= MANY_RUNS:
        return list(sums)
    best = {by_way[way][recall].idxmax() for way in DIRECTIONS for recall in RECALLS}
    listed = {*few(sums, next(iter(sums))), *best}
    return [key for key in sums if key in listed]


def _depth_table(material: Material, words: dict[str, Any], labels: Labels) -> Table:
    """All other measures: what looks at all ranks, or at all right answers."""
    measures = [name for name in METRICS if name not in (*RECALLS, *SUMS)]
    listed = _listed(material)
    rows = [
        [words["names"]["arrows"][way], *key, *cells]
        for way in DIRECTIONS
        for key, cells in _measured(material.metrics, way, measures).items()
        if key in listed
    ]
    names = ["direction", "model", "prompt", "scorer"]
    heads = [labels.head(name) for name in measures]
    return Table(
        [*names, *heads],
        rows,
        set(heads),
        grouped=True,
        left_out=len(material.metrics) - len(rows),
        file="tables/metrics.csv",
        chosen=True,
    )


def _measured(
    metrics: pd.DataFrame, way: str, columns: Sequence[str]
) -> dict[tuple[str, ...], list[Spans]]:
    """Some columns of metrics.csv with their intervals, the best bold, by run."""
    group = metrics[metrics.direction == way].to_dict("records")
    best = {column: best_of(group, column) for column in columns}
    measured: dict[tuple[str, ...], list[Spans]] = {}
    for row in group:
        cells = []
        for column in columns:
            text = shown(column, row[column])
            low, high = (shown(column, row[f"{column}_{end}"]) for end in ("low", "high"))
            cells.append(with_interval(text, f"[{low}, {high}]", text in best[column]))
        measured[row["model"], row["prompt"], row["scorer"]] = cells
    return measured


def _ways_table(material: Material, studied: Study, words: dict[str, Any], labels: Labels) -> Table:
    rows = []
    for finding in studied.above:
        way = finding.numbers["direction"]
        ranks = studied.reference.ranks[way]
        rows.append(
            [
                words["names"]["arrows"][way],
                formats.count(len(ranks)),
                formats.count(material.gallery[way]),
                finding.numbers["recall"],
                finding.numbers["chance"],
                finding.numbers["times"],
                formats.percent(float(mean_hits(ranks).mean())),
            ]
        )
    gap = studied.gap
    difference = formats.with_interval(gap["difference"], gap["low"], gap["high"], formats.points)
    rows.append([words["names"]["difference"], *[""] * 5, difference])
    counts = ["queries", "gallery", labels.measure("recall@10"), "chance", "times"]
    numeric = [*counts, labels.short("mean")]
    return Table(["direction", *numeric], rows, set(numeric))


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


def _moves_table(studied: Study, words: dict[str, Any], labels: Labels) -> Table:
    """What each run changes in recall and in hubs."""
    moved, listed = studied.moves, studied.told_moves
    arrows, names = words["names"]["arrows"], words["names"]
    rows: list[list[Any]] = []
    for way in DIRECTIONS:
        rows += [
            [
                *(arrows[way], " · ".join(row[name] for name in NAMES)),
                *(in_points(row, "mean"), names["verdicts"][row["verdict"]]),
                _change(row, "hubs"),
            ]
            for row in listed[listed.direction == way].to_dict("records")
        ]
    heads = [_mean_difference(labels), f"Δ {labels.measure('skewness')}"]
    return Table(
        ["direction", "run", heads[0], "verdict", heads[1]],
        rows,
        set(heads),
        grouped=True,
        left_out=len(moved) - len(listed),
        file="tables/pairs.csv",
    )


def _change(row: dict[str, Any], name: str) -> Spans:
    form = formats.change("")
    bounds = row[f"{name}_low"], row[f"{name}_high"]
    return with_interval(form(row[name]), formats.bracket(*bounds, form))


def _pairs_table(studied: Study, family: str, words: dict[str, Any], labels: Labels) -> Table:
    """Differences of one family of pairs.csv that are told, in percentage points."""
    every, pairs = studied.pairs[family], studied.told[family]
    models = pairs.model.unique()
    of_one = family != "model" and len(models) < every.model.nunique()
    recalls = [f"Δ\u00a0{labels.short(name)}" for name in RECALLS]
    numeric = [*recalls, _mean_difference(labels), "p_holm"]
    rows = [
        [
            words["names"]["arrows"][row["direction"]],
            *([row["model"]] if family != "model" else []),
            f"{row[family]} − {row[f'other_{family}']}",
            *(in_points(row, name) for name in HEADLINE),
            formats.p_value(row["p_holm"]),
            words["names"]["verdicts"][row["verdict"]],
        ]
        for way in WAYS
        for row in pairs[pairs.direction == way].to_dict("records")
    ]
    names = ["direction", *(["model"] if family != "model" else []), family]
    return Table(
        [*names, *numeric, "verdict"],
        rows,
        set(numeric),
        grouped=True,
        left_out=len(every) - len(pairs),
        only=models[0] if of_one else "",
        chosen=True,
        file="tables/pairs.csv",
    )


def _precision_table(table: pd.DataFrame, words: dict[str, Any], labels: Labels) -> Table:
    """What each precision changes in each measure, and its p-value, for each direction."""
    firsts = table.groupby("model", sort=False).group.first()
    shown = table[table.direction.isin(DIRECTIONS) & (table.group != table.model.map(firsts))]
    values: dict[tuple[str, str, str], dict[str, Any]] = {}
    p: dict[tuple[str, str, str, str], str] = {}
    for row in shown.to_dict("records"):
        name, measure = f"{row['group']} − {firsts[row['model']]}", row["measure"]
        if measure.startswith(P_OF):
            of = row["model"], name, measure.removeprefix(P_OF), row["direction"]
            p[of] = formats.p_value(row["value"])
            continue
        value: Spans | str
        if measure == "least_cosine":
            value = formats.close(row["value"])
        else:
            form = formats.change(unit_of(measure))
            bounds = formats.bracket(row["low"], row["high"], form)
            value = with_interval(form(row["value"]), bounds)
        values.setdefault((row["model"], name, measure), {})[row["direction"]] = value
    whole, model = len(values), table.model.iloc[0] if len(table) else ""
    if only := table.model.nunique() > MANY_MODELS:
        values = {key: own for key, own in values.items() if key[0] == model}
    varied = not only and table.model.nunique() > 1
    numeric = ["difference", "p_holm"]
    return Table(
        [*(["model"] if varied else []), "precision", "measure", *(numeric * len(DIRECTIONS))],
        [
            [
                *([model] if varied else []),
                *(name, labels.measure(measure)),
                *(
                    cell
                    for way in DIRECTIONS
                    for cell in (own[way], p.get((model, name, measure, way), formats.NOTHING))
                ),
            ]
            for (model, name, measure), own in values.items()
        ],
        set(numeric),
        grouped=True,
        left_out=whole - len(values),
        only=model if only else "",
        file="tables/precision.csv",
        sides=(
            ("", 1 + varied),
            *((words["names"]["arrows"][way], len(numeric)) for way in DIRECTIONS),
        ),
    )


def _gains_table(studied: Study, words: dict[str, Any]) -> Table:
    """What each optimisation gains, or loses, in mean recall."""
    arrows = words["names"]["arrows"]
    rows = []
    for gain in studied.gains:
        ways = {row["direction"]: row for row in gain.pair.to_dict("records")}
        both = ways[BOTH]
        rows.append(
            [
                words["optimisations"][gain.kind]["name"],
                f"{both[gain.differs]} − {both[f'other_{gain.differs}']}",
                *(in_points(both, "mean"), formats.p_value(both["p_holm"])),
                formats.NOTHING if gain.val is None else formats.points(gain.val),
                *(
                    cell
                    for way in DIRECTIONS
                    for cell in (in_points(ways[way], "mean"), _chosen(gain, way))
                ),
            ]
        )
    difference = "difference"
    sides = ((arrows[BOTH], 3), *((arrows[way], 2) for way in DIRECTIONS))
    return Table(
        ["optimisation", "compared", difference, "p_holm", "on_val", *(difference, "chosen") * 2],
        rows,
        {difference, "p_holm", "on_val"},
        sides=(("", 2), *sides),
    )


def _mean_difference(labels: Labels) -> str:
    return f"Δ {labels.measure('mean')}"


def _chosen(gain: Gain, way: str) -> str:
    """What val chose for one direction."""
    own = [
        (name.removeprefix(f"{way}_"), value)
        for name, value in gain.chosen.items()
        if name.startswith(way) or name in ("epochs", "with")
    ]
    # a number stays on the line of its letter; the name of a model may be long
    told = (f"{SYMBOLS[name]} = {value}" for name, value in own)
    return ", ".join(re.sub(r" = (?=\d)", "\u00a0=\u00a0", one) for one in told) or formats.NOTHING
