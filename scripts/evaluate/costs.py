"""What a model costs: its size, and how fast and in how much memory it encoded here.

Texts are those of the first prompt; equal captions, which are encoded once, count each.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scripts.job import read_json, whole
from scripts.jobs import Job, Snakemake, jobs_behind, run

SIDES = {"images": "encode_images", "texts": "encode_texts"}
COLUMNS = (
    *("model", "architecture", "parameters", "embedding_dim", "precision", "device"),
    *(*(f"{side}_per_second" for side in SIDES), "max_rss_mb"),
)


def cost_of_model(
    about: Mapping[str, Any], sidecar: Mapping[str, Any], jobs: Mapping[str, Iterable[Job]]
) -> dict[str, Any]:
    """One row of ``COLUMNS``; None for what is not known of features that were made elsewhere.

    Parameters
    ----------
    about : the model's model.json
    sidecar : of its image features
    jobs : of "images" and "texts", all that these features come from. Speeds are of the encoding
        alone, the model loaded; the memory is that of the largest process that had it loaded
    """
    of_model = {
        side: [job for job in found if job.wildcards.get("model") == about["model"]]
        for side, found in jobs.items()
    }
    loaded = [
        job.max_rss_mb
        for found in of_model.values()
        for job in found
        if job.rule.startswith(("encode_", "choose_")) and job.max_rss_mb
    ]
    return {
        **{name: about.get(name) for name in ("model", "architecture", "parameters")},
        "embedding_dim": sidecar["shape"][1],
        **{name: sidecar.get(name) for name in ("precision", "device")},
        **{f"{side}_per_second": _speed(of_model[side], rule) for side, rule in SIDES.items()},
        "max_rss_mb": max(loaded, default=None),
    }


def _speed(jobs: Iterable[Job], rule: str) -> float | None:
    """Items a second of all jobs of a rule together, shards and templates of an ensemble alike."""
    told = [job.measured for job in jobs if job.rule.startswith(rule) and job.measured]
    seconds = sum(one["seconds"] for one in told)
    return round(sum(one["items"] for one in told) / seconds, 3) if seconds else None


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files = snakemake.input
    rows = [
        cost_of_model(
            read_json(model),
            read_json(images),
            {
                side: list(jobs_behind([path]))
                for side, path in (("images", images), ("texts", texts))
            },
        )
        for model, images, texts in zip(files.models, files.images, files.texts, strict=True)
    ]
    with (
        whole(Path(snakemake.output.csv)) as draft,
        draft.open("w", newline="", encoding="utf-8") as out,
    ):
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    run(main, snakemake)
