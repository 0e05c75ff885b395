"""Studies: each looks at the runs from one side, and each is one script, one rule and one config entry.

Comes in: features and rankings, and for some judgments, features of other splits or of damaged texts. Goes out: results/<dataset>/tables/<study>.csv, all in the shape of scripts/studies/table.py, and lists
of what was found (hubs, duplicates, failures) beside it.
"""


rule study_relevance:
    """Recall where equal captions, or people, accept more than the one right answer; and ties."""
    input:
        **references(),
        judgments="data/{dataset}/judgments.csv",
        runs=RANKINGS,
    output:
        table=table_of("relevance", "recall where equal captions, or people, accept more"),
        duplicates=table_of("relevance", "captions on several images", "duplicates"),
        ties=table_of("relevance", "what ties cost", "ties"),
    log:
        "results/logs/study_relevance/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/studies/study_relevance.py"),
    script:
        "../scripts/studies/study_relevance.py"


rule study_judgments:
    """Kendall's τ between the model's score and people's."""
    input:
        **references(looks_at(config, "judgments")),
        **encoded_again(
            "judgments",
            "texts_judged",
            "test/texts.{prompt}",
            prompt=setting("studies/judgments/prompt"),
        ),
        judgments="data/{dataset}/judgments.csv",
    output:
        table=table_of("judgments", "Kendall's τ between the score and people"),
    log:
        "results/logs/study_judgments/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/studies/study_judgments.py"),
        prompt=setting("studies/judgments/prompt"),
    script:
        "../scripts/studies/study_judgments.py"


rule study_published:
    """This run beside published numbers of the same model, dataset and split."""
    input:
        metrics="results/{dataset}/tables/metrics.csv",
        models=collect("data/models/{model}/model.json", model=RUN["models"]),
        encodings=TEXTS,
        source="data/{dataset}/raw/source.json",
        published=PUBLISHED,
    output:
        table=table_of("published", "beside published numbers"),
    log:
        "results/logs/study_published/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_published.py"),
        source=setting("datasets/{dataset}/source"),
        cosines=[name for name, entry in config["scorers"].items() if entry["kind"] == "cosine"],
    script:
        "../scripts/studies/study_published.py"


rule study_seeds:
    """The mean and the spread of what was trained from several seeds."""
    input:
        **references(),
        adapters=adapters_of_run(),
    output:
        table=table_of("seeds", "recall by seed of training"),
    log:
        "results/logs/study_seeds/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/studies/study_seeds.py"),
    script:
        "../scripts/studies/study_seeds.py"


rule study_gallery:
    """Expected recall in smaller galleries drawn at random, both ways."""
    input:
        **references(),
    output:
        table=table_of("gallery", "recall in smaller galleries"),
    log:
        "results/logs/study_gallery/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/studies/study_gallery.py"),
        sizes=setting("studies/gallery/sizes"),
    script:
        "../scripts/studies/study_gallery.py"


rule study_captions:
    """Recall by the length of captions, and by how many of an image's captions are used."""
    input:
        **references(),
    output:
        table=table_of("captions", "recall by length and number of captions"),
    log:
        "results/logs/study_captions/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        **settings("studies/captions", "parts", "draws"),
        code=fingerprint("scripts/studies/study_captions.py"),
    script:
        "../scripts/studies/study_captions.py"


rule study_categories:
    """Recall by what images show: by words of the lexicon, and by clusters of features."""
    input:
        **references(),
    output:
        table=table_of("categories", "recall by what images show"),
        clusters=table_of("categories", "clusters of images and their words", "clusters"),
    log:
        "results/logs/study_categories/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        **settings("studies/categories", "clusters", "words", "least"),
        code=fingerprint("scripts/studies/study_categories.py"),
        lexicon=setting("lexicon/categories"),
    script:
        "../scripts/studies/study_categories.py"


rule study_robustness:
    """Recall of captions with words dropped, words shuffled, and typos."""
    input:
        **references(looks_at(config, "robustness")),
        **encoded_again("robustness", "damaged", "test/damaged.{prompt}", prompt=FIRST_PROMPT),
    output:
        table=table_of("robustness", "recall of damaged captions"),
    log:
        "results/logs/study_robustness/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/studies/study_robustness.py"),
    script:
        "../scripts/studies/study_robustness.py"


rule study_geometry:
    """How far apart the two clouds lie, which items stand in too many lists, and how prompts move captions."""
    input:
        **references(),
        **texts_under_prompts(),
        runs=RANKINGS,
    output:
        table=table_of("geometry", "modality gap and hubness"),
        hubs=table_of("geometry", "the worst hubs", "hubs"),
    log:
        "results/logs/study_geometry/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        **settings("studies/geometry", "neighbours", "hubs"),
        code=fingerprint("scripts/studies/study_geometry.py"),
        prompts=PROMPTED,
    script:
        "../scripts/studies/study_geometry.py"


rule study_errors:
    """Why queries fail: evidence for each failure, and named kinds of them."""
    input:
        **references(),
        judgments="data/{dataset}/judgments.csv",
    output:
        table=table_of("errors", "kinds of failure"),
        failures=table_of("errors", "every failure, with its evidence", "failures"),
    log:
        "results/logs/study_errors/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        **settings("studies/errors", "examples", "far"),
        code=fingerprint("scripts/studies/study_errors.py"),
        lexicon=setting("lexicon"),
    script:
        "../scripts/studies/study_errors.py"


rule study_confidence:
    """Whether a low score warns: the risk of answering only what the model is surest of."""
    input:
        **{name: references()[name] for name in ("captions", "splits", "rankings")},
    output:
        table=table_of("confidence", "risk by coverage"),
    log:
        "results/logs/study_confidence/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/studies/study_confidence.py"),
    script:
        "../scripts/studies/study_confidence.py"


rule study_leakage:
    """Near-duplicate images and equal captions across splits, and what they do to the numbers."""
    input:
        **references(looks_at(config, "leakage")),
        **encoded_again("leakage", "others", "{split}/images", split=["train", "val"]),
        **texts_learnt_from(),
        checksums="data/{dataset}/images.csv",
    output:
        table=table_of("leakage", "recall without what splits share"),
        pairs=table_of("leakage", "near-duplicate images across splits", "near_duplicates"),
    log:
        "results/logs/study_leakage/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/studies/study_leakage.py"),
        threshold=setting("studies/leakage/threshold"),
    script:
        "../scripts/studies/study_leakage.py"


rule study_indexes:
    """What each index finds of the exact top ten, and what it costs, also among simulated items."""
    input:
        **references(RUN["models"][:1]),
        **built_indexes(),
    output:
        table=table_of("indexes", "what indexes find"),
        costs=table_of("indexes", "what indexes cost", "index_costs"),
    log:
        "results/logs/study_indexes/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    # times of one thread, that no other job disturbs
    threads: every_core
    params:
        **ON_TEST,
        **settings("studies/indexes", "sizes", "spread"),
        code=fingerprint("scripts/studies/study_indexes.py"),
        indexes={name: config["indexes"][name] for name in RUN["indexes"]},
    script:
        "../scripts/studies/study_indexes.py"


rule study_precision:
    """What computing features in another precision changes, on the same queries."""
    input:
        **features_in_precisions(),
    output:
        table=table_of("precision", "each precision against the first"),
    log:
        "results/logs/study_precision/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/studies/study_precision.py"),
        flips=setting("statistics/flips"),
        models=looks_at(config, "precision"),
        prompt=FIRST_PROMPT,
        scorer=FIRST_SCORER,
    script:
        "../scripts/studies/study_precision.py"


rule study_reranking:
    """What a second look gains at each depth, of what a perfect one would gain, and what it costs."""
    input:
        **ROWS,
        **second_looks(),
    output:
        table=table_of("reranking", "what a second look gains, and costs"),
    log:
        "results/logs/study_reranking/{dataset}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        **ON_TEST,
        code=fingerprint("scripts/studies/study_reranking.py"),
        looks=told_of_second_looks(),
    script:
        "../scripts/studies/study_reranking.py"
