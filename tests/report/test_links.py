"""What ties studies together: opposite tables, opposite sentences, or none."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from fake_run import LANGUAGES
from scipy.stats import spearmanr
from test_findings import REFERENCE, pair
from test_study_findings import speaker

from scripts.evaluate.pairs import WAYS
from scripts.protocol import DIRECTIONS
from scripts.report import links
from scripts.studies.table import COLUMNS, About, range_rows, row
from scripts.words import formats

TEXT, IMAGE = DIRECTIONS
VERDICTS = {-1: "worse", 0: "alike", 1: "better"}
SMALL = 0.03


def compared(name: str, kind: str, recall: dict[str, int], hubs: dict[str, int]) -> tuple:
    """A run that differs from the reference: its rows of pairs.csv, and of geometry.csv.

    Parameters
    ----------
    recall, hubs : direction -> below, at or above zero: clearly down, neither, clearly up
    """
    ups = [0.1 * sum(recall.values()) / 2, *(0.1 * recall[way] for way in DIRECTIONS)]
    pairs = pair(0.0, 0.01, kind, name)
    pairs["mean"] = ups
    pairs["mean_low"], pairs["mean_high"] = pairs["mean"] - SMALL, pairs["mean"] + SMALL
    pairs["verdict"] = ["alike", *(VERDICTS[np.sign(recall[way])] for way in DIRECTIONS)]
    key = tuple(pairs.iloc[0][["model", "prompt", "scorer"]])
    changes = [
        row(About(key, way, x=10), "skewness_change", 0.5 * hubs[way], 9,
            (0.5 * hubs[way] - 0.2, 0.5 * hubs[way] + 0.2))
        for way in DIRECTIONS
    ]  # fmt: skip
    return pairs, pd.DataFrame(changes, columns=COLUMNS)


def moved(*runs: tuple) -> pd.DataFrame:
    pairs, geometry = (pd.concat(parts) for parts in zip(*runs, strict=True))
    return links.moves(pairs, geometry)


def keys_of(found: list) -> list[str]:
    for language in LANGUAGES:
        assert not any("{" in str(speaker(language).say(one)) for one in found)
    return [one.key for one in found]


def ways(text: int, image: int) -> dict[str, int]:
    return {TEXT: text, IMAGE: image}


@pytest.mark.parametrize(
    ("recall", "hubs", "keys"),
    [
        (ways(-1, 0), ways(1, 0), ["prompt_hubs"]),
        (ways(-1, 1), ways(1, -1), ["prompt_hubs"]),
        (ways(-1, 0), ways(0, 0), ["prompt_no_hubs"]),
        (ways(-1, 0), ways(-1, 0), ["prompt_no_hubs"]),
        (ways(0, 0), ways(1, 0), ["prompt_hubs_harmless"]),
        # it is worse the other way, too: more, less, or as much
        (ways(-2, -1), ways(1, 0), ["prompt_hubs_more"]),
        (ways(-1, -2), ways(1, 0), []),
        (ways(-1, -1), ways(1, 0), []),
        (ways(-1, 0), ways(1, 1), []),
        (ways(0, 0), ways(0, 0), []),
        (ways(1, 0), ways(-1, 0), []),
    ],
)
def test_a_prompt_loses_by_hubs_only_where_they_grow_and_the_other_direction_stays(
    recall, hubs, keys
):
    found = links.prompts(moved(compared("photo", "prompt", recall, hubs)), REFERENCE)
    assert keys_of(found) == keys
    if keys == ["prompt_hubs"]:
        numbers = found[0].numbers
        assert numbers["text_to_image_recall"] == "−10.0 [−13.0, −7.0]"
        assert numbers["text_to_image_hubs"] == "+0.500 [+0.300, +0.700]"


@pytest.mark.parametrize(
    ("recall", "hubs", "key"),
    [(1, -1, "fall_gain"), (0, -1, "fall_nothing"), (-1, -1, "fall_nothing"), (-1, 1, "rise"),
     (1, 1, "rise"), (1, 0, None)],
)  # fmt: skip
def test_scorers_that_move_hubs_are_told_by_what_recall_does(recall, hubs, key):
    one = compared("nnn", "scorer", ways(recall, 0), ways(hubs, 0))
    found = links.scorers(moved(one), REFERENCE)
    assert keys_of(found) == ([f"link_{key}"] if key else [])
    assert all(finding.numbers["direction"] == TEXT for finding in found)


def test_scorers_of_one_kind_stand_in_one_sentence_and_those_of_other_models_in_none():
    runs = [compared(name, "scorer", ways(1, 1), ways(-1, 1)) for name in ("nnn", "centred")]
    other = [one.assign(model="other") for one in compared("x", "scorer", ways(1, 1), ways(1, 1))]
    gain, rise = links.scorers(moved(*runs, tuple(other)), REFERENCE)
    assert (gain.key, rise.key) == ("link_fall_gain", "link_rise")
    assert [name for name, *_ in gain.numbers["names"]] == ["nnn", "centred"]
    told = "nnn (skewness −0.500 [−0.700, −0.300], recall +10.0 [+7.0, +13.0] points)"
    assert told in speaker("en").say(gain)


def over_runs(hubs: list[float], recall: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"direction": TEXT, "hubs": hubs, "mean": recall})


@pytest.mark.parametrize(
    ("recall", "key"),
    [("654321", "against"), ("123456", "along"), ("351624", "unrelated")],
)
def test_recall_goes_against_hubs_with_them_or_neither(recall, key):
    found = links.together(over_runs([1, 2, 3, 4, 5, 6], [int(one) for one in recall]))
    assert keys_of(found) == [f"link_{key}"]


def test_of_few_runs_or_of_equal_ones_no_correlation_is_told():
    assert links.together(over_runs([1, 2, 3, 4], [4, 3, 2, 1])) == []
    assert links.together(over_runs([1] * 6, [1, 2, 3, 4, 5, 6])) == []


def test_a_rank_correlation_and_its_p_are_those_of_all_orders():
    hubs, recall = [1.0, 2.0, 2.0, 4.0, 5.0, 7.0], [0.3, 0.4, 0.1, 0.2, 0.0, -0.1]
    rho, p, runs = links.correlation(over_runs(hubs, recall), TEXT)
    assert runs == 6 and rho == pytest.approx(spearmanr(hubs, recall).statistic)
    every = [spearmanr(hubs, one).statistic for one in permutations(recall)]
    expected = np.mean(np.abs(every) >= abs(rho) - 1e-9)
    assert p == pytest.approx(expected)


def test_of_many_runs_the_p_of_a_correlation_is_near_that_of_all_orders():
    values = np.random.default_rng(1).permuted(np.tile(np.arange(9.0), (2, 1)), axis=1)
    rho, p, runs = links.correlation(over_runs(*map(list, values)), TEXT)
    assert runs == 9
    orders = np.array(list(permutations(values[0] - values[0].mean())))
    every = np.abs(orders @ (values[1] - values[1].mean())) / 60  # squares of nine ranks
    assert p == pytest.approx(np.mean(every >= abs(rho) - 1e-9), abs=0.02)


def captions(text: float, image: float, most: int = 5) -> pd.DataFrame:
    about = ((TEXT, "captions together", text), (IMAGE, "captions per image", image))
    rows = [
        row(About(REFERENCE, way, group, x), "recall@10", value, 9, (value - 0.02, value + 0.02))
        for way, group, value in about
        for x in (1, most)
    ]
    return pd.DataFrame(rows)


EASIER = {"verdict": "better"}


@pytest.mark.parametrize(
    ("text", "image", "key"),
    [(0.525, 0.521, "alike"), (0.5, 0.525, "alike"), (0.5, 0.55, "easier"), (0.55, 0.5, "harder")],
)
def test_one_caption_for_each_image_tells_whether_many_right_answers_are_all_there_is(
    text, image, key
):
    finding = links.alone(captions(text, image), "m", EASIER)
    assert keys_of([finding]) == [f"alone_{key}"]
    assert finding.numbers["most"] == "5"


def test_where_image_to_text_is_not_easier_or_has_one_caption_nothing_is_explained():
    assert links.alone(captions(0.5, 0.5), "m", {"verdict": "alike"}) is None
    assert links.alone(captions(0.5, 0.5, most=1), "m", EASIER) is None
    assert links.alone(captions(0.5, 0.5), "another", EASIER) is None


def agreeing(values: list[float], p: float) -> pd.DataFrame:
    """Recall@10 of captions that share more and more words with others of their image."""
    about = About(REFERENCE, TEXT, "agreement")
    parts = [About(REFERENCE, TEXT, "agreement", 30.5 + 20 * part) for part in range(len(values))]
    rows = [
        row(part, "recall@10", value, 9, (value - 0.02, value + 0.02))
        for part, value in zip(parts, values, strict=True)
    ]
    return pd.DataFrame([*rows, *range_rows(about, (max(values) - min(values), p), 9)])


@pytest.mark.parametrize(
    ("values", "p", "key"),
    [
        ([0.45, 0.5, 0.58], 0.01, "more"),
        ([0.58, 0.5, 0.45], 0.01, "apart"),
        ([0.45, 0.58, 0.5], 0.01, "apart"),
        ([0.45, 0.5, 0.58], 0.2, "alike"),
    ],
)
def test_what_captions_share_is_told_by_its_best_and_its_worst_part(values, p, key):
    (finding,) = links.agreement(agreeing(values, p), "m")
    assert finding.key == f"agreement_{key}" and finding.table == "study_captions"
    at = {name: values.index(of(values)) for name, of in (("best", max), ("worst", min))}
    assert {name: finding.numbers[name] for name in at} == {
        name: formats.quantity(30.5 + 20 * place) for name, place in at.items()
    }
    assert links.agreement(agreeing(values, p), "another") == []


def losses(shuffle: float, drop: float) -> pd.DataFrame:
    rows = [
        row(About(REFERENCE, TEXT, f"{kind}, loss", x), "mean", loss * x, 9,
            (loss * x - 0.007, loss * x + 0.007))
        for kind, loss in (("shuffle", shuffle), ("drop", drop))
        for x in (0.5, 1.0)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("shuffle", "drop", "keys"),
    [
        (0.015, 0.287, ["words_bag"]),
        (0.0, 0.1, ["words_bag"]),
        (0.2, 0.2, ["words_order"]),
        (0.3, 0.1, ["words_order"]),
        # it counts, and less than the words do
        (0.1, 0.287, []),
        (0.0, 0.0, []),
    ],
)
def test_a_text_is_a_bag_of_words_only_where_shuffling_costs_little_of_what_missing_words_do(
    shuffle, drop, keys
):
    table = losses(shuffle, drop)
    # at the greatest strength that both have
    more = table[table.group == "shuffle, loss"].tail(1).assign(x=2.0)
    found = links.words(pd.concat([table, more]), "m")
    assert keys_of(found) == keys
    if found:
        assert found[0].numbers["strength"] == "1"
        assert found[0].numbers["shuffle"].startswith(f"{100 * shuffle:.1f}")
    assert links.words(table[table.group != "drop, loss"], "m") == []


def test_without_the_studies_nothing_is_linked():
    none = pd.DataFrame(columns=list(COLUMNS))
    pairs, _ = compared("photo", "prompt", ways(-1, 0), ways(1, 0))
    assert pairs.direction.tolist() == list(WAYS)
    nothing = links.moves(pairs, none)
    assert len(nothing) == 0
    assert links.prompts(nothing, REFERENCE) == links.scorers(nothing, REFERENCE) == []
    assert links.together(nothing) == links.words(none, "m") == []
    assert links.alone(none, "m", EASIER) is None
