"""Risk by coverage, against a loop, and what is certain by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_run import COUNTS, collection, job_of, read_table, reference_of

from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import Run
from scripts.protocol import DIRECTIONS
from scripts.studies import study_confidence
from scripts.studies.study_confidence import COVERAGES, confidence_rows, risks

TEXT = "text_to_image"
RESAMPLING = Resampling(400, 0)


def by_hand(confidence, wrong, weights, coverage: float) -> float:
    """Answer the surest first, the last one in part, equals all in the same part."""
    left = coverage * weights.sum()
    failed, asked = 0.0, left
    for value in sorted(set(confidence), reverse=True):
        of = confidence == value
        taken = min(1.0, left / weights[of].sum()) if weights[of].sum() else 0.0
        failed += taken * (weights * wrong)[of].sum()
        left -= taken * weights[of].sum()
    return failed / asked


def test_risk_is_the_share_of_errors_among_the_surest_with_equals_in_no_order():
    lot = np.random.default_rng(0)
    confidence, wrong = lot.integers(0, 6, 23) / 7, lot.random(23) < 0.4
    weights = lot.integers(0, 3, (4, 23)).astype(float)
    found = risks(confidence, wrong, weights)
    for own, given in zip(found, weights, strict=True):
        expected = [by_hand(confidence, wrong, given, coverage) for coverage in COVERAGES]
        np.testing.assert_allclose(own, expected, atol=1e-12)
    np.testing.assert_allclose(found[:, -1], (weights * wrong).sum(axis=1) / weights.sum(axis=1))


def run_with(confidence: np.ndarray, wrong: np.ndarray, per_image: int = 1) -> tuple:
    """A run whose captions have these top scores, and no second result."""
    rows, images, texts = collection([per_image] * (len(wrong) // per_image))
    ranks = np.where(wrong, 20, 1)
    run = reference_of(rows, images, texts).run
    scores = {TEXT: confidence[:, None].astype(np.float32)}
    return replace(run, ranks={TEXT: ranks}, scores=scores), rows


def areas(run: Run, rows, resampling: Resampling = RESAMPLING) -> dict:
    found = confidence_rows(run, rows, TEXT, resampling)
    return {one["measure"]: one for one in found if one["measure"] != "risk"}


@pytest.mark.parametrize(("sign", "warns"), [(-1, True), (1, False)])
def test_a_score_that_is_low_where_the_model_errs_warns_and_a_high_one_misleads(sign, warns):
    wrong = np.arange(100) % 4 == 0
    found = areas(*run_with(sign * wrong + np.arange(100) / 1000, wrong))
    gain = found["area_gain"]
    assert (gain["low"] > 0) == warns and (gain["high"] < 0) != warns
    assert found["area_random"]["value"] == 0.25
    assert gain["value"] == pytest.approx(0.25 - found["area"]["value"], abs=1e-8)


def test_a_score_that_is_the_same_everywhere_says_exactly_nothing():
    gain = areas(*run_with(np.ones(60), np.arange(60) % 3 == 0))["area_gain"]
    assert gain["value"] == gain["low"] == gain["high"] == 0


def test_a_score_that_knows_nothing_is_called_a_warning_in_no_more_than_a_twentieth_of_runs():
    lot, apart = np.random.default_rng(3), 0
    for _ in range(100):
        # captions of an image fail together, and score alike
        wrong = np.repeat(lot.random(40), 3) + 0.3 * lot.random(120) < 0.6
        score = np.repeat(lot.normal(size=40), 3) + lot.normal(size=120) / 4
        gain = areas(*run_with(score, wrong, 3), Resampling(99, 0))["area_gain"]
        apart += gain["low"] > 0 or gain["high"] < 0
    assert apart <= 13


def test_a_perfect_tenth_is_not_certain_and_its_interval_is_of_the_images_that_it_has():
    wrong = np.arange(100) >= 50
    run, rows = run_with(-np.arange(100) / 100, wrong)
    found = {one["x"]: one for one in confidence_rows(run, rows, TEXT, RESAMPLING)}
    assert found[0.1]["value"] == 0 and found[0.1]["queries"] == 10
    assert found[0.1]["high"] == pytest.approx(1 - 0.025 ** (1 / 10))
    assert found[1.0]["value"] == 0.5


def test_the_table_tells_both_ways_by_score_and_by_margin(tmp_path):
    rows, images, texts = collection(COUNTS, noise=2)
    reference = reference_of(rows, images, texts)
    job = job_of(tmp_path, reference)
    study_confidence.main(job)
    table = read_table(job.output.table)
    assert len(table) == 2 * 2 * (10 + 3)
    for way in DIRECTIONS:
        wrong = (reference.run.ranks[way] > 1).mean()
        scores = reference.run.scores[way]
        for name in ("top score", "margin"):
            own = [r for r in table if (r["direction"], r["group"]) == (way, name)]
            at = {float(r["x"]): float(r["value"]) for r in own if r["measure"] == "risk"}
            assert list(at) == pytest.approx(np.arange(1, 11) / 10)
            assert at[1.0] == pytest.approx(wrong)
        margins = study_confidence.signals_of(reference.run, way)["margin"]
        np.testing.assert_allclose(margins, scores[:, 0] - scores[:, 1], atol=1e-7)


def test_where_the_gallery_holds_one_item_there_is_no_margin():
    run, _ = run_with(np.ones(4), np.zeros(4, dtype=bool))
    assert list(study_confidence.signals_of(run, TEXT)) == ["top score"]
