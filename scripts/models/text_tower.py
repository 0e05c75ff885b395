"""A text tower that is published apart from the image tower whose space it was taught.

From JSON and weight headers alone. Three forms are known: a folder of sentence-transformers (a
transformer, a pooling and dense layers), a classifier whose classes are the dimensions of the
space (Taiyi), and M-CLIP's, which holds its dense layer among the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from scripts.job import BadInput, read_json
from scripts.models.families import OWN_CODE
from scripts.models.towers import check_config, check_depths
from scripts.models.weights import (
    FLOATS,
    check_dtypes,
    check_tokenizer,
    read_header,
    read_tensors,
    weight_files,
)

EXPECTED = (
    "a folder of sentence-transformers (modules.json: a transformer, its pooling, dense layers), a "
    "model for sequence classification, or M-CLIP's"
)
TAKE_ANOTHER = "take a text tower of one of these forms, or a model that has both towers"
POOLINGS = {"mean": "mean", "cls": "first"}
# of old files, one of which is true
POOLED_BY = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
ACTIVATIONS = ("Identity", "Tanh")
# M-CLIP names the model that it began with, and no number of it; its heads are 64 wide
M_CLIP, BEGINS, HEAD = "M-CLIP", "transformer.", 64
M_CLIP_DENSE = "LinearTransformation."


@dataclass(frozen=True)
class Dense:
    """A dense layer behind a text tower.

    Attributes
    ----------
    file : of its weights
    prefix : of the names of its tensors, "weight" and perhaps "bias"
    shape : of its matrix, (out, in)
    biased : whether it has a bias
    activation : what follows, one of ``ACTIVATIONS``
    """

    file: Path
    prefix: str
    shape: list[int]
    biased: bool
    activation: str = "Identity"


@dataclass(frozen=True)
class TextTower:
    """What can be said of a text tower without loading it.

    Attributes
    ----------
    model_type : of its transformer
    pooled : what is read of a text: the "mean" of its states, the "first" one, or a classifier's
        "logits"
    dense : the layers behind it
    parameters : numbers in all its tensors
    dim : length of its features
    shapes : of the transformer's tensors
    config : of the transformer, where config.json is not that
    limit : tokens that it reads, where that is less than it has places for
    lower_case : whether it has seen lower case alone
    """

    model_type: str
    pooled: str
    dense: tuple[Dense, ...]
    parameters: int
    dim: int
    shapes: dict[str, list[int]]
    config: dict[str, Any] | None = None
    limit: int | None = None
    lower_case: bool = False


def read_text_tower(folder: Path) -> TextTower:
    """Check that ``folder`` holds a text tower of a known form, and describe it.

    Raises ``BadInput`` where it does not, where its config asks for what is not computed here, and
    where its weights are missing, pickled or damaged.
    """
    path = folder / "config.json"
    config = read_json(path)
    found = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(found, str):
        raise BadInput(path, f"model_type: {found!r:.80}", EXPECTED, TAKE_ANOTHER)
    check_config(path, config)
    tensors = read_tensors(folder)
    check_dtypes(folder, tensors)
    check_tokenizer(folder)
    shapes = {name: shape for name, (_, shape) in tensors.items()}
    check_depths(path, config, len(shapes))
    numbers = sum(math.prod(shape) for dtype, shape in tensors.values() if dtype in FLOATS)
    classes = config.get("architectures")
    classes = classes if isinstance(classes, list) else []
    if (folder / "modules.json").is_file():
        return _of_sentence_transformers(folder, found, shapes, numbers)
    if found == M_CLIP:
        return _of_m_clip(folder, config, shapes, numbers)
    if any(str(name).endswith("ForSequenceClassification") for name in classes):
        matrix = shapes.get("classifier.weight")
        if not matrix:
            todo = "take a model whose classes are the dimensions of the image tower's space"
            raise BadInput(folder, "no tensor classifier.weight", "a classifier", todo)
        return TextTower(found, "logits", (), numbers, matrix[0], shapes)
    told = ", ".join(map(str, classes))
    raise BadInput(path, f"model_type: {found}, architectures: {told:.80}", EXPECTED, TAKE_ANOTHER)


def _of_sentence_transformers(
    folder: Path, model_type: str, shapes: dict[str, list[int]], numbers: int
) -> TextTower:
    path = folder / "modules.json"
    modules = read_json(path)
    parts = [module_of(path, one) for one in (modules if isinstance(modules, list) else [])]
    kinds = [kind for kind, _ in parts]
    # what brings rows to unit length is done in any case
    known = [kind for kind in kinds if kind != "Normalize"]
    if known[:2] != ["Transformer", "Pooling"] or {*known[2:]} - {"Dense"} or parts[0][1]:
        raise BadInput(
            path,
            f"modules {', '.join(kinds):.120}",
            "Transformer (in the folder itself), Pooling, and Dense as often as you like",
            TAKE_ANOTHER,
        )
    places = {kind: below for kind, below in parts}
    pooled = _pooling(folder / places["Pooling"] / "config.json")
    dense = tuple(dense_of(folder / below) for kind, below in parts if kind == "Dense")
    about = folder / "sentence_bert_config.json"
    settings = read_json(about) if about.is_file() else {}
    settings = settings if isinstance(settings, dict) else {}
    limit = settings.get("max_seq_length")
    if not dense:
        raise BadInput(path, "no Dense", "a dense layer into the image tower's space", TAKE_ANOTHER)
    return TextTower(
        model_type,
        pooled,
        dense,
        numbers + sum(math.prod(one.shape) + one.biased * one.shape[0] for one in dense),
        dense[-1].shape[0],
        shapes,
        limit=limit if type(limit) is int and limit > 0 else None,
        lower_case=settings.get("do_lower_case") is True,
    )


def module_of(path: Path, about: Any) -> tuple[str, str]:
    """Kind and folder of an entry of modules.json."""
    about = about if isinstance(about, dict) else {}
    kind, below = about.get("type"), about.get("path")
    named = isinstance(kind, str) and kind.startswith("sentence_transformers.")
    inside = isinstance(below, str) and (not below or PurePosixPath(below).name == below != "..")
    if not named or not inside:
        raise BadInput(
            path,
            f"type: {kind!r:.80}, path: {below!r:.80}",
            "modules of sentence-transformers, each in a folder beside modules.json",
            OWN_CODE,
        )
    return kind.rpartition(".")[2], below


def _pooling(path: Path) -> str:
    about = read_json(path)
    about = about if isinstance(about, dict) else {}
    modes = [key for key, value in about.items() if key.startswith("pooling_mode") and value]
    found = about.get("pooling_mode") or [POOLED_BY.get(mode, mode) for mode in modes] or "mean"
    found = found[0] if isinstance(found, list) and len(found) == 1 else found
    if found not in [*POOLINGS]:
        raise BadInput(path, f"pooling: {found!s:.80}", " or ".join(POOLINGS), TAKE_ANOTHER)
    return POOLINGS[found]


def dense_of(folder: Path) -> Dense:
    path, file = folder / "config.json", folder / "model.safetensors"
    about = read_json(path)
    about = about if isinstance(about, dict) else {}
    # without one it is Tanh, to sentence-transformers
    named = str(about.get("activation_function", "torch.nn.modules.activation.Tanh"))
    activation = named.rpartition(".")[2]
    inputs = about.get("module_input_name", "sentence_embedding")
    if (
        not named.startswith("torch.nn.")
        or activation not in ACTIVATIONS
        or about.get("use_residual")
        or inputs != "sentence_embedding"
    ):
        raise BadInput(
            path,
            f"activation_function: {named:.80}, use_residual: {about.get('use_residual')!r:.20}, "
            f"module_input_name: {inputs!r:.40}",
            f"a layer over the pooled text, and {' or '.join(ACTIVATIONS)} behind it",
            TAKE_ANOTHER,
        )
    if not file.is_file():
        raise BadInput(
            file,
            "no such file",
            "the dense layer as safetensors: pickled weights can run code when they are opened",
            "take a revision that has it, or save the model once with sentence-transformers",
        )
    return _layer(file, "linear.", read_header(file), activation)


def _layer(
    file: Path, prefix: str, tensors: dict[str, tuple[str, list[int]]], activation: str = "Identity"
) -> Dense:
    shapes = {name: shape for name, (_, shape) in tensors.items() if name.startswith(prefix)}
    matrix, bias = shapes.get(f"{prefix}weight", []), shapes.get(f"{prefix}bias")
    if len(matrix) != 2 or bias not in (None, matrix[:1]):
        raise BadInput(
            file,
            f"tensors {', '.join(f'{name} {shape}' for name, shape in shapes.items()):.120}",
            f"{prefix}weight (out, in), and {prefix}bias (out) or none",
            "take the file that belongs to the model",
        )
    return Dense(file, prefix, matrix, bias is not None, activation)


def _of_m_clip(
    folder: Path, config: dict[str, Any], shapes: dict[str, list[int]], numbers: int
) -> TextTower:
    path, base = folder / "config.json", str(config.get("modelBase"))
    body = {n.removeprefix(BEGINS): one for n, one in shapes.items() if n.startswith(BEGINS)}
    words = body.get("embeddings.word_embeddings.weight", [])
    places = body.get("embeddings.position_embeddings.weight", [])
    inner = body.get("encoder.layer.0.intermediate.dense.weight", [])
    if "xlm-roberta" not in base or not all(len(one) == 2 for one in (words, places, inner)):
        raise BadInput(
            path,
            f"modelBase: {base:.80}, which names a model and none of its numbers",
            "xlm-roberta-large or xlm-roberta-base, with all their tensors",
            TAKE_ANOTHER,
        )
    layers = {name.split(".")[2] for name in body if name.startswith("encoder.layer.")}
    made = {
        "model_type": "xlm-roberta",
        "vocab_size": words[0],
        "hidden_size": words[1],
        "max_position_embeddings": places[0],
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, words[1] // HEAD),
        "intermediate_size": inner[0],
        "type_vocab_size": body.get("embeddings.token_type_embeddings.weight", [1])[0],
        "layer_norm_eps": 1e-5,
        "pad_token_id": 1,
    }
    files = weight_files(folder)
    file = next((f for f in files if f"{M_CLIP_DENSE}weight" in read_header(f)), files[0])
    dense = _layer(file, M_CLIP_DENSE, read_header(file))
    return TextTower("xlm-roberta", "mean", (dense,), numbers, dense.shape[0], body, config=made)
