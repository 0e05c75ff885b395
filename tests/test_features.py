"""Features imported equal features encoded: the same bytes, whatever the form and the order."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from features_from_elsewhere import in_npy, in_parquet, of_clip_retrieval
from small_runs import RUN, SMALL, outcome

from scripts.data.rows import Rows, read_rows
from scripts.encode.import_features import features_of
from scripts.models.find_features import find_features

SPLITS = ("train", "val", "test")


def rows_of(folder: Path, split: str) -> Rows:
    return read_rows(
        *(folder / f"data/scenes/{name}.json" for name in ("captions", "splits")), split
    )


def encoded(folder: Path, split: str) -> dict[str, np.ndarray]:
    run = folder / RUN / "clip-tiny" / split
    return {"images": np.load(run / "images.npy"), "texts": np.load(run / "texts.plain.npy")}


def left_elsewhere(form: str, folder: Path, at: Path) -> dict:
    """All that the finished run encoded of its first prompt, shuffled, as others leave it."""
    images, captions, vectors, pictures = [], [], [], []
    for split in SPLITS:
        rows, made = rows_of(folder, split), encoded(folder, split)
        images += [rows.images[row] for row in rows.image_of_caption]
        captions += rows.captions
        pictures += list(made["images"][rows.image_of_caption])
        vectors += list(made["texts"])
    order = np.random.default_rng(0).permutation(len(captions))
    images, captions = ([own[row] for row in order] for own in (images, captions))
    pictures, vectors = (np.array(own)[order] for own in (pictures, vectors))
    if form == "clip-retrieval":
        names = [f"/home/me/photos/{name}" for name in images]
        of_clip_retrieval(at, pictures, vectors, names, captions, part=300)
    else:
        write = in_parquet if form == "parquet" else in_npy
        first = [images.index(name) for name in dict.fromkeys(images)]
        names = [images[row] for row in first]
        write(at / f"images.{form}", pictures[first], image=names)
        write(at / f"texts.{form}", vectors, image=images, caption=captions)
    return {"source": "features", "path": str(at), "prompts": ["plain"]}


@pytest.mark.parametrize("form", ["parquet", "npy", "clip-retrieval"])
def test_every_split_comes_back_bit_by_bit(finished_run, tmp_path, form):
    entry = left_elsewhere(form, finished_run.folder, tmp_path / "theirs")
    find_features(entry, tmp_path / "api", "api")
    about = json.loads((tmp_path / "api/model.json").read_text("utf-8"))
    every = [image for split in SPLITS for image in rows_of(finished_run.folder, split).images]
    for split in SPLITS:
        rows = rows_of(finished_run.folder, split)
        for side, made in encoded(finished_run.folder, split).items():
            found = features_of(about, side, rows, every, {"plain": ["{}"]})
            assert found.tobytes() == made.tobytes(), (split, side)


def test_scorers_tables_and_indexes_are_the_same_to_the_byte(finished):
    left_elsewhere("clip-retrieval", finished.folder, finished.folder / "theirs")
    before = outcome(finished.folder)
    (finished.folder / "api.yaml").write_text(
        "run: {models: [api], prompts: [plain], scorers: [cosine, nnn], indexes: [flat],"
        " studies: [gallery]}\n"
        "models: {api: {source: features, path: theirs}}\n"
    )
    index = f"{RUN}/api/plain/cosine/index.flat.text_to_image.faiss"
    tables = [f"{RUN}/tables/{name}.csv" for name in ("metrics", "pairs", "gallery")]
    finished.snakemake(index, *tables, *SMALL, "api.yaml")
    after = {
        path.replace("api/", "clip-tiny/"): content.replace(b"api,", b"clip-tiny,")
        for path, content in outcome(finished.folder).items()
        if path.startswith(("api/", "tables/"))
    }
    made = [path for path in after if not path.startswith("tables/")]
    # features of three splits, scorers and ranks of two runs, an index both ways
    assert len(made) == 6 + 4 + 2 * 2
    # a sidecar names the model, whose model.json is another
    same = [path for path in made if not path.endswith(".json")] + ["tables/gallery.csv"]
    for path in same:
        assert after[path] == before[path], path
    rows, whole = (of["tables/metrics.csv"].splitlines() for of in (after, before))
    assert len(rows) == 1 + 2 * 2 and set(rows) < set(whole)
    # of all runs together it is judged which differences count, not how large they are
    pairs = [differences(of["tables/pairs.csv"]) for of in (after, before)]
    # of both directions together, and of each
    assert len(pairs[0]) == 3 and pairs[0] <= pairs[1]


def differences(table: bytes) -> set[tuple[str, ...]]:
    """Rows of pairs.csv without what depends on how many there are."""
    rows = csv.DictReader(table.decode("utf-8").splitlines())
    return {tuple(row[name] for name in row if name not in ("p_holm", "verdict")) for row in rows}


def test_each_model_is_asked_for_what_it_has_and_nothing_is_computed_for_features(finished):
    both = "run: {models: [clip-tiny, api], combinations: each, scorers: [cosine]}\n"
    api = "models: {api: {source: features, path: theirs}}\nencode: {precision: auto}\n"
    (finished.folder / "api.yaml").write_text(both + api)
    jobs = finished.planned("--configfile", "config/small.yaml", "api.yaml").jobs
    assert jobs["find_features"] == jobs["choose_precision"] == 1
    # images of three splits for leakage, and texts of test: photo and depicts are clip-tiny's
    assert jobs["import_features"] == 3 + 1 and jobs["encode_damaged"] == 1
    assert jobs["similarity"] == 2 + 1
    (finished.folder / "shards.yaml").write_text("encode: {shard_size: 64}\n")
    shared = finished.planned(f"{RUN}/api/test/images.npy", *SMALL, "api.yaml", "shards.yaml")
    assert shared.jobs == {"find_features": 1, "import_features": 1}
