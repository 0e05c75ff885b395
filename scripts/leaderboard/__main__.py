"""A leaderboard of all finished runs in one or several folders of results.

    ./run leaderboard FOLDER... [--to FOLDER]

A FOLDER is one of results, of one dataset in it, or of a run. What cannot be compared stands apart,
with the reason.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.job import ended


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """What was typed."""
    say = argparse.ArgumentParser(
        prog="./run leaderboard",
        description="Set all finished runs of several folders side by side: models by datasets, "
        "both directions, with intervals, what is behind beyond noise, and what each model costs.",
        epilog="Example: ./run leaderboard results ../elsewhere/results --to board",
        allow_abbrev=False,
    )
    say.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="of results")
    say.add_argument(
        "--to", type=Path, default=Path(), metavar="FOLDER",
        help="where leaderboard.en.html, .zh.html, .csv and .md go (default: here)",
    )  # fmt: skip
    return say.parse_args(words)


def lead(typed: argparse.Namespace) -> int:
    """Make it; raises ``BadInput``."""
    from scripts.config import checked, over_defaults
    from scripts.evaluate.intervals import Resampling
    from scripts.leaderboard.board import board_of
    from scripts.leaderboard.entries import read_entry, runs_in
    from scripts.leaderboard.leaderboard import write

    statistics = checked(over_defaults({}))["statistics"]
    # each once, as it is named first
    folders: dict[Path, Path] = {}
    for run in (run for folder in typed.folders for run in runs_in(folder)):
        folders.setdefault(run.resolve(), run)
    board = board_of(
        (read_entry(folder) for folder in folders.values()),
        Resampling(statistics["resamples"], statistics["seed"]),
    )
    apart = len(board.apart)
    told = f"; {apart} that cannot be compared stand below, with the reason" if apart else ""
    print(f"runs: {len(board.lines)}, datasets: {len(board.columns)}{told}")
    for path in write(board, typed.to):
        print(f"  {path}")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    typed = arguments(words)
    return ended(lambda: lead(typed))


if __name__ == "__main__":
    sys.exit(main())
