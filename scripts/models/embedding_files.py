"""What the folder of a model of sentence-transformers holds, told by JSON and headers.

Its modules.json names a transformer that reads pictures and texts alike. Of an embedding model,
what is done to its rows stands behind it: a pooling, dense layers, unit length. Of a re-ranker, the
words whose odds are the score of a pair.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.job import BadInput, read_json, write_json
from scripts.models.families import FAMILIES, OWN_CODE
from scripts.models.listing import MODULES, PROMPTS
from scripts.models.text_tower import dense_of, module_of
from scripts.models.towers import (
    LARGEST_SIDE,
    PREPROCESSORS,
    check_bound,
    check_config,
    check_depths,
    keys_of,
)
from scripts.models.weights import FLOATS, Facts, check_dtypes, check_files, read_tensors

SETTINGS = "sentence_bert_config.json"
EXPECTED = "a model of pictures and texts, as sentence-transformers saves it"
TAKE_ANOTHER = "take a model that encodes both images and texts"
TAKE_RERANKER = "take a re-ranker of texts and pictures, such as Qwen3-VL-Reranker"
CONFIGS = ("config.json", SETTINGS, *PREPROCESSORS, "video_preprocessor_config.json")
# what sentence-transformers calls the prompt of each side
NAMES = {"texts": "query", "images": "document"}
# what it calls a model that scores pairs, and the functions behind scores that keep their order
OF_PAIRS = "CrossEncoder"
RISING = ("Sigmoid", "Identity")
# classes of a repository; what a processor would load besides
ELSEWHERE = {"auto_map", "audio_tokenizer"}
# what SETTINGS may say; what it may tell a processor, and a model: no files, hubs or code
KNOWN = {
    *("transformer_task", "modality_config", "module_output_name", "processing_kwargs"),
    *("unpad_inputs", "max_seq_length", "do_lower_case"),
}
_PROCESSOR = {"min_pixels", "max_pixels", "model_max_length", "padding_side"}
_MODEL = {"dtype", "torch_dtype", "attn_implementation"}
TOLD: dict[str, set[str]] = {
    **{"processor_kwargs": _PROCESSOR, "tokenizer_args": _PROCESSOR},
    **{"model_kwargs": _MODEL, "model_args": _MODEL},
    **{"config_kwargs": set(), "config_args": set()},
}
# what of a model may be called, by what it does: features, or words
METHODS = {"feature-extraction": r"forward|get_\w+_features", "any-to-any": "forward"}
# a picture of a phone has as many; of each, three values in two frames
LARGEST_PICTURE = 4096**2
LARGEST_PATCH = 64


@dataclass(frozen=True)
class Embedding:
    """What can be said of an embedding model without loading it.

    Attributes
    ----------
    facts : as of any model
    modules : kind and folder of each, the transformer first
    prompts : instruction for each of its "texts", the package's queries, and "images", documents:
        its own, or where it has none, its default for all; "" for none
    kept : how many numbers of a vector are kept; None for all
    """

    facts: Facts
    modules: tuple[tuple[str, str], ...]
    prompts: dict[str, str]
    kept: int | None


@dataclass(frozen=True)
class Reranker:
    """What can be said of a re-ranker without loading it.

    Attributes
    ----------
    facts : as of any model; it has no vectors
    modules : kind and folder of each, the transformer first
    prompt : its instruction, which stands once in each pair; "" for none
    """

    facts: Facts
    modules: tuple[tuple[str, str], ...]
    prompt: str


def is_embedding(folder: Path) -> bool:
    """Whether modules.json stands beside a config.json that is of none of our dual encoders.

    Where it is of one, that is loaded, whatever else can be made of it.
    """
    if not all((folder / name).is_file() for name in (MODULES[0], "config.json")):
        return False
    config = read_json(folder / "config.json")
    return isinstance(config, dict) and config.get("model_type") not in FAMILIES


def is_reranker(folder: Path) -> bool:
    """Whether it is such a model, too, but was saved as one that scores pairs."""
    path = folder / PROMPTS
    about = read_json(path) if is_embedding(folder) and path.is_file() else None
    return bool(_of(about, "model_type") == OF_PAIRS)


def read_embedding(folder: Path) -> Embedding:
    """Check that ``folder`` holds a whole embedding model, and describe it.

    Raises
    ------
    BadInput
        for modules that are not sentence-transformers' own; configs that ask for code, files or
        numbers of elsewhere, or for pictures of any size; weights that are missing, pickled,
        damaged or quantised; a tokenizer or preprocessor that is missing; and a model of texts
        alone
    """
    path = folder / "config.json"
    if is_reranker(folder):
        raise BadInput(
            folder / PROMPTS,
            "a re-ranker, which scores pairs and gives no vectors",
            TAKE_ANOTHER.replace("take ", ""),
            "name it as the model of an entry of rerankers, and not in run.models",
        )
    config, modules, settings, shapes, numbers = _read_whole(folder)
    ways = _ways(folder / SETTINGS, settings, "feature-extraction", TAKE_ANOTHER)
    if not {"text", "image"} <= {*ways}:
        raise BadInput(
            folder / SETTINGS,
            f"a model of {', '.join(map(str, ways)) or 'texts alone'} (modality_config)",
            EXPECTED,
            f"{TAKE_ANOTHER}; a text tower alone is the text_tower of an entry with source: towers",
        )
    kinds = [kind for kind, _ in modules]
    pooled = settings["module_output_name"] == "sentence_embedding"
    first = ["Transformer"] if pooled else ["Transformer", "Pooling"]
    if kinds[: len(first)] != first or {*kinds[len(first) :]} - {"Dense", "Normalize"}:
        raise BadInput(
            folder / MODULES[0],
            f"modules {', '.join(kinds):.120}",
            f"{' and '.join(first)}, then Dense and Normalize as often as you like",
            TAKE_ANOTHER,
        )
    dense = [dense_of(folder / below) for kind, below in modules if kind == "Dense"]
    numbers += sum(math.prod(one.shape) + one.biased * one.shape[0] for one in dense)
    prompts, kept = _prompts(folder / PROMPTS)
    if dense:
        dim = dense[-1].shape[0]
    elif pooled:
        dim = _width(path, config, "projection_dim")
    else:
        dim = _pooled(path, config, folder / modules[1][1])
    facts = Facts(
        architecture=str(config.get("model_type")),
        parameters=numbers,
        embedding_dim=min(dim, kept or dim),
        shapes=shapes,
        side=None,
    )
    return Embedding(facts, modules, prompts, kept)


def read_reranker(folder: Path) -> Reranker:
    """Check that ``folder`` holds a whole re-ranker, and describe it.

    Raises ``BadInput`` as ``read_embedding`` does, and where the score is not the odds of one word,
    or of one against another, behind the pair.
    """
    config, modules, settings, shapes, numbers = _read_whole(folder)
    ways = _ways(folder / SETTINGS, settings, "any-to-any", TAKE_RERANKER)
    # a message of plain text would hold a picture's name in memory
    message = tuple(_of(ways.get("message"), key) for key in ("format", "method_output_name"))
    read = (*message, settings["module_output_name"])
    if "image" not in ways or read != ("structured", "logits", "causal_logits"):
        raise BadInput(
            folder / SETTINGS,
            f"a model of {', '.join(map(str, ways)) or 'texts alone'} (modality_config), of a "
            f"message {read!s:.80}",
            "one of pictures, whose structured messages give logits, called causal_logits",
            TAKE_RERANKER,
        )
    kinds = [kind for kind, _ in modules]
    if kinds != ["Transformer", "LogitScore"]:
        raise BadInput(
            folder / MODULES[0],
            f"modules {', '.join(kinds):.120}",
            "Transformer and LogitScore, the odds of a word",
            TAKE_RERANKER,
        )
    path = folder / modules[1][1] / "config.json"
    score = _dictionary(path)
    words = [score.get("true_token_id"), score.get("false_token_id")]
    size = _width(folder / "config.json", config, "vocab_size")
    known = [type(word) is int and 0 <= word < size for word in words if word is not None]
    if words[0] is None or not all(known) or score.get("module_input_name") != "causal_logits":
        raise BadInput(
            path,
            f"{score!s:.120}",
            f"true_token_id and false_token_id, or null, below {size}, of causal_logits",
            "take the file that belongs to the model",
        )
    facts = Facts(
        architecture=str(config.get("model_type")),
        parameters=numbers,
        embedding_dim=None,
        shapes=shapes,
        side=None,
    )
    return Reranker(facts, modules, _prompt(folder / PROMPTS))


def _read_whole(
    folder: Path,
) -> tuple[dict[str, Any], tuple[tuple[str, str], ...], dict[str, Any], dict[str, list[int]], int]:
    """The config, modules, settings, shapes of tensors and their numbers, of either kind."""
    path = folder / "config.json"
    for file in [folder / name for name in (*CONFIGS, "tokenizer_config.json")]:
        keys = {key for _, key, _ in keys_of(read_json(file))} if file.is_file() else set()
        if asked := keys & ELSEWHERE:
            found = f"{min(asked)}, which names code or a model of elsewhere"
            raise BadInput(file, found, "a model whose classes are transformers' own", OWN_CODE)
    config = _dictionary(path)
    check_config(path, config)
    modules = _modules(folder / MODULES[0])
    settings = _settings(folder / SETTINGS)
    tensors = read_tensors(folder)
    check_dtypes(folder, tensors)
    check_files(folder)
    check_depths(path, config, len(tensors))
    for file in [folder / name for name in PREPROCESSORS]:
        if file.is_file():
            _check_pictures(file, _dictionary(file))
    shapes = {name: shape for name, (_, shape) in tensors.items()}
    numbers = sum(math.prod(shape) for dtype, shape in tensors.values() if dtype in FLOATS)
    return config, modules, settings, shapes, numbers


def write_instruction(folder: Path, instruction: dict[str, str]) -> None:
    """Make an instruction of an entry the model's own; ``BadInput`` where it can have none.

    ``instruction`` has "texts" and "images", or one of them.
    """
    if not is_embedding(folder):
        raise BadInput(
            folder,
            "a model that reads no instruction",
            f"{EXPECTED} (modules.json), for an entry with `instruction`",
            "take `instruction` out of the entry; a text around captions is one of `prompts`",
        )
    path = folder / PROMPTS
    about = _dictionary(path) if path.is_file() else {}
    if not is_reranker(folder):
        _prompts(path)
    else:
        _prompt(path)
        if "texts" not in instruction or len(instruction) > 1:
            raise BadInput(
                folder,
                f"an instruction for {' and '.join(instruction)}",
                "one for texts, the queries of a re-ranker: a pair has one instruction",
                "name `texts` alone under `instruction` of the entry",
            )
        about |= {"default_prompt_name": NAMES["texts"]}
    told = {NAMES[side]: text for side, text in instruction.items()}
    write_json(path, about | {"prompts": (about.get("prompts") or {}) | told})


def _prompts(path: Path) -> tuple[dict[str, str], int | None]:
    """The model's own instructions, and how many numbers of a vector it keeps."""
    about = _dictionary(path) if path.is_file() else {}
    kind, kept = about.get("model_type", "SentenceTransformer"), about.get("truncate_dim")
    prompts = about.get("prompts") or {}
    every = _of(prompts, str(about.get("default_prompt_name")))
    found = {side: _of(prompts, name) for side, name in NAMES.items()}
    found = {side: (every or "") if one is None else one for side, one in found.items()}
    if (
        kind != "SentenceTransformer"
        or not isinstance(prompts, dict)
        or not all(isinstance(one, str) for one in found.values())
        or not (kept is None or (type(kept) is int and kept > 0))
    ):
        raise BadInput(
            path,
            f"model_type: {kind!r:.40}, truncate_dim: {kept!r:.40}, prompts: {prompts!s:.80}",
            "SentenceTransformer, which gives one vector, a length, and texts by name",
            TAKE_ANOTHER,
        )
    return found, kept


def _prompt(path: Path) -> str:
    """The instruction that a re-ranker has where none is asked for."""
    about = _dictionary(path)
    name, function = about.get("default_prompt_name"), about.get("activation_fn")
    found = "" if name is None else _of(about.get("prompts"), str(name))
    rising = function is None or str(function).rpartition(".")[2] in RISING
    if not isinstance(found, str) or not rising:
        raise BadInput(
            path,
            f"default_prompt_name: {name!r:.40}, activation_fn: {function!r:.80}",
            f"the name of one of its prompts; {' or '.join(RISING)} behind its scores",
            "take the file that belongs to the model",
        )
    return found


def _modules(path: Path) -> tuple[tuple[str, str], ...]:
    modules = read_json(path)
    found = tuple(module_of(path, one) for one in (modules if isinstance(modules, list) else []))
    if not found or found[0][1]:
        raise BadInput(path, f"modules: {modules!s:.120}", EXPECTED, TAKE_ANOTHER)
    return found


def _settings(path: Path) -> dict[str, Any]:
    """What a folder says of its transformer; ``BadInput`` where that is too much."""
    settings = _dictionary(path) if path.is_file() else {}
    check_config(path, settings)
    other = {key: value for key, value in settings.items() if key not in KNOWN}
    for key, allowed in TOLD.items():
        asked = other.pop(key, None) or {}
        if not isinstance(asked, dict):
            other[key] = asked
        else:
            other |= {f"{key}.{one}": asked[one] for one in asked if one not in allowed}
            _check_pictures(path, asked)
    for bucket, options in _items(settings.get("processing_kwargs")):
        for key, value in _items(options):
            # an option is a word, a number or a switch; a list or more is a tool or a document
            large = isinstance(value, int | float) and value > LARGEST_PICTURE
            if isinstance(value, list | dict) or large:
                other[f"processing_kwargs.{bucket}.{key}"] = value
    if other:
        key = min(other)
        raise BadInput(
            path,
            f"{key}: {other[key]!r:.60}",
            f"none but {', '.join(sorted(KNOWN))}, and plain options of a processor, of numbers "
            "not beyond all pictures",
            f"take it out of {path.name} if the model works without it, or take another model",
        )
    return {"module_output_name": "token_embeddings"} | settings


def _ways(path: Path, settings: dict[str, Any], task: str, todo: str) -> dict[str, Any]:
    """How each kind of input is read; ``BadInput`` where settings in ``path`` are for no ``task``.

    ``todo`` is what to do then.
    """
    found = settings.get("transformer_task", "feature-extraction")
    ways = settings.get("modality_config")
    ways = ways if isinstance(ways, dict) else {}
    called = [str(_of(way, "method")) for way in ways.values()]
    if found != task or not all(re.fullmatch(METHODS[task], one) for one in called):
        raise BadInput(
            path,
            f"transformer_task: {found!r:.40}, methods {', '.join(called):.80}",
            f"{task} by {METHODS[task].replace('|', ' or ')}",
            todo,
        )
    return ways


def _pooled(path: Path, config: dict[str, Any], folder: Path) -> int:
    """Length of a pooled row: the transformer's width, as often as there are ways of pooling."""
    about = _dictionary(folder / "config.json")
    modes = about.get("pooling_mode") or [
        key for key, value in about.items() if key.startswith("pooling_mode_") and value
    ]
    return _width(path, config, "hidden_size") * (len(modes) or 1 if isinstance(modes, list) else 1)


def _width(path: Path, config: dict[str, Any], key: str) -> int:
    text = config.get("text_config")
    found = config.get(key, _of(text, key))
    if type(found) is not int or found < 1:
        raise BadInput(
            path, f"{key}: {found!r:.40}", "the length of the model's rows", TAKE_ANOTHER
        )
    return found


def _check_pictures(path: Path, settings: dict[str, Any]) -> None:
    """Raise ``BadInput`` where settings in ``path`` make pictures larger than any is."""
    own = settings.get("image_processor")
    settings = own if isinstance(own, dict) else settings
    sizes = {key: value for key, value in settings.items() if key.endswith(("size", "pixels"))}
    sizes |= {f"size.{key}": value for key, value in _items(sizes.pop("size", None))}
    for key, value in sizes.items():
        most, of = LARGEST_SIDE, "pixels"
        if key.endswith(("_pixels", "_edge")):
            most = LARGEST_PICTURE
        elif key.endswith(("patch_size", "merge_size")):
            most, of = LARGEST_PATCH, "pixels, patches or frames"
        for number in value.values() if isinstance(value, dict) else [value]:
            check_bound(path, key, number, most, of)


def _dictionary(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise BadInput(path, f"{found!s:.80}", "keys and values", "fetch the file again")
    return found


def _of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _items(value: Any) -> list[tuple[str, Any]]:
    return [*value.items()] if isinstance(value, dict) else [("", value)]
