"""Fit one scorer of the config on train and val; cosine has nothing to fit."""

from scripts.jobs import Snakemake, run
from scripts.retrieve.banks import read_banks
from scripts.retrieve.scorers import fit, save_scorer


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    params = dict(snakemake.params.entry)
    kind = params.pop("kind")
    banks = read_banks(snakemake.input)
    save_scorer(snakemake.output.scorer, fit(kind, params, banks))


if __name__ == "__main__":
    run(main, snakemake)
