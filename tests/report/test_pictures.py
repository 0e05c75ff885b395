"""Hubs and failures in pictures: readable with any captions, and no taller than a page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from fake_captions import NASTY
from fake_run import LANGUAGES, job
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from PIL import Image
from test_figures import assert_readable, texts_of

from scripts.figures import plot_failures, plot_hubs, style
from scripts.figures.pictures import marks
from scripts.figures.plot_failures import drawn_failures, read_failures
from scripts.figures.plot_hubs import drawn_hubs, read_hubs
from scripts.studies.study_errors import FAILURE_COLUMNS, KINDS
from scripts.studies.study_geometry import HUB_COLUMNS
from scripts.words.labels import read_labels

pytestmark = pytest.mark.usefixtures("on_sheet")

DIRECTIONS = ("text_to_image", "image_to_text")
CAPTIONS = (
    *NASTY,
    "a red dog runs . ",
    "NA",
    "x" * 200,
    "नमस्ते e\u0301",
    "，".join(["很长的描述"] * 20),
)


def draw_hubs(hubs, images, language):
    return plot_hubs.plot_hubs(drawn_hubs(hubs), images, language)


def draw_failures(failures, images, language):
    return plot_failures.plot_failures(drawn_failures(failures), images, language)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number, size in enumerate([(96, 64), (64, 96), (80, 80), (300, 20)]):
        Image.new("RGB", size, (60 * number, 90, 140)).save(folder / f"{number}.png")
    return folder


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


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("scorers", "hubs", "occurrences"),
    [(1, 1, 12), (1, 24, 100_000), (3, 3, 60), (6, 8, 90), (12, 24, 3)],
)
def test_hubs_are_readable_and_fit_on_a_page(images, scorers, hubs, occurrences, language):
    figure = draw_hubs(hubs_table(scorers, hubs, occurrences), images, language)
    assert_readable(figure)
    width, height = figure.get_size_inches()
    assert width == pytest.approx(style.WIDTH)
    assert height <= plot_hubs.TALLEST


def test_hubs_of_another_model_and_of_a_scorers_own_are_left_out(images):
    table = hubs_table(2, 2)
    own = table.iloc[:1].assign(reference_place=None, occurrences=4321, scorer="other")
    other = table.iloc[:1].assign(model="big", occurrences=5432)
    words = [
        text.get_text()
        for text, _ in texts_of(draw_hubs(pd.concat([table, own, other]), images, "en"))
    ]
    assert words.count("1,234") == 2
    assert not {"4,321", "5,432", "other"} & set(words)
    # a bar for each scorer, item and direction
    assert sum(word.startswith("a-long-scorer") for word in words) == 8


def test_bars_are_as_long_as_their_counts(images):
    table = hubs_table(3, 2, occurrences=60)
    figure = draw_hubs(table, images, "en")
    bars = [
        patch.get_width()
        for patch in figure.axes[0].patches
        if isinstance(patch, Rectangle) and patch.get_height() == pytest.approx(0.092)
    ]
    counts = table.sort_values(["direction", "place"]).occurrences
    for half in (bars[:6], bars[6:]):
        lengths = sorted(half)
        unit = lengths[-1] / 60
        assert lengths == pytest.approx([count * unit for count in sorted(counts[:6])])


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


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("kinds", "examples"), [(KINDS, 1), (KINDS, 2), (KINDS[3:6], 6), (KINDS[:1], 1), ((), 1)]
)
def test_failures_are_readable_and_fit_on_a_page(images, kinds, examples, language):
    figure = draw_failures(failures_table(kinds, examples), images, language)
    assert_readable(figure)
    assert figure.get_size_inches()[1] <= plot_failures.TALLEST
    shown = [text.get_text() for text, _ in texts_of(figure)]
    joined = "".join(shown).replace(" ", "")
    # called as in the study's table, its figure and the explorer
    labels = read_labels(language)
    for kind in kinds:
        assert labels.group("errors", kind).replace(" ", "") in joined
    if len(kinds) == len(KINDS):
        assert "<script>" in joined
        assert "$x_1$" in joined


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_kind_that_occurs_in_one_direction_only_is_shown_there(images, direction):
    figure = draw_failures(failures_table(KINDS[:2], 1, [direction]), images, "en")
    assert_readable(figure)


def test_only_examples_of_the_first_model_are_shown(images):
    table = failures_table(KINDS[:2], 1, ["text_to_image"])
    table.loc[table.kind == KINDS[0], "example"] = 0
    table.loc[table.kind == KINDS[1], "query_text"] = "mine"
    other = table.assign(model="big", query_text="theirs", example=1)
    figure = draw_failures(pd.concat([table, other]), images, "en")
    shown = [text.get_text() for text, _ in texts_of(figure)]
    assert "mine" in shown
    assert "theirs" not in shown
    assert read_labels("en").group("errors", KINDS[0]) not in " ".join(shown)


def test_a_kind_without_words_is_an_error_and_not_left_out_of_the_figure(images, monkeypatch):
    monkeypatch.setattr(plot_failures, "KINDS", (*KINDS, "new"))
    table = failures_table(KINDS[:1], 1).assign(kind="new")
    with pytest.raises(KeyError, match="new"):
        draw_failures(table, images, "en")


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
    assert "".join(found).replace(" ", "")[: len("".join(marked))] == "".join(marked).replace(
        " ", ""
    )
    assert set("".join(found)) <= set("".join(marked))


def test_a_mark_lies_under_its_word(images):
    table = failures_table(KINDS[3:4], 1, ["text_to_image"])
    table["query_text"], table["differing"] = "a girl beside a red dog", "red"
    with style.sheet():
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


def rule_outputs(folder: Path, name: str) -> dict[str, list[str]]:
    return {
        kind: [str(folder / f"{name}.{language}.{kind}") for language in LANGUAGES]
        for kind in ("svg", "png")
    }


@pytest.mark.parametrize(("scorers", "hubs"), [(2, 3), (12, 24)])
def test_each_hub_that_has_room_has_a_bar(images, scorers, hubs):
    table = hubs_table(scorers, hubs)
    shown = plot_hubs.drawn_hubs(table)
    figure = plot_hubs.plot_hubs(shown, images, "en")
    bars = [patch for patch in figure.axes[0].patches if patch.get_height() == pytest.approx(0.092)]
    assert len(bars) == len(shown) > 0
    assert (len(shown) < len(table)) == (hubs == 24)
    assert tuple(shown.columns) == HUB_COLUMNS


@pytest.mark.parametrize("examples", [1, 6])
def test_failures_of_the_first_model_that_have_room_are_drawn(images, examples):
    table = failures_table(KINDS[:4], examples)
    shown = plot_failures.drawn_failures(pd.concat([table, table.assign(model="big")]))
    figure = plot_failures.plot_failures(shown, images, "en")
    ranked = [text for text, _ in texts_of(figure) if text.get_text().startswith("rank ")]
    assert len(ranked) == len(shown) > 0
    assert set(shown.model) == {"tiny"}
    assert (len(shown) < len(table)) == (examples == 6)


def test_both_rules_draw_each_language_with_the_same_bytes_each_time(images, tmp_path):
    hubs, failures = tmp_path / "hubs.csv", tmp_path / "failures.csv"
    hubs_table(2, 3).to_csv(hubs, index=False)
    failures_table(KINDS[:3], 1).to_csv(failures, index=False)
    assert "NA" in set(read_hubs(hubs_file(tmp_path)).caption)
    params = {"languages": list(LANGUAGES), "style": {"dpi": 40}}
    for turn in ("one", "two"):
        folder = tmp_path / turn
        inputs = {"hubs": str(hubs), "failures": str(failures), "images": str(images)}
        plot_hubs.main(job(inputs, rule_outputs(folder, "hubs"), params))
        plot_failures.main(job(inputs, rule_outputs(folder, "failures"), params))
    drawn = sorted((tmp_path / "one").iterdir())
    assert len(drawn) == 8
    for path in drawn:
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    svg = (tmp_path / "one" / "failures.zh.svg").read_text("utf-8")
    assert "<text" not in svg
    assert "data:image/png" not in svg


def hubs_file(folder: Path) -> Path:
    """A table with a caption that is the word NA."""
    hubs_table(1, len(CAPTIONS)).to_csv(folder / "na.csv", index=False)
    return folder / "na.csv"


def test_a_caption_that_is_the_word_na_stays_one(tmp_path):
    failures_table(KINDS[:6], 2).to_csv(tmp_path / "failures.csv", index=False)
    assert "NA" in set(read_failures(tmp_path / "failures.csv").query_text)
