"""``kill -9`` at random moments: the same command again ends in what an undisturbed run makes."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
from harness import RUN, Begun, Victim, assert_same, wait_until

KILLS_OF_RUNS, KILLS_OF_JOBS = 21, 30
# of one rule, so that kills come to all of them
OF_ONE_RULE = 5


def killed_runs(victim: Victim, seed: int, kills: int) -> Counter[str]:
    """Kill Snakemake again and again, each time while the same command goes on; what was at work.

    The moment is drawn: so many jobs begun, and a while more. Half of the time what Snakemake
    started is killed with it, else the jobs go on as orphans and meet the next run.
    """
    random = np.random.default_rng(seed)
    met: Counter[str] = Counter()
    while met.total() < kills:
        begun = victim.start()
        jobs, pause = int(random.choice([0, 1, 1, 2, 2, 3])), float(random.uniform(0, 2.5))
        wait_until(lambda b=begun, n=jobs: b.ended or b.started_jobs() >= n)
        wait_until(lambda b=begun: b.ended, pause)
        at_work = [rule for _, rule in victim.jobs()]
        if begun.ended:
            begun.wait(0)
            # from the features again or from the ranks; the model is the dearer part
            again = ["clip-tiny"] if random.random() < 0.5 else ["clip-tiny/plain", "tables"]
            for name in again:
                shutil.rmtree(victim.folder / RUN / name)
            continue
        begun.kill(whole_group=random.random() < 0.5)
        met[" + ".join(sorted(at_work)) or "no job"] += 1
    return met


def killed_jobs(victim: Victim, begun: Begun, seed: int, kills: int) -> Counter[str]:
    """Kill job after job of a run that tries each again; which they were."""
    random = np.random.default_rng(seed)
    met: Counter[str] = Counter()
    while met.total() < kills and not begun.ended:
        wait_until(lambda: begun.ended or victim.jobs())
        wait_until(lambda: begun.ended, float(random.uniform(0, 0.4)))
        jobs = [(process, rule) for process, rule in victim.jobs() if met[rule] < OF_ONE_RULE]
        if jobs:
            process, rule = jobs[random.integers(len(jobs))]
            try:
                process.send_signal(signal.SIGKILL)
                process.wait(10)
            except psutil.Error:
                continue
            met[rule] += 1
    return met


def test_runs_and_jobs_killed_at_random_moments_end_as_if_nothing_had_been(
    undisturbed, tmp_path, capsys
):
    of_runs, of_jobs = Victim(tmp_path / "runs"), Victim(tmp_path / "jobs")
    met: dict[str, Counter[str]] = {"Snakemake": Counter(), "jobs": Counter()}

    def kill_runs():
        met["Snakemake"] = killed_runs(of_runs, 1, KILLS_OF_RUNS)
        of_runs.finish()

    def kill_jobs():
        seed = 2
        while met["jobs"].total() < KILLS_OF_JOBS:
            begun = of_jobs.start("--retries=99")
            left = KILLS_OF_JOBS - met["jobs"].total()
            met["jobs"] += killed_jobs(of_jobs, begun, seed, left)
            begun.wait(0)
            seed += 1
            if met["jobs"].total() < KILLS_OF_JOBS:
                shutil.rmtree(of_jobs.folder / RUN / "clip-tiny")
        of_jobs.finish()

    try:
        with ThreadPoolExecutor() as pool:
            for task in [pool.submit(kill_runs), pool.submit(kill_jobs)]:
                task.result()
    finally:
        of_runs.end()
        of_jobs.end()
    with capsys.disabled():
        for what, counts in met.items():
            words = ", ".join(f"{count} {rule}" for rule, count in counts.most_common())
            print(f"\nkills of {what}, by the rules at work: {counts.total()}: {words}", end="")
    assert met["Snakemake"].total() + met["jobs"].total() >= 50
    expected = undisturbed.outcome()
    assert len(expected) > 40
    assert_same(of_runs.outcome(), expected)
    assert_same(of_jobs.outcome(), expected)
