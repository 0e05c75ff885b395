"""Why queries fail: evidence for each, computed from the data, and one named kind for each.

A miss is a query whose right answer is not first. What is judged is the pair that came first: a
caption and an image that is not its own (see ``evidence.py``). Each miss is of the first kind that
fits, in this order:

identical_caption  the image has a caption of the same words, so the answer is as right
tie                no wrong item scores higher, only as high: the score decides nothing
accepted           people said that the caption fits the image (lenient rule of ``judged.py``)
colour             the caption names a colour that no caption of the image names, and all else is
                   there
number             it names a number that is not there, while things and actions are
action             it names an action that is not there, while things are
object             it names a thing that is not there
look_alike         the caption is as close to the image's captions as to its own siblings: by its
                   words it fits, though no one was asked. Not told where its own siblings are far
                   from it, too
vague              the caption is short, and far from its own siblings: it says little of its image
far                the right answer is beyond a share of the gallery: the model has missed the query
other              none of these

First comes what takes the blame from the model: where the answer is right or the score is a tie,
nothing is left to explain; equal captions come before the ties that they make. Then what words
show, from the smallest difference to the largest, since they are evidence from outside the model;
the encoder's own likeness of texts, which may be blind to just these words, is asked only where
words agree. How far off the rank is says least of the reason, so that it is asked last.

In the table, rows of a kind have "share" (of the misses of that run and direction), and
"median_rank"; ``queries`` is how many are of that kind.

People say different things of one picture: captions differ in colours, numbers, actions and things
from their own image's other captions, too. So the kinds that words show have a "base", how often
the very captions of these pairs would be of that kind beside their own image, themselves left out;
and an "excess", how much more often they are so beside the image that they were paired with. There
one caption is left out as well, each in turn, since fewer captions say less. ``queries`` is then
how many of the misses have other captions on both sides.
"""

import numpy as np

from scripts.data.rows import Rows
from scripts.evaluate.intervals import (
    DIGITS,
    Resampling,
    interval_of_means,
    paired_differences,
)
from scripts.evaluate.runs import first_captions, images_of_queries
from scripts.job import log
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS, TIE
from scripts.studies.evidence import (
    Mentions,
    Words,
    differing,
    differs_but_for,
    likeness,
    mentions_of,
    misses_of,
    same_words,
)
from scripts.studies.judged import accepted, read_judgments
from scripts.studies.reference import Reference, read_references
from scripts.studies.table import About, Row, row, write_rows
from scripts.studies.words import unsaid, words_in

KINDS = (
    *("identical_caption", "tie", "accepted", "colour", "number", "action", "object"),
    *("look_alike", "vague", "far", "other"),
)
# those that words show
WORDED = ("colour", "number", "action", "object")
# what is short, and far from its siblings: the lowest quarter of all captions
LOWEST = 0.25
# parts of the lexicon, and their columns in failures.csv
PARTS = {
    "colours": "missing_colours",
    "numbers": "missing_numbers",
    "categories": "missing_objects",
    "actions": "missing_actions",
}
FAILURE_COLUMNS = (
    *("model", "direction", "kind", "query", "query_text", "query_image", "rank", "margin"),
    *("top_item", "top_image", "top_text", "top_score"),
    *("right_item", "right_image", "right_text", "right_score", "similarity", "yardstick"),
    *(*PARTS.values(), "differing", "words", "example"),
)


def failures_of(
    reference: Reference,
    direction: str,
    fitting: np.ndarray,
    mentions: dict[str, Mentions],
    far: float,
) -> list[Row]:
    """Evidence for each miss of one direction, and its kind; in the order of the queries.

    Parameters
    ----------
    reference, direction : whose misses
    fitting : (a, 2) rows of a caption and of an image that people said it fits
    mentions : part of the lexicon (a key of ``PARTS``) -> what captions speak of
    far : share of the gallery beyond which a right answer is far off

    Returns
    -------
    rows of ``FAILURE_COLUMNS``, no example yet
    """
    rows, own = reference.rows, reference.rows.image_of_caption
    images, captions = len(rows.images), len(rows.captions)
    by_text = direction == "text_to_image"
    misses = misses_of(reference, direction)
    caption, image = misses.caption, misses.image
    every = np.arange(captions)
    yardsticks = likeness(reference.texts, rows, every, own)
    similarity = likeness(reference.texts, rows, caption, image)
    lengths = np.array([words_in(text) for text in rows.captions])
    missing = {column: differing(mentions[part], caption, image) for part, column in PARTS.items()}
    not_said = [
        unsaid(rows.captions[mine], rows.captions_of(theirs))
        for mine, theirs in zip(caption.tolist(), image.tolist(), strict=True)
    ]
    less = {
        column: np.array([len(some) > 0 for some in names], dtype=bool)
        for column, names in missing.items()
    }
    known = yardsticks[np.isfinite(yardsticks)]
    short = lengths <= np.quantile(lengths, LOWEST)
    alone = yardsticks <= (np.quantile(known, LOWEST) if len(known) else -np.inf)
    fits = {
        "identical_caption": same_words(rows, caption, image),
        "tie": misses.margin <= TIE,
        "accepted": np.isin(caption * images + image, fitting[:, 0] * images + fitting[:, 1]),
        **dict(zip(WORDED, _by_words(less), strict=True)),
        "look_alike": (similarity >= yardsticks[caption]) & ~alone[caption],
        "vague": (short & alone)[caption],
        "far": misses.rank > far * (images if by_text else captions),
    }
    kinds = np.select(list(fits.values()), list(fits), default="other")
    return [
        {
            "model": reference.run.model,
            "direction": direction,
            "kind": str(kinds[place]),
            "query": int(misses.query[place]),
            "query_text": rows.captions[misses.query[place]] if by_text else "",
            "query_image": "" if by_text else rows.images[misses.query[place]],
            "rank": int(misses.rank[place]),
            "margin": round(float(misses.margin[place]), DIGITS),
            "top_item": int(misses.top[place]),
            "top_score": round(float(misses.top_score[place]), DIGITS),
            "right_item": int(misses.right[place]),
            "right_score": round(float(misses.right_score[place]), DIGITS),
            **_shown(rows, "top", misses.top[place], by_text),
            **_shown(rows, "right", misses.right[place], by_text),
            "similarity": round(float(similarity[place]), DIGITS),
            "yardstick": _number(yardsticks[caption[place]]),
            **{column: "; ".join(names[place]) for column, names in missing.items()},
            "differing": "; ".join(not_said[place]),
            "words": int(lengths[caption[place]]),
            "example": 0,
        }
        for place in range(len(misses.query))
    ]


def _by_words(less: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Whether a colour, number, action or thing is what a pair differs in, and nothing larger."""
    colour, number, thing, action = (less[column] for column in PARTS.values())
    return (
        colour & ~number & ~action & ~thing,
        number & ~action & ~thing,
        action & ~thing,
        thing,
    )


def _shown(rows: Rows, which: str, item: int, by_text: bool) -> Row:
    image = item if by_text else rows.image_of_caption[item]
    return {
        f"{which}_image": rows.images[image],
        f"{which}_text": "" if by_text else rows.captions[item],
    }


def _number(value: float) -> float | None:
    return round(float(value), DIGITS) if np.isfinite(value) else None


def mentions_of_parts(rows: Rows, lexicon: dict[str, Words]) -> dict[str, Mentions]:
    """What captions speak of, for each of ``PARTS``; nothing where the lexicon lacks a part."""
    return {part: mentions_of(rows, lexicon.get(part, {})) for part in PARTS}


def mark_examples(failures: list[Row], examples: int, seed: int) -> None:
    """Set "example" to 1 for some failures of each kind, by lot."""
    for number, kind in enumerate(KINDS):
        own = [failure for failure in failures if failure["kind"] == kind]
        drawn = np.random.default_rng([seed, number]).permutation(len(own))[:examples]
        for place in drawn:
            own[place]["example"] = 1


def error_rows(
    reference: Reference,
    direction: str,
    failures: list[Row],
    mentions: dict[str, Mentions],
    kinds: list[str],
    resampling: Resampling,
) -> list[Row]:
    """The share of each of ``kinds`` among the misses of one direction, and what it is beyond.

    Parameters
    ----------
    reference, direction, failures, mentions : as in ``failures_of``
    kinds : that are told, none of them seen where a row says so
    resampling : of the intervals
    """
    if not failures:
        return []
    kind_of = np.array([failure["kind"] for failure in failures])
    ranks = np.array([failure["rank"] for failure in failures])
    queries = np.array([failure["query"] for failure in failures])
    values = (kind_of[:, None] == np.array(kinds)).astype(np.float64)
    images = images_of_queries(direction, reference.rows)[queries]
    bounds = interval_of_means(values, images, resampling, shares=True)
    asked, beside_wrong, beside_own = against_right_pairs(
        reference.rows, direction, failures, mentions
    )
    told = [kind for kind in kinds if kind in WORDED] if len(asked) else []
    base = dict(zip(WORDED, beside_own.T, strict=True))
    excess = {}
    if told:
        of = images[asked], images[asked]
        pairs = paired_differences(beside_wrong, beside_own, *of, resampling)
        excess = dict(zip(WORDED, zip(*pairs, strict=True), strict=True))
    table = []
    for kind, column, interval in zip(kinds, values.T, bounds, strict=True):
        count = int(column.sum())
        median = float(np.median(ranks[column > 0])) if count else float("nan")
        about = About(reference.run, direction, kind)
        table.append(row(about, "share", float(column.mean()), count, interval))
        table.append(row(about, "median_rank", median, count))
        if kind in told:
            table.append(row(about, "base", float(base[kind].mean()), len(asked)))
            value, around = excess[kind]
            table.append(row(about, "excess", float(value), len(asked), around))
    return table


def against_right_pairs(
    rows: Rows, direction: str, failures: list[Row], mentions: dict[str, Mentions]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What words show of wrong pairs, and of the same captions beside their own image.

    Returns
    -------
    (a,) places of the failures whose two images have other captions, and (a, len(WORDED)) twice:
    the share of the other image's captions without which the pair is of that kind, and whether the
    caption is so beside its own image, itself left out
    """
    caption, image = (
        np.array([failure[item] for failure in failures], dtype=np.int64)
        for item in (
            ("query", "top_item") if direction == "text_to_image" else ("top_item", "query")
        )
    )
    starts = first_captions(rows)
    counts, own = np.diff(starts), rows.image_of_caption[caption]
    asked = np.flatnonzero((counts[image] > 1) & (counts[own] > 1))
    caption, image, own = caption[asked], image[asked], own[asked]
    each = counts[image]
    firsts = np.cumsum(each) - each
    pair = np.repeat(np.arange(len(asked)), each)
    left_out = np.arange(each.sum()) - np.repeat(firsts - starts[image], each)

    def kinds(caption: np.ndarray, image: np.ndarray, left_out: np.ndarray) -> np.ndarray:
        less = {
            column: differs_but_for(mentions[part], caption, image, left_out)
            for part, column in PARTS.items()
        }
        return np.stack(_by_words(less), axis=1).astype(np.float64)

    beside_wrong = np.zeros((len(asked), len(WORDED)))
    np.add.at(beside_wrong, pair, kinds(caption[pair], image[pair], left_out) / each[pair, None])
    return asked, beside_wrong, kinds(caption, own, caption)


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    resampling = Resampling(params.resamples, params.seed)
    references = read_references(files, params.split)
    rows = references[0].rows
    fitting = accepted(read_judgments(files.judgments, rows))
    mentions = mentions_of_parts(rows, params.lexicon)
    found = []
    for reference in references:
        for direction in DIRECTIONS:
            failures = failures_of(reference, direction, fitting, mentions, params.far)
            mark_examples(failures, params.examples, params.seed)
            found.append((reference, direction, failures))
            log.info("%s, %s: %d misses", reference.run.model, direction, len(failures))
    seen = {failure["kind"] for _, _, failures in found for failure in failures}
    # the same kinds everywhere, so that one that is missing somewhere shows as none
    kinds = [kind for kind in KINDS if kind in seen]
    table = [line for part in found for line in error_rows(*part, mentions, kinds, resampling)]
    write_rows(snakemake.output.table, table)
    every = [failure for _, _, failures in found for failure in failures]
    write_rows(snakemake.output.failures, every, FAILURE_COLUMNS)


if __name__ == "__main__":
    run(main, snakemake)
