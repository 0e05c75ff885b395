"""Features as transformers alone gives them, one picture or sentence at a time, to compare with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch


def unit(rows: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(rows, dim=-1).numpy()


def model_of(folder: Path):
    """The model as transformers loads it; AIMv2's texts are causal with a mask of each."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    made = getattr(transformers, (config.architectures or ["AutoModel"])[0])
    attention = {"attn_implementation": "eager"} if config.model_type == "aimv2" else {}
    return made.from_pretrained(folder, **attention).eval()


def features_of(model, side: str, **inputs) -> torch.Tensor:
    """Features (b, dim) of "text" or "image" inputs, by the model's own projections."""
    if type(model).__name__ == "BlipForImageTextRetrieval":
        tower = model.text_encoder if side == "text" else model.vision_model
        projection = model.text_proj if side == "text" else model.vision_proj
        return projection(tower(**inputs).last_hidden_state[:, 0])
    flava = getattr(model, "flava", model)
    rows = getattr(flava, f"get_{side}_features")(**inputs).pooler_output
    # FLAVA projects every place, of which its contrastive loss reads the first
    return rows[:, 0] if rows.ndim == 3 else rows


def reference(
    folder: Path, images: list, texts: list[str], limit: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows from transformers alone, each image and text by itself; ``limit`` is of tokens."""
    from transformers import AutoTokenizer
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    model = model_of(folder)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text_config = model.config.text_config
    siglip = model.config.model_type in ("siglip", "siglip2")
    roberta = model.config.model_type == "altclip"
    positions = text_config.max_position_embeddings - 2 * roberta
    image_rows, text_rows = [], []
    with torch.no_grad():
        for image in images:
            pixels = processor(image, return_tensors="pt")
            image_rows.append(features_of(model, "image", **pixels)[0])
        for text in texts:
            tokens = tokenizer(
                text.lower() if siglip else text,
                padding="max_length" if siglip else False,
                truncation=True,
                max_length=limit or min(tokenizer.model_max_length, positions),
                return_tensors="pt",
            )
            # a sentence alone; not every tower takes its number
            tokens.pop("token_type_ids", None)
            text_rows.append(features_of(model, "text", **tokens)[0])
    return unit(torch.stack(image_rows)), unit(torch.stack(text_rows))


def ours(encoder, images: list, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    pixels = encoder.batch_of_images([encoder.preprocess(image) for image in images])
    return (
        encoder.encode_images(pixels).numpy(),
        encoder.encode_texts(encoder.tokenize(texts)).numpy(),
    )


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one.astype(np.float64) * other).sum(axis=1)
