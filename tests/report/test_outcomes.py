"""Queries by the rank of their right answer: each in one step, and all of them."""

from __future__ import annotations

import numpy as np
import pytest
from fake_run import LANGUAGES
from test_figures import assert_readable, fake_runs

from scripts.data.rows import rows_of
from scripts.evaluate.intervals import Resampling
from scripts.figures.plot_outcomes import outcomes_of, plot_outcomes

pytestmark = pytest.mark.usefixtures("on_sheet")


def table_of(gallery: int):
    """Of a run of 25 images with two captions each, whose ranks go up to ``gallery``."""
    rows = rows_of([str(n) for n in range(25)], [["a", "b"]] * 25)
    (run,) = fake_runs(1, min(gallery, 25))
    return run, outcomes_of(run, rows, Resampling(200, 0))


def test_every_query_is_in_one_step_and_the_last_step_ends_with_the_gallery():
    run, table = table_of(25)
    for way, last in (("text_to_image", 25), ("image_to_text", 50)):
        part = table[table.direction == way]
        assert part["first"].tolist() == [1, 2, 6, 11]
        assert part["last"].tolist() == [1, 5, 10, last]
        assert part.outcome.tolist() == ["success", "near_miss", "between", "failure"]
        assert part.share.sum() == pytest.approx(1)
        ranks = run.ranks[way]
        assert part.share.tolist()[1] == pytest.approx(np.mean((ranks >= 2) & (ranks <= 5)))
        assert (part.low <= part.share).all() and (part.share <= part.high).all()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_bar_for_each_step_is_readable_in_small_galleries_and_large_ones(language):
    _, table = table_of(25)
    figure = plot_outcomes(table, language)
    assert_readable(figure)
    lengths = [patch.get_width() for axes in figure.axes for patch in axes.patches]
    assert lengths == pytest.approx(100 * table.share)
    # as wide as it becomes: 125,000 captions
    ends = [1, 5, 10, 50, 100, 500, 1000, 5000, 10_000, 100_000, 125_000]
    steps = table.iloc[[3] * 11].assign(last=ends, first=[1, *(end + 1 for end in ends[:-1])])
    wide = [steps.assign(direction=way) for way in ("text_to_image", "image_to_text")]
    assert_readable(plot_outcomes(type(table)(np.concatenate(wide), columns=table.columns)
                                  .infer_objects(), language))  # fmt: skip
