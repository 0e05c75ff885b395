"""Each study read as sentences: opposite tables give opposite ones, in both languages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fake_run import LANGUAGES
from fake_studies import MAKERS
from told import speaker

from scripts.report.study_findings import findings_of, index_costs
from scripts.studies.shown import read_study
from scripts.studies.table import About, row, write_rows

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


@pytest.mark.parametrize("study", MAKERS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_study_says_something_in_each_language(study, language, tmp_path):
    rows = list(MAKERS[study](KEY, 200, np.random.default_rng(1)))
    write_rows(tmp_path / "study.csv", rows)
    found = findings_of(study, read_study(tmp_path / "study.csv", study))
    assert found
    sentences = [str(speaker(language).say(one)) for one in found]
    assert not any("{" in sentence for sentence in sentences)


@pytest.mark.parametrize("study", [*MAKERS, "mine"])
def test_nothing_is_said_of_a_table_without_rows_or_of_a_study_that_is_not_ours(study, tmp_path):
    assert told(study, [], tmp_path) == []
    assert told("mine", list(MAKERS["leakage"](KEY, 200, None)), tmp_path) == []


@pytest.mark.parametrize(
    ("strict", "wide", "key"), [(0.3, 0.4, "clear"), (0.3, 0.31, "slight"), (0.3, 0.3, "none")]
)
def test_further_right_answers_add_clearly_slightly_or_nothing(strict, wide, key, tmp_path):
    rows = [
        row(About(KEY, TEXT, f"{name} / {of}"), "recall@1", value, 10, near(value))
        for name, of, value in (
            ("own", "all queries", strict), ("duplicates", "all queries", wide),
            ("own", "judged queries", strict), ("people", "judged queries", wide),
        )
    ]  # fmt: skip
    assert told("relevance", rows, tmp_path) == [
        f"relevance_duplicates_{key}", f"relevance_people_{key}"
    ]  # fmt: skip


@pytest.mark.parametrize(("tau", "key"), [(0.5, "judgments_agree"), (0.0, "judgments_none")])
def test_agreement_with_judgments_is_claimed_only_above_zero(tau, key, tmp_path):
    rows = [row(About(KEY, "", "expert, self pairs left out"), "tau_c", tau, 99, near(tau))]
    assert told("judgments", rows, tmp_path) == [key]


@pytest.mark.parametrize(("theirs", "key"), [(0.50, "within"), (0.60, "below"), (0.40, "above")])
def test_a_published_number_is_within_the_interval_or_on_either_side(theirs, key, tmp_path):
    rows = [
        row(About(KEY, TEXT, "a paper"), "recall@5", 0.5, 10, near(0.5)),
        row(About(KEY, TEXT, "a paper"), "published", theirs, 10),
        row(About(KEY, TEXT, "a paper"), "within", float(key == "within"), 10),
    ]
    assert told("published", rows, tmp_path) == [f"published_{key}"]


@pytest.mark.parametrize(("spread", "key"), [(0.001, "small"), (0.2, "large"), (None, "one")])
def test_the_spread_over_seeds_is_held_against_that_over_images(spread, key, tmp_path):
    rows = []
    for way in (TEXT, IMAGE):
        rows += [
            row(About(KEY, way, f"x, seed {n}", n), "mean", 0.5, 10, near(0.5)) for n in range(2)
        ]
        interval = None if spread is None else near(0.5, spread)
        rows.append(row(About(KEY, way, "x, mean"), "mean", 0.5, 10, interval))
    assert told("seeds", rows, tmp_path) == [f"seeds_{key}"]


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ((0.9, 0.6, 0.3), ["gallery_falls"]),
        ((0.9, 0.9, 0.9), ["gallery_holds"]),
        ((0.9,), ["gallery_small"]),
    ],
)
def test_recall_falls_with_the_gallery_or_not(values, keys, tmp_path):
    rows = [
        row(About(KEY, IMAGE, x=10**place), "recall@1", value, 10, near(value))
        for place, value in enumerate(values, start=1)
    ]
    assert told("gallery", rows, tmp_path) == keys


@pytest.mark.parametrize(
    ("first", "last", "key"), [(0.3, 0.6, "higher"), (0.6, 0.3, "lower"), (0.3, 0.31, "alike")]
)
@pytest.mark.parametrize(
    ("group", "name"),
    [("length", "length"), ("captions together", "together"), ("captions per image", "per_image")],
)
def test_length_and_number_of_captions_help_hurt_or_do_nothing(
    group, name, first, last, key, tmp_path
):
    rows = [
        row(About(KEY, TEXT, group, x), "recall@10", value, 10, near(value))
        for x, value in ((1, first), (5, last))
    ]
    assert told("captions", rows, tmp_path) == [f"captions_{name}_{key}"]


@pytest.mark.parametrize(("worst", "key"), [(0.3, "apart"), (0.79, "alike")])
def test_categories_are_told_apart_only_where_their_intervals_are(worst, key, tmp_path):
    rows = [
        row(About(KEY, TEXT, group), "recall@10", value, 10, near(value))
        for group, value in (("lexicon: dogs", 0.8), ("lexicon: cats", worst))
    ]
    assert told("categories", rows, tmp_path) == [f"categories_{key}"]


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


@pytest.mark.parametrize(
    ("right", "wrong", "key"),
    [(0.4, 0.1, "higher"), (0.1, 0.4, "lower"), (0.4, 0.4, "alike")],
)
@pytest.mark.parametrize(
    ("skewness", "hubs"), [(0.5, "lower"), (3.0, "higher"), (1.5, "alike"), (None, "only")]
)
def test_pairs_stand_out_or_not_and_scorers_reduce_hubs_or_not(
    right, wrong, key, skewness, hubs, tmp_path
):
    rows = [row(About(KEY, ""), "gap", 0.8, 9, near(0.8))]
    rows += [
        row(About(KEY, ""), f"cosine_{name}", value, 9, near(value))
        for name, value in (("right", right), ("wrong", wrong))
    ]
    rows.append(row(About(KEY, TEXT, x=10), "skewness", 1.5, 9, near(1.5)))
    if skewness is not None:
        rows.append(
            row(About(("m", "plain", "nnn"), TEXT, x=10), "skewness", skewness, 9, near(skewness))
        )
        # another prompt is no correction of hubs
        rows.append(row(About(("m", "photo", "cosine"), TEXT, x=10), "skewness", 0, 9, near(0)))
    assert told("geometry", rows, tmp_path) == [f"geometry_{key}", f"hubs_{hubs}"]


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
    assert told("errors", rows, tmp_path) == ["errors_most", f"errors_excused_{key}"]


@pytest.mark.parametrize(
    ("own", "recall", "large", "keys"),
    [
        (1.0, 0.5, None, ["indexes_all"]),
        (0.97, 0.49, 0.98, ["indexes_alike", "indexes_simulated_holds"]),
        (0.8, 0.3, 0.6, ["indexes_lower", "indexes_simulated_falls"]),
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
    ]
    if large is not None:
        rows += [
            row(About(KEY, TEXT, "flat", 5000), "found@10", 1.0, 50, (1, 1)),
            row(About(KEY, TEXT, "codes", 5000), "found@10", large, 50, near(large)),
        ]
    assert told("indexes", rows, tmp_path) == keys


@pytest.mark.parametrize(("latency", "key"), [(0.5, "pays"), (2.0, "none")])
def test_an_index_pays_where_it_is_faster_than_the_exact_ranking(latency, key):
    columns = ["direction", "index", "kind", "items", "simulated", "latency_ms", "memory_mb"]
    costs = pd.DataFrame(
        [
            (TEXT, "exact", "exact", 100, 0, 0.1, 1.0),
            (TEXT, "graph", "hnsw", 100, 0, 0.01, 1.5),
            (TEXT, "exact", "exact", 5000, 4900, 1.0, 10.0),
            (TEXT, "all", "flat", 5000, 4900, 0.1, 10.0),
            (TEXT, "graph", "hnsw", 5000, 4900, latency, 15.0),
            (TEXT, "codes", "ivf_pq", 5000, 4900, 3.0, 1.25),
        ],
        columns=columns,
    )
    (found,) = index_costs(costs)
    assert found.key == f"index_costs_{key}"
    assert (found.numbers["items"], found.numbers["simulated"]) == ("5,000", "4,900")
    assert found.numbers["name"].name == "graph" and found.numbers["small"].name == "codes"
    for language in LANGUAGES:
        assert "graph" in str(speaker(language).say(found))
    assert found.numbers["latency"] == f"{latency:.3f}" and found.numbers["memory"] == "1.2"


@pytest.mark.parametrize(
    ("near_duplicates", "without", "keys"),
    [
        (0, 0.5, ["leakage_none"]),
        (4, 0.49, ["leakage_some", "leakage_images_harmless"]),
        (4, 0.3, ["leakage_some", "leakage_images_inflates"]),
    ],
)
def test_leakage_inflates_does_not_or_is_not_there(near_duplicates, without, keys, tmp_path):
    rows = [
        row(About(KEY, IMAGE, "all queries"), "near_duplicates", near_duplicates, 50),
        row(About(KEY, TEXT, "all queries"), "shared_captions", 0, 50),
        row(About(KEY, TEXT, "all queries"), "recall@1", 0.5, 50, near(0.5)),
        row(About(KEY, TEXT, "without near-duplicates"), "recall@1", without, 46, near(without)),
        # nothing is left out, so nothing can be said
        row(About(KEY, TEXT, "without shared captions"), "recall@1", 0.5, 50, near(0.5)),
    ]
    assert told("leakage", rows, tmp_path) == keys


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
