"""What to take from a run: opposite runs, opposite advice."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from fake_run import LANGUAGES, SCORERS
from test_findings import REFERENCE, pair
from test_study_findings import speaker

from scripts.report import conclusion
from scripts.report.index_findings import index_costs, repaid_after
from scripts.report.optimisations import Gain
from scripts.studies.table import COLUMNS, About, row

TEXT = "text_to_image"


def costs(
    graph: tuple[float, float], codes: tuple[float, float], flat: float = 2.5
) -> pd.DataFrame:
    """index_costs.csv where an index takes so many ms and finds so much of many items."""
    columns = ["direction", "index", "kind", "items", "simulated", "found@10", "latency_ms",
               "memory_mb", "build_s"]  # fmt: skip
    few, many = (100, 0), (5000, 4900)
    return pd.DataFrame(
        [
            (TEXT, "exact", "exact", *few, 1.0, 0.1, 1.0, 0.0),
            (TEXT, "graph", "hnsw", *few, 1.0, 0.2, 1.5, 0.1),
            (TEXT, "exact", "exact", *many, 1.0, 1.0, 10.0, 0.0),
            (TEXT, "all", "flat", *many, 1.0, flat, 10.0, 0.0),
            (TEXT, "graph", "hnsw", *many, graph[1], graph[0], 15.0, 4.2),
            (TEXT, "codes", "ivf_pq", *many, codes[1], codes[0], 1.25, 2.0),
        ],
        columns=columns,
    )


@pytest.mark.parametrize(
    ("graph", "codes", "told"),
    [
        # enough found in little time, and less in less
        ((0.5, 0.968), (0.4, 0.725), [("pays", "graph"), ("misses", "codes")]),
        ((0.3, 0.968), (0.4, 0.725), [("pays", "graph")]),
        ((0.5, 0.95), (0.4, 0.96), [("pays", "codes")]),
        ((2.0, 0.968), (0.4, 0.725), [("none", "graph"), ("misses", "codes")]),
        ((2.0, 0.968), (3.0, 0.725), [("none", "graph")]),
        ((0.5, 0.9), (0.4, 0.725), [("misses", "codes")]),
        ((2.0, 0.9), (3.0, 0.725), [("slow", "graph")]),
    ],
)
def test_the_best_compromise_is_named_and_what_the_fastest_misses(graph, codes, told):
    found = index_costs(costs(graph, codes))
    assert [(one.key, one.numbers["name"].name) for one in found] == [
        (f"index_costs_{key}", name) for key, name in told
    ]
    for language in LANGUAGES:
        for one in found:
            assert one.numbers["name"].name in str(speaker(language).say(one))
    assert all(one.numbers["items"] == "5,000" for one in found)


@pytest.mark.parametrize(
    ("graph", "keys"),
    [((0.5, 0.968), ["index"]), ((2.0, 0.968), ["no_index"]), ((0.5, 0.9), ["no_index"])],
)
def test_an_index_pays_from_the_size_on_where_it_is_faster_and_finds_enough(graph, keys):
    found = conclusion.index_pays(costs(graph, (0.4, 0.7)))
    assert [one.key for one in found] == [f"conclusion_{key}" for key in keys]
    assert found[0].numbers["items"] == "5,000"
    assert conclusion.index_pays(costs(graph, (0.4, 0.7))[:1]) == []


@pytest.mark.parametrize(
    ("build_s", "latency_ms", "told"),
    [
        (4.2, 0.339, "5,500"),
        (0.0, 0.5, "0"),
        (4.2, 1.099, "–"),
        (4.2, 2.0, "–"),
        (0.01, 1.0, "100"),
    ],
)
def test_an_index_is_repaid_after_as_many_queries_as_save_the_time_of_its_building(
    build_s, latency_ms, told
):
    row = {"build_s": build_s, "latency_ms": latency_ms}
    assert repaid_after(row, {"latency_ms": 1.099}) == told


def test_no_index_pays_beside_one_that_compares_every_item_sooner():
    table = costs((0.5, 0.968), (0.4, 0.725), flat=0.1)
    assert [one.key for one in conclusion.index_pays(table)] == ["conclusion_no_index"]
    found = index_costs(table)
    assert [one.key for one in found] == ["index_costs_none", "index_costs_slow"]
    assert {one.numbers["exact"] for one in found} == {"0.100"}


def recalls(keys: list[tuple[str, ...]], near: float = 0.36) -> pd.DataFrame:
    """metrics.csv of runs of which each has more at once than those before."""
    return pd.DataFrame(
        [
            (*key, way, first := 0.1 + 0.1 * place + also, first + near)
            for place, key in enumerate(keys)
            for way, also in ((TEXT, 0), ("image_to_text", 0.05))
        ],
        columns=["model", "prompt", "scorer", "direction", "recall@1", "recall@10"],
    )


def material(pairs: pd.DataFrame, looks: list | None = None, runs: int = 2) -> SimpleNamespace:
    table = pd.DataFrame(looks or [], columns=list(COLUMNS))
    names = pairs[["model", "prompt", "scorer"]].itertuples(index=False, name=None)
    return SimpleNamespace(
        metrics=recalls([*dict.fromkeys([REFERENCE.key, *names])]),
        pairs=pairs,
        runs=[REFERENCE] * runs,
        rows=SimpleNamespace(images=["a"] * 1000),
        steps=pd.DataFrame(
            {"rule": ["encode_images", "encode_texts", "similarity"], "seconds": [12.5, 4.5, 0.4]}
        ),
        templates={"plain": ["{}"], "photo": ["a {}"], "ensemble": ["{}", "a {}"]},
        scorers={"cosine": {"kind": "cosine"}},
        index_costs=None,
        table_of=lambda study: table,
    )


def keys_of(found: list) -> list[str]:
    for language in LANGUAGES:
        assert not any("{" in str(speaker(language).say(one)) for one in found)
    return [one.key.removeprefix("conclusion_") for one in found]


@pytest.mark.parametrize(
    ("kind", "name", "cost"),
    [
        ("prompt", "photo", "same"),
        ("prompt", "ensemble", "templates"),
        ("scorer", "nnn", "same"),
        ("scorer", "fusion", "fusion"),
        ("scorer", "cosine+blip+first", "look"),
        ("model", "large", "model"),
    ],
)
def test_the_setting_to_use_is_the_clearest_gain_with_what_it_costs(kind, name, cost):
    about = About(("m", "plain", "cosine"), TEXT, "cosine+blip+first", 128)
    looks = [row(about, "pairs", 128, 9), row(about, "seconds", 0.25, 9)]
    run = material(pair(0.05, 0.01, kind, name), looks)
    run.scorers |= SCORERS
    one_model = kind != "model"
    if not one_model:
        run.runs = [REFERENCE, SimpleNamespace(model=name, key=(name, "plain", "cosine"))]
    found = conclusion.findings_of(run, ())
    assert keys_of(found) == [
        "use_gain",
        "cost",
        f"cost_{cost}",
        "limits",
        *["limits_model"] * one_model,
    ]
    assert found[0].numbers[kind] == name
    assert found[0].numbers["difference"] == "5.0 [3.0, 7.0]"


@pytest.mark.parametrize(
    ("other", "verdict", "told"),
    [(0.04, "alike", ["m · plain · nnn"]), (0.04, "worse", []), (0.0, "alike", [])],
)
def test_what_does_as_well_and_is_better_too_is_named_beside_the_setting(other, verdict, told):
    best, second = (
        pair(gain, 0.01, "scorer", name) for gain, name in ((0.05, "b"), (other, "nnn"))
    )
    between = pair(0.0, 0.01, "scorer", "nnn").assign(
        family="other", other_scorer="b", verdict=verdict
    )
    run = material(pd.concat([best, second, between]))
    run.runs = [replace(REFERENCE, scorer=name) for name in ("cosine", "b", "nnn")]
    run.scorers |= {"b": {"kind": "nnn"}}
    found = conclusion.findings_of(run, ())
    named = [one.numbers["others"] for one in found if one.key == "conclusion_use_alike"]
    assert named == ([told] if told else [])
    assert "rerank" in keys_of(found)
    # of the setting that is to be used, which stands second
    numbers = next(one.numbers for one in found if one.key == "conclusion_rerank")
    assert [*numbers.values()] == ["20.0%", "56.0%", "25.0%", "61.0%"]


@pytest.mark.parametrize(
    ("own", "other", "told"),
    [
        (0.02, 0.01, {"own": "+2.0", "name": ["b"], "other": "+1.0", "verdict": "agrees"}),
        (-0.01, 0.02, {"own": "−1.0", "name": ["b"], "other": "+2.0", "verdict": "differs"}),
        # what looks the same is not said to be higher
        (0.0201, 0.0199, {"own": "+2.0", "name": ["b"], "other": "+2.0", "verdict": "alike"}),
        (0.02, 0.0101, {"own": "+2.0", "name": ["b", "c"], "other": "+1.0", "verdict": "agrees"}),
        (0.02, None, None),
        (None, 0.02, None),
    ],
)
def test_what_val_prefers_stands_beside_the_setting_that_test_recommends(own, other, told):
    values = {"nnn": own, "b": other, "c": 0.0099 if other == 0.0101 else None}
    gains = [
        Gain("nnn", pair(0.05, 0.01, "scorer", name), "scorer", val=val)
        for name, val in values.items()
    ]
    # of another prompt, it says nothing about this one
    elsewhere = pair(0.05, 0.01, "scorer", "d").assign(prompt="photo")
    gains.append(Gain("nnn", elsewhere, "scorer", val=0.9))
    run = material(gains[0].pair)
    run.scorers |= {name: {"kind": "nnn"} for name in "bcd"} | SCORERS
    found = conclusion.findings_of(run, gains)
    said = [one for one in found if one.key.startswith("conclusion_val")]
    keys_of(found)
    if told is None:
        assert said == []
        return
    verdict = told.pop("verdict")
    assert [(one.key, one.numbers, one.table) for one in said] == [
        (f"conclusion_val_{verdict}", told, "gains")
    ]


@pytest.mark.parametrize(("difference", "error"), [(0.05, 0.1), (-0.05, 0.01)])
def test_without_a_clear_gain_the_reference_is_to_be_used(difference, error):
    found = conclusion.findings_of(material(pair(difference, error)), ())
    assert keys_of(found) == ["use_reference", "cost", "rerank", "limits", "limits_model"]
    assert found[0].numbers == {"model": "m", "prompt": "plain", "scorer": "cosine"}
    told = {"text_now": "10.0%", "text_most": "46.0%", "image_now": "15.0%", "image_most": "51.0%"}
    assert found[2].numbers == told


def test_what_was_not_compared_measured_or_missed_is_not_spoken_of():
    run = material(pair(0, 0)[:0], runs=1)
    run.steps = run.steps[:1]
    run.metrics = recalls([REFERENCE.key], near=0.0)
    assert keys_of(conclusion.findings_of(run, ())) == ["use_only", "limits", "limits_model"]
