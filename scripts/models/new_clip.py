"""A small CLIP with random weights, and a tokenizer for it that is learnt from captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.job import BadInput, write_json

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

SHAPE = ("width", "layers", "heads")
START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
# of CLIP's own training images; any numbers near them serve
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
BICUBIC = 3


def write_new_clip(folder: Path, entry: dict[str, Any], captions: list[str]) -> None:
    """Write a CLIP that has learnt nothing yet into ``folder``, as ``save_pretrained`` would.

    Parameters
    ----------
    folder : where config.json, weights, tokenizer and preprocessor go
    entry : ``image_size``, ``patch_size``, ``width``, ``layers``, ``heads``, ``embedding_dim``,
        ``context_length``, ``vocabulary``, and where the text tower is of another shape
        ``text_width``, ``text_layers``, ``text_heads``; the weights are drawn from torch's global
        generator
    captions : what the tokenizer learns its pieces from
    """
    from transformers import CLIPConfig, CLIPModel

    check_shape(entry)
    tokenizer = train_tokenizer(captions, entry["vocabulary"], entry["context_length"])
    text = _tower(**text_shape(entry)) | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": entry["context_length"],
        "bos_token_id": tokenizer.bos_token_id,
        # where a text's features are read; CLIP's own files say 2, which transformers takes for
        # the highest id
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    image_shape = {key: entry[key] for key in SHAPE}
    vision = _tower(**image_shape) | {
        "image_size": entry["image_size"],
        "patch_size": entry["patch_size"],
    }
    config = CLIPConfig(
        text_config=text, vision_config=vision, projection_dim=entry["embedding_dim"]
    )
    folder.mkdir(parents=True, exist_ok=True)
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    side = entry["image_size"]
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "CLIPImageProcessor",
            "do_convert_rgb": True,
            "do_resize": True,
            # squeezed, not cropped: captions speak of what stands at the rim, too
            "size": {"height": side, "width": side},
            "resample": BICUBIC,
            "do_center_crop": False,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": MEAN,
            "image_std": STD,
        },
    )


def text_shape(entry: dict[str, Any]) -> dict[str, int]:
    """Width, layers and heads of the text tower: the image tower's where it has none of its own."""
    return {key: entry.get(f"text_{key}") or entry[key] for key in SHAPE}


def _tower(width: int, layers: int, heads: int) -> dict[str, int | str]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        # as good as the default, which is an approximation of it, and quicker in torch
        "hidden_act": "gelu",
    }


def check_shape(entry: dict[str, Any]) -> None:
    """Raise ``BadInput`` for numbers that are fine one by one and fit no model together."""
    text = text_shape(entry)
    for key, width, heads in (
        ("heads", entry["width"], entry["heads"]),
        ("text_heads", text["width"], text["heads"]),
    ):
        if width % heads:
            raise BadInput(
                key,
                f"{heads} heads for a width of {width}",
                "a divisor of the width",
                "correct one of the two",
            )
    side, patch = entry["image_size"], entry["patch_size"]
    if side % patch:
        raise BadInput(
            "patch_size",
            f"patches of {patch} pixels in an image of {side}",
            "a divisor of image_size, so that no rim is left over",
            "correct one of the two",
        )


def train_tokenizer(captions: list[str], vocabulary: int, context_length: int) -> CLIPTokenizer:
    """CLIP's tokenizer with pieces learnt from ``captions``: at most ``vocabulary`` of them.

    The first 512 pieces are the bytes, inside and at the end of a word, so that any text can be
    written; the last two start and end a text, as in CLIP.
    """
    from tokenizers import Tokenizer, models, trainers
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    pipeline = CLIPTokenizer().backend_tokenizer
    learner = Tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    learner.normalizer, learner.pre_tokenizer = pipeline.normalizer, pipeline.pre_tokenizer
    letters = sorted(ByteLevel.alphabet())
    alphabet = [*letters, *(letter + WORD_END for letter in letters)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 2,
        # pieces that come of equal counts are taken in the order of the numbers of their parts,
        # which are these; letters at the end of a word are else numbered in a random order
        special_tokens=alphabet,
        end_of_word_suffix=WORD_END,
        min_frequency=2,
        show_progress=False,
    )
    learner.train_from_iterator(captions, trainer)
    merges = [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]
    pieces = list(dict.fromkeys([*alphabet, *("".join(merge) for merge in merges), START, END]))
    vocab = {piece: number for number, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=context_length)
