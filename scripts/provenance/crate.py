"""The record of a run as an RO-Crate: JSON-LD that archives and other programs read.

Its form is RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) with the terms of Process Run Crate
(https://w3id.org/ro/wfrun/process/0.5). What lies beside the record is a ``File`` of the crate;
data and models lie elsewhere, so they are named as ``#data/...`` and described, not contained.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from scripts.data.files import digest_of_folder, is_litter
from scripts.job import BadInput, digest_of_file, read_json

NAME = "ro-crate-metadata.json"
CONFIG = "config.yaml"
# Snakemake's note of when it made a folder: an empty file
MARK = ".snakemake_timestamp"
HIDDEN, EMPTY = "hidden, or left by a system", "an empty folder"
# RO-Crate 1.1 itself has no term for a checksum
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
]
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
HUBS = {"huggingface": "https://huggingface.co/", "modelscope": "https://www.modelscope.cn/models/"}
FORMATS = {
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "md": "text/markdown",
    "npy": "application/x-npy",
    "npz": "application/zip",
    "pdf": "application/pdf",
    "png": "image/png",
    "svg": "image/svg+xml",
    "tex": "text/x-tex",
    "yaml": "application/yaml",
}

Entity = dict[str, Any]


@dataclass(frozen=True)
class Recorded:
    """One file, or one folder with all that is in it.

    Attributes
    ----------
    path : below the folder of the run's results; of data and models, from ``data/`` on. A folder's
        ends with /
    size : bytes
    sha256 : of the file; of a folder, over the names and contents of its files
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Run:
    """All that a record tells; ``crate`` gives it its form.

    Attributes
    ----------
    dataset : that was searched
    results : files that the run made
    beside : other files in the same folder
    datasets : name -> its files, and ``source``, ``layout`` and ``notes`` of its origin
    models : contents of model.json, with the model's files under ``recorded``
    encodings : features -> contents of their sidecar, by path below the results
    seeds : key of the configuration -> seed
    fingerprints : rule -> digest of its code
    code : ``version`` of the workflow, and with git ``commit``, ``changed`` and ``date``
    packages : name -> pinned and installed version; None where the record's job has it not
    platform : ``python`` and ``system``
    date : of the code, so that the same run gives the same record
    """

    dataset: str
    results: list[Recorded]
    beside: list[Recorded]
    datasets: dict[str, dict[str, Any]]
    models: list[dict[str, Any]]
    encodings: dict[str, dict[str, Any]]
    seeds: dict[str, Any]
    fingerprints: dict[str, str]
    code: dict[str, Any]
    packages: dict[str, tuple[str, str | None]]
    platform: dict[str, str]
    date: str


def described(path: Path, name: str) -> Recorded:
    """The file or folder at ``path`` under the name that it has in a record."""
    if path.is_dir():
        _, size, sha256 = digest_of_folder(path)
        return Recorded(f"{name.rstrip('/')}/", size, sha256)
    return Recorded(name, path.stat().st_size, digest_of_file(path))


@dataclass
class Below:
    """What lies below a folder, by its path there.

    Attributes
    ----------
    files : plain files, which a record tells of
    odd : what is neither a plain file nor a folder -> what it is; nothing behind it is looked at
    untold : what no record tells of -> why
    """

    files: list[str] = field(default_factory=list)
    odd: dict[str, str] = field(default_factory=dict)
    untold: dict[str, str] = field(default_factory=dict)


def all_below(folder: Path, but: str = "") -> Below:
    """All that is in ``folder``, sorted by name, without the file ``but``."""
    below = Below()
    folders = [""]
    while folders:
        above = folders.pop()
        try:
            entries = list(os.scandir(folder / above))
        except OSError as error:
            below.odd[above.rstrip("/")] = f"a folder that cannot be read: {error.strerror}"
            continue
        if above and not entries:
            below.untold[above.rstrip("/")] = EMPTY
        for entry in entries:
            name = above + entry.name
            if name == but:
                continue
            if is_litter(entry.name):
                below.untold[name] = HIDDEN
            elif entry.is_symlink():
                below.odd[name] = f"a link to {Path(entry).readlink()}"
            elif entry.is_dir():
                folders.append(f"{name}/")
            elif entry.is_file():
                below.files.append(name)
            else:
                below.odd[name] = "a pipe or a device"
    odd, untold = (dict(sorted(one.items())) for one in (below.odd, below.untold))
    return Below(sorted(below.files), odd, untold)


def crate(run: Run) -> Entity:
    """The contents of ro-crate-metadata.json."""
    made = [_file(file) for file in run.results]
    beside = [_file(file) | {"description": "not made by this run"} for file in run.beside]
    values = _Values()
    models = [entity for model in run.models for entity in _model(model, values)]
    datasets = [entity for name in run.datasets for entity in _dataset(name, run.datasets[name])]
    encodings = [
        _encoding(path, about, run.dataset, values) for path, about in run.encodings.items()
    ]
    code = _code(run, values)
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"CLIP image-text retrieval on {run.dataset}",
        "description": "All steps from dataset and models to the report. When and by whom is left "
        "out, so that the same run gives the same record.",
        "instrument": {"@id": "#workflow"},
        "object": [
            _ref(CONFIG),
            *(_ref(f"#dataset/{name}") for name in run.datasets),
            *(_ref(f"#model/{model['model']}") for model in run.models),
            *(values.of("seed", key, value) for key, value in run.seeds.items()),
        ],
        "result": [_ref(entity["@id"]) for entity in made],
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Image-text retrieval on {run.dataset}: results",
        "description": "Features, rankings, metrics, tables, figures and the report of one run, "
        "with what they were made from. Checksums are SHA-256.",
        "datePublished": run.date,
        "conformsTo": _ref(PROFILE),
        "hasPart": [_ref(entity["@id"]) for entity in [*made, *beside]],
        "license": _ref("#terms"),
        "mentions": [
            _ref("#run"),
            *(_ref(entity["@id"]) for entity in encodings),
            *(_ref(e["@id"]) for e in [*models, *datasets] if e["@type"] == "Collection"),
        ],
    }
    descriptor = {
        "@id": NAME,
        "@type": "CreativeWork",
        "conformsTo": _ref("https://w3id.org/ro/crate/1.1"),
        "about": _ref("./"),
    }
    profile = {
        "@id": PROFILE,
        "@type": "CreativeWork",
        "name": "Process Run Crate",
        "version": "0.5",
    }
    terms = {
        "@id": "#terms",
        "@type": "CreativeWork",
        "name": "Terms of the dataset and the models",
        "description": "What the results may be used for follows from the terms of the dataset and "
        "of the models. The workflow claims nothing of them.",
    }
    graph = [
        *(descriptor, root, profile, terms, action),
        *encodings,
        *code,
        *models,
        *datasets,
        *values.entities(),
        *made,
        *beside,
    ]
    return {"@context": CONTEXT, "@graph": graph}


def read_crate(path: Path) -> tuple[list[Recorded], list[Recorded]]:
    """All that the record at ``path`` has a checksum of: beside it, and of data and models.

    The paths of the latter begin with ``#data/`` there, and with ``data/`` here. A dataset's files
    that were taken from a place of the user's own are left out, for the record does not say where
    it was.

    Raises ``BadInput`` where it is no record of a run, or names a path that leads out of its
    folder.
    """
    record = read_json(path)
    todo = f"delete {path} and run the workflow again, which records the run anew"
    graph = record.get("@graph") if isinstance(record, dict) else None
    if not isinstance(graph, list):
        raise BadInput(path, "no @graph", "an RO-Crate that the workflow wrote", todo)
    beside: list[Recorded] = []
    elsewhere: list[Recorded] = []
    for entity in graph:
        if not isinstance(entity, dict) or "sha256" not in entity:
            continue
        name, size, sha256 = (str(entity.get(key, "")) for key in ("@id", "contentSize", "sha256"))
        if not (re.fullmatch("[0-9]{1,18}", size) and re.fullmatch("[0-9a-f]{64}", sha256)):
            raise BadInput(path, f"{entity!r:.200}", "@id, contentSize and sha256 of a file", todo)
        if name.startswith("#elsewhere/"):
            continue
        found = Recorded(
            unquote(name.removeprefix("#"), errors="surrogateescape"), int(size), sha256
        )
        if not _can_be(found.path, elsewhere=name.startswith("#")):
            raise BadInput(path, f"the name {name!r:.200}", "a path below the folder", todo)
        (elsewhere if name.startswith("#") else beside).append(found)
    if not beside:
        raise BadInput(path, "no file with a checksum", "an RO-Crate that the workflow wrote", todo)
    return beside, elsewhere


def _can_be(path: str, elsewhere: bool) -> bool:
    """Whether a record may name ``path``: odd ones, too, for whatever stood there was recorded."""
    parts = path.removesuffix("/").split("/")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    # data/<dataset>/<file>, data/models/<model>/<file>
    least = 1 if not elsewhere else 4 if parts[:2] == ["data", "models"] else 3
    inside = len(parts) >= least and (parts[0] == "data" or not elsewhere)
    return inside and "\0" not in path and not {"", ".", ".."} & set(parts)


class _Values:
    """Named values of the record, each an entity of its own that may be named several times."""

    def __init__(self) -> None:
        self._entities: dict[str, Entity] = {}

    def of(self, kind: str, name: str, value: Any) -> Entity:
        """A reference to the value; ``kind`` and the value tell it from others of its name."""
        key = f"#{kind}/{quote(name)}" + ("" if kind == "seed" else f"/{quote(str(value))}")
        self._entities[key] = {"@id": key, "@type": "PropertyValue", "name": name, "value": value}
        return _ref(key)

    def entities(self) -> list[Entity]:
        return list(self._entities.values())


def _ref(key: str) -> Entity:
    return {"@id": key}


def _one(references: list[Entity]) -> list[Entity] | Entity:
    """A list of one is written as the one."""
    return references[0] if len(references) == 1 else references


def _id(path: str) -> str:
    # names may be of bytes that are not UTF-8
    return quote(os.fsencode(path))


def _file(file: Recorded) -> Entity:
    kind = FORMATS.get(file.path.rpartition(".")[2], "application/octet-stream")
    return {
        "@id": _id(file.path),
        "@type": "File",
        "name": os.fsencode(file.path).decode("utf-8", "replace"),
        "contentSize": str(file.size),
        "encodingFormat": kind,
        "sha256": file.sha256,
    }


def _elsewhere(file: Recorded, prefix: str = "#") -> Entity:
    """A file or folder of data or models: told, but not part of the crate."""
    return {
        "@id": prefix + _id(file.path),
        "@type": "CreativeWork",
        "name": os.fsencode(file.path).decode("utf-8", "replace"),
        "contentSize": str(file.size),
        "sha256": file.sha256,
    }


def _dataset(name: str, about: dict[str, Any]) -> list[Entity]:
    prefix = "#" if about["here"] else "#elsewhere/"
    files = [
        *(_elsewhere(file) for file in about["prepared"]),
        *(_elsewhere(file, prefix) for file in about["raw"]),
    ]
    told = "; ".join([f"taken from {about['source']} as {about['layout']}", *about["notes"]])
    whole = {
        "@id": f"#dataset/{name}",
        "@type": "Collection",
        "name": name,
        "description": told,
        "hasPart": _one([_ref(entity["@id"]) for entity in files]),
    }
    return [whole, *files]


def _model(about: dict[str, Any], values: _Values) -> list[Entity]:
    files = [_elsewhere(file) for file in about["recorded"]]
    facts = ("source", "architecture", "parameters", "embedding_dim")
    training = about.get("training") or {}
    properties = [
        *((key, about[key]) for key in facts if about.get(key) is not None),
        *(
            (f"training {key}", training[key])
            for key in ("dataset", "base", "seed")
            if key in training
        ),
    ]
    whole = {
        "@id": f"#model/{about['model']}",
        "@type": "Collection",
        "name": about["model"],
        "hasPart": _one([_ref(entity["@id"]) for entity in files]),
        "additionalProperty": [
            values.of(f"of/{about['model']}", key, value)
            for key, value in properties
            if value is not None
        ],
    }
    if about.get("revision"):
        whole["version"] = about["revision"]
    parts = (about.get("towers") or {"": about}).values()
    homes = {
        HUBS[one["source"]] + quote(str(one["repo"])): str(one["repo"])
        for one in parts
        if one["source"] in HUBS
    }
    if homes:
        whole["isBasedOn"] = _one([_ref(home) for home in homes])
    works = [{"@id": home, "@type": "CreativeWork", "name": repo} for home, repo in homes.items()]
    return [whole, *files, *works]


def _encoding(path: str, about: dict[str, Any], dataset: str, values: _Values) -> Entity:
    model, made = path.split("/")[0], "encode" if "device" in about else "import"
    inputs = [_ref(f"#dataset/{dataset}"), _ref(f"#model/{model}")]
    told = [values.of("encode", key, about[key]) for key in ("device", "precision") if key in about]
    return {
        "@id": f"#encode/{quote(path)}",
        "@type": "CreateAction",
        "name": f"{made} {path}",
        "description": "Features of images or texts, as unit rows.",
        "instrument": _ref("#workflow"),
        "object": [*inputs, *told],
        "result": _ref(quote(path)),
    }


def _code(run: Run, values: _Values) -> list[Entity]:
    python, _, version = run.platform["python"].partition(" ")
    packages = [
        {
            "@id": f"pkg:generic/python@{version}",
            "@type": "SoftwareApplication",
            "name": python,
            "softwareVersion": version,
        }
    ]
    packages += [
        {
            "@id": f"pkg:pypi/{name}@{installed or pinned}",
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": installed or pinned,
            "description": _standing(pinned, installed),
        }
        for name, (pinned, installed) in run.packages.items()
    ]
    state = {key: run.code[key] for key in ("commit", "changed") if run.code.get(key) is not None}
    names = {"commit": "git commit", "changed": "changed since that commit"}
    workflow = {
        "@id": "#workflow",
        "@type": "SoftwareApplication",
        "name": "clip-retrieval",
        "description": "A Snakemake workflow. Each rule has a fingerprint of its script and of all "
        "modules that the script imports.",
        "license": _ref("https://spdx.org/licenses/MIT"),
        "softwareVersion": run.code["version"],
        "operatingSystem": run.platform["system"],
        "additionalProperty": [
            *(values.of("code", names[key], value) for key, value in state.items()),
            *(
                values.of("fingerprint", f"fingerprint of {rule}", digest)
                for rule, digest in run.fingerprints.items()
            ),
        ],
        "softwareRequirements": [_ref(entity["@id"]) for entity in packages],
    }
    licence = {
        "@id": "https://spdx.org/licenses/MIT",
        "@type": "CreativeWork",
        "name": "MIT License",
    }
    return [workflow, licence, *packages]


def _standing(pinned: str, installed: str | None) -> str:
    if installed is None:
        return "pinned; not in the environment that wrote this record"
    return "pinned, and installed" if installed == pinned else f"installed; pinned is {pinned}"
