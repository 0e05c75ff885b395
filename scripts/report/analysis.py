"""Tables behind the discussion, from the rank of every query.

A difference between two runs is paired by query, and its standard error lets the captions of an
image go together: they are no independent draws. Differences within two standard errors count as no
clear difference. Bootstrap intervals may take the place of ``two_se`` without changing the tables.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from scripts.data.rows import Rows
from scripts.evaluate.runs import DIRECTIONS, KS, Run, chance

# ranks in classes: first, in the top 5, in the top 10, in the top 100, beyond
CLASSES = ((1, 1), (2, 5), (6, 10), (11, 100), (101, None))
TIE = 1e-6  # scores this close are equal, as in scripts.retrieve.ranking
FEW = 5  # below this many on either side nothing is said about a difference


def hits(ranks: np.ndarray, k: int) -> np.ndarray:
    """(q,) 1.0 where a right answer is in the top ``k``."""
    return (ranks <= k).astype(np.float64)


def mean_hits(ranks: np.ndarray) -> np.ndarray:
    """(q,) mean of the hits at 1, 5 and 10, whose mean over queries is the "mean recall"."""
    return np.mean([hits(ranks, k) for k in KS], axis=0)


def mean_recall(run: Run) -> float:
    """Mean of Recall@1, @5 and @10 over both directions: one number to order runs by."""
    return float(np.mean([mean_hits(run.ranks[way]).mean() for way in DIRECTIONS]))


def images_of_queries(direction: str, rows: Rows) -> np.ndarray:
    """(q,) row of the image that each query belongs to."""
    if direction == "text_to_image":
        return rows.image_of_caption
    return np.arange(len(rows.images))


def clustered_mean(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Mean of ``values`` and its standard error, where values of one group vary together.

    The ratio estimator of cluster sampling (Cochran 1977, Sampling Techniques, section 9A): with
    one value per group it is the usual standard error of the mean. Not a number for one group.

    Parameters
    ----------
    values : (q,)
    groups : (q,) whole numbers
    """
    counts = np.bincount(groups)
    sums = np.bincount(groups, weights=values)[counts > 0]
    counts = counts[counts > 0]
    n, mean = len(counts), float(values.mean())
    if n < 2:
        return mean, float("nan")
    rest = sums - mean * counts
    return mean, float(np.sqrt(n / (n - 1) * np.sum(rest**2)) / counts.sum())


def verdict_of(difference: float, error: float) -> str:
    """ "better", "worse" or "alike": within two standard errors is no clear difference."""
    if np.isnan(error) or abs(difference) <= 2 * error or difference == 0:
        return "alike"
    return "better" if difference > 0 else "worse"


def compare(run: Run, other: Run, rows: Rows, direction: str) -> dict[str, float | str]:
    """Differences ``run`` minus ``other`` on the same queries, as fractions.

    Keys recall@1, recall@5, recall@10, mean (of the three), two_se (of the mean), verdict.
    """
    mine, theirs = run.ranks[direction], other.ranks[direction]
    difference, error = clustered_mean(
        mean_hits(mine) - mean_hits(theirs), images_of_queries(direction, rows)
    )
    return {
        **{f"recall@{k}": float((hits(mine, k) - hits(theirs, k)).mean()) for k in KS},
        "mean": difference,
        "two_se": 2 * error,
        "verdict": verdict_of(difference, error),
    }


def comparisons(pairs: Iterable[tuple[Run, Run]], rows: Rows) -> pd.DataFrame:
    """One row per pair and direction: whose it is, against whom, and what ``compare`` gives."""
    records = [
        {
            **dict(zip(("model", "prompt", "scorer"), run.key, strict=True)),
            **dict(zip(("other_model", "other_prompt", "other_scorer"), other.key, strict=True)),
            "direction": way,
            **compare(run, other, rows, way),
        }
        for run, other in pairs
        for way in DIRECTIONS
    ]
    columns = (
        "model prompt scorer other_model other_prompt other_scorer direction recall@1 recall@5 "
        "recall@10 mean two_se verdict"
    )
    return pd.DataFrame(records, columns=columns.split())


def prompt_pairs(runs: list[Run]) -> list[tuple[Run, Run]]:
    """Each prompt against the first one, for each model, under the first scorer."""
    first = runs[0]
    return _pairs(
        [run for run in runs if run.scorer == first.scorer],
        lambda run: run.prompt == first.prompt,
        lambda run: run.model,
    )


def scorer_pairs(runs: list[Run]) -> list[tuple[Run, Run]]:
    """Each scorer against the first one, for each model, under the first prompt."""
    first = runs[0]
    return _pairs(
        [run for run in runs if run.prompt == first.prompt],
        lambda run: run.scorer == first.scorer,
        lambda run: run.model,
    )


def model_pairs(runs: list[Run]) -> list[tuple[Run, Run]]:
    """Each model against the first one, under the first prompt and scorer."""
    first = runs[0]
    return _pairs(
        [run for run in runs if run.key[1:] == first.key[1:]],
        lambda run: run.model == first.model,
        lambda run: "",
    )


def _pairs(
    runs: list[Run], is_reference: Callable[[Run], bool], group: Callable[[Run], str]
) -> list[tuple[Run, Run]]:
    references = {group(run): run for run in runs if is_reference(run)}
    return [(run, references[group(run)]) for run in runs if not is_reference(run)]


def direction_gap(run: Run, rows: Rows) -> dict[str, float | str]:
    """Image to text minus text to image in mean recall, image by image.

    Keys difference, two_se, verdict ("better": image to text is the easier one).
    """
    texts = np.bincount(
        rows.image_of_caption, weights=mean_hits(run.ranks["text_to_image"])
    ) / np.bincount(rows.image_of_caption)
    gaps = mean_hits(run.ranks["image_to_text"]) - texts
    difference, error = clustered_mean(gaps, np.arange(len(gaps)))
    return {"difference": difference, "two_se": 2 * error, "verdict": verdict_of(difference, error)}


def outcome_table(run: Run) -> pd.DataFrame:
    """Queries by class of rank: columns direction, low, high (0: no end), queries, share."""
    records = []
    for way in DIRECTIONS:
        ranks = run.ranks[way]
        for low, high in CLASSES:
            count = int(((ranks >= low) & (ranks <= (high or np.inf))).sum())
            records.append(
                {
                    "direction": way,
                    "low": low,
                    "high": high or 0,
                    "queries": count,
                    "share": count / len(ranks),
                }
            )
    return pd.DataFrame(records)


def failure_table(run: Run, gallery: dict[str, int]) -> pd.DataFrame:
    """Where the right answers of failures (rank beyond 10) lie, for each direction.

    Columns direction, queries, failures, share, near (share at rank 2 to 10), median_rank (of the
    failures), gallery, relative (median rank over gallery), verdict: "none", "near" where the
    median lies in the first quarter of the gallery, "far".
    """
    records = []
    for way in DIRECTIONS:
        ranks = run.ranks[way]
        failed = ranks[ranks > 10]
        median = float(np.median(failed)) if len(failed) else float("nan")
        relative = median / gallery[way]
        records.append(
            {
                "direction": way,
                "queries": len(ranks),
                "failures": len(failed),
                "share": len(failed) / len(ranks),
                "near": float(((ranks > 1) & (ranks <= 10)).mean()),
                "median_rank": median,
                "gallery": gallery[way],
                "relative": relative,
                "verdict": "none" if not len(failed) else "near" if relative <= 0.25 else "far",
            }
        )
    return pd.DataFrame(records)


def words_in(text: str) -> int:
    """Length of a caption: words, where each Chinese, Japanese or Korean character is one."""
    return len(
        re.findall(
            r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]|[^\W\u3040-\u9fff\uac00-\ud7a3]+"
            r"(?:['’-]\w+)*",
            text,
        )
    )


def length_table(run: Run, rows: Rows) -> pd.DataFrame:
    """Recall by thirds of caption length.

    Columns part (short, medium, long), shortest, longest (words), captions, recall@1, recall@10,
    two_se (of recall@10). A third that ties leave empty is left out.
    """
    lengths = np.array([words_in(text) for text in rows.captions])
    cuts = np.quantile(lengths, (1 / 3, 2 / 3))
    ranks, parts = run.ranks["text_to_image"], np.searchsorted(cuts, lengths, side="left")
    records = []
    for number, part in enumerate(("short", "medium", "long")):
        chosen = parts == number
        if chosen.any():
            recall, error = clustered_mean(hits(ranks[chosen], 10), rows.image_of_caption[chosen])
            records.append(
                {
                    "part": part,
                    "shortest": int(lengths[chosen].min()),
                    "longest": int(lengths[chosen].max()),
                    "captions": int(chosen.sum()),
                    "recall@1": float(hits(ranks[chosen], 1).mean()),
                    "recall@10": recall,
                    "two_se": 2 * error,
                }
            )
    return pd.DataFrame(records)


def contrast(
    values: np.ndarray, first: np.ndarray, second: np.ndarray, groups: np.ndarray
) -> dict[str, float | str]:
    """Mean of ``values`` where ``first`` and where ``second``, and whether they differ.

    Keys first, second (means), first_n, second_n, difference, two_se, verdict ("better": the first
    is the larger; "unknown": fewer than ``FEW`` on a side).
    """
    counts = int(first.sum()), int(second.sum())
    nothing = (float("nan"), float("nan"))
    mean_1, error_1 = clustered_mean(values[first], groups[first]) if counts[0] else nothing
    mean_2, error_2 = clustered_mean(values[second], groups[second]) if counts[1] else nothing
    error = float(np.hypot(error_1, error_2))
    known = min(counts) >= FEW
    return {
        "first": mean_1,
        "second": mean_2,
        "first_n": counts[0],
        "second_n": counts[1],
        "difference": mean_1 - mean_2,
        "two_se": 2 * error,
        "verdict": verdict_of(mean_1 - mean_2, error) if known else "unknown",
    }


def caption_contrasts(run: Run, rows: Rows) -> dict[str, dict[str, float | str]]:
    """What sets failed sentences apart from found ones, in four contrasts.

    "length": words of captions found first and of captions that failed (rank beyond 10);
    "duplicates": hits in the top 10 of captions that stand on one image only and on several;
    "score": the right image's score for captions found first and for those that failed;
    "margin": the lead of the right image over the next where it is first, and how far it lies
    behind the first where it failed.
    """
    ranks, groups = run.ranks["text_to_image"], rows.image_of_caption
    found, failed = ranks == 1, ranks > 10
    lengths = np.array([words_in(text) for text in rows.captions], dtype=np.float64)
    shared = shared_captions(rows)
    tops = run.scores["text_to_image"].astype(np.float64)
    own = run.right_score.astype(np.float64)
    behind = tops[:, 0] - own
    lead = own - tops[:, 1] if tops.shape[1] > 1 else np.full(len(own), np.nan)
    contrasts = {
        "length": contrast(lengths, found, failed, groups),
        "duplicates": contrast(hits(ranks, 10), ~shared, shared, groups),
        "score": contrast(own, found, failed, groups),
    }
    if tops.shape[1] > 1:
        contrasts["margin"] = contrast(np.where(found, lead, behind), found, failed, groups)
    return contrasts


def shared_captions(rows: Rows) -> np.ndarray:
    """(m,) whether a caption, letter for letter, stands on another image too."""
    images_of: dict[str, set[int]] = {}
    for text, image in zip(rows.captions, rows.image_of_caption.tolist(), strict=True):
        images_of.setdefault(text, set()).add(image)
    return np.array([len(images_of[text]) > 1 for text in rows.captions])


def repeated_captions(rows: Rows) -> int:
    """Captions that equal one before them, so that their features need no second encoding."""
    return sum(count - 1 for count in Counter(rows.captions).values())


def ties_with_right(run: Run) -> int:
    """Captions in whose top list another image ties with the right one, and which it costs a hit.

    Counted are those that are not first, though no image scores above theirs.
    """
    best = run.scores["text_to_image"][:, 0].astype(np.float64)
    level = best - run.right_score.astype(np.float64) <= TIE
    return int((level & (run.ranks["text_to_image"] > 1)).sum())


def scale_table(ranks: np.ndarray, gallery: int) -> pd.DataFrame:
    """Expected recall of text to image in smaller galleries, in closed form.

    Of a gallery of n drawn around the right image, the others are n - 1 at random from the rest, so
    the number of images ahead is hypergeometric.

    Parameters
    ----------
    ranks : (m,) rank of each caption's one right image among ``gallery``

    Columns gallery, recall@1, recall@5, recall@10, chance@10.
    """
    steps = (10, 20, 50, 100, 200, 500)
    sizes = [10**power * step for power in (0, 3) for step in steps if 10**power * step < gallery]
    sizes += [1000] if gallery > 1000 else []
    values, counts = np.unique(ranks, return_counts=True)
    records = []
    for size in [*sorted(sizes), gallery]:
        expected = [
            float(np.average(_at_most(values, gallery, size, k), weights=counts)) for k in KS
        ]
        records.append(
            {
                "gallery": size,
                **{f"recall@{k}": value for k, value in zip(KS, expected, strict=True)},
                "chance@10": chance(size, 1, 10),
            }
        )
    return pd.DataFrame(records)


def _at_most(ranks: np.ndarray, gallery: int, size: int, k: int) -> np.ndarray:
    """Probability that of ``size`` - 1 others fewer than ``k`` come from the rank - 1 ahead."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, gallery + 1)))])

    def log_choose(n: np.ndarray, r: np.ndarray) -> np.ndarray:
        possible = (r >= 0) & (r <= n)
        n, r = np.where(possible, n, 0), np.where(possible, r, 0)
        return np.where(possible, logs[n] - logs[r] - logs[n - r], -np.inf)

    ahead, drawn = (ranks - 1)[:, None], np.arange(min(k, size))[None, :]
    terms = (
        log_choose(ahead, drawn)
        + log_choose(gallery - 1 - ahead, size - 1 - drawn)
        - log_choose(np.array(gallery - 1), np.array(size - 1))
    )
    return np.minimum(np.exp(terms).sum(axis=1), 1.0)
