"""The workflow used from elsewhere: as another workflow's module, on a folder of one's own."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import warm_python
import yaml

ROOT = Path(__file__).parent.parent
# a run of a few seconds to its split, and what differs from config/config.yaml
SETTINGS = {
    "run": {"dataset": "scenes", "models": ["clip-tiny"], "prompts": ["plain"]},
    "datasets": {
        "scenes": {"source": "scenes", "images": {"train": 8, "val": 4, "test": 4}, "size": 32}
    },
}
WORKFLOW = """
configfile: "settings.yaml"


module retrieval:
    snakefile:
        {snakefile!r}
    config:
        config["retrieval"]


use rule * from retrieval{renamed}


rule count:
    input:
        "data/scenes/splits.json",
    output:
        "counts.txt",
    default_target: True
    shell:
        "grep -c png {{input}} > {{output}}"


rule whole:
    input:
        "results/scenes/ro-crate-metadata.json",
"""


def snakemake(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [warm_python.python(), "-m", "snakemake", "--cores", "2", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=["", " as retrieval_*"], ids=["same names", "other names"])
def workflow(request, tmp_path) -> Path:
    """A folder with a workflow that uses all rules of this one and has a rule of its own."""
    folder = tmp_path / "their workflow"
    folder.mkdir()
    (folder / "settings.yaml").write_text(yaml.safe_dump({"retrieval": SETTINGS}))
    text = WORKFLOW.format(snakefile=str(ROOT / "Snakefile"), renamed=request.param)
    (folder / "Snakefile").write_text(text)
    return folder


def test_another_workflow_uses_the_rules_and_says_only_what_differs(workflow):
    planned = snakemake("-n", "whole", cwd=workflow)
    for rule in ("draw_scenes", "train_model", "encode_images", "metrics", "page", "record"):
        assert rule in planned
    snakemake(cwd=workflow)
    assert (workflow / "counts.txt").read_text() == "16\n"
    assert len(json.loads((workflow / "data/scenes/splits.json").read_text())["train"]) == 8


def test_a_module_is_told_what_is_wrong_with_its_settings(workflow):
    settings = {"retrieval": SETTINGS | {"run": SETTINGS["run"] | {"models": ["clip-tinny"]}}}
    (workflow / "settings.yaml").write_text(yaml.safe_dump(settings))
    done = subprocess.run(
        [warm_python.python(), "-m", "snakemake", "-n"],
        cwd=workflow,
        capture_output=True,
        text=True,
    )
    assert done.returncode and "did you mean 'clip-tiny'?" in done.stdout + done.stderr


def test_a_folder_of_ones_own_has_its_settings_data_and_results(tmp_path):
    folder = tmp_path / "my study"
    (folder / "config").mkdir(parents=True)
    (folder / "config/config.yaml").write_text(yaml.safe_dump(SETTINGS))
    before = sorted(ROOT.glob("data/*")) + sorted(ROOT.glob("results/*"))
    there = ("--directory", str(folder))
    assert "page" in snakemake("-n", *there, cwd=ROOT)
    snakemake("data/scenes/splits.json", *there, cwd=ROOT)
    assert len(json.loads((folder / "data/scenes/splits.json").read_text())["train"]) == 8
    assert (folder / "results/scenes/audit.json").is_file()
    assert sorted(ROOT.glob("data/*")) + sorted(ROOT.glob("results/*")) == before
