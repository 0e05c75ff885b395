"""Agreement of scores with people, against scipy on rows put together by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau
from small_run import COUNTS, collection, job_of, read_table, reference_of, write_features_of

from scripts.data.ratings import Rating, write_ratings
from scripts.data.rows import Rows
from scripts.job import BadInput
from scripts.studies import study_judgments
from scripts.studies.judged import read_judgments
from scripts.studies.study_judgments import clip_scores, judgment_rows
from scripts.studies.table import COLUMNS


def ratings_of(rows: Rows) -> list[Rating]:
    """Experts, a crowd and the grammar, own pairs among them."""
    lot = np.random.default_rng(0)
    ratings = []
    for image in rows.images:
        for caption_image in [image, *lot.choice(rows.images, 5)]:
            pair = (image, str(caption_image), 0)
            grades = lot.integers(1, 5, 3) if image != caption_image else [4, 4, 3]
            ratings += [Rating("expert", *pair, float(grade)) for grade in grades]
            yes = int(lot.integers(0, 4)) if image != caption_image else 3
            ratings.append(Rating("crowd", *pair, yes / 3, 3))
            ratings.append(Rating("grammar", *pair, float(lot.integers(1, 5))))
    return ratings


def done(folder: Path, ratings: list[Rating] | None = None, seed: int = 0):
    """The finished job, and what it was made of."""
    rows, images, texts = collection(COUNTS, seed=seed, noise=3)
    reference = reference_of(rows, images, texts)
    job = job_of(folder, reference, prompt="depicts", resamples=300)
    # captions in another prompt have other features than those of the run
    depicts = np.roll(texts, 1, axis=1)
    npy, sidecar = write_features_of(folder / "results" / "tiny" / "test", "depicts", depicts, rows)
    job.input.texts_judged, job.input.texts_judged_sidecars = [npy], [sidecar]
    job.input.judgments = str(folder / "judgments.csv")
    ratings = ratings_of(rows) if ratings is None else ratings
    write_ratings(job.input.judgments, ratings)
    study_judgments.main(job)
    return job, rows, images, depicts, ratings


def test_taus_are_scipys_on_rows_put_together_by_hand(tmp_path):
    job, rows, images, texts, ratings = done(tmp_path)
    table = {row["group"]: row for row in read_table(job.output.table)}
    assert len(table) == 6
    first = {
        image: rows.captions.index(rows.captions_of(i)[0]) for i, image in enumerate(rows.images)
    }
    for source, variant in (("expert", "c"), ("crowd", "b"), ("grammar", "c")):
        for kept in ("kept", "left out"):
            scores, people = [], []
            for one in ratings:
                if one.source != source or (kept == "left out" and one.image == one.caption_image):
                    continue
                cosine = float(
                    np.dot(
                        images[rows.images.index(one.image)].astype(float),
                        texts[first[one.caption_image]].astype(float),
                    )
                )
                scores.append(2.5 * max(cosine, 0))
                people.append(one.rating)
            assert scores.count(0.0) > 1, "no scores are cut off at zero"
            row = table[f"{source}, self pairs {kept}"]
            assert row["measure"] == f"tau_{variant}"
            expected = kendalltau(scores, people, variant=variant).statistic
            assert float(row["value"]) == pytest.approx(expected, abs=1e-9)
            assert int(row["queries"]) == len(scores)
            assert float(row["low"]) < float(row["value"]) < float(row["high"])
            assert (row["model"], row["prompt"], row["direction"]) == ("tiny", "depicts", "")


def test_scores_are_two_and_a_half_cosines_and_never_negative(tmp_path):
    rows, images, texts = collection(COUNTS, seed=1, noise=3)
    write_ratings(tmp_path / "judgments.csv", ratings_of(rows))
    judgments = read_judgments(tmp_path / "judgments.csv", rows)
    cosines = (texts.astype(float) @ images.T.astype(float))[judgments.caption, judgments.image]
    found = clip_scores(images, texts, judgments)
    assert found == pytest.approx(2.5 * np.clip(cosines, 0, None), abs=1e-12)
    assert (found == 0).any() and (found > 1).any()


def test_scores_that_follow_the_ratings_agree_and_scores_against_them_disagree(tmp_path):
    rows, *_ = collection(COUNTS)
    write_ratings(tmp_path / "judgments.csv", ratings_of(rows))
    judgments = read_judgments(tmp_path / "judgments.csv", rows)
    resampling = study_judgments.Resampling(100, 0)
    for sign in (1, -1):
        table = judgment_rows("tiny", "depicts", sign * judgments.rating, judgments, resampling)
        assert all(sign * row["value"] > 0.95 for row in table)
        assert all(row["low"] <= row["value"] <= row["high"] for row in table)


def test_without_judgments_there_is_a_header_alone(tmp_path):
    job, *_ = done(tmp_path, ratings=[])
    assert Path(job.output.table).read_text("utf-8") == ",".join(COLUMNS) + "\n"


def test_self_pairs_alone_are_given_only_where_they_are_kept(tmp_path):
    rows, *_ = collection(COUNTS)
    ratings = [
        Rating("grammar", image, image, 0, float(1 + place % 4))
        for place, image in enumerate(rows.images)
    ]
    job, *_ = done(tmp_path, ratings)
    assert [row["group"] for row in read_table(job.output.table)] == ["grammar, self pairs kept"]


def test_raters_who_all_say_the_same_give_no_tau(tmp_path):
    ratings = [Rating("crowd", f"{i}.jpg", f"{i + 1}.jpg", 0, 1.0, 3) for i in range(9)]
    job, *_ = done(tmp_path, ratings)
    for row in read_table(job.output.table):
        assert (row["value"], row["low"], row["high"]) == ("", "", "")
        assert row["queries"] == "9"


def test_the_table_is_the_same_again(tmp_path):
    one, *_ = done(tmp_path / "one")
    other, *_ = done(tmp_path / "other")
    assert Path(one.output.table).read_bytes() == Path(other.output.table).read_bytes()


def test_texts_of_other_captions_are_refused(tmp_path):
    job, _, images, *_ = done(tmp_path)
    fewer, _, _ = collection(COUNTS[:-1])
    npy, sidecar = write_features_of(tmp_path, "other", images, fewer)
    job.input.texts_judged, job.input.texts_judged_sidecars = [npy], [sidecar]
    with pytest.raises(BadInput, match="another list"):
        study_judgments.main(job)
