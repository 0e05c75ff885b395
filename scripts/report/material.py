"""All that the report reads, read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scripts.data.rows import Rows, read_captions, read_rows, read_splits
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.runs import Run, read_run
from scripts.job import read_json
from scripts.jobs import job_behind
from scripts.retrieve.arrays import Arrays, read_arrays
from scripts.studies.shown import read_study, selected
from scripts.studies.table import COLUMNS

# numbers of a scorer that are kept: those of each direction, or of each seed
LARGEST = 64


@dataclass(frozen=True)
class StudyTable:
    """A study of the run: its rows, and what the configuration says of it.

    Attributes
    ----------
    settings : figure (form, measures, log), title (by language)
    """

    name: str
    table: pd.DataFrame
    settings: dict[str, Any]

    @property
    def shown(self) -> pd.DataFrame:
        """The rows of the measures that its figure shows."""
        return selected(self.table, self.settings["figure"])


@dataclass(frozen=True)
class Material:
    """All that the report reads, read.

    Attributes
    ----------
    models : model.json, with what each model's own files say of preprocessing and of its towers
    encodings : sidecars, with the names of model and prompt
    precisions : model -> what was found for it to compute in; none where the configuration says it
    scorers : name -> its entry in the configuration
    fitted : model, prompt and scorer -> what the scorer learnt, without its large arrays
    statistics : resamples, flips, seed
    warnings : the contents of warnings.json
    machine : the contents of machine.json
    packages : name and version of what this run was computed with, its studies, too
    costs : rows of costs.csv, by model
    galleries : of the reference run, one for each direction
    ties, duplicates, index_costs : what studies list beside their tables, where they are in the run
    """

    dataset: str
    split: str
    rows: Rows
    runs: list[Run]
    metrics: pd.DataFrame
    steps: pd.DataFrame
    audit: dict[str, Any]
    source: dict[str, Any]
    warnings: list[dict[str, Any]]
    machine: dict[str, Any]
    packages: list[tuple[str, str]]
    costs: dict[str, dict[str, Any]]
    splits: dict[str, list[str]]
    captions: dict[str, list[str]]
    models: list[dict[str, Any]]
    encodings: list[dict[str, Any]]
    precisions: dict[str, dict[str, Any]]
    galleries: list[pd.DataFrame]
    pairs: pd.DataFrame
    ties: pd.DataFrame | None
    duplicates: pd.DataFrame | None
    index_costs: pd.DataFrame | None
    studies: list[StudyTable]
    scorers: dict[str, dict[str, Any]]
    fitted: dict[tuple[str, str, str], Arrays]
    statistics: dict[str, int]

    @property
    def resampling(self) -> Resampling:
        """Of the intervals that the report computes itself: the same as of all others."""
        return Resampling(self.statistics["resamples"], self.statistics["seed"])

    @property
    def gallery(self) -> dict[str, int]:
        """Items that each direction chooses from."""
        return {"text_to_image": len(self.rows.images), "image_to_text": len(self.rows.captions)}

    def table_of(self, study: str) -> pd.DataFrame:
        """The rows of a study; a table without rows where it is not in the run."""
        tables = [one.table for one in self.studies if one.name == study]
        return tables[0] if tables else pd.DataFrame(columns=list(COLUMNS))

    @property
    def templates(self) -> dict[str, list[str]]:
        """Prompt -> its templates."""
        known = {one["prompt"]: one["templates"] for one in self.encodings if one["prompt"]}
        return {run_.prompt: known[run_.prompt] for run_ in self.runs}


def preprocessing_of(folder: Path) -> dict[str, Any]:
    """What a model's own files say about its input; a key is missing where they do not say it.

    Keys size, crop, mean, std, resample, context.
    """
    # where two towers were published apart, each has its folder
    image, text = (folder / one if (folder / one).is_dir() else folder for one in ("image", "text"))
    settings: dict[str, Any] = {}
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (image / name).is_file():
            stored = read_json(image / name)
            settings = {**stored.get("image_processor", stored), **settings}
    config = read_json(text / "config.json") if (text / "config.json").is_file() else {}
    if not settings and not config:  # of features that were made elsewhere nothing is known
        return {}
    # a text tower apart is all of its config, and may read less than it has places for
    of_text = config if text != folder else config.get("text_config") or {}
    limit = text / "sentence_bert_config.json"
    read = read_json(limit).get("max_seq_length") if limit.is_file() else None
    size = settings.get("size")
    if "merge_size" in settings and isinstance(size, dict):
        # of patches that are merged, pictures have as many as they are large, within bounds
        size = {"pixels": [size.get("shortest_edge"), size.get("longest_edge")]}
    found = {
        "size": size if settings.get("do_resize", True) else None,
        "crop": settings.get("crop_size") if settings.get("do_center_crop") else False,
        "mean": settings.get("image_mean") if settings.get("do_normalize", True) else None,
        "std": settings.get("image_std") if settings.get("do_normalize", True) else None,
        "resample": settings.get("resample"),
        "context": read or of_text.get("max_position_embeddings"),
    }
    return {key: value for key, value in found.items() if value is not None}


def towers_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What a model's config says of its "vision" and "text" tower: type, layers, width."""
    found = {}
    for side, own in (("vision", "image"), ("text", "text")):
        path = (folder / own if (folder / own).is_dir() else folder) / "config.json"
        config = read_json(path) if path.is_file() else {}
        tower = config.get(f"{side}_config") or (config if path.parent != folder else {})
        if tower.get("model_type"):
            names = {"type": "model_type", "layers": "num_hidden_layers", "width": "hidden_size"}
            found[side] = {name: tower.get(key) for name, key in names.items()}
    return found


def read_material(files: Any, params: Any, dataset: str) -> Material:
    """Read the files of the rule, in the order given.

    Parameters
    ----------
    files : of the rule; ``studies`` in the order of ``params.studies``
    dataset : its name
    params : split; studies, scorers (name -> what the configuration says of it), statistics
    """
    split = params.split
    rows = read_rows(files.captions, files.splits, split)
    # prompts and captions may be called "null" or "NA" and mean it
    text = {"keep_default_na": False}
    machine = read_json(files.machine)
    return Material(
        dataset=dataset,
        split=split,
        rows=rows,
        runs=[read_run(path, rows) for path in files.rankings],
        metrics=pd.read_csv(files.metrics, **text),
        steps=pd.read_csv(files.steps),
        audit=read_json(files.audit),
        source=read_json(files.source),
        warnings=read_json(files.warnings),
        machine=machine,
        packages=packages_of(machine, files.get("studies", [])),
        costs=pd.read_csv(files.costs, **text, na_values=[""]).set_index("model").to_dict("index"),
        splits=read_splits(files.splits),
        captions=read_captions(files.captions),
        models=[
            {
                **read_json(path),
                "preprocessing": preprocessing_of(Path(path).parent),
                "sides": towers_of(Path(path).parent),
            }
            for path in files.models
        ],
        encodings=[_sidecar(Path(path)) for path in files.encodings],
        precisions={
            Path(path).parent.name: read_json(path) for path in files.get("precisions", [])
        },
        galleries=[
            pd.read_csv(path, **text, na_values={"score": [""]}, dtype={"text": str})
            for path in files.galleries
        ],
        pairs=pd.read_csv(files.pairs, **text),
        **{
            name: pd.read_csv(files.get(name), **text) if files.get(name) else None
            for name in ("ties", "duplicates", "index_costs")
        },
        studies=[
            StudyTable(name, read_study(path, name), dict(settings))
            for (name, settings), path in zip(
                params.studies.items(), files.get("studies", []), strict=True
            )
        ],
        scorers=dict(params.scorers),
        fitted={
            _key_of(path): _small(read_arrays(path, "a fitted scorer")) for path in files.scorers
        },
        statistics=dict(params.statistics),
    )


def packages_of(machine: dict[str, Any], studies: Iterable[str]) -> list[tuple[str, str]]:
    """Name and version of what machine.json names, and of what the jobs of studies had besides."""
    found = {(one["name"], one["version"]): None for one in machine["packages"]}
    for job in filter(None, map(job_behind, studies)):
        found |= dict.fromkeys(job.versions.items())
    return [*found]


def _key_of(path: str) -> tuple[str, str, str]:
    """Model, prompt and scorer in a path that ends in <model>/<prompt>/<scorer>/scorer.npz."""
    model, prompt, scorer = Path(path).parts[-4:-1]
    return model, prompt, scorer


def _small(arrays: Arrays) -> Arrays:
    """What a reader can read of a scorer: its numbers, not its banks and maps."""
    return {name: array for name, array in arrays.items() if array.size <= LARGEST}


def _sidecar(path: Path) -> dict[str, Any]:
    """A sidecar, with the model and the prompt that its path names."""
    prompt = path.stem.removeprefix("texts.") if path.stem.startswith("texts.") else ""
    return {"model_name": path.parts[-3], "prompt": prompt, **read_json(path)}
