"""Captions to features: against the plain loop of transformers, at the same precision."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.race import Contender, claimed, faster, named, race
from benchmarks.sizes import Work

BATCH = 64


def ours(model: str, captions: str, precision: str, threads: int) -> Callable[[], np.ndarray]:
    from scripts.encode.encode_texts import encode_captions
    from scripts.encode.features import open_encoder

    encoder = open_encoder(Path(model), "cpu", precision, threads)
    texts = json.loads(Path(captions).read_text("utf-8"))
    encode_captions(encoder, texts[:BATCH], ["{}"], BATCH, None)
    return lambda: encode_captions(encoder, texts, ["{}"], BATCH, None)[0]


def padded_loop(
    model: str, captions: str, precision: str, threads: int, autocast: bool
) -> Callable[[], np.ndarray]:
    """Batches of 64 in the order in which captions come, each padded to the full context."""
    import torch
    from transformers import AutoTokenizer, CLIPModel

    torch.set_num_threads(threads)
    folder = Path(model).parent
    dtype = torch.float32 if autocast else getattr(torch, precision)
    clip = CLIPModel.from_pretrained(folder, dtype=dtype).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = json.loads(Path(captions).read_text("utf-8"))

    @torch.inference_mode()
    def encode(texts: list[str]) -> np.ndarray:
        rows = []
        for start in range(0, len(texts), BATCH):
            tokens = tokenizer(
                texts[start : start + BATCH],
                padding="max_length",
                truncation=True,
                max_length=77,
                return_tensors="pt",
            )
            with torch.autocast("cpu", getattr(torch, precision), enabled=autocast):
                made = clip.get_text_features(
                    input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
                ).pooler_output
            rows.append(torch.nn.functional.normalize(made.float(), dim=-1))
        return torch.cat(rows).numpy()

    encode(texts[: BATCH // 2])
    return lambda: encode(texts)


def measure(work: Work) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    texts = [text for image in work.captions[: work.size.text_images] for text in image]
    captions = work.folder / "captions.json"
    captions.write_text(json.dumps(texts), "utf-8")
    rows, claims = [], []
    for precision in work.size.precisions:
        given = {"model": str(work.model), "captions": str(captions)}
        given |= {"precision": precision, "threads": work.threads}
        kept = {who: work.folder / f"text.{precision}.{who}.npy" for who in ("ours", "loop")}
        module = "benchmarks.text"
        contenders = [
            Contender("ours", f"{module}:ours", given, kept["ours"]),
            Contender(
                "padded loop", f"{module}:padded_loop", given | {"autocast": False}, kept["loop"]
            ),
        ]
        if precision == "bfloat16":
            loop = given | {"autocast": True}
            contenders.append(Contender("padded loop, autocast", f"{module}:padded_loop", loop))
        own = race(
            "text", precision, contenders, work.size.rounds, len(texts), "captions", work.log
        )
        cosine = float(np.min(np.sum(np.load(kept["ours"]) * np.load(kept["loop"]), axis=1)))
        we = named(own, "ours")
        claims.append(faster("as fast as the padded loop", we, named(own, "padded loop"), 5))
        if precision == "float32":
            claims.append(
                claimed("smallest cosine with the padded loop's", we, [cosine], "", 0.99999)
            )
        else:
            than = named(own, "padded loop, autocast")
            claims.append(faster("as fast as the padded loop under autocast", we, than))
            claims.append(claimed("smallest cosine with the padded loop's", we, [cosine], ""))
        rows += own
    return rows, claims, [f"{len(texts)} captions: {work.source_of_captions}."]
