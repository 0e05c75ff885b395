"""From tables, figures and pictures to the report, in Chinese and in English, and to the explorer.

Comes in: metrics, rankings, tables, figures, audit, provenance. Goes out: results/<dataset>/document.{zh,en}.json, what
the report says; of it report.{zh,en}.html, one file with all of it inside, and report.{zh,en}.pdf; the explorer, and
what a screen shows when a run ends.
"""


report: "../scripts/report/captions/workflow.rst"


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


rule document:
    """What the report says in one language, and in which order: text, numbers, tables, where figures stand."""
    input:
        **{name: f"results/{{dataset}}/tables/{name}.csv" for name in LISTS},
        **ROWS,
        metrics="results/{dataset}/tables/metrics.csv",
        pairs="results/{dataset}/tables/pairs.csv",
        steps="results/{dataset}/tables/steps.csv",
        machine="results/{dataset}/machine.json",
        costs="results/{dataset}/tables/costs.csv",
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
        galleries=collect(
            "results/{{dataset}}/figures/gallery.{model}.{direction}.csv",
            model=RUN["models"][0],
            direction=DIRECTIONS,
        ),
    output:
        document="results/{dataset}/document.{lang}.json",
    log:
        "results/logs/document/{dataset}.{lang}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/report/document.py", *REPORT_PARTS, SHOWN_PROGRAM),
        split="test",
        figures=IN_REPORT,
        studies={name: shown_of_study(name) for name in RUN["studies"]},
        scorers={name: config["scorers"][name] for name in RUN["scorers"]},
        statistics=setting("statistics"),
        listing=SHOWN_PROGRAM,
        commands=commands_to_reproduce,
    script:
        "../scripts/report/document.py"


rule page:
    """The report in one language: one HTML file that needs nothing beside it."""
    input:
        document="results/{dataset}/document.{lang}.json",
        images=ancient(IMAGES),
        drawn=SHOWN_FIGURES,
    output:
        html=report(
            "results/{dataset}/report.{lang}.html",
            caption="../scripts/report/captions/report.rst",
            category="1 Report",
            labels=labels_of_report,
        ),
    log:
        "results/logs/page/{dataset}.{lang}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/report/page.py", *PAGE_PARTS),
    script:
        "../scripts/report/page.py"


rule paper:
    """The report in one language on paper, of the same document as its page."""
    input:
        document="results/{dataset}/document.{lang}.json",
        images=ancient(IMAGES),
        drawn=SHOWN_FIGURES,
    output:
        pdf=report(
            "results/{dataset}/report.{lang}.pdf",
            caption="../scripts/report/captions/report.rst",
            category="1 Report",
            labels=labels_of_report,
        ),
    log:
        "results/logs/paper/{dataset}.{lang}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/report/paper.py", *PAPER_PARTS),
    script:
        "../scripts/report/paper.py"


rule explorer:
    """Every query of every run, both ways, as a page that opens from disk, with what lies beside it."""
    input:
        **FAILURES,
        **ROWS,
        **PICTURES_OF_DATASET,
        rankings=RANKINGS,
        metrics="results/{dataset}/tables/metrics.csv",
        judgments="data/{dataset}/judgments.csv",
        warnings="results/{dataset}/warnings.json",
    output:
        **EXPLORED_BESIDE,
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
        code=fingerprint("scripts/explorer/explorer.py", *EXPLORER_PARTS),
        split="test",
        reference=[FIRST_PROMPT, FIRST_SCORER],
        lexicon=setting("lexicon/categories"),
    script:
        "../scripts/explorer/explorer.py"


rule report:
    """The report in both languages, as page and on paper, and the explorer."""
    input:
        collect(REPORT, dataset=DATASETS),
    localrule: True
