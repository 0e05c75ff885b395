"""What a reader is warned of: when, with which numbers, and in which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_run import LANGUAGES, PROMPTS, FakeRun, job
from told import Told

from scripts.evaluate.intervals import Resampling, interval_of_means
from scripts.evaluate.pairs import WAYS
from scripts.job import read_json
from scripts.report import warn
from scripts.words import read_words, warned
from scripts.words.warned import sentences

# kinds of which only the first words stand in the code
PUT_TOGETHER = ("precision_", "left_out_")
RUNS = [("m", "plain", scorer) for scorer in ("cosine", "nnn", "centred")]


def rows_of_metrics(queries: int, gallery: int, recalls: dict[tuple, float]) -> list[dict]:
    """As metrics.csv has them: captions ask, images ask."""
    names = ("model", "prompt", "scorer")
    sizes = {"text_to_image": (queries, gallery), "image_to_text": (gallery, queries)}
    return [
        {
            **dict(zip(names, key, strict=True)),
            **{"direction": way, "queries": str(own[0]), "gallery": str(own[1])},
            **{f"recall@{depth}": str(recall) for depth in (1, 5, 10)},
        }
        for way, own in sizes.items()
        for key, recall in recalls.items()
    ]


def pair(mine: tuple, other: tuple, mean: float, verdict: str) -> list[dict]:
    """As pairs.csv has it, alike both ways and each."""
    names = ("model", "prompt", "scorer")
    return [
        {
            **dict(zip(names, mine, strict=True)),
            **dict(zip([f"other_{name}" for name in names], other, strict=True)),
            **{"direction": way, "mean": str(mean), "verdict": verdict},
            **{"mean_low": str(mean - 0.04), "mean_high": str(mean + 0.08)},
        }
        for way in WAYS
    ]


def kinds(found: list[dict[str, Any]]) -> list[str]:
    return [one["kind"] for one in found]


def test_images_are_few_where_half_an_interval_is_wider_than_five_points():
    few = warn.of_size(rows_of_metrics(5 * 384, 384, {RUNS[0]: 0.5}))
    assert kinds(few) == ["few_images"]
    numbers = few[0]["numbers"]
    assert numbers["images"] == 384 and numbers["enough"] == 385
    assert warn.of_size(rows_of_metrics(5 * 385, 385, {RUNS[0]: 0.5})) == []


@pytest.mark.parametrize("captions", [1, 5])
def test_half_an_interval_is_what_the_bootstrap_gives_at_50_percent(captions):
    images = np.repeat(np.arange(100), captions)
    values = (images % 2 == 0).astype(float)[:, None]
    low, high = interval_of_means(values, images, Resampling(4000, 0))[0]
    assert (high - low) / 2 == pytest.approx(warn.half_width(100), abs=0.008)


def test_a_list_as_long_as_the_gallery_is_told():
    found = warn.of_size(rows_of_metrics(10, 5, {RUNS[0]: 1.0}))
    assert [one["numbers"] for one in found if one["kind"] == "whole_gallery"] == [
        {"direction": "text_to_image", "measure": "recall@5", "gallery": 5},
        # with two right captions of ten, nine others cannot all come before both
        {"direction": "image_to_text", "measure": "recall@10", "gallery": 10},
    ]


def test_the_best_run_is_told_from_the_others_or_is_not():
    """The second run is best; by 3 points, which may be chance, and by 20, which are not."""
    metrics = rows_of_metrics(2000, 400, dict(zip(RUNS, (0.5, 0.53, 0.33), strict=True)))
    pairs = [
        *pair(RUNS[1], RUNS[0], 0.03, "alike"),
        *pair(RUNS[2], RUNS[0], -0.17, "worse"),
        *pair(RUNS[2], RUNS[1], -0.2, "worse"),
    ]
    found = warn.of_leads(metrics, pairs)
    (numbers,) = (one["numbers"] for one in found)
    assert (numbers["scorer"], numbers["alike"], numbers["others"]) == ("nnn", 1, 2)
    assert numbers["lead"] == pytest.approx([0.03, -0.01, 0.11])
    clear = [{**row, "verdict": row["verdict"].replace("alike", "better")} for row in pairs]
    assert warn.of_leads(metrics, clear) == []
    assert warn.of_leads(metrics[:1] + metrics[3:4], []) == []


def test_the_lead_is_told_from_the_best_run_whichever_is_named_first():
    metrics = rows_of_metrics(2000, 400, {RUNS[0]: 0.53, RUNS[1]: 0.5})
    found = warn.of_leads(metrics, pair(RUNS[1], RUNS[0], -0.03, "alike"))
    assert found[0]["numbers"]["scorer"] == "cosine"
    assert found[0]["numbers"]["lead"] == pytest.approx([0.03, -0.05, 0.07])


@pytest.mark.parametrize(
    ("cut", "told"),
    [(0, []), (1, []), (2, ["captions_cut"]), (2000, ["all_captions_cut"])],
)
def test_cut_captions_are_told_from_a_tenth_of_a_percent_on(cut, told):
    about = {"truncated": cut, "shape": [2000, 512]}
    assert kinds(warn.of_captions(about, "m", "plain")) == told


def test_of_several_prompts_the_one_that_cuts_most_is_told_for_each_model():
    cut = {("m", "plain"): 50, ("m", "photo"): 100, ("n", "plain"): 20, ("n", "photo"): 10}
    found = [
        one
        for (model, prompt), truncated in cut.items()
        for one in warn.of_captions({"truncated": truncated, "shape": [100, 8]}, model, prompt)
    ]
    told = [(one["numbers"]["model"], one["numbers"]["prompt"]) for one in warn.worst(found)]
    assert told == [("m", "photo"), ("n", "plain")]


@pytest.mark.parametrize("reason", ["asked", "native", "close", "apart", "not_finite"])
def test_a_precision_is_told_where_it_mattered(reason):
    side = {"smallest": None if reason == "not_finite" else 0.98, "median": 0.999}
    precision = {
        **{"reason": reason, "native": "float16", "precision": "float32", "device": "cuda"},
        "cosines": {"float16": {"images": side, "texts": side}},
    }
    found = warn.of_precision(precision, "m")
    assert kinds(found) == ([f"precision_{reason}"] if reason in ("apart", "not_finite") else [])


def test_a_precision_that_was_studied_is_told_where_a_measure_changed_beyond_chance():
    rows = [
        {"model": "m", "group": group, "measure": f"p_holm:recall@{depth}", "value": p}
        for group, p in (("bfloat16", "0.04"), ("float16", "0.06"))
        for depth in (1, 5)
    ]
    rows.append({"model": "m", "group": "float16", "measure": "recall@1", "value": "0.0"})
    (found,) = warn.of_precision_study(rows)
    assert found["numbers"] == {"model": "m", "name": "bfloat16", "changed": 2, "total": 2}


def test_sources_that_were_passed_over_are_told():
    assert warn.of_source({"source": "github"}) == []
    (found,) = warn.of_source({"source": "kaggle", "skipped": ["github", "huggingface"]})
    assert "kaggle" in sentences([found], "en")[0]
    assert "github, huggingface" in sentences([found], "en")[0]
    assert "github、huggingface" in sentences([found], "zh")[0]


def test_a_split_that_nobody_named_is_told_and_why_it_is_so():
    none = dict.fromkeys("abcdef", "")
    splits = {"train": ["a"], "val": ["b"], "test": ["c", "d"]}
    assert warn.of_split({"a": "train", "b": "none"}, splits) == []
    (halved,) = warn.of_split(none, splits)
    assert halved["kind"] == "split_halved"
    assert "2 images, half of all" in sentences([halved], "en")[0]
    (drawn,) = warn.of_split(none, splits | {"test": ["c"] * 385})
    assert "385 images were drawn for test, 1 to learn from" in sentences([drawn], "en")[0]
    (whole,) = warn.of_split(none, {"train": [], "val": [], "test": ["a", "b"]})
    assert "all 2 images are test" in sentences([whole], "en")[0]


def test_what_a_split_stands_for_is_told():
    splits = {"train": ["a"], "val": [], "test": ["b"]}
    (found,) = warn.of_split({"a": "train", "b": "val"}, splits)
    assert "val is what is measured, and called test here (1 images)" in sentences([found], "en")[0]
    assert "没有 test" in sentences([found], "zh")[0]
    whole = {"train": [], "val": [], "test": ["a", "b"]}
    found = warn.of_split({"a": "val", "b": "val"}, whole)
    assert kinds(found) == ["one_split", "all_test"]
    assert "all its images val" in sentences(found, "en")[0]


def test_images_in_no_split_are_told_but_those_that_the_authors_left_out():
    notes = [{"note": "images in no split", "count": 3, "items": ["a.jpg", "b.jpg"]}]
    (found,) = warn.of_audit({"notes": notes})
    assert "not used (3), such as a.jpg." in sentences([found], "en")[0]
    assert warn.of_audit({"notes": notes}, official=True) == []
    other = "in a split that is none of train, val and test"
    notes.append({"note": other, "count": 1, "items": ["holdout (15)"]})
    (found,) = warn.of_audit({"notes": notes})
    assert "it is called: holdout (15)." in sentences([found], "en")[0]


def test_names_of_one_split_alone_are_told():
    note = {"note": "names of one split alone, taken for none", "count": 1, "items": ["train"]}
    assert kinds(warn.of_audit({"notes": [note]})) == ["one_split"]


def test_what_was_left_out_is_named_with_why():
    left_out = {"split": {"scorers": ["nnn"], "studies": ["leakage"]}, "images": {"studies": ["x"]}}
    found = warn.of_left_out(left_out)
    assert kinds(found) == ["left_out_split", "left_out_images"]
    assert [one.split(": ")[1] for one in sentences(found, "en")] == ["nnn, leakage.", "x."]
    assert "nnn、leakage" in sentences(found, "zh")[0]
    found = warn.of_left_out({"model": {"api": ["photo"], "b": ["x"], "c": ["photo"]}})
    # once for all that lack the same
    assert kinds(found) == ["left_out_model"] * 2
    assert (
        "api, c, of which there are features and no model here: photo." in sentences(found, "en")[0]
    )


def test_what_is_not_known_to_have_been_cut_is_not_warned_of():
    assert warn.of_captions({"shape": [9, 2]}, "api", "plain") == []


@pytest.fixture(scope="module")
def run_(tmp_path_factory: pytest.TempPathFactory) -> FakeRun:
    close = PROMPTS | {("tiny", "ensemble", "cosine"): 0.21}
    return FakeRun(tmp_path_factory.mktemp("warned"), close, images=30, studies=())


def warned_of(run_: FakeRun, folder: Path) -> list[dict[str, Any]]:
    output = folder / "warnings.json"
    warn.main(job(run_.warned_of(), {"warnings": str(output)}, {"left_out": {}}))
    return read_json(output)


def test_the_rule_names_the_file_behind_each_warning_and_holds_no_words(run_, tmp_path):
    found = warned_of(run_, tmp_path)
    assert [(one["kind"], Path(one["from"]).name) for one in found] == [
        ("few_images", "metrics.csv"),
        ("not_apart", "pairs.csv"),
        ("captions_cut", "texts.ensemble.json"),
        ("duplicates", "audit.json"),
    ]
    assert all(set(one) == {"kind", "numbers", "from"} for one in found)
    assert all(Path(one["from"]).is_file() for one in found)
    for language in LANGUAGES:
        said = sentences(found, language)
        assert len(said) == 4 and not any(one in json.dumps(found) for one in said)


def test_every_kind_has_a_sentence_in_each_language_and_no_other_is_there():
    source = Path(warn.__file__).read_text("utf-8")
    words = read_words("warnings", "en").keys() - {"title", "counted", "comma"}
    made = {kind for kind in words if f'"{kind}"' in source or kind.startswith(PUT_TOGETHER)}
    assert made == words and len(words) == 21


def test_numbers_read_as_in_the_report(run_, tmp_path):
    few, *_, cut, twins = sentences(warned_of(run_, tmp_path), "en")
    assert few.startswith("Only 30 test images") and "±17.9" in few and "±5.0" in few
    assert "1 of 90 captions (1.1%)" in cut
    assert "(3), such as 0001.jpg" in twins


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_report_says_them_below_its_abstract(documents, fake_run, language):
    found = read_json(fake_run.results / "warnings.json")
    told = Told(documents[language])
    first = [one.get("role", one["kind"]) for one in documents[language]["blocks"]]
    assert first[0] == "abstract" and "warnings" in first[: first.index("heading")]
    for sentence in warned.sentences(found, language):
        assert sentence in told.block("warnings").text
