"""A gate between two finished runs: the new one, and the one in production.

    ./run compare A B [--fail-if worse | --fail-unless not-worse] [--margin POINTS]
                      [--metric NAME] [--to FOLDER] [--language en|zh]

A and B are folders results/<dataset>/<model>/<prompt>/<scorer>, of one folder of results or of two;
B is the new one. The exit status is 0 where B passes, 1 where it does not, and 2 where the two
cannot be compared, or something was typed wrong.
"""

from __future__ import annotations

import argparse
import math
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from scripts.job import ended, whole, write_json
from scripts.measures import MEASURES, MEDIANS
from scripts.words import LANGUAGES

# what one number decides by: a median has no difference of each query, which the tests are of
METRICS = tuple(name for name in MEASURES if name not in MEDIANS)
# of a margin that is one: the draws are rounded to fewer digits than less would need
LEAST = 1e-6
PASSED, FAILED, NO_ANSWER = 0, 1, 2


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """What was typed; leaves with status 2 where that makes no sense."""
    say = argparse.ArgumentParser(
        prog="./run compare",
        description="Compare two finished runs on the same queries: is B better than A, or worse?",
        epilog="Exit status: 0 where B passes or nothing is asked, 1 where it does not pass, 2 "
        "where the two cannot be compared. Example: ./run compare production/results/mine/clip/"
        "plain/cosine results/mine/clip/photo/cosine --fail-unless not-worse --margin 1 --to out",
        allow_abbrev=False,
    )
    run = "results/<dataset>/<model>/<prompt>/<scorer>"
    say.add_argument("a", metavar="A", type=Path, help=f"the run in production: {run}")
    say.add_argument("b", metavar="B", type=Path, help="the new run, on the same queries")
    gate = say.add_mutually_exclusive_group()
    gate.add_argument(
        "--fail-if", choices=["worse"],
        help="exit with 1 where B is clearly worse than A, by more than the margin",
    )  # fmt: skip
    gate.add_argument(
        "--fail-unless", choices=["not-worse"],
        help="exit with 1 unless B is shown to be no more than the margin worse",
    )  # fmt: skip
    say.add_argument(
        "--margin", type=_margin, metavar="POINTS",
        help="how much worse is not too much: percentage points of a share, else in the unit of "
        "the metric (default: 0; --fail-unless needs one above 0)",
    )  # fmt: skip
    say.add_argument(
        "--metric", choices=METRICS, default="mean", metavar="NAME",
        help=f"what decides, over both directions: {', '.join(METRICS)} (default: mean, the mean "
        "of Recall@1, @5 and @10)",
    )  # fmt: skip
    say.add_argument(
        "--to", type=Path, metavar="FOLDER",
        help="where compare.md and compare.json go (default: the Markdown to standard output)",
    )  # fmt: skip
    say.add_argument("--language", choices=LANGUAGES, default="en", help="default: en")
    typed = say.parse_args(words)
    if typed.margin is not None and not (typed.fail_if or typed.fail_unless):
        say.error("--margin goes with --fail-if worse or --fail-unless not-worse")
    if typed.fail_unless and not typed.margin:
        say.error(
            "--fail-unless not-worse needs a --margin above 0: no data can show that B is not the "
            "least bit worse, only that it is worse by less than that"
        )
    return typed


def _margin(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if value != 0 and not LEAST <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: 0, or a number from {LEAST} up, such as 1")
    return value


def compared(typed: argparse.Namespace) -> int:
    """Hold B against A, tell what was found, and answer; raises ``BadInput``."""
    from scripts.compare.comparison import FAIL_IF, FAIL_UNLESS, NotAlike, comparison_of
    from scripts.compare.text import Text

    text = Text(typed.language)
    files = [typed.to / f"compare.{kind}" for kind in ("md", "json")] if typed.to else []
    for path in files:
        # an answer of before is none of what now may have none
        path.unlink(missing_ok=True)
    gate = None
    if typed.fail_if or typed.fail_unless:
        gate = FAIL_IF if typed.fail_if else FAIL_UNLESS
    try:
        found = comparison_of(typed.a, typed.b, typed.metric, gate, typed.margin or 0.0)
    except NotAlike as error:
        print(text.not_alike(error.differences), file=sys.stderr)
        return NO_ANSWER
    if files:
        with whole(files[0]) as draft:
            draft.write_text(text.markdown(found), "utf-8")
        write_json(files[1], found)
    else:
        # at once, so that the summary follows where both go to one log
        print(text.markdown(found), end="", flush=True)
    print(text.summary(found, files[0] if files else None), file=sys.stderr)
    return PASSED if found["gate"] is None or found["gate"]["passed"] else FAILED


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    typed = arguments(words)
    answers = []

    def work() -> int:
        answers.append(compared(typed))
        return 0

    try:
        # an error is no answer, and must not be taken for one
        return NO_ANSWER if ended(work) else answers[0]
    except KeyboardInterrupt:
        return 130
    except Exception:
        print(f"ERROR: unexpected, please report it\n{traceback.format_exc()}", file=sys.stderr)
        return NO_ANSWER


if __name__ == "__main__":
    sys.exit(main())
