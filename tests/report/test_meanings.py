"""What an answer means: opposite findings, opposite sentences, and none where none is earned."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fake_run import LANGUAGES
from told import speaker

from scripts.report.findings import Finding
from scripts.report.meanings import MEANINGS, meanings
from scripts.report.write_analysis import AGAIN, QUESTIONS, picked
from scripts.report.writer import Writer
from scripts.words import read_words


def meant(question: str, *keys: str) -> list[str]:
    found = meanings(question, [Finding(key) for key in keys])
    for language in LANGUAGES:
        assert all(len(speaker(language).say(one)) > 10 for one in found)
    return [one.key.removeprefix("means_") for one in found]


@pytest.mark.parametrize(
    ("question", "keys", "said"),
    [
        ("why", ["near_misses_more", "confidence_warns"], ["near", "warned"]),
        ("why", ["near_misses_fewer", "confidence_silent"], ["far", "unwarned"]),
        ("why", ["confidence_misleads", "confidence_warns"], ["warned_partly"]),
        ("why", ["near_misses_none", "failures_none"], []),
        ("why", ["agreement_more"], ["common"]),
        ("why", ["agreement_apart"], []),
        ("why", ["near_misses_more", "fit_train"], ["near", "fitted"]),
        ("why", ["fit_trained", "agreement_more"], ["fitted", "common"]),
        ("why", ["fit_both"], []),
        ("why", ["fit_alike"], []),
        ("why", ["agreement_alike", "confidence_warns"], ["uncommon", "warned"]),
        ("together", ["prompt_hubs", "link_fall_gain"], ["hubs"]),
        ("together", ["prompt_hubs", "link_fall_nothing"], ["hubs_partly"]),
        ("together", ["prompt_hubs_harmless", "link_fall_nothing"], ["no_hubs"]),
        ("together", ["prompt_hubs_both", "link_fall_nothing"], ["hubs_open"]),
        ("together", ["prompt_hubs_both", "link_fall_gain"], ["hubs"]),
        ("together", ["pair_better", "link_rise"], []),
        ("together", ["shift_how", "shift_most", "prompt_hubs"], ["hubs", "unshift"]),
        ("together", ["shift_part", "shift_none"], ["unshift"]),
        ("together", ["shift_how", "shift_none"], ["no_unshift"]),
        ("language", ["words_bag", "alone_alike"], ["bag", "ways_alike"]),
        ("language", ["words_order", "alone_easier"], ["order", "ways_apart"]),
        ("language", ["alone_harder"], ["ways_apart"]),
        ("scale", ["gallery_falls", "index_costs_pays", "index_costs_misses"], ["size", "index"]),
        ("scale", ["gallery_holds", "index_costs_none"], ["no_size", "no_index"]),
        ("scale", ["gallery_small"], []),
        ("beyond", ["relevance_people_clear", "leakage_none"], ["lower_bound", "no_leak"]),
        ("beyond", ["relevance_people_slight", "leakage_images_falls"], ["counted", "leak"]),
        # one direction is enough for a warning
        ("beyond", ["leakage_images_alike", "leakage_images_falls"], ["leak"]),
        # of shared captions alone nothing follows, nor of few queries
        ("beyond", ["leakage_captions_falls", "leakage_images_few"], []),
    ],
)
def test_what_is_found_decides_what_it_means(question, keys, said):
    assert meant(question, *keys) == said


def test_each_question_has_meanings_each_of_which_some_finding_earns():
    assert set(MEANINGS) == set(QUESTIONS)
    named = {name for points in MEANINGS.values() for point in points for name in point}
    earning = {
        key
        for points in MEANINGS.values()
        for point in points
        for asked in point.values()
        for keys in asked
        for key in keys
    }
    for language in LANGUAGES:
        words = read_words("report", language)["findings"]
        assert {key.removeprefix("means_") for key in words if key.startswith("means_")} == named
        assert earning <= set(words)
        # numbers stand in the sentences that it follows from
        assert not any("{" in words[f"means_{name}"] for name in named)


@pytest.mark.parametrize("kind", AGAIN)
def test_what_holds_both_ways_is_told_once_and_then_by_its_numbers(kind: str):
    def of(way: str, verdict: str = "same") -> Finding:
        numbers = {name: f"{name} {way}" for name in ("direction", "name", "more", *AGAIN[kind])}
        # a name in the table is no number, and another name is another finding
        numbers |= {"direction": way, "name": "hnsw"}
        return Finding(f"{kind}_{verdict}", numbers, "a_table")

    one, other = of("text_to_image"), of("image_to_text")
    first, again = picked([one, other], kind)
    assert first is one and (again.key, again.table) == (f"same_{kind}", "a_table")
    assert again.numbers == {name: other.numbers[name] for name in ("direction", *AGAIN[kind])}
    for language in LANGUAGES:
        text = speaker(language).say(again)
        assert all(other.numbers[name] in text for name in AGAIN[kind])
    # what differs is told whole, and so is what the same direction shows of something else
    apart = of("image_to_text", "otherwise")
    assert picked([one, apart], kind) == [one, apart]
    assert picked([one, one], kind) == [one, one]


def test_what_holds_both_ways_without_numbers_is_said_to_be_the_same():
    ways = [Finding("failures_none", {"direction": way}, "failures") for way in ("a", "b")]
    assert [one.key for one in picked(ways, "failures")] == ["failures_none", "same_way"]
    # where one way nothing fails, there is no rank to tell
    near = [
        Finding("failures_near", {"direction": way, "share": share, "median": median}, "failures")
        for way, share, median in (("a", "0.5%", "41"), ("b", "0.0%", "–"))
    ]
    assert [one.key for one in picked(near, "failures")] == ["failures_near", "same_way"]


def test_the_figure_of_a_study_that_found_nothing_is_not_shown():
    drawn = {"drawings": {"study_prompts": "empty.svg"}, "written": set()}
    writer = SimpleNamespace(**drawn, studies={"errors": None})
    assert Writer.figure(writer, "study_prompts") == []
