"""A local conda channel of two packages: a python that points at this machine's, and pip.

Both are ordinary packages of conda's format, and rattler (whose solver and installer pixi has too)
indexes, solves and links them as it does any other.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path
from typing import Any


def find_interpreter(version: str) -> Path | None:
    """An interpreter of this machine with ``version`` ("3.11"), not in a venv."""
    words = (
        "import os, sys; name = 'python%d.%d' % sys.version_info[:2];"
        "print(name[6:], os.path.realpath(os.path.join(sys.base_prefix, 'bin', name)))"
    )
    for candidate in (sys.executable, shutil.which(f"python{version}")):
        if candidate is None:
            continue
        done = subprocess.run([candidate, "-Ic", words], capture_output=True, text=True)
        found, _, path = done.stdout.strip().partition(" ")
        if found == version and Path(path).exists():
            return Path(path)
    return None


def build_channel(folder: Path, interpreter: Path) -> None:
    """Build both packages below ``folder``, and index them."""
    from rattler import Subdir
    from rattler.index import index_fs

    python = python_package(interpreter)
    write_package(folder / str(Subdir.current()), **python)
    write_package(folder / "noarch", **pip_package())
    asyncio.run(index_fs(folder, write_zst=False, write_shards=False))


def python_package(interpreter: Path) -> dict[str, Any]:
    """A prefix whose python is ``interpreter``, as that of a virtual environment is."""
    words = "import platform; print(platform.python_version())"
    version = subprocess.check_output([interpreter, "-Ic", words], text=True).strip()
    minor = ".".join(version.split(".")[:2])
    return {
        "index": {"name": "python", "version": version},
        "files": {
            "pyvenv.cfg": (
                f"home = {interpreter.parent}\ninclude-system-site-packages = false\n"
            ).encode(),
            f"lib/python{minor}/site-packages/README.txt": b"The packages of this environment.\n",
        },
        "links": {
            f"bin/{name}": str(interpreter) for name in ("python", "python3", f"python{minor}")
        },
    }


def pip_package() -> dict[str, Any]:
    """The pip that is installed here, for any python."""
    installed = metadata.distribution("pip")
    files = {
        f"site-packages/{file.as_posix()}": file.locate().read_bytes()
        for file in installed.files or []
        if ".." not in file.parts and "__pycache__" not in file.parts
    }
    entry_points = [
        f"{point.name} = {point.value}"
        for point in installed.entry_points
        if point.group == "console_scripts" and point.name in ("pip", "pip3")
    ]
    return {
        "index": {
            "name": "pip",
            "version": installed.version,
            "depends": ["python >=3.8"],
            "noarch": "python",
        },
        "files": files,
        "entry_points": entry_points,
    }


def write_package(
    folder: Path,
    index: dict[str, Any],
    files: dict[str, bytes],
    links: dict[str, str] | None = None,
    entry_points: list[str] | None = None,
) -> Path:
    """Write one package.

    Parameters
    ----------
    folder : that of its platform, "linux-64" or "noarch", in the channel
    index : name, version, what it depends on
    files : path in the prefix -> content; for noarch python below "site-packages"
    links : path in the prefix -> what the symbolic link points at
    entry_points : "name = module:function", made scripts of the prefix where it is installed
    """
    about = {
        "build": "0",
        "build_number": 0,
        "depends": [],
        "subdir": folder.name,
        **({"platform": "linux", "arch": "x86_64"} if folder.name == "linux-64" else {}),
    } | index
    paths = [
        {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_in_bytes": len(content),
        }
        for path, content in files.items()
    ] + [{"_path": path, "path_type": "softlink"} for path in links or {}]
    infos = {"index": about, "paths": {"paths": paths, "paths_version": 1}}
    if entry_points is not None:
        noarch = {"type": "python", "entry_points": entry_points}
        infos["link"] = {"noarch": noarch, "package_metadata_version": 1}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{about['name']}-{about['version']}-{about['build']}.tar.bz2"
    with tarfile.open(path, "w:bz2", compresslevel=1) as archive:
        contents = {f"info/{name}.json": json.dumps(info).encode() for name, info in infos.items()}
        for name, content in (contents | files).items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return path
