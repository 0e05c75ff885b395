"""What ties one study to another: causes that stand in two tables, said where both show them.

Every function takes tables and gives findings: one where the numbers bear it out, another where
they bear out the opposite, and none where they say neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from scripts.data.rows import SPLITS
from scripts.evaluate.pairs import SIGNIFICANT
from scripts.evaluate.runs import Run
from scripts.protocol import DIRECTIONS
from scripts.report.findings import NAMES, Finding, lead
from scripts.report.study_rows import apart, of_most, pick, rows_of, told
from scripts.studies.table import FIT, SHIFT
from scripts.words import formats

# of what a prompt loses, what its common shift surely costs where that is most of it
MOST_OF_IT = 0.5
# what shuffled words may cost, of what missing words cost, for a text to be nearly a bag of words
LITTLE = 0.25
# shifts whose order says more than chance
ENOUGH = 4


def moves(pairs: pd.DataFrame, geometry: pd.DataFrame) -> pd.DataFrame:
    """What each prompt and scorer changes against the first of its model: in recall, and in hubs.

    Parameters
    ----------
    pairs : of pairs.csv
    geometry : of geometry.csv; a run without a row of "skewness_change" is left out

    Returns
    -------
    rows of ``pairs`` for each direction, with the change of skewness as hubs, hubs_low, hubs_high
    """
    keys = [*NAMES, "direction"]
    changes = geometry[geometry.measure == "skewness_change"].drop_duplicates(keys)
    changes = changes.rename(columns={"value": "hubs", "low": "hubs_low", "high": "hubs_high"})
    own = pairs[pairs.family.isin(("prompt", "scorer"))]
    return own.merge(changes[[*keys, "hubs", "hubs_low", "hubs_high"]], on=keys)


def prompts(moved: pd.DataFrame, reference: Run) -> list[Finding]:
    """Whether a prompt costs recall where it makes hubs, from text to image.

    Parameters
    ----------
    moved : from ``moves``
    reference : the run that is looked at closely; prompts of other models are not told
    """
    own = moved[(moved.family == "prompt") & (moved.model == reference.model)]
    found = []
    for name, part in own.groupby("prompt", sort=False):
        ways = part.set_index("direction")
        if set(ways.index) != set(DIRECTIONS):
            continue
        text, image = (ways.loc[way] for way in DIRECTIONS)
        fell, rose = text.verdict == "worse", text.hubs_low > 0
        key = "prompt_no_hubs" if fell and not rose else ""
        if rose and not fell:
            key = "prompt_hubs_harmless"
        # hubs are seen to be the cause where the other direction has no more of them
        if rose and fell:
            if image.hubs_low > 0:
                key = "prompt_hubs_both"
            elif image.verdict != "worse":
                key = "prompt_hubs"
            elif beyond(*(_lead(row) for row in (image, text))) == "higher":
                key = "prompt_hubs_more"
        if key:
            numbers = {
                **{f"{way}_recall": lead(ways.loc[way]) for way in DIRECTIONS},
                **{f"{way}_hubs": hubs(ways.loc[way]) for way in DIRECTIONS},
            }
            about = {"name": name, "reference": reference.prompt}
            found.append(Finding(key, about | numbers, "synthesis"))
    return found


def _lead(row: pd.Series) -> pd.Series:
    """A difference of pairs.csv as a study's table has its values."""
    return pd.Series({"value": row["mean"], "low": row.mean_low, "high": row.mean_high})


def hubs(row: pd.Series) -> str:
    """A change of skewness with its interval."""
    return formats.with_interval(row.hubs, row.hubs_low, row.hubs_high, formats.change(""))


def scorers(moved: pd.DataFrame, reference: Run) -> list[Finding]:
    """Scorers that take hubs down and gain, that take them down for nothing, and that raise them.

    Parameters
    ----------
    moved : from ``moves``
    reference : the run that is looked at closely; scorers of other models are not told
    """
    own = moved[(moved.family == "scorer") & (moved.model == reference.model)]
    found = []
    for way in DIRECTIONS:
        kinds: dict[str, list[tuple[str, str, str]]] = {
            "fall_gain": [],
            "fall_nothing": [],
            "rise": [],
        }
        for _, row in own[own.direction == way].iterrows():
            kind = "rise" if row.hubs_low > 0 else ""
            if row.hubs_high < 0:
                kind = "fall_gain" if row.verdict == "better" else "fall_nothing"
            if kind:
                kinds[kind].append((row.scorer, hubs(row), lead(row)))
        found += [
            Finding(f"link_{kind}", {"direction": way, "names": names}, "synthesis")
            for kind, names in kinds.items()
            if names
        ]
    return found


def shifts(pairs: pd.DataFrame, geometry: pd.DataFrame, reference: Run) -> list[Finding]:
    """Of what prompts lose from text to image, whether the common shift of captions is the cause.

    Parameters
    ----------
    pairs : of pairs.csv; only prompts that are told
    geometry : of geometry.csv
    reference : the run that is looked at closely; prompts of other models are not told

    How a shift costs recall is told once, before the first prompt that lost any.
    """
    own = rows_of(pairs, direction=DIRECTIONS[0], verdict="worse", other_prompt=reference.prompt)
    own = rows_of(own, model=reference.model, scorer=reference.scorer)
    moved = rows_of(geometry, group=SHIFT, model=reference.model)
    found = []
    for _, pair in own.iterrows():
        at = {row.measure: row for _, row in rows_of(moved, prompt=pair.prompt).iterrows()}
        # what does not move has no direction
        if not {"shift", "shift_alike", "mean_unshifted_change"} <= set(at):
            continue
        won = at["mean_unshifted_change"]
        most = won.low >= MOST_OF_IT * -pair["mean"]
        key = "none" if not won.low > 0 else "most" if most else "part"
        numbers = {
            "name": pair.prompt,
            "shift": told(at["shift"]),
            "alike": told(at["shift_alike"]),
            "lost": lead(pair),
            "won": told(won),
        }
        found.append(Finding(f"shift_{key}", numbers, "shifts"))
    return [Finding("shift_how", table="shifts"), *found, *_by_length(moved)] if found else []


def _by_length(moved: pd.DataFrame) -> list[Finding]:
    """Whether longer shifts cost more, of all prompts and templates, where that is clear."""
    lengths = rows_of(moved, measure="shift").set_index("prompt").value.sort_values()
    recalls = rows_of(moved, measure="mean", direction=DIRECTIONS[0]).set_index("prompt")
    if len(lengths) < ENOUGH:
        return []
    in_order = recalls.loc[lengths.index]
    clearly = any(
        beyond(longer, shorter) == "higher"
        for (_, shorter), (_, longer) in combinations(in_order.iterrows(), 2)
    )
    key = "dose" if (in_order.value.diff().dropna() < 0).all() else "mixed" if clearly else ""
    moves = [
        f"{name} {length:.3f} ({formats.percent(in_order.value[name])})"
        for name, length in lengths.items()
    ]
    return [Finding(f"shift_{key}", {"moves": moves}, "shifts")] if key else []


def alone(captions: pd.DataFrame, model: str, gap: Mapping[str, Any]) -> Finding | None:
    """Whether image to text is easier only because it has several right answers.

    Parameters
    ----------
    captions : of captions.csv
    model : that of the run that is looked at closely
    gap : from ``analysis.direction_gap``; where image to text is not the easier one, nothing is
        there to explain
    """
    own = captions[(captions.model == model) & (captions.measure == "recall@10")]
    image = pick(own, group="captions per image", x=1)
    text = pick(own, group="captions together", x=1)
    most = of_most(own[own.group == "captions per image"]).x.max()
    if gap["verdict"] != "better" or image is None or text is None or not most > 1:
        return None
    key = {"higher": "easier", "lower": "harder"}.get(beyond(image, text), "alike")
    numbers = {"text": told(text), "image": told(image), "most": formats.count(most)}
    return Finding(f"alone_{key}", numbers, "study_captions")


def agreement(captions: pd.DataFrame, model: str) -> list[Finding]:
    """Whether captions are found that say what the other captions of their image say.

    Parameters
    ----------
    captions : of captions.csv
    model : that of the run that is looked at closely
    """
    own = captions[(captions.model == model) & (captions.group == "agreement")]
    if not (parts := apart(own)):
        return []
    best, worst, p = parts
    xs = own.x.dropna()
    ends = (worst.x, best.x) == (xs.min(), xs.max())
    key = "alike" if p >= SIGNIFICANT else "more" if ends else "apart"
    numbers = {
        "best": formats.quantity(best.x),
        "best_recall": told(best),
        "worst": formats.quantity(worst.x),
        "worst_recall": told(worst),
        "p": formats.p_equals(p),
    }
    return [Finding(f"agreement_{key}", numbers, "study_captions")]


def fit(leakage: pd.DataFrame, model: str, trained: bool) -> list[Finding]:
    """Whether the model fits train better than what it has not seen, from text to image.

    Parameters
    ----------
    leakage : of leakage.csv
    model : that of the run that is looked at closely
    trained : whether it is known that it was trained on this train split
    """
    own = leakage[(leakage.model == model) & (leakage.direction == DIRECTIONS[0])]
    at = {split: pick(own, group=f"{split}, {FIT}", measure="mean") for split in SPLITS}
    train, val, test = (at[split] for split in SPLITS)
    if train is None or val is None or test is None:
        return []
    above = beyond(train, test), beyond(val, test)
    key = "alike" if "higher" not in above else "both" if set(above) == {"higher"} else ""
    if above == ("higher", "alike") and beyond(train, val) == "higher":
        key = "train"
    if trained:
        key = "trained" if key == "train" else ""
    numbers = {split: told(row) for split, row in (("train", train), ("val", val), ("test", test))}
    numbers["images"] = formats.count(test.x)
    return [Finding(f"fit_{key}", numbers, "fit")] if key else []


def beyond(one: pd.Series, other: pd.Series) -> str:
    """ "higher", "lower", or "alike": of two values whose difference was not measured by image.

    The interval of the difference is that of values of which none knows of the other. Those of the
    same images rise and fall together, so it is too wide rather than too narrow.
    """
    difference = one.value - other.value
    half = np.hypot(one.high - one.low, other.high - other.low) / 2
    if difference > half:
        return "higher"
    return "lower" if difference < -half else "alike"


def words(robustness: pd.DataFrame, model: str) -> list[Finding]:
    """Whether the order of words counts, beside the words themselves, from text to image.

    Parameters
    ----------
    robustness : of robustness.csv; losses at their strongest
    model : that of the run that is looked at closely
    """
    own = robustness[(robustness.model == model) & (robustness.direction == DIRECTIONS[0])]
    # both strengths are shares of the words
    shuffled, dropped = (own[own.group == f"{kind}, loss"] for kind in ("shuffle", "drop"))
    both = shuffled[shuffled.x.isin(dropped.x)]
    if both.empty:
        return []
    shuffle = both.loc[both.x.idxmax()]
    drop = dropped[dropped.x == shuffle.x].iloc[0]
    if drop.low > 0 and shuffle.high < LITTLE * drop.low:
        key = "words_bag"
    elif shuffle.low > 0 and beyond(drop, shuffle) != "higher":
        key = "words_order"
    else:
        return []
    numbers = {
        "shuffle": _lost(shuffle),
        "drop": _lost(drop),
        "strength": formats.quantity(shuffle.x),
    }
    return [Finding(key, numbers, "study_robustness")]


def _lost(row: pd.Series) -> str:
    return formats.with_interval(row.value, row.low, row.high, formats.share)
