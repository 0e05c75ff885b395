"""What this run shows: from tables to findings, each a key and its numbers.

A finding is chosen by what the tables hold. The sentence of each key stands among the
words of the report; no number enters it that is not in a table of the report, in the same form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from scripts.evaluate.few import FEW, few
from scripts.evaluate.pairs import BOTH, FAMILIES
from scripts.evaluate.runs import Run, chance, right_answers
from scripts.protocol import DIRECTIONS
from scripts.words import formats

NAMES = ("model", "prompt", "scorer")
# the report's tables of pairs.csv
TABLE_OF = {"prompt": "study_prompts", "scorer": "study_scorers", "model": "model_pairs"}


@dataclass(frozen=True)
class Label:
    """A name in a table that reads otherwise in each language: of a study's group, or a measure."""

    study: str
    name: str

    @classmethod
    def of_measure(cls, measure: str) -> Label:
        """The label of a measure."""
        return cls("", measure)


@dataclass(frozen=True)
class ScorerName:
    """A scorer by what its kind is called, with its own name in brackets."""

    kind: str
    name: str


@dataclass(frozen=True)
class Finding:
    """A sentence to be: which one, and what stands in it.

    Attributes
    ----------
    key : name of the sentence in the words of each language
    numbers : what its placeholders stand for, ready to print, or a ``Label`` or
        ``ScorerName``
    table : the report's table that holds them, by its name there; of one in parts, the first
    """

    key: str
    numbers: dict[str, Any] = field(default_factory=dict)
    table: str = ""


def above_chance(measured: Mapping[str, Any]) -> Finding:
    """How far Recall@10 is above an order drawn at random.

    Parameters
    ----------
    measured : a row of metrics.csv
    """
    way, queries, gallery = (measured[key] for key in ("direction", "queries", "gallery"))
    guess = chance(gallery, right_answers(way, queries, gallery), 10)
    recall, low, high = (measured[f"recall@10{end}"] for end in ("", "_low", "_high"))
    return Finding(
        "above_chance" if low > guess else "at_chance",
        {
            "direction": way,
            "recall": formats.with_interval(recall, low, high),
            "chance": formats.percent(guess),
            "times": formats.times(recall / guess),
        },
        "ways",
    )


def easier_direction(gap: dict[str, Any]) -> Finding:
    """Which direction has the higher mean recall, if either."""
    key = {
        "better": "image_to_text_easier",
        "worse": "text_to_image_easier",
        "alike": "ways_alike",
    }[gap["verdict"]]
    sign = -1 if gap["verdict"] == "worse" else 1
    low, high = sorted((sign * gap["low"], sign * gap["high"]))
    return Finding(
        key,
        {"difference": formats.with_interval(sign * gap["difference"], low, high, formats.share)},
        "ways",
    )


def subject(runs: list[Run]) -> Finding:
    """Which run this report looks at closely: the first, whatever the numbers say."""
    numbers = dict(zip(("model", "prompt", "scorer"), runs[0].key, strict=True))
    if len(runs) == 1:
        return Finding("one_run", numbers)
    return Finding("reference_run", {**numbers, "runs": formats.count(len(runs))})


def effects(pairs: pd.DataFrame, kind: str, model: str) -> list[Finding]:
    """What a comparison of prompts, scorers or models shows.

    Parameters
    ----------
    pairs : the rows of one family of pairs.csv
    kind : "prompt", "scorer" or "model"
    model : that of the run that is looked at closely

    A sentence for each alternative of this model, of many for those of ``told_of``, both directions
    in it, and a count over all models where there are more comparisons than that.
    """
    if pairs.empty:
        return [Finding(f"{kind}_single")]
    own = told_of(pairs, kind, model)
    own = own if kind == "model" else _of_model(own, model)
    found = [effect(part, kind) for _, part in own.groupby(kind, sort=False)]
    if len(pairs) > len(own):
        found.append(Finding("pair_tally", _tally(pairs), TABLE_OF[kind]))
    return found


def told_of(pairs: pd.DataFrame, kind: str, model: str) -> pd.DataFrame:
    """The comparisons of a family that are told one by one; of many, those of one model.

    Parameters
    ----------
    pairs : the rows of one family of pairs.csv
    kind : "prompt", "scorer" or "model"
    model : that of the run that is looked at closely

    Where that model has many, they are the best and those next to what they are compared with.
    """
    if pairs.empty or len(pairs[pairs.direction == BOTH]) <= FEW:
        return pairs
    own = pairs if kind == "model" else _of_model(pairs, model)
    both, reference = own[own.direction == BOTH], own[f"other_{kind}"].iloc[0]
    if len(both) <= FEW:
        return own
    leads = {reference: 0.0} | dict(zip(both[kind], both["mean"], strict=True))
    return own[own[kind].isin(few(leads, reference, FEW + 1))]


def effect(pair: pd.DataFrame, kind: str) -> Finding:
    """What one run has over another: a row of pairs.csv for each of its ways."""
    ways = pair.set_index("direction")
    first = pair.iloc[0]
    name = first[kind] if kind == "model" else f"{first.model} · {first[kind]}"
    numbers = {
        "name": name,
        "reference": first[f"other_{kind}"],
        "difference": lead(ways.loc[BOTH]),
    }
    verdict, clear = together(ways.verdict)
    numbers |= {"direction": clear} if clear else {}
    return Finding(f"pair_{verdict}", numbers, TABLE_OF[kind])


def together(verdicts: pd.Series) -> tuple[str, str]:
    """One verdict for a pair, and the direction that has it where one alone does.

    Parameters
    ----------
    verdicts : by ``WAYS``

    "alike" where both directions together are; else "better" or "worse" where each direction is as
    well, with "_one" where one is, with "_both" where neither is by itself; "mixed" where they
    contradict each other.
    """
    verdict = verdicts[BOTH]
    if verdict == "alike":
        return verdict, ""
    clear = [way for way in DIRECTIONS if verdicts[way] != "alike"]
    if any(verdicts[way] != verdict for way in clear):
        return "mixed", ""
    if len(clear) == 1:
        return f"{verdict}_one", clear[0]
    return (verdict if clear else f"{verdict}_both"), ""


def best_gain(pairs: pd.DataFrame, reference: tuple[str, str, str]) -> pd.DataFrame | None:
    """The rows of the run that is clearly better than the reference by most, if any is.

    Parameters
    ----------
    pairs : of pairs.csv; what answers no question of its own ("other") plays no part
    reference : its model, prompt and scorer
    """
    others = [f"other_{name}" for name in NAMES]
    own = pairs[(pairs.family != "other") & (pairs[others] == list(reference)).all(axis=1)]
    clear = own[(own.direction == BOTH) & (own.verdict == "better")]
    if clear.empty:
        return None
    best = clear.iloc[clear["mean"].argmax()]
    return own[(own[list(NAMES)] == best[list(NAMES)]).all(axis=1)]


def lead(pair: pd.Series, form: Callable[[float], str] = formats.points) -> str:
    """A difference of pairs.csv in mean recall, in points, with its interval."""
    return formats.with_interval(pair["mean"], pair.mean_low, pair.mean_high, form)


def _of_model(pairs: pd.DataFrame, model: str) -> pd.DataFrame:
    """The pairs of a model, or of the first one where that model has none."""
    return pairs[pairs.model == (model if (pairs.model == model).any() else pairs.model.iloc[0])]


def failures(table: pd.DataFrame) -> list[Finding]:
    """Where the right answers of failures lie, a finding for each direction."""
    found = []
    for row in table.to_dict("records"):
        found.append(
            Finding(
                f"failures_{row['verdict']}",
                {
                    "direction": row["direction"],
                    "failures": formats.count(row["failures"]),
                    "share": formats.percent(row["share"]),
                    "median": formats.rank(row["median_rank"]),
                    "gallery": formats.count(row["gallery"]),
                    "relative": formats.percent(row["relative"]),
                },
                "failures",
            )
        )
    return found


def near_misses(table: pd.DataFrame) -> Finding:
    """What a perfect reordering of the top 10 would win, and whether that is more than fails."""
    ways = table.set_index("direction")
    text, image = (ways.loc[way, "near"] for way in DIRECTIONS)
    key = "more" if text > ways.loc[DIRECTIONS[0], "share"] else "fewer"
    key = key if max(text, image) > 0 else "none"
    numbers = {"text": formats.percent(text), "image": formats.percent(image)}
    return Finding(f"near_misses_{key}", numbers, "failures")


def abstract(
    runs: list[Run],
    recall: list[Finding],
    gain: Finding,
    failed: pd.DataFrame,
    alone: Finding | None,
    about: dict[str, Any],
) -> list[Finding]:
    """The sentences of the abstract, in order.

    Parameters
    ----------
    runs : all of them, the first of which is the reference
    recall : from ``above_chance`` for each direction, and from ``easier_direction``
    gain : from ``gain``
    failed : where the failures of the reference run lie
    alone : whether both directions are equally hard with one caption for each image, if it is known
    about : dataset, images, captions
    """
    text_recall, image_recall, easier = recall
    models = len({run.model for run in runs})
    numbers = {
        "text_recall": text_recall.numbers["recall"],
        "text_chance": text_recall.numbers["chance"],
        "image_recall": image_recall.numbers["recall"],
        "image_chance": image_recall.numbers["chance"],
    }
    base = {**about, "model": runs[0].model, "models": formats.count(models)}
    near = failed.set_index("direction").loc["text_to_image"].near
    levelled = alone is not None and alone.key == "alone_alike"
    return [
        Finding("abstract_models" if models > 1 else "abstract_model", base),
        Finding("abstract_recall", numbers),
        gain,
        Finding("abstract_alone_alike" if levelled else f"abstract_{easier.key}"),
        Finding(f"abstract_near{'' if near > 0 else '_none'}", {"near": formats.percent(near)}),
    ]


def gain(runs: list[Run], pairs: pd.DataFrame, kinds: dict[str, str]) -> Finding:
    """What was gained over the reference by what is clearly better, by most.

    Parameters
    ----------
    runs : all of them, the first of which is the reference
    pairs : of pairs.csv
    kinds : scorer -> its kind
    """
    best = best_gain(pairs, runs[0].key)
    if best is None:
        return Finding("abstract_gain_only" if len(runs) == 1 else "abstract_gain_none")
    row = best[best.direction == BOTH].iloc[0]
    name = row[row.family]
    told = ScorerName(kinds[name], name) if row.family == "scorer" else name
    numbers = {"name": told, "difference": lead(row, formats.share)}
    return Finding(f"abstract_gain_{row.family}", numbers, TABLE_OF[row.family])


def tallies(pairs: pd.DataFrame) -> list[Finding]:
    """How many pairs of runs differ by more than noise, for each family that there is."""
    found = [
        Finding(f"tally_{family}", _tally(own), TABLE_OF.get(family, ""))
        for family in FAMILIES
        if len(own := pairs[pairs.family == family])
    ]
    return found or [Finding("tally_none")]


def _tally(pairs: pd.DataFrame) -> dict[str, str]:
    """How many pairs there are, and of each verdict, both directions together."""
    counts = Counter(pairs[pairs.direction == BOTH].verdict)
    clear = counts["better"] + counts["worse"]
    return {
        "total": formats.count(counts.total()),
        "clear": formats.count(clear),
        **{name: formats.count(counts[name]) for name in ("better", "worse", "alike")},
    }
