"""What a job costs before its first line of work, and a run before its first job.

Each script is started as Snakemake starts it, with Snakemake's own lines before it and our ``run``
around its ``main``, up to the first line of ``main``; nothing of it is worked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
# those of models load torch, which is measured where it is worked with
ENVIRONMENTS = ("data", "analysis", "report")
CALL = "run(main, snakemake)"
TELL = "run(lambda _: print(__import__('time').monotonic()), snakemake)"
RULE = "^ *(?:rule|checkpoint) "
NOTHING_TO_DO = 'rule all:\n    output:\n        "made"\n    shell:\n        "touch {output}"\n'


def scripts() -> list[dict[str, str]]:
    """Rule, environment and script of every rule of ``ENVIRONMENTS``."""
    found = []
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for body in re.split(RULE, path.read_text("utf-8"), flags=re.M)[1:]:
            script = re.search(r'^ *"\.\./(scripts/\w+/\w+\.py)"$', body, re.M)
            env = re.search(r'"\.\./envs/(\w+)\.yaml"', body)
            if script and env and env[1] in ENVIRONMENTS:
                rule = re.match(r"\w+", body)
                found.append({"rule": rule[0] if rule else "", "env": env[1], "script": script[1]})
    return found


def as_a_job(script: Path, rule: str) -> str:
    """The text that Snakemake hands to Python for a job of ``script``, which ends in ``main``."""
    from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Wildcards
    from snakemake.script import PythonScript
    from snakemake.sourcecache import LocalSourceFile

    path = LocalSourceFile(str(script))
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
    job = {
        "path": path, "cache_path": None, "source": "", "basedir": str(ROOT),
        "input_": InputFiles(),
        "output": OutputFiles(), "params": Params(), "wildcards": Wildcards(), "threads": 1,
        "resources": ResourceList(), "log": Log(), "config": config, "rulename": rule,
        "conda_env": None, "container_img": None, "singularity_args": "", "env_modules": None,
        "bench_record": None, "jobid": 1, "bench_iteration": None, "cleanup_scripts": True,
        "shadow_dir": None, "is_local": True,
    }  # fmt: skip
    text = script.read_text("utf-8")
    if text.count(CALL) != 1:
        raise ValueError(f"{script} does not end in {CALL}")
    return PythonScript.generate_preamble(**job) + text.replace(CALL, TELL)


def started(file: Path) -> float:
    """Seconds from the start of the process to the first line of ``main``."""
    # as a folder of one's own, in which Python does not find our modules by itself
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(file)],
        cwd=file.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1]) - begin


def no_op(rounds: int) -> float:
    """Median seconds of a Snakemake that has one rule, and nothing to do: none of it is ours."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Snakefile").write_text(NOTHING_TO_DO, "utf-8")
        Path(folder, "made").touch()
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
        times = []
        for _ in range(rounds + 1):  # the first one is warm-up
            begin = time.monotonic()
            subprocess.run(command, cwd=folder, capture_output=True, check=True)
            times.append(time.monotonic() - begin)
    return statistics.median(times[1:])


def planning(rounds: int) -> float:
    """Median seconds of a no-op of the whole default run, every file of which is there.

    The files are empty and marked as made: planning looks at what is there, never into it.
    """
    with tempfile.TemporaryDirectory() as folder:
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        snakemake += ["--directory", folder, "--cores", "1"]
        Path(folder, "config").mkdir()
        shutil.copy(ROOT / "config/config.yaml", Path(folder, "config/config.yaml"))

        def run(*arguments: str) -> str:
            done = subprocess.run(
                [*snakemake, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
            )
            return done.stdout + done.stderr

        for line in run("--summary").splitlines():
            path = Path(folder, line.split("\t")[0])
            if line.startswith(("data/", "results/")):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.mkdir() if path.name == "images" else path.touch()
        run("--touch")
        times = []
        for _ in range(rounds):
            begin = time.monotonic()
            told = run()
            times.append(time.monotonic() - begin)
            if "Nothing to be done" not in told:
                raise RuntimeError(f"something was left to do:\n{told}")
    return statistics.median(times)


def rows(rounds: int = 5) -> list[dict[str, Any]]:
    """One row for each rule's script, then Snakemake alone and the default run with nothing to do.

    Returns
    -------
    rows of "what" ("job" or "no-op"), "rule", "env", "script" and "seconds", the median of
    ``rounds`` after a warm-up
    """
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for place, one in enumerate(scripts()):
            file = Path(folder, f"{place}.py")
            file.write_text(as_a_job(ROOT / one["script"], one["rule"]), "utf-8")
            jobs.append((one, file, []))
        # round by round, so that a busy moment of the machine meets one round of each
        for turn in range(rounds + 1):
            for _, file, times in jobs:
                times.append(started(file)) if turn else started(file)
        found += [{"what": "job", **one, "seconds": statistics.median(t)} for one, _, t in jobs]
    for name, measure in (("snakemake alone", no_op), ("the default run", planning)):
        seconds = measure(rounds)
        found.append({"what": "no-op", "rule": name, "env": "", "script": "", "seconds": seconds})
    return found


if __name__ == "__main__":
    for row in rows():
        print(json.dumps(row | {"seconds": round(row["seconds"], 3)}), flush=True)
