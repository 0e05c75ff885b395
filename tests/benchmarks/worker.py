"""A contender's own process: it sets up, says that it is ready, and has a turn for each line.

The first line on standard input says what to run; each answer is one line of JSON. What the
contender itself prints goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
MB = 2**20


def memory_mb(field: str) -> float:
    """VmRSS (now) or VmHWM (at most since the last reset) of this process in MB of 2**20 bytes."""
    if STATUS.is_file():
        lines = STATUS.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / MB
    # macOS counts bytes, and can reset nothing
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB


def reset_peak() -> None:
    if CLEAR.is_file():
        CLEAR.write_text("5")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**told) -> None:
        print(json.dumps(told), file=answers, flush=True)

    order = json.loads(sys.stdin.readline())
    module, function = order["function"].split(":")
    go = getattr(importlib.import_module(module), function)(**order["arguments"])
    reset_peak()
    before = memory_mb("VmRSS")
    answer(ready=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        made = go()
        seconds = time.perf_counter() - start
        peak = memory_mb("VmHWM")
        facts = made if isinstance(made, dict) else {}
        if order["keep"]:
            import numpy as np

            np.save(order["keep"], made)
        answer(seconds=seconds, peak_mb=peak, extra_mb=max(0.0, peak - before), facts=facts)


if __name__ == "__main__":
    main()
