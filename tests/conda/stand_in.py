"""A stand-in for the ``conda`` command, for tests where neither conda nor a channel can be reached.

It answers what Snakemake asks of conda and nothing else. Environments are solved and installed by
rattler from the channels that CONDA_CHANNEL_ALIAS points at, as conda's ``channel_alias`` does, and
their pip lists by uv where there is one, else by the environment's own pip. What it cannot do it
refuses with exit status 2, as conda does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import yaml

VERSION = "25.0.0"
# sourced by Snakemake before each command of a rule; no conda function, as none is needed for that
ACTIVATE = """\
# The stand-in for conda: put the environment named first on the path.
export CONDA_PREFIX="$1"
export PATH="$1/bin:$PATH"
"""


def install_stand_in(base: Path) -> Path:
    """Make ``base`` what conda's base environment is to Snakemake; the folder for the path."""
    folder = base / "bin"
    folder.mkdir(parents=True)
    (folder / "activate").write_text(ACTIVATE)
    command = folder / "conda"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{Path(__file__).resolve()}" "$@"\n')
    command.chmod(0o755)
    return folder


def base() -> Path:
    """The stand-in's own prefix, by where its command is found."""
    found = shutil.which("conda")
    if found is None:
        raise SystemExit("the stand-in for conda is not on the path")
    return Path(found).parent.parent


def info() -> dict[str, Any]:
    from rattler import Subdir

    return {
        "conda_prefix": str(base()),
        "conda_version": VERSION,
        "platform": str(Subdir.current()),
    }


def parsed(file: Path) -> tuple[list[str], list[str], list[str]]:
    """Channels, packages of conda and packages of pip that an environment's file names."""
    env = yaml.safe_load(file.read_text("utf-8"))
    unknown = set(env) - {"name", "channels", "dependencies"}
    if unknown:
        raise SystemExit(f"the stand-in for conda knows nothing of {', '.join(sorted(unknown))}")
    packages = [entry for entry in env["dependencies"] if isinstance(entry, str)]
    lists = [entry["pip"] for entry in env["dependencies"] if isinstance(entry, dict)]
    channels = [name for name in env["channels"] if name != "nodefaults"]
    return channels, packages, [pin for pins in lists for pin in pins]


async def install_packages(prefix: Path, channels: list[str], packages: list[str]) -> None:
    """Solve for ``packages`` and link them into ``prefix``."""
    from rattler import Channel, ChannelConfig, Gateway, VirtualPackage, install, solve
    from rattler.exceptions import SolverError

    known = ChannelConfig(channel_alias=os.environ["CONDA_CHANNEL_ALIAS"])
    cache = base() / "pkgs"
    try:
        records = await solve(
            sources=[Channel(name, known) for name in channels],
            specs=packages,
            gateway=Gateway(cache_dir=cache / "cache"),
            virtual_packages=VirtualPackage.detect(),
        )
    except SolverError as error:
        raise SystemExit(f"cannot be solved: {error}") from None
    await install(records, prefix, cache_dir=cache, show_progress=False)


def pip_command(prefix: Path) -> list[str]:
    """How packages of pip get into ``prefix``: by uv, which links what it has, or by pip."""
    python = str(prefix / "bin/python")
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        return [python, "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    links = [part for path in os.environ.get("PIP_FIND_LINKS", "").split() for part in ("-f", path)]
    return [uv, "pip", "install", "--python", python, *links]


def ask_index() -> dict[str, str]:
    """The index that pip is set to, in the words of uv, which reads none of pip's settings."""
    index = os.environ.get("PIP_INDEX_URL")
    if not index:
        command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
        index = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return {"UV_DEFAULT_INDEX": index} if index and "UV_DEFAULT_INDEX" not in os.environ else {}


def create(file: Path, prefix: Path) -> None:
    """Create the environment of ``file`` in ``prefix``."""
    channels, packages, pins = parsed(file)
    asyncio.run(install_packages(prefix, channels, packages))
    if not pins:
        return
    if not any(package.split("=")[0].strip() == "pip" for package in packages):
        raise SystemExit("packages of pip are named, and pip is not")
    with tempfile.NamedTemporaryFile("w", suffix=".requirements.txt") as stream:
        stream.write("\n".join(pins))
        stream.flush()
        command = [*pip_command(prefix), "-r", stream.name]
        subprocess.run(command, check=True, env=os.environ | ask_index())
    link_compiled(prefix)


def link_compiled(prefix: Path) -> None:
    """Take over what this Python has compiled of its packages, which takes a job of torch long.

    Python itself holds it against the time and size of the sources that the new environment has:
    what uv linked there is the same file, what is another is compiled as ever.
    """
    (there,) = prefix.glob("lib/python*/site-packages")
    here = Path(sysconfig.get_path("purelib"))
    for folder in here.glob("**/__pycache__"):
        new = there / folder.relative_to(here)
        if new.parent.is_dir() and not new.exists():
            new.mkdir()
            with contextlib.suppress(OSError):  # no link leads to another disk
                for file in folder.iterdir():
                    (new / file.name).hardlink_to(file)


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser("conda", description=__doc__)
    words.add_argument("--version", action="version", version=f"conda {VERSION}")
    commands = words.add_subparsers(dest="command", required=True)
    commands.add_parser("info").add_argument("--json", action="store_true", required=True)
    config = commands.add_parser("config")
    config.add_argument("--get", choices=["channel_priority"], required=True)
    config.add_argument("--json", action="store_true", required=True)
    clean = commands.add_parser("clean")
    for option in ("--yes", "--tarballs", "--packages"):
        clean.add_argument(option, "-y" if option == "--yes" else option, action="store_true")
    env = commands.add_parser("env").add_subparsers(dest="command_of_env", required=True)
    new = env.add_parser("create")
    new.add_argument("--quiet", action="store_true")
    new.add_argument("--no-default-packages", action="store_true")
    new.add_argument("--file", type=Path, required=True)
    new.add_argument("--prefix", type=Path, required=True)
    return words


def main() -> None:
    words = parser().parse_args()
    if words.command == "info":
        print(json.dumps(info()))
    elif words.command == "config":
        # what conda-forge asks for, and what rattler does
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif words.command == "clean":
        shutil.rmtree(base() / "pkgs", ignore_errors=True)
    else:
        try:
            create(words.file, words.prefix)
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"pip failed with exit status {error.returncode}") from None


if __name__ == "__main__":
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # past the interpreter's own end, at which the solver's threads now and then crash
    os._exit(code or 0)
