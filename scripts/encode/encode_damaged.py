"""Text features of captions damaged in several ways and to several degrees, all in one file."""

from pathlib import Path

from scripts.data.rows import read_rows
from scripts.encode.damage import damage
from scripts.encode.encode_texts import check_templates, encode_captions
from scripts.encode.features import batch_of, open_encoder, precision_of, write_features
from scripts.job import Snakemake, log, run


def damaged_captions(
    captions: list[str], kinds: list[str], strengths: list[float], seed: int
) -> tuple[list[dict[str, str | float]], list[str]]:
    """Every caption under every kind of damage at every strength.

    Parameters
    ----------
    captions : m captions
    kinds, strengths, seed : see ``damage``

    Returns
    -------
    variants : v entries "kind" and "strength", kind by kind
    texts : v * m, all captions of the first variant first
    """
    ways = [(kind, float(strength)) for kind in kinds for strength in strengths]
    texts = [damage(caption, *way, seed) for way in ways for caption in captions]
    return [{"kind": kind, "strength": strength} for kind, strength in ways], texts


def main(snakemake: Snakemake) -> None:
    given, params = snakemake.input, snakemake.params
    templates = list(params.templates)
    check_templates(templates, snakemake.wildcards.prompt)
    rows = read_rows(given.captions, given.splits, snakemake.wildcards.split)
    variants, texts = damaged_captions(
        rows.captions, list(params.kinds), list(params.strengths), params.seed
    )
    log.info("%d captions, damaged in %d ways", len(rows.captions), len(variants))
    model = Path(given.model)
    precision = precision_of(given, params)
    encoder = open_encoder(model, params.device, precision, snakemake.threads)
    # in one call, so that a text that several kinds of damage leave as it was is encoded once
    batch_size = batch_of(encoder, "texts", params.batch_size)
    features, truncated = encode_captions(encoder, texts, templates, batch_size)
    write_features(
        Path(snakemake.output.features),
        Path(snakemake.output.sidecar),
        features,
        rows,
        model,
        device=encoder.device.type,
        precision=encoder.precision,
        templates=templates,
        truncated=truncated,
        variants=variants,
        copies=len(variants),
        seed=params.seed,
    )


if __name__ == "__main__":
    run(main, snakemake)
