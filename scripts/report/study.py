"""Look at the runs, and closely at the best of them: the findings of a report, by place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from scripts.report import analysis, findings, formats
from scripts.report.findings import Finding
from scripts.report.material import Material
from scripts.evaluate.runs import DIRECTIONS, Run


@dataclass(frozen=True)
class Study:
    """What the discussion is made from."""

    best: Run
    gap: dict[str, Any]
    above: list[Finding]
    outcomes: pd.DataFrame
    failures: pd.DataFrame
    contrasts: dict[str, dict[str, Any]]
    shared: int
    thirds: pd.DataFrame
    prompts: pd.DataFrame
    scorers: pd.DataFrame
    models: pd.DataFrame
    scale: pd.DataFrame
    optimisations: list[tuple[str, Finding | None]]


def study(material: Material) -> Study:
    """Look at the runs, and closely at the best of them."""
    rows, runs = material.rows, material.runs
    best = max(runs, key=analysis.mean_recall)
    prompts = analysis.comparisons(analysis.prompt_pairs(runs), rows)
    sizes = {
        "images": len(rows.images),
        "captions": len(rows.captions),
        "prompts": len({run_.prompt for run_ in runs}),
    }
    return Study(
        best=best,
        gap=analysis.direction_gap(best, rows),
        above=[findings.above_chance(best, rows, way) for way in DIRECTIONS],
        outcomes=analysis.outcome_table(best),
        failures=analysis.failure_table(best, material.gallery),
        contrasts=analysis.caption_contrasts(best, rows),
        shared=int(analysis.shared_captions(rows).sum()),
        thirds=analysis.length_table(best, rows),
        prompts=prompts,
        scorers=analysis.comparisons(analysis.scorer_pairs(runs), rows),
        models=analysis.comparisons(analysis.model_pairs(runs), rows),
        scale=analysis.scale_table(best.ranks["text_to_image"], len(rows.images)),
        optimisations=findings.optimisations(
            material.steps,
            prompts,
            best,
            sizes,
            material.templates,
            analysis.ties_with_right(best),
            analysis.repeated_captions(rows),
        ),
    )


def sentences(material: Material, studied: Study) -> dict[str, list[Finding]]:
    """Findings by the place where they are said."""
    best, rows = studied.best, material.rows
    about = {
        "dataset": material.dataset,
        "split": material.split,
        "images": formats.count(len(rows.images)),
        "captions": formats.count(len(rows.captions)),
    }
    lengths = findings.lengths(studied.thirds)
    trained = any(model.get("source") == "train" for model in material.models)
    return {
        "abstract": findings.abstract(
            material.runs,
            best,
            studied.gap,
            studied.prompts,
            studied.failures,
            studied.above,
            about,
        ),
        "recall": [
            findings.best_run(material.runs, best),
            *studied.above,
            findings.easier_direction(studied.gap),
        ],
        "outcomes": [*findings.failures(studied.failures), findings.near_misses(studied.failures)],
        "captions": [
            *findings.captions(studied.contrasts, studied.shared, len(rows.captions)),
            *([lengths] if lengths else []),
        ],
        "prompts": findings.effects(studied.prompts, "prompt", best),
        "scorers": findings.effects(studied.scorers, "scorer", best),
        "scale": [findings.scale(studied.scale), *findings.effects(studied.models, "model", best)],
        "outlook": findings.outlook(
            studied.failures, studied.prompts, studied.models, trained, studied.shared
        ),
    }
