"""From images and captions to features: the rules that want a GPU.

Comes in: images, captions, split, model. Goes out: float32 unit rows in the order of splits.json and
captions.json, each file with a sidecar that names its rows, its model and its checksum. With encode.shard_size, a split
is encoded in jobs of so many images, with their captions, and joined. What was encoded elsewhere is brought into the
same form.
"""

import math

from scripts.encode import shelf

GOES_ON = ("encode_images", "encode_texts", "encode_images_in", "encode_texts_in")


onstart:
    # what its jobs are going to encode, so that one that has the model loaded may go on with another's
    shelf.announce(
        (job for job in workflow.dag.needrun_jobs() if job.rule.name in GOES_ON),
        workflow.cores if workflow.local_exec else math.inf,
    )


onsuccess:
    shelf.clear()


rule choose_precision:
    """What "auto" stands for with this model: the fast precision where a sample allows it."""
    input:
        **ROWS,
        **PICTURES_OF_DATASET,
        model="data/models/{model}/model.json",
    output:
        precision="results/{dataset}/{model}/precision.json",
    log:
        "results/logs/choose_precision/{dataset}.{model}.log",
    # first: everything else waits for features
    priority: 1
    conda:
        "../envs/models.yaml"
    threads: setting("encode/threads")
    resources:
        gpu=gpus_to_encode,
    params:
        **COMPUTED,
        code=fingerprint("scripts/encode/choose_precision.py"),
    script:
        "../scripts/encode/choose_precision.py"


rule encode_images:
    """Encode the images of one split, once per model."""
    input:
        unpack(precision_found),
        **ROWS,
        **PICTURES_OF_DATASET,
        model="data/models/{model}/model.json",
    output:
        features="results/{dataset}/{model}/{split}/images.npy",
        sidecar="results/{dataset}/{model}/{split}/images.json",
    log:
        "results/logs/encode_images/{dataset}.{model}.{split}.log",
    wildcard_constraints:
        model=ENCODERS,
    # first: everything else waits for features
    priority: 1
    conda:
        "../envs/models.yaml"
    threads: setting("encode/threads")
    resources:
        gpu=gpus_to_encode,
    params:
        **COMPUTED,
        code=fingerprint("scripts/encode/encode_images.py"),
        shard_size=setting("encode/shard_size"),
    script:
        "../scripts/encode/encode_images.py"


rule encode_texts:
    """Encode the captions of one split under one prompt."""
    input:
        unpack(precision_found),
        **ROWS,
        model="data/models/{model}/model.json",
    output:
        features="results/{dataset}/{model}/{split}/texts.{prompt}.npy",
        sidecar="results/{dataset}/{model}/{split}/texts.{prompt}.json",
    log:
        "results/logs/encode_texts/{dataset}.{model}.{split}.{prompt}.log",
    wildcard_constraints:
        model=ENCODERS,
        prompt=one_of(prompt for prompt in config["prompts"] if prompt not in AVERAGED),
    priority: 1
    conda:
        "../envs/models.yaml"
    threads: setting("encode/threads")
    resources:
        gpu=gpus_to_encode,
    params:
        **COMPUTED,
        code=fingerprint("scripts/encode/encode_texts.py"),
        templates=setting("prompts/{prompt}"),
        shard_size=setting("encode/shard_size"),
    script:
        "../scripts/encode/encode_texts.py"


rule average_texts:
    """Make the features of an ensemble from those of its templates, which are prompts, too."""
    input:
        unpack(features_to_average),
        **ROWS,
        model="data/models/{model}/model.json",
    output:
        features="results/{dataset}/{model}/{split}/texts.{prompt}.npy",
        sidecar="results/{dataset}/{model}/{split}/texts.{prompt}.json",
    log:
        "results/logs/average_texts/{dataset}.{model}.{split}.{prompt}.log",
    wildcard_constraints:
        model=ENCODERS,
        prompt=one_of(AVERAGED),
    conda:
        "../envs/analysis.yaml"
    params:
        code=fingerprint("scripts/encode/average_texts.py"),
        templates=setting("prompts/{prompt}"),
    script:
        "../scripts/encode/average_texts.py"


rule import_features:
    """Bring features that were made elsewhere into the order of a split; average what an ensemble is made of."""
    input:
        **ROWS,
        model="data/models/{model}/model.json",
    output:
        features="results/{dataset}/{model}/{split}/{side}.npy",
        sidecar="results/{dataset}/{model}/{split}/{side}.json",
    log:
        "results/logs/import_features/{dataset}.{model}.{split}.{side}.log",
    wildcard_constraints:
        model=models_from("features"),
        side=f"images|texts\\.({one_of(config['prompts'])})",
    conda:
        "../envs/data.yaml"
    params:
        code=fingerprint("scripts/encode/import_features.py"),
        prompts=prompts_to_import,
        templates=templates_to_import,
    script:
        "../scripts/encode/import_features.py"


rule encode_damaged:
    """Encode captions with words dropped, words shuffled and typos, all in one job."""
    input:
        unpack(precision_found),
        **ROWS,
        model="data/models/{model}/model.json",
    output:
        features="results/{dataset}/{model}/{split}/damaged.{prompt}.npy",
        sidecar="results/{dataset}/{model}/{split}/damaged.{prompt}.json",
    log:
        "results/logs/encode_damaged/{dataset}.{model}.{split}.{prompt}.log",
    wildcard_constraints:
        model=ENCODERS,
    conda:
        "../envs/models.yaml"
    threads: setting("encode/threads")
    resources:
        gpu=gpus_to_encode,
    params:
        **COMPUTED,
        **settings("studies/robustness", "kinds", "strengths"),
        code=fingerprint("scripts/encode/encode_damaged.py"),
        templates=setting("prompts/{prompt}"),
        seed=setting("statistics/seed"),
    script:
        "../scripts/encode/encode_damaged.py"


use rule encode_images as encode_images_in with:
    output:
        features="results/{dataset}/{model}/{split}/{precision}/images.npy",
        sidecar="results/{dataset}/{model}/{split}/{precision}/images.json",
    log:
        "results/logs/encode_images_in/{dataset}.{model}.{split}.{precision}.log",
    params:
        precision="{precision}",


use rule encode_texts as encode_texts_in with:
    output:
        features="results/{dataset}/{model}/{split}/{precision}/texts.{prompt}.npy",
        sidecar="results/{dataset}/{model}/{split}/{precision}/texts.{prompt}.json",
    log:
        "results/logs/encode_texts_in/{dataset}.{model}.{split}.{precision}.{prompt}.log",
    wildcard_constraints:
        prompt=one_of(config["prompts"]),
    params:
        precision="{precision}",


if SHARD_SIZE:

    ruleorder: gather_features > encode_images > encode_texts

    checkpoint plan_shards:
        """How many shards each split has, which only the split can tell."""
        input:
            splits="data/{dataset}/splits.json",
        output:
            plan="results/{dataset}/shards.json",
        log:
            "results/logs/plan_shards/{dataset}.log",
        localrule: True
        conda:
            "../envs/analysis.yaml"
        params:
            code=fingerprint("scripts/encode/plan_shards.py"),
            shard_size=setting("encode/shard_size"),
        script:
            "../scripts/encode/plan_shards.py"

    use rule encode_images as encode_images_shard with:
        output:
            features=temp("results/{dataset}/{model}/{split}/shards/images.{shard}.npy"),
            sidecar=temp("results/{dataset}/{model}/{split}/shards/images.{shard}.json"),
        log:
            "results/logs/encode_images/{dataset}.{model}.{split}.{shard}.log",

    use rule encode_texts as encode_texts_shard with:
        output:
            features=temp("results/{dataset}/{model}/{split}/shards/texts.{prompt}.{shard}.npy"),
            sidecar=temp("results/{dataset}/{model}/{split}/shards/texts.{prompt}.{shard}.json"),
        log:
            "results/logs/encode_texts/{dataset}.{model}.{split}.{prompt}.{shard}.log",

    rule gather_features:
        """Join the shards of a split, in its order."""
        input:
            **ROWS,
            shards=shards("results/{dataset}/{model}/{split}/shards/{side}.{shard}.npy"),
            sidecars=shards("results/{dataset}/{model}/{split}/shards/{side}.{shard}.json"),
            model="data/models/{model}/model.json",
        output:
            features="results/{dataset}/{model}/{split}/{side}.npy",
            sidecar="results/{dataset}/{model}/{split}/{side}.json",
        log:
            "results/logs/gather_features/{dataset}.{model}.{split}.{side}.log",
        wildcard_constraints:
            model=ENCODERS,
            side=f"images|texts\\.({one_of(p for p in config['prompts'] if p not in AVERAGED)})",
        conda:
            "../envs/analysis.yaml"
        params:
            code=fingerprint("scripts/encode/gather_features.py"),
            shard_size=setting("encode/shard_size"),
        script:
            "../scripts/encode/gather_features.py"
