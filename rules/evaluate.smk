"""From ranks to metrics and tables.

Comes in: rankings.npz. Goes out: metrics.json for each run, and results/<dataset>/tables/, which sets
the runs side by side. Further studies stand here, each one script and one rule.
"""


rule metrics:
    """Recall@K, ranks and MRR of one run, both ways."""
    input:
        rankings="results/{dataset}/{model}/{prompt}/{scorer}/rankings.npz",
        captions="data/{dataset}/captions.json",
        splits="data/{dataset}/splits.json",
    output:
        metrics="results/{dataset}/{model}/{prompt}/{scorer}/metrics.json",
    log:
        "results/logs/metrics/{dataset}.{model}.{prompt}.{scorer}.log",
    benchmark:
        "results/benchmarks/metrics/{dataset}.{model}.{prompt}.{scorer}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/evaluate/metrics.py"),
        split="test",
    script:
        "../scripts/evaluate/metrics.py"


rule compare:
    """All runs in one table, as CSV, Markdown and LaTeX."""
    input:
        metrics=collect(
            "results/{{dataset}}/{model}/{prompt}/{scorer}/metrics.json",
            model=RUN["models"],
            prompt=RUN["prompts"],
            scorer=RUN["scorers"],
        ),
    output:
        csv="results/{dataset}/tables/metrics.csv",
        markdown="results/{dataset}/tables/metrics.md",
        latex="results/{dataset}/tables/metrics.tex",
    log:
        "results/logs/compare/{dataset}.log",
    benchmark:
        "results/benchmarks/compare/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/evaluate/compare.py"),
    script:
        "../scripts/evaluate/compare.py"


rule steps:
    """Run time and memory of every step of this run, from its benchmark files."""
    input:
        benchmarks=benchmarks_of_run,
    output:
        csv="results/{dataset}/tables/steps.csv",
    log:
        "results/logs/steps/{dataset}.log",
    benchmark:
        "results/benchmarks/steps/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/evaluate/steps.py"),
    script:
        "../scripts/evaluate/steps.py"


rule tables:
    """All tables of the run."""
    input:
        f"results/{DATASET}/tables/metrics.csv",
        f"results/{DATASET}/tables/steps.csv",
    localrule: True
