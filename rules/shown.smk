"""What Snakemake's report and ours show of the results, and what they call it.

Comes in: what rules/common.smk knows. Goes out: nothing is made here.
"""


def words_of(*names) -> list[str]:
    """Files of what readers see, which is no code and part of what a step's result depends on."""
    return [f"scripts/words/{name}.{lang}.yaml" for name in names for lang in LANGUAGES]


def table(file: str, holds: str, category: str = "3 Results", part: str = "Tables", **labels):
    """A table of the run."""
    return report(
        f"results/{{dataset}}/tables/{file}",
        caption=f"../scripts/report/captions/tables/{Path(file).stem}.rst",
        category=category,
        subcategory=part or None,
        labels={"result": f"Table: {holds}", **labels},
    )


def table_of(study: str, holds: str, name: str = ""):
    """A table of a study, under its own name where that is another."""
    return table(f"{name or study}.csv", holds, "5 Studies", study)


# for the labels of Snakemake's report, which brings no Chinese font along
LANGUAGE_NAMES = {"zh": "Chinese (中文)", "en": "English"}
# what the report shows as its key code, and what it is made of beside Python
SHOWN_PROGRAM = "scripts/recall_at_k.py"
REPORT_PARTS = [
    *(f"scripts/report/{name}.yaml" for name in ("equations", "references")),
    *words_of("report", "labels", "measures", "warnings"),
]
PAGE_PARTS = [f"scripts/report/{part}" for part in ("page.html.j2", "page.css", "colours.json")]
PAPER_PARTS = [f"scripts/report/{part}" for part in ("paper.typ", "colours.json")]
THEME = "scripts/theme.css"
EXPLORER_PARTS = [
    THEME,
    *(f"scripts/explorer/explorer.{part}" for part in ("html.j2", "css", "js")),
    *words_of("explorer", "labels", "measures", "warnings"),
]
# runs whose lists stand in the explorer itself; of more, those of all but the first lie beside it
IN_EXPLORER = 12
EXPLORED_BESIDE = (
    {"lists": of_runs("results/{dataset}/explorer_files/{model}/{prompt}/{scorer}.js")[1:]}
    if len(RUNS) > IN_EXPLORER
    else {}
)
LEADERBOARD_PARTS = [
    THEME,
    *(f"scripts/leaderboard/leaderboard.{part}" for part in ("html.j2", "css", "js")),
    *words_of("leaderboard", "labels", "measures"),
]


def of_all(kind: str, form: str, language: str):
    """A form of what stands above all datasets."""
    return report(
        f"results/leaderboard.{kind}",
        caption="../scripts/report/captions/leaderboard.rst",
        category="1 Report",
        labels={"document": "Leaderboard", "form": form, "language": language},
    )


# kinds of failure, where they are studied
FAILURES = (
    {"failures": "results/{dataset}/tables/failures.csv"} if "errors" in RUN["studies"] else {}
)

# what another precision changes, where that is studied
PRECISION_STUDY = (
    {"precision_study": "results/{dataset}/tables/precision.csv"}
    if "precision" in RUN["studies"]
    else {}
)
# how the features of the runs were made, as their sidecars say
TEXTS = [f"results/{{dataset}}/{model}/test/texts.{prompt}.json" for model, prompt in ENCODED]
# where it is left to be found
PRECISIONS = [
    f"results/{{dataset}}/{model}/precision.json"
    for model in RUN["models"]
    if encodes(config, model) and config["encode"]["precision"] == "auto"
]


def figure(
    name: str, shows: str, category: str, part: str = "", numbers: bool = True, **labels
) -> dict:
    """A figure, drawn in each language as SVG and PNG, and its ``numbers`` where no table has them.

    Results of one folder with equal labels would hide each other in Snakemake's report, so each carries its
    language.
    """
    path = f"results/{{dataset}}/figures/{name}"
    place = {"category": category, **({"subcategory": part} if part else {})}

    def told(file: str, caption: str, result: str, **own):
        caption = f"../scripts/report/captions/{caption}.rst"
        return report(file, caption=caption, labels={"result": result, **labels, **own}, **place)

    kind = name.split(".")[0]
    made = {
        "svg": [
            told(f"{path}.{lang}.svg", kind, f"Figure: {shows}", language=language)
            for lang, language in LANGUAGE_NAMES.items()
        ],
        "png": [f"{path}.{lang}.png" for lang in LANGUAGES],
    }
    return made | (
        {"table": told(f"{path}.csv", "numbers", f"Numbers: {shows}")} if numbers else {}
    )


# drawn from numbers that stand in no table, and so beside the drawing
WITH_NUMBERS = [
    "ranks",
    "outcomes",
    "heatmap",
    *(name for name in PICTURES if name == "clouds"),
    *collect("gallery.{model}.{direction}", model=RUN["models"], direction=DIRECTIONS),
]
DRAWINGS = [
    *dict.fromkeys(["flow", "recall", *WITH_NUMBERS, *PICTURES]),
    *collect("study.{study}", study=DRAWN),
    *collect("training.{model}", model=TRAINED),
]

# figures that the report may show: galleries are set by it from their tables
IN_REPORT = [name for name in DRAWINGS if not name.startswith("gallery.")]
SHOWN_FIGURES = [f"results/{{dataset}}/figures/{name}.{{lang}}.svg" for name in IN_REPORT]

# what a run is made for, of each dataset
TABLES = collect(
    "results/{{dataset}}/tables/{name}",
    name=[
        *("metrics.csv", "metrics.md", "metrics.tex", "pairs.csv", "costs.csv", "steps.csv"),
        *(f"{study}.csv" for study in RUN["studies"] if study not in FAMILY_OF),
        *(f"{name}.csv" for name in LISTS),
    ],
)
FIGURES = collect(
    "results/{{dataset}}/figures/{name}.{lang}.{kind}",
    name=DRAWINGS,
    lang=LANGUAGES,
    kind=["svg", "png"],
) + collect("results/{{dataset}}/figures/{name}.csv", name=WITH_NUMBERS)
REPORT = [
    *collect("results/{{dataset}}/report.{lang}.{kind}", lang=LANGUAGES, kind=["html", "pdf"]),
    *("results/{dataset}/explorer.html", "results/{dataset}/summary.txt"),
]


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


def commands_to_reproduce(wildcards) -> list[str]:
    """What to type to make this run again, from the configuration that its record holds."""
    return [f"./run snakemake --cores 8 --configfile results/{wildcards.dataset}/config.yaml"]
