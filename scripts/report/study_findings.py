"""What each study of this repository shows: its table read as sentences.

As in ``findings``, a sentence is chosen by the numbers and carries them in the form that they have
in the study's table. Looked at is the first model of the table. A study of a user's own has no
sentences here, but its figure and its table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd

from scripts.evaluate.pairs import SIGNIFICANT
from scripts.protocol import DIRECTIONS
from scripts.report.findings import Finding, Label
from scripts.report.study_rows import apart, of_most, pick, rows_of, same, told, verdict
from scripts.studies.shown import unique
from scripts.studies.table import CHANGE, P_OF, P_RANGE
from scripts.words import formats

# kinds of failure that are no fault of the model
EXCUSED = ("tie", "identical_caption", "accepted")


def findings_of(study: str, table: pd.DataFrame) -> list[Finding]:
    """What a study shows of the first model in its table; nothing where it is not known here."""
    if table.empty or study not in _KNOWN:
        return []
    found = _KNOWN[study](table[table.model == table.model.iloc[0]].reset_index(drop=True))
    return [replace(one, table=f"study_{study}") for one in found]


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
            change = rows_of(
                table, direction=way, group=wide.group, measure=f"recall@1{CHANGE}"
            ).iloc[0]
            key = "clear" if verdict(change) == "higher" else "slight"
            numbers = {
                "direction": way,
                "strict": told(strict),
                "wide": told(wide),
                "change": told(change),
            }
            if name == "people":
                wholly = pick(
                    table, group=f"people strict / {of}", direction=way, measure=change.measure
                )
                numbers["strictly"] = told(wholly)
            verdict_ = "none" if same(strict, wide) else key
            found.append(Finding(f"relevance_{name}_{verdict_}", numbers))
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
    """Whether this run agrees with published figures of the same weights and data."""
    found = []
    for _, theirs in rows_of(table, measure="published").iterrows():
        beside = rows_of(table, group=theirs.group, direction=theirs.direction)
        agrees, difference = (
            rows_of(beside, measure=name).iloc[0] for name in ("agrees", "difference")
        )
        own = beside.iloc[0]
        key = "agrees" if agrees.value else "above" if difference.value > 0 else "below"
        found.append(
            Finding(
                f"published_{key}",
                {
                    "direction": own.direction,
                    "measure": Label.of_measure(own.measure),
                    "source": own.group,
                    "value": formats.percent(own.value),
                    "published": formats.percent(theirs.value),
                    "difference": told(difference),
                },
            )
        )
    return found


def seeds(table: pd.DataFrame) -> list[Finding]:
    """Whether seeds differ on the same queries, and how far."""
    found = []
    for group in unique(table.group[table.group.str.endswith(", mean")]):
        numbers: dict[str, Any] = {"name": group.removesuffix(", mean")}
        own, clear, several = rows_of(table, group=group), 0, False
        for way in DIRECTIONS:
            at = {row.measure: row for _, row in rows_of(own, direction=way).iterrows()}
            numbers[way] = told(at["mean"])
            if several := "range" in at:
                numbers[f"{way}_range"] = told(at["range"])
                numbers[f"{way}_p"] = formats.p_equals(at[P_RANGE].value)
                clear += at[P_RANGE].value < SIGNIFICANT
        key = ("alike", "partly", "differ")[clear] if several else "one"
        found.append(Finding(f"seeds_{key}", numbers))
    return found


def gallery(table: pd.DataFrame) -> list[Finding]:
    """What the size of the gallery does to Recall@1."""
    found = []
    for way in DIRECTIONS:
        own = rows_of(table, direction=way, measure="recall@1").sort_values("x")
        if own.empty:
            continue
        if len(own) < 2:
            return [Finding("gallery_small", {"gallery": formats.count(own.x.iloc[-1])})]
        small, medium, full = own.iloc[0], own.iloc[len(own) // 2], own.iloc[-1]
        change = pick(table, direction=way, measure=f"recall@1{CHANGE}", x=full.x)
        found.append(
            Finding(
                f"gallery_{'falls' if verdict(change) == 'lower' else 'holds'}",
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
    if parts := apart(table, group="length"):
        best, worst, p = parts
        found.append(
            Finding(
                f"captions_length_{'apart' if p < SIGNIFICANT else 'alike'}",
                {
                    "best": formats.quantity(best.x),
                    "best_recall": told(best),
                    "worst": formats.quantity(worst.x),
                    "worst_recall": told(worst),
                    "p": formats.p_equals(p),
                },
            )
        )
    for group, key in (("captions together", "together"), ("captions per image", "per_image")):
        own = of_most(rows_of(table, group=group, measure="recall@10").sort_values("x"))
        if len(own) < 2:
            continue
        first, last = own.iloc[0], own.iloc[-1]
        change = rows_of(table, group=group, measure=f"recall@10{CHANGE}", x=last.x).iloc[0]
        found.append(
            Finding(
                f"captions_{key}_{verdict(change)}",
                {
                    "least": formats.quantity(first.x),
                    "most": formats.quantity(last.x),
                    "first": told(first),
                    "last": told(last),
                    "change": told(change),
                    "images": formats.count(change.queries),
                },
            )
        )
    return found


def categories(table: pd.DataFrame) -> list[Finding]:
    """Which category is found best and which worst, and whether that is more than chance."""
    found = []
    for way in DIRECTIONS:
        if not (parts := apart(table, direction=way)):
            continue
        best, worst, p = parts
        found.append(
            Finding(
                f"categories_{'apart' if p < SIGNIFICANT else 'alike'}",
                {
                    "direction": way,
                    "best": Label("categories", best.group),
                    "best_recall": told(best),
                    "worst": Label("categories", worst.group),
                    "worst_recall": told(worst),
                    "p": formats.p_equals(p),
                },
            )
        )
    return found


def robustness(table: pd.DataFrame) -> list[Finding]:
    """What each damage costs at its strongest, the worst first."""
    found = []
    for group in unique(table.group[table.group.str.endswith(", loss")]):
        own = table[table.group == group]
        strongest = own[own.x == own.x.max()]
        losses = [rows_of(strongest, direction=way).iloc[0] for way in DIRECTIONS]
        clear = sum(bool(one.low > 0) for one in losses)
        points = [
            formats.with_interval(one.value, one.low, one.high, formats.share) for one in losses
        ]
        told = Finding(
            f"robustness_{('alike', 'partly', 'hurts')[clear]}",
            {
                "group": Label("robustness", group.removesuffix(", loss")),
                "strength": formats.quantity(own.x.max()),
                **dict(zip(DIRECTIONS, points, strict=True)),
            },
        )
        found.append((losses[0].value, told))
    return [told for _, told in sorted(found, key=lambda one: -one[0])]


def geometry(table: pd.DataFrame) -> list[Finding]:
    """How far apart the clouds are, and how much hubs take."""
    found = []
    names = ("gap", "cosine_right", "cosine_wrong", "cosine_lead")
    at = {row.measure: row for _, row in table[table.measure.isin(names)].iterrows()}
    if len(at) == len(names):
        numbers = {name.removeprefix("cosine_"): told(row) for name, row in at.items()}
        found.append(Finding(f"geometry_{verdict(at['cosine_lead'])}", numbers))
    return found + hubs(table)


def hubs(table: pd.DataFrame) -> list[Finding]:
    """How much hubs take under the first prompt and scorer; what changes them is told in links."""
    level = rows_of(table, measure="skewness")
    if level.empty:
        return []
    first = level.iloc[0]
    own = rows_of(level, prompt=first.prompt, scorer=first.scorer).set_index("direction")
    numbers = {"prompt": first.prompt, "scorer": first.scorer}
    return [Finding("hubs", numbers | {way: told(own.loc[way]) for way in DIRECTIONS})]


def errors(table: pd.DataFrame) -> list[Finding]:
    """What sets wrong pairs apart from right ones, and how many are no fault of the model."""
    found = []
    for way in DIRECTIONS:
        own = rows_of(table, direction=way)
        shares = rows_of(own, measure="share").set_index("group")
        if shares.empty:
            continue
        beyond = rows_of(own, measure="excess")
        if len(beyond):
            most = beyond.loc[beyond.value.idxmax()]
            base = rows_of(own, measure="base", group=most.group).iloc[0]
            numbers = {
                "direction": way,
                "kind": Label("errors", most.group),
                "share": told(shares.loc[most.group]),
                "base": told(base),
                "excess": told(most),
            }
            # kinds of which nobody can say that they are less
            close = beyond[(beyond.high >= most.low) & (beyond.group != most.group)]
            key = "beyond" if verdict(most) == "higher" else "as_right"
            if len(close) and key == "beyond":
                key = "beyond_close"
                numbers["others"] = [Label("errors", name) for name in close.group]
                numbers["others_excess"] = [told(row) for _, row in close.iterrows()]
                numbers["others_share"] = [told(shares.loc[name]) for name in close.group]
            found.append(Finding(f"errors_{key}", numbers))
            # where words tell kinds apart, of these they say nothing
            if "other" in shares.index:
                numbers = {"direction": way, "share": told(shares.loc["other"])}
                found.append(Finding("unexplained_errors", numbers))
        excused = shares[shares.index.isin(EXCUSED)].queries
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
        if any(counts) and not counts[0]:
            key = "leakage_captions_only"
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
            if every is None or without is None:
                continue
            change = rows_of(table, direction=way, group=group, measure=f"recall@1{CHANGE}").iloc[0]
            key = {"lower": "falls", "higher": "rises"}.get(verdict(change), "alike")
            if same(every, without):
                key = "alike"
            numbers = {"direction": way, "every": told(every), "without": told(without)}
            numbers |= {"change": told(change), "queries": formats.count(without.queries)}
            found.append(
                Finding(f"leakage_{name}_{'few' if pd.isna(change.low) else key}", numbers)
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
        change = pick(own, group=least.group, direction=way, measure=f"recall@10{CHANGE}")
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
                else f"indexes_{'lower' if verdict(change) == 'lower' else 'alike'}",
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
    for signal in unique(table.group):
        for way in DIRECTIONS:
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
