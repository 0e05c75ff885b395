"""The configuration, checked before any work begins.

``config/schema.yaml`` describes every key. Beyond the schema, the names that ``run`` selects must
stand in the registries. Whatever is wrong is told at once, each with the nearest valid name.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from scripts.job import BadInput
from scripts.letters import printable
from scripts.quick_yaml import LOADER, read_yaml

# of the two that build nothing but plain values, the fast one where it is there
CONFIG = Path(__file__).resolve().parent.parent / "config"
SCHEMA = CONFIG / "schema.yaml"
# entries within an entry of a model whose towers were published apart
TOWERS = ("image_tower", "text_tower")
# letters of a name, as the schema has it for those that are given
LONGEST = 60
# names that are folders of something else
TAKEN = {"models", "logs", "jobs", "tables", "figures", "train", "val", "test"}


class ConfigError(Exception):
    """All that is wrong with a configuration, one line each."""

    def __init__(self, problems: list[str]) -> None:
        lines = "\n".join(f"  - {_short(printable(problem, ''))}" for problem in problems)
        super().__init__(
            f"The configuration has {len(problems)} problem(s):\n{lines}\n"
            "  Every key is explained in config/README.md."
        )


def checked(
    config: dict[str, Any], files: Iterable[str | Path] = (), schema: Path = SCHEMA
) -> dict[str, Any]:
    """Return ``config`` with the schema's defaults filled in, and ``~`` as the home that it is.

    Parameters
    ----------
    config : as Snakemake has put it together
    files : the files that it comes from
    schema : what it may hold

    Raises ``ConfigError`` naming each faulty key, what it holds, what it should, and the nearest
    valid name where a name is unknown.
    """
    rules = read_yaml(schema)
    problems = [*(twice for file in files for twice in _keys_twice(file)), *_unusable(config)]
    if not problems:
        errors = _validator(rules).iter_errors(config)
        problems = [_told(e) for e in sorted(errors, key=lambda e: list(map(str, e.path)))]
    if not problems:
        problems = list(_misfits(config))
    if problems:
        raise ConfigError(problems)
    entries = [*config["datasets"].values(), *config["models"].values()]
    entries += [entry[key] for entry in entries for key in TOWERS if key in entry]
    for entry in entries:
        for key in ("location", "path", "images", "texts"):
            if isinstance(entry.get(key), str):
                # of a user whom the system does not know, it stays, and the job says what it is
                entry[key] = os.path.expanduser(entry[key])  # noqa: PTH111
    return config


def over_defaults(*configs: dict[str, Any]) -> dict[str, Any]:
    """``configs`` laid over config/config.yaml in turn, as Snakemake lays one file over another.

    Dictionaries are merged; lists and values are replaced.
    """
    return functools.reduce(_laid_over, configs, defaults())


def read_own(path: Path) -> dict[str, Any]:
    """A configuration in YAML; ``BadInput`` where it is none."""
    try:
        # a person's file may be nested so deep that libyaml would end the process
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        found = " ".join(str(error).split())
        raise BadInput(path, found, "a configuration in YAML", "correct the file") from None
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise BadInput(path, found, "a configuration in YAML: run, datasets, ...", "correct it")
    return content


def defaults() -> dict[str, Any]:
    """config/config.yaml, as it stands in the repository."""
    content: dict[str, Any] = read_yaml(CONFIG / "config.yaml")
    return content


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _laid_over(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return below | above | both


def name_of(called: str, own: str, is_taken: Callable[[str], bool]) -> str:
    """A name as the config takes it for what a person calls otherwise.

    Parameters
    ----------
    called : the name that it has
    own : what tells it from others of that name, such as its path
    is_taken : whether a name is that of something else

    Of letters that no name may have, nothing is left, and two such names may be left alike: then,
    as where it is taken or too long, the sum of ``own`` makes it another.
    """
    plain = re.sub(r"[^a-z0-9.]+", "-", called.lower()).strip("-.")
    if plain and called.isascii() and len(plain) <= LONGEST and not is_taken(plain):
        return plain
    own = hashlib.sha256(own.encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{plain[: LONGEST - 7].strip('-.') or 'photos'}-{own}"


def nearest(name: str, valid: list[str]) -> str:
    """``did you mean ...?`` where something comes close, and the list of what is valid."""
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Valid: {', '.join(sorted(valid)) or 'none'}"


def _validator(rules: dict[str, Any]) -> Draft202012Validator:
    """A validator that also fills in defaults, in the manner that jsonschema's own docs show."""
    check_properties = Draft202012Validator.VALIDATORS["properties"]

    def fill_and_check(
        validator: Any, properties: dict[str, Any], instance: Any, schema: dict[str, Any]
    ) -> Iterator[ValidationError]:
        if isinstance(instance, dict):
            for key, subschema in properties.items():
                if "default" in subschema:
                    instance.setdefault(key, subschema["default"])
        yield from check_properties(validator, properties, instance, schema)

    return validators.extend(Draft202012Validator, {"properties": fill_and_check})(rules)


def _keys_twice(file: str | Path) -> Iterator[str]:
    """Keys that stand twice in one mapping of a YAML file; YAML silently keeps the last."""
    try:
        nodes = [yaml.compose(Path(file).read_text("utf-8"), Loader=LOADER)]
    except (OSError, ValueError, yaml.YAMLError):
        return  # Snakemake reads it, too, and says what is wrong
    looked_at = set()
    for node in nodes:  # grows as it is read
        if id(node) in looked_at or not isinstance(node, yaml.CollectionNode):
            continue
        looked_at.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
            continue
        seen = set()
        for key, value in node.value:
            nodes.append(value)
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                yield f"{file}, line {line}: the key {key.value!r:.80} a second time; write it once"
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))


def _unusable(value: Any, key: str = "") -> Iterator[str]:
    """Numbers that nothing can be computed with and texts that no file can hold, by their keys."""
    where = key or "the file"
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: {value} is no finite number"
    elif isinstance(value, int) and abs(value) >= 2**63:
        yield f"{where}: a whole number of more than 63 bits"
    elif isinstance(value, str):
        if printable(value, "\n\t") != value:
            yield f"{where}: {value!r:.80} holds a control character, or half of a character"
    elif isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in parts:
            if isinstance(name, str):
                yield from _unusable(name, f"{where}: a key")
            yield from _unusable(part, f"{key}.{name!s:.80}" if key else f"{name!s:.80}")


def _told(error: ValidationError) -> str:
    key = ".".join(map(str, error.absolute_path)) or "the file"
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = sorted(error.schema["properties"])
        if error.validator == "unevaluatedProperties":  # a study: it has those of every study, too
            known = sorted([*known, "figure", "title"])
        unknown = [name for name in error.instance if name not in known]
        return "; ".join(
            f"{key}: unknown key {name!r}; {nearest(str(name), known)}" for name in unknown
        )
    if error.validator == "enum":
        return f"{key}: {error.instance!r}; {nearest(str(error.instance), error.validator_value)}"
    said = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    # what follows is for the reader of config/README.md
    meaning = " ".join(said.partition("\n\n")[0].split())
    return f"{key}: {error.message}" + (f" ({meaning})" if meaning else "")


def _short(text: str) -> str:
    # what stands in the file is told in full by the validator, however long
    return text if len(text) <= 900 else f"{text[:600]} … {text[-200:]}"


def _misfits(config: dict[str, Any]) -> Iterator[str]:
    """What no schema can say: names that stand in no registry, and values that fit no other."""
    parts = (_unknown_names, _models, _scorers, _rerankers)
    for part in (*parts, _studies, _encode, _split, _prompts):
        yield from part(config)


def datasets_of(run: dict[str, Any]) -> list[str]:
    """The datasets of a run, of which there is mostly one."""
    named = run["dataset"]
    return [named] if isinstance(named, str) else named


def _unknown_names(config: dict[str, Any]) -> Iterator[str]:
    run = config["run"]
    for what, names in (
        ("datasets", datasets_of(run)),
        ("models", run["models"]),
        ("prompts", run["prompts"]),
        ("scorers", run["scorers"]),
        ("rerankers", run["rerankers"]),
        ("indexes", run["indexes"]),
        ("studies", run["studies"]),
    ):
        valid = list(config[what])
        for name in names:
            if name not in valid:
                yield f"run: {name!r} is not among the {what}; {nearest(name, valid)}"


def _models(config: dict[str, Any]) -> Iterator[str]:
    for name, model in config["models"].items():
        if model["source"] == "features":
            yield from _features(name, model, list(config["prompts"]))
        if model["source"] != "train":
            continue
        if model["dataset"] not in config["datasets"]:
            valid = list(config["datasets"])
            yield f"models.{name}.dataset: {model['dataset']!r}; {nearest(model['dataset'], valid)}"
        base = model.get("base")
        if base is not None and (base not in config["models"] or base == name):
            valid = [other for other in config["models"] if other != name]
            yield f"models.{name}.base: {base!r}; {nearest(base, valid)}"
        elif base is not None and config["models"][base]["source"] == "features":
            yield f"models.{name}.base: {base!r} is features and no model; name another model"
        elif base is not None and config["models"][base]["source"] == "towers":
            yield (
                f"models.{name}.base: {base!r}, whose towers were published apart; name a model "
                "that has both, or null"
            )
        elif _begins_with_itself(name, config["models"]):
            yield f"models.{name}.base: {base!r} begins with {name} in turn; name another model"


def _features(name: str, model: dict[str, Any], prompts: list[str]) -> Iterator[str]:
    if "path" not in model and not {"images", "texts"} <= set(model):
        yield f"models.{name}: features of images and texts; give a path for each, or path for both"
    for prompt in model["prompts"]:
        if prompt not in prompts:
            yield f"models.{name}.prompts: {prompt!r}; {nearest(prompt, prompts)}"


def _scorers(config: dict[str, Any]) -> Iterator[str]:
    run, models = config["run"], config["models"]
    for name, scorer in config["scorers"].items():
        partner = scorer.get("with")
        if name in run["scorers"] and partner is not None and partner not in models:
            yield f"scorers.{name}.with: {partner!r}; {nearest(partner, list(models))}"
    first = config["scorers"].get(run["scorers"][0], {})
    if first.get("kind") == "fusion":
        yield (
            f"run.scorers: {run['scorers'][0]!r} stands first and needs two models; the others are "
            "compared with the first, so put one there that needs one"
        )


def _rerankers(config: dict[str, Any]) -> Iterator[str]:
    run, models, top_k = config["run"], config["models"], config["similarity"]["top_k"]
    for name, reranker in config["rerankers"].items():
        if name not in run["rerankers"]:
            continue
        model, depth = reranker["model"], reranker["depth"]
        if model not in models:
            yield f"rerankers.{name}.model: {model!r}; {nearest(model, list(models))}"
        elif (source := models[model]["source"]) in ("train", "towers", "features"):
            yield (
                f"rerankers.{name}.model: {model!r}, of the source {source!r}, reads no picture "
                "and sentence together; name a BLIP with its matching head"
            )
        if len(f"{run['scorers'][0]}+{name}+first") > LONGEST:
            yield (
                f"rerankers: {name!r} makes of {run['scorers'][0]!r} a name of more than {LONGEST} "
                "letters, which the name of a log file has no room for; shorten one of them"
            )
        if depth < top_k:
            yield (
                f"rerankers.{name}.depth: {depth} is less than similarity.top_k, {top_k}, which "
                f"lists show; take {top_k} or more"
            )


def _studies(config: dict[str, Any]) -> Iterator[str]:
    run, prompts = config["run"], config["prompts"]
    if "indexes" in run["studies"] and not run["indexes"]:
        yield (
            "run.indexes: empty, and the study of indexes has none to look at; name some of "
            f"{', '.join(config['indexes']) or 'the registry'}, or leave indexes out of run.studies"
        )
    prompt = config["studies"].get("judgments", {}).get("prompt")
    if "judgments" in run["studies"] and prompt not in prompts:
        yield f"studies.judgments.prompt: {prompt!r}; {nearest(str(prompt), list(prompts))}"


def _encode(config: dict[str, Any]) -> Iterator[str]:
    shard, batch = config["encode"]["shard_size"], config["encode"]["batch_size"]
    # as large as blocks are where the device decides, see scripts/encode/features.py
    batch = 64 if batch == "auto" else batch
    if shard and shard % batch:
        # the last bits of a row depend on its batch: whole batches make shards equal to the whole
        yield (
            f"encode.shard_size: {shard} is no multiple of encode.batch_size, {batch}; "
            f"take {(shard // batch + 1) * batch}"
        )


def _split(config: dict[str, Any]) -> Iterator[str]:
    shares = config["split"]["shares"].values()
    if abs(sum(shares) - 1) > 1e-6:
        yield f"split.shares: together {sum(shares):g}, not 1; correct them"


def _prompts(config: dict[str, Any]) -> Iterator[str]:
    for name, templates in config["prompts"].items():
        for template in templates:
            if len(re.findall(re.escape("{}"), template)) != 1:
                yield (
                    f"prompts.{name}: {template!r} needs exactly one {{}}, where the caption goes"
                )


def _begins_with_itself(name: str, models: dict[str, Any]) -> bool:
    """Whether the bases of a trained model lead back to it, so that none could be made first."""
    seen, base = {name}, models[name].get("base")
    while base in models and base not in seen:
        seen.add(base)
        base = models[base].get("base")
    return base in seen
