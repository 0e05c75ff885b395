"""Text features of one split under one prompt, one template or an ensemble of several."""

from itertools import groupby
from pathlib import Path

import numpy as np

from scripts.data.rows import Rows
from scripts.encode.ensembles import normalised_mean
from scripts.encode.features import (
    BLOCK,
    batch_of,
    batches,
    encoded,
    write_features,
)
from scripts.encode.loaded import encode_own, go_on
from scripts.encode.shelf import Wanted
from scripts.job import BadInput, log, progress
from scripts.jobs import Snakemake, run
from scripts.models.encoders import Encoder


def encode_prompt(
    encoder: Encoder,
    captions: list[str],
    templates: list[str],
    batch_size: int,
    blocks: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows (m, d) float32 of ``captions`` under a prompt, and which were cut.

    Parameters
    ----------
    encoder : of the features
    captions : m captions; equal ones of a block are encoded once
    templates : texts with one "{}", which the caption fills. Of several, a caption's row is the
        normalised mean of its rows under each (Radford et al. 2021, section 3.1.4)
    batch_size : texts in the model at once
    blocks : (m,) integers, non-decreasing; captions of different blocks never share a batch. The
        last bits of a row depend on its batch, and so on its block alone. None is one block

    Returns
    -------
    features : (m, d) float32
    cut : (m,) bool, captions that lost their end at the context length, under any template
    """
    if blocks is None:
        blocks = np.zeros(len(captions), dtype=np.int64)
    keys = list(zip(blocks.tolist(), captions, strict=True))
    row_of_key = {key: row for row, key in enumerate(dict.fromkeys(keys))}
    row_of_caption = np.array([row_of_key[key] for key in keys], dtype=np.int64)
    block_of_row = np.array([block for block, _ in row_of_key], dtype=np.int64)
    unique = [caption for _, caption in row_of_key]
    cut = np.zeros(len(unique), dtype=bool)

    def under(template: str) -> np.ndarray:
        # not str.format: captions and templates may hold other braces
        texts = [template.replace("{}", caption) for caption in unique]
        lengths = np.array(encoder.lengths(texts))
        np.logical_or(cut, lengths > encoder.context_length, out=cut)
        return encode_texts(encoder, texts, lengths, batch_size, block_of_row, template)

    features = normalised_mean(map(under, templates), unique, templates)
    return features[row_of_caption], cut[row_of_caption]


def encode_captions(
    encoder: Encoder,
    captions: list[str],
    templates: list[str],
    batch_size: int,
    blocks: np.ndarray | None = None,
) -> tuple[np.ndarray, int]:
    """As ``encode_prompt``, but how many were cut."""
    features, cut = encode_prompt(encoder, captions, templates, batch_size, blocks)
    return features, int(cut.sum())


def encode_texts(
    encoder: Encoder,
    texts: list[str],
    lengths: np.ndarray,
    batch_size: int,
    blocks: np.ndarray,
    what: str = "texts",
) -> np.ndarray:
    """Unit rows (m, d) float32 of ``texts``; those of like length share a batch, to pad little.

    ``lengths`` (m,) are their tokens, ``blocks`` (m,) non-decreasing; ``what`` names the progress
    bar.
    """
    features = np.empty((len(texts), encoder.dim), dtype=np.float32)
    # longest first: a batch too large for the device's memory fails early
    order = np.lexsort((-lengths, blocks))
    together = [
        batch
        for _, block in groupby(order, key=lambda row: blocks[row])
        for batch in batches(block, batch_size)
    ]
    tokens = (encoder.tokenize([texts[row] for row in batch]) for batch in together)
    rows = encoded(encoder, "texts", tokens)
    for batch, part in zip(progress(together, what, unit="batches"), rows, strict=True):
        features[batch] = part
    return features


def check_templates(templates: list[str], prompt: str) -> None:
    """Raise ``BadInput`` unless each template has one place for the caption."""
    for template in templates:
        if template.count("{}") != 1:
            raise BadInput(
                f"prompts.{prompt}",
                repr(template),
                'text with "{}" once, where the caption goes',
                'write the template as "a photo of {}"',
            )
    if not templates:
        raise BadInput(f"prompts.{prompt}", "no template", "one or more", 'write ["{}"]')


def features_of(
    encoder: Encoder, rows: Rows, wanted: Wanted, threads: int
) -> dict[str, np.ndarray]:
    """What a job makes of its captions: "features" and "cut" of ``encode_prompt``, and how."""
    templates, setting = wanted.settings["templates"], wanted.settings["batch_size"]
    # by images, so that a shard of whole blocks is encoded as it is in its split
    blocks = rows.image_of_caption // (BLOCK if setting == "auto" else int(setting))
    batch_size = batch_of(encoder, "texts", setting)
    features, cut = encode_prompt(encoder, rows.captions, templates, batch_size, blocks)
    how = {"device": encoder.device.type, "precision": encoder.precision}
    how["context_length"] = str(encoder.context_length)
    return {
        "features": features,
        "cut": cut,
        **{name: np.array(told) for name, told in how.items()},
    }


def write_texts(snakemake: Snakemake, made: dict[str, np.ndarray], rows: Rows) -> None:
    """Write a job's features, with how many captions were cut."""
    truncated = int(made["cut"].sum())
    if truncated:
        log.warning(
            "%d of %d captions are longer than the model's %s tokens and were cut",
            truncated,
            len(rows.captions),
            made["context_length"],
        )
    write_features(
        Path(snakemake.output.features),
        Path(snakemake.output.sidecar),
        made["features"],
        rows,
        Path(snakemake.input.model),
        device=str(made["device"]),
        precision=str(made["precision"]),
        templates=list(snakemake.params.templates),
        truncated=truncated,
        # by row, so that an ensemble of this template knows its own
        cut=np.flatnonzero(made["cut"]).tolist(),
    )


def main(snakemake: Snakemake) -> None:
    check_templates(list(snakemake.params.templates), snakemake.wildcards.prompt)
    encoder = encode_own(snakemake, features_of, write_texts)
    if encoder and not hasattr(snakemake.wildcards, "shard"):
        go_on(snakemake, encoder, {"texts": features_of})


if __name__ == "__main__":
    run(main, snakemake)
