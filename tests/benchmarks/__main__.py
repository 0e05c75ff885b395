"""`./run bench`: measure side by side, print what came out, and keep it as JSON."""

from __future__ import annotations

import argparse
import datetime
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine, packages, page
from benchmarks.race import ROOT
from benchmarks.sizes import FULL, QUICK, Work

# what can be asked for, and the module that measures it
MODULES = {name: name for name in ("text", "images", "whole", "ranking", "growth", "many")}
if importlib.util.find_spec("benchmarks.start_up"):
    MODULES["start_up"] = "jobs"
NAMES = tuple(MODULES)
# no dataset can be called so: names of the configuration begin with a letter or a digit
RESULTS = ROOT / "results" / "_bench"


def say(text: str) -> None:
    print(text, flush=True)


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run bench", description="Speed and memory, side by side with what others do."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument(
        "--page", action="store_true", help="measure nothing; write docs/benchmarks.md anew"
    )
    parser.add_argument("--output", type=Path, help="JSON file (results/_bench/benchmarks.json)")
    parser.add_argument("--alone", action="store_true", help="without packages to compare with")
    chosen = parser.parse_args(given)
    unknown = [name for name in chosen.names if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark {unknown[0]}; there are {', '.join(NAMES)}")
    return chosen


def prepared(folder: Path, log: Path, quick: bool, alone: bool) -> Work:
    """Captions, a model and packages to compare with, for all benchmarks."""
    from benchmarks.material import captions_of, make_model

    size = QUICK if quick else FULL
    refused = "asked to do without" if alone else packages.install()
    if refused:
        say(f"Not compared with clip_benchmark, as its packages cannot be installed: {refused}")
    captions, source = captions_of(max(size.text_images, size.whole_images))
    model = make_model(folder / "model", size.layers)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Work(size, folder, log, cores or 1, not refused, model, captions, source)


def run(name: str, work: Work) -> dict[str, Any]:
    """One benchmark, with what it was measured on."""
    began, start = machine.facts(work.threads), time.perf_counter()
    rows, claims, notes = importlib.import_module(f"benchmarks.{MODULES[name]}").measure(work)
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": began,
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "notes": notes,
        "rows": rows,
        "claims": claims,
    }


def main() -> int:
    chosen = arguments()
    output = chosen.output or RESULTS / f"benchmarks{'.quick' if chosen.quick else ''}.json"
    if chosen.page:
        page.write(output)
        return 0
    RESULTS.mkdir(parents=True, exist_ok=True)
    log = output.with_suffix(".log")
    log.unlink(missing_ok=True)
    kept = json.loads(output.read_text("utf-8")) if output.is_file() else {}
    failed = False
    folder = Path(tempfile.mkdtemp(prefix="work.", dir=RESULTS))
    try:
        work = prepared(folder, log, chosen.quick, chosen.alone)
        for name in chosen.names or NAMES:
            say(f"\n{name} ...")
            try:
                kept[name] = run(name, work)
            except (RuntimeError, subprocess.CalledProcessError) as error:
                # the others are worth having all the same
                say(f"{name} failed: {error}")
                failed = True
                continue
            output.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
            say(page.shown(kept[name]))
    finally:
        shutil.rmtree(folder)
    say(f"\nKept in {output}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
