"""Which pairs of runs answer which question, and what is said of them."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

from scripts.data.rows import read_rows
from scripts.evaluate import pairs
from scripts.evaluate.intervals import Resampling, holm
from scripts.evaluate.pairs import COLUMNS, compare_all, pairs_of, verdict_of
from scripts.evaluate.runs import Run

ROWS = SimpleNamespace(images=[str(i) for i in range(40)], image_of_caption=np.repeat(range(40), 3))
LOT = np.random.default_rng(0)
NOISE = LOT.integers(1, 30, 120)


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
    found = {(mine.key, other.key): family for family, mine, other in pairs_of(star())}
    first = ("small", "plain", "cosine")
    assert len(found) == 10
    assert found[("small", "photo", "cosine"), first] == "prompt"
    assert found[("large", "photo", "cosine"), ("large", "plain", "cosine")] == "prompt"
    assert found[("small", "plain", "nnn"), first] == "scorer"
    assert found[("large", "plain", "cosine"), first] == "model"
    assert found[("large", "photo", "cosine"), first] == "other"
    assert found[("large", "photo", "cosine"), ("small", "photo", "cosine")] == "other"
    assert list(found.values()).count("other") == 6


def test_differences_are_those_of_the_recalls_and_verdicts_follow_their_sign():
    runs = star()
    records = compare_all(pairs_of(runs), ROWS, Resampling(500, 0), flips=5000)
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


def test_p_values_are_adjusted_within_each_question():
    records = compare_all(pairs_of(star()), ROWS, Resampling(200, 0), flips=2000)
    for family in ("prompt", "scorer", "model", "other"):
        own = [record for record in records if record["family"] == family]
        assert [record["p_holm"] for record in own] == pytest.approx(
            holm(np.array([record["p"] for record in own]))
        )


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
            params=SimpleNamespace(split="test", resamples=100, flips=100, seed=0),
        )
    )
    with (tmp_path / "pairs.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [list(COLUMNS)]
