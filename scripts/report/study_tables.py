"""Tables of the studies: what a page has room for, both directions side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from scripts.data.rows import SPLITS
from scripts.protocol import DIRECTIONS
from scripts.report.blocks import Spans
from scripts.report.index_findings import exactly, repaid_after
from scripts.report.material import Material, StudyTable
from scripts.report.table import Table, in_points, with_interval
from scripts.studies.shown import is_measure, printed, unique
from scripts.studies.table import FIT, P_RANGE, SHIFT, unit_of
from scripts.words import formats
from scripts.words.labels import Labels

# measures that stand beside those of a study's figure, for its sentences
BESIDE = {
    "relevance": ("recall@1_change",),
    "gallery": ("recall@1_change",),
    "seeds": ("range", P_RANGE),
    "captions": ("recall@10_change", "range", P_RANGE),
    "categories": ("range", P_RANGE),
    "errors": ("base", "excess"),
    "leakage": ("recall@1_change",),
    "indexes": ("found@10", "recall@1", "recall@5"),
    "reranking": ("gain@1", "gain_found"),
    "confidence": ("area", "area_random", "area_gain"),
}
# and those that have a table of their own
APART = {"leakage": ("near_duplicates", "shared_captions")}
# how groups end that have a table of another shape
SHAPED = {"geometry": SHIFT, "leakage": FIT}
# captions on several images that are shown
FEW_CAPTIONS = 6
# lines of a study's table that a page has room for, and from where on one model is enough
LONG, SEVERAL = 20, 6
# what a line of a study's table is about
LINE = ["model", "prompt", "scorer", "group", "x"]
MODEL, GROUP, X = 0, 3, 4
NAMES = ("model", "prompt", "scorer", "group")

# those that may become a heading over the lines that share them
OVER = ("model", "group", "part")
# between what a group takes for right and the queries that it is counted on
PART = " / "
# what indexes are held against, and is none
EXACT = "exact"
# what a second look costs, in a table of its own
COSTS = ("pairs", "seconds")
# what is shown of each split
OF_SPLITS = ("recall@1", "recall@10", "mean")
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


def study_tables(study: StudyTable, labels: Labels) -> dict[str, Table]:
    """A study's numbers: of the measures in its figure, and of those that its sentences name.

    What is measured of the same things stands side by side, as do the two directions; what is
    measured of others has a table of its own.
    """
    table = study.table[study.table.value.notna() & is_measure(study.table.measure)]
    if study.name in SHAPED:
        table = table[~table.group.str.endswith(SHAPED[study.name])]
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
    for (directed, *line), ways in lines.items():
        measures = list(dict.fromkeys(measure for own in ways.values() for measure in own))
        kind = directed, labels.x(study, [line[GROUP]]), frozenset(measures)
        kinds.setdefault(kind, Block(measures)).lines[tuple(line)] = ways
    blocks: dict[tuple[Any, ...], Block] = {}
    for kind, block in kinds.items():
        wider = [one for one in kinds if one[:2] == kind[:2] and one[2] >= kind[2]]
        widest = max(wider, key=lambda one: len(one[2]))
        into = blocks.setdefault(widest, Block(kinds[widest].measures))
        into.lines |= block.lines
    for block in blocks.values():
        # in the order of the study's table, whichever kind came first
        block.lines = {
            tuple(line): ways
            for (_, *line), ways in lines.items()
            if block.lines.get(tuple(line)) is ways
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
            heading = labels.text("of_so_many", what=heading, n=there.pop())
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
        sides=_over(sides, grouped) if any(ways) else (),
        holds=(*_only_group(study, block, labels), *map(labels.measure, block.measures)),
    ).lean()


def _only_group(study: str, block: Block, labels: Labels) -> tuple[str, ...]:
    """The label of the group of which all lines are, which no cell says."""
    groups = {key[GROUP] for key in block.lines}
    return (labels.group(study, *groups),) if len(groups) == 1 and any(groups) else ()


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
) -> tuple[list[str], list[list[Any]]]:
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
            _heading(row["measure"], labels),
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
        holds=tuple(map(labels.measure, unique(table.measure))),
    )


def lists_beside(
    study: str, material: Material, words: dict[str, Any], labels: Labels
) -> dict[str, Table]:
    """What some studies list beside their tables."""
    ties, duplicates, costs = material.ties, material.duplicates, material.index_costs
    if study == "relevance" and ties is not None and duplicates is not None:
        return _relevance_lists(ties, duplicates, words, labels)
    if study == "geometry":
        return _shifts_of_prompts(material, labels)
    if study == "leakage":
        return _recall_of_splits(material, labels)
    if study == "reranking":
        return _costs_of_looks(next(one for one in material.studies if one.name == study), labels)
    return _costs_of_indexes(costs, labels) if study == "indexes" and costs is not None else {}


def _shifts_of_prompts(material: Material, labels: Labels) -> dict[str, Table]:
    """Recall under each prompt of the first model, how far it shifts captions, and what that costs.

    What it loses is that of pairs.csv, which has no template that is no run.
    """
    table, first = material.table_of("geometry"), material.runs[0]
    table = table[table.group == SHIFT]
    own, pairs = table[table.model == first.model], material.pairs
    pairs = pairs[(pairs.family == "prompt") & (pairs.other_prompt == first.prompt)]
    pairs = pairs[(pairs.model == first.model) & (pairs.scorer == first.scorer)]
    lost = pairs[pairs.direction == DIRECTIONS[0]].set_index("prompt").to_dict("index")
    prompts = unique(own.prompt) if (own.measure == "shift").any() else []
    at = {(row["prompt"], row["measure"], row["direction"]): row for row in own.to_dict("records")}
    text, image = DIRECTIONS
    columns = [("mean", text), ("mean_unshifted", text), ("mean_unshifted_change", text)]
    columns += [("mean", image), ("shift", ""), ("shift_alike", "")]
    rows = [
        [prompt, *(_study_value(at.get((prompt, *column))) for column in columns)]
        for prompt in prompts[:LONG]
    ]
    for row in rows:
        pair = lost.get(row[0])
        row.insert(2, in_points(pair, "mean") if pair else formats.NOTHING)
    heads = [_heading(measure, labels) for measure, _ in columns]
    heads.insert(1, f"Δ {labels.measure('mean')}")
    counted = len(table.drop_duplicates(["model", "prompt"])) if prompts else 0
    return {
        "shifts": Table(
            ["prompt", *heads],
            rows,
            set(heads),
            left_out=counted - len(rows),
            only=first.model if table.model.nunique() > 1 else "",
            file="tables/geometry.csv",
            sides=(("", 1), (labels.direction(text), 4), (labels.direction(image), 1), ("", 2)),
        )
    }


def _recall_of_splits(material: Material, labels: Labels) -> dict[str, Table]:
    """Recall of the first model on each split, in galleries of one size."""
    table, first = material.table_of("leakage"), material.runs[0].model
    table = table[table.group.str.endswith(FIT)]
    at: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in table[table.model == first].to_dict("records"):
        at.setdefault((row["group"], row["direction"]), {})[row["measure"]] = row
    rows = []
    for split in SPLITS if at else ():
        ways = [at[f"{split}, {FIT}", way] for way in DIRECTIONS]
        cells = [labels.words["splits"][split]]
        for own in ways:
            cells += [_queries(own), *(_study_value(own[name]) for name in OF_SPLITS)]
        rows.append(cells)
    heads = ["queries", *map(labels.head, OF_SPLITS)]
    others = table[table.model != first].drop_duplicates(["model", "group"])
    return {
        "fit": Table(
            ["split", *heads * len(DIRECTIONS)],
            rows,
            set(heads),
            left_out=len(others),
            only=first if len(others) else "",
            file="tables/leakage.csv",
            sides=(("", 1), *((labels.direction(way), len(heads)) for way in DIRECTIONS)),
        )
    }


def _costs_of_looks(study: StudyTable, labels: Labels) -> dict[str, Table]:
    """What a second look reads and takes for a query, at each depth and each way."""
    table = study.table[study.table.measure.isin(COSTS)]
    # of two runs that are made of the same scores, the first
    table = table.drop_duplicates(["model", "direction", "x", "measure", "value"])
    cells: dict[tuple[Any, ...], list[str]] = {}
    for row in table.to_dict("records"):
        form = formats.brief if row["measure"] == "seconds" else formats.rank
        key = row["model"], row["group"], formats.count(row["x"])
        cells.setdefault(key, []).append(form(row["value"]))
    axis = labels.x(study.name, [""])
    sides = [(labels.direction(way), len(COSTS)) for way in unique(table.direction)]
    columns = ["model", "scorer", axis, *COSTS * len(sides)]
    return {
        f"study_{study.name}_costs": Table(
            columns,
            [[*key, *own] for key, own in cells.items()][:LONG],
            {axis, *COSTS},
            left_out=max(0, len(cells) - LONG),
            file=f"tables/{study.name}.csv",
            sides=(("", 3), *sides),
        )
    }


def _relevance_lists(
    ties: pd.DataFrame, duplicates: pd.DataFrame, words: dict[str, Any], labels: Labels
) -> dict[str, Table]:
    """What ties cost the runs that have some, and captions that stand on several images."""
    shares = [_heading("recall@1", labels), "lucky"]
    keys = ["model", "prompt", "scorer"]
    counts = ties.groupby("direction").queries.first()
    tied = ties.groupby(keys, sort=False).tied.sum()
    runs = list(tied[tied > 0].index)
    cells = {
        (*(row[key] for key in keys), row["direction"]): [
            *(formats.count(row[key]) for key in ("tied", "cost")),
            *(formats.share(row[key]) for key in ("recall@1", "recall@1_lucky")),
        ]
        for row in ties.to_dict("records")
    }
    captions = [
        [row["caption"], formats.count(row["count"])]
        for row in duplicates.head(FEW_CAPTIONS).to_dict("records")
    ]
    sides = [
        (labels.text("of_so_many", what=labels.direction(way), n=formats.count(counts[way])), 4)
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
            left_out=len(duplicates) - len(captions),
            file="tables/duplicates.csv",
        ),
    }


def _costs_of_indexes(costs: pd.DataFrame, labels: Labels) -> dict[str, Table]:
    """What each index finds and costs in each gallery, each way."""
    found = _heading("found@10", labels)
    numeric = ["items", "simulated", found, "latency", "memory_mb", "build", "repaid"]
    exact = exactly(costs).sort_values("latency_ms").drop_duplicates(["direction", "items"])
    exact = exact.set_index(["direction", "items"])
    rows = [
        [
            labels.direction(row["direction"]),
            labels.group("indexes", row["index"]),
            formats.count(row["items"]),
            formats.count(row["simulated"]),
            formats.share(row["found@10"]),
            formats.decimal(row["latency_ms"], 3),
            formats.decimal(row["memory_mb"]),
            formats.duration(row["build_s"]) if row["index"] != EXACT else formats.NOTHING,
            repaid_after(row, exact.loc[(row["direction"], row["items"])])
            if (row["direction"], row["items"]) in exact.index
            else formats.NOTHING,
        ]
        for row in costs.to_dict("records")
    ]
    return {
        "study_indexes_costs": Table(
            ["direction", "index", *numeric],
            rows,
            set(numeric),
            grouped=True,
        )
    }


def _heading(measure: str, labels: Labels) -> str:
    name, unit = labels.measure(measure), unit_of(measure)
    if unit == "points":
        return labels.text("points", measure=name)
    return f"{name} (%)" if unit == "share" else name


def _study_value(row: dict[str, Any] | None) -> Spans | str:
    if row is None:
        return formats.NOTHING
    form = printed(row)
    return with_interval(form(row["value"]), formats.bracket(row["low"], row["high"], form))
