"""Judgments read back, and what they accept as right."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import pytest

from scripts.data.audit import Findings
from scripts.data.judgments import judgments_of
from scripts.data.place import Place
from scripts.data.ratings import COLUMNS, Rating, write_ratings
from scripts.data.rows import Rows, rows_of
from scripts.data.sources import SOURCES
from scripts.job import BadInput
from scripts.studies.judged import (
    Judgments,
    accepted,
    equal_captions,
    read_judgments,
    relevance,
)

ROWS = rows_of(["a.jpg", "b.jpg", "c.jpg"], [["one", "two"], ["three"], ["four", "five", "six"]])


def read(tmp_path: Path, ratings: list[Rating], rows: Rows = ROWS) -> Judgments:
    write_ratings(tmp_path / "judgments.csv", ratings)
    return read_judgments(tmp_path / "judgments.csv", rows)


def random_ratings(rows: Rows, seed: int) -> list[Rating]:
    """Experts by threes, a crowd, single grades; often for the same pairs."""
    lot = np.random.default_rng(seed)
    ratings = []
    for _ in range(150):
        image, caption_image = lot.choice(rows.images, 2)
        place = int(lot.integers(len(rows.captions_of(rows.images.index(caption_image)))))
        pair = (str(image), str(caption_image), place)
        if any((one.image, one.caption_image, one.caption) == pair for one in ratings[-9:]):
            continue
        grades = lot.integers(1, 5, 3)
        ratings += [Rating("expert", *pair, float(grade)) for grade in grades]
        if lot.random() < 0.5:
            votes = int(lot.integers(1, 5))
            yes = int(lot.integers(0, votes + 1))
            ratings.append(Rating("crowd", *pair, yes / votes, votes))
    return ratings


def test_ratings_come_back_as_rows_of_images_and_captions(tmp_path):
    found = read(
        tmp_path,
        [
            Rating("expert", "c.jpg", "a.jpg", 1, 3.0),
            Rating("crowd", "b.jpg", "b.jpg", 0, 2 / 3, 3),
            Rating("grammar", "a.jpg", "c.jpg", 2, 1.0),
        ],
    )
    assert found.image.tolist() == [2, 1, 0]
    assert [ROWS.captions[caption] for caption in found.caption] == ["two", "three", "six"]
    assert found.source.tolist() == ["expert", "crowd", "grammar"]
    assert found.rating.tolist() == [3.0, 2 / 3, 1.0]
    assert found.votes.tolist() == [1, 3, 1]
    assert found.own.tolist() == [False, True, False]


def test_ratings_of_other_splits_are_left_out(tmp_path):
    ratings = [
        Rating("expert", "z.jpg", "a.jpg", 0, 3.0),
        Rating("expert", "a.jpg", "z.jpg", 7, 3.0),
        Rating("expert", "a.jpg", "b.jpg", 0, 3.0),
    ]
    assert read(tmp_path, ratings).image.tolist() == [0]


def test_a_table_with_a_header_alone_has_no_ratings(tmp_path):
    found = read(tmp_path, [])
    assert len(found) == 0 and accepted(found).shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source,image\n", "line 1"),
        ("", "line 1"),
        (f"{','.join(COLUMNS)}\nexpert,a.jpg,b.jpg,0,3\n", "line 2"),
        (f"{','.join(COLUMNS)}\nexpert,a.jpg,b.jpg,0,good,1\n", "line 2"),
        (f"{','.join(COLUMNS)}\nexpert,a.jpg,b.jpg,1,3.0,1\n", "caption 1"),
        (f"{','.join(COLUMNS)}\nexpert,a.jpg,b.jpg,-1,3.0,1\n", "caption -1"),
    ],
)
def test_another_table_is_refused(tmp_path, text: str, told: str):
    path = tmp_path / "judgments.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(BadInput) as refused:
        read_judgments(path, ROWS)
    assert told in str(refused.value) and str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("source", "ratings", "lenient", "strict"),
    [
        ("expert", [3, 3, 1], True, False),
        ("expert", [2, 2, 4], False, False),
        ("expert", [4, 4, 1], True, True),
        ("expert", [4, 4, 3], True, True),
        ("expert", [4, 3, 3], True, False),
        ("grammar", [3], True, False),
        ("grammar", [4], True, True),
        ("grammar", [2], False, False),
        ("crowd", [0.5], False, False),
        ("crowd", [2 / 3], True, False),
        ("crowd", [1.0], True, True),
    ],
)
def test_medians_and_majorities_decide(tmp_path, source, ratings, lenient, strict):
    found = read(tmp_path, [Rating(source, "a.jpg", "b.jpg", 0, float(r)) for r in ratings])
    assert accepted(found).tolist() == ([[2, 0]] if lenient else [])
    assert accepted(found, strict=True).tolist() == ([[2, 0]] if strict else [])


@pytest.mark.parametrize("seed", range(4))
def test_what_is_accepted_equals_a_loop_over_all_ratings(tmp_path, seed):
    ratings = random_ratings(ROWS, seed)
    first = {"a.jpg": 0, "b.jpg": 2, "c.jpg": 3}
    for strict in (False, True):
        expected = set()
        of_pair: dict[tuple, list[float]] = {}
        for one in ratings:
            key = (one.source, first[one.caption_image] + one.caption, ROWS.images.index(one.image))
            of_pair.setdefault(key, []).append(one.rating)
        for (source, caption, image), values in of_pair.items():
            middle = statistics.median(values)
            least = (1.0 if strict else 0.5000001) if source == "crowd" else (4 if strict else 3)
            if middle >= least:
                expected.add((caption, image))
        found = accepted(read(tmp_path, ratings), strict)
        assert list(map(tuple, found.tolist())) == sorted(expected)


def test_equal_captions_are_equal_letter_for_letter():
    rows = rows_of(
        ["a", "b", "c"], [["A dog .", "A cat ."], ["a dog .", "A cat ."], ["A dog .", "A dog ."]]
    )
    pairs = {tuple(pair) for pair in equal_captions(rows).tolist()}
    assert pairs == {
        *((0, 0), (0, 2), (1, 0), (1, 1), (2, 1), (3, 0), (3, 1)),
        *((4, 0), (4, 2), (5, 0), (5, 2)),
    }


def test_the_own_image_stays_right_and_a_pair_counts_once():
    extra = np.array([[0, 2], [0, 2], [0, 0], [5, 1]])
    found = relevance(ROWS, extra)
    expected = np.zeros((6, 3), dtype=bool)
    expected[np.arange(6), ROWS.image_of_caption] = True
    expected[0, 2] = expected[5, 1] = True
    assert (found["text_to_image"].toarray() == expected).all()
    assert (found["image_to_text"].toarray() == expected.T).all()
    assert found["text_to_image"].nnz == found["image_to_text"].nnz == 8
    for matrix in found.values():
        for start, stop in zip(matrix.indptr, matrix.indptr[1:], strict=False):
            assert (np.diff(matrix.indices[start:stop]) > 0).all()


FLICKR8K = Path(__file__).resolve().parents[3] / "shared" / "flickr8k"


@pytest.mark.skipif(not FLICKR8K.is_dir(), reason="needs the archives in ../shared/flickr8k")
def test_the_counts_of_flickr8ks_judgments_are_the_known_ones(tmp_path):
    archives = SOURCES["archives"]
    place = Place(FLICKR8K, {"source": "flickr8k"})
    paths = archives.find(place)
    _, records = archives.read(place, paths, Findings())
    test = [record for record in records if record.split == "test"]
    rows = rows_of([one.image for one in test], [one.captions for one in test])
    captions_of = {one.image: one.captions for one in test}
    ratings = judgments_of(
        {"layout": "archives", "root": str(FLICKR8K), "files": [{"path": path} for path in paths]},
        {"source": "flickr8k"},
        captions_of,
        {"test": rows.images},
    )

    def others(*sources: str, strict: bool = False) -> np.ndarray:
        """Accepted pairs of a caption and an image other than its own."""
        kept = [one for one in ratings if one.source in sources]
        pairs = accepted(read(tmp_path, kept, rows), strict)
        return pairs[rows.image_of_caption[pairs[:, 0]] != pairs[:, 1]]

    assert len(others("expert")) == 671
    assert len(others("expert", strict=True)) == 155
    assert len(others("crowd")) == 2004
    either = others("expert", "crowd")
    assert len(either) == 2425
    captions, images = either.T
    assert (len(np.unique(images)), len(np.unique(captions))) == (711, 597)
