"""What contrastive training minimises, and what is not to count as a wrong answer in it."""

from __future__ import annotations

import torch
from torch.nn import functional


def also_right(caption_ids: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Pairs of a batch that are no pair of it, but right all the same.

    Parameters
    ----------
    caption_ids : (b, k) for each image of the batch the ids of all texts that describe it, padded
        with -1; equal texts have equal ids
    drawn : (b,) the id of the text that was drawn for each image

    Returns
    -------
    (b, b) boolean : True at (i, j), i other than j, where text j also describes image i or text i
        also describes image j: such a pair must not be pushed apart, in neither direction
    """
    describes = (caption_ids[:, :, None] == drawn).any(dim=1)
    describes = describes | describes.T
    return describes.fill_diagonal_(False)


def contrastive_loss(
    images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, left_out: torch.Tensor
) -> torch.Tensor:
    """Symmetric InfoNCE of CLIP (Radford et al. 2021, arXiv:2103.00020, figure 3), in nats.

    Parameters
    ----------
    images, texts : (b, d) features, of any length; row i of one belongs to row i of the other
    scale : what cosines are multiplied by, the inverse temperature
    left_out : (b, b) boolean, pairs that are no negatives; see ``also_right``
    """
    images, texts = functional.normalize(images, dim=-1), functional.normalize(texts, dim=-1)
    scores = (scale * images @ texts.T).masked_fill(left_out, float("-inf"))
    own = torch.arange(len(images), device=images.device)
    by_image = functional.cross_entropy(scores, own)
    by_text = functional.cross_entropy(scores.T, own)
    return (by_image + by_text) / 2
