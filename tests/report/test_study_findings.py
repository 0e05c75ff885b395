"""Each study read as sentences: opposite tables give opposite ones, in both languages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fake_run import LANGUAGES
from fake_studies import MAKERS
from told import speaker

from scripts.report.study_findings import findings_of
from scripts.studies.shown import printed, read_study
from scripts.studies.study_errors import KINDS
from scripts.studies.study_leakage import LEAST
from scripts.studies.study_published import TOLERANCE
from scripts.studies.table import About, range_rows, row, write_rows
from scripts.words import formats, read_words
from scripts.words.labels import NUMBER

KEY = ("m", "plain", "cosine")
TEXT, IMAGE = "text_to_image", "image_to_text"


def told(study: str, rows, tmp_path) -> list[str]:
    """Keys of what is said of a table."""
    write_rows(tmp_path / "study.csv", rows)
    found = findings_of(study, read_study(tmp_path / "study.csv", study))
    for language in LANGUAGES:
        say = speaker(language).say
        assert all(len(str(say(one))) > 10 for one in found)
    return [one.key for one in found]


def near(value: float, width: float = 0.02) -> tuple[float, float]:
    return value - width, value + width


def changed(about: About, measure: str, value: float) -> dict:
    """A paired difference that is clear from 0.02 on, however wide its two values are known."""
    return row(about, f"{measure}_change", value, 10, near(value))


@pytest.mark.parametrize("study", MAKERS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_study_says_something_in_each_language(study, language, tmp_path):
    rows = list(MAKERS[study](KEY, 200, np.random.default_rng(1)))
    write_rows(tmp_path / "study.csv", rows)
    found = findings_of(study, read_study(tmp_path / "study.csv", study))
    assert found
    sentences = [str(speaker(language).say(one)) for one in found]
    assert not any("{" in sentence for sentence in sentences)


def printed_in(table: pd.DataFrame) -> set[str]:
    """Every number of a table, in each form in which tables of the report print it."""
    forms = [formats.quantity, formats.count, formats.p_value, formats.close, formats.brief]
    shown: set[str] = set()
    for _, one in table.iterrows():
        every = [*forms, printed(one), formats.points, formats.rank]
        numbers = [one[key] for key in ("x", "queries", "value", "low", "high")]
        shown |= {form(number) for form in every for number in numbers if pd.notna(number)}
    return {number for text in shown for number in NUMBER.findall(text)}


@pytest.mark.parametrize("study", MAKERS)
def test_every_number_of_a_sentence_stands_in_the_studys_table(study, tmp_path):
    write_rows(tmp_path / "study.csv", list(MAKERS[study](KEY, 200, np.random.default_rng(1))))
    table = read_study(tmp_path / "study.csv", study)
    there = printed_in(table)
    for finding in findings_of(study, table):
        for name, value in finding.numbers.items():
            # how many of the rows there are is counted, and no measure
            if isinstance(value, str) and name not in ("source", "name", "first"):
                assert set(NUMBER.findall(value)) <= there, (finding.key, name, value)


@pytest.mark.parametrize(
    ("language", "parts"),
    [
        ("en", ("the same caption", "by a tie", "judged to fit", "a colour", "a number",
                "an action", "an object", "look-alike", "vague", "far down", "none of these")),
        ("zh", ("相同的描述", "由并列", "判为相符", "颜色", "数目", "动作", "物体", "形似", "含糊",
                "很靠后", "以上皆非")),
    ],
)  # fmt: skip
def test_the_text_tells_kinds_of_failure_in_the_order_in_which_they_are_tried(language, parts):
    text = read_words("report", language)["studies"]["errors"]["text"]
    places = [text.index(part) for part in parts]
    assert len(places) == len(KINDS) and places == sorted(places)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_texts_tell_what_the_studies_judge_by(language):
    words = read_words("report", language)
    points = formats.points(TOLERANCE).lstrip("+")
    assert points in words["studies"]["published"]["text"]
    assert str(LEAST) in words["studies"]["leakage"]["text"]


@pytest.mark.parametrize("study", [*MAKERS, "mine"])
def test_nothing_is_said_of_a_table_without_rows_or_of_a_study_that_is_not_ours(study, tmp_path):
    assert told(study, [], tmp_path) == []
    assert told("mine", list(MAKERS["leakage"](KEY, 200, None)), tmp_path) == []


@pytest.mark.parametrize(
    ("wide", "change", "key"),
    [
        # within the interval of the strict count, and clear all the same on the same queries
        (0.33, 0.03, "clear"),
        (0.31, 0.01, "slight"),
        (0.3, 0.0, "none"),
        # what is printed alike is no more, however sure
        (0.3004, 0.03, "none"),
    ],
)
def test_further_right_answers_add_clearly_too_little_or_nothing(wide, change, key, tmp_path):
    rows = [
        row(About(KEY, TEXT, f"{name} / {of}"), "recall@1", value, 10, near(value, 0.1))
        for name, of, value in (
            ("own", "all queries", 0.3), ("duplicates", "all queries", wide),
            ("own", "judged queries", 0.3), ("people", "judged queries", wide),
            ("people strict", "judged queries", wide),
        )
    ]  # fmt: skip
    for group in ("duplicates / all queries", "people / judged queries"):
        rows.append(changed(About(KEY, TEXT, group), "recall@1", change))
    strict = About(KEY, TEXT, "people strict / judged queries")
    rows.append(changed(strict, "recall@1", change / 2))
    assert told("relevance", rows, tmp_path) == [
        f"relevance_duplicates_{key}", f"relevance_people_{key}"
    ]  # fmt: skip


@pytest.mark.parametrize(("tau", "key"), [(0.5, "judgments_agree"), (0.0, "judgments_none")])
def test_agreement_with_judgments_is_claimed_only_above_zero(tau, key, tmp_path):
    rows = [row(About(KEY, "", "expert, self pairs left out"), "tau_c", tau, 99, near(tau))]
    assert told("judgments", rows, tmp_path) == [key]


@pytest.mark.parametrize(
    ("theirs", "key"), [(0.502, "agrees"), (0.51, "below"), (0.49, "above"), (0.497, "agrees")]
)
def test_a_published_number_agrees_or_is_on_either_side_though_within_the_interval(
    theirs, key, tmp_path
):
    rows = [
        row(About(KEY, TEXT, "a paper"), "recall@5", 0.5, 10, near(0.5, 0.1)),
        row(About(KEY, TEXT, "a paper"), "published", theirs, 10),
        row(About(KEY, TEXT, "a paper"), "difference", 0.5 - theirs, 10),
        row(About(KEY, TEXT, "a paper"), "agrees", float(key == "agrees"), 10),
    ]
    assert told("published", rows, tmp_path) == [f"published_{key}"]


@pytest.mark.parametrize(
    ("p", "key"),
    [((0.3, 0.05), "alike"), ((0.3, 0.049), "partly"), ((0.01, 0.02), "differ"), (None, "one")],
)
def test_seeds_differ_both_ways_one_way_or_not_by_the_test_on_the_same_queries(p, key, tmp_path):
    rows = []
    for place, way in enumerate((TEXT, IMAGE)):
        about = About(KEY, way, "x, mean")
        # a spread that is wide, and decides nothing
        rows.append(row(about, "mean", 0.5, 10, near(0.5, 0.3) if p else None))
        rows += range_rows(about, (0.01, p[place]), 10) if p else []
    assert told("seeds", rows, tmp_path) == [f"seeds_{key}"]


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ((0.9, 0.6, 0.3), ["gallery_falls"]),
        # intervals overlap, and the same queries fare worse
        ((0.9, 0.88, 0.87), ["gallery_falls"]),
        ((0.9, 0.9, 0.9), ["gallery_holds"]),
        ((0.9,), ["gallery_small"]),
    ],
)
def test_recall_falls_with_the_gallery_or_not(values, keys, tmp_path):
    rows = []
    for place, value in enumerate(values, start=1):
        about = About(KEY, IMAGE, x=10**place)
        rows.append(row(about, "recall@1", value, 10, near(value, 0.1)))
        rows += [changed(about, "recall@1", value - values[0])] if place > 1 else []
    assert told("gallery", rows, tmp_path) == keys


@pytest.mark.parametrize(("last", "key"), [(0.63, "higher"), (0.57, "lower"), (0.61, "alike")])
@pytest.mark.parametrize(
    ("group", "name"), [("captions together", "together"), ("captions per image", "per_image")]
)
def test_the_number_of_captions_helps_hurts_or_does_nothing(group, name, last, key, tmp_path):
    rows = [
        row(About(KEY, TEXT, group, x), "recall@10", value, 10, near(value, 0.1))
        for x, value in ((1, 0.6), (2, 0.9), (5, last))
    ]
    rows += [
        changed(About(KEY, TEXT, group, x), "recall@10", y) for x, y in ((2, 0.3), (5, last - 0.6))
    ]
    assert told("captions", rows, tmp_path) == [f"captions_{name}_{key}"]


def test_nothing_is_told_of_a_single_image_that_has_more_captions(tmp_path):
    about = [About(KEY, TEXT, "captions together", x) for x in (1, 5, 6)]
    rows = [
        row(one, "recall@10", 0.6, n, near(0.6)) for one, n in zip(about, (9, 9, 1), strict=True)
    ]
    rows += [row(one, "recall@10_change", 0.3, 9, near(0.3)) for one in about[1:]]
    assert told("captions", rows, tmp_path) == ["captions_together_higher"]
    (found,) = findings_of("captions", read_study(tmp_path / "study.csv", "captions"))
    assert (found.numbers["most"], found.numbers["images"]) == ("5", "9")


@pytest.mark.parametrize(("p", "key"), [(0.049, "apart"), (0.05, "alike")])
def test_length_is_judged_by_its_range_and_told_by_the_best_part_and_the_worst(p, key, tmp_path):
    rows = [
        row(About(KEY, TEXT, "length", x), "recall@10", value, 10, near(value))
        for x, value in ((8, 0.4), (10, 0.9), (12, 0.1), (20, 0.4))
    ]
    rows += range_rows(About(KEY, TEXT, "length"), (0.8, p), 40)
    assert told("captions", rows, tmp_path) == [f"captions_length_{key}"]
    (found,) = findings_of("captions", read_study(tmp_path / "study.csv", "captions"))
    assert (found.numbers["best"], found.numbers["worst"]) == ("10", "12")


@pytest.mark.parametrize(("p", "key"), [(0.01, "apart"), (0.3, "alike")])
def test_categories_are_told_apart_by_the_test_and_not_by_their_intervals(p, key, tmp_path):
    # the best and the worst of many are always apart
    rows = [
        row(About(KEY, TEXT, group), "recall@10", value, 10, near(value))
        for group, value in (("lexicon: dogs", 0.8), ("lexicon: water", 0.6), ("cluster: a", 0.3))
    ]
    rows += range_rows(About(KEY, TEXT, "all categories"), (0.5, p), 30)
    assert told("categories", rows, tmp_path) == [f"categories_{key}"]
    (found,) = findings_of("categories", read_study(tmp_path / "study.csv", "categories"))
    assert (found.numbers["best"].name, found.numbers["worst"].name) == (
        "lexicon: dogs", "cluster: a"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "key"),
    [((0.1, 0.2), "hurts"), ((0.1, 0.0), "partly"), ((0.0, -0.1), "alike")],
)
def test_damage_hurts_both_directions_one_or_none(losses, key, tmp_path):
    rows = [
        row(About(KEY, way, "drop, loss", x), "mean", loss * x, 10, near(loss * x))
        for way, loss in zip((TEXT, IMAGE), losses, strict=True)
        for x in (0.1, 1.0)
    ]
    assert told("robustness", rows, tmp_path) == [f"robustness_{key}"]


@pytest.mark.parametrize(("lead", "key"), [(0.3, "higher"), (-0.3, "lower"), (0.01, "alike")])
def test_right_pairs_stand_out_or_not(lead, key, tmp_path):
    values = {"gap": 0.8, "cosine_right": 0.4, "cosine_wrong": 0.4 - lead, "cosine_lead": lead}
    rows = [row(About(KEY, ""), name, value, 9, near(value)) for name, value in values.items()]
    assert told("geometry", rows, tmp_path) == [f"geometry_{key}"]


def test_hubs_of_the_first_run_are_told_and_what_changes_them_is_left_to_the_links(tmp_path):
    rows = [
        one
        for scorer, value in (("cosine", 1.5), ("nnn", 0.5))
        for way in (TEXT, IMAGE)
        for about in [About((KEY[0], "plain", scorer), way, x=10)]
        for one in (
            row(about, "skewness", value, 9, near(value)),
            changed(about, "skewness", value - 1.5),
        )
    ]
    assert told("geometry", rows, tmp_path) == ["hubs"]
    (found,) = findings_of("geometry", read_study(tmp_path / "study.csv", "geometry"))
    assert found.numbers[TEXT].startswith("1.500")


@pytest.mark.parametrize(
    ("counts", "key"),
    [
        ({"tie": 1, "identical_caption": 0, "accepted": 3, "other": 6}, "some"),
        ({"tie": 1, "identical_caption": 2, "other": 7}, "unjudged"),
        ({"tie": 0, "identical_caption": 0, "accepted": 0, "other": 10}, "none"),
    ],
)
def test_failures_that_are_no_mistake_are_counted_or_said_not_to_be(counts, key, tmp_path):
    rows = [
        row(About(KEY, TEXT, kind), "share", count / 10, count, near(count / 10))
        for kind, count in counts.items()
    ]
    assert told("errors", rows, tmp_path) == [f"errors_excused_{key}"]


@pytest.mark.parametrize(
    ("excess", "other", "key"),
    [
        (0.15, -0.3, "beyond"),
        (0.15, 0.149, "beyond_close"),
        (0.01, -0.3, "as_right"),
        (0.01, 0.009, "as_right"),
        (-0.2, -0.3, "as_right"),
    ],
)
def test_a_kind_of_failure_is_a_cause_only_beyond_what_right_pairs_show(
    excess, other, key, tmp_path
):
    rows = []
    for kind, share, own in (("action", 0.4, other), ("colour", 0.3, excess), ("far", 0.3, None)):
        about = About(KEY, TEXT, kind)
        rows.append(row(about, "share", share, 30, near(share)))
        if own is not None:
            rows.append(row(about, "base", share - own, 90))
            rows.append(row(about, "excess", own, 90, near(own)))
    assert told("errors", rows, tmp_path) == [f"errors_{key}"]
    (found,) = findings_of("errors", read_study(tmp_path / "study.csv", "errors"))
    # the largest excess, and not the largest share
    assert found.numbers["kind"].name == "colour"
    # those with as much, as far as can be told
    assert [one.name for one in found.numbers.get("others", [])] == ["action"] * (key[-1] == "e")
    for language in LANGUAGES:
        said = speaker(language).say(found)
        assert "[Label" not in said and ("14.9 [" in said) == (key == "beyond_close")
    # what no kind explains is told where words explain the others
    rows.append(row(About(KEY, TEXT, "other"), "share", 0.2, 20, near(0.2)))
    assert told("errors", rows, tmp_path) == [f"errors_{key}", "unexplained_errors"]
    assert told("errors", [one for one in rows if one["measure"] == "share"], tmp_path) == []


@pytest.mark.parametrize(
    ("own", "recall", "large", "keys"),
    [
        (1.0, 0.5, None, ["indexes_all"]),
        (0.97, 0.49, 0.98, ["indexes_alike", "indexes_simulated_holds"]),
        (0.8, 0.47, 0.6, ["indexes_lower", "indexes_simulated_falls"]),
    ],
)
def test_indexes_find_all_or_less_and_large_galleries_cost_more_or_not(
    own, recall, large, keys, tmp_path
):
    rows = [
        row(About(KEY, TEXT, "exact", 100), "recall@10", 0.5, 50, near(0.5)),
        row(About(KEY, TEXT, "flat", 100), "recall@10", 0.5, 50, near(0.5)),
        row(About(KEY, TEXT, "codes", 100), "recall@10", recall, 50, near(recall)),
        row(About(KEY, TEXT, "flat", 100), "found@10", 1.0, 50, (1, 1)),
        row(About(KEY, TEXT, "codes", 100), "found@10", own, 50, near(own)),
        changed(About(KEY, TEXT, "codes", 100), "recall@10", recall - 0.5),
    ]
    if large is not None:
        rows += [
            row(About(KEY, TEXT, "flat", 5000), "found@10", 1.0, 50, (1, 1)),
            row(About(KEY, TEXT, "codes", 5000), "found@10", large, 50, near(large)),
        ]
    assert told("indexes", rows, tmp_path) == keys


def confident(gain: float) -> list:
    """Risks of the surest half and of all, and the area gained, the same both ways."""
    rows = []
    for way in (TEXT, IMAGE):
        for x, risk in ((0.5, 0.4 - gain), (1.0, 0.4)):
            rows.append(row(About(KEY, way, "margin", x), "risk", risk, 50, near(risk)))
        rows.append(row(About(KEY, way, "margin"), "area_gain", gain, 50, near(gain)))
    return rows


@pytest.mark.parametrize(("gain", "key"), [(0.1, "warns"), (0.01, "silent"), (-0.1, "misleads")])
def test_a_small_margin_warns_is_silent_or_misleads(gain, key, tmp_path):
    assert told("confidence", confident(gain), tmp_path) == [f"confidence_{key}"] * 2
    all_wrong = [one | {"value": 1.0} for one in confident(gain)]
    assert told("confidence", all_wrong, tmp_path) == []


@pytest.mark.parametrize(
    ("change", "width", "key"),
    [
        (-0.03, 0.02, "falls"),
        (0.03, 0.02, "rises"),
        (0.01, 0.02, "alike"),
        # printed alike is alike, however sure
        (-0.0001, 0.00005, "alike"),
        (None, None, "few"),
    ],
)
@pytest.mark.parametrize(
    ("group", "name"),
    [("without near-duplicates", "images"), ("without shared captions", "captions")],
)
def test_recall_falls_rises_or_stays_without_what_splits_share_or_is_not_judged(
    change, width, key, group, name, tmp_path
):
    without = 0.5 + (0.2 if change is None else change)
    about = About(KEY, TEXT, group)
    rows = [
        row(About(KEY, IMAGE, "all queries"), "near_duplicates", 4, 50),
        row(About(KEY, TEXT, "all queries"), "shared_captions", 3, 50),
        row(About(KEY, TEXT, "all queries"), "recall@1", 0.5, 50, near(0.5, 0.2)),
        row(about, "recall@1", without, 46, near(without, 0.2)),
    ]
    if change is None:
        rows.append(row(about, "recall@1_change", 0.2, 46))
    else:
        rows.append(row(about, "recall@1_change", change, 46, near(change, width)))
    assert told("leakage", rows, tmp_path) == ["leakage_some", f"leakage_{name}_{key}"]


def test_where_only_captions_are_shared_no_count_of_images_is_told(tmp_path):
    rows = [
        row(About(KEY, IMAGE, "all queries"), "near_duplicates", 0, 50),
        row(About(KEY, TEXT, "all queries"), "shared_captions", 3, 50),
    ]
    assert told("leakage", rows, tmp_path) == ["leakage_captions_only"]


def test_where_splits_share_nothing_that_is_all_there_is_to_say(tmp_path):
    rows = [
        row(About(KEY, IMAGE, "all queries"), "near_duplicates", 0, 50),
        row(About(KEY, TEXT, "all queries"), "shared_captions", 0, 50),
        row(About(KEY, TEXT, "all queries"), "recall@1", 0.5, 50, near(0.5)),
    ]
    assert told("leakage", rows, tmp_path) == ["leakage_none"]


@pytest.mark.parametrize(
    ("change", "p", "key"),
    [
        (0.0, 1.0, "alike"),
        (0.03, 0.05, "unsure"),
        (-0.03, 0.06, "unsure"),
        (0.03, 0.049, "differs"),
        (-0.03, 0.001, "differs"),
    ],
)
def test_a_precision_is_judged_by_its_differences_from_zero(change, p, key, tmp_path):
    rows = [row(About(KEY, way, "float32"), "least_cosine", 1.0, 10) for way in (TEXT, IMAGE)]
    for way, own in ((TEXT, 0.0), (IMAGE, change)):
        rows.append(row(About(KEY, way, "bfloat16"), "mean", own, 10, near(own)))
        rows.append(row(About(KEY, way, "bfloat16"), "p_holm:mean", 1.0 if way == TEXT else p, 10))
        # neither has a p-value, and so no part in it
        rows.append(row(About(KEY, way, "bfloat16"), "median_rank", 5, 10, (4, 6)))
        rows.append(row(About(KEY, way, "bfloat16"), "least_cosine", 0.9987654, 10))
    assert told("precision", rows, tmp_path) == [f"precision_{key}"]
    (finding,) = findings_of("precision", read_study(tmp_path / "study.csv", "precision"))
    assert finding.numbers["total"] == 2 and finding.numbers["clear"] == int(key == "differs")
    if change:
        assert finding.numbers["direction"] == IMAGE
        assert finding.numbers["change"].startswith("+3.0 [" if change > 0 else "−3.0 [")


def test_only_the_first_model_is_spoken_of(tmp_path):
    rows = [
        row(About((model, "plain", "cosine"), "", "expert"), "tau_c", tau, 9, near(tau))
        for model, tau in (("a", 0.5), ("b", 0.0))
    ]
    assert told("judgments", rows, tmp_path) == ["judgments_agree"]


def second_look(gain: float, possible: float) -> list:
    """A gain of Recall@1, of what there is to gain, the same both ways."""
    rows = []
    for way in (TEXT, IMAGE):
        about = About(KEY, way, "cosine+blip", 128)
        rows.append(row(about, "recall@1", 0.4 + gain, 100, near(0.4 + gain)))
        rows.append(row(about, "bound", 0.4 + possible, 100, near(0.4 + possible)))
        rows.append(row(about, "gain@1", gain, 100, near(gain)))
        if possible:
            rows.append(row(about, "gain_found", gain / possible, 100, near(gain / possible)))
        rows += [row(about, "pairs", 128, 100), row(about, "seconds", 0.02, 100)]
    return rows


@pytest.mark.parametrize(
    ("gain", "possible", "key"),
    [(0.1, 0.3, "gains"), (-0.1, 0.3, "loses"), (0.01, 0.3, "alike"), (0.0, 0.0, "none")],
)
def test_a_second_look_gains_loses_changes_nothing_or_has_nothing_to_gain(
    gain, possible, key, tmp_path
):
    assert told("reranking", second_look(gain, possible), tmp_path) == [f"reranking_{key}"] * 2
