"""docs/models.md tells of every pin, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/models.md").read_text("utf-8")
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
FLICKR8K = yaml.safe_load((ROOT / "config/schema.yaml").read_text("utf-8"))["$defs"][
    "dataset_flickr8k"
]["properties"]


def rows() -> set[tuple[str, ...]]:
    """Entry, hub, repository, revision, and the rest of each row of the page's tables."""
    lines = re.findall(r"^\| `(.+) \|$", PAGE, re.M)
    return {tuple(cell.strip().strip("`") for cell in line.split("|")) for line in lines}


def test_every_model_on_a_hub_has_its_row_with_the_same_pin_and_checksum():
    pinned = set()
    for name, model in CONFIG["models"].items():
        for hub in model["source"] if isinstance(model["source"], list) else []:
            about = model[hub]
            sha256 = about.get("sha256") or model.get("sha256") or "none found"
            weights = about.get("weights") or "model.safetensors"
            pinned.add((name, hub, about["repo"], about["revision"], weights, sha256))
    told = {
        (*row[:4], row[4].partition("`")[0], row[5])
        for row in rows()
        if len(row) == 6 and row[0] in CONFIG["models"]
    }
    assert told == pinned
    for name in {row[0] for row in pinned}:
        assert f"**`{name}`" in PAGE


def test_the_dataset_has_its_pins_there_too():
    hub = FLICKR8K["huggingface"]["default"]
    assert ("flickr8k", "huggingface", hub["repo"], hub["revision"]) in {row[:4] for row in rows()}
    for md5 in FLICKR8K["github"]["default"]["md5"].values():
        assert md5 in PAGE
