"""What indexes find, counted by hand and by sorting all scores, and what distractors are."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_run import (
    COUNTS,
    brute_rank,
    collection,
    job_of,
    read_table,
    reference_of,
    weigh_first,
)

from scripts.job import BadInput
from scripts.measures import RECALLS, hits
from scripts.protocol import DIRECTIONS
from scripts.retrieve import scorers
from scripts.retrieve.build_index import mapped_galleries
from scripts.retrieve.indexes import build, write_index
from scripts.retrieve.ranking import top_k
from scripts.studies import study_indexes
from scripts.studies.study_indexes import (
    COSTS,
    distractors,
    filled_up,
    found_of_exact,
    ranks_in_lists,
)

ENTRIES = {
    "flat": {"kind": "flat"},
    "graph": {"kind": "hnsw", "m": 8, "ef_construction": 40, "ef_search": 40},
    "codes": {
        "kind": "ivf_pq", "lists": 4, "sub_quantizers": 3, "bits": 4, "probes": 2, "seed": 0
    },
}  # fmt: skip


def all_of(features: np.ndarray, count: int, spread: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.concatenate(list(distractors(features, count, spread, seed)))


def test_distractors_are_unit_rows_and_those_of_few_are_the_first_of_many(monkeypatch):
    _, images, _ = collection([1] * 40)
    many = all_of(images, 95)
    assert many.shape == (95, 6) and many.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(all_of(images, 7), many[:7])
    assert (all_of(images, 95, seed=1) != many).any()
    monkeypatch.setattr(study_indexes, "AT_ONCE", 10)
    small = list(distractors(images, 25, 1.0, 0))
    assert [len(part) for part in small] == [10, 10, 5]


def test_distractors_have_the_mean_and_the_covariance_of_what_they_are_made_of(monkeypatch):
    monkeypatch.setattr(study_indexes, "unit", lambda rows: rows)
    _, images, _ = collection([1] * 60)
    images[:, 0] += 2
    for spread in (0.3, 1.0, 2.0):
        many = all_of(images, 60_000, spread)
        np.testing.assert_allclose(many.mean(axis=0), images.mean(axis=0), atol=0.01)
        # b and c are never the same, which adds 1 / 59 of what they bring
        np.testing.assert_allclose(np.cov(many.T), np.cov(images.T, bias=True), atol=0.015)


def test_no_distractor_is_a_copy():
    _, images, _ = collection([1, 1])
    both = all_of(images, 50)
    assert (np.abs(both @ images.T) < 1 - 1e-6).all()


def test_the_gallery_keeps_its_own_items_first_and_goes_through_the_scorers_map(monkeypatch):
    kind = scorers.Kind(lambda params, banks: {}, lambda a, f, d: f, weigh_first)
    monkeypatch.setitem(scorers.KINDS, "weighing", kind)
    rows, images, texts = collection(COUNTS)
    scorer = scorers.fit("weighing", {}, {})
    reference = reference_of(rows, images, texts, scorer)
    for way, side in (("text_to_image", images), ("image_to_text", texts)):
        queries, gallery = filled_up(reference, way, 90, 1.0, 3)
        assert len(gallery) == 90 and len(queries) == len(images) + len(texts) - len(side)
        weighed = np.array([3, 1, 1, 1, 1, 1], dtype=np.float32)
        np.testing.assert_array_equal(gallery[: len(side)], weighed * side)
        made = all_of(side, 90 - len(side), seed=3)
        np.testing.assert_array_equal(gallery[len(side) :], weighed * made)


def test_an_item_is_found_where_it_is_as_good_as_the_tenth_best():
    queries = np.eye(2, dtype=np.float32)
    scores = np.array([*np.linspace(0.9, 0.5, 10), 0.5, 0.4], dtype=np.float32)
    gallery = np.stack([scores, np.zeros(12, dtype=np.float32)], axis=1)
    _, exact = top_k(queries[:1], gallery, 10)
    lists = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 10, 11]])
    # the eleventh ties with the tenth and stands for it; the twelfth does not; one is missing
    assert found_of_exact(lists, exact, queries[:1], gallery).tolist() == [0.9]
    lists[0, 0] = -1
    assert found_of_exact(lists, exact, queries[:1], gallery).tolist() == [0.8]
    # a gallery of three has a top three
    few = gallery[:3]
    _, exact = top_k(queries[:1], few, 10)
    assert found_of_exact(np.array([[2, 0, 1]]), exact, queries[:1], few).tolist() == [1.0]


def test_ranks_in_lists_count_ties_against_the_right_answer_and_know_what_is_missing():
    image_of_item = np.array([0, 0, 1, 1, -1])
    lists = np.array([[2, 4, 0, 1], [2, 0, 3, 4], [0, 1, -1, -1], [4, 2, -1, -1]])
    scores = np.array(
        [[0.9, 0.8, 0.7, 0.6], [0.9, 0.9, 0.7, 0.1], [0.5, 0.4, -np.inf, -np.inf],
         [0.6, 0.5, -np.inf, -np.inf]]
    )  # fmt: skip
    ranks = ranks_in_lists(lists, scores, image_of_item, np.array([0, 1, 1, 1]))
    # behind two wrong ones; level with a wrong one; not found; behind a distractor
    assert ranks.tolist() == [3, 2, 5, 2]


@pytest.mark.parametrize("way", DIRECTIONS)
def test_ranks_in_complete_lists_are_those_of_sorting_everything(way):
    rows, images, texts = collection(COUNTS, twins=True)
    reference = reference_of(rows, images, texts)
    queries, gallery = reference.sides(way)
    owner = study_indexes.images_of_items(way, reference)
    asking = study_indexes.images_of_queries(way, rows)
    found = ranks_in_lists(*top_k(queries, gallery, len(gallery)), owner, asking)
    expected = [
        brute_rank(query, gallery[owner == image], gallery[owner != image])
        for query, image in zip(queries, asking, strict=True)
    ]
    assert found.tolist() == expected
    np.testing.assert_array_equal(found, reference.run.ranks[way])


# --- the rule's script


def study(folder: Path, sizes: list[int], entries: dict = ENTRIES) -> SimpleNamespace:
    """Run the study on a small collection of 12 images and 52 captions."""
    rows, images, texts = collection(COUNTS, noise=0.6)
    reference = reference_of(rows, images, texts)
    job = job_of(folder, reference, sizes=sizes, spread=1, indexes=entries)
    job.output.costs = str(folder / "costs.csv")
    job.input.indexes, job.input.index_sidecars = [], []
    galleries = mapped_galleries(images, texts, reference.scorer)
    for name, entry in entries.items():
        for way in DIRECTIONS:
            paths = folder / f"{name}.{way}.faiss", folder / f"{name}.{way}.json"
            about = {"rows": rows.digest, "dimension": 6}
            write_index(*paths, build(entry["kind"], entry, galleries[way]), about)
            job.input.indexes.append(str(paths[0]))
            job.input.index_sidecars.append(str(paths[1]))
    return job


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Both tables of one study, and the job that made them."""
    job = study(tmp_path_factory.mktemp("study"), [20, 70, 150])
    study_indexes.main(job)
    return job, read_table(job.output.table), read_table(job.output.costs)


def test_the_exact_recall_in_the_runs_own_gallery_is_that_of_the_run(made):
    _, table, _ = made
    rows, images, texts = collection(COUNTS, noise=0.6)
    run = reference_of(rows, images, texts).run
    for way, size in (("text_to_image", "12"), ("image_to_text", "52")):
        for depth in (1, 5, 10):
            (own,) = [
                one for one in table
                if (one["direction"], one["group"], one["x"], one["measure"])
                == (way, "exact", size, f"recall@{depth}")
            ]  # fmt: skip
            assert float(own["value"]) == pytest.approx(hits(run.ranks[way], depth).mean())
            assert int(own["queries"]) == len(run.ranks[way])
            assert float(own["low"]) <= float(own["value"]) <= float(own["high"])


def test_flat_finds_all_and_the_others_less_and_recall_follows(made):
    _, table, _ = made
    shares = {
        (one["direction"], one["group"], int(one["x"])): float(one["value"])
        for one in table
        if one["measure"] == "found@10"
    }
    # sizes up to the gallery's own are passed over
    assert {key[2] for key in shares if key[0] == "text_to_image"} == {12, 20, 70, 150}
    assert {key[2] for key in shares if key[0] == "image_to_text"} == {52, 70, 150}
    assert {key[1] for key in shares} == set(ENTRIES)
    assert all(value == 1 for (_, name, _), value in shares.items() if name == "flat")
    assert any(value < 1 for (_, name, _), value in shares.items() if name == "codes")
    recalls = {
        name: [
            float(one["value"])
            for one in table
            if one["group"] == name and one["measure"] in RECALLS
        ]
        for name in ("exact", "flat")
    }
    assert recalls["exact"] == recalls["flat"]
    at = {
        (one["direction"], one["group"], one["x"], one["measure"]): float(one["value"])
        for one in table
    }
    changes = {key: value for key, value in at.items() if key[-1] == "recall@10_change"}
    assert {key[1] for key in changes} == set(ENTRIES)
    for (way, name, size, _), value in changes.items():
        through, exact = (at[way, one, size, "recall@10"] for one in (name, "exact"))
        assert value == pytest.approx(through - exact, abs=1e-8)


def test_more_distractors_leave_less_recall(made):
    _, table, _ = made
    values = [
        float(one["value"])
        for one in table
        if (one["direction"], one["group"], one["measure"])
        == ("text_to_image", "exact", "recall@1")
    ]
    assert len(values) == 4 and values == sorted(values, reverse=True) and values[-1] < values[0]


def test_costs_say_how_many_items_are_simulated_and_are_no_part_of_the_table(made):
    job, table, costs = made
    assert list(costs[0]) == list(COSTS)
    for one in costs:
        own = 12 if one["direction"] == "text_to_image" else 52
        assert int(one["simulated"]) == int(one["items"]) - own
        assert float(one["latency_ms"]) > 0 and float(one["memory_mb"]) > 0
    assert {one["index"] for one in costs} == {"exact", *ENTRIES}
    sizes = {one["index"]: float(one["memory_mb"]) for one in costs if one["items"] == "150"}
    assert sizes["exact"] == pytest.approx(150 * 6 * 4 / 2**20, abs=1e-4)
    assert sizes["codes"] < sizes["graph"] and sizes["flat"] < sizes["graph"]
    own = {one["index"]: float(one["memory_mb"]) for one in costs if one["items"] == "12"}
    file = Path(job.input.indexes[list(ENTRIES).index("graph") * 2])
    assert own["graph"] == pytest.approx(file.stat().st_size / 2**20, abs=1e-4)
    measures = {one["measure"] for one in table}
    assert measures == {"found@10", "recall@1", "recall@5", "recall@10", "recall@10_change"}


def test_the_same_study_again_makes_the_same_table(made, tmp_path):
    job = study(tmp_path, [20, 70, 150])
    study_indexes.main(job)
    assert Path(job.output.table).read_bytes() == Path(made[0].output.table).read_bytes()


def test_without_sizes_only_the_runs_own_gallery_is_looked_at(tmp_path):
    job = study(tmp_path, [5, 12])
    study_indexes.main(job)
    assert {one["x"] for one in read_table(job.output.table)} == {"12", "52"}
    assert {one["simulated"] for one in read_table(job.output.costs)} == {"0"}


def test_an_index_that_changed_is_refused(tmp_path):
    job = study(tmp_path, [])
    path = Path(job.input.indexes[2])
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BadInput, match="changed after it was made"):
        study_indexes.main(job)


def test_a_collection_of_one_image_has_no_distractors_and_is_no_error(tmp_path):
    rows, images, texts = collection([2])
    reference = reference_of(rows, images, texts)
    settings = {"sizes": [50], "spread": 1, "seed": 0}
    resampling = study_indexes.Resampling(100, 0)
    told = study_indexes.compared(reference, "text_to_image", {}, {}, settings, resampling)
    assert {one["x"] for one in told.found} == {1}
    assert [one["items"] for one in told.costs] == [1]


def test_a_gallery_of_few_items_is_not_filled_up_with_more_than_they_can_make(monkeypatch):
    monkeypatch.setattr(study_indexes, "MOST_SIMULATED", 4)
    reference = reference_of(*collection([2] * 5))
    settings = {"sizes": [20, 21, 40], "spread": 1, "seed": 0}
    resampling = study_indexes.Resampling(100, 0)
    for direction, sizes in (("text_to_image", [5, 20]), ("image_to_text", [10, 20, 21, 40])):
        told = study_indexes.compared(reference, direction, {}, {}, settings, resampling)
        assert [one["items"] for one in told.costs] == sizes
