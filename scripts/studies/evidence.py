"""What the data say of a wrongly retrieved pair: a caption, and an image that is not its own.

In text to image the caption asked and the image was retrieved; in image to text the image asked and
the caption was retrieved. Either way, the question is how well this caption fits this image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.data.rows import Rows
from scripts.evaluate.runs import first_captions
from scripts.retrieve.ranking import dots, top_k
from scripts.studies.reference import Reference
from scripts.studies.words import pattern_of, words_of

Words = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Misses:
    """Queries whose right answer is not first, with what came first, of one run and direction.

    Attributes
    ----------
    query : (p,) rows of the queries
    rank : (p,) of the best right answer, from 2
    top, right : (p,) rows of the gallery: the best wrong item and the best right one
    top_score, right_score : (p,) float64
    caption, image : (p,) the wrong pair
    """

    query: np.ndarray
    rank: np.ndarray
    top: np.ndarray
    right: np.ndarray
    top_score: np.ndarray
    right_score: np.ndarray
    caption: np.ndarray
    image: np.ndarray

    @property
    def margin(self) -> np.ndarray:
        """(p,) by how much the wrong item scores higher; about zero, or less, where both tie."""
        return self.top_score - self.right_score


def misses_of(reference: Reference, direction: str) -> Misses:
    """The queries of one direction whose right answer has a rank beyond the first."""
    rows, own = reference.rows, reference.rows.image_of_caption
    by_text = direction == "text_to_image"
    queries, gallery = reference.sides(direction)
    ranks = reference.run.ranks[direction]
    query = np.flatnonzero(ranks > 1)
    right = own[query] if by_text else _best_captions(queries, gallery, rows)[query]
    image_of_item = np.arange(len(rows.images)) if by_text else own
    image_of_query = own[query] if by_text else query
    top = reference.run.tops[direction][query, 0].astype(np.int64)
    # a right answer that ties with a wrong one may stand first in the list
    level = np.flatnonzero(image_of_item[top] == image_of_query)
    if len(level):
        deep = 1 + int(np.bincount(image_of_item).max())
        lists = top_k(queries[query[level]], gallery, deep)[0]
        wrong = image_of_item[lists] != image_of_query[level, None]
        top[level] = lists[np.arange(len(level)), wrong.argmax(axis=1)]
    return Misses(
        query=query,
        rank=ranks[query],
        top=top,
        right=right,
        top_score=dots(queries, gallery, query, top),
        right_score=dots(queries, gallery, query, right),
        caption=query if by_text else top,
        image=top if by_text else query,
    )


def _best_captions(images: np.ndarray, texts: np.ndarray, rows: Rows) -> np.ndarray:
    """(n,) the caption of each image that scores highest with it, the first of equals."""
    own = rows.image_of_caption
    scores = dots(images, texts, own, np.arange(len(own)))
    order = np.lexsort((np.arange(len(own)), -scores, own))
    return order[first_captions(rows)[:-1]]


def likeness(texts: np.ndarray, rows: Rows, caption: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Largest cosine of captions with the captions of images, themselves left out.

    Parameters
    ----------
    texts : (m, d) float32, rows of unit length
    rows : images and captions
    caption, image : (p,) the pairs

    Returns
    -------
    (p,) float64; NaN where the image has no caption but this one
    """
    starts = first_captions(rows)
    counts = np.diff(starts)[image]
    firsts = np.cumsum(counts) - counts
    pair = np.repeat(np.arange(len(caption)), counts)
    other = np.arange(counts.sum()) - np.repeat(firsts - starts[image], counts)
    cosines = dots(texts, texts, caption[pair], other)
    cosines[other == caption[pair]] = -np.inf
    if not len(cosines):
        return np.empty(0)
    largest = np.maximum.reduceat(cosines, firsts)
    return np.where(np.isfinite(largest), largest, np.nan)


def same_words(rows: Rows, caption: np.ndarray, image: np.ndarray) -> np.ndarray:
    """(p,) whether an image has a caption of the same words, whatever case and punctuation."""
    texts = [" ".join(words_of(text)) or text for text in rows.captions]
    number = np.unique(np.array(texts, dtype=object), return_inverse=True)[1]
    said = number * len(rows.images) + rows.image_of_caption
    return np.isin(number[caption] * len(rows.images) + image, said)


@dataclass(frozen=True)
class Mentions:
    """Which names of a lexicon captions speak of.

    Attributes
    ----------
    names : c names
    said : (m, c) whether a caption has one of them
    shown : (n, c) how many captions of an image have
    """

    names: list[str]
    said: np.ndarray
    shown: np.ndarray


def mentions_of(rows: Rows, words: Words) -> Mentions:
    """Look for the words of each name in all captions.

    Parameters
    ----------
    rows : images and captions
    words : name -> the words that stand for it
    """
    patterns = [pattern_of(some) for some in words.values()]
    said = np.zeros((len(rows.captions), len(patterns)), dtype=bool)
    for column, pattern in enumerate(patterns):
        said[:, column] = [pattern.search(text) is not None for text in rows.captions]
    shown = np.add.reduceat(said, first_captions(rows)[:-1], axis=0, dtype=np.int64)
    return Mentions(list(words), said, shown)


def differing(mentions: Mentions, caption: np.ndarray, image: np.ndarray) -> list[list[str]]:
    """Names that a caption speaks of and no caption of an image does.

    Parameters
    ----------
    mentions : of all captions
    caption, image : (p,) the pairs

    Returns
    -------
    for each pair, some of ``mentions.names``
    """
    return [
        [mentions.names[column] for column in np.flatnonzero(row)]
        for row in mentions.said[caption] & (mentions.shown[image] == 0)
    ]


def differs_but_for(
    mentions: Mentions, caption: np.ndarray, image: np.ndarray, left_out: np.ndarray
) -> np.ndarray:
    """(p,) whether captions speak of what no caption of an image does, one of these left out.

    Parameters
    ----------
    mentions : of all captions
    caption, image : (p,) the pairs
    left_out : (p,) a caption of the image, which may be ``caption`` itself
    """
    others = mentions.shown[image] - mentions.said[left_out]
    return (mentions.said[caption] & (others == 0)).any(axis=1)
