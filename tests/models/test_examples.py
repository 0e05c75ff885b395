"""What a training sees: which captions of which images in a step, and what belongs to them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from tiny_models import drawn_images

from scripts.data.rows import rows_of
from scripts.job import BadInput
from scripts.models.encoders import load_encoder
from scripts.models.examples import batches_of_epoch, read_examples, shifted


def test_each_epoch_shows_each_image_once_and_in_time_each_caption():
    rows = rows_of(["a", "b", "c", "d", "e"], [["1", "2"], ["3", "4"], ["5", "6"], ["7"], ["8"]])
    seen = set()
    for epoch in (1, 2):
        images, captions = map(
            np.hstack, zip(*batches_of_epoch(rows, 2, epoch, seed=0), strict=True)
        )
        assert sorted(images) == [0, 1, 2, 3, 4]
        np.testing.assert_array_equal(rows.image_of_caption[captions], [images])
        seen |= set(captions.flat)
    assert seen == set(range(8))


def test_a_step_may_show_several_captions_of_an_image_none_twice_while_there_are_others():
    rows = rows_of(["a", "b", "c"], [["1", "2", "3"], ["4", "5", "6", "7"], ["8"]])
    ((images, captions),) = batches_of_epoch(rows, 9, 1, seed=0, captions_per_image=3)
    assert captions.shape == (3, 3)
    np.testing.assert_array_equal(rows.image_of_caption[captions], [images] * 3)
    shown = {image: set(column) for image, column in zip(images, captions.T, strict=True)}
    assert [len(shown[image]) for image in range(3)] == [3, 3, 1]


def test_batches_are_as_large_as_asked_for_or_almost_and_in_an_order_of_their_own():
    rows = rows_of([str(n) for n in range(21)], [[str(n)] for n in range(21)])
    first = [list(images) for images, _ in batches_of_epoch(rows, 10, 1, seed=0)]
    again = [list(images) for images, _ in batches_of_epoch(rows, 10, 1, seed=0)]
    later = [list(images) for images, _ in batches_of_epoch(rows, 10, 2, seed=0)]
    assert [len(batch) for batch in first] == [7, 7, 7]
    assert first == again != later


def test_images_with_the_same_bytes_share_their_captions(clip, tmp_path):
    rows = rows_of(["one.png", "two.png"], [["one"], ["two"]])
    for name in rows.images:
        drawn_images()[0].convert("RGB").save(tmp_path / name)
    digest = hashlib.sha256((tmp_path / "one.png").read_bytes()).hexdigest()
    encoder = load_encoder(clip, "cpu")
    examples = read_examples(rows, tmp_path, [digest] * 2, encoder, workers=1)
    assert examples.caption_ids.tolist() == [[0, 1], [0, 1]]
    assert examples.pixels.dtype == torch.float16
    with pytest.raises(BadInput, match=r"as in images\.csv"):
        read_examples(rows, tmp_path, ["0" * 64] * 2, encoder, workers=1)


def test_a_shift_moves_the_picture_and_draws_its_rim_out():
    ramp = torch.arange(8.0).expand(40, 3, 8, 8)  # its columns are 0 to 7
    moved = shifted(ramp, 0.25, torch.Generator().manual_seed(0))
    assert moved.shape == ramp.shape
    by = set()
    for picture in moved:
        across = int(picture[0, 0, 4]) - 4
        by.add(across)
        expected = (torch.arange(8) + across).clamp(0, 7).float()
        assert torch.equal(picture, expected.expand(3, 8, 8))
    assert by == {-2, -1, 0, 1, 2}
    assert shifted(ramp, 0.0, torch.Generator()) is ramp
