"""Add up the rankings of a gallery that was ranked shard by shard."""

from pathlib import Path

from scripts.data.rows import Rows, read_rows
from scripts.job import BadInput, log
from scripts.jobs import Snakemake, run
from scripts.retrieve.arrays import Arrays, made_anew, read_arrays
from scripts.retrieve.similarity import gathered, write_rankings


def read_parts(paths: list[str], rows: Rows) -> list[Arrays]:
    """What ``similarity.part_of`` gave for each shard, in their order.

    Raises ``BadInput`` where one is damaged, of other rows, or another shard than its place says.
    """
    parts = []
    for number, path in enumerate(paths):
        part = read_arrays(path, "a shard of rankings")
        expected = {"rows": rows.digest, "shard": [number, len(paths)]}
        found = {name: part[name].tolist() if name in part else None for name in expected}
        if found != expected:
            raise BadInput(Path(path), f"{found}", f"{expected}", made_anew(path))
        parts.append(part)
    return parts


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    parts = read_parts(list(files.parts), rows)
    log.info("%d shards of the gallery, both ways", len(parts))
    write_rankings(snakemake.output.rankings, gathered(parts, rows, params.top_k))


if __name__ == "__main__":
    run(main, snakemake)
