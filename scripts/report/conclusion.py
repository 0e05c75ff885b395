"""What to take from a run: which setting to use, what it costs, and what promises to gain more."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from scripts.evaluate.pairs import BOTH
from scripts.protocol import DIRECTIONS
from scripts.report.findings import NAMES, TABLE_OF, Finding, Label, best_gain, lead
from scripts.report.index_findings import COSTS, ENOUGH_FOUND, exactly, repaid_after, through
from scripts.report.material import Material
from scripts.report.optimisations import Gain
from scripts.words import formats

# scorers that are one inner product of mapped features
MAPS = ("centring", "nnn", "inverted_softmax", "adapter")


def findings_of(material: Material, gains: Sequence[Gain]) -> list[Finding]:
    """The sentences of the conclusion, in order.

    Parameters
    ----------
    material : of the report
    gains : of the optimisations
    """
    best = best_gain(material.pairs, material.runs[0].key)
    return [
        _setting(material, best),
        *(_on_val(best.iloc[0], gains) if best is not None else []),
        *(_as_good(material, best) if best is not None else []),
        *_costs(material, best),
        *_next(material, best),
        *_limits(material),
    ]


def _limits(material: Material) -> list[Finding]:
    """What the run cannot tell."""
    found = [Finding("conclusion_limits", {"images": formats.count(len(material.rows.images))})]
    one = len({run.model for run in material.runs}) == 1
    return [*found, Finding("conclusion_limits_model")] if one else found


def _setting(material: Material, best: pd.DataFrame | None) -> Finding:
    """The setting that is clearly better than the reference by most, or the reference itself."""
    model, prompt, scorer = material.runs[0].key
    reference = {"model": model, "prompt": prompt, "scorer": scorer}
    if best is None:
        alone = len(material.runs) == 1
        return Finding(f"conclusion_use_{'only' if alone else 'reference'}", reference)
    row = best[best.direction == BOTH].iloc[0]
    own = {name: row[name] for name in reference}
    numbers = {"difference": lead(row, formats.share), "p": formats.p_is(row.p_holm)}
    return Finding("conclusion_use_gain", {**own, **numbers}, TABLE_OF[row.family])


def _on_val(best: pd.Series, gains: Sequence[Gain]) -> list[Finding]:
    """Whether val, which chose no setting, prefers the one that test recommends."""
    key = tuple(best[["model", "prompt"]])
    found = {
        gain.key: gain.val
        for gain in gains
        if gain.val is not None and tuple(gain.pair[["model", "prompt"]].iloc[0]) == key
    }
    own = found.pop(best.scorer, None)
    if own is None or not found:
        return []
    other = max(found.values())
    told = formats.points(other)
    # what is printed alike is not ranked
    names = [name for name, value in found.items() if formats.points(value) == told]
    numbers = {"own": formats.points(own), "name": names, "other": told}
    verdict = "alike" if numbers["own"] == told else "agrees" if own > other else "differs"
    return [Finding(f"conclusion_val_{verdict}", numbers, "gains")]


def _as_good(material: Material, best: pd.DataFrame) -> list[Finding]:
    """Settings that are clearly better than the reference, too, and not clearly below ``best``."""
    pairs = material.pairs[material.pairs.direction == BOTH]
    first, chosen = material.runs[0].key, tuple(best.iloc[0][list(NAMES)])
    better, alike = set(), set()
    for row in pairs.to_dict("records"):
        one, other = (tuple(row[f"{of}{name}"] for name in NAMES) for of in ("", "other_"))
        if row["verdict"] == "better" and other == first and row["family"] != "other":
            better.add(one)
        elif row["verdict"] == "alike" and chosen in (one, other):
            alike |= {one, other}
    names = [" · ".join(run.key) for run in material.runs if run.key in (better & alike) - {chosen}]
    if not names:
        return []
    return [Finding("conclusion_use_alike", {"others": names}, TABLE_OF[best.iloc[0].family])]


def _costs(material: Material, best: pd.DataFrame | None) -> list[Finding]:
    """What encoding and ranking took, and what the setting asks for beyond the reference."""
    found = []
    seconds = material.steps.set_index("rule").seconds
    if {"encode_images", "encode_texts", "similarity"} <= set(seconds.index):
        numbers = {
            name: formats.duration(seconds[rule])
            for name, rule in (
                ("images", "encode_images"), ("texts", "encode_texts"), ("ranking", "similarity")
            )
        }  # fmt: skip
        found.append(Finding("conclusion_cost", numbers, "cost"))
    return found if best is None else [*found, *_extra(material, best.iloc[0])]


def _extra(material: Material, row: pd.Series) -> list[Finding]:
    """What a better setting costs for each query, beside the reference."""
    if row.family == "model":
        return [Finding("conclusion_cost_model", {"model": row.model})]
    if row.family == "prompt":
        templates = len(material.templates[row.prompt])
        key = "templates" if templates > 1 else "same"
        return [Finding(f"conclusion_cost_{key}", {"templates": formats.count(templates)})]
    entry = material.scorers[row.scorer]
    if entry["kind"] in MAPS:
        return [Finding("conclusion_cost_same")]
    if entry["kind"] == "fusion":
        return [Finding("conclusion_cost_fusion", {"other": entry["with"]})]
    looks = material.table_of("reranking")
    own = looks[(looks.model == row.model) & (looks.group == row.scorer)]
    own = own[(own.x == own.x.max()) & (own.direction == DIRECTIONS[0])].set_index("measure").value
    if not {"pairs", "seconds"} <= set(own.index):
        return []
    numbers = {"pairs": formats.rank(own["pairs"]), "seconds": formats.brief(own["seconds"])}
    return [Finding("conclusion_cost_look", numbers, "study_reranking_costs")]


def _next(material: Material, best: pd.DataFrame | None) -> list[Finding]:
    """What promises to gain: a second look with what is to be used, and an index."""
    found = []
    key = material.runs[0].key if best is None else tuple(best.iloc[0][list(NAMES)])
    at = material.metrics.set_index([*NAMES, "direction"]).loc[key]
    # in the best order of the first ten, a right answer among them comes first
    numbers = {
        f"{name}_{end}": formats.percent(at.loc[way, f"recall@{k}"])
        for way, name in zip(DIRECTIONS, ("text", "image"), strict=True)
        for end, k in (("now", 1), ("most", 10))
    }
    looked = any(entry["kind"] == "reranked" for entry in material.scorers.values())
    if (at["recall@10"] > at["recall@1"]).any() and not looked:
        found.append(Finding("conclusion_rerank", numbers, "metrics"))
    return found if material.index_costs is None else [*found, *index_pays(material.index_costs)]


def index_pays(costs: pd.DataFrame) -> list[Finding]:
    """From which size on an index answers faster than the exact ranking and misses little.

    Parameters
    ----------
    costs : of index_costs.csv; from text to image
    """
    own = costs[costs.direction == DIRECTIONS[0]]
    sizes = sorted(own["items"].unique())
    for size in sizes:
        here = own[own["items"] == size]
        exact, fine = exactly(here), through(here)
        fine = fine[fine["found@10"] >= ENOUGH_FOUND]
        if exact.empty or fine.empty:
            continue
        fast, slow = (one.loc[one.latency_ms.idxmin()] for one in (fine, exact))
        if fast.latency_ms < slow.latency_ms:
            numbers = {
                "items": formats.count(size),
                "simulated": formats.count(fast.simulated),
                "name": Label("indexes", fast["index"]),
                "found": formats.percent(fast["found@10"]),
                "latency": formats.decimal(fast.latency_ms, 3),
                "exact": formats.decimal(slow.latency_ms, 3),
                "repaid": repaid_after(fast, slow),
            }
            return [Finding("conclusion_index", numbers, COSTS)]
    if through(own).empty:
        return []
    return [Finding("conclusion_no_index", {"items": formats.count(sizes[-1])}, COSTS)]
