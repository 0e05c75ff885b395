"""What a whole run costs rule by rule, at COCO's size and with many runs.

The workflow runs on made-up pictures, captions and features, and each of its jobs says itself how
long it took and how much memory it held. One model beside them encodes: a CLIP of random weights
and one layer, for the rules that need a model.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.race import ROOT, claimed, environment, row
from benchmarks.sizes import Shape, Work

SNAKEMAKE = (str(ROOT / "run"), "snakemake")
# captions of an image; every so many images have one more, as COCO's test split has 25,010
PER_IMAGE, ONE_MORE = 5, 500
# images of one thing: two of them are easily taken for each other
OF_A_KIND = 4
SIDE = (64, 48)
DATASET = "made"
# of the model that encodes, whose speed is not asked here
NARROW = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2}
# rules whose time the size of a dataset or of an index asks for
MAY_TAKE_LONG = ("encode", "build_index", "study_indexes")
GOALS = {"MB": 4096, "s": 120}


def measure(work: Work) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """Rows of every rule, claims of the largest, and what was run, of each whole run."""
    rows: list[dict[str, Any]] = []
    claims: list[dict[str, Any]] = []
    notes = []
    for number, shape in enumerate(work.size.reported):
        folder = work.folder / f"reported.{number}"
        make(folder, shape)
        jobs = ran(folder, work)
        runs = len(list(folder.glob(f"results/{DATASET}/*/*/*/metrics.json")))
        case = f"{shape.images[-1]:,} images, {runs} runs"
        own = [row_of(case, rule, of_rule) for rule, of_rule in by_rule(jobs).items()]
        rows += own
        claims += claims_of(own)
        notes.append(note_of(case, shape))
    return rows, claims, notes


def note_of(case: str, shape: Shape) -> str:
    """What was run."""
    train, val, _ = shape.images
    indexes = " and ".join(f"{size:,}" for size in shape.indexes)
    return (
        f"{case}: whole runs of the workflow, with {train:,} images of train, {val:,} of val, and "
        f"indexes of up to {indexes} items; seconds of a rule's longest job, memory of its largest."
    )


def make(folder: Path, shape: Shape) -> None:
    """The dataset, the features and the configuration of a run in ``folder``."""
    names, captions = make_dataset(folder / "dataset", shape.images)
    models: dict[str, Any] = {}
    for number in range(shape.models):
        name = f"model-{number:02d}"
        make_features(folder / name, names, captions, shape.prompts, number)
        models[name] = {
            "source": "features",
            "path": str(folder / name),
            "prompts": list(shape.prompts),
        }
    if shape.encoder:
        from benchmarks.material import make_model

        make_model(folder / "encoder", layers=1, **NARROW)
        models["encoder"] = {"source": "local", "path": str(folder / "encoder")}
    run = {
        "dataset": DATASET,
        "models": list(models),
        "prompts": list(shape.prompts),
        "scorers": list(shape.scorers),
        **({"studies": list(shape.studies)} if shape.studies else {}),
    }
    settings = {
        "run": run,
        "datasets": {DATASET: {"source": "folder", "location": str(folder / "dataset")}},
        "models": models,
        "studies": {"indexes": {"sizes": list(shape.indexes)}},
        "encode": {"device": "cpu", "precision": "float32"},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(settings), "utf-8")


def make_dataset(folder: Path, counts: Sequence[int]) -> tuple[list[str], list[list[str]]]:
    """A folder of images with captions and splits: names of the images, and captions of each."""
    from PIL import Image

    from benchmarks.material import like_flickr8k

    (folder / "images").mkdir(parents=True)
    names = [f"{image:06d}.jpg" for image in range(sum(counts))]
    for image, name in enumerate(names):
        noise = np.random.default_rng([13, image]).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize(SIDE, Image.Resampling.BICUBIC)
        picture.save(folder / "images" / name)
    captions = []
    for image in range(len(names)):
        # features tell an image's captions apart by their words
        own = list(dict.fromkeys(like_flickr8k(image)))
        own += [f"{own[0]}, the {number}th" for number in range(len(own) + 1, PER_IMAGE + 1)]
        if image % ONE_MORE == 0:
            own = [*own, f"{own[0]} and nothing else"]
        captions.append(own)
    listing = [{"image": name, "captions": own} for name, own in zip(names, captions, strict=True)]
    ends = np.cumsum([0, *counts])
    parts = zip(("train", "val", "test"), ends, ends[1:], strict=False)
    splits = {split: names[start:end] for split, start, end in parts}
    (folder / "captions.json").write_text(json.dumps(listing), "utf-8")
    (folder / "splits.json").write_text(json.dumps(splits), "utf-8")
    return names, captions


def make_features(
    folder: Path,
    names: list[str],
    captions: list[list[str]],
    prompts: Sequence[str],
    seed: int,
    dimensions: int = 512,
) -> None:
    """Features of one model: texts near their image, some nearer than others, and both in a cone.

    Of images of a kind each is near the others, so that what is found wrongly is found for a
    reason; a model of another seed is a little better or worse.
    """
    import pyarrow
    from pyarrow import parquet

    from benchmarks.material import features

    folder.mkdir()
    lot = np.random.default_rng([17, seed])
    images, kinds = features(len(names), 3 * seed + 5, dimensions), features(len(names), 5)
    images += 0.7 * kinds[np.arange(len(names)) // OF_A_KIND]
    of_text = np.repeat(np.arange(len(names)), [len(own) for own in captions])
    nearness = lot.uniform(0.12, 0.22, len(of_text)) + 0.004 * (seed % 7)
    cones = features(2, 7, dimensions)
    texts = features(len(of_text), 3 * seed + 6, dimensions)
    texts += nearness[:, None].astype(np.float32) * images[of_text]
    own_names, own_captions = [names[i] for i in of_text], [c for own in captions for c in own]

    def write(path: Path, rows: np.ndarray, **columns: list[str]) -> None:
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        flat = pyarrow.array(rows.reshape(-1))
        vectors = pyarrow.FixedSizeListArray.from_arrays(flat, dimensions)
        table = pyarrow.table({**columns, "embedding": vectors})
        parquet.write_table(table, path, row_group_size=4096)

    write(folder / "images.parquet", images + cones[0], image=names)
    told = {"image": own_names * len(prompts), "caption": own_captions * len(prompts)}
    told["prompt"] = [prompt for prompt in prompts for _ in own_names]
    of_prompts = [
        texts + cones[1] + 0.3 * features(len(texts), 1000 + 31 * seed + number, dimensions)
        for number in range(len(prompts))
    ]
    write(folder / "texts.parquet", np.concatenate(of_prompts), **told)


def ran(folder: Path, work: Work) -> list[dict[str, Any]]:
    """Run the workflow in ``folder``; what each of its jobs said of itself, each once."""
    command = [*SNAKEMAKE, "--cores", str(work.threads)]
    command += ["--directory", str(folder), "--configfile", str(folder / "run.yaml")]
    with work.log.open("a", encoding="utf-8") as told:
        subprocess.run(command, env=environment(), stdout=told, stderr=told, check=True)
    jobs = {}
    for path in folder.glob("results/jobs/**/*.json"):
        job = json.loads(path.read_text("utf-8"))
        jobs[(job["rule"], *job["wildcards"].values())] = job
    return list(jobs.values())


def by_rule(jobs: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Jobs of each rule, by its name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for job in sorted(jobs, key=lambda job: job["rule"]):
        found.setdefault(job["rule"], []).append(job)
    return found


def row_of(case: str, rule: str, jobs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The longest of a rule's jobs, and the memory of the largest."""
    longest = max(job["seconds"] for job in jobs)
    turn = {"seconds": longest, "peak_mb": max(job["max_rss_mb"] or 0 for job in jobs)}
    return row("many", case, rule, [turn], 1, "jobs") | {"facts": {"jobs": len(jobs)}}


def claims_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rule that takes the most memory, and the one that takes the longest."""
    largest = max(rows, key=lambda row: row["peak_mb"])
    quick = [row for row in rows if not row["contender"].startswith(MAY_TAKE_LONG)]
    longest = max(quick, key=lambda row: row["median"])
    made = [(largest, "memory of any rule", largest["peak_mb"], "MB")]
    made.append((longest, "time of any rule", longest["median"], "s"))
    return [
        claimed(f"{what}, {one['contender']}", one, [value], unit, GOALS[unit], at_most=True)
        for one, what, value, unit in made
    ]
