"""Build one index of the mapped galleries of a run, one for each direction."""

import numpy as np

from scripts.data.rows import read_rows
from scripts.encode.stored import read_side_by_side
from scripts.job import digest_of_file, log, read_json
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.retrieve.arrays import Arrays
from scripts.retrieve.indexes import adapted, build, write_index
from scripts.retrieve.kinds import GALLERY
from scripts.retrieve.scorers import load_scorer, map_gallery


def mapped_galleries(
    images: np.ndarray, texts: np.ndarray, scorer: Arrays
) -> dict[str, np.ndarray]:
    """The gallery of each direction, (n, d') float32.

    Parameters
    ----------
    images : (n, d) float32; several models' side by side
    texts : (m, d) float32, likewise
    scorer : what ``scorers.fit`` gave
    """
    sides = {"images": images, "texts": texts}
    return {way: map_gallery(scorer, sides[GALLERY[way]], way) for way in DIRECTIONS}


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    images, _ = read_side_by_side(files.images, files.images_sidecars, rows, of="images")
    texts, _ = read_side_by_side(files.texts, files.texts_sidecars, rows, of="captions")
    galleries = mapped_galleries(images, texts, load_scorer(files.scorer))
    kind, wanted = params.entry["kind"], {k: v for k, v in params.entry.items() if k != "kind"}
    scorer = digest_of_file(files.scorer)
    for direction, gallery in galleries.items():
        sidecars = files[f"{GALLERY[direction]}_sidecars"]
        log.info("%s: %d items of %d dimensions", direction, *gallery.shape)
        about = {
            "rows": rows.digest,
            "direction": direction,
            "scorer": scorer,
            "features": [read_json(path)["sha256"] for path in sidecars],
            "dimension": gallery.shape[1],
            "kind": kind,
            "wanted": wanted,
            "params": adapted(kind, wanted, *gallery.shape),
        }
        index, sidecar = snakemake.output[direction], snakemake.output[f"{direction}_sidecar"]
        write_index(index, sidecar, build(kind, wanted, gallery), about)


if __name__ == "__main__":
    run(main, snakemake)
