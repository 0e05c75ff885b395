"""``--use-conda`` makes the environments of envs/ and runs every rule in its own.

Conda itself is a stand-in here (stand_in.py); all that Snakemake does with it is real.
"""

import json
import shutil
import subprocess

import pytest
from small_runs import FEW, RUN, assert_part_of
from test_environments import ENVS, ROOT, pins_of, scripts_of

# a table and a figure, with a study: steps of each environment
MADE = (*FEW, "--config", "run={scorers: [cosine], studies: [gallery]}", "--")
MADE += (f"{RUN}/tables/metrics.csv", f"{RUN}/tables/costs.csv")
MADE += (f"{RUN}/figures/study.gallery.en.svg",)


class WithConda:
    """A working copy in which Snakemake has been run with ``--use-conda``."""

    def __init__(self, folder, launcher):
        self.folder, self.launcher = folder, launcher

    def snakemake(self, *arguments, ok=True):
        prefix = ("--conda-prefix", self.launcher.conda_prefix)
        return self.launcher.snakemake(self.folder, *prefix, *arguments, ok=ok)

    def prefix_of(self, env):
        """Where the environment was made of a file that is now envs/<env>.yaml."""
        content = (self.folder / "envs" / f"{env}.yaml").read_bytes()
        found = [
            path
            for path in self.launcher.conda_prefix.glob("*.yaml")
            if path.read_bytes() == content
        ]
        (copy,) = found
        return copy.with_suffix("")


@pytest.fixture(scope="session")
def finished_with_conda(finished_run, launcher, tmp_path_factory):
    """The demo at small scale, run to a figure with ``--use-conda``, in every environment."""
    copy = finished_run.copy(tmp_path_factory.mktemp("with-conda") / "clone", made=False)
    project = WithConda(copy.folder, launcher)
    project.snakemake(*MADE)
    return project


def test_the_demo_runs_to_a_figure_with_the_same_tables(finished_run, finished_with_conda):
    assert (finished_with_conda.folder / RUN / "figures/study.gallery.en.svg").is_file()
    made = {path.stem for path in finished_with_conda.launcher.conda_prefix.glob("*.yaml")}
    assert len(made) == len(ENVS)
    assert_part_of(finished_with_conda.folder, finished_run.folder)


def test_afterwards_there_is_nothing_to_do(finished_with_conda):
    told = finished_with_conda.snakemake("-n", *MADE)
    assert "Nothing to be done" in told and "will be created" not in told


@pytest.mark.parametrize("env", ENVS)
def test_an_environment_holds_python_pip_and_the_pins_and_nothing_else(finished_with_conda, env):
    prefix = finished_with_conda.prefix_of(env)
    linked = {json.loads(path.read_text())["name"] for path in prefix.glob("conda-meta/*.json")}
    assert linked == {"python", "pip"}
    words = (
        "import json; from importlib.metadata import distributions as found;"
        "print(json.dumps({one.name: one.version for one in found()}))"
    )
    done = subprocess.check_output([prefix / "bin/python", "-Ic", words], text=True)
    # a build of torch for one kind of device adds that to its version
    found = {
        name.lower().replace("_", "-"): version.partition("+")[0]
        for name, version in json.loads(done).items()
    }
    assert found.pop("pip")
    assert found == pins_of(env)


@pytest.mark.parametrize("env", ENVS)
def test_all_scripts_of_an_environment_import_there_without_the_launcher(finished_with_conda, env):
    modules = [script.removesuffix(".py").replace("/", ".") for script in scripts_of(env)]
    words = f"import sys; sys.path.append({str(ROOT)!r}); import {', '.join(modules)}"
    python = finished_with_conda.prefix_of(env) / "bin/python"
    done = subprocess.run([python, "-Ic", words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_an_environment_lacks_is_missed_when_its_rule_runs(finished_with_conda, tmp_path):
    spoilt = WithConda(tmp_path / "clone", finished_with_conda.launcher)
    shutil.copytree(finished_with_conda.folder, spoilt.folder, symlinks=True)
    path = spoilt.folder / "envs/report.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "mpl-font==" not in line))
    again = ("--rerun-triggers", "mtime", "--forcerun", "plot_study")
    told = spoilt.snakemake(*again, *MADE, ok=False)
    assert "mpl-font is missing" in told
    assert finished_with_conda.prefix_of("report") != spoilt.prefix_of("report")


def test_the_stand_in_refuses_what_the_channel_has_not(launcher, tmp_path):
    file = tmp_path / "env.yaml"
    file.write_text("channels: [conda-forge]\ndependencies: [python=2.7, pip]\n")
    prefix = tmp_path / "prefix"
    done = launcher.conda("env", "create", "--file", file, "--prefix", prefix)
    assert done.returncode == 1 and "python" in done.stderr
    assert "Traceback" not in done.stderr and not prefix.exists()


def test_the_stand_in_refuses_what_snakemake_does_not_ask(launcher):
    assert launcher.conda("install", "numpy").returncode == 2
    assert launcher.conda("env", "create", "--solver", "classic").returncode == 2
