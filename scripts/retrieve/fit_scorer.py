"""Fit one scorer of the config; cosine has nothing to fit."""

from scripts.job import run
from scripts.retrieve.scorers import fit, save_scorer


def main(snakemake) -> None:
    """Unpack the job."""
    params = dict(snakemake.params.entry)
    kind = params.pop("kind")
    save_scorer(snakemake.output.scorer, fit(kind, params, banks={}))


if __name__ == "__main__":
    run(main, snakemake)
