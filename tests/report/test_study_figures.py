"""The figure of any study: every row drawn where its numbers say, and all of it readable."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from fake_captions import NASTY
from fake_figures import assert_readable, dots_of, texts_of, words_of
from fake_run import LANGUAGES
from fake_studies import MAKERS, settings_of
from pandas.testing import assert_frame_equal

from scripts.evaluate.pairs import COLUMNS as PAIR_COLUMNS
from scripts.figures.facets import facets_of
from scripts.figures.lines import groups_by_axis
from scripts.figures.plot_study import plot_study
from scripts.figures.points import drawn_points
from scripts.job import BadInput
from scripts.studies.comparisons import comparison_rows
from scripts.studies.shown import form_of, read_study, selected
from scripts.studies.table import COLUMNS, About, row, write_rows
from scripts.words import formats
from scripts.words.labels import read_labels

pytestmark = pytest.mark.usefixtures("on_sheet")

KEY = ("a-model", "plain", "cosine")
POINTS = {"form": "points", "measures": [], "log": False}
LINES = {"form": "lines", "measures": [], "log": False}


def table_of(rows, tmp_path) -> pd.DataFrame:
    write_rows(tmp_path / "study.csv", rows)
    return read_study(tmp_path / "study.csv", "mine")


def drawn(table, study, settings, language="en"):
    return plot_study(table, study, settings, read_labels(language))


@pytest.mark.parametrize(("models", "language"), [(1, "en"), (2, "zh"), (4, "en")])
@pytest.mark.parametrize("study", MAKERS)
def test_every_study_is_readable_with_one_model_and_with_several(study, models, language, tmp_path):
    lot = np.random.default_rng(0)
    rows = [
        one
        for number in range(models)
        for one in MAKERS[study]((f"clip-vit-b{number}", "plain", "cosine"), 1000, lot)
    ]
    assert_readable(drawn(table_of(rows, tmp_path), study, settings_of(study)["figure"], language))


def test_points_stand_at_their_values_with_their_intervals(tmp_path):
    rows = [
        row(About(KEY, "text_to_image", "a"), "recall@1", 0.5, 10, (0.4, 0.65)),
        row(About(KEY, "text_to_image", "b"), "recall@1", 0.25, 10, (0.2, 0.3)),
        row(About(KEY, "image_to_text", "a"), "recall@1", 0.75, 10),
    ]
    first, second = drawn(table_of(rows, tmp_path), "mine", POINTS).axes
    marks, (lines, *_) = dots_of(first), [own for own in first.collections if own.get_zorder() == 2]
    assert [x for x, _ in marks] == pytest.approx([50, 25])
    ends = [sorted(x for x, _ in segment) for segment in lines.get_segments()]
    assert ends == [pytest.approx([40, 65]), pytest.approx([20, 30])]
    assert [x for x, _ in dots_of(second)] == [75]
    # one row below the other, the first on top
    (_, above), (_, below) = marks
    assert above < below and first.get_ylim()[0] > first.get_ylim()[1]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("groups", "models", "alone"), [(8, 2, True), (6, 8, False), (12, 1, False)]
)
def test_a_long_list_of_many_marks_has_the_first_model_alone_and_says_so(
    groups, models, alone, language, tmp_path
):
    rows = [
        row(About((f"model-{model}", *KEY[1:]), "text_to_image", f"g{group}"), measure, 0.1, 10)
        for model in range(models) for group in range(groups)
        for measure in ("recall@1", "recall@5", "recall@10")
    ]  # fmt: skip
    table = table_of(rows, tmp_path)
    figure = drawn(table, "mine", POINTS, language)
    assert_readable(figure)
    marks = [mark for axes in figure.axes for mark in dots_of(axes)]
    shown = drawn_points(table)
    assert len(marks) == len(shown) == groups * 3 * (1 if alone else models)
    assert ("tables/mine.csv" in " ".join(words_of(figure))) == alone
    assert ("model-0" in " ".join(words_of(figure))) == (models > 1)


def test_ticks_leave_room_for_their_numbers(tmp_path):
    rows = [
        row(About(KEY, "", "left out"), "tau_c", 0.327, 10, (0.318, 0.336)),
        row(About(KEY, "", "kept"), "tau_c", 0.371, 10, (0.362, 0.379)),
    ]
    figure = drawn(table_of(rows, tmp_path), "judgments", POINTS, "zh")
    boxes = [box for text, box in texts_of(figure) if text.get_text().startswith("0.3")]
    assert len(boxes) >= 3
    boxes.sort(key=lambda box: box.x0)
    apart = [after.x0 - one.x1 for one, after in pairwise(boxes)]
    assert min(apart) > 0.1 * figure.dpi


def test_lines_run_through_their_values_in_the_order_of_x(tmp_path):
    rows = [
        row(About(KEY, "text_to_image", x=x), "recall@1", value, 10, (value - 0.1, value + 0.1))
        for x, value in ((100, 0.2), (10, 0.8), (50, 0.5))
    ]
    (axes,) = drawn(table_of(rows, tmp_path), "mine", LINES | {"log": True}).axes
    (line,) = axes.lines
    assert line.get_xdata().tolist() == [10, 50, 100]
    assert line.get_ydata().tolist() == pytest.approx([80, 50, 20])
    assert axes.get_xscale() == "log"
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((10, 90))


def test_a_line_is_wider_for_each_that_lies_upon_it(tmp_path):
    groups = {"exact": (0.9, 0.8), "flat": (0.9, 0.8), "hnsw": (0.898, 0.8), "ivf": (0.6, 0.8)}
    groups = {group: (*values, 0.7) for group, values in groups.items()}
    rows = [
        row(About(KEY, "text_to_image", group, x), "found@10", value, 10)
        for group, values in groups.items()
        for x, value in zip((10, 100, 1000), values, strict=True)
    ]
    (axes,) = drawn(table_of(rows, tmp_path), "mine", LINES).axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3]
    widths = [line.get_linewidth() for line in lines]
    assert widths[0] > widths[1] > widths[2] == widths[3]
    assert [line.get_markersize() for line in lines] == [8, 6, 4, 4]


def test_a_curve_of_two_points_is_drawn_as_points(tmp_path):
    rows = [row(About(KEY, "text_to_image", "a", x), "recall@1", 0.5, 10) for x in (10, 100)]
    table = table_of(rows, tmp_path)
    assert form_of(table, LINES) == form_of(table, LINES | {"form": "differences"}) == "points"
    (axes,) = drawn(table, "mine", LINES).axes
    assert len(dots_of(axes)) == 2
    rows += [row(About(KEY, "text_to_image", "a", 1000), "recall@1", 0.5, 10)]
    assert form_of(table_of(rows, tmp_path), LINES) == "lines"


def test_differences_are_drawn_beside_the_first_group_and_lose_the_intervals(tmp_path):
    levels = {"exact": (0.6, 0.5, 0.4), "flat": (0.6, 0.5, 0.4), "codes": (0.5, 0.45, 0.42)}
    rows = [
        row(About(KEY, way, group, x), "recall@10", value, 10, (value - 0.1, value + 0.1))
        for way in ("text_to_image", "image_to_text")
        for group, values in levels.items()
        for x, value in zip((10, 100, 1000), values, strict=True)
    ]
    figure = drawn(table_of(rows, tmp_path), "indexes", LINES | {"form": "differences"})
    assert_readable(figure)
    assert len(figure.axes) == 4
    for own, less in (figure.axes[:2], figure.axes[2:]):
        (line,) = own.lines
        assert line.get_ydata() == pytest.approx([60, 50, 40]) and len(own.collections) == 1
        _, flat, codes = less.lines
        assert flat.get_ydata() == pytest.approx([0, 0, 0])
        assert codes.get_ydata() == pytest.approx([-10, -5, 2])
        assert not less.collections
    assert "less exact" in " ".join(words_of(figure))


def test_what_all_groups_have_alike_is_drawn_once(tmp_path):
    rows = [
        row(About(KEY, "text_to_image", group, x), measure, value, 10)
        for group, levels in (("a", (0.1, 0.2, 0.3)), ("b", (0.1, 0.25, 0.3)))
        for x, level in zip((16, 32, 64), levels, strict=True)
        for measure, value in (("recall@1", level), ("bound", 0.5 + x / 1000))
    ]
    (axes,) = drawn(table_of(rows, tmp_path), "reranking", LINES).axes
    assert len(axes.lines) == 3
    told = [text.get_text() for text in axes.figure.legends[0].texts]
    assert told == ["a · Recall@1", "b · Recall@1", "Recall@1 of a perfect look"]


def test_the_legend_of_three_panels_stands_in_the_quarter_that_they_leave(tmp_path):
    made = MAKERS["captions"](KEY, 1000, np.random.default_rng(0))
    rows = [row for row in made if row["group"] != "agreement"]
    figure = drawn(table_of(rows, tmp_path), "captions", settings_of("captions")["figure"])
    assert [len(axes.lines) > 0 for axes in figure.axes] == [True, True, True, False]
    assert figure.axes[3].get_legend() and not figure.legends
    # words per caption are means, and no ticks
    ticks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert ticks and all(float(tick).is_integer() for tick in ticks)


@pytest.mark.parametrize("form", ["points", "lines"])
@pytest.mark.parametrize(("level", "cut"), [(0.6, True), (0.0, False)])
def test_an_axis_that_does_not_hold_zero_is_marked_as_cut(form, level, cut, tmp_path):
    rows = [
        row(About(KEY, "text_to_image", "a", x), "recall@1", level + 0.1 * x, 10) for x in (1, 2, 3)
    ]
    figure = drawn(table_of(rows, tmp_path), "mine", LINES | {"form": form})
    strokes = [line for line in figure.axes[0].lines if isinstance(line.get_marker(), list)]
    assert len(strokes) == cut


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0.25, "0.25"),
        (5000, "5,000"),
        (12345.6, "12,346"),
        (100_000, "100,000"),
        (1_234_567, "1,234,567"),
        (-1e6, "−1,000,000"),
        (0.00001234, "1.234e−05"),
        (float("nan"), "–"),
    ],
)
def test_a_quantity_has_its_digits_and_no_power_of_ten_where_it_is_large(number, told):
    assert formats.quantity(number) == told


def test_a_direction_that_is_not_there_has_no_panel(tmp_path):
    rows = [row(About(KEY, "image_to_text", group), "recall@1", 0.5, 10) for group in "ab"]
    figure = drawn(table_of(rows, tmp_path), "mine", POINTS)
    assert len(figure.axes) == 1
    assert "Image → text" in " ".join(words_of(figure))
    assert "Text → image" not in " ".join(words_of(figure))


def test_differences_get_a_zero_line_and_are_kept_apart_from_values(tmp_path):
    rows = [
        row(About(KEY, "text_to_image", "level"), "mean", 0.5, 10, (0.4, 0.6)),
        row(About(KEY, "text_to_image", "change"), "mean", -0.02, 10, (-0.03, 0.0)),
    ]
    table = table_of(rows, tmp_path)
    values, differences = facets_of(table, "mine")
    assert (values.difference, differences.difference) == (False, True)
    assert values.table.group.tolist() == ["level"]
    figure = drawn(table, "mine", POINTS)
    zeros = [
        [line for line in axes.lines if list(line.get_xdata()) == [0, 0]] for axes in figure.axes
    ]
    assert [len(found) for found in zeros] == [0, 1]
    assert "percentage points" in " ".join(words_of(figure))
    # a study of differences has them even where all are gains
    gains = table_of([row(About(KEY, "text_to_image", "a"), "mean", 0.02, 10)], tmp_path)
    assert facets_of(gains, "prompts")[0].difference


def test_shares_are_in_percent_and_other_measures_as_they_are(tmp_path):
    rows = [
        row(About(KEY, "text_to_image", "a"), measure, 0.5, 10)
        for measure in ("recall@5", "tau_c", "gap")
    ]
    assert [one.scale for one in facets_of(table_of(rows, tmp_path), "mine")] == [100, 1, 1]


def test_groups_measured_at_other_places_have_an_axis_of_their_own():
    table = pd.DataFrame({
        "group": ["a"] * 3 + ["b"] * 2 + ["c"] * 3,
        "x": [1, 2, 3, 2, 3, 8.5, 11.5, 14],
    })  # fmt: skip
    assert groups_by_axis(table) == [["a", "b"], ["c"]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_table_without_rows_gives_a_figure_that_says_so(language, tmp_path):
    write_rows(tmp_path / "empty.csv", [])
    table = read_study(tmp_path / "empty.csv", "mine")
    for settings in (POINTS, LINES):
        figure = drawn(table, "mine", settings, language)
        assert_readable(figure)
        assert {"en": "Nothing to show", "zh": "没有可展示的内容"}[language] in " ".join(
            words_of(figure)
        )
        assert figure.get_figheight() < 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_five_and_twenty_groups_with_long_and_nasty_names_stay_readable(language, tmp_path):
    names = [*NASTY, *(f"a group with a name of some length, number {n}" for n in range(21))]
    rows = [
        row(About(KEY, way, name), "recall@10", 0.02 * n + 0.1, 10 + n, (0.02 * n, 0.02 * n + 0.3))
        for n, name in enumerate(names)
        for way in ("text_to_image", "image_to_text")
    ]  # fmt: skip
    figure = drawn(table_of(rows, tmp_path), "mine", POINTS, language)
    assert_readable(figure)
    assert "<script>" in " ".join(words_of(figure))


@pytest.mark.parametrize("settings", [POINTS, LINES])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.5])
def test_one_value_alone_is_readable_whatever_it_is(value, settings, tmp_path):
    rows = [row(About(KEY, "text_to_image", "a", 3.0), "mean", value, 1, (value, value))]
    assert_readable(drawn(table_of(rows, tmp_path), "mine", settings))


def test_labels_that_no_language_knows_stand_as_they_are(tmp_path):
    labels = read_labels("zh")
    assert labels.group("mine", "my group, its part: 3") == "my group, its part: 3"
    assert labels.measure("my_measure") == "my_measure"
    assert labels.x("mine", ["my group"]) == "x"
    assert labels.group("robustness", "drop, loss") == "删词，损失"
    assert labels.group("seeds", "my-adapter, seed 12") == "my-adapter，种子 12"
    # a word of a caption is no name of a category
    assert labels.group("categories", "cluster: water, beach") == "聚类：water、beach"
    assert labels.group("categories", "lexicon: water") == "词：水"


@pytest.mark.parametrize("number", [-0.0, -0.0004, 0.0004])
def test_what_is_printed_as_zero_has_no_sign(number):
    for form in (formats.percent, formats.share, formats.points, formats.change("share")):
        assert form(number).removesuffix("%") == "0.0"
    assert formats.decimal(number) == "0.0" and formats.quantity(number * 0) == "0"
    assert formats.score(number) == "0.000" and formats.rank(number * 0) == "0"


def test_what_is_said_of_other_rows_is_not_drawn_beside_them(tmp_path):
    names = ("recall@1", "recall@1_change", "difference", "range", "p_range", "base", "excess")
    table = table_of([row(About(KEY, ""), name, 0.5, 1) for name in names], tmp_path)
    assert selected(table, {"measures": []}).measure.tolist() == ["recall@1"]


def test_only_the_measures_asked_for_are_drawn_and_flags_never(tmp_path):
    names = ("recall@5", "published", "agrees", "p_holm", "p_holm:recall@5", "least_cosine")
    rows = [row(About(KEY, ""), name, 0.5, 1) for name in names]
    table = table_of(rows, tmp_path)
    assert selected(table, {"measures": ["recall@5"]}).measure.tolist() == ["recall@5"]
    assert selected(table, {"measures": []}).measure.tolist() == ["recall@5", "published"]


def test_prompts_are_read_from_pairs_as_from_a_table_of_their_own(tmp_path):
    compared = dict.fromkeys(PAIR_COLUMNS, 0.25) | {"family": "prompt", "queries": 10}
    names = {"model": "007", "prompt": "null", "scorer": "NA", "direction": "text_to_image"}
    pairs = [compared | names, compared | names | {"family": "scorer"}]
    write_rows(tmp_path / "pairs.csv", pairs, PAIR_COLUMNS)
    found = read_study(tmp_path / "pairs.csv", "prompts")
    assert found.group.tolist() == ["null"] * 5 and found.model.tolist() == ["007"] * 5
    assert_frame_equal(found, table_of(comparison_rows(pairs[:1], "prompt"), tmp_path))
    write_rows(tmp_path / "pairs.csv", [], PAIR_COLUMNS)
    found = read_study(tmp_path / "pairs.csv", "prompts")
    assert_frame_equal(found, table_of([], tmp_path))


def test_a_table_of_another_shape_is_told(tmp_path):
    (tmp_path / "bad.csv").write_text("model,value\na,1\n", "utf-8")
    with pytest.raises(BadInput, match="no column prompt"):
        read_study(tmp_path / "bad.csv", "mine")


def test_a_group_may_be_called_na_and_a_missing_number_stays_missing(tmp_path):
    rows = [row(About(KEY, "text_to_image", "NA"), "mean", 0.5, 7)]
    table = table_of(rows, tmp_path)
    assert table.group.tolist() == ["NA"]
    assert table[["x", "low", "high"]].isna().all(axis=None)
    assert list(table.columns) == list(COLUMNS)
