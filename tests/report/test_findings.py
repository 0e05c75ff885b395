"""Opposite tables give opposite sentences, in both languages."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import pytest

from scripts.data.rows import rows_of
from scripts.report import analysis, findings
from scripts.report.page import Speaker, read_words
from scripts.evaluate.runs import Run

LANGUAGES = ("en", "zh")
HAN = re.compile(r"[\u4e00-\u9fff]")
PUNCTUATION = re.compile(r"[\u3000-\u303f\uff00-\uffef]")
LATIN = re.compile(r"[A-Za-z0-9.,%@+−-]+")


def speaker(language: str) -> Speaker:
    return Speaker(read_words(language), [], [])


def flat(tree, path=""):
    """Dotted keys of nested words with their phrases."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def pair(difference: float, error: float, kind: str = "prompt") -> pd.DataFrame:
    """A comparison with the same difference in both directions."""
    return pd.DataFrame([
        {
            "model": "m", "prompt": "photo", "scorer": "cosine",
            "other_model": "m", "other_prompt": "plain", "other_scorer": "cosine",
            "direction": way, "recall@1": difference, "recall@5": difference,
            "recall@10": difference, "mean": difference, "two_se": 2 * error,
            "verdict": analysis.verdict_of(difference, error),
        }
        for way in ("text_to_image", "image_to_text")
    ])  # fmt: skip


BEST = Run("m", "photo", "cosine", {}, {}, {}, np.zeros(0), np.zeros(0))


def test_both_languages_have_the_same_words():
    english, chinese = (dict(flat(read_words(language))) for language in LANGUAGES)
    assert english.keys() == chinese.keys()


def test_a_phrase_has_the_same_numbers_in_both_languages():
    english, chinese = (dict(flat(read_words(language))) for language in LANGUAGES)
    places = re.compile(r"(?<!\{)\{([a-z_0-9]+)\}")
    for key, phrase in english.items():
        assert set(places.findall(phrase)) == set(places.findall(chinese[key])), key


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
    table = pair(0.05, 0.01)
    table.loc[1, "verdict"] = "alike"
    (finding, *_) = findings.effects(table, kind, BEST)
    assert finding.key == f"{kind}_partly_better"
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
        key: findings.easier_direction({"difference": value, "two_se": 0.02, "verdict": key})
        for key, value in (("better", 0.1), ("worse", -0.1), ("alike", 0.01))
    }
    told = {key: str(say(finding)) for key, finding in gaps.items()}
    assert len(set(told.values())) == 3
    assert "10.0" in told["worse"]
    assert "−10.0" not in told["worse"]


def rows_and_run(ranks: list[int], gallery: int):
    rows = rows_of([str(n) for n in range(gallery)], [[f"caption {n}"] for n in range(gallery)])
    repeated = np.resize(np.array(ranks), gallery)
    return rows, Run(
        "m", "p", "s", {"text_to_image": repeated, "image_to_text": repeated}, {}, {}, repeated,
        repeated,
    )  # fmt: skip


def test_recall_at_chance_is_not_sold_as_more():
    rows, lucky = rows_and_run([1, 2, 3], 100)
    assert findings.above_chance(lucky, rows, "text_to_image").key == "above_chance"
    rows, blind = rows_and_run(list(range(1, 101)), 100)
    assert findings.above_chance(blind, rows, "text_to_image").key == "at_chance"


@pytest.mark.parametrize(
    ("ranks", "key"),
    [([1, 2], "failures_none"), ([1, 20], "failures_near"), ([1, 90], "failures_far")],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_failures_are_described_by_where_their_answers_lie(ranks, key, language):
    _rows, run = rows_and_run(ranks, 100)
    table = analysis.failure_table(run, {"text_to_image": 100, "image_to_text": 100})
    told = findings.failures(table)
    assert [finding.key for finding in told] == [key, key]
    assert speaker(language).say(told[0])


@pytest.mark.parametrize("name", ["length", "duplicates", "score", "margin"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_contrast_has_a_sentence_for_every_outcome(name, language):
    say = speaker(language).say
    told = set()
    for verdict in ("better", "worse", "alike", "unknown"):
        values = {"first": 0.3, "second": 0.2, "first_n": 9, "second_n": 8, "verdict": verdict}
        contrasts = {key: values for key in ("length", "duplicates", "score", "margin")}
        found = findings.captions(contrasts, shared=4, total=10)
        told |= {str(say(one)) for one in found if one.key.startswith(name)}
    assert len(told) == 4


def test_an_optimisation_without_a_measurement_claims_no_effect():
    steps = pd.DataFrame({"rule": ["similarity"], "jobs": [1], "seconds": [1.0],
                          "max_rss_mb": [float("nan")]})  # fmt: skip
    found = dict(
        findings.optimisations(
            steps, pair(0, 0)[:0], BEST, {"images": 10, "captions": 20, "prompts": 1},
            {"plain": ["{}"]}, ties=0, repeated=0,
        )
    )  # fmt: skip
    assert found["cache"] is found["texts"] is found["ensemble"] is found["blocks"] is None
    assert found["ties"].key == "effect_ties_none"


def test_ranking_by_blocks_is_praised_only_where_it_saved_memory():
    def effect(images: int) -> str:
        steps = pd.DataFrame({"rule": ["similarity"], "jobs": [1], "seconds": [1.0],
                              "max_rss_mb": [200.0]})  # fmt: skip
        sizes = {"images": images, "captions": 5 * images, "prompts": 1}
        found = findings.optimisations(steps, pair(0, 0)[:0], BEST, sizes, {}, 0, 0)
        return dict(found)["blocks"].key

    assert effect(1000) == "effect_blocks_small"
    assert effect(40_000) == "effect_blocks"


def abstracts(language: str):
    """Every abstract that can be put together, with long and with short names."""
    words = read_words(language)
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
            "text_recall": "93.3%", "image_recall": "100.0%", "text_chance": "1.0%",
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
