"""Score the first K of each list by a model that reads picture and sentence together.

Both directions share their pairs, and pairs of the same picture and the same words are one: so
equal captions have equal scores, whatever stands beside them. What was scored is kept by blocks of
pictures beside the result until that is whole, and an interrupted job goes on from there.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scripts.data.ahead import map_ahead
from scripts.data.prepared import read_checksums, read_image
from scripts.data.rows import Rows, read_rows
from scripts.encode.features import batches
from scripts.encode.stored import read_side_by_side
from scripts.job import log, progress, write_json
from scripts.jobs import Snakemake, run
from scripts.models.cross_encoders import CrossEncoder, load_cross_encoder
from scripts.models.folder import verify_model
from scripts.protocol import DIRECTIONS
from scripts.retrieve.arrays import read_arrays, write_arrays
from scripts.retrieve.reranking import (
    NONE,
    Looked,
    first_look,
    queries_of,
    relevant_of,
    write_looked,
)
from scripts.retrieve.scorers import load_scorer, transform

# pictures whose scores are kept together
BLOCK = 16


@dataclass(frozen=True)
class Contents:
    """What differs among pictures and captions: equal ones are one.

    Attributes
    ----------
    pictures : file and sha256 of each
    texts : of each
    picture_of : (n,) int64, of each image
    text_of : (m,) int64, of each caption
    """

    pictures: list[tuple[Path, str]]
    texts: list[str]
    picture_of: np.ndarray
    text_of: np.ndarray

    def pairs_of(self, images: np.ndarray, captions: np.ndarray) -> np.ndarray:
        """A number for each pair, ascending by picture."""
        return self.picture_of[images] * len(self.texts) + self.text_of[captions]


def contents_of(rows: Rows, folder: Path, sha256: list[str]) -> Contents:
    """What there is to read, from the images in ``folder`` with their checksums."""
    files: dict[str, Path] = {}
    for image, digest in zip(rows.images, sha256, strict=True):
        files.setdefault(digest, folder / image)
    place = {digest: number for number, digest in enumerate(files)}
    texts = {text: number for number, text in enumerate(dict.fromkeys(rows.captions))}
    return Contents(
        [(path, digest) for digest, path in files.items()],
        [*texts],
        np.array([place[digest] for digest in sha256]),
        np.array([texts[text] for text in rows.captions]),
    )


def second_look(
    looked: dict[str, Looked],
    rows: Rows,
    contents: Contents,
    score: Callable[[np.ndarray], np.ndarray],
) -> dict[str, Looked]:
    """Fill in the second scores of both directions.

    Parameters
    ----------
    looked : by direction, of ``first_look``
    rows : that they are of
    contents : of ``rows``
    score : from distinct pairs (p,), ascending, to their scores (p,) float32
    """
    asked: list[np.ndarray] = []
    for way in DIRECTIONS:
        relevant, wrong = relevant_of(rows, way), looked[way].wrong
        queries = np.repeat(np.arange(len(wrong)), wrong.shape[1])
        for some, items in ((queries, wrong.ravel()), (queries_of(relevant), relevant.indices)):
            there = items != NONE
            sides = (items, some) if way == "text_to_image" else (some, items)
            asked.append(contents.pairs_of(*(side[there] for side in sides)))
    pairs, place = np.unique(np.concatenate(asked), return_inverse=True)
    found = np.split(score(pairs)[place], np.cumsum([len(one) for one in asked])[:-1])
    filled = {}
    for number, way in enumerate(DIRECTIONS):
        wrong = looked[way].wrong_second.copy()
        wrong[looked[way].wrong != NONE] = found[2 * number]
        filled[way] = replace(looked[way], wrong_second=wrong, second=found[2 * number + 1])
    return filled


class PairScorer:
    """Scores pairs, and keeps what it has scored until all of it is there.

    Attributes
    ----------
    pairs : that were scored
    seconds : that they took, also in a job that was interrupted
    """

    def __init__(
        self,
        encoder: CrossEncoder,
        contents: Contents,
        kept: Path,
        batch_size: int,
        workers: int,
    ) -> None:
        """Score pairs of ``contents`` by ``encoder``.

        Parameters
        ----------
        encoder : of the scores
        contents : pictures and texts
        kept : folder for what was scored, of a name that tells all that it depends on
        batch_size : texts at once
        workers : pictures at once, each on a thread
        """
        self.encoder, self.contents, self.kept = encoder, contents, kept
        self.batch_size, self.workers = batch_size, workers
        self.pairs, self.seconds = 0, 0.0

    def __call__(self, pairs: np.ndarray) -> np.ndarray:
        """Scores (p,) float32 of ``Contents.pairs_of`` numbers, distinct and ascending."""
        count = len(self.contents.texts)
        read = self.encoder.read(self.contents.texts)
        pictures, starts = np.unique(pairs // count, return_index=True)
        ends = np.append(starts[1:], len(pairs))
        scores = np.empty(len(pairs), dtype=np.float32)

        def of_picture(place: int) -> tuple[int, np.ndarray]:
            path, sha256 = self.contents.pictures[pictures[place]]
            seen = self.encoder.see(read_image(path, sha256))
            texts = [read[pair % count] for pair in pairs[starts[place] : ends[place]]]
            # those of like length together, to pad little
            order = sorted(range(len(texts)), key=lambda text: len(texts[text]))
            found = np.empty(len(texts), dtype=np.float32)
            for some in batches(order, self.batch_size):
                found[some] = self.encoder.scores(seen, [texts[text] for text in some])
            return place, found

        blocks = [*batches(range(len(pictures)), BLOCK)]
        with ThreadPoolExecutor(self.workers) as pool:
            for number, places in enumerate(progress(blocks, "pictures", unit="blocks")):
                part = slice(starts[places[0]], ends[places[-1]])
                path = self.kept / f"{number:06d}.npz"
                if not path.is_file():
                    began = time.perf_counter()
                    found = dict(map_ahead(pool, of_picture, places, window=2 * self.workers))
                    together = np.concatenate([found[place] for place in places])
                    took = np.array(time.perf_counter() - began)
                    write_arrays(path, {"scores": together, "seconds": took})
                block = read_arrays(path, "scores of pairs")
                scores[part] = block["scores"]
                self.pairs += len(block["scores"])
                self.seconds += float(block["seconds"])
        return scores


def key_of(looked: dict[str, Looked], *others: object) -> str:
    """A digest of the pairs of ``looked`` and of whatever else their scores depend on."""
    together = hashlib.sha256(json.dumps(others).encode())
    for way in DIRECTIONS:
        together.update(looked[way].wrong.tobytes())
    return together.hexdigest()[:16]


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params, output = snakemake.input, snakemake.params, snakemake.output
    split = snakemake.wildcards.split
    rows = read_rows(files.captions, files.splits, split)
    images, _ = read_side_by_side(files.images, files.images_sidecars, rows, of="images")
    texts, _ = read_side_by_side(files.texts, files.texts_sidecars, rows, of="captions")
    scorer = load_scorer(files.scorer)
    looked = {
        way: first_look(
            *transform(scorer, images, texts, way), relevant_of(rows, way), params.depth
        )
        for way in DIRECTIONS
    }
    contents = contents_of(rows, Path(files.pictures), read_checksums(files.table, rows.images))
    about = verify_model(Path(files.reranker))
    encoder = load_cross_encoder(Path(files.reranker).parent, params.device, params.precision)
    import torch

    # a picture for each thread: one that several share would add up otherwise with another number
    torch.set_num_threads(1)
    batch_size = encoder.at_once if params.batch_size == "auto" else params.batch_size
    kept = Path(f"{output.scores}.parts")
    key = key_of(
        looked, rows.digest, about["files"], params.code, encoder.precision, encoder.device.type
    )
    score = PairScorer(encoder, contents, kept / key, batch_size, snakemake.threads)
    looked = second_look(looked, rows, contents, score)
    write_looked(output.scores, looked, rows)
    each = score.seconds / score.pairs
    log.info("%d pairs of %s, %.2g s each", score.pairs, split, each)
    write_json(
        output.cost,
        {
            "pairs": score.pairs,
            "seconds_per_pair": each,
            "device": encoder.device.type,
            "precision": encoder.precision,
        },
    )
    shutil.rmtree(kept)


if __name__ == "__main__":
    run(main, snakemake)
