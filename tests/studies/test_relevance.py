"""Other notions of right, duplicates and ties, against full matrices and loops."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_run import COUNTS, collection, job_of, read_table, reference_of

from scripts.data.ratings import Rating, write_ratings
from scripts.data.rows import Rows, rows_of
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import Run
from scripts.protocol import DIRECTIONS, TIE
from scripts.studies import study_relevance
from scripts.studies.judged import Judgments, read_judgments
from scripts.studies.reference import Reference
from scripts.studies.study_relevance import (
    SHARES,
    duplicate_rows,
    relevance_rows,
    tie_rows,
)

RESAMPLING = Resampling(200, 0)
NONE = Judgments(*np.empty((3, 0), dtype=np.int64), *np.empty((2, 0)), np.empty(0, dtype=bool))


def with_duplicates(rows: Rows) -> Rows:
    """The same collection, some of whose captions are the same words."""
    lot = np.random.default_rng(1)
    captions = [
        [f"words {lot.integers(20)}" for _ in rows.captions_of(image)]
        for image in range(len(rows.images))
    ]
    return rows_of(rows.images, captions)


def some_ratings(rows: Rows) -> list[Rating]:
    """Of some captions of the first half of the images, and of self pairs of the last one."""
    lot = np.random.default_rng(5)
    half = len(rows.images) // 2
    ratings = [Rating("expert", rows.images[-1], rows.images[-1], 0, 4.0)]
    for image, caption_image in itertools.product(rows.images[:half], repeat=2):
        ratings += [
            Rating("expert", image, caption_image, 0, float(g)) for g in [lot.integers(1, 5)] * 3
        ]
    return ratings


@pytest.fixture
def judged(tmp_path) -> tuple[Reference, Judgments]:
    rows, images, texts = collection(COUNTS, seed=3, noise=2, twins=True)
    rows = with_duplicates(rows)
    write_ratings(tmp_path / "judgments.csv", some_ratings(rows))
    return reference_of(rows, images, texts), read_judgments(tmp_path / "judgments.csv", rows)


def by_hand(reference: Reference, way: str, right: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of every query from the whole list of its scores, wrong items first among ties."""
    queries, gallery = reference.sides(way)
    found: dict[str, list[float]] = {measure: [] for measure in SHARES}
    for query, fits in zip(queries.astype(float), right, strict=True):
        scores = np.array([float(np.sum(query * item)) for item in gallery.astype(float)])
        # ties are exact here but for rounding
        steps = np.round(scores / TIE)
        order = sorted(range(len(scores)), key=lambda item: (-steps[item], fits[item]))
        hit = fits[order].astype(float)
        number = int(fits.sum())
        for depth in (1, 5, 10):
            # other right answers in the way do not count: the first one's place is its rank
            found[f"recall@{depth}"].append(float(hit[:depth].any()))
        top = hit[:number]
        found["r_precision"].append(top.mean())
        precision = np.cumsum(top) / np.arange(1, number + 1)
        found["map@r"].append(float((precision * top).sum() / number))
    return {measure: np.array(values) for measure, values in found.items()}


def right_by_hand(rows: Rows, judgments: Judgments) -> dict[str, np.ndarray]:
    """(m, n) what counts as right under each name."""
    own = rows.image_of_caption[:, None] == np.arange(len(rows.images))
    found = {name: own.copy() for name in ("own", "duplicates", "people", "people strict")}
    for caption, text in enumerate(rows.captions):
        for image in range(len(rows.images)):
            found["duplicates"][caption, image] |= text in rows.captions_of(image)
    for caption, image, rating in zip(
        judgments.caption, judgments.image, judgments.rating, strict=True
    ):
        found["people"][caption, image] |= rating >= 3
        found["people strict"][caption, image] |= rating == 4
    return found


def picked(table: list[dict], **wanted) -> dict:
    (one,) = (row for row in table if wanted.items() <= row.items())
    return one


def assert_changes(table: list[dict]) -> None:
    """What each notion adds is the difference of two figures, and not below zero."""
    changes = [one for one in table if one["measure"] == "recall@1_change"]
    for one in changes:
        keys = {"direction": one["direction"], "measure": "recall@1"}
        strict = "own / " + one["group"].split(" / ")[1]
        wide, own = (picked(table, group=group, **keys) for group in (one["group"], strict))
        assert one["value"] == pytest.approx(wide["value"] - own["value"], abs=1e-8)
        assert 0 <= one["low"] <= one["value"] <= one["high"]


def test_every_figure_equals_the_full_lists_read_by_hand(judged, biased):
    plain, judgments = judged
    rows = plain.rows
    right = right_by_hand(rows, judgments)
    assert len({matrix.sum() for matrix in right.values()}) == 4
    for reference in (plain, reference_of(rows, plain.images, plain.texts, biased)):
        table = relevance_rows(reference, judgments, RESAMPLING)
        assert len(table) == 4 * 2 * 2 * len(SHARES) + 3 * 2 * 2
        assert_changes(table)
        for way, name in itertools.product(DIRECTIONS, right):
            fits = right[name] if way == "text_to_image" else right[name].T
            expected = by_hand(reference, way, fits)
            others = ~judgments.own
            asked = judgments.caption if way == "text_to_image" else judgments.image
            chosen = np.unique(asked[others])
            assert 0 < len(chosen) < len(fits)
            for measure, values in expected.items():
                of_all = picked(
                    table, direction=way, group=f"{name} / all queries", measure=measure
                )
                assert of_all["value"] == pytest.approx(values.mean(), abs=1e-9)
                assert of_all["queries"] == len(fits)
                of_judged = picked(
                    table, direction=way, group=f"{name} / judged queries", measure=measure
                )
                assert of_judged["value"] == pytest.approx(values[chosen].mean(), abs=1e-9)
                assert of_judged["queries"] == len(chosen)
                for one in (of_all, of_judged):
                    assert one["low"] <= one["value"] <= one["high"]


def test_the_strict_figures_are_those_of_the_run(judged):
    reference, judgments = judged
    table = relevance_rows(reference, judgments, RESAMPLING)
    for way in DIRECTIONS:
        for depth in (1, 5, 10):
            keys = {"direction": way, "group": "own / all queries", "measure": f"recall@{depth}"}
            expected = (reference.run.ranks[way] <= depth).mean()
            assert picked(table, **keys)["value"] == pytest.approx(expected, abs=1e-9)


def test_without_judgments_there_are_own_and_equal_captions_only(judged):
    reference, _ = judged
    table = relevance_rows(reference, NONE, RESAMPLING)
    assert {row["group"] for row in table} == {"own / all queries", "duplicates / all queries"}


def test_accepting_more_never_lowers_recall(judged):
    reference, judgments = judged
    table = relevance_rows(reference, judgments, RESAMPLING)
    for way, of, depth in itertools.product(DIRECTIONS, ("all", "judged"), (1, 5, 10)):

        def value(name: str, keys=(way, of, depth)) -> float:
            way, of, depth = keys
            group = f"{name} / {of} queries"
            return picked(table, direction=way, group=group, measure=f"recall@{depth}")["value"]

        assert value("own") <= value("people strict") <= value("people")
        assert value("own") <= value("duplicates")


def test_captions_on_several_images_are_listed_and_those_on_one_are_not():
    rows = rows_of(
        ["a", "b", "c"],
        [["A dog .", "A dog .", "A cat ."], ["A cat .", "a dog ."], ["A cat .", "A hat ."]],
    )
    rows = rows_of([*rows.images, "d"], [*map(rows.captions_of, range(3)), ["A hat ."]])
    assert duplicate_rows(rows) == [
        {"caption": "A cat .", "images": "a;b;c", "count": 3},
        {"caption": "A hat .", "images": "c;d", "count": 2},
    ]


def ties_by_hand(scores: np.ndarray, right: np.ndarray) -> tuple[int, int, int, int]:
    """Tied queries, costs, and hits at one in the unluckiest and the luckiest order."""
    tied = cost = strict = lucky = 0
    for values, fits in zip(scores, right, strict=True):
        best, wrong = values[fits].max(), values[~fits]
        level = int((np.abs(wrong - best) <= TIE).sum())
        above = int((wrong > best + TIE).sum())
        tied += level > 0
        strict += above + level == 0
        lucky += above == 0
        cost += above == 0 and level > 0
    return tied, cost, strict, lucky


@pytest.mark.parametrize("seed", range(6))
def test_ties_are_those_of_the_full_matrix(tmp_path, seed):
    rows, images, texts = collection(COUNTS, seed=seed, dim=4, twins=True)
    table = ties_of(tmp_path, reference_of(rows, images, texts))
    scores = (texts[:, None].astype(float) * images[None].astype(float)).sum(axis=2)
    own = rows.image_of_caption[:, None] == np.arange(len(rows.images))
    for one, values, right in zip(table, (scores, scores.T), (own, own.T), strict=True):
        tied, cost, strict, lucky = ties_by_hand(values, right)
        assert (int(one["tied"]), int(one["cost"])) == (tied, cost)
        assert float(one["recall@1"]) == pytest.approx(strict / len(values), abs=1e-9)
        assert float(one["recall@1_lucky"]) == pytest.approx(lucky / len(values), abs=1e-9)
        assert int(one["queries"]) == len(values)
    assert int(table[0]["tied"]) > 0


def test_a_model_that_scores_everything_alike_has_ties_everywhere(tmp_path):
    rows, images, texts = collection([2, 3, 1])
    images[:], texts[:] = images[0], texts[0]
    for one in ties_of(tmp_path, reference_of(rows, images, texts)):
        assert one["tied"] == one["cost"] == one["queries"]
        assert (float(one["recall@1"]), float(one["recall@1_lucky"])) == (0, 1)


def test_the_best_right_answer_decides_and_not_another_that_ties():
    rows = rows_of(["a", "b"], [["one", "two"], ["three"]])
    run = Run(
        model="m",
        prompt="p",
        scorer="s",
        ranks={"text_to_image": np.array([1, 2, 1]), "image_to_text": np.array([1, 1])},
        tops={},
        scores={},
        right_score=np.zeros(3),
        # the first caption is right without a tie, the second is behind and ties
        caption_ranks=np.array([1, 2, 3]),
        tied={"text_to_image": np.array([0, 1, 0]), "image_to_text": np.array([0, 1, 1])},
    )
    by_text, by_image = tie_rows(run, rows)
    assert (by_text["tied"], by_text["cost"]) == (1, 1)
    assert (by_text["recall@1"], by_text["recall@1_lucky"]) == (round(2 / 3, 9), 1.0)
    assert (by_image["tied"], by_image["cost"]) == (1, 0)
    assert (by_image["recall@1"], by_image["recall@1_lucky"]) == (0.5, 0.5)


def study(folder, reference: Reference, ratings: list[Rating]) -> SimpleNamespace:
    """The finished job of this study."""
    job = job_of(folder, reference)
    job.input.judgments = str(folder / "judgments.csv")
    job.input.runs = job.input.rankings
    write_ratings(job.input.judgments, ratings)
    for name in ("duplicates", "ties"):
        setattr(job.output, name, str(folder / f"{name}.csv"))
    study_relevance.main(job)
    return job


def ties_of(folder, reference: Reference) -> list[dict[str, str]]:
    return read_table(study(folder, reference, []).output.ties)


def test_the_job_writes_three_tables_and_writes_them_alike_again(tmp_path):
    rows, images, texts = collection(COUNTS, seed=3, noise=2)
    reference = reference_of(with_duplicates(rows), images, texts)
    one = study(tmp_path / "one", reference, some_ratings(reference.rows)).output
    other = study(tmp_path / "other", reference, some_ratings(reference.rows)).output
    for name, columns in (
        ("table", {"group", "measure", "value", "low", "high"}),
        ("duplicates", {"caption", "images", "count"}),
        ("ties", {"model", "direction", "tied", "cost", "recall@1", "recall@1_lucky"}),
    ):
        table = read_table(getattr(one, name))
        assert table and columns <= set(table[0])
        first, second = (Path(getattr(output, name)) for output in (one, other))
        assert first.read_bytes() == second.read_bytes()
