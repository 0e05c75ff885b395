"""From the runs of several datasets to one leaderboard over all of them.

Comes in: metrics, rankings, costs, captions and splits of each dataset. Goes out: results/leaderboard.{zh,en}.html, and
its numbers as CSV and Markdown.
"""


rule leaderboard:
    """Models by datasets, both ways: how they stand, how sure that is, and what they cost."""
    input:
        metrics=collect(
            of_runs("results/{dataset}/{model}/{prompt}/{scorer}/metrics.json"), dataset=DATASETS
        ),
        rankings=collect(RANKINGS, dataset=DATASETS),
        costs=collect("results/{dataset}/tables/costs.csv", dataset=DATASETS),
        rows=collect(list(ROWS.values()), dataset=DATASETS),
        images=collect(
            "results/{dataset}/{model}/test/images.json", dataset=DATASETS, model=RUN["models"]
        ),
        texts=collect(TEXTS, dataset=DATASETS),
        precisions=collect(PRECISIONS, dataset=DATASETS),
    output:
        csv=of_all("csv", "numbers", "all of them"),
        markdown=of_all("md", "table", "all of them"),
        pages=[
            of_all(f"{lang}.html", "page", language) for lang, language in LANGUAGE_NAMES.items()
        ],
    log:
        "results/logs/leaderboard.log",
    conda:
        "../envs/report.yaml"
    params:
        **settings("statistics", "resamples", "seed"),
        code=fingerprint("scripts/leaderboard/leaderboard.py", *LEADERBOARD_PARTS),
    script:
        "../scripts/leaderboard/leaderboard.py"
