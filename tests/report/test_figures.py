"""The figures: nothing outside, nothing over anything else, nothing that cannot be read."""

from __future__ import annotations

import re
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from fake_captions import NASTY, ODD
from fake_figures import (
    RESAMPLING,
    assert_readable,
    curves_of,
    dots_of,
    fake_runs,
    few_rows,
    many_changes,
    metrics,
    outcomes,
    reference,
    texts_of,
    tradeoff,
    training,
    words_of,
)
from fake_run import LANGUAGES, job
from fake_studies import index_costs
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image

from scripts.figures import style
from scripts.figures.pictures import Board
from scripts.figures.plot_clouds import clouds_of, gap_in, plane_of, plot_clouds
from scripts.figures.plot_flow import plot_flow
from scripts.figures.plot_hub_tradeoff import changes_of, plot_hub_tradeoff
from scripts.figures.plot_index_tradeoff import plot_index_tradeoff
from scripts.figures.plot_outcomes import outcomes_of, plot_outcomes
from scripts.figures.plot_ranks import NAMED, plot_ranks
from scripts.figures.plot_recall import plot_recall, with_chance
from scripts.figures.plot_training import by_epoch, plot_training
from scripts.job import BadInput
from scripts.letters import CLOSING
from scripts.studies.study_geometry import gap_rows
from scripts.studies.table import write_rows
from scripts.words.labels import read_labels

pytestmark = pytest.mark.usefixtures("on_sheet")


def recall_of(*sizes: float):
    return partial(plot_recall, metrics(*sizes))


def ranks_of(count: int, gallery: int):
    return partial(plot_ranks, curves_of(fake_runs(count, gallery), gallery))


def training_of(epochs: range, best: int | None):
    return partial(plot_training, training(epochs), best)


def changes(count: int):
    return partial(plot_hub_tradeoff, changes_of(*many_changes(count)))


def indexes(language: str):
    table = pd.DataFrame(index_costs(("a-model", "plain", "cosine")))
    return plot_index_tradeoff(table, read_labels(language))


# from one run to seventy-two, from a few items to 125,000; what makes a figure of a language
DRAWN = {
    "flow": lambda: plot_flow,
    **{f"recall {sizes}": partial(recall_of, *sizes) for sizes in
       ((1, 1, 1), (2, 3, 1), (4, 6, 3), (1, 2, 1, 0.0), (1, 2, 1, 0.02))},
    **{f"ranks {sizes}": partial(ranks_of, *sizes) for sizes in
       ((1, 5), (3, 60), (12, 1000), (12, 25_000))},
    **{f"training {epochs} {best}": partial(training_of, epochs, best) for epochs, best in
       ((range(1, 2), 1), (range(2), 0), (range(1, 3), 2), (range(1, 31), None))},
    **{f"outcomes {size}": partial(partial, plot_outcomes, outcomes(size))
       for size in (25, 125_000)},
    **{f"changes {count}": partial(changes, count) for count in (0, 1, 9, 20)},
    "indexes": lambda: indexes,
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_is_readable_small_and_large(name, language):
    assert_readable(DRAWN[name]()(language))


@pytest.mark.parametrize("name", ["flickr8k-dual-mobilenetv2", "m" * 60])
def test_the_name_of_a_model_does_not_reach_into_the_numbers(name):
    figure = plot_recall(metrics(1, 1, 1).assign(model=name), "en")
    FigureCanvasAgg(figure).draw()
    panel = min(axes.get_window_extent().x0 for axes in figure.axes)
    heads = [text for text in figure.findobj(Text) if text.get_weight() == "bold"]
    (head,) = {text.get_text(): text for text in heads if text.get_text()[:5] == name[:5]}.values()
    assert head.get_window_extent().x1 <= panel
    assert head.get_text() == name or head.get_text().endswith("…")


def test_the_recall_table_holds_chance():
    table = with_chance(metrics(1, 1, 1)).set_index("direction")
    assert table.loc["text_to_image", "chance@10"] == pytest.approx(0.01)
    assert table.loc["image_to_text", "chance@1"] == pytest.approx(0.001)


def test_every_number_of_recall_is_shown_and_chance_strikes_none_through():
    table = metrics(1, 3, 1)
    figure = plot_recall(table, "en")
    words = words_of(figure)
    for row in table.to_dict("records"):
        assert {f"{100 * row[f'recall@{k}']:.1f}" for k in (1, 5, 10)} <= set(words)
    for axes in figure.axes:
        numbers = [text for text in axes.texts if re.fullmatch(r"\d+\.\d", text.get_text())]
        lowest = min(text.get_window_extent().y0 for text in numbers)
        tops = [
            axes.transData.transform((0, min(line.get_ydata())))[1]
            for line in axes.lines
            if len(set(line.get_xdata())) == 1 and len(line.get_ydata()) == 2
        ]
        assert len(tops) == 3 and max(tops) < lowest


def test_a_recall_curve_counts_the_queries_up_to_each_rank_with_its_interval():
    run = fake_runs(1, 5)[0]
    table = curves_of([run], 5)
    own = table[table.direction == "text_to_image"].set_index("k")
    assert own.index.tolist() == [1, 2, 3, 4, 5]
    for k, value in own.recall.items():
        assert value == pytest.approx((run.ranks["text_to_image"] <= k).mean())
    assert (own.low <= own.recall).all() and (own.recall <= own.high).all()
    assert own.low[1] < own.recall[1] < own.high[1]


def test_other_runs_are_drawn_as_what_they_change_on_the_same_queries():
    runs = fake_runs(3, 60)
    table = curves_of(runs, 60)
    way = "image_to_text"
    own = table[(table.direction == way) & (table.prompt == "prompt-2")].set_index("k")
    for k in (1, 5, 120):
        found = [(one.ranks[way] <= k).mean() for one in (runs[2], runs[0])]
        assert own.difference[k] == pytest.approx(found[0] - found[1])
        assert own.difference_low[k] <= own.difference[k] <= own.difference_high[k]
    # a run is no different from itself, and so has no width
    first = table[table.prompt == "prompt-0"]
    assert (first[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)
    *_, last = plot_ranks(table, "en").axes
    drawn = [line.get_ydata() for line in last.lines if line.get_marker() != "None"]
    for number, found in zip((1, 2), drawn, strict=True):
        of = (table.direction == way) & (table.prompt == f"prompt-{number}")
        assert found == pytest.approx(100 * table[of & table.k.isin([1, 5, 10])].difference)
    # side by side, and none upon another
    places = np.concatenate([line.get_xdata() for line in last.lines if len(line.get_xdata()) == 3])
    assert len({*places.round(3)}) == len(places)
    assert len(plot_ranks(curves_of(runs[:1], 60), "en").axes) == 2


def test_of_many_runs_those_that_change_most_are_named():
    table = curves_of(fake_runs(12, 1000), 1000)
    far = table.model.eq("a-model-name-3") & table.prompt.eq("prompt-2")
    table.loc[far, "difference"] += 0.5
    words = words_of(plot_ranks(table, "en"))
    assert "a-model-name-3 · prompt-2" in words and "other runs" in words
    # the first one, chance, and those named
    assert sum(word.startswith(("a-model", "prompt-")) for word in words) == 1 + NAMED


@pytest.mark.parametrize("first", [0, 1])
def test_training_for_one_epoch_stands_whole_in_its_panels(first):
    figure = plot_training(training(range(first, 2)), 1, "en")
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks == list(range(first, 2))
        # a mark's half is 0.04 inches at most
        room = 0.04 / 2.4 * (high - low)
        assert low + room <= first and high - room >= 1
        low, high = axes.get_ylim()
        assert high - 0.04 / 2 * (high - low) >= max(
            max(line.get_ydata()) for line in axes.lines[:-1]
        )
        assert ("0" in axes.get_xlabel()) == (first == 0)


def test_an_empty_training_log_is_told():
    with pytest.raises(BadInput, match="no epoch"):
        by_epoch(pd.DataFrame({"epoch": []}))


def test_every_query_is_in_one_step_and_the_last_step_ends_with_the_gallery():
    (run,) = fake_runs(1, 25)
    table = outcomes_of(run, few_rows(), RESAMPLING)
    for way, last in (("text_to_image", 25), ("image_to_text", 50)):
        part = table[table.direction == way]
        assert part["first"].tolist() == [1, 2, 6, 11]
        assert part["last"].tolist() == [1, 5, 10, last]
        assert part.outcome.tolist() == ["success", "near_miss", "between", "failure"]
        assert part.share.sum() == pytest.approx(1)
        ranks = run.ranks[way]
        assert part.share.tolist()[1] == pytest.approx(np.mean((ranks >= 2) & (ranks <= 5)))
        assert (part.low <= part.share).all() and (part.share <= part.high).all()
    axes = plot_outcomes(table, "en").axes
    lengths = [patch.get_width() for own in axes for patch in own.patches]
    assert lengths == pytest.approx(100 * table.share)


def test_a_run_stands_where_its_recall_and_its_hubs_moved_to_against_the_first():
    runs = {("tiny", "photo", "cosine"): (-0.04, 2.5), ("big", "plain", "nnn"): (0.02, 1.0)}
    table = changes_of(*tradeoff(runs))
    assert table.name.tolist() == ["photo", "big · nnn"] * 2
    assert table.recall.tolist() == [-0.04, 0.02] * 2
    assert table.hubs.tolist() == pytest.approx([1.0, -0.5] * 2)
    assert table.hubs_low.isna().all()
    for axes in plot_hub_tradeoff(table, "en").axes:
        assert dots_of(axes) == [pytest.approx(dot) for dot in ((1.0, -4), (-0.5, 2))]


def test_the_change_of_hubs_is_the_paired_one_where_the_table_has_it():
    (row, _) = changes_of(*tradeoff({("tiny", "photo", "cosine"): (0.0, 2.0)}, True)).itertuples()
    assert (row.hubs, row.hubs_low, row.hubs_high) == pytest.approx((0.5, 0.2, 0.8))


def test_a_change_against_another_models_reference_is_none_against_the_first_run():
    pairs, geometry = tradeoff({("big", "plain", "cosine"): (0.0, 2.0)}, True)
    geometry.loc[geometry.measure == "skewness_change", "value"] = 9.0
    (row, _) = changes_of(pairs, geometry).itertuples()
    assert row.hubs == pytest.approx(0.5) and np.isnan(row.hubs_low)


def test_a_run_whose_lists_are_all_alike_has_no_skewness_and_no_dot():
    runs = {("tiny", "photo", "cosine"): (0.0, np.nan), ("tiny", "plain", "nnn"): (0.01, 1.0)}
    assert changes_of(*tradeoff(runs)).name.tolist() == ["nnn"] * 2


def test_each_of_many_runs_has_a_look_and_a_name_of_its_own():
    figure = changes(20)("en")
    assert sum(word.startswith("prompt number") for word in words_of(figure)) == 20
    dots = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert len({(one.get_marker(), to_hex(one.get_color())) for one in dots}) == 20


def test_the_plane_is_that_of_the_covariance_and_its_signs_are_fixed():
    lot = np.random.default_rng(5)
    points = lot.normal(size=(60, 6)) * [5, 3, 1, 1, 1, 1] + 7
    axes, explained = plane_of(points)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    assert explained == pytest.approx(values[::-1][:2] / values.sum())
    assert np.abs(np.diag(axes @ vectors[:, ::-1][:, :2])) == pytest.approx([1, 1])
    assert (axes[[0, 1], np.abs(axes).argmax(axis=1)] > 0).all()
    # the same plane, whichever way the points come
    assert plane_of(points[::-1])[0] == pytest.approx(axes)
    flat, share = plane_of(np.array([[0.0, 1.0], [0.0, 2.0]]))
    assert share == pytest.approx([1, 0]) and np.isfinite(flat).all()


def test_clouds_hold_a_sample_of_each_side_and_the_means_of_all():
    of = reference(0.25, images=30)
    table = clouds_of(of, 0)
    for side, features in (("image", of.images), ("text", of.texts)):
        own = table[table.of == side]
        rows = own.row.dropna().astype(int).to_numpy()
        # as many captions as images
        assert len(own) == 31 and len(set(rows)) == 30
        mean = own[own.row.isna()][["x", "y"]].to_numpy()[0]
        near = (own[["x", "y"]].to_numpy()[:-1] - mean)[:, None]
        apart = np.linalg.norm(features[rows] - features.mean(axis=0), axis=1)
        # a projection shortens
        assert (np.linalg.norm(near[:, 0], axis=1) <= apart + 1e-4).all()
    assert table.equals(clouds_of(of, 0)) and not table.equals(clouds_of(of, 1))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_gap_that_the_figure_tells_is_that_of_the_table_in_all_dimensions(language, tmp_path):
    of = reference(0.25)
    write_rows(tmp_path / "geometry.csv", gap_rows(of, RESAMPLING))
    gap = gap_in(tmp_path / "geometry.csv", "a-model")
    whole = np.linalg.norm(of.images.mean(axis=0) - of.texts.mean(axis=0))
    assert gap == pytest.approx(whole, abs=1e-5)
    figure = plot_clouds(clouds_of(of, 0), gap, 24, language)
    assert_readable(figure)
    words = " ".join(words_of(figure))
    assert f"{whole:.3f}" in words and "24" in words
    (line,) = [one for one in figure.axes[0].lines if one.get_linestyle() == "-"
               and len(one.get_xdata()) == 2]  # fmt: skip
    here = np.hypot(np.diff(line.get_xdata()), np.diff(line.get_ydata()))[0]
    assert f"{here:.3f}" in words and here <= whole
    with pytest.raises(BadInput, match="no gap of another"):
        gap_in(tmp_path / "geometry.csv", "another")


def drawing_job(folder: Path, look: dict) -> SimpleNamespace:
    files = {
        kind: [str(folder / f"f.{lang}.{kind}") for lang in LANGUAGES] for kind in ("svg", "png")
    }
    return job({}, files, {"languages": LANGUAGES, "style": look})


def test_a_rule_draws_each_language_as_configured_and_leaves_matplotlibs_settings(tmp_path):
    before, look = dict(matplotlib.rcParams), {"dpi": 40, "palette": ["#123456"]}
    for turn in ("one", "two"):
        style.draw(drawing_job(tmp_path / turn, look), recall_of(1, 2, 1))
    assert dict(matplotlib.rcParams) == before
    files = {
        f"{lang}.{kind}": (tmp_path / "one" / f"f.{lang}.{kind}").read_bytes()
        for lang, kind in product(LANGUAGES, ("svg", "png"))
    }
    assert len(set(files.values())) == 4
    for name, content in files.items():
        assert content == (tmp_path / "two" / f"f.{name}").read_bytes(), "not the same each time"
    assert Image.open(tmp_path / "one" / "f.en.png").width == int(40 * style.WIDTH)
    svg = files["zh.svg"].decode()
    assert "#123456" in svg and "<dc:date>" not in svg
    assert "<text" not in svg, "text is drawn as outlines, so that no font is needed"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tab\tand\nline", "tab and line"), ("नम", "\u25a1\u25a1"), ("\u200bzero", "zero"),
        ("e\u0301", "é"), ("\x07bell", "bell"),
    ],
)  # fmt: skip
def test_text_that_no_font_can_draw_becomes_boxes_and_not_a_warning(text, shown):
    assert style.drawable(text) == shown


@pytest.mark.parametrize("text", [*NASTY, "x" * 300, "", "，".join(["很长的描述"] * 20)])
def test_lines_are_no_wider_than_asked_and_lose_nothing(text):
    lines = style.wrap(text, 1.5, 8)
    assert all(style.width_of(line, 8) <= 1.5 + 1e-9 for line in lines)
    assert "".join(lines).replace(" ", "") == style.drawable(text).replace(" ", "")
    assert not any(line.startswith(tuple(CLOSING)) for line in lines)


def test_what_does_not_fit_ends_in_an_ellipsis():
    lines = style.wrap("word " * 100, 1.5, 8, lines=3)
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert style.width_of(lines[-1], 8) <= 1.5


def test_widths_are_those_that_matplotlib_draws():
    sample, board = "Wide 宽度 and narrow, 1,234", Board()
    board.text(0, 0.5, sample, size=12)
    ((_, box),) = texts_of(board.cut(1))
    assert style.width_of(sample, 12) == pytest.approx(box.width / board.figure.dpi, rel=0.06)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_a_figure_is_xml_whatever_a_title_of_the_configuration_holds(tmp_path):
    board = Board()
    every = "".join(map(chr, range(1, 160))) + "\ufffe\u2028"
    board.text(0, 0.5, f"a title {every} of one's own -->")
    svg = tmp_path / "figure.svg"
    style.save(board.cut(1), svg, tmp_path / "figure.png")
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert "of one's own" in svg.read_text("utf-8")


def test_a_caption_comes_back_from_the_table_of_a_figure_as_it_was(tmp_path):
    table = pd.DataFrame({"caption": [f"a{odd}dog" for odd in ODD], "rank": range(len(ODD))})
    style.write_table(table, tmp_path / "figure.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "figure.csv"), table)
    style.write_table(table.assign(caption="a, dog"), tmp_path / "plain.csv")
    assert (
        (tmp_path / "plain.csv").read_bytes().startswith(b'caption,rank\n"a, dog",0\n"a, dog",1\n')
    )
