"""What else differs between two runs: names, settings, and what they were made with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.compare.sides import Difference, Side, get_of
from scripts.evaluate.steps import where_and_with_what
from scripts.job import read_json
from scripts.jobs import job_behind, jobs_behind
from scripts.provenance.crate import CONFIG, NAME


def other_settings(a: Side, b: Side) -> list[Difference]:
    """Names, settings and versions that differ between two runs that may be compared.

    A version that one of them does not know is no difference: a step that only one has loads
    libraries that the other has no need of.
    """
    found = [_differing(a.names, b.names), _differing(settings_of(a), settings_of(b))]
    versions = versions_of(a), versions_of(b)
    found.append([one for one in _differing(*versions) if None not in one])
    return [one for part in found for one in part]


def _differing(a: dict[str, str], b: dict[str, str]) -> list[Difference]:
    keys = dict.fromkeys([*a, *b])
    return [Difference(key, a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key)]


def settings_of(side: Side) -> dict[str, str]:
    """What the run's own configuration says of its dataset, model, prompt and scorer.

    Returns
    -------
    dotted key -> value; nothing where the run left no configuration, or it is of others
    """
    from scripts.config import read_own

    path = side.folder.parents[2] / CONFIG
    if not path.is_file():
        return {}
    config, names = read_own(path), side.names
    first, _, second = names["scorer"].partition("+")
    scorer = _entry(config, "scorers", first)
    told = {
        **{part: _entry(config, f"{part}s", names[part]) for part in ("dataset", "model")},
        "prompt": {"templates": _entry(config, "prompts", names["prompt"])},
        "scorer": scorer,
        "with": _entry(config, "models", str(get_of(scorer, "with"))),
        "reranker": _entry(config, "rerankers", second.partition("+")[0]),
        **{part: config.get(part) for part in ("encode", "similarity", "split")},
    }
    return dict(_flat(told))


def _entry(config: dict[str, Any], registry: str, name: str) -> Any:
    return get_of(config.get(registry), name)


def _flat(value: Any, above: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, own in value.items():
            yield from _flat(own, f"{above}.{key}" if above else str(key))
    elif value is not None:
        # YAML has kinds that JSON has not, such as dates
        told = json.dumps(value, ensure_ascii=False, default=str)
        yield above, value if isinstance(value, str) else told


def versions_of(side: Side) -> dict[str, str]:
    """What the run was made with, as its record, its features and its jobs tell.

    Returns
    -------
    dotted key -> value; nothing of what is not there
    """
    return {**_of_record(side), **_of_features(side), **_of_jobs(side)}


def _of_record(side: Side) -> dict[str, str]:
    path = side.folder.parents[2] / NAME
    graph = get_of(read_json(path), "@graph") if path.is_file() else None
    graph = graph if isinstance(graph, list) else []
    for entity in graph:
        if get_of(entity, "@id") == "#workflow":
            more = {
                str(get_of(value, "name")): str(get_of(value, "value"))
                for value in graph
                if str(get_of(value, "@id")).startswith("#code/")
            }
            return {"workflow": str(entity.get("softwareVersion"))} | more
    return {}


def _of_features(side: Side) -> dict[str, str]:
    """Device, precision and the model's own files behind images and texts."""
    folder = side.folder.parents[1] / side.about["split"]
    found = {}
    for stem, of in (("images", "images"), (f"texts.{side.folder.parent.name}", "texts")):
        path = folder / f"{stem}.json"
        about = read_json(path) if path.is_file() else None
        for key in ("device", "precision", "model"):
            if (value := get_of(about, key)) is not None:
                found[f"{of}: {key}"] = str(value)[:12]
    return found


def _of_jobs(side: Side) -> dict[str, str]:
    path = _recorded(side)
    records = side.results / "jobs"
    jobs = list(jobs_behind([path], records)) if job_behind(path, records) else []
    where = where_and_with_what(jobs)
    found: dict[str, set[str]] = {}
    for machine in where["machines"]:
        for key in ("processor", "gpu", "system"):
            if key in machine:
                found.setdefault(key, set()).add(str(machine[key]))
    for package in where["packages"]:
        found.setdefault(package["name"], set()).add(package["version"])
    for job in jobs:
        found.setdefault(f"code of {job.rule}", set()).add(job.code)
    return {key: ", ".join(sorted(values)) for key, values in found.items()}


def _recorded(side: Side) -> str:
    """Its metrics.json as jobs name it, wherever the results lie now."""
    return Path("results", *side.folder.parts[-4:], "metrics.json").as_posix()


def untold(side: Side) -> list[str]:
    """What a finished run has beside it and this one has not, so that less is told of it."""
    missing = [name for name in (CONFIG, NAME) if not (side.folder.parents[2] / name).is_file()]
    told = job_behind(_recorded(side), side.results / "jobs")
    return missing if told else [*missing, "jobs/"]
