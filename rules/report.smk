"""From tables and rankings to figures and the report, in Chinese and in English.

Comes in: metrics, rankings, tables, audit, provenance. Goes out: results/<dataset>/figures/, with the numbers
that no table has beside them, and results/<dataset>/report.{zh,en}.html, which is one file with all of it inside.
Later forms of the report, and the explorer, stand here.
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
        code=fingerprint("scripts/report/plot_flow.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        style=setting("figures/flow"),
    script:
        "../scripts/report/plot_flow.py"


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
            "scripts/report/plot_recall.py", *words_of("figures", "labels", "measures")
        ),
        languages=LANGUAGES,
        style=setting("figures/recall"),
    script:
        "../scripts/report/plot_recall.py"


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
        code=fingerprint("scripts/report/plot_ranks.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        style=setting("figures/ranks"),
    script:
        "../scripts/report/plot_ranks.py"


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
        code=fingerprint("scripts/report/plot_gallery.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        split="test",
        direction="{direction}",
    script:
        "../scripts/report/plot_gallery.py"


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
            "scripts/report/plot_training.py", *words_of("figures", "labels", "measures")
        ),
        languages=LANGUAGES,
        style=setting("figures/training"),
    script:
        "../scripts/report/plot_training.py"


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
        code=fingerprint("scripts/report/plot_study.py", *words_of("labels", "measures")),
        languages=LANGUAGES,
        settings=setting("studies/{study}/figure"),
        style=setting("figures/studies"),
    script:
        "../scripts/report/plot_study.py"


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
        code=fingerprint("scripts/report/plot_hubs.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        style=setting("figures/pictures"),
    script:
        "../scripts/report/plot_hubs.py"


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
        code=fingerprint("scripts/report/plot_failures.py", *words_of("figures", "labels")),
        languages=LANGUAGES,
        style=setting("figures/pictures"),
    script:
        "../scripts/report/plot_failures.py"


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
        code=fingerprint("scripts/report/plot_index_tradeoff.py", *words_of("labels", "measures")),
        languages=LANGUAGES,
        style=setting("figures/studies"),
    script:
        "../scripts/report/plot_index_tradeoff.py"


rule warn:
    """What to know before the numbers: too few images, leads that may be chance, captions cut."""
    input:
        **PRECISION_STUDY,
        metrics="results/{dataset}/tables/metrics.csv",
        pairs="results/{dataset}/tables/pairs.csv",
        texts=TEXTS,
        precisions=PRECISIONS,
        audit="results/{dataset}/audit.json",
        source="data/{dataset}/raw/source.json",
        table="data/{dataset}/images.csv",
        splits="data/{dataset}/splits.json",
    output:
        warnings="results/{dataset}/warnings.json",
    log:
        "results/logs/warn/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/report/warn.py"),
        left_out=RUN["left_out"],
    script:
        "../scripts/report/warn.py"


rule summarise:
    """What the screen shows when a run ends: recall, what to know before it, and where all is."""
    input:
        metrics="results/{dataset}/tables/metrics.csv",
        pairs="results/{dataset}/tables/pairs.csv",
        warnings="results/{dataset}/warnings.json",
    output:
        text="results/{dataset}/summary.txt",
    log:
        "results/logs/summarise/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/report/summarise.py", *words_of("warnings", "labels", "measures")),
        elsewhere=[model for model in RUN["models"] if not encodes(config, model)],
    script:
        "../scripts/report/summarise.py"


rule report_page:
    """The report in one language: one HTML file that needs nothing beside it."""
    input:
        **{
            name: f"results/{{dataset}}/figures/{name}.{{lang}}.svg"
            for name in ("flow", "recall", "ranks", *PICTURES)
        },
        **{name: f"results/{{dataset}}/tables/{name}.csv" for name in LISTS},
        **ROWS,
        metrics="results/{dataset}/tables/metrics.csv",
        pairs="results/{dataset}/tables/pairs.csv",
        steps="results/{dataset}/tables/steps.csv",
        studies=[
            f"results/{{dataset}}/tables/{table_behind(study)}.csv" for study in RUN["studies"]
        ],
        rankings=RANKINGS,
        encodings=[
            *collect("results/{{dataset}}/{model}/test/images.json", model=RUN["models"]),
            *TEXTS,
        ],
        precisions=PRECISIONS,
        scorers=of_runs("results/{dataset}/{model}/{prompt}/{scorer}/scorer.npz"),
        models=collect("data/models/{model}/model.json", model=RUN["models"]),
        source="data/{dataset}/raw/source.json",
        audit="results/{dataset}/audit.json",
        warnings="results/{dataset}/warnings.json",
        images=ancient("data/{dataset}/images"),
        training=collect("results/{{dataset}}/figures/training.{model}.{{lang}}.svg", model=TRAINED),
        drawn=collect("results/{{dataset}}/figures/study.{study}.{{lang}}.svg", study=DRAWN),
        galleries=collect(
            "results/{{dataset}}/figures/gallery.{model}.{direction}.csv",
            model=RUN["models"],
            direction=DIRECTIONS,
        ),
    output:
        html=report(
            "results/{dataset}/report.{lang}.html",
            caption="../scripts/report/captions/report.rst",
            category="1 Report",
            labels=labels_of_report,
        ),
    log:
        "results/logs/report_page/{dataset}.{lang}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/report/report_page.py", *REPORT_PARTS, *SHOWN_CODE),
        split="test",
        studies={name: shown_of_study(name) for name in RUN["studies"]},
        scorers={name: config["scorers"][name] for name in RUN["scorers"]},
        statistics=setting("statistics"),
        listings=SHOWN_LISTINGS,
        commands=commands_to_reproduce(),
    script:
        "../scripts/report/report_page.py"


rule report_pdf:
    """The report in one language on paper, made from its page so that both say the same."""
    input:
        html="results/{dataset}/report.{lang}.html",
    output:
        pdf=report(
            "results/{dataset}/report.{lang}.pdf",
            caption="../scripts/report/captions/report.rst",
            category="1 Report",
            labels=labels_of_report,
        ),
    log:
        "results/logs/report_pdf/{dataset}.{lang}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/report/report_pdf.py", "scripts/report/report.typ"),
    script:
        "../scripts/report/report_pdf.py"


rule explorer:
    """Every query of every run, both ways, as one page that opens from disk."""
    input:
        **FAILURES,
        **ROWS,
        **PICTURES_OF_DATASET,
        rankings=RANKINGS,
        metrics="results/{dataset}/tables/metrics.csv",
        judgments="data/{dataset}/judgments.csv",
        warnings="results/{dataset}/warnings.json",
    output:
        html=report(
            "results/{dataset}/explorer.html",
            caption="../scripts/report/captions/explorer.rst",
            category="1 Report",
            labels={"document": "Explorer", "form": "page", "language": "English, Chinese (中文)"},
        ),
    log:
        "results/logs/explorer/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/report/explorer.py", *EXPLORER_PARTS),
        split="test",
        reference=[FIRST_PROMPT, FIRST_SCORER],
        lexicon=setting("lexicon/categories"),
    script:
        "../scripts/report/explorer.py"


rule figures:
    """Every figure of the run."""
    input:
        collect(
            "results/{dataset}/figures/{name}.{lang}.{kind}",
            dataset=DATASET,
            name=DRAWINGS,
            lang=LANGUAGES,
            kind=["svg", "png"],
        ),
        collect("results/{dataset}/figures/{name}.csv", dataset=DATASET, name=WITH_NUMBERS),
    localrule: True


rule report:
    """The report in both languages, as page and on paper, and the explorer."""
    input:
        collect(
            "results/{dataset}/report.{lang}.{kind}",
            dataset=DATASET,
            lang=LANGUAGES,
            kind=["html", "pdf"],
        ),
        f"results/{DATASET}/explorer.html",
        f"results/{DATASET}/summary.txt",
    localrule: True
