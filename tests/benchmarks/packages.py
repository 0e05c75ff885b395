"""The packages that we are measured against: a folder of their own, so that the product's
environment stays as it is pinned."""

from __future__ import annotations

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
