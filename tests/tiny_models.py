"""Dual encoders of every family, small, with random weights, in the files that the hubs have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image

SIDE = 32  # pixels; patches of 8
TOWER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
MEAN_AND_STD = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}


def clip_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Bytes, bytes that end a word, two merges, and the special tokens last, as CLIP has them."""
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())
    pieces = [*alphabet, *(f"{letter}</w>" for letter in alphabet), "do", "dog</w>"]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    return {piece: row for row, piece in enumerate(pieces)}, [("d", "o"), ("do", "g</w>")]


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), "utf-8")


def save(model, folder: Path, **extra_tensors) -> None:
    """Write config.json and model.safetensors, weights not too near zero to tell rows apart."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors | extra_tensors, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.save_pretrained(folder)


def make_clip(
    folder: Path,
    eos_token_id: int | None = None,
    context_length: int = 16,
    activation: str = "quick_gelu",
) -> None:
    """CLIP as save_pretrained writes it; ``eos_token_id`` other than the tokenizer's on request."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    vocab, merges = clip_vocabulary()
    end = vocab["<|endoftext|>"]
    both = TOWER | {"hidden_act": activation}
    text = both | {
        "vocab_size": len(vocab),
        "max_position_embeddings": context_length,
        "bos_token_id": end - 1,
        "eos_token_id": end if eos_token_id is None else eos_token_id,
        "pad_token_id": end,
    }
    vision = both | {"image_size": SIDE, "patch_size": 8}
    torch.manual_seed(0)
    save(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)), folder)
    CLIPTokenizer(vocab=vocab, merges=merges).save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {"image_processor_type": "CLIPImageProcessor", "resample": 3, **MEAN_AND_STD}
        | {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}},
    )


def make_openai_clip(folder: Path) -> None:
    """CLIP in the files of openai/clip-vit-base-patch32: an end token that is not the tokenizer's,
    position indices among the weights, sizes as bare numbers, vocabulary and merges apart."""
    import torch
    from safetensors.torch import load_file, save_file

    make_clip(folder, eos_token_id=2)
    tensors = load_file(folder / "model.safetensors")
    tensors["text_model.embeddings.position_ids"] = torch.arange(16)[None]
    tensors["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    vocab, merges = clip_vocabulary()
    (folder / "tokenizer.json").unlink()
    write_json(folder / "vocab.json", vocab)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
    special = {
        "unk_token": "<|endoftext|>",
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    }
    write_json(
        folder / "tokenizer_config.json",
        special | {"do_lower_case": True, "model_max_length": 16, "add_prefix_space": False},
    )
    write_json(
        folder / "preprocessor_config.json",
        {"crop_size": SIDE, "do_center_crop": True, "do_normalize": True, "do_resize": True}
        | {"feature_extractor_type": "CLIPFeatureExtractor", "resample": 3, "size": SIDE}
        | MEAN_AND_STD,
    )


def make_siglip_weights(folder: Path, vocab_size: int) -> None:
    import torch
    from transformers import SiglipConfig, SiglipModel

    text = TOWER | {"vocab_size": vocab_size, "max_position_embeddings": 64}
    vision = TOWER | {"image_size": SIDE, "patch_size": 8}
    torch.manual_seed(0)
    save(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)), folder)
    write_json(
        folder / "preprocessor_config.json",
        {"image_processor_type": "SiglipImageProcessor", "size": {"height": SIDE, "width": SIDE}}
        | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3},
    )


def write_gemma_tokenizer(folder: Path) -> int:
    """Gemma's, as SigLIP 2 has it, and how many tokens it has."""
    from transformers import GemmaTokenizer

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *letters, "▁", "do", "dog"]
    vocab = {piece: row for row, piece in enumerate(pieces)}
    tokenizer = GemmaTokenizer(
        vocab=vocab,
        merges=[("d", "o"), ("do", "g")],
        add_bos_token=False,
        add_eos_token=True,
        padding_side="right",
        model_max_length=64,
        model_input_names=["input_ids"],
    )
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    write_json(folder / "tokenizer_config.json", config | {"do_lower_case": True})
    return len(vocab)


def make_siglip2(folder: Path) -> None:
    """SigLIP 2 at a fixed resolution: SigLIP's config, Gemma's tokenizer, lower case asked for."""
    make_siglip_weights(folder, write_gemma_tokenizer(folder))


def make_siglip(folder: Path) -> None:
    """SigLIP with its sentencepiece model; the library that reads it has to be there."""
    import io

    import pytest

    sentencepiece = pytest.importorskip("sentencepiece", reason="SigLIP's tokenizer needs it")
    trained = io.BytesIO()
    sentences = ["a dog runs on the grass", "two cats sit on a mat", "a red ball and a blue box"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 20),
        model_writer=trained,
        vocab_size=40,
        hard_vocab_limit=False,
        eos_id=1,
        bos_id=-1,
        pad_id=0,
        unk_id=2,
        minloglevel=2,
    )
    make_siglip_weights(folder, 48)
    (folder / "spiece.model").write_bytes(trained.getvalue())
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "SiglipTokenizer", "model_max_length": 64, "do_lower_case": True}
        | {"pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
        | {"model_input_names": ["input_ids"]},
    )


def write_bert_vocabulary(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters), "dog", *"一只狗在草地上"]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", "utf-8")
    return len(pieces)


def make_chinese_clip(folder: Path) -> None:
    """Chinese-CLIP in the files of its repositories: of a tokenizer, only the vocabulary."""
    import torch
    from transformers import ChineseCLIPConfig, ChineseCLIPModel

    text = TOWER | {"vocab_size": write_bert_vocabulary(folder), "max_position_embeddings": 20}
    vision = TOWER | {"image_size": SIDE, "patch_size": 8}
    torch.manual_seed(0)
    config = ChineseCLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    save(ChineseCLIPModel(config), folder)
    write_json(
        folder / "preprocessor_config.json",
        {"feature_extractor_type": "ChineseCLIPFeatureExtractor", "do_convert_rgb": True}
        | {"image_processor_type": "ChineseCLIPImageProcessor", "resample": 3, **MEAN_AND_STD}
        | {"size": {"height": SIDE, "width": SIDE}, "do_center_crop": False},
    )


def make_dual_encoder(folder: Path, convolutional: bool = False) -> None:
    """A VisionTextDualEncoder of BERT and ViT, or of BERT and MobileNetV2."""
    import torch
    from transformers import (
        BertConfig,
        BertTokenizer,
        MobileNetV2Config,
        VisionTextDualEncoderConfig,
        VisionTextDualEncoderModel,
        ViTConfig,
    )

    size = write_bert_vocabulary(folder)
    vision = (
        MobileNetV2Config(image_size=SIDE, depth_multiplier=0.25, hidden_size=1280)
        if convolutional
        else ViTConfig(**TOWER, image_size=SIDE, patch_size=8)
    )
    config = VisionTextDualEncoderConfig.from_vision_text_configs(
        vision,
        BertConfig(**TOWER, vocab_size=size, max_position_embeddings=20),
        projection_dim=24,
    )
    torch.manual_seed(0)
    model = VisionTextDualEncoderModel(config)
    if convolutional:
        # fifty layers of the small numbers that they start with bring all pictures together
        for one in model.modules():
            if isinstance(one, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(one.weight)
    save(model, folder)
    BertTokenizer.from_pretrained(folder).save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {"image_processor_type": "ViTImageProcessor", "size": {"height": SIDE, "width": SIDE}}
        | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2},
    )


def make_clip_text_dual_encoder(folder: Path) -> None:
    """A VisionTextDualEncoder of ViT and CLIP's text tower, with the tokenizer of ``make_clip``."""
    import torch
    from transformers import (
        CLIPTextConfig,
        VisionTextDualEncoderConfig,
        VisionTextDualEncoderModel,
        ViTConfig,
    )

    make_clip(folder)
    text = json.loads((folder / "config.json").read_text("utf-8"))["text_config"]
    config = VisionTextDualEncoderConfig.from_vision_text_configs(
        ViTConfig(**TOWER, image_size=SIDE, patch_size=8), CLIPTextConfig(**text), projection_dim=24
    )
    torch.manual_seed(0)
    save(VisionTextDualEncoderModel(config), folder)


def make_roberta_dual_encoder(folder: Path) -> None:
    """A VisionTextDualEncoder of ViT and RoBERTa, whose positions start behind the padding's id."""
    import torch
    from transformers import (
        RobertaConfig,
        RobertaTokenizer,
        VisionTextDualEncoderConfig,
        VisionTextDualEncoderModel,
        ViTConfig,
    )

    folder.mkdir(parents=True, exist_ok=True)
    make_dual_encoder(folder)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    letters = [piece for piece in sorted(clip_vocabulary()[0]) if len(piece) == 1]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *letters]
    vocab = {piece: row for row, piece in enumerate(pieces)}
    RobertaTokenizer(vocab=vocab, merges=[]).save_pretrained(folder)
    config = VisionTextDualEncoderConfig.from_vision_text_configs(
        ViTConfig(**TOWER, image_size=SIDE, patch_size=8),
        RobertaConfig(**TOWER, vocab_size=len(vocab), max_position_embeddings=20, pad_token_id=1),
        projection_dim=24,
    )
    torch.manual_seed(0)
    save(VisionTextDualEncoderModel(config), folder)


def make_blip_matching(folder: Path) -> None:
    """BLIP with its matching head, as its retrieval checkpoints are; BERT's tokenizer."""
    import torch
    from transformers import BertTokenizer, BlipConfig, BlipForImageTextRetrieval

    folder.mkdir(parents=True, exist_ok=True)
    size = write_bert_vocabulary(folder)
    # behind BERT's words the tokens [DEC] and [ENC], which no published tokenizer knows
    text = TOWER | {"vocab_size": size + 2, "max_position_embeddings": 20, "bos_token_id": size}
    vision = TOWER | {"image_size": SIDE, "patch_size": 8}
    torch.manual_seed(0)
    config = BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=24)
    config.architectures = ["BlipForImageTextRetrieval"]
    save(BlipForImageTextRetrieval(config), folder)
    BertTokenizer.from_pretrained(folder).save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {"image_processor_type": "BlipImageProcessor", "size": {"height": SIDE, "width": SIDE}}
        | {"resample": 3, "do_convert_rgb": True, **MEAN_AND_STD},
    )


FAMILIES: dict[str, Callable[[Path], None]] = {
    "clip": make_clip,
    "openai-clip": make_openai_clip,
    "siglip": make_siglip,
    "siglip2": make_siglip2,
    "chinese-clip": make_chinese_clip,
    "vision-text-dual-encoder": make_dual_encoder,
}


def drawn_images() -> list[Image.Image]:
    """Pictures of odd sizes and every mode that a decoder may give."""
    ramp = Image.linear_gradient("L").resize((61, 37))
    colours = Image.merge("RGB", [ramp, ramp.rotate(180), ramp.rotate(90)])
    clear = colours.copy()
    clear.putalpha(ramp.rotate(180))
    # who prepared a picture has turned it; nothing turns it again
    turned = colours.copy()
    turned.getexif()[0x0112] = 6
    return [
        colours,
        ramp,
        clear,
        ramp.convert("LA"),
        clear.quantize(8),
        ramp.convert("1"),
        colours.resize((33, 200)),
        colours.resize((3, 5)),
        colours.rotate(90, expand=True).convert("CMYK"),
        Image.frombytes("I;16", (61, 37), bytes(range(256)) * 17 + bytes(162)),
        colours.resize((300, 6)),
        turned,
    ]


TEXTS = [
    "a dog",
    "A Dog runs, on the grass!",
    "one long sentence about many things that no small context can hold, and so is cut " * 3,
    "{} braces {0}",
    "一只狗在草地上",
    "x",
    "naïve café",
    "",
    " \t ",
    "🐕 🎾",
]
