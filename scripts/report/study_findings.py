"""What each study of this repository shows: its table read as sentences.

As in ``findings``, a sentence is chosen by the numbers and carries them in the form that they have
in the study's table. Looked at is the first model of the table. A study of a user's own has no
sentences here, but its figure and its table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from scripts.evaluate.pairs import SIGNIFICANT
from scripts.protocol import DIRECTIONS
from scripts.report.findings import Finding, Label
from scripts.studies.shown import printed, unique
from scripts.studies.table import P_OF, is_share
from scripts.words import formats

# kinds of failure that are no fault of the model
EXCUSED = ("tie", "identical_caption", "accepted")


def findings_of(study: str, table: pd.DataFrame) -> list[Finding]:
    """What a study shows of the first model in its table; nothing where it is not known here."""
    if table.empty or study not in _KNOWN:
        return []
    return _KNOWN[study](table[table.model == table.model.iloc[0]].reset_index(drop=True))


def told(row: pd.Series) -> str:
    """A value with its interval, as the study's table has it."""
    form = formats.percent if is_share(row.measure) else printed(row)
    return formats.with_interval(row.value, row.low, row.high, form)


def rows_of(table: pd.DataFrame, **keys: Any) -> pd.DataFrame:
    """The rows with these values."""
    for column, value in keys.items():
        table = table[table[column] == value]
    return table


def pick(table: pd.DataFrame, **keys: Any) -> pd.Series | None:
    """The first row with these values, or nothing."""
    rows = rows_of(table, **keys)
    return None if rows.empty else rows.iloc[0]


def apart(one: pd.Series, other: pd.Series) -> str:
    """ "higher", "lower", or "alike" where the intervals of two values overlap."""
    if one.low > other.high:
        return "higher"
    return "lower" if one.high < other.low else "alike"


def relevance(table: pd.DataFrame) -> list[Finding]:
    """What equal captions and people's judgments, accepted as right, add to Recall@1."""
    found = []
    for name, of in (("duplicates", "all queries"), ("people", "judged queries")):
        for way in DIRECTIONS:
            keys = {"direction": way, "measure": "recall@1"}
            strict = pick(table, group=f"own / {of}", **keys)
            wide = pick(table, group=f"{name} / {of}", **keys)
            if strict is None or wide is None:
                continue
            key = "none" if wide.value == strict.value else "slight"
            if wide.value > strict.high:
                key = "clear"
            found.append(
                Finding(
                    f"relevance_{name}_{key}",
                    {"direction": way, "strict": told(strict), "wide": told(wide)},
                )
            )
    return found


def judgments(table: pd.DataFrame) -> list[Finding]:
    """Whether the score agrees with people."""
    return [
        Finding(
            "judgments_agree" if row.low > 0 else "judgments_none",
            {
                "group": Label("judgments", row.group),
                "measure": Label.of_measure(row.measure),
                "value": told(row),
                "pairs": formats.count(row.queries),
            },
        )
        for _, row in table.iterrows()
        if row.measure.startswith("tau")
    ]


def published(table: pd.DataFrame) -> list[Finding]:
    """Whether published figures lie within this run's intervals."""
    found = []
    for _, theirs in table[table.measure == "published"].iterrows():
        own = table[
            (table.group == theirs.group)
            & (table.direction == theirs.direction)
            & ~table.measure.isin(("published", "within"))
        ].iloc[0]
        place = "above" if theirs.value < own.low else "below" if theirs.value > own.high else ""
        found.append(
            Finding(
                f"published_{place or 'within'}",
                {
                    "direction": own.direction,
                    "measure": Label.of_measure(own.measure),
                    "source": own.group,
                    "value": told(own),
                    "published": formats.percent(theirs.value),
                },
            )
        )
    return found


def seeds(table: pd.DataFrame) -> list[Finding]:
    """How much the seed matters, beside how much the choice of images does."""
    found = []
    for group in unique(table.group[table.group.str.endswith(", mean")]):
        name = group.removesuffix(", mean")
        numbers: dict[str, Any] = {"name": name}
        small = True
        for way in DIRECTIONS:
            mean = rows_of(table, group=group, direction=way, measure="mean").iloc[0]
            singles = table[
                (table.direction == way)
                & (table.measure == "mean")
                & table.group.str.startswith(f"{name}, seed ")
            ]
            numbers[way] = told(mean)
            spread = mean.high - mean.low
            small &= bool(spread <= (singles.high - singles.low).mean())
        several = pd.notna(mean.high)
        key = ("small" if small else "large") if several else "one"
        found.append(Finding(f"seeds_{key}", numbers))
    return found


def gallery(table: pd.DataFrame) -> list[Finding]:
    """What the size of the gallery does to Recall@1."""
    found = []
    for way in DIRECTIONS:
        own = table[(table.direction == way) & (table.measure == "recall@1")].sort_values("x")
        if own.empty:
            continue
        if len(own) < 2:
            return [Finding("gallery_small", {"gallery": formats.count(own.x.iloc[-1])})]
        small, medium, full = own.iloc[0], own.iloc[len(own) // 2], own.iloc[-1]
        found.append(
            Finding(
                f"gallery_{'falls' if apart(full, small) == 'lower' else 'holds'}",
                {
                    "direction": way,
                    **{f"{name}_recall": told(one) for name, one in
                       (("small", small), ("medium", medium), ("full", full))},
                    **{name: formats.count(one.x) for name, one in
                       (("small", small), ("medium", medium), ("full", full))},
                },
            )
        )  # fmt: skip
    return found


def captions(table: pd.DataFrame) -> list[Finding]:
    """What the length of captions does, and how many of them are used."""
    found = []
    for group, key in (
        ("length", "length"),
        ("captions together", "together"),
        ("captions per image", "per_image"),
    ):
        own = table[(table.group == group) & (table.measure == "recall@10")].sort_values("x")
        if len(own) < 2:
            continue
        first, last = own.iloc[0], own.iloc[-1]
        found.append(
            Finding(
                f"captions_{key}_{apart(last, first)}",
                {
                    "least": formats.quantity(first.x),
                    "most": formats.quantity(last.x),
                    "first": told(first),
                    "last": told(last),
                },
            )
        )
    return found


def categories(table: pd.DataFrame) -> list[Finding]:
    """Which category is found best and which worst."""
    found = []
    for way in DIRECTIONS:
        own = table[(table.direction == way) & (table.measure == "recall@10")]
        if len(own) < 2:
            continue
        best, worst = own.loc[own.value.idxmax()], own.loc[own.value.idxmin()]
        found.append(
            Finding(
                f"categories_{'apart' if apart(best, worst) == 'higher' else 'alike'}",
                {
                    "direction": way,
                    "best": Label("categories", best.group),
                    "best_recall": told(best),
                    "worst": Label("categories", worst.group),
                    "worst_recall": told(worst),
                },
            )
        )
    return found


def robustness(table: pd.DataFrame) -> list[Finding]:
    """What each damage costs at its strongest."""
    found = []
    for group in unique(table.group[table.group.str.endswith(", loss")]):
        own = table[table.group == group]
        strongest = own[own.x == own.x.max()]
        losses = [rows_of(strongest, direction=way).iloc[0] for way in DIRECTIONS]
        clear = sum(bool(one.low > 0) for one in losses)
        points = [
            formats.with_interval(one.value, one.low, one.high, formats.share) for one in losses
        ]
        found.append(
            Finding(
                f"robustness_{('alike', 'partly', 'hurts')[clear]}",
                {
                    "group": Label("robustness", group.removesuffix(", loss")),
                    "strength": formats.quantity(own.x.max()),
                    **dict(zip(DIRECTIONS, points, strict=True)),
                },
            )
        )
    return found


def geometry(table: pd.DataFrame) -> list[Finding]:
    """How far apart the clouds are, and how much hubs take."""
    found = []
    right, wrong = (pick(table, measure=f"cosine_{one}") for one in ("right", "wrong"))
    gap = pick(table, measure="gap")
    if right is not None and wrong is not None and gap is not None:
        found.append(
            Finding(
                f"geometry_{apart(right, wrong)}",
                {"gap": told(gap), "right": told(right), "wrong": told(wrong)},
            )
        )
    for way in DIRECTIONS:
        own = table[(table.direction == way) & (table.measure == "skewness")]
        if own.empty:
            continue
        first, numbers = own.iloc[0], {"direction": way, "skewness": told(own.iloc[0])}
        # among scorers of the same prompt, the one with the fewest hubs
        others = own[(own.prompt == first.prompt) & (own.scorer != first.scorer)]
        if others.empty:
            found.append(Finding("hubs_only", numbers))
            continue
        least = others.loc[others.value.idxmin()]
        numbers |= {"reference": first.scorer, "name": least.scorer, "least": told(least)}
        found.append(Finding(f"hubs_{apart(least, first)}", numbers))
    return found


def errors(table: pd.DataFrame) -> list[Finding]:
    """The most common kind of failure, and how many are no fault of the model."""
    found = []
    for way in DIRECTIONS:
        own = table[(table.direction == way) & (table.measure == "share")]
        if own.empty:
            continue
        most = own.loc[own.value.idxmax()]
        numbers = {
            "direction": way,
            "kind": Label("errors", most.group),
            "share": told(most),
            "count": formats.count(most.queries),
        }
        found.append(Finding("errors_most", numbers))
        excused = own[own.group.isin(EXCUSED)].set_index("group").queries
        if excused.empty:
            continue
        key = "some" if "accepted" in excused else "unjudged"
        found.append(
            Finding(
                f"errors_excused_{key if excused.sum() else 'none'}",
                {
                    "direction": way,
                    **{kind: formats.count(excused.get(kind, 0)) for kind in EXCUSED},
                },
            )
        )
    return found


def leakage(table: pd.DataFrame) -> list[Finding]:
    """What test shares with train and val, and whether the numbers live on it."""
    found = []
    names = ("near_duplicates", "shared_captions")
    counts = [row.value for name in names if (row := pick(table, measure=name)) is not None]
    if len(counts) == len(names):
        key = "leakage_some" if any(counts) else "leakage_none"
        shown = map(formats.count, counts)
        found.append(Finding(key, dict(zip(names, shown, strict=True))))
        if not any(counts):
            return found
    for way in DIRECTIONS:
        keys = {"direction": way, "measure": "recall@1"}
        every = pick(table, group="all queries", **keys)
        for group, name in (
            ("without near-duplicates", "images"), ("without shared captions", "captions")
        ):  # fmt: skip
            without = pick(table, group=group, **keys)
            if every is None or without is None or without.queries == every.queries:
                continue
            key = "inflates" if without.value < every.low else "harmless"
            found.append(
                Finding(
                    f"leakage_{name}_{key}",
                    {"direction": way, "every": told(every), "without": told(without)},
                )
            )
    return found


def indexes(table: pd.DataFrame) -> list[Finding]:
    """What indexes miss in the run's own gallery, and in the largest simulated one."""
    found = []
    for way in DIRECTIONS:
        own = table[(table.direction == way) & (table.x == table.x[table.direction == way].min())]
        shares = own[own.measure == "found@10"]
        if shares.empty:
            continue
        best, least = shares.loc[shares.value.idxmax()], shares.loc[shares.value.idxmin()]
        keys = {"direction": way, "measure": "recall@10"}
        recall, exact = (
            rows_of(own, group=name, **keys).iloc[0] for name in (least.group, "exact")
        )
        numbers = {
            "direction": way,
            "items": formats.count(least.x),
            "best": Label("indexes", best.group),
            "best_found": told(best),
            "least": Label("indexes", least.group),
            "found": told(least),
            "recall": told(recall),
            "exact": told(exact),
        }
        found.append(
            Finding(
                "indexes_all"
                if formats.share(least.value) == formats.share(1)
                else f"indexes_{'lower' if apart(recall, exact) == 'lower' else 'alike'}",
                numbers,
            )
        )
        most = table[(table.direction == way) & (table.measure == "found@10")]
        most = most[most.x == most.x.max()]
        worst = most.loc[most.value.idxmin()]
        before = rows_of(shares, group=worst.group).iloc[0]
        if worst.x > before.x:
            found.append(
                Finding(
                    f"indexes_simulated_{'falls' if worst.value < before.value else 'holds'}",
                    {
                        "items": formats.count(worst.x),
                        "least": Label("indexes", worst.group),
                        "found": told(worst),
                        "own_found": told(before),
                    },
                )
            )
    return found


def confidence(table: pd.DataFrame) -> list[Finding]:
    """Whether a low top score, or a small margin, warns of a wrong first result."""
    found = []
    for way in DIRECTIONS:
        for signal in unique(table.group):
            own = rows_of(table, direction=way, group=signal)
            gain = pick(own, measure="area_gain")
            half, whole = (pick(own, measure="risk", x=x) for x in (0.5, 1.0))
            # where all are right, or all are wrong, there is nothing to warn of
            if gain is None or half is None or whole is None or whole.value in (0, 1):
                continue
            key = "warns" if gain.low > 0 else "misleads" if gain.high < 0 else "silent"
            numbers = {
                "direction": way,
                "signal": Label("confidence", signal),
                "half": told(half),
                "whole": told(whole),
                "gain": formats.with_interval(gain.value, gain.low, gain.high, formats.share),
            }
            found.append(Finding(f"confidence_{key}", numbers))
    return found


def precision(table: pd.DataFrame) -> list[Finding]:
    """Whether any measure moves with the precision, and how far features agree."""
    first, *others = unique(table.group)
    found = []
    for name in others:
        own = table[table.group == name]
        p = own[own.measure.str.startswith(P_OF)]
        tested = own[own.measure.isin(p.measure.str.removeprefix(P_OF))]
        apart_from_zero = int(((tested.low > 0) | (tested.high < 0)).sum())
        clear = int((p.value < SIGNIFICANT).sum())
        means = [rows_of(own, direction=way, measure="mean").iloc[0] for way in DIRECTIONS]
        most = max(means, key=lambda mean: abs(mean.value))
        numbers = {
            "name": name,
            "first": first,
            "clear": clear,
            "apart": apart_from_zero,
            "total": len(p),
            "direction": most.direction,
            "change": formats.with_interval(most.value, most.low, most.high, formats.points),
        }
        for way in DIRECTIONS:
            cosine = rows_of(own, direction=way, measure="least_cosine").iloc[0]
            numbers[f"{way}_cosine"] = formats.close(cosine.value)
        key = "differs" if clear else "unsure" if apart_from_zero else "alike"
        found.append(Finding(f"precision_{key}", numbers))
    return found


def reranking(table: pd.DataFrame) -> list[Finding]:
    """What each second look gains at its full depth, of what there is to gain."""
    found = []
    for group in unique(table.group):
        own = table[table.group == group]
        own = own[own.x == own.x.max()]
        for way in DIRECTIONS:
            at = {row.measure: row for _, row in rows_of(own, direction=way).iterrows()}
            gain = at["gain@1"]
            numbers = {
                "direction": way,
                "name": group,
                "depth": formats.count(gain.x),
                "recall": told(at["recall@1"]),
                "gain": formats.with_interval(gain.value, gain.low, gain.high, formats.share),
                "pairs": formats.rank(at["pairs"].value),
                "seconds": formats.brief(at["seconds"].value),
            }
            # where the first look left nothing to gain, there is no share of it
            if "gain_found" not in at:
                found.append(Finding("reranking_none", numbers))
                continue
            numbers |= {"bound": told(at["bound"]), "share": told(at["gain_found"])}
            key = "gains" if gain.low > 0 else "loses" if gain.high < 0 else "alike"
            found.append(Finding(f"reranking_{key}", numbers))
    return found


_KNOWN: dict[str, Callable[[pd.DataFrame], list[Finding]]] = {
    "relevance": relevance, "judgments": judgments, "published": published, "seeds": seeds,
    "gallery": gallery, "captions": captions, "categories": categories, "robustness": robustness,
    "geometry": geometry, "errors": errors, "leakage": leakage, "indexes": indexes,
    "precision": precision, "reranking": reranking, "confidence": confidence,
}  # fmt: skip
