"""Recall by what images show: by words of a lexicon, and by clusters of image features.

A caption belongs to a category of the lexicon where it holds one of the category's words; an image
belongs where at least half of its captions do. A query may belong to several categories or to none.
Clusters are found by k-means on each model's own image features, an image in one, and are named by
the words that set their captions apart from all others.

Of the group "all categories", "range" is Recall@10 of the best category less that of the worst, and
"p_range" how often the range is as large where images have swapped their categories.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.data.rows import Rows
from scripts.evaluate.intervals import DIGITS, Resampling
from scripts.evaluate.ranges import range_of_parts
from scripts.evaluate.runs import images_of_queries
from scripts.job import log
from scripts.jobs import Snakemake, run
from scripts.measures import hits
from scripts.protocol import DIRECTIONS
from scripts.studies.reference import Reference, read_references
from scripts.studies.table import About, Row, range_rows, recall_rows, write_rows
from scripts.studies.words import pattern_of, words_of

# images that a cluster must have on average
IMAGES_PER_CLUSTER = 10
# images nearest to a cluster's centre that are listed
NEAREST = 5
# runs of k-means from other centres, of which the best counts
STARTS = 10
# what the prior weighs, as a share of the words counted
PRIOR = 0.1
# of the range
DEPTH = 10
# of a 95% interval, in standard errors
NORMAL_BOUND = 1.96
CLUSTER_COLUMNS = (
    *("model", "cluster", "images", "words"),
    *(f"nearest_{place}" for place in range(1, NEAREST + 1)),
)


# name -> direction -> (q,) whether a query belongs
Categories = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Cluster:
    """Images of like features.

    Attributes
    ----------
    images : (c,) rows of its images, nearest to its centre first
    words : what sets its captions apart, most distinctive first
    """

    images: np.ndarray
    words: list[str]

    @property
    def name(self) -> str:
        """Its words, as a reader gets them."""
        return ", ".join(self.words)


def members(rows: Rows, words: Sequence[str]) -> dict[str, np.ndarray]:
    """Which queries belong to a category: direction -> (q,) bool.

    A caption belongs where it holds one of ``words``, an image where at least half of its captions
    do.
    """
    pattern = pattern_of(words)
    held = np.array([pattern.search(text) is not None for text in rows.captions])
    captions = np.bincount(rows.image_of_caption)
    share = np.bincount(rows.image_of_caption, weights=held) / captions
    return {"text_to_image": held, "image_to_text": share >= 0.5}


def cluster_of_images(features: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """k-means of image features: (n,) number of each image's cluster, the largest cluster first.

    Unit vectors are clustered by Euclidean distance, which orders them as cosine does. On one core
    always: several would add up the same sums in another order each time.

    Parameters
    ----------
    features : (n, d) float32, rows of unit length
    clusters : how many, but no more than one for each ``IMAGES_PER_CLUSTER`` images, or than there
        are different images
    seed : of the first centres

    Lloyd (1982), "Least squares quantization in PCM", IEEE Transactions on Information Theory 28,
    from the centres of Arthur and Vassilvitskii (2007), "k-means++", SODA.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    different = len(np.unique(features, axis=0))
    number = max(1, min(clusters, len(features) // IMAGES_PER_CLUSTER, different))
    with threadpool_limits(limits=1):
        labels = KMeans(number, n_init=STARTS, random_state=seed).fit_predict(
            features.astype(np.float64)
        )
    # the label of a cluster depends on the start; its size and its first image do not
    first = [np.flatnonzero(labels == label)[0] for label in range(number)]
    order = np.lexsort((first, -np.bincount(labels, minlength=number)))
    return np.argsort(order)[labels]


def nearest_first(features: np.ndarray, images: np.ndarray) -> np.ndarray:
    """``images`` by their distance from the mean of their features, the nearest first."""
    own = features[images].astype(np.float64)
    distances = np.square(own - own.mean(axis=0)).sum(axis=1)
    return images[np.argsort(np.round(distances, DIGITS), kind="stable")]


def distinctive_words(
    captions: Sequence[Sequence[str]],
    image_of_caption: np.ndarray,
    cluster_of_image: np.ndarray,
    words: int,
) -> list[list[str]]:
    """The words that set each cluster's captions apart from all others.

    A word counts for each caption that holds it, and the captions of an image together count as one
    image. Words are ordered by how much larger their log-odds are in the cluster than outside it,
    at the lower end of a 95% interval, under a Dirichlet prior in which each word has ``PRIOR``
    times its count in all captions. What is common everywhere, as "the" is, differs little, and
    what is rare is not sure; so no list of stop words is needed, in any language.

    Parameters
    ----------
    captions : the words of each caption
    image_of_caption : (m,) image of each caption
    cluster_of_image : (n,) cluster of each image, from 0
    words : how many words to give for each cluster

    Returns
    -------
    for each cluster up to ``words`` words, none that is not surely more common in it; of a word and
    its plural only the first

    Monroe, Colaresi and Quinn (2008), "Fightin' words", Political Analysis 16, equations 16 and 20;
    they order by z-score, which puts frequent words before distinctive ones.
    """
    held = [sorted(set(caption)) for caption in captions]
    vocabulary = sorted({word for caption in held for word in caption})
    place_of = {word: place for place, word in enumerate(vocabulary)}
    weights = (1 / np.bincount(image_of_caption))[image_of_caption]
    counts = np.zeros((cluster_of_image.max() + 1, len(vocabulary)))
    clusters = cluster_of_image[image_of_caption]
    for caption, cluster, weight in zip(held, clusters, weights, strict=True):
        counts[cluster, [place_of[word] for word in caption]] += weight
    everywhere = counts.sum(axis=0)
    found = []
    for inside in counts:
        bounds = least_log_odds(inside, everywhere - inside, PRIOR * everywhere)
        chosen: dict[str, str] = {}
        for place in np.argsort(-np.round(bounds, DIGITS), kind="stable"):
            if len(chosen) == words or bounds[place] <= 0:
                break
            chosen.setdefault(vocabulary[place].removesuffix("s"), vocabulary[place])
        found.append(list(chosen.values()))
    return found


def least_log_odds(inside: np.ndarray, outside: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Lower end of the 95% interval of the difference between log-odds inside and outside.

    Parameters
    ----------
    inside, outside : (v,) counts of each word
    prior : (v,) positive pseudo-counts, added on both sides

    Returns
    -------
    (v,) float64; not positive everywhere where there is one word only, or nothing outside
    """
    if len(prior) < 2:
        return np.full(len(prior), -np.inf)
    inside, outside = inside + prior, outside + prior
    difference = np.log(inside) - np.log(inside.sum() - inside)
    difference -= np.log(outside) - np.log(outside.sum() - outside)
    return difference - NORMAL_BOUND * np.sqrt(1 / inside + 1 / outside)


def clusters_of(reference: Reference, clusters: int, words: int, seed: int) -> list[Cluster]:
    """Clusters of a model's images, named by their captions; the largest first."""
    rows = reference.rows
    cluster_of = cluster_of_images(reference.images, clusters, seed)
    captions = [words_of(text) for text in rows.captions]
    names = distinctive_words(captions, rows.image_of_caption, cluster_of, words)
    return [
        Cluster(nearest_first(reference.images, np.flatnonzero(cluster_of == number)), name)
        for number, name in enumerate(names)
    ]


def by_words(rows: Rows, lexicon: Mapping[str, Sequence[str]]) -> Categories:
    """The categories of a lexicon."""
    return {f"lexicon: {name}": members(rows, words) for name, words in lexicon.items()}


def by_clusters(rows: Rows, clusters: Sequence[Cluster]) -> Categories:
    """Clusters as categories: of their images, and of these images' captions."""
    found: Categories = {}
    for number, cluster in enumerate(clusters, start=1):
        label = f"cluster: {cluster.name or number}"
        # two clusters may come to the same words
        again = sum(one == label or one.startswith(f"{label} (") for one in found)
        inside = np.zeros(len(rows.images), dtype=bool)
        inside[cluster.images] = True
        found[f"{label} ({again + 1})" if again else label] = {
            way: inside[images_of_queries(way, rows)] for way in DIRECTIONS
        }
    return found


def category_rows(
    reference: Reference, categories: Categories, least: int, resampling: Resampling
) -> list[Row]:
    """Recall of each category that has at least ``least`` queries, and whether they are apart."""
    found = []
    for way in DIRECTIONS:
        ranks, images = reference.run.ranks[way], images_of_queries(way, reference.rows)
        told = {name: own[way] for name, own in categories.items() if own[way].sum() >= least}
        for name, own in told.items():
            about = About(reference.run, way, name)
            found += recall_rows(about, ranks[own], images[own], resampling)
        if len(told) > 1:
            belongs = np.stack([*told.values()], axis=1)
            tested = range_of_parts(hits(ranks, DEPTH), belongs, images, resampling)
            found += range_rows(About(reference.run, way, "all categories"), tested, len(ranks))
    return found


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    params = snakemake.params
    resampling = Resampling(params.resamples, params.seed)
    found: list[Row] = []
    listed: list[Row] = []
    for reference in read_references(snakemake.input, params.split):
        clusters = clusters_of(reference, params.clusters, params.words, params.seed)
        log.info("%s: %s", reference.run.model, "; ".join(cluster.name for cluster in clusters))
        rows = reference.rows
        categories = by_words(rows, params.lexicon) | by_clusters(rows, clusters)
        found += category_rows(reference, categories, params.least, resampling)
        listed += [
            {
                "model": reference.run.model,
                "cluster": number,
                "images": len(cluster.images),
                "words": cluster.name,
                **{
                    f"nearest_{place}": reference.rows.images[image]
                    for place, image in enumerate(cluster.images[:NEAREST], start=1)
                },
            }
            for number, cluster in enumerate(clusters, start=1)
        ]
    write_rows(snakemake.output.table, found)
    write_rows(snakemake.output.clusters, listed, CLUSTER_COLUMNS)


if __name__ == "__main__":
    run(main, snakemake)
