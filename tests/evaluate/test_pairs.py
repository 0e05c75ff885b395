"""Which pairs of runs answer which question, and what is said of them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from scripts.data.rows import read_rows, rows_of
from scripts.evaluate import pairs
from scripts.evaluate.intervals import (
    Resampling,
    bootstrap_means,
    holm,
    percentile_interval,
    randomisation_p,
    resampled_means,
)
from scripts.evaluate.pairs import BOTH, COLUMNS, WAYS, compare_all, pairs_of, verdict_of
from scripts.evaluate.runs import Run, first_captions
from scripts.measures import HEADLINE, best_ranks, headline
from scripts.protocol import DIRECTIONS

ROWS = SimpleNamespace(images=[str(i) for i in range(40)], image_of_caption=np.repeat(range(40), 3))
LOT = np.random.default_rng(0)
NOISE = LOT.integers(1, 30, 120)
NAMES = ("model", "prompt", "scorer")


def run_of(model: str, prompt: str, scorer: str, ranks: np.ndarray = NOISE) -> Run:
    best = ranks.reshape(40, 3).min(axis=1)
    return Run(
        model, prompt, scorer, {"text_to_image": ranks, "image_to_text": best},
        tops={}, scores={}, right_score=np.zeros(120), caption_ranks=ranks, tied={},
    )  # fmt: skip


def star() -> list[Run]:
    return [
        run_of("small", "plain", "cosine"),
        run_of("small", "photo", "cosine", np.maximum(NOISE - 12, 1)),
        run_of("small", "plain", "nnn", NOISE + 40),
        run_of("large", "plain", "cosine", np.roll(NOISE, 3)),
        run_of("large", "photo", "cosine"),
    ]


def test_each_pair_stands_once_and_answers_the_question_in_which_it_differs():
    found = {(mine.key, other.key): family for family, mine, other in pairs_of(star(), 5)}
    first = ("small", "plain", "cosine")
    assert len(found) == 10
    assert found[("small", "photo", "cosine"), first] == "prompt"
    assert found[("large", "photo", "cosine"), ("large", "plain", "cosine")] == "prompt"
    assert found[("small", "plain", "nnn"), first] == "scorer"
    assert found[("large", "plain", "cosine"), first] == "model"
    assert found[("large", "photo", "cosine"), first] == "other"
    assert found[("large", "photo", "cosine"), ("small", "photo", "cosine")] == "other"
    assert list(found.values()).count("other") == 6


def test_of_more_runs_than_are_all_compared_only_pairs_that_answer_a_question_are():
    runs = star()
    few, many = pairs_of(runs, 5), pairs_of(runs, 4)
    assert [family for family, *_ in many] == ["prompt", "prompt", "scorer", "model"]
    lone = compare_all(many, ROWS, Resampling(300, 0), flips=500)
    among = compare_all(few, ROWS, Resampling(300, 0), flips=500)
    # what is said of a question does not hang on the others
    assert [record for record in among if record["family"] != "other"] == lone


def test_pairs_taken_in_turn_have_the_differences_of_all_at_once(monkeypatch):
    few = pairs_of(star(), 5)
    at_once = compare_all(few, ROWS, Resampling(300, 0), flips=500)
    drawn = []

    def watched(sums, queries, resampling):
        drawn.append(sums.shape[1] // len(HEADLINE))
        return resampled_means(sums, queries, resampling)

    monkeypatch.setattr(pairs, "SAMPLES", 300 * len(HEADLINE) * 3)
    monkeypatch.setattr(pairs, "resampled_means", watched)
    assert compare_all(few, ROWS, Resampling(300, 0), flips=500) == at_once
    assert drawn == [3, 3, 3, 3, 3, 3, 1, 1]


def test_intervals_and_p_are_those_of_the_differences_of_each_query():
    """By the plain way: of each pair by itself, all of its queries at once."""
    runs = star()
    images = {"text_to_image": ROWS.image_of_caption, "image_to_text": np.arange(40)}
    for record in compare_all(pairs_of(runs, 5), ROWS, Resampling(300, 0), flips=500):
        if (way := record["direction"]) == BOTH:
            continue
        mine, other = (
            next(run for run in runs if run.key == tuple(record[f"{of}{name}"] for name in NAMES))
            for of in ("", "other_")
        )
        apart = headline(mine.ranks[way]) - headline(other.ranks[way])
        p = randomisation_p(apart[:, -1:], images[way], 500, 0)
        assert record["p"] == pytest.approx(p[0], abs=1e-9)
        bounds = percentile_interval(bootstrap_means(apart, images[way], Resampling(300, 0)))
        found = [[record[f"{name}_low"], record[f"{name}_high"]] for name in HEADLINE]
        assert np.allclose(found, bounds, rtol=0, atol=2e-9)


def test_differences_are_those_of_the_recalls_and_verdicts_follow_their_sign():
    runs = star()
    records = compare_all(pairs_of(runs, 5), ROWS, Resampling(500, 0), flips=5000)
    assert all(set(record) == set(COLUMNS) for record in records)
    by_key = {
        (r["family"], r["model"], r["prompt"], r["scorer"], r["direction"]): r for r in records
    }
    ranks = [run.ranks["text_to_image"] for run in runs]
    photo = by_key["prompt", "small", "photo", "cosine", "text_to_image"]
    for depth in (1, 5, 10):
        expected = np.mean(ranks[1] <= depth) - np.mean(ranks[0] <= depth)
        assert photo[f"recall@{depth}"] == pytest.approx(expected)
        assert photo[f"recall@{depth}_low"] <= photo[f"recall@{depth}"]
    assert photo["mean"] == pytest.approx(np.mean([photo[f"recall@{d}"] for d in (1, 5, 10)]))
    assert photo["mean_low"] < photo["mean"] < photo["mean_high"]
    assert photo["verdict"] == "better"
    assert by_key["scorer", "small", "plain", "nnn", "image_to_text"]["verdict"] == "worse"
    assert by_key["model", "large", "plain", "cosine", "text_to_image"]["verdict"] == "alike"


def test_both_directions_are_adjusted_together_and_each_is_no_surer_than_they_are():
    records = compare_all(pairs_of(star(), 5), ROWS, Resampling(200, 0), flips=2000)
    for family in ("prompt", "scorer", "model", "other"):
        of_way = {
            way: [one for one in records if (one["family"], one["direction"]) == (family, way)]
            for way in WAYS
        }
        together = holm(np.array([record["p"] for record in of_way[BOTH]]))
        assert [record["p_holm"] for record in of_way[BOTH]] == pytest.approx(together)
        for way in DIRECTIONS:
            expected = np.maximum([record["p"] for record in of_way[way]], together)
            assert [record["p_holm"] for record in of_way[way]] == pytest.approx(expected)


def test_both_directions_together_are_the_mean_of_the_two_by_image():
    uneven = rows_of([str(i) for i in range(9)], [["a"] * (1 + i % 3) for i in range(9)])
    runs = []
    for seed in (1, 2):
        ranks = np.random.default_rng(seed).integers(1, 14, len(uneven.captions))
        starts = first_captions(uneven)
        ways = {"text_to_image": ranks, "image_to_text": best_ranks(ranks, starts)}
        runs.append(replace(run_of("m", str(seed), "s"), ranks=ways))
    both, text, image = compare_all(pairs_of(runs, 5), uneven, Resampling(300, 0), flips=500)
    assert both["queries"] == text["queries"] + image["queries"]
    for measure in HEADLINE:
        assert both[measure] == pytest.approx((text[measure] + image[measure]) / 2)
        assert both[f"{measure}_low"] <= both[measure] <= both[f"{measure}_high"]


def test_like_runs_are_called_apart_in_a_twentieth_of_trials_and_an_even_gain_is_found():
    """Of a gain that is the same both ways, both together see more than either direction."""
    lot, trials = np.random.default_rng(4), 200
    apart = np.zeros((2, 3))
    for _ in range(trials):
        # images differ in how hard they are; a gain brings a few of each direction's into the top
        hard = np.exp(lot.normal(2, 0.8, 40))
        for place, gain in enumerate((1.0, 1.5)):
            runs = []
            for own in (1.0, gain):
                ways = {
                    "text_to_image": ranks_like(np.repeat(hard, 3) / own, lot),
                    "image_to_text": ranks_like(hard / own, lot),
                }
                runs.append(replace(run_of("m", str(own), str(len(runs))), ranks=ways))
            records = compare_all([("prompt", runs[1], runs[0])], ROWS, Resampling(2, 0), flips=199)
            apart[place] += [record["p_holm"] < 0.05 for record in records]
    level, power = apart / trials
    assert 0.02 <= level[0] <= 0.085
    assert (level[1:] <= level[0]).all()
    assert power[0] > max(power[1:]) and power[0] > 0.3


def ranks_like(mean: np.ndarray, lot) -> np.ndarray:
    return lot.geometric(1 / (1 + mean))


@pytest.mark.parametrize(
    ("difference", "p", "verdict"),
    [(0.1, 0.01, "better"), (-0.1, 0.01, "worse"), (0.1, 0.05, "alike"), (0.0, 0.001, "alike")],
)
def test_a_difference_is_noise_until_its_adjusted_p_value_says_otherwise(difference, p, verdict):
    assert verdict_of(difference, p) == verdict


def test_one_run_gives_a_table_with_its_header_only(tmp_path):
    from scripts.retrieve.scorers import fit
    from scripts.retrieve.similarity import rankings_of, write_rankings

    (tmp_path / "captions.json").write_text('[{"image": "a", "captions": ["x"]}]')
    (tmp_path / "splits.json").write_text(json.dumps({"test": ["a"]}))
    rows = read_rows(tmp_path / "captions.json", tmp_path / "splits.json", "test")
    one = np.ones((1, 1), dtype=np.float32)
    path = tmp_path / "m" / "p" / "s" / "rankings.npz"
    write_rankings(path, rankings_of(one, one, rows, fit("cosine", {}, {}), k=1))
    pairs.main(
        SimpleNamespace(
            input=SimpleNamespace(
                rankings=[str(path)],
                captions=str(tmp_path / "captions.json"),
                splits=str(tmp_path / "splits.json"),
            ),
            output=SimpleNamespace(csv=str(tmp_path / "pairs.csv")),
            params=SimpleNamespace(split="test", resamples=100, flips=100, all_pairs=12, seed=0),
        )
    )
    with (tmp_path / "pairs.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [list(COLUMNS)]
