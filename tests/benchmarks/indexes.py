"""What building and asking an index costs as the gallery grows, and what it finds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml

from benchmarks.race import ROOT, Contender, race, row
from benchmarks.sizes import Work

DIMENSIONS = 512
FOUND = 10


def like_features(count: int, seed: int) -> np.ndarray:
    """(count, 512) float32 unit rows whose variance falls with the direction, as that of learnt
    features does; where all directions weigh alike nothing has near neighbours to be found."""
    weights = np.arange(1, DIMENSIONS + 1, dtype=np.float32) ** -0.5
    axes, _ = np.linalg.qr(np.random.default_rng(9).standard_normal((DIMENSIONS, DIMENSIONS)))
    turned = weights[:, None] * axes.astype(np.float32)
    lot = np.random.default_rng(seed)
    rows = np.empty((count, DIMENSIONS), dtype=np.float32)
    for start in range(0, count, 2**16):
        part = rows[start : start + 2**16]
        np.matmul(lot.standard_normal(part.shape, dtype=np.float32), turned, out=part)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return rows


def built(name: str, gallery: int, queries: int, threads: int) -> Callable[[], dict[str, Any]]:
    """Build an index by name, and ask it one query at a time."""
    from scripts.retrieve import indexes, ranking

    params = dict(entries()[name])
    kind = params.pop("kind")
    vectors, asked = like_features(gallery, 1), like_features(queries, 2)
    exact = ranking.top_k(asked, vectors, FOUND)[0]
    # the libraries are loaded and their threads started
    indexes.search(indexes.build("flat", {}, vectors[:100], threads), asked[:1], 1)

    def go() -> dict[str, Any]:
        start = time.perf_counter()
        index = indexes.build(kind, params, vectors, threads)
        ready = time.perf_counter()
        rows = [indexes.search(index, query[None], FOUND)[0][0] for query in asked]
        done = time.perf_counter()
        found = [np.isin(mine, those).mean() for mine, those in zip(rows, exact, strict=True)]
        return {
            "build": ready - start,
            "ask": done - ready,
            f"found@{FOUND}": float(np.mean(found)),
            "index_mb": indexes.memory_of(index) / 2**20,
        }

    return go


def entries() -> dict[str, dict[str, Any]]:
    """The indexes of the default configuration."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text("utf-8"))
    return config["indexes"]


def measure(work: Work) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    from benchmarks.growth import exponent

    size, rows, claims, notes = work.size, [], [], []
    for name in entries():
        builds, asks = [], []
        for wanted in size.galleries:
            gallery = wanted
            if builds:
                # as many as are built in time, were it to grow a little faster than a straight line
                last = builds[-1]
                fits = last["gallery"] * (size.build_seconds / last["median"]) ** (1 / 1.15)
                gallery = int(min(wanted, max(float(f"{fits:.1g}"), last["gallery"])))
            if builds and gallery == builds[-1]["gallery"]:
                break
            given = {"name": name, "gallery": gallery, "queries": size.growth_queries}
            given["threads"] = work.threads
            case = f"{gallery:,} items"
            who = Contender(name, "benchmarks.indexes:built", given)
            (both,) = race("growth", case, [who], 1, gallery, "items", work.log)
            facts, memory = both["facts"], {key: both[key] for key in ("peak_mb", "extra_mb")}
            for what, kept, items, unit in (
                ("build", builds, gallery, "items"),
                ("ask", asks, size.growth_queries, "queries"),
            ):
                turn = {"seconds": facts[what], "facts": facts} | memory
                one = row("growth", case, f"{name}, {what}", [turn], items, unit)
                kept.append(one | {"gallery": gallery})
            if gallery < wanted:
                notes.append(
                    f"{name}: {gallery:,} items instead of {wanted:,}, as many as are built in "
                    f"about {size.build_seconds:.0f} seconds."
                )
                break
        rows += builds + asks
        for what, kept in (("build", builds), ("ask", asks)):
            if len(kept) > 1:
                claims.append(exponent(f"{name}, {what}", kept, "median"))
    notes.append(
        "Indexes: the default configuration's, on made features whose variance falls with the "
        f"direction; asked one query at a time, {size.growth_queries} of them."
    )
    return rows, claims, notes
