"""From ranks to metrics and tables.

Comes in: rankings.npz. Goes out: metrics.json for each run, and results/<dataset>/tables/, which sets
the runs side by side and says which differences are more than noise.
"""


rule metrics:
    """All metrics of one run, both ways, each with its interval."""
    input:
        **ROWS,
        rankings="results/{dataset}/{model}/{prompt}/{scorer}/rankings.npz",
    output:
        metrics=report(
            "results/{dataset}/{model}/{prompt}/{scorer}/metrics.json",
            caption="../scripts/report/captions/run.rst",
            category="3 Results",
            subcategory="Runs, one by one",
            labels={"run": "{model} · {prompt} · {scorer}"},
        ),
    log:
        "results/logs/metrics/{dataset}.{model}.{prompt}.{scorer}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/evaluate/metrics.py"),
    script:
        "../scripts/evaluate/metrics.py"


rule compare:
    """All runs in one table, as CSV, Markdown and LaTeX."""
    input:
        metrics=of_runs("results/{dataset}/{model}/{prompt}/{scorer}/metrics.json"),
    output:
        csv=table("metrics.csv", "all metrics of all runs", form="CSV"),
        markdown=table("metrics.md", "all metrics of all runs", form="Markdown"),
        latex=table("metrics.tex", "all metrics of all runs", form="LaTeX"),
    log:
        "results/logs/compare/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/evaluate/compare.py", *words_of("measures")),
    script:
        "../scripts/evaluate/compare.py"


rule pairs:
    """Two runs on the same queries: the difference, its interval, and whether it is noise."""
    input:
        **ROWS,
        rankings=RANKINGS,
    output:
        csv=table("pairs.csv", "differences between runs", form="CSV"),
    log:
        "results/logs/pairs/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        **settings("statistics", "flips", "all_pairs"),
        code=fingerprint("scripts/evaluate/pairs.py"),
    script:
        "../scripts/evaluate/pairs.py"


rule steps:
    """Run time and memory of every step of this run, from what its jobs said of themselves."""
    input:
        metrics=of_runs("results/{dataset}/{model}/{prompt}/{scorer}/metrics.json"),
    output:
        csv=table("steps.csv", "time and memory of every step", "2 Method and data", ""),
        machine="results/{dataset}/machine.json",
    log:
        "results/logs/steps/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/evaluate/steps.py"),
    script:
        "../scripts/evaluate/steps.py"


rule costs:
    """What each model costs: parameters, dimension, images and texts a second here, memory."""
    input:
        models=collect("data/models/{model}/model.json", model=RUN["models"]),
        images=collect("results/{{dataset}}/{model}/test/images.json", model=RUN["models"]),
        texts=collect(
            "results/{{dataset}}/{model}/test/texts.{prompt}.json",
            model=RUN["models"],
            prompt=FIRST_PROMPT,
        ),
    output:
        csv=table("costs.csv", "what each model costs", "2 Method and data", ""),
    log:
        "results/logs/costs/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/evaluate/costs.py"),
    script:
        "../scripts/evaluate/costs.py"


rule tables:
    """All tables."""
    input:
        collect(TABLES, dataset=DATASETS),
    localrule: True
