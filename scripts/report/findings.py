"""What this run shows: from tables to findings, each a key and its numbers.

A finding is chosen by what the tables hold. The words of each key stand in ``words.<lang>.yaml``;
no number enters a sentence that is not in a table of the report, in the same form.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from scripts.report import formats
from scripts.report.analysis import clustered_mean, hits, images_of_queries
from scripts.evaluate.runs import DIRECTIONS, Run, chance, right_answers


@dataclass(frozen=True)
class Finding:
    """A sentence to be: which one, and what stands in it.

    Attributes
    ----------
    key : name of the sentence in the words of each language
    numbers : what its placeholders stand for, ready to print
    """

    key: str
    numbers: dict[str, Any] = field(default_factory=dict)


def above_chance(run: Run, rows: Any, direction: str) -> Finding:
    """How far Recall@10 is above an order drawn at random."""
    ranks = run.ranks[direction]
    gallery = len(rows.images if direction == "text_to_image" else rows.captions)
    recall, error = clustered_mean(hits(ranks, 10), images_of_queries(direction, rows))
    guess = chance(gallery, right_answers(direction, len(ranks), gallery), 10)
    clear = recall > guess and not recall - guess <= 2 * error
    return Finding(
        "above_chance" if clear else "at_chance",
        {
            "direction": direction,
            "recall": formats.percent(recall),
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
    return Finding(
        key,
        {
            "difference": formats.points(gap["difference"]).lstrip("+−"),
            "margin": formats.margin(gap["two_se"]),
        },
    )


def best_run(runs: list[Run], best: Run) -> Finding:
    """Which setting this report looks at closely, and how it was chosen."""
    numbers = {"model": best.model, "prompt": best.prompt, "scorer": best.scorer}
    if len(runs) == 1:
        return Finding("one_run", numbers)
    return Finding("best_run", {**numbers, "runs": formats.count(len(runs))})


def effects(table: pd.DataFrame, kind: str, best: Run) -> list[Finding]:
    """What a comparison of prompts, scorers or models shows.

    Parameters
    ----------
    table : what ``analysis.comparisons`` gives
    kind : "prompt", "scorer" or "model"

    A sentence for each alternative of the best run's model, both directions in it, and a count over
    all models where there are more comparisons than that.
    """
    if table.empty:
        return [Finding(f"{kind}_single")]
    own = table if kind == "model" else table[table.model == best.model]
    found = []
    for name, part in own.groupby(kind, sort=False):
        ways = part.set_index("direction")
        verdicts = [ways.loc[way, "verdict"] for way in DIRECTIONS]
        numbers = {
            "name": name,
            "reference": part[f"other_{kind}"].iloc[0],
            "model": part.model.iloc[0],
        }
        for way in DIRECTIONS:
            numbers[f"{way}_difference"] = formats.points(ways.loc[way, "mean"])
            numbers[f"{way}_margin"] = formats.margin(ways.loc[way, "two_se"])
        found.append(Finding(f"{kind}_{overall(verdicts)}", numbers))
    if len(table) > len(own):
        tally = Counter(table.verdict)
        found.append(
            Finding(
                f"{kind}_tally",
                {
                    "total": formats.count(len(table)),
                    **{
                        verdict: formats.count(tally[verdict])
                        for verdict in ("better", "worse", "alike")
                    },
                },
            )
        )
    return found


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


def captions(contrasts: dict[str, dict[str, Any]], shared: int, total: int) -> list[Finding]:
    """What sets captions that fail apart: length, company, score and margin."""
    found = [_contrast("length", contrasts["length"], formats.decimal)]
    if not shared:
        found.append(Finding("duplicates_none"))
    else:
        finding = _contrast("duplicates", contrasts["duplicates"], formats.percent)
        found.append(
            Finding(
                finding.key,
                {
                    **finding.numbers,
                    "shared": formats.count(shared),
                    "captions": formats.count(total),
                },
            )
        )
    found.append(_contrast("score", contrasts["score"], formats.score))
    if "margin" in contrasts:
        found.append(_contrast("margin", contrasts["margin"], formats.score))
    return found


def _contrast(name: str, values: dict[str, Any], shown: Any) -> Finding:
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


def lengths(table: pd.DataFrame) -> Finding | None:
    """Recall of the shortest against the longest third of captions."""
    if len(table) < 2:
        return None
    short, long = table.iloc[0], table.iloc[-1]
    difference = long["recall@10"] - short["recall@10"]
    error = float(np.hypot(short.two_se, long.two_se))
    if np.isnan(error) or abs(difference) <= error:
        key = "thirds_alike"
    else:
        key = "thirds_long" if difference > 0 else "thirds_short"
    return Finding(
        key,
        {
            "short": formats.percent(short["recall@10"]),
            "long": formats.percent(long["recall@10"]),
            "shortest": formats.count(short.longest),
            "longest": formats.count(long.shortest),
        },
    )


def scale(table: pd.DataFrame) -> Finding:
    """What the size of the gallery does to text to image."""
    if len(table) < 2:
        return Finding("scale_small", {"gallery": formats.count(table.gallery.iloc[-1])})
    small, full = table.iloc[0], table.iloc[-1]
    medium = table.iloc[len(table) // 2]
    return Finding(
        "scale_falls" if small["recall@1"] > full["recall@1"] else "scale_holds",
        {
            "small": formats.count(small.gallery),
            "small_recall": formats.percent(small["recall@1"]),
            "medium": formats.count(medium.gallery),
            "medium_recall": formats.percent(medium["recall@1"]),
            "full": formats.count(full.gallery),
            "full_recall": formats.percent(full["recall@1"]),
        },
    )


def abstract(
    runs: list[Run],
    best: Run,
    gap: dict[str, Any],
    prompts: pd.DataFrame,
    failed: pd.DataFrame,
    above: list[Finding],
    about: dict[str, Any],
) -> list[Finding]:
    """The sentences of the abstract, in order.

    Parameters
    ----------
    about : dataset, split, images, captions
    """
    models = len({run.model for run in runs})
    base = {**about, "model": best.model, "models": formats.count(models)}
    recalls = {
        "prompt": best.prompt,
        "text_recall": above[0].numbers["recall"],
        "text_chance": above[0].numbers["chance"],
        "image_recall": above[1].numbers["recall"],
        "image_chance": above[1].numbers["chance"],
    }
    text = failed.set_index("direction").loc["text_to_image"]
    return [
        Finding("abstract_models" if models > 1 else "abstract_model", base),
        Finding("abstract_best" if len(runs) > 1 else "abstract_only", recalls),
        Finding(f"abstract_{easier_direction(gap).key}"),
        _abstract_prompts(prompts, best),
        Finding(f"abstract_failures_{text.verdict}", {"median": formats.rank(text.median_rank)}),
    ]


def _abstract_prompts(prompts: pd.DataFrame, best: Run) -> Finding:
    if prompts.empty:
        return Finding("abstract_prompts_single")
    own = prompts[prompts.model == best.model]
    key = overall(own.verdict.tolist()).removeprefix("partly_")
    return Finding(f"abstract_prompts_{key}", {"reference": own.other_prompt.iloc[0]})


def outlook(
    failed: pd.DataFrame, prompts: pd.DataFrame, models: pd.DataFrame, trained: bool, shared: int
) -> list[Finding]:
    """What to try next, each for a reason that this run gives."""
    text = failed.set_index("direction").loc["text_to_image"]
    found = []
    if text.near > 0:
        found.append(Finding("next_rerank", {"near": formats.percent(text.near)}))
    if text.verdict == "far":
        found.append(
            Finding(
                "next_train" if trained else "next_finetune",
                {"median": formats.rank(text.median_rank)},
            )
        )
    if shared:
        found.append(Finding("next_duplicates", {"shared": formats.count(shared)}))
    if prompts.empty:
        found.append(Finding("next_prompts"))
    if models.empty:
        found.append(Finding("next_models"))
    found.append(Finding("next_intervals"))
    return found


def optimisations(
    steps: pd.DataFrame,
    prompts: pd.DataFrame,
    best: Run,
    sizes: dict[str, int],
    templates: dict[str, list[str]],
    ties: int,
    repeated: int,
) -> list[tuple[str, Finding | None]]:
    """What this workflow does of its own, each with its effect where the run has measured one.

    Parameters
    ----------
    steps : rule, jobs, seconds, max_rss_mb
    sizes : images, captions, prompts (how many of each)
    templates : prompt -> its templates
    """
    cost = steps.set_index("rule").to_dict("index")
    return [
        ("cache", _cache_effect(cost, sizes["prompts"])),
        ("texts", _texts_effect(repeated, sizes["captions"])),
        ("ensemble", _ensemble_effect(prompts, best, templates)),
        ("blocks", _blocks_effect(cost, sizes)),
        (
            "ties",
            Finding(
                "effect_ties" if ties else "effect_ties_none",
                {"ties": formats.count(ties), "share": formats.percent(ties / sizes["captions"])},
            ),
        ),
    ]


def _cache_effect(cost: dict[str, Any], prompts: int) -> Finding | None:
    encoding = cost.get("encode_images")
    if encoding is None or prompts < 2 or not encoding["seconds"] > 0:
        return None
    return Finding(
        "effect_cache",
        {"seconds": formats.duration(encoding["seconds"]), "prompts": formats.count(prompts)},
    )


def _texts_effect(repeated: int, captions_: int) -> Finding | None:
    if not repeated:
        return None
    return Finding(
        "effect_texts",
        {
            "repeated": formats.count(repeated),
            "captions": formats.count(captions_),
            "share": formats.percent(repeated / captions_),
        },
    )


def _ensemble_effect(
    prompts: pd.DataFrame, best: Run, templates: dict[str, list[str]]
) -> Finding | None:
    together = [name for name, texts in templates.items() if len(texts) > 1]
    part = prompts[(prompts.model == best.model) & prompts.prompt.isin(together)]
    if part.empty:
        return None
    name = part.prompt.iloc[0]
    ways = part[part.prompt == name].set_index("direction")
    numbers = {"name": name, "reference": ways.other_prompt.iloc[0], "model": best.model}
    for way in DIRECTIONS:
        numbers[f"{way}_difference"] = formats.points(ways.loc[way, "mean"])
        numbers[f"{way}_margin"] = formats.margin(ways.loc[way, "two_se"])
    verdict = overall([ways.loc[way, "verdict"] for way in DIRECTIONS])
    return Finding(f"effect_ensemble_{verdict}", numbers)


def _blocks_effect(cost: dict[str, Any], sizes: dict[str, int]) -> Finding | None:
    ranking = cost.get("similarity")
    if ranking is None or not ranking["max_rss_mb"] > 0:
        return None
    matrix = 4 * sizes["images"] * sizes["captions"] / 2**20
    saved = matrix > ranking["max_rss_mb"]
    return Finding(
        "effect_blocks" if saved else "effect_blocks_small",
        {"memory": formats.megabytes(ranking["max_rss_mb"]), "matrix": formats.megabytes(matrix)},
    )
