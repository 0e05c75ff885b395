"""Tables of studies that never were, in the shape and with the labels of the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scripts.data.rows import SPLITS
from scripts.measures import HEADLINE, MEANS, RECALLS
from scripts.studies.study_errors import WORDED
from scripts.studies.study_indexes import COSTS
from scripts.studies.study_precision import COMPARED
from scripts.studies.table import FIT, SHIFT, About, Row, range_rows, row, write_rows

WAYS = ("text_to_image", "image_to_text")
STUDIES = (
    "relevance", "judgments", "published", "prompts", "scorers", "seeds", "gallery", "captions",
    "categories", "robustness", "geometry", "errors", "confidence", "leakage", "indexes",
    "precision", "reranking",
)  # fmt: skip
# as in config/config.yaml
FIGURES = {
    "relevance": {"measures": ["recall@1", "r_precision", "map@r"]},
    "prompts": {"measures": ["mean"]},
    "scorers": {"measures": ["mean"]},
    "judgments": {"form": "none"},
    "seeds": {"form": "none", "measures": ["mean"]},
    "gallery": {"form": "lines", "log": True, "measures": ["recall@1", "recall@5", "recall@10"]},
    "captions": {"form": "lines", "measures": ["recall@1", "recall@10"]},
    "categories": {"measures": ["recall@10"]},
    "robustness": {"form": "lines", "measures": ["recall@10"]},
    "geometry": {"form": "none"},
    "errors": {"measures": ["share"]},
    "confidence": {"form": "lines", "measures": ["risk"]},
    "leakage": {"measures": ["recall@1", "recall@10"]},
    "indexes": {"form": "differences", "log": True, "measures": ["recall@10"]},
    "precision": {"measures": ["recall@1", "recall@5", "recall@10", "mean"]},
    "reranking": {"form": "lines", "log": True, "measures": ["recall@1", "bound"]},
}


def settings_of(study: str, title: dict[str, str] | None = None) -> dict[str, Any]:
    """A study's part of the configuration, with the schema's defaults."""
    figure = {"form": "points", "measures": [], "log": False} | FIGURES.get(study, {})
    return {"figure": figure, "title": title or {}}


def write_studies(folder: Path, keys: list[tuple[str, str, str]], queries: int, seed: int) -> None:
    """Write ``<study>.csv`` of every study that has one to ``folder``."""
    models = list(dict.fromkeys(key[0] for key in keys))
    references = [next(key for key in keys if key[0] == model) for model in models]
    lot = np.random.default_rng(seed)
    for study, make in MAKERS.items():
        rows = [one for key in references for one in make(key, queries, lot)]
        write_rows(folder / f"{study}.csv", rows)
    write_rows(folder / "index_costs.csv", list(index_costs(keys[0])), COSTS)


def around(value: float, width: float = 0.03) -> tuple[float, float]:
    return max(0.0, value - width), value + width


def recalls(key, way, group, level, queries, x=None, measures=HEADLINE) -> list[Row]:
    """Recalls around ``level``, each with an interval."""
    shares = {"recall@1": 0.5, "recall@5": 0.8, "recall@10": 1.0, "mean": 0.77}
    values = {name: level * shares.get(name, 0.6) for name in measures}
    about = About(key, way, group, x)
    return [row(about, name, value, queries, around(value)) for name, value in values.items()]


def changed(about: About, measure: str, value: float, queries: int) -> Row:
    """A paired difference, with an interval."""
    return row(about, measure, value, queries, (value - 0.02, value + 0.02))


def ranged(about: About, value: float, queries: int) -> list[Row]:
    """How far the best and the worst are apart, and how often chance alone has them so."""
    return range_rows(about, (value, 0.0123), queries)


def relevance(key, queries: int, lot) -> Iterator[Row]:
    measures = (*HEADLINE, "r_precision", "map@r")
    for way in WAYS:
        for of in ("all queries", "judged queries"):
            for step, rule in enumerate(("own", "duplicates", "people", "people strict")):
                level = 0.4 + 0.05 * step + lot.uniform(0, 0.02)
                yield from recalls(key, way, f"{rule} / {of}", level, queries, measures=measures)
                if step:
                    about = About(key, way, f"{rule} / {of}")
                    yield changed(about, "recall@1_change", 0.025 * step, queries)


def judgments(key, queries: int, lot) -> Iterator[Row]:
    for group in ("expert, self pairs left out", "expert, self pairs kept"):
        yield row(About(key, "", group), "tau_c", 0.41 + lot.uniform(0, 0.02), 5664, (0.39, 0.45))
    for group in ("crowd, self pairs left out", "crowd, self pairs kept"):
        yield row(About(key, "", group), "tau_b", 0.29 + lot.uniform(0, 0.02), 47830, (0.27, 0.33))


def published(key, queries: int, lot) -> Iterator[Row]:
    group = "ViT-B-32 openai (CLIP_benchmark)"
    for way, theirs in zip(WAYS, (0.54, 0.61), strict=True):
        yield row(About(key, way, group), "recall@5", 0.52, queries, (0.49, 0.55))
        yield row(About(key, way, group), "published", theirs, queries)
        yield row(About(key, way, group), "difference", 0.52 - theirs, queries)
        yield row(About(key, way, group), "agrees", float(abs(0.52 - theirs) <= 0.003), queries)


def seeds(key, queries: int, lot) -> Iterator[Row]:
    for way in WAYS:
        for seed in range(3):
            yield from recalls(key, way, f"adapter, seed {seed}", 0.5 + 0.01 * seed, queries)
        yield from recalls(key, way, "adapter, mean", 0.51, queries)
        yield from ranged(About(key, way, "adapter, mean"), 0.0154, queries)


def gallery(key, queries: int, lot) -> Iterator[Row]:
    for way in WAYS:
        for step, size in enumerate((10, 20, 50, 60)):
            names = ("recall@1", "recall@5", "recall@10")
            yield from recalls(key, way, "", 0.95 - 0.12 * step, queries, size, names)
            if step:
                yield changed(About(key, way, x=size), "recall@1_change", -0.06 * step, queries)


def captions(key, queries: int, lot) -> Iterator[Row]:
    for x in (8.21, 11.4, 15.02, 31.7):
        yield from recalls(key, WAYS[0], "length", 0.4 + x / 100, queries // 4, x)
    yield from ranged(About(key, WAYS[0], "length"), 0.2349, queries)
    for x in (31.7, 55.02, 93.4):
        yield from recalls(key, WAYS[0], "agreement", 0.3 + x / 200, queries // 4, x)
    yield from ranged(About(key, WAYS[0], "agreement"), 0.3, queries)
    for way, group in zip(WAYS, ("captions together", "captions per image"), strict=True):
        for x in (1, 2, 3):
            yield from recalls(key, way, group, 0.4 + 0.1 * x, queries, x)
            if x > 1:
                about = About(key, way, group, x)
                yield changed(about, "recall@10_change", 0.1 * (x - 1), queries)


def categories(key, queries: int, lot) -> Iterator[Row]:
    names = [
        *(
            f"lexicon: {one}"
            for one in ("people", "dogs", "buildings and streets", "a word of mine")
        ),
        *(f"cluster: {one}, of {key[0]}" for one in ("beach, ocean, waves", "snow, ski, slope")),
    ]
    for way in WAYS:
        for place, name in enumerate(names):
            yield from recalls(key, way, name, 0.3 + 0.08 * place, 20 + 13 * place)
        yield from ranged(About(key, way, "all categories"), 0.4, queries)


def robustness(key, queries: int, lot) -> Iterator[Row]:
    for way in WAYS:
        for step, kind in enumerate(("drop", "shuffle", "typos")):
            for x in (0.0, 0.1, 0.25, 0.5):
                level = 0.6 * (1 - x * (0.5 + 0.3 * step))
                yield from recalls(key, way, kind, level, queries, x)
                if x:
                    lost = 0.77 * (0.6 - level)
                    yield row(
                        About(key, way, f"{kind}, loss", x),
                        "mean",
                        lost,
                        queries,
                        (lost - 0.03, lost + 0.03),
                    )


def geometry(key, queries: int, lot) -> Iterator[Row]:
    yield row(About(key, ""), "gap", 0.82, queries, (0.81, 0.83))
    yield row(About(key, ""), "cosine_right", 0.31, queries, (0.30, 0.32))
    yield row(About(key, ""), "cosine_wrong", 0.12, queries, (0.11, 0.13))
    yield row(About(key, ""), "cosine_lead", 0.19, queries, (0.18, 0.2))
    for place, scorer in enumerate((key[2], "nnn")):
        of = (key[0], key[1], scorer)
        for way in WAYS:
            level = 1.8 - place
            yield row(About(of, way, x=10), "skewness", level, queries, around(level, 0.2))
            yield row(About(of, way, x=10), "antihubs", 0.2, queries)
            yield row(About(of, way, x=10), "largest", 31, queries)
    # what differs from the reference, "photo" for the worse from text to image alone
    for of, change in (((*key[:2], "nnn"), -1.0), ((key[0], "photo", key[2]), 0.7)):
        for way in WAYS:
            moved = change if change < 0 or way == WAYS[0] else 0.0
            bounds = (moved - 0.3, moved + 0.3)
            yield row(About(of, way, x=10), "skewness_change", moved, queries, bounds)
    yield from shifts(key, queries)


def shifts(key, queries: int) -> Iterator[Row]:
    """What prompts do to captions: "picture" is a template of an ensemble and no run."""
    for prompt, text, image, shift, won in (
        (key[1], 0.36, 0.42, 0.0, 0.0),
        ("photo", 0.22, 0.4, 0.263, 0.084),
        ("picture", 0.33, 0.41, 0.207, 0.012),
    ):
        of = (key[0], prompt, key[2])
        if shift:
            yield row(About(of, "", SHIFT), "shift", shift, queries, around(shift, 0.005))
            yield row(About(of, "", SHIFT), "shift_alike", 0.7, queries, around(0.7, 0.005))
        for way, recall in zip(WAYS, (text, image), strict=True):
            yield row(About(of, way, SHIFT), "mean", recall, queries, around(recall))
        if shift:
            about, bare = About(of, WAYS[0], SHIFT), text + won
            yield row(about, "mean_unshifted", bare, queries, around(bare))
            bounds = (won - 0.007, won + 0.007)
            yield row(about, "mean_unshifted_change", won, queries, bounds)


def errors(key, queries: int, lot) -> Iterator[Row]:
    kinds = ("tie", "identical_caption", "accepted", "colour", "number", "action", "object",
             "look_alike", "vague", "far", "other")  # fmt: skip
    for way in WAYS:
        for place, kind in enumerate(kinds):
            share = (place + 1) / 66
            count, bounds = round(share * queries), around(share, 0.02)
            yield row(About(key, way, kind), "share", share, count, bounds)
            yield row(About(key, way, kind), "median_rank", 12.5 + place, count)
            if kind in WORDED:
                yield row(About(key, way, kind), "base", share / 2, queries)
                yield changed(About(key, way, kind), "excess", share / 2, queries)


def confidence(key, queries: int, lot) -> Iterator[Row]:
    for way in WAYS:
        for name, gain in (("top score", 0.1), ("margin", 0.2)):
            for step in range(1, 11):
                risk = 0.5 - gain * (1 - step / 10)
                yield row(About(key, way, name, step / 10), "risk", risk, queries, around(risk))
            about = About(key, way, name)
            yield row(about, "area", 0.5 - gain / 2, queries, around(0.5 - gain / 2))
            yield row(about, "area_random", 0.5, queries, around(0.5))
            yield row(about, "area_gain", gain / 2, queries, around(gain / 2))


def leakage(key, queries: int, lot) -> Iterator[Row]:
    yield row(About(key, WAYS[1], "all queries"), "near_duplicates", 3, queries)
    yield row(About(key, WAYS[0], "all queries"), "shared_captions", 5, queries)
    groups = ("all queries", "without near-duplicates", "without shared captions")
    for way in WAYS:
        for step, group in enumerate(groups):
            yield from recalls(key, way, group, 0.5 - 0.005 * step, queries - 7 * step)
            if step:
                about = About(key, way, group)
                yield changed(about, "recall@1_change", -0.0025 * step, queries - 7 * step)
    # train is fitted better than what is new
    for split, level in zip(SPLITS, (0.87, 0.42, 0.41), strict=True):
        for way, asked in zip(WAYS, (30, 10), strict=True):
            yield from recalls(key, way, f"{split}, {FIT}", level, asked, 10)


SIZES = {WAYS[0]: (60, 10_000, 100_000), WAYS[1]: (180, 10_000, 100_000)}
# what each finds of the exact top ten, by size of gallery
SHARES_FOUND = {
    "exact": (1.0, 1.0, 1.0), "flat": (1.0, 1.0, 1.0), "hnsw": (0.93, 0.992, 0.981),
    "ivf-pq": (0.952, 0.84, 0.79),
}  # fmt: skip


def indexes(key, queries: int, lot) -> Iterator[Row]:
    for way in WAYS:
        for step, size in enumerate(SIZES[way]):
            for name, shares in SHARES_FOUND.items():
                share, level = shares[step], 0.6 * 0.5**step * shares[step]
                if name != "exact":
                    yield row(
                        About(key, way, name, size), "found@10", share, queries, around(share, 0.01)
                    )
                yield from recalls(key, way, name, level, queries, size, HEADLINE[:3])
                if name != "exact":
                    lost = 0.6 * 0.5**step * (shares[step] - 1)
                    about = About(key, way, name, size)
                    yield changed(about, "recall@10_change", lost, queries)


def index_costs(key) -> Iterator[dict[str, Any]]:
    for way in WAYS:
        for step, size in enumerate(SIZES[way]):
            for place, (name, shares) in enumerate(SHARES_FOUND.items()):
                values = (
                    *(*key, way, name, name.replace("-", "_"), size, size - SIZES[way][0]),
                    shares[step],
                    *(size / 10_000 / (1 + place) ** 2, size * 0.002 / (1 + place % 3)),
                    *(0.0001 * size * place, 100, 5),
                )
                yield dict(zip(COSTS, values, strict=True))


def precision(key, queries: int, lot) -> Iterator[Row]:
    for way in WAYS:
        yield row(About(key, way, "float32"), "least_cosine", 1.0, queries)
        for name in COMPARED:
            moved = lot.uniform(-0.004, 0.004)
            bounds = (moved - 0.003, moved + 0.003)
            yield row(About(key, way, "bfloat16"), name, moved, queries, bounds)
        for name in MEANS:
            yield row(About(key, way, "bfloat16"), f"p_holm:{name}", lot.uniform(0.1, 1), queries)
        yield row(About(key, way, "bfloat16"), "least_cosine", 0.99871, queries)
    yield row(About(key, "", "bfloat16"), "rsum", 0.001, queries, (-0.002, 0.004))


def reranking(key, queries: int, lot) -> Iterator[Row]:
    for group in ("cosine+blip", "cosine+blip+first"):
        for way in WAYS:
            for step, depth in enumerate((16, 32, 64, 128)):
                about = About(key, way, group, depth)
                yield from recalls(key, way, group, 0.4 + 0.02 * step, queries, depth, RECALLS)
                yield row(about, "bound", 0.6 + 0.05 * step, queries, around(0.6 + 0.05 * step))
                for measure in ("gain@1", "gain@5", "gain@10"):
                    gain = 0.1 + 0.02 * step
                    yield row(about, measure, gain, queries, around(gain, 0.02))
                found = 0.4 - 0.02 * step
                yield row(about, "gain_found", found, queries, around(found, 0.1))
                yield row(about, "pairs", depth, queries)
                yield row(about, "seconds", 0.01 * depth, queries)


MAKERS = {
    "relevance": relevance, "judgments": judgments, "published": published, "seeds": seeds,
    "gallery": gallery, "captions": captions, "categories": categories, "robustness": robustness,
    "geometry": geometry, "errors": errors, "leakage": leakage, "indexes": indexes,
    "precision": precision, "reranking": reranking, "confidence": confidence,
}  # fmt: skip
