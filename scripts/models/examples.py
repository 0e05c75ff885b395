"""What a training sees: images in memory, their captions, and the order of both."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scripts.data.prepared import read_image
from scripts.data.rows import Rows
from scripts.job import progress
from scripts.models.encoders import Encoder

if TYPE_CHECKING:
    import torch


@dataclass
class Examples:
    """Images of one split in memory, and what belongs to them.

    Attributes
    ----------
    pixels : (n, 3, H, W) float16, as the model's own preprocessing gives them; half of float32's
        memory holds all that came from eight bits per colour
    rows : names and captions
    tokens, lengths : of all captions, see ``tokenize_all``
    caption_ids : (n, k) ids of all texts that describe an image, those of byte-identical images
        included, padded with -1; equal texts have equal ids
    id_of_caption : (m,) id of each caption's text
    """

    pixels: "torch.Tensor"
    rows: Rows
    tokens: "dict[str, torch.Tensor]"
    lengths: "torch.Tensor"
    caption_ids: "torch.Tensor"
    id_of_caption: "torch.Tensor"


def read_examples(
    rows: Rows, folder: Path, sha256: list[str], encoder: Encoder, workers: int
) -> Examples:
    """Decode and preprocess the images of ``rows`` and number the texts that describe them.

    Parameters
    ----------
    rows : n images with their captions
    folder : where the image files are
    sha256 : of each image file
    encoder : whose preprocessing is used
    workers : threads that decode
    """
    import torch

    def pixels_of(image: str, expected: str) -> "torch.Tensor":
        picture = read_image(folder / image, expected)
        return torch.from_numpy(encoder.preprocess(picture)).half()

    with ThreadPoolExecutor(workers) as pool:
        made = pool.map(pixels_of, rows.images, sha256)
        pixels = torch.stack(
            list(progress(made, "reading images", total=len(rows.images), unit="images"))
        )
    number_of = {text: number for number, text in enumerate(dict.fromkeys(rows.captions))}
    ids = [number_of[text] for text in rows.captions]
    of_picture: dict[str, set[int]] = {}
    for image, number in zip(rows.image_of_caption, ids, strict=True):
        of_picture.setdefault(sha256[image], set()).add(number)
    widest = max(map(len, of_picture.values()))
    caption_ids = torch.full((len(rows.images), widest), -1)
    for image, digest in enumerate(sha256):
        texts = sorted(of_picture[digest])
        caption_ids[image, : len(texts)] = torch.tensor(texts)
    tokens, lengths = tokenize_all(encoder, rows.captions)
    return Examples(pixels, rows, tokens, lengths, caption_ids, torch.tensor(ids))


def batches_of_epoch(
    rows: Rows, batch_size: int, epoch: int, seed: int, captions_per_image: int = 1
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images and captions of each step of an epoch, as rows of ``rows``.

    Each image comes once, with so many of its captions; over the epochs, with each of them in turn.
    Batches are in a new order each epoch, and all of a size but for one image.

    Yields
    ------
    images : (b,)
    captions : (captions_per_image, b), each row with one caption of each image
    """
    count = len(rows.images)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    first = np.random.default_rng([seed]).integers(0, 2**31, count)
    starts = np.searchsorted(rows.image_of_caption, np.arange(count + 1))
    turns = epoch * captions_per_image + np.arange(captions_per_image)
    captions = starts[:-1] + (first + turns[:, None]) % np.diff(starts)
    for images in np.array_split(order, math.ceil(count / batch_size)):
        yield images, captions[:, images]


def shifted(pixels: "torch.Tensor", share: float, generator: "torch.Generator") -> "torch.Tensor":
    """Images (b, 3, H, W), each moved by up to ``share`` of its side, its rim drawn out.

    Mirroring would be cheaper and wrong: captions speak of left and right.
    """
    import torch
    from torch.nn import functional

    count, _, height, width = pixels.shape
    reach = round(share * height)
    if reach == 0:
        return pixels
    wide = functional.pad(pixels, (reach,) * 4, mode="replicate")
    moves = torch.randint(0, 2 * reach + 1, (2, count), generator=generator).to(pixels.device)
    down = moves[0][:, None] + torch.arange(height, device=pixels.device)
    across = moves[1][:, None] + torch.arange(width, device=pixels.device)
    image = torch.arange(count, device=pixels.device)[:, None, None]
    # the channels come last where indices surround them
    moved = wide[image, :, down[:, :, None], across[:, None, :]]
    return moved.permute(0, 3, 1, 2).contiguous()


def tokenize_all(
    encoder: Encoder, texts: list[str]
) -> "tuple[dict[str, torch.Tensor], torch.Tensor]":
    """Tokens of ``texts``, all padded alike, and how many of each the model has to see."""
    import torch

    tokens = encoder.tokenize(texts)
    count, widest = tokens["input_ids"].shape
    if encoder.padding == "longest":
        return tokens, tokens["attention_mask"].sum(dim=1)
    return tokens, torch.full((count,), widest)
