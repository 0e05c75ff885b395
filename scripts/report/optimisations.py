"""What this workflow does of its own, each with its effect where this run has measured one.

Gains are those of pairs.csv: a paired difference with its interval and its adjusted p-value. They
are told whichever way they go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from scripts.evaluate.pairs import BOUNDS
from scripts.measures import HEADLINE
from scripts.protocol import DIRECTIONS
from scripts.report import study_findings
from scripts.report.findings import Finding, effect
from scripts.report.material import Material
from scripts.words import formats

# kinds of scorers, in the order in which they are told
SCORERS = ("centring", "nnn", "inverted_softmax", "adapter", "fusion", "reranked")
# what a kind takes from val, for each direction
CHOSEN = {
    "centring": ("share",),
    "nnn": ("weight", "neighbours"),
    "inverted_softmax": ("beta",),
    "fusion": ("weight",),
    "reranked": ("first",),
}
# studies of a kind, and the column of theirs that names a scorer
STUDIED = {"adapter": ("seeds", "scorer"), "reranked": ("reranking", "group")}
# columns of pairs.csv that change sides where a pair is turned round
_SIDES = [(name, f"other_{name}") for name in ("model", "prompt", "scorer")]


@dataclass(frozen=True)
class Gain:
    """One run against another, and why it could be better.

    Attributes
    ----------
    kind : its name in the words
    pair : rows of pairs.csv, one for both directions and one for each
    differs : "model", "prompt" or "scorer": what the two runs differ in
    chosen : what val chose, by direction and name, ready to print
    val : what it gains on val over cosine, in mean recall of both directions, with what was chosen
        there; None where nothing was
    further : more that this run shows of it
    """

    kind: str
    pair: pd.DataFrame
    differs: str
    chosen: dict[str, str] = field(default_factory=dict)
    further: tuple[Finding, ...] = ()
    val: float | None = None

    @property
    def key(self) -> str:
        """What the configuration calls it."""
        return str(self.pair[self.differs].iloc[0])

    @property
    def findings(self) -> list[Finding]:
        """What is said of it, the gain first."""
        return [replace(effect(self.pair, self.differs), table="gains"), *self.further]


def gains(material: Material, told: Mapping[str, pd.DataFrame]) -> list[Gain]:
    """Every gain, or loss, that this run measures of an optimisation of this workflow.

    Parameters
    ----------
    material : of the report
    told : "prompt" and "scorer" -> rows of these families of pairs.csv, all or the few of many
    """
    prompts, scorers = told["prompt"], told["scorer"]
    together = [name for name, texts in material.templates.items() if len(texts) > 1]
    found = [
        Gain("ensemble", part, "prompt")
        for _, part in _each(prompts[prompts.prompt.isin(together)], "prompt")
    ]
    for kind in SCORERS:
        names = [name for name, entry in material.scorers.items() if entry["kind"] == kind]
        for key, part in _each(scorers[scorers.scorer.isin(names)], "scorer"):
            further = _of_studies(material, kind, key)
            own = material.fitted[key]
            found.append(Gain(kind, part, "scorer", chosen(kind, own), further, on_val(kind, own)))
    return found + [Gain("tuning", part, "model") for part in _tuned(material)]


def _each(pairs: pd.DataFrame, kind: str) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Pairs by the run that is looked at."""
    keys = ["model", "prompt", "scorer"]
    return [(key, part) for key, part in pairs.groupby(keys, sort=False)]


def _of_studies(material: Material, kind: str, key: tuple[str, str, str]) -> tuple[Finding, ...]:
    """What the study of a kind of scorer, where there is one, says of this run's."""
    name, column = STUDIED.get(kind, ("", ""))
    for study in material.studies:
        if study.name == name:
            own = study.table
            own = own[(own[["model", "prompt", column]] == list(key)).all(axis=1)]
            return tuple(study_findings.findings_of(name, own))
    return ()


def _tuned(material: Material) -> list[pd.DataFrame]:
    """Pairs of a model and the one that it was tuned from, under the first prompt and scorer."""
    found = []
    for model in material.models:
        base, name = (model.get("training") or {}).get("base"), model["model"]
        for part in (
            _between(material.pairs, name, base),
            turned(_between(material.pairs, base, name)),
        ):
            if len(part):
                found.append(part)
    return found


def _between(pairs: pd.DataFrame, model: str | None, other: str | None) -> pd.DataFrame:
    """The first pair of two models that differ in nothing else."""
    own = pairs[
        (pairs.model == model)
        & (pairs.other_model == other)
        & (pairs.prompt == pairs.other_prompt)
        & (pairs.scorer == pairs.other_scorer)
    ]
    return own.drop_duplicates("direction")


def turned(pairs: pd.DataFrame) -> pd.DataFrame:
    """The same comparison, seen from the other side."""
    result = pairs.copy()
    for one, other in _SIDES:
        result[one], result[other] = pairs[other], pairs[one]
    for column in pairs.columns:
        if column in (*HEADLINE, *BOUNDS):
            opposite = column
            if column.endswith(("_low", "_high")):
                name, end = column.rsplit("_", 1)
                opposite = f"{name}_{'high' if end == 'low' else 'low'}"
            result[column] = -pairs[opposite]
    result["verdict"] = pairs.verdict.map({"better": "worse", "worse": "better"}).fillna("alike")
    return result


def chosen(kind: str, arrays: dict[str, np.ndarray]) -> dict[str, str]:
    """What a scorer took from val, as "text_to_image_weight": "0.5"; "with" is another model."""
    if kind == "adapter" and "epochs" in arrays:
        return {"epochs": ", ".join(formats.count(epoch) for epoch in arrays["epochs"])}
    if not set(CHOSEN.get(kind, ("",))) <= set(arrays):
        return {}
    numbers = {
        f"{way}_{name}": formats.quantity(float(arrays[name][place]))
        for name in CHOSEN[kind]
        for place, way in enumerate(DIRECTIONS)
    }
    if kind == "fusion":
        numbers["with"] = str(arrays["with"])
    return numbers


def on_val(kind: str, arrays: dict[str, np.ndarray]) -> float | None:
    """What a fitted scorer gains in mean recall on val; None where that was no val, or a part."""
    found = arrays.get("val_recall")
    if found is None or kind == "reranked":
        return None
    own = found[arrays["place"]] if "place" in arrays else found.mean()
    return float(own - arrays["val_cosine"].mean())


def savings(material: Material, shifts: Sequence[Finding]) -> dict[str, Finding | None]:
    """What the workflow does besides, by name in the words, each with what was measured of it.

    ``shifts`` are of ``links.shifts``; where no prompt loses by one, there is nothing to take off.
    """
    steps, prompts = material.steps.set_index("rule"), len(material.templates)
    seconds, memory = steps.seconds.get("encode_images", 0), steps.max_rss_mb.get("similarity", 0)
    encoded = {"seconds": formats.duration(seconds), "prompts": formats.count(prompts)}
    ranked = {"memory": formats.megabytes(memory)}
    # by prompt
    won = [f"{one.numbers['name']} {one.numbers['won']}" for one in shifts if "won" in one.numbers]
    unshifted = Finding("effect_unshift", {"won": won}, "shifts")
    return {
        **({"unshift": unshifted} if won else {}),
        "cache": Finding("effect_cache", encoded, "cost") if prompts > 1 and seconds > 0 else None,
        "texts": None,
        "blocks": Finding("effect_blocks", ranked, "cost") if memory > 0 else None,
    }
