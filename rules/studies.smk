"""Studies: each looks at the runs from one side, and each is one script, one rule and one config entry.

Comes in: features, rankings and pairs.csv, and for some judgments, features of other splits or of damaged
texts. Goes out: results/<dataset>/tables/<study>.csv, all in the shape of scripts/studies/table.py, and lists
of what was found (hubs, duplicates, failures) beside it.
"""


rule study_relevance:
    """Recall where equal captions, or people, accept more than the one right answer; and ties."""
    input:
        unpack(references),
        judgments="data/{dataset}/judgments.csv",
        runs=RANKINGS,
    output:
        table=report(
            "results/{dataset}/tables/relevance.csv",
            caption="../scripts/report/captions/tables/relevance.rst",
            category="5 Studies",
            subcategory="relevance",
            labels={"result": "Table: recall where equal captions, or people, accept more"},
        ),
        duplicates=report(
            "results/{dataset}/tables/duplicates.csv",
            caption="../scripts/report/captions/tables/duplicates.rst",
            category="5 Studies",
            subcategory="relevance",
            labels={"result": "Table: captions on several images"},
        ),
        ties=report(
            "results/{dataset}/tables/ties.csv",
            caption="../scripts/report/captions/tables/ties.rst",
            category="5 Studies",
            subcategory="relevance",
            labels={"result": "Table: what ties cost"},
        ),
    log:
        "results/logs/study_relevance/{dataset}.log",
    benchmark:
        "results/benchmarks/study_relevance/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_relevance.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        seed=setting("statistics/seed"),
    script:
        "../scripts/studies/study_relevance.py"


rule study_judgments:
    """Kendall's τ between the model's score and people's."""
    input:
        unpack(references_encoded_again),
        texts_judged=collect(
            "results/{{dataset}}/{model}/test/texts.{prompt}.npy",
            model=ENCODED_AGAIN,
            prompt=setting("studies/judgments/prompt"),
        ),
        texts_judged_sidecars=collect(
            "results/{{dataset}}/{model}/test/texts.{prompt}.json",
            model=ENCODED_AGAIN,
            prompt=setting("studies/judgments/prompt"),
        ),
        judgments="data/{dataset}/judgments.csv",
    output:
        table=report(
            "results/{dataset}/tables/judgments.csv",
            caption="../scripts/report/captions/tables/judgments.rst",
            category="5 Studies",
            subcategory="judgments",
            labels={"result": "Table: Kendall's τ between the score and people"},
        ),
    log:
        "results/logs/study_judgments/{dataset}.log",
    benchmark:
        "results/benchmarks/study_judgments/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_judgments.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        seed=setting("statistics/seed"),
        prompt=setting("studies/judgments/prompt"),
    script:
        "../scripts/studies/study_judgments.py"


rule study_published:
    """This run beside published numbers of the same model, dataset and split."""
    input:
        metrics="results/{dataset}/tables/metrics.csv",
        models=collect("data/models/{model}/model.json", model=RUN["models"]),
        encodings=collect(
            "results/{{dataset}}/{model}/test/texts.{prompt}.json",
            zip,
            model=[model for model, _ in ENCODED],
            prompt=[prompt for _, prompt in ENCODED],
        ),
        source="data/{dataset}/raw/source.json",
        published=PUBLISHED,
    output:
        table=report(
            "results/{dataset}/tables/published.csv",
            caption="../scripts/report/captions/tables/published.rst",
            category="5 Studies",
            subcategory="published",
            labels={"result": "Table: beside published numbers"},
        ),
    log:
        "results/logs/study_published/{dataset}.log",
    benchmark:
        "results/benchmarks/study_published/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_published.py"),
        source=setting("datasets/{dataset}/source"),
        cosines=[name for name, entry in config["scorers"].items() if entry["kind"] == "cosine"],
    script:
        "../scripts/studies/study_published.py"


rule study_prompts:
    """Each prompt against the first one, on the same queries."""
    input:
        pairs="results/{dataset}/tables/pairs.csv",
    output:
        table=report(
            "results/{dataset}/tables/prompts.csv",
            caption="../scripts/report/captions/tables/prompts.rst",
            category="5 Studies",
            subcategory="prompts",
            labels={"result": "Table: each prompt against the first"},
        ),
    log:
        "results/logs/study_prompts/{dataset}.log",
    benchmark:
        "results/benchmarks/study_prompts/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_prompts.py"),
        split="test",
    script:
        "../scripts/studies/study_prompts.py"


rule study_scorers:
    """Each scorer against the first one, on the same queries."""
    input:
        pairs="results/{dataset}/tables/pairs.csv",
    output:
        table=report(
            "results/{dataset}/tables/scorers.csv",
            caption="../scripts/report/captions/tables/scorers.rst",
            category="5 Studies",
            subcategory="scorers",
            labels={"result": "Table: each scorer against the first"},
        ),
    log:
        "results/logs/study_scorers/{dataset}.log",
    benchmark:
        "results/benchmarks/study_scorers/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_scorers.py"),
        split="test",
    script:
        "../scripts/studies/study_scorers.py"


rule study_seeds:
    """The mean and the spread of what was trained from several seeds."""
    input:
        unpack(references),
        adapters=adapters_of_run,
    output:
        table=report(
            "results/{dataset}/tables/seeds.csv",
            caption="../scripts/report/captions/tables/seeds.rst",
            category="5 Studies",
            subcategory="seeds",
            labels={"result": "Table: recall by seed of training"},
        ),
    log:
        "results/logs/study_seeds/{dataset}.log",
    benchmark:
        "results/benchmarks/study_seeds/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_seeds.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        seed=setting("statistics/seed"),
    script:
        "../scripts/studies/study_seeds.py"


rule study_gallery:
    """Expected recall in smaller galleries drawn at random, both ways."""
    input:
        unpack(references),
    output:
        table=report(
            "results/{dataset}/tables/gallery.csv",
            caption="../scripts/report/captions/tables/gallery.rst",
            category="5 Studies",
            subcategory="gallery",
            labels={"result": "Table: recall in smaller galleries"},
        ),
    log:
        "results/logs/study_gallery/{dataset}.log",
    benchmark:
        "results/benchmarks/study_gallery/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_gallery.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        seed=setting("statistics/seed"),
        sizes=setting("studies/gallery/sizes"),
    script:
        "../scripts/studies/study_gallery.py"


rule study_captions:
    """Recall by the length of captions, and by how many of an image's captions are used."""
    input:
        unpack(references),
    output:
        table=report(
            "results/{dataset}/tables/captions.csv",
            caption="../scripts/report/captions/tables/captions.rst",
            category="5 Studies",
            subcategory="captions",
            labels={"result": "Table: recall by length and number of captions"},
        ),
    log:
        "results/logs/study_captions/{dataset}.log",
    benchmark:
        "results/benchmarks/study_captions/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_captions.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        seed=setting("statistics/seed"),
        parts=setting("studies/captions/parts"),
        draws=setting("studies/captions/draws"),
    script:
        "../scripts/studies/study_captions.py"


rule study_categories:
    """Recall by what images show: by words of the lexicon, and by clusters of features."""
    input:
        unpack(references),
    output:
        table=report(
            "results/{dataset}/tables/categories.csv",
            caption="../scripts/report/captions/tables/categories.rst",
            category="5 Studies",
            subcategory="categories",
            labels={"result": "Table: recall by what images show"},
        ),
        clusters=report(
            "results/{dataset}/tables/clusters.csv",
            caption="../scripts/report/captions/tables/clusters.rst",
            category="5 Studies",
            subcategory="categories",
            labels={"result": "Table: clusters of images and their words"},
        ),
    log:
        "results/logs/study_categories/{dataset}.log",
    benchmark:
        "results/benchmarks/study_categories/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_categories.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        seed=setting("statistics/seed"),
        clusters=setting("studies/categories/clusters"),
        words=setting("studies/categories/words"),
        least=setting("studies/categories/least"),
        lexicon=setting("lexicon/categories"),
    script:
        "../scripts/studies/study_categories.py"


rule study_robustness:
    """Recall of captions with words dropped, words shuffled, and typos."""
    input:
        unpack(references_encoded_again),
        damaged=collect(
            "results/{{dataset}}/{model}/test/damaged.{prompt}.npy",
            model=ENCODED_AGAIN,
            prompt=FIRST_PROMPT,
        ),
        damaged_sidecars=collect(
            "results/{{dataset}}/{model}/test/damaged.{prompt}.json",
            model=ENCODED_AGAIN,
            prompt=FIRST_PROMPT,
        ),
    output:
        table=report(
            "results/{dataset}/tables/robustness.csv",
            caption="../scripts/report/captions/tables/robustness.rst",
            category="5 Studies",
            subcategory="robustness",
            labels={"result": "Table: recall of damaged captions"},
        ),
    log:
        "results/logs/study_robustness/{dataset}.log",
    benchmark:
        "results/benchmarks/study_robustness/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_robustness.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        seed=setting("statistics/seed"),
    script:
        "../scripts/studies/study_robustness.py"


rule study_geometry:
    """How far apart the two clouds lie, and which items stand in too many lists."""
    input:
        unpack(references),
        runs=RANKINGS,
    output:
        table=report(
            "results/{dataset}/tables/geometry.csv",
            caption="../scripts/report/captions/tables/geometry.rst",
            category="5 Studies",
            subcategory="geometry",
            labels={"result": "Table: modality gap and hubness"},
        ),
        hubs=report(
            "results/{dataset}/tables/hubs.csv",
            caption="../scripts/report/captions/tables/hubs.rst",
            category="5 Studies",
            subcategory="geometry",
            labels={"result": "Table: the worst hubs"},
        ),
    log:
        "results/logs/study_geometry/{dataset}.log",
    benchmark:
        "results/benchmarks/study_geometry/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_geometry.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        seed=setting("statistics/seed"),
        neighbours=setting("studies/geometry/neighbours"),
        hubs=setting("studies/geometry/hubs"),
    script:
        "../scripts/studies/study_geometry.py"


rule study_errors:
    """Why queries fail: evidence for each failure, and named kinds of them."""
    input:
        unpack(references),
        judgments="data/{dataset}/judgments.csv",
    output:
        table=report(
            "results/{dataset}/tables/errors.csv",
            caption="../scripts/report/captions/tables/errors.rst",
            category="5 Studies",
            subcategory="errors",
            labels={"result": "Table: kinds of failure"},
        ),
        failures=report(
            "results/{dataset}/tables/failures.csv",
            caption="../scripts/report/captions/tables/failures.rst",
            category="5 Studies",
            subcategory="errors",
            labels={"result": "Table: every failure, with its evidence"},
        ),
    log:
        "results/logs/study_errors/{dataset}.log",
    benchmark:
        "results/benchmarks/study_errors/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_errors.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        seed=setting("statistics/seed"),
        examples=setting("studies/errors/examples"),
        far=setting("studies/errors/far"),
        lexicon=setting("lexicon"),
    script:
        "../scripts/studies/study_errors.py"


rule study_leakage:
    """Near-duplicate images and equal captions across splits, and what they do to the numbers."""
    input:
        unpack(references_encoded_again),
        others=collect(
            "results/{{dataset}}/{model}/{split}/images.npy",
            model=ENCODED_AGAIN,
            split=["train", "val"],
        ),
        others_sidecars=collect(
            "results/{{dataset}}/{model}/{split}/images.json",
            model=ENCODED_AGAIN,
            split=["train", "val"],
        ),
        checksums="data/{dataset}/images.csv",
    output:
        table=report(
            "results/{dataset}/tables/leakage.csv",
            caption="../scripts/report/captions/tables/leakage.rst",
            category="5 Studies",
            subcategory="leakage",
            labels={"result": "Table: recall without what splits share"},
        ),
        pairs=report(
            "results/{dataset}/tables/near_duplicates.csv",
            caption="../scripts/report/captions/tables/near_duplicates.rst",
            category="5 Studies",
            subcategory="leakage",
            labels={"result": "Table: near-duplicate images across splits"},
        ),
    log:
        "results/logs/study_leakage/{dataset}.log",
    benchmark:
        "results/benchmarks/study_leakage/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_leakage.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        seed=setting("statistics/seed"),
        threshold=setting("studies/leakage/threshold"),
    script:
        "../scripts/studies/study_leakage.py"


rule study_indexes:
    """What each index finds of the exact top ten, and what it costs, also among simulated items."""
    input:
        unpack(first_reference),
        indexes=built_indexes("faiss"),
        index_sidecars=built_indexes("json"),
    output:
        table=report(
            "results/{dataset}/tables/indexes.csv",
            caption="../scripts/report/captions/tables/indexes.rst",
            category="5 Studies",
            subcategory="indexes",
            labels={"result": "Table: what indexes find"},
        ),
        costs=report(
            "results/{dataset}/tables/index_costs.csv",
            caption="../scripts/report/captions/tables/index_costs.rst",
            category="5 Studies",
            subcategory="indexes",
            labels={"result": "Table: what indexes cost"},
        ),
    log:
        "results/logs/study_indexes/{dataset}.log",
    benchmark:
        "results/benchmarks/study_indexes/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_indexes.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        seed=setting("statistics/seed"),
        indexes={name: config["indexes"][name] for name in RUN["indexes"]},
        sizes=setting("studies/indexes/sizes"),
        spread=setting("studies/indexes/spread"),
    script:
        "../scripts/studies/study_indexes.py"


rule study_precision:
    """What computing features in another precision changes, on the same queries."""
    input:
        unpack(features_in_precisions),
    output:
        table=report(
            "results/{dataset}/tables/precision.csv",
            caption="../scripts/report/captions/tables/precision.rst",
            category="5 Studies",
            subcategory="precision",
            labels={"result": "Table: each precision against the first"},
        ),
    log:
        "results/logs/study_precision/{dataset}.log",
    benchmark:
        "results/benchmarks/study_precision/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/studies/study_precision.py"),
        split="test",
        resamples=setting("statistics/resamples"),
        flips=setting("statistics/flips"),
        seed=setting("statistics/seed"),
        models=ENCODED_AGAIN,
        prompt=FIRST_PROMPT,
        scorer=FIRST_SCORER,
    script:
        "../scripts/studies/study_precision.py"
