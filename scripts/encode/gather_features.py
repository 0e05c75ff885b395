"""Join the features of a split that was encoded shard by shard."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from scripts.data.rows import read_rows
from scripts.encode.features import write_features
from scripts.encode.stored import Of, read_features
from scripts.job import BadInput, Snakemake, digest_of_file, log, read_json, run


def gathered(sidecars: list[str]) -> dict[str, Any]:
    """What the sidecars of all shards say of the whole.

    Raises ``BadInput`` where one was made with another model, prompt or precision than the first.
    Devices may differ, and are all named.
    """
    abouts = [read_json(sidecar) for sidecar in sidecars]
    of_shard = {"rows", "shape", "sha256", "device", "truncated", "cut"}
    # in the order of the sidecar, not of a set, so that equal shards give equal bytes
    settings = [{key: about[key] for key in about if key not in of_shard} for about in abouts]
    for sidecar, own in zip(sidecars, settings, strict=True):
        if own != settings[0]:
            raise BadInput(
                sidecar,
                json.dumps(own, sort_keys=True),
                f"as in {sidecars[0]}, {json.dumps(settings[0], sort_keys=True)}",
                "delete the shards and run again: the workflow makes them anew",
            )
    whole = settings[0] | {"device": ", ".join(sorted({about["device"] for about in abouts}))}
    if "truncated" in abouts[0]:
        starts = np.cumsum([0, *(about["shape"][0] for about in abouts)]).tolist()
        whole["truncated"] = sum(about["truncated"] for about in abouts)
        whole["cut"] = [
            start + row
            for start, about in zip(starts, abouts, strict=False)
            for row in about["cut"]
        ]
    return whole


def main(snakemake: Snakemake) -> None:
    given, params = snakemake.input, snakemake.params
    rows = read_rows(given.captions, given.splits, snakemake.wildcards.split)
    of: Of = "images" if snakemake.wildcards.side == "images" else "captions"
    features = [
        read_features(npy, sidecar, rows.shard(number, params.shard_size), of)
        for number, (npy, sidecar) in enumerate(zip(given.shards, given.sidecars, strict=True))
    ]
    about = gathered(list(given.sidecars))
    if about.pop("model") != digest_of_file(given.model):
        raise BadInput(
            given.sidecars[0],
            "features of another model",
            f"those of {given.model}",
            "delete the shards and run again: the workflow makes them anew",
        )
    log.info("%d shards of %d images, with their captions", len(features), params.shard_size)
    write_features(
        Path(snakemake.output.features),
        Path(snakemake.output.sidecar),
        np.concatenate(features),
        rows,
        Path(given.model),
        **about,
    )


if __name__ == "__main__":
    run(main, snakemake)
