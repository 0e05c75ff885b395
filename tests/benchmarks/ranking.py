"""Features to ranks: against clip_benchmark's recall_at_k, and against a million items."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.race import Contender, claimed, faster, named, race
from benchmarks.sizes import Work

AT = (1, 5, 10)
BOTH = ("text_to_image", "image_to_text")
# what clip_benchmark hands to recall_at_k at a time: its batch of images
BATCH = 64
CLAIM = "as fast as clip_benchmark's recall_at_k"


def _relevant(direction: str, images: int):
    from scipy import sparse

    from benchmarks.material import CAPTIONS_PER_IMAGE

    texts = np.arange(images * CAPTIONS_PER_IMAGE)
    ones = np.ones(len(texts), dtype=bool)
    found = sparse.csr_array((ones, (texts, texts // CAPTIONS_PER_IMAGE)))
    return found if direction == "text_to_image" else sparse.csr_array(found.T)


def ours(direction: str, images: int) -> Callable[[], dict[str, Any]]:
    """The ranks of all right answers and the ten best, from which intervals are made."""
    from benchmarks.material import images_and_captions
    from scripts.retrieve.ranking import rank

    gallery, texts = images_and_captions(images)
    queries, gallery = (texts, gallery) if direction == "text_to_image" else (gallery, texts)
    relevant = _relevant(direction, images)
    rank(queries[:32], gallery, relevant[:32], 10)

    def go() -> dict[str, Any]:
        ranking = rank(queries, gallery, relevant, 10)
        best = np.minimum.reduceat(ranking.rank, relevant.indptr[:-1])
        return {f"recall@{k}": float(np.mean(best <= k)) for k in AT}

    return go


def theirs(direction: str, images: int, threads: int) -> Callable[[], dict[str, Any]]:
    """What clip_benchmark's ``evaluate`` does with its features, for one direction."""
    from scripts.models.backends.open_clip import open_torchvision

    open_torchvision()
    import torch
    from clip_benchmark.metrics.zeroshot_retrieval import batchify, recall_at_k

    from benchmarks.material import CAPTIONS_PER_IMAGE, images_and_captions

    torch.set_num_threads(threads)
    images_emb, texts_emb = map(torch.from_numpy, images_and_captions(images))
    texts_image_index = (torch.arange(len(texts_emb)) // CAPTIONS_PER_IMAGE).tolist()
    torch.mm(texts_emb[:32], images_emb[:32].T)

    def go() -> dict[str, Any]:
        scores = texts_emb @ images_emb.t()
        positive = torch.zeros_like(scores, dtype=bool)
        positive[torch.arange(len(scores)), texts_image_index] = True
        if direction == "image_to_text":
            scores, positive = scores.T, positive.T
        found = {}
        for k in AT:
            recall = batchify(recall_at_k, scores, positive, BATCH, "cpu", k=k)
            found[f"recall@{k}"] = (recall > 0).float().mean().item()
        return found

    return go


def against_many(queries: int, gallery: int) -> Callable[[], dict[str, Any]]:
    """Queries with one right answer each, against ``gallery`` items of 512 dimensions."""
    from scipy import sparse

    from benchmarks.material import features
    from scripts.retrieve.ranking import rank

    items, asked = features(gallery, 3), features(queries, 4)
    lot = np.random.default_rng(5)
    answers = lot.integers(0, gallery, queries)
    asked += 0.2 * items[answers]
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    everyone = np.arange(queries)
    relevant = sparse.csr_array(
        (np.ones(queries, dtype=bool), (everyone, answers)), shape=(queries, gallery)
    )
    rank(asked[:4], items[:1000], sparse.csr_array(np.eye(4, 1000, dtype=bool)), 10)

    def go() -> dict[str, Any]:
        start, times = time.perf_counter(), 0
        while not times or time.perf_counter() - start < 0.3:
            # small galleries are over too soon for one clock reading
            ranking = rank(asked, items, relevant, 10)
            times += 1
        return {"times": times, "recall@10": float(np.mean(ranking.rank <= 10))}

    return go


def measure(work: Work) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    size, rows, claims, notes = work.size, [], [], []
    seconds: dict[str, list[list[float]]] = {}
    for direction in BOTH:
        given = {"direction": direction, "images": size.ranked_images}
        contenders = [Contender("ours", "benchmarks.ranking:ours", given)]
        if work.outside:
            more = given | {"threads": work.threads}
            contenders.append(
                Contender("recall_at_k", "benchmarks.ranking:theirs", more, outside=True)
            )
        queries = size.ranked_images * (5 if direction == "text_to_image" else 1)
        own = race("ranking", direction, contenders, size.rank_rounds, queries, "queries", work.log)
        rows += own
        if work.outside:
            we, they = named(own, "ours"), named(own, "recall_at_k")
            # the goal is of 5,000 x 25,000: the other way round, recall_at_k can be so quick that
            # a fifth of its time would not do for the product of the matrices
            goal = 5 if direction == "image_to_text" else None
            claims.append(faster(CLAIM, we, they, goal))
            for one in (we, they):
                seconds.setdefault(one["contender"], []).append(one["seconds"])
            share = we["extra_mb"] / they["extra_mb"]
            claims.append(claimed("of its extra memory", we, [share], "", 0.1, at_most=True))
            apart = max(abs(we["facts"][name] - they["facts"][name]) for name in we["facts"])
            claims.append(claimed("largest difference in recall", we, [apart], ""))
    if seconds:
        we, they = ([sum(turn) for turn in zip(*each, strict=True)] for each in seconds.values())
        ratios = [slow / quick for slow, quick in zip(they, we, strict=True)]
        claims.append(claimed(CLAIM, rows[0] | {"case": "both directions"}, ratios, "times", 5))
    largest = size.galleries[-1]
    given = {"queries": size.queries, "gallery": largest}
    (many,) = race(
        "ranking",
        f"{size.queries:,} × {largest:,}",
        [Contender("ours", "benchmarks.ranking:against_many", given)],
        1,
        size.queries,
        "queries",
        work.log,
    )
    rows.append(many)
    claims.append(
        claimed("MB beyond the features", many, [many["extra_mb"]], "", 2048, at_most=True)
    )
    notes.append(
        f"Five captions for each of {size.ranked_images:,} images, 512 dimensions, made features; "
        "both sides give recall@1, 5 and 10, ours the rank of every right answer and the ten best "
        "besides."
    )
    return rows, claims, notes
