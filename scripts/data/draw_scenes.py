"""Draw the embedded dataset: pictures of scenes, five captions for each, and their split."""

import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

from scripts.data.download import manifest
from scripts.data.place import Place
from scripts.data.rows import SPLITS
from scripts.data.scene_captions import captions
from scripts.data.scene_pictures import draw
from scripts.data.scenes import Lot, scene
from scripts.job import progress, write_json
from scripts.jobs import Snakemake, run


def captions_of_scene(seed: int, split: str, index: int) -> list[str]:
    """The five captions of picture number ``index`` of a split, one for each of ``ASPECTS``."""
    return captions(scene(seed, split, index), Lot("captions", seed, split, index))


def image_name(split: str, index: int) -> str:
    """File name of picture number ``index`` of a split."""
    return f"{split}-{index:05d}.png"


def draw_scenes(entry: dict[str, Any], root: Path, processes: int = 1) -> None:
    """Fill ``root`` with ``images/``, ``captions.json`` and ``splits.json``.

    Parameters
    ----------
    entry : ``images`` (how many, for each split), ``size`` in pixels, ``seed``
    root : the folder; pictures that stand in it are removed
    processes : how many draw at once; the result does not depend on it
    """
    pictures = [(split, index) for split in SPLITS for index in range(entry["images"][split])]
    folder = root / "images"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = partial(_draw_one, entry["seed"], entry["size"], folder)
    # a fresh interpreter each: a fork would copy locks that another thread may hold
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_end_with_parent
    ) as workers:
        drawn = workers.map(job, pictures, chunksize=50)
        for _ in progress(drawn, "drawing", total=len(pictures), unit="pictures"):
            pass
    write_json(
        root / "captions.json",
        [
            {
                "image": image_name(split, index),
                "captions": captions_of_scene(entry["seed"], split, index),
            }
            for split, index in pictures
        ],
    )
    write_json(
        root / "splits.json",
        {
            split: [image_name(split, index) for index in range(entry["images"][split])]
            for split in SPLITS
        },
    )


def _end_with_parent() -> None:
    """Let a worker end when the job is killed: it would wait for pictures to draw for ever."""

    def watch(parent: BaseProcess) -> None:
        parent.join()
        os._exit(1)

    if parent := parent_process():
        Thread(target=watch, args=(parent,), daemon=True).start()


def _draw_one(seed: int, size: int, folder: Path, picture: tuple[str, int]) -> None:
    # PNG keeps every pixel; stronger compression costs more time than it saves bytes
    draw(scene(seed, *picture), size).save(folder / image_name(*picture), compress_level=3)


def main(snakemake: Snakemake) -> None:
    path = Path(snakemake.output.manifest)
    draw_scenes(snakemake.params.entry, path.parent, snakemake.threads)
    paths = ["captions.json", "images", "splits.json"]
    write_json(path, manifest("scenes", "folder", Place(path.parent), paths, official={}))


if __name__ == "__main__":
    run(main, snakemake)
