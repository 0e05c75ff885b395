"""`./run` says what it is doing, and what to do when it cannot."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def write_tool(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def clone(tmp_path):
    """``run`` and an environment that is set up, of tools that tell how they were called."""
    shutil.copy(ROOT / "run", tmp_path / "run")
    (tmp_path / "requirements.lock").write_text("six==1.17.0\n")
    (tmp_path / "config").mkdir()
    for tool in ("snakemake", "python"):
        write_tool(tmp_path / ".venv/bin" / tool, f'echo "{tool} in $PWD:" "$@"')
    shutil.copy(tmp_path / "requirements.lock", tmp_path / ".venv/installed.lock")
    return tmp_path


def call(clone: Path, *arguments: str, cwd: Path | None = None, path: str | None = None):
    return subprocess.run(
        [str(clone / "run"), *arguments],
        cwd=cwd or clone,
        env=os.environ | ({"PATH": path} if path else {}),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_alone_it_makes_the_demo_and_names_the_report(clone):
    done = call(clone)
    assert f"snakemake in {clone}: --cores all --configfile config/demo.yaml" in done.stdout
    assert "results/scenes/report.en.html" in done.stderr


def test_snakemake_gets_its_arguments_as_they_are(clone):
    assert "snakemake in" in (out := call(clone, "snakemake", "-n", "a b").stdout)
    assert out.rstrip().endswith(": -n a b")


def test_search_is_asked_from_where_the_user_stands_so_that_their_paths_hold(clone, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out = call(clone, "search", "--image", "photo.jpg", cwd=elsewhere).stdout
    assert f"python in {elsewhere}: -m scripts.search --results {clone}/results" in out


def test_verify_is_asked_from_where_the_user_stands_too(clone, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out = call(clone, "verify", "copy of/results", cwd=elsewhere).stdout.rstrip()
    words = f"-m scripts.provenance.verify --results {clone}/results copy of/results"
    assert out == f"python in {elsewhere}: {words}"


def test_verify_fails_where_a_run_is_not_as_recorded(clone):
    write_tool(clone / ".venv/bin/python", "exit 1")
    assert call(clone, "verify").returncode == 1


def test_an_unknown_command_shows_what_there_is(clone):
    done = call(clone, "serch")
    assert done.returncode == 2 and "./run search" in done.stderr
    assert "./run verify" in done.stderr and "./run test" in done.stderr
    assert call(clone, "--help").returncode == 0


def test_a_failing_step_fails_the_run(clone):
    write_tool(clone / ".venv/bin/snakemake", "exit 3")
    assert call(clone).returncode == 3


def test_without_a_new_enough_python_it_says_which_is_needed(clone, tmp_path):
    (clone / ".venv/installed.lock").unlink()
    bin_ = tmp_path / "bin"
    for tool in ("dirname", "sh", "cmp"):
        (bin_ / tool).parent.mkdir(exist_ok=True)
        (bin_ / tool).symlink_to(shutil.which(tool))
    write_tool(bin_ / "python3", "exit 1")
    done = call(clone, path=str(bin_))
    assert done.returncode == 1
    assert "No Python 3.11 or newer found" in done.stderr


def test_a_changed_lock_sets_up_again_and_falls_back_to_pip_without_uv(clone, tmp_path):
    (clone / "requirements.lock").write_text("six==1.16.0\n")
    bin_ = tmp_path / "bin"
    # a python whose venv is this stand-in, and whose pip can install a lock but not uv
    write_tool(clone / ".venv/bin/python", 'case "$*" in *uv*) exit 1;; *) echo "pip: $*";; esac')
    write_tool(bin_ / "python3", "exit 0")
    for tool in ("dirname", "sh", "cmp", "cp", "cat"):
        (bin_ / tool).symlink_to(shutil.which(tool))
    done = call(clone, path=str(bin_))
    assert done.returncode == 0
    assert "going on with pip" in done.stderr and "Setting up .venv" in done.stderr
    assert "pip install" in done.stdout and "requirements.lock" in done.stdout
    assert (clone / ".venv/installed.lock").read_text() == "six==1.16.0\n"
