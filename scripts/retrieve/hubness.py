"""Corrections of hubness: some items are near to everything, and stand in lists without reason.

Centring takes the mean off both clouds. Nearest-neighbour normalisation and inverted softmax take
off a bias for each gallery item, told by how near it is to queries of train: one more dimension of
the features. Strengths are chosen on val, for each direction by itself, since each has its own
gallery and so its own hubs; of equals, the weakest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from scripts.job import log
from scripts.protocol import DIRECTIONS
from scripts.retrieve.arrays import Arrays
from scripts.retrieve.banks import Banks, drawn
from scripts.retrieve.choose import best_options, mean_recalls
from scripts.retrieve.kinds import GALLERY, QUERIES, Kind, of_direction, unit

Bias = Callable[[Arrays, np.ndarray, str], np.ndarray]


# --- centring


def fit_centring(params: Mapping[str, Any], banks: Banks) -> Arrays:
    """Means of train images and train texts, and how much of them to take off.

    Parameters
    ----------
    params : ``shares``, of the mean, for val to choose from
    banks : train and val

    Returns
    -------
    images_mean, texts_mean (d,) float32; share (2,), val_recall (2,) float64 by direction
    """
    arrays: Arrays = {
        f"{side}_mean": banks[f"train_{side}"].mean(axis=0, dtype=np.float64).astype(np.float32)
        for side in ("images", "texts")
    }
    shares = sorted(params["shares"])
    recalls: dict[str, list[float]] = {direction: [] for direction in DIRECTIONS}
    for share in shares:
        images, texts = (
            _centred(banks[f"val_{side}"], arrays[f"{side}_mean"], share)
            for side in ("images", "texts")
        )
        found = mean_recalls(images, texts, banks["val_image_of_caption"])
        for direction in DIRECTIONS:
            recalls[direction].append(found[direction][0])
    best, val_recall = best_options(recalls)
    for direction, place in zip(DIRECTIONS, best, strict=True):
        log.info("%s: share %g of the mean", direction, shares[place])
    return {**arrays, "share": np.array([float(shares[p]) for p in best]), "val_recall": val_recall}


def _centred(features: np.ndarray, mean: np.ndarray, share: float) -> np.ndarray:
    return unit(features - np.float32(share) * mean) if share else features


def _centre_queries(arrays: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
    mean = arrays[f"{QUERIES[direction]}_mean"]
    return _centred(features, mean, of_direction(arrays["share"], direction))


def _centre_gallery(arrays: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
    mean = arrays[f"{GALLERY[direction]}_mean"]
    return _centred(features, mean, of_direction(arrays["share"], direction))


CENTRING = Kind(fit_centring, _centre_queries, _centre_gallery)


# --- a bias for each gallery item


def biased(fit: Callable[[Mapping[str, Any], Banks], Arrays], strength: str, bias: Bias) -> Kind:
    """A kind whose score is cosine less a bias of the gallery item.

    Parameters
    ----------
    fit : of the kind
    strength : the array (2,) that is zero in a direction where nothing is taken off
    bias : (arrays, gallery, direction) -> (n,) float64
    """

    def map_queries(arrays: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
        if not of_direction(arrays[strength], direction):
            return features
        return np.column_stack([features, np.full(len(features), -1, dtype=np.float32)])

    def map_gallery(arrays: Arrays, features: np.ndarray, direction: str) -> np.ndarray:
        if not of_direction(arrays[strength], direction):
            return features
        taken_off = bias(arrays, features, direction).astype(np.float32)
        return np.column_stack([features, taken_off])

    return Kind(fit, map_queries, map_gallery)


def fit_nnn(params: Mapping[str, Any], banks: Banks) -> Arrays:
    """Nearest-neighbour normalisation (Chowdhury et al. 2024, arXiv:2410.24114).

    From an item's score is taken a part of the mean of its k largest scores among train queries:
    s(q, g) - weight / k * (sum of the k largest b.g over b in the bank).

    Parameters
    ----------
    params : ``neighbours`` (k) and ``weights`` for val to choose from; ``bank``, ``seed``
    banks : train and val

    Returns
    -------
    bank_texts, bank_images (b, d) float32; neighbours (2,) int64, weight (2,), val_recall (2,)
    float64 by direction
    """
    bank = drawn(banks, params["bank"], params["seed"])
    counts = sorted(params["neighbours"])
    weights = sorted(params["weights"])
    # weight 0 is the same for every k
    options = [(w, k) for w in weights for k in (counts if w else counts[:1])]
    biases = {}
    for direction in DIRECTIONS:
        near = nearness(
            banks[f"val_{GALLERY[direction]}"], bank[f"bank_{QUERIES[direction]}"], counts
        )
        biases[direction] = np.stack([w * near[counts.index(k)] for w, k in options])
    best, val_recall = _choose_bias(banks, biases)
    chosen = [options[place] for place in best]
    for direction, (weight, k) in zip(DIRECTIONS, chosen, strict=True):
        log.info("%s: weight %g of the mean of %d neighbours", direction, weight, k)
    return {
        **bank,
        "neighbours": np.array([k for _, k in chosen]),
        "weight": np.array([float(weight) for weight, _ in chosen]),
        "val_recall": val_recall,
    }


def nearness(
    items: np.ndarray, bank: np.ndarray, counts: list[int], block_mb: float = 64
) -> np.ndarray:
    """Mean of each item's k largest scores in a bank, for each k of ``counts``.

    Scores are float64 products, so that neither the block nor the number of threads shows in them.

    Parameters
    ----------
    items : (n, d) float32
    bank : (b, d) float32
    counts : each k, ascending; the whole bank where it is smaller
    block_mb : memory for scores, MB

    Returns
    -------
    (len(counts), n) float64
    """
    found = np.empty((len(counts), len(items)))
    most = min(counts[-1], len(bank))
    for part, scores in _blocks(items, bank, block_mb):
        nearest = np.partition(scores, len(bank) - most, axis=1)[:, len(bank) - most :]
        nearest = np.sort(nearest, axis=1)[:, ::-1]
        for place, count in enumerate(counts):
            found[place, part] = nearest[:, :count].mean(axis=1)
    return found


def _blocks(
    items: np.ndarray, bank: np.ndarray, block_mb: float
) -> Iterator[tuple[slice, np.ndarray]]:
    """Items of each block, and their float64 scores (i, b) with the whole bank."""
    wide = bank.astype(np.float64).T
    step = max(1, int(block_mb * 2**20) // (16 * len(bank)))
    for start in range(0, len(items), step):
        part = slice(start, start + step)
        yield part, items[part].astype(np.float64) @ wide


def _nnn_bias(arrays: Arrays, gallery: np.ndarray, direction: str) -> np.ndarray:
    count = int(of_direction(arrays["neighbours"], direction))
    near = nearness(gallery, arrays[f"bank_{QUERIES[direction]}"], [count])[0]
    return of_direction(arrays["weight"], direction) * near


NNN = biased(fit_nnn, "weight", _nnn_bias)


def fit_inverted_softmax(params: Mapping[str, Any], banks: Banks) -> Arrays:
    """Inverted softmax (Smith et al. 2017, arXiv:1702.03859), as in QB-Norm without its switch.

    An item shares its probability among all queries (Bogolin et al. 2022, arXiv:2112.12777):
    exp(beta q.g) / (sum of exp(beta b.g) over b in the bank). The logarithm of this, divided by
    beta, is q.g less a bias of g. In the bias the mean stands for the sum, which it differs from by
    a constant, and keeps scores of the order of one.

    Parameters
    ----------
    params : ``betas`` for val to choose from, None for plain cosine; ``bank``, ``seed``
    banks : train and val

    Returns
    -------
    bank_texts, bank_images (b, d) float32; beta (2,), 0 for plain cosine, val_recall (2,) float64
    by direction
    """
    bank = drawn(banks, params["bank"], params["seed"])
    betas = sorted(beta or 0.0 for beta in params["betas"])
    real = [beta for beta in betas if beta]
    biases = {}
    for direction in DIRECTIONS:
        items = banks[f"val_{GALLERY[direction]}"]
        some = log_mean_exp(items, bank[f"bank_{QUERIES[direction]}"], real)
        nothing = np.zeros((len(betas) - len(real), len(items)))
        biases[direction] = np.concatenate([nothing, some])
    best, val_recall = _choose_bias(banks, biases)
    for direction, place in zip(DIRECTIONS, best, strict=True):
        log.info("%s: beta %g", direction, betas[place])
    return {**bank, "beta": np.array([float(betas[p]) for p in best]), "val_recall": val_recall}


def log_mean_exp(
    items: np.ndarray, bank: np.ndarray, betas: list[float], block_mb: float = 64
) -> np.ndarray:
    """log(mean of exp(beta b.g) over b in the bank) / beta, for each item g and each beta.

    Scores are float64 products rounded to float32, so that neither the block nor the number of
    threads shows in them.

    Parameters
    ----------
    items : (n, d) float32
    bank : (b, d) float32
    betas : each above 0
    block_mb : memory for scores, MB

    Returns
    -------
    (len(betas), n) float64
    """
    found = np.empty((len(betas), len(items)))
    for part, exact in _blocks(items, bank, block_mb):
        scores = exact.astype(np.float32)
        peak = scores.max(axis=1)
        scores -= peak[:, None]
        for place, beta in enumerate(betas):
            mean = np.exp(np.float32(beta) * scores).mean(axis=1, dtype=np.float64)
            found[place, part] = peak + np.log(mean) / beta
    return found


def _inverted_softmax_bias(arrays: Arrays, gallery: np.ndarray, direction: str) -> np.ndarray:
    beta = float(of_direction(arrays["beta"], direction))
    return log_mean_exp(gallery, arrays[f"bank_{QUERIES[direction]}"], [beta])[0]


INVERTED_SOFTMAX = biased(fit_inverted_softmax, "beta", _inverted_softmax_bias)


def _choose_bias(banks: Banks, biases: dict[str, np.ndarray]) -> tuple[list[int], np.ndarray]:
    """The best of several biases (o, gallery) of each direction, and its mean recall on val."""
    recalls = mean_recalls(
        banks["val_images"],
        banks["val_texts"],
        banks["val_image_of_caption"],
        image_bias=biases["text_to_image"],
        text_bias=biases["image_to_text"],
    )
    return best_options(recalls)
