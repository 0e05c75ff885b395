"""What a small run made, to be held against what another one made."""

from __future__ import annotations

from pathlib import Path

RUN = "results/scenes"
SMALL = ("--configfile", "config/small.yaml")
# steps of each environment, and fewer of each
FEW = (*SMALL, "config/few.yaml")
TIMED = ("costs", "steps", "index_costs")
# rows of other runs change them, too: several differences are judged together
OF_ALL_RUNS = ("metrics", "pairs")


def outcome(folder: Path) -> dict[str, bytes]:
    """By path: tables but those of times, features, what scorers have chosen, ranks, indexes."""
    run = folder / RUN
    kinds = ("tables/*.csv", "*/*/*.npy", "*/*/*/*.npy", "*/*/*/*.npz", "*/*/*/index.*")
    paths = [path for kind in kinds for path in run.glob(kind) if path.stem not in TIMED]
    return {str(path.relative_to(run)): path.read_bytes() for path in paths}


def assert_part_of(few: Path, whole: Path) -> None:
    """A run with ``FEW`` made the bytes that the small run has, and its rows of ``metrics``."""
    found, expected = outcome(few), outcome(whole)
    assert len(found) > 5 and set(found) < set(expected)
    other = {f"tables/{name}.csv" for name in OF_ALL_RUNS}
    assert [name for name in set(found) - other if found[name] != expected[name]] == []
    rows, of_whole = (made["tables/metrics.csv"].splitlines() for made in (found, expected))
    assert len(rows) > 2 and set(rows) < set(of_whole)
