"""Figures with pictures in them: galleries, hubs, failures and the heat map of scores."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_captions import NASTY
from fake_figures import (
    CAPTIONS,
    assert_readable,
    failures_table,
    hubs_table,
    reference,
    texts_of,
    words_of,
)
from fake_rankings import rankings_from
from fake_run import LANGUAGES, FakeRun, job
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from scripts.evaluate.runs import read_run
from scripts.figures import plot_failures, plot_hubs, style
from scripts.figures.pictures import marks
from scripts.figures.plot_failures import drawn_failures, read_failures
from scripts.figures.plot_gallery import choose, gallery_table, plot_gallery
from scripts.figures.plot_heatmap import SIZE, heatmap_table, plot_heatmap
from scripts.figures.plot_hubs import drawn_hubs, read_hubs
from scripts.protocol import DIRECTIONS
from scripts.retrieve.similarity import write_rankings
from scripts.studies import words
from scripts.studies.study_errors import KINDS
from scripts.studies.study_geometry import HUB_COLUMNS
from scripts.words.labels import read_labels

pytestmark = pytest.mark.usefixtures("on_sheet")
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(40):
        size = ((96, 64), (64, 96), (80, 80), (300, 20))[number % 4]
        Image.new("RGB", size, (6 * number, 90, 140)).save(folder / f"{number}.png")
    return folder


def draw_hubs(hubs, images, language="en"):
    return plot_hubs.plot_hubs(drawn_hubs(hubs), images, language)


def draw_failures(failures, images, language="en"):
    return plot_failures.plot_failures(drawn_failures(failures), images, language)


def bars_of(figure) -> list[float]:
    heights = ((patch, patch.get_height()) for patch in figure.axes[0].patches)
    return [patch.get_width() for patch, tall in heights if tall == pytest.approx(0.092)]


def read_gallery(fake_run: FakeRun, direction: str) -> pd.DataFrame:
    path = fake_run.results / "figures" / f"gallery.tiny.{direction}.csv"
    return pd.read_csv(path, keep_default_na=False, na_values={"score": [""]})


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("direction", DIRECTIONS)
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
    told = "".join(words_of(figure)).replace(" ", "")
    assert "<script>" in told and "$x_1$" in told


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_gallery_holds_a_right_answer_for_every_query(fake_run: FakeRun, direction):
    table = read_gallery(fake_run, direction)
    assert set(table.outcome) == {"success", "near_miss", "failure"}
    for _, part in table.groupby(["outcome", "query"]):
        right = part[part.right]
        assert len(right) >= 1
        assert right.place.min() == part["rank"].iloc[0]
        assert len(part) == 5 + (right.place.min() > 5)


@pytest.mark.parametrize("direction", DIRECTIONS)
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
        said = words.words_of(" ".join(rows.captions_of(rows.images.index(image))))
        # no caption of the fake run has a word in two forms
        lacking = {
            word for word in words.words_of(text) if word not in said and not CHINESE.match(word)
        }
        found = set(words.words_of(item.unsaid))
        assert found <= set(words.words_of(text)) - set(said)
        assert lacking - found <= {"a", "the", "and", "in", "on", "by", "it", "be", "s", "for"}


@pytest.mark.parametrize(
    ("direction", "told"), [*zip(DIRECTIONS, ("under a wrong image", "none of"), strict=True)]
)
def test_a_gallery_marks_the_words_and_says_what_the_mark_means(fake_run, direction, told):
    table, folder = read_gallery(fake_run, direction), fake_run.data / "images"
    # of each outcome one query
    table = table[table["query"].isin(table.groupby("outcome")["query"].first())]
    table.loc[~table.right, "unsaid"] = "dog"
    if direction == "image_to_text":
        table["item_text"] = "a dog"
    figure = plot_gallery(table, folder, "en")
    marked = [patch for patch in figure.axes[0].patches if patch.get_alpha() == 0.3]
    assert len(marked) == (~table.right).sum() > 0
    shown = words_of(figure)
    assert any("Marked" in line and told in line for line in shown)
    assert shown.count("not said: dog") == (len(marked) if direction == "text_to_image" else 0)
    plain = plot_gallery(table.assign(unsaid=""), folder, "en")
    assert not any("Marked" in line for line in words_of(plain))


def test_a_long_list_of_words_is_cut_and_stays_under_its_picture(fake_run: FakeRun):
    table = read_gallery(fake_run, "text_to_image")
    table.loc[~table.right, "unsaid"] = "; ".join(["several", "long", "words", "x" * 60, "滑雪板"])
    figure = plot_gallery(table[table.outcome == "failure"], fake_run.data / "images", "zh")
    assert_readable(figure)
    cut = [line for line in words_of(figure) if line.endswith("…")]
    assert len(cut) >= (~table[table.outcome == "failure"].right).sum()


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


def test_pictures_in_an_svg_are_small(fake_run: FakeRun):
    path = fake_run.results / "figures" / "gallery.tiny.text_to_image.en.svg"
    svg = path.read_text("utf-8")
    assert svg.count("data:image/jpeg") >= 30
    assert "data:image/png" not in svg
    assert len(svg) < 1_000_000


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("scorers", "hubs", "occurrences"),
    [(1, 1, 12), (1, 24, 100_000), (3, 3, 60), (6, 8, 90), (12, 24, 3)],
)
def test_hubs_are_readable_and_fit_on_a_page(images, scorers, hubs, occurrences, language):
    table = hubs_table(scorers, hubs, occurrences)
    figure, shown = draw_hubs(table, images, language), drawn_hubs(table)
    assert_readable(figure)
    assert figure.get_figheight() <= plot_hubs.TALLEST
    # each hub that has room has a bar
    assert len(bars_of(figure)) == len(shown) > 0
    assert (len(shown) < len(table)) == (hubs > 3)
    assert tuple(shown.columns) == HUB_COLUMNS


def test_hubs_of_another_model_and_of_a_scorers_own_are_left_out(images):
    table = hubs_table(2, 2)
    own = table.iloc[:1].assign(reference_place=None, occurrences=4321, scorer="other")
    other = table.iloc[:1].assign(model="big", occurrences=5432)
    told = words_of(draw_hubs(pd.concat([table, own, other]), images))
    assert told.count("1,234") == 2
    assert not {"4,321", "5,432", "other"} & set(told)
    # a bar for each scorer, item and direction
    assert sum(word.startswith("a-long-scorer") for word in told) == 8


def test_bars_are_as_long_as_their_counts(images):
    table = hubs_table(3, 2, occurrences=60)
    bars = bars_of(draw_hubs(table, images))
    counts = table.sort_values(["direction", "place"]).occurrences
    for half in (bars[:6], bars[6:]):
        unit = max(half) / 60
        assert sorted(half) == pytest.approx([count * unit for count in sorted(counts[:6])])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("kinds", "examples"), [(KINDS, 1), (KINDS, 2), (KINDS[3:6], 6), (KINDS[:1], 1), ((), 1)]
)
def test_failures_are_readable_and_fit_on_a_page(images, kinds, examples, language):
    table = failures_table(kinds, examples)
    other = table.assign(model="big", query_text="theirs")
    shown = drawn_failures(pd.concat([table, other]))
    figure = plot_failures.plot_failures(shown, images, language)
    assert_readable(figure)
    assert figure.get_figheight() <= plot_failures.TALLEST
    told = words_of(figure)
    joined = "".join(told).replace(" ", "")
    # called as in the study's table, its figure and the explorer
    labels = read_labels(language)
    assert all(labels.group("errors", kind).replace(" ", "") in joined for kind in kinds)
    if kinds == KINDS:
        assert "<script>" in joined and "$x_1$" in joined
    # all that have room, and of the first model alone
    ranked = [line for line in told if line.startswith({"en": "rank ", "zh": "第"}[language])]
    assert len(ranked) == len(shown) and "theirs" not in told
    assert not [line for line in ranked if "…" in line]
    assert (len(shown) < len(table)) == (examples * len(kinds) > 11)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_kind_that_occurs_in_one_direction_only_is_shown_there(images, direction):
    assert_readable(draw_failures(failures_table(KINDS[:2], 1, [direction]), images))


def test_only_what_is_an_example_is_shown(images):
    table = failures_table(KINDS[:2], 1, ["text_to_image"])
    table.loc[table.kind == KINDS[0], "example"] = 0
    told = " ".join(words_of(draw_failures(table, images)))
    shown = [read_labels("en").group("errors", kind) in told for kind in KINDS[:2]]
    assert shown == [False, True]


def test_a_kind_without_words_is_an_error_and_not_left_out_of_the_figure(images, monkeypatch):
    monkeypatch.setattr(plot_failures, "KINDS", (*KINDS, "new"))
    table = failures_table(KINDS[:1], 1).assign(kind="new")
    with pytest.raises(KeyError, match="new"):
        draw_failures(table, images)


@pytest.mark.parametrize(
    ("text", "words", "marked"),
    [
        ("A red dog , redder than any dog", ["red", "dog"], ["red", "dog", "dog"]),
        ("一只黑狗和一只白狗在雪地里奔跑着回家", ["黑", "雪地"], ["黑", "雪地"]),
        ("a  pair\tof dogs", ["a  pair"], ["a pair"]),
        ("no word at all", [""], []),
        ("red. " * 40, ["red"], ["red"]),
    ],
)
def test_marks_stand_on_the_words_and_on_no_others(text, words, marked):
    lines = style.wrap(text, 0.9, 7.5, lines=4)
    found = [lines[line][start:stop] for line, start, stop in marks(text, lines, words)]
    assert "".join(found).replace(" ", "").startswith("".join(marked).replace(" ", ""))
    assert set("".join(found)) <= set("".join(marked))


def test_a_mark_lies_under_its_word(images):
    table = failures_table(KINDS[3:4], 1, ["text_to_image"])
    table["query_text"], table["differing"] = "a girl beside a red dog", "red"
    figure = draw_failures(table, images, "en")
    renderer = FigureCanvasAgg(figure).get_renderer()
    # the first is the key at the top
    _, *marked = [p for p in figure.axes[0].patches if p.get_alpha()]
    assert len(marked) == 1
    box = marked[0].get_window_extent(renderer)
    (line,) = [text for text, _ in texts_of(figure) if "red" in text.get_text()]
    extent = line.get_window_extent(renderer)
    before = style.width_of(line.get_text().split("red")[0], style.SMALL) * figure.dpi
    assert box.x0 == pytest.approx(extent.x0 + before, abs=3)
    assert box.y0 < extent.y0 + 0.5 * extent.height < box.y1
    # whoever sees no colour sees a line under the word
    (under,) = [
        rule.get_window_extent(renderer)
        for rule in figure.axes[0].lines
        if rule.get_zorder() == 0.6 and box.contains(*rule.get_window_extent(renderer).min)
    ]
    assert under.x0 == pytest.approx(extent.x0 + before, abs=3)
    assert under.y0 < extent.y0 + 0.25 * extent.height


def test_words_before_a_list_have_no_mark():
    text = "not said: said, pink"
    assert marks(text, [text], ["said", "pink"], after=10) == [(0, 10, 14), (0, 16, 20)]


@pytest.mark.parametrize(
    ("script", "table", "read", "column"),
    [
        (plot_hubs, hubs_table(1, len(CAPTIONS)), read_hubs, "caption"),
        (plot_failures, failures_table(KINDS[:6], 2), read_failures, "query_text"),
    ],
)
def test_a_rule_reads_captions_as_they_are_and_draws_the_same_bytes_each_time(
    script, table, read, column, images, tmp_path
):
    table.to_csv(tmp_path / "table.csv", index=False)
    assert "NA" in set(read(tmp_path / "table.csv")[column])
    inputs = {"images": images} | dict.fromkeys(("hubs", "failures"), tmp_path / "table.csv")
    params = {"languages": ["zh"], "style": {"dpi": 40}}
    drawn = []
    for _ in range(2):
        files = {kind: [tmp_path / f"figure.{kind}"] for kind in ("svg", "png")}
        script.main(job(inputs, files, params))
        drawn.append([path.read_bytes() for (path,) in files.values()])
    assert drawn[0] == drawn[1]
    assert b"<text" not in drawn[0][0] and b"data:image/png" not in drawn[0][0]


@pytest.mark.parametrize("apart", [0.0, 0.01])
def test_a_right_sentence_behind_the_list_has_its_score_where_a_pair_has_one_both_ways(
    apart, tmp_path
):
    of = reference(0.6)
    found = rankings_from(of.texts @ of.images.T, of.rows, 5)
    # as a scorer with a map for each direction has them
    found["image_to_text_top_score"] += np.float32(apart)
    path = tmp_path / "m" / "p" / "s" / "rankings.npz"
    path.parent.mkdir(parents=True)
    write_rankings(path, found)
    run = read_run(path, of.rows)
    counts = {"success": 3, "near_miss": 0, "failure": 3}
    chosen = choose(run.ranks["image_to_text"], counts, 0)
    table = gallery_table(run, of.rows, "image_to_text", chosen, 5)
    behind = table[table.place > 5]
    assert len(behind) == 3 and behind.right.all()
    if apart:
        assert behind.score.isna().all()
        return
    for one in behind.itertuples():
        assert one.score == pytest.approx(of.texts[one.item] @ of.images[one.query], abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_one_sentence_of_the_heat_map_goes_wrong_and_all_others_are_right(seed):
    of = reference(0.25)
    assert (of.run.ranks["text_to_image"] > 1).any()
    table = heatmap_table(of, seed)
    assert table.caption.nunique() == table.item.nunique() == SIZE
    assert len(table) == SIZE**2 and table.right.sum() == SIZE
    firsts = table[table["first"]]
    assert len(firsts) == SIZE and (~firsts.right).sum() == 1
    # it goes wrong in the whole gallery, and finds the same image there
    wrong = firsts[~firsts.right].iloc[0]
    assert of.run.tops["text_to_image"][wrong.caption, 0] == wrong["item"]
    for cell in table.itertuples():
        assert cell.score == pytest.approx(of.texts[cell.caption] @ of.images[cell.item], abs=1e-4)
        assert cell.right == (of.rows.image_of_caption[cell.caption] == cell.item)
        assert cell.text == of.rows.captions[cell.caption]
    assert table.equals(heatmap_table(of, seed))


def test_another_seed_shows_others_and_a_perfect_run_shows_no_mistake():
    of = reference(0.25)
    assert set(heatmap_table(of, 0).caption) != set(heatmap_table(of, 1).caption)
    perfect = heatmap_table(reference(0.0), 0)
    assert perfect.right.sum() == SIZE and (perfect["first"] == perfect.right).all()


def test_a_gallery_smaller_than_the_heat_map_is_shown_as_far_as_it_goes():
    table = heatmap_table(reference(0.0, images=3), 0)
    assert table.item.nunique() == 3
    # of noise alone, whatever fits is right but for one
    noise = heatmap_table(reference(9.0, images=12), 0)
    firsts = noise[noise["first"]]
    assert (~firsts.right).sum() == 1 and 1 <= noise.item.nunique() <= SIZE


@pytest.mark.parametrize(("noise", "language"), [(0.0, "en"), (0.25, "zh")])
def test_the_heat_map_is_readable_and_frames_what_is_right_and_what_is_wrong(
    noise, language, images
):
    table = heatmap_table(reference(noise), 1)
    figure = plot_heatmap(table, images, language)
    assert_readable(figure)
    frames = [patch for patch in figure.axes[0].patches if not patch.get_fill()]
    # and one of each in the key
    kinds = [patch.get_linestyle() for patch in frames]
    assert len(set(map(str, kinds))) == 1 + (noise > 0)
    assert len(frames) == SIZE + 1 + 2 * (noise > 0)
    assert {f"{score:.3f}".replace("-", "−") for score in table.score} <= set(words_of(figure))
