"""JPEG files to features: against the tower alone, the matrix product and a plain loop."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.race import Contender, claimed, faster, fastest, named, race
from benchmarks.sizes import Work

BATCH = 64


def ours(model: str, photos: list[str], precision: str, threads: int) -> Callable[[], np.ndarray]:
    from scripts.encode.encode_images import encode_images
    from scripts.encode.features import batch_of, open_encoder

    encoder = open_encoder(Path(model), "cpu", precision, threads)
    batch = batch_of(encoder, "images", "auto")
    paths = [Path(photo) for photo in photos]
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    encode_images(encoder, paths[:16], sums[:16], batch, threads)
    return lambda: encode_images(encoder, paths, sums, batch, threads)


def tower(
    model: str, photos: list[str], precision: str, threads: int, batch: int
) -> Callable[[], dict[str, Any]]:
    """The image tower alone, its pixels in memory: small batches side by side, each on one core, or
    (a ``batch`` of 64) one after another on all of them."""
    import torch
    from PIL import Image

    from scripts.encode.features import encoded, open_encoder

    encoder = open_encoder(Path(model), "cpu", precision, threads)
    if batch == BATCH:
        torch.set_num_threads(threads)
        encoder.batches_at_once = 1
    pixels = [encoder.preprocess(Image.open(photo)) for photo in photos]
    inputs = [
        torch.from_numpy(np.stack(pixels[start : start + batch]))
        for start in range(0, len(pixels), batch)
    ]

    def go(inputs: list[torch.Tensor]) -> dict[str, Any]:
        count = sum(len(rows) for rows in encoded(encoder, "images", inputs))
        return {"images": count}

    go(inputs[:2])
    return lambda: go(inputs)


def plain_loop(
    model: str, photos: list[str], precision: str, threads: int, autocast: bool
) -> Callable[[], np.ndarray]:
    """Batches of 64, opened and prepared by transformers' own processor, one after another."""
    import torch
    from PIL import Image
    from transformers import CLIPModel
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    torch.set_num_threads(threads)
    folder = Path(model).parent
    dtype = torch.float32 if autocast else getattr(torch, precision)
    clip = CLIPModel.from_pretrained(folder, dtype=dtype).eval()
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")

    @torch.inference_mode()
    def encode(photos: list[str]) -> np.ndarray:
        rows = []
        for start in range(0, len(photos), BATCH):
            images = [Image.open(photo).convert("RGB") for photo in photos[start : start + BATCH]]
            pixels = processor(images, return_tensors="pt")["pixel_values"].to(dtype)
            with torch.autocast("cpu", getattr(torch, precision), enabled=autocast):
                made = clip.get_image_features(pixel_values=pixels).pooler_output
            rows.append(torch.nn.functional.normalize(made.float(), dim=-1))
        return torch.cat(rows).numpy()

    encode(photos[:16])
    return lambda: encode(photos)


def product(precision: str, threads: int, side: int) -> Callable[[], dict[str, Any]]:
    """One product of two square matrices, as fast as torch has it here."""
    import torch

    torch.set_num_threads(threads)
    dtype = getattr(torch, precision)
    left, right = (torch.randn(side, side).to(dtype) for _ in range(2))
    out = torch.empty(side, side, dtype=dtype)
    torch.mm(left, right, out=out)

    def go() -> dict[str, Any]:
        torch.mm(left, right, out=out)
        return {"side": side}

    return go


def operations(model: str) -> Callable[[], dict[str, Any]]:
    """Floating-point operations that the image tower needs for one image, as torch counts them."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from scripts.models.encoders import load_encoder

    encoder = load_encoder(Path(model).parent, "cpu", "float32")
    pixels = torch.zeros(1, 3, 224, 224)

    def go() -> dict[str, Any]:
        # the counter knows products of matrices, not the fused attention of a CPU
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            encoder.encode_images(pixels)
        return {"operations": counter.get_total_flops()}

    return go


def measure(work: Work) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    from benchmarks.material import draw_photos, make_open_clip

    size = work.size
    photos = [str(path) for path in draw_photos(work.folder / "photos", size.photos)]
    count = Contender("operations", "benchmarks.images:operations", {"model": str(work.model)})
    (counted,) = race("images", "", [count], 1, 1, "image", work.log)
    per_image = counted["facts"]["operations"]
    open_clip = str(make_open_clip(work.folder / "open_clip", work.model))
    rows, claims = [], []
    for precision in work.size.precisions:
        given = {"model": str(work.model), "photos": photos}
        given |= {"precision": precision, "threads": work.threads}
        ours_kept, by_them, loop_kept = (
            work.folder / f"images.{precision}.{who}.npy" for who in ("us", "open_clip", "loop")
        )
        module = "benchmarks.images"
        plain = precision == "float32"
        loop = "plain loop" if plain else "plain loop, autocast"
        contenders = [
            Contender("ours, from files", f"{module}:ours", given, ours_kept),
            Contender(
                "ours, by open_clip", f"{module}:ours", given | {"model": open_clip}, by_them
            ),
            Contender("tower, batches of 8", f"{module}:tower", given | {"batch": 8}),
            Contender("tower, batches of 64", f"{module}:tower", given | {"batch": BATCH}),
            Contender(loop, f"{module}:plain_loop", given | {"autocast": not plain}, loop_kept),
        ]
        own = race("images", precision, contenders, size.rounds, len(photos), "images", work.log)
        square = {"precision": precision, "threads": work.threads, "side": size.matrix}
        (limit,) = race(
            "images",
            precision,
            [Contender("matrix product", f"{module}:product", square)],
            max(5, size.rounds),
            2 * size.matrix**3 / 1e9,
            "GFLOP",
            work.log,
        )
        we = named(own, "ours, from files")
        alone = fastest([row for row in own if row["contender"].startswith("tower")])
        shares = [
            tower / whole for tower, whole in zip(alone["seconds"], we["seconds"], strict=True)
        ]
        claims.append(
            claimed("share of the tower's own speed", we, shares, "", 0.8 if plain else None)
        )
        # as many images as the product's operations would be
        most = limit["rate"] * 1e9 / per_image
        ours_of_limit = [len(photos) / seconds / most for seconds in we["seconds"]]
        tower_of_limit = [len(photos) / seconds / most for seconds in alone["seconds"]]
        goal = 0.75 if plain else None
        claims.append(claimed("share of the matrix product's speed", we, ours_of_limit, "", goal))
        claims.append(
            claimed("the tower's share of the matrix product's speed", we, tower_of_limit, "")
        )
        claims.append(faster(f"as fast as the {loop}", we, named(own, loop)))
        same = named(own, "ours, by open_clip")
        claims.append(faster("as fast by open_clip, of the same weights", same, we, 0.9))
        for who, kept in ((f"the {loop}'s", loop_kept), ("those by open_clip", by_them)):
            cosine = float(np.min(np.sum(np.load(ours_kept) * np.load(kept), axis=1)))
            claims.append(claimed(f"smallest cosine with {who}", we, [cosine], ""))
        rows += [*own, limit]
    weight = np.mean([Path(photo).stat().st_size for photo in photos]) / 1000
    notes = [
        f"{len(photos)} drawn JPEGs of 500 by 375 pixels, {weight:.0f} kB each.",
        f"The image tower needs {per_image / 1e9:.2f} GFLOP for an image.",
    ]
    return rows, claims, notes
