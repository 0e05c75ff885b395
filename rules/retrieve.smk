"""From features to ranks.

Comes in: features of the test split, and for scorers that learn, of val and train; for a fusion, those of
two models. Goes out: scorer.npz, which is fitted without test, rankings.npz with the rank of every
right item and the best items of every query, both ways, and indexes of the galleries. With similarity.shards, a gallery
is ranked in so many jobs and their counts are added up. A reranker scores the first items of each list again, once for
both of the runs that are made of it.
"""


rule fit_scorer:
    """Fit a way of scoring on train and val; cosine has nothing to fit."""
    input:
        unpack(features_to_fit),
    output:
        scorer="results/{dataset}/{model}/{prompt}/{scorer}/scorer.npz",
    log:
        "results/logs/fit_scorer/{dataset}.{model}.{prompt}.{scorer}.log",
    wildcard_constraints:
        scorer=scorers_of("adapter", "reranked", others=True),
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/retrieve/fit_scorer.py"),
        entry=setting("scorers/{scorer}"),
    script:
        "../scripts/retrieve/fit_scorer.py"


rule fit_adapter:
    """Learn a residual map on train from several seeds; val tells when to stop."""
    input:
        unpack(features_to_fit),
    output:
        scorer="results/{dataset}/{model}/{prompt}/{scorer}/scorer.npz",
    log:
        "results/logs/fit_adapter/{dataset}.{model}.{prompt}.{scorer}.log",
    wildcard_constraints:
        scorer=scorers_of("adapter"),
    conda:
        "../envs/models.yaml"
    threads: 4
    params:
        code=fingerprint("scripts/retrieve/fit_adapter.py"),
        entry=setting("scorers/{scorer}"),
    script:
        "../scripts/retrieve/fit_adapter.py"


rule similarity:
    """Rank the gallery for every query, both ways, block by block."""
    input:
        unpack(features_to_rank),
        **ROWS,
        scorer="results/{dataset}/{model}/{prompt}/{scorer}/scorer.npz",
    output:
        rankings="results/{dataset}/{model}/{prompt}/{scorer}/rankings.npz",
    log:
        "results/logs/similarity/{dataset}.{model}.{prompt}.{scorer}.log",
    wildcard_constraints:
        scorer=scorers_of("reranked", others=True),
    conda:
        "../envs/analysis.yaml" if RANKED_ON_CPU else "../envs/models.yaml"
    threads: beside_another
    resources:
        gpu=gpus_to_rank,
    params:
        **settings("similarity", "top_k", "block_mb", "device", "shards"),
        code=fingerprint("scripts/retrieve/similarity.py"),
        split="test",
    script:
        "../scripts/retrieve/similarity.py"


if RANKING_SHARDS > 1:

    ruleorder: gather_rankings > similarity

    use rule similarity as similarity_shard with:
        output:
            part=temp("results/{dataset}/{model}/{prompt}/{scorer}/shards/rankings.{shard}.npz"),
        log:
            "results/logs/similarity/{dataset}.{model}.{prompt}.{scorer}.{shard}.log",

    rule gather_rankings:
        """Add up the ranks of all shards of the gallery, and merge their lists."""
        input:
            **ROWS,
            parts=collect(
                "results/{{dataset}}/{{model}}/{{prompt}}/{{scorer}}/shards/rankings.{shard}.npz",
                shard=range(RANKING_SHARDS),
            ),
        output:
            rankings="results/{dataset}/{model}/{prompt}/{scorer}/rankings.npz",
        log:
            "results/logs/gather_rankings/{dataset}.{model}.{prompt}.{scorer}.log",
        wildcard_constraints:
            scorer=scorers_of("reranked", others=True),
        conda:
            "../envs/analysis.yaml"
        params:
            code=fingerprint("scripts/retrieve/gather_rankings.py"),
            split="test",
            top_k=setting("similarity/top_k"),
        script:
            "../scripts/retrieve/gather_rankings.py"


rule cross_scores:
    """Score the first of each list again, by a model that reads picture and sentence together."""
    input:
        unpack(features_to_look_at),
        **ROWS,
        scorer="results/{dataset}/{model}/{prompt}/{scorer}/scorer.npz",
        pictures=PICTURES_OF_DATASET["images"],
        table=PICTURES_OF_DATASET["table"],
        reranker=model_of_reranker,
    output:
        scores="results/{dataset}/{model}/{prompt}/{scorer}/cross.{reranker}.{split}.npz",
        cost="results/{dataset}/{model}/{prompt}/{scorer}/cross.{reranker}.{split}.json",
    log:
        # in a folder: a file's name has no room for five names
        "results/logs/cross_scores/{dataset}.{model}.{prompt}.{scorer}/{reranker}.{split}.log",
    conda:
        "../envs/models.yaml"
    threads: setting("encode/threads")
    resources:
        gpu=gpus_to_encode,
    params:
        **COMPUTED,
        code=fingerprint("scripts/retrieve/cross_scores.py"),
        depth=setting("rerankers/{reranker}/depth"),
    script:
        "../scripts/retrieve/cross_scores.py"


rule rerank:
    """The order after the second look: by its scores alone, or with the first ones, weighed on val."""
    input:
        unpack(scores_to_rerank),
        **ROWS,
    output:
        scorer="results/{dataset}/{model}/{prompt}/{scorer}/scorer.npz",
        rankings="results/{dataset}/{model}/{prompt}/{scorer}/rankings.npz",
    log:
        "results/logs/rerank/{dataset}.{model}.{prompt}.{scorer}.log",
    wildcard_constraints:
        scorer=scorers_of("reranked"),
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/retrieve/rerank.py"),
        split="test",
        entry=setting("scorers/{scorer}"),
        top_k=setting("similarity/top_k"),
    script:
        "../scripts/retrieve/rerank.py"


rule build_index:
    """Build a FAISS index of what each direction looks for, after the scorer's map."""
    input:
        unpack(features_to_rank),
        **ROWS,
        scorer="results/{dataset}/{model}/{prompt}/{scorer}/scorer.npz",
    output:
        text_to_image="results/{dataset}/{model}/{prompt}/{scorer}/index.{index}.text_to_image.faiss",
        text_to_image_sidecar="results/{dataset}/{model}/{prompt}/{scorer}/index.{index}.text_to_image.json",
        image_to_text="results/{dataset}/{model}/{prompt}/{scorer}/index.{index}.image_to_text.faiss",
        image_to_text_sidecar="results/{dataset}/{model}/{prompt}/{scorer}/index.{index}.image_to_text.json",
    log:
        # in a folder: a file's name has no room for five names
        "results/logs/build_index/{dataset}.{model}.{prompt}.{scorer}/{index}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/retrieve/build_index.py"),
        split="test",
        entry=setting("indexes/{index}"),
    script:
        "../scripts/retrieve/build_index.py"
