"""Each scorer against the first one, on the same queries: what a way of scoring brings."""

from scripts.job import run
from scripts.studies.comparisons import comparison_rows, read_pairs
from scripts.studies.table import write_rows


def main(snakemake) -> None:
    """Unpack the job."""
    found = comparison_rows(read_pairs(snakemake.input.pairs), "scorer")
    write_rows(snakemake.output.table, found)


if __name__ == "__main__":
    run(main, snakemake)
