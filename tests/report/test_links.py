"""What ties studies together: opposite tables, opposite sentences, or none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fake_run import LANGUAGES
from test_findings import REFERENCE, pair
from test_study_findings import speaker

from scripts.data.rows import SPLITS
from scripts.evaluate.pairs import WAYS
from scripts.protocol import DIRECTIONS
from scripts.report import links
from scripts.studies.table import COLUMNS, FIT, SHIFT, About, range_rows, row
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
        (ways(-1, 0), ways(1, 1), ["prompt_hubs_both"]),
        (ways(-1, -1), ways(1, 1), ["prompt_hubs_both"]),
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


def shifted(name: str, lost: float, won: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A prompt that loses so much from text to image: its rows of both tables."""
    pairs, _ = compared(name, "prompt", ways(-1, 0), ways(0, 0))
    text = pairs.direction == TEXT
    pairs.loc[text, ["mean", "mean_low", "mean_high"]] = [-lost, -lost - 0.01, 0.01 - lost]
    key = tuple(pairs.iloc[0][["model", "prompt", "scorer"]])
    values = {"shift": 0.263, "shift_alike": 0.7, "mean": 0.3, "mean_unshifted": 0.3 + won}
    rows = [
        row(About(key, TEXT if "mean" in measure else "", SHIFT), measure, value, 9,
            (value - 0.01, value + 0.01))
        for measure, value in (values | {"mean_unshifted_change": won}).items()
    ]  # fmt: skip
    return pairs, pd.DataFrame(rows, columns=COLUMNS)


def told_of_shifts(*runs: tuple[pd.DataFrame, pd.DataFrame]) -> list:
    pairs, geometry = (pd.concat(parts) for parts in zip(*runs, strict=True))
    return links.shifts(pairs, geometry, REFERENCE)


@pytest.mark.parametrize(
    ("lost", "won", "key"),
    [
        (0.03, 0.04, "most"),
        (0.05, 0.036, "most"),
        # half of it or more, and not surely
        (0.045, 0.024, "part"),
        (0.05, 0.034, "part"),
        (0.05, 0.02, "part"),
        # the interval of what is won holds zero, or lies below it
        (0.05, 0.01, "none"),
        (0.015, 0.009, "none"),
        (0.05, 0.0, "none"),
        (0.05, -0.03, "none"),
    ],
)
def test_what_taking_the_shift_off_wins_back_decides_what_it_is_called(lost, won, key):
    how, one = told_of_shifts(shifted("photo", lost, won))
    assert keys_of([how, one]) == ["shift_how", f"shift_{key}"]
    assert {how.table, one.table} == {"shifts"} and how.numbers == {}
    if lost == 0.045:
        assert one.numbers == {
            "name": "photo",
            "shift": "0.263 [0.253, 0.273]",
            "alike": "0.700 [0.690, 0.710]",
            "lost": "−4.5 [−5.5, −3.5]",
            "won": "2.4 [1.4, 3.4]",
        }


def test_how_a_shift_costs_is_told_once_and_only_of_prompts_that_lost():
    runs = [shifted("photo", 0.05, 0.04), shifted("showing", 0.06, 0.02)]
    better = shifted("picture", 0.05, 0.04)
    better[0]["verdict"] = "better"
    template = shifted("depicts", 0.05, 0.04)[1]
    found = told_of_shifts(*runs, better, (better[0][:0], template))
    assert keys_of(found) == ["shift_how", "shift_most", "shift_part"]
    assert [one.numbers["name"] for one in found[1:]] == ["photo", "showing"]
    assert told_of_shifts(better) == []
    # what is lost by another scorer, or another model, is not told by this one's shift
    for name in ("model", "scorer"):
        assert told_of_shifts(tuple(one.assign(**{name: "other"}) for one in runs[0])) == []


@pytest.mark.parametrize(
    ("recalls", "key"),
    [
        ((0.34, 0.33, 0.32, 0.30), "dose"),
        ((0.34, 0.30, 0.33, 0.29), "mixed"),
        ((0.30, 0.32, 0.33, 0.34), "mixed"),
        # out of order by what may be chance, or alike
        ((0.34, 0.32, 0.33, 0.30), None),
        ((0.34, 0.33, 0.33, 0.30), None),
        # three lie in an order by chance often enough
        ((0.34, 0.33, 0.32), None),
    ],
)
def test_longer_shifts_are_said_to_cost_more_only_where_all_do(recalls, key):
    runs = []
    for length, (name, recall) in enumerate(zip("abcd", recalls, strict=False), start=1):
        pairs, geometry = shifted(name, 0.05, 0.02)
        for measure, value in (("shift", length / 10), ("mean", recall)):
            own = geometry.measure == measure
            geometry.loc[own, ["value", "low", "high"]] = value, value - 0.01, value + 0.01
        # shuffled: what decides is the length
        runs.insert(length % 2, (pairs, geometry))
    *_, last = told_of_shifts(*runs)
    if key is None:
        assert last.key == "shift_part"
        return
    assert last.key == f"shift_{key}" and last.table == "shifts"
    first = [f"a 0.100 ({100 * recalls[0]:.1f}%)", f"b 0.200 ({100 * recalls[1]:.1f}%)"]
    assert last.numbers["moves"][:2] == first


def test_a_prompt_that_moves_no_caption_has_no_shift_to_tell_of():
    pairs, geometry = shifted("same", 0.05, 0.04)
    assert told_of_shifts((pairs, geometry[geometry.measure != "shift_alike"])) == []


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


def fitted(*values: float) -> pd.DataFrame:
    """Mean recall on train, val and test, each known to within two points."""
    return pd.DataFrame(
        row(About(REFERENCE, way, f"{split}, {FIT}", 1000), measure, value, 9,
            (value - 0.02, value + 0.02))
        for split, value in zip(SPLITS, values, strict=True)
        for way, measure in ((TEXT, "mean"), (TEXT, "recall@1"), (IMAGE, "mean"))
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "key", "known"),
    [
        ((0.87, 0.36, 0.36), "train", "trained"),
        ((0.87, 0.38, 0.36), "train", "trained"),
        ((0.87, 0.86, 0.36), "both", ""),
        ((0.87, 0.45, 0.36), "both", ""),
        ((0.36, 0.36, 0.36), "alike", ""),
        ((0.30, 0.34, 0.36), "alike", ""),
        # val alone is found better, or worse, or it is between the others
        ((0.36, 0.87, 0.36), "", ""),
        ((0.87, 0.30, 0.36), "", ""),
        ((0.40, 0.38, 0.36), "", ""),
    ],
)
def test_what_a_model_was_trained_on_is_told_by_how_it_finds_each_split(values, key, known):
    table = fitted(*values)
    for trained, wanted in ((False, key), (True, known)):
        found = links.fit(table, "m", trained)
        assert keys_of(found) == ([f"fit_{wanted}"] if wanted else [])
        for one in found:
            recalls = [f"{100 * value:.1f}%" for value in values]
            assert [one.numbers[split].split()[0] for split in SPLITS] == recalls
            assert (one.numbers["images"], one.table) == ("1,000", "fit")
    assert links.fit(table, "another", False) == []
    assert links.fit(table[table.group != f"val, {FIT}"], "m", False) == []


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
    assert links.shifts(pairs, none, REFERENCE) == links.words(none, "m") == []
    assert links.fit(none, "m", trained=False) == []
    assert links.alone(none, "m", EASIER) is None
