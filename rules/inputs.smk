"""What rules read, and what else they are told: functions and lists, in the order of the walk.

Comes in: what rules/common.smk knows. Goes out: nothing is made here.
"""


def contents_of_location(wildcards) -> str | None:
    """Digest of what the user has where their dataset is; None where it is not the user's."""
    location = config["datasets"][wildcards.dataset].get("location")
    return contents_of_dataset(location) if location else None


def contents_of_path(wildcards) -> str | None:
    """Digest of what the user has where their model is; None where it is not the user's."""
    entry = config["models"][wildcards.model]
    paths = [one["path"] for one in (entry, *map(entry.get, TOWERS)) if one and "path" in one]
    return " ".join(map(contents_of_model, paths)) or None


def contents_of_sides(wildcards) -> list[str]:
    """Digests of features that were made elsewhere, of images and of texts."""
    entry = config["models"][wildcards.model]
    return [contents_of_features(entry.get(side) or entry["path"]) for side in ("images", "texts")]


def is_own(dataset: str) -> bool:
    """Whether a dataset is a person's own, which may have any split, or none."""
    return config["datasets"][dataset]["source"] in ("folder", "huggingface", "modelscope")


def has_to_learn(wildcards) -> bool:
    """Whether a dataset that names no split is split, or is test as a whole.

    Asked only where that may be so: an answer that changes makes everything anew.
    """
    dataset = wildcards.dataset
    told = config["datasets"][dataset].get("splits", {})
    has_others = any(told.get(split) for split in ("train", "val"))
    return not is_own(dataset) or has_others or learns(dataset, config, models_in_use())


def is_searched_alone(wildcards) -> bool:
    """Whether nothing is done with a dataset of one's own but to search it.

    Where it has no test, another split is then measured; a model that is trained on it needs both.
    """
    trained = (config["models"][model] for model in models_in_use())
    return is_own(wildcards.dataset) and not any(
        model["source"] == "train" and model["dataset"] == wildcards.dataset for model in trained
    )


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
    return IMAGES.format(dataset=config["models"][wildcards.model]["dataset"])


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


def prompts_to_import(wildcards) -> dict[str, list[str]]:
    """Prompts of features from elsewhere that texts are made of, with their templates."""
    prompt = wildcards.side.removeprefix("texts.")
    # a prompt may be called images
    of_images = wildcards.side == "images"
    return {} if of_images else prompts_behind(config, wildcards.model, prompt)


def templates_to_import(wildcards) -> list[str]:
    """Templates of the prompt of texts; none of images."""
    prompt = wildcards.side.removeprefix("texts.")
    return [] if wildcards.side == "images" else config["prompts"][prompt]


def precision_found(wildcards) -> dict[str, str]:
    """What "auto" stands for, as an input of jobs that are told no precision."""
    if config["encode"]["precision"] != "auto" or wildcards.get("precision"):
        return {}
    return {"precision": f"results/{wildcards.dataset}/{wildcards.model}/precision.json"}


def shards(pattern: str):
    """An input function: ``pattern`` for every shard of a split, once the split is known."""

    def paths(wildcards) -> list[str]:
        count = number_of_shards(wildcards.dataset, wildcards.split)
        return [pattern.format(**wildcards, shard=shard) for shard in range(count)]

    return paths


def number_of_shards(dataset: str, split: str) -> int:
    """Shards of a split, which Snakemake asks for again once the split is made."""
    plan = checkpoints.plan_shards.get(dataset=dataset).output.plan
    # Snakemake fetches it here where a storage has it
    with plan.open() as stream:
        return json.load(stream)[split]


def models_behind(wildcards) -> list[str]:
    """The models whose features a run compares: its own, and for a fusion the other."""
    other = config["scorers"][wildcards.scorer].get("with")
    return [wildcards.model, *([other] if other else [])]


def features_in(folders: list[str], prompt: str) -> dict[str, list[str]]:
    """Images and texts of folders under one prompt, with their sidecars."""
    return {
        f"{side}{what}": [f"{folder}/{name}.{kind}" for folder in folders]
        for side, name in (("images", "images"), ("texts", f"texts.{prompt}"))
        for what, kind in (("", "npy"), ("_sidecars", "json"))
    }


def features_of_split(wildcards, split: str) -> dict[str, list[str]]:
    """Images and texts of a run's models on one split, with their sidecars, model by model."""
    folders = [f"results/{wildcards.dataset}/{model}/{split}" for model in models_behind(wildcards)]
    return features_in(folders, wildcards.prompt)


def features_to_rank(wildcards) -> dict[str, list[str]]:
    """What a run ranks: features of the test split."""
    return features_of_split(wildcards, "test")


def features_to_fit(wildcards) -> dict[str, list[str]]:
    """What a scorer learns from: features of train and val, never of test; nothing for cosine."""
    inputs = {}
    for split in learnt_from(config["scorers"][wildcards.scorer]):
        features = features_of_split(wildcards, split)
        inputs |= {f"{split}_{name}": paths for name, paths in features.items()}
    if inputs:
        inputs["captions"] = f"data/{wildcards.dataset}/captions.json"
        inputs["splits"] = f"data/{wildcards.dataset}/splits.json"
    return inputs


def scores_to_rerank(wildcards) -> dict[str, str]:
    """Scores of a second look at test, and at val where that chooses a weight."""
    entry = config["scorers"][wildcards.scorer]
    folder = f"results/{wildcards.dataset}/{wildcards.model}/{wildcards.prompt}/{entry['first']}"
    splits = {"scores": "test", **({"val_scores": "val"} if entry["weights"] else {})}
    return {name: f"{folder}/cross.{entry['by']}.{split}.npz" for name, split in splits.items()}


def model_of_reranker(wildcards) -> str:
    """The cross-encoder that takes the second look."""
    return f"data/models/{config['rerankers'][wildcards.reranker]['model']}/model.json"


def features_to_look_at(wildcards) -> dict[str, list[str]]:
    """Features of the split whose first lists are looked at."""
    return features_of_split(wildcards, wildcards.split)


def second_looks() -> dict[str, list[str]]:
    """What a study reads of each second look: its scores, their cost, and the weights taken."""
    runs = [(f"results/{{dataset}}/{model}/{prompt}", scorer) for model, prompt, scorer in RERANKED]
    entries = [config["scorers"][scorer] for _, scorer in runs]
    looks = [
        f"{folder}/{entry['first']}/cross.{entry['by']}.test"
        for (folder, _), entry in zip(runs, entries)
    ]
    return {
        "scores": [f"{look}.npz" for look in looks],
        "costs": [f"{look}.json" for look in looks],
        "scorers": [f"{folder}/{scorer}/scorer.npz" for folder, scorer in runs],
    }


def told_of_second_looks() -> list:
    """Of each run of a second look: model, prompt and first scorer, its name, and the depths told."""
    told = []
    for model, prompt, scorer in RERANKED:
        entry = config["scorers"][scorer]
        depths = {depth for depth in entry["tables"] if depth < entry["depth"]} | {entry["depth"]}
        told.append([[model, prompt, entry["first"]], scorer, sorted(depths)])
    return told


def gpus_to_rank(wildcards) -> int:
    """One where scores may be made on a GPU."""
    return int(not RANKED_ON_CPU)


# what papers report, committed with their sources
PUBLISHED = local(os.path.relpath(ROOT / "config" / "published.csv"))


def references(models=RUN["models"]) -> dict:
    """The run of each model that studies look at: ranks, scorer and features of the test split."""
    runs = [REFERENCE.format(dataset="{dataset}", model=model) for model in models]
    tests = [f"results/{{dataset}}/{model}/test" for model in models]
    return {
        **ROWS,
        "rankings": [f"{run}/rankings.npz" for run in runs],
        "scorers": [f"{run}/scorer.npz" for run in runs],
        **features_in(tests, FIRST_PROMPT),
    }


def further_prompts(model: str) -> list[str]:
    """Prompts of a model's runs beyond the first, and those whose mean one of them is."""
    found = []
    for prompt in [prompt for one, prompt in ENCODED if one == model]:
        known = encodes(config, model)
        behind = AVERAGED.get(prompt, []) if known else prompts_behind(config, model, prompt)
        found += [prompt, *behind]
    return [prompt for prompt in dict.fromkeys(found) if prompt != FIRST_PROMPT]


# models and further prompts, in the order in which a study reads their features
PROMPTED = [(model, prompt) for model in RUN["models"] for prompt in further_prompts(model)]


def texts_under_prompts() -> dict[str, list[str]]:
    """Captions of the test split under each of these prompts, and their sidecars."""
    texts = [f"results/{{dataset}}/{model}/test/texts.{prompt}" for model, prompt in PROMPTED]
    return {
        "prompted": [f"{path}.npy" for path in texts],
        "prompted_sidecars": [f"{path}.json" for path in texts],
    }


def encoded_again(study: str, name: str, files: str, **wildcards) -> dict[str, list[str]]:
    """Features that a study has of its own, and their sidecars, of each model that it looks at."""
    models = looks_at(config, study)
    return {
        key: collect(f"results/{{{{dataset}}}}/{{model}}/{files}.{kind}", model=models, **wildcards)
        for key, kind in ((name, "npy"), (f"{name}_sidecars", "json"))
    }


def texts_learnt_from() -> dict[str, list[str]]:
    """Captions of train and val, and their sidecars, of models that a scorer learns from them for.

    Under the first prompt, of the models whose splits are compared: nothing is encoded for that alone.
    """
    taught = {
        model
        for model, prompt, scorer in RUNS
        if prompt == FIRST_PROMPT and "train" in learnt_from(config["scorers"][scorer])
    }
    texts = [
        f"results/{{dataset}}/{model}/{split}/texts.{FIRST_PROMPT}"
        for model in looks_at(config, "leakage")
        if model in taught
        for split in ("train", "val")
    ]
    return {
        "others_texts": [f"{path}.npy" for path in texts],
        "others_texts_sidecars": [f"{path}.json" for path in texts],
    }


def features_in_precisions() -> dict:
    """Scorers of the models studied, and of each its test features in every precision.

    Those of the run itself where it names that precision; "auto" is known to its jobs alone.
    """
    models = looks_at(config, "precision")
    tests = [f"results/{{dataset}}/{model}/test" for model in models]
    folders = [
        test if precision == setting("encode/precision") else f"{test}/{precision}"
        for test in tests
        for precision in setting("studies/precision/precisions")
    ]
    return {
        **{name: references(models)[name] for name in ("captions", "splits", "scorers")},
        **features_in(folders, FIRST_PROMPT),
    }


def adapters_of_run() -> list[str]:
    """The scorers of this run that were trained from several seeds."""
    return [
        f"results/{{dataset}}/{model}/{prompt}/{scorer}/scorer.npz"
        for model, prompt, scorer in RUNS
        if config["scorers"][scorer]["kind"] == "adapter"
    ]


def built_indexes() -> dict[str, list[str]]:
    """Indexes of the first model's reference run and their sidecars, each in both directions."""
    folder = REFERENCE.format(dataset="{dataset}", model=RUN["models"][0])
    paths = [f"{folder}/index.{index}.{way}" for index in RUN["indexes"] for way in DIRECTIONS]
    return {
        "indexes": [f"{path}.faiss" for path in paths],
        "index_sidecars": [f"{path}.json" for path in paths],
    }


def every_core(wildcards) -> int:
    """All cores where jobs run side by side on this machine; elsewhere a job has its own."""
    return workflow.cores if workflow.local_exec else 1


def all_but_one(wildcards) -> int:
    """Eight cores, of a small machine all but one: what a model is fetched with, at the same time."""
    return max(1, min(8, workflow.cores - 1)) if workflow.local_exec else 8


def beside_another(wildcards) -> int:
    """Four cores, and of a small machine half of them where there is another run to rank at the same time."""
    if not workflow.local_exec or len(RUNS) == 1:
        return 4
    return max(1, min(4, workflow.cores // 2))


def rows_of_study(wildcards) -> str:
    """The table that holds the rows of a study."""
    return f"results/{wildcards.dataset}/tables/{table_behind(wildcards.study)}.csv"


def settings_in_force(wildcards) -> dict:
    """The configuration without what this run does not use, and without what changes no result."""
    prompts = list(RUN["prompts"])
    # those of second looks follow from the rerankers
    scorers = [one for one in RUN["scorers"] if config["scorers"][one]["kind"] != "reranked"]
    if "judgments" in RUN["studies"]:
        prompts.append(config["studies"]["judgments"]["prompt"])
    used = {
        "datasets": datasets_in_use([wildcards.dataset]),
        "models": models_in_use(),
        "prompts": list(
            dict.fromkeys(part for name in prompts for part in [name, *AVERAGED.get(name, [])])
        ),
        "scorers": scorers,
        "rerankers": RUN["rerankers"],
        "indexes": RUN["indexes"],
        "studies": RUN["studies"],
    }
    settings = {
        key: {name: value[name] for name in used[key]} if key in used else value
        for key, value in config.items()
    }
    settings["run"] = {**RUN, "dataset": wildcards.dataset, "scorers": scorers}
    settings["encode"] = {k: v for k, v in config["encode"].items() if k != "threads"}
    return settings
