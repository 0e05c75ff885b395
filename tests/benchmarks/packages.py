"""The packages that we are measured against: a folder of their own, so that the product's
environment stays as it is pinned."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys

from benchmarks.race import PACKAGES, ROOT

WANTED = ROOT / "tests" / "benchmarks" / "requirements.txt"
INSTALLED = PACKAGES / "installed.txt"


def install() -> str | None:
    """Have them in ``PACKAGES``; what pip said where that cannot be."""
    if INSTALLED.is_file() and INSTALLED.read_text("utf-8") == WANTED.read_text("utf-8"):
        return None
    shutil.rmtree(PACKAGES, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--target", str(PACKAGES), "--requirement", str(WANTED)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(PACKAGES, ignore_errors=True)
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "pip failed"
    shutil.copy(WANTED, INSTALLED)
    return None


def open_torchvision() -> None:
    """Import torchvision beside a build of torch that its compiled operators do not fit.

    PyPI's is built for CUDA. Beside the CPU build of torch its library cannot be loaded, and the
    import stops at two operators that are not there; their schemas are all that the rest needs, and
    its transforms are Python.
    """
    import torch

    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        # the schemas are there as long as the library is
        torch.library.torchvision_schemas = library
        importlib.import_module("torchvision")
