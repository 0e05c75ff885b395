"""Recall where more than the one right answer is accepted; equal captions; and what ties cost.

Right answers are, in turn, a caption's own image; every image that carries the very same caption;
and every image that people said the caption fits, leniently or strictly (``judged.py``). The runs
are the same, only what counts as right differs: "recall@1_change" is what a notion adds to the
strict count, query by query, which may be nothing and cannot be less. People judged a small part of
all pairs, so that figures are given for the queries with judgments, too, and even there unjudged is
not wrong.
"""

import numpy as np
from scipy import sparse

from scripts.data.rows import Rows
from scripts.evaluate.intervals import DIGITS, Resampling, interval_of_means
from scripts.evaluate.runs import Run, first_captions, images_of_queries, read_run
from scripts.job import log
from scripts.jobs import Snakemake, run
from scripts.measures import MEANS, MEASURES, METRICS, per_query
from scripts.protocol import DIRECTIONS
from scripts.retrieve.ranking import rank
from scripts.studies.judged import (
    Judgments,
    accepted,
    equal_captions,
    read_judgments,
    relevance,
)
from scripts.studies.reference import Reference, read_references
from scripts.studies.table import About, Row, change_rows, row, write_rows

# what is said of the difference
SAID = "recall@1"
# measures that can share an axis
SHARES = tuple(name for name in METRICS if name in MEANS and MEASURES[name].unit == "share")
DUPLICATE_COLUMNS = ("caption", "images", "count")
TIE_COLUMNS = (
    *("model", "prompt", "scorer", "direction", "queries", "tied", "cost"),
    *("recall@1", "recall@1_lucky"),
)


def right_answers(rows: Rows, judgments: Judgments) -> dict[str, dict[str, sparse.csr_array]]:
    """What may count as right: name -> direction -> right answers, as ``rank`` takes them.

    Without judgments there is nothing that people accept.
    """
    pairs = {"own": np.empty((0, 2), dtype=np.int64), "duplicates": equal_captions(rows)}
    if len(judgments):
        pairs["people"] = accepted(judgments)
        pairs["people strict"] = accepted(judgments, strict=True)
    return {name: relevance(rows, extra) for name, extra in pairs.items()}


def judged_queries(rows: Rows, judgments: Judgments) -> dict[str, np.ndarray]:
    """Direction -> (q,) whether a query was judged with an item that is not its own."""
    others = ~judgments.own
    found = {
        "text_to_image": np.zeros(len(rows.captions), dtype=bool),
        "image_to_text": np.zeros(len(rows.images), dtype=bool),
    }
    found["text_to_image"][judgments.caption[others]] = True
    found["image_to_text"][judgments.image[others]] = True
    return found


def values_of(reference: Reference, direction: str, right: sparse.csr_array) -> np.ndarray:
    """(q, c) every one of c ``SHARES`` of every query, for these right answers."""
    queries, gallery = reference.sides(direction)
    ranks = rank(queries, gallery, right, k=1).rank
    values = per_query(ranks, right.indptr)
    return np.stack([values[measure] for measure in SHARES], axis=1)


def relevance_rows(reference: Reference, judgments: Judgments, resampling: Resampling) -> list[Row]:
    """Every measure under every notion of right, on all queries and on the judged ones."""
    rows = reference.rows
    right = right_answers(rows, judgments)
    judged = judged_queries(rows, judgments)
    found = []
    for way in DIRECTIONS:
        values = np.concatenate([values_of(reference, way, right[name][way]) for name in right], 1)
        images = images_of_queries(way, rows)
        labels = [(name, measure) for name in right for measure in SHARES]
        for of, chosen in (
            ("all queries", np.ones(len(values), dtype=bool)),
            ("judged queries", judged[way]),
        ):
            if not chosen.any():
                continue
            bounds = interval_of_means(values[chosen], images[chosen], resampling, shares=True)
            found += [
                row(
                    About(reference.run, way, f"{name} / {of}"),
                    measure,
                    column.mean(),
                    len(column),
                    interval,
                )
                for (name, measure), column, interval in zip(
                    labels, values[chosen].T, bounds, strict=True
                )
            ]
            at = {name: labels.index((name, SAID)) for name in right}
            strict = values[chosen][:, [at["own"]]], images[chosen]
            for name in [name for name in right if name != "own"]:
                wide = values[chosen][:, [at[name]]], images[chosen]
                about = About(reference.run, way, f"{name} / {of}")
                (change,) = change_rows(about, (SAID,), wide, strict, resampling)
                found.append(change | {"low": max(change["low"], 0.0)})
    return found


def duplicate_rows(rows: Rows) -> list[Row]:
    """Captions that stand on several images, those on most images first."""
    images_of: dict[str, dict[str, None]] = {}
    for caption, image in zip(rows.captions, rows.image_of_caption, strict=True):
        images_of.setdefault(caption, {})[rows.images[image]] = None
    several = [(caption, list(names)) for caption, names in images_of.items() if len(names) > 1]
    return [
        {"caption": caption, "images": ";".join(names), "count": len(names)}
        for caption, names in sorted(several, key=lambda entry: (-len(entry[1]), entry[0]))
    ]


def tie_rows(one: Run, rows: Rows) -> list[Row]:
    """What ties cost a run, which counts them against the model.

    A query is ``tied`` where its best right answer ties with a wrong item; it is a ``cost`` where
    in the luckiest order among ties a right answer would stand first, and so does not.
    """
    ranks = {"text_to_image": one.ranks["text_to_image"], "image_to_text": one.caption_ranks}
    starts = {
        "text_to_image": np.arange(len(rows.captions)),
        "image_to_text": first_captions(rows)[:-1],
    }
    found = []
    for way in DIRECTIONS:
        # of the best right answer, which has fewest wrong items ahead, ties counted or not
        strict = np.minimum.reduceat(ranks[way], starts[way])
        lucky = np.minimum.reduceat(ranks[way] - one.tied[way], starts[way])
        found.append(
            {
                **dict(zip(TIE_COLUMNS, (*one.key, way), strict=False)),
                "queries": len(strict),
                "tied": int((lucky < strict).sum()),
                "cost": int(((lucky == 1) & (strict > 1)).sum()),
                "recall@1": round(float((strict == 1).mean()), DIGITS),
                "recall@1_lucky": round(float((lucky == 1).mean()), DIGITS),
            }
        )
    return found


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params, output = snakemake.input, snakemake.params, snakemake.output
    references = read_references(files, params.split)
    rows = references[0].rows
    judgments = read_judgments(files.judgments, rows)
    duplicates = duplicate_rows(rows)
    log.info("%d ratings; %d captions stand on several images", len(judgments), len(duplicates))
    resampling = Resampling(params.resamples, params.seed)
    found: list[Row] = []
    for reference in references:
        log.info("%s: ranking again for other right answers", reference.run.model)
        found += relevance_rows(reference, judgments, resampling)
    write_rows(output.table, found)
    write_rows(output.duplicates, duplicates, DUPLICATE_COLUMNS)
    ties = [tie for path in files.runs for tie in tie_rows(read_run(path, rows), rows)]
    write_rows(output.ties, ties, TIE_COLUMNS)


if __name__ == "__main__":
    run(main, snakemake)
