"""What prompts do to all captions alike, against loops over captions and images."""

from __future__ import annotations

import numpy as np
import pytest
from small_run import COUNTS, brute_rank, collection, job_of, read_table, reference_of, unit
from small_run import write_features_of as write_features

from scripts.data.rows import Rows
from scripts.evaluate.intervals import Resampling
from scripts.studies import study_geometry
from scripts.studies.shifts import shift_rows, unshifted
from scripts.studies.table import SHIFT

RESAMPLING = Resampling(300, 0)
TEXT, IMAGE = "text_to_image", "image_to_text"


def hits(rank: int) -> float:
    """Mean of Recall@1, @5 and @10 of one query."""
    return sum(rank <= depth for depth in (1, 5, 10)) / 3


def found_by_text(rows: Rows, images: np.ndarray, texts: np.ndarray) -> list[float]:
    """Hits of each caption, looking for its image."""
    found = []
    for caption, image in enumerate(rows.image_of_caption):
        wrong = [images[other] for other in range(len(images)) if other != image]
        found.append(hits(brute_rank(texts[caption], images[[image]], np.array(wrong))))
    return found


def ranks_by_image(rows: Rows, images: np.ndarray, texts: np.ndarray) -> list[int]:
    """Rank of the best of its own captions, of each image."""
    own = rows.image_of_caption
    return [
        brute_rank(features, texts[own == image], texts[own != image])
        for image, features in enumerate(images)
    ]


def moved(texts: np.ndarray, by: float, seed: int = 5) -> np.ndarray:
    """Captions under a template: all of them moved one way, and each a little in its own."""
    lot = np.random.default_rng(seed)
    return unit(texts + by * lot.normal(size=texts.shape[1]) + 0.2 * lot.normal(size=texts.shape))


def by_measure(table: list[dict], prompt: str) -> dict[tuple[str, str], dict]:
    rows = [row for row in table if row["prompt"] == prompt]
    found = {(row["measure"], row["direction"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def bounds_of(table: dict, measure: str, way: str = "") -> tuple[float, float]:
    return table[measure, way]["low"], table[measure, way]["high"]


def test_every_number_is_that_of_loops_over_captions_and_images():
    rows, images, texts = collection(COUNTS, seed=4, dim=5, noise=1.2, twins=True)
    own, photo = rows.image_of_caption, moved(texts, 1.0)
    table = shift_rows(reference_of(rows, images, texts), {"photo": photo}, RESAMPLING)
    assert {(row["group"], row["model"], row["scorer"]) for row in table} == {
        (SHIFT, "tiny", "cosine")
    }
    m = len(texts)
    moves = [photo[caption].astype(float) - texts[caption] for caption in range(m)]
    c = [sum(move[place] for move in moves) / m for place in range(texts.shape[1])]
    length = sum(one**2 for one in c) ** 0.5
    cosines = [
        sum(a * b for a, b in zip(move, c, strict=True)) / length / sum(a**2 for a in move) ** 0.5
        for move in moves
    ]
    without_c = np.array([photo[caption].astype(float) - c for caption in range(m)])
    by_text = {name: found_by_text(rows, images, one) for name, one in
               (("plain", texts), ("photo", photo), ("without", without_c))}  # fmt: skip
    by_image = {name: [hits(rank) for rank in ranks_by_image(rows, images, one)] for name, one in
                (("plain", texts), ("photo", photo))}  # fmt: skip
    assert by_text["plain"] != by_text["photo"] != by_text["without"]

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    lost = mean(by_text["without"]) - mean(by_text["photo"])
    first, told = by_measure(table, "plain"), by_measure(table, "photo")
    assert {key: row["value"] for key, row in first.items()} == pytest.approx(
        {("mean", TEXT): mean(by_text["plain"]), ("mean", IMAGE): mean(by_image["plain"])}
    )
    assert {key: row["value"] for key, row in told.items()} == pytest.approx(
        {
            ("shift", ""): length,
            ("shift_alike", ""): mean(cosines),
            ("mean", TEXT): mean(by_text["photo"]),
            ("mean", IMAGE): mean(by_image["photo"]),
            ("mean_unshifted", TEXT): mean(by_text["without"]),
            ("mean_unshifted_change", TEXT): lost,
        }
    )
    assert {row["queries"] for key, row in told.items() if key[1] != IMAGE} == {m}
    assert told["mean", IMAGE]["queries"] == len(images)

    # the length of the shift without each image in turn
    n = len(images)
    left = []
    for image in range(n):
        kept = [move for caption, move in enumerate(moves) if own[caption] != image]
        columns = zip(*kept, strict=True)
        left.append(sum((sum(column) / len(kept)) ** 2 for column in columns) ** 0.5)
    half = 1.959964 * ((n - 1) / n * sum((one - mean(left)) ** 2 for one in left)) ** 0.5
    assert bounds_of(told, "shift") == pytest.approx((length - half, length + half))

    # the same images drawn for both sides of a difference
    drawn = np.random.default_rng(RESAMPLING.seed).integers(0, n, (RESAMPLING.resamples, n))
    resampled = {"shift_alike": [], "mean_unshifted_change": []}
    for images_drawn in drawn:
        captions = [one for image in images_drawn for one in np.flatnonzero(own == image)]
        resampled["shift_alike"].append(mean([cosines[one] for one in captions]))
        resampled["mean_unshifted_change"].append(
            mean([by_text["without"][one] - by_text["photo"][one] for one in captions])
        )
    for measure, values in resampled.items():
        ends = np.quantile(values, (0.025, 0.975))
        way = TEXT if "change" in measure else ""
        assert bounds_of(told, measure, way) == pytest.approx(tuple(ends), abs=1e-8)


def test_where_all_captions_move_alike_all_that_was_lost_is_won_back():
    lot = np.random.default_rng(2)
    rows, seen, said = collection([3] * 20, dim=4, noise=0.5)
    # of two further dimensions, a template takes captions from the first to the second, along
    # which images stick out by more or less
    out = lot.uniform(-0.9, 0.9, len(seen))[:, None]
    images = np.hstack([seen * np.sqrt(1 - out**2), np.zeros_like(out), out]).astype(np.float32)
    level, none = np.full((len(said), 1), 0.8), np.zeros((len(said), 1))
    plain = np.hstack([0.6 * said, level, none]).astype(np.float32)
    photo = np.hstack([0.6 * said, none, level]).astype(np.float32)
    table = shift_rows(reference_of(rows, images, plain), {"photo": photo}, RESAMPLING)
    first, told = by_measure(table, "plain"), by_measure(table, "photo")
    before, after = (one["mean", TEXT]["value"] for one in (first, told))
    assert told["shift", ""]["value"] == pytest.approx(0.8 * 2**0.5)
    assert told["shift_alike", ""]["value"] == pytest.approx(1)
    assert after < before - 0.2
    assert told["mean_unshifted", TEXT]["value"] == before
    assert told["mean_unshifted_change", TEXT]["value"] == pytest.approx(before - after)
    assert bounds_of(told, "mean_unshifted_change", TEXT)[0] > 0
    # and from image to text nothing was lost
    assert told["mean", IMAGE]["value"] == first["mean", IMAGE]["value"]


def test_where_each_caption_moves_its_own_way_nothing_is_won_back():
    rows, images, texts = collection([2] * 20, dim=8, noise=0.3)
    # every caption takes the place of another, so that their mean stays
    photo = np.roll(texts, 2, axis=0)
    table = shift_rows(reference_of(rows, images, texts), {"photo": photo}, RESAMPLING)
    first, told = by_measure(table, "plain"), by_measure(table, "photo")
    assert told["shift", ""]["value"] == pytest.approx(0, abs=1e-9)
    assert told["mean", TEXT]["value"] < first["mean", TEXT]["value"] - 0.2
    assert told["mean_unshifted", TEXT]["value"] == told["mean", TEXT]["value"]
    low, high = bounds_of(told, "mean_unshifted_change", TEXT)
    assert told["mean_unshifted_change", TEXT]["value"] == 0 and low < 0 < high


@pytest.mark.parametrize("seed", range(8))
def test_taking_the_shift_off_moves_no_rank_from_image_to_text(seed):
    rows, images, texts = collection(COUNTS, seed=seed, dim=5, noise=1.5, twins=seed % 2 == 0)
    photo = moved(texts, 1.5, seed)
    shift = (photo.astype(float) - texts).mean(axis=0)
    bare = unshifted(photo, shift)
    assert ranks_by_image(rows, images, bare) == ranks_by_image(rows, images, photo)
    # the first prompt would give other ranks, and so would unit length
    assert ranks_by_image(rows, images, texts) != ranks_by_image(rows, images, photo)
    assert np.linalg.norm(bare, axis=1).std() > 0.01


def test_a_caption_that_does_not_move_has_no_direction():
    rows, images, texts = collection([2, 2, 2])
    photo = texts.copy()
    photo[:3] = unit(texts[:3] + np.eye(6)[0])
    moves = (photo.astype(float) - texts)[:3]
    c = moves.sum(axis=0) / len(texts)
    lengths = np.linalg.norm(moves, axis=1) * np.linalg.norm(c)
    table = shift_rows(reference_of(rows, images, texts), {"photo": photo}, RESAMPLING)
    alike = by_measure(table, "photo")["shift_alike", ""]
    assert alike["value"] == pytest.approx(np.mean(moves @ c / lengths))
    assert alike["queries"] == 3


def test_equal_prompts_do_not_shift_and_win_nothing():
    rows, images, texts = collection(COUNTS)
    table = shift_rows(reference_of(rows, images, texts), {"same": texts}, RESAMPLING)
    told = by_measure(table, "same")
    assert ("shift_alike", "") not in told
    assert (told["shift", ""]["value"], *bounds_of(told, "shift")) == (0, 0, 0)
    assert told["mean_unshifted_change", TEXT]["value"] == 0
    assert told["mean_unshifted", TEXT] == {
        **by_measure(table, "plain")["mean", TEXT], "prompt": "same", "measure": "mean_unshifted"
    }  # fmt: skip


def test_one_image_is_always_found_and_its_shift_has_no_interval():
    rows, images, texts = collection([3])
    table = shift_rows(reference_of(rows, images, texts), {"photo": moved(texts, 1.0)}, RESAMPLING)
    told = by_measure(table, "photo")
    assert told["shift", ""]["value"] > 0 and bounds_of(told, "shift") == (None, None)
    for key in (("mean", TEXT), ("mean", IMAGE), ("mean_unshifted", TEXT)):
        assert told[key]["value"] == 1
    assert told["mean_unshifted_change", TEXT]["value"] == 0


def test_of_one_prompt_alone_and_of_scores_that_are_no_cosines_nothing_is_said(biased):
    rows, images, texts = collection(COUNTS)
    assert shift_rows(reference_of(rows, images, texts), {}, RESAMPLING) == []
    other = reference_of(rows, images, texts, biased)
    assert shift_rows(other, {"photo": moved(texts, 1.0)}, RESAMPLING) == []


def test_the_rule_reads_every_prompt_of_a_model_by_its_name(tmp_path):
    rows, images, texts = collection(COUNTS)
    reference = reference_of(rows, images, texts)
    under = {"photo": moved(texts, 1.0), "showing": moved(texts, 2.0, seed=6)}
    prompts = [("tiny", prompt) for prompt in under] + [("another", "photo")]
    task = job_of(tmp_path, reference, neighbours=3, hubs=2, prompts=prompts)
    task.input.runs, task.output.hubs = task.input.rankings, str(tmp_path / "hubs.csv")
    written = [
        write_features(tmp_path / model, f"texts.{prompt}", under[prompt], rows)
        for model, prompt in prompts
    ]
    task.input.prompted, task.input.prompted_sidecars = map(list, zip(*written, strict=True))
    study_geometry.main(task)
    table = [row for row in read_table(task.output.table) if row["group"] == SHIFT]
    expected = shift_rows(reference, under, Resampling(200, 0))
    assert [(row["prompt"], row["measure"], float(row["value"])) for row in table] == [
        (row["prompt"], row["measure"], row["value"]) for row in expected
    ]
