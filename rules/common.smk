"""What all rules share: the checked configuration, names that wildcards may take, and input functions.

Comes in: `config`. Goes out: nothing is made here.
"""

import json
import os
import re
import sys
from functools import reduce
from operator import getitem
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import ExecMode

ROOT = Path(str(workflow.current_basedir)).parent
sys.path.insert(0, str(ROOT))
# jobs import `scripts.…` from the repository, wherever they run
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")])))

from scripts.config import ConfigError, checked, over_defaults
from scripts.fingerprint import fingerprint
from scripts.one_run import guard
from scripts.provenance.privacy import told
from scripts.watched import contents_of_dataset, contents_of_model

# jobs of a run read the Snakefile again, and are part of it
if workflow.exec_mode == ExecMode.DEFAULT:
    guard(workflow)

# a workflow that uses this one as a module, or a folder of one's own, says only what differs
config.update(over_defaults(config))

try:
    checked(config, workflow.configfiles)
except ConfigError as error:
    raise WorkflowError(str(error)) from None


def setting(path: str):
    """What the configuration holds at ``path``; where that names wildcards, a function of them."""
    if "{" in path:
        return lookup(path, within=config)
    # `lookup` would go through all of the configuration each time
    return reduce(getitem, path.split("/"), config)


RUN = config["run"]
DATASET = RUN["dataset"]
TRAINED = [model for model in RUN["models"] if config["models"][model]["source"] == "train"]
LANGUAGES = ["zh", "en"]
# for the labels of Snakemake's report, which brings no Chinese font along
LANGUAGE_NAMES = {"zh": "Chinese (中文)", "en": "English"}
DIRECTIONS = ["text_to_image", "image_to_text"]
FIRST_PROMPT, FIRST_SCORER = RUN["prompts"][0], RUN["scorers"][0]
# what examples and studies are taken from: the first prompt and the first scorer
REFERENCE = f"results/{{dataset}}/{{model}}/{FIRST_PROMPT}/{FIRST_SCORER}/rankings.npz"
# what scorers learn from; train and val where nothing is said
LEARNT_FROM = {"cosine": [], "fusion": ["val"]}


def runs_of(selection) -> list[tuple[str, str, str]]:
    """Model, prompt and scorer of every run that is made, in the order of the configuration."""
    prompts, scorers = selection["prompts"], selection["scorers"]
    both = selection["combinations"]

    def wanted(model: str, prompt: str, scorer: str) -> bool:
        others = (prompt != prompts[0]) + (scorer != scorers[0])
        if both == "star":
            others += model != selection["models"][0]
        # a model is not fused with itself
        itself = config["scorers"][scorer].get("with") == model
        return (both == "all" or others <= 1) and not itself

    return [
        (model, prompt, scorer)
        for model in selection["models"]
        for prompt in prompts
        for scorer in scorers
        if wanted(model, prompt, scorer)
    ]


RUNS = runs_of(RUN)
# each once, in the order in which they come up
ENCODED = list(dict.fromkeys((model, prompt) for model, prompt, _ in RUNS))
# models of the studies that need features of their own: in a star, the one in its middle
ENCODED_AGAIN = RUN["models"][:1] if RUN["combinations"] == "star" else RUN["models"]
DRAWN = [
    study
    for study in RUN["studies"]
    if config["studies"][study].get("figure", {}).get("form", "points") != "none"
]


def of_runs(pattern: str) -> list[str]:
    """``pattern`` for every run, its {{dataset}} left for the rule's wildcard."""
    return [
        pattern.format(dataset="{dataset}", model=model, prompt=prompt, scorer=scorer)
        for model, prompt, scorer in RUNS
    ]


RANKINGS = of_runs("results/{dataset}/{model}/{prompt}/{scorer}/rankings.npz")

# what papers report, committed with their sources
PUBLISHED = os.path.relpath(ROOT / "config" / "published.csv")


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


def words_of(*names) -> list[str]:
    """Files of what readers see, which is no code and part of what a step's result depends on."""
    return [f"scripts/words/{name}.{lang}.yaml" for name in names for lang in LANGUAGES]


# functions that the report shows as its key code, and what it is made of beside Python
SHOWN_LISTINGS = [
    "scripts/encode/encode_texts.py:encode_prompt",
    "scripts/retrieve/ranking.py:rank_part",
    "scripts/measures.py:hits",
    "scripts/evaluate/intervals.py:bootstrap_means",
]
SHOWN_CODE = [listing.split(":")[0] for listing in SHOWN_LISTINGS]
REPORT_PARTS = [
    f"scripts/report/{part}"
    for part in ("report.html.j2", "report.css", "words.en.yaml", "words.zh.yaml")
]
# what groups and measures of studies are called, in figures and tables
LABELS = [
    *(f"scripts/report/labels.{lang}.yaml" for lang in LANGUAGES),
    *words_of("measures"),
]
# figures of their own kind, each of a study
PICTURES = [
    picture
    for study, picture in {
        "geometry": "hubs",
        "errors": "failures",
        "indexes": "index_tradeoff",
    }.items()
    if study in RUN["studies"]
]

# what studies list beside their tables
LISTS = [
    *(["ties", "duplicates"] if "relevance" in RUN["studies"] else []),
    *(["index_costs"] if "indexes" in RUN["studies"] else []),
]
EXPLORER_PARTS = [
    f"scripts/report/explorer.{part}" for part in ("html.j2", "css", "js", "en.yaml", "zh.yaml")
]
# kinds of failure, where they are studied
FAILURES = (
    {"failures": "results/{dataset}/tables/failures.csv"} if "errors" in RUN["studies"] else {}
)


def one_of(names) -> str:
    """A pattern that matches these names and nothing else, not even the empty string for none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def datasets_from(*sources: str) -> str:
    """Pattern for the datasets of these sources."""
    return one_of(n for n, entry in config["datasets"].items() if entry["source"] in sources)


def models_from(trained: bool) -> str:
    """Pattern for the models that are trained here, or for those that are fetched."""
    return one_of(n for n, e in config["models"].items() if (e["source"] == "train") == trained)


def scorers_of(*kinds: str) -> str:
    """Pattern for the scorers of these kinds."""
    return one_of(n for n, entry in config["scorers"].items() if entry["kind"] in kinds)


def scorers_not_of(*kinds: str) -> str:
    """Pattern for the scorers of all other kinds."""
    return one_of(n for n, entry in config["scorers"].items() if entry["kind"] not in kinds)


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    model=one_of(config["models"]),
    prompt=one_of(config["prompts"]),
    scorer=one_of(config["scorers"]),
    index=one_of(config["indexes"]),
    precision="float32|bfloat16|float16",
    split="train|val|test",
    shard="[0-9]+",
    direction="text_to_image|image_to_text",
    study=one_of(config["studies"]),
    lang="zh|en",


def in_each_language(path: str, labels: dict[str, str], **shown) -> list:
    """``path`` for each language, marked for Snakemake's report.

    Results of one folder with equal labels would hide each other there, so each carries its language.
    """
    marked = []
    for lang, name in LANGUAGE_NAMES.items():
        own = {**labels, "language": name}
        marked.append(report(path.replace("{lang}", lang), labels=own, **shown))
    return marked


def labels_of_report(wildcards, output) -> dict[str, str]:
    """What Snakemake's report calls a page or PDF of the report."""
    return {
        "document": "Laboratory report",
        "form": {".html": "page", ".pdf": "PDF"}[Path(output[0]).suffix],
        "language": LANGUAGE_NAMES[wildcards.lang],
    }


def shown_of_study(study: str) -> dict:
    """What figures and the report take of a study's settings."""
    return {key: config["studies"][study][key] for key in ("figure", "title")}


def contents_of_location(wildcards) -> str | None:
    """Digest of what the user has where their dataset is; None where it is not the user's."""
    location = config["datasets"][wildcards.dataset].get("location")
    return contents_of_dataset(location) if location else None


def contents_of_path(wildcards) -> str | None:
    """Digest of what the user has where their model is; None where it is not the user's."""
    path = config["models"][wildcards.model].get("path")
    return contents_of_model(path) if path else None


def training_inputs(wildcards) -> dict[str, str]:
    """The dataset that a model is trained on, and the model that it starts from, if any."""
    entry = config["models"][wildcards.model]
    dataset, base = entry["dataset"], entry["base"]
    inputs = {
        "table": f"data/{dataset}/images.csv",
        "captions": f"data/{dataset}/captions.json",
        "splits": f"data/{dataset}/splits.json",
    }
    return inputs | ({"base": f"data/models/{base}/model.json"} if base else {})


def training_images(wildcards) -> str:
    """The pictures of the dataset that a model is trained on."""
    return f"data/{config['models'][wildcards.model]['dataset']}/images"


def models_behind(wildcards) -> list[str]:
    """The models whose features a run compares: its own, and for a fusion the other."""
    other = config["scorers"][wildcards.scorer].get("with")
    return [wildcards.model, *([other] if other else [])]


def features_of_split(wildcards, split: str) -> dict[str, list[str]]:
    """Images and texts of a run's models on one split, with their sidecars, model by model."""
    folders = [f"results/{wildcards.dataset}/{model}/{split}" for model in models_behind(wildcards)]
    texts = f"texts.{wildcards.prompt}"
    return {
        "images": [f"{folder}/images.npy" for folder in folders],
        "images_sidecars": [f"{folder}/images.json" for folder in folders],
        "texts": [f"{folder}/{texts}.npy" for folder in folders],
        "texts_sidecars": [f"{folder}/{texts}.json" for folder in folders],
    }


def features_to_average(wildcards) -> dict[str, list[str]]:
    """The text features of an ensemble's templates, with their sidecars."""
    texts = [
        f"results/{wildcards.dataset}/{wildcards.model}/{wildcards.split}/texts.{prompt}"
        for prompt in AVERAGED[wildcards.prompt]
    ]
    return {
        "features": [f"{path}.npy" for path in texts],
        "sidecars": [f"{path}.json" for path in texts],
    }


def features_to_rank(wildcards) -> dict[str, list[str]]:
    """What a run ranks: features of the test split."""
    return features_of_split(wildcards, "test")


def features_to_fit(wildcards) -> dict[str, list[str]]:
    """What a scorer learns from: features of train and val, never of test; nothing for cosine."""
    kind = config["scorers"][wildcards.scorer]["kind"]
    inputs = {}
    for split in LEARNT_FROM.get(kind, ["train", "val"]):
        features = features_of_split(wildcards, split)
        inputs |= {f"{split}_{name}": paths for name, paths in features.items()}
    if inputs:
        inputs["captions"] = f"data/{wildcards.dataset}/captions.json"
        inputs["splits"] = f"data/{wildcards.dataset}/splits.json"
    return inputs


def shards(pattern: str):
    """An input function: ``pattern`` for every shard of a split, once the split is known."""

    def paths(wildcards) -> list[str]:
        count = number_of_shards(wildcards.dataset, wildcards.split)
        return [pattern.format(**wildcards, shard=shard) for shard in range(count)]

    return paths


def number_of_shards(dataset: str, split: str) -> int:
    """Shards of a split, which Snakemake asks for again once the split is made."""
    plan = checkpoints.plan_shards.get(dataset=dataset).output.plan
    return json.loads(Path(plan).read_text("utf-8"))[split]


def references(wildcards) -> dict[str, list[str] | str]:
    """Each model's reference run: its ranks, its scorer and the features of the test split."""
    models, dataset = RUN["models"], wildcards.dataset
    runs = [f"results/{dataset}/{model}/{FIRST_PROMPT}/{FIRST_SCORER}" for model in models]
    tests = [f"results/{dataset}/{model}/test" for model in models]
    return {
        "captions": f"data/{dataset}/captions.json",
        "splits": f"data/{dataset}/splits.json",
        "rankings": [f"{run}/rankings.npz" for run in runs],
        "scorers": [f"{run}/scorer.npz" for run in runs],
        "images": [f"{test}/images.npy" for test in tests],
        "images_sidecars": [f"{test}/images.json" for test in tests],
        "texts": [f"{test}/texts.{FIRST_PROMPT}.npy" for test in tests],
        "texts_sidecars": [f"{test}/texts.{FIRST_PROMPT}.json" for test in tests],
    }


def references_encoded_again(wildcards) -> dict[str, list[str] | str]:
    """The reference runs of ``ENCODED_AGAIN``."""
    return {
        name: paths if isinstance(paths, str) else paths[: len(ENCODED_AGAIN)]
        for name, paths in references(wildcards).items()
    }


def first_reference(wildcards) -> dict[str, list[str] | str]:
    """The reference run of the first model."""
    return {
        name: paths if isinstance(paths, str) else paths[:1]
        for name, paths in references(wildcards).items()
    }


def built_indexes(kind: str) -> list[str]:
    """Indexes of the first model's reference run, or their sidecars, each in both directions."""
    folder = f"results/{{dataset}}/{RUN['models'][0]}/{FIRST_PROMPT}/{FIRST_SCORER}"
    return [
        f"{folder}/index.{index}.{direction}.{kind}"
        for index in RUN["indexes"]
        for direction in DIRECTIONS
    ]


def features_in_precisions(wildcards) -> dict[str, list[str] | str]:
    """Scorers of ``ENCODED_AGAIN``, and for each model its test features in every precision studied.

    Those of the run itself where it names that precision; "auto" is known to its jobs alone.
    """
    files = []
    for model in ENCODED_AGAIN:
        test = f"results/{wildcards.dataset}/{model}/test"
        files += [
            test if precision == config["encode"]["precision"] else f"{test}/{precision}"
            for precision in config["studies"]["precision"]["precisions"]
        ]
    of_models = references_encoded_again(wildcards)
    return {
        **{name: of_models[name] for name in ("captions", "splits", "scorers")},
        "images": [f"{folder}/images.npy" for folder in files],
        "images_sidecars": [f"{folder}/images.json" for folder in files],
        "texts": [f"{folder}/texts.{FIRST_PROMPT}.npy" for folder in files],
        "texts_sidecars": [f"{folder}/texts.{FIRST_PROMPT}.json" for folder in files],
    }


def adapters_of_run(wildcards) -> list[str]:
    """The scorers of this run that were trained from several seeds."""
    return [
        f"results/{wildcards.dataset}/{model}/{prompt}/{scorer}/scorer.npz"
        for model, prompt, scorer in RUNS
        if config["scorers"][scorer]["kind"] == "adapter"
    ]


def precision_found(wildcards) -> dict[str, str]:
    """What "auto" stands for, as an input of jobs that are told no precision."""
    if config["encode"]["precision"] != "auto" or wildcards.get("precision"):
        return {}
    return {"precision": f"results/{wildcards.dataset}/{wildcards.model}/precision.json"}


def gpus_to_encode(wildcards) -> int:
    """One where a GPU may be used, so that jobs take turns on it; none on the CPU."""
    return int(config["encode"]["device"] != "cpu")


def gpus_to_rank(wildcards) -> int:
    """One where scores may be made on a GPU."""
    return int(not RANKED_ON_CPU)


def with_bases(models) -> list[str]:
    """Models, and the models that they were trained from."""
    found = list(models)
    for model in found:  # grows as it is read
        base = config["models"][model].get("base")
        if base and base not in found:
            found.append(base)
    return found


def with_averaged(encoded) -> list[tuple[str, str, str]]:
    """Model, split and prompt of texts, and those that ensembles are the mean of, each once."""
    found = []
    for model, split, prompt in encoded:
        found += [(model, split, one) for one in [*AVERAGED.get(prompt, []), prompt]]
    return list(dict.fromkeys(found))


def encodings(dataset: str, encoded) -> list[tuple[str, str]]:
    """Jobs that encode splits, as rule and wildcards; where the prompt is None, of images."""
    jobs = []
    for model, split, prompt in encoded:
        step = "encode_texts" if prompt else "encode_images"
        name = ".".join(filter(None, [dataset, model, split, prompt]))
        if prompt in AVERAGED:
            jobs.append(("average_texts", name))
        elif SHARD_SIZE:
            jobs += [(step, f"{name}.{shard}") for shard in range(number_of_shards(dataset, split))]
        else:
            jobs.append((step, name))
    return jobs


def rankings_made(runs: list[str]) -> list[tuple[str, str]]:
    """Jobs that rank, as rule and wildcards."""
    if RANKING_SHARDS == 1:
        return [("similarity", run) for run in runs]
    shards = [("similarity", f"{run}.{shard}") for run in runs for shard in range(RANKING_SHARDS)]
    return shards + [("gather_rankings", run) for run in runs]


def encoded_for_runs() -> list[tuple[str, str, str]]:
    """Model, split and prompt of all features that the runs are made of, each once."""
    return list(
        dict.fromkeys(
            (model, split, prompt)
            for mine, prompt, scorer in RUNS
            for entry in [config["scorers"][scorer]]
            for split in ["test", *LEARNT_FROM.get(entry["kind"], ["train", "val"])]
            for model in [mine, *([entry["with"]] if "with" in entry else [])]
        )
    )


def with_precision_to_find(models) -> list[str]:
    """Each of these models once where their precision is left to be found, else none."""
    return list(dict.fromkeys(models)) if config["encode"]["precision"] == "auto" else []


def models_in_use() -> list[str]:
    """Models whose features are compared, and those that they were trained from."""
    return with_bases(dict.fromkeys(model for model, _, _ in encoded_for_runs()))


def models_to_fetch() -> list[str]:
    """Models that are trained nowhere here, but come from a hub or a folder."""
    return [model for model in models_in_use() if config["models"][model]["source"] != "train"]


def datasets_in_use(dataset: str) -> list[str]:
    """The dataset that is searched, and those that models were trained on, sorted."""
    entries = [config["models"][model] for model in models_in_use()]
    return sorted({dataset, *(e["dataset"] for e in entries if e["source"] == "train")})


def benchmarks_of_run(wildcards) -> list[str]:
    """Benchmark files of every job between the source and the metrics, in the order of the walk."""
    dataset = wildcards.dataset
    encoded = encoded_for_runs()
    models, datasets = models_in_use(), datasets_in_use(dataset)
    trained = [model for model in models if config["models"][model]["source"] == "train"]
    fetched = [model for model in models if model not in trained]
    drawn = [name for name in datasets if config["datasets"][name]["source"] == "scenes"]
    per_run = [f"{dataset}.{'.'.join(run)}" for run in RUNS]
    fitted = {
        run: "fit_adapter" if config["scorers"][scorer]["kind"] == "adapter" else "fit_scorer"
        for run, (_, _, scorer) in zip(per_run, RUNS)
    }
    jobs = [
        *(("draw_scenes" if name in drawn else "download", name) for name in datasets),
        *((rule, name) for rule in ("prepare_images", "split") for name in datasets),
        *(("fetch_model", model) for model in fetched),
        *(("train_model", model) for model in trained),
        *(
            ("choose_precision", f"{dataset}.{model}")
            for model in with_precision_to_find(m for m, *_ in encoded)
        ),
        *encodings(dataset, [(model, split, None) for model, split, _ in encoded]),
        *encodings(dataset, with_averaged(encoded)),
        *((fitted[run], run) for run in per_run),
        *rankings_made(per_run),
        *(("metrics", run) for run in per_run),
    ]
    paths = [f"results/benchmarks/{rule}/{name}.tsv" for rule, name in jobs]
    return list(dict.fromkeys(paths))


def commands_to_reproduce() -> list[str]:
    """What to type to make this run again; where a configuration lies on a machine is not told."""
    files = [
        told(str(path), Path.cwd(), [], "path", Path(path).name)
        for path in workflow.overwrite_configfiles
    ]
    options = f" --configfile {' '.join(files)}" if files else ""
    return [f"./run snakemake --cores 8{options}"]


def jobs_of_run() -> list[tuple[str, dict[str, str]]]:
    """Rule and wildcards of every job that leaves something in the folder of results."""
    test = [(model, "test") for model in ENCODED_AGAIN]
    images = [(model, split) for model, split, _ in encoded_for_runs()]
    texts = encoded_for_runs()
    damaged, otherwise = [], []
    if "judgments" in RUN["studies"]:
        texts += [(*pair, config["studies"]["judgments"]["prompt"]) for pair in test]
    if "robustness" in RUN["studies"]:
        damaged = [(*pair, FIRST_PROMPT) for pair in test]
    if "precision" in RUN["studies"]:
        otherwise = [
            {"model": model, "split": split, "prompt": FIRST_PROMPT, "precision": precision}
            for model, split in test
            for precision in config["studies"]["precision"]["precisions"]
            if precision != config["encode"]["precision"]
        ]
    if "leakage" in RUN["studies"]:
        images += [(model, split) for model in ENCODED_AGAIN for split in ("train", "val")]
    named = ("model", "split", "prompt")
    runs = [dict(zip(("model", "prompt", "scorer"), run)) for run in RUNS]
    kinds = [config["scorers"][run["scorer"]]["kind"] for run in runs]
    return [
        ("prepare_images", {}),
        *([("plan_shards", {})] if SHARD_SIZE else []),
        *(
            ("choose_precision", {"model": model})
            for model in with_precision_to_find(m for m, *_ in texts)
        ),
        *(("encode_images", dict(zip(named, pair))) for pair in dict.fromkeys(images)),
        *(
            ("average_texts" if key[2] in AVERAGED else "encode_texts", dict(zip(named, key)))
            for key in with_averaged(texts)
        ),
        *(("encode_damaged", dict(zip(named, key))) for key in damaged),
        *((rule, one) for rule in ("encode_images_in", "encode_texts_in") for one in otherwise),
        *(("fit_adapter" if k == "adapter" else "fit_scorer", r) for k, r in zip(kinds, runs)),
        *((rule, run) for rule in ("similarity", "metrics") for run in runs),
        *(("gather_rankings", run) for run in runs if RANKING_SHARDS > 1),
        *(("build_index", runs[0] | {"index": index}) for index in RUN["indexes"]),
        *((rule, {}) for rule in ("compare", "pairs", "steps")),
        *((f"study_{study}", {}) for study in RUN["studies"]),
        *((f"plot_{figure}", {}) for figure in ("flow", "recall", "ranks", *PICTURES)),
        *(("plot_study", {"study": study}) for study in DRAWN),
        *(("plot_training", {"model": model}) for model in TRAINED),
        *(
            ("plot_gallery", {"model": model, "direction": direction})
            for model in RUN["models"]
            for direction in DIRECTIONS
        ),
        *((rule, {"lang": lang}) for rule in ("report_page", "report_pdf") for lang in LANGUAGES),
        ("explorer", {}),
    ]


def files_of_run(wildcards) -> dict[str, list[str]]:
    """Every output of the run, and what is known of its data and models."""
    made = {}
    for rule, values in jobs_of_run():
        values = {"dataset": wildcards.dataset} | values
        for path in getattr(rules, rule).output:
            made[str(path).format(**values)] = rule
    results = [path for path in made if path.startswith("results/")]
    tables = ("captions.json", "images.csv", "splits.json")
    datasets = datasets_in_use(wildcards.dataset)
    return {
        "results": results,
        "sidecars": [
            path
            for path in results
            if made[path].startswith(("encode", "average")) and path.endswith(".json")
        ],
        "data": [
            *(f"data/{name}/{table}" for name in datasets for table in tables),
            f"data/{wildcards.dataset}/judgments.csv",
        ],
        "sources": [f"data/{name}/raw/source.json" for name in datasets],
        "images": [ancient(f"data/{name}/images") for name in datasets],
        "models": [f"data/models/{model}/model.json" for model in models_in_use()],
    }


def fingerprints_of_run(wildcards) -> dict[str, str]:
    """Rule -> digest of its code, for every rule that made something of the run."""
    models = [config["models"][model]["source"] for model in models_in_use()]
    datasets = [config["datasets"][name]["source"] for name in datasets_in_use(wildcards.dataset)]
    names = {
        *("split", "judgments"),
        *("draw_scenes" if source == "scenes" else "download" for source in datasets),
        *("train_model" if source == "train" else "fetch_model" for source in models),
        *(rule for rule, _ in jobs_of_run()),
        *(["gather_features"] if SHARD_SIZE else []),
    }
    return {name: getattr(rules, name).params.code for name in sorted(names)}


def settings_in_force(wildcards) -> dict:
    """The configuration without what this run does not use, and without what changes no result."""
    prompts = list(RUN["prompts"])
    if "judgments" in RUN["studies"]:
        prompts.append(config["studies"]["judgments"]["prompt"])
    used = {
        "datasets": datasets_in_use(wildcards.dataset),
        "models": models_in_use(),
        "prompts": list(
            dict.fromkeys(part for name in prompts for part in [name, *AVERAGED.get(name, [])])
        ),
        "scorers": RUN["scorers"],
        "indexes": RUN["indexes"],
        "studies": RUN["studies"],
    }
    settings = {
        key: {name: value[name] for name in used[key]} if key in used else value
        for key, value in config.items()
    }
    settings["encode"] = {k: v for k, v in config["encode"].items() if k != "threads"}
    return settings
