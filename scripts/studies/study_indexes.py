"""What indexes find of what the exact ranking finds, and what they cost, in galleries of any size.

The gallery of the reference run is filled up with simulated distractors: the features of a real
item, perturbed by the difference of two others', and shrunk to the mean by as much as this spreads
them. So they have the mean and the covariance of real features, and with a spread of 1 they lie
about as far from the nearest real item as real items lie from each other. What such a gallery says
of an index's recall, speed and memory holds for real ones of its size as far as these are made
alike; what it says of the model's recall is no measurement. (With 6,000 distractors beside 1,000
images of Flickr8k, and 4,000 beside 400 scenes, Recall@10 from text to image fell from 53% to 36%
and from 32% to 7.5%; with as many real images of the train split, to 23% and to 6%.)

Recall of the exact top ten is counted as in ANN-Benchmarks (Aumüller, Bernhardsson and Faithfull
2020, doi:10.1016/j.is.2019.02.006): an item counts as found where it scores no less than the tenth
best, so that equals may stand for each other. Build times and latencies are of one thread.
"recall@10_change" is what recall through the index has less than exactly, on the same queries.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import images_of_queries
from scripts.job import log
from scripts.jobs import Snakemake, run
from scripts.measures import RECALLS, hits
from scripts.protocol import DEPTHS, DIRECTIONS, reaches
from scripts.retrieve.indexes import build, memory_of, read_index, search
from scripts.retrieve.kinds import GALLERY, unit
from scripts.retrieve.ranking import dots, top_k
from scripts.retrieve.scorers import map_gallery
from scripts.studies.reference import Reference, read_references
from scripts.studies.table import About, Row, change_rows, mean_rows, write_rows

EXACT = "exact"
DEPTH = max(DEPTHS)
# right answers that tie with the last of a list push it down, so lists go further than is counted
LISTED = 2 * DEPTH
FOUND = f"found@{DEPTH}"
AT_ONCE = 10_000  # distractors
# for each item of its own: of so few, more would be the same few over and over
MOST_SIMULATED = 1000
TIMED = 100  # queries asked one by one, in each of so many rounds
ROUNDS = 5
COSTS = (
    *("model", "prompt", "scorer", "direction", "index", "kind", "items", "simulated", FOUND),
    *("latency_ms", "memory_mb", "build_s", "queries", "rounds"),
)

Answer = tuple[np.ndarray, np.ndarray]


class Cost(NamedTuple):
    """What it takes to answer in a gallery of so many items."""

    items: int
    latency_ms: float
    bytes: int
    build_s: float


def distractors(features: np.ndarray, count: int, spread: float, seed: int) -> Iterator[np.ndarray]:
    """Simulated items, (``AT_ONCE``, d) float32 at a time; those of few are the first of many.

    m + (a - m + spread (b - c)) / sqrt(1 + 2 spread^2), at unit length, for items a, b and c drawn
    by lot and the mean m of all. Before it is brought to that length, it has the items' mean and
    covariance.

    Parameters
    ----------
    features : (n, d) float32, rows of unit length, n at least 2
    count : how many
    spread : share of the difference of two items that a third is perturbed by
    seed : of the draws
    """
    lot = np.random.default_rng(seed)
    n = len(features)
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    shrunk = np.float32(1 / np.sqrt(1 + 2 * spread**2))
    for start in range(0, count, AT_ONCE):
        moved, to, apart = (lot.integers(low, n, AT_ONCE) for low in (0, 0, 1))
        # another than ``to``: an item that is not moved at all would be a copy
        away = (to + apart) % n
        beyond = features[moved] - mean + np.float32(spread) * (features[to] - features[away])
        yield unit(mean + shrunk * beyond[: count - start])


def filled_up(reference: Reference, direction: str, size: int, spread: float, seed: int) -> Answer:
    """Mapped queries, and a gallery of ``size`` items, of which the first are the run's own.

    Returns
    -------
    (q, d') and (size, d') float32
    """
    queries, own = reference.sides(direction)
    side = getattr(reference, GALLERY[direction])
    gallery = np.empty((size, own.shape[1]), dtype=np.float32)
    gallery[: len(own)] = own
    start = len(own)
    for some in distractors(side, size - len(own), spread, seed):
        gallery[start : start + len(some)] = map_gallery(reference.scorer, some, direction)
        start += len(some)
    return queries, gallery


def found_of_exact(
    rows: np.ndarray, exact: np.ndarray, queries: np.ndarray, gallery: np.ndarray
) -> np.ndarray:
    """(q,) share of each query's exact top ten that an index's first ten are as good as.

    Parameters
    ----------
    rows : (q, k) gallery rows, best first, -1 where nothing was found
    exact : (q, k) exact scores, best first
    queries, gallery : (q, d) and (m, d) float32
    """
    depth = min(DEPTH, exact.shape[1])
    rows = rows[:, :depth]
    query, place = np.nonzero(rows >= 0)
    scores = np.full(rows.shape, -np.inf)
    scores[query, place] = dots(queries, gallery, query, rows[query, place])
    return reaches(scores, exact[:, depth - 1 : depth]).mean(axis=1)


def ranks_in_lists(
    rows: np.ndarray, scores: np.ndarray, image_of_item: np.ndarray, image_of_query: np.ndarray
) -> np.ndarray:
    """(q,) best rank of each query's right answers among what was listed, ties against it.

    Parameters
    ----------
    rows, scores : (q, k), -1 where nothing was found
    image_of_item : (m,) image of each item, -1 of a distractor
    image_of_query : (q,)

    One more than the longest list where no right answer stands in it.
    """
    there = rows >= 0
    right = there & (image_of_item[rows] == image_of_query[:, None])
    own = np.where(right, scores, -np.inf).max(axis=1)
    ahead = (there & ~right & reaches(scores, own[:, None])).sum(axis=1)
    return np.where(right.any(axis=1), 1 + ahead, rows.shape[1] + 1)


def latency_of(ask: Callable[[np.ndarray], Any], queries: np.ndarray) -> float:
    """Milliseconds for one query alone: the median over rounds of a round's mean."""
    some = queries[np.linspace(0, len(queries) - 1, min(TIMED, len(queries))).astype(int)]
    rounds = []
    for _ in range(1 + ROUNDS):
        started = time.perf_counter()
        for place in range(len(some)):
            ask(some[place : place + 1])
        rounds.append(time.perf_counter() - started)
    # the first one warms up
    return 1000 * float(np.median(rounds[1:])) / len(some)


@dataclass
class Told:
    """What is told of the indexes of one direction.

    Attributes
    ----------
    reference, direction : whose queries and items
    queries, gallery : mapped; the items of every gallery are the first of these
    resampling : of the intervals
    found, costs : rows of what was found, in the shape of a study, and of what it cost
    """

    reference: Reference
    direction: str
    queries: np.ndarray
    gallery: np.ndarray
    resampling: Resampling
    found: list[Row] = field(default_factory=list)
    costs: list[Row] = field(default_factory=list)

    def add(self, index: str, kind: str, answer: Answer, exact: Answer, cost: Cost) -> None:
        """Tell of what an index, or the exact ranking, answered and cost in one gallery."""
        rows, key = self.reference.rows, self.reference.run.key
        own = images_of_items(self.direction, self.reference)
        image_of_item = np.full(cost.items, -1)
        image_of_item[: len(own)] = own
        asking = images_of_queries(self.direction, rows)
        ranks = ranks_in_lists(*answer, image_of_item, asking)
        share = found_of_exact(answer[0], exact[1], self.queries, self.gallery)
        values = dict(zip(RECALLS, (hits(ranks, depth) for depth in DEPTHS), strict=True))
        if index != EXACT:
            values = {FOUND: share, **values}
        about = About(self.reference.run, self.direction, index, cost.items)
        columns = np.stack([*values.values()], axis=1)
        self.found += mean_rows(about, list(values), columns, asking, self.resampling)
        if index != EXACT:
            before = hits(ranks_in_lists(*exact, image_of_item, asking), DEPTH)[:, None]
            mine, other = (columns[:, [-1]], asking), (before, asking)
            self.found += change_rows(about, RECALLS[-1:], mine, other, self.resampling)
        self.costs.append(
            {
                **dict(zip(COSTS[:3], key, strict=True)),
                "direction": self.direction, "index": index, "kind": kind,
                "items": cost.items, "simulated": cost.items - len(own),
                FOUND: round(float(share.mean()), 6),
                "latency_ms": round(cost.latency_ms, 4),
                "memory_mb": round(cost.bytes / 2**20, 4),
                "build_s": round(cost.build_s, 4),
                "queries": min(TIMED, len(self.queries)), "rounds": ROUNDS,
            }
        )  # fmt: skip
        log.info(
            "%s, %d items, %s: %.1f%% found, %.3f ms, %.1f MB, %.1f s",
            *(self.direction, cost.items, index, 100 * share.mean()),
            *(cost.latency_ms, cost.bytes / 2**20, cost.build_s),
        )


def compared(
    reference: Reference,
    direction: str,
    indexes: Mapping[str, Mapping[str, Any]],
    files: Mapping[tuple[str, str], tuple[str, str]],
    settings: Mapping[str, Any],
    resampling: Resampling,
) -> Told:
    """What is told of one direction.

    Parameters
    ----------
    reference, direction : whose queries and items
    indexes : name -> its entry in the configuration
    files : name and direction -> index and sidecar that were built of the run's own gallery
    settings : sizes (items to fill the gallery up to), spread, seed
    resampling : of the intervals
    """
    from threadpoolctl import threadpool_limits

    own = len(images_of_items(direction, reference))
    # with one item there is no difference to move it by
    most = own * MOST_SIMULATED if own > 1 else 0
    sizes = [own, *sorted({size for size in settings["sizes"] if own < size <= most})]
    if beyond := [size for size in settings["sizes"] if size > most]:
        log.info("%s: no gallery of %s: it has %d items of its own", direction, beyond, own)
    queries, everything = filled_up(
        reference, direction, sizes[-1], settings["spread"], settings["seed"]
    )
    told = Told(reference, direction, queries, everything, resampling)
    build("flat", {}, everything[:1])  # faiss is loaded once, and not on the first index's account
    for size in sizes:
        gallery = everything[:size]
        exact = top_k(queries, gallery, LISTED)
        with threadpool_limits(limits=1):
            latency = latency_of(partial(_exact, gallery), queries)
        told.add(EXACT, EXACT, exact, exact, Cost(size, latency, gallery.nbytes, 0.0))
        for name, entry in indexes.items():
            started = time.perf_counter()
            index = build(entry["kind"], entry, gallery)
            seconds = time.perf_counter() - started
            if size == own:  # the very file that a search asks
                index, _ = read_index(*files[name, direction], reference.rows.digest)
            answer = search(index, queries, LISTED, threads=1)
            latency = latency_of(partial(search, index, k=DEPTH, threads=1), queries)
            cost = Cost(size, latency, memory_of(index), seconds)
            told.add(name, entry["kind"], answer, exact, cost)
    return told


def _exact(gallery: np.ndarray, queries: np.ndarray) -> Answer:
    return top_k(queries, gallery, DEPTH)


def images_of_items(direction: str, reference: Reference) -> np.ndarray:
    """The image that each item of the run's own gallery belongs to."""
    rows = reference.rows
    return np.arange(len(rows.images)) if direction == "text_to_image" else rows.image_of_caption


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    places = [(name, way) for name in params.indexes for way in DIRECTIONS]
    built = dict(zip(places, zip(files.indexes, files.index_sidecars, strict=True), strict=True))
    settings = {"sizes": params.sizes, "spread": params.spread, "seed": params.seed}
    resampling = Resampling(params.resamples, params.seed)
    found: list[Row] = []
    costs: list[Row] = []
    for reference in read_references(files, params.split):
        for direction in DIRECTIONS:
            told = compared(reference, direction, params.indexes, built, settings, resampling)
            found += told.found
            costs += told.costs
    # by size, whichever direction has it, so that the lines of the report's table are in order
    write_rows(snakemake.output.table, sorted(found, key=lambda row: row["x"]))
    write_rows(snakemake.output.costs, costs, COSTS)


if __name__ == "__main__":
    run(main, snakemake)
