"""Tables of figures that never were, and what every figure is held to."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from fake_captions import NASTY
from fake_rankings import rankings_from
from matplotlib.axis import Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from scripts.data.rows import Rows, rows_of
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import Run
from scripts.figures.plot_outcomes import outcomes_of
from scripts.figures.plot_ranks import curves
from scripts.protocol import DIRECTIONS
from scripts.studies.reference import Reference
from scripts.studies.study_errors import FAILURE_COLUMNS
from scripts.studies.study_geometry import HUB_COLUMNS

FIRST = ("tiny", "plain", "cosine")
RESAMPLING = Resampling(200, 0)
CAPTIONS = (
    *NASTY,
    "a red dog runs . ",
    "NA",
    "x" * 200,
    "नमस्ते e\u0301",
    "，".join(["很长的描述"] * 20),
)


def texts_of(figure):
    """Texts that are really drawn, with their boxes in pixels; a missing glyph is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        beyond = {
            id(label)
            for axes in figure.axes
            for axis in (axes.xaxis, axes.yaxis)
            for tick in axis.findobj(Tick)
            if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
            for label in (tick.label1, tick.label2)
        }
        texts = {id(text): text for text in figure.findobj(Text)}
        return [
            (text, text.get_window_extent(renderer))
            for place, text in texts.items()
            if place not in beyond and text.get_visible() and text.get_text().strip()
        ]


def words_of(figure) -> list[str]:
    """What stands in a figure, each on one line."""
    return [text.get_text().replace("\n", " ") for text, _ in texts_of(figure)]


def dots_of(axes) -> list[tuple[float, float]]:
    """Where marks of a panel stand that no line joins."""
    drawn = [line for line in axes.lines if line.get_linestyle() == "None"]
    # two strokes through an axis are no marks
    marks = [line for line in drawn if isinstance(line.get_marker(), str)]
    return [(float(x), float(y)) for line in marks for x, y in zip(*line.get_data(), strict=True)]


def assert_readable(figure):
    """At the width of paper no text is too small, leaves the figure, or lies over another."""
    boxes = []
    width, height = figure.bbox.width, figure.bbox.height
    # 170 mm, and points as they are printed there
    assert figure.get_figwidth() == pytest.approx(170 / 25.4, abs=0.01)
    for text, box in texts_of(figure):
        words = text.get_text()
        assert text.get_fontsize() >= 7.5, f"{words!r} is too small"
        assert box.x0 >= -1, f"{words!r} leaves on the left"
        assert box.y0 >= -1, f"{words!r} leaves below"
        assert box.x1 <= width + 1, f"{words!r} leaves on the right"
        assert box.y1 <= height + 1, f"{words!r} leaves above"
        boxes.append((words, box.padded(-2)))
    for place, (words, box) in enumerate(boxes):
        for other, another in boxes[place + 1 :]:
            assert not box.overlaps(another), f"{words!r} lies over {other!r}"


def metrics(models: int, prompts: int, scorers: int, scale: float = 1.0) -> pd.DataFrame:
    lot = np.random.default_rng(3)
    return pd.DataFrame([
        {
            "model": f"clip-model-{a}", "prompt": f"a-prompt-name-{b}", "scorer": f"scorer-{c}",
            "direction": way, "queries": 5000 if way[0] == "t" else 1000,
            "gallery": 1000 if way[0] == "t" else 5000,
            **{
                f"recall@{k}{end}": scale * min(1, max(0, value + more))
                for k, value in zip(
                    (1, 5, 10), np.sort(lot.uniform(0.1, 1, 3)).tolist(), strict=True
                )
                for end, more in (("", 0), ("_low", -0.03), ("_high", 0.03))
            },
        }
        for a in range(models) for b in range(prompts) for c in range(scorers)
        for way in DIRECTIONS
    ])  # fmt: skip


def few_rows() -> Rows:
    """25 images with two captions each."""
    return rows_of([str(n) for n in range(25)], [["a", "b"]] * 25)


def fake_runs(count: int, gallery: int) -> list[Run]:
    lot = np.random.default_rng(4)
    return [
        Run(
            f"a-model-name-{number // 3}", f"prompt-{number % 3}", "cosine",
            {"text_to_image": lot.integers(1, gallery + 1, 50),
             "image_to_text": lot.integers(1, 2 * gallery + 1, 25)},
            {}, {}, np.zeros(0), np.zeros(0), {},
        )
        for number in range(count)
    ]  # fmt: skip


def curves_of(runs: list[Run], gallery: int) -> pd.DataFrame:
    """Curves of runs over ``few_rows``, and so many items to choose from."""
    sizes = {"text_to_image": gallery, "image_to_text": 2 * gallery}
    return curves(runs, sizes, few_rows(), RESAMPLING)


def outcomes(gallery: int) -> pd.DataFrame:
    """Of a run over ``few_rows``; one larger than these has all steps there can be."""
    table = outcomes_of(fake_runs(1, 25)[0], few_rows(), RESAMPLING)
    if gallery == 25:
        return table
    ends = [1, 5, 10, 50, 100, 500, 1000, 5000, 10_000, 100_000, gallery]
    steps = table.iloc[[3] * 11].assign(last=ends, first=[1, *(end + 1 for end in ends[:-1])])
    return pd.concat([steps.assign(direction=way) for way in DIRECTIONS])


def training(epochs: range) -> pd.DataFrame:
    """The log of a training; before epoch 1 nothing was learnt."""
    done = np.array(epochs) / max(epochs)
    return pd.DataFrame({
        "epoch": epochs, "train_loss": np.where(done > 0, 3 - 2 * done, np.nan),
        "val_loss": 3 - 1.98 * done, "val_recall@1": 0.1 + 0.4 * done,
        "val_recall@10": 0.2 + 0.32 * done,
    })  # fmt: skip


def tradeoff(runs, intervals: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """pairs.csv and geometry.csv of the first run and others, key -> change of recall, skewness."""
    geometry, pairs = [], []
    for number, way in enumerate(DIRECTIONS):
        for key, (moved, skewness) in ({FIRST: (0.0, 1.5)} | runs).items():
            about = dict(zip(("model", "prompt", "scorer"), key, strict=True))
            about["direction"] = way
            geometry.append(about | {"measure": "skewness", "value": skewness + number})
            geometry.append(about | {"measure": "largest", "value": 99.0})
            if key == FIRST:
                continue
            if intervals:
                change = {"value": skewness - 1.5, "low": skewness - 1.8, "high": skewness - 1.2}
                geometry.append(about | {"measure": "skewness_change"} | change)
            pairs += [
                about | {f"other_{name}": one for name, one in zip(about, other, strict=False)}
                | {"mean": moved, "mean_low": moved - 0.01, "mean_high": moved + 0.01}
                for other in (FIRST, ("tiny", "other", "cosine"))
            ]  # fmt: skip
    columns = [*about, "other_model", "other_prompt", "other_scorer"]
    return (
        pd.DataFrame(pairs, columns=[*columns, "mean", "mean_low", "mean_high"]),
        pd.DataFrame(geometry, columns=[*about, "measure", "value", "low", "high"]),
    )


def many_changes(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same of so many prompts."""
    return tradeoff({
        ("tiny", f"prompt number {n}", "cosine"): (0.002 * n, 1.5 - 0.1 * n) for n in range(count)
    }, intervals=True)  # fmt: skip


def hubs_table(
    scorers: int, hubs: int, occurrences: int = 1234, expected: float = 50
) -> pd.DataFrame:
    return pd.DataFrame([
        {
            "model": "tiny", "prompt": "plain", "scorer": f"a-long-scorer-name-{scorer}",
            "direction": way, "neighbours": 10, "queries": 5000, "place": place + scorer,
            "reference_place": place, "item": 7 * place, "image": f"{place % 4}.png",
            "caption": "" if way == "text_to_image" else CAPTIONS[place % len(CAPTIONS)],
            "occurrences": max(0, occurrences // (place + scorer)), "expected": expected,
            "right": place,
        }
        for way in DIRECTIONS for scorer in range(scorers) for place in range(1, hubs + 1)
    ], columns=HUB_COLUMNS)  # fmt: skip


def failures_table(kinds, examples: int, directions=DIRECTIONS) -> pd.DataFrame:
    rows = []
    for number, kind in enumerate(kinds):
        for way in directions:
            for example in range(examples):
                caption = CAPTIONS[(number + example) % len(CAPTIONS)]
                by_text = way == "text_to_image"
                rows.append({
                    "model": "tiny", "direction": way, "kind": kind, "query": len(rows),
                    "query_text": caption if by_text else "",
                    "query_image": "" if by_text else f"{number % 4}.png",
                    "rank": 12_345, "margin": 0.25, "top_image": "0.png", "right_image": "3.png",
                    "top_text": "" if by_text else caption,
                    "right_text": "" if by_text else CAPTIONS[example],
                    "differing": "dog; and; 一只", "example": 1,
                })  # fmt: skip
    return pd.DataFrame(rows, columns=FAILURE_COLUMNS)


def reference(noise: float, images: int = 40, per_image: int = 3, seed: int = 0) -> Reference:
    """Features of captions that are those of their images, with noise and a gap between."""
    lot = np.random.default_rng(seed)
    words = [*NASTY, *(f"caption number {n}" for n in range(images * per_image))]
    captions = [words[n * per_image : (n + 1) * per_image] for n in range(images)]
    rows = rows_of([f"{n}.png" for n in range(images)], captions)
    pictures = _unit(lot.normal(size=(images, 24)) + 0.2)
    texts = pictures[rows.image_of_caption] + noise * lot.normal(size=(len(rows.captions), 24))
    texts = _unit(texts - 0.1)
    found = rankings_from(texts @ pictures.T, rows, 10)
    way = "text_to_image"
    run = Run(
        "a-model", "plain", "cosine", {way: found[f"{way}_rank"]}, {way: found[f"{way}_top"]},
        {}, np.zeros(0), np.zeros(0), {},
    )  # fmt: skip
    return Reference(run, rows, pictures, texts, {"kind": np.array("cosine")})


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
