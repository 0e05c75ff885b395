"""Opposite tables give opposite sentences, in both languages."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from told import speaker

from scripts.evaluate.pairs import WAYS
from scripts.evaluate.runs import Run
from scripts.report import analysis, findings
from scripts.report.optimisations import SCORERS
from scripts.words import read_words

LANGUAGES = ("en", "zh")
HAN = re.compile(r"[\u4e00-\u9fff]")
PUNCTUATION = re.compile(r"[\u3000-\u303f\uff00-\uffef]")
LATIN = re.compile(r"[A-Za-z0-9.,%@+−-]+")


def pair(difference: float, error: float, kind: str = "prompt", name: str = "") -> pd.DataFrame:
    """A comparison in pairs.csv with the same difference in both directions."""
    low, high = difference - 2 * error, difference + 2 * error
    verdict = "better" if low > 0 else "worse" if high < 0 else "alike"
    other = {"prompt": "plain", "scorer": "cosine", "model": "m"}
    mine = {"prompt": "plain", "scorer": "cosine", "model": "m", kind: name or "photo"}
    return pd.DataFrame([
        {
            "family": kind, **mine, **{f"other_{name}": value for name, value in other.items()},
            "direction": way, "mean": difference, "mean_low": low, "mean_high": high,
            "p_holm": 0.01, "verdict": verdict,
        }
        for way in WAYS
    ])  # fmt: skip


REFERENCE = Run("m", "plain", "cosine", {}, {}, {}, np.zeros(0), np.zeros(0), {})


@pytest.mark.parametrize("language", LANGUAGES)
def test_prompts_that_help_hurt_or_do_nothing_are_told_apart(language):
    say = speaker(language).say
    told = {
        word: str(say(findings.effects(pair(difference, 0.01), "prompt", "m")[0]))
        for word, difference in (("helps", 0.05), ("hurts", -0.05), ("nothing", 0.005))
    }
    words = {
        "en": {"helps": "does better", "hurts": "does worse", "nothing": "no clear difference"},
        "zh": {"helps": "优于", "hurts": "不如", "nothing": "无明确差别"},
    }[language]
    for case, sentence in told.items():
        assert [name for name, word in words.items() if word in sentence] == [case]
    assert "+5.0" in told["helps"]
    assert "−5.0" in told["hurts"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["prompt", "scorer", "model"])
def test_a_gain_in_one_direction_is_not_called_a_gain_in_both(kind, language):
    table = pair(0.05, 0.01, kind)
    table.loc[1, "verdict"] = "alike"
    (finding, *_) = findings.effects(table, kind, "m")
    assert finding.key == "pair_better_one"
    assert finding.numbers["direction"] == "image_to_text"
    said = str(speaker(language).say(finding))
    assert {"en": "significantly so from image to text alone", "zh": "只有以图搜文达到显著"}[
        language
    ] in said


def test_one_prompt_says_nothing_about_prompts():
    (finding,) = findings.effects(pair(0, 0)[:0], "prompt", "m")
    assert finding.key == "prompt_single"


@pytest.mark.parametrize(
    ("verdicts", "key", "clear"),
    [
        (("better", "better", "better"), "better", ""),
        (("worse", "worse", "worse"), "worse", ""),
        (("better", "better", "alike"), "better_one", "text_to_image"),
        (("worse", "alike", "worse"), "worse_one", "image_to_text"),
        (("better", "alike", "alike"), "better_both", ""),
        (("worse", "worse", "better"), "mixed", ""),
        (("better", "alike", "worse"), "mixed", ""),
        (("alike", "alike", "alike"), "alike", ""),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_both_directions_are_judged_together_and_then_apart(verdicts, key, clear, language):
    assert findings.together(pd.Series(verdicts, index=WAYS)) == (key, clear)
    finding = findings.effect(pair(0.1, 0.01).assign(verdict=list(verdicts)), "prompt")
    assert finding.key == f"pair_{key}" and speaker(language).say(finding)


def test_the_best_gain_is_a_clear_one_over_the_reference():
    large, unclear, small = (
        pair(difference, error, "scorer", name)
        for difference, error, name in ((0.05, 0.01, "a"), (0.2, 0.2, "b"), (0.03, 0.01, "c"))
    )
    elsewhere = pair(0.3, 0.01).assign(model="n", other_model="n")
    pairs = pd.concat([small, unclear, large, elsewhere, pair(0.3, 0.01).assign(family="other")])
    found = findings.best_gain(pairs, REFERENCE.key)
    assert found.scorer.tolist() == ["a"] * 3 and found.direction.tolist() == list(WAYS)
    assert findings.best_gain(pd.concat([unclear, elsewhere]), REFERENCE.key) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_run_that_is_looked_at_is_the_first_whatever_its_recall(language):
    runs = [run_with([20], 4), run_with([1], 4)]
    finding = findings.subject([REFERENCE, *runs])
    assert finding.key == "reference_run" and finding.numbers["prompt"] == "plain"
    assert "plain" in str(speaker(language).say(finding))
    assert findings.subject([REFERENCE]).key == "one_run"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_easier_direction_is_named_and_its_lead_is_positive(language):
    say = speaker(language).say
    gaps = {
        key: findings.easier_direction(
            {"difference": value, "low": value - 0.02, "high": value + 0.03, "verdict": key}
        )
        for key, value in (("better", 0.1), ("worse", -0.1), ("alike", 0.01))
    }
    told = {key: str(say(finding)) for key, finding in gaps.items()}
    assert len(set(told.values())) == 3
    assert "10.0 [7.0, 12.0]" in told["worse"]
    assert "10.0 [8.0, 13.0]" in told["better"]


def run_with(ranks: list[int], queries: int) -> Run:
    repeated = np.resize(np.array(ranks), queries)
    ways = {"text_to_image": repeated, "image_to_text": repeated}
    return Run("m", "p", "s", ways, {}, {}, repeated, repeated, {})


@pytest.mark.parametrize(("low", "key"), [(0.2, "above_chance"), (0.09, "at_chance")])
def test_recall_at_chance_is_not_sold_as_more(low, key):
    measured = {"direction": "text_to_image", "queries": 100, "gallery": 100,
                "recall@10": 0.25, "recall@10_low": low, "recall@10_high": 0.3}  # fmt: skip
    finding = findings.above_chance(measured)
    assert finding.key == key
    assert finding.numbers["chance"] == "10.0%"
    assert finding.numbers["recall"] == f"25.0% [{100 * low:.1f}, 30.0]"


@pytest.mark.parametrize(
    ("ranks", "key"),
    [([1, 2], "failures_none"), ([1, 20], "failures_near"), ([1, 90], "failures_far")],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_failures_are_described_by_where_their_answers_lie(ranks, key, language):
    run = run_with(ranks, 100)
    table = analysis.failure_table(run, {"text_to_image": 100, "image_to_text": 100})
    told = findings.failures(table)
    assert [finding.key for finding in told] == [key, key]
    assert {finding.table for finding in told} == {"failures"}
    assert speaker(language).say(told[0])


@pytest.mark.parametrize(
    ("ranks", "key"),
    [([1, 2, 3, 20], "more"), ([1, 2, 20, 30], "fewer"), ([1, 2, 20], "fewer"), ([1, 20], "none")],
)
def test_narrow_misses_are_held_against_failures(ranks, key):
    table = analysis.failure_table(run_with(ranks, 100), dict.fromkeys(WAYS[1:], 100))
    assert findings.near_misses(table).key == f"near_misses_{key}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_differences_that_are_more_than_noise_are_counted_by_question(language):
    pairs = pd.concat([pair(0.05, 0.01), pair(0.0, 0.01, "scorer"), pair(-0.1, 0.01, "model")])
    told = findings.tallies(pairs)
    assert [one.key for one in told] == ["tally_prompt", "tally_scorer", "tally_model"]
    assert [one.numbers["clear"] for one in told] == ["1", "0", "1"]
    assert [one.numbers["worse"] for one in told] == ["0", "0", "1"]
    assert all(speaker(language).say(one) for one in told)
    assert [one.key for one in findings.tallies(pairs[:0])] == ["tally_none"]


@pytest.mark.parametrize(("near", "levelled"), [(0.1, True), (0.0, False)])
@pytest.mark.parametrize(("difference", "error"), [(0.05, 0.01), (0.05, 0.1), (-0.05, 0.01)])
def test_the_abstract_tells_a_gain_only_where_it_is_clear(near, levelled, difference, error):
    measured = {"queries": 100, "gallery": 100, "recall@10": 0.5, "recall@10_low": 0.4,
                "recall@10_high": 0.6}  # fmt: skip
    recall = [findings.above_chance({"direction": way, **measured}) for way in WAYS[1:]]
    gap = {"difference": 0.1, "low": 0.05, "high": 0.15, "verdict": "better"}
    failed = pd.DataFrame({"direction": ["text_to_image"], "near": [near]})
    alone = findings.Finding("alone_alike" if levelled else "alone_easier")
    pairs = pair(difference, error, "scorer", "nnn")
    gain = findings.gain([REFERENCE, REFERENCE], pairs, {"nnn": "nnn"})
    recall.append(findings.easier_direction(gap))
    told = findings.abstract([REFERENCE, REFERENCE], recall, gain, failed, alone, {})
    keys = [one.key for one in told]
    clear = difference > 2 * error
    assert keys[2] == ("abstract_gain_scorer" if clear else "abstract_gain_none")
    assert ("abstract_alone_alike" in keys) == levelled
    assert ("abstract_image_to_text_easier" in keys) != levelled
    assert keys[-1] == ("abstract_near" if near else "abstract_near_none")
    if clear:
        assert told[2].numbers == {
            "name": findings.ScorerName("nnn", "nnn"),
            "difference": "5.0 [3.0, 7.0]",
        }


def abstracts(language: str):
    """Every abstract that can be put together, with long and with short names."""
    words = read_words("report", language)
    keys = [key for key in words["findings"] if key.startswith("abstract_")]
    parts = [
        [key for key in keys if key.startswith("abstract_model")],
        ["abstract_recall"],
        [key for key in keys if key.startswith("abstract_gain")],
        [key for key in keys if key.endswith(("easier", "alike"))],
        [key for key in keys if key.startswith("abstract_near")],
    ]
    say = speaker(language).say
    for name in ("m", "chinese-clip-vit-b16"):
        numbers = {
            "model": name, "dataset": name, "images": "1,000",
            "captions": "5,000", "models": "4", "name": name,
            "difference": "10.8 [10.1, 11.6]", "near": "35.1%",
            "text_recall": "93.3% [91.8, 94.7]",
            "image_recall": "100.0% [100.0, 100.0]", "text_chance": "1.0%",
            "image_chance": "1.0%",
        }  # fmt: skip
        for chosen, kind in itertools.product(itertools.product(*parts), ("cosine", *SCORERS)):
            scorer = {"name": findings.ScorerName(kind, name)}
            yield words["gap"].join(
                str(say(findings.Finding(key, numbers | (scorer if "scorer" in key else {}))))
                for key in chosen
            )


def test_every_chinese_abstract_has_100_to_150_characters_however_they_are_counted():
    for text in abstracts("zh"):
        han = len(HAN.findall(text))
        assert 100 <= han <= 150, text
        assert 100 <= han + len(PUNCTUATION.findall(text)) + len(LATIN.findall(text)) <= 150, text


def test_every_english_abstract_is_of_like_size():
    for text in abstracts("en"):
        assert 75 <= len(text.split()) <= 120, text
