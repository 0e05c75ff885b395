"""Opposite tables give opposite sentences, in both languages."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from told import speaker

from scripts.evaluate.runs import Run
from scripts.report import analysis, findings
from scripts.words import read_words

LANGUAGES = ("en", "zh")
HAN = re.compile(r"[\u4e00-\u9fff]")
PUNCTUATION = re.compile(r"[\u3000-\u303f\uff00-\uffef]")
LATIN = re.compile(r"[A-Za-z0-9.,%@+−-]+")


def pair(difference: float, error: float, kind: str = "prompt") -> pd.DataFrame:
    """A comparison in pairs.csv with the same difference in both directions."""
    low, high = difference - 2 * error, difference + 2 * error
    verdict = "better" if low > 0 else "worse" if high < 0 else "alike"
    other = {"prompt": "plain", "scorer": "cosine", "model": "m"}
    mine = {"prompt": "plain", "scorer": "cosine", "model": "m", kind: "photo"}
    return pd.DataFrame([
        {
            "family": kind, **mine, **{f"other_{name}": value for name, value in other.items()},
            "direction": way, "mean": difference, "mean_low": low, "mean_high": high,
            "p_holm": 0.01, "verdict": verdict,
        }
        for way in ("text_to_image", "image_to_text")
    ])  # fmt: skip


BEST = Run("m", "photo", "cosine", {}, {}, {}, np.zeros(0), np.zeros(0), {})


@pytest.mark.parametrize("language", LANGUAGES)
def test_prompts_that_help_hurt_or_do_nothing_are_told_apart(language):
    say = speaker(language).say
    told = {
        word: str(say(findings.effects(pair(difference, 0.01), "prompt", BEST)[0]))
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
    (finding, *_) = findings.effects(table, kind, BEST)
    assert finding.key == f"{'model_' if kind == 'model' else ''}pair_partly_better"
    assert {"en": "in one direction", "zh": "一个方向"}[language] in speaker(language).say(finding)


def test_one_prompt_says_nothing_about_prompts():
    (finding,) = findings.effects(pair(0, 0)[:0], "prompt", BEST)
    assert finding.key == "prompt_single"


def test_directions_that_disagree_are_mixed():
    assert findings.overall(["better", "worse"]) == "mixed"
    assert findings.overall(["better", "alike"]) == "partly_better"
    assert findings.overall(["alike", "worse"]) == "partly_worse"
    assert findings.overall(["worse", "worse"]) == "worse"
    assert findings.overall(["alike", "alike"]) == "alike"


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
    assert "+10.0 [+7.0, +12.0]" in told["worse"]
    assert "+10.0 [+8.0, +13.0]" in told["better"]


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
    assert speaker(language).say(told[0])


@pytest.mark.parametrize("name", ["length", "score", "margin"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_contrast_has_a_sentence_for_every_outcome(name, language):
    say = speaker(language).say
    told = set()
    for verdict in ("better", "worse", "alike", "unknown"):
        values = {"first": 0.3, "second": 0.2, "first_n": 9, "second_n": 8, "verdict": verdict}
        (finding,) = findings.captions({name: values})
        told.add(str(say(finding)))
    assert len(told) == 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_differences_that_are_more_than_noise_are_counted_by_question(language):
    pairs = pd.concat([pair(0.05, 0.01), pair(0.0, 0.01, "scorer"), pair(-0.1, 0.01, "model")])
    told = findings.tallies(pairs)
    assert [one.key for one in told] == ["tally_prompt", "tally_scorer", "tally_model"]
    assert [one.numbers["clear"] for one in told] == ["2", "0", "2"]
    assert [one.numbers["worse"] for one in told] == ["0", "0", "2"]
    assert all(speaker(language).say(one) for one in told)
    assert [one.key for one in findings.tallies(pairs[:0])] == ["tally_none"]


@pytest.mark.parametrize(("near", "failed"), [(0.1, "near"), (0.0, "none"), (0.2, "far")])
def test_there_is_always_something_to_do_next_and_each_for_a_reason(near, failed):
    table = pd.DataFrame({"direction": ["text_to_image"], "near": [near], "verdict": [failed],
                          "median_rank": [30.0]})  # fmt: skip
    some = pair(0.1, 0.01)
    told = [one.key for one in findings.outlook(table, some, some, 9)]
    assert ("next_rerank" in told) == (near > 0)
    assert ("next_finetune" in told) == (failed == "far")
    assert told[-1] == "next_data"
    alone = [one.key for one in findings.outlook(table, some[:0], some[:0], 9, trained=True)]
    assert {"next_prompts", "next_models"} <= set(alone)
    assert ("next_train" in alone) == (failed == "far")
    looked = [one.key for one in findings.outlook(table, some, some, 9, reranked=True)]
    assert [key for key in told if key != "next_rerank"] == looked


def abstracts(language: str):
    """Every abstract that can be put together, with long and with short names."""
    words = read_words("report", language)
    keys = [key for key in words["findings"] if key.startswith("abstract_")]
    parts = [
        [key for key in keys if key.startswith("abstract_model")],
        ["abstract_only", "abstract_best"],
        [key for key in keys if key.endswith("easier") or "ways" in key],
        [key for key in keys if key.startswith("abstract_prompts")],
        [key for key in keys if key.startswith("abstract_failures")],
    ]
    say = speaker(language).say
    for name in ("m", "chinese-clip-vit-b16"):
        numbers = {
            "model": name, "dataset": name, "split": "test", "images": "1,000",
            "captions": "5,000", "models": "4", "prompt": name, "reference": name,
            "scorer": name, "text_recall": "93.3% [91.8, 94.7]",
            "image_recall": "100.0% [100.0, 100.0]", "text_chance": "1.0%",
            "image_chance": "1.0%", "median": "17.5",
        }  # fmt: skip
        for chosen in itertools.product(*parts):
            yield words["gap"].join(str(say(findings.Finding(key, numbers))) for key in chosen)


def test_every_chinese_abstract_has_100_to_150_characters_however_they_are_counted():
    for text in abstracts("zh"):
        han = len(HAN.findall(text))
        assert 100 <= han <= 150, text
        assert 100 <= han + len(PUNCTUATION.findall(text)) + len(LATIN.findall(text)) <= 150, text


def test_every_english_abstract_is_of_like_size():
    assert all(75 <= len(text.split()) <= 120 for text in abstracts("en"))
