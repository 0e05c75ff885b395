"""The report's tables: numbers as cells, headings as keys of the words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import metadata
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from scripts.data.rows import SPLITS
from scripts.evaluate.compare import best_of, shown
from scripts.evaluate.measures import mean_hits
from scripts.evaluate.runs import DIRECTIONS, KS
from scripts.report import formats
from scripts.report.labels import Labels
from scripts.report.material import Material, StudyTable
from scripts.report.optimisations import Gain
from scripts.report.study import AMONG_RESULTS, Study
from scripts.report.study_table import HIDDEN, is_share, printed
from scripts.studies.words import words_in

METRICS = ("R@1 (%)", "R@5 (%)", "R@10 (%)", "rsum")
# measures that stand beside those of a study's figure, for its sentences
BESIDE = {"errors": ("median_rank",)}
# and those that have a table of their own
APART = {"leakage": ("near_duplicates", "shared_captions")}
# captions on several images that are shown
FEW_CAPTIONS = 6
# lines of a study's table that a page has room for, and from where on one model is enough
LONG, SEVERAL = 20, 6
# what scorers take from val, as the formulas call it
SYMBOLS = {
    "share": "α",
    "weight": "w",
    "neighbours": "k",
    "beta": "β",
    "epochs": "E",
}
PACKAGES = ("jinja2", "matplotlib", "numpy", "pandas", "pillow", "snakemake")


# what a line of a study's table is about
LINE = ["model", "prompt", "scorer", "group", "x"]
MODEL, GROUP, X = 0, 3, 4
NAMES = ("model", "prompt", "scorer", "group")
# those that may become a heading over the lines that share them
OVER = ("model", "group", "part")
# between what a group takes for right and the queries that it is counted on
PART = " / "
# in robustness.csv, a group's own loss stands under a name of its own
LOSS = ", loss"


@dataclass
class Block:
    """Lines of a study's table that have the same columns.

    Attributes
    ----------
    measures : in the order of their columns
    lines : what identifies a line -> direction -> measure -> its row of the study's table
    """

    measures: list[str]
    lines: dict[tuple[Any, ...], dict[str, dict[str, dict[str, Any]]]] = field(default_factory=dict)

    @property
    def ways(self) -> list[str]:
        """Directions, ours first."""
        there = dict.fromkeys(way for own in self.lines.values() for way in own)
        return sorted(there, key=lambda way: [*DIRECTIONS, *there].index(way))


@dataclass(frozen=True)
class Table:
    """Cells ready to print, under the keys of their headings.

    Attributes
    ----------
    columns : keys in ``columns`` of the words; a key that is not there stands as it is
    rows : cells; those of one row stand side by side
    numeric : the columns to align at the right
    grouped : whether the first column becomes a heading over the rows that share it
    left_out : rows that are not here, but in ``file``
    only : the model that the rows are of, where those of others are left out
    flat : whether intervals stand beside their values, and not below
    sides : headings over columns with how many each covers, of all that are shown; "" for none
    """

    columns: list[str]
    rows: list[list[Any]]
    numeric: set[str] = field(default_factory=set)
    grouped: bool = False
    left_out: int = 0
    file: str = ""
    only: str = ""
    flat: bool = False
    sides: tuple[tuple[str, int], ...] = ()

    @property
    def starts(self) -> set[int]:
        """Columns before which a heading over several begins or ends."""
        ends = accumulate((span for _, span in self.sides), initial=int(self.grouped))
        return set(ends) - {int(self.grouped), len(self.columns)}

    @property
    def dense(self) -> bool:
        """Whether there are many columns of numbers."""
        return sum(column in self.numeric for column in self.columns) > 4

    def lean(self) -> Table:
        """The same without columns in which nothing stands."""
        empty = [
            place
            for place in range(len(self.columns))
            if self.rows and all(row[place] in ("", formats.NOTHING) for row in self.rows)
        ]
        if not empty:
            return self
        sides, place = [], int(self.grouped)
        for heading, span in self.sides:
            kept = span - sum(place <= one < place + span for one in empty)
            sides += [(heading, kept)] if kept else []
            place += span
        return replace(
            self,
            columns=_without(self.columns, empty),
            rows=[_without(row, empty) for row in self.rows],
            sides=tuple(sides),
        )


def _without(cells: list[Any], places: list[int]) -> list[Any]:
    return [cell for place, cell in enumerate(cells) if place not in places]


def tables_of(
    material: Material, studied: Study, words: dict[str, Any], labels: Labels
) -> dict[str, Table]:
    """All tables of the report in the order in which they stand, without those that are empty."""
    studies: dict[bool, dict[str, Table]] = {True: {}, False: {}}
    for one in material.studies:
        place = studies[one.name in AMONG_RESULTS]
        if one.name in ("prompts", "scorers"):
            family = one.name.removesuffix("s")
            place[f"study_{one.name}"] = _pairs_table(studied.pairs[family], family, words)
        else:
            place |= study_tables(one, labels)
        if one.name == "relevance":
            place |= _relevance_lists(material, words)
    tables = {
        "dataset": _dataset_table(material, words),
        **_audit_tables(material, words),
        "models": _models_table(material, words),
        "preprocessing": _preprocessing_table(material, words),
        "cost": _cost_table(material),
        "metrics": _metrics_table(material, words),
        "depth": _depth_table(material, words),
        "ways": _ways_table(material, studied, words),
        "model_pairs": _pairs_table(studied.pairs["model"], "model", words),
        **studies[True],
        "outcomes": _outcome_table(studied, words),
        "failures": _failure_table(studied, words),
        "contrasts": _contrast_table(studied, words),
        **studies[False],
        "gains": _gains_table(studied, words),
        "effects": _effects_table(studied, words),
        "statistics": _statistics_table(material, words),
        "versions": _versions_table(),
        "checksums": _checksum_table(material),
    }
    return {name: table.lean() for name, table in tables.items() if table.rows}


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


def with_interval(value: Any, interval: str) -> Markup:
    """A value and, small below it, its interval."""
    mark = Markup('{}<span class="ci">{}</span>') if interval else Markup("{}")
    return mark.format(value, interval)


def _metrics_table(material: Material, words: dict[str, Any]) -> Table:
    """What papers report: the three recalls each way, and the sum of all six."""
    recalls = dict(zip((f"recall@{k}" for k in KS), METRICS, strict=False))
    cells = {way: _measured(material.metrics, way, recalls) for way in DIRECTIONS}
    # one number for both directions
    sums = _measured(material.metrics, DIRECTIONS[0], {"rsum": METRICS[-1]})
    rows = [
        [*key, *(cell for way in DIRECTIONS for cell in cells[way].get(key, [""] * 3)), *sums[key]]
        for key in sums
    ]
    return Table(
        ["model", "prompt", "scorer", *(METRICS[:-1] * 2), METRICS[-1]],
        rows,
        set(METRICS),
        grouped=True,
        sides=(("", 2), *((words["names"]["arrows"][way], 3) for way in DIRECTIONS), ("", 1)),
    )


def _depth_table(material: Material, words: dict[str, Any]) -> Table:
    """What looks at all ranks, or at all right answers."""
    columns = {
        "median_rank": "median_rank",
        "mean_rank": "mean_rank",
        "mrr": "MRR",
        "r_precision": "R-Precision (%)",
        "map@r": "mAP@R (%)",
        "ndcg@10": "nDCG@10",
    }
    rows = [
        [words["names"]["arrows"][way], *key, *cells]
        for way in DIRECTIONS
        for key, cells in _measured(material.metrics, way, columns).items()
    ]
    names = ["direction", "model", "prompt", "scorer"]
    return Table([*names, *columns.values()], rows, set(columns.values()), grouped=True)


def _measured(
    metrics: pd.DataFrame, way: str, columns: dict[str, str]
) -> dict[tuple[str, ...], list[Markup]]:
    """Some columns of metrics.csv with their intervals, the best bold, by run."""
    group = metrics[metrics.direction == way].to_dict("records")
    best = {column: best_of(group, column) for column in columns}
    measured = {}
    for row in group:
        cells = []
        for column in columns:
            text = shown(column, row[column])
            bold = Markup("<strong>{}</strong>").format(text) if text in best[column] else text
            low, high = (shown(column, row[f"{column}_{end}"]) for end in ("low", "high"))
            cells.append(with_interval(bold, f"[{low}, {high}]"))
        measured[row["model"], row["prompt"], row["scorer"]] = cells
    return measured


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
                formats.percent(float(mean_hits(ranks).mean())),
            ]
        )
    gap = studied.gap
    difference = (gap[key] for key in ("difference", "low", "high"))
    rows.append(
        [
            words["names"]["difference"],
            *[""] * 5,
            formats.with_interval(*difference, formats.points),
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
    for name, values in studied.contrasts.items():
        form = formats.decimal if name == "length" else formats.score
        sides = [
            f"{form(values[side])} (n = {formats.count(values[f'{side}_n'])})"
            for side in ("first", "second")
        ]
        difference = (values[key] for key in ("difference", "low", "high"))
        rows.append([words["contrasts"][name], *sides, formats.with_interval(*difference, form)])
    columns = ["quantity", "first", "second", "difference"]
    return Table(columns, rows, set(columns[1:]))


def _pairs_table(pairs: pd.DataFrame, family: str, words: dict[str, Any]) -> Table:
    """Differences of one family of pairs.csv, in percentage points."""
    numeric = [*(f"Δ\u00a0R@{k}" for k in KS), "mean_difference", "p_holm"]
    rows = [
        [
            words["names"]["arrows"][row["direction"]],
            *([row["model"]] if family != "model" else []),
            f"{row[family]} − {row[f'other_{family}']}",
            *(_lead(row, f"recall@{k}") for k in KS),
            _lead(row, "mean"),
            formats.p_value(row["p_holm"]),
            words["names"]["verdicts"][row["verdict"]],
        ]
        for way in DIRECTIONS
        for row in pairs[pairs.direction == way].to_dict("records")
    ]
    names = ["direction", *(["model"] if family != "model" else []), family]
    return Table([*names, *numeric, "verdict"], rows, set(numeric), grouped=True)


def _lead(row: dict[str, Any], measure: str) -> Markup:
    bounds = row[f"{measure}_low"], row[f"{measure}_high"]
    return with_interval(formats.points(row[measure]), formats.bracket(*bounds, formats.points))


def study_tables(study: StudyTable, labels: Labels) -> dict[str, Table]:
    """A study's numbers: of the measures in its figure, and of those that its sentences name.

    What is measured of the same things stands side by side, as do the two directions; what is
    measured of others has a table of its own.
    """
    table = study.table[study.table.value.notna() & ~study.table.measure.isin(HIDDEN)]
    measures = study.settings["figure"]["measures"]
    beside, apart = BESIDE.get(study.name, ()), APART.get(study.name, ())
    shown = table.measure.isin([*measures, *beside]) if measures else ~table.measure.isin(apart)
    listed, table = table[table.measure.isin(apart)], table[shown | _lost(study.name, table)]
    lost = _lost(study.name, table)
    table = table.assign(
        group=table.group.where(~lost, table.group.str.removesuffix(LOSS)),
        measure=table.measure.where(~lost, "loss"),
    )
    # where each line has a measure of its own, those need no column each
    own = table.groupby(["direction", *LINE], dropna=False).measure.nunique()
    if len(own) and own.max() == 1 < table.measure.nunique():
        listed, table = pd.concat([listed, table]), table[:0]
    tables = [_study_list(study.name, listed, labels)] if len(listed) else []
    tables += [_study_block(study.name, one, labels) for one in _blocks(table, study.name, labels)]
    return {
        f"study_{study.name}{'' if place == 1 else f'_{place}'}": one
        for place, one in enumerate(tables, start=1)
    }


def _lost(study: str, table: pd.DataFrame) -> pd.Series:
    """Which rows say what a damage costs."""
    return table.group.str.endswith(LOSS) & (study == "robustness")


def _blocks(table: pd.DataFrame, study: str, labels: Labels) -> list[Block]:
    """Lines by their x and the measures they have; who has fewer stands with who has more."""
    lines: dict[tuple[Any, ...], dict[str, dict[str, dict[str, Any]]]] = {}
    for row in table.to_dict("records"):
        # no number is equal to itself that is none
        x = None if pd.isna(row["x"]) else row["x"]
        key = (bool(row["direction"]), *(row[name] for name in LINE[:X]), x)
        own = lines.setdefault(key, {}).setdefault(row["direction"], {})
        own[row["measure"]] = row
    kinds: dict[tuple[Any, ...], Block] = {}
    for (directed, *key), ways in lines.items():
        measures = list(dict.fromkeys(measure for own in ways.values() for measure in own))
        kind = directed, labels.x(study, [key[GROUP]]), frozenset(measures)
        kinds.setdefault(kind, Block(measures)).lines[tuple(key)] = ways
    blocks: dict[tuple[Any, ...], Block] = {}
    for kind, block in kinds.items():
        wider = [one for one in kinds if one[:2] == kind[:2] and one[2] >= kind[2]]
        widest = max(wider, key=lambda one: len(one[2]))
        into = blocks.setdefault(widest, Block(kinds[widest].measures))
        into.lines |= block.lines
    for block in blocks.values():
        # in the order of the study's table, whichever kind came first
        block.lines = {
            tuple(key): ways
            for (_, *key), ways in lines.items()
            if block.lines.get(tuple(key)) is ways
        }
    return list(blocks.values())


def _study_block(study: str, block: Block, labels: Labels) -> Table:
    """Lines of one shape, each direction under its own heading."""
    ways = block.ways
    lines, named = _aligned(block)
    whole = len(lines)
    model = next(iter(lines))[MODEL]
    several = len({key[MODEL] for key in lines}) > 1
    if only := several and whole > SEVERAL:
        # the first model is the one that is spoken of
        lines = {key: own for key, own in lines.items() if key[MODEL] == model}
    lines = dict(list(lines.items())[:LONG])
    names, rows = _identities(study, list(lines), block, labels)
    grouped = len(names) > 1 and len({row[0] for row in rows}) < len(rows) and names[0] in OVER
    if grouped:
        # in one piece under its heading
        order = list(dict.fromkeys(row[0] for row in rows))
        kept = sorted(zip(rows, lines.items(), strict=True), key=lambda one: order.index(one[0][0]))
        rows, lines = [row for row, _ in kept], dict(line for _, line in kept)
    numeric = [_heading(measure, labels) for measure in block.measures]
    columns, sides = list(names), [("", len(names))]
    for way in ways:
        counts = [_queries(own.get(way, {})) for own in lines.values()]
        there = set(counts) - {formats.NOTHING}
        # as many queries on every line are told once
        told = any(ways) and len(there) == 1
        for row, own, count in zip(rows, lines.values(), counts, strict=True):
            values = own.get(way, {})
            row += [] if told else [count]
            row += [_study_value(values.get(measure)) for measure in block.measures]
        heading = labels.direction(way)
        if way in named:
            heading += labels.words["between"].get(": ", ": ") + labels.group(study, named[way])
        if told:
            heading += f" ({labels.text('n', n=there.pop())})"
        columns += [*([] if told else ["n"]), *numeric]
        sides.append((heading, len(numeric) + (not told)))
    return Table(
        columns,
        rows,
        {"n", *numeric, *set(names).difference(NAMES)},
        grouped=grouped,
        left_out=whole - len(lines),
        only=model if only else "",
        file=f"tables/{study}.csv",
        flat=len(columns) - len(names) <= 3,
        sides=_over(sides, grouped) if any(ways) else (),
    ).lean()


def _over(sides: list[tuple[str, int]], grouped: bool) -> tuple[tuple[str, int], ...]:
    """Headings over columns, the first of which may be a heading over rows."""
    first = sides[0][1] - grouped
    return (*([("", first)] if first else []), *sides[1:])


def _aligned(block: Block) -> tuple[dict[tuple[Any, ...], dict[str, Any]], dict[str, str]]:
    """Lines by what both directions share, and each direction's own group where they share none."""
    groups = {
        way: {key[GROUP] for key, own in block.lines.items() if way in own} for way in block.ways
    }
    firsts = [min(own) for own in groups.values()]
    if (
        len(groups) < 2
        or len(set(firsts)) < len(groups)
        or any(len(own) > 1 for own in groups.values())
    ):
        return dict(block.lines), {}
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for key, own in block.lines.items():
        lines.setdefault((*key[:GROUP], "", *key[X:]), {}).update(own)
    return lines, dict(zip(groups, firsts, strict=True))


def _identities(
    study: str, keys: list[tuple[Any, ...]], block: Block, labels: Labels
) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of what tells lines from each other."""
    varied = [place for place in range(X) if len({key[place] for key in keys}) > 1]
    parts = [key[GROUP].split(PART) for key in keys]
    # "duplicates / all queries" of one model: a heading "all queries" over its lines
    if varied == [GROUP] and all(len(one) == 2 for one in parts):
        return ["part", "group"], [
            [labels.group(study, of), labels.group(study, what)] for what, of in parts
        ]
    # where x only repeats what the group says, it needs no column
    if len({key[:X] for key in keys}) < len(keys):
        varied.append(X)
    axis = labels.x(study, list(dict.fromkeys(key[GROUP] for key in block.lines)))
    rows = []
    for key in keys:
        x = formats.NOTHING if key[X] is None else formats.quantity(key[X])
        cells = [*key[:GROUP], labels.group(study, key[GROUP]), x]
        rows.append([cells[place] for place in varied])
    return [(*NAMES, axis)[place] for place in varied], rows


def _queries(own: dict[str, dict[str, Any]]) -> str:
    return formats.count(next(iter(own.values()))["queries"]) if own else formats.NOTHING


def _study_list(study: str, table: pd.DataFrame, labels: Labels) -> Table:
    """Values that have nothing in common but that they are counted: one on each line."""
    varied = [name for name in (*LINE[:X], "direction") if table[name].nunique() > 1]
    # a measure may say all that there is to say
    if not table.measure.duplicated().any():
        varied = []
    forms: dict[str, Callable[[Any], str]] = {
        "group": lambda group: labels.group(study, group),
        "direction": labels.direction,
    }
    rows = [
        [
            *(forms.get(name, str)(row[name]) for name in varied),
            labels.measure(row["measure"]),
            formats.count(row["queries"]),
            _study_value(row),
        ]
        for row in table.head(LONG).to_dict("records")
    ]
    return Table(
        [*varied, "measure", "n", "value"],
        rows,
        {"n", "value"},
        left_out=len(table) - len(rows),
        file=f"tables/{study}.csv",
        flat=True,
    )


def _relevance_lists(material: Material, words: dict[str, Any]) -> dict[str, Table]:
    """What ties cost the runs that have some, and captions that stand on several images."""
    shares = ["Recall@1 (%)", "lucky"]
    keys = ["model", "prompt", "scorer"]
    counts = material.ties.groupby("direction").queries.first()
    tied = material.ties.groupby(keys, sort=False).tied.sum()
    runs = list(tied[tied > 0].index)
    cells = {
        (*(row[key] for key in keys), row["direction"]): [
            *(formats.count(row[key]) for key in ("tied", "cost")),
            *(formats.share(row[key]) for key in ("recall@1", "recall@1_lucky")),
        ]
        for row in material.ties.to_dict("records")
    }
    captions = [
        [row["caption"], formats.count(row["count"])]
        for row in material.duplicates.head(FEW_CAPTIONS).to_dict("records")
    ]
    sides = [
        (f"{words['names']['arrows'][way]} (n = {formats.count(counts[way])})", 4)
        for way in DIRECTIONS
        if way in counts
    ]
    columns = ["tied", "cost", *shares]
    return {
        "study_relevance_ties": Table(
            [*keys, *(columns * len(sides))],
            [
                [
                    *run,
                    *(
                        cell
                        for way in DIRECTIONS
                        if way in counts
                        for cell in cells.get((*run, way), [formats.NOTHING] * 4)
                    ),
                ]
                for run in runs
            ],
            set(columns),
            grouped=True,
            left_out=len(tied) - len(runs),
            file="tables/ties.csv",
            sides=(("", 2), *sides),
        ),
        "study_relevance_duplicates": Table(
            ["caption", "images"],
            captions,
            {"images"},
            left_out=len(material.duplicates) - len(captions),
            file="tables/duplicates.csv",
        ),
    }


def _heading(measure: str, labels: Labels) -> str:
    return f"{labels.measure(measure)} (%)" if is_share(measure) else labels.measure(measure)


def _study_value(row: dict[str, Any] | None) -> Markup | str:
    if row is None:
        return formats.NOTHING
    form = printed(row)
    return with_interval(form(row["value"]), formats.bracket(row["low"], row["high"], form))


def _gains_table(studied: Study, words: dict[str, Any]) -> Table:
    """What each optimisation gains, or loses, in mean recall."""
    rows = [
        [
            words["names"]["arrows"][way],
            words["optimisations"][gain.kind]["name"],
            f"{row[gain.differs]} − {row[f'other_{gain.differs}']}",
            _chosen_cell(gain, way),
            _lead(row, "mean"),
            formats.p_value(row["p_holm"]),
            words["names"]["verdicts"][row["verdict"]],
        ]
        for way in DIRECTIONS
        for gain in studied.gains
        for row in gain.pair[gain.pair.direction == way].to_dict("records")
    ]
    columns = ["direction", "optimisation", "compared", "chosen", "mean_difference", "p_holm"]
    return Table([*columns, "verdict"], rows, {"mean_difference", "p_holm"}, grouped=True)


def _chosen_cell(gain: Gain, way: str) -> str:
    """What val chose for one direction, or for both."""
    if gain.chosen is None:
        return formats.NOTHING
    own = [
        (name.removeprefix(f"{way}_"), value)
        for name, value in gain.chosen.numbers.items()
        if name.startswith(way) or name == "epochs"
    ]
    return ", ".join(f"{SYMBOLS[name]} = {value}" for name, value in own)


def _effects_table(studied: Study, words: dict[str, Any]) -> Table:
    rows = []
    for name, finding in studied.savings:
        if finding is None:
            continue
        numbers = finding.numbers
        measured = {
            "cache": lambda n: n["seconds"],
            "texts": lambda n: f"{n['repeated']} / {n['captions']} ({n['share']})",
            "blocks": lambda n: f"{n['memory']}; {n['matrix']}",
            "ties": lambda n: f"{n['ties']} ({n['share']})",
        }[name](numbers)
        rows.append([words["effects"][name].format(**numbers), measured])
    return Table(["optimisation", "measured"], rows)


def _statistics_table(material: Material, words: dict[str, Any]) -> Table:
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
