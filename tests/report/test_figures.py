"""The figures: nothing outside, nothing over anything else, nothing that cannot be read."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from fake_captions import NASTY, ODD
from fake_run import LANGUAGES, FakeRun, job
from matplotlib.axis import Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from scripts.data.rows import rows_of
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import Run
from scripts.figures import style
from scripts.figures.pictures import Board
from scripts.figures.plot_flow import plot_flow
from scripts.figures.plot_gallery import choose, plot_gallery
from scripts.figures.plot_ranks import NAMED, curves, plot_ranks
from scripts.figures.plot_recall import plot_recall, with_chance
from scripts.figures.plot_training import by_epoch, plot_training
from scripts.job import BadInput
from scripts.letters import CLOSING
from scripts.studies.words import words_of

pytestmark = pytest.mark.usefixtures("on_sheet")

CHINESE = re.compile("[\u4e00-\u9fff]")


def texts_of(figure):
    """Texts that are really drawn, with their boxes in pixels; a missing glyph is an error."""
    with style.sheet(), warnings.catch_warnings():
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
        for way in ("text_to_image", "image_to_text")
    ])  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("models", "prompts", "scorers"), [(1, 1, 1), (2, 3, 1), (4, 6, 3)])
def test_recall_is_readable_from_one_run_to_seventy_two(models, prompts, scorers, language):
    assert_readable(plot_recall(metrics(models, prompts, scorers), language))


@pytest.mark.parametrize("scale", [0.0, 0.02, 1.0])
def test_recall_is_readable_for_very_bad_and_very_good_runs(scale):
    assert_readable(plot_recall(metrics(1, 2, 1, scale), "en"))


@pytest.mark.parametrize("name", ["flickr8k-dual-mobilenetv2", "m" * 60])
def test_the_name_of_a_model_does_not_reach_into_the_numbers(name):
    figure = plot_recall(metrics(1, 1, 1).assign(model=name), "en")
    FigureCanvasAgg(figure).draw()
    panel = min(axes.get_window_extent().x0 for axes in figure.axes)
    heads = [text for text in figure.findobj(Text) if text.get_weight() == "bold"]
    (head,) = [text for text in heads if text.get_text()[:5] == name[:5]]
    assert head.get_window_extent().x1 <= panel
    assert head.get_text() == name or head.get_text().endswith("…")


def test_the_recall_table_holds_chance():
    table = with_chance(metrics(1, 1, 1)).set_index("direction")
    assert table.loc["text_to_image", "chance@10"] == pytest.approx(0.01)
    assert table.loc["image_to_text", "chance@1"] == pytest.approx(0.001)


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


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("count", "gallery"), [(1, 5), (3, 60), (12, 1000), (12, 25000)])
def test_recall_curves_are_readable(count, gallery, language):
    table = curves_of(fake_runs(count, gallery), gallery)
    assert_readable(plot_ranks(table, language))


def curves_of(runs: list[Run], gallery: int) -> pd.DataFrame:
    """Curves of runs of 25 images with two captions each, and so many items to choose from."""
    rows = rows_of([str(n) for n in range(25)], [["a", "b"]] * 25)
    sizes = {"text_to_image": gallery, "image_to_text": 2 * gallery}
    return curves(runs, sizes, rows, Resampling(200, 0))


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
    figure = plot_ranks(table, "en")
    upper, lower, _, other = figure.axes
    assert [len(axes.lines) for axes in (upper, lower)] != [0, 0] and len(figure.axes) == 4
    drawn = next(line for line in other.lines if len(line.get_xdata()) == len(own))
    assert drawn.get_ydata() == pytest.approx(
        100 * table[(table.direction == way) & (table.prompt == "prompt-1")].difference
    )
    assert len(plot_ranks(curves_of(runs[:1], 60), "en").axes) == 2


def test_of_many_runs_those_that_change_most_are_named():
    table = curves_of(fake_runs(12, 1000), 1000)
    far = table.model.eq("a-model-name-3") & table.prompt.eq("prompt-2")
    table.loc[far, "difference"] += 0.5
    words = [text.get_text() for text, _ in texts_of(plot_ranks(table, "en"))]
    assert "a-model-name-3 · prompt-2" in words and "other runs" in words
    # the first one, chance, and those named
    assert sum(word.startswith(("a-model", "prompt-")) for word in words) == 1 + NAMED


def test_every_number_of_recall_is_shown_and_chance_strikes_none_through():
    table = metrics(1, 3, 1)
    figure = plot_recall(table, "en")
    words = [text.get_text() for text, _ in texts_of(figure)]
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


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_training_curves_are_readable(epochs, language):
    log = pd.DataFrame({
        "epoch": range(1, epochs + 1), "train_loss": np.linspace(3, 1, epochs),
        "val_loss": np.linspace(3, 1.02, epochs), "val_recall@1": np.linspace(0.1, 0.5, epochs),
        "val_recall@10": np.linspace(0.2, 0.52, epochs),
    })  # fmt: skip
    for best in (1, epochs, None):
        assert_readable(plot_training(log, best, language))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("first", "ticks"), [(0, [0, 1]), (1, [1])])
def test_training_for_one_epoch_stands_whole_in_its_panels(first, ticks, language):
    log = pd.DataFrame({
        "epoch": [0, 1], "train_loss": [np.nan, 2.8], "val_loss": [2.7, 2.6],
        "val_recall@1": [0.08, 0.09], "val_recall@10": [0.38, 0.39],
    }).iloc[first:]  # fmt: skip
    figure = plot_training(log, 1, language)
    assert_readable(figure)
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == ticks
        # a mark's half is 0.04 inches at most
        room = 0.04 / 2.4 * (high - low)
        drawn = np.concatenate([line.get_xdata() for line in axes.lines if len(line.get_marker())])
        assert low + room <= drawn.min() and drawn.max() <= high - room
    before = any("0" in axes.get_xlabel() for axes in figure.axes)
    assert before == (first == 0)


def test_an_empty_training_log_is_told():
    with pytest.raises(BadInput, match="no epoch"):
        by_epoch(pd.DataFrame({"epoch": []}))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_flow_chart_is_readable(language):
    assert_readable(plot_flow(language))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("direction", ["text_to_image", "image_to_text"])
def test_galleries_are_readable_and_show_markup_and_mathtext_as_they_are(
    fake_run: FakeRun, direction, language
):
    table = read_gallery(fake_run, direction)
    # the nasty captions stand in the place of those that the lot chose
    column = "text" if direction == "text_to_image" else "item_text"
    places = dict(zip(table[column].unique(), NASTY, strict=False))
    table[column] = [places.get(text, text) for text in table[column]]
    figure = plot_gallery(table, fake_run.data / "images", language)
    assert_readable(figure)
    words = "".join(text.get_text() for text, _ in texts_of(figure)).replace(" ", "")
    assert "<script>" in words
    assert "$x_1$" in words


def read_gallery(fake_run: FakeRun, direction: str) -> pd.DataFrame:
    path = fake_run.results / "figures" / f"gallery.tiny.{direction}.csv"
    return pd.read_csv(path, keep_default_na=False, na_values={"score": [""]})


@pytest.mark.parametrize("direction", ["text_to_image", "image_to_text"])
def test_a_gallery_holds_a_right_answer_for_every_query(fake_run: FakeRun, direction):
    table = read_gallery(fake_run, direction)
    assert set(table.outcome) == {"success", "near_miss", "failure"}
    for _, part in table.groupby(["outcome", "query"]):
        right = part[part.right]
        assert len(right) >= 1
        assert right.place.min() == part["rank"].iloc[0]
        assert len(part) == 5 + (right.place.min() > 5)


@pytest.mark.parametrize("direction", ["text_to_image", "image_to_text"])
def test_a_gallery_holds_the_words_that_no_caption_of_the_image_says(fake_run: FakeRun, direction):
    rows = fake_run.rows
    for item in read_gallery(fake_run, direction).itertuples():
        if item.right:
            assert item.unsaid == ""
            continue
        text, image = (
            (item.text, item.item_image)
            if direction == "text_to_image"
            else (item.item_text, item.image)
        )
        said = words_of(" ".join(rows.captions_of(rows.images.index(image))))
        # no caption of the fake run has a word in two forms
        lacking = {word for word in words_of(text) if word not in said and not CHINESE.match(word)}
        found = set(words_of(item.unsaid))
        assert found <= set(words_of(text)) - set(said)
        assert lacking - found <= {"a", "the", "and", "in", "on", "by", "it", "be", "s", "for"}


def test_a_gallery_marks_the_words_and_says_what_the_mark_means(fake_run: FakeRun):
    for direction, told in (("text_to_image", "under a wrong image"), ("image_to_text", "none of")):
        table = read_gallery(fake_run, direction)
        table.loc[~table.right, "unsaid"] = "dog"
        if direction == "image_to_text":
            table["item_text"] = "a dog"
        figure = plot_gallery(table, fake_run.data / "images", "en")
        assert_readable(figure)
        marked = [patch for patch in figure.axes[0].patches if patch.get_alpha() == 0.3]
        assert len(marked) == (~table.right).sum() > 0
        shown = [text.get_text() for text, _ in texts_of(figure)]
        assert any("Marked" in words and told in words for words in shown)
        lists = shown.count("not said: dog")
        assert lists == (len(marked) if direction == "text_to_image" else 0)
        plain = plot_gallery(table.assign(unsaid=""), fake_run.data / "images", "en")
        assert not any("Marked" in text.get_text() for text, _ in texts_of(plain))


def test_a_long_list_of_words_is_cut_and_stays_under_its_picture(fake_run: FakeRun):
    table = read_gallery(fake_run, "text_to_image")
    table.loc[~table.right, "unsaid"] = "; ".join(["several", "long", "words", "x" * 60, "滑雪板"])
    for language in LANGUAGES:
        figure = plot_gallery(table, fake_run.data / "images", language)
        assert_readable(figure)
        cut = [text.get_text() for text, _ in texts_of(figure) if text.get_text().endswith("…")]
        assert len(cut) >= (~table.right).sum()


def test_examples_are_drawn_by_lot_and_always_the_same():
    ranks = np.r_[np.full(50, 1), np.full(50, 3), np.full(50, 40)]
    counts = {"success": 3, "near_miss": 2, "failure": 4}
    chosen = choose(ranks, counts, seed=1)
    assert chosen == choose(ranks, counts, seed=1)
    assert chosen != choose(ranks, counts, seed=2)
    assert {name: len(queries) for name, queries in chosen.items()} == counts
    assert all(ranks[query] == 40 for query in chosen["failure"])


def test_too_few_failures_are_filled_up_with_the_worst_that_are_left():
    chosen = choose(np.array([1, 1, 7, 2, 9]), {"success": 1, "near_miss": 1, "failure": 3}, 0)
    assert chosen["failure"] == [4, 2]
    assert chosen["near_miss"] == [3]


def test_figures_have_the_same_bytes_each_time(tmp_path: Path):
    for name in ("one", "two"):
        figure = plot_recall(metrics(1, 2, 1), "zh")
        style.save(figure, tmp_path / f"{name}.svg", tmp_path / f"{name}.png", 50)
    for kind in ("svg", "png"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    svg = (tmp_path / "one.svg").read_text("utf-8")
    assert "<dc:date>" not in svg
    assert "<text" not in svg, "text is drawn as outlines, so that no font is needed"


def test_a_figure_has_the_resolution_and_colours_asked_for_and_leaves_matplotlibs_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    job = drawing_job(tmp_path, {"dpi": 40, "palette": ["#123456"]})
    style.draw(job, lambda language: plot_recall(metrics(1, 1, 1), language))
    assert dict(matplotlib.rcParams) == before
    assert Image.open(tmp_path / "f.en.png").width == int(40 * style.WIDTH)
    assert "#123456" in (tmp_path / "f.en.svg").read_text("utf-8")


def test_pictures_in_an_svg_are_small(fake_run: FakeRun):
    path = fake_run.results / "figures" / "gallery.tiny.text_to_image.en.svg"
    svg = path.read_text("utf-8")
    assert svg.count("data:image/jpeg") >= 30
    assert "data:image/png" not in svg
    assert len(svg) < 1_000_000


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


def drawing_job(folder: Path, look: dict) -> SimpleNamespace:
    files = {
        kind: [str(folder / f"f.{lang}.{kind}") for lang in LANGUAGES] for kind in ("svg", "png")
    }
    return job({}, files, {"languages": LANGUAGES, "style": look})


def test_each_language_gets_its_own_file(tmp_path):
    style.draw(drawing_job(tmp_path, {"dpi": 30}), plot_flow)
    english, chinese = ((tmp_path / f"f.{lang}.svg").read_text("utf-8") for lang in LANGUAGES)
    assert english != chinese


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
