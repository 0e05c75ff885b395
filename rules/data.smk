"""From a dataset's home to decodable images, captions and a split.

Comes in: the configured source, on the net or in a folder. Goes out: data/<dataset>/images/,
captions.json, images.csv and splits.json, and results/<dataset>/audit.json, which says what was found,
what was set aside and why.
"""


rule download:
    """Get a dataset's archives, or find what the user already has; say what they are."""
    output:
        manifest="data/{dataset}/raw/source.json",
    log:
        "results/logs/download/{dataset}.log",
    wildcard_constraints:
        dataset=datasets_from("flickr8k", "folder", "huggingface", "modelscope"),
    # first: everything else waits for features
    priority: 1
    localrule: True
    conda:
        "../envs/data.yaml"
    params:
        code=fingerprint("scripts/data/download.py"),
        entry=setting("datasets/{dataset}"),
        contents=contents_of_location,
    script:
        "../scripts/data/download.py"


rule draw_scenes:
    """Draw the embedded dataset."""
    output:
        manifest="data/{dataset}/raw/source.json",
    log:
        "results/logs/draw_scenes/{dataset}.log",
    wildcard_constraints:
        dataset=datasets_from("scenes"),
    # first: everything else waits for features
    priority: 1
    conda:
        "../envs/data.yaml"
    threads: 8
    params:
        code=fingerprint("scripts/data/draw_scenes.py"),
        entry=setting("datasets/{dataset}"),
    script:
        "../scripts/data/draw_scenes.py"


rule prepare_images:
    """Decode every image once; keep what can be used and say what cannot."""
    input:
        manifest="data/{dataset}/raw/source.json",
    output:
        images=IMAGES if CARRIED else directory(IMAGES),
        captions="data/{dataset}/captions.json",
        table="data/{dataset}/images.csv",
        audit=report(
            "results/{dataset}/audit.json",
            caption="../scripts/report/captions/audit.rst",
            category="2 Method and data",
            labels={"result": "Audit of {dataset}"},
        ),
    log:
        "results/logs/prepare_images/{dataset}.log",
    # first: everything else waits for features
    priority: 1
    conda:
        "../envs/data.yaml"
    threads: all_but_one
    params:
        **settings("prepare", "max_aspect", "max_lost", "max_pixels"),
        code=fingerprint("scripts/data/prepare_images.py"),
    script:
        "../scripts/data/prepare_images.py"


rule split:
    """Take the official split where there is one; else test is all, or one is drawn to learn from."""
    input:
        table="data/{dataset}/images.csv",
    output:
        splits="data/{dataset}/splits.json",
    log:
        "results/logs/split/{dataset}.log",
    # first: everything else waits for features
    priority: 1
    conda:
        "../envs/data.yaml"
    params:
        **settings("split", "seed", "shares"),
        **settings("prepare", "max_lost"),
        code=fingerprint("scripts/data/split.py"),
        learns=has_to_learn,
        searched=is_searched_alone,
        whole=lambda wildcards: not is_own(wildcards.dataset),
        told=lookup("{dataset}/splits", within=config["datasets"], default=None),
    script:
        "../scripts/data/split.py"


rule judgments:
    """What people said of which caption fits which image, where the dataset has it."""
    input:
        **ROWS,
        manifest="data/{dataset}/raw/source.json",
    output:
        judgments="data/{dataset}/judgments.csv",
    log:
        "results/logs/judgments/{dataset}.log",
    conda:
        "../envs/data.yaml"
    params:
        code=fingerprint("scripts/data/judgments.py"),
        contents=contents_of_location,
        entry=setting("datasets/{dataset}"),
    script:
        "../scripts/data/judgments.py"


rule prepare:
    """Everything that a run needs from the net: fetch it where there is a network, compute elsewhere."""
    input:
        collect("data/{dataset}/splits.json", dataset=datasets_in_use(DATASETS)),
        collect("results/{dataset}/audit.json", dataset=DATASETS),
        collect("data/models/{model}/model.json", model=models_to_fetch()),
    localrule: True
