"""Folders of every family, each with one fault: told in words, or features as of the whole one.

The folders here are of models that load; what is damaged beyond that is in tests/faults.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="models need torch")
# the harness of bad input is there
sys.path.append(str(Path(__file__).parents[1] / "faults"))
import tiny_models  # noqa: E402
from bad_input import Case, check_message, within_limits  # noqa: E402
from plain_loop import cosines, ours, reference  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from scripts.job import BadInput  # noqa: E402
from scripts.models.encoders import load_encoder  # noqa: E402
from scripts.models.probe import probe  # noqa: E402

FAMILIES = tiny_models.FAMILIES | {
    "clip-of-248-tokens": partial(tiny_models.make_clip, context_length=248),
    "clip-text-dual-encoder": tiny_models.make_clip_text_dual_encoder,
    "roberta-dual-encoder": tiny_models.make_roberta_dual_encoder,
    "convolutional-dual-encoder": partial(tiny_models.make_dual_encoder, convolutional=True),
}
CLIP = ("clip", "openai-clip", "clip-of-248-tokens", "clip-text-dual-encoder")
SIGLIP = ("siglip", "siglip2")
BERT = ("chinese-clip", "vision-text-dual-encoder", "convolutional-dual-encoder")
SIDED = tuple(name for name in FAMILIES if name != "convolutional-dual-encoder")
WEIGHTS, CONFIG, SETTINGS = "model.safetensors", "config.json", "tokenizer_config.json"
PIXELS = "preprocessor_config.json"
TEXTS = [*tiny_models.TEXTS, "dog " * 300]
Spoil = Callable[[Path], Any]


def settings(name: str, *keys: str, **values: Any) -> Spoil:
    """Values of a JSON file, which is made where there is none, in the object below ``keys``."""

    def spoil(folder: Path) -> None:
        path = folder / name
        whole = inner = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        for key in keys:
            inner = inner[key]
        inner |= values
        path.write_text(json.dumps({k: v for k, v in whole.items() if v is not None}), "utf-8")

    return spoil


def tensors(edit: Callable[[dict], dict]) -> Spoil:
    """Weights as ``edit`` makes them."""

    def spoil(folder: Path) -> None:
        made = edit(load_file(folder / WEIGHTS))
        made = {name: value.contiguous().clone() for name, value in made.items()}
        save_file(made, folder / WEIGHTS, metadata={"format": "pt"})

    return spoil


def adapted(found: dict) -> dict:
    """LoRA beside every matrix of the text tower's layers, not merged."""
    matrices = [n for n in found if n.startswith("text_model.") and ".0." in n and "weight" in n]
    lora = {n.replace("weight", f"lora_{one}.weight"): found[n] for n in matrices for one in "AB"}
    return found | lora


def deeper(tower: str) -> Callable[[dict], dict]:
    """A layer more than config.json counts."""

    def edit(found: dict) -> dict:
        above = {n.replace(".1.", ".2."): v for n, v in found.items() if n.startswith(tower)}
        return above | found

    return edit


def extra(name: str) -> Spoil:
    return tensors(lambda found: found | {name: torch.ones(4, 8)})


def prefixed(prefix: str) -> Spoil:
    return tensors(lambda found: {prefix + name: value for name, value in found.items()})


def every(part: str, value: float) -> Spoil:
    """All numbers of the tensors that have ``part`` in their names, but for places."""

    def edit(found: dict) -> dict:
        some = [n for n, v in found.items() if part in n and v.is_floating_point()]
        return found | {n: torch.full_like(found[n], value) for n in some}

    return tensors(edit)


def tokens_added(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<new {number}>" for number in range(60)])
    tokenizer.save_pretrained(folder)


def sentinels(folder: Path) -> None:
    """More pieces than the model has rows for, none of which stands in a text."""
    path = folder / "tokenizer.json"
    whole = json.loads(path.read_text("utf-8"))
    pieces = whole["model"]["vocab"]
    first = max(pieces.values()) + 1
    pieces |= {f"\u2581<extra_id_{number}>": first + number for number in range(10)}
    path.write_text(json.dumps(whole), "utf-8")


def tokenizer_of(family: str) -> Spoil:
    """Another model's tokenizer, as if its files had been copied."""

    def spoil(folder: Path) -> None:
        names = ("tokenizer.json", SETTINGS, "vocab.json", "merges.txt", "vocab.txt")
        for name in (*names, "spiece.model"):
            (folder / name).unlink(missing_ok=True)
            if (folder.parent / family / name).is_file():
                shutil.copy(folder.parent / family / name, folder)

    return spoil


def knows_nothing(folder: Path) -> None:
    (folder / "tokenizer.json").unlink(missing_ok=True)
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    (folder / "vocab.txt").write_text("\n".join(special) + "\n", "utf-8")


def unframed(folder: Path) -> None:
    """A tokenizer that puts nothing around a text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings("tokenizer.json", post_processor=None)(folder)
    settings(SETTINGS, tokenizer_class="PreTrainedTokenizerFast")(folder)


def nested(**values: Any) -> Spoil:
    """A preprocessor as transformers 5 saves it."""

    def spoil(folder: Path) -> None:
        inner = json.loads((folder / PIXELS).read_text("utf-8")) | values
        (folder / PIXELS).unlink()
        (folder / "processor_config.json").write_text(json.dumps({"image_processor": inner}))

    return spoil


def size_of(side: int) -> dict[str, Any]:
    return {"size": {"height": side, "width": side}, "crop_size": None, "do_center_crop": False}


ALL = tuple(FAMILIES)
# families, and what is wrong with a folder of each
FAULTS = [
    (ALL, Case("padded in front", settings(SETTINGS, padding_side="left"))),
    (ALL, Case("cut in front", settings(SETTINGS, truncation_side="left"))),
    (ALL, Case("a lower limit", settings(SETTINGS, model_max_length=9))),
    (ALL, Case("ids alone", settings(SETTINGS, model_input_names=["input_ids"]))),
    (
        ALL,
        Case(
            "a mask and numbers of sentences",
            settings(SETTINGS, model_input_names=["input_ids", "token_type_ids", "attention_mask"]),
        ),
    ),
    (SIGLIP, Case("no names of inputs", settings(SETTINGS, model_input_names=None))),
    (SIGLIP, Case("no lower case asked for", settings(SETTINGS, do_lower_case=None))),
    (SIGLIP, Case("lower case forbidden", settings(SETTINGS, do_lower_case=False))),
    (CLIP, Case("filled with a sign that texts hold", settings(SETTINGS, pad_token="!"))),
    (
        ALL,
        Case(
            "notes of a library",
            settings(CONFIG, "vision_config", _attn_implementation_autoset=True),
        ),
    ),
    (
        ALL,
        Case(
            "attentions asked for",
            settings(CONFIG, output_attentions=True),
            "output_attentions: true",
        ),
    ),
    (ALL, Case("tuples asked for", settings(CONFIG, return_dict=False), "return_dict: false")),
    (
        ("chinese-clip", "vision-text-dual-encoder", "roberta-dual-encoder"),
        Case(
            "a buffer that transformers makes",
            tensors(
                lambda found: (
                    found
                    | {"text_model.embeddings.token_type_ids": torch.zeros(1, 20, dtype=torch.long)}
                )
            ),
        ),
    ),
    (("siglip2",), Case("T5's extra ids", sentinels)),
    (
        ("roberta-dual-encoder",),
        Case(
            "places behind another token",
            settings(CONFIG, "text_config", pad_token_id=0),
            r"config\.json\n.*pad_token_id 0 of text_config.*fills up with 1",
        ),
    ),
    (
        ("clip", "clip-text-dual-encoder"),
        Case(
            "a tokenizer of another class",
            settings(SETTINGS, tokenizer_class="GPT2Tokenizer"),
            "'</w>' parts words|token",
        ),
    ),
    (SIGLIP, Case("filled with another token", settings(SETTINGS, pad_token="<unk>"))),
    (CLIP, Case("filled with a start", settings(SETTINGS, pad_token="<|startoftext|>"))),
    (CLIP, Case("no token to fill with", settings(SETTINGS, pad_token=None))),
    (ALL, Case("a processor of transformers 5", nested())),
    (ALL, Case("an adapter not merged", tensors(adapted), r"lora_A.*merge_and_unload")),
    (ALL, Case("a prompt", extra("prompt_learner.ctx"), r"1 tensor that.*prompt_learner\.ctx")),
    (ALL, Case("a head", extra("text_model.classifier.weight"), r"text_model\.classifier")),
    (ALL, Case("places of nothing", extra("x.position_ids"), r"1 tensor that.*x\.position_ids")),
    (ALL, Case("a layer more of text", tensors(deeper("text_model")), "weights have 3|1 layer")),
    (SIDED, Case("a layer more of images", tensors(deeper("vision_model")), "weights have 3")),
    (ALL, Case("saved from DDP", prefixed("module."), r"DDP.*removeprefix\(.module\..\)")),
    (ALL, Case("saved from PEFT", prefixed("base_model.model."), "PEFT")),
    (ALL, Case("saved from torch.compile", prefixed("_orig_mod."), r"torch\.compile")),
    (ALL, Case("saved from within a class", prefixed("clip."), r"'clip\.' before the names")),
    (ALL, Case("more tokens than rows", tokens_added, r"tokens\n.*at most \d+, the vocab_size")),
    (ALL, Case("texts that collapse", every("text_model.", 0.01), "the same features|length zero")),
    (SIDED, Case("images that collapse", every("vision_model.", 0.01), "same features|length ze")),
    (ALL, Case("no numbers", every("text_", float("nan")), "not finite")),
    (SIDED, Case("larger pictures", settings(PIXELS, **size_of(48)), "48 x 48.*32 x 32")),
    (SIDED, Case("larger pictures, nested", nested(**size_of(48)), "48 x 48.*32 x 32")),
    (ALL, Case("pictures of 60,000", settings(PIXELS, **size_of(60_000)), "1 to 2048 pixels")),
    (ALL, Case("pictures of 60,000, nested", nested(**size_of(60_000)), "1 to 2048 pixels")),
    (ALL, Case("pictures of no size", settings(PIXELS, **size_of(0)), "1 to 2048 pixels")),
    (
        ("clip", "openai-clip"),
        Case("pictures in a rim", settings(PIXELS, size={"shortest_edge": 16}), "a black rim"),
    ),
    (("clip", "openai-clip"), Case("no crop", settings(PIXELS, do_center_crop=False), "one size")),
    (ALL, Case("values by a huge number", settings(PIXELS, image_std=[1e30] * 3), "same values")),
    (ALL, Case("values by zero", settings(PIXELS, image_std=[0.0] * 3), "grey becomes")),
    (ALL, Case("values that stay bytes", settings(PIXELS, do_rescale=False), "grey becomes")),
    (
        SIDED,
        Case(
            "patches that do not fit",
            settings(CONFIG, "vision_config", image_size=64),
            "image_size 64 in patches of 8",
        ),
    ),
    (
        ALL,
        Case(
            "a vocabulary of 10^12",
            settings(CONFIG, "text_config", vocab_size=10**12),
            "vocab_size: 1000000000000",
        ),
    ),
    (
        tuple(name for name in ALL if name not in SIGLIP),
        Case("a space of 10^12", settings(CONFIG, projection_dim=10**12), r"\[1000000000000, "),
    ),
    (
        ("convolutional-dual-encoder",),
        Case(
            "channels by a million",
            settings(CONFIG, "vision_config", depth_multiplier=1e6),
            "depth_multiplier: 1000000",
        ),
    ),
    (
        ("convolutional-dual-encoder",),
        Case(
            "another tower, a million times as deep",
            settings(
                CONFIG, vision_config={"model_type": "efficientnet", "depth_coefficient": 1e6}
            ),
            "depth_coefficient: 1000000",
        ),
    ),
    (
        ("vision-text-dual-encoder",),
        Case(
            "a tower of no kind",
            settings(CONFIG, "text_config", model_type="nobody"),
            r"config\.json\n.*nobody",
        ),
    ),
    (
        ("vision-text-dual-encoder",),
        Case(
            "a tower that asks for a library",
            settings(CONFIG, vision_config={"model_type": "timm_backbone", "backbone": "resnet18"}),
            "timm",
        ),
    ),
    (
        ALL,
        Case(
            "a processor of another model",
            settings(PIXELS, image_processor_type="FuyuImageProcessor"),
            r"preprocessor_config\.json\n",
        ),
    ),
    (ALL, Case("values of none", settings(PIXELS, rescale_factor=0.0), "same values|not finite")),
    (ALL, Case("20,000 layers", settings(CONFIG, "text_config", num_hidden_layers=20_000), "2000")),
    (
        ALL,
        Case(
            "a kernel of a hub",
            settings(CONFIG, "vision_config", attn_implementation="someone/kernel"),
            r"vision_config\.attn_implementation: 'someone/kernel'",
        ),
    ),
    (
        (*CLIP, *SIGLIP),
        Case("a tokenizer of BERT", tokenizer_of("chinese-clip"), "token|tokens\n.*at most"),
    ),
    (
        (*BERT, *SIGLIP, "roberta-dual-encoder"),
        Case("a tokenizer of CLIP", tokenizer_of("clip"), "token"),
    ),
    ((*CLIP, *BERT), Case("a tokenizer of SigLIP 2", tokenizer_of("siglip2"), "token")),
    (BERT, Case("a tokenizer that knows nothing", knows_nothing, "the same for different texts")),
    (
        ("clip", "clip-of-248-tokens", "clip-text-dual-encoder"),
        Case(
            "another end token",
            settings(CONFIG, "text_config", eos_token_id=7),
            r"no end token 7 \(eos_token_id",
        ),
    ),
    (
        tuple(name for name in ALL if name not in ("siglip",)),
        Case("nothing around a text", unframed, r"tokenizer\.json\n"),
    ),
    (
        ("openai-clip",),
        Case("no merges", lambda folder: (folder / "merges.txt").unlink(), r"without merges\.txt"),
    ),
]
FOLDERS = [
    pytest.param(family, case, id=f"{family}: {case.name}")
    for families, case in FAULTS
    for family in families
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Where a whole folder of each family is."""
    root = tmp_path_factory.mktemp("families")
    for name, make in FAMILIES.items():
        (root / name).mkdir()
        make(root / name)
    return root


@pytest.fixture(scope="module")
def expected(whole) -> Callable[[str], tuple]:
    """Features that transformers gives for a family's whole folder, computed once."""
    made: dict[str, tuple] = {}

    def of_family(family: str) -> tuple:
        if family not in made:
            images = [i for i in tiny_models.drawn_images() if i.mode == "RGB"]
            limit = load_encoder(whole / family, "cpu").context_length
            made[family] = reference(whole / family, images, TEXTS, limit)
        return made[family]

    return of_family


@pytest.fixture
def folder(request, whole):
    made = whole / "spoilt"
    yield made
    shutil.rmtree(made)


def assert_right(folder: Path, rows: tuple) -> None:
    images = [image for image in tiny_models.drawn_images() if image.mode == "RGB"]
    found = ours(load_encoder(folder, "cpu"), images, TEXTS)
    for one, other in zip(found, rows, strict=True):
        assert cosines(one, other).min() > 0.99999


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_folder_passes_and_gives_the_features_of_transformers(family, whole, expected):
    probe(whole / family)
    assert_right(whole / family, expected(family))


@pytest.mark.parametrize(("family", "case"), FOLDERS)
def test_a_folder_with_a_fault_is_told_or_gives_the_right_features(
    family, case, folder, whole, expected
):
    shutil.copytree(whole / family, folder)
    case.make(folder)
    told = ""
    try:
        with within_limits():
            probe(folder)
    except BadInput as error:
        told = str(error)
        check_message(f"ERROR in {error}")
    if case.told:
        assert told, "nothing was told"
        assert re.search(case.told, told, re.S), told
    else:
        assert not told, told
        assert_right(folder, expected(family))


@pytest.mark.parametrize("total", [len(FOLDERS)], ids=lambda total: f"{total} folders")
def test_many_model_folders_with_faults_are_tried(total):
    assert total >= 60
