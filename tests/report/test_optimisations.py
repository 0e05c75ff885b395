"""What this workflow does of its own: gains and losses alike, and nothing where nothing is."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fake_run import LANGUAGES, SCORERS
from told import speaker

from scripts.evaluate.pairs import COLUMNS, WAYS
from scripts.report import optimisations
from scripts.report.findings import Finding
from scripts.report.optimisations import Gain, chosen, gains, on_val, savings, turned

KINDS = ["ensemble", *optimisations.SCORERS, "tuning"]


def pair(mine: tuple[str, str, str], other: tuple[str, str, str], difference: float):
    """Rows of pairs.csv for two runs, the same in both directions."""
    names = ("model", "prompt", "scorer")
    differs = [name for name, one, two in zip(names, mine, other, strict=True) if one != two]
    verdict = "better" if difference > 0.02 else "worse" if difference < -0.02 else "alike"
    return [
        dict.fromkeys(COLUMNS, 0.0)
        | {
            "family": differs[0],
            **dict(zip(names, mine, strict=True)),
            **dict(zip((f"other_{name}" for name in names), other, strict=True)),
            "direction": way, "mean": difference, "mean_low": difference - 0.02,
            "mean_high": difference + 0.02, "p_holm": 0.01, "verdict": verdict,
        }
        for way in WAYS
    ]  # fmt: skip


REFERENCE = ("tiny", "plain", "cosine")
BOTH = np.array([0.5, 0.25])
LEARNT = {
    "centred": {"share": BOTH},
    "nnn": {"weight": BOTH, "neighbours": np.array([4, 16])},
    "inverted-softmax": {"beta": np.array([20.0, 0.0])},
    "adapter": {"epochs": np.array([3, 0]), "seeds": np.array([0, 1])},
    "fusion": {"weight": BOTH, "with": np.array("another")},
    "cosine+blip+first": {"first": BOTH},
}


def material(difference: float, studies=()) -> SimpleNamespace:
    """A run with every optimisation, each with the same gain."""
    pairs = pair(("tiny", "ensemble", "cosine"), REFERENCE, difference)
    pairs += pair(("tiny", "photo", "cosine"), REFERENCE, difference)
    for scorer in SCORERS:
        pairs += pair(("tiny", "plain", scorer), REFERENCE, difference)
    pairs += pair(("tuned", "plain", "cosine"), REFERENCE, difference)
    return SimpleNamespace(
        pairs=pd.DataFrame(pairs),
        templates={"plain": ["{}"], "photo": ["a photo of {}"], "ensemble": ["{}", "a {}"]},
        scorers={"cosine": {"kind": "cosine"}, **SCORERS},
        fitted={("tiny", "plain", name): arrays for name, arrays in LEARNT.items()},
        models=[
            {"model": "tiny", "training": {"base": None}},
            {"model": "tuned", "training": {"base": "tiny"}},
        ],
        studies=list(studies),
    )


def all_gains(one: SimpleNamespace) -> list[Gain]:
    """Those of every comparison."""
    families = {kind: one.pairs[one.pairs.family == kind] for kind in ("prompt", "scorer")}
    return gains(one, families)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("difference", "verdict"), [(0.1, "better"), (-0.1, "worse"), (0.0, "alike")]
)
def test_every_optimisation_is_told_whichever_way_it_goes(difference, verdict, language):
    found = all_gains(material(difference))
    assert [one.kind for one in found] == KINDS
    assert all(one.findings[0].key == f"pair_{verdict}" for one in found)
    say = speaker(language).say
    for finding in itertools.chain.from_iterable(one.findings for one in found):
        assert "{" not in str(say(finding))
    clear = {"better": ("does better", "优于"), "worse": ("does worse", "不如"),
             "alike": ("no clear difference", "无明确差别")}[verdict]  # fmt: skip
    assert clear[LANGUAGES.index(language)] in str(say(found[0].findings[0]))


def test_what_val_chose_is_told_for_each_direction():
    numbers = chosen("nnn", LEARNT["nnn"])
    assert (numbers["text_to_image_weight"], numbers["image_to_text_weight"]) == ("0.5", "0.25")
    assert numbers["image_to_text_neighbours"] == "16"
    assert chosen("adapter", LEARNT["adapter"]) == {"epochs": "3, 0"}
    assert chosen("fusion", LEARNT["fusion"])["with"] == "another"
    assert chosen("centring", {}) == {}


def test_the_gain_on_val_is_that_of_both_directions_or_of_the_seed_that_is_used():
    cosine = {"val_cosine": np.array([0.125, 0.375])}
    both = {"val_recall": np.array([0.25, 0.75]), **cosine}
    seeds = {"val_recall": np.array([0.25, 0.5, 0.75]), "place": np.array(2), **cosine}
    assert (on_val("nnn", both), on_val("adapter", seeds)) == (0.25, 0.5)
    # the first K of a part of val's queries are no mean over val
    assert on_val("reranked", both) is None and on_val("cosine", {}) is None


def test_a_run_without_them_claims_no_optimisation():
    nothing = material(0.1)
    nothing.pairs = nothing.pairs[:0]
    assert all_gains(nothing) == []


def test_a_tuned_model_is_held_against_its_own_base_in_either_order():
    one = material(0.1)
    one.pairs = pd.DataFrame(pair(REFERENCE, ("tuned", "plain", "cosine"), -0.1))
    (gain,) = all_gains(one)
    assert gain.kind == "tuning"
    assert gain.findings[0].key == "pair_better"
    assert gain.findings[0].numbers["name"] == "tuned"
    assert gain.findings[0].numbers["difference"] == "+10.0 [+8.0, +12.0]"
    one.models[1]["training"]["base"] = "another"
    assert all_gains(one) == []


def test_turning_a_pair_round_twice_changes_nothing():
    table = pd.DataFrame(pair(("a", "p", "s"), ("b", "p", "s"), 0.05))
    once = turned(table)
    assert once["mean"].tolist() == [-0.05] * 3
    assert once.mean_low.tolist() == pytest.approx([-0.07] * 3)
    assert once.verdict.tolist() == ["worse"] * 3
    pd.testing.assert_frame_equal(turned(once), table)


@pytest.mark.parametrize(
    ("prompts", "memory", "told"),
    [(2, 154.0, {"cache", "blocks"}), (1, 154.0, {"blocks"}), (2, float("nan"), {"cache"})],
)
def test_a_saving_without_a_measurement_claims_nothing(prompts, memory, told):
    steps = pd.DataFrame(
        {"rule": ["encode_images", "similarity"], "seconds": [12.5, 1.0], "max_rss_mb": memory}
    )
    templates = {str(number): ["{}"] for number in range(prompts)}
    found = savings(SimpleNamespace(steps=steps, templates=templates), [])
    assert {name for name, one in found.items() if one} == told
    assert set(found) == {"cache", "texts", "blocks"}
    nothing = savings(SimpleNamespace(steps=steps[:0], templates=templates), [])
    assert not any(nothing.values())


def test_what_a_shift_taken_off_wins_back_is_told_of_each_prompt_that_lost_by_one():
    steps = pd.DataFrame({"rule": [], "seconds": [], "max_rss_mb": []})
    shifts = [Finding("shift_how"), *(Finding("shift_part", {"name": n, "won": n}) for n in "ab")]
    found = savings(SimpleNamespace(steps=steps, templates={}), shifts)
    assert found["unshift"] == Finding("effect_unshift", {"won": ["a a", "b b"]}, "shifts")
