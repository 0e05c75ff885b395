"""Two runs at once: one works, the other says so in words, and nothing is lost."""

from __future__ import annotations

import os
import signal

from harness import RUN, assert_same, check_words, wait_until
from patience import LONG


def test_of_two_runs_started_at_once_one_works_and_the_other_says_so(finished):
    expected = finished.outcome()
    (finished.folder / RUN / "clip-tiny/plain/cosine/rankings.npz").unlink()
    begun = [finished.start(), finished.start()]
    codes = [one.process.wait(LONG) for one in begun]
    assert sorted(codes) == [0, 1], begun[0].told + begun[1].told
    told = begun[codes.index(1)].told
    check_words(told)
    assert "Another run (process " in told and "Nothing was changed" in told
    assert "--unlock" not in told
    assert_same(finished.outcome(), expected)
    assert not finished.left_over()


def test_a_run_that_stands_still_is_not_taken_for_dead_and_a_dry_run_may_look_on(finished):
    expected = finished.outcome()
    rankings = finished.folder / RUN / "clip-tiny/plain/cosine/rankings.npz"
    rankings.unlink()
    first = finished.start()
    assert wait_until(lambda: first.started_jobs() > 0)
    os.killpg(first.process.pid, signal.SIGSTOP)
    try:
        told = finished.fail()
        assert f"process {first.process.pid} on " in told
        # a plan, a graph or a report may be asked for at any time
        assert "rule" in finished.start("--dry-run").wait(0)
        assert (finished.folder / ".snakemake/locks").exists()
    finally:
        os.killpg(first.process.pid, signal.SIGCONT)
    first.wait(0)
    assert_same(finished.outcome(), expected)


def test_a_run_that_was_interrupted_with_ctrl_c_goes_on(finished):
    expected = finished.outcome()
    for name in ("texts.plain.npy", "texts.plain.json"):
        (finished.folder / RUN / "clip-tiny/test" / name).unlink()
    begun = finished.start()
    assert wait_until(lambda: any(rule.startswith("encode") for _, rule in finished.jobs()))
    os.killpg(begun.process.pid, signal.SIGINT)
    assert begun.process.wait(LONG) != 0
    assert wait_until(lambda: not finished.processes(), 20)
    finished.finish()
    assert_same(finished.outcome(), expected)
