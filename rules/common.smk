"""What all rules share: the checked configuration, names that wildcards may take, and input functions.

Comes in: `config`, and ROOT of rules/root.smk. Goes out: nothing is made here.
"""

import json
import os
import re
import sys
from functools import cache, reduce
from itertools import takewhile
from operator import getitem
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import ExecMode

sys.path.insert(0, str(ROOT))
# jobs import `scripts.…` from the repository, wherever they run
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")])))

import scripts

if Path(scripts.__path__[0]).resolve() != (ROOT / "scripts").resolve():
    raise WorkflowError(
        f"The rules of {ROOT} need the package scripts that is there, and one Python has one package of a name: "
        f"that of {scripts.__path__[0]} was imported before.\n"
        "  to do:    call your own otherwise; of this workflow, use one version in one Snakefile"
    )

if any(
    workflow.modifier.path_modifier.replace_prefix(path) != path for path in ("data/d", "results/d")
):
    raise WorkflowError(
        "The module of these rules has a prefix or replace_prefix, and jobs look for what others left below data/ and "
        "results/.\n"
        "  to do:    leave it out, and run in a folder of its own: snakemake --directory FOLDER"
    )

from scripts.bundles import bundle_of
from scripts.config import TOWERS, ConfigError, checked, datasets_of, defaults, over_defaults
from scripts.fingerprint import fingerprint as fingerprint_of
from scripts.one_run import guard
from scripts.protocol import DIRECTIONS
from scripts.provenance.privacy import told
from scripts.selection import (
    asked_by_name,
    encodes,
    learns,
    learnt_from,
    leave_out,
    looks_at,
    prompts_behind,
    run_without,
)
from scripts.studies.families import FAMILY_OF, table_behind
from scripts.watched import contents_of_dataset, contents_of_features, contents_of_model

# jobs of a run read the Snakefile again, and are part of it
if workflow.exec_mode == ExecMode.DEFAULT:
    guard(workflow)

# what is said here by name is not left out where the dataset cannot serve it
asked = asked_by_name(workflow.config_settings.overwrite_config, config, defaults())
# a workflow that uses this one as a module, or a folder of one's own, says only what differs
config.update(over_defaults(config))

try:
    checked(config, workflow.configfiles)
    leave_out(config, asked)
except ConfigError as error:
    files = ", ".join(map(str, workflow.configfiles))
    raise WorkflowError(f"{error}\n  It was read from {files}.") from None


def setting(path: str):
    """What the configuration holds at ``path``; where that names wildcards, a function of them."""
    keys = path.split("/")
    known = list(takewhile(lambda key: "{" not in key, keys))
    section = reduce(getitem, known, config)
    # `lookup` goes through all that it is given each time
    return section if known == keys else lookup("/".join(keys[len(known) :]), within=section)


def fingerprint(*files: str):
    """The ``code`` of a rule, found when a job of it is planned: one job alone needs no other rule's."""
    found = cache(lambda: fingerprint_of(*files))
    return lambda wildcards: found()


def settings(section: str, *keys: str) -> dict:
    """Some keys of a section, as params of their names."""
    return {key: setting(f"{section}/{key}") for key in keys}


RUN = config["run"]
DATASETS = datasets_of(RUN)
TRAINED = [model for model in RUN["models"] if config["models"][model]["source"] == "train"]
LANGUAGES = ["zh", "en"]
FIRST_PROMPT, FIRST_SCORER = RUN["prompts"][0], RUN["scorers"][0]
# the run of each model that examples and studies look at: of the first prompt and the first scorer
REFERENCE = f"results/{{dataset}}/{{model}}/{FIRST_PROMPT}/{FIRST_SCORER}"


def runs_of(selection) -> list[tuple[str, str, str]]:
    """Model, prompt and scorer of every run that is made, in the order of the configuration."""
    prompts, scorers = selection["prompts"], selection["scorers"]
    both = selection["combinations"]

    def wanted(model: str, prompt: str, scorer: str) -> bool:
        others = (prompt != prompts[0]) + (scorer != scorers[0])
        if both == "star":
            others += model != selection["models"][0]
        entry = config["scorers"][scorer]
        # a model is not fused with itself
        lacking = entry.get("with") == model or run_without(config, model, prompt, scorer)
        # a second look takes long, and tells of the first scorer and prompt
        every = both == "all" and entry["kind"] != "reranked"
        return (every or others <= 1) and not lacking

    return [
        (model, prompt, scorer)
        for model in selection["models"]
        for prompt in prompts
        for scorer in scorers
        if wanted(model, prompt, scorer)
    ]


RUNS = runs_of(RUN)
# of them, those whose lists were looked at a second time
RERANKED = [one for one in RUNS if config["scorers"][one[2]]["kind"] == "reranked"]
# each once, in the order in which they come up
ENCODED = list(dict.fromkeys((model, prompt) for model, prompt, _ in RUNS))
DRAWN = [
    study
    for study in RUN["studies"]
    if config["studies"][study].get("figure", {}).get("form", "points") != "none"
]


# which images and captions there are, and in which order
ROWS = {"captions": "data/{dataset}/captions.json", "splits": "data/{dataset}/splits.json"}
# a folder; where a storage provider carries files, the one file in which it travels
CARRIED = workflow.storage_settings.default_storage_provider is not None
IMAGES = bundle_of("data/{dataset}/images") if CARRIED else "data/{dataset}/images"
# the pictures, and the checksum of each
PICTURES_OF_DATASET = {
    "images": ancient(IMAGES),
    "table": "data/{dataset}/images.csv",
}
# how features are computed
COMPUTED = settings("encode", "batch_size", "precision", "device")
# of what is judged on the test split, with intervals by resampling its queries
ON_TEST = {"split": "test", **settings("statistics", "resamples", "seed")}


def of_runs(pattern: str) -> list[str]:
    """``pattern`` for every run, its {{dataset}} left for the rule's wildcard."""
    return [
        pattern.format(dataset="{dataset}", model=model, prompt=prompt, scorer=scorer)
        for model, prompt, scorer in RUNS
    ]


RANKINGS = of_runs("results/{dataset}/{model}/{prompt}/{scorer}/rankings.npz")


def prompts_averaged() -> dict[str, list[str]]:
    """Ensembles whose every template is a prompt of its own, and these prompts, in their order."""
    prompts = config["prompts"]
    # of prompts that say the same, one that this run has
    single = {
        prompts[name][0]: name for name in [*prompts, *RUN["prompts"]] if len(prompts[name]) == 1
    }
    return {
        name: [single[template] for template in templates]
        for name, templates in prompts.items()
        if len(templates) > 1 and all(template in single for template in templates)
    }


AVERAGED = prompts_averaged()

# images that one job encodes, with their captions; a whole split where it is None
SHARD_SIZE = config["encode"]["shard_size"]
# jobs that share a gallery out; one ranks it whole
RANKING_SHARDS = config["similarity"]["shards"]
# elsewhere scores are made by torch
RANKED_ON_CPU = config["similarity"]["device"] == "cpu"

# figures of their own kind, each of a study
PICTURES = [
    picture
    for study, picture in (
        ("geometry", "clouds"),
        *([("geometry", "hub_tradeoff")] if len(RUNS) > 1 else []),
        ("geometry", "hubs"),
        ("errors", "failures"),
        ("indexes", "index_tradeoff"),
    )
    if study in RUN["studies"]
]

# what studies list beside their tables
LISTS = [
    *(["ties", "duplicates"] if "relevance" in RUN["studies"] else []),
    *(["index_costs"] if "indexes" in RUN["studies"] else []),
]


def one_of(names) -> str:
    """A pattern that matches these names and nothing else, not even the empty string for none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def datasets_from(*sources: str) -> str:
    """Pattern for the datasets of these sources."""
    return one_of(n for n, entry in config["datasets"].items() if entry["source"] in sources)


def models_from(*sources: str, others: bool = False) -> str:
    """Pattern for the models of these sources, or for all others."""
    return one_of(n for n, e in config["models"].items() if (e["source"] in sources) != others)


# models that are there; of others, there are features
ENCODERS = models_from("features", others=True)


def scorers_of(*kinds: str, others: bool = False) -> str:
    """Pattern for the scorers of these kinds, or for all others."""
    scorers = config["scorers"].items()
    return one_of(name for name, entry in scorers if (entry["kind"] in kinds) != others)


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    model=one_of(config["models"]),
    prompt=one_of(config["prompts"]),
    scorer=one_of(config["scorers"]),
    reranker=one_of(config["rerankers"]),
    index=one_of(config["indexes"]),
    precision="float32|bfloat16|float16",
    split="train|val|test",
    shard="[0-9]+",
    direction=one_of(DIRECTIONS),
    study=one_of(config["studies"]),
    lang="zh|en",


def gpus_to_encode(wildcards) -> int:
    """One where a GPU may be used, so that jobs take turns on it; none on the CPU."""
    return int(config["encode"]["device"] != "cpu")


def with_bases(models) -> list[str]:
    """Models, and the models that they were trained from."""
    found = list(models)
    for model in found:  # grows as it is read
        base = config["models"][model].get("base")
        if base and base not in found:
            found.append(base)
    return found


def models_in_use() -> list[str]:
    """Models whose features are compared, that take a second look, and that they were trained from."""
    others = [config["scorers"][scorer] for _, _, scorer in RUNS]
    others = [entry.get("with") or entry.get("model") for entry in others]
    compared = [model for pair in zip([run[0] for run in RUNS], others) for model in pair if model]
    return with_bases(dict.fromkeys(compared))


def models_to_fetch() -> list[str]:
    """Models that are trained nowhere here, but come from a hub or a folder."""
    return [model for model in models_in_use() if config["models"][model]["source"] != "train"]


def datasets_in_use(datasets: list[str]) -> list[str]:
    """Datasets that are searched, and those that models were trained on, sorted."""
    entries = [config["models"][model] for model in models_in_use()]
    return sorted({*datasets, *(e["dataset"] for e in entries if e["source"] == "train")})
