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

from scripts.evaluate.runs import Run, chance, right_answers
from scripts.protocol import DIRECTIONS
from scripts.words import formats


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
class Finding:
    """A sentence to be: which one, and what stands in it.

    Attributes
    ----------
    key : name of the sentence in the words of each language
    numbers : what its placeholders stand for, ready to print, or a ``Label``
    """

    key: str
    numbers: dict[str, Any] = field(default_factory=dict)


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
        {"difference": formats.with_interval(sign * gap["difference"], low, high, formats.points)},
    )


def best_run(runs: list[Run], best: Run) -> Finding:
    """Which setting this report looks at closely, and how it was chosen."""
    numbers = {"model": best.model, "prompt": best.prompt, "scorer": best.scorer}
    if len(runs) == 1:
        return Finding("one_run", numbers)
    return Finding("best_run", {**numbers, "runs": formats.count(len(runs))})


def effects(pairs: pd.DataFrame, kind: str, best: Run) -> list[Finding]:
    """What a comparison of prompts, scorers or models shows.

    Parameters
    ----------
    pairs : the rows of one family of pairs.csv
    kind : "prompt", "scorer" or "model"
    best : the run that is looked at closely

    A sentence for each alternative of the best run's model, both directions in it, and a count over
    all models where there are more comparisons than that.
    """
    if pairs.empty:
        return [Finding(f"{kind}_single")]
    own = pairs if kind == "model" else _of_model(pairs, best.model)
    found = [effect(part, kind) for _, part in own.groupby(kind, sort=False)]
    if len(pairs) > len(own):
        tally = Counter(pairs.verdict)
        found.append(
            Finding(
                "pair_tally",
                {
                    "total": formats.count(len(pairs)),
                    **{name: formats.count(tally[name]) for name in ("better", "worse", "alike")},
                },
            )
        )
    return found


def effect(pair: pd.DataFrame, kind: str) -> Finding:
    """What one run has over another: a row of pairs.csv for each direction."""
    ways = pair.set_index("direction")
    first = pair.iloc[0]
    numbers = {"name": first[kind], "reference": first[f"other_{kind}"], "model": first.model}
    for way in DIRECTIONS:
        numbers[f"{way}_difference"] = lead(ways.loc[way])
    verdict = overall([ways.loc[way, "verdict"] for way in DIRECTIONS])
    return Finding(f"{'model_' if kind == 'model' else ''}pair_{verdict}", numbers)


def lead(pair: pd.Series, measure: str = "mean") -> str:
    """A difference of pairs.csv in points, with its interval."""
    low, high = pair[f"{measure}_low"], pair[f"{measure}_high"]
    return formats.with_interval(pair[measure], low, high, formats.points)


def _of_model(pairs: pd.DataFrame, model: str) -> pd.DataFrame:
    """The pairs of a model, or of the first one where that model has none."""
    return pairs[pairs.model == (model if (pairs.model == model).any() else pairs.model.iloc[0])]


def overall(verdicts: list[str]) -> str:
    """One verdict for several.

    "better", "worse" or "alike" where all agree, "partly_better" or "partly_worse" where the others
    show no clear difference, "mixed" where they contradict each other.
    """
    kinds = set(verdicts)
    clear = kinds - {"alike"}
    if len(clear) == 2:
        return "mixed"
    if len(kinds) == 1:
        return kinds.pop()
    return f"partly_{clear.pop()}"


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
            )
        )
    return found


def near_misses(table: pd.DataFrame) -> Finding:
    """What a perfect reordering of the top 10 would win."""
    ways = table.set_index("direction")
    text, image = (ways.loc[way, "near"] for way in DIRECTIONS)
    key = "near_misses" if max(text, image) > 0 else "near_misses_none"
    return Finding(key, {"text": formats.percent(text), "image": formats.percent(image)})


def captions(contrasts: dict[str, dict[str, Any]]) -> list[Finding]:
    """What sets captions that fail apart: length, score and margin."""
    shown = {"length": formats.decimal, "score": formats.score, "margin": formats.score}
    return [_contrast(name, values, shown[name]) for name, values in contrasts.items()]


def _contrast(name: str, values: dict[str, Any], shown: Callable[[float], str]) -> Finding:
    key = {"better": "higher", "worse": "lower"}.get(values["verdict"], values["verdict"])
    return Finding(
        f"{name}_{key}",
        {
            "first": shown(values["first"]),
            "second": shown(values["second"]),
            "first_n": formats.count(values["first_n"]),
            "second_n": formats.count(values["second_n"]),
        },
    )


def abstract(
    runs: list[Run],
    best: Run,
    recall: list[Finding],
    prompts: pd.DataFrame,
    failed: pd.DataFrame,
    about: dict[str, Any],
) -> list[Finding]:
    """The sentences of the abstract, in order.

    Parameters
    ----------
    runs, best : all of them, and the one that is looked at closely
    recall : from ``above_chance`` for each direction, and from ``easier_direction``
    prompts : the rows of prompts of pairs.csv
    failed : where the failures of the best run lie
    about : dataset, split, images, captions
    """
    text_recall, image_recall, easier = recall
    models = len({run.model for run in runs})
    base = {**about, "model": best.model, "models": formats.count(models)}
    recalls = {
        "prompt": best.prompt,
        "scorer": best.scorer,
        "text_recall": text_recall.numbers["recall"],
        "text_chance": text_recall.numbers["chance"],
        "image_recall": image_recall.numbers["recall"],
        "image_chance": image_recall.numbers["chance"],
    }
    text = failed.set_index("direction").loc["text_to_image"]
    return [
        Finding("abstract_models" if models > 1 else "abstract_model", base),
        Finding("abstract_best" if len(runs) > 1 else "abstract_only", recalls),
        Finding(f"abstract_{easier.key}"),
        _abstract_prompts(prompts, best),
        Finding(f"abstract_failures_{text.verdict}", {"median": formats.rank(text.median_rank)}),
    ]


def _abstract_prompts(prompts: pd.DataFrame, best: Run) -> Finding:
    if prompts.empty:
        return Finding("abstract_prompts_single")
    own = _of_model(prompts, best.model)
    key = overall(own.verdict.tolist()).removeprefix("partly_")
    return Finding(f"abstract_prompts_{key}", {"reference": own.other_prompt.iloc[0]})


def outlook(
    failed: pd.DataFrame,
    prompts: pd.DataFrame,
    models: pd.DataFrame,
    images: int,
    trained: bool = False,
    reranked: bool = False,
) -> list[Finding]:
    """What to try next, each for a reason that this run gives, but for what it has tried."""
    text = failed.set_index("direction").loc["text_to_image"]
    found = []
    if text.near > 0 and not reranked:
        found.append(Finding("next_rerank", {"near": formats.percent(text.near)}))
    if text.verdict == "far":
        found.append(
            Finding(
                "next_train" if trained else "next_finetune",
                {"median": formats.rank(text.median_rank)},
            )
        )
    if prompts.empty:
        found.append(Finding("next_prompts"))
    if models.empty:
        found.append(Finding("next_models"))
    found.append(Finding("next_data", {"images": formats.count(images)}))
    return found


def tallies(pairs: pd.DataFrame) -> list[Finding]:
    """How many differences between runs are more than noise, for each family that there is."""
    found = []
    for family in ("prompt", "scorer", "model", "other"):
        own = pairs[pairs.family == family]
        if len(own):
            tally = Counter(own.verdict)
            found.append(
                Finding(
                    f"tally_{family}",
                    {
                        "total": formats.count(len(own)),
                        "clear": formats.count(tally["better"] + tally["worse"]),
                        **{one: formats.count(tally[one]) for one in ("better", "worse", "alike")},
                    },
                )
            )
    return found or [Finding("tally_none")]
