"""Whatever is replaced of features from elsewhere is noticed, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from replaced import PHOTO, in_place, written
from test_watched import anew, at_work, kept  # noqa: F401, the first is a fixture of each test

from scripts import watched


def features(path: Path) -> str:
    return watched.contents_of_features.__wrapped__(str(path))


@pytest.mark.parametrize(
    ("path", "seen", "unseen"),
    [
        (".", ["images.parquet", "texts.npy", "texts.tsv", "img_emb/0.npy", "metadata/0.parquet"],
         ["notes.txt", "other/x.npy"]),
        ("texts.npy", ["texts.npy", "texts.tsv"], ["images.parquet", "texts.2.npy"]),
    ],
)  # fmt: skip
def test_of_features_the_files_that_may_hold_them_are_watched(
    tmp_path, path, seen, unseen, monkeypatch
):
    folder = tmp_path / "features"
    for name in (*seen, *unseen):
        written(folder / name, PHOTO)
    for name in seen:
        before = kept(features, folder / path, monkeypatch)
        in_place(folder / name)
        assert (after := features(folder / path)) != before, name
        assert anew(features, folder / path) == after
    for name in unseen:
        in_place(folder / name)
        assert features(folder / path) == after, name


def test_features_side_by_side_are_each_read_once(tmp_path, monkeypatch):
    for name in ("images.npy", "texts.npy"):
        kept(features, written(tmp_path / "f" / name, PHOTO), monkeypatch)
    monkeypatch.setattr(watched, "_sum", lambda path: pytest.fail(f"read again: {path}"))
    for name in ("images.npy", "texts.npy"):
        features(tmp_path / "f" / name)
