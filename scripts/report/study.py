"""Look at the runs, and closely at the reference run: the findings of a report, by place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from scripts.evaluate.pairs import FAMILIES
from scripts.evaluate.runs import Run
from scripts.protocol import DIRECTIONS
from scripts.report import (
    analysis,
    conclusion,
    findings,
    index_findings,
    links,
    optimisations,
    study_findings,
)
from scripts.report.findings import Finding
from scripts.report.material import Material
from scripts.report.optimisations import Gain
from scripts.words import formats


@dataclass(frozen=True)
class Study:
    """What the discussion is made from.

    Attributes
    ----------
    reference : the run that is looked at closely: the first model, prompt and scorer
    measured : direction -> its row of metrics.csv
    pairs : family -> its rows of pairs.csv
    told : of them, those that are told one by one
    shifts : what the common shift of captions has to do with what prompts lose
    moves : what runs change in recall and in hubs, by direction
    """

    reference: Run
    measured: dict[str, dict[str, Any]]
    gap: dict[str, Any]
    above: list[Finding]
    failures: pd.DataFrame
    pairs: dict[str, pd.DataFrame]
    told: dict[str, pd.DataFrame]
    gains: list[Gain]
    shifts: list[Finding]
    savings: dict[str, Finding | None]
    moves: pd.DataFrame

    @property
    def told_moves(self) -> pd.DataFrame:
        """Of the moves, those of comparisons that are told."""
        keys = [*findings.NAMES, "direction"]
        told = pd.concat([self.told[kind][keys] for kind in ("prompt", "scorer")])
        return self.moves.merge(told)


def study(material: Material) -> Study:
    """Look at the runs, and closely at the first of them."""
    reference = material.runs[0]
    metrics = material.metrics
    own = metrics[(metrics[["model", "prompt", "scorer"]] == list(reference.key)).all(axis=1)]
    measured = {one["direction"]: one for one in own.to_dict("records")}
    pairs = {
        family: material.pairs[material.pairs.family == family].reset_index(drop=True)
        for family in FAMILIES
    }
    told = {
        kind: findings.told_of(pairs[kind], kind, reference.model) for kind in findings.TABLE_OF
    }
    shifts = links.shifts(told["prompt"], material.table_of("geometry"), reference)
    return Study(
        reference=reference,
        measured=measured,
        gap=analysis.direction_gap(reference, material.rows, material.resampling),
        above=[findings.above_chance(measured[way]) for way in DIRECTIONS],
        failures=analysis.failure_table(reference, material.gallery),
        pairs=pairs,
        told=told,
        gains=optimisations.gains(material, told),
        shifts=shifts,
        savings=optimisations.savings(material, shifts),
        moves=links.moves(material.pairs, material.table_of("geometry")),
    )


def sentences(material: Material, studied: Study) -> dict[str, list[Finding]]:
    """Findings by the place where they are said; those of a study at "study_<name>"."""
    reference, rows, pairs = studied.reference, material.rows, studied.pairs
    about = {
        "dataset": material.dataset,
        "images": formats.count(len(rows.images)),
        "captions": formats.count(len(rows.captions)),
    }
    told = {
        f"study_{one.name}": study_findings.findings_of(one.name, one.table)
        for one in material.studies
    }
    if material.index_costs is not None:
        told["study_indexes"] += index_findings.index_costs(material.index_costs)
    # what reads pairs.csv; scorers are told with the optimisations that they are
    told["study_prompts"] = findings.effects(pairs["prompt"], "prompt", reference.model)
    kinds = {name: entry["kind"] for name, entry in material.scorers.items()}
    gain = findings.gain(material.runs, material.pairs, kinds)
    recall = [*studied.above, findings.easier_direction(studied.gap)]
    trained = any(
        one["model"] == reference.model
        and (one.get("training") or {}).get("dataset") == material.dataset
        for one in material.models
    )
    alone = links.alone(material.table_of("captions"), reference.model, studied.gap)
    return told | {
        "abstract": findings.abstract(material.runs, recall, gain, studied.failures, alone, about),
        "recall": [findings.subject(material.runs), *recall],
        "differences": [
            *findings.tallies(material.pairs),
            *(Finding(f"{kind}_single") for kind in ("prompt", "scorer") if pairs[kind].empty),
            *findings.effects(pairs["model"], "model", reference.model),
        ],
        "outcomes": [
            *findings.failures(studied.failures),
            findings.near_misses(studied.failures),
            *links.fit(material.table_of("leakage"), reference.model, trained),
            *links.agreement(material.table_of("captions"), reference.model),
        ],
        "synthesis": [
            *studied.shifts,
            *links.prompts(studied.told_moves, reference),
            *links.scorers(studied.told_moves, reference),
            *([alone] if alone else []),
            *links.words(material.table_of("robustness"), reference.model),
        ],
        "conclusion": conclusion.findings_of(material, studied.gains),
    }
