"""`./run` says what it is doing, and what to do when it cannot."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from patience import LONG

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
    (tmp_path / "requirements-tests.lock").write_text("iniconfig==2.3.1\n")
    (tmp_path / "config").mkdir()
    for tool in ("snakemake", "python"):
        write_tool(tmp_path / ".venv/bin" / tool, f'echo "{tool} in $PWD:" "$@"')
    for lock in ("requirements.lock", "requirements-tests.lock"):
        shutil.copy(tmp_path / lock, tmp_path / ".venv")
    return tmp_path


def call(clone: Path, *arguments: str, cwd: Path | None = None, path: str | None = None):
    return subprocess.run(
        [str(clone / "run"), *arguments],
        cwd=cwd or clone,
        env=os.environ | ({"PATH": path} if path else {}),
        capture_output=True,
        text=True,
        timeout=LONG,
    )


def test_alone_it_makes_the_demo(clone):
    done = call(clone)
    assert f"snakemake in {clone}: --cores all --configfile config/demo.yaml" in done.stdout


def test_snakemake_works_in_the_checkout_and_is_told_where_the_user_stands(clone, tmp_path):
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    out = call(clone, "snakemake", "-n", "a b", cwd=elsewhere).stdout.rstrip()
    assert out == f"python in {clone}: -m scripts.command {elsewhere} -n a b"


def test_a_configuration_of_another_folder_is_read_and_what_follows_it_is_a_target(clone, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "my.yaml").touch()
    shutil.copytree(ROOT / "scripts", clone / "scripts")
    write_tool(clone / ".venv/bin/python", f'exec {sys.executable} "$@"')
    typed = ("snakemake", "--configfile", "my.yaml", "figures")
    done = call(clone, *typed, cwd=elsewhere)
    words = f"figures --configfile {elsewhere}/my.yaml"
    assert done.stdout.rstrip() == f"snakemake in {clone}: {words}", done.stderr
    (elsewhere / "my.yaml").unlink()
    done = call(clone, *typed, cwd=elsewhere)
    assert done.returncode == 1 and done.stderr.startswith(f"my.yaml: no such file in {elsewhere}")


HOMES = 'echo "$HOME" "$XDG_CACHE_HOME" "$MPLCONFIGDIR" "$USER"'


def test_a_user_without_a_home_or_a_name_gets_both_and_keeps_what_is_set(clone, tmp_path):
    write_tool(clone / ".venv/bin/python", HOMES)
    write_tool(tmp_path / "bin/id", '[ "$1" = -u ] && echo 12345')
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"

    def told(**environment: str) -> list[str]:
        plain = {"PATH": path, **environment}
        command = [str(clone / "run"), "snakemake", "-n"]
        return subprocess.run(command, env=plain, capture_output=True, text=True).stdout.split()

    own = clone / ".home"
    made = [str(own), f"{own}/.cache", f"{own}/.cache/matplotlib", "user"]
    assert told(HOME="/nowhere") == told() == made
    assert own.stat().st_mode & 0o777 == 0o700
    kept = told(HOME="/nowhere", XDG_CACHE_HOME="/cache", USER="me")
    assert kept == [made[0], "/cache", made[2], "me"]
    assert told(HOME=str(tmp_path))[0] == str(tmp_path)


def as_nobody(*command: str) -> list[str]:
    """A command of a user whom the system does not know, and who may read what root may."""
    may = "+dac_read_search"  # the interpreter may be in root's home
    who = ["--reuid=12345", "--regid=12345", "--clear-groups", f"--inh-caps={may}"]
    clean = ["env", "-i", "HOME=/", f"PATH={os.environ['PATH']}"]
    return ["setpriv", *who, f"--ambient-caps={may}", *clean, *command]


def root_may_become_nobody() -> bool:
    if not shutil.which("setpriv") or os.geteuid() != 0:
        return False
    return subprocess.run(as_nobody("true"), capture_output=True).returncode == 0


@pytest.mark.skipif(not root_may_become_nobody(), reason="only root may become another user")
def test_a_user_whom_the_system_does_not_know_gets_images(fresh):
    shutil.copy(ROOT / "tests/small.yaml", fresh.folder)
    (fresh.folder / ".venv").symlink_to(sys.prefix)
    for path in [fresh.folder, *fresh.folder.rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    made = "data/scenes/splits.json"
    command = [str(fresh.folder / "run"), "snakemake", "--configfile", "small.yaml", made]
    done = subprocess.run(as_nobody(*command), cwd="/", capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert (fresh.folder / made).stat().st_uid == 12345


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


def test_export_is_asked_from_where_the_user_stands_too(clone, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out = call(clone, "export", "--run", "r", "--to", "t", cwd=elsewhere).stdout.rstrip()
    assert out == f"python in {elsewhere}: -m scripts.own.export --run r --to t"


def test_compare_is_asked_from_where_the_user_stands_too(clone, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    typed = ("production", "new run", "--fail-if", "worse", "--to", "out")
    out = call(clone, "compare", *typed, cwd=elsewhere).stdout.rstrip()
    assert out == f"python in {elsewhere}: -P -m scripts.compare {' '.join(typed)}"
    write_tool(clone / ".venv/bin/python", "exit 2")
    assert call(clone, "compare", "a", "b").returncode == 2
    # other scripts there are not taken for ours, which would end in 1, as an answer does
    shutil.copytree(ROOT / "scripts", clone / "scripts")
    write_tool(clone / ".venv/bin/python", f'exec {sys.executable} "$@"')
    (elsewhere / "scripts").mkdir()
    (elsewhere / "scripts/__init__.py").touch()
    done = call(clone, "compare", "a", "b", cwd=elsewhere)
    assert done.returncode == 2 and "found:    no finished run" in done.stderr, done.stderr


def test_verify_fails_where_a_run_is_not_as_recorded(clone):
    write_tool(clone / ".venv/bin/python", "exit 1")
    assert call(clone, "verify").returncode == 1


def test_an_unknown_command_shows_what_there_is(clone):
    done = call(clone, "serch")
    assert done.returncode == 2 and "./run search" in done.stderr
    assert "./run verify" in done.stderr and "./run test" in done.stderr
    assert done.stderr.endswith("stand above.\n") and "./run serch: no such command" in done.stderr
    asked = call(clone, "--help")
    assert asked.returncode == 0 and asked.stderr.endswith("such as for an image\n")


def test_it_can_install_and_do_nothing_else(clone, tmp_path):
    (clone / ".venv/requirements.lock").unlink()
    write_tool(clone / ".venv/bin/python", WITHOUT_UV)
    path = few_tools(tmp_path / "bin", "exit 0")
    done = call(clone, "install", path=path)
    assert done.returncode == 0 and done.stderr.endswith("Ready.\n")
    done = call(clone, "install", path=path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_failing_step_fails_the_run(clone):
    write_tool(clone / ".venv/bin/snakemake", "exit 3")
    assert call(clone).returncode == 3


def test_without_a_new_enough_python_it_says_which_is_needed(clone, tmp_path):
    (clone / ".venv/requirements.lock").unlink()
    bin_ = tmp_path / "bin"
    for tool in ("dirname", "sh", "cmp"):
        (bin_ / tool).parent.mkdir(exist_ok=True)
        (bin_ / tool).symlink_to(shutil.which(tool))
    write_tool(bin_ / "python3", "exit 1")
    done = call(clone, path=str(bin_))
    assert done.returncode == 1
    assert "No Python 3.11 or newer found" in done.stderr
    # of a gate, 1 is an answer
    assert call(clone, "compare", "a", "b", path=str(bin_)).returncode == 2


# a python whose pip can install a lock but not uv
WITHOUT_UV = 'case "$*" in *uv*) exit 1;; *) echo "pip: $*";; esac'


def few_tools(folder: Path, python3: str) -> str:
    """A PATH on which there is no uv, and a ``python3`` that does as told."""
    write_tool(folder / "python3", python3)
    for tool in ("dirname", "sh", "cmp", "cp", "cat", "mkdir", "sleep"):
        (folder / tool).symlink_to(shutil.which(tool))
    return str(folder)


def test_a_changed_lock_sets_up_again_and_falls_back_to_pip_without_uv(clone, tmp_path):
    (clone / "requirements.lock").write_text("six==1.16.0\n")
    write_tool(clone / ".venv/bin/python", WITHOUT_UV)
    done = call(clone, path=few_tools(tmp_path / "bin", "exit 0"))
    assert done.returncode == 0
    assert "going on with pip" in done.stderr and "Setting up .venv" in done.stderr
    assert "pip install" in done.stderr and f"-r {clone}/requirements.lock" in done.stderr
    assert (clone / ".venv/requirements.lock").read_text() == "six==1.16.0\n"
    assert "requirements-tests" not in done.stdout + done.stderr


def test_only_the_tests_install_what_only_they_need_and_say_so_once(clone, tmp_path):
    (clone / ".venv/requirements-tests.lock").unlink()
    write_tool(clone / ".venv/bin/python", WITHOUT_UV)
    path = few_tools(tmp_path / "bin", "exit 0")
    for command in ((), ("verify",), ("bench",), ("snakemake", "-n")):
        done = call(clone, *command, path=path)
        assert done.returncode == 0 and "Adding" not in done.stderr
    first, second = call(clone, "test", "-k", "a b", path=path), call(clone, "test", path=path)
    assert first.stderr.count("from requirements-tests.lock; once.") == 1
    assert f"--disable-pip-version-check -r {clone}/requirements-tests.lock" in first.stderr
    assert first.stdout.endswith("pip: -m pytest -k a b\n")
    assert second.stdout == "pip: -m pytest\n" and not second.stderr


# what uv 0.13 says where it writes to no terminal
UV = """Using Python 3.11.7 environment at: .venv
Resolved 115 packages in 2.08s
Downloading torch (846.8MiB)
Downloading scikit-learn (8.9MiB)
Downloading nvidia-cudnn (1.2GiB)
   Building connection-pool==0.0.3
 Downloaded torch
Prepared 114 packages in 8.60s
Installed 115 packages in 462ms
 + torch==2.13.0
 - six==1.16.0"""
PIP = """Looking in links: /wheels
Collecting torch==2.13.0 (from -r requirements.lock (line 1))
  Downloading torch-2.13.0-cp311-cp311-linux_x86_64.whl (191.8 MB)
  Downloading six-1.17.0-py2.py3-none-any.whl.metadata (1.7 kB)
  Downloading zipp-4.0.0-py3-none-any.whl (312 kB)
Installing collected packages: torch, six, zipp
Successfully installed torch-2.13.0 six-1.17.0 zipp-4.0.0"""
LARGE = "[run] Downloading torch (846.8MiB)\n[run] Downloading nvidia-cudnn (1.2GiB)\n"
LARGE += "[run] Installed 115 packages in 462ms\n"


@pytest.mark.parametrize(
    ("tool", "said", "told"),
    [
        ("uv", UV, LARGE),
        ("python", PIP, "[run] Downloading torch-2.13.0-cp311-cp311-linux_x86_64.whl (191.8 MB)\n"),
    ],
)
def test_setting_up_says_how_much_it_is_and_then_what_is_large(clone, tmp_path, tool, said, told):
    (clone / ".venv/requirements.lock").unlink()
    no_uv = 'case "$*" in *" uv") exit 1;; esac'
    write_tool(clone / ".venv/bin" / tool, f"{no_uv}\ncat <<END\n{said}\nEND")
    done = call(clone, "install", path=few_tools(tmp_path / "bin", "exit 0"))
    before, after = done.stderr.split(told)
    assert "0.6 GB" in before and after.endswith("[run] Ready.\n") and done.returncode == 0
    assert [line for line in done.stderr.splitlines() if not line.startswith("[run] ")] == []


def test_an_installer_that_fails_says_why_and_with_what_status(clone, tmp_path):
    (clone / ".venv/requirements.lock").unlink()
    write_tool(clone / ".venv/bin/uv", "echo Downloading six; echo error: no such host >&2; exit 2")
    write_tool(clone / ".venv/bin/python", "echo ERROR: no six either; exit 3")
    done = call(clone, "install", path=few_tools(tmp_path / "bin", "exit 0"))
    assert done.returncode == 1 and not (clone / ".venv/requirements.lock").exists()
    told = done.stderr.splitlines()
    assert told[-4:-2] == [
        "error: no such host",
        "[run] uv cannot be had or did not finish; going on with pip.",
    ]
    assert told[-2] == "ERROR: no six either" and "Run ./run again" in told[-1]


def test_an_installation_that_failed_is_begun_again(clone, tmp_path):
    (clone / ".venv/requirements.lock").unlink()
    write_tool(clone / ".venv/bin/python", "exit 1")
    done = call(clone, "verify", path=few_tools(tmp_path / "bin", "exit 0"))
    assert done.returncode == 1 and "Run ./run again" in done.stderr
    assert not (clone / ".venv/requirements.lock").exists()


def test_of_several_that_start_at_once_one_sets_up_and_the_others_wait(clone, tmp_path):
    """As the parts of ``.ci/run`` may, each with the tests' lock to add."""
    for lock in ("requirements.lock", "requirements-tests.lock"):
        (clone / ".venv" / lock).unlink()
    log, go = tmp_path / "log", tmp_path / "go"
    real = f'*) exec {sys.executable} "$@";; esac'
    path = few_tools(tmp_path / "bin", f'case "$*" in "-m venv"*) ;; {real}')
    slow = f'echo "$*" >>{log}; until [ -e {go} ]; do sleep 0.02; done'
    pip = f'case "$*" in *uv*) exit 1;; *" -r "*) {slow};; *pytest*) ;; {real}'
    write_tool(clone / ".venv/bin/python", pip)
    waiting = [
        subprocess.Popen(
            [str(clone / "run"), "test"], env=os.environ | {"PATH": path}, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    told = [process.stderr for process in waiting]
    first = [stream.readline().decode() for stream in told]
    go.touch()
    rest = [process.communicate()[1].decode() for process in waiting]
    assert [process.returncode for process in waiting] == [0, 0, 0]
    assert sum("Setting up" in line for line in first) == 1
    assert sum("waiting for it" in line for line in first) == 2
    assert sum(text.count("Adding to .venv") for text in rest) == 1
    installed = [line.rpartition("/")[2] for line in log.read_text().splitlines()]
    assert installed == ["requirements.lock", "requirements-tests.lock"]


def test_where_python_has_no_venv_of_its_own_uv_makes_one(clone, tmp_path):
    (clone / ".venv/requirements.lock").unlink()
    path = few_tools(tmp_path / "bin", 'case "$*" in "-m venv"*) exit 1;; esac')
    assert "apt install python3-venv" in call(clone, "verify", path=path).stderr
    write_tool(tmp_path / "bin/uv", 'echo "uv: $*"')
    done = call(clone, "verify", path=path)
    assert done.returncode == 0 and done.stdout.startswith("uv: venv --quiet --seed"), done.stderr
