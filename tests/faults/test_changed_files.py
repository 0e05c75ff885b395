"""A file that is cut, emptied or swapped between two steps: told in words, and made right again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness import RUN, TARGETS, Victim, assert_same

TEST, RANKED = f"{RUN}/clip-tiny/test", f"{RUN}/clip-tiny/plain/cosine"
MODEL, DATA = "data/models/clip-tiny", "data/scenes"
FIGURE = f"{RUN}/figures/study.gallery.en.svg"


def cut(path: Path) -> None:
    """Lose the second half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_at_a_line(path: Path) -> None:
    """Lose the last line, and with it nothing that a reader of tables would miss."""
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def empty(path: Path) -> None:
    """Lose everything but the name."""
    path.write_bytes(b"")


def swap_captions(path: Path) -> None:
    """Give two images each other's captions: a file as good as the one before."""
    records = json.loads(path.read_text("utf-8"))
    first, second = records[0], records[-1]
    assert first["captions"] != second["captions"]
    first["captions"], second["captions"] = second["captions"], first["captions"]
    path.write_text(json.dumps(records), "utf-8")


def swap_with(other: str) -> Callable[[Path], None]:
    """Give two files of a folder each other's contents."""

    def swap(path: Path) -> None:
        one, two = path.read_bytes(), path.with_name(other).read_bytes()
        assert one != two
        path.write_bytes(two)
        path.with_name(other).write_bytes(one)

    return swap


@dataclass(frozen=True)
class Case:
    """Files, what happens to them, and what has to be made from them again."""

    damage: dict[str, Callable[[Path], None]]
    # files and folders taken away, so that the steps that read the damaged files have to run
    lacking: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


# without the model and what follows, so that training is not what takes the time
DATA_ONLY = ("data/models", "results/scenes")
CASES = [
    Case(
        {
            f"{TEST}/images.npy": cut,
            f"{TEST}/texts.plain.json": empty,
            f"{RANKED}/scorer.npz": empty,
        }
    ),
    Case({f"{TEST}/images.npy": swap_with("texts.plain.npy")}),
    Case(
        {f"{DATA}/captions.json": swap_captions, f"{DATA}/splits.json": empty},
        DATA_ONLY,
        (f"{DATA}/judgments.csv",),
    ),
    Case(
        {f"{DATA}/images.csv": cut_at_a_line},
        (*DATA_ONLY, f"{DATA}/splits.json"),
        (f"{DATA}/splits.json",),
    ),
    Case(
        {f"{DATA}/raw/captions.json": swap_captions},
        (*DATA_ONLY, f"{DATA}/captions.json"),
        (f"{DATA}/captions.json",),
    ),
    Case(
        {f"{DATA}/images/test-00000.png": swap_with("test-00001.png")},
        (f"{TEST}/images.npy",),
        (f"{TEST}/images.npy",),
    ),
    Case(
        {f"{MODEL}/model.safetensors": cut},
        (f"{TEST}/texts.plain.npy",),
        (f"{TEST}/texts.plain.npy",),
    ),
    Case({f"{RANKED}/rankings.npz": cut}),
    Case(
        {f"{RANKED}/metrics.json": cut, f"{RUN}/tables/gallery.csv": cut_at_a_line},
        (FIGURE,),
        (*TARGETS, FIGURE),
        ("--keep-going",),
    ),
]


def follow(advice: str, folder: Path) -> None:
    """Delete what the messages say, and nothing else."""
    told = re.findall(r"to do: +delete (.+?) and run again", advice)
    assert told, advice
    for path in {name for names in told for name in names.split(" and ")}:
        if path.startswith("the images folder"):
            path = f"{DATA}/images"
        remove(folder / path)


def remove(path: Path) -> None:
    """A file or a folder, if it is there still: Snakemake may have taken it."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def spoil_and_mend(victim: Victim, case: Case, expected: dict[str, bytes]) -> None:
    for file, damage in case.damage.items():
        damage(victim.folder / file)
    for name in case.lacking:
        remove(victim.folder / name)
    told = victim.fail(*case.targets, *case.options)
    for file in case.damage:
        assert re.search(f"ERROR in .*{re.escape(file)}", told), told
    follow(told, victim.folder)
    victim.finish(*case.targets)
    made = victim.outcome()
    if not case.targets or "tables" in case.targets:
        assert set(made) == set(expected)
    else:
        assert set(case.targets) <= set(made) <= set(expected) | {*case.targets}
    kept = {name: made[name] for name in made if name in expected}
    assert_same(kept, {name: expected[name] for name in kept})


def test_each_is_told_by_the_step_that_reads_it_and_made_right_by_following_the_message(
    undisturbed, tmp_path
):
    expected = undisturbed.outcome()

    def tried(number: int) -> str:
        case = CASES[number]
        victim = undisturbed.copy(tmp_path / f"clone {number}")
        try:
            spoil_and_mend(victim, case, expected)
        except AssertionError as error:
            return f"{', '.join(case.damage)}: {str(error)[-3000:]}"
        finally:
            victim.end()
        return ""

    # two at a time, as two cores can
    with ThreadPoolExecutor(2) as pool:
        wrong = [told for told in pool.map(tried, range(len(CASES))) if told]
    assert not wrong, "\n\n".join(wrong)
