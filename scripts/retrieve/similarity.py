"""Rank the gallery for every query, in both directions."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.encode.stored import read_side_by_side
from scripts.job import BadInput, log
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.retrieve.arrays import Arrays, made_anew, read_arrays, write_arrays
from scripts.retrieve.ranking import BLOCKS, Blocks, Part, Relevant, merged, rank_part
from scripts.retrieve.scorers import load_scorer, transform

KEYS = (
    "rows",
    "text_to_image_rank", "text_to_image_score", "text_to_image_tied",
    "text_to_image_top", "text_to_image_top_score",
    "image_to_text_rank", "image_to_text_tied", "image_to_text_top", "image_to_text_top_score",
)  # fmt: skip


def right_images(rows: Rows) -> Relevant:
    """(m, n): each caption's image, the one right answer to it."""
    m, n = len(rows.captions), len(rows.images)
    return Relevant(np.arange(m + 1), rows.image_of_caption, (m, n))


def right_captions(rows: Rows) -> Relevant:
    """(n, m): all captions of each image; entries are stored in the order of the captions."""
    m, n = len(rows.captions), len(rows.images)
    starts = np.searchsorted(rows.image_of_caption, np.arange(n + 1))
    return Relevant(starts, np.arange(m), (n, m))


def rankings_of(
    images: np.ndarray,
    texts: np.ndarray,
    rows: Rows,
    scorer: Arrays,
    k: int,
    blocks: Blocks = BLOCKS,
) -> Arrays:
    """Ranks and top-K lists of both directions, under the names they have in rankings.npz.

    Parameters
    ----------
    images : (n, d) float32, in the order of ``rows.images``; several models' side by side
    texts : (m, d) float32, in the order of ``rows.captions``; likewise
    rows : which captions belong to which image
    scorer : what ``scorers.fit`` gave
    k : length of the lists
    blocks : of scores
    """
    features = {"images": images, "texts": texts}
    return gathered([part_of(features, rows, scorer, k, (0, 1), blocks)], rows, k)


def part_of(
    features: Mapping[str, np.ndarray],
    rows: Rows,
    scorer: Arrays,
    k: int,
    shard: tuple[int, int],
    blocks: Blocks = BLOCKS,
) -> Arrays:
    """What one of several shards of either gallery adds to the rankings, for ``gathered``.

    Parameters
    ----------
    features : "images" and "texts"; these and all below as in ``rankings_of``
    rows, scorer, k, blocks : likewise
    shard : which one, from 0, of how many of about equal size
    """
    number, shards = shard
    arrays = {"rows": np.array(rows.digest), "shard": np.array(shard)}
    for direction in DIRECTIONS:
        queries, gallery = transform(scorer, **features, direction=direction)
        relevant = right_images(rows) if direction == "text_to_image" else right_captions(rows)
        own_rows = range(*(len(gallery) * edge // shards for edge in (number, number + 1)))
        part = rank_part(queries, gallery, relevant, k, own_rows, blocks)
        arrays |= {f"{direction}_{name}": array for name, array in vars(part).items()}
    return arrays


def gathered(parts: Sequence[Arrays], rows: Rows, k: int) -> Arrays:
    """The rankings that all shards add up to, whatever their number; see ``rankings_of``.

    Parameters
    ----------
    parts : what ``part_of`` gave for each shard
    rows : which captions belong to which image
    k : length of the lists
    """
    by_text, by_image = (
        merged([_part(part, direction) for part in parts], k) for direction in DIRECTIONS
    )
    return {
        "rows": np.array(rows.digest),
        "text_to_image_rank": by_text.rank,
        "text_to_image_score": by_text.score,
        "text_to_image_tied": by_text.tied,
        "text_to_image_top": by_text.top,
        "text_to_image_top_score": by_text.top_score,
        "image_to_text_rank": by_image.rank,
        "image_to_text_tied": by_image.tied,
        "image_to_text_top": by_image.top,
        "image_to_text_top_score": by_image.top_score,
    }


def _part(arrays: Arrays, direction: str) -> Part:
    return Part(*(arrays[f"{direction}_{field.name}"] for field in fields(Part)))


def write_rankings(path: str | Path, rankings: Arrays) -> None:
    """Write rankings.npz; equal arrays give equal bytes."""
    write_arrays(path, rankings)


def read_rankings(path: str | Path, rows: Rows) -> Arrays:
    """Read rankings.npz; raises ``BadInput`` where it is damaged or made for other rows."""
    rankings = read_arrays(path, "rankings")
    if not set(KEYS) <= set(rankings):
        raise BadInput(path, f"{sorted(rankings)}", f"the arrays {sorted(KEYS)}", made_anew(path))
    if str(rankings["rows"]) != rows.digest:
        raise BadInput(
            path,
            "rankings of another list of images and captions",
            "this dataset's",
            made_anew(path),
        )
    return rankings


def main(snakemake: Snakemake) -> None:
    """Unpack the job: all of the rankings, or the shard that its wildcards name."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    images, _ = read_side_by_side(files.images, files.images_sidecars, rows, of="images")
    texts, _ = read_side_by_side(files.texts, files.texts_sidecars, rows, of="captions")
    log.info("ranking %d images and %d captions both ways", len(images), len(texts))
    scorer, blocks = load_scorer(files.scorer), Blocks(params.block_mb, params.device)
    shard = getattr(snakemake.wildcards, "shard", None)
    if shard is None:
        rankings = rankings_of(images, texts, rows, scorer, params.top_k, blocks)
        write_rankings(snakemake.output.rankings, rankings)
    else:
        which = int(shard), params.shards
        features = {"images": images, "texts": texts}
        part = part_of(features, rows, scorer, params.top_k, which, blocks)
        write_arrays(snakemake.output.part, part)


if __name__ == "__main__":
    run(main, snakemake)
