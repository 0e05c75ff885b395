"""Recall against hubs: a dot where both tables say it is, with a name that covers nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fake_run import LANGUAGES
from matplotlib.colors import to_hex
from test_figures import assert_readable, texts_of

from scripts.figures.plot_hub_tradeoff import changes_of, plot_hub_tradeoff

pytestmark = pytest.mark.usefixtures("on_sheet")

FIRST = ("tiny", "plain", "cosine")
WAYS = ("text_to_image", "image_to_text")


def tables(runs, intervals: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """pairs.csv and geometry.csv of the first run and others, key -> change of recall, skewness."""
    geometry, pairs = [], []
    for number, way in enumerate(WAYS):
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
    geometry = pd.DataFrame(geometry, columns=[*about, "measure", "value", "low", "high"])
    columns = [*about, "other_model", "other_prompt", "other_scorer"]
    return pd.DataFrame(pairs, columns=[*columns, "mean", "mean_low", "mean_high"]), geometry


def test_a_run_stands_where_its_recall_and_its_hubs_moved_to_against_the_first():
    runs = {("tiny", "photo", "cosine"): (-0.04, 2.5), ("big", "plain", "nnn"): (0.02, 1.0)}
    table = changes_of(*tables(runs))
    assert table.name.tolist() == ["photo", "big · nnn"] * 2
    assert table.recall.tolist() == [-0.04, 0.02] * 2
    assert table.hubs.tolist() == pytest.approx([1.0, -0.5] * 2)
    assert table.hubs_low.isna().all()
    figure = plot_hub_tradeoff(table, "en")
    for axes in figure.axes:
        dots = [
            (line.get_xdata()[0], line.get_ydata()[0])
            for line in axes.lines
            if line.get_marker() not in ("None", None, "")
        ]
        assert dots == [pytest.approx(dot) for dot in ((1.0, -4), (-0.5, 2))]


def test_the_change_of_hubs_is_the_paired_one_where_the_table_has_it():
    (row, _) = changes_of(*tables({("tiny", "photo", "cosine"): (0.0, 2.0)}, True)).itertuples()
    assert (row.hubs, row.hubs_low, row.hubs_high) == pytest.approx((0.5, 0.2, 0.8))


def test_a_change_against_another_models_reference_is_none_against_the_first_run():
    pairs, geometry = tables({("big", "plain", "cosine"): (0.0, 2.0)}, True)
    geometry.loc[geometry.measure == "skewness_change", "value"] = 9.0
    (row, _) = changes_of(pairs, geometry).itertuples()
    assert row.hubs == pytest.approx(0.5) and np.isnan(row.hubs_low)


@pytest.mark.parametrize("count", [0, 1, 9, 20])
def test_each_run_has_a_look_and_a_name_of_its_own(count):
    runs = {
        ("tiny", f"prompt number {n}", "cosine"): (0.002 * n, 1.5 - 0.1 * n) for n in range(count)
    }
    figure = plot_hub_tradeoff(changes_of(*tables(runs, True)), LANGUAGES[count % 2])
    assert_readable(figure)
    words = [text.get_text() for text, _ in texts_of(figure)]
    assert sum(word.startswith("prompt number") for word in words) == count
    dots = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", None, "")]
    assert len({(one.get_marker(), to_hex(one.get_color())) for one in dots}) == count


def test_a_run_whose_lists_are_all_alike_has_no_skewness_and_no_dot():
    runs = {("tiny", "photo", "cosine"): (0.0, np.nan), ("tiny", "plain", "nnn"): (0.01, 1.0)}
    assert changes_of(*tables(runs)).name.tolist() == ["nnn"] * 2
