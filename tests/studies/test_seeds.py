"""Recall of each seed, and its spread, against loops and Python's own statistics."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import pytest
from small_run import brute_rank, collection, job_of, read_table, reference_of, unit

from scripts.evaluate.intervals import Resampling
from scripts.retrieve.scorers import save_scorer
from scripts.studies import study_seeds
from scripts.studies.study_seeds import mean_and_spread, seed_rows
from scripts.studies.table import COLUMNS, About, row

RESAMPLING = Resampling(100, 0)
DIRECTIONS = ("text_to_image", "image_to_text")


def adapter(seeds: list[int], dim: int) -> dict[str, np.ndarray]:
    """As training stores it: a residual map of each side for each seed."""
    rng = np.random.default_rng(0)
    maps = {side: rng.normal(size=(len(seeds), dim, dim)) / 3 for side in ("images", "texts")}
    return {
        "kind": np.array("adapter"),
        "seeds": np.array(seeds),
        "place": np.array(0),
        **{f"{side}_maps": array.astype(np.float32) for side, array in maps.items()},
    }


def brute_recall(rows, images, texts, direction: str, depth: int) -> float:
    of = rows.image_of_caption
    if direction == "text_to_image":
        ranks = [
            brute_rank(text, images[[own]], np.delete(images, own, axis=0))
            for text, own in zip(texts, of, strict=True)
        ]
    else:
        ranks = [
            brute_rank(image, texts[of == own], texts[of != own])
            for own, image in enumerate(images)
        ]
    return sum(rank <= depth for rank in ranks) / len(ranks)


def test_each_seed_has_the_recall_of_its_own_maps():
    rows, images, texts = collection([3, 1, 4, 2, 5, 3], seed=0, noise=2)
    scorer = adapter([7, 0, 12], 6)
    table = seed_rows(reference_of(rows, images, texts), "adapter", scorer, RESAMPLING)
    for place, seed in enumerate([7, 0, 12]):
        mapped = [
            unit(side + side @ scorer[f"{name}_maps"][place])
            for name, side in (("images", images), ("texts", texts))
        ]
        for direction in DIRECTIONS:
            (found,) = [
                one
                for one in table
                if one["group"] == f"adapter, seed {seed}"
                and one["direction"] == direction
                and one["measure"] == "recall@1"
            ]
            expected = brute_recall(rows, *mapped, direction, 1)
            assert found["value"] == pytest.approx(expected, abs=1e-8)
            assert (found["x"], found["scorer"]) == (seed, "adapter")
            assert found["low"] <= found["value"] <= found["high"]


def test_all_seeds_together_have_their_mean_and_one_standard_deviation_around_it():
    rows, images, texts = collection([3, 1, 4, 2, 5, 3], seed=0, noise=2)
    scorer = adapter([0, 1, 2], 6)
    table = seed_rows(reference_of(rows, images, texts), "adapter", scorer, RESAMPLING)
    together = [one for one in table if one["group"] == "adapter, mean"]
    tested = [one for one in together if one["measure"] in ("range", "p_range")]
    assert len(together) == 2 * 4 + 2 * 2 == 2 * 4 + len(tested)
    for one in tested:
        means = [
            other["value"]
            for other in table
            if other["group"].startswith("adapter, seed")
            and (other["direction"], other["measure"]) == (one["direction"], "mean")
        ]
        if one["measure"] == "range":
            assert one["value"] == pytest.approx(max(means) - min(means), abs=1e-8)
    for one in [one for one in together if one not in tested]:
        values = [
            other["value"]
            for other in table
            if other["group"].startswith("adapter, seed")
            and (other["direction"], other["measure"]) == (one["direction"], one["measure"])
        ]
        assert len(values) == 3
        assert one["value"] == pytest.approx(statistics.mean(values), abs=1e-8)
        spread = statistics.stdev(values)
        assert one["high"] - one["value"] == pytest.approx(spread, abs=1e-8)
        assert one["value"] - one["low"] == pytest.approx(spread, abs=1e-8)
    assert any(one["high"] > one["low"] for one in together if one["measure"] == "recall@1")


def test_one_seed_has_a_mean_and_no_spread():
    one = row(
        About(("m", "p", "s"), "text_to_image", "s, seed 0", 0), "recall@1", 0.25, 8, (0.2, 0.3)
    )
    (mean,) = mean_and_spread([one], "s, mean")
    assert (mean["value"], mean["low"], mean["high"]) == (0.25, None, None)
    assert mean["queries"] == 8


@pytest.fixture
def job(tmp_path):
    reference = reference_of(*collection([3, 1, 4, 2], seed=0))
    job = job_of(tmp_path, reference)
    job.input.adapters = []
    for prompt in ("plain", "photo"):
        path = tmp_path / "results" / "tiny" / prompt / "adapter" / "scorer.npz"
        save_scorer(path, adapter([0, 1], 6))
        job.input.adapters.append(str(path))
    return job


def test_the_job_tells_the_adapters_of_the_reference_prompt(job):
    study_seeds.main(job)
    table = read_table(job.output.table)
    assert {one["prompt"] for one in table} == {"plain"}
    assert {one["group"] for one in table} == {
        "adapter, seed 0",
        "adapter, seed 1",
        "adapter, mean",
    }


def test_a_run_without_such_a_scorer_gives_a_table_of_the_header_alone(job):
    job.input.adapters = []
    study_seeds.main(job)
    assert Path(job.output.table).read_text() == ",".join(COLUMNS) + "\n"
