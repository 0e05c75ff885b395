"""The workflow used from elsewhere: as another workflow's module, on a folder of one's own."""

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
import warm_python
import yaml
from patience import LONG

from scripts.version import code_version

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
        {snakefile}
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


def snakemake(*arguments: str, cwd: Path, ok: bool = True) -> str:
    done = subprocess.run(
        [warm_python.python(), "-m", "snakemake", "--cores", "2", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=LONG,
        env=os.environ | {"PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": ""},
    )
    told = done.stdout + done.stderr
    assert (done.returncode == 0) == ok, told
    return told


@pytest.fixture(params=["", " as retrieval_*"], ids=["same names", "other names"])
def workflow(request, tmp_path) -> Path:
    """A folder with a workflow that uses all rules of this one and has a rule of its own."""
    folder = tmp_path / "their workflow"
    folder.mkdir()
    (folder / "settings.yaml").write_text(yaml.safe_dump({"retrieval": SETTINGS}))
    text = WORKFLOW.format(snakefile=repr(str(ROOT / "Snakefile")), renamed=request.param)
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
    assert "did you mean 'clip-tiny'?" in snakemake("-n", cwd=workflow, ok=False)


@pytest.mark.parametrize("moved", ['prefix: "theirs"', 'replace_prefix: {"results/": "theirs/"}'])
def test_a_module_that_moves_the_files_of_the_rules_is_refused_in_words(workflow, moved):
    snakefile = workflow / "Snakefile"
    text = snakefile.read_text().replace("    config:\n", f"    {moved}\n    config:\n")
    snakefile.write_text(text)
    assert "to do:    leave it out" in snakemake("-n", cwd=workflow, ok=False)


# as snakedeploy writes it
DEPLOYED = """
configfile: "config/config.yaml"


module retrieval:
    snakefile:
        {snakefile}
    config:
        config


use rule * from retrieval
"""


@pytest.fixture
def repository(fresh, tmp_path, monkeypatch) -> Path:
    """This repository under the tag v1, which git and Snakemake also find on GitHub.

    git is told that what begins with that address is here; and Snakemake keeps its clone apart.
    """
    folder = fresh.folder
    git = ("git", "-c", "user.name=I", "-c", "user.email=i@example.org", "-C", str(folder))
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "all"), ("tag", "v1")):
        subprocess.run([*git, *words], check=True)
    # what is not of the tag must not be used
    (folder / "scripts/job.py").write_text("raise SystemExit('not of the tag')")
    # which Snakemake would write into the address
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{folder.as_uri()}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/someone/retrieval")
    return folder


def deployed(folder: Path, snakefile: str, settings: str) -> Path:
    (folder / "workflow").mkdir(parents=True)
    (folder / "workflow/Snakefile").write_text(DEPLOYED.format(snakefile=snakefile))
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(settings)
    return folder


def test_a_module_by_its_address_goes_on_from_what_was_made_here(
    repository, finished_run, tmp_path
):
    address = 'github("someone/retrieval", path="Snakefile", tag="v1")'
    settings = (ROOT / "tests/small.yaml").read_text()
    theirs = deployed(tmp_path / "theirs", address, settings)
    for made in ("data", "results", ".snakemake"):
        shutil.copytree(finished_run.folder / made, theirs / made, symlinks=True)
    results = theirs / "results/scenes"
    run = "clip-tiny/plain/cosine"
    again = ["clip-tiny/test/images.npy", f"{run}/rankings.npz", f"{run}/metrics.json"]
    again += ["report.en.html", "explorer.html"]
    before = {path: (results / path).read_bytes() for path in again}
    for path in again:
        (results / path).unlink()
    # the others need no more than stands there
    rules = ("encode_images", "similarity", "metrics", "page", "explorer")
    targets = [f"results/scenes/{path}" for path in again]
    snakemake("--allowed-rules", *rules, "--", *targets, cwd=theirs)
    assert {path: (results / path).read_bytes() for path in again} == before
    # the commit of the tag, once, which a record will name
    (checkout,) = (theirs / ".snakemake/repositories").iterdir()
    commit = subprocess.check_output(["git", "-C", repository, "rev-parse", "v1"], text=True)
    assert code_version(checkout)["commit"] == checkout.name == commit.strip()


def test_a_module_by_a_folder_of_git_is_of_what_was_committed_there(repository, tmp_path):
    address = f'gitfile({str(repository)!r}, path="Snakefile", tag="v1")'
    theirs = deployed(tmp_path / "theirs", address, yaml.safe_dump(SETTINGS))
    planned = snakemake("-n", cwd=theirs)
    for rule in ("draw_scenes", "train_model", "encode_images", "metrics", "page", "record"):
        assert rule in planned


def test_two_packages_of_one_name_are_told_apart_in_words(tmp_path):
    theirs = deployed(tmp_path / "theirs", repr(str(ROOT / "Snakefile")), yaml.safe_dump(SETTINGS))
    (theirs / "workflow/scripts").mkdir()
    snakefile = theirs / "workflow/Snakefile"
    snakefile.write_text(f"import scripts\n{snakefile.read_text()}")
    told = snakemake("-n", cwd=theirs, ok=False)
    assert f"that of {theirs}/workflow/scripts was imported before" in told


def test_an_address_of_single_files_is_refused_in_words(fresh, tmp_path):
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(fresh.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/Snakefile"
        theirs = deployed(tmp_path / "theirs", repr(address), yaml.safe_dump(SETTINGS))
        told = snakemake("-n", cwd=theirs, ok=False)
        server.shutdown()
    assert "with github(...), gitlab(...) or gitfile(...)" in told


def test_a_folder_of_ones_own_has_its_settings_data_and_results(fresh, tmp_path):
    folder = tmp_path / "my study"
    (folder / "config").mkdir(parents=True)
    (folder / "config/config.yaml").write_text(yaml.safe_dump(SETTINGS))

    def stands() -> list[Path]:
        return [*sorted(fresh.folder.glob("data/*")), *sorted(fresh.folder.glob("results/*"))]

    before = stands()
    there = ("--directory", str(folder))
    assert "page" in snakemake("-n", *there, cwd=fresh.folder)
    snakemake("data/scenes/splits.json", *there, cwd=fresh.folder)
    assert len(json.loads((folder / "data/scenes/splits.json").read_text())["train"]) == 8
    assert (folder / "results/scenes/audit.json").is_file()
    assert stands() == before
