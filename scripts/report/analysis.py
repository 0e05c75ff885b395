"""Tables behind the discussion, from the rank of every query.

Differences between runs are those of pairs.csv. What is asked here of one run alone has an interval
by bootstrap over images, and is called a difference where the interval leaves zero out.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from scripts.data.rows import Rows
from scripts.evaluate.intervals import (
    Resampling,
    interval_of_means,
    percentile_interval,
    resample_counts,
    sums_by_image,
)
from scripts.evaluate.runs import Run
from scripts.measures import mean_hits
from scripts.protocol import DIRECTIONS
from scripts.studies.words import words_in

# ranks in classes: first, in the top 5, in the top 10, in the top 100, beyond
CLASSES = ((1, 1), (2, 5), (6, 10), (11, 100), (101, None))
# images on the smaller side below which nothing is said about a difference
FEW = 10


def mean_recall(run: Run) -> float:
    """Mean of Recall@1, @5 and @10 over both directions: one number to order runs by."""
    return float(np.mean([mean_hits(run.ranks[way]).mean() for way in DIRECTIONS]))


def verdict_of(low: float, high: float) -> str:
    """ "better", "worse", or "alike" where the interval of a difference holds zero."""
    if low > 0:
        return "better"
    return "worse" if high < 0 else "alike"


def direction_gap(run: Run, rows: Rows, resampling: Resampling) -> dict[str, float | str]:
    """Image to text minus text to image in mean recall, image by image.

    Keys difference, low, high, verdict ("better": image to text is the easier one).
    """
    texts = np.bincount(
        rows.image_of_caption, weights=mean_hits(run.ranks["text_to_image"])
    ) / np.bincount(rows.image_of_caption)
    gaps = mean_hits(run.ranks["image_to_text"]) - texts
    ((low, high),) = interval_of_means(gaps[:, None], np.arange(len(gaps)), resampling).tolist()
    return {
        "difference": float(gaps.mean()),
        "low": low,
        "high": high,
        "verdict": verdict_of(low, high),
    }


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


def caption_contrasts(
    run: Run, rows: Rows, resampling: Resampling
) -> dict[str, dict[str, float | str]]:
    """What sets failed captions apart from those found first, in three contrasts.

    "length": words of captions found first and of captions that failed (rank beyond 10); "score":
    the right image's score for either; "margin": the lead of the right image over the next where it
    is first, and how far it lies behind the first where it failed.
    """
    ranks = run.ranks["text_to_image"]
    found, failed = ranks == 1, ranks > 10
    tops = run.scores["text_to_image"].astype(np.float64)
    own = run.right_score.astype(np.float64)
    values = {
        "length": np.array([words_in(text) for text in rows.captions], dtype=np.float64),
        "score": own,
    }
    if tops.shape[1] > 1:
        values["margin"] = np.where(found, own - tops[:, 1], tops[:, 0] - own)
    return contrasts(values, found, failed, rows.image_of_caption, resampling)


def contrasts(
    values: dict[str, np.ndarray],
    first: np.ndarray,
    second: np.ndarray,
    image_of_query: np.ndarray,
    resampling: Resampling,
) -> dict[str, dict[str, float | str]]:
    """Means of ``values`` where ``first`` and where ``second``, and whether they differ.

    Parameters
    ----------
    values : name -> (q,) float64
    first, second : (q,) boolean
    image_of_query : (q,) the image that each query belongs to
    resampling : of the intervals

    Keys of each: first, second (means), first_n, second_n, difference, low, high (its interval),
    verdict ("better": the first is the larger; "unknown": fewer than ``FEW`` images on a side).
    """
    sides = (first, second)
    known = min(len(np.unique(image_of_query[side])) for side in sides) >= FEW
    bounds = dict.fromkeys(values, (float("nan"), float("nan")))
    if known:
        samples = _differences(list(values.values()), sides, image_of_query, resampling)
        bounds = dict(zip(values, percentile_interval(samples).tolist(), strict=True))
    result: dict[str, dict[str, float | str]] = {}
    for name, value in values.items():
        means = [float(value[side].mean()) if side.any() else float("nan") for side in sides]
        low, high = bounds[name]
        result[name] = {
            "first": means[0],
            "second": means[1],
            "first_n": int(first.sum()),
            "second_n": int(second.sum()),
            "difference": means[0] - means[1],
            "low": low,
            "high": high,
            "verdict": verdict_of(low, high) if known else "unknown",
        }
    return result


def _differences(
    values: list[np.ndarray],
    sides: tuple[np.ndarray, np.ndarray],
    image_of_query: np.ndarray,
    resampling: Resampling,
) -> np.ndarray:
    """(b, c) differences of means in resamples of the images, those without a side left out."""
    members = np.stack(sides, axis=1).astype(np.float64)
    columns = [members, *(value[:, None] * members for value in values)]
    sums, _ = sums_by_image(np.concatenate(columns, axis=1), image_of_query)
    drawn = np.concatenate([counts @ sums for counts in resample_counts(len(sums), resampling)])
    drawn = drawn[(drawn[:, :2] > 0).all(axis=1)]
    counts = drawn[:, :2]
    means = [drawn[:, 2 * place : 2 * place + 2] / counts for place in range(1, len(values) + 1)]
    return np.stack([mean[:, 0] - mean[:, 1] for mean in means], axis=1)


def repeated_captions(rows: Rows) -> int:
    """Captions that equal one before them, so that their features need no second encoding."""
    return sum(count - 1 for count in Counter(rows.captions).values())


def ties_with_right(run: Run) -> int:
    """Captions that a tie alone keeps from first place: no image scores above their own."""
    ranks, tied = run.ranks["text_to_image"], run.tied["text_to_image"]
    return int(((tied > 0) & (ranks == 1 + tied)).sum())
