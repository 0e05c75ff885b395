"""From metrics, rankings and tables to figures, in Chinese and in English.

Comes in: metrics, rankings, tables, pictures. Goes out: results/<dataset>/figures/, with the numbers that no table has
beside them.
"""


rule plot_flow:
    """The way from image and text to a ranking, as a flow chart."""
    output:
        **figure("flow", "from input to ranking", "2 Method and data", numbers=False),
    log:
        "results/logs/plot_flow/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/figures/plot_flow.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        style=setting("figures/flow"),
    script:
        "../scripts/figures/plot_flow.py"


rule plot_recall:
    """Recall@1/5/10 of every run, both ways."""
    input:
        metrics="results/{dataset}/tables/metrics.csv",
    output:
        **figure("recall", "Recall@1, @5 and @10", "3 Results", "Figures", numbers=False),
    log:
        "results/logs/plot_recall/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint(
            "scripts/figures/plot_recall.py", *words_of("figures", "labels", "measures")
        ),
        languages=LANGUAGES,
        style=setting("figures/recall"),
    script:
        "../scripts/figures/plot_recall.py"


rule plot_ranks:
    """The share of queries that are answered within K, for every K."""
    input:
        **ROWS,
        rankings=RANKINGS,
    output:
        **figure("ranks", "Recall@K for every K", "3 Results", "Figures"),
    log:
        "results/logs/plot_ranks/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/figures/plot_ranks.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        style=setting("figures/ranks"),
    script:
        "../scripts/figures/plot_ranks.py"


rule plot_outcomes:
    """Where the right answers of the first model's reference run come, by rank."""
    input:
        **ROWS,
        rankings=references(RUN["models"][:1])["rankings"],
    output:
        **figure("outcomes", "queries by the rank of their right answer", "3 Results", "Figures"),
    log:
        "results/logs/plot_outcomes/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/figures/plot_outcomes.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        style=setting("figures/ranks"),
    script:
        "../scripts/figures/plot_outcomes.py"


rule plot_heatmap:
    """Similarity of a few sentences and pictures, one of which goes wrong."""
    input:
        **references(RUN["models"][:1]),
        pictures=PICTURES_OF_DATASET["images"],
        table=PICTURES_OF_DATASET["table"],
    output:
        **figure("heatmap", "similarity of sentences and pictures", "2 Method and data"),
    log:
        "results/logs/plot_heatmap/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        **settings("figures/gallery", "seed"),
        code=fingerprint("scripts/figures/plot_heatmap.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        split="test",
        style=setting("figures/pictures"),
    script:
        "../scripts/figures/plot_heatmap.py"


rule plot_gallery:
    """Queries drawn by a seeded rule, with their top results; right answers are framed."""
    input:
        **ROWS,
        **PICTURES_OF_DATASET,
        rankings=f"{REFERENCE}/rankings.npz",
    output:
        **figure(
            "gallery.{model}.{direction}",
            "top results",
            "4 Examples",
            "{model}",
            direction="{direction}",
        ),
    log:
        "results/logs/plot_gallery/{dataset}.{model}.{direction}.log",
    conda:
        "../envs/report.yaml"
    params:
        **settings(
            "figures/gallery", "top_k", "successes", "near_misses", "failures", "seed", "style"
        ),
        code=fingerprint("scripts/figures/plot_gallery.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        split="test",
        direction="{direction}",
    script:
        "../scripts/figures/plot_gallery.py"


rule plot_training:
    """Loss and validation recall of a model that was trained here."""
    input:
        log="data/models/{model}/training.csv",
        model="data/models/{model}/model.json",
    output:
        **figure("training.{model}", "training of {model}", "2 Method and data", numbers=False),
    log:
        "results/logs/plot_training/{dataset}.{model}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint(
            "scripts/figures/plot_training.py", *words_of("figures", "labels", "measures")
        ),
        languages=LANGUAGES,
        style=setting("figures/training"),
    script:
        "../scripts/figures/plot_training.py"


rule plot_study:
    """The figure of a study: what its table holds, as points or lines with intervals."""
    input:
        table=rows_of_study,
    output:
        **figure("study.{study}", "{study}", "5 Studies", "{study}", numbers=False),
    log:
        "results/logs/plot_study/{dataset}.{study}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/figures/plot_study.py", *words_of("labels", "measures")),
        languages=LANGUAGES,
        settings=setting("studies/{study}/figure"),
        style=setting("figures/studies"),
    script:
        "../scripts/figures/plot_study.py"


rule plot_clouds:
    """Features of images and captions in two dimensions, and the gap between them."""
    input:
        **references(RUN["models"][:1]),
        geometry="results/{dataset}/tables/geometry.csv",
    output:
        **figure("clouds", "features in two dimensions", "5 Studies", "geometry"),
    log:
        "results/logs/plot_clouds/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        **settings("statistics", "seed"),
        code=fingerprint("scripts/figures/plot_clouds.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        split="test",
        style=setting("figures/studies"),
    script:
        "../scripts/figures/plot_clouds.py"


rule plot_hub_tradeoff:
    """What prompts and scorers change at once: recall, and hubs."""
    input:
        geometry="results/{dataset}/tables/geometry.csv",
        pairs="results/{dataset}/tables/pairs.csv",
    output:
        **figure("hub_tradeoff", "recall against hubs", "5 Studies", "geometry", numbers=False),
    log:
        "results/logs/plot_hub_tradeoff/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/figures/plot_hub_tradeoff.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        style=setting("figures/studies"),
    script:
        "../scripts/figures/plot_hub_tradeoff.py"


rule plot_hubs:
    """The worst hubs in pictures, and how often each scorer finds them."""
    input:
        **PICTURES_OF_DATASET,
        hubs="results/{dataset}/tables/hubs.csv",
    output:
        **figure("hubs", "the worst hubs", "5 Studies", "geometry", numbers=False),
    log:
        "results/logs/plot_hubs/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/figures/plot_hubs.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        style=setting("figures/pictures"),
    script:
        "../scripts/figures/plot_hubs.py"


rule plot_failures:
    """Failures of each kind in pictures."""
    input:
        **PICTURES_OF_DATASET,
        failures="results/{dataset}/tables/failures.csv",
    output:
        **figure("failures", "failures of each kind", "5 Studies", "errors", numbers=False),
    log:
        "results/logs/plot_failures/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/figures/plot_failures.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        style=setting("figures/pictures"),
    script:
        "../scripts/figures/plot_failures.py"


rule plot_index_tradeoff:
    """What indexes find against what they cost, by size of gallery."""
    input:
        table="results/{dataset}/tables/index_costs.csv",
    output:
        **figure(
            "index_tradeoff", "what indexes find and cost", "5 Studies", "indexes", numbers=False
        ),
    log:
        "results/logs/plot_index_tradeoff/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/figures/plot_index_tradeoff.py", *words_of("labels", "measures")),
        languages=LANGUAGES,
        style=setting("figures/studies"),
    script:
        "../scripts/figures/plot_index_tradeoff.py"


rule figures:
    """Every figure."""
    input:
        collect(FIGURES, dataset=DATASETS),
    localrule: True
