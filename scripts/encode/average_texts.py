"""Text features of an ensemble, from those of prompts that have one of its templates each.

They are what encoding the ensemble would give, to the byte.
"""

from pathlib import Path
from typing import Any

import numpy as np

from scripts.data.rows import read_rows
from scripts.encode.ensembles import normalised_mean
from scripts.encode.features import write_features
from scripts.encode.stored import read_features
from scripts.job import BadInput, digest_of_file, log, read_json
from scripts.jobs import Snakemake, run


def ensemble_of(sidecars: list[str], templates: list[str], model: str) -> dict[str, Any]:
    """What the sidecars of single prompts say of their ensemble.

    Raises ``BadInput`` where one is of another model, template or precision than it should be.
    """
    abouts = [read_json(sidecar) for sidecar in sidecars]
    for sidecar, template, about in zip(sidecars, templates, abouts, strict=True):
        found = about["model"], about["templates"], about["precision"]
        expected = model, [template], abouts[0]["precision"]
        if found != expected:
            raise BadInput(
                sidecar,
                f"features of model, templates and precision {found}",
                f"{expected}",
                f"delete {sidecar} and the .npy beside it and run again",
            )
    devices = dict.fromkeys(name for about in abouts for name in about["device"].split(", "))
    cut = sorted({row for about in abouts for row in about["cut"]})
    return {
        "device": ", ".join(sorted(devices)),
        "precision": abouts[0]["precision"],
        "templates": templates,
        "truncated": len(cut),
        "cut": cut,
    }


def main(snakemake: Snakemake) -> None:
    given, templates = snakemake.input, list(snakemake.params.templates)
    rows = read_rows(given.captions, given.splits, snakemake.wildcards.split)
    about = ensemble_of(list(given.sidecars), templates, digest_of_file(given.model))
    files = zip(given.features, given.sidecars, strict=True)
    parts = (read_features(npy, sidecar, rows, of="captions") for npy, sidecar in files)
    features: np.ndarray = normalised_mean(parts, rows.captions, templates)
    log.info("the mean of %d prompts", len(templates))
    write_features(
        Path(snakemake.output.features),
        Path(snakemake.output.sidecar),
        features,
        rows,
        Path(given.model),
        **about,
    )


if __name__ == "__main__":
    run(main, snakemake)
