"""Look at the runs, and closely at the best of them: the findings of a report, by place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from scripts.evaluate.pairs import FAMILIES
from scripts.evaluate.runs import Run
from scripts.protocol import DIRECTIONS
from scripts.report import analysis, findings, optimisations, study_findings
from scripts.report.findings import Finding
from scripts.report.material import Material
from scripts.report.optimisations import Gain
from scripts.words import formats

# studies that are told among the results; the others are discussed
AMONG_RESULTS = ("relevance", "judgments", "published")


@dataclass(frozen=True)
class Study:
    """What the discussion is made from.

    Attributes
    ----------
    best : the run that is looked at closely
    measured : direction -> its row of metrics.csv
    pairs : family -> its rows of pairs.csv
    """

    best: Run
    measured: dict[str, dict[str, Any]]
    gap: dict[str, Any]
    above: list[Finding]
    outcomes: pd.DataFrame
    failures: pd.DataFrame
    contrasts: dict[str, dict[str, Any]]
    pairs: dict[str, pd.DataFrame]
    gains: list[Gain]
    savings: list[tuple[str, Finding | None]]


def study(material: Material) -> Study:
    """Look at the runs, and closely at the best of them."""
    best = max(material.runs, key=analysis.mean_recall)
    metrics = material.metrics
    own = metrics[(metrics[["model", "prompt", "scorer"]] == list(best.key)).all(axis=1)]
    measured = {one["direction"]: one for one in own.to_dict("records")}
    return Study(
        best=best,
        measured=measured,
        gap=analysis.direction_gap(best, material.rows, material.resampling),
        above=[findings.above_chance(measured[way]) for way in DIRECTIONS],
        outcomes=analysis.outcome_table(best),
        failures=analysis.failure_table(best, material.gallery),
        contrasts=analysis.caption_contrasts(best, material.rows, material.resampling),
        pairs={
            family: material.pairs[material.pairs.family == family].reset_index(drop=True)
            for family in FAMILIES
        },
        gains=optimisations.gains(material),
        savings=optimisations.savings(material),
    )


def sentences(material: Material, studied: Study) -> dict[str, list[Finding]]:
    """Findings by the place where they are said; those of a study at "study_<name>"."""
    best, rows, pairs = studied.best, material.rows, studied.pairs
    about = {
        "dataset": material.dataset,
        "split": material.split,
        "images": formats.count(len(rows.images)),
        "captions": formats.count(len(rows.captions)),
    }
    told = {
        f"study_{one.name}": study_findings.findings_of(one.name, one.table)
        for one in material.studies
    }
    if material.index_costs is not None:
        told["study_indexes"] += study_findings.index_costs(material.index_costs)
    # the two that read pairs.csv
    for family in ("prompt", "scorer"):
        told[f"study_{family}s"] = findings.effects(pairs[family], family, best)
    recall = [*studied.above, findings.easier_direction(studied.gap)]
    return told | {
        "abstract": findings.abstract(
            material.runs, best, recall, pairs["prompt"], studied.failures, about
        ),
        "recall": [findings.best_run(material.runs, best), *recall],
        "differences": [
            *findings.tallies(material.pairs),
            *(Finding(f"{kind}_single") for kind in ("prompt", "scorer") if pairs[kind].empty),
            *findings.effects(pairs["model"], "model", best),
        ],
        "outcomes": [*findings.failures(studied.failures), findings.near_misses(studied.failures)],
        "contrasts": findings.captions(studied.contrasts),
        "outlook": findings.outlook(
            studied.failures,
            pairs["prompt"],
            pairs["model"],
            len(rows.images),
            trained=any(model.get("source") == "train" for model in material.models),
            reranked=any(one["kind"] == "reranked" for one in material.scorers.values()),
        ),
    }
