"""Which files of a folder or a hub's repository are the model, told by their names alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from scripts.job import BadInput
from scripts.models.towers import PREPROCESSORS
from scripts.models.weights import PICKLED

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PARTS = "model-?????-of-?????.safetensors"
OPEN_CLIP_SINGLE, OPEN_CLIP_CONFIG = "open_clip_model.safetensors", "open_clip_config.json"
# everything else that an encoder is loaded from, and nothing that could run code
SETTINGS = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
NEEDED = (*SETTINGS, SINGLE, INDEX, PARTS, OPEN_CLIP_CONFIG, OPEN_CLIP_SINGLE)
# folders of the two towers of a model that were published apart
IMAGE, TEXT = "image", "text"
# of sentence-transformers, what stands behind its transformer
MODULES = (
    *("modules.json", "sentence_bert_config.json"),
    *("[0-9]_*/config.json", "[0-9]_*/model.safetensors"),
)
# and what its embedding models of pictures and texts have besides
PROMPTS = "config_sentence_transformers.json"
EMBEDDING = (
    *(*MODULES, PROMPTS, "video_preprocessor_config.json"),
    *("chat_template.jinja", "chat_template.json"),
)

# what a training run leaves beside its model
LEFTOVERS = (
    "optimizer*.pt",
    "optimizer*.bin",
    "scheduler*.pt",
    "scheduler*.bin",
    "scaler*.pt",
    "training_args*.bin",
    "rng_state*.pth",
    "random_states_*.pkl",
    "sampler*.bin",
    "dl_state_dict*.bin",
    "custom_checkpoint_*.pkl",
)
# weights by what their names say; the first that matches
ADAPTERS = ("adapter_model*", "pytorch_lora_weights*", "lora_weights*")
KINDS = (
    *((pattern, "an adapter") for pattern in ADAPTERS),
    ("open_clip*.safetensors", "open_clip"),
    ("open_clip*.bin", "pickled open_clip"),
    ("*.safetensors", "safetensors"),
    ("openvino*.bin", "OpenVINO"),
    ("ggml*.bin", "GGML"),
    *((f"*{suffix}", "pickled") for suffix in PICKLED),
    ("*.h5", "TensorFlow"),
    ("*.keras", "TensorFlow"),
    ("saved_model.pb", "TensorFlow"),
    ("*.ckpt.index", "TensorFlow"),
    ("*.tflite", "TensorFlow"),
    ("*.msgpack", "Flax"),
    ("*.npz", "NumPy"),
    ("*.onnx", "ONNX"),
    ("*.gguf", "GGUF"),
    ("*.ggml", "GGML"),
    ("*.ot", "Rust"),
    ("*.pdparams", "Paddle"),
    ("*.mlmodel", "Core ML"),
)
OF_PARTS = re.compile(r"(.+?)[-.]\d{5}-of-\d{5}(\..+)")
TAKE_SAFETENSORS = "take a revision or a folder that has model.safetensors"
CONVERT = (
    f"{TAKE_SAFETENSORS}; or, where you know the pickle's sha256 from who made it, give the entry "
    "pickled: convert and that sha256"
)
EXPECTED = "config.json and model.safetensors, as transformers saves a model"


@dataclass(frozen=True)
class Layout:
    """How a library names the files of a model.

    Attributes
    ----------
    settings : all but the weights, its configuration first
    single : the weights in one file
    sets : what its weights in safetensors are called
    kinds : of weights that can be taken, the first rather than the second, which are pickled
    expected : the files, in words
    """

    settings: tuple[str, ...]
    single: str
    sets: tuple[str, ...]
    kinds: tuple[str, str]
    expected: str


TRANSFORMERS = Layout(SETTINGS, SINGLE, (SINGLE, INDEX), ("safetensors", "pickled"), EXPECTED)
OPEN_CLIP = Layout(
    # config.json is that of its text tower, where there is one
    (OPEN_CLIP_CONFIG, *(name for name in SETTINGS if name not in PREPROCESSORS)),
    OPEN_CLIP_SINGLE,
    (OPEN_CLIP_SINGLE,),
    ("open_clip", "pickled open_clip"),
    f"{OPEN_CLIP_CONFIG} and {OPEN_CLIP_SINGLE}, as open_clip saves a model",
)


@dataclass(frozen=True)
class Choice:
    """The files that are taken, and what was there beside them.

    Attributes
    ----------
    weights : what the key `weights` would call them: the single file, or the index
    files : all files to take, by the names that they have there
    pickled : whether the weights are a pickle, to be converted
    beside : other weights, which were passed over
    layout : whose files they are
    """

    weights: str
    files: list[str]
    pickled: bool
    beside: list[str]
    layout: Layout


def choose(
    names: Iterable[str],
    where: object,
    weights: str | None = None,
    convert: bool = False,
    hub: bool = False,
) -> Choice:
    """One set of weights of those that stand there, and the files that belong to it.

    Parameters
    ----------
    names : files of the folder or repository, those in folders below it as ``folder/name``
    where : what to call it in messages
    weights : name of the file or index to take; None where there is but one
    convert : whether a pickle may be taken; its checksum must be known
    hub : whether what stands beside model.safetensors is taken to be the same weights in other
        formats, as is the custom on hubs; in a folder of one's own it is as often older or newer

    Raises
    ------
    BadInput
        where nothing is a model that can be loaded, with what it is as far as names tell; and where
        there is more than one set of weights, or an adapter, and ``weights`` does not say which
    """
    names = sorted(names)
    top = [name for name in names if "/" not in name and not name.startswith(".")]
    sets = weight_sets(top)
    layout = _layout_of(top, sets, weights)
    if weights is None:
        _refuse_adapter(top, sets, where)
    if layout.settings[0] not in top or not any(kind_of(name) in layout.kinds for name in sets):
        _refuse_layout(names, sets, where)
    if layout.settings[0] not in top:
        beside = f"; what is there: {', '.join(dict.fromkeys([*sets, *top][:5]))}" if top else ""
        todo = "check the path: the folder or repository is to hold the model itself"
        raise BadInput(f"{where}/config.json", f"no such file{beside}", EXPECTED, todo)
    if not sets:
        raise BadInput(where, "no weights", EXPECTED, TAKE_SAFETENSORS)
    # other names of parts stand in the index alone, which is not read here
    if weights in (None, INDEX) and sets.get(INDEX) == [] and layout.single not in sets:
        others = ", ".join(name for name in sets if name != INDEX)
        raise BadInput(
            where,
            f"{INDEX} without parts of its name{f'; beside it: {others:.200}' if others else ''}",
            "model-00001-of-00002.safetensors and so on, as transformers names them",
            "fetch what is missing; or, where the parts have other names, save them once in one "
            'piece, on your disk: AutoModel.from_pretrained("folder").save_pretrained("folder"), '
            f"and give the entry weights: {SINGLE}, source: local and the folder's path",
        )
    taken = weights if weights is not None else _the_one(sets, where, convert, hub, layout)
    if taken not in sets:
        todo = "correct `weights` in the entry of the model"
        raise BadInput(
            where, f"weights: {taken}, which is not there", f"one of {', '.join(sets)}", todo
        )
    _refuse_kind(taken, sets, where, convert, layout)
    return Choice(
        weights=taken,
        files=[
            *(name for name in top if name in layout.settings),
            *([taken] if taken in top else []),
            *(part for part in sets[taken] if part != taken),
        ],
        pickled=kind_of(taken) == layout.kinds[1],
        beside=[name for name in sets if name != taken],
        layout=layout,
    )


def _layout_of(top: list[str], sets: dict[str, list[str]], weights: str | None) -> Layout:
    """Whose files are meant: of two layouts, transformers' where it is whole."""
    if weights is not None:
        return OPEN_CLIP if kind_of(weights) in OPEN_CLIP.kinds else TRANSFORMERS
    if OPEN_CLIP_CONFIG not in top:
        return TRANSFORMERS
    # a config.json without a preprocessor is that of an image tower in timm, or of a text tower
    whole = "config.json" in top and any(name in top for name in PREPROCESSORS)
    safe = any(kind_of(name) == TRANSFORMERS.kinds[0] for name in sets)
    return TRANSFORMERS if whole and safe else OPEN_CLIP


def modules_of(names: Iterable[str], patterns: tuple[str, ...] = EMBEDDING) -> list[str]:
    """Those of ``names`` that say, and hold, what stands behind a transformer.

    ``patterns`` are ``MODULES`` for a text tower alone.
    """
    there = [n for n in sorted(names) if any(fnmatchcase(n, one) for one in patterns)]
    return there if MODULES[0] in there else []


def weight_sets(names: Iterable[str]) -> dict[str, list[str]]:
    """The sets of weights among these names: what each is called, and its parts if it has any.

    A single file is called by its own name, parts by their index; where they have none, by the
    first of them.
    """
    names = sorted(names)
    suffix = ".index.json"
    sets: dict[str, list[str]] = {
        name: [] for name in names if name.endswith(suffix) and _kind(name.removesuffix(suffix))
    }
    for name in names:
        if _kind(name) is None or any(fnmatchcase(name, leftover) for leftover in LEFTOVERS):
            continue
        part = OF_PARTS.fullmatch(name)
        if part is None:
            sets[name] = []
            continue
        index = f"{part[1]}{part[2]}{suffix}"
        # a set without an index goes by its first part
        first = next(
            (n for n in sets if (p := OF_PARTS.fullmatch(n)) and p.groups() == part.groups()), name
        )
        sets.setdefault(index if index in sets else first, []).append(name)
    # an index of nothing is a set that lacks its parts only where it would be taken
    return {name: parts for name, parts in sets.items() if parts or _is_set(name)}


def _is_set(name: str) -> bool:
    return name == INDEX or not name.endswith(".index.json")


def kind_of(weights: str) -> str:
    """What a set of weights is, by its name."""
    return _kind(weights.removesuffix(".index.json")) or "unknown"


def _kind(name: str) -> str | None:
    return next((kind for pattern, kind in KINDS if fnmatchcase(name, pattern)), None)


def _the_one(
    sets: dict[str, list[str]], where: object, convert: bool, hub: bool, layout: Layout
) -> str:
    """The set that is meant where nothing names it; ``BadInput`` where that cannot be told."""
    plain = [name for name in sets if name in layout.sets]
    safe, pickled = ([name for name in sets if kind_of(name) == kind] for kind in layout.kinds)
    if not safe and not convert:
        raise _only_pickled(sets, where, layout)
    found = list(sets)
    if hub:
        found = plain or safe or pickled
    if len(found) > 1:
        first = next(name for name in (*plain, *safe, *pickled))
        raise BadInput(
            where,
            f"{len(found)} sets of weights: {', '.join(found)}",
            "one, or an entry that says which",
            f"add to the entry of the model, for instance, weights: {first}; or move the others "
            "away",
        )
    if found[0] not in plain and found[0] in safe and not sets[found[0]]:
        raise BadInput(
            where,
            f"weights under another name ({found[0]})",
            f"{layout.single}, or an entry that names what to take",
            f"if these are the weights that you want, add to the entry: weights: {found[0]}",
        )
    return found[0]


def _refuse_kind(
    taken: str, sets: dict[str, list[str]], where: object, convert: bool, layout: Layout
) -> None:
    """Raise ``BadInput`` unless these weights can be taken."""
    kind, in_parts = kind_of(taken), bool(sets[taken]) or taken.endswith(".index.json")
    if kind == "an adapter":
        raise _adapter(where, f"{taken}, an adapter", [])
    if kind not in layout.kinds:
        raise BadInput(where, f"weights of {kind} ({taken})", EXPECTED, TAKE_SAFETENSORS)
    pickled = kind == layout.kinds[1]
    if pickled and not convert:
        raise _only_pickled({taken: []}, where, layout)
    if in_parts and taken != INDEX:
        what = "pickled weights in parts" if pickled else "parts of weights"
        index = "" if taken.endswith(".index.json") else f", and no {INDEX} that tells of them"
        raise BadInput(
            where,
            f"{what} ({', '.join([taken, *sets[taken]][:3])}){index}",
            f"{SINGLE}, or {INDEX} with its parts",
            "fetch what is missing, or save them once in one piece with transformers: "
            'model.save_pretrained("folder")',
        )


def _only_pickled(sets: dict[str, list[str]], where: object, layout: Layout) -> BadInput:
    pickled = [name for name in sets if kind_of(name) == layout.kinds[1]]
    others = [f"{name} is of {kind_of(name)}" for name in sets if name not in pickled]
    library = " for transformers" if others and layout is TRANSFORMERS else ""
    told = "; ".join([f"only pickled weights ({', '.join(pickled)}){library}", *others])
    return BadInput(
        where,
        told,
        f"{layout.single}: pickled weights can run code when they are opened",
        CONVERT.replace(SINGLE, layout.single),
    )


def _refuse_adapter(top: list[str], sets: dict[str, list[str]], where: object) -> None:
    adapters = [name for name in sets if kind_of(name) == "an adapter"]
    if not adapters and "adapter_config.json" not in top:
        return
    told = ", ".join(adapters or ["adapter_config.json"])
    base = [name for name in sets if name not in adapters]
    if base and "config.json" in top:
        raise _adapter(where, f"a base model ({base[0]}) with an adapter beside it ({told})", base)
    raise _adapter(where, f"an adapter alone ({told}), without the model that it changes", [])


def _adapter(where: object, found: str, base: list[str]) -> BadInput:
    alone = f"; or, for the base model alone, add weights: {base[0]} to the entry" if base else ""
    return BadInput(
        where,
        found,
        "one set of weights with all that was learned in it",
        "merge them once and name the new folder: PeftModel.from_pretrained(AutoModel."
        f'from_pretrained("base"), "adapter").merge_and_unload().save_pretrained("merged"){alone}',
    )


def _refuse_layout(names: list[str], sets: dict[str, list[str]], where: object) -> None:
    """Raise ``BadInput`` where the names are those of something known that is no such model."""
    top = {name.partition("/")[0] for name in names}
    below = [str(PurePosixPath(n).parent) for n in names if PurePosixPath(n).name == "config.json"]
    below = [folder for folder in below if folder != "."]
    kinds = {kind_of(name) for name in sets}
    found = todo = ""
    if "snapshots" in top or any(name.startswith("models--") for name in top):
        found = "the top folder of a hub's cache"
        shots = [folder for folder in below if "snapshots" in folder.split("/")]
        todo = f"give the snapshot itself: {_path(where, shots)}"
    elif "modules.json" in top:
        found = "a model of sentence-transformers (modules.json)"
        clips = [folder for folder in below if "clip" in folder.lower()] or below
        todo = f"give the folder of its CLIP alone: {_path(where, clips)}"
    elif "model_index.json" in top:
        found = "a pipeline of diffusers (model_index.json)"
        todo = "take a model that encodes both images and texts, not one that draws"
    elif OPEN_CLIP_CONFIG in top or kinds & {*OPEN_CLIP.kinds}:
        one = next((name for name in sets if kind_of(name) in OPEN_CLIP.kinds), OPEN_CLIP_CONFIG)
        found = f"half a model of open_clip ({one} alone)"
        todo = "fetch the other file from where this one came from"
        raise BadInput(where, found, OPEN_CLIP.expected, todo)
    elif not sets and any(PurePosixPath(name).suffix == ".onnx" for name in names):
        found, todo = "weights of ONNX alone", TAKE_SAFETENSORS
    elif below and "config.json" not in top:
        found = f"no config.json, but one in {', '.join(below[:3])}"
        todo = f"give the folder of the model itself: {_path(where, below)}"
    elif kinds and not kinds & {"safetensors", "pickled"}:
        found = f"weights of {', '.join(sorted(kinds))} alone ({', '.join(list(sets)[:3])})"
        todo = TAKE_SAFETENSORS
    if found:
        raise BadInput(where, found, EXPECTED, todo)


def named_by_config(config: Any) -> str | None:
    """The library that a config.json without a model_type is of, where its keys tell."""
    if not isinstance(config, dict) or config.get("model_type"):
        return None
    if "pretrained_cfg" in config:
        return "a model of timm, an image tower without texts"
    if "model_cfg" in config:
        return "a model of open_clip"
    if "_class_name" in config:
        return "a part of a pipeline of diffusers"
    return None


def _path(where: object, folders: list[str]) -> str:
    if isinstance(where, Path):
        return ", or ".join(str(where / folder) for folder in folders[:3]) or "there is none in it"
    return f"{', or '.join(folders[:3])}, from your disk, with source: local"
