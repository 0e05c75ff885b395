"""A small random Qwen3-VL that embeds, or scores pairs, in the files of sentence-transformers.

Transformers has to see torchvision when it is first imported: only for a process that begins with
``scripts.models.backends.sentence_transformers.import_libraries()``.
"""

from __future__ import annotations

from pathlib import Path

from tiny_models import TOWER

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SPECIAL += ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
# as Qwen's, without tools and films
TEMPLATE = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\n' }}"
    "{%- for part in message.content %}"
    "{%- if part.type == 'image' %}{{- '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- else %}{{- part.text }}{%- endif %}{%- endfor %}{{- '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
CONTEXT = 80
OPTIONS = {"chat_template": {"add_generation_prompt": True}}


def make_qwen3_vl(folder: Path, padding_side: str = "right", dense: bool = False, **saved) -> None:
    """``saved`` is what config_sentence_transformers.json says besides, such as ``prompts``."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import Qwen3VLModel

    _save(Qwen3VLModel, folder, _processor(padding_side))
    modules = [Transformer(str(folder), processing_kwargs=OPTIONS), Pooling(32, "lasttoken")]
    modules += [Dense(32, 24, activation_function=torch.nn.Identity())] if dense else []
    embedding = SentenceTransformer(modules=[*modules, Normalize()], **saved)
    embedding.save(str(folder), create_model_card=False)


def make_qwen3_vl_reranker(folder: Path, **saved) -> None:
    """``saved`` is as above; its words for right and wrong are two letters."""
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.cross_encoder.modules import LogitScore
    from transformers import Qwen3VLForConditionalGeneration

    _save(Qwen3VLForConditionalGeneration, folder, _processor("right"))
    first = Transformer(str(folder), transformer_task="any-to-any", processing_kwargs=OPTIONS)
    score = LogitScore(*first.tokenizer.convert_tokens_to_ids(["y", "n"]))
    CrossEncoder(modules=[first, score], **saved).save(str(folder), create_model_card=False)


def _save(made, folder: Path, processor) -> None:
    import torch

    torch.manual_seed(0)
    model = made(_config(processor.tokenizer))
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _processor(padding_side: str):
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        Qwen2Tokenizer,
        Qwen2VLImageProcessor,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    pieces = [*sorted(ByteLevel.alphabet()), "do", "dog"]
    tokenizer = Qwen2Tokenizer(
        vocab={piece: row for row, piece in enumerate(pieces)},
        merges=[("d", "o"), ("do", "g")],
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=SPECIAL,
        model_max_length=CONTEXT,
        padding_side=padding_side,
    )
    # at most sixteen places for a picture, each of 16 by 16 pixels
    patches = {"patch_size": 8, "merge_size": 2, "temporal_patch_size": 2}
    images = Qwen2VLImageProcessor(
        **patches, size={"shortest_edge": 16 * 16, "longest_edge": 16 * 16 * 16}
    )
    videos = Qwen3VLVideoProcessor(**patches)
    return Qwen3VLProcessor(images, tokenizer, videos, chat_template=TEMPLATE)


def _config(tokenizer):
    from transformers import Qwen3VLConfig

    ids = {piece: tokenizer.convert_tokens_to_ids(piece) for piece in SPECIAL}
    rope = {"rope_type": "default", "mrope_section": [4, 2, 2], "rope_theta": 10000.0}
    text = TOWER | {"vocab_size": len(tokenizer), "num_key_value_heads": 1, "head_dim": 16}
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2}
    vision |= {"patch_size": 8, "out_hidden_size": 32, "num_position_embeddings": 16}
    return Qwen3VLConfig(
        text_config=text | {"rope_parameters": rope},
        vision_config=vision | {"deepstack_visual_indexes": [0]},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
