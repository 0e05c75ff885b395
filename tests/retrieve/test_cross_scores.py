"""Pairs are scored once each, as one by one, and an interrupted job goes on where it was."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_models import drawn_images, make_blip_matching
from toy_features import unit_rows

from scripts.data.prepared import read_image
from scripts.data.rows import Rows, read_rows
from scripts.job import digest_of_file, read_json
from scripts.models.cross_encoders import CrossEncoder, load_cross_encoder
from scripts.models.folder import write_provenance
from scripts.protocol import DIRECTIONS
from scripts.retrieve import cross_scores
from scripts.retrieve.reranking import NONE, queries_of, read_looked, relevant_of
from scripts.retrieve.scorers import fit, save_scorer

CAPTIONS = [["a dog", "two cats"], ["a red ball"], ["a dog", "x", "一只狗"], ["four"], ["a dog"]]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "blip"
    make_blip_matching(folder)
    write_provenance(folder, "blip", "local")
    return folder / "model.json"


def job_of(folder: Path, model: Path) -> SimpleNamespace:
    """What Snakemake would hand over: five pictures, of which the last is the first again."""
    pictures = folder / "images"
    pictures.mkdir(parents=True)
    names = [f"{place}.png" for place in range(5)]
    for name, image in zip(names, [*drawn_images()[:4], drawn_images()[0]], strict=True):
        image.save(pictures / name)
    sums = [hashlib.sha256((pictures / name).read_bytes()).hexdigest() for name in names]
    with (folder / "images.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["image", "sha256"], *zip(names, sums, strict=True)])
    records = [{"image": n, "captions": c} for n, c in zip(names, CAPTIONS, strict=True)]
    (folder / "captions.json").write_text(json.dumps(records))
    (folder / "splits.json").write_text(json.dumps({"test": names}))
    rows = rows_of_job(folder)
    rng = np.random.default_rng(0)
    files = {}
    for side, count in (("images", 5), ("texts", len(rows.captions))):
        npy = folder / f"{side}.npy"
        np.save(npy, unit_rows(rng.normal(size=(count, 6))))
        about = {"rows": rows.digest, "shape": [count, 6], "sha256": digest_of_file(npy)}
        npy.with_suffix(".json").write_text(json.dumps(about))
        files |= {side: [str(npy)], f"{side}_sidecars": [str(npy.with_suffix(".json"))]}
    save_scorer(folder / "scorer.npz", fit("cosine", {}, {}))
    given = {name: str(folder / f"{name}.json") for name in ("captions", "splits")}
    given |= {"scorer": str(folder / "scorer.npz"), "table": str(folder / "images.csv")}
    given |= {"pictures": str(pictures), "reranker": str(model)}
    return SimpleNamespace(
        input=SimpleNamespace(**files, **given),
        output=SimpleNamespace(scores=str(folder / "c.npz"), cost=str(folder / "c.json")),
        params=SimpleNamespace(
            depth=3, batch_size=2, device="cpu", precision="float32", code="of now"
        ),
        wildcards=SimpleNamespace(split="test"),
        threads=2,
    )


def rows_of_job(folder: Path) -> Rows:
    return read_rows(folder / "captions.json", folder / "splits.json", "test")


@pytest.fixture
def scored(monkeypatch) -> Counter:
    """How often each text was scored beside some picture."""
    found: Counter = Counter()
    plain = CrossEncoder.scores

    def counted(self, seen, tokens):
        found.update(map(tuple, tokens))
        return plain(self, seen, tokens)

    monkeypatch.setattr(CrossEncoder, "scores", counted)
    return found


def test_scores_are_those_of_each_pair_by_itself(model, tmp_path, scored):
    snakemake = job_of(tmp_path, model)
    cross_scores.main(snakemake)
    count = scored.total()
    rows = rows_of_job(tmp_path)
    looked = read_looked(snakemake.output.scores, rows)
    encoder = load_cross_encoder(model.parent, "cpu")
    sums = [hashlib.sha256((tmp_path / "images" / one).read_bytes()).hexdigest()
            for one in rows.images]  # fmt: skip
    pictures = [
        read_image(tmp_path / "images" / one, digest)
        for one, digest in zip(rows.images, sums, strict=True)
    ]
    read = encoder.read(rows.captions)
    expected = np.array(
        [[encoder.scores(encoder.see(one), [text])[0] for text in read] for one in pictures]
    )
    asked = set()
    for way in DIRECTIONS:
        table = expected.T if way == "text_to_image" else expected
        own, relevant = looked[way], relevant_of(rows, way)
        there = own.wrong != NONE
        found = np.take_along_axis(table, np.where(there, own.wrong, 0), axis=1)
        assert own.wrong_second[there] == pytest.approx(found[there], abs=1e-4)
        queries = queries_of(relevant)
        assert own.second == pytest.approx(table[queries, relevant.indices], abs=1e-4)
        pairs = [*zip(*np.nonzero(there), strict=True)]
        pairs = [(query, own.wrong[query, place]) for query, place in pairs]
        pairs += [*zip(queries, relevant.indices, strict=True)]
        turned = way == "text_to_image"
        asked |= {(p[1], p[0]) if turned else (p[0], p[1]) for p in pairs}
    # pairs of the same picture and the same words are one, and are scored once
    distinct = {(sums[image], rows.captions[caption]) for image, caption in asked}
    assert count == len(distinct) < len(asked)
    cost = read_json(snakemake.output.cost)
    assert cost["pairs"] == count and cost["seconds_per_pair"] > 0
    assert cost["device"] == "cpu" and cost["precision"] == "float32"
    assert not list(tmp_path.glob("*.parts"))


def test_an_interrupted_job_goes_on_where_it_was(model, tmp_path, scored, monkeypatch):
    whole = job_of(tmp_path / "whole", model)
    monkeypatch.setattr(cross_scores, "BLOCK", 1)
    cross_scores.main(whole)
    every = scored.total()
    broken = job_of(tmp_path / "broken", model)
    with monkeypatch.context() as broken_off:

        def stop(path, looked, rows):
            raise KeyboardInterrupt

        broken_off.setattr(cross_scores, "write_looked", stop)
        with pytest.raises(KeyboardInterrupt):
            cross_scores.main(broken)
    kept = sorted(Path(f"{broken.output.scores}.parts").rglob("*.npz"))
    assert len(kept) == 4
    kept[-1].unlink()
    scored.clear()
    cross_scores.main(broken)
    assert 0 < scored.total() < every / 2
    assert Path(broken.output.scores).read_bytes() == Path(whole.output.scores).read_bytes()


def test_what_other_code_had_scored_is_not_taken(model, tmp_path, scored, monkeypatch):
    snakemake = job_of(tmp_path, model)
    with monkeypatch.context() as broken_off:
        broken_off.setattr(cross_scores, "write_looked", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cross_scores.main(snakemake)
    every = scored.total()
    scored.clear()
    snakemake.params.code, snakemake.params.batch_size = "of later", "auto"
    cross_scores.main(snakemake)
    assert scored.total() == every
