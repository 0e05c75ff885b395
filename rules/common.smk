"""What all rules share: the checked configuration, names that wildcards may take, and input functions.

Comes in: `config`. Goes out: nothing is made here.
"""

import hashlib
import os
import re
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(str(workflow.current_basedir)).parent
sys.path.insert(0, str(ROOT))
# jobs import `scripts.…` from the repository, wherever they run
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")])))

from scripts.config import ConfigError, checked
from scripts.fingerprint import fingerprint

try:
    checked(config)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

RUN = config["run"]
DATASET = RUN["dataset"]
TRAINED = [model for model in RUN["models"] if config["models"][model]["source"] == "train"]
LANGUAGES = ["zh", "en"]
DIRECTIONS = ["text_to_image", "image_to_text"]
RANKINGS = "results/{{dataset}}/{model}/{prompt}/{scorer}/rankings.npz"
# what examples are taken from: the first prompt and the first scorer
FIRST = f"{RUN['prompts'][0]}/{RUN['scorers'][0]}"
REFERENCE = f"results/{{dataset}}/{{model}}/{FIRST}/rankings.npz"

# functions that the report shows as its key code, and what it is made of beside Python
SHOWN_LISTINGS = [
    "scripts/encode/encode_texts.py:encode_captions",
    "scripts/retrieve/ranking.py:rank",
    "scripts/evaluate/metrics.py:hit_rate",
]
SHOWN_CODE = [listing.split(":")[0] for listing in SHOWN_LISTINGS]
REPORT_PARTS = [
    f"scripts/report/{part}"
    for part in ("report.html.j2", "report.css", "words.en.yaml", "words.zh.yaml")
]


def one_of(names) -> str:
    """A pattern that matches these names and nothing else, not even the empty string for none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def datasets_from(*sources: str) -> str:
    """Pattern for the datasets of these sources."""
    return one_of(n for n, entry in config["datasets"].items() if entry["source"] in sources)


def models_from(trained: bool) -> str:
    """Pattern for the models that are trained here, or for those that are fetched."""
    return one_of(n for n, e in config["models"].items() if (e["source"] == "train") == trained)


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    model=one_of(config["models"]),
    prompt=one_of(config["prompts"]),
    scorer=one_of(config["scorers"]),
    split="train|val|test",
    direction="text_to_image|image_to_text",
    lang="zh|en",


def files_at_location(wildcards) -> list[str]:
    """Archives, tables and captions that stand where the user's dataset is, as inputs.

    A location that is not there is told by the job, in words; here it has no files.
    """
    location = config["datasets"][wildcards.dataset].get("location")
    if not location or not Path(location).is_dir():
        return []
    kinds = {".zip", ".parquet", ".json", ".txt"}
    return sorted(str(p) for p in Path(location).iterdir() if p.suffix in kinds and p.is_file())


def listing_of_location(wildcards) -> str | None:
    """Digest of names and sizes of all files below the user's location.

    Thousands of photos would be slow as inputs; their names and sizes tell the same, and `touch`
    changes neither.
    """
    location = config["datasets"][wildcards.dataset].get("location")
    return _listing(location) if location else None


@cache
def _listing(location: str) -> str:
    files = sorted(
        f"{os.path.relpath(os.path.join(folder, name), location)} "
        f"{os.lstat(os.path.join(folder, name)).st_size}"
        for folder, _, names in os.walk(location)
        for name in names
    )
    return hashlib.sha256("\n".join(files).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def files_of_local_model(wildcards) -> list[str]:
    """Weights, configuration and tokenizer of a model that is on this disk, as inputs."""
    path = config["models"][wildcards.model].get("path")
    if not path or not Path(path).is_dir():
        return []
    kinds = {".safetensors", ".json", ".txt", ".model"}
    return sorted(str(p) for p in Path(path).iterdir() if p.suffix in kinds and p.is_file())


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


def benchmarks_of_run(wildcards) -> list[str]:
    """Benchmark files of every job between the source and the metrics, in the order of the walk."""
    dataset, models = wildcards.dataset, RUN["models"]
    taught_on = {config["models"][model]["dataset"] for model in TRAINED}
    bases = {config["models"][model]["base"] for model in TRAINED} - {None}
    datasets = sorted({dataset} | taught_on)
    fetched = sorted(bases | (set(models) - set(TRAINED)))
    drawn = {name for name in datasets if config["datasets"][name]["source"] == "scenes"}
    per_run = [
        f"{dataset}.{model}.{prompt}.{scorer}"
        for model in models
        for prompt in RUN["prompts"]
        for scorer in RUN["scorers"]
    ]
    jobs = [
        *(("draw_scenes" if name in drawn else "download", name) for name in datasets),
        *((rule, name) for rule in ("prepare_images", "split") for name in datasets),
        *(("fetch_model", model) for model in fetched),
        *(("train_model", model) for model in TRAINED),
        *(("encode_images", f"{dataset}.{model}.test") for model in models),
        *(
            ("encode_texts", f"{dataset}.{model}.test.{prompt}")
            for model in models
            for prompt in RUN["prompts"]
        ),
        *((rule, run) for rule in ("fit_scorer", "similarity", "metrics") for run in per_run),
    ]
    return [f"results/benchmarks/{rule}/{name}.tsv" for rule, name in jobs]


def commands_to_reproduce() -> list[str]:
    """What to type to make this run again."""
    files = [os.path.relpath(str(path)) for path in workflow.overwrite_configfiles]
    options = f" --configfile {' '.join(files)}" if files else ""
    return [f"./run snakemake --cores 8{options}"]
