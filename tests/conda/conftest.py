"""Snakemake with the stand-in for conda, started from a Python that has nothing else in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from channel import build_channel, find_interpreter
from packaging.requirements import Requirement
from patience import LONG
from stand_in import ask_index, install_stand_in, pip_command

ROOT = Path(__file__).resolve().parents[2]
LOCK = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())


@dataclass
class Launcher:
    """A Python environment with Snakemake and what it needs, and the stand-in on the path."""

    python: Path
    environment: dict[str, str]
    conda_prefix: Path

    def snakemake(self, folder: Path, *arguments: str, ok: bool = True) -> str:
        """Run Snakemake with ``--use-conda`` in ``folder``; what it said."""
        done = subprocess.run(
            [self.python, "-m", "snakemake", "--use-conda", "--cores", "2", *arguments],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LONG,
        )
        told = f"{done.stdout}\n{done.stderr}"
        assert (done.returncode == 0) == ok, told
        return told

    def conda(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Call the stand-in itself."""
        return subprocess.run(
            ["conda", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LONG,
        )


def pins_of_snakemake() -> list[str]:
    """Snakemake and every package that it needs here, as the lock pins them."""
    found, waiting = set(), ["snakemake"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        needs = [Requirement(line) for line in requires(name) or []]
        waiting += [
            re.sub(r"[-_.]+", "-", need.name).lower()
            for need in needs
            if not need.marker or need.marker.evaluate({"extra": ""})
        ]
    return [f"{name}=={LOCK[name]}" for name in sorted(found)]


@pytest.fixture(scope="session")
def launcher(tmp_path_factory) -> Launcher:
    """Snakemake alone with the stand-in.

    Scripts under conda fall back on the packages of the Python that runs Snakemake (its issue
    840), and what an environment lacks hides behind them: so here they are Snakemake's own.
    """
    pytest.importorskip("rattler", reason="the stand-in for conda needs py-rattler")
    if sys.platform == "win32":
        pytest.skip("the stand-in for conda is a shell script")
    folder = tmp_path_factory.mktemp("conda")
    wanted = yaml.safe_load((ROOT / "envs/analysis.yaml").read_text("utf-8"))["dependencies"][0]
    version = wanted.partition("=")[2]
    interpreter = find_interpreter(version)
    if interpreter is None:
        pytest.skip(f"no Python {version} on this machine for the channel's package to point at")
    build_channel(folder / "channels/conda-forge", interpreter)
    bin_folder = install_stand_in(folder / "base")
    subprocess.run([sys.executable, "-m", "venv", folder / "launcher"], check=True)
    installed = subprocess.run(
        [*pip_command(folder / "launcher"), *pins_of_snakemake()],
        capture_output=True,
        text=True,
        env=os.environ | ask_index(),
    )
    if installed.returncode:
        last = installed.stderr.strip().splitlines()[-1:]
        pytest.skip(f"packages cannot be had here: {' '.join(last)}")
    path = [str(bin_folder), str(folder / "launcher/bin"), os.environ["PATH"]]
    environment = os.environ | {
        "PATH": os.pathsep.join(path),
        "CONDA_CHANNEL_ALIAS": f"{(folder / 'channels').as_uri()}/",
        "CUDA_VISIBLE_DEVICES": "",
    }
    environment.pop("PYTHONPATH", None)
    return Launcher(folder / "launcher/bin/python", environment, folder / "envs")
