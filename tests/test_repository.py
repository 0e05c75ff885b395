"""The repository as its visitors find it: clean, pinned, and true to its README."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import warm_python
import yaml
from patience import LONG

from scripts.version import version_of_workflow

ROOT = Path(__file__).parent.parent
LOCK = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
ENVS = sorted((ROOT / "envs").glob("*.yaml"))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONG)


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("snakefmt", "--check", "Snakefile", "rules"),
        ("snakemake", "--lint"),
        ("mypy",),
    ],
    ids=" ".join,
)
def test_the_linters_have_nothing_to_say(command):
    tool = Path(sys.executable).parent / command[0]
    done = run(str(tool), *command[1:])
    assert done.returncode == 0, done.stdout + done.stderr


def parameters_of(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    """What a function takes, or what makes one of a class."""
    if isinstance(node, ast.ClassDef):
        node = next(one for one in node.body if getattr(one, "name", "") == "__init__")
    own = node.args
    every = (*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg)
    return {one.arg for one in every if one} - {"self", "cls"}


def test_a_docstring_that_tells_of_parameters_tells_of_each_and_of_no_other():
    looked_at = 0
    for path in (ROOT / "scripts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                docstring = ast.get_docstring(node) or ""
                for section in re.findall(r"^Parameters\n-+\n((?:.+\n?)+)", docstring, re.M):
                    told = re.findall(r"^([\w, ]+) : ", section, re.M)
                    assert {*", ".join(told).split(", ")} == parameters_of(node), (path, node.name)
                    looked_at += 1
    assert looked_at > 150


@pytest.mark.parametrize("path", ENVS, ids=[path.stem for path in ENVS])
def test_conda_environments_have_the_pins_of_the_lock(path):
    env = yaml.safe_load(path.read_text("utf-8"))
    packages = next(entry["pip"] for entry in env["dependencies"] if isinstance(entry, dict))
    assert packages
    for pin in packages:
        name, version = pin.split("==")
        assert LOCK[name] == version


def test_every_rule_that_makes_something_names_its_environment_log_and_fingerprint():
    for path in (ROOT / "rules").glob("*.smk"):
        text = path.read_text("utf-8")
        for rule in re.split(r"^ *(?:rule|checkpoint) ", text, flags=re.M)[1:]:
            rule = re.split(r"^ *use rule ", rule, flags=re.M)[0]
            if "script:" not in rule:
                continue
            name = rule.split(":")[0]
            for part in ("conda:", "log:", "code=fingerprint("):
                assert part in rule, f"{path.name}: {name} has no {part}"
            script = re.search(r'script:\s+"\.\./(scripts/\w+/(\w+)\.py)"', rule)
            assert script and f'"{script[1]}"' in rule.split("script:")[0]
            assert (ROOT / script[1]).is_file()


def test_analysis_and_plots_never_reach_torch():
    from scripts.fingerprint import reached

    # those rules of their stage that train, or read pairs; they have the models' environment
    computing = {ROOT / f"scripts/retrieve/{name}.py" for name in ("fit_adapter", "cross_scores")}
    for stage in (
        "data",
        "retrieve",
        "evaluate",
        "studies",
        "figures",
        "report",
        "explorer",
        "provenance",
    ):
        for script in set((ROOT / "scripts" / stage).glob("*.py")) - computing:
            for file in reached((str(script.relative_to(ROOT)),)):
                text = (ROOT / file).read_text("utf-8")
                imports = re.findall(r"^\s*(?:from|import) (\w+)", text, re.M)
                assert "torch" not in imports and "transformers" not in imports, f"{script}: {file}"


# to import these takes longer than most steps work, or needs what an environment has not
HEAVY = ["torch", "transformers", "sklearn", "scipy.stats", "matplotlib.pyplot", "torchmetrics"]
HEAVY += ["huggingface_hub", "modelscope", "datasets", "snakemake", "IPython"]
LOADED = f"""
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    print(name, [heavy for heavy in {HEAVY} if heavy in sys.modules])
"""


STAGES = ["data", "models", "encode", "retrieve", "evaluate", "studies", "figures", "report"]
STAGES += ["explorer", "provenance", "leaderboard"]


@pytest.mark.parametrize("stage", STAGES)
def test_no_script_loads_a_heavy_package_before_its_work_begins(stage):
    scripts = sorted((ROOT / "scripts" / stage).glob("*.py"))
    jobs = [path for path in scripts if "run(main, snakemake)" in path.read_text("utf-8")]
    assert jobs
    names = [f"scripts.{stage}.{path.stem}" for path in jobs]
    done = run(sys.executable, "-c", LOADED, *names)
    assert done.stdout.splitlines() == [f"{name} []" for name in names], done.stderr


PAGES = ["README.md", "README.zh.md", "CONTRIBUTING.md", "config/README.md", "results/README.md"]
PAGES += ["SECURITY.md", "docs/benchmarks.md", "docs/clusters.md", "docs/dependencies.md"]
PAGES += ["docs/compare.md", "docs/datasets.md", "docs/marking.md", "docs/models.md"]


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_points_at_are_there(page):
    text = (ROOT / page).read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    assert not missing


def test_no_rule_script_begins_with_a_future_import():
    # Snakemake puts lines of its own before a script, and Python wants these first
    for path in (ROOT / "scripts").glob("*/*.py"):
        text = path.read_text("utf-8")
        assert "from __future__" not in text or "run(main, snakemake)" not in text, path


PAGES = [(ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh.md")]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def pieces_of(page: str) -> dict[str, list]:
    """What is the same in every language: headings, code, links, commands and numbers."""
    prose = FENCED.sub("", page)
    # each page names the report of its own language where it names one
    prose = prose.replace(".zh.html", ".en.html").replace("README.zh.md", "README.md")
    links = re.findall(r"(?:\]\(|src=\")([^)\"]+)", prose)
    code = re.findall(r"`([^`]+)`", prose)
    words = re.sub(r"`[^`]+`|\]\([^)]*\)|<img[^>]*>", " ", prose)
    return {
        "headings": [len(level) for level in re.findall(r"^(#+) ", prose, re.M)],
        # a comment may be translated, and so may what stands beside a name
        "code": [
            (kind, [re.sub(r"(?<=\S)(?: {2,}| # ).*", "", line) for line in text.splitlines()])
            for kind, text in FENCED.findall(page)
        ],
        "rows": [line.count("|") for line in prose.splitlines() if line.startswith("| ")],
        "links": sorted(links),
        "commands and files": sorted(code),
        "numbers": sorted(re.findall(r"\d+(?:[,./]\d+)*%?", words)),
    }


def test_the_chinese_readme_says_what_the_english_one_says():
    english, chinese = (pieces_of(page) for page in PAGES)
    assert all(len(own) >= 3 for own in english.values())
    for name, own in english.items():
        assert chinese[name] == own, name


def test_each_readme_leads_to_the_other_at_its_top():
    for page, other in zip(PAGES, ("README.zh.md", "README.md"), strict=True):
        assert f"]({other})" in "".join(page.splitlines()[:4])


def test_the_chinese_readme_is_chinese_and_breaks_no_line_within_a_sentence():
    for text in re.split(r"\n{2,}", FENCED.sub("", PAGES[1]).strip()):
        assert re.search(r"[\u4e00-\u9fff]{2}", text) or not re.search(r"\w", text), text
        # a line break within Chinese text shows as a space
        assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]\n(?![|#])", text), text


def test_the_picture_of_the_rules_has_all_that_the_default_run_uses():
    drawn = re.findall(r"<text[^>]*>(\w+)<", (ROOT / "docs/rulegraph.svg").read_text("utf-8"))
    done = run(warm_python.python(), "-m", "snakemake", "--rulegraph")
    assert done.returncode == 0, done.stderr
    made = re.findall(r'label = "(\w+)"', done.stdout)
    assert len(made) > 20
    assert sorted(drawn) == sorted(made), (
        "draw docs/rulegraph.svg again by the command in README.md"
    )


# --- what tools and people look for first


def read_yaml(path: str):
    return yaml.safe_load((ROOT / path).read_text("utf-8"))


# the workflow and what is told of it; then what tools look for here and nowhere else
OURS = {"Snakefile", "rules", "scripts", "config", "envs", "profiles", "tests", "docs", "data"}
OURS |= {"results", "run", "README.md", "README.zh.md", "SECURITY.md", "CONTRIBUTING.md"}
OURS |= {"CHANGELOG.md", "LICENSE", "requirements.lock", "requirements-tests.lock"}
OF_TOOLS = {"pyproject.toml", "CITATION.cff", "Containerfile", ".ci", ".github", ".gitignore"}
OF_TOOLS |= {".pre-commit-config.yaml", ".snakemake-workflow-catalog.yml"}


def test_nothing_else_stands_at_the_top():
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard").stdout
    assert {path.partition("/")[0] for path in tracked.splitlines()} == OURS | OF_TOOLS


def test_one_version_stands_in_the_changelog_and_the_citation():
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    unreleased, newest = re.findall(r"^## (.+)$", changes, re.M)[:2]
    assert unreleased == "Unreleased"
    cited = read_yaml("CITATION.cff")
    assert newest == f"{cited['version']} ({cited['date-released']})"
    assert cited["version"] == version_of_workflow()


def test_the_citation_says_what_its_schema_asks_for_and_invents_no_one():
    cited = read_yaml("CITATION.cff")
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(cited)
    holder = re.search(r"Copyright \(c\) \d+ (.+)", (ROOT / "LICENSE").read_text())[1]
    assert cited["authors"] == [{"name": holder}]
    assert cited["license"] == (ROOT / "LICENSE").read_text().partition(" ")[0]


def test_actions_are_pinned_and_may_only_read():
    for path in (ROOT / ".github/workflows").iterdir():
        flow = read_yaml(path)
        assert flow["permissions"] == {"contents": "read"} and flow["concurrency"]
        for job in flow["jobs"].values():
            assert "permissions" not in job and job["timeout-minutes"]
            for step in job["steps"]:
                used = step.get("uses")
                assert used is None or re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", used)


def test_the_oldest_python_that_is_promised_is_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    jobs = read_yaml(".github/workflows/tests.yml")["jobs"]
    tested = jobs["tests"]["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={tested[0]}" and len(tested) > 1
    assert "bash .ci/run" in [step.get("run") for step in jobs["tests"]["steps"]]


def test_hooks_run_tools_of_the_lock_alone():
    pins = (ROOT / "requirements-tests.lock").read_text()
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        tool = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert f"\n{tool}==" in pins and hook["language"] == "system"


def test_the_catalog_is_told_what_the_workflow_can_do():
    told = read_yaml(".snakemake-workflow-catalog.yml")["usage"]["software-stack-deployment"]
    in_rules = "".join(path.read_text("utf-8") for path in (ROOT / "rules").glob("*.smk"))
    for way, word in (("conda", "conda:"), ("apptainer", "container:"), ("report", "report(")):
        assert told[way] == (word in in_rules)


def test_the_container_has_what_a_run_needs_and_runs_as_nobody_special(fresh, tmp_path):
    """Its steps, one by one, as far as they can be followed without an image."""
    steps = re.findall(r"^([A-Z]+) (.+)$", (ROOT / "Containerfile").read_text("utf-8"), re.M)
    kinds = [kind for kind, _ in steps]
    assert steps[0] == ("FROM", "python:3.11-slim") and steps[-1] == ("ENTRYPOINT", '["./run"]')
    copied, image = [], tmp_path / "image"
    image.mkdir()
    for kind, words in steps:
        if kind == "COPY":
            assert kinds.index("USER") < kinds.index("COPY") and words.startswith("--chown=clip ")
            *names, to = words.split()[1:]
            copied += names
            for name in names:
                if (ROOT / name).is_dir():
                    kept = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(ROOT / name, image / to, ignore=kept)
                else:
                    shutil.copy(ROOT / name, image / to)
        elif kind == "RUN" and "./run" in words:
            installed, command = {path.name for path in image.iterdir()}, words
    # what is installed hangs on the lock, and not on code that changes every day
    assert installed == {"run", "requirements.lock"}
    parts = {path.name for path in fresh.folder.iterdir()}
    assert sorted(copied) == sorted(parts - {"requirements-tests.lock", ".snakemake"})
    (image / "run").write_text('#!/bin/sh\necho "$1 ${UV_TORCH_BACKEND-}"\n')
    for torch, told in (("cpu", "install cpu\n"), ("cuda", "install \n")):
        plain = {"PATH": os.environ["PATH"], "TORCH": torch}
        done = subprocess.run(["sh", "-c", command], cwd=image, env=plain, capture_output=True)
        assert done.stdout.decode() == told
    type(fresh)(image).planned("--configfile", "config/demo.yaml")
