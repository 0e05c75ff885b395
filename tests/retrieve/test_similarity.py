"""From features to rankings.npz, both ways."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from toy_features import Named, ranks_by_loops

from scripts.data.rows import read_rows, rows_of
from scripts.job import BadInput, digest_of_file
from scripts.protocol import TIE
from scripts.retrieve import gather_rankings, similarity
from scripts.retrieve.ranking import Blocks
from scripts.retrieve.scorers import fit, save_scorer
from scripts.retrieve.similarity import (
    KEYS,
    gathered,
    part_of,
    rankings_of,
    read_rankings,
    right_captions,
    right_images,
    write_rankings,
)

COSINE = fit("cosine", {}, {})


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def collection(rng: np.random.Generator, counts: list[int], d: int = 8):
    """Rows with these numbers of captions, and features in which captions lie near their image."""
    rows = rows_of(
        [f"{image}.jpg" for image in range(len(counts))],
        [[f"{image}, {place}" for place in range(count)] for image, count in enumerate(counts)],
    )
    images = unit(rng.normal(size=(len(counts), d)))
    texts = unit(images[rows.image_of_caption] + 0.8 * rng.normal(size=(len(rows.captions), d)))
    return rows, images, texts


def with_ties(rng: np.random.Generator, images: np.ndarray, texts: np.ndarray):
    """Some images and some captions become copies of others."""
    images, texts = images.copy(), texts.copy()
    for rows in (images, texts):
        copies = rng.choice(len(rows), len(rows) // 2)
        rows[copies] = rows[rng.choice(len(rows), len(copies))]
    return images, texts


def brute_force(rows, images, texts):
    """Ranks and ties of both directions by the definition, one comparison at a time."""
    scores = images.astype(float) @ texts.astype(float).T
    n, m = scores.shape
    by_text, by_image, text_ties, image_ties = [], [], [], []
    for caption in range(m):
        own = rows.image_of_caption[caption]
        bar = scores[own, caption] - TIE
        near = np.abs(scores - scores[own, caption]) <= TIE
        by_text.append(1 + sum(scores[i, caption] >= bar for i in range(n) if i != own))
        others = [c for c in range(m) if rows.image_of_caption[c] != own]
        by_image.append(1 + sum(scores[own, c] >= bar for c in others))
        text_ties.append(sum(near[i, caption] for i in range(n) if i != own))
        image_ties.append(sum(near[own, c] for c in others))
    return by_text, by_image, text_ties, image_ties


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    "counts",
    [[5] * 12, [1] * 20, [1, 7, 2, 1, 30, 3, 5, 1, 1, 4], [6], [1]],
    ids=["five captions", "one caption", "uneven captions", "one image", "one pair"],
)
def test_ranks_and_ties_equal_a_loop_over_all_pairs(counts, ties):
    rng = np.random.default_rng(len(counts))
    rows, images, texts = collection(rng, counts)
    if ties:
        images, texts = with_ties(rng, images, texts)
    by_text, by_image, text_ties, image_ties = brute_force(rows, images, texts)
    for block_mb in (1e-6, 1e-3, 256):
        found = rankings_of(images, texts, rows, COSINE, k=10, blocks=Blocks(block_mb))
        assert found["text_to_image_rank"].tolist() == by_text
        assert found["image_to_text_rank"].tolist() == by_image
        assert found["text_to_image_tied"].tolist() == text_ties
        assert found["image_to_text_tied"].tolist() == image_ties


def test_rankings_have_the_shapes_and_types_that_others_rely_on():
    rows, images, texts = collection(np.random.default_rng(0), [3, 1, 4])
    found = rankings_of(images, texts, rows, COSINE, k=5)
    kinds = {name: (array.shape, array.dtype.kind) for name, array in found.items()}
    assert kinds == {
        "rows": ((), "U"),
        "text_to_image_rank": ((8,), "i"),
        "text_to_image_score": ((8,), "f"),
        "text_to_image_tied": ((8,), "i"),
        "text_to_image_top": ((8, 3), "i"),
        "text_to_image_top_score": ((8, 3), "f"),
        "image_to_text_rank": ((8,), "i"),
        "image_to_text_tied": ((8,), "i"),
        "image_to_text_top": ((3, 5), "i"),
        "image_to_text_top_score": ((3, 5), "f"),
    }
    assert tuple(kinds) == KEYS
    own = (texts * images[rows.image_of_caption]).sum(axis=1)
    assert np.allclose(found["text_to_image_score"], own, atol=1e-6)


def test_captions_of_one_image_do_not_push_each_other_down():
    rows = rows_of(["a.jpg", "b.jpg"], [["a1", "a2", "a3"], ["b1"]])
    images = np.eye(2, dtype=np.float32)
    texts = unit(np.array([[1, 0], [0.9, 0.1], [0.1, 0.9], [0.5, 0.5]]))
    found = rankings_of(images, texts, rows, COSINE, k=4)
    # a3 is behind a1 and a2, which are right too, and behind b1, which is not; b1 is behind a3
    assert found["image_to_text_rank"].tolist() == [1, 1, 2, 2]
    # a3 resembles b's picture; b1 is tied between both, which counts against it
    assert found["text_to_image_rank"].tolist() == [1, 1, 2, 2]
    assert found["image_to_text_top"].tolist() == [[0, 1, 3, 2], [2, 3, 1, 0]]


def test_relevance_has_each_caption_once_in_order():
    rows, *_ = collection(np.random.default_rng(0), [2, 1, 3])
    images, captions = right_images(rows), right_captions(rows)
    of_images, of_captions = (
        sparse.csr_array((np.ones(6), one.indices, one.indptr), shape=one.shape).toarray()
        for one in (images, captions)
    )
    assert np.array_equal(of_images, of_captions.T) and of_images.sum() == 6
    assert captions.indices.tolist() == list(range(6))
    assert images.indices.tolist() == [0, 0, 1, 2, 2, 2]


@pytest.fixture
def job(tmp_path):
    """A job of rule similarity with its input files."""
    rng = np.random.default_rng(0)
    rows, images, texts = collection(rng, [2, 1, 3])
    captions = [
        {"image": name, "captions": rows.captions_of(i)} for i, name in enumerate(rows.images)
    ]
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    (tmp_path / "splits.json").write_text(json.dumps({"test": rows.images}))
    files = {}
    for name, features in (("images", images), ("texts", texts)):
        npy, sidecar = tmp_path / f"{name}.npy", tmp_path / f"{name}.json"
        np.save(npy, features)
        about = {"rows": rows.digest, "shape": features.shape, "sha256": digest_of_file(npy)}
        sidecar.write_text(json.dumps(about))
        files |= {name: [str(npy)], f"{name}_sidecars": [str(sidecar)]}
    save_scorer(tmp_path / "scorer.npz", COSINE)
    return Named(
        input=Named(
            **files,
            captions=str(tmp_path / "captions.json"),
            splits=str(tmp_path / "splits.json"),
            scorer=str(tmp_path / "scorer.npz"),
        ),
        output=Named(rankings=str(tmp_path / "rankings.npz")),
        params=Named(split="test", top_k=2, block_mb=1, device="cpu", shards=1),
        wildcards=Named(),
    )


def test_the_rule_writes_what_read_rankings_reads_with_the_same_bytes_each_time(job, tmp_path):
    similarity.main(job)
    first = (tmp_path / "rankings.npz").read_bytes()
    job.params.block_mb = 0.0001
    similarity.main(job)
    assert (tmp_path / "rankings.npz").read_bytes() == first
    rows = read_rows(job.input.captions, job.input.splits, "test")
    found = read_rankings(tmp_path / "rankings.npz", rows)
    assert found["text_to_image_top"].shape == (6, 2)


def shards_of(job, count: int, folder: Path) -> Named:
    """Rank in shards, and the job of rule gather_rankings on them."""
    parts = []
    for shard in range(count):
        parts.append(str(folder / f"part.{shard}.npz"))
        params = Named(**vars(job.params) | {"shards": count})
        output = Named(part=parts[-1])
        named = Named(shard=str(shard))
        similarity.main(Named(input=job.input, output=output, params=params, wildcards=named))
    files = {name: job.input[name] for name in ("captions", "splits")}
    return Named(
        input=Named(parts=parts, **files),
        output=Named(rankings=str(folder / "gathered.npz")),
        params=Named(split="test", top_k=job.params.top_k),
    )


@pytest.mark.parametrize("count", [1, 2, 3, 5])  # of 3 images and 6 captions
def test_shards_of_the_gallery_gather_to_the_same_bytes(job, tmp_path, count):
    similarity.main(job)
    gather_rankings.main(shards_of(job, count, tmp_path))
    gathered = (tmp_path / "gathered.npz").read_bytes()
    assert gathered == (tmp_path / "rankings.npz").read_bytes()


def test_a_shard_in_another_ones_place_or_of_other_rows_is_refused(job, tmp_path):
    gather = shards_of(job, 3, tmp_path)
    parts = gather.input.parts
    for wrong in (parts[::-1], parts[:2], [parts[0], parts[0], parts[2]]):
        gather.input.parts = wrong
        with pytest.raises(BadInput, match=r"part\.\d\.npz"):
            gather_rankings.main(gather)
    gather.input.parts = parts
    path = Path(job.input.captions)
    path.write_text(path.read_text("utf-8").replace("1, 0", "something else"), "utf-8")
    with pytest.raises(BadInput, match=r"part\.0\.npz"):
        gather_rankings.main(gather)


def test_many_shards_of_a_larger_collection_add_up_with_ties_and_a_bias():
    rng = np.random.default_rng(5)
    rows, images, texts = collection(rng, [1, 7, 2, 1, 30, 3, 5, 1, 1, 4])
    images, texts = with_ties(rng, images, texts)
    banks = {"bank_texts": texts, "bank_images": images, "kind": np.array("nnn")}
    banks |= {"neighbours": np.array([2, 3]), "weight": np.array([0.5, 0.25])}
    for scorer in (COSINE, banks):
        whole = rankings_of(images, texts, rows, scorer, k=10)
        for count in (2, 7, 60):
            features = {"images": images, "texts": texts}
            parts = [part_of(features, rows, scorer, 10, (n, count)) for n in range(count)]
            found = gathered(parts, rows, 10)
            assert list(found) == list(whole)
            for name, array in whole.items():
                assert found[name].dtype == array.dtype, name
                assert found[name].tobytes() == array.tobytes(), name


def test_a_device_that_is_not_there_is_told(job):
    pytest.importorskip("torch")
    for device in ("cuda:77", "nonsense"):
        job.params.device = device
        with pytest.raises(BadInput, match=rf"(?s)similarity\.device.*{device}"):
            similarity.main(job)


def test_ranking_on_the_cpu_loads_no_torch():
    code = """
import sys, numpy as np
from scripts.data.rows import rows_of
from scripts.retrieve.similarity import rankings_of
rows = rows_of(["a.jpg", "b.jpg"], [["a"], ["b"]])
rankings_of(np.eye(2, dtype="f4"), np.eye(2, dtype="f4"), rows, {"kind": np.array("cosine")}, 1)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


def test_two_models_are_ranked_by_the_sum_of_their_scores_under_a_fusion(job, tmp_path):
    for name in ("images", "texts"):
        npy, sidecar = tmp_path / f"other.{name}.npy", tmp_path / f"other.{name}.json"
        first = np.load(job.input[name][0])
        other = unit(np.random.default_rng(1).normal(size=(len(first), 5)))
        np.save(npy, other)
        about = json.loads(Path(job.input[f"{name}_sidecars"][0]).read_text())
        about |= {"shape": other.shape, "sha256": digest_of_file(npy)}
        sidecar.write_text(json.dumps(about))
        job.input[name].append(str(npy))
        job.input[f"{name}_sidecars"].append(str(sidecar))
    fusion = {"kind": "fusion", "with": "other", "width": 8, "weight": [0.3, 0.6]}
    save_scorer(job.input.scorer, {name: np.array(value) for name, value in fusion.items()})
    similarity.main(job)
    rows = read_rows(job.input.captions, job.input.splits, "test")
    found = read_rankings(tmp_path / "rankings.npz", rows)
    images, texts = ([np.load(path) for path in job.input[name]] for name in ("images", "texts"))
    scores = [a.astype(float) @ b.astype(float).T for a, b in zip(texts, images, strict=True)]
    fused = np.stack([w * scores[0] + (1 - w) * scores[1] for w in (0.3, 0.6)])
    by_text, _ = ranks_by_loops(fused, rows.image_of_caption, TIE)
    assert found["text_to_image_rank"].tolist() == by_text
    assert np.allclose(found["text_to_image_top_score"], -np.sort(-fused[0])[:, :2], atol=1e-6)
    assert np.allclose(found["image_to_text_top_score"], -np.sort(-fused[1].T)[:, :2], atol=1e-6)


def test_features_of_texts_in_place_of_images_are_refused(job):
    job.input.images, job.input.images_sidecars = job.input.texts, job.input.texts_sidecars
    with pytest.raises(BadInput, match=r"3 rows, .+ for each of the images"):
        similarity.main(job)


def test_captions_that_changed_since_the_encoding_are_refused(job):
    path = Path(job.input.captions)
    path.write_text(path.read_text("utf-8").replace("1, 0", "something else"), "utf-8")
    with pytest.raises(BadInput, match="another list of images and captions"):
        similarity.main(job)


def test_rankings_of_other_rows_or_damaged_ones_are_refused(tmp_path):
    rows, images, texts = collection(np.random.default_rng(0), [2, 1, 3])
    path = tmp_path / "rankings.npz"
    with pytest.raises(BadInput, match="no such file"):
        read_rankings(path, rows)
    found = rankings_of(images, texts, rows, COSINE, k=2)
    write_rankings(path, found)
    with pytest.raises(BadInput, match="another list"):
        read_rankings(path, rows_of(["x.jpg"], [["x"]]))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadInput, match=r"rankings\.npz"):
        read_rankings(path, rows)
    write_rankings(path, {"rows": found["rows"]})
    with pytest.raises(BadInput, match="the arrays"):
        read_rankings(path, rows)
