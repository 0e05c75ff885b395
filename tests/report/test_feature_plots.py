"""What is drawn from features: the heat map of scores, and the two clouds with their gap."""

from __future__ import annotations

import numpy as np
import pytest
from fake_captions import NASTY
from fake_rankings import rankings_from
from fake_run import LANGUAGES
from PIL import Image
from test_figures import assert_readable, texts_of

from scripts.data.rows import rows_of
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import Run
from scripts.figures.plot_clouds import clouds_of, gap_in, plane_of, plot_clouds
from scripts.figures.plot_heatmap import SIZE, heatmap_table, plot_heatmap
from scripts.job import BadInput
from scripts.studies.reference import Reference
from scripts.studies.study_geometry import gap_rows
from scripts.studies.table import write_rows

pytestmark = pytest.mark.usefixtures("on_sheet")


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def reference(noise: float, images: int = 40, per_image: int = 3, seed: int = 0) -> Reference:
    """Features of captions that are those of their images, with noise and a gap between."""
    lot = np.random.default_rng(seed)
    words = [*NASTY, *(f"caption number {n}" for n in range(images * per_image))]
    captions = [words[n * per_image : (n + 1) * per_image] for n in range(images)]
    rows = rows_of([f"{n}.png" for n in range(images)], captions)
    pictures = unit(lot.normal(size=(images, 24)) + 0.2)
    texts = pictures[rows.image_of_caption] + noise * lot.normal(size=(len(rows.captions), 24))
    texts = unit(texts - 0.1)
    found = rankings_from(texts @ pictures.T, rows, 10)
    way = "text_to_image"
    run = Run(
        "a-model", "plain", "cosine", {way: found[f"{way}_rank"]}, {way: found[f"{way}_top"]},
        {}, np.zeros(0), np.zeros(0), {},
    )  # fmt: skip
    return Reference(run, rows, pictures, texts, {"kind": np.array("cosine")})


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


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("noise", [0.0, 0.25])
def test_the_heat_map_is_readable_and_frames_what_is_right_and_what_is_wrong(
    language, noise, tmp_path
):
    of = reference(noise)
    for number, name in enumerate(of.rows.images):
        size = ((96, 64), (40, 90), (300, 20))[number % 3]
        Image.new("RGB", size, (6 * number, 90, 140)).save(tmp_path / name)
    table = heatmap_table(of, 1)
    figure = plot_heatmap(table, tmp_path, language)
    assert_readable(figure)
    frames = [patch for patch in figure.axes[0].patches if not patch.get_fill()]
    # and one of each in the key
    kinds = [patch.get_linestyle() for patch in frames]
    assert len(set(map(str, kinds))) == 1 + (noise > 0)
    assert len(frames) == SIZE + 1 + 2 * (noise > 0)
    shown = [text.get_text() for text, _ in texts_of(figure)]
    assert all(f"{score:.3f}".replace("-", "−") in shown for score in table.score)


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
    write_rows(tmp_path / "geometry.csv", gap_rows(of, Resampling(50, 0)))
    gap = gap_in(tmp_path / "geometry.csv", "a-model")
    whole = np.linalg.norm(of.images.mean(axis=0) - of.texts.mean(axis=0))
    assert gap == pytest.approx(whole, abs=1e-5)
    figure = plot_clouds(clouds_of(of, 0), gap, 24, language)
    assert_readable(figure)
    words = " ".join(text.get_text() for text, _ in texts_of(figure))
    assert f"{whole:.3f}" in words and "24" in words
    (line,) = [one for one in figure.axes[0].lines if one.get_linestyle() == "-"
               and len(one.get_xdata()) == 2]  # fmt: skip
    here = np.hypot(np.diff(line.get_xdata()), np.diff(line.get_ydata()))[0]
    assert f"{here:.3f}" in words and here <= whole
    with pytest.raises(BadInput, match="no gap of another"):
        gap_in(tmp_path / "geometry.csv", "another")
