"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.race import ROOT


def facts(threads: int) -> dict[str, Any]:
    """The machine, the libraries that compute, and the code, by name."""
    import numpy as np
    import psutil
    import threadpoolctl
    import torch
    import transformers

    torch.mm(torch.ones(2, 2), torch.ones(2, 2))
    blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_threads": threads,
        "torch_kernels": torch.backends.cpu.get_cpu_capability(),
        "transformers": transformers.__version__,
        "numpy": np.__version__,
        "numpy_blas": ", ".join(
            f"{pool['internal_api']} {pool['version']} for {pool.get('architecture')}"
            for pool in blas
        ),
        "commit": _commit(),
    }


def _cpu() -> str:
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"
