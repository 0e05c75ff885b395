"""What jobs that encode do: take what another has laid down for them, or load the model.

See ``shelf``, which says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.encode.features import open_encoder, precision_of, read_shard
from scripts.encode.shelf import Place, Wanted, wanted_like
from scripts.job import BadInput, log
from scripts.jobs import Snakemake, measured
from scripts.models.encoders import Encoder

# what takes longer gains little from a model that is loaded, and may as well be done side by side
SECONDS = 60
# images, with their captions, by which it is seen how long all take
FEW = 16

# what a model gives for rows, by name, computed by so many threads
Make = Callable[[Encoder, Rows, Wanted, int], dict[str, np.ndarray]]
Write = Callable[[Snakemake, dict[str, np.ndarray], Rows], None]


def _timed(
    make: Make, encoder: Encoder, rows: Rows, wanted: Wanted, threads: int
) -> dict[str, np.ndarray]:
    """What ``make`` gives, and the "seconds" that it took, whichever job it is for."""
    start = time.perf_counter()
    made = make(encoder, rows, wanted, threads)
    return {**made, "seconds": np.array(time.perf_counter() - start)}


def encode_own(snakemake: Snakemake, make: Make, write: Write) -> Encoder | None:
    """What a job is for: write what lies there for it, or what ``make`` gives.

    Returns the encoder, where one was loaded.
    """
    own = Wanted.of_job(snakemake)
    rows = read_shard(snakemake.input, snakemake.wildcards, snakemake.params.shard_size)
    precision = precision_of(snakemake.input, snakemake.params)
    place = Place(own, precision)
    with place.claimed(wait=True):
        made = place.take()
        encoder = None
        if made is None:
            model, device = snakemake.input.model, snakemake.params.device
            encoder = open_encoder(Path(model), device, precision, snakemake.threads)
            made = _timed(make, encoder, rows, own, snakemake.threads)
        else:
            log.info("encoded by another job, which had the model loaded")
        write(snakemake, made, rows)
        items = rows.images if own.side == "images" else rows.captions
        measured(items=len(items), seconds=round(float(made["seconds"]), 3))
    return encoder


def go_on(
    snakemake: Snakemake, encoder: Encoder, makers: Mapping[str, Make], waited_for: bool = False
) -> None:
    """Encode what other jobs want of the model that this one has loaded, by their ``side``.

    Of jobs that wait for this one (``waited_for``), only what nothing else could go on beside.
    """
    # seconds for an image, or for its captions under one template
    pace: dict[str, float] = {}
    for wanted in wanted_like(snakemake):
        if wanted.side not in makers or (waited_for and not wanted.alone):
            continue
        # what is wrong with it, its own job will say; and a full disk spoils nothing of this one's
        with suppress(BadInput, OSError):
            place = Place(wanted, encoder.precision)
            with place.claimed(wait=False) as claimed:
                if claimed and not place.served:
                    make = makers[wanted.side]
                    _lay_down(place, wanted, encoder, make, snakemake.threads, pace)


def _lay_down(
    place: Place,
    wanted: Wanted,
    encoder: Encoder,
    make: Make,
    threads: int,
    pace: dict[str, float],
) -> None:
    rows = read_rows(wanted.files["captions"], wanted.files["splits"], wanted.split)
    times = len(wanted.settings.get("templates", ("",)))
    if wanted.side not in pace and len(rows.images) > FEW:
        start = time.monotonic()
        make(encoder, rows.shard(0, FEW), wanted, threads)
        pace[wanted.side] = (time.monotonic() - start) / FEW / times
    if pace.get(wanted.side, 0) * len(rows.images) * times > SECONDS:
        return
    what = wanted.prompt or wanted.side
    log.info("the model is loaded: encoding %s of %s, too", what, wanted.split)
    place.put(**_timed(make, encoder, rows, wanted, threads))
