"""Tables behind the discussion, from the rank of every query.

Differences between runs are those of pairs.csv. What is asked here of one run alone has an interval
by bootstrap over images, and is called a difference where the interval leaves zero out.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scripts.data.rows import Rows
from scripts.evaluate.intervals import Resampling, interval_of_means
from scripts.evaluate.runs import Run
from scripts.measures import mean_hits
from scripts.protocol import DIRECTIONS


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
