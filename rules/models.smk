"""From a hub, a folder or a training run to a model folder.

Comes in: the configured source. Goes out: data/models/<model>/ with safetensors, tokenizer and
preprocessing, and model.json, which says where they came from and what they hash to. Of features that were made
elsewhere there is model.json alone.
"""


rule fetch_model:
    """Get a model from a hub, or from a folder, as safetensors only; say what it is."""
    output:
        provenance="data/models/{model}/model.json",
    log:
        "results/logs/fetch_model/{model}.log",
    wildcard_constraints:
        model=models_from("train", "features", others=True),
    # first: everything else waits for features
    priority: 1
    localrule: True
    conda:
        "../envs/models.yaml"
    params:
        code=fingerprint("scripts/models/fetch_model.py"),
        contents=contents_of_path,
        entry=setting("models/{model}"),
    script:
        "../scripts/models/fetch_model.py"


rule find_features:
    """Say what features are that were made elsewhere, and what they hash to; copy nothing."""
    output:
        provenance="data/models/{model}/model.json",
    log:
        "results/logs/find_features/{model}.log",
    wildcard_constraints:
        model=models_from("features"),
    localrule: True
    conda:
        "../envs/data.yaml"
    params:
        code=fingerprint("scripts/models/find_features.py"),
        contents=contents_of_sides,
        entry=setting("models/{model}"),
    script:
        "../scripts/models/find_features.py"


rule train_model:
    """Train a dual encoder on a train split; val chooses the checkpoint."""
    input:
        unpack(training_inputs),
        images=ancient(training_images),
    output:
        provenance="data/models/{model}/model.json",
        log="data/models/{model}/training.csv",
    log:
        "results/logs/train_model/{model}.log",
    wildcard_constraints:
        model=models_from("train"),
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        gpu=gpus_to_encode,
    params:
        code=fingerprint("scripts/models/train_model.py"),
        entry=setting("models/{model}"),
        device=setting("encode/device"),
    script:
        "../scripts/models/train_model.py"
