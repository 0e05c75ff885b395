"""All that the report reads, read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scripts.data.rows import Rows, read_captions, read_rows, read_splits
from scripts.job import read_json
from scripts.evaluate.runs import Run, read_run


@dataclass(frozen=True)
class Material:
    """All that the report reads, read."""

    dataset: str
    split: str
    rows: Rows
    runs: list[Run]
    metrics: pd.DataFrame
    steps: pd.DataFrame
    audit: dict[str, Any]
    source: dict[str, Any]
    splits: dict[str, list[str]]
    captions: dict[str, list[str]]
    models: list[dict[str, Any]]  # model.json, with what its own preprocessing files say
    encodings: list[dict[str, Any]]  # sidecars, with the names of model and prompt
    galleries: list[pd.DataFrame]

    @property
    def gallery(self) -> dict[str, int]:
        """Items that each direction chooses from."""
        return {"text_to_image": len(self.rows.images), "image_to_text": len(self.rows.captions)}

    @property
    def templates(self) -> dict[str, list[str]]:
        """Prompt -> its templates."""
        known = {one["prompt"]: one["templates"] for one in self.encodings if one["prompt"]}
        return {run_.prompt: known[run_.prompt] for run_ in self.runs}


def preprocessing_of(folder: Path) -> dict[str, Any]:
    """What a model's own files say about its input; a key is missing where they do not say it.

    Keys size, crop, mean, std, resample, context.
    """
    settings: dict[str, Any] = {}
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            stored = read_json(folder / name)
            settings = {**stored.get("image_processor", stored), **settings}
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    text = config.get("text_config") or {}
    found = {
        "size": settings.get("size") if settings.get("do_resize", True) else None,
        "crop": settings.get("crop_size") if settings.get("do_center_crop") else False,
        "mean": settings.get("image_mean") if settings.get("do_normalize", True) else None,
        "std": settings.get("image_std") if settings.get("do_normalize", True) else None,
        "resample": settings.get("resample"),
        "context": text.get("max_position_embeddings"),
    }
    return {key: value for key, value in found.items() if value is not None}


def read_material(files: Any, dataset: str, split: str) -> Material:
    """Read the files of the rule, in the order given."""
    rows = read_rows(files.captions, files.splits, split)
    # prompts and captions may be called "null" or "NA" and mean it
    text = {"keep_default_na": False}
    return Material(
        dataset=dataset,
        split=split,
        rows=rows,
        runs=[read_run(path, rows) for path in files.rankings],
        metrics=pd.read_csv(files.metrics, **text),
        steps=pd.read_csv(files.steps),
        audit=read_json(files.audit),
        source=read_json(files.source),
        splits=read_splits(files.splits),
        captions=read_captions(files.captions),
        models=[
            {**read_json(path), "preprocessing": preprocessing_of(Path(path).parent)}
            for path in files.models
        ],
        encodings=[_sidecar(Path(path)) for path in files.encodings],
        galleries=[
            pd.read_csv(path, **text, na_values={"score": [""]}, dtype={"text": str})
            for path in files.galleries
        ],
    )


def _sidecar(path: Path) -> dict[str, Any]:
    """A sidecar, with the model and the prompt that its path names."""
    prompt = path.stem.removeprefix("texts.") if path.stem.startswith("texts.") else ""
    return {"model_name": path.parts[-3], "prompt": prompt, **read_json(path)}
